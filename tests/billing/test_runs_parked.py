"""Parked merchants: left out of a run by name, picked up by its child, and together what one run would have billed."""

from datetime import date

import pytest

from billing.ledger import store as ledger
from billing.runs import store
from billing.runs.model import Period, RunState
from marketplace.core.db import STAFF, WORKER, Database, Tx
from marketplace.core.errors import Conflict
from marketplace.flows.runs.run_billing import abort_run, approve_run, finalise_run, reverse_run, run_parked, run_period
from tests.billing.market import (
    CHECKER,
    JUNE,
    MAKER,
    MAY,
    NET_OF_120,
    billed,
    check_books,
    figures,
    goodwill,
    order,
    payable,
    payouts,
    settled_market,
    statements,
)
from tests.billing.test_minimum import agree, charges

MAY_10, MAY_20, JUNE_5 = date(2018, 5, 10), date(2018, 5, 20), date(2018, 6, 5)
ORDERS = [order(1, 1, MAY_10), order(2, 2, MAY_10), order(2, 3, JUNE_5), order(3, 4, MAY_20)]


async def break_lines(db: Database, merchant_id: int, by: int = 1) -> None:
    """What was rated says another amount than what was posted; by the opposite amount it is mended again."""
    broken = f"UPDATE billing.commission_line SET goods_minor = goods_minor + {by} WHERE merchant_id = {merchant_id}"
    await db.write(WORKER, "test", Tx.execute, broken)


async def final_without_parked(db: Database, period: Period = MAY) -> int:
    run_id = (await run_period(db, MAKER, period)).run.run_id
    await approve_run(db, CHECKER, run_id, without_parked=True)
    assert (await finalise_run(db, CHECKER, run_id)).run.state == RunState.FINALISED
    return run_id


async def final_child(db: Database, parent_id: int, *, without_parked: bool = False) -> int:
    run_id = (await run_parked(db, MAKER, parent_id)).run.run_id
    await approve_run(db, CHECKER, run_id, without_parked=without_parked)
    assert (await finalise_run(db, CHECKER, run_id)).run.state == RunState.FINALISED
    return run_id


async def parked(db: Database, run_id: int) -> dict[int, str]:
    async with db.read(STAFF) as tx:
        return {one.merchant_id: one.reason for one in await store.list_parked(tx, run_id, limit=100)}


async def told(db: Database, *runs: int) -> dict[tuple[int, str], dict[str, int]]:
    """The final statements of these runs together; no merchant has two."""
    found: dict[tuple[int, str], dict[str, int]] = {}
    for run_id in runs:
        final = {key: figures(one) for key, one in (await statements(db, run_id)).items() if one.state == "final"}
        assert not found.keys() & final.keys()
        found |= final
    return found


async def test_parent_and_child_together_are_one_run_without_parking(db: Database) -> None:
    await settled_market(db, ORDERS, JUNE_5)
    await agree(db, 5_000)
    undisturbed = (await billed(db)).run.run_id
    expected, paid = await told(db, undisturbed), await payouts(db, undisturbed)
    await reverse_run(db, CHECKER, undisturbed)

    await break_lines(db, 2)
    run_id = (await run_period(db, MAKER, MAY)).run.run_id
    with pytest.raises(Conflict, match="1 statements do not tie, such as merchant 2: the ledger closes at"):
        await approve_run(db, CHECKER, run_id)
    assert list(await parked(db, run_id)) == [2]
    approved = await approve_run(db, CHECKER, run_id, without_parked=True)
    assert approved.parked == 1
    await finalise_run(db, CHECKER, run_id)
    assert set(await told(db, run_id)) == {(1, "EUR"), (3, "EUR")}
    await break_lines(db, 2, -1)
    await check_books(db)
    child_id = await final_child(db, run_id)
    assert await told(db, run_id, child_id) == expected
    assert await payouts(db, run_id) | await payouts(db, child_id) == paid
    assert set(await payouts(db, child_id)) == {(2, "EUR")}  # exactly whom the parent had parked
    await check_books(db)
    with pytest.raises(Conflict, match=f"run {child_id} has left nobody out"):
        await run_parked(db, MAKER, child_id)
    june = await statements(db, (await billed(db, JUNE)).run.run_id)
    assert figures(june[2, "EUR"])["opening"] == expected[2, "EUR"]["closing"]
    await check_books(db)


async def test_a_parked_merchant_that_owes_a_minimum_is_charged_by_the_child(db: Database) -> None:
    await settled_market(db, ORDERS)
    await agree(db, 5_000)
    await break_lines(db, 1)
    parent_id = await final_without_parked(db)
    assert await charges(db) == []
    await break_lines(db, 1, -1)
    child_id = await final_child(db, parent_id)
    assert await charges(db) == [(1, 5_000, 1_200, 3_800, 760, "posted")]
    assert (await told(db, child_id))[1, "EUR"]["other"] == -4_560
    await check_books(db)


