"""The queue of changed orders."""

from marketplace.core.tables import BigInteger, Column, local_table

order_change = local_table(
    "order_change",
    Column("change_id", BigInteger, primary_key=True, autoincrement=False),
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("order_id", BigInteger),
    schema="demand",
)
"""An order has changed, committed with the change itself; figures follow and empty the queue. order_id NULL: all the
merchant's orders, as after an import. Only ever added to, so writers never wait for each other."""
