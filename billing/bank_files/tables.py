"""Tables of what banks and processors say: files as they came, the statements in them, and their lines."""

from marketplace.core.tables import (
    ARRAY,
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
    LargeBinary,
    Text,
    UniqueConstraint,
    local_table,
    lookup_table,
    text,
)

bank_file = local_table(
    "bank_file",
    Column("file_id", BigInteger, primary_key=True, autoincrement=False),
    Column("content_hash", LargeBinary, nullable=False),
    Column("name", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("format", Text),
    Column("mapping_id", BigInteger),
    Column("flaws", ARRAY(Text), nullable=False, server_default="{}"),
    Column("statements", Integer, nullable=False, server_default="0"),
    Column("lines", Integer, nullable=False, server_default="0"),
    Column("stored_lines", Integer, nullable=False, server_default="0"),
    Column("new_lines", Integer, nullable=False, server_default="0"),
    Column("settlement_id", BigInteger),
    Column("received_at", Instant, nullable=False),
    Column("received_by", Text, nullable=False),
    Column("moved_at", Instant, nullable=False),
    CheckConstraint("state IN ('arriving', 'kept', 'storing', 'read', 'failed', 'unreadable')", name="state"),
    CheckConstraint("new_lines <= stored_lines AND stored_lines <= lines", name="lines"),
    CheckConstraint("state <> 'read' OR stored_lines = lines", name="whole"),
    UniqueConstraint("content_hash"),
    Index("ix_bank_file_unfinished", "moved_at", postgresql_where=text("state IN ('kept', 'storing')")),
    schema="billing",
)
"""A file as it came, once: content_hash is its SHA-256. Its lines count when it is `read`, whole.

arriving: its bytes are being kept. kept: they are. storing: it has proved itself and stored_lines of its lines are
taken in. failed: it can be read and does not hold, flaws say why; nothing of it is taken in. new_lines: those that no
file before had brought. settlement_id: the processor_file with what a settlement file brought. moved_at: when it last
got on.
"""

bank_file_part = local_table(
    "bank_file_part",
    Column("file_id", BigInteger, primary_key=True, autoincrement=False),
    Column("part_no", Integer, primary_key=True, autoincrement=False),
    Column("content", LargeBinary, nullable=False),
    ForeignKeyConstraint(["file_id"], ["billing.bank_file.file_id"]),
    schema="billing",
)
"""The bytes of a file, in parts."""

bank_statement = local_table(
    "bank_statement",
    Column("file_id", BigInteger, primary_key=True, autoincrement=False),
    Column("statement_no", Integer, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("currency", Text),
    Column("number", Text, nullable=False),
    Column("reference", Text, nullable=False),
    Column("from_day", Date),
    Column("to_day", Date),
    Column("opening_minor", BigInteger),
    Column("closing_minor", BigInteger),
    Column("lines", Integer, nullable=False),
    Column("sum_minor", BigInteger),
    Column("flaws", ARRAY(Text), nullable=False),
    CheckConstraint("kind IN ('statement', 'interim', 'notification', 'processor')", name="kind"),
    ForeignKeyConstraint(["file_id"], ["billing.bank_file.file_id"]),
    Index(None, "account", "to_day"),
    schema="billing",
)
"""A statement as a file has it. sum_minor: of its booked lines, where they are in one currency."""

bank_line = lookup_table(
    "bank_line",
    Column("fingerprint", LargeBinary, primary_key=True),
    Column("occurrence", Integer, primary_key=True, autoincrement=False),
    Column("line_id", BigInteger, nullable=False),
    Column("file_id", BigInteger, nullable=False),
    Column("line_no", Integer, nullable=False),
    Column("statement_no", Integer, nullable=False),
    Column("position", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("day", Date, nullable=False),
    Column("value_day", Date),
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("gross_minor", BigInteger),
    Column("fee_minor", BigInteger),
    Column("bank_ref", Text, nullable=False),
    Column("end_to_end", Text, nullable=False),
    Column("batch_ref", Text, nullable=False),
    Column("party", Text, nullable=False),
    Column("party_account", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("type_code", Text, nullable=False),
    Column("booked", Boolean, nullable=False),
    CheckConstraint("gross_minor IS NULL OR gross_minor - coalesce(fee_minor, 0) = amount_minor", name="net"),
    Index(None, "file_id", "line_no"),
    Index(None, "account", "day"),
    Index(None, "line_id"),
    schema="billing",
    key="fingerprint",
)
"""A line, once, whichever files it came in; occurrence tells apart lines of a file that are equal in all that is known.

It counts when its file is `read`. line_no: its place among the lines of its file; position: as the file counts.
"""

bank_mapping = local_table(
    "bank_mapping",
    Column("mapping_id", BigInteger, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("mapping", JSONB, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("made_at", Instant, nullable=False),
    UniqueConstraint("name", "version"),
    schema="billing",
)
"""How the columns of a table are read, in versions: a file names the one it was read by."""
