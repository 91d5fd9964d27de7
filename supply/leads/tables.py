"""Tables of acquisition: channels and what they cost, territories and reps, pools, leads and all that happened to them.

They are the house's own and stay on the coordinator: no tenant reads any of them, and people who sell see what
`marketplace.core.security` says.
"""

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
    UniqueConstraint,
    local_table,
    text,
)

channel = local_table(
    "channel",
    Column("channel_id", BigInteger, primary_key=True, autoincrement=False),
    Column("code", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("parent_id", BigInteger),
    Column("path", ARRAY(BigInteger), nullable=False),
    Column("active", Boolean, nullable=False, server_default="true"),
    Column("version", Integer, nullable=False, server_default="1"),
    ForeignKeyConstraint(["parent_id"], ["supply.channel.channel_id"]),
    CheckConstraint("kind IN ('online', 'offline', 'partner', 'unattributed')", name="kind"),
    CheckConstraint("(parent_id IS NULL) = (cardinality(path) = 1)", name="path"),
    schema="supply",
    readable_by=("app_sales",),
)
"""A way on which merchants are found. path: the ids from the root down to the channel itself."""

channel_cost = local_table(
    "channel_cost",
    Column("cost_id", BigInteger, primary_key=True, autoincrement=False),
    Column("cost_ref", Text, nullable=False, unique=True),
    Column("channel_id", BigInteger, nullable=False),
    Column("campaign", Text, nullable=False, server_default=text("''")),
    Column("spent_on", Date, nullable=False),
    Column("kind", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("seller", Text, nullable=False, server_default=text("''")),
    Column("made_by", Text, nullable=False),
    Column("made_at", Instant, nullable=False),
    ForeignKeyConstraint(["channel_id"], ["supply.channel.channel_id"]),
    CheckConstraint(
        "kind IN ('media', 'people', 'travel', 'event', 'commission', 'incentive', 'onboarding', 'tool')", name="kind"
    ),
    Index(None, "spent_on", "cost_id"),
    schema="supply",
)
"""What was spent on a channel on a day. cost_ref: the entry's own id where it came from; below zero it corrects.

seller: the login of the rep, or the name of the distributor, that it was spent on; empty: on nobody of them.
"""

territory = local_table(
    "territory",
    Column("territory_id", BigInteger, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False, unique=True),
    Column("parent_id", BigInteger),
    Column("path", ARRAY(BigInteger), nullable=False),
    Column("manager_id", BigInteger),
    Column("version", Integer, nullable=False, server_default="1"),
    ForeignKeyConstraint(["parent_id"], ["supply.territory.territory_id"]),
    schema="supply",
    readable_by=("app_sales",),
)
"""A named area. manager_id: the user who sees all leads in it and in what lies below it."""

territory_area = local_table(
    "territory_area",
    Column("region", Text, primary_key=True),
    Column("city", Text, primary_key=True),
    Column("territory_id", BigInteger, nullable=False),
    ForeignKeyConstraint(["territory_id"], ["supply.territory.territory_id"]),
    schema="supply",
)
"""Which territory a place belongs to; city '' is the whole region. Both are in the form of `identity.place`."""

rep = local_table(
    "rep",
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    Column("login", Text, nullable=False, unique=True),
    Column("territory_id", BigInteger, nullable=False),
    Column("active", Boolean, nullable=False, server_default="true"),
    Column("version", Integer, nullable=False, server_default="1"),
    ForeignKeyConstraint(["territory_id"], ["supply.territory.territory_id"]),
    schema="supply",
    readable_by=("app_sales",),
)
"""A person who wins merchants, in a territory. Whoever claims holds its row, so limits hold however many hands."""

lead_pool = local_table(
    "lead_pool",
    Column("pool_id", BigInteger, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False, unique=True),
    Column("territory_id", BigInteger),
    Column("zone", Text, nullable=False),
    Column("daily_max", Integer, nullable=False),
    Column("stock_max", Integer, nullable=False),
    Column("protection_days", Integer, nullable=False),
    Column("idle_days", Integer, nullable=False),
    Column("outcome_days", Integer, nullable=False),
    Column("cooling_days", Integer, nullable=False),
    Column("last_dealt_to", BigInteger),
    Column("version", Integer, nullable=False, server_default="1"),
    ForeignKeyConstraint(["territory_id"], ["supply.territory.territory_id"]),
    CheckConstraint("daily_max > 0 AND stock_max > 0", name="limits"),
    CheckConstraint("protection_days >= 0 AND idle_days > 0 AND outcome_days > 0 AND cooling_days >= 0", name="days"),
    schema="supply",
    readable_by=("app_sales",),
)
"""Leads that wait for a rep, and the rules of taking them. Days are those of `zone`; see `supply.leads.pools.rules`."""

lead_scoring = local_table(
    "lead_scoring",
    Column("version_no", Integer, primary_key=True, autoincrement=False),
    Column("rules", JSONB, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("made_at", Instant, nullable=False),
    schema="supply",
)
"""Versions of how leads are scored; the newest counts. A lead says by which version it was scored."""

lead = local_table(
    "lead",
    Column("lead_id", BigInteger, primary_key=True, autoincrement=False),
    Column("model", Text, nullable=False),
    Column("funnel_version", Integer, nullable=False),
    Column("source", Text),
    Column("source_ref", Text),
    Column("company", Text, nullable=False),
    Column("contact", Text, nullable=False, server_default=text("''")),
    Column("phone", Text, nullable=False, server_default=text("''")),
    Column("email", Text, nullable=False, server_default=text("''")),
    Column("tax_id", Text, nullable=False, server_default=text("''")),
    Column("city", Text, nullable=False, server_default=text("''")),
    Column("region", Text, nullable=False, server_default=text("''")),
    Column("segment", Text, nullable=False, server_default=text("''")),
    Column("zone", Text, nullable=False),
    Column("tax_key", Text),
    Column("phone_key", Text),
    Column("place_key", Text),
    Column("channel_id", BigInteger, nullable=False),
    Column("campaign", Text, nullable=False, server_default=text("''")),
    Column("territory_id", BigInteger),
    Column("pool_id", BigInteger),
    Column("owner_id", BigInteger),
    Column("state", Text, nullable=False),
    Column("merchant_ref", Text),
    Column("merchant_id", BigInteger),
    Column("merged_into", BigInteger),
    Column("first_contact_at", Instant, nullable=False),
    Column("fit", Integer, nullable=False, server_default="0"),
    Column("engagement", Integer, nullable=False, server_default="0"),
    Column("scored_by", Integer),
    Column("claimed_at", Instant),
    Column("protected_until", Instant),
    Column("last_action_at", Instant),
    Column("former_owner_id", BigInteger),
    Column("cooling_until", Instant),
    Column("ended_at", Instant),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("made_by", Text, nullable=False),
    Column("made_at", Instant, nullable=False),
    ForeignKeyConstraint(["channel_id"], ["supply.channel.channel_id"]),
    ForeignKeyConstraint(["territory_id"], ["supply.territory.territory_id"]),
    ForeignKeyConstraint(["pool_id"], ["supply.lead_pool.pool_id"]),
    ForeignKeyConstraint(["merged_into"], ["supply.lead.lead_id"]),
    UniqueConstraint("source", "source_ref"),
    CheckConstraint("model IN ('platform', 'tool', 'hardware', 'service', 'payer')", name="model"),
    CheckConstraint(
        "state IN ('new', 'pooled', 'claimed', 'contacted', 'visited', 'negotiating', 'signed', 'handed_over', 'lost',"
        " 'merged')",
        name="state",
    ),
    CheckConstraint(
        "state NOT IN ('claimed', 'contacted', 'visited', 'negotiating') OR owner_id IS NOT NULL", name="owned"
    ),
    CheckConstraint("state <> 'pooled' OR (pool_id IS NOT NULL AND owner_id IS NULL)", name="pooled"),
    CheckConstraint("(state = 'merged') = (merged_into IS NOT NULL)", name="merged"),
    CheckConstraint("(state IN ('signed', 'handed_over', 'lost')) = (ended_at IS NOT NULL)", name="ended"),
    Index(None, "owner_id", "state"),
    Index(None, "territory_id"),
    Index("ix_lead_pooled", "pool_id", "fit", "engagement", postgresql_where=text("state = 'pooled'")),
    Index("ix_lead_tax", "tax_key", postgresql_where=text("tax_key IS NOT NULL")),
    Index("ix_lead_phone", "phone_key", postgresql_where=text("phone_key IS NOT NULL")),
    Index("ix_lead_place", "place_key", postgresql_where=text("place_key IS NOT NULL")),
    Index("ix_lead_merged", "merged_into", postgresql_where=text("merged_into IS NOT NULL")),
    Index("ix_lead_merchant", "merchant_id", postgresql_where=text("merchant_id IS NOT NULL")),
    Index("ix_lead_campaign", "campaign", "channel_id", postgresql_where=text("campaign <> ''")),
    schema="supply",
)
"""Somebody who may become a merchant, or a payer, by one business model.

tax_key, phone_key, place_key: what duplicates are known by (`supply.leads.identity`). merged_into: the lead that lives
on, never one that was merged itself. ended_at: when it was signed or lost. merchant_ref:
as whom it was won, in the words of where it comes from. Days are those of `zone`.
"""

lead_event = local_table(
    "lead_event",
    Column("lead_id", BigInteger, primary_key=True, autoincrement=False),
    Column("event_no", Integer, primary_key=True, autoincrement=False),
    Column("move", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("owner_id", BigInteger),
    Column("reason", Text, nullable=False, server_default=text("''")),
    Column("at", Instant, nullable=False),
    Column("actor", Text, nullable=False),
    ForeignKeyConstraint(["lead_id"], ["supply.lead.lead_id"]),
    Index("ix_lead_event_claims", "owner_id", "at", postgresql_where=text("move = 'claim'")),
    schema="supply",
)
"""What became of a lead, never changed. state and owner_id: after it; event_no is the lead's version after it."""

lead_merge = local_table(
    "lead_merge",
    Column("lead_id", BigInteger, primary_key=True, autoincrement=False),
    Column("survivor_id", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("actor", Text, nullable=False),
    ForeignKeyConstraint(["lead_id"], ["supply.lead.lead_id"]),
    ForeignKeyConstraint(["survivor_id"], ["supply.lead.lead_id"]),
    schema="supply",
)
"""Which lead was merged into which, step by step; a lead's `merged_into` is where the steps end."""

touch = local_table(
    "touch",
    Column("touch_id", BigInteger, primary_key=True, autoincrement=False),
    Column("lead_id", BigInteger, nullable=False),
    Column("channel_id", BigInteger, nullable=False),
    Column("campaign", Text, nullable=False, server_default=text("''")),
    Column("kind", Text, nullable=False),
    Column("rep_id", BigInteger),
    Column("note", Text, nullable=False, server_default=text("''")),
    Column("at", Instant, nullable=False),
    Column("recorded_at", Instant, nullable=False),
    Column("actor", Text, nullable=False),
    ForeignKeyConstraint(["lead_id"], ["supply.lead.lead_id"]),
    ForeignKeyConstraint(["channel_id"], ["supply.channel.channel_id"]),
    CheckConstraint("kind IN ('seen', 'form', 'call', 'message', 'meeting', 'visit', 'event')", name="kind"),
    Index(None, "lead_id", "at"),
    Index("ix_touch_campaign", "campaign", "channel_id", postgresql_where=text("campaign <> ''")),
    schema="supply",
)
"""A contact with a lead, never changed. at: when it was; it keeps its lead when that is merged."""

attribution_share = local_table(
    "attribution_share",
    Column("lead_id", BigInteger, primary_key=True, autoincrement=False),
    Column("model", Text, primary_key=True),
    Column("channel_id", BigInteger, primary_key=True, autoincrement=False),
    Column("campaign", Text, primary_key=True),
    Column("share_ppm", Integer, nullable=False),
    Column("locked_at", Instant, nullable=False),
    ForeignKeyConstraint(["lead_id"], ["supply.lead.lead_id"]),
    ForeignKeyConstraint(["channel_id"], ["supply.channel.channel_id"]),
    CheckConstraint("share_ppm BETWEEN 0 AND 1000000", name="ppm"),
    Index("ix_attribution_share_campaign", "campaign", "model", postgresql_where=text("campaign <> ''")),
    schema="supply",
)
"""To which channels a lead that was activated is due, by each model; of a lead and model they sum to the whole."""
