"""A month of a processor's lines matched in one pass, with breaks of every type planted among them."""

import resource
import time
from datetime import timedelta
from typing import Any

from billing.breaks.model import BreakKind
from billing.matching.agreements import store as agreements
from billing.matching.model import Account, Book, FeeLine
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.bank.match_lines import match_lines
from tests.bench.scratch import ACTOR, as_owner, at_least, at_most, main, scratch_database
from tests.builders import ENTITY, PROCESSOR, add_market

MERCHANTS = range(1, 1_001)
PLANTED = 100
"""Breaks of each type that is a line of a processor; of the others there is one each, or two."""

K = BreakKind
_BY_PAYMENT = (
    K.MISSING_EXTERNAL,
    K.AMOUNT,
    K.CURRENCY,
    K.FX_VARIANCE,
    K.FEE_VARIANCE,
    K.EXPECTED,
    K.DUPLICATE_EXTERNAL,
)
EXPECTED = dict.fromkeys((*_BY_PAYMENT, K.MISSING_INTERNAL, K.STATUS, K.DUPLICATE_INTERNAL), PLANTED) | {
    K.FEE_VARIANCE: 2 * PLANTED,  # charged otherwise than agreed, and kept where a line tells no fee
    K.CUT_OFF: PLANTED,
    K.SPLIT_INCOMPLETE: 1,
    K.UNIDENTIFIED_RECEIPT: 1,
    K.PAYOUT_RETURNED: 1,
    K.CONTROL_IMBALANCE: 1,
    K.STATEMENT_GAP: 1,
}

_AMOUNT = "(1000 + n::bigint * 7919 % 50000)"
_FEE = f"(25 + round({_AMOUNT}::numeric * 14000 / 1000000))"
# Payments by number: each type of _BY_PAYMENT has its PLANTED ones, then come those whose lines tell no fee.
_KIND = f"(n / {PLANTED})"
_IS = {kind: f"{_KIND} = {number}" for number, kind in enumerate(_BY_PAYMENT)}
_NET_ONLY = f"{_KIND} = {len(_BY_PAYMENT)}"
_CUT_OFF = f"{_KIND} = {len(_BY_PAYMENT) + 1}"
_CURRENCY = f"CASE WHEN {_IS[K.FX_VARIANCE]} THEN 'USD' ELSE 'EUR' END"
_AT = f"""CASE WHEN {_IS[K.EXPECTED]} THEN now()
    WHEN {_CUT_OFF} THEN date_trunc('month', now()) - interval '1 hour'
    ELSE now() - interval '12 days' - n % 28 * interval '1 day' END"""
_PROCESSOR = f"CASE WHEN {_CUT_OFF} THEN 2 ELSE {PROCESSOR} END"

