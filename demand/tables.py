"""Tables of demand: buyers, purchases, and the merchants' orders that a purchase splits into."""

from sqlalchemy import text

from marketplace.core.tables import (
    JSONB,
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    ForeignKeyConstraint,
    Index,
    Instant,
    Integer,
    SmallInteger,
    Text,
    UniqueConstraint,
    buyer_table,
    lookup_table,
    merchant_table,
)

buyer = buyer_table(
    "buyer",
    Column("buyer_id", BigInteger, primary_key=True, autoincrement=False),
    Column("buyer_ref", Text, nullable=False),
    Column("city", Text, nullable=False, server_default=text("''")),
    Column("region", Text, nullable=False, server_default=text("''")),
    Column("created_at", Instant, nullable=False),
    Column("name", Text, nullable=False, server_default=text("''")),
    Column("version", Integer, nullable=False, server_default="1"),
    schema="demand",
)

buyer_ref = lookup_table(
    "buyer_ref",
    Column("buyer_ref", Text, primary_key=True),
    Column("buyer_id", BigInteger, nullable=False),
    schema="demand",
    key="buyer_ref",
)

purchase = buyer_table(
    "purchase",
    Column("buyer_id", BigInteger, primary_key=True, autoincrement=False),
    Column("purchase_id", BigInteger, primary_key=True, autoincrement=False),
    Column("order_ref", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("source_state", Text, nullable=False),
    Column("placed_at", Instant, nullable=False),
    schema="demand",
)
"""What a buyer bought at once, under the source's own order id; one merchant order per merchant follows from it."""

purchase_ref = lookup_table(
    "purchase_ref",
    Column("order_ref", Text, primary_key=True),
    Column("purchase_id", BigInteger, nullable=False),
    Column("buyer_id", BigInteger, nullable=False),
    schema="demand",
    key="order_ref",
)

merchant_order = merchant_table(
    "merchant_order",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("order_id", BigInteger, primary_key=True, autoincrement=False),
    Column("order_ref", Text, nullable=False),
    Column("purchase_id", BigInteger, nullable=False),
    Column("buyer_id", BigInteger, nullable=False),
    Column("entity_id", Integer, nullable=False),
    Column("store_id", BigInteger),
    Column("currency", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("goods_minor", BigInteger, nullable=False),
    Column("freight_minor", BigInteger, nullable=False),
    Column("discount_minor", BigInteger, nullable=False, server_default="0"),
    Column("placed_at", Instant, nullable=False),
    Column("purchased_on", Date, nullable=False),
    Column("delivered_at", Instant),
    Column("delivered_on", Date),
    UniqueConstraint("merchant_id", "order_ref"),
    Column("refund_policy_id", BigInteger, nullable=False, server_default="1"),
    Column("expires_at", Instant),
    Column("completes_at", Instant),
    Column("version", Integer, nullable=False, server_default="1"),
    CheckConstraint(
        "state IN ('placed', 'paid', 'accepted', 'fulfilling', 'partly_delivered', 'delivered', 'returned',"
        " 'cancelled')",
        name="state",
    ),
    CheckConstraint("(delivered_at IS NULL) = (delivered_on IS NULL)", name="delivered"),
    CheckConstraint("goods_minor >= 0 AND freight_minor >= 0 AND discount_minor >= 0", name="amounts"),
    CheckConstraint("discount_minor <= goods_minor", name="discount"),
    Index(None, "merchant_id", "placed_at"),
    Index(None, "placed_at", "merchant_id", "order_id"),
    Index("ix_merchant_order_expiring", "expires_at", postgresql_where=text("state = 'placed'")),
    Index(
        "ix_merchant_order_completing",
        "completes_at",
        postgresql_where=text("state IN ('fulfilling', 'partly_delivered') AND completes_at IS NOT NULL"),
    ),
    Index(
        "ix_merchant_order_open",
        "merchant_id",
        "state",
        postgresql_include=["entity_id", "currency", "goods_minor"],
        postgresql_where=text("state IN ('placed', 'paid', 'accepted', 'fulfilling', 'partly_delivered')"),
    ),
    Index(None, "buyer_id", "purchase_id"),
    Index(
        "ix_merchant_order_delivered", "merchant_id", "delivered_on", postgresql_where=text("delivered_on IS NOT NULL")
    ),
    Index("ix_merchant_order_delivered_at", "delivered_at", postgresql_where=text("delivered_at IS NOT NULL")),
    schema="demand",
    postgresql_with={"fillfactor": "90"},  # the state changes in place
)
"""What one merchant has to deliver of a purchase. discount_minor is the merchant's own discount on the goods.

expires_at: until when a placed order waits for its payment and keeps its stock reserved. completes_at: when an order
whose last part is shipped counts as delivered although nobody said so. refund_policy_id: frozen at the sale. version:
counts the changes, for ETags. purchased_on and delivered_on are local dates in the market's zone. Whether a delivered
order is settled already is said by `order_due`, once: see `demand.store.ORDER_STATE`.
"""

order_line = merchant_table(
    "order_line",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("order_id", BigInteger, primary_key=True, autoincrement=False),
    Column("line_no", SmallInteger, primary_key=True, autoincrement=False),
    Column("product_id", BigInteger),
    Column("category", Text),
    Column("quantity", Integer, nullable=False),
    Column("goods_minor", BigInteger, nullable=False),
    Column("freight_minor", BigInteger, nullable=False),
    Column("discount_minor", BigInteger, nullable=False, server_default="0"),
    Column("refunded_goods_minor", BigInteger, nullable=False, server_default="0"),
    Column("refunded_freight_minor", BigInteger, nullable=False, server_default="0"),
    Column("contract_id", BigInteger),
    Column("title", Text, nullable=False, server_default=text("''")),
    Column("cancelled_quantity", Integer, nullable=False, server_default="0"),
    Column("shipped_quantity", Integer, nullable=False, server_default="0"),
    Column("delivered_quantity", Integer, nullable=False, server_default="0"),
    Column("returned_quantity", Integer, nullable=False, server_default="0"),
    Column("amendment_id", BigInteger),
    Column("carried_goods_minor", BigInteger, nullable=False, server_default="0"),
    Column("carried_freight_minor", BigInteger, nullable=False, server_default="0"),
    ForeignKeyConstraint(
        ["merchant_id", "order_id"], ["demand.merchant_order.merchant_id", "demand.merchant_order.order_id"]
    ),
    CheckConstraint("quantity > 0", name="quantity"),
    CheckConstraint(
        "cancelled_quantity >= 0 AND shipped_quantity >= 0 AND cancelled_quantity + shipped_quantity <= quantity"
        " AND delivered_quantity BETWEEN 0 AND shipped_quantity AND returned_quantity BETWEEN 0 AND quantity",
        name="quantities",
    ),
    CheckConstraint(
        "goods_minor >= 0 AND freight_minor >= 0 AND discount_minor BETWEEN 0 AND goods_minor", name="amounts"
    ),
    CheckConstraint(
        "refunded_goods_minor BETWEEN 0 AND goods_minor - discount_minor"
        " AND refunded_freight_minor BETWEEN 0 AND freight_minor",
        name="refunded",
    ),
    CheckConstraint(
        "carried_goods_minor BETWEEN 0 AND refunded_goods_minor"
        " AND carried_freight_minor BETWEEN 0 AND refunded_freight_minor",
        name="carried",
    ),
    Index("ix_order_line_without_contract", "merchant_id", "order_id", postgresql_where=text("contract_id IS NULL")),
    schema="demand",
    postgresql_with={"fillfactor": "90"},
)
"""contract_id: the commission contract frozen at the sale, or at settlement where none existed at the sale.

Orders that were imported delivered have no shipped or delivered quantities. amendment_id: what added the line.
carried_…: the part of refunded_… that amendments carried over to lines they added, so that no refund paid it out.
"""

order_event = merchant_table(
    "order_event",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("order_id", BigInteger, primary_key=True, autoincrement=False),
    Column("event_no", Integer, primary_key=True, autoincrement=False),
    Column("move", Text, nullable=False),
    Column("party", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("detail", JSONB, nullable=False),
    Column("at", Instant, nullable=False),
    Column("actor", Text, nullable=False),
    ForeignKeyConstraint(
        ["merchant_id", "order_id"], ["demand.merchant_order.merchant_id", "demand.merchant_order.order_id"]
    ),
    schema="demand",
)
"""The moves of an order since it was placed: what, by whom, into which state. event_no is the order's new version."""

cart = buyer_table(
    "cart",
    Column("buyer_id", BigInteger, primary_key=True, autoincrement=False),
    Column("cart_id", BigInteger, primary_key=True, autoincrement=False),
    Column("currency", Text, nullable=False),
    Column("state", Text, nullable=False, server_default="open"),
    Column("purchase_id", BigInteger),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    CheckConstraint("state IN ('open', 'placed', 'dropped')", name="state"),
    CheckConstraint("(state = 'placed') = (purchase_id IS NOT NULL)", name="purchase"),
    schema="demand",
    postgresql_with={"fillfactor": "80"},
)

cart_line = buyer_table(
    "cart_line",
    Column("buyer_id", BigInteger, primary_key=True, autoincrement=False),
    Column("cart_id", BigInteger, primary_key=True, autoincrement=False),
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("product_id", BigInteger, primary_key=True, autoincrement=False),
    Column("quantity", Integer, nullable=False),
    ForeignKeyConstraint(["buyer_id", "cart_id"], ["demand.cart.buyer_id", "demand.cart.cart_id"], ondelete="CASCADE"),
    CheckConstraint("quantity > 0", name="quantity"),
    schema="demand",
)
"""What a buyer means to buy: no price and no reservation, both come with the quote and the placement."""

order_due = merchant_table(
    "order_due",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("order_id", BigInteger, primary_key=True, autoincrement=False),
    Column("contract_id", BigInteger, primary_key=True, autoincrement=False),
    Column("settles_at", Instant, nullable=False),
    Column("settles_on", Date, nullable=False),
    Column("goods_minor", BigInteger, nullable=False),
    Column("freight_minor", BigInteger, nullable=False),
    Column("discount_minor", BigInteger, nullable=False),
    Column("order_ref", Text, nullable=False),
    CheckConstraint("discount_minor BETWEEN 0 AND goods_minor AND freight_minor >= 0", name="amounts"),
    Index(
        "ix_order_due_odd",
        "merchant_id",
        "order_id",
        postgresql_where=text("contract_id = 0 OR goods_minor - discount_minor + freight_minor = 0"),
    ),
    schema="demand",
)
"""Delivered orders that wait for settlement, one row per order and contract: a queue, emptied by the pass.

It carries all that the pass needs of an order, so that settling a million reads neither orders nor their lines. The
amounts are those of the lines under the contract, less what was given back; contract_id is 0 for lines that no contract
covers yet. Whatever changes the lines of an order that is due refreshes its rows (`demand.store`); `verify` compares.
"""

refund = merchant_table(
    "refund",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("refund_id", BigInteger, primary_key=True, autoincrement=False),
    Column("order_id", BigInteger, nullable=False),
    Column("goods_minor", BigInteger, nullable=False),
    Column("freight_minor", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("refunded_at", Instant, nullable=False),
    Column("initiator", Text, nullable=False, server_default="platform"),
    Column("platform_minor", BigInteger, nullable=False, server_default="0"),
    Column("fee_base_minor", BigInteger, nullable=False, server_default="0"),
    Column("fee_minor", BigInteger, nullable=False, server_default="0"),
    Column("state", Text, nullable=False, server_default="booked"),
    Column("made_by", Text, nullable=False, server_default=text("''")),
    Column("payer_minor", BigInteger, nullable=False, server_default="0"),
    ForeignKeyConstraint(
        ["merchant_id", "order_id"], ["demand.merchant_order.merchant_id", "demand.merchant_order.order_id"]
    ),
    Column("promotion_minor", BigInteger, nullable=False, server_default="0"),
    CheckConstraint("payer_minor BETWEEN 0 AND goods_minor + freight_minor", name="payer"),
    CheckConstraint("promotion_minor BETWEEN 0 AND goods_minor + freight_minor - payer_minor", name="promotion"),
    CheckConstraint(
        "goods_minor >= 0 AND freight_minor >= 0 AND (goods_minor + freight_minor > 0 OR platform_minor < 0)",
        name="amounts",
    ),
    CheckConstraint("state IN ('booked', 'cancelled')", name="state"),
    CheckConstraint(
        "platform_minor <= goods_minor + freight_minor AND fee_base_minor >= 0 AND fee_minor >= 0",
        name="borne",
    ),
    Index(None, "merchant_id", "order_id"),
    Index(None, "refund_id", "merchant_id"),
    Index(None, "merchant_id", "refunded_at"),
    schema="demand",
)
"""What goes back of an order, through a refund or, when the reason is dispute_lost, through the buyer's bank.

payer_minor, promotion_minor: what of it goes back to third-party payers and to whoever bears the discounts of
promotions; the buyer gets the rest. platform_minor: what of it the
platform bears; negative: what the platform gets back of what it bore of earlier ones, because the merchant gives back
more than the buyer gets, which may then be nothing. fee_base_minor: what of it counts
for the processor's fee that is charged on to the merchant, fee_minor: that charge. A refund that was lost in a dispute
carries the dispute's id. cancelled: taken back, its entry reversed, because it never reached the buyer.
"""
