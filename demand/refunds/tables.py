"""Tables of refund policies, of a refund's lines, and of disputes."""

from marketplace.core.tables import (
    JSONB,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    ForeignKeyConstraint,
    Index,
    Instant,
    SmallInteger,
    Text,
    UniqueConstraint,
    merchant_table,
    reference_table,
    text,
)

refund_policy = reference_table(
    "refund_policy",
    Column("policy_id", BigInteger, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("rules", JSONB, nullable=False),
    Column("valid_from", Date, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    schema="demand",
    readable_by=("app_merchant",),
)
"""Versions of the matrix reason × initiator (`demand.refund_policy`); an order keeps the one it was sold under.

The version for a sale is the one with the newest valid_from up to its local day, of these the one made last.
"""

refund_line = merchant_table(
    "refund_line",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("refund_id", BigInteger, primary_key=True, autoincrement=False),
    Column("line_no", SmallInteger, primary_key=True, autoincrement=False),
    Column("order_id", BigInteger, nullable=False),
    Column("goods_minor", BigInteger, nullable=False),
    Column("freight_minor", BigInteger, nullable=False),
    Column("merchant_goods_minor", BigInteger, nullable=False),
    Column("merchant_freight_minor", BigInteger, nullable=False),
    ForeignKeyConstraint(["merchant_id", "refund_id"], ["demand.refund.merchant_id", "demand.refund.refund_id"]),
    CheckConstraint(
        "goods_minor >= 0 AND freight_minor >= 0 AND merchant_goods_minor >= 0 AND merchant_freight_minor >= 0",
        name="amounts",
    ),
    Index(None, "merchant_id", "order_id"),
    schema="demand",
)
"""What a refund gives back of a line, and how much the merchant bears of it: by that the order line is reduced.

What the platform bears leaves the merchant's line as it is; when the line goes later, the merchant bears more than the
buyer gets, and the difference is the platform's again. Refunds of imported orders have no rows here.
"""

dispute = merchant_table(
    "dispute",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("dispute_id", BigInteger, primary_key=True, autoincrement=False),
    Column("dispute_ref", Text, nullable=False),
    Column("order_id", BigInteger, nullable=False),
    Column("buyer_id", BigInteger, nullable=False),
    Column("payment_id", BigInteger, nullable=False),
    Column("processor_id", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("fee_minor", BigInteger, nullable=False),
    Column("excess_minor", BigInteger, nullable=False, server_default="0"),
    Column("covered_minor", BigInteger, nullable=False, server_default="0"),
    Column("state", Text, nullable=False),
    Column("recourse", Boolean, nullable=False),
    Column("opened_at", Instant, nullable=False),
    Column("due_on", Date, nullable=False),
    Column("closed_at", Instant),
    Column("evidence", Text, nullable=False, server_default=text("''")),
    Column("evidence_at", Instant),
    UniqueConstraint("merchant_id", "dispute_ref", "order_id"),
    ForeignKeyConstraint(
        ["merchant_id", "order_id"], ["demand.merchant_order.merchant_id", "demand.merchant_order.order_id"]
    ),
    CheckConstraint("state IN ('open', 'won', 'lost')", name="state"),
    CheckConstraint("(state = 'open') = (closed_at IS NULL)", name="closed"),
    CheckConstraint(
        "amount_minor >= 0 AND fee_minor >= 0 AND amount_minor + fee_minor > 0"
        " AND excess_minor BETWEEN 0 AND amount_minor AND covered_minor BETWEEN 0 AND excess_minor",
        name="amounts",
    ),
    Index(None, "merchant_id", "order_id"),
    Index(None, "opened_at", "merchant_id", "dispute_id"),
    schema="demand",
)
"""An order's share of what a buyer has disputed at its bank; dispute_ref is the processor's name of the whole.

excess_minor: what was taken beyond what the order still had to give, because the buyer was refunded already: the
platform's loss when the dispute is lost. covered_minor: how much of that paid a refund that had failed.
"""
