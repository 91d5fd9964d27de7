"""Tables of contracts that were applied late: what settled orders should have earned under them."""

from marketplace.core.tables import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    ForeignKeyConstraint,
    Index,
    Instant,
    Text,
    local_table,
    merchant_table,
)

rerating = local_table(
    "rerating",
    Column("rerating_id", BigInteger, primary_key=True, autoincrement=False),
    Column("from_on", Date, nullable=False),
    Column("merchant_id", BigInteger),
    Column("state", Text, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("made_at", Instant, nullable=False),
    Column("approved_by", Text),
    Column("approved_at", Instant),
    Column("single_operator", Boolean, nullable=False, server_default="false"),
    CheckConstraint("state IN ('proposed', 'posted')", name="state"),
    CheckConstraint("(state = 'posted') = (approved_at IS NOT NULL)", name="approved"),
    schema="billing",
)
"""Settled orders rated anew, from a month on, of one merchant or (NULL) of all; posted once a second person agrees."""

rerating_line = merchant_table(
    "rerating_line",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("rerating_id", BigInteger, primary_key=True, autoincrement=False),
    Column("month", Date, primary_key=True),
    Column("currency", Text, primary_key=True),
    Column("orders", BigInteger, nullable=False),
    Column("expected_commission_minor", BigInteger, nullable=False),
    Column("issued_commission_minor", BigInteger, nullable=False),
    Column("expected_vat_minor", BigInteger, nullable=False),
    Column("issued_vat_minor", BigInteger, nullable=False),
    CheckConstraint("orders > 0", name="orders"),
    Index(None, "rerating_id", "merchant_id"),
    schema="billing",
)
"""What a month's orders should have earned, and what they had when that was asked; orders: those that differ."""

commission_adjustment = merchant_table(
    "commission_adjustment",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("adjustment_id", BigInteger, primary_key=True, autoincrement=False),
    Column("rerating_id", BigInteger, nullable=False),
    Column("order_id", BigInteger, nullable=False),
    ForeignKeyConstraint(
        ["merchant_id", "order_id"], ["demand.merchant_order.merchant_id", "demand.merchant_order.order_id"]
    ),
    Index(None, "merchant_id", "rerating_id"),
    schema="billing",
)
"""Which order an entry of kind commission_adjusted (its source_id) adjusts, and by which rerating."""
