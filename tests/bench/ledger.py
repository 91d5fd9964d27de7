"""How long the questions take that finance asks of a large ledger, as the role that serves them."""

from functools import partial
from typing import Any

from billing.ledger import store as ledger
from billing.ledger.chart import Account
from marketplace.core.db import STAFF, Database
from marketplace.flows.commission.settle_orders import settle_through
from tests.bench.market import LAST_DAY, build_market
from tests.bench.scratch import ACTOR, as_owner, ask_owner, at_most, main, median_ms, scratch_database

BAR_MS = 50.0
TIMES = 20
BIGGEST = 1
"""The merchant of rank one has the most entries."""

BUSY, RARE = Account.PAYABLE, Account.ADJUSTMENTS
_RARE_ENTRIES = 3


async def measure(entries: int, merchants: int) -> dict[str, Any]:
    async with scratch_database() as db:
        await build_market(db, merchants=merchants, orders=entries // 2, exponent=0.78)
        await as_owner(db, *_RARE)
        await settle_through(db, ACTOR, LAST_DAY)
        stored = await ask_owner(db, "SELECT count(*) FROM billing.entry")
        of_biggest = await ask_owner(db, f"SELECT count(*) FROM billing.entry WHERE merchant_id = {BIGGEST}")
        taken = {
            "trial balance": await median_ms(TIMES, lambda: _trial_balance(db)),
            "newest lines, busy account, biggest merchant": await _lines_ms(db, BUSY, BIGGEST),
            "newest lines, rare account, biggest merchant": await _lines_ms(db, RARE, BIGGEST),
            "newest lines, busy account, all books": await _lines_ms(db, BUSY, None),
            "newest lines, rare account, all books": await _lines_ms(db, RARE, None),
        }
    return {
        "entries": stored,
        "entries_of_biggest_merchant": of_biggest,
        "median_of": TIMES,
        "bars": {f"{question}, ms": at_most(value, BAR_MS) for question, value in taken.items()},
    }


async def _trial_balance(db: Database) -> None:
    async with db.read(STAFF) as tx:
        lines = await ledger.trial_balance(tx)
    if sum(line.balance_minor for line in lines) != 0 or not lines:
        raise SystemExit("the trial balance does not balance")


async def _lines_ms(db: Database, account: Account, merchant_id: int | None) -> float:
    return await median_ms(TIMES, partial(_lines, db, account, merchant_id))


async def _lines(db: Database, account: Account, merchant_id: int | None) -> None:
    async with db.read(STAFF) as tx:
        lines = await ledger.account_lines(tx, account, merchant_id=merchant_id, limit=50)
    if len(lines) != (_RARE_ENTRIES if account is RARE else 50):
        raise SystemExit(f"account {account:d}: {len(lines)} lines")


# Goodwill given on a few days to the biggest merchant only, before what is settled comes on top of it.
_RARE = (
    f"""
INSERT INTO billing.entry (merchant_id, entry_no, kind, source_id, entity_id, currency, occurred_at, effective_on,
    prior_period, accounts, dimensions, amounts, posted_at, posted_by)
SELECT h.merchant_id, h.last_entry_no + n, 'goodwill', n, h.entity_id, 'EUR', '2018-05-02 12:00:00+00'::timestamptz,
       DATE '2018-05-02' + n * 7, false, ARRAY[{RARE:d}, {BUSY:d}], ARRAY[0, 0]::bigint[], ARRAY[500, -500],
       '2018-05-02 12:00:00+00', 'bench'
FROM billing.ledger_head h, generate_series(1, {_RARE_ENTRIES}) AS n WHERE h.merchant_id = {BIGGEST}
""",
    f"UPDATE billing.ledger_head SET last_entry_no = last_entry_no + {_RARE_ENTRIES} WHERE merchant_id = {BIGGEST}",
)


if __name__ == "__main__":
    main(measure, entries=1_000_000, merchants=2_000)
