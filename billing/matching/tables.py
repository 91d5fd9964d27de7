"""Tables of matching: whose accounts are read, rules, items of both sides, and groups of what belongs together."""

from marketplace.core.tables import (
    ARRAY,
    JSONB,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    Index,
    Instant,
    Integer,
    Text,
    UniqueConstraint,
    local_table,
    text,
)

match_account = local_table(
    "match_account",
    Column("account", Text, primary_key=True),
    Column("book", Text, nullable=False),
    Column("entity_id", Integer, nullable=False),
    Column("processor_id", BigInteger),
    Column("calendar", Text, nullable=False),
    Column("lag_days", Integer, nullable=False),
    Column("from_on", Date, nullable=False),
    Column("set_by", Text, nullable=False),
    Column("set_at", Instant, nullable=False),
    CheckConstraint("book IN ('bank', 'processor')", name="book"),
    CheckConstraint("(book = 'processor') = (processor_id IS NOT NULL)", name="processor"),
    CheckConstraint("lag_days BETWEEN 0 AND 60", name="lag"),
    schema="billing",
)
"""Whose an account is that statements name: an entity's at a bank, or at a processor. Lines of others are not matched.

lag_days: within so many business days of its calendar what we have booked is expected to be on it. from_on: the first
day that is matched; what was before is settled.
"""

match_holiday = local_table(
    "match_holiday",
    Column("calendar", Text, primary_key=True),
    Column("day", Date, primary_key=True),
    schema="billing",
)
"""Days on which nothing is settled by a calendar, beside Saturdays and Sundays."""

