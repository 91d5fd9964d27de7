"""Billing runs: what a statement says, what a run may do when, and how it is undone."""

import json
from datetime import date, datetime, timedelta
from itertools import product
from typing import Any

import pytest

from billing.contracts.terms import Terms
from billing.ledger import store as ledger
from billing.runs import store
from billing.runs.model import COLUMNS, MOVES, RunState, check_move, period_named
from marketplace.core import policies
from marketplace.core.clock import FixedClock
from marketplace.core.db import STAFF, WORKER, Database, Tx
from marketplace.core.errors import Conflict, Forbidden, Invalid, NotFound
from marketplace.core.work import BatchFailed
from marketplace.flows.commission import settle_orders
from marketplace.flows.commission.apply_contracts import apply_versions
from marketplace.flows.commission.settle_orders import settle_through
from marketplace.flows.runs import run_billing_buckets
from marketplace.flows.runs.run_billing import approve_run, finalise_run, reverse_run, run_period
from tests.billing.market import (
    CHECKER,
    JULY,
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
    prepare,
    settled_market,
    statements,
)
from tests.builders import add_orders
from tests.conftest import NOW

APRIL_20, MAY_10, MAY_20, JUNE_5 = date(2018, 4, 20), date(2018, 5, 10), date(2018, 5, 20), date(2018, 6, 5)
ONE_ORDER = {"goods": 12000, "commission": -1200, "vat": -240}


# --- the pure part -------------------------------------------------------------------------------------------------


def test_a_run_ends_reversed_or_aborted_and_is_final_only_after_approval() -> None:
    for now, then in product(RunState, RunState):
        if then in MOVES[now]:
            check_move(1, now, then)
        else:
            with pytest.raises(Conflict, match=f"run 1 is {now}; it cannot become {then}"):
                check_move(1, now, then)
    assert {state for state in RunState if not MOVES[state]} == {RunState.REVERSED, RunState.ABORTED}
    assert [now for now in RunState if RunState.FINALISING in MOVES[now]] == [RunState.APPROVED]
    assert [now for now in RunState if RunState.FINALISED in MOVES[now]] == [RunState.FINALISING]
    assert [now for now in RunState if RunState.REVERSING in MOVES[now]] == [RunState.FINALISED]


def test_a_period_is_a_calendar_month() -> None:
    assert (MAY.from_on, MAY.to_on, MAY.last_on, MAY.name) == (
        date(2018, 5, 1), date(2018, 6, 1), date(2018, 5, 31), "2018-05",
    )  # fmt: skip
    assert period_named("2018-12").to_on == date(2019, 1, 1)


@pytest.mark.parametrize("name", ["2018-5", "2018-13", "2018-00", "201805", "2018-05-01", "", "2018/05", "9999-12"])
def test_what_is_no_month_is_refused(name: str) -> None:
    with pytest.raises(Invalid, match="period"):
        period_named(name)


# --- what a statement says -----------------------------------------------------------------------------------------


async def test_two_months_in_a_row(db: Database) -> None:
    orders = [order(1, 1, APRIL_20), order(1, 2, MAY_10), order(1, 3, MAY_20), order(2, 4, MAY_20), order(1, 5, JUNE_5)]
    await settled_market(db, orders, JUNE_5)
    first = await billed(db)
    assert first.run.state == RunState.FINALISED
    may = await statements(db, first.run.run_id)
    assert {key: figures(one) for key, one in may.items()} == {
        # What was earned before the first period is its opening; 2 orders of 120.00 at 10 % and 20 % VAT on that.
        (1, "EUR"): {
            "opening": NET_OF_120, "goods": 24000, "commission": -2400, "vat": -480, "closing": 3 * NET_OF_120,
        },
        (2, "EUR"): {**ONE_ORDER, "closing": NET_OF_120},
    }  # fmt: skip
    assert (may[1, "EUR"].orders, may[1, "EUR"].from_on, may[1, "EUR"].to_on) == (2, MAY.from_on, MAY.to_on)
    assert await payouts(db, first.run.run_id) == {(1, "EUR"): 3 * NET_OF_120, (2, "EUR"): NET_OF_120}
    assert await payable(db, 1) == {"EUR": NET_OF_120}  # June's order

    second = await billed(db, JUNE)
    june = await statements(db, second.run.run_id)
    assert {key: figures(one) for key, one in june.items()} == {
        (1, "EUR"): {"opening": 3 * NET_OF_120, **ONE_ORDER, "payout": -3 * NET_OF_120, "closing": NET_OF_120},
        (2, "EUR"): {"opening": NET_OF_120, "payout": -NET_OF_120},
    }
    assert await payouts(db, second.run.run_id) == {(1, "EUR"): NET_OF_120}
    third = await statements(db, (await billed(db, JULY)).run.run_id)
    assert {key: figures(one) for key, one in third.items()} == {
        (1, "EUR"): {"opening": NET_OF_120, "payout": -NET_OF_120},
        (2, "EUR"): {},  # billed once, billed every month: no gap in its windows
    }
    for one in [*may.values(), *june.values(), *third.values()]:
        assert one.closing_minor == one.opening_minor + sum(getattr(one, column) for column in COLUMNS)
    await check_books(db)


