"""Tables of agents: who earns commission, by which plan, and what was earned. They stay on the coordinator."""

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
    Integer,
    Text,
    UniqueConstraint,
    local_table,
    text,
)

agent_plan = local_table(
    "agent_plan",
    Column("code", Text, primary_key=True),
    Column("version_no", Integer, primary_key=True, autoincrement=False),
    Column("from_on", Date, nullable=False),
    Column("terms", JSONB, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("made_at", Instant, nullable=False),
    UniqueConstraint("code", "from_on"),
    schema="supply",
    readable_by=("app_sales",),
)
"""A version of a plan of commission, never changed."""

agent = local_table(
    "agent",
    Column("agent_id", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False, unique=True),
    Column("user_id", BigInteger, unique=True),
    Column("territory_id", BigInteger),
    Column("provider_id", BigInteger, nullable=False, unique=True),
    Column("plan_code", Text, nullable=False),
    Column("since_on", Date, nullable=False),
    Column("active", Boolean, nullable=False, server_default="true"),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("made_by", Text, nullable=False),
    Column("made_at", Instant, nullable=False),
    ForeignKeyConstraint(["user_id"], ["supply.rep.user_id"]),
    ForeignKeyConstraint(["territory_id"], ["supply.territory.territory_id"]),
    CheckConstraint("kind IN ('rep', 'distributor')", name="kind"),
    CheckConstraint("(kind = 'rep') = (user_id IS NOT NULL)", name="rep"),
    schema="supply",
)
"""Who earns commission; provider_id: as whom the house owes it."""

agent_person = local_table(
    "agent_person",
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    Column("agent_id", BigInteger, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("made_at", Instant, nullable=False),
    ForeignKeyConstraint(["agent_id"], ["supply.agent.agent_id"]),
    ForeignKeyConstraint(["user_id"], ["core.app_user.user_id"]),
    Index(None, "agent_id"),
    schema="supply",
)
"""A distributor's own people: who signs in to see the leads that it brought, and its commission."""

lead_credit = local_table(
    "lead_credit",
    Column("lead_id", BigInteger, primary_key=True, autoincrement=False),
    Column("agent_id", BigInteger, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("made_at", Instant, nullable=False),
    ForeignKeyConstraint(["lead_id"], ["supply.lead.lead_id"]),
    ForeignKeyConstraint(["agent_id"], ["supply.agent.agent_id"]),
    Index(None, "agent_id"),
    schema="supply",
)
"""Who brought a lead, where it is not the rep who holds it: of two that claim it, the first."""

agent_commission = local_table(
    "agent_commission",
    Column("commission_id", BigInteger, primary_key=True, autoincrement=False),
    Column("agent_id", BigInteger, nullable=False),
    Column("lead_id", BigInteger, nullable=False),
    Column("merchant_id", BigInteger, nullable=False, unique=True),
    Column("plan_code", Text, nullable=False),
    Column("version_no", Integer, nullable=False),
    Column("currency", Text, nullable=False),
    Column("activated_on", Date, nullable=False),
    Column("base_minor", BigInteger, nullable=False),
    Column("earned_minor", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("lost_on", Date),
    Column("reason", Text, nullable=False, server_default=text("''")),
    Column("looked_on", Date),
    Column("made_at", Instant, nullable=False),
    ForeignKeyConstraint(["agent_id"], ["supply.agent.agent_id"]),
    ForeignKeyConstraint(["lead_id"], ["supply.lead.lead_id"]),
    ForeignKeyConstraint(["plan_code", "version_no"], ["supply.agent_plan.code", "supply.agent_plan.version_no"]),
    CheckConstraint("state IN ('open', 'vested', 'clawed_back')", name="state"),
    CheckConstraint("earned_minor >= 0", name="earned"),
    CheckConstraint("(state = 'clawed_back') = (lost_on IS NOT NULL)", name="lost"),
    Index(None, "agent_id", "commission_id"),
    Index(None, "lead_id"),
    Index("ix_agent_commission_open", "commission_id", postgresql_where=text("state = 'open'")),
    schema="supply",
)
"""What an agent has earned with a merchant: a merchant earns one agent commission, once. looked_on: the last day."""

agent_movement = local_table(
    "agent_movement",
    Column("movement_id", BigInteger, primary_key=True, autoincrement=False),
    Column("commission_id", BigInteger, nullable=False),
    Column("agent_id", BigInteger, nullable=False),
    Column("merchant_id", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("booked_on", Date, nullable=False),
    Column("reason", Text, nullable=False),
    Column("made_at", Instant, nullable=False),
    ForeignKeyConstraint(["commission_id"], ["supply.agent_commission.commission_id"]),
    ForeignKeyConstraint(["agent_id"], ["supply.agent.agent_id"]),
    CheckConstraint("kind IN ('agent_commission_earned', 'agent_commission_clawed_back')", name="kind"),
    CheckConstraint("amount_minor <> 0", name="amount"),
    Index(None, "agent_id", "movement_id"),
    Index(None, "commission_id"),
    schema="supply",
)
"""A change of a commission, never changed: an entry of its kind in the house's books, whose source it is."""
