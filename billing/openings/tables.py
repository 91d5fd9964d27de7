"""Table of the balances that were brought over from another system."""

from marketplace.core.tables import BigInteger, CheckConstraint, Column, Date, Integer, Text, merchant_table

opening_line = merchant_table(
    "opening_line",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("currency", Text, primary_key=True),
    Column("account", Integer, primary_key=True, autoincrement=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("opening_id", BigInteger, nullable=False),
    Column("import_id", BigInteger, nullable=False),
    Column("line", Integer, nullable=False),
    Column("opened_on", Date, nullable=False),
    CheckConstraint("amount_minor <> 0", name="amount"),
    schema="billing",
)
"""A line of the file `import_id`. opening_id: its entry's source, one per books and currency. Opened once."""
