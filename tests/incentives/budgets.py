"""Budgets of tests, what is asked of them, and whether what their rows say fits together."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from incentives.budgets import store
from incentives.budgets.model import Ask, Budget, Decision, Draw, Owner, Scope
from incentives.budgets.reservations import promises_sql as promises
from incentives.budgets.reservations import store as reservations
from incentives.budgets.store import Standing
from marketplace.core.db import WORKER, Database, Tx
from tests.conftest import NOW


def budget(budget_id: int = 1, limit_minor: int = 1_000, **changes: Any) -> Budget:
    plain = Budget(
        budget_id=budget_id,
        owner=Owner.PROMOTION,
        owner_id=budget_id,
        scope=Scope.TOTAL,
        currency="EUR",
        limit_minor=limit_minor,
    )
    return msgspec.structs.replace(plain, **changes)


def ask(key: str, amount_minor: int, *budgets: Budget, at: datetime = NOW) -> Ask:
    draws = tuple(Draw(each, each.period_on(at)) for each in budgets)
    return Ask(key=key, amount_minor=amount_minor, draws=draws)


async def opened(db: Database, *budgets: Budget) -> None:
    await db.write(WORKER, "test", store.open_budgets, budgets)


async def reserve(db: Database, *asks: Ask, **options: Any) -> list[Decision]:
    return await db.write(WORKER, "test", reservations.reserve, asks, **options)


async def granted(db: Database, *asks: Ask, **options: Any) -> list[int]:
    return [one.granted_minor for one in await reserve(db, *asks, **options)]


async def commit(db: Database, keys: Sequence[str], *budget_ids: int) -> list[str]:
    return await db.write(WORKER, "test", reservations.commit, budget_ids, keys)


async def release(db: Database, keys: Sequence[str], *budget_ids: int) -> int:
    return await db.write(WORKER, "test", reservations.release, budget_ids, keys)


async def standing(db: Database, budget_id: int = 1) -> Standing:
    """Of the newest period."""
    async with db.read(WORKER) as tx:
        return (await store.standings(tx, [budget_id]))[0]


async def check_budgets(db: Database) -> None:
    """No limit is passed; what shards hold is what reservations say; nothing is lost between the shards."""
    async with db.read(WORKER) as tx:
        assert await tx.rows(_LIMITS) == []
        assert await tx.rows(_RESERVATIONS) == []


_LIMITS = """
SELECT p.budget_id, p.period_from FROM incentives.budget_period p
JOIN incentives.budget_shard s USING (budget_id, period_from) JOIN incentives.budget b USING (budget_id)
GROUP BY p.budget_id, p.period_from, b.control
HAVING sum(s.allocated_minor) <> p.limit_minor + p.over_minor OR min(s.reserved_minor) < 0 OR min(s.spent_minor) < 0
    OR (b.control = 'absolute'
        AND (sum(s.reserved_minor + s.spent_minor) > p.limit_minor OR p.over_minor <> 0))
"""
_RESERVATIONS = """
SELECT s.budget_id, s.n FROM incentives.budget_shard s
LEFT JOIN incentives.budget_reservation r USING (budget_id, period_from, n)
GROUP BY s.budget_id, s.period_from, s.n
HAVING s.reserved_minor <> coalesce(sum(r.amount_minor) FILTER (WHERE r.state = 'reserved'), 0)
    OR s.spent_minor <> coalesce(sum(r.amount_minor - r.recycled_minor) FILTER (WHERE r.state = 'committed'), 0)
"""


async def recycle(db: Database, key: str, backs: dict[int, int], *, to_funder: bool = False) -> None:
    taken = {(budget_id, key): minor for budget_id, minor in backs.items()}
    await db.write(WORKER, "test", reservations.recycle, taken, to_funder=to_funder)


async def cut(db: Database, key: str, under: str | None, minor: int, budget_ids: Sequence[int]) -> None:
    """Spend a part of what is reserved under a key of its own, or give it back."""
    parts = dict.fromkeys(budget_ids, minor)
    if under is None:
        await db.write(WORKER, "test", promises.give_back_part, key, minor, parts)
    else:
        await db.write(WORKER, "test", promises.spend_part, key, under, minor, parts)


async def top_up(db: Database, of: Budget, amount_minor: int) -> Budget:
    return await db.write(WORKER, "test", store.top_up, of, amount_minor)


async def expire(db: Database, budget_id: int = 1) -> int:
    async def all_due(tx: Tx) -> int:
        return await reservations.expire(tx, budget_id, 1_000)

    return await db.write(WORKER, "test", all_due)
