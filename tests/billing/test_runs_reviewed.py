"""Races and wrong turns of a run that a review found: each was once possible, and left books nobody could put right."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import date
from typing import Any

import msgspec
import pytest

from billing.ledger import roll
from billing.ledger import store as ledger
from billing.runs import store
from billing.runs.model import period_named
from marketplace.core import work
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import Conflict, Invalid
from marketplace.flows.books.roll_ledger import roll_ledger
from marketplace.flows.commission.apply_contracts import apply_versions
from marketplace.flows.commission.settle_orders import settle_bucket
from marketplace.flows.runs import draft_run, run_billing, run_billing_buckets
from marketplace.flows.runs.run_billing import abort_run, approve_run, finalise_run, reverse_run, run_period
from marketplace.flows.runs.run_billing_buckets import preview_bucket
from tests.billing.locks import wait_until_blocked
from tests.billing.market import (
    CHECKER,
    FLAT,
    JUNE,
    MAKER,
    MAY,
    billed,
    check_books,
    goodwill,
    order,
    payouts,
    prepare,
    settled_market,
)

MAY_10 = date(2018, 5, 10)


class Held:
    """A transaction that has done its work and keeps open until it is let go."""

    def __init__(self, db: Database, do: Callable[[Tx], Awaitable[Any]]) -> None:
        self._did, self._go = asyncio.Event(), asyncio.Event()
        self._do = do
        self._task = asyncio.create_task(db.write(WORKER, MAKER, self._run))

    async def _run(self, tx: Tx) -> None:
        await self._do(tx)
        self._did.set()
        await self._go.wait()

    async def did(self) -> None:
        await self._did.wait()

    async def let_go(self) -> None:
        self._go.set()
        await self._task


async def test_a_late_failure_does_not_undo_what_another_process_did(db: Database) -> None:
    done: list[int] = []

    async def handle(tx: Tx, payload: Any) -> dict[str, int]:
        done.append(1)
        return {"n": 1}

    batch = await db.write(WORKER, MAKER, work.plan, "kind", {}, [{}])
    await work.drain(db, batch, CHECKER, handle)
    await db.write(WORKER, MAKER, work._fail, batch, 1, RuntimeError("the connection broke while it committed"))
    ended = await work.drain(db, batch, MAKER, handle)
    assert (ended.done, ended.todo, ended.parked) == (1, 0, 0)
    assert done == [1]


async def test_a_slow_previewer_does_not_end_a_preview_that_began_after_its_own(db: Database) -> None:
    await settled_market(db, [order(m, m, MAY_10) for m in (1, 2, 3)])
    first = await db.write(WORKER, MAKER, draft_run.draft, MAY, None, None)
    assert first.batch_id is not None
    await work.drain(db, first.batch_id, MAKER, run_billing_buckets.HANDLERS[run_billing_buckets.PREVIEW])
    await db.write(WORKER, MAKER, run_billing._previewed, first.run_id)
    again = await db.write(WORKER, MAKER, draft_run.draft, MAY, None, None)
    late = await db.write(WORKER, MAKER, run_billing._previewed, first.run_id)
    assert late.state == "draft"
    with pytest.raises(Conflict, match="draft"):
        await approve_run(db, CHECKER, again.run_id)
    run = (await billed(db)).run
    assert set(await payouts(db, run.run_id)) == {(1, "EUR"), (2, "EUR"), (3, "EUR")}
    await check_books(db)


async def test_a_preview_at_work_keeps_its_run_a_draft(db: Database) -> None:
    await settled_market(db, [order(1, 1, MAY_10)])
    run = await db.write(WORKER, MAKER, draft_run.draft, MAY, None, None)
    bucket = {"run_id": run.run_id, "merchants": [1]}
    at_work = Held(db, lambda tx: preview_bucket(tx, bucket))
    await at_work.did()
    aborting = asyncio.create_task(abort_run(db, MAKER, run.run_id))
    await wait_until_blocked(db)
    await at_work.let_go()
    assert (await aborting).run.state == "aborted"
    assert await db.write(WORKER, MAKER, preview_bucket, bucket) == {"statements": 0}


async def test_no_month_is_drafted_while_the_one_before_is_reversed(db: Database) -> None:
    await settled_market(db, [order(1, 1, MAY_10)])
    run = (await billed(db)).run
    reversing = Held(db, lambda tx: run_billing._start_reversing(tx, run.run_id))
    await reversing.did()
    drafting = asyncio.create_task(db.write(WORKER, MAKER, draft_run.draft, JUNE, None, None))
    await wait_until_blocked(db)
    await reversing.let_go()
    with pytest.raises(Conflict, match="reversing"):
        await drafting
    await reverse_run(db, MAKER, run.run_id)
    assert (await billed(db)).run.state == "finalised"
    await check_books(db)


async def test_terms_do_not_change_while_orders_are_rated_under_them(db: Database) -> None:
    await db.write(WORKER, MAKER, prepare, [order(1, 1, MAY_10)])
    rating = Held(db, lambda tx: settle_bucket(tx, [1], date(2018, 5, 31)))
    await rating.did()
    dearer = msgspec.structs.replace(FLAT, rate_ppm=500_000)
    applying = asyncio.create_task(db.write(WORKER, MAKER, apply_versions, [dearer]))
    await wait_until_blocked(db)
    await rating.let_go()
    with pytest.raises(Conflict, match="sold or rated under it"):
        await applying


async def test_the_roll_up_is_rebuilt_next_to_a_roller(db: Database) -> None:
    await settled_market(db, [order(1, 1, MAY_10)])
    await db.write(WORKER, MAKER, ledger.post, [goodwill(1, 1, date(2018, 5, 5), 500)])
    rolling = Held(db, lambda tx: roll.roll_forward(tx, [1]))
    await rolling.did()
    rebuilding = asyncio.create_task(db.write(WORKER, MAKER, roll.rebuild))
    await wait_until_blocked(db)
    await rolling.let_go()
    await rebuilding
    await roll_ledger(db, MAKER)
    await check_books(db)


async def test_a_wrong_month_can_be_given_up(db: Database) -> None:
    await settled_market(db, [order(1, 1, MAY_10)])
    with pytest.raises(Conflict, match="has not begun"):
        await run_period(db, MAKER, period_named("2081-05"))
    wrong = (await run_period(db, MAKER, JUNE)).run
    with pytest.raises(Conflict, match="finalise or abort it first"):
        await run_period(db, MAKER, MAY)
    assert (await abort_run(db, MAKER, wrong.run_id)).totals == []
    run = (await billed(db)).run
    with pytest.raises(Conflict, match="finalised"):
        await abort_run(db, MAKER, run.run_id)
    await check_books(db)


async def test_a_month_is_not_approved_before_it_is_over(db: Database) -> None:
    await settled_market(db, [order(1, 1, MAY_10)])
    now = (await run_period(db, MAKER, period_named("2018-09"))).run
    with pytest.raises(Conflict, match="is not over"):
        await approve_run(db, CHECKER, now.run_id)


async def test_the_payout_day_can_be_moved_until_the_run_is_approved(db: Database) -> None:
    await settled_market(db, [order(1, 1, MAY_10)])
    await run_period(db, MAKER, MAY)
    run = (await run_period(db, MAKER, MAY, payout_on=date(2018, 6, 5))).run
    assert run.payout_on == date(2018, 6, 5)
    for day in (date(2018, 5, 31), date(9999, 1, 1)):
        with pytest.raises(Invalid, match="payout_on"):
            await run_period(db, MAKER, MAY, payout_on=day)
    await approve_run(db, CHECKER, run.run_id)
    with pytest.raises(Conflict, match="approved"):
        await run_period(db, MAKER, MAY, payout_on=date(2018, 6, 7))
    await finalise_run(db, CHECKER, run.run_id)
    async with db.read(WORKER) as tx:
        [payout] = await store.list_payouts(tx, run_id=run.run_id)
    assert payout.instructed_on == date(2018, 6, 5)
