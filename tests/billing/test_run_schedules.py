"""Runs by the clock: periods tile the calendar, each is opened once and never before it is over, and people approve."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import msgspec
import pytest

from billing.cadence import Cadence, next_begin
from billing.runs import store
from billing.runs.model import Period, Run, RunState
from billing.runs.schedules.model import Schedule
from marketplace.core import policies
from marketplace.core.clock import FixedClock
from marketplace.core.db import STAFF, WORKER, Database, Tx
from marketplace.core.errors import Forbidden, Invalid
from marketplace.core.months import used
from marketplace.flows.runs.run_billing import abort_run, approve_run, finalise_run, run_period
from marketplace.flows.runs.schedule_runs import open_due_runs, resume_runs, set_schedule
from tests.billing.market import CHECKER, MAKER, MAY, check_books, order, payouts, prepare
from tests.builders import ENTITY

SOME_DAYS = [date(2019, 12, 1) + timedelta(days=n) for n in range(92)]  # with 29 February, and 29th to 31st
WEEKLY = Schedule(entity_id=ENTITY, cadence=Cadence.WEEKLY, weekday=1, starts_on=date(2018, 5, 7))
MAY_9, MAY_13, MAY_16 = date(2018, 5, 9), date(2018, 5, 13), date(2018, 5, 16)


def at(day: date, hour: int = 12, minute: int = 0) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)


# --- the calendar --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cadence", list(Cadence))
def test_bug_3_periods_tile_ten_years_from_every_start_day_without_gap_or_overlap(cadence: Cadence) -> None:
    """getlago/lago-api#6173: those of 29 February and the 29th to 31st overlapped or left gaps."""
    for start in SOME_DAYS:
        weekday = start.isoweekday() % 7 + 1 if cadence is Cadence.WEEKLY else None
        begins = [start]
        while begins[-1] < start.replace(year=start.year + 10, day=min(start.day, 28)):
            begins.append(next_begin(cadence, begins[-1], weekday))
        periods = [Period(a, b) for a, b in pairwise(begins)]
        assert all(a.to_on == b.from_on for a, b in pairwise(periods))
        assert sum((p.to_on - p.from_on).days for p in periods) == (begins[-1] - start).days
        longest = {Cadence.DAILY: 1, Cadence.WEEKLY: 7, Cadence.TEN_DAYS: 11, Cadence.MONTHLY: 31}[cadence]
        assert {(p.to_on - p.from_on).days for p in periods} <= set(range(1, longest + 1))
        # Every calendar month ends in exactly one of them: it is charged once, whatever the periods are.
        ended = [p.month_ended.from_on for p in periods if p.month_ended is not None]
        assert len(ended) == len(set(ended))
        assert all((b - a).days in {28, 29, 30, 31} for a, b in pairwise(ended))


def test_thirds_of_a_month_end_with_it() -> None:
    ends = [next_begin(Cadence.TEN_DAYS, date(2020, 2, day)) for day in (1, 10, 11, 20, 21, 28, 29)]
    assert ends == [date(2020, 2, 11)] * 2 + [date(2020, 2, 21)] * 2 + [date(2020, 3, 1)] * 3


def test_bug_4_a_part_of_a_month_is_a_part_of_its_own_days() -> None:
    """getlago/lago-api#6194, microsoft/BCApps#5718: 42 days of 91 as denominator, February priced by 31."""
    assert used(2_900, date(2020, 2, 1), date(2020, 3, 1), date(2020, 2, 27)) == 2_600
    assert used(2_800, date(2019, 2, 1), date(2019, 3, 1), date(2019, 2, 27)) == 2_600
    quarter = (date(2020, 1, 1), date(2020, 4, 1))
    assert used(9_100, *quarter, quarter[1]) == 9_100
    cuts = [date(2020, 1, 1) + timedelta(days=n) for n in range(92)]
    assert sum(used(9_100, *quarter, b) - used(9_100, *quarter, a) for a, b in pairwise(cuts)) == 9_100


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"cadence": Cadence.DAILY, "weekday": None}, "cadence"),
        ({"weekday": None}, "weekday"),
        ({"cadence": Cadence.MONTHLY}, "weekday"),
        ({"weekday": 8}, "weekday"),
        ({"payout_days": 0}, "payout_days"),
        ({"starts_on": date.max}, "starts_on"),
    ],
)
def test_what_is_no_schedule_is_refused(changes: dict[str, object], refusal: str) -> None:
    with pytest.raises(Invalid, match=refusal):
        msgspec.structs.replace(WEEKLY, **changes).check()


