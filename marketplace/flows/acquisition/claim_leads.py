"""Process: leads leave their pool to reps, and come back when nothing comes of them.

Whoever takes leads for a rep holds the rep's row first, so that its limits hold, then the lead's.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from marketplace.core.clock import day_begins, local_date
from marketplace.core.db import Database, Tx
from marketplace.core.each import FIRST, each
from marketplace.core.errors import Conflict, Forbidden, NotFound
from supply.leads import store
from supply.leads.lifecycle import Move
from supply.leads.model import Lead, LeadState, Pool, Rep
from supply.leads.pools import store as pools
from supply.leads.pools.rules import cooling, is_recycled, turn
from supply.leads.territories import store as territories

_PAGE = 500


class Dealt(msgspec.Struct, frozen=True, kw_only=True):
    """Leads dealt out, by rep."""

    leads: list[int]
    owners: list[int]


async def claim_lead(tx: Tx, pool_id: int, rep_id: int, lead_id: int | None = None) -> Lead:
    """Give a rep a lead of a pool, the most promising one for None. Raises Conflict naming why not."""
    rep = await territories.get_rep(tx, rep_id, lock=True)
    pool = await pools.get_pool(tx, pool_id)
    await _check_rep(tx, rep, pool)
    wanted = lead_id if lead_id is not None else await pools.best_of(tx, pool_id, rep_id)
    if wanted is None:
        raise Conflict(f"pool {pool.name} has no lead for {rep.login} at the moment")
    began = _day_began(pool, tx.now)
    if not await pools.claim(tx, pool, rep, wanted, began, Move.CLAIM):
        await _refuse(tx, pool, rep, wanted, began)
    claimed = await store.get_lead(tx, wanted)
    await store.tell(tx, claimed, Move.CLAIM, "")
    return claimed


async def _check_rep(tx: Tx, rep: Rep, pool: Pool) -> None:
    if not rep.active:
        raise Conflict(f"{rep.login} is not in service")
    if pool.territory_id is None:
        return
    area = await territories.get_territory(tx, rep.territory_id)
    if pool.territory_id not in area.path:
        raise Conflict(f"pool {pool.name} is of another territory than {area.name}")


async def _refuse(tx: Tx, pool: Pool, rep: Rep, lead_id: int, day_began: datetime) -> None:
    """Raise Conflict, or NotFound, saying what stood in the way of a claim."""
    found = await store.get_lead(tx, lead_id)
    claimed, held = await pools.taken(tx, pool.pool_id, rep.user_id, day_began)
    if found.pool_id != pool.pool_id:
        raise NotFound(f"pool {pool.name} has no lead {lead_id}")
    if found.state is not LeadState.POOLED:
        raise Conflict(f"lead {lead_id} is taken: somebody was faster", state=found.state.value)
    if claimed >= pool.daily_max:
        raise Conflict(f"{rep.login} has claimed {claimed} leads of this pool today; {pool.daily_max} are allowed")
    if held >= pool.stock_max:
        raise Conflict(f"{rep.login} holds {held} leads; {pool.stock_max} are allowed in this pool")
    raise Conflict(f"{rep.login} has had lead {lead_id}, and may have it again from {found.cooling_until} on")


async def deal_leads(tx: Tx, pool_id: int, count: int, seller: int | None = None) -> Dealt:
    """Deal the most promising leads out, one to each rep in turn; whoever has reached a limit is passed over. A person
    who sells (None: the house) deals the leads of the territories that it manages. Raises NotFound, Forbidden.
    """
    pool = await pools.get_pool(tx, pool_id, lock=True)
    if seller is not None and not await territories.manages(tx, seller, pool.territory_id):
        raise Forbidden("only who manages the pool's territory deals its leads out")
    reps = [row.user_id for row in await territories.active_reps(tx, pool.territory_id)]
    began = _day_began(pool, tx.now)
    held = {rep_id: await territories.get_rep(tx, rep_id, lock=True) for rep_id in reps}
    dealt: list[tuple[int, int]] = []
    last, idle = pool.last_dealt_to, 0
    while reps and len(dealt) < count and idle < len(reps):
        rep_id = turn(reps, last)[0]
        last, idle = rep_id, idle + 1
        lead_id = await pools.best_of(tx, pool_id, rep_id)
        if lead_id is not None and await pools.claim(tx, pool, held[rep_id], lead_id, began, Move.ASSIGN):
            await store.tell(tx, await store.get_lead(tx, lead_id), Move.ASSIGN, "in turn")
            dealt.append((lead_id, rep_id))
            idle = 0
    if last is not None and dealt:
        await pools.set_turn(tx, pool_id, dealt[-1][1])
    return Dealt(leads=[lead_id for lead_id, _ in dealt], owners=[rep_id for _, rep_id in dealt])


async def recycle_leads(db: Database, actor: str) -> int:
    """Put back what reps have let lie; returns how many leads that were."""

    async def page(tx: Tx, last: Any | None) -> Sequence[Any]:
        return await pools.due_back(tx, tx.now, last.lead_id if last else FIRST, _PAGE)

    return await each(db, actor, "a lead could not be recycled", page, _recycle)


async def _recycle(tx: Tx, row: Any) -> bool:
    held = await store.get_lead(tx, row.lead_id, lock=True)
    if held.pool_id is None:
        return False
    pool = await pools.get_pool(tx, held.pool_id)
    if not is_recycled(held, pool, tx.now):
        return False
    await put_back(tx, held, pool, Move.RECYCLE, "nothing came of it in time")
    return True


async def put_back(tx: Tx, held: Lead, pool: Pool, move: Move, reason: str) -> Lead:
    """Let a held lead wait in a pool again; who had it must wait for it to cool down."""
    return await store.move_lead(tx, held, move, reason, pool_id=pool.pool_id, **cooling(held, pool, tx.now))


async def retire_rep(tx: Tx, rep_id: int, pool_id: int) -> int:
    """Let everything that a rep holds wait in a pool, because the rep leaves; returns how many leads that were."""
    pool = await pools.get_pool(tx, pool_id)
    held = await store.held_by(tx, rep_id)
    for lead in held:
        await put_back(tx, lead, pool, Move.RELEASE, "the rep has left")
    return len(held)


def _day_began(pool: Pool, now: datetime) -> datetime:
    return day_begins(local_date(now, pool.zone), pool.zone)
