"""Tables of discounts: they live with the merchant whose order it is, as its lines do."""

from marketplace.core.tables import (
    ARRAY,
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
    lookup_table,
    merchant_table,
    text,
)

order_discount = merchant_table(
    "order_discount",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("order_id", BigInteger, primary_key=True, autoincrement=False),
    Column("grant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("buyer_id", BigInteger, nullable=False),
    Column("promotion_id", BigInteger, nullable=False),
    Column("campaign_id", BigInteger, nullable=False),
    Column("version_no", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("funders", ARRAY(Text), nullable=False),
    Column("contracts", ARRAY(BigInteger), nullable=False),
    Column("funder_minor", ARRAY(BigInteger), nullable=False),
    Column("funder_back_minor", ARRAY(BigInteger), nullable=False),
    Column("line_nos", ARRAY(SmallInteger), nullable=False),
    Column("line_minor", ARRAY(BigInteger), nullable=False),
    Column("own_minor", ARRAY(BigInteger), nullable=False),
    Column("borne_back_minor", ARRAY(BigInteger), nullable=False),
    Column("own_back_minor", ARRAY(BigInteger), nullable=False),
    ForeignKeyConstraint(
        ["promotion_id", "version_no"],
        ["incentives.promotion_version.promotion_id", "incentives.promotion_version.version_no"],
    ),
    CheckConstraint("state IN ('reserved', 'committed', 'released')", name="state"),
    CheckConstraint("amount_minor > 0", name="amount"),
    CheckConstraint(
        "cardinality(funders) = cardinality(funder_minor) AND cardinality(funders) = cardinality(contracts)"
        " AND cardinality(funders) = cardinality(funder_back_minor) AND cardinality(line_nos) = cardinality(line_minor)"
        " AND cardinality(line_nos) = cardinality(own_minor)"
        " AND cardinality(line_nos) = cardinality(borne_back_minor)"
        " AND cardinality(line_nos) = cardinality(own_back_minor)",
        name="shares",
    ),
    Index(None, "promotion_id", "merchant_id"),
    schema="incentives",
    postgresql_with={"fillfactor": "80"},
)
"""What a promotion takes off an order (`incentives.discounts.model.Discount`): reserved until it is paid."""

promotion_code = lookup_table(
    "promotion_code",
    Column("code", Text, primary_key=True),
    Column("promotion_id", BigInteger, nullable=False),
    Column("unlocks", Text, nullable=False),
    Column("buyer_id", BigInteger),
    Column("state", Text, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("used_for", BigInteger),
    Column("made_at", Instant, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("changed_at", Instant, nullable=False),
    ForeignKeyConstraint(["promotion_id"], ["incentives.promotion.promotion_id"]),
    CheckConstraint("state IN ('issued', 'used', 'void')", name="state"),
    CheckConstraint("(state = 'used') = (used_for IS NOT NULL)", name="used"),
    Index(None, "promotion_id", "code"),
    Index("ix_promotion_code_used_for", "used_for", postgresql_where=text("used_for IS NOT NULL")),
    schema="incentives",
    key="code",
)
"""A code that works once: it stands for the word that the promotion's terms ask for (`unlocks`), for one buyer or
whoever has it. used_for: the order that it has taken something off."""

discount_back = merchant_table(
    "discount_back",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("refund_id", BigInteger, primary_key=True, autoincrement=False),
    Column("grant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("undone", Boolean, primary_key=True),
    Column("order_id", BigInteger, nullable=False),
    Column("line_nos", ARRAY(SmallInteger), nullable=False),
    Column("borne_minor", ARRAY(BigInteger), nullable=False),
    Column("own_minor", ARRAY(BigInteger), nullable=False),
    Column("funder_minor", ARRAY(BigInteger), nullable=False),
    ForeignKeyConstraint(
        ["merchant_id", "order_id", "grant_id"],
        [f"incentives.order_discount.{name}" for name in ("merchant_id", "order_id", "grant_id")],
    ),
    Index(None, "merchant_id", "order_id"),
    schema="incentives",
)
"""What a refund took back of a discount, by line and by funder; undone: the same once more, given back to it."""
