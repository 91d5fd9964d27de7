"""Every statement on budgets as they are agreed, and where they stand."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime

import msgspec
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from incentives.budgets.model import WHOLE, Budget, Owner, Scope, Slot, spread
from incentives.tables import budget
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, NotFound

_BUDGET = ", ".join(Budget.__struct_fields__)


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Where a budget stands in a period. over_minor: what an advisory one was given beyond its limit."""

    budget_id: int
    period_from: date
    limit_minor: int
    over_minor: int
    reserved_minor: int
    spent_minor: int
    available_minor: int
    exhausted_at: datetime | None


async def open_budgets(tx: Tx, budgets: Sequence[Budget]) -> None:
    """New budgets, nothing of them given. Raises Conflict for a second one of the same owner and scope."""
    if not budgets:
        return
    rows = [msgspec.to_builtins(each) | {"made_at": tx.now, "made_by": tx.actor} for each in budgets]
    try:
        await tx.execute(insert(budget), rows)
    except IntegrityError as fault:
        raise Conflict("scope: there is such a budget already", pointer="/scope") from fault
    for each in budgets:
        if each.scope is not Scope.DAY:
            await make_period(tx, each, WHOLE)


async def get_budget(tx: Tx, budget_id: int) -> Budget:
    """Raises NotFound."""
    row = await tx.row(f"SELECT {_BUDGET} FROM incentives.budget WHERE budget_id = :budget", budget=budget_id)
    if row is None:
        raise NotFound(f"there is no budget {budget_id}")
    return msgspec.convert(dict(row._mapping), Budget)


async def budgets_of(tx: Tx, owner: Owner, owner_ids: Iterable[int]) -> list[Budget]:
    """The budgets of campaigns or of promotions, by id."""
    rows = await tx.rows(
        f"SELECT {_BUDGET} FROM incentives.budget WHERE owner = :owner AND owner_id = ANY(:owners) ORDER BY budget_id",
        owner=owner.value,
        owners=list(owner_ids),
    )
    return [msgspec.convert(dict(row._mapping), Budget) for row in rows]


async def budgets_under(tx: Tx, campaigns: Mapping[int, int]) -> dict[int, list[Budget]]:
    """The budgets that grants draw on, by promotion: its own and its campaign's. campaigns: by promotion."""
    if not campaigns:
        return {}
    own = await budgets_of(tx, Owner.PROMOTION, campaigns)
    above = await budgets_of(tx, Owner.CAMPAIGN, set(campaigns.values()))
    return {
        promotion_id: [each for each in own if each.owner_id == promotion_id]
        + [each for each in above if each.owner_id == campaign_id]
        for promotion_id, campaign_id in campaigns.items()
    }


async def rooms(tx: Tx, slots: Collection[Slot]) -> dict[Slot, int]:
    """What budgets have left in periods, as of a moment ago; of a day that nothing was taken from yet, its limit."""
    rows = await tx.rows(
        """
        SELECT w.budget_id, w.period_from,
               coalesce(sum(s.allocated_minor - s.reserved_minor - s.spent_minor), b.limit_minor)::bigint AS room
        FROM unnest(CAST(:budgets AS bigint[]), CAST(:periods AS date[])) AS w (budget_id, period_from)
        JOIN incentives.budget b ON b.budget_id = w.budget_id
        LEFT JOIN incentives.budget_shard s ON s.budget_id = w.budget_id AND s.period_from = w.period_from
        GROUP BY w.budget_id, w.period_from, b.limit_minor
        """,
        budgets=[budget_id for budget_id, _ in slots],
        periods=[period_from for _, period_from in slots],
    )
    return {(row.budget_id, row.period_from): row.room for row in rows}


async def list_budgets(
    tx: Tx, *, owner: Owner | None, owner_id: int | None, limit: int, before: int | None
) -> list[Budget]:
    """Budgets, the newest first, below the budget `before`."""
    rows = await tx.rows(
        f"""
        SELECT {_BUDGET} FROM incentives.budget
        WHERE (CAST(:owner AS text) IS NULL OR owner = :owner)
          AND (CAST(:id AS bigint) IS NULL OR owner_id = :id)
          AND budget_id < coalesce(CAST(:before AS bigint), 9223372036854775807)
        ORDER BY budget_id DESC LIMIT :limit
        """,
        owner=owner and owner.value,
        id=owner_id,
        before=before,
        limit=limit,
    )
    return [msgspec.convert(dict(row._mapping), Budget) for row in rows]