# --- by the clock --------------------------------------------------------------------------------------------------


async def scheduled(db: Database, schedule: Schedule = WEEKLY, zone: str = "UTC") -> None:
    await db.write(WORKER, MAKER, prepare, [order(1, 1, MAY_9), order(2, 2, MAY_16)])
    await db.write(WORKER, "test", Tx.execute, f"UPDATE billing.entity SET zone = '{zone}'")
    await db.write(WORKER, "clerk", set_schedule, schedule)


async def runs(db: Database) -> list[Run]:
    async with db.read(STAFF) as tx:
        return sorted(await store.list_runs(tx), key=lambda run: run.run_id)


async def finished(db: Database, run_id: int) -> None:
    await approve_run(db, CHECKER, run_id)
    await finalise_run(db, CHECKER, run_id)


@pytest.mark.parametrize(
    ("zone", "too_early", "on_time"),
    [
        ("UTC", at(MAY_13, 23, 59), at(date(2018, 5, 14), 0)),
        ("Europe/Paris", at(MAY_13, 21, 59), at(MAY_13, 22)),
        ("America/Sao_Paulo", at(date(2018, 5, 14), 2, 59), at(date(2018, 5, 14), 3)),
        ("Pacific/Auckland", at(MAY_13, 11, 59), at(MAY_13, 12)),
    ],
)
async def test_bug_1_a_run_is_opened_when_its_last_day_is_over_where_the_entity_is_and_once(
    db: Database, clock: FixedClock, zone: str, too_early: datetime, on_time: datetime
) -> None:
    """getlago/lago-api#879, #1074: customers east of Greenwich were billed twice, at 20:00Z and at 23:00Z."""
    clock.move_to(too_early)
    await scheduled(db, zone=zone)
    assert await open_due_runs(db, "worker") == 0
    clock.move_to(on_time)
    assert await open_due_runs(db, "worker") == 1
    clock.move_to(on_time + timedelta(hours=3))
    assert await open_due_runs(db, "worker") == 0
    [run] = await runs(db)
    assert (run.period.name, run.state, run.payout_on) == ("2018-05-07..2018-05-13", "previewed", date(2018, 5, 14))


@pytest.mark.parametrize("changes_on", [date(2018, 3, 25), date(2018, 10, 28)])
def test_a_day_on_which_the_clocks_change_is_a_day(changes_on: date) -> None:
    """And so is the instant at which it ends, of a day of 23 and of 25 hours."""
    week = Period(changes_on - timedelta(days=6), changes_on + timedelta(days=1))
    assert next_begin(Cadence.WEEKLY, week.from_on, 1) == week.to_on
    assert next_begin(Cadence.DAILY, changes_on) == week.to_on


async def test_bug_2_of_many_workers_one_opens_the_run_though_the_first_is_still_at_it(
    db: Database, clock: FixedClock
) -> None:
    """getlago/lago-api#1988: the hourly clock billed a second time what was still queued."""
    clock.move_to(at(date(2018, 5, 14)))
    await scheduled(db)
    opened = await asyncio.gather(*(open_due_runs(db, f"worker {n}") for n in range(4)))
    assert sorted(opened) == [0, 0, 0, 1]
    assert len(await runs(db)) == 1
    await finished(db, 1)
    assert await payouts(db, 1) == {(1, "EUR"): 10_560}  # what was delivered in its days was settled first
    await check_books(db)


