"""Which run is drafted when: periods follow each other, and one run of an entity is at work at a time.

A child run is of the same period as its parent, which is final, and bills the merchants that this one has parked.
"""

from datetime import date
from typing import Any

from billing.runs import store
from billing.runs.model import Period, Run, RunState, check_payout_day, period_named
from billing.runs.schedules import store as schedules
from marketplace.core import audit, work
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict
from marketplace.flows.books.roll_ledger import batches
from marketplace.flows.runs.run_billing_buckets import PREVIEW

ENTRIES_PER_BUCKET = 150_000


_HEADS = """
SELECT h.merchant_id, h.last_entry_no + 1 AS entries FROM billing.ledger_head h
WHERE h.entity_id = :entity {which} ORDER BY h.merchant_id
"""
_OPEN = "AND (h.closed_through IS NULL OR h.closed_through < :closed)"
_BILLED = "AND EXISTS (SELECT FROM billing.statement s WHERE s.merchant_id = h.merchant_id AND s.run_id = :run)"


async def draft(tx: Tx, period: Period, entity_id: int | None, payout_on: date | None) -> Run:
    """The period's run, to be previewed: drafted, or back from previewed. One that is approved is left as it is.

    Raises Conflict when the period has not begun or does not follow the last one billed; Invalid for the payout day.
    """
    await one_at_a_time(tx)
    entity_id = await store.only_entity(tx, entity_id)
    if payout_on is not None:
        check_payout_day(period, payout_on)
    run = await store.find_live_run(tx, entity_id, period)
    if run is not None and run.period != period:
        raise Conflict(f"run {run.run_id} of {run.period.name} begins on {run.from_on}, too: reverse or abort it first")
    if run is None:
        await _check_begun(tx, entity_id, period)
        await _check_follows(tx, entity_id, period)
        run = await store.insert_run(tx, entity_id, period, payout_on or period.to_on)
        await audit.record(tx, "billing run drafted", f"billing_run:{run.run_id}", period=period.name)
    return await _to_preview(tx, run, payout_on)


async def draft_child(tx: Tx, parent_id: int, payout_on: date | None) -> Run:
    """The run of what this one has parked, to be previewed; its payouts are booked on the parent's day, or another.

    Raises NotFound; Conflict when the parent is not final or has parked nobody, or while another run is at work.
    """
    await one_at_a_time(tx)
    parent = await store.get_run(tx, parent_id)
    if payout_on is not None:
        check_payout_day(parent.period, payout_on)
    run = await store.find_child(tx, parent_id)
    if run is None:
        if parent.state != RunState.FINALISED:
            raise Conflict(f"run {parent_id} is {parent.state}: what it has parked is billed once it is final")
        if not await _open_books(tx, parent):
            raise Conflict(f"run {parent_id} has left nobody out, or a child of it has billed them")
        await _check_alone(tx, parent.entity_id)
        run = await store.insert_child(tx, parent, payout_on or parent.payout_on)
        await audit.record(
            tx, "billing run drafted", f"billing_run:{run.run_id}", period=run.period.name, parent_run_id=parent_id
        )
    return await _to_preview(tx, run, payout_on)


async def due_period(tx: Tx, entity_id: int) -> Period | None:
    """The period that an entity's schedule bills next, once its last day is over where the entity is.

    None before, and while another run is at work, and for a period that a person has aborted or reversed.
    """
    stored = await schedules.get_schedule(tx, entity_id)
    period = period_named(stored.next_period)
    if not stored.schedule.active or period.to_on > await store.local_today(tx, entity_id):
        return None
    if await store.find_run_at_work(tx, entity_id) or await store.was_given_up(tx, entity_id, period):
        return None
    return period


async def draft_due(tx: Tx, entity_id: int) -> Run | None:
    """The run that is due by the entity's schedule, drafted to be previewed, unless another process has seen to it."""
    await one_at_a_time(tx)
    period = await due_period(tx, entity_id)
    if period is None:
        return None
    schedule = (await schedules.get_schedule(tx, entity_id)).schedule
    run = await store.insert_run(tx, entity_id, period, schedule.payout_on(period))
    await audit.record(tx, "billing run drafted", f"billing_run:{run.run_id}", period=period.name, by_schedule=True)
    return await _to_preview(tx, run, None)


async def plan(tx: Tx, run: Run, kind: str, *, only_open: bool) -> None:
    """A batch over the entity's merchants (those whose books are still open in the run's period, or all it has billed).

    Once the period is final, those are open that it has left out. The buckets hold about ENTRIES_PER_BUCKET journal
    entries each.
    """
    which = ""
    bound: dict[str, Any] = {}
    if only_open:
        which, bound = _OPEN, {"closed": run.period.last_on}
    elif run.parent_run_id is not None:
        which, bound = _BILLED, {"run": run.run_id}
    heads = await tx.rows(_HEADS.format(which=which), entity=run.entity_id, **bound)
    buckets = batches(((row.merchant_id, row.entries) for row in heads), ENTRIES_PER_BUCKET)
    payloads = [{"run_id": run.run_id, "merchants": merchants} for merchants in buckets]
    batch_id = await work.plan(tx, kind, {"run_id": run.run_id}, payloads)
    await store.set_batch(tx, run.run_id, batch_id)


async def one_at_a_time(tx: Tx) -> None:
    """Hold the decision which run is the newest until the transaction ends."""
    await tx.execute("SELECT pg_advisory_xact_lock(hashtext('billing_run'))")


async def _to_preview(tx: Tx, run: Run, payout_on: date | None) -> Run:
    if payout_on is not None and payout_on != run.payout_on:
        run = await store.set_payout_day(tx, run.run_id, payout_on)
    if run.state == RunState.DRAFT and run.batch_id is not None:  # interrupted while previewing
        await work.retry_parked(tx, run.batch_id)
        return run
    if run.state == RunState.PREVIEWED:
        run = await store.move_run(tx, run.run_id, RunState.DRAFT)
    if run.state != RunState.DRAFT:
        return run
    await plan(tx, run, PREVIEW, only_open=True)
    return await store.get_run(tx, run.run_id)


async def _open_books(tx: Tx, run: Run) -> bool:
    bound = {"entity": run.entity_id, "closed": run.period.last_on}
    found: bool = await tx.scalar(f"SELECT EXISTS ({_HEADS.format(which=_OPEN)})", **bound)
    return found


async def _check_begun(tx: Tx, entity_id: int, period: Period) -> None:
    today = await store.local_today(tx, entity_id)
    if period.from_on > today:
        raise Conflict(f"{period.name} has not begun: today is {today}")


async def _check_alone(tx: Tx, entity_id: int) -> None:
    other = await store.find_run_at_work(tx, entity_id)
    if other is not None:
        raise Conflict(f"run {other.run_id} of {other.period.name} is {other.state}: finalise or abort it first")


async def _check_follows(tx: Tx, entity_id: int, period: Period) -> None:
    """Windows are contiguous: a period is billed after the one before it, and never before a later one."""
    await _check_alone(tx, entity_id)
    newest = await store.find_newest_run(tx, entity_id)
    if newest is not None and newest.to_on != period.from_on:
        raise Conflict(
            f"{newest.period.name} is the last period billed, so the next one begins on {newest.to_on},"
            f" as {period.name} does not"
        )
