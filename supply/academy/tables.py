"""Tables of the academy. Courses are everybody's to read, but for the right answers; attempts are the merchant's."""

from marketplace.core.tables import (
    ARRAY,
    JSONB,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    Instant,
    Integer,
    Text,
    merchant_table,
    reference_table,
    text,
)

_MERCHANTS = ("app_merchant",)

course = reference_table(
    "course",
    Column("course_id", BigInteger, primary_key=True, autoincrement=False),
    Column("code", Text, nullable=False, unique=True),
    Column("title", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("required", Boolean, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("newest_no", Integer, nullable=False),
    Column("counts_from", Integer, nullable=False),
    Column("version", Integer, nullable=False),
    CheckConstraint("mode IN ('online', 'in_class')", name="mode"),
    CheckConstraint("counts_from <= greatest(newest_no, 1)", name="counts"),
    schema="supply",
    readable_by=_MERCHANTS,
)

course_version = reference_table(
    "course_version",
    Column("course_id", BigInteger, primary_key=True, autoincrement=False),
    Column("version_no", Integer, primary_key=True, autoincrement=False),
    Column("lessons", JSONB, nullable=False),
    Column("questions", JSONB, nullable=False),
    Column("pass_ppm", Integer, nullable=False),
    Column("valid_days", Integer),
    Column("wait_days", Integer, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("made_at", Instant, nullable=False),
    ForeignKeyConstraint(["course_id"], ["supply.course.course_id"]),
    schema="supply",
    readable_by=_MERCHANTS,
)

course_answers = reference_table(
    "course_answers",
    Column("course_id", BigInteger, primary_key=True, autoincrement=False),
    Column("version_no", Integer, primary_key=True, autoincrement=False),
    Column("right_choices", ARRAY(Integer), nullable=False),
    schema="supply",
)
"""Which choice of each question is right, counted from 0: the house's own."""

class_date = reference_table(
    "class_date",
    Column("class_id", BigInteger, primary_key=True, autoincrement=False),
    Column("course_id", BigInteger, nullable=False),
    Column("starts_at", Instant, nullable=False),
    Column("place", Text, nullable=False),
    Column("trainer", Text, nullable=False),
    Column("seats", Integer, nullable=False),
    Column("cancelled", Boolean, nullable=False, server_default="false"),
    ForeignKeyConstraint(["course_id"], ["supply.course.course_id"]),
    CheckConstraint("seats > 0", name="seats"),
    Index(None, "course_id", "starts_at"),
    schema="supply",
    readable_by=_MERCHANTS,
)
"""When and where a course is held. Who gives a seat away holds the row."""

attempt = merchant_table(
    "attempt",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("attempt_id", BigInteger, primary_key=True, autoincrement=False),
    Column("course_id", BigInteger, nullable=False),
    Column("version_no", Integer, nullable=False),
    Column("class_id", BigInteger),
    Column("person", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("lessons", ARRAY(Text), nullable=False),
    Column("score_ppm", Integer),
    Column("begun_at", Instant, nullable=False),
    Column("ended_at", Instant),
    ForeignKeyConstraint(["merchant_id"], ["supply.merchant.merchant_id"]),
    ForeignKeyConstraint(["course_id"], ["supply.course.course_id"]),
    ForeignKeyConstraint(["class_id"], ["supply.class_date.class_id"]),
    CheckConstraint("state IN ('open', 'passed', 'failed', 'missed', 'cancelled')", name="state"),
    CheckConstraint("(state = 'open') = (ended_at IS NULL)", name="over"),
    CheckConstraint("(state IN ('passed', 'failed')) = (score_ppm IS NOT NULL)", name="judged"),
    Index(
        "uq_attempt_open", "merchant_id", "course_id", "person", unique=True, postgresql_where=text("state = 'open'")
    ),
    Index(None, "course_id", "attempt_id"),
    Index("ix_attempt_class", "class_id", postgresql_where=text("class_id IS NOT NULL")),
    schema="supply",
)
"""Somebody of a merchant takes a version of a course; one attempt of a person and course is open at a time."""

certificate = merchant_table(
    "certificate",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("attempt_id", BigInteger, primary_key=True, autoincrement=False),
    Column("course_id", BigInteger, nullable=False),
    Column("version_no", Integer, nullable=False),
    Column("person", Text, nullable=False),
    Column("issued_at", Instant, nullable=False),
    Column("expires_at", Instant),
    Column("revoked_at", Instant),
    Column("revoke_reason", Text, nullable=False, server_default=text("''")),
    ForeignKeyConstraint(["merchant_id", "attempt_id"], ["supply.attempt.merchant_id", "supply.attempt.attempt_id"]),
    CheckConstraint("expires_at > issued_at", name="days"),
    CheckConstraint("(revoked_at IS NULL) = (revoke_reason = '')", name="revoked"),
    Index(None, "course_id", "attempt_id"),
    schema="supply",
)
"""What a passed attempt is worth, and until when."""
