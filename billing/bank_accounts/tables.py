"""Table of merchants' bank accounts."""

from marketplace.core.tables import (
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    Instant,
    Integer,
    Text,
    merchant_table,
    text,
)

bank_account = merchant_table(
    "bank_account",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("account_id", BigInteger, primary_key=True, autoincrement=False),
    Column("currency", Text, nullable=False),
    Column("holder", Text, nullable=False),
    Column("scheme", Text, nullable=False),
    Column("number", Text, nullable=False),
    Column("routing", Text, nullable=False, server_default=text("''")),
    Column("state", Text, nullable=False, server_default="proposed"),
    Column("proposed_by", Text, nullable=False),
    Column("proposed_at", Instant, nullable=False),
    Column("code_hash", Text),
    Column("tries", Integer, nullable=False, server_default="0"),
    Column("method", Text),
    Column("verified_by", Text),
    Column("verified_at", Instant),
    Column("approved_by", Text),
    Column("approved_at", Instant),
    Column("active_from", Instant),
    Column("reason", Text, nullable=False, server_default=text("''")),
    Column("version", Integer, nullable=False, server_default="1"),
    CheckConstraint("scheme IN ('iban', 'other')", name="scheme"),
    CheckConstraint("method IN ('micro_transfer', 'document')", name="method"),
    CheckConstraint(
        "state IN ('proposed', 'verified', 'cooling', 'active', 'rejected', 'replaced', 'cancelled')", name="state"
    ),
    CheckConstraint(
        "state NOT IN ('cooling', 'active', 'replaced')"
        " OR (verified_at IS NOT NULL AND approved_at IS NOT NULL AND active_from IS NOT NULL)",
        name="approved",
    ),
    Index("uq_bank_account_active", "merchant_id", "currency", unique=True, postgresql_where=text("state = 'active'")),
    Index(
        "uq_bank_account_change",
        "merchant_id",
        "currency",
        unique=True,
        postgresql_where=text("state IN ('proposed', 'verified', 'cooling')"),
    ),
    Index("ix_bank_account_cooling", "active_from", postgresql_where=text("state = 'cooling'")),
    schema="billing",
)
"""A bank account of a merchant: one active and at most one on its way to replace it, per currency.

scheme: an IBAN, or any other number with its routing code. number is shown to nobody but whoever orders the transfer
that verifies it. code_hash: of the code that this transfer carried; tries: wrong codes so far.
"""
