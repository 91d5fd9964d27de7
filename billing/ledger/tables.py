"""Tables of the ledger: entities and their chart, heads, entries, and the caches rolled up from them."""

from marketplace.core.tables import (
    ARRAY,
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
    merchant_table,
    reference_table,
    text,
)

ORDER_KINDS = (
    "order_paid", "order_settled", "order_refunded", "refund_cancelled", "dispute_lost", "commission_adjusted"
)  # fmt: skip
"""Entries that are a sale's."""

BESIDE_ORDERS = f"kind NOT IN ({', '.join(repr(kind) for kind in ORDER_KINDS)})"
"""Entries that are not a sale's: few among many. Who reads those alone asks in these words, for their index."""

entity = reference_table(
    "entity",
    Column("entity_id", Integer, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("zone", Text, nullable=False),
    Column("house_merchant_id", BigInteger, nullable=False, unique=True),
    Column("closed_through", Date),
    Column("sealed_through", Date),
    schema="billing",
    readable_by=("app_merchant",),
)
"""A legal entity of the platform. Its own accounts (bank, suspense, stock) are the books of a reserved merchant id.

closed_through: the last day that new books are closed through. sealed_through: the last day on which the database
refuses every entry, whoever writes it.
"""

account = reference_table(
    "account",
    Column("code", Integer, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("nature", Text, nullable=False),
    Column("dimension", Text),
    CheckConstraint("nature IN ('asset', 'liability', 'equity', 'revenue', 'expense')", name="nature"),
    schema="billing",
    readable_by=("app_merchant", "app_payer"),
)

processor = reference_table(
    "processor",
    Column("processor_id", BigInteger, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False, unique=True),
    schema="billing",
    readable_by=("app_merchant",),
)

ledger_head = merchant_table(
    "ledger_head",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("entity_id", Integer, nullable=False),
    Column("last_entry_no", BigInteger, nullable=False, server_default="0"),
    Column("closed_through", Date),
    schema="billing",
    postgresql_with={"fillfactor": "70"},
)
"""The only row that a posting to a merchant's books updates: it numbers the entries without gaps."""

entry = merchant_table(
    "entry",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("entry_no", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("source_id", BigInteger, nullable=False),
    Column("entity_id", Integer, nullable=False),
    Column("currency", Text, nullable=False),
    Column("occurred_at", Instant, nullable=False),
    Column("effective_on", Date, nullable=False),
    Column("prior_period", Boolean, nullable=False),
    Column("accounts", ARRAY(Integer), nullable=False),
    Column("dimensions", ARRAY(BigInteger), nullable=False),
    Column("amounts", ARRAY(BigInteger), nullable=False),
    Column("posted_at", Instant, nullable=False),
    Column("posted_by", Text, nullable=False),
    UniqueConstraint("merchant_id", "kind", "source_id"),
    CheckConstraint(
        "cardinality(accounts) >= 2 AND cardinality(accounts) = cardinality(amounts)"
        " AND cardinality(dimensions) = cardinality(amounts)",
        name="legs",
    ),
    CheckConstraint("array_position(accounts, NULL) IS NULL", name="accounts_named"),
    CheckConstraint("array_position(dimensions, NULL) IS NULL", name="dimensions_named"),
    CheckConstraint("billing.is_balanced(amounts)", name="balanced"),
    Index(None, "effective_on", postgresql_using="brin", postgresql_with={"autosummarize": "on"}),
    Index("ix_entry_beside_orders", "merchant_id", "entry_no", postgresql_where=text(BESIDE_ORDERS)),
    schema="billing",
)
"""A journal entry: one row, legs as parallel arrays; amounts in minor units, debit positive, credit negative.

kind and source_id say which business fact it books, and make posting a fact twice impossible. effective_on decides
the period; prior_period marks an entry moved to the first open day. Append-only: no role may update or delete it.
"""

account_day = merchant_table(
    "account_day",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("account", Integer, primary_key=True, autoincrement=False),
    Column("dimension", BigInteger, primary_key=True, autoincrement=False),
    Column("currency", Text, primary_key=True),
    Column("effective_on", Date, primary_key=True),
    Column("debit_minor", BigInteger, nullable=False),
    Column("credit_minor", BigInteger, nullable=False),
    Column("lines", BigInteger, nullable=False),
    Column("first_entry_no", BigInteger, nullable=False),
    Column("last_entry_no", BigInteger, nullable=False),
    Index(None, "account", "effective_on", "merchant_id"),
    schema="billing",
)
"""The journal rolled up by day: a cache behind the heads, which may be dropped and rebuilt at any time."""

ledger_roll = merchant_table(
    "ledger_roll",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("rolled_no", BigInteger, nullable=False),
    Column("rolling_no", BigInteger, nullable=False),
    schema="billing",
    postgresql_with={"fillfactor": "70"},
)
"""How far a merchant's journal is rolled up; rolling_no pins the end of the roll that is under way."""

book_day = local_table(
    "book_day",
    Column("entity_id", Integer, primary_key=True, autoincrement=False),
    Column("account", Integer, primary_key=True, autoincrement=False),
    Column("currency", Text, primary_key=True),
    Column("effective_on", Date, primary_key=True),
    Column("debit_minor", BigInteger, nullable=False),
    Column("credit_minor", BigInteger, nullable=False),
    Column("lines", BigInteger, nullable=False),
    schema="billing",
)
"""account_day summed over all merchants of an entity: what the platform's trial balance reads."""

balance_snapshot = merchant_table(
    "balance_snapshot",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("upto_entry_no", BigInteger, primary_key=True, autoincrement=False),
    Column("account", Integer, primary_key=True, autoincrement=False),
    Column("dimension", BigInteger, primary_key=True, autoincrement=False),
    Column("currency", Text, primary_key=True),
    Column("balance_minor", BigInteger, nullable=False),
    schema="billing",
)
"""Balances as of an entry number, taken now and then so that such a question reads few entries. A cache."""
