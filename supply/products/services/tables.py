"""Tables of managed services."""

from marketplace.core.tables import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    ForeignKeyConstraint,
    Index,
    Instant,
    Integer,
    Text,
    merchant_table,
    text,
)

agreement = merchant_table(
    "service_agreement",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("agreement_id", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("retainer_minor", BigInteger, nullable=False),
    Column("share_ppm", Integer, nullable=False),
    Column("vat_ppm", Integer, nullable=False),
    Column("due_days", Integer, nullable=False),
    Column("baseline_minor", BigInteger, nullable=False),
    Column("baseline_from", Date),
    Column("baseline_to", Date),
    Column("baseline_source", Text, nullable=False, server_default=text("''")),
    Column("starts_on", Date, nullable=False),
    Column("ends_on", Date),
    Column("state", Text, nullable=False),
    Column("pays_by", Text),
    Column("next_month", Date, nullable=False),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("made_by", Text, nullable=False),
    Column("made_at", Instant, nullable=False),
    Column("decided_by", Text),
    ForeignKeyConstraint(["merchant_id"], ["supply.merchant.merchant_id"]),
    CheckConstraint("kind IN ('retainer', 'share')", name="kind"),
    CheckConstraint("state IN ('proposed', 'active', 'ended', 'declined')", name="state"),
    CheckConstraint("pays_by IN ('netting', 'transfer')", name="pays_by"),
    CheckConstraint(
        "CASE kind WHEN 'retainer' THEN retainer_minor > 0 AND share_ppm = 0 AND baseline_to IS NULL"
        " ELSE retainer_minor = 0 AND share_ppm > 0 AND baseline_to > baseline_from END",
        name="terms",
    ),
    CheckConstraint("ends_on > starts_on", name="months"),
    Index("ix_service_agreement_active", "next_month", postgresql_where=text("state = 'active'")),
    schema="supply",
)

service_month = merchant_table(
    "service_month",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("agreement_id", BigInteger, primary_key=True, autoincrement=False),
    Column("month", Date, primary_key=True),
    Column("turnover_minor", BigInteger, nullable=False),
    Column("fee_minor", BigInteger, nullable=False),
    Column("restated_minor", BigInteger, nullable=False),
    Column("closed_at", Instant, nullable=False),
    ForeignKeyConstraint(
        ["merchant_id", "agreement_id"],
        ["supply.service_agreement.merchant_id", "supply.service_agreement.agreement_id"],
    ),
    CheckConstraint("fee_minor >= 0", name="fee"),
    schema="supply",
)
"""The closed months of a share, never changed: append-only. What is refunded later is in a later month."""
