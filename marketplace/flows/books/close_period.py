"""The end of a month: soft-closed to all but finance's journals, closed under a seal, reopened by two people.

A month is soft-closed once its billing runs are final; its days then are closed in every set of books, and whatever
comes late is posted on the first open day (`billing.ledger.store.post`). The hard close proves the checklist and seals
the entries in one transaction that holds the entity, for which a journal by hand waits; everything else goes on.
"""

from datetime import date, timedelta

import msgspec

from billing.periods import store
from billing.periods.model import (
    BookPeriod,
    BreakApproval,
    Check,
    CheckState,
    PeriodState,
    Seal,
    check_move,
    month_named,
    month_of,
)
from billing.periods.store import Entity
from billing.runs.model import Period
from billing.runs.store import find_newest_run, find_run_at_work, only_entity
from marketplace.core import audit, last_checks, outbox, policies
from marketplace.core.clock import local_date
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, Invalid
from marketplace.core.months import add_months
from marketplace.flows.books.check_period import check_closable, check_period
from marketplace.flows.runs.draft_run import one_at_a_time


class Month(msgspec.Struct, frozen=True, kw_only=True):
    """A month "YYYY-MM" of a legal entity, which needs a name only where there are several."""

    month: str
    entity_id: int | None = None


class ApproveBreak(msgspec.Struct, frozen=True, kw_only=True):
    """What a proof of a month has found, and why the month may be closed with it."""

    month: Month
    check: str
    reason: str


class PeriodView(msgspec.Struct, frozen=True, kw_only=True):
    """A month with its checklist, and every seal that it ever had, the oldest first."""

    period: BookPeriod
    checks: list[Check]
    seals: list[Seal]


async def read_period(tx: Tx, month: Month) -> PeriodView:
    """A month as it stands, its proofs run anew. Raises NotFound, Invalid."""
    entity_id = await only_entity(tx, month.entity_id)
    period = await store.get_period(tx, entity_id, month_named(month.month).from_on)
    checks = await check_period(tx, period)
    return PeriodView(period=period, checks=checks, seals=await store.list_seals(tx, entity_id, period.month_on))


async def soft_close(tx: Tx, month: Month) -> BookPeriod:
    """Close a month to everything but journals by hand, which takes it as its closer's maker.

    The first month that an entity closes takes all before it into its seal. Raises NotFound; Conflict when it is not
    over, not billed, sealed with a later one, when books of it are parked, or the month before is open.
    """
    await one_at_a_time(tx)  # of runs: none may begin or be reversed meanwhile
    entity_id = await only_entity(tx, month.entity_id)
    span = month_named(month.month)
    entity = await store.get_entity(tx, entity_id)
    await _check_billed(tx, entity, span)
    await store.close_heads(tx, entity_id, span.last_on)  # heads before the entity, as whoever posts takes them
    entity, held = await _hold(tx, month)
    await store.close_heads(tx, entity_id, span.last_on)  # books opened meanwhile: from now on they are born closed
    check_move(held, PeriodState.SOFT_CLOSED)
    if entity.sealed_through is not None and span.last_on <= entity.sealed_through:
        raise Conflict(f"{span.name} is in the seal of a later month already, that of {entity.sealed_through:%Y-%m}")
    if (before := await _before(tx, held)) is not None and before.state is PeriodState.OPEN:
        raise Conflict(f"{before.period.name} is open: months are closed one after the other")
    moved = await store.save(tx, held, state=PeriodState.SOFT_CLOSED, prepared_by=tx.actor)
    await audit.record(tx, "period soft-closed", moved.subject)
    return moved


async def open_again(tx: Tx, month: Month) -> BookPeriod:
    """Take a soft close back: its billing run may then be reversed, which is what opens the books.

    Raises NotFound, Conflict for a month in another state, and when the next one is soft-closed.
    """
    _, held = await _hold(tx, month)
    check_move(held, PeriodState.OPEN)
    after = await store.get_period(tx, held.entity_id, held.period.to_on)
    if after.state is not PeriodState.OPEN:
        raise Conflict(f"{after.period.name} is {after.state}: open that first")
    moved = await store.save(tx, held, state=PeriodState.OPEN, prepared_by=None)
    await audit.record(tx, "period opened again", moved.subject)
    return moved


