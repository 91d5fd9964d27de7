"""The clock's part: campaigns and promotions begin, end, close, stop by their own rules; what was not earned in time
goes back to its budgets.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import msgspec

from incentives.budgets import store as budgets
from incentives.budgets.model import Control, Owner, Scope
from incentives.budgets.reservations import store as reservations
from incentives.campaigns import store as campaigns
from incentives.campaigns.model import Campaign, stop_due
from incentives.lifecycle import Clockwork, Move, Party, State, due_move
from incentives.promotions import store as promotions
from incentives.store import hold_campaign
from marketplace.core.db import Database, Tx
from marketplace.core.each import FIRST, each
from marketplace.flows.promotions.lapse_promises import lapse_promises

_PAGE = 200
_EXPIRED_AT_ONCE = 1_000


async def advance_incentives(db: Database, actor: str) -> int:
    """Everything that is due now, campaigns before their promotions; returns how many moved."""
    moved = await each(db, actor, "a campaign did not move", _campaigns, _advance_campaign)
    moved += await each(db, actor, "a promotion did not move", _promotions, _advance_promotion)
    # What a campaign waited for may have happened just now.
    return moved + await each(db, actor, "a campaign did not move", _campaigns, _advance_campaign)


async def expire_reservations(db: Database, actor: str) -> int:
    """Give back to budgets and payers' caps what was not earned in time; returns how many commits that took."""
    expired = await lapse_promises(db, actor)
    while done := await each(db, actor, "reservations did not expire", partial(_expiring, db), _expire):
        expired += done
    return expired


async def _campaigns(tx: Tx, last: Any | None) -> Sequence[Any]:
    return await campaigns.campaigns_to_look_at(tx, last.campaign_id if last else FIRST, _PAGE)


async def _promotions(tx: Tx, last: Any | None) -> Sequence[Any]:
    return await promotions.promotions_to_look_at(tx, last.promotion_id if last else FIRST, _PAGE)


async def _expiring(db: Database, tx: Tx, last: Any | None) -> Sequence[Any]:
    return await reservations.expiring(tx, db.clock.now(), last.budget_id if last else FIRST, _PAGE)


async def _expire(tx: Tx, row: Any) -> bool:
    return await reservations.expire(tx, row.budget_id, _EXPIRED_AT_ONCE) > 0


async def _advance_campaign(tx: Tx, row: Any) -> bool:
    campaign = await campaigns.get_campaign(tx, row.campaign_id)
    due = await _due_of_campaign(tx, campaign)
    if due is None:
        return False
    await hold_campaign(tx, campaign.campaign_id)
    held = await campaigns.get_campaign(tx, campaign.campaign_id, lock=True)
    due = await _due_of_campaign(tx, held)
    if due is None:
        return False
    move, reason, number = due
    if number is not None:
        held = msgspec.structs.replace(held, stopped=(*held.stopped, number))
    await campaigns.move_campaign(tx, held, move, Party.CLOCK, reason=reason)
    return True


async def _due_of_campaign(tx: Tx, of: Campaign) -> tuple[Move, str, int | None] | None:
    """The clock's move, why, and the number of the stop rule that asks for it."""
    used, exhausted = await _used(tx, Owner.CAMPAIGN, of.campaign_id)
    clockwork = Clockwork(
        state=of.state,
        starts_at=of.starts_at,
        ends_at=of.ends_at,
        vested=await campaigns.all_in(tx, of.campaign_id, State.CLOSING, State.REVIEWED, State.CANCELLED),
        exhausted=exhausted,
    )
    due = due_move(clockwork, tx.now)
    if of.state in {State.LIVE, State.EXHAUSTED} and (due is None or due[0] is not Move.END):
        stop = stop_due(of, used, tx.now)
        if stop is not None:
            return Move.PAUSE, stop[1], stop[0]
    return None if due is None else (*due, None)


async def _advance_promotion(tx: Tx, row: Any) -> bool:
    if await _due_of_promotion(tx, row.promotion_id) is None:
        return False
    await hold_campaign(tx, (await promotions.get_promotion(tx, row.promotion_id)).campaign_id)
    held = await promotions.get_promotion(tx, row.promotion_id, lock=True)
    due = await _due_of_promotion(tx, row.promotion_id)
    if due is None:
        return False
    await promotions.move_promotion(tx, held, due[0], Party.CLOCK, reason=due[1])
    return True


async def _due_of_promotion(tx: Tx, promotion_id: int) -> tuple[Move, str] | None:
    of = await promotions.get_promotion(tx, promotion_id)
    campaign = await campaigns.get_campaign(tx, of.campaign_id)
    _, exhausted = await _used(tx, Owner.PROMOTION, promotion_id)
    clockwork = Clockwork(
        state=of.state,
        starts_at=of.starts_at,
        ends_at=of.ends_at,
        vested=of.closes_at is None or of.closes_at <= tx.now,
        exhausted=exhausted,
        above=campaign.state,
    )
    return due_move(clockwork, tx.now)


async def _used(tx: Tx, owner: Owner, owner_id: int) -> tuple[int, bool]:
    """What is spent and promised of all of a thing's money, and whether that budget has refused anything."""
    of = [
        each.budget_id
        for each in await budgets.budgets_of(tx, owner, [owner_id])
        if each.scope is Scope.TOTAL and each.control is Control.ABSOLUTE
    ]
    stood = await budgets.standings(tx, of)
    used = sum(one.reserved_minor + one.spent_minor for one in stood)
    return used, any(one.exhausted_at is not None for one in stood)
