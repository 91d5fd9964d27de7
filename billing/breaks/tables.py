"""Tables of breaks: what does not match, what people did about it, and what they may write off."""

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

recon_break = local_table(
    "recon_break",
    Column("break_id", BigInteger, primary_key=True, autoincrement=False),
    Column("subject", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("item_id", BigInteger),
    Column("other_id", BigInteger),
    Column("entity_id", Integer),
    Column("currency", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("detail", Text, nullable=False),
    Column("expected_on", Date, nullable=False),
    Column("respond_by", Instant),
    Column("owner", Text),
    Column("opened_at", Instant, nullable=False),
    Column("closed_at", Instant),
    Column("asked_by", Text),
    Column("reason", Text, nullable=False, server_default=text("''")),
    Column("decided_by", Text),
    Column("single_operator", Boolean, nullable=False, server_default="false"),
    Column("version", Integer, nullable=False, server_default="1"),
    CheckConstraint(
        "kind IN ('expected', 'missing_external', 'missing_internal', 'amount', 'fee_variance', 'fx_variance',"
        " 'currency', 'status', 'duplicate_external', 'duplicate_internal', 'split_incomplete', 'cut_off',"
        " 'unidentified_receipt', 'payout_returned', 'control_imbalance', 'statement_gap')",
        name="kind",
    ),
    CheckConstraint("state IN ('open', 'accepting', 'accepted', 'writing_off', 'written_off', 'closed')", name="state"),
    CheckConstraint("(state IN ('closed', 'written_off')) = (closed_at IS NOT NULL)", name="closed"),
    Index("uq_recon_break_live", "subject", unique=True, postgresql_where=text("closed_at IS NULL")),
    Index(None, "state", "break_id"),
    schema="billing",
)
"""Something that does not match, since opened_at, until it does or is written off. amount_minor: what is in question.

subject: what it is about, `item:…`, `batch:…`, `gap:…` or `fee:…`; it has one live break at most. item_id, other_id:
the items that do not fit. respond_by: when somebody should have dealt with it, NULL before it is due. accepting,
writing_off: asked for by asked_by for a reason, and waits for a second person. accepted: stays, named and agreed, until
it is resolved.
"""

recon_break_step = local_table(
    "recon_break_step",
    Column("break_id", BigInteger, primary_key=True, autoincrement=False),
    Column("step_no", Integer, primary_key=True, autoincrement=False),
    Column("what", Text, nullable=False),
    Column("words", Text, nullable=False),
    Column("detail", JSONB, nullable=False),
    Column("actor", Text, nullable=False),
    Column("at", Instant, nullable=False),
    ForeignKeyConstraint(["break_id"], ["billing.recon_break.break_id"]),
    schema="billing",
)
"""What became of a break, step by step: by the matching pass, and by people with comments and evidence."""

write_off_limit = local_table(
    "write_off_limit",
    Column("entity_id", Integer, primary_key=True, autoincrement=False),
    Column("currency", Text, primary_key=True),
    Column("accountant_minor", BigInteger, nullable=False),
    Column("controller_minor", BigInteger, nullable=False),
    Column("set_by", Text, nullable=False),
    Column("set_at", Instant, nullable=False),
    CheckConstraint("accountant_minor BETWEEN 0 AND controller_minor", name="order"),
    schema="billing",
)
"""Up to how much a role writes off alone, in minor units; above it a second person agrees. Unset, both are 0."""
