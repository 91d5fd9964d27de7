"""The lists of finance: what does not match, what is disputed, and what is paid out."""

from marketplace.consoles.lists import Column, Kind, Roll, Shown

CURRENCY = Column("currency", "col.currency", by="", shown=Shown.IN_FILES)

BREAKS = Roll(
    name="breaks",
    first="-age_days",
    key=("break_id",),
    columns=(
        Column("kind", "breaks.kind"),
        CURRENCY,
        Column("amount_minor", "col.amount", Kind.MONEY),
        Column("age_days", "breaks.age", Kind.NUMBER),
        Column("owner", "breaks.owner", empty=True),
        Column("respond_by", "breaks.respond", Kind.INSTANT, empty=True),
        Column("state", "col.state"),
    ),
    query="""
SELECT b.break_id, b.kind, b.state, b.currency, b.amount_minor, b.detail, b.expected_on, b.owner, b.respond_by,
       greatest(CAST(:today AS date) - b.expected_on, 0) AS age_days,
       b.closed_at IS NULL AND b.state = 'open' AND coalesce(b.respond_by < :at, false) AS overdue
FROM billing.recon_break b
WHERE (CAST(:kind AS text) IS NULL OR b.kind = :kind) AND (CAST(:state AS text) IS NULL OR b.state = :state)
  AND (CAST(:owner AS text) IS NULL OR b.owner = :owner) AND b.entity_id = :entity
  AND (CAST(:state AS text) IS NOT NULL OR b.closed_at IS NULL)
  AND (:early OR b.closed_at IS NOT NULL
       OR b.kind <> 'expected' AND (b.state <> 'accepted' OR CAST(:state AS text) = 'accepted'))
""",
)
"""Without a state those without an end; those that are merely early, or left as they are, where they are asked for."""

DISPUTES = Roll(
    name="disputes",
    first="-opened_at",
    key=("merchant_id", "dispute_id"),
    columns=(
        Column("opened_at", "disputes.opened", Kind.INSTANT),
        Column("dispute_ref", "disputes.ref"),
        Column("merchant", "col.merchant"),
        Column("order_id", "col.order", Kind.NUMBER),
        CURRENCY,
        Column("amount_minor", "col.amount", Kind.MONEY),
        Column("fee_minor", "disputes.fee", Kind.MONEY),
        Column("due_on", "disputes.due", Kind.DAY),
        Column("evidence", "disputes.evidence", by=""),
        Column("state", "col.state"),
    ),
    query="""
SELECT d.merchant_id, d.dispute_id, d.dispute_ref, d.order_id, d.currency, d.amount_minor, d.fee_minor, d.excess_minor,
       d.state, d.recourse, d.opened_at, d.due_on, d.evidence, coalesce(m.name, d.merchant_id::text) AS merchant
FROM demand.dispute d LEFT JOIN supply.merchant m ON m.merchant_id = d.merchant_id
WHERE CAST(:now AS text) IS NULL OR d.state = :now
""",
)
CASES = Roll(
    name="line-disputes",
    first="-opened_at",
    key=("line_dispute_id", "merchant_id"),
    columns=(
        Column("opened_at", "disputes.opened", Kind.INSTANT, by="line_dispute_id"),
        Column("merchant", "col.merchant"),
        Column("entry_no", "col.entry", Kind.NUMBER),
        CURRENCY,
        Column("disputed_minor", "cases.disputed", Kind.MONEY),
        Column("accepted_minor", "cases.given_back", Kind.MONEY),
        Column("due_on", "cases.due", Kind.DAY),
        Column("state", "col.state"),
    ),
    query="""
SELECT d.line_dispute_id, d.merchant_id, d.entry_no, d.currency, d.disputed_minor, d.accepted_minor, d.opened_at,
       d.due_on, d.state, coalesce(m.name, d.merchant_id::text) AS merchant
FROM billing.line_dispute d LEFT JOIN supply.merchant m ON m.merchant_id = d.merchant_id
WHERE CAST(:now AS text) IS NULL OR d.state = :now
""",
)
PAYOUTS = Roll(
    name="payouts",
    first="-instructed_on",
    key=("merchant_id", "payout_id"),
    columns=(
        Column("instructed_on", "col.instructed", Kind.DAY),
        Column("merchant", "col.merchant", by=""),
        CURRENCY,
        Column("amount_minor", "col.amount", Kind.MONEY),
        Column("file_id", "payouts.file", by=""),
        Column("state", "col.state", by=""),
        Column("bank_ref", "claims.bank_ref", by="", shown=Shown.IN_FILES),
    ),
    query="""
SELECT p.merchant_id, p.payout_id, p.instructed_on, p.currency, p.amount_minor, p.file_id, p.state, p.bank_ref,
       p.state = 'instructed' AND p.bank_account_id IS NULL AS held,
       coalesce(m.name, p.merchant_id::text) AS merchant
FROM billing.payout p LEFT JOIN supply.merchant m ON m.merchant_id = p.merchant_id
WHERE CAST(:now AS text) IS NULL OR p.state = :now
""",
)
"""There are many: they are sorted by what has an index, and chosen by their state."""

