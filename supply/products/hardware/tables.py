"""Tables of hardware: items, providers, units, quotes and orders, deliveries, work orders."""

from marketplace.core.tables import (
    ARRAY,
    JSONB,
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    ForeignKeyConstraint,
    Index,
    Instant,
    Integer,
    Text,
    lookup_table,
    merchant_table,
    reference_table,
    text,
)

item = reference_table(
    "hardware_item",
    Column("item_id", BigInteger, primary_key=True, autoincrement=False),
    Column("sku", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("price_minor", BigInteger, nullable=False),
    Column("warranty_months", Integer, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("made_at", Instant, nullable=False),
    CheckConstraint("price_minor >= 0 AND warranty_months >= 0", name="terms"),
    schema="supply",
    readable_by=("app_merchant",),
)

provider = reference_table(
    "provider",
    Column("provider_id", BigInteger, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False, unique=True),
    Column("made_by", Text, nullable=False),
    Column("made_at", Instant, nullable=False),
    schema="supply",
)

unit = lookup_table(
    "hardware_unit",
    Column("serial", Text, primary_key=True),
    Column("item_id", BigInteger, nullable=False),
    Column("house_merchant_id", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("cost_minor", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("merchant_id", BigInteger),
    Column("order_id", BigInteger),
    Column("received_at", Instant, nullable=False),
    CheckConstraint("state IN ('in_stock', 'delivered', 'sold', 'scrapped')", name="state"),
    CheckConstraint("(state = 'delivered') = (merchant_id IS NOT NULL AND order_id IS NOT NULL)", name="place"),
    CheckConstraint("cost_minor > 0", name="cost"),
    schema="supply",
    key="serial",
)
"""A unit is where it is, once: in the stock of a house, at a merchant's, with a buyer (sold), or gone."""

hardware_order = merchant_table(
    "hardware_order",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("order_id", BigInteger, primary_key=True, autoincrement=False),
    Column("state", Text, nullable=False),
    Column("quote_no", Integer, nullable=False),
    Column("pays_by", Text),
    Column("decided_by", Text),
    Column("shipped_on", Date),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("made_at", Instant, nullable=False),
    ForeignKeyConstraint(["merchant_id"], ["supply.merchant.merchant_id"]),
    CheckConstraint(
        "state IN ('quoted', 'accepted', 'shipped', 'returned', 'declined', 'expired', 'cancelled')", name="state"
    ),
    CheckConstraint("pays_by IN ('netting', 'transfer')", name="pays_by"),
    Index("ix_hardware_order_quoted", "merchant_id", "order_id", postgresql_where=text("state = 'quoted'")),
    schema="supply",
)

hardware_quote = merchant_table(
    "hardware_quote",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("order_id", BigInteger, primary_key=True, autoincrement=False),
    Column("quote_no", Integer, primary_key=True, autoincrement=False),
    Column("currency", Text, nullable=False),
    Column("lines", JSONB, nullable=False),
    Column("net_minor", BigInteger, nullable=False),
    Column("vat_ppm", Integer, nullable=False),
    Column("deposit_minor", BigInteger, nullable=False),
    Column("expires_on", Date, nullable=False),
    Column("note", Text, nullable=False, server_default=text("''")),
    Column("made_by", Text, nullable=False),
    Column("made_at", Instant, nullable=False),
    ForeignKeyConstraint(
        ["merchant_id", "order_id"], ["supply.hardware_order.merchant_id", "supply.hardware_order.order_id"]
    ),
    CheckConstraint("net_minor > 0 AND deposit_minor BETWEEN 0 AND net_minor", name="amounts"),
    schema="supply",
)
"""The versions of a quote; a newer one takes the place of the one before."""

delivery = merchant_table(
    "hardware_delivery",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("order_id", BigInteger, primary_key=True, autoincrement=False),
    Column("serial", Text, primary_key=True),
    Column("item_id", BigInteger, nullable=False),
    Column("price_minor", BigInteger, nullable=False),
    Column("cost_minor", BigInteger, nullable=False),
    Column("shipped_on", Date, nullable=False),
    Column("installed_on", Date),
    Column("warranty_until", Date),
    Column("returned_on", Date),
    ForeignKeyConstraint(
        ["merchant_id", "order_id"], ["supply.hardware_order.merchant_id", "supply.hardware_order.order_id"]
    ),
    schema="supply",
)
"""The units that were shipped with an order, and what became of them."""

work_order = merchant_table(
    "work_order",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("work_order_id", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("serials", ARRAY(Text), nullable=False),
    Column("provider_id", BigInteger),
    Column("technician", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("price_minor", BigInteger, nullable=False),
    Column("vat_ppm", Integer, nullable=False),
    Column("cost_minor", BigInteger, nullable=False),
    Column("pays_by", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("appointed_at", Instant),
    Column("evidence", Text, nullable=False, server_default=text("''")),
    Column("done_on", Date),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("made_by", Text, nullable=False),
    Column("made_at", Instant, nullable=False),
    ForeignKeyConstraint(["merchant_id"], ["supply.merchant.merchant_id"]),
    CheckConstraint("kind IN ('install', 'maintain', 'repair')", name="kind"),
    CheckConstraint("state IN ('planned', 'appointed', 'done', 'cancelled')", name="state"),
    CheckConstraint("pays_by IN ('netting', 'transfer')", name="pays_by"),
    CheckConstraint("price_minor >= 0 AND cost_minor >= 0", name="amounts"),
    CheckConstraint("provider_id IS NOT NULL OR cost_minor = 0", name="partner"),
    CheckConstraint("(state = 'done') = (done_on IS NOT NULL) AND (state <> 'done' OR evidence <> '')", name="done"),
    schema="supply",
)
