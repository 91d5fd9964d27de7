"""Tables of tax documents: who stands on them, their numbers, their lines."""

from marketplace.core.tables import (
    ARRAY,
    JSONB,
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    ForeignKeyConstraint,
    Index,
    Instant,
    Integer,
    SmallInteger,
    Text,
    UniqueConstraint,
    local_table,
    merchant_table,
    text,
)

billing_party = merchant_table(
    "billing_party",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("country", Text, nullable=False),
    Column("tax_id", Text, nullable=False),
    Column("self_billed", ARRAY(Text), nullable=False),
    Column("self_billed_vat_ppm", Integer, nullable=False),
    Column("version", Integer, nullable=False),
    Column("set_by", Text, nullable=False),
    Column("set_at", Instant, nullable=False),
    CheckConstraint("self_billed <@ ARRAY['goods', 'incentive']", name="self_billed"),
    CheckConstraint("self_billed_vat_ppm BETWEEN 0 AND 1000000", name="vat"),
    schema="billing",
)
"""What stands on a merchant's documents; an entity's own stands under its house. Documents keep what stood on them."""

document_series = local_table(
    "document_series",
    Column("series", Text, primary_key=True),
    Column("entity_id", Integer, nullable=False),
    Column("last_serial", BigInteger, nullable=False),
    schema="billing",
)
"""The last number given in each series. Its row is held from the numbering to the commit, so no number is lost."""

document = merchant_table(
    "document",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("document_id", BigInteger, primary_key=True, autoincrement=False),
    Column("run_id", BigInteger, nullable=False),
    Column("entity_id", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("source_id", BigInteger, nullable=False),
    Column("series", Text, nullable=False),
    Column("serial", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("from_on", Date, nullable=False),
    Column("to_on", Date, nullable=False),
    Column("issued_on", Date, nullable=False),
    Column("due_on", Date),
    Column("net_minor", BigInteger, nullable=False),
    Column("vat_minor", BigInteger, nullable=False),
    Column("seller", JSONB, nullable=False),
    Column("buyer", JSONB, nullable=False),
    Column("corrects_id", BigInteger),
    Column("reverses_id", BigInteger),
    Column("replaces_id", BigInteger),
    Column("state", Text, nullable=False, server_default="issued"),
    Column("void_reason", Text),
    Column("void_asked_by", Text),
    Column("voided_by", Text),
    Column("voided_at", Instant),
    Column("issued_by", Text, nullable=False),
    Column("issued_at", Instant, nullable=False),
    *(
        ForeignKeyConstraint(["merchant_id", column], ["billing.document.merchant_id", "billing.document.document_id"])
        for column in ("corrects_id", "reverses_id", "replaces_id")
    ),
    UniqueConstraint("merchant_id", "series", "serial"),
    UniqueConstraint("merchant_id", "replaces_id"),
    CheckConstraint(
        "kind IN ('invoice', 'credit_note', 'self_billed_invoice', 'self_billed_credit_note')", name="kind"
    ),
    CheckConstraint("net_minor + vat_minor >= 0", name="gross"),
    CheckConstraint("state IN ('issued', 'reversed', 'void')", name="state"),
    CheckConstraint("(state = 'void') = (voided_by IS NOT NULL)", name="void"),
    CheckConstraint("(void_asked_by IS NULL) = (void_reason IS NULL)", name="asked"),
    CheckConstraint("to_on > from_on", name="period"),
    Index(None, "run_id", "merchant_id"),
    Index(None, "merchant_id", "subject", "source_id"),
    Index("ix_document_corrects", "merchant_id", "corrects_id", postgresql_where=text("corrects_id IS NOT NULL")),
    Index("ix_document_newest", "issued_on", "document_id", "merchant_id"),
    schema="billing",
)
"""A numbered document; `billing.documents.model.Document` says what the columns mean. Only a void changes its state."""

document_line = merchant_table(
    "document_line",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("document_id", BigInteger, primary_key=True, autoincrement=False),
    Column("line_no", SmallInteger, primary_key=True, autoincrement=False),
    Column("category", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("quantity", BigInteger, nullable=False),
    Column("vat_ppm", Integer, nullable=False),
    Column("net_minor", BigInteger, nullable=False),
    Column("from_on", Date),
    Column("to_on", Date),
    ForeignKeyConstraint(
        ["merchant_id", "document_id"], ["billing.document.merchant_id", "billing.document.document_id"]
    ),
    schema="billing",
)

document_tax = merchant_table(
    "document_tax",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("document_id", BigInteger, primary_key=True, autoincrement=False),
    Column("vat_ppm", Integer, primary_key=True, autoincrement=False),
    Column("net_minor", BigInteger, nullable=False),
    Column("vat_minor", BigInteger, nullable=False),
    ForeignKeyConstraint(
        ["merchant_id", "document_id"], ["billing.document.merchant_id", "billing.document.document_id"]
    ),
    schema="billing",
)
"""A document's VAT, by rate."""
