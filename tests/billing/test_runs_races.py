"""Finalising next to everything else that writes: other finalisers, new merchants, postings into the period."""

import asyncio
from datetime import date

import pytest

from billing.ledger import store as ledger
from billing.runs.model import RunState
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import Conflict
from marketplace.flows.runs import draft_run, run_billing
from marketplace.flows.runs.run_billing import approve_run, finalise_run, reverse_run, run_period
from tests.billing.locks import wait_until_blocked
from tests.billing.market import (
    CHECKER,
    MAKER,
    MAY,
    NET_OF_120,
    billed,
    check_books,
    goodwill,
    order,
    payable,
    payouts,
    settled_market,
    statements,
)
from tests.builders import ENTITY

MAY_10, MAY_20 = date(2018, 5, 10), date(2018, 5, 20)


@pytest.fixture
async def market(db: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    """Three merchants with an order each, taken in buckets of one."""
    monkeypatch.setattr(draft_run, "ENTRIES_PER_BUCKET", 1)
    await settled_market(db, [order(merchant, merchant, MAY_10) for merchant in (1, 2, 3)])
    return db


async def approved(db: Database) -> int:
    run_id = (await run_period(db, MAKER, MAY)).run.run_id
    await approve_run(db, CHECKER, run_id)
    return run_id


async def test_many_may_preview_finalise_and_reverse_at_once(market: Database) -> None:
    drafted = await asyncio.gather(*(run_period(market, MAKER, MAY) for _ in range(4)))
    assert len({result.run.run_id for result in drafted}) == 1
    run_id = (await run_period(market, MAKER, MAY)).run.run_id
    await approve_run(market, CHECKER, run_id)
    results = await asyncio.gather(*(finalise_run(market, f"clerk {n}", run_id) for n in range(4)))
    assert {result.run.state for result in results} == {RunState.FINALISED}
    assert await payouts(market, run_id) == {(merchant, "EUR"): NET_OF_120 for merchant in (1, 2, 3)}
    async with market.read(WORKER) as tx:
        for deed in ("finalising", "finalised"):
            done = await tx.scalar("SELECT count(*) FROM core.audit WHERE action = :deed", deed=f"billing run {deed}")
            assert done == 1, deed
    await check_books(market)
    undone = await asyncio.gather(*(reverse_run(market, f"clerk {n}", run_id) for n in range(4)))
    assert {result.run.state for result in undone} == {RunState.REVERSED}
    assert [await payable(market, merchant) for merchant in (1, 2, 3)] == 3 * [{"EUR": NET_OF_120}]
    await check_books(market)


async def test_a_merchant_that_joins_while_a_run_is_finalised_is_closed_with_it(market: Database) -> None:
    run_id = await approved(market)
    await market.write(WORKER, CHECKER, run_billing._start_finalising, run_id)
    await market.write(WORKER, "test", ledger.open_books, [4, 5], ENTITY)
    await market.write(WORKER, "test", ledger.post, [goodwill(5, 1, MAY_20, 500)])
    with pytest.raises(Conflict, match="posted to 1 merchants") as refused:
        await finalise_run(market, CHECKER, run_id)
    assert refused.value.extra == {"merchants": [5]}
    await approve_run(market, CHECKER, run_id)
    await finalise_run(market, CHECKER, run_id)
    assert (await payouts(market, run_id))[5, "EUR"] == 500
    await market.write(WORKER, "test", ledger.open_books, [6], ENTITY)
    async with market.read(WORKER) as tx:
        heads = await tx.rows("SELECT merchant_id, closed_through FROM billing.ledger_head ORDER BY 1")
    assert [tuple(head) for head in heads] == [(merchant, MAY.last_on) for merchant in (-1, 1, 2, 3, 4, 5, 6)]


async def test_books_opened_in_a_transaction_that_ends_after_the_closing_are_closed_too(market: Database) -> None:
    run_id = await approved(market)
    opened, release = asyncio.Event(), asyncio.Event()

    async def open_and_hold(tx: Tx) -> None:
        await ledger.open_books(tx, [4], ENTITY)
        opened.set()
        await release.wait()

    joining = asyncio.create_task(market.write(WORKER, "test", open_and_hold))
    await opened.wait()
    finalising = asyncio.create_task(finalise_run(market, CHECKER, run_id))
    await wait_until_blocked(market)
    assert not finalising.done()
    release.set()
    await joining
    assert (await finalising).run.state == RunState.FINALISED
    async with market.read(WORKER) as tx:
        closed = await tx.scalar("SELECT closed_through FROM billing.ledger_head WHERE merchant_id = 4")
    assert closed == MAY.last_on


async def test_what_is_posted_while_a_period_closes_is_in_the_period_and_its_statement_or_in_neither(
    market: Database,
) -> None:
    """Posters keep wishing for a day of May; whatever the moment, an entry in May is an entry on May's statement."""
    run_id = await approved(market)
    stop = asyncio.Event()
    posted = 0

    async def poster(number: int) -> None:
        nonlocal posted
        for turn in range(10_000):
            merchant = 1 + (number + turn) % 3
            await market.write(WORKER, "t", ledger.post, [goodwill(merchant, 10_000 * number + turn, MAY_20, 1)])
            posted += 1
            if stop.is_set():
                return
            await asyncio.sleep(0.01)

    posters = [asyncio.create_task(poster(number)) for number in range(1, 5)]
    rounds = 0
    while True:
        rounds += 1
        if rounds == 4:
            stop.set()
            await asyncio.gather(*posters)
        try:
            await finalise_run(market, CHECKER, run_id)
            break
        except Conflict:  # some statements changed
            await approve_run(market, CHECKER, run_id)
    stop.set()
    await asyncio.gather(*posters)
    assert rounds > 1  # else nothing was posted in between and nothing was shown
    async with market.read(WORKER) as tx:
        in_may = {
            row.merchant_id: row.n
            for row in await tx.rows(
                """SELECT merchant_id, count(*) AS n FROM billing.entry
                   WHERE kind = 'goodwill' AND effective_on < :end GROUP BY 1""",
                end=MAY.to_on,
            )
        }
        late = await tx.scalar(
            "SELECT count(*) FROM billing.entry WHERE kind = 'goodwill' AND prior_period AND effective_on = :first",
            first=MAY.to_on,
        )
    assert sum(in_may.values()) + late == posted
    found = await statements(market, run_id)
    assert {merchant: one.other_minor for (merchant, _), one in found.items()} == in_may
    await check_books(market)


async def test_a_second_run_over_the_same_books_needs_the_first_to_be_final(market: Database) -> None:
    first = await billed(market)
    both = await asyncio.gather(*(run_period(market, f"maker {n}", MAY) for n in range(3)))
    assert {result.run.run_id for result in both} == {first.run.run_id}