async def test_bug_8_the_clock_opens_each_run_of_the_days_missed_and_then_changes_nothing(
    db: Database, clock: FixedClock
) -> None:
    """killbill/killbill#150, #664: a wrong zone repaired and billed the same days without an end."""
    clock.move_to(at(date(2018, 6, 1)))
    await scheduled(db)
    opened = 0
    while await open_due_runs(db, "worker"):
        opened += 1
        assert opened <= 4
        await finished(db, opened)
    names = [run.period.name for run in await runs(db)]
    assert names == ["2018-05-07..2018-05-13", "2018-05-14..2018-05-20", "2018-05-21..2018-05-27"]
    before = await runs(db)
    for _ in range(3):
        assert (await open_due_runs(db, "worker"), await resume_runs(db, "worker")) == (0, 0)
    assert await runs(db) == before
    await check_books(db)


async def test_a_run_by_the_clock_waits_for_a_person_and_an_aborted_one_is_not_opened_again(
    db: Database, clock: FixedClock
) -> None:
    await db.write(STAFF, "admin", policies.switch, "single_operator", on=False)
    clock.move_to(at(date(2018, 6, 1)))
    await scheduled(db)
    await open_due_runs(db, "worker")
    assert await open_due_runs(db, "worker") == 0  # the next one waits until this one is final
    with pytest.raises(Forbidden, match="made by worker"):
        await approve_run(db, "worker", 1)
    await abort_run(db, CHECKER, 1)
    assert await open_due_runs(db, "worker") == 0
    again = await run_period(db, MAKER, (await runs(db))[0].period)
    await finished(db, again.run.run_id)
    assert await open_due_runs(db, "worker") == 1
    await db.write(WORKER, "clerk", set_schedule, msgspec.structs.replace(WEEKLY, active=False))
    await finished(db, (await runs(db))[-1].run_id)
    assert await open_due_runs(db, "worker") == 0


async def test_a_change_of_cadence_leaves_no_day_out(db: Database, clock: FixedClock) -> None:
    clock.move_to(at(date(2018, 7, 1)))
    await scheduled(db, Schedule(entity_id=ENTITY, cadence=Cadence.MONTHLY, starts_on=MAY.from_on))
    await open_due_runs(db, "worker")
    await finished(db, 1)
    await db.write(WORKER, "clerk", set_schedule, WEEKLY)
    for run_id in (2, 3):
        await open_due_runs(db, "worker")
        await finished(db, run_id)
    names = [run.period.name for run in await runs(db)]
    assert names == ["2018-05", "2018-06-01..2018-06-03", "2018-06-04..2018-06-10"]
    await check_books(db)


@pytest.mark.parametrize("state", [RunState.FINALISING, RunState.DRAFT])
async def test_a_run_whose_process_has_died_goes_on_in_the_name_of_who_took_the_step(
    db: Database, clock: FixedClock, state: RunState, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock.move_to(at(date(2018, 6, 1)))
    await scheduled(db)

    def die(point: str) -> None:
        if point == {RunState.FINALISING: "run.finalising", RunState.DRAFT: "run.drafted"}[state]:
            raise ConnectionError("the process is gone")

    async def whole() -> None:
        await run_period(db, MAKER, Period(WEEKLY.starts_on, date(2018, 5, 14)))
        await finished(db, 1)

    with monkeypatch.context() as patched:
        patched.setattr("marketplace.flows.runs.run_billing.crash_point", die)
        with pytest.raises(ConnectionError):
            await whole()
    assert [run.state for run in await runs(db)] == [state]
    assert await resume_runs(db, "worker") == 1
    [run] = await runs(db)
    if state is RunState.DRAFT:
        assert run.state is RunState.PREVIEWED
        await finished(db, 1)
    async with db.read(STAFF) as tx:
        by = await tx.scalar("SELECT DISTINCT posted_by FROM billing.entry WHERE kind = 'payout_instructed'")
    assert (by or CHECKER, (await runs(db))[0].state) == (CHECKER, RunState.FINALISED)
    await check_books(db)
