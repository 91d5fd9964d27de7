"""Tables of billing beside the ledger: contracts and commission, runs and statements, payouts, external files."""

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
    SmallInteger,
    Text,
    UniqueConstraint,
    local_table,
    lookup_table,
    merchant_table,
    reference_table,
    text,
)

contract = reference_table(
    "contract",
    Column("contract_id", BigInteger, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("valid_from", Date, nullable=False),
    Column("valid_until", Date),
    Column("first_months", Integer),
    Column("negotiated", Boolean, nullable=False),
    Column("categories", ARRAY(Text)),
    Column("base", Text, nullable=False),
    Column("rate_ppm", Integer),
    Column("tier_from_minor", ARRAY(BigInteger)),
    Column("tier_rate_ppm", ARRAY(Integer)),
    Column("tier_reached_ppm", ARRAY(BigInteger)),
    Column("fixed_minor", BigInteger, nullable=False),
    Column("min_minor", BigInteger),
    Column("max_minor", BigInteger),
    Column("month_min_minor", BigInteger),
    Column("vat_ppm", Integer, nullable=False),
    Column("applied_at", Instant, nullable=False),
    Column("applied_by", Text, nullable=False),
    UniqueConstraint("name", "valid_from"),
    CheckConstraint("valid_until > valid_from", name="validity"),
    CheckConstraint("base IN ('goods', 'goods_and_freight')", name="base"),
    CheckConstraint("(rate_ppm IS NULL) = (tier_from_minor IS NOT NULL)", name="rate"),
    CheckConstraint("first_months BETWEEN 1 AND 120", name="first_months"),
    CheckConstraint("month_min_minor IS NULL OR (negotiated AND categories IS NULL)", name="month_min"),
    CheckConstraint("rate_ppm BETWEEN 0 AND 1000000 AND vat_ppm BETWEEN 0 AND 1000000", name="ppm"),
    schema="billing",
)
"""A version of a commission contract. tier_reached_ppm: commission in minor units times 10**6 at each tier's start.

negotiated: it names merchants (contract_merchant_ref, contract_merchant) and only those may read its terms.
month_min_minor: what each of them owes at least for a month that the name covers from its first to its last day.
"""

contract_merchant_ref = reference_table(
    "contract_merchant_ref",
    Column("contract_id", BigInteger, primary_key=True, autoincrement=False),
    Column("merchant_ref", Text, primary_key=True),
    Index(None, "merchant_ref"),
    schema="billing",
)
"""The merchants that a contract names, by their own ids, known already or not."""

contract_merchant = merchant_table(
    "contract_merchant",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("contract_id", BigInteger, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("terms", JSONB, nullable=False),
    schema="billing",
)
"""What was negotiated with one merchant, for that merchant's eyes only; `contract` is what rating reads."""

commission_line = merchant_table(
    "commission_line",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("entry_no", BigInteger, primary_key=True, autoincrement=False),
    Column("contract_id", BigInteger, primary_key=True, autoincrement=False),
    Column("order_id", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("occurred_at", Instant, nullable=False),
    Column("occurred_on", Date, nullable=False),
    Column("effective_on", Date, nullable=False),
    Column("currency", Text, nullable=False),
    Column("goods_minor", BigInteger, nullable=False),
    Column("freight_minor", BigInteger, nullable=False),
    Column("discount_minor", BigInteger, nullable=False),
    Column("base_minor", BigInteger, nullable=False),
    Column("commission_minor", BigInteger, nullable=False),
    Column("vat_minor", BigInteger, nullable=False),
    Column("kept_commission_minor", BigInteger, nullable=False, server_default="0"),
    Column("kept_vat_minor", BigInteger, nullable=False, server_default="0"),
    CheckConstraint("kind IN ('sale', 'refund', 'adjustment')", name="kind"),
    Index(None, "merchant_id", "order_id"),
    Index("ix_commission_line_changes", "merchant_id", "entry_no", postgresql_where=text("kind <> 'sale'")),
    schema="billing",
)
"""What an entry earned under one contract: written once, at settlement, negative when a refund takes it back.

occurred_on: the local date of occurred_at; effective_on: the day it counts in, later where the period was closed.
kept_…: what a refund would have given back had its policy not kept it; a refund that is taken back takes it back too.
An adjustment stands under the contract of the sale that it adjusts; its kept_… is what the refunds before it count for
more, so that the later ones give back their share of what was adjusted.
"""

commission_month = merchant_table(
    "commission_month",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("month", Date, primary_key=True),
    Column("contract_id", BigInteger, primary_key=True, autoincrement=False),
    Column("base_minor", BigInteger, nullable=False),
    Column("commission_minor", BigInteger, nullable=False),
    Column("vat_minor", BigInteger, nullable=False),
    schema="billing",
)
"""Cumulative base, commission and VAT of the sales settled in a calendar month: where tiers and VAT stand."""

parked_order = merchant_table(
    "parked_order",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("order_id", BigInteger, primary_key=True, autoincrement=False),
    Column("order_ref", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("parked_at", Instant, nullable=False),
    schema="billing",
)

billing_run = local_table(
    "billing_run",
    Column("run_id", BigInteger, primary_key=True, autoincrement=False),
    Column("entity_id", Integer, nullable=False),
    Column("from_on", Date, nullable=False),
    Column("to_on", Date, nullable=False),
    Column("payout_on", Date, nullable=False),
    Column("state", Text, nullable=False),
    Column("batch_id", BigInteger),
    Column("made_by", Text, nullable=False),
    Column("made_at", Instant, nullable=False),
    Column("approved_by", Text),
    Column("approved_at", Instant),
    Column("single_operator", Boolean, nullable=False, server_default="false"),
    Column("finalised_at", Instant),
    Column("reversed_by", Text),
    Column("reversed_at", Instant),
    Column("closed_before", Date),
    Column("parent_run_id", BigInteger),
    CheckConstraint("to_on > from_on", name="period"),
    CheckConstraint(
        "state IN ('draft', 'previewed', 'approved', 'finalising', 'finalised', 'reversing', 'reversed', 'aborted')",
        name="state",
    ),
    Index(
        "uq_billing_run_live",
        "entity_id",
        "from_on",
        unique=True,
        postgresql_where=text("parent_run_id IS NULL AND state NOT IN ('reversed', 'aborted')"),
    ),
    Index(
        "uq_billing_run_live_child",
        "parent_run_id",
        unique=True,
        postgresql_where=text("state NOT IN ('reversed', 'aborted')"),
    ),
    schema="billing",
)
"""A period has one live run; parent_run_id: the final run of the same period whose parked merchants this one bills."""

statement = merchant_table(
    "statement",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("run_id", BigInteger, primary_key=True, autoincrement=False),
    Column("currency", Text, primary_key=True),
    Column("from_on", Date, nullable=False),
    Column("to_on", Date, nullable=False),
    Column("to_no", BigInteger, nullable=False),
    Column("orders", BigInteger, nullable=False),
    Column("opening_minor", BigInteger, nullable=False),
    Column("goods_minor", BigInteger, nullable=False),
    Column("freight_minor", BigInteger, nullable=False),
    Column("discount_minor", BigInteger, nullable=False),
    Column("refund_minor", BigInteger, nullable=False),
    Column("commission_minor", BigInteger, nullable=False),
    Column("vat_minor", BigInteger, nullable=False),
    Column("incentive_minor", BigInteger, nullable=False),
    Column("rebate_minor", BigInteger, nullable=False),
    Column("ads_minor", BigInteger, nullable=False),
    Column("products_minor", BigInteger, nullable=False),
    Column("other_minor", BigInteger, nullable=False),
    Column("payout_minor", BigInteger, nullable=False),
    Column("closing_minor", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text),
    CheckConstraint("state IN ('preview', 'final', 'parked', 'reversed')", name="state"),
    CheckConstraint(
        "state = 'parked' OR closing_minor = opening_minor + goods_minor + freight_minor + discount_minor"
        " + refund_minor + commission_minor + vat_minor + incentive_minor + rebate_minor + ads_minor"
        " + products_minor + other_minor + payout_minor",
        name="ties",
    ),
    Index(None, "merchant_id", "from_on"),
    Index(None, "run_id", "merchant_id", "currency"),
    schema="billing",
)
"""A merchant's payable account over a period, signed from the merchant's view; the columns sum to the closing."""

billing_window = merchant_table(
    "billing_window",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("charge", Text, primary_key=True),
    Column("to_on", Date, primary_key=True),
    Column("follows_on", Date),
    Column("from_on", Date, nullable=False),
    Column("run_id", BigInteger, nullable=False),
    ForeignKeyConstraint(
        ["merchant_id", "charge", "follows_on"],
        ["billing.billing_window.merchant_id", "billing.billing_window.charge", "billing.billing_window.to_on"],
        name="fk_billing_window_chain",
    ),
    UniqueConstraint(
        "merchant_id", "charge", "follows_on", name="uq_billing_window_chain", postgresql_nulls_not_distinct=True
    ),
    CheckConstraint("to_on > from_on", name="forward"),
    CheckConstraint("follows_on IS NULL OR follows_on = from_on", name="contiguous"),
    schema="billing",
)
"""The windows [from_on, to_on) billed for a charge, each chained to the one before: no overlap and no gap (D6).

follows_on is the previous window's to_on, NULL only in the opening one.
"""

billing_window_history = merchant_table(
    "billing_window_history",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("charge", Text, primary_key=True),
    Column("to_on", Date, primary_key=True),
    Column("run_id", BigInteger, primary_key=True, autoincrement=False),
    Column("from_on", Date, nullable=False),
    Column("reversed_at", Instant, nullable=False),
    Column("reversed_by", Text, nullable=False),
    schema="billing",
)

payout = merchant_table(
    "payout",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("payout_id", BigInteger, primary_key=True, autoincrement=False),
    Column("run_id", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("instructed_on", Date, nullable=False),
    Column("state", Text, nullable=False),
    Column("bank_account_id", BigInteger),
    Column("bank_ref", Text),
    Column("confirmed_on", Date),
    Column("return_ref", Text),
    Column("returned_on", Date),
    Column("return_reason", Text),
    Column("file_id", BigInteger),
    Column("retry_of", BigInteger),
    CheckConstraint("amount_minor > 0", name="amount"),
    CheckConstraint("state IN ('instructed', 'confirmed', 'returned', 'cancelled')", name="state"),
    CheckConstraint("state <> 'confirmed' OR (confirmed_on IS NOT NULL AND bank_ref IS NOT NULL)", name="confirmed"),
    CheckConstraint("(state = 'returned') = (returned_on IS NOT NULL)", name="returned"),
    Index("uq_payout_retry_of", "merchant_id", "retry_of", unique=True),
    Index("ix_payout_file_id", "file_id", postgresql_where=text("file_id IS NOT NULL")),
    Index("ix_payout_newest", "instructed_on", "merchant_id", "payout_id"),
    Index("ix_payout_amount", "amount_minor", "merchant_id", "payout_id"),
    schema="billing",
)
"""bank_account_id: the merchant's account that was active when the payout was instructed; without one it is held.

bank_ref and return_ref: the bank's own names of the movements that confirmed and returned it, on which days.
file_id: the instruction file that it is in, until that is cancelled. retry_of: the payout that
came back and that this one pays again.
"""

payout_item = merchant_table(
    "payout_item",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("payout_id", BigInteger, primary_key=True, autoincrement=False),
    Column("run_id", BigInteger, primary_key=True, autoincrement=False),
    Column("amount_minor", BigInteger, nullable=False),
    ForeignKeyConstraint(
        ["merchant_id", "payout_id"], ["billing.payout.merchant_id", "billing.payout.payout_id"], ondelete="CASCADE"
    ),
    schema="billing",
)
"""What a payout pays: the amount of each run's statement. A payout is the sum of its items."""

payment_line = lookup_table(
    "payment_line",
    Column("order_ref", Text, primary_key=True),
    Column("line_no", SmallInteger, primary_key=True, autoincrement=False),
    Column("processor_id", BigInteger, nullable=False),
    Column("method", Text, nullable=False),
    Column("instalments", SmallInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("paid_on", Date, nullable=False),
    Column("import_id", BigInteger, nullable=False),
    CheckConstraint("amount_minor >= 0", name="amount"),
    schema="billing",
    key="order_ref",
)
"""What the processor says the buyer paid: an external line, matched with orders and never posted as such."""

payment_share = merchant_table(
    "payment_share",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("order_id", BigInteger, primary_key=True, autoincrement=False),
    Column("line_no", SmallInteger, primary_key=True, autoincrement=False),
    Column("amount_minor", BigInteger, nullable=False),
    schema="billing",
)
"""A processor line divided over the merchants' orders of the purchase, by largest remainder, once."""

data_import = local_table(
    "data_import",
    Column("import_id", BigInteger, primary_key=True, autoincrement=False),
    Column("source", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("summary", Text, nullable=False),
    Column("imported_at", Instant, nullable=False),
    Column("imported_by", Text, nullable=False),
    schema="billing",
)