async def test_what_is_neither_order_nor_payout_stands_in_other(db: Database) -> None:
    await settled_market(db, [order(1, 1, MAY_10)])
    await db.write(WORKER, "test", ledger.post, [goodwill(1, 1, MAY_20, 500), goodwill(3, 2, MAY_20, -70)])
    run = (await billed(db)).run
    found = await statements(db, run.run_id)
    assert figures(found[1, "EUR"]) == {**ONE_ORDER, "other": 500, "closing": NET_OF_120 + 500}
    assert figures(found[3, "EUR"]) == {"other": -70, "closing": -70}
    assert await payouts(db, run.run_id) == {(1, "EUR"): NET_OF_120 + 500}  # nobody is paid less than nothing
    assert (2, "EUR") not in found
    await check_books(db)


async def test_a_merchant_with_two_currencies_has_two_statements_and_two_payouts(db: Database) -> None:
    dollars = Terms(name="usd", currency="USD", valid_from=date(2018, 1, 1), rate_ppm=50_000)
    await settled_market(db, [order(1, 1, MAY_10)])
    await db.write(WORKER, "test", apply_versions, [dollars])
    await db.write(WORKER, "test", add_orders, [order(1, 2, MAY_10, 20000)], currency="USD")
    await settle_through(db, MAKER, MAY.last_on)
    run = await billed(db)
    found = await statements(db, run.run.run_id)
    assert {key: figures(one) for key, one in found.items()} == {
        (1, "EUR"): {**ONE_ORDER, "closing": NET_OF_120},
        (1, "USD"): {"goods": 20000, "commission": -1000, "closing": 19000},
    }
    assert await payouts(db, run.run.run_id) == {(1, "EUR"): NET_OF_120, (1, "USD"): 19000}
    assert [(total.currency, total.payouts_minor) for total in run.totals] == [("EUR", NET_OF_120), ("USD", 19000)]
    second = await statements(db, (await billed(db, JUNE)).run.run_id)
    assert figures(second[1, "USD"]) == {"opening": 19000, "payout": -19000}
    await check_books(db)


async def test_a_payout_is_never_more_than_the_merchant_still_has(db: Database) -> None:
    await settled_market(db, [order(1, 1, MAY_10), order(2, 2, MAY_10), order(3, 3, MAY_10)])
    later = [goodwill(1, 1, JUNE_5, -560), goodwill(2, 2, JUNE_5, -NET_OF_120 - 1), goodwill(3, 3, JUNE_5, 99)]
    await db.write(WORKER, "test", ledger.post, later)
    run = (await billed(db)).run
    assert {one.closing_minor for one in (await statements(db, run.run_id)).values()} == {NET_OF_120}
    assert await payouts(db, run.run_id) == {(1, "EUR"): NET_OF_120 - 560, (3, "EUR"): NET_OF_120}
    assert (await payable(db, 1), await payable(db, 2), await payable(db, 3)) == ({}, {"EUR": -1}, {"EUR": 99})
    june = await statements(db, (await billed(db, JUNE)).run.run_id)
    assert figures(june[1, "EUR"]) == {"opening": NET_OF_120, "payout": 560 - NET_OF_120, "other": -560}
    await check_books(db)


