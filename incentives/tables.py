"""Tables of incentives: budgets and what is reserved of them, campaigns, promotions and their versions."""

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
    SmallInteger,
    Text,
    UniqueConstraint,
    buyer_table,
    lookup_table,
    merchant_table,
    reference_table,
    text,
)

budget = reference_table(
    "budget",
    Column("budget_id", BigInteger, primary_key=True, autoincrement=False),
    Column("owner", Text, nullable=False),
    Column("owner_id", BigInteger, nullable=False),
    Column("scope", Text, nullable=False),
    Column("scope_key", Text, nullable=False, server_default=text("''")),
    Column("currency", Text, nullable=False),
    Column("zone", Text, nullable=False),
    Column("limit_minor", BigInteger, nullable=False),
    Column("on_shortfall", Text, nullable=False),
    Column("control", Text, nullable=False),
    Column("shards", SmallInteger, nullable=False),
    Column("made_at", Instant, nullable=False),
    Column("made_by", Text, nullable=False),
    UniqueConstraint("owner", "owner_id", "scope", "scope_key"),
    CheckConstraint("owner IN ('campaign', 'promotion')", name="owner"),
    CheckConstraint("scope IN ('total', 'day', 'region', 'funder')", name="scope"),
    CheckConstraint("(scope IN ('region', 'funder')) = (scope_key <> '')", name="scope_key"),
    CheckConstraint("on_shortfall IN ('reject', 'partial', 'queue')", name="on_shortfall"),
    CheckConstraint("control IN ('absolute', 'advisory')", name="control"),
    CheckConstraint("limit_minor >= 0 AND shards BETWEEN 1 AND 32", name="limit"),
    schema="incentives",
)
"""What may be given under a campaign or promotion: in all, on each local day, in a region, by a funder.

What has no limit has no row here, and nothing counts it.
"""

budget_period = lookup_table(
    "budget_period",
    Column("budget_id", BigInteger, primary_key=True, autoincrement=False),
    Column("period_from", Date, primary_key=True),
    Column("limit_minor", BigInteger, nullable=False),
    Column("over_minor", BigInteger, nullable=False, server_default="0"),
    Column("exhausted_at", Instant),
    ForeignKeyConstraint(["budget_id"], ["incentives.budget.budget_id"]),
    CheckConstraint("limit_minor >= 0 AND over_minor >= 0", name="limit"),
    schema="incentives",
    key="budget_id",
)
"""A budget's limit on one local day, or for good. over_minor: what an advisory one was given beyond its limit.

exhausted_at: when it first refused what it had not enough for; nothing once something has come back or been added.
"""

budget_shard = lookup_table(
    "budget_shard",
    Column("budget_id", BigInteger, primary_key=True, autoincrement=False),
    Column("period_from", Date, primary_key=True),
    Column("n", SmallInteger, primary_key=True, autoincrement=False),
    Column("allocated_minor", BigInteger, nullable=False),
    Column("reserved_minor", BigInteger, nullable=False, server_default="0"),
    Column("spent_minor", BigInteger, nullable=False, server_default="0"),
    ForeignKeyConstraint(
        ["budget_id", "period_from"], ["incentives.budget_period.budget_id", "incentives.budget_period.period_from"]
    ),
    CheckConstraint("reserved_minor >= 0 AND spent_minor >= 0", name="amounts"),
    CheckConstraint("allocated_minor - reserved_minor - spent_minor >= 0", name="never_over"),
    schema="incentives",
    key="budget_id",
    postgresql_with={"fillfactor": "50"},  # changes in place, all the time
)
"""A part of a budget that is reserved and spent from: all parts together are the limit, and what it was exceeded by."""

