"""Tables of funnels: definitions in versions, what happened, and when each subject entered each stage."""

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
    local_table,
    text,
)

funnel = local_table(
    "funnel",
    Column("model", Text, primary_key=True),
    Column("version_no", Integer, primary_key=True, autoincrement=False),
    Column("stages", JSONB, nullable=False),
    Column("won", Text, nullable=False),
    Column("activated", Text, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("made_at", Instant, nullable=False),
    CheckConstraint("model IN ('platform', 'tool', 'hardware', 'service', 'payer')", name="model"),
    schema="supply",
    readable_by=("app_sales",),
)
"""A version of a model's stages in their order. A lead keeps the version it began under."""

stage_event = local_table(
    "stage_event",
    Column("event_id", BigInteger, primary_key=True, autoincrement=False),
    Column("lead_id", BigInteger, nullable=False),
    Column("stage", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("cause", Text, nullable=False),
    Column("evidence", Text, nullable=False, server_default=text("''")),
    Column("voids", BigInteger, unique=True),
    Column("recorded_at", Instant, nullable=False),
    Column("actor", Text, nullable=False),
    ForeignKeyConstraint(["lead_id"], ["supply.lead.lead_id"]),
    ForeignKeyConstraint(["voids"], ["supply.stage_event.event_id"]),
    Index(None, "lead_id"),
    schema="supply",
)
"""A lead was in a stage at an instant, never changed. evidence: what shows it. voids: the event that this one takes
back, once."""

stage_entry = local_table(
    "stage_entry",
    Column("lead_id", BigInteger, primary_key=True, autoincrement=False),
    Column("stage_no", Integer, primary_key=True, autoincrement=False),
    Column("model", Text, nullable=False),
    Column("version_no", Integer, nullable=False),
    Column("channel_id", BigInteger, nullable=False),
    Column("began_on", Date, nullable=False),
    Column("entered_on", Date, nullable=False),
    Column("next_on", Date),
    Column("won_on", Date),
    Column("lost_on", Date),
    Column("inferred", Boolean, nullable=False),
    Column("regressions", Integer, nullable=False, server_default="0"),
    ForeignKeyConstraint(["lead_id"], ["supply.lead.lead_id"]),
    CheckConstraint("entered_on >= began_on AND next_on >= entered_on AND lost_on >= entered_on", name="order"),
    Index(None, "model", "version_no", "stage_no"),
    Index(None, "model", "version_no", "entered_on"),
    Index(
        "ix_stage_entry_open",
        "model",
        "version_no",
        "entered_on",
        "lead_id",
        postgresql_where=text("next_on IS NULL AND lost_on IS NULL"),
    ),
    schema="supply",
)
"""The roll-up that figures are read from: a row for each stage that a lead has reached, made anew with each event.

Days are local to the lead. next_on: when it went on, None while it has not. began_on, won_on and lost_on are the lead's
own, and stand in each of its rows, so that no figure needs a join.
"""

funnel_change = local_table(
    "funnel_change",
    Column("change_id", BigInteger, primary_key=True, autoincrement=False),
    Column("model", Text, nullable=False),
    Column("version_no", Integer, nullable=False),
    Column("month", Date, nullable=False),
    schema="supply",
)
"""Entries of a month have changed, committed with the change: figures of the month are read from the entries until
they have been counted anew. Only ever added to, so that who works on leads never waits for who counts."""

funnel_month = local_table(
    "funnel_month",
    Column("model", Text, primary_key=True),
    Column("version_no", Integer, primary_key=True, autoincrement=False),
    Column("of", Text, primary_key=True),
    Column("channel_id", BigInteger, primary_key=True, autoincrement=False),
    Column("month", Date, primary_key=True),
    Column("stage_no", Integer, primary_key=True, autoincrement=False),
    Column("fate", Text, primary_key=True),
    Column("days", Integer, primary_key=True, autoincrement=False),
    Column("leads", BigInteger, nullable=False),
    Column("inferred", BigInteger, nullable=False),
    Column("regressions", BigInteger, nullable=False),
    Index(None, "model", "version_no", "month"),
    CheckConstraint("of IN ('stage', 'won')", name="of"),
    CheckConstraint("fate IN ('on', 'lost', 'open')", name="fate"),
    schema="supply",
)
"""Entries counted by the month of the entry. of: how they left the stage, or, of those who began, how it ended.

channel_id 0: all channels together. days: from entry to what became of it; of those that are open, since whose days
still grow, the entry's own day as days since 2000-01-01.
"""

stage_day = local_table(
    "stage_day",
    Column("model", Text, primary_key=True),
    Column("stage", Text, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("channel_id", BigInteger, primary_key=True, autoincrement=False),
    Column("version_no", Integer, primary_key=True, autoincrement=False),
    Column("entered", BigInteger, nullable=False),
    schema="supply",
)
"""How many leads entered a stage on a day, from a channel."""
