"""Tables of steering: what figures are read from, and what people want of them."""

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
    local_table,
    merchant_table,
    text,
)

ORDER_COUNTS = (
    *("placed", "placed_goods_minor", "placed_paid", "placed_paid_goods_minor", "placed_accepted"),
    *("placed_cancelled", "placed_cancelled_by_merchant", "placed_completed"),
    *("completed", "completed_goods_minor", "completed_discount_minor", "completed_items", "completed_refunded"),
    *("refunds", "refunded_goods_minor", "refunded_freight_minor"),
)
"""What is counted of orders by day. placed_...: of the orders placed on the day, what has become of them by now;
completed_...: of those delivered on it; refunds: granted on it, whenever the order was placed."""


def _counts() -> list[Column[int]]:
    return [Column(name, BigInteger, nullable=False) for name in ORDER_COUNTS]


order_day = merchant_table(
    "order_day",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("day", Date, primary_key=True),
    Column("currency", Text, primary_key=True),
    Column("entity_id", Integer, nullable=False),
    *_counts(),
    Index(
        "ix_order_day_placed",
        "day",
        "merchant_id",
        postgresql_include=["entity_id", "currency", "placed", "placed_goods_minor", "placed_completed"],
    ),
    schema="metrics",
)
"""A merchant's orders of a day, in its market's zone: made anew from the orders whenever one of them has changed."""

market_day = local_table(
    "market_day",
    Column("entity_id", Integer, primary_key=True, autoincrement=False),
    Column("currency", Text, primary_key=True),
    Column("day", Date, primary_key=True),
    *_counts(),
    schema="metrics",
)
"""order_day summed over all merchants of an entity."""

day_change = local_table("day_change", Column("day", Date, primary_key=True), schema="metrics")
"""Days whose market_day is behind its order_day. Only who rolls writes it."""

merchant_span = merchant_table(
    "merchant_span",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("measure", Text, primary_key=True),
    Column("from_on", Date, primary_key=True),
    Column("last_on", Date, nullable=False),
    Column("to_on", Date, nullable=False),
    Column("first", Boolean, nullable=False),
    Column("entity_id", Integer, nullable=False),
    CheckConstraint("measure IN ('active', 'retained')", name="measure"),
    CheckConstraint("from_on <= last_on AND last_on < to_on", name="order"),
    schema="metrics",
)
"""When a merchant was alive: days [from_on, to_on), which overlap with no others of the same measure.

active: enough completed orders in the last 28 days. retained: its last completed order is not older than it may be by
the merchant's own rhythm. last_on: the day of the last order in it. first: the merchant had none before.
"""

first_report = local_table(
    "first_report",
    Column("metric", Text, primary_key=True),
    Column("version_no", Integer, primary_key=True, autoincrement=False),
    Column("entity_id", Integer, primary_key=True, autoincrement=False),
    Column("currency", Text, primary_key=True),
    Column("from_on", Date, primary_key=True),
    Column("to_on", Date, primary_key=True),
    Column("value", BigInteger),
    Column("reported_at", Instant, nullable=False),
    schema="metrics",
)
"""What was reported of a week or month when it was over, never changed: what it says today stands beside it."""

alert_rule = local_table(
    "alert_rule",
    Column("rule_id", BigInteger, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False, unique=True),
    Column("metric", Text, nullable=False),
    Column("entity_id", Integer, nullable=False),
    Column("currency", Text, nullable=False),
    Column("grain", Text, nullable=False),
    Column("compared", Text, nullable=False),
    Column("side", Text, nullable=False),
    Column("bound", BigInteger, nullable=False),
    Column("clear_bound", BigInteger, nullable=False),
    Column("guards", Text),
    Column("owner", Text, nullable=False),
    Column("active", Boolean, nullable=False, server_default="true"),
    Column("raised", Boolean, nullable=False, server_default="false"),
    Column("looked_at_to", Date),
    Column("version", Integer, nullable=False, server_default="1"),
    CheckConstraint("grain IN ('day', 'week', 'month')", name="grain"),
    CheckConstraint("compared IN ('value', 'change')", name="compared"),
    CheckConstraint("side IN ('above', 'below')", name="side"),
    CheckConstraint("CASE side WHEN 'above' THEN clear_bound <= bound ELSE clear_bound >= bound END", name="bounds"),
    schema="metrics",
)
"""Bounds that a figure of each day, week or month is held against once that is over. bound raises the alert,
clear_bound clears it. guards: the metric whose rise must not be bought with this one, which makes it a guardrail.
looked_at_to: the end of the newest period that was looked at."""

