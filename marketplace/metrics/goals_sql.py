"""Every statement on goals, their revisions and holidays."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import msgspec
from sqlalchemy import insert
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import IntegrityError

from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, NotFound
from marketplace.metrics.periods import Grain, Span
from marketplace.metrics.tables import goal, goal_revision, holiday


class Goal(msgspec.Struct, frozen=True, kw_only=True):
    """territory_id: a team's; rep_id: one person's; neither: the house's. target in whole units of the metric."""

    goal_id: int
    metric: str
    entity_id: int
    currency: str
    grain: Grain
    from_on: date
    to_on: date
    territory_id: int | None
    rep_id: int | None
    parent_id: int | None
    owner: str
    target: int
    version: int

    @property
    def last_on(self) -> date:
        """The last day of the period."""
        return self.to_on - timedelta(days=1)


class GoalRevision(msgspec.Struct, frozen=True, kw_only=True):
    version: int
    target: int
    owner: str
    reason: str
    at: Any
    actor: str


_COLUMNS = ", ".join(Goal.__struct_fields__)


async def add_goal(tx: Tx, new: Goal, reason: str) -> Goal:
    """Store a goal. Raises Conflict when there is one of the same figure, period and people."""
    try:
        await tx.execute(insert(goal), msgspec.to_builtins(new) | {"from_on": new.from_on, "to_on": new.to_on})
    except IntegrityError as fault:
        raise Conflict(f"there is a goal for {new.metric} of these people and days already") from fault
    await _remember(tx, new, reason)
    return new


async def change_goal(tx: Tx, held: Goal, *, target: int, owner: str, reason: str) -> Goal:
    """Give a held goal another target or owner; the earlier ones stay on record."""
    changed = msgspec.structs.replace(held, target=target, owner=owner, version=held.version + 1)
    await tx.execute(
        "UPDATE metrics.goal SET target = :target, owner = :owner, version = :version WHERE goal_id = :goal",
        {"target": target, "owner": owner, "version": changed.version, "goal": held.goal_id},
    )
    await _remember(tx, changed, reason)
    return changed


async def _remember(tx: Tx, now: Goal, reason: str) -> None:
    row = {"goal_id": now.goal_id, "version": now.version, "target": now.target, "owner": now.owner}
    await tx.execute(insert(goal_revision), row | {"reason": reason, "at": tx.now, "actor": tx.actor})


_OWN = """
    (CAST(:seller AS bigint) IS NULL OR rep_id = :seller
     OR territory_id = (SELECT territory_id FROM supply.rep WHERE user_id = :seller)
     OR coalesce(territory_id, (SELECT r.territory_id FROM supply.rep r WHERE r.user_id = goal.rep_id)) IN (
         SELECT t.territory_id FROM supply.territory t JOIN supply.territory above ON above.territory_id = ANY(t.path)
         WHERE above.manager_id = :seller
     ))
"""
"""A person who sells sees its own goals and its team's, and those of the territories that it manages."""


async def get_goal(tx: Tx, goal_id: int, *, lock: bool = False, seller: int | None = None) -> Goal:
    """A goal, that a person who sells may see (None: the house). Raises NotFound."""
    held = "FOR UPDATE" if lock else ""
    query = f"SELECT {_COLUMNS} FROM metrics.goal WHERE goal_id = :goal AND {_OWN} {held}"
    row = await tx.row(query, goal=goal_id, seller=seller)
    if row is None:
        raise NotFound(f"there is no goal {goal_id}")
    return _goal(row)


async def list_goals(
    tx: Tx, *, limit: int, before: tuple[date, int] | None = None, on: date | None = None, seller: int | None = None
) -> list[Goal]:
    """Goals, the newest periods first, behind (from_on, goal_id). on: those whose days this is one of; seller: those
    that this person may see.
    """
    rows = await tx.rows(
        f"""
        SELECT {_COLUMNS} FROM metrics.goal
        WHERE (CAST(:day AS date) IS NULL OR (from_on, goal_id) < (:day, :goal))
          AND (CAST(:on AS date) IS NULL OR (from_on <= :on AND to_on > :on)) AND {_OWN}
        ORDER BY from_on DESC, goal_id DESC LIMIT :limit
        """,
        day=before[0] if before else None,
        goal=before[1] if before else None,
        on=on,
        seller=seller,
        limit=limit,
    )
    return [_goal(row) for row in rows]


async def list_revisions(tx: Tx, goal_id: int) -> list[GoalRevision]:
    """Every target that a goal has had."""
    fields = ", ".join(GoalRevision.__struct_fields__)
    query = f"SELECT {fields} FROM metrics.goal_revision WHERE goal_id = :goal ORDER BY version"
    return [GoalRevision(**row._mapping) for row in await tx.rows(query, goal=goal_id)]


async def parts_of(tx: Tx, goal_id: int) -> list[int]:
    """The targets of the goals that a goal is divided into."""
    rows = await tx.rows("SELECT target FROM metrics.goal WHERE parent_id = :goal ORDER BY goal_id", goal=goal_id)
    return [row.target for row in rows]


async def house_goal(tx: Tx, metric: str, entity_id: int, currency: str, span: Span) -> Goal | None:
    """The house's goal for a figure of these very days; None: nobody has set one."""
    row = await tx.row(
        f"""
        SELECT {_COLUMNS} FROM metrics.goal
        WHERE metric = :metric AND entity_id = :entity AND currency = :currency AND from_on = :from_on
          AND to_on = :to_on AND territory_id IS NULL AND rep_id IS NULL
        """,
        metric=metric,
        entity=entity_id,
        currency=currency,
        from_on=span.from_on,
        to_on=span.to_on,
    )
    return None if row is None else _goal(row)


async def is_user(tx: Tx, login: str) -> bool:
    """Whether there is an active person with this login."""
    return bool(await tx.scalar("SELECT active FROM core.app_user WHERE login = :login", login=login))


async def holidays(tx: Tx, span: Span) -> frozenset[date]:
    """The holidays of a period."""
    rows = await tx.rows(
        "SELECT day FROM metrics.holiday WHERE day >= :from_on AND day < :to_on", from_on=span.from_on, to_on=span.to_on
    )
    return frozenset(row.day for row in rows)


async def add_holiday(tx: Tx, day: date, name: str) -> None:
    """A day that weighs nothing; said again it is renamed."""
    row = {"day": day, "name": name}
    await tx.execute(upsert(holiday).values(row).on_conflict_do_update(index_elements=["day"], set_={"name": name}))


async def list_holidays(tx: Tx, from_on: date, limit: int) -> Sequence[Any]:
    """Holidays from a day on."""
    return await tx.rows(
        "SELECT day, name FROM metrics.holiday WHERE day >= :day ORDER BY day LIMIT :limit", day=from_on, limit=limit
    )


def _goal(row: Any) -> Goal:
    return Goal(**{**row._mapping, "grain": Grain(row.grain)})
