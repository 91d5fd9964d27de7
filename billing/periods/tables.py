"""Tables of periods: where each month stands, its seals with what they were made of, and approved breaks."""

from marketplace.core.tables import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    ForeignKeyConstraint,
    Instant,
    Integer,
    LargeBinary,
    Text,
    local_table,
    merchant_table,
)

_FIRST_OF_MONTH = "extract(day FROM month_on) = 1"

period = local_table(
    "period",
    Column("entity_id", Integer, primary_key=True, autoincrement=False),
    Column("month_on", Date, primary_key=True),
    Column("state", Text, nullable=False),
    Column("prepared_by", Text),
    Column("reopening_by", Text),
    Column("reopening_reason", Text),
    Column("seal_no", Integer, nullable=False),
    Column("moved_by", Text, nullable=False),
    Column("moved_at", Instant, nullable=False),
    CheckConstraint("state IN ('open', 'soft_closed', 'closed', 'reopened')", name="state"),
    CheckConstraint("state <> 'closed' OR seal_no > 0", name="sealed"),
    CheckConstraint("(reopening_by IS NULL) = (reopening_reason IS NULL)", name="reopening"),
    CheckConstraint(_FIRST_OF_MONTH, name="month"),
    schema="billing",
)
"""A month that somebody has moved; one without a row is open. Whoever moves one holds the entity's row."""

period_seal = local_table(
    "period_seal",
    Column("entity_id", Integer, primary_key=True, autoincrement=False),
    Column("month_on", Date, primary_key=True),
    Column("seal_no", Integer, primary_key=True, autoincrement=False),
    Column("from_on", Date),
    Column("entries", BigInteger, nullable=False),
    Column("previous", LargeBinary, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("sealed_at", Instant, nullable=False),
    Column("sealed_by", Text, nullable=False),
    Column("single_operator", Boolean, nullable=False),
    CheckConstraint("octet_length(digest) = 32 AND octet_length(previous) IN (0, 32)", name="sha256"),
    ForeignKeyConstraint(["entity_id", "month_on"], ["billing.period.entity_id", "billing.period.month_on"]),
    schema="billing",
)
"""A digest for each time a month was closed. Append-only: a reopened month keeps what it was sealed as before."""

period_block = merchant_table(
    "period_block",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("month_on", Date, primary_key=True),
    Column("seal_no", Integer, primary_key=True, autoincrement=False),
    Column("block_no", BigInteger, primary_key=True, autoincrement=False),
    Column("entity_id", Integer, nullable=False),
    Column("entry_nos", ARRAY(BigInteger), nullable=False),
    Column("hashes", LargeBinary, nullable=False),
    CheckConstraint("octet_length(hashes) = 32 * cardinality(entry_nos)", name="hashes"),
    schema="billing",
)
"""What a seal was made of: the hashes of up to a thousand entries, so that a changed one is found by its number."""

period_approval = local_table(
    "period_approval",
    Column("approval_id", BigInteger, primary_key=True, autoincrement=False),
    Column("entity_id", Integer, nullable=False),
    Column("month_on", Date, nullable=False),
    Column("check", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("asked_by", Text, nullable=False),
    Column("asked_at", Instant, nullable=False),
    Column("approved_by", Text),
    Column("approved_at", Instant),
    Column("single_operator", Boolean, nullable=False),
    CheckConstraint("(approved_by IS NULL) = (approved_at IS NULL)", name="approved"),
    CheckConstraint(_FIRST_OF_MONTH, name="month"),
    schema="billing",
)
"""A break that somebody wants a month to be closed with, and whoever else has accepted it."""
