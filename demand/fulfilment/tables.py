"""Tables of fulfilment: shipments and returns of a merchant's orders, each with its units by line."""

from marketplace.core.tables import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    Instant,
    Integer,
    SmallInteger,
    Text,
    merchant_table,
    text,
)

_OF_ORDER = ("demand.merchant_order.merchant_id", "demand.merchant_order.order_id")

shipment = merchant_table(
    "shipment",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("shipment_id", BigInteger, primary_key=True, autoincrement=False),
    Column("order_id", BigInteger, nullable=False),
    Column("carrier", Text, nullable=False, server_default=text("''")),
    Column("tracking", Text, nullable=False, server_default=text("''")),
    Column("shipped_at", Instant, nullable=False),
    Column("delivered_at", Instant),
    ForeignKeyConstraint(["merchant_id", "order_id"], _OF_ORDER),
    Index(None, "merchant_id", "order_id"),
    schema="demand",
)
"""What left a merchant at once for an order."""

shipment_line = merchant_table(
    "shipment_line",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("shipment_id", BigInteger, primary_key=True, autoincrement=False),
    Column("line_no", SmallInteger, primary_key=True, autoincrement=False),
    Column("quantity", Integer, nullable=False),
    ForeignKeyConstraint(
        ["merchant_id", "shipment_id"], ["demand.shipment.merchant_id", "demand.shipment.shipment_id"]
    ),
    CheckConstraint("quantity > 0", name="quantity"),
    schema="demand",
)

return_request = merchant_table(
    "return_request",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("return_id", BigInteger, primary_key=True, autoincrement=False),
    Column("order_id", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("initiator", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("note", Text, nullable=False, server_default=text("''")),
    Column("decision_note", Text, nullable=False, server_default=text("''")),
    Column("restock", Boolean, nullable=False, server_default="false"),
    Column("refund_id", BigInteger),
    Column("requested_at", Instant, nullable=False),
    Column("requested_by", Text, nullable=False),
    Column("decided_at", Instant),
    Column("decided_by", Text),
    Column("received_at", Instant),
    ForeignKeyConstraint(["merchant_id", "order_id"], _OF_ORDER),
    CheckConstraint("state IN ('requested', 'approved', 'refused', 'received', 'refunded', 'cancelled')", name="state"),
    CheckConstraint("(state IN ('received', 'refunded')) = (received_at IS NOT NULL)", name="received"),
    CheckConstraint("(state = 'refunded') = (refund_id IS NOT NULL)", name="refunded"),
    CheckConstraint("(decided_at IS NULL) = (decided_by IS NULL)", name="decided"),
    Index(None, "merchant_id", "order_id"),
    schema="demand",
)
"""What a buyer wants to give back of a delivered order, who decided about it, and what was given for it."""

return_line = merchant_table(
    "return_line",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("return_id", BigInteger, primary_key=True, autoincrement=False),
    Column("line_no", SmallInteger, primary_key=True, autoincrement=False),
    Column("quantity", Integer, nullable=False),
    ForeignKeyConstraint(
        ["merchant_id", "return_id"], ["demand.return_request.merchant_id", "demand.return_request.return_id"]
    ),
    CheckConstraint("quantity > 0", name="quantity"),
    schema="demand",
)