async def test_the_preview_is_what_becomes_final(db: Database) -> None:
    await settled_market(db, [order(1, 1, APRIL_20), order(1, 2, MAY_10), order(2, 3, MAY_20)])
    run_id = (await run_period(db, MAKER, MAY)).run.run_id
    preview = await _raw_statements(db, run_id)
    assert preview
    await approve_run(db, CHECKER, run_id)
    await finalise_run(db, CHECKER, run_id)
    assert await _raw_statements(db, run_id) == preview
    await finalise_run(db, CHECKER, run_id)  # once more changes nothing
    assert await _raw_statements(db, run_id) == preview
    assert len(await payouts(db, run_id)) == 2
    await check_books(db)


async def _raw_statements(db: Database, run_id: int) -> list[str]:
    """The stored rows as text, but for the column that says whether they are final."""
    async with db.read(WORKER) as tx:
        rows = await tx.rows(
            """SELECT (to_jsonb(s) - 'state')::text AS line FROM billing.statement s
               WHERE run_id = :run ORDER BY merchant_id, currency""",
            run=run_id,
        )
    return [row.line for row in rows]


# --- what may happen when ------------------------------------------------------------------------------------------


async def test_steps_out_of_turn_are_refused(db: Database) -> None:
    with pytest.raises(NotFound, match="legal entity"):
        await run_period(db, MAKER, MAY)
    await settled_market(db, [order(1, 1, MAY_10)])
    for step in (approve_run, finalise_run, reverse_run):
        with pytest.raises(NotFound, match="no billing run 77"):
            await step(db, CHECKER, 77)
    run_id = (await run_period(db, MAKER, MAY)).run.run_id
    for step in (finalise_run, reverse_run):
        with pytest.raises(Conflict, match=f"run {run_id} is previewed"):
            await step(db, CHECKER, run_id)
    with pytest.raises(Conflict, match=f"run {run_id} of 2018-05 is previewed: finalise or abort it first"):
        await run_period(db, MAKER, JUNE)
    await approve_run(db, CHECKER, run_id)
    with pytest.raises(Conflict, match="it cannot become approved"):
        await approve_run(db, CHECKER, run_id)
    assert (await run_period(db, MAKER, MAY)).run.state == RunState.APPROVED  # not previewed under the checker's feet
    await finalise_run(db, CHECKER, run_id)
    for period in (JULY, period_named("2018-04")):
        with pytest.raises(Conflict, match=f"the next one begins on 2018-06-01, as {period.name} does not"):
            await run_period(db, MAKER, period)
    with pytest.raises(Conflict, match=f"run {run_id} of 2018-05 begins on 2018-05-01, too"):
        await run_period(db, MAKER, period_named("2018-05-01..2018-05-10"))
    assert (await run_period(db, MAKER, MAY)).run.state == RunState.FINALISED
    async with db.read(WORKER) as tx:
        assert [run.run_id for run in await store.list_runs(tx)] == [run_id]


async def test_the_maker_approves_only_where_the_policy_says_so_and_is_marked(db: Database) -> None:
    await db.write(STAFF, "admin", policies.switch, "single_operator", on=False)
    await settled_market(db, [order(1, 1, MAY_10)])
    run_id = (await run_period(db, MAKER, MAY)).run.run_id
    with pytest.raises(Forbidden, match="made by maker"):
        await approve_run(db, MAKER, run_id)
    await db.write(STAFF, "admin", policies.switch, "single_operator", on=True)
    assert (await approve_run(db, MAKER, run_id)).run.single_operator
    final = (await finalise_run(db, MAKER, run_id)).run
    assert (final.single_operator, final.made_by, final.approved_by) == (True, MAKER, MAKER)
    second = (await billed(db, JUNE)).run
    assert (second.single_operator, second.made_by, second.approved_by) == (False, MAKER, CHECKER)
    async with db.read(STAFF) as tx:
        marked = await tx.rows("SELECT action, subject FROM core.audit WHERE single_operator ORDER BY action")
    assert {(row.action, row.subject) for row in marked} == {
        (f"billing run {deed}", f"billing_run:{run_id}") for deed in ("approved", "finalising", "finalised")
    }


