"""Tables of subscriptions: plans in versions, subscriptions with their history, usage."""

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
    text,
)

plan = reference_table(
    "plan",
    Column("plan_id", BigInteger, primary_key=True, autoincrement=False),
    Column("code", Text, nullable=False),
    Column("version_no", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("price_minor", BigInteger, nullable=False),
    Column("per", Text, nullable=False),
    Column("every", Text, nullable=False),
    Column("trial_days", Integer, nullable=False),
    Column("vat_ppm", Integer, nullable=False),
    Column("due_days", Integer, nullable=False),
    Column("refunds", Text, nullable=False),
    Column("follow_up_day", Integer, nullable=False),
    Column("follow_up_uses", Integer, nullable=False),
    Column("owner", Text, nullable=False),
    Column("offered", Boolean, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("made_at", Instant, nullable=False),
    UniqueConstraint("code", "version_no"),
    CheckConstraint("price_minor > 0 AND trial_days >= 0 AND due_days >= 0", name="terms"),
    CheckConstraint("per IN ('seat', 'flat')", name="per"),
    CheckConstraint("every IN ('month', 'year')", name="every"),
    CheckConstraint("refunds IN ('unused', 'nothing')", name="refunds"),
    CheckConstraint("vat_ppm BETWEEN 0 AND 1000000", name="ppm"),
    schema="supply",
    readable_by=("app_merchant",),
)
"""A version of a plan; only the newest of a code may be offered. What is subscribed to keeps its version."""

subscription = merchant_table(
    "subscription",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("subscription_id", BigInteger, primary_key=True, autoincrement=False),
    Column("plan_id", BigInteger, nullable=False),
    Column("seats", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("pays_by", Text),
    Column("trial_from", Date),
    Column("trial_to", Date),
    Column("anchored_on", Date),
    Column("period_no", Integer, nullable=False, server_default="0"),
    Column("period_from", Date),
    Column("period_to", Date),
    Column("next_plan_id", BigInteger),
    Column("next_seats", Integer),
    Column("acts_on", Date),
    Column("followed_up", Boolean, nullable=False, server_default="false"),
    Column("ended_on", Date),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("made_by", Text, nullable=False),
    Column("made_at", Instant, nullable=False),
    ForeignKeyConstraint(["merchant_id"], ["supply.merchant.merchant_id"]),
    ForeignKeyConstraint(["plan_id"], ["supply.plan.plan_id"]),
    CheckConstraint("state IN ('trialing', 'trial_ended', 'active', 'leaving', 'suspended', 'ended')", name="state"),
    CheckConstraint("pays_by IN ('netting', 'transfer')", name="pays_by"),
    CheckConstraint("seats > 0", name="seats"),
    CheckConstraint("(state = 'ended') = (ended_on IS NOT NULL)", name="ended"),
    CheckConstraint(
        "state NOT IN ('active', 'leaving', 'suspended') OR (period_to > period_from AND pays_by IS NOT NULL)",
        name="paid",
    ),
    Index("ix_subscription_acts_on", "acts_on", postgresql_where=text("acts_on IS NOT NULL")),
    schema="supply",
)

subscription_step = merchant_table(
    "subscription_step",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("subscription_id", BigInteger, primary_key=True, autoincrement=False),
    Column("step_no", Integer, primary_key=True, autoincrement=False),
    Column("move", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("actor", Text, nullable=False),
    ForeignKeyConstraint(
        ["merchant_id", "subscription_id"], ["supply.subscription.merchant_id", "supply.subscription.subscription_id"]
    ),
    schema="supply",
)
"""The moves of a subscription, never changed: append-only. step_no is its version afterwards."""

tool_usage = merchant_table(
    "tool_usage",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("subscription_id", BigInteger, primary_key=True, autoincrement=False),
    Column("used_on", Date, primary_key=True),
    Column("uses", Integer, nullable=False),
    ForeignKeyConstraint(
        ["merchant_id", "subscription_id"], ["supply.subscription.merchant_id", "supply.subscription.subscription_id"]
    ),
    CheckConstraint("uses >= 0", name="uses"),
    schema="supply",
)
"""How often a merchant has used a tool on a day, as the tool says: the newest word counts."""

task = merchant_table(
    "task",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("task_id", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("subscription_id", BigInteger, nullable=False),
    Column("title", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("due_on", Date, nullable=False),
    Column("state", Text, nullable=False),
    Column("outcome", Text, nullable=False, server_default=text("''")),
    Column("done_by", Text),
    Column("done_at", Instant),
    Column("raised_at", Instant, nullable=False),
    Column("version", Integer, nullable=False, server_default="1"),
    ForeignKeyConstraint(
        ["merchant_id", "subscription_id"], ["supply.subscription.merchant_id", "supply.subscription.subscription_id"]
    ),
    UniqueConstraint("merchant_id", "subscription_id", "kind"),
    CheckConstraint("kind IN ('trial_follow_up', 'trial_ended')", name="kind"),
    CheckConstraint("state IN ('open', 'done')", name="state"),
    CheckConstraint("(state = 'done') = (done_at IS NOT NULL)", name="done"),
    Index("ix_task_open", "due_on", "task_id", postgresql_where=text("state = 'open'")),
    schema="supply",
)
"""What a person of the house has to take up with a merchant, by when. Each kind is raised once per subscription."""
