"""Budgets on a real database with many connections: what other systems got wrong, by the numbers of their reports."""

import asyncio
from datetime import timedelta

import pytest

from incentives.budgets.model import Ask, Control, Draw, Scope, Shortfall, Verdict
from incentives.budgets.reservations import store as reservations
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import Conflict
from tests.conftest import NOW
from tests.incentives.budgets import (
    ask,
    budget,
    check_budgets,
    commit,
    expire,
    granted,
    opened,
    recycle,
    release,
    reserve,
    standing,
    top_up,
)

CONNECTIONS = 16
HOUR = timedelta(hours=1)


@pytest.mark.parametrize("shards", [1, 3, 32])
async def test_bug_1_many_at_once_get_exactly_the_limit(db: Database, shards: int) -> None:
    """Sixteen connections, sixty grants too many: the first to fit get it, and nobody else."""
    of = budget(limit_minor=140 * 7, shards=shards)
    await opened(db, of)

    async def some(worker: int) -> int:
        return sum([sum(await granted(db, ask(f"{worker}-{n}", 7, of))) for n in range(200 // CONNECTIONS)])

    given = await asyncio.gather(*(some(worker) for worker in range(CONNECTIONS)))
    assert sum(given) == 140 * 7
    assert (await standing(db)).available_minor == 0
    await check_budgets(db)


@pytest.mark.parametrize("shards", [1, 8])
async def test_invariant_5_amounts_of_all_sizes_leave_nothing_that_would_have_fitted(db: Database, shards: int) -> None:
    """What is refused at the end is more than what is left."""
    of = budget(limit_minor=10_007, shards=shards)
    await opened(db, of)
    refused: list[int] = []

    async def some(worker: int) -> None:
        for step in range(30):
            amount = 1 + (worker * 37 + step * 101) % 97
            [given] = await granted(db, ask(f"{worker}-{step}", amount, of))
            if not given:
                refused.append(amount)
            elif step % 9 == 0:
                await release(db, [f"{worker}-{step}"], 1)
            elif step % 2:
                await commit(db, [f"{worker}-{step}"], 1)

    await asyncio.gather(*(some(worker) for worker in range(CONNECTIONS)))
    await check_budgets(db)
    left = (await standing(db)).available_minor
    assert refused
    assert sum(await granted(db, ask("all that is left", left, of))) == left
    assert await granted(db, ask("one more", 1, of)) == [0]
    await check_budgets(db)


async def test_bug_2_two_that_fit_alone_do_not_fit_together(db: Database) -> None:
    of = budget(limit_minor=100, shards=8)
    await opened(db, of)
    given = await asyncio.gather(*(granted(db, ask(key, 60, of)) for key in ("a", "b")))
    assert sorted(given) == [[0], [60]]


async def test_bug_3_a_release_that_races_a_reservation_loses_nothing_and_gives_back_once(db: Database) -> None:
    of = budget(limit_minor=400, shards=4)
    await opened(db, of)
    await reserve(db, *(ask(f"old {n}", 10, of) for n in range(40)))
    released = asyncio.gather(*(release(db, [f"old {n % 40}"], 1) for n in range(80)))
    given = asyncio.gather(*(granted(db, ask(f"new {n}", 10, of)) for n in range(40)))
    assert sum(await released) == 40
    await check_budgets(db)
    took = sum(sum(one) for one in await given)
    assert (await standing(db)).available_minor == 400 - took
    assert await release(db, ["old 3", "never heard of"], 1) == 0


async def test_bug_4_without_a_limit_no_shared_row_is_written(db: Database) -> None:
    """By the counts of tuples and of row locks: nothing at all is written, and no row is held."""
    await opened(db, budget())

    async def free(tx: Tx) -> int:
        before = await tx.scalar(_WRITTEN)
        [one] = await reservations.reserve(tx, [Ask(key="k", amount_minor=5, draws=())])
        assert one.granted_minor == 5
        assert await tx.scalar("SELECT pg_current_xact_id_if_assigned() IS NULL")  # it has neither written nor held
        return int(await tx.scalar(_WRITTEN)) - int(before)

    async def limited(tx: Tx) -> int:
        before = await tx.scalar(_WRITTEN)
        await reservations.reserve(tx, [ask("k", 5, budget())])
        return int(await tx.scalar(_WRITTEN)) - int(before)

    assert await db.write(WORKER, "test", free) == 0
    assert await db.write(WORKER, "test", limited) == 2  # a shard and a reservation: the counts can tell


_WRITTEN = """
SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::int FROM pg_stat_xact_user_tables
WHERE schemaname = 'incentives'
"""


async def test_bug_5_many_budgets_in_any_order_do_not_lock_each_other_out(db: Database) -> None:
    """Each grant draws on three budgets, named in another order; none is retried for a deadlock."""
    budgets = [budget(number, limit_minor=900, shards=3) for number in (1, 2, 3)]
    await opened(db, *budgets)
    attempts = 0

    async def take(tx: Tx, key: str, turn: int) -> int:
        nonlocal attempts
        attempts += 1
        turned = [budgets[(turn + step) % 3] for step in (0, 2, 1)]
        [one] = await reservations.reserve(tx, [ask(key, 10, *turned)])
        return one.granted_minor

    async def some(worker: int) -> int:
        return sum([await db.write(WORKER, "test", take, f"{worker}-{n}", worker + n) for n in range(12)])

    given = await asyncio.gather(*(some(worker) for worker in range(CONNECTIONS)))
    assert sum(given) == 900
    assert attempts == 12 * CONNECTIONS
    await check_budgets(db)


async def test_bug_6_who_comes_second_under_a_key_learns_it_and_undoes_nothing(db: Database) -> None:
    of = budget()
    await opened(db, of)
    answers = await asyncio.gather(*(reserve(db, ask("order 7", 30, of)) for _ in range(CONNECTIONS)))
    assert sorted(one.again for [one] in answers) == [False] + [True] * (CONNECTIONS - 1)
    assert {one.granted_minor for [one] in answers} == {30}
    assert (await standing(db)).reserved_minor == 30
    assert await commit(db, ["order 7"], 1) == []
    assert await release(db, ["order 7"], 1) == 0  # the loser's error path
    assert (await standing(db)).spent_minor == 30


async def test_bug_7_what_was_promised_is_there_when_it_is_earned_or_must_be_promised_anew(
    db: Database, clock: FixedClock
) -> None:
    of = budget(limit_minor=50)
    await opened(db, of)
    await reserve(db, ask("promised", 30, of), ask("slow", 20, of), expires_at=NOW + HOUR)
    assert await granted(db, ask("late", 10, of)) == [0]
    assert await commit(db, ["promised"], 1) == []
    clock.move_to(NOW + HOUR)
    assert await expire(db) == 1
    assert await expire(db) == 0
    assert await commit(db, ["promised", "slow"], 1) == ["slow"]
    assert await granted(db, ask("faster", 15, of)) == [15]
    assert await granted(db, ask("slow", 20, of)) == [0]  # somebody was faster: it is not there any more
    assert await granted(db, ask("slow", 5, of)) == [5]
    assert await commit(db, ["slow"], 1) == []
    await check_budgets(db)


async def test_bug_15_the_same_event_twice_is_set_aside_once_and_a_failure_gives_it_back(db: Database) -> None:
    of = budget(limit_minor=100, shards=8)
    await opened(db, of)
    assert await granted(db, ask("e1", 40, of)) == await granted(db, ask("e1", 40, of)) == [40]
    assert await granted(db, ask("e1", 40, of), ask("e2", 40, of)) == [40, 40]
    assert (await standing(db)).reserved_minor == 80
    assert await release(db, ["e2"], 1) == 1
    assert (await standing(db)).reserved_minor == 40
    [again] = await reserve(db, ask("e2", 40, of))
    assert (again.verdict, again.again) == (Verdict.REJECTED, True)  # given back for good


async def test_a_grant_takes_of_all_its_budgets_or_of_none(db: Database) -> None:
    plenty, little = budget(1, limit_minor=1_000), budget(2, limit_minor=5)
    await opened(db, plenty, little)
    assert await granted(db, ask("k", 10, plenty, little)) == [0]
    assert (await standing(db, 1)).reserved_minor == 0
    assert (await standing(db, 2)).exhausted_at == NOW
    await check_budgets(db)


async def test_funders_bear_their_shares_to_the_cent(db: Database) -> None:
    """Two funders at 1 and 2 parts; the second one's budget lets a part through."""
    ours, theirs = (
        budget(number, limit_minor=limit, scope=Scope.FUNDER, scope_key=name, on_shortfall=Shortfall.PARTIAL)
        for number, limit, name in ((1, 100, "platform"), (2, 50, "brand"))
    )
    await opened(db, ours, theirs)

    def shared(key: str, amount: int) -> Ask:
        draws = (Draw(ours, ours.period_on(NOW), 0), Draw(theirs, theirs.period_on(NOW), 1))
        return Ask(key=key, amount_minor=amount, weights=(1, 2), draws=draws)

    assert await granted(db, shared("a", 10), shared("b", 100)) == [10, 64]
    assert (await standing(db, 1)).reserved_minor + (await standing(db, 2)).reserved_minor == 74
    assert (await standing(db, 2)).available_minor == 0
    await check_budgets(db)


async def test_a_days_budget_begins_anew_at_local_midnight(db: Database, clock: FixedClock) -> None:
    of = budget(limit_minor=10, scope=Scope.DAY, zone="Asia/Shanghai", shards=3)
    await opened(db, of)
    assert await granted(db, ask("a", 10, of), ask("b", 1, of)) == [10, 0]
    evening = NOW.replace(hour=16)  # midnight in Shanghai
    assert await granted(db, ask("c", 1, of, at=evening - timedelta(seconds=1))) == [0]
    assert await granted(db, ask("d", 4, of, at=evening)) == [4]
    of = await top_up(db, of, 5)
    assert of.limit_minor == 15
    assert await granted(db, ask("e", 5, of), ask("f", 12, of, at=evening)) == [5, 0]
    assert await granted(db, ask("g", 11, of, at=evening)) == [11]
    await check_budgets(db)


async def test_the_first_grants_of_a_day_race_for_its_rows(db: Database) -> None:
    of = budget(limit_minor=50, scope=Scope.DAY, shards=8)
    await opened(db, of)
    given = await asyncio.gather(*(granted(db, ask(f"k{n}", 10, of)) for n in range(CONNECTIONS)))
    assert sorted(sum(one) for one in given) == [0] * 11 + [10] * 5
    await check_budgets(db)


async def test_what_has_to_wait_is_given_after_a_top_up(db: Database) -> None:
    of = budget(limit_minor=10, on_shortfall=Shortfall.QUEUE)
    await opened(db, of)
    [first, second] = await reserve(db, ask("a", 10, of), ask("b", 8, of))
    assert (first.verdict, second.verdict) == (Verdict.RESERVED, Verdict.QUEUED)
    async with db.read(WORKER) as tx:
        assert await reservations.queued(tx, 1, 10) == ["b"]
    assert (await standing(db)).exhausted_at == NOW
    await top_up(db, of, 8)
    assert (await standing(db)).exhausted_at is None
    assert await granted(db, ask("b", 8, of)) == [8]
    async with db.read(WORKER) as tx:
        assert await reservations.queued(tx, 1, 10) == []
    await check_budgets(db)


async def test_what_waits_can_be_withdrawn(db: Database) -> None:
    of = budget(limit_minor=0, on_shortfall=Shortfall.QUEUE)
    await opened(db, of)
    await reserve(db, ask("a", 5, of))
    assert await release(db, ["a"], 1) == 1
    await check_budgets(db)
    async with db.read(WORKER) as tx:
        assert await reservations.queued(tx, 1, 10) == []


async def test_an_advisory_budget_is_exceeded_and_says_by_how_much(db: Database) -> None:
    of = budget(limit_minor=10, control=Control.ADVISORY, shards=3)
    await opened(db, of)
    assert await granted(db, ask("a", 7, of), ask("b", 8, of)) == [7, 8]
    stood = await standing(db)
    assert (stood.over_minor, stood.available_minor) == (5, 0)
    await top_up(db, of, 9)
    stood = await standing(db)
    assert (stood.over_minor, stood.available_minor, stood.limit_minor) == (0, 4, 19)
    await check_budgets(db)


async def test_what_is_taken_back_can_be_given_again_or_goes_to_the_funder(db: Database) -> None:
    of = budget(limit_minor=20)
    await opened(db, of)
    await reserve(db, ask("a", 20, of), spend=True)
    await recycle(db, "a", {1: 5})
    assert (await standing(db)).available_minor == 5
    await recycle(db, "a", {1: 15}, to_funder=True)
    stood = await standing(db)
    assert (stood.limit_minor, stood.spent_minor, stood.available_minor) == (5, 0, 5)
    await check_budgets(db)
    with pytest.raises(Exception, match="ck_budget_reservation_recycled"):
        await recycle(db, "a", {1: 1})


async def test_a_top_up_that_races_for_the_end_is_given_to_the_last_cent(db: Database) -> None:
    of = budget(limit_minor=100, shards=4)
    await opened(db, of)
    topped = asyncio.create_task(top_up(db, of, 60))
    given = await asyncio.gather(*(granted(db, ask(f"k{n}", 10, of)) for n in range(CONNECTIONS)))
    await topped
    left = (await standing(db)).available_minor
    assert sum(sum(one) for one in given) + left == 160
    assert await granted(db, ask("rest", left, of)) == [left]
    await check_budgets(db)


async def test_there_is_one_budget_of_a_kind(db: Database) -> None:
    await opened(db, budget(1))
    with pytest.raises(Conflict, match="there is such a budget already"):
        await opened(db, budget(2, owner_id=1))
