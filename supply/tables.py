"""Tables of supply: merchants, their stores, the catalogue and what each merchant offers of it."""

from sqlalchemy import text

from marketplace.core.tables import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    ForeignKeyConstraint,
    Index,
    Instant,
    Integer,
    Text,
    UniqueConstraint,
    merchant_table,
    reference_table,
)

merchant = merchant_table(
    "merchant",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("merchant_ref", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("entity_id", Integer, nullable=False),
    Column("state", Text, nullable=False, server_default="live"),
    Column("city", Text, nullable=False, server_default=text("''")),
    Column("region", Text, nullable=False, server_default=text("''")),
    Column("joined_on", Date),
    Column("created_at", Instant, nullable=False),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("closed_on", Date),
    CheckConstraint("state IN ('onboarding', 'live', 'suspended', 'closed')", name="state"),
    schema="supply",
)

merchant_ref = reference_table(
    "merchant_ref",
    Column("merchant_ref", Text, primary_key=True),
    Column("merchant_id", BigInteger, nullable=False, unique=True),
    schema="supply",
)

store = merchant_table(
    "store",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("store_id", BigInteger, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("version", Integer, nullable=False, server_default="1"),
    ForeignKeyConstraint(["merchant_id"], ["supply.merchant.merchant_id"]),
    schema="supply",
)

category = reference_table(
    "category",
    Column("category", Text, primary_key=True),
    Column("name_en", Text, nullable=False),
    schema="supply",
    readable_by=("app_merchant", "app_buyer"),
)

product = reference_table(
    "product",
    Column("product_id", BigInteger, primary_key=True, autoincrement=False),
    Column("product_ref", Text, nullable=False, unique=True),
    Column("category", Text),
    schema="supply",
    readable_by=("app_merchant", "app_buyer"),
)

offer = merchant_table(
    "offer",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("product_id", BigInteger, primary_key=True, autoincrement=False),
    Column("currency", Text, nullable=False),
    Column("price_minor", BigInteger, nullable=False),
    Column("state", Text, nullable=False, server_default="listed"),
    Column("updated_at", Instant, nullable=False),
    Column("sku", Text),
    Column("title", Text, nullable=False, server_default=text("''")),
    Column("category", Text),
    Column("freight_minor", BigInteger, nullable=False, server_default="0"),
    Column("counted", Boolean, nullable=False, server_default="false"),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("listed_at", Instant),
    ForeignKeyConstraint(["merchant_id"], ["supply.merchant.merchant_id"]),
    UniqueConstraint("merchant_id", "sku"),
    CheckConstraint("price_minor >= 0", name="price"),
    CheckConstraint("freight_minor >= 0", name="freight"),
    CheckConstraint("state IN ('listed', 'hidden')", name="state"),
    Index(None, "listed_at"),
    schema="supply",
)
"""What a merchant sells of a product: a listing. Price and freight are of one unit; sku is the merchant's own code.
listed_at: when it could be bought first, where that is known.

counted: it has a row of stock. Who promises, ships or frees units of a listing that is not counted holds this row (FOR
SHARE), which has no stock to hold; so that the beginning of a count waits for them, or they for it.
"""

stock = merchant_table(
    "stock",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("product_id", BigInteger, primary_key=True, autoincrement=False),
    Column("on_hand", Integer, nullable=False),
    Column("reserved", Integer, nullable=False, server_default="0"),
    Column("version", Integer, nullable=False, server_default="1"),
    ForeignKeyConstraint(["merchant_id", "product_id"], ["supply.offer.merchant_id", "supply.offer.product_id"]),
    CheckConstraint("reserved >= 0 AND reserved <= on_hand", name="never_oversold"),
    schema="supply",
    postgresql_with={"fillfactor": "50"},  # reserved changes in place with every order
)
"""Units of a listing: on the shelf, and promised to orders that are placed and not shipped yet.

A listing without a row is sold uncounted. version counts the merchant's own changes, not the reservations.
"""

stock_movement = merchant_table(
    "stock_movement",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("product_id", BigInteger, primary_key=True, autoincrement=False),
    Column("movement_no", Integer, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("delta", Integer, nullable=False),
    Column("on_hand", Integer),
    Column("reserved", Integer, nullable=False),
    Column("reason", Text, nullable=False, server_default=text("''")),
    Column("at", Instant, nullable=False),
    Column("actor", Text, nullable=False),
    ForeignKeyConstraint(["merchant_id", "product_id"], ["supply.offer.merchant_id", "supply.offer.product_id"]),
    CheckConstraint("kind IN ('counted', 'adjusted', 'uncounted')", name="kind"),
    CheckConstraint("(kind = 'uncounted') = (on_hand IS NULL)", name="uncounted"),
    schema="supply",
)
"""What the merchant itself did to a listing's stock, never changed: append-only. What orders take and give back is in
their own history.

movement_no is the stock's version after it; on_hand and reserved are what it left. delta: the change of on_hand, from
or to zero where counting began or ended.
"""

requirement = merchant_table(
    "requirement",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("key", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False, server_default=text("''")),
    Column("note", Text, nullable=False, server_default=text("''")),
    Column("attested_by", Text),
    Column("actor", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("version", Integer, nullable=False, server_default="1"),
    ForeignKeyConstraint(["merchant_id"], ["supply.merchant.merchant_id"]),
    CheckConstraint("state IN ('attested', 'verified', 'rejected', 'waived')", name="state"),
    schema="supply",
)
"""What was said of one point of a merchant's onboarding checklist: `supply.onboarding.rules` names the points.

A point without a row is missing, or computed from what the merchant has. note: what the merchant wrote when it
attested; reason: why it was rejected or waived; actor: who made the last change.
"""