match_rules = local_table(
    "match_rules",
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("rules", JSONB, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("made_at", Instant, nullable=False),
    Column("approved_by", Text),
    Column("approved_at", Instant),
    Column("single_operator", Boolean, nullable=False, server_default="false"),
    CheckConstraint("(approved_by IS NULL) = (approved_at IS NULL)", name="approved"),
    schema="billing",
)
"""How items are matched, in versions; the newest approved one is in force."""

match_run = local_table(
    "match_run",
    Column("run_id", BigInteger, primary_key=True, autoincrement=False),
    Column("rules_version", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("found", JSONB, nullable=False),
    Column("started_by", Text, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("ended_at", Instant),
    CheckConstraint("state IN ('running', 'done')", name="state"),
    schema="billing",
)
"""A pass over what is open. found: how many groups each stage made, and breaks opened and closed."""

match_item = local_table(
    "match_item",
    Column("item_id", BigInteger, primary_key=True, autoincrement=False),
    Column("book", Text, nullable=False),
    Column("side", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("owner_id", BigInteger, nullable=False),
    Column("source_id", BigInteger, nullable=False),
    Column("part", Integer, nullable=False, server_default="0"),
    Column("entity_id", Integer, nullable=False),
    Column("processor_id", BigInteger),
    Column("currency", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("fee_minor", BigInteger),
    Column("reference", Text, nullable=False),
    Column("batch_ref", Text, nullable=False),
    Column("keys", ARRAY(Text), nullable=False),
    Column("party", Text, nullable=False),
    Column("party_account", Text, nullable=False),
    Column("words", Text, nullable=False),
    Column("day", Date, nullable=False),
    Column("expected_on", Date, nullable=False),
    Column("sort_key", Text, nullable=False),
    Column("booked", Boolean, nullable=False),
    Column("booked_as", BigInteger),
    Column("suspense_id", BigInteger),
    Column("group_id", BigInteger),
    Column("apart", ARRAY(BigInteger), nullable=False, server_default=text("'{}'")),
    CheckConstraint("book IN ('bank', 'processor')", name="book"),
    CheckConstraint("side IN ('theirs', 'ours')", name="side"),
    CheckConstraint("suspense_id IS NULL OR (side = 'theirs' AND group_id IS NULL)", name="suspense"),
    UniqueConstraint("kind", "owner_id", "source_id", "part"),
    Index("ix_match_item_open", "book", "side", "currency", postgresql_where=text("group_id IS NULL")),
    Index(None, "reference"),
    Index("ix_match_item_batch", "batch_ref", postgresql_where=text("batch_ref <> '' AND side = 'ours'")),
    schema="billing",
)
"""One side of a match: a line of a bank or processor (`theirs`), or what our books expect there (`ours`), once.

book: on whose book it stands. kind, owner_id, source_id: the row it stands for; part counts what is left of a claim
that was paid in parts. amount_minor is signed as the account's owner sees it: at a processor before its fee.
reference: our name, or theirs of it; keys: every word of theirs that may be one. day: when it happened; expected_on:
by when the other side should have it. sort_key orders equal items whenever they came. booked: account 1010 (1020)
has it; what a match books for it is booked_as: of a processor's line the source of the entry with its fee, which stays
when the match is taken back. suspense_id: the source of the entry by which it stands on 2900.
group_id: the one live group that it is in. apart: the items of the other side from which a person took it; no rule
brings them together again.
"""

match_group = local_table(
    "match_group",
    Column("group_id", BigInteger, primary_key=True, autoincrement=False),
    Column("run_id", BigInteger),
    Column("proposal_id", BigInteger),
    Column("stage", Text, nullable=False),
    Column("rules_version", Integer, nullable=False),
    Column("score", Integer, nullable=False),
    Column("reasons", ARRAY(Text), nullable=False),
    Column("book", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("theirs", ARRAY(BigInteger), nullable=False),
    Column("ours", ARRAY(BigInteger), nullable=False),
    Column("residue_minor", BigInteger, nullable=False),
    Column("residue_kind", Text, nullable=False, server_default=text("''")),
    Column("reverses_id", BigInteger),
    Column("made_by", Text, nullable=False),
    Column("made_at", Instant, nullable=False),
    CheckConstraint("stage IN ('exact', 'explained', 'batch', 'subset', 'likely', 'manual', 'unmatch')", name="stage"),
    CheckConstraint("(stage = 'unmatch') = (reverses_id IS NOT NULL)", name="reverses"),
    CheckConstraint("residue_kind IN ('', 'fee', 'exchange', 'rounding', 'adjustment')", name="residue_kind"),
    CheckConstraint("(residue_minor = 0) = (residue_kind = '')", name="residue"),
    CheckConstraint("cardinality(theirs) > 0 AND cardinality(ours) > 0", name="sides"),
    Index("uq_match_group_reverses", "reverses_id", unique=True, postgresql_where=text("reverses_id IS NOT NULL")),
    schema="billing",
)
"""What belongs together; never changed: what was wrong is taken back by a group that reverses it.

residue_minor: theirs less ours, and residue_kind what explains it. score: 0 to 100. proposal_id: who proposed it, where
people matched it.
"""

match_proposal = local_table(
    "match_proposal",
    Column("proposal_id", BigInteger, primary_key=True, autoincrement=False),
    Column("action", Text, nullable=False),
    Column("theirs", ARRAY(BigInteger), nullable=False),
    Column("ours", ARRAY(BigInteger), nullable=False),
    Column("group_id", BigInteger),
    Column("residue_kind", Text, nullable=False, server_default=text("''")),
    Column("reason", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("made_at", Instant, nullable=False),
    Column("decided_by", Text),
    Column("decided_at", Instant),
    Column("single_operator", Boolean, nullable=False, server_default="false"),
    CheckConstraint("action IN ('match', 'unmatch')", name="action"),
    CheckConstraint("residue_kind IN ('', 'fee', 'exchange', 'rounding', 'adjustment')", name="residue_kind"),
    CheckConstraint("state IN ('proposed', 'approved', 'rejected')", name="state"),
    CheckConstraint("(state = 'proposed') = (decided_by IS NULL)", name="decided"),
    schema="billing",
)
"""What a person wants matched, or taken back, and who agreed. group_id: the group to take back, or that it became.

residue_kind: what that person says explains the difference; empty where the rules do.
"""

fee_schedule = local_table(
    "fee_schedule",
    Column("processor_id", BigInteger, primary_key=True, autoincrement=False),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("from_on", Date, nullable=False),
    Column("fees", JSONB, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("made_at", Instant, nullable=False),
    Column("approved_by", Text),
    Column("approved_at", Instant),
    Column("single_operator", Boolean, nullable=False, server_default="false"),
    CheckConstraint("(approved_by IS NULL) = (approved_at IS NULL)", name="approved"),
    schema="billing",
)
"""What a processor may charge from a day on, as agreed with it: the newest approved version of that day counts."""
