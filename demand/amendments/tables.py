"""The table of amendments."""

from marketplace.core.tables import (
    JSONB,
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    Instant,
    Integer,
    Text,
    merchant_table,
    text,
)

_IS_OPEN = "state IN ('proposed', 'awaiting_payment')"

amendment = merchant_table(
    "amendment",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("amendment_id", BigInteger, primary_key=True, autoincrement=False),
    Column("order_id", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("base_version", Integer, nullable=False),
    Column("changes", JSONB, nullable=False),
    Column("delta_minor", BigInteger, nullable=False),
    Column("carried_goods_minor", BigInteger, nullable=False, server_default="0"),
    Column("carried_freight_minor", BigInteger, nullable=False, server_default="0"),
    Column("party", Text, nullable=False),
    Column("proposed_by", Text, nullable=False),
    Column("proposed_at", Instant, nullable=False),
    Column("reason", Text, nullable=False),
    Column("method", Text, nullable=False, server_default=text("''")),
    Column("decided_party", Text),
    Column("decided_by", Text),
    Column("decided_at", Instant),
    Column("outcome", Text, nullable=False, server_default=text("''")),
    Column("expires_at", Instant, nullable=False),
    Column("payment_id", BigInteger),
    Column("refund_id", BigInteger),
    ForeignKeyConstraint(
        ["merchant_id", "order_id"], ["demand.merchant_order.merchant_id", "demand.merchant_order.order_id"]
    ),
    CheckConstraint(
        "state IN ('proposed', 'awaiting_payment', 'applied', 'declined', 'expired', 'cancelled')", name="state"
    ),
    CheckConstraint("party IN ('buyer', 'merchant', 'platform')", name="party"),
    CheckConstraint("carried_goods_minor >= 0 AND carried_freight_minor >= 0", name="carried"),
    CheckConstraint("state = 'applied' OR carried_goods_minor + carried_freight_minor = 0", name="carried_applied"),
    CheckConstraint("state <> 'awaiting_payment' OR (delta_minor > 0 AND payment_id IS NOT NULL)", name="payment"),
    Index(
        "uq_amendment_open",
        "merchant_id",
        "order_id",
        unique=True,
        postgresql_where=text(_IS_OPEN),
    ),
    Index("ix_amendment_expiring", "expires_at", postgresql_where=text(_IS_OPEN)),
    Index(None, "merchant_id", "order_id"),
    schema="demand",
    postgresql_with={"fillfactor": "80"},
)
"""A priced set of changes to a paid order, from proposal to effect. delta_minor: what the buyer pays, or gets back.

carried_…: what of the value taken off other lines paid for the lines added, known once it is applied. So what the
lines of an order have given back is its refunds and what its amendments carried. outcome: why it ended as it did.
"""