OWED = Roll(
    name="owed",
    first="merchant",
    key=("merchant_id", "currency"),
    texts=frozenset({"currency"}),
    columns=(
        Column("merchant", "col.merchant"),
        Column("why", "col.reason", by=""),
        CURRENCY,
        Column("owed_minor", "col.amount", Kind.MONEY),
    ),
)
"""As was last checked."""

FILES = Roll(
    name="bank-files",
    first="-received_at",
    key=("file_id",),
    columns=(
        Column("name", "files.file"),
        Column("format", "files.format", empty=True),
        Column("statements", "col.statements", Kind.NUMBER),
        Column("lines", "files.lines", Kind.NUMBER),
        Column("new_lines", "files.new_lines", Kind.NUMBER),
        Column("received_at", "files.received", Kind.INSTANT, by="file_id"),
        Column("received_by", "run.made", by="", shown=Shown.IN_FILES),
        Column("state", "col.state"),
    ),
    query="""
SELECT file_id, name, format, flaws, statements, lines, stored_lines, new_lines, received_at, received_by, state
FROM billing.bank_file
""",
)
RATES = Roll(
    name="exchange-rates",
    first="-rate_on",
    key=("rate_id",),
    columns=(
        Column("rate_on", "col.day", Kind.DAY),
        Column("from_currency", "exchange.pair"),
        Column("to_currency", "exchange.to", by="", shown=Shown.IN_FILES),
        Column("rate", "exchange.rate", by=""),
        Column("source", "exchange.source"),
        Column("made_by", "run.made"),
        Column("decided_by", "col.approved", empty=True),
        Column("state", "col.state"),
        Column("do", "products.do", by="", shown=Shown.ON_PAGES),
    ),
    query="""
SELECT rate_id, rate_on, from_currency, to_currency, rate, source, made_by, decided_by, single_operator, state
FROM billing.exchange_rate
""",
)
RUN_STATEMENTS = Roll(
    name="statements",
    first="merchant_name",
    key=("merchant_id", "currency"),
    texts=frozenset({"currency"}),
    columns=(
        Column("merchant_name", "col.merchant"),
        Column("state", "col.state"),
        Column("orders", "kpi.orders", Kind.NUMBER),
        Column("currency", "col.currency"),
        Column("opening_minor", "statement.opening", Kind.MONEY),
        Column("commission_minor", "column.commission", Kind.MONEY),
        Column("vat_minor", "column.vat", Kind.MONEY),
        Column("payout_minor", "column.payout", Kind.MONEY),
        Column("closing_minor", "statement.closing", Kind.MONEY),
    ),
    query="""
SELECT s.merchant_id, coalesce(m.name, e.name) AS merchant_name, s.currency, s.orders, s.opening_minor,
       s.commission_minor, s.vat_minor, s.payout_minor, s.closing_minor, s.state, s.reason
FROM billing.statement s
LEFT JOIN supply.merchant m ON m.merchant_id = s.merchant_id
LEFT JOIN billing.entity e ON e.house_merchant_id = s.merchant_id
WHERE s.run_id = :run
""",
)

PAYMENT_BREAKS = Roll(
    name="payments",
    first="order_ref",
    key=("order_ref",),
    texts=frozenset({"order_ref"}),
    columns=(
        Column("order_ref", "col.order"),
        CURRENCY,
        Column("paid_minor", "rec.paid", Kind.MONEY),
        Column("due_minor", "rec.due", Kind.MONEY),
        Column("difference_minor", "rec.difference", Kind.MONEY),
    ),
    query="""
SELECT order_ref, kind, currency, paid_minor, due_minor, paid_minor - due_minor AS difference_minor
FROM billing.payment_break WHERE currency = :currency AND kind = :kind
""",
)
"""Purchases of one kind that did not match when they were last compared; matched ones are not kept."""