budget_reservation = lookup_table(
    "budget_reservation",
    Column("budget_id", BigInteger, primary_key=True, autoincrement=False),
    Column("key", Text, primary_key=True),
    Column("period_from", Date, nullable=False),
    Column("n", SmallInteger, nullable=False),
    Column("grant_minor", BigInteger, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("recycled_minor", BigInteger, nullable=False, server_default="0"),
    Column("state", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("expires_at", Instant),
    CheckConstraint("state IN ('reserved', 'committed', 'released', 'expired', 'queued')", name="state"),
    CheckConstraint("amount_minor BETWEEN 0 AND grant_minor", name="amounts"),
    CheckConstraint("recycled_minor BETWEEN 0 AND amount_minor", name="recycled"),
    Index(
        "ix_budget_reservation_expiring",
        "expires_at",
        postgresql_where=text("state = 'reserved' AND expires_at IS NOT NULL"),
    ),
    Index("ix_budget_reservation_queued", "budget_id", "at", postgresql_where=text("state = 'queued'")),
    schema="incentives",
    key="budget_id",
    postgresql_with={"fillfactor": "80"},
)
"""What a grant takes of a budget, under the key that its grant has in all its budgets. grant_minor: the whole grant."""

_STATE = (
    "state IN ('draft', 'in_review', 'approved', 'scheduled', 'live', 'paused', 'exhausted', 'ended', 'closing',"
    " 'reviewed', 'rejected', 'cancelled')"
)

campaign = reference_table(
    "campaign",
    Column("campaign_id", BigInteger, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("schedule", JSONB, nullable=False),
    Column("plan", JSONB, nullable=False),
    Column("state", Text, nullable=False),
    Column("starts_at", Instant, nullable=False),
    Column("ends_at", Instant),
    Column("authors", ARRAY(Text), nullable=False),
    Column("stopped", ARRAY(Integer), nullable=False),
    Column("approved_by", Text),
    Column("approved_at", Instant),
    Column("made_at", Instant, nullable=False),
    Column("version", Integer, nullable=False, server_default="1"),
    UniqueConstraint("name"),
    CheckConstraint(_STATE, name="state"),
    CheckConstraint("ends_at > starts_at", name="span"),
    schema="incentives",
)
"""What promotions are made for (`incentives.campaigns.model.Plan`). version counts its changes."""

promotion = reference_table(
    "promotion",
    Column("promotion_id", BigInteger, primary_key=True, autoincrement=False),
    Column("campaign_id", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("on_pause", Text, nullable=False),
    Column("starts_at", Instant, nullable=False),
    Column("ends_at", Instant),
    Column("closes_at", Instant),
    Column("review_at", Instant),
    Column("authors", ARRAY(Text), nullable=False),
    Column("approved_by", Text),
    Column("approved_at", Instant),
    Column("made_at", Instant, nullable=False),
    Column("version", Integer, nullable=False, server_default="1"),
    UniqueConstraint("name"),
    ForeignKeyConstraint(["campaign_id"], ["incentives.campaign.campaign_id"]),
    CheckConstraint(_STATE, name="state"),
    CheckConstraint("on_pause IN ('honour', 'void')", name="on_pause"),
    CheckConstraint("ends_at > starts_at", name="span"),
    Index(None, "campaign_id"),
    schema="incentives",
)

promotion_version = reference_table(
    "promotion_version",
    Column("promotion_id", BigInteger, primary_key=True, autoincrement=False),
    Column("version_no", Integer, primary_key=True, autoincrement=False),
    Column("terms", JSONB, nullable=False),
    Column("effective_from", Instant, nullable=False),
    Column("state", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("made_at", Instant, nullable=False),
    Column("approved_by", Text),
    Column("approved_at", Instant),
    Column("simulation_id", BigInteger),
    Column("simulation_digest", Text),
    Column("acknowledged", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    ForeignKeyConstraint(["promotion_id"], ["incentives.promotion.promotion_id"]),
    CheckConstraint("state IN ('proposed', 'approved', 'rejected')", name="state"),
    CheckConstraint("(state = 'approved') = (approved_by IS NOT NULL)", name="approved"),
    CheckConstraint("(simulation_id IS NULL) = (simulation_digest IS NULL)", name="simulated"),
    schema="incentives",
)
"""Terms (`incentives.rules.model.Terms`), which never change: what is edited is another version.

simulation_digest: of what was known when it was approved; acknowledged: reasons by the names of its warnings.
"""

live_epoch = reference_table(
    "live_epoch",
    Column("one", SmallInteger, primary_key=True, autoincrement=False),
    Column("epoch", BigInteger, nullable=False),
    CheckConstraint("one = 1", name="one"),
    schema="incentives",
)
"""Another number whenever a campaign or promotion was moved or edited: what was read of them under it still holds."""

public_promotion = reference_table(
    "public_promotion",
    Column("promotion_id", BigInteger, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("starts_at", Instant, nullable=False),
    Column("ends_at", Instant),
    Column("terms", JSONB, nullable=False),
    Column("merchants", ARRAY(BigInteger)),
    Column("live", Boolean, nullable=False),
    ForeignKeyConstraint(["promotion_id"], ["incentives.promotion.promotion_id"]),
    schema="incentives",
)
"""What merchants are told of a promotion, in the version that is in force. merchants: those that it is for, or all."""

# That a merchant, or a buyer, has joined a promotion, and when.
for _name, _key, _make in (("opt_in", "merchant_id", merchant_table), ("buyer_opt_in", "buyer_id", buyer_table)):
    _make(
        _name,
        Column(_key, BigInteger, primary_key=True, autoincrement=False),
        Column("promotion_id", BigInteger, primary_key=True, autoincrement=False),
        Column("at", Instant, nullable=False),
        Column("actor", Text, nullable=False),
        ForeignKeyConstraint(["promotion_id"], ["incentives.promotion.promotion_id"]),
        schema="incentives",
    )

change = reference_table(
    "change",
    Column("change_id", BigInteger, primary_key=True, autoincrement=False),
    Column("owner", Text, nullable=False),
    Column("owner_id", BigInteger, nullable=False),
    Column("edit", JSONB, nullable=False),
    Column("reason", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("made_at", Instant, nullable=False),
    Column("decided_by", Text),
    Column("decided_at", Instant),
    CheckConstraint("owner IN ('campaign', 'promotion')", name="owner"),
    CheckConstraint("state IN ('proposed', 'approved', 'rejected')", name="state"),
    CheckConstraint("(state = 'proposed') = (decided_by IS NULL)", name="decided"),
    Index(None, "owner_id", "change_id"),
    schema="incentives",
)
"""What is to be changed of a campaign or promotion that was approved: its end, or more budget."""

simulation = reference_table(
    "simulation",
    Column("simulation_id", BigInteger, primary_key=True, autoincrement=False),
    Column("promotion_id", BigInteger, nullable=False),
    Column("version_no", Integer, nullable=False),
    Column("asked", JSONB, nullable=False),
    Column("state", Text, nullable=False),
    Column("progress_ppm", Integer, nullable=False, server_default="0"),
    Column("result", JSONB),
    Column("digest", Text),
    Column("fault", Text),
    Column("made_by", Text, nullable=False),
    Column("made_at", Instant, nullable=False),
    Column("done_at", Instant),
    ForeignKeyConstraint(
        ["promotion_id", "version_no"],
        ["incentives.promotion_version.promotion_id", "incentives.promotion_version.version_no"],
    ),
    CheckConstraint("state IN ('queued', 'running', 'done', 'failed')", name="state"),
    CheckConstraint("(state = 'done') = (result IS NOT NULL AND digest IS NOT NULL)", name="result"),
    CheckConstraint("(state = 'failed') = (fault IS NOT NULL)", name="fault"),
    CheckConstraint("progress_ppm BETWEEN 0 AND 1000000", name="progress"),
    Index(None, "promotion_id", "simulation_id"),
    schema="incentives",
)
"""A version of a promotion replayed over recorded history (`incentives.simulation.report.Simulation`).

asked: over which days, and which response is expected. digest: of the result; the same pins give the same one.
"""