alert_event = local_table(
    "alert_event",
    Column("rule_id", BigInteger, primary_key=True, autoincrement=False),
    Column("to_on", Date, primary_key=True),
    Column("from_on", Date, nullable=False),
    Column("raised", Boolean, nullable=False),
    Column("value", BigInteger),
    Column("at", Instant, nullable=False),
    ForeignKeyConstraint(["rule_id"], ["metrics.alert_rule.rule_id"]),
    schema="metrics",
)
"""An alert was raised, or cleared, by a period's figure: never changed."""

goal = local_table(
    "goal",
    Column("goal_id", BigInteger, primary_key=True, autoincrement=False),
    Column("metric", Text, nullable=False),
    Column("entity_id", Integer, nullable=False),
    Column("currency", Text, nullable=False),
    Column("grain", Text, nullable=False),
    Column("from_on", Date, nullable=False),
    Column("to_on", Date, nullable=False),
    Column("territory_id", BigInteger),
    Column("rep_id", BigInteger),
    Column("parent_id", BigInteger),
    Column("owner", Text, nullable=False),
    Column("target", BigInteger, nullable=False),
    Column("version", Integer, nullable=False, server_default="1"),
    ForeignKeyConstraint(["parent_id"], ["metrics.goal.goal_id"]),
    CheckConstraint("grain IN ('week', 'month')", name="grain"),
    CheckConstraint("territory_id IS NULL OR rep_id IS NULL", name="whose"),
    CheckConstraint("target > 0", name="target"),
    Index(
        "uq_goal_one",
        *("metric", "entity_id", "currency", "from_on", "to_on"),
        text("coalesce(territory_id, 0)"),
        text("coalesce(rep_id, 0)"),
        unique=True,
    ),
    Index(None, "from_on", "goal_id"),
    schema="metrics",
)
"""What is to be reached in a week or month: by the house, by a team (territory and all below it), or by one rep."""

goal_revision = local_table(
    "goal_revision",
    Column("goal_id", BigInteger, primary_key=True, autoincrement=False),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("target", BigInteger, nullable=False),
    Column("owner", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("actor", Text, nullable=False),
    ForeignKeyConstraint(["goal_id"], ["metrics.goal.goal_id"]),
    schema="metrics",
)
"""Every target that a goal has had, and why it was changed; never rewritten."""

holiday = local_table(
    "holiday",
    Column("day", Date, primary_key=True),
    Column("name", Text, nullable=False),
    schema="metrics",
)
"""Days that weigh nothing in a goal."""

review = local_table(
    "review",
    Column("review_id", BigInteger, primary_key=True, autoincrement=False),
    Column("week_on", Date, nullable=False),
    Column("causes", Text, nullable=False),
    Column("learned", Text, nullable=False),
    Column("made_at", Instant, nullable=False),
    Column("made_by", Text, nullable=False),
    Index(None, "week_on", "review_id"),
    schema="metrics",
)
"""What was said of a week (by its Monday): why it came so, and what was learned. Never changed: what comes later is a
note, or the next review."""

review_decision = local_table(
    "review_decision",
    Column("review_id", BigInteger, primary_key=True, autoincrement=False),
    Column("decision_no", Integer, primary_key=True, autoincrement=False),
    Column("decision", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("due_on", Date, nullable=False),
    Column("metric", Text),
    ForeignKeyConstraint(["review_id"], ["metrics.review.review_id"]),
    schema="metrics",
)
"""What was decided, who sees to it by when, and which figure should show it."""

review_note = local_table(
    "review_note",
    Column("note_id", BigInteger, primary_key=True, autoincrement=False),
    Column("review_id", BigInteger, nullable=False),
    Column("decision_no", Integer),
    Column("note", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("actor", Text, nullable=False),
    ForeignKeyConstraint(["review_id"], ["metrics.review.review_id"]),
    Index(None, "review_id"),
    schema="metrics",
)
"""What came of a review, or of one decision of it."""

TOLD = (
    "visitors",
    "visitors_with_order",
    "requests",
    "requests_filled",
    "slots",
    "ad_slots_eligible",
    "ad_slots_filled",
)
WAITS = ("quoted", "unquoted")
"""What the shop tells of requests for quotes, with the days that they waited."""

observation = local_table(
    "observation",
    Column("entity_id", Integer, primary_key=True, autoincrement=False),
    Column("name", Text, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("wait_days", Integer, primary_key=True, autoincrement=False),
    Column("count", BigInteger, nullable=False),
    Column("told_at", Instant, nullable=False),
    Column("told_by", Text, nullable=False),
    CheckConstraint(f"name IN ({', '.join(repr(name) for name in (*TOLD, *WAITS))})", name="name"),
    CheckConstraint("count >= 0", name="count"),
    CheckConstraint(f"wait_days >= 0 AND (wait_days = 0 OR name IN {WAITS})", name="wait"),
    Index(None, "entity_id", "day", "name", "wait_days"),
    schema="metrics",
)
"""Counts of a day that the shop tells of what it alone sees: who looks, what is asked for, which slots there are."""