async def test_what_comes_late_settles_into_the_first_open_day(db: Database) -> None:
    await settled_market(db, [order(1, 1, MAY_10)])
    await billed(db)
    await db.write(WORKER, "test", add_orders, [order(1, 2, MAY_20), order(1, 3, JUNE_5)])
    assert (await settle_through(db, MAKER, JUNE_5)).orders == 2
    async with db.read(WORKER) as tx:
        rows = await tx.rows(
            """SELECT e.kind, e.source_id, e.occurred_at::date AS on, e.effective_on, e.prior_period
               FROM billing.entry e WHERE e.merchant_id = 1 AND e.source_id IN (2, 3) ORDER BY e.entry_no"""
        )
        months = {
            row.month for row in await tx.rows("SELECT month FROM billing.commission_month WHERE merchant_id = 1")
        }
    first_open = MAY.to_on
    assert [tuple(row) for row in rows] == [
        ("order_paid", 2, MAY_20, first_open, True),
        ("order_paid", 3, JUNE_5, JUNE_5, False),
        ("order_settled", 2, MAY_20, first_open, True),
        ("order_settled", 3, JUNE_5, JUNE_5, False),
    ]
    assert months == {MAY.from_on, JUNE.from_on}
    june = await statements(db, (await billed(db, JUNE)).run.run_id)
    assert (june[1, "EUR"].orders, june[1, "EUR"].goods_minor) == (2, 24000)
    await check_books(db)


async def test_entries_after_the_approval_send_those_merchants_back(db: Database) -> None:
    await settled_market(db, [order(1, 1, MAY_10), order(2, 2, MAY_10), order(3, 3, MAY_10)])
    run_id = (await run_period(db, MAKER, MAY)).run.run_id
    await approve_run(db, CHECKER, run_id)
    await db.write(WORKER, "test", ledger.post, [goodwill(2, 1, MAY_20, 500), goodwill(3, 2, JUNE_5, 500)])
    with pytest.raises(Conflict, match="posted to 1 merchants since the approval") as refused:
        await finalise_run(db, CHECKER, run_id)
    assert refused.value.extra == {"merchants": [2]}  # merchant 3 has a new entry, but the same May
    found = await statements(db, run_id)
    assert {merchant: one.state for (merchant, _), one in found.items()} == {1: "final", 2: "preview", 3: "final"}
    assert figures(found[2, "EUR"]) == {**ONE_ORDER, "other": 500, "closing": NET_OF_120 + 500}
    assert set(await payouts(db, run_id)) == {(1, "EUR"), (3, "EUR")}
    assert (await store_run(db, run_id)).state == RunState.PREVIEWED
    with pytest.raises(Conflict, match="is previewed"):
        await finalise_run(db, CHECKER, run_id)
    await approve_run(db, CHECKER, run_id)
    assert (await finalise_run(db, CHECKER, run_id)).run.state == RunState.FINALISED
    assert await payouts(db, run_id) == {
        (1, "EUR"): NET_OF_120, (2, "EUR"): NET_OF_120 + 500, (3, "EUR"): NET_OF_120,
    }  # fmt: skip
    await check_books(db)


async def store_run(db: Database, run_id: int) -> Any:
    async with db.read(WORKER) as tx:
        return await store.get_run(tx, run_id)


# --- undoing -------------------------------------------------------------------------------------------------------


