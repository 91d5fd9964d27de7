"""Tables of journals by hand and of who may approve how much."""

from marketplace.core.tables import (
    ARRAY,
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

journal = merchant_table(
    "journal",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("journal_id", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("effective_on", Date, nullable=False),
    Column("accounts", ARRAY(Integer), nullable=False),
    Column("dimensions", ARRAY(BigInteger), nullable=False),
    Column("amounts", ARRAY(BigInteger), nullable=False),
    Column("goodwill_reason", Text),
    Column("reason", Text, nullable=False),
    Column("evidence", Text, nullable=False),
    Column("reversal_of", BigInteger),
    Column("dispute_id", BigInteger),
    Column("state", Text, nullable=False),
    Column("entry_no", BigInteger),
    Column("made_by", Text, nullable=False),
    Column("made_at", Instant, nullable=False),
    Column("decided_by", Text),
    Column("decided_at", Instant),
    Column("decision_reason", Text),
    Column("single_operator", Boolean, nullable=False, server_default="false"),
    ForeignKeyConstraint(["merchant_id", "reversal_of"], ["billing.journal.merchant_id", "billing.journal.journal_id"]),
    CheckConstraint("state IN ('proposed', 'posted', 'rejected', 'withdrawn')", name="state"),
    CheckConstraint("(state = 'posted') = (entry_no IS NOT NULL)", name="posted"),
    CheckConstraint("(state = 'proposed') = (decided_at IS NULL)", name="decided"),
    CheckConstraint("billing.is_balanced(amounts)", name="balanced"),
    Index(
        "uq_journal_reversal_of",
        "merchant_id",
        "reversal_of",
        unique=True,
        postgresql_where=text("state IN ('proposed', 'posted')"),
    ),
    Index(None, "state", "journal_id"),
    schema="billing",
)
"""A journal by hand, whatever became of it; `billing.journals.model.Journal` says what the columns mean.

Not for merchants to read: the entry is, once it is posted.
"""

journal_limit = local_table(
    "journal_limit",
    Column("entity_id", Integer, primary_key=True, autoincrement=False),
    Column("currency", Text, primary_key=True),
    Column("accountant_minor", BigInteger, nullable=False),
    Column("residue_minor", BigInteger, nullable=False),
    Column("set_by", Text, nullable=False),
    Column("set_at", Instant, nullable=False),
    CheckConstraint("accountant_minor >= 0 AND residue_minor >= 0", name="amounts"),
    schema="billing",
)
