"""Numbers without gaps: many at once, some of them undone, and merchants that share a series."""

import asyncio
from collections.abc import Sequence
from datetime import date
from itertools import count

import pytest

from billing.documents import store
from billing.documents.model import Category, Draft, Fact, Party, Subject, write
from billing.documents.store import Issue
from billing.ledger import store as ledger
from billing.runs.model import RunState
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.commission.settle_orders import settle_through
from marketplace.flows.runs import draft_run
from marketplace.flows.runs.run_billing import approve_run, finalise_run, run_period
from tests.billing.market import CHECKER, MAKER, MAY, check_books, order, prepare
from tests.builders import add_market
from tests.documents.market import MAY_10, of_run

SHARED = [17, 33, 49, 65, 2, 18, 34, 50]
"""Eight merchants of two series: the remainders of sixteen are 1 and 2."""


class Undone(Exception):
    """A transaction that dies after it has taken numbers."""


def drafts(merchant_id: int, run_id: int, count_of: int) -> list[Draft]:
    said = [
        Fact(
            merchant_id=merchant_id, currency="EUR", subject=Subject.CHARGE, category=Category.HARDWARE,
            vat_ppm=200_000, net_minor=100, vat_minor=20, source_id=source,
        )
        for source in range(count_of)
    ]  # fmt: skip
    return write(said, run_id)


async def number(tx: Tx, merchants: Sequence[int], run_id: int, *, dies: bool) -> None:
    for merchant_id in merchants:
        await ledger.lock_books(tx, merchant_id)
    day = date(2018, 5, 1)
    issue = Issue(run_id=run_id, entity_id=1, from_on=day, to_on=date(2018, 6, 1), issued_on=day)
    parties = {each: Party(name="x") for each in (0, *merchants)}
    made = [draft for merchant_id in merchants for draft in drafts(merchant_id, run_id, 1 + run_id % 3)]
    await store.insert_documents(tx, issue, made, parties)
    await asyncio.sleep(0)  # let the others come to where they wait for the series
    if dies:
        raise Undone


async def test_eight_at_once_of_which_some_die_leave_no_gap(db: Database) -> None:
    await db.write(WORKER, "test", add_market, SHARED)
    numbered = count(1)

    async def one(merchants: Sequence[int], *, dies: bool) -> int:
        run_id = next(numbered)
        try:
            await db.write(WORKER, "test", number, merchants, run_id, dies=dies)
        except Undone:
            return 0
        return len(merchants) * (1 + run_id % 3)

    for turn in range(4):  # each holds merchants of both series, in different ways
        done = await asyncio.gather(
            *(one([SHARED[place], SHARED[(place + 4) % 8]], dies=(place + turn) % 3 == 0) for place in range(8))
        )
        assert 0 in done
        assert any(done)
    async with db.read(WORKER) as tx:
        rows = await tx.rows(
            "SELECT series, array_agg(serial ORDER BY serial) AS serials FROM billing.document GROUP BY 1"
        )
        kept = dict(tuple(row) for row in await tx.rows("SELECT series, last_serial FROM billing.document_series"))
    assert {row.series for row in rows} == {"1-INV-01", "1-INV-02"}
    for row in rows:
        assert row.serials == list(range(1, kept[row.series] + 1))


async def test_eight_finalise_one_run_at_once(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bucket by bucket, each merchant of its own; two series for all of them."""
    monkeypatch.setattr(draft_run, "ENTRIES_PER_BUCKET", 1)
    orders = [order(merchant_id, place, MAY_10) for place, merchant_id in enumerate(SHARED, start=1)]
    await db.write(WORKER, MAKER, prepare, orders, SHARED)
    await settle_through(db, MAKER, date(2018, 5, 31))
    run = (await run_period(db, MAKER, MAY)).run
    await approve_run(db, CHECKER, run.run_id)
    done = await asyncio.gather(*(finalise_run(db, CHECKER, run.run_id) for _ in range(8)))
    assert {each.run.state for each in done} == {RunState.FINALISED}
    found = await of_run(db, run.run_id)
    assert sorted(one.number for one in found) == [
        f"1-INV-{series:02d}-{serial:06d}" for series in (1, 2) for serial in range(1, 5)
    ]
    assert sorted(one.document.merchant_id for one in found) == sorted(SHARED)
    await check_books(db)