async def make_period(tx: Tx, of: Budget, period_from: date) -> None:
    """The rows of a period that nobody has taken from yet; those that exist stay. A limit's edit is waited for."""
    bound = {"budget": of.budget_id, "period": period_from}
    await tx.execute(
        "SELECT pg_advisory_xact_lock_shared(hashtextextended('incentives.budget', :budget))", {"budget": of.budget_id}
    )
    limit = await tx.scalar("SELECT limit_minor FROM incentives.budget WHERE budget_id = :budget", budget=of.budget_id)
    await tx.execute(
        """
        INSERT INTO incentives.budget_period (budget_id, period_from, limit_minor) VALUES (:budget, :period, :limit)
        ON CONFLICT DO NOTHING
        """,
        {**bound, "limit": limit},
    )
    parts = spread(limit, of.shards, 1)
    await tx.execute(
        """
        INSERT INTO incentives.budget_shard (budget_id, period_from, n, allocated_minor)
        VALUES (:budget, :period, :n, :part) ON CONFLICT DO NOTHING
        """,
        [{**bound, "n": n, "part": part} for n, part in enumerate(parts)],
    )


async def note_available(tx: Tx, budget_id: int) -> None:
    """That there is something to give again."""
    await tx.execute(
        """
        UPDATE incentives.budget_period SET exhausted_at = NULL
        WHERE budget_id = :budget AND exhausted_at IS NOT NULL
        """,
        {"budget": budget_id},
    )


async def top_up(tx: Tx, of: Budget, amount_minor: int) -> Budget:
    """Raise a limit; that of a day's budget for today and every later day. What was exceeded is covered first.

    All shards are held: whoever is about to be refused waits, and gets of it.
    """
    bound = {"budget": of.budget_id, "amount": amount_minor, "first": of.period_on(tx.now)}
    await tx.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended('incentives.budget', :budget))", {"budget": of.budget_id}
    )
    await tx.execute(
        "UPDATE incentives.budget SET limit_minor = limit_minor + :amount WHERE budget_id = :budget", bound
    )
    await tx.execute(
        """
        SELECT n FROM incentives.budget_shard WHERE budget_id = :budget AND period_from >= :first
        ORDER BY period_from, n FOR UPDATE
        """,
        bound,
    )
    await tx.execute(
        """
        UPDATE incentives.budget_shard s
        SET allocated_minor = s.allocated_minor + greatest(:amount - p.over_minor, 0)
        FROM incentives.budget_period p
        WHERE s.budget_id = :budget AND s.period_from >= :first AND s.n = 0
          AND p.budget_id = :budget AND p.period_from = s.period_from
        """,
        bound,
    )
    await tx.execute(
        """
        UPDATE incentives.budget_period
        SET limit_minor = limit_minor + :amount, over_minor = greatest(over_minor - :amount, 0), exhausted_at = NULL
        WHERE budget_id = :budget AND period_from >= :first
        """,
        bound,
    )
    return await get_budget(tx, of.budget_id)


async def standings(tx: Tx, budget_ids: Iterable[int]) -> list[Standing]:
    """Where budgets stand in each of their periods, the newest period first; without locks, as of a moment ago."""
    rows = await tx.rows(
        """
        SELECT p.budget_id, p.period_from, p.limit_minor, p.over_minor, sum(s.reserved_minor)::bigint AS reserved_minor,
               sum(s.spent_minor)::bigint AS spent_minor, p.exhausted_at,
               sum(s.allocated_minor - s.reserved_minor - s.spent_minor)::bigint AS available_minor
        FROM incentives.budget_period p
        JOIN incentives.budget_shard s ON s.budget_id = p.budget_id AND s.period_from = p.period_from
        WHERE p.budget_id = ANY(:budgets)
        GROUP BY p.budget_id, p.period_from, p.limit_minor, p.over_minor, p.exhausted_at
        ORDER BY p.budget_id, p.period_from DESC
        """,
        budgets=list(budget_ids),
    )
    return [Standing(**row._mapping) for row in rows]