async def close_period(tx: Tx, month: Month) -> PeriodView:
    """Close a month for good, as another person than who prepared it: prove it, and seal its entries.

    Raises NotFound, Forbidden; Conflict in another state, after a month that is not closed, or when a proof fails.
    """
    entity, held = await _hold(tx, month)
    check_move(held, PeriodState.CLOSED)
    assert held.prepared_by is not None
    single = await policies.check_second_person(tx, held.prepared_by, f"the close of {held.period.name}")
    if (before := await _before(tx, held)) is not None and before.state is not PeriodState.CLOSED:
        raise Conflict(f"{before.period.name} is {before.state}: months are closed one after the other")
    checks = await check_closable(tx, held)
    await last_checks.keep(tx, held.subject, checks, tx.now)
    from_on = entity.sealed_through + timedelta(days=1) if entity.sealed_through is not None else None
    moved = await _seal(tx, held, from_on, single=single)
    await store.set_sealed(tx, held.entity_id, held.period.last_on)
    seals = await store.list_seals(tx, held.entity_id, held.month_on)
    broken = [check.name for check in checks if check.state is CheckState.APPROVED]
    told = {"month": held.period.name, "digest": seals[-1].digest, "entries": seals[-1].entries}
    await audit.record(tx, "period closed", moved.subject, single_operator=single, approved_breaks=broken, **told)
    await outbox.emit(tx, "billing.period_closed.v1", {"entity_id": held.entity_id, **told})
    return PeriodView(period=moved, checks=checks, seals=seals)


async def _seal(tx: Tx, held: BookPeriod, from_on: date | None, *, single: bool) -> BookPeriod:
    # The row comes first: seals refer to it, and the chain leads over closed months only.
    seal_no = held.seal_no + 1
    moved = await store.save(
        tx, held, state=PeriodState.CLOSED, seal_no=seal_no, reopening_by=None, reopening_reason=None
    )
    await store.seal(tx, held, from_on, single=single)
    return moved


async def ask_reopening(tx: Tx, month: Month, reason: str) -> BookPeriod:
    """Want a closed month reopened; somebody else does it.

    Raises NotFound, Conflict when it is not closed, or a later month is.
    """
    _, held = await _hold(tx, month)
    await _check_reopenable(tx, held)
    moved = await store.save(tx, held, reopening_by=tx.actor, reopening_reason=reason)
    await audit.record(tx, "period reopening asked", moved.subject, reason=reason)
    return moved


async def reopen(tx: Tx, month: Month) -> BookPeriod:
    """Reopen a closed month for finance's journals, as another person than who asked. What it was sealed as is kept.

    Raises NotFound, Forbidden; Conflict when nobody has asked, or a later month is closed.
    """
    _, held = await _hold(tx, month)
    await _check_reopenable(tx, held)
    if held.reopening_by is None:
        raise Conflict(f"nobody has asked to reopen {held.period.name}")
    single = await policies.check_second_person(tx, held.reopening_by, f"the reopening of {held.period.name}")
    moved = await store.save(
        tx, held, state=PeriodState.REOPENED, prepared_by=held.reopening_by, reopening_by=None, reopening_reason=None
    )
    before = await _before(tx, held)
    await store.set_sealed(tx, held.entity_id, before.period.last_on if before is not None else None)
    told = {"reason": held.reopening_reason, "asked_by": held.reopening_by}
    await audit.record(tx, "period reopened", moved.subject, single_operator=single, **told)
    await outbox.emit(tx, "billing.period_reopened.v1", {"entity_id": held.entity_id, "month": held.period.name})
    return moved


