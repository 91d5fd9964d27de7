"""Tables of experiments: exposures as they happen, reviews once a promotion is over."""

from marketplace.core.tables import (
    JSONB,
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    Instant,
    Integer,
    Text,
    merchant_table,
    reference_table,
)

exposure = merchant_table(
    "exposure",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("promotion_id", BigInteger, primary_key=True, autoincrement=False),
    Column("unit", Text, primary_key=True),
    Column("arm", Text, nullable=False),
    Column("version_no", Integer, nullable=False),
    Column("at", Instant, nullable=False),
    ForeignKeyConstraint(["promotion_id"], ["incentives.promotion.promotion_id"]),
    Index(None, "promotion_id"),
    schema="incentives",
)
"""That a unit of an experiment (the merchant, its region, or a buyer of it) was reached by it for the first time, and
the arm that it was drawn for: "" is held out. Written once and never changed, whatever becomes of the event.
"""

review = reference_table(
    "review",
    Column("promotion_id", BigInteger, primary_key=True, autoincrement=False),
    Column("findings", JSONB, nullable=False),
    Column("decision", Text, nullable=False),
    Column("learned", Text, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("made_at", Instant, nullable=False),
    ForeignKeyConstraint(["promotion_id"], ["incentives.promotion.promotion_id"]),
    CheckConstraint("decision IN ('repeat', 'change', 'stop')", name="decision"),
    schema="incentives",
)
"""What was found when a promotion was over (`incentives.experiments.findings.Findings`), and what comes of it."""