_MONTH = (
    f"""INSERT INTO billing.payment (buyer_id, payment_id, purchase_id, processor_id, method, currency, amount_minor,
        credit_minor, state, processor_ref, created_at, expires_at, captured_at, captured_minor)
        SELECT n % 5000 + 1, n, n, {_PROCESSOR}, 'card', {_CURRENCY}, {_AMOUNT}, 0, 'captured', 'ch_' || n, {_AT},
               {_AT}, {_AT}, {_AMOUNT}
        FROM generate_series(0, {{lines}} - 1) AS n""",
    f"""INSERT INTO billing.payment_part (merchant_id, payment_id, order_id, buyer_id, processor_id, currency,
        amount_minor, credit_minor, state, captured_minor)
        SELECT n % {len(MERCHANTS)} + 1, n, n, n % 5000 + 1, {_PROCESSOR}, {_CURRENCY}, {_AMOUNT}, 0, 'captured',
               {_AMOUNT}
        FROM generate_series(0, {{lines}} - 1) AS n""",
    """INSERT INTO billing.bank_file (file_id, content_hash, name, size_bytes, state, received_at, received_by,
        moved_at)
       VALUES (1, '1', 'month', 1, 'read', now(), 'x', now()), (2, '2', 'bank', 1, 'read', now(), 'x', now()),
              (3, '3', 'bank', 1, 'read', now(), 'x', now())""",
    f"""INSERT INTO billing.bank_line (fingerprint, occurrence, line_id, file_id, line_no, statement_no, position, kind,
        account, day, amount_minor, currency, gross_minor, fee_minor, bank_ref, end_to_end, batch_ref, party,
        party_account, text, type_code, booked)
        SELECT sha256(n::text::bytea), again, 10000000 + n * 2 + again, 1, n, 1, n, 'processor', 'adyen:Shop',
               ({_AT})::date,
               gross - fee, CASE WHEN {_IS[K.CURRENCY]} THEN 'GBP' ELSE {_CURRENCY} END,
               CASE WHEN {_NET_ONLY} THEN NULL ELSE gross END, CASE WHEN {_NET_ONLY} THEN NULL ELSE fee END,
               'ch_' || n, n % 5000 + 1 || '-' || n, 'batch', '', '', '', 'Settled', true
        FROM (SELECT n, {_AMOUNT} + CASE WHEN {_IS[K.AMOUNT]} OR {_IS[K.FX_VARIANCE]} THEN 40 ELSE 0 END AS gross,
                     {_FEE}::bigint + CASE WHEN {_IS[K.FEE_VARIANCE]} THEN 30 ELSE 0 END AS fee
              FROM generate_series(0, {{lines}} - 1) AS n) AS m
        CROSS JOIN generate_series(1, 2) AS again
        WHERE (again = 1 OR {_IS[K.DUPLICATE_EXTERNAL]})
          AND NOT ({_IS[K.MISSING_EXTERNAL]} OR {_IS[K.EXPECTED]} OR {_CUT_OFF})""",
    f"""INSERT INTO billing.bank_line (fingerprint, occurrence, line_id, file_id, line_no, statement_no, position, kind,
        account, day, amount_minor, currency, gross_minor, fee_minor, bank_ref, end_to_end, batch_ref, party,
        party_account, text, type_code, booked)
        SELECT sha256(('x' || n)::bytea), 1, n + 1, 1, n, 1, n, 'processor', 'adyen:Shop', current_date - 20, minor,
               'EUR', minor, 0, 'x' || n, reference, '', '', '', '', type, true
        FROM generate_series(0, {PLANTED * 3 - 1}) AS n
        CROSS JOIN LATERAL (SELECT CASE n / {PLANTED} WHEN 0 THEN 700 ELSE -700 END AS minor,
                                   CASE n / {PLANTED} WHEN 2 THEN '7-' || n ELSE 'unknown' || n END AS reference,
                                   CASE n / {PLANTED} WHEN 0 THEN 'Settled' ELSE 'Refunded' END AS type) AS said""",
    f"""INSERT INTO billing.refund_payment (merchant_id, refund_id, payment_id, way, attempt, transfer_id, order_id,
        buyer_id, processor_id, currency, amount_minor, state, due_at, said_at)
        SELECT 7, n, n, 'card', again + 1, n * 2 + again, n, 1, {PROCESSOR}, 'EUR', 700, 'paid',
               now() - interval '20 days', now() - interval '20 days'
        FROM generate_series({2 * PLANTED}, {3 * PLANTED - 1}) AS n, generate_series(0, 1) AS again""",
    f"""INSERT INTO billing.processor_file (file_id, processor_id, batch_ref, paid_on, currency, entity_id, state,
        new_lines, lines, gross_minor, fee_minor, net_minor, imported_at, imported_by)
        SELECT n, {PROCESSOR}, 'split_1', current_date - 20, 'EUR', {ENTITY}, 'booked', 1, 1, 500, 0, 500, now(), 'x'
        FROM generate_series(1, 2) AS n""",
    """INSERT INTO billing.payout (merchant_id, payout_id, run_id, currency, amount_minor, instructed_on, state,
        bank_account_id, bank_ref, confirmed_on)
       VALUES (7, 70, 1, 'EUR', 900, current_date - 20, 'confirmed', 1, 'B-70', current_date - 20)""",
    """INSERT INTO billing.bank_line (fingerprint, occurrence, line_id, file_id, line_no, statement_no, position, kind,
        account, day, amount_minor, currency, bank_ref, end_to_end, batch_ref, party, party_account, text, type_code,
        booked)
       SELECT sha256(('b' || n)::bytea), 1, 1000 + n, 2, n, 1, n, 'statement', 'DE00', current_date - 20,
              (ARRAY[900, 700, -900, 900])[n], 'EUR', 'b' || n, '', '', '', '',
              (ARRAY['split_1', 'who knows', '7-70', 'back 7-70'])[n], '', true
       FROM generate_series(1, 4) AS n""",
    """INSERT INTO billing.bank_statement (file_id, statement_no, kind, account, currency, number, reference, from_day,
        to_day, opening_minor, closing_minor, lines, flaws)
       VALUES (2, 1, 'statement', 'DE00', 'EUR', '1', '', current_date - 20, current_date - 20, 0, 1600, 4, '{{}}'),
              (3, 1, 'statement', 'DE00', 'EUR', '3', '', current_date - 10, current_date - 10, 9, 9, 0, '{{}}')""",
    f"""INSERT INTO billing.entry (merchant_id, entry_no, kind, source_id, entity_id, currency, occurred_at,
        effective_on, prior_period, accounts, dimensions, amounts, posted_at, posted_by)
        VALUES (1, 1, 'goodwill', 1, {ENTITY}, 'EUR', now(), current_date, false, '{{{{1030,6920}}}}', '{{{{9,0}}}}',
                '{{{{5,-5}}}}', now(), 'x')""",
    "UPDATE billing.ledger_head SET last_entry_no = 1 WHERE merchant_id = 1",
)