async def test_the_next_period_does_not_overtake_what_an_earlier_one_has_parked(db: Database) -> None:
    await settled_market(db, ORDERS, JUNE_5)
    await break_lines(db, 2)
    may = await final_without_parked(db)
    await break_lines(db, 2, -1)
    june = await final_without_parked(db, JUNE)
    assert await parked(db, june) == {2: "parked in an earlier period, which comes first"}
    again = await final_child(db, june, without_parked=True)  # once more: May still comes first
    assert await told(db, again) == {}
    with pytest.raises(Conflict, match=f"reverse {again} first"):
        await reverse_run(db, CHECKER, may)
    await final_child(db, may)
    child_id = await final_child(db, again)
    assert (await told(db, child_id))[2, "EUR"] == {
        "opening": NET_OF_120, "goods": 12000, "commission": -1200, "vat": -240, "payout": -NET_OF_120,
        "closing": NET_OF_120,
    }  # fmt: skip
    await check_books(db)


async def test_a_child_is_reversed_before_its_parent_and_every_balance_is_as_it_was(db: Database) -> None:
    await settled_market(db, ORDERS)
    before = [await payable(db, merchant) for merchant in (1, 2, 3)]
    await break_lines(db, 2)
    parent_id = await final_without_parked(db)
    await break_lines(db, 2, -1)
    child_id = await final_child(db, parent_id)
    with pytest.raises(Conflict, match=f"reverse {child_id} first"):
        await reverse_run(db, CHECKER, parent_id)
    await reverse_run(db, CHECKER, child_id)
    assert set(await told(db, parent_id)) == {(1, "EUR"), (3, "EUR")}
    async with db.read(WORKER) as tx:
        closed = {row.merchant_id: row.closed_through for row in await tx.rows("SELECT * FROM billing.ledger_head")}
        assert await tx.scalar("SELECT closed_through FROM billing.entity") == MAY.last_on
    assert closed == {-1: MAY.last_on, 1: MAY.last_on, 2: None, 3: MAY.last_on}
    await check_books(db)
    again = await final_child(db, parent_id)
    await reverse_run(db, CHECKER, again)
    await reverse_run(db, CHECKER, parent_id)
    assert [await payable(db, merchant) for merchant in (1, 2, 3)] == before
    await check_books(db)
    assert len((await billed(db)).totals) == 1
    await check_books(db)


async def test_a_merchant_is_parked_with_all_its_currencies_and_its_books_take_entries_on(db: Database) -> None:
    await settled_market(db, ORDERS)
    await db.write(WORKER, "test", ledger.post, [goodwill(2, 1, MAY_20, 300, currency="USD")])
    await break_lines(db, 2)
    parent_id = await final_without_parked(db)
    async with db.read(STAFF) as tx:
        rows = await store.list_parked(tx, parent_id, limit=100)
    assert [(row.merchant_id, row.currency) for row in rows] == [(2, "EUR"), (2, "USD")]
    assert rows[1].reason == "parked with EUR"
    await db.write(WORKER, "test", ledger.post, [goodwill(2, 2, MAY_20, 50), goodwill(1, 3, MAY_20, 7)])
    await break_lines(db, 2, -1)
    child = await told(db, await final_child(db, parent_id))
    assert child[2, "EUR"]["other"] == 50  # May was open to it, and closed to the other merchant
    assert child[2, "USD"] == {"other": 300, "closing": 300}
    assert await payable(db, 1, MAY.last_on) == {"EUR": NET_OF_120}
    await check_books(db)


async def test_a_child_needs_a_final_parent_that_has_left_somebody_out(db: Database) -> None:
    await settled_market(db, ORDERS)
    await break_lines(db, 2)
    run_id = (await run_period(db, MAKER, MAY)).run.run_id
    with pytest.raises(Conflict, match=f"run {run_id} is previewed: what it has parked"):
        await run_parked(db, MAKER, run_id)
    await approve_run(db, CHECKER, run_id, without_parked=True)
    await finalise_run(db, CHECKER, run_id)
    child_id = (await run_parked(db, MAKER, run_id)).run.run_id
    assert list(await parked(db, child_id)) == [2]  # not mended: parked again, and nothing is final of it
    assert (await run_parked(db, MAKER, run_id)).run.run_id == child_id
    with pytest.raises(Conflict, match=f"run {child_id} of 2018-05 is previewed: finalise or abort it first"):
        await run_period(db, MAKER, JUNE)
    await abort_run(db, MAKER, child_id)
    assert await parked(db, child_id) == {}
    await break_lines(db, 2, -1)
    assert set(await told(db, await final_child(db, run_id))) == {(2, "EUR")}
    await check_books(db)
