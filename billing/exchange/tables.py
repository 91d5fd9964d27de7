"""Tables of currencies, rates and exchanges."""

from marketplace.core.tables import (
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
    merchant_table,
    reference_table,
    text,
)

entity_currency = reference_table(
    "entity_currency",
    Column("entity_id", Integer, primary_key=True, autoincrement=False),
    Column("currency", Text, primary_key=True),
    Column("opened_by", Text, nullable=False),
    Column("opened_at", Instant, nullable=False),
    schema="billing",
    readable_by=("app_merchant",),
)
"""Currencies that a legal entity keeps books in beside its own: its merchants sell, are billed and paid in them."""

exchange_rate = reference_table(
    "exchange_rate",
    Column("rate_id", BigInteger, primary_key=True, autoincrement=False),
    Column("from_currency", Text, nullable=False),
    Column("to_currency", Text, nullable=False),
    Column("rate_on", Date, nullable=False),
    Column("rate", Text, nullable=False),
    Column("numerator", BigInteger, nullable=False),
    Column("denominator", BigInteger, nullable=False),
    Column("source", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("made_at", Instant, nullable=False),
    Column("decided_by", Text),
    Column("decided_at", Instant),
    Column("single_operator", Boolean, nullable=False, server_default="false"),
    CheckConstraint("numerator > 0 AND denominator > 0", name="ratio"),
    CheckConstraint("from_currency <> to_currency", name="currencies"),
    CheckConstraint("state IN ('proposed', 'approved', 'rejected', 'replaced')", name="state"),
    Index(
        "uq_exchange_rate_approved",
        "from_currency",
        "to_currency",
        "rate_on",
        unique=True,
        postgresql_where=text("state = 'approved'"),
    ),
    schema="billing",
)
"""numerator / denominator: minor units of the second currency for one minor unit of the first, exactly."""

exchange = merchant_table(
    "exchange",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("exchange_id", BigInteger, primary_key=True, autoincrement=False),
    Column("account", Integer, nullable=False),
    Column("from_currency", Text, nullable=False),
    Column("from_minor", BigInteger, nullable=False),
    Column("to_currency", Text, nullable=False),
    Column("to_minor", BigInteger, nullable=False),
    Column("rate_id", BigInteger, nullable=False),
    Column("numerator", BigInteger, nullable=False),
    Column("denominator", BigInteger, nullable=False),
    Column("exchanged_on", Date, nullable=False),
    Column("reason", Text, nullable=False),
    Column("bank_ref", Text),
    Column("sold_entry_no", BigInteger, nullable=False),
    Column("bought_entry_no", BigInteger, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("made_at", Instant, nullable=False),
    UniqueConstraint("merchant_id", "bank_ref"),
    CheckConstraint("account IN (1010, 2000)", name="account"),
    CheckConstraint("from_minor > 0 AND to_minor > 0", name="amounts"),
    CheckConstraint("(account = 1010) = (bank_ref IS NOT NULL)", name="bank"),
    schema="billing",
)

exchange_revaluation = merchant_table(
    "exchange_revaluation",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("revaluation_id", BigInteger, primary_key=True, autoincrement=False),
    Column("revalued_on", Date, nullable=False),
    Column("currency", Text, nullable=False),
    Column("result_minor", BigInteger, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("made_at", Instant, nullable=False),
    CheckConstraint("result_minor <> 0", name="result"),
    schema="billing",
)
"""What the exchange position of a legal entity was worth more than its cost on a day, in the house's books."""
