"""Tables of referrals. They are the house's own and stay on the coordinator."""

from marketplace.core.tables import (
    ARRAY,
    JSONB,
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
    local_table,
    text,
)

referral_programme = local_table(
    "referral_programme",
    Column("name", Text, primary_key=True),
    Column("version_no", Integer, primary_key=True, autoincrement=False),
    Column("terms", JSONB, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("made_at", Instant, nullable=False),
    schema="supply",
)
"""A version of a programme, never changed; the newest counts for new referrals."""

referral_code = local_table(
    "referral_code",
    Column("code", Text, primary_key=True),
    Column("programme", Text, nullable=False),
    Column("merchant_id", BigInteger, nullable=False),
    Column("device", Text, nullable=False, server_default=text("''")),
    Column("active", Boolean, nullable=False, server_default="true"),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("made_by", Text, nullable=False),
    Column("made_at", Instant, nullable=False),
    Index(None, "merchant_id"),
    schema="supply",
)
"""What a merchant gives to others."""

referral = local_table(
    "referral",
    Column("referral_id", BigInteger, primary_key=True, autoincrement=False),
    Column("code", Text, nullable=False),
    Column("programme", Text, nullable=False),
    Column("version_no", Integer, nullable=False),
    Column("referrer_id", BigInteger, nullable=False),
    Column("lead_id", BigInteger, nullable=False, unique=True),
    Column("merchant_id", BigInteger),
    Column("device", Text, nullable=False, server_default=text("''")),
    Column("referred_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("state", Text, nullable=False),
    Column("reasons", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    Column("activated_on", Date),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("made_by", Text, nullable=False),
    ForeignKeyConstraint(["code"], ["supply.referral_code.code"]),
    ForeignKeyConstraint(["lead_id"], ["supply.lead.lead_id"]),
    ForeignKeyConstraint(
        ["programme", "version_no"], ["supply.referral_programme.name", "supply.referral_programme.version_no"]
    ),
    CheckConstraint("state IN ('pending', 'qualified', 'rewarded', 'refused', 'clawed_back')", name="state"),
    CheckConstraint("state IN ('pending', 'refused') OR merchant_id IS NOT NULL", name="won"),
    CheckConstraint("state <> 'refused' OR cardinality(reasons) > 0", name="refused"),
    Index("ix_referral_open", "referral_id", postgresql_where=text("state IN ('pending', 'qualified', 'rewarded')")),
    Index(
        "uq_referral_merchant",
        "merchant_id",
        unique=True,
        postgresql_where=text("state IN ('qualified', 'rewarded', 'clawed_back')"),
    ),
    schema="supply",
)
"""A merchant brought a lead, see `supply.leads.referrals.model.Referral`; a merchant is brought once."""

referral_reward = local_table(
    "referral_reward",
    Column("referral_id", BigInteger, primary_key=True, autoincrement=False),
    Column("side", Text, primary_key=True),
    Column("promotion_id", BigInteger, primary_key=True, autoincrement=False),
    Column("merchant_id", BigInteger, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("currency", Text, nullable=False),
    ForeignKeyConstraint(["referral_id"], ["supply.referral.referral_id"]),
    CheckConstraint("side IN ('referrer', 'referee')", name="side"),
    Index(None, "promotion_id"),
    schema="supply",
)
"""Which promotion rewards a side of a referral; how much, the grants of that event say."""