async def test_a_reversed_run_leaves_every_balance_as_it_was_and_can_be_run_again(db: Database) -> None:
    await settled_market(db, [order(1, 1, APRIL_20), order(1, 2, MAY_10), order(2, 3, MAY_20)])
    before = [await payable(db, merchant) for merchant in (1, 2, 3)]
    first = await billed(db)
    rows = await _raw_statements(db, first.run.run_id)
    assert (await reverse_run(db, CHECKER, first.run.run_id)).run.state == RunState.REVERSED
    assert [await payable(db, merchant) for merchant in (1, 2, 3)] == before
    await check_books(db)
    async with db.read(WORKER) as tx:
        closed = await tx.rows("SELECT DISTINCT closed_through FROM billing.ledger_head")
        assert [row.closed_through for row in closed] == [None]
        assert await tx.scalar("SELECT closed_through FROM billing.entity") is None
        assert await tx.scalar("SELECT count(*) FROM billing.billing_window") == 0
        assert await tx.scalar("SELECT count(*) FROM billing.billing_window_history") == len(rows)
        left = await tx.rows(
            "SELECT account, sum(amount_minor) AS s FROM billing.posting WHERE account = 2020 GROUP BY 1"
        )
        assert [row.s for row in left] == [0]
    await reverse_run(db, CHECKER, first.run.run_id)  # once more changes nothing
    again = await billed(db)
    assert again.run.run_id != first.run.run_id
    keys = {"opening_minor", *COLUMNS, "closing_minor", "orders"}
    assert [_only(row, keys) for row in await _raw_statements(db, again.run.run_id)] == [_only(r, keys) for r in rows]
    assert again.totals == first.totals
    await check_books(db)
    june = await billed(db, JUNE)  # paid, cancelled and paid again on 1 June: the column shows what left
    assert figures((await statements(db, june.run.run_id))[2, "EUR"]) == {"opening": NET_OF_120, "payout": -NET_OF_120}
    with pytest.raises(Conflict, match=f"reverse {june.run.run_id} first"):
        await reverse_run(db, CHECKER, again.run.run_id)
    await reverse_run(db, CHECKER, june.run.run_id)
    await reverse_run(db, CHECKER, again.run.run_id)
    assert [await payable(db, merchant) for merchant in (1, 2, 3)] == before
    await check_books(db)


def _only(row: str, keys: set[str]) -> dict[str, Any]:
    return {name: value for name, value in json.loads(row).items() if name in keys}


async def test_a_run_whose_payout_has_left_the_house_is_not_reversed(db: Database) -> None:
    await settled_market(db, [order(1, 1, MAY_10)])
    run_id = (await billed(db)).run.run_id
    paid = "UPDATE billing.payout SET state = 'confirmed', bank_ref = 'B-1', confirmed_on = '2018-06-02'"
    await db.write(WORKER, "bank", Tx.execute, paid)
    with pytest.raises(Conflict, match="1 of its payouts have been confirmed"):
        await reverse_run(db, CHECKER, run_id)
    assert (await store_run(db, run_id)).state == RunState.FINALISED


# --- work that fails -----------------------------------------------------------------------------------------------


class TickingClock(FixedClock):
    """Ten seconds later each time it is read, so that an item's pause before its next attempt passes."""

    def now(self) -> datetime:
        self.move_to(super().now() + timedelta(seconds=10))
        return super().now()


@pytest.fixture
def clock() -> FixedClock:
    return TickingClock(NOW)


@pytest.mark.parametrize("kind", sorted(run_billing_buckets.HANDLERS))
async def test_a_bucket_that_keeps_failing_stops_the_step_and_is_tried_again_when_asked(
    db: Database, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    await settled_market(db, [order(1, 1, MAY_10), order(2, 2, MAY_10)])

    async def failing(tx: Tx, payload: Any) -> None:
        raise RuntimeError("the disk is full")

    async def whole() -> None:
        run = (await run_period(db, MAKER, MAY)).run
        if run.state == RunState.PREVIEWED:
            await approve_run(db, CHECKER, run.run_id)
        await finalise_run(db, CHECKER, run.run_id)
        await reverse_run(db, CHECKER, run.run_id)

    with monkeypatch.context() as patched:
        patched.setitem(run_billing_buckets.HANDLERS, kind, failing)
        with pytest.raises(BatchFailed, match="parked"):
            await whole()
    run = await store_run(db, 1)
    assert run.state == {"preview_run": "draft", "finalise_run": "finalising", "reverse_run": "reversing"}[kind]
    if kind == run_billing_buckets.REVERSE:
        await reverse_run(db, CHECKER, 1)
    else:
        await whole()
    assert (await store_run(db, 1)).state == RunState.REVERSED
    assert await payable(db, 1) == {"EUR": NET_OF_120}
    await check_books(db)


async def test_a_settlement_that_keeps_failing_says_so_and_the_next_pass_takes_the_orders(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await db.write(WORKER, MAKER, prepare, [order(1, 1, MAY_10), order(2, 2, MAY_10)])

    async def failing(tx: Tx, payload: Any) -> None:
        raise RuntimeError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setitem(settle_orders.HANDLERS, settle_orders.KIND, failing)
        with pytest.raises(BatchFailed, match="parked"):
            await settle_through(db, MAKER, MAY.last_on)
    assert (await settle_through(db, MAKER, MAY.last_on)).orders == 2
    await check_books(db)