async def ask_break(tx: Tx, cmd: ApproveBreak) -> BreakApproval:
    """Say why a month may be closed with what a proof finds now. Raises NotFound; Conflict when it finds nothing."""
    entity_id = await only_entity(tx, cmd.month.entity_id)
    period = await store.get_period(tx, entity_id, month_named(cmd.month.month).from_on)
    found = await check_period(tx, period)
    await last_checks.keep(tx, period.subject, found, tx.now)
    checks = {check.name: check for check in found}
    if cmd.check not in checks:
        raise Invalid(f"check: {cmd.check[:60]!r} is none of {', '.join(checks)}", pointer="/check")
    if checks[cmd.check].state is not CheckState.RED:
        raise Conflict(f"{cmd.check} is {checks[cmd.check].state} in {period.period.name}")
    asked = await store.add_approval(tx, period, cmd.check, checks[cmd.check].fingerprint, cmd.reason)
    await audit.record(
        tx, "break named", period.subject, check=cmd.check, reason=cmd.reason, fingerprint=asked.fingerprint
    )
    return asked


async def approve_break(tx: Tx, month: Month, approval_id: int) -> BreakApproval:
    """Accept a break, as another person than who named it. Raises NotFound, Forbidden, Conflict for one accepted."""
    _, held = await _hold(tx, month)
    asked = await store.get_approval(tx, held, approval_id)
    if asked.approved_by is not None:
        raise Conflict(f"{asked.approved_by} has approved it already")
    single = await policies.check_second_person(tx, asked.asked_by, f"the break of {asked.check}")
    approved = await store.approve(tx, held, approval_id, single=single)
    told = {"check": asked.check, "reason": asked.reason, "fingerprint": asked.fingerprint}
    await audit.record(tx, "break approved", held.subject, single_operator=single, **told)
    return approved


async def check_not_closed(tx: Tx, entity_id: int, span: Period, deed: str) -> None:
    """Raise Conflict when a month that these days touch is closed in any way: what would open its days waits."""
    for on in {span.from_on, span.last_on}:
        period = await store.get_period(tx, entity_id, month_of(on).from_on)
        if period.state is not PeriodState.OPEN:
            raise Conflict(f"{deed}: {period.period.name} is {period.state}; open it first", state=period.state.value)


async def _hold(tx: Tx, month: Month) -> tuple[Entity, BookPeriod]:
    entity = await store.get_entity(tx, await only_entity(tx, month.entity_id), hold=True)
    return entity, await store.get_period(tx, entity.entity_id, month_named(month.month).from_on)


async def _before(tx: Tx, held: BookPeriod) -> BookPeriod | None:
    """The month before, None for the first that an entity ever moved."""
    earlier = await store.list_periods(tx, held.entity_id, limit=1, before=held.month_on)
    return await store.get_period(tx, held.entity_id, add_months(held.month_on, -1)) if earlier else None


async def _check_reopenable(tx: Tx, held: BookPeriod) -> None:
    check_move(held, PeriodState.REOPENED)
    after = await store.get_period(tx, held.entity_id, held.period.to_on)
    if after.state is PeriodState.CLOSED:
        raise Conflict(f"{after.period.name} is closed, and its digest is over this month's: reopen it first")


async def _check_billed(tx: Tx, entity: Entity, span: Period) -> None:
    """Raise Conflict unless nothing is left to bill of a month that is over: every run is final, and leaves nobody out.

    A run that reaches beyond the month waits for its own end. Without merchants' entries there is nothing to bill.
    """
    today = local_date(tx.now, entity.zone)
    if span.to_on > today:
        raise Conflict(f"{span.name} is not over, today is {today}")
    at_work = await find_run_at_work(tx, entity.entity_id)
    if at_work is not None:
        raise Conflict(f"run {at_work.run_id} of {at_work.period.name} is {at_work.state}: finalise or abort it first")
    newest = await find_newest_run(tx, entity.entity_id)
    if newest is None:
        if await store.count_merchants_with_entries(tx, entity.entity_id):
            raise Conflict(f"{span.name} is not billed: bill it first")
        return
    if newest.to_on < span.to_on and _next_end(newest.period) <= span.to_on:
        raise Conflict(f"{span.name} is billed up to {newest.period.last_on}: bill the rest of it first")
    if parked := await store.count_open_heads(tx, entity.entity_id, min(newest.period.last_on, span.last_on)):
        raise Conflict(f"run {newest.run_id} has left {parked} merchants out: bill them first")


def _next_end(billed: Period) -> date:
    """Where the period after a billed one ends, when it is as long."""
    is_month = billed.month_ended == billed
    return add_months(billed.to_on, 1) if is_month else billed.to_on + (billed.to_on - billed.from_on)
