"""Every statement on pools: taking leads out of them, and what is to come back."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, NotFound
from marketplace.core.ids import time_ordered_id
from supply.leads.lifecycle import Move
from supply.leads.model import LeadCard, Model, Pool, Rep
from supply.leads.pools.rules import protected_until
from supply.leads.tables import lead, lead_event, lead_pool

_COLUMNS = [lead_pool.c[field] for field in Pool.__struct_fields__]
_CLAIMED = """
    SELECT count(*) FROM supply.lead_event e JOIN supply.lead l ON l.lead_id = e.lead_id
    WHERE e.move = 'claim' AND e.owner_id = :rep AND e.at >= :day_began AND l.pool_id = :pool
"""


class NewPool(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    territory_id: int | None
    zone: str
    daily_max: int
    stock_max: int
    protection_days: int
    idle_days: int
    outcome_days: int
    cooling_days: int


async def add_pool(tx: Tx, new: NewPool) -> Pool:
    """Raises Conflict for a name in use."""
    pool = Pool(
        pool_id=time_ordered_id(tx.now), last_dealt_to=None, version=1, **msgspec.structs.asdict(new)
    )  # fmt: skip
    try:
        await tx.execute(insert(lead_pool), msgspec.structs.asdict(pool))
    except IntegrityError as fault:
        raise Conflict(f"name: there is a pool {new.name!r} already", pointer="/name") from fault
    return pool


async def get_pool(tx: Tx, pool_id: int, *, lock: bool = False) -> Pool:
    """Raises NotFound."""
    query = select(*_COLUMNS).where(lead_pool.c.pool_id == pool_id)
    row = await tx.row(query.with_for_update() if lock else query)
    if row is None:
        raise NotFound(f"there is no pool {pool_id}")
    return Pool(**row._mapping)


async def list_pools(tx: Tx) -> list[Pool]:
    """Every pool, by name."""
    return [Pool(**row._mapping) for row in await tx.rows(select(*_COLUMNS).order_by(lead_pool.c.name))]


async def edit_pool(tx: Tx, pool_id: int, values: NewPool) -> Pool:
    """Other rules for a pool, from now on; its version was compared. Raises Conflict for a name in use."""
    statement = update(lead_pool).where(lead_pool.c.pool_id == pool_id)
    try:
        await tx.execute(statement.values(**msgspec.structs.asdict(values), version=lead_pool.c.version + 1))
    except IntegrityError as fault:
        raise Conflict(f"name: there is a pool {values.name!r} already", pointer="/name") from fault
    return await get_pool(tx, pool_id)


async def list_cards(tx: Tx, pool_id: int, *, limit: int, after: tuple[int, int] | None = None) -> list[LeadCard]:
    """What waits in a pool, the most promising first, behind (fit + engagement, id)."""
    rows = await tx.rows(
        f"""
        SELECT {", ".join(LeadCard.__struct_fields__)} FROM supply.lead
        WHERE pool_id = :pool AND state = 'pooled'
          AND (CAST(:score AS integer) IS NULL OR (-(fit + engagement), lead_id) > (-CAST(:score AS integer), :lead))
        ORDER BY -(fit + engagement), lead_id LIMIT :limit
        """,
        pool=pool_id,
        score=after[0] if after else None,
        lead=after[1] if after else None,
        limit=limit,
    )
    return [LeadCard(**{**row._mapping, "model": Model(row.model)}) for row in rows]


async def best_of(tx: Tx, pool_id: int, rep_id: int) -> int | None:
    """The most promising lead that a rep may have, held; passing over those that others are taking at the moment."""
    found: int | None = await tx.scalar(
        """
        SELECT lead_id FROM supply.lead
        WHERE pool_id = :pool AND state = 'pooled'
          AND (former_owner_id IS DISTINCT FROM :rep OR coalesce(cooling_until <= :now, true))
        ORDER BY -(fit + engagement), lead_id LIMIT 1 FOR UPDATE SKIP LOCKED
        """,
        pool=pool_id,
        rep=rep_id,
        now=tx.now,
    )
    return found


async def claim(tx: Tx, pool: Pool, rep: Rep, lead_id: int, day_began: datetime, move: Move) -> bool:
    """Give a lead of the pool to a rep, whose row is held, in one statement: whether the rep has it now.

    It does not when somebody was faster, when the rep has had it and it still cools down, and when the rep has claimed
    enough of this pool today or holds enough, of all pools. A lead without a territory becomes one of the rep's.
    """
    got = await tx.scalar(
        f"""
        UPDATE supply.lead SET state = 'claimed', owner_id = :rep, claimed_at = :now, last_action_at = :now,
               protected_until = :protected, territory_id = coalesce(territory_id, :territory), version = version + 1
        WHERE lead_id = :lead AND pool_id = :pool AND state = 'pooled'
          AND (former_owner_id IS DISTINCT FROM :rep OR coalesce(cooling_until <= :now, true))
          AND ({_CLAIMED}) < :daily_max
          AND (SELECT count(*) FROM supply.lead
               WHERE owner_id = :rep AND state IN ('claimed', 'contacted', 'visited', 'negotiating')) < :stock_max
        RETURNING version
        """,
        rep=rep.user_id,
        territory=rep.territory_id,
        lead=lead_id,
        pool=pool.pool_id,
        now=tx.now,
        protected=protected_until(pool, tx.now),
        day_began=day_began,
        daily_max=pool.daily_max,
        stock_max=pool.stock_max,
    )
    if got is None:
        return False
    row = {"lead_id": lead_id, "event_no": got, "move": move, "state": "claimed", "owner_id": rep.user_id}
    await tx.execute(insert(lead_event), {**row, "reason": "", "at": tx.now, "actor": tx.actor})
    await tx.execute(update(lead).where(lead.c.merged_into == lead_id).values(owner_id=rep.user_id))
    return True


async def taken(tx: Tx, pool_id: int, rep_id: int, day_began: datetime) -> tuple[int, int]:
    """How many leads of a pool a rep has claimed since an instant, and how many it holds, of all pools."""
    row = await tx.row(
        f"""
        SELECT ({_CLAIMED}) AS claimed,
               (SELECT count(*) FROM supply.lead WHERE owner_id = :rep
                AND state IN ('claimed', 'contacted', 'visited', 'negotiating')) AS held
        """,
        pool=pool_id,
        rep=rep_id,
        day_began=day_began,
    )
    assert row is not None
    return row.claimed, row.held


async def set_turn(tx: Tx, pool_id: int, rep_id: int) -> None:
    """Remember who was dealt to last."""
    await tx.execute(update(lead_pool).where(lead_pool.c.pool_id == pool_id).values(last_dealt_to=rep_id))


async def due_back(tx: Tx, now: datetime, after: int, limit: int) -> Sequence[Any]:
    """Leads whose time with their rep is over, by id behind `after`: the SQL of `rules.is_recycled`."""
    return await tx.rows(
        """
        SELECT l.lead_id FROM supply.lead l JOIN supply.lead_pool p ON p.pool_id = l.pool_id
        WHERE l.state IN ('claimed', 'contacted', 'visited', 'negotiating') AND l.lead_id > :after
          AND coalesce(l.protected_until <= :now, true)
          AND (l.last_action_at + make_interval(days => p.idle_days) <= :now
               OR l.claimed_at + make_interval(days => p.outcome_days) <= :now)
        ORDER BY l.lead_id LIMIT :limit
        """,
        now=now,
        after=after,
        limit=limit,
    )