async def measure(lines: int) -> dict[str, Any]:
    """One pass over a month that has just come, and the same again; beside inserting the same number of bare rows."""
    async with scratch_database() as db:
        await db.write(WORKER, ACTOR, _market)
        month = [one.format(lines=lines) for one in _MONTH]
        await as_owner(
            db, "SET session_replication_role = replica", *month, "RESET session_replication_role", "ANALYZE"
        )
        bare = await _bare(db, lines)
        run, seconds = await _pass(db)
        async with db.read(WORKER) as tx:
            rows = await tx.rows("SELECT kind, count(*) AS breaks FROM billing.recon_break GROUP BY kind")
            wrong = await tx.scalar(_FALSE)
        again, seconds_again = await _pass(db)
    found = {row.kind: row.breaks for row in rows}
    missed = {
        kind.value: (found.get(kind, 0), wanted) for kind, wanted in EXPECTED.items() if found.get(kind) != wanted
    }
    bars = {
        "seconds": at_most(seconds, 60),
        "peak_memory_mib": at_most(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, 500),
        "types_not_found_as_planted": at_most(len(missed), 0),
        "false_matches": at_most(wrong, 0),
        "types_planted": at_least(len(EXPECTED), 16),
        "second_pass_to_first": at_most(round(seconds_again / seconds, 2), 0.5),
    }
    measured: dict[str, Any] = {"lines": lines, "seconds": seconds, "lines_per_second": round(lines / seconds)}
    measured |= {"to_bare_inserts": round(seconds / bare, 1), "found": run.found, "breaks": found, "missed": missed}
    return measured | {"again": {"seconds": seconds_again, "found": again.found}, "bars": bars}


# A group of two that are not the same payment, or not of one amount and currency.
_FALSE = """
SELECT count(*) FROM billing.match_group g
JOIN billing.match_item t ON t.item_id = g.theirs[1] JOIN billing.match_item o ON o.item_id = g.ours[1]
WHERE g.book = 'processor' AND (t.reference <> o.reference OR t.amount_minor <> o.amount_minor
      OR t.currency <> o.currency OR cardinality(g.theirs || g.ours) <> 2)"""


async def _market(tx: Tx) -> None:
    await add_market(tx, list(MERCHANTS))
    await tx.execute("INSERT INTO billing.processor (processor_id, name) VALUES (2, 'slow')")
    start = tx.now.date() - timedelta(days=70)
    named = (
        ("DE00", Book.BANK, None, 2),
        ("adyen:Shop", Book.PROCESSOR, PROCESSOR, 2),
        ("slow", Book.PROCESSOR, 2, 60),
    )
    for account, book, processor, lag in named:
        await agreements.set_account(
            tx,
            Account(
                account=account, book=book, entity_id=ENTITY, processor_id=processor, calendar="", lag_days=lag,
                from_on=start,
            ),
        )  # fmt: skip
    fees = (FeeLine(currency="EUR", fixed_minor=25, ppm=14_000),)
    made = await agreements.add_schedule(tx, PROCESSOR, start, fees)
    await agreements.approve_schedule(tx, PROCESSOR, made.version, single_operator=True)


async def _bare(db: Database, lines: int) -> float:
    began = time.perf_counter()
    await as_owner(
        db,
        f"CREATE TABLE bare AS SELECT * FROM billing.payment LIMIT {lines}",
        f"INSERT INTO bare SELECT * FROM billing.payment LIMIT {lines}",
        "DROP TABLE bare",
    )
    return time.perf_counter() - began


async def _pass(db: Database) -> tuple[Any, float]:
    began = time.perf_counter()
    run = await match_lines(db, ACTOR)
    return run, round(time.perf_counter() - began, 2)


if __name__ == "__main__":
    main(measure, lines=1_000_000)
