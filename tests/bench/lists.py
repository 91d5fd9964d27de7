"""How long the database takes for a page of a long list, whichever way that is sorted, at its begin and far into it."""

from datetime import UTC, date, datetime
from typing import Any

import msgspec

from marketplace.consoles.finance_lists_queries import BREAKS, DISPUTES, PAYOUTS
from marketplace.consoles.lists import Listing, Roll, Sort
from marketplace.consoles.lists_queries import ORDERS
from marketplace.consoles.people_queries import AUDIT
from marketplace.core.db import STAFF, Database
from tests.bench.scratch import as_owner, at_most, main, median_ms, note, scratch_database

BAR_MS = 100.0
_TIMES = 5
_NOW = datetime(2018, 9, 1, tzinfo=UTC)
_BOUND: dict[str, dict[str, Any]] = {
    "audit": {},
    "payouts": {"now": None},
    "disputes": {"now": None},
    "breaks": {
        "kind": None, "state": None, "owner": None, "entity": 1, "early": True, "today": _NOW.date(), "at": _NOW,
    },
    "orders": {
        "merchant": 1, "currency": "EUR", "first": date(1, 1, 1), "last": date(9999, 12, 31),
        "state": None,
    },
}  # fmt: skip
_FILLED = """
INSERT INTO supply.merchant (merchant_id, merchant_ref, name, entity_id, created_at) SELECT n, 'M' || n, 'Merchant '
|| md5(n::text), 1, now() FROM generate_series(1, {merchants}) n;
INSERT INTO core.audit (audit_id, at, actor, action, subject, detail) SELECT n, '2017-01-01'::timestamptz + n *
interval '1 minute', 'person-' || n % 97, 'did something', 'order:' || n % 50021, '{{}}' FROM generate_series(1,
{deeds}) n;
INSERT INTO billing.payout (merchant_id, payout_id, run_id, currency, amount_minor, instructed_on, state) SELECT 1 + n
% {merchants}, n, 1 + n / {merchants}, 'EUR', 1 + (n * 7919::bigint) % 100000, '2015-01-01'::date + (n / {merchants})
* 7, 'instructed' FROM generate_series(1, {payouts}) n;
INSERT INTO demand.dispute (merchant_id, dispute_id, dispute_ref, order_id, buyer_id, payment_id, processor_id,
currency, amount_minor, fee_minor, state, recourse, opened_at, due_on) SELECT 1 + n % {merchants}, n, 'D' || n, n, 1,
n, 1, 'EUR', 1 + (n * 7919::bigint) % 100000, 1500, 'open', true, '2017-01-01'::timestamptz + n * interval '1 minute',
'2018-01-01' FROM generate_series(1, {disputes}) n;
INSERT INTO billing.recon_break (break_id, subject, kind, state, entity_id, currency, amount_minor, detail,
expected_on, opened_at) SELECT n, 'item:' || n, 'amount', 'open', 1, 'EUR', n % 1000, 'order_paid', '2018-01-01'::date
+ n % 200, '2018-01-01' FROM generate_series(1, {breaks}) n;
INSERT INTO demand.merchant_order (merchant_id, order_id, order_ref, purchase_id, buyer_id, entity_id, currency,
state, goods_minor, freight_minor, placed_at, purchased_on) SELECT 1, n, 'O' || n, n, 1, 1, 'EUR', 'paid', (n *
7919::bigint) % 100000, 100, '2017-01-01'::timestamptz + n * interval '1 minute', '2017-01-01'::date + (n / 1440)::int
FROM generate_series(1, {orders}) n;
"""


async def measure(merchants: int, deeds: int, payouts: int, disputes: int, breaks: int, orders: int) -> dict[str, Any]:
    """Long tables, filled past their keys, and the first and a far page of each list over them."""
    sizes = {
        "merchants": merchants, "deeds": deeds, "payouts": payouts, "disputes": disputes, "breaks": breaks,
        "orders": orders,
    }  # fmt: skip
    async with scratch_database() as db:
        filling = [each for each in _FILLED.format(**sizes).split(";") if each.strip()]
        await as_owner(db, "SET session_replication_role = replica", *filling, "RESET session_replication_role")
        await as_owner(db, "VACUUM ANALYZE")
        taken: dict[str, float] = {}
        for roll in (AUDIT, PAYOUTS, DISPUTES, BREAKS, ORDERS):
            for key in roll.sorts:
                for falling in (False, True):
                    name = f"{roll.name} by {'-' if falling else ''}{key}"
                    taken[name] = await _timed(db, roll, Sort(key, falling))
                    note(f"{taken[name]} ms: {name}")
    return {**sizes, "ms": taken, "bars": {name: at_most(ms, BAR_MS) for name, ms in taken.items()}}


async def _timed(db: Database, roll: Roll, sort: Sort) -> float:
    """The slower one of the first page and one behind the middle."""
    listing = Listing(roll, "/", "/.csv", {}, _BOUND[roll.name], (), sort, None, is_file=False)
    by = roll.sorts[sort.key].sorted_by
    place = f"SELECT {', '.join((by, *roll.key))} FROM ({roll.query}) AS r WHERE {by} IS NOT NULL"

    async def first() -> None:
        async with db.read(STAFF) as tx:
            await listing.page(tx)

    async with db.read(STAFF) as tx:
        middle = await tx.row(f"{place} OFFSET (SELECT count(*) / 2 FROM ({place}) AS n) LIMIT 1", **listing.bound)
    if middle is None:
        return await median_ms(_TIMES, first)
    behind = msgspec.structs.replace(listing, after=tuple(middle))

    async def far() -> None:
        async with db.read(STAFF) as tx:
            await behind.page(tx)

    return max(await median_ms(_TIMES, first), await median_ms(_TIMES, far))


if __name__ == "__main__":
    main(measure, merchants=10_000, deeds=1_000_000, payouts=500_000, disputes=50_000, breaks=50_000, orders=50_000)
