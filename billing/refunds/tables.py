"""The table of what goes back to buyers."""

from marketplace.core.tables import (
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    Instant,
    SmallInteger,
    Text,
    UniqueConstraint,
    merchant_table,
)

refund_payment = merchant_table(
    "refund_payment",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("refund_id", BigInteger, primary_key=True, autoincrement=False),
    Column("payment_id", BigInteger, primary_key=True, autoincrement=False),
    Column("way", Text, primary_key=True),
    Column("attempt", SmallInteger, primary_key=True, autoincrement=False),
    Column("transfer_id", BigInteger, nullable=False),
    Column("order_id", BigInteger, nullable=False),
    Column("buyer_id", BigInteger, nullable=False),
    Column("processor_id", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("covered_minor", BigInteger, nullable=False, server_default="0"),
    Column("state", Text, nullable=False),
    Column("failure", Text),
    Column("due_at", Instant, nullable=False),
    Column("said_at", Instant),
    UniqueConstraint("merchant_id", "transfer_id"),
    CheckConstraint("way IN ('card', 'credit')", name="way"),
    CheckConstraint(
        "state IN ('due', 'paid', 'failed', 'retried', 'credited', 'covered', 'cancelled', 'stray')", name="state"
    ),
    CheckConstraint("amount_minor > 0 AND covered_minor BETWEEN 0 AND amount_minor", name="amounts"),
    Index(None, "merchant_id", "order_id"),
    schema="billing",
    postgresql_with={"fillfactor": "80"},
)
"""A part of a refund on its way back to a payment: a row for every attempt, the newest of which counts.

way: through the processor (`card`) or back into the credit it came from. transfer_id is the source of its entries.
State: due, then what the processor says (paid, failed), then what was decided about a failure: retried, credited
(turned into credit), covered (a lost dispute has paid it: covered_minor, in part while it is still `failed`) or
cancelled. stray: paid although it had been given up; it stands on 2900 until a person has looked.
Cash is credited at once: its `card` share never goes through a processor.
said_at: when the processor last said something, by its own clock, so that what it says late changes nothing; a new
attempt starts with what it said of the attempt before.
"""
