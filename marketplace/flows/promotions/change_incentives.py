"""What runs already is ended at another time, or gets more budget: proposed by one person, approved by another."""

from datetime import datetime

import msgspec

from incentives.budgets import store as budgets
from incentives.budgets.model import Owner
from incentives.campaigns import store as campaigns
from incentives.campaigns.model import Campaign
from incentives.changes import store
from incentives.changes.model import Change, ChangeState, Edit, EndOn, TopUp
from incentives.lifecycle import AGREED
from incentives.promotions import store as promotions
from incentives.promotions.model import Promotion, last_instants
from incentives.rules.model import Schedule
from incentives.rules.windows import schedule_span
from incentives.store import hold_campaign
from marketplace.core import audit
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, Invalid
from marketplace.core.ids import time_ordered_id
from marketplace.core.policies import check_second_person


class ProposeChange(msgspec.Struct, frozen=True, kw_only=True):
    owner: Owner
    owner_id: int
    edit: Edit
    reason: str


async def propose_change(tx: Tx, cmd: ProposeChange) -> Change:
    """Raises NotFound, Invalid for an end that cannot be and a budget of another, Conflict for what is not agreed."""
    held = await _hold(tx, cmd.owner, cmd.owner_id)
    await _check(tx, held, cmd.owner, cmd.edit)
    new = Change(
        change_id=time_ordered_id(tx.now),
        state=ChangeState.PROPOSED,
        made_by=tx.actor,
        made_at=tx.now,
        decided_by=None,
        decided_at=None,
        **{name: getattr(cmd, name) for name in cmd.__struct_fields__},
    )
    await store.insert_change(tx, new)
    await audit.record(
        tx, "change proposed", f"{cmd.owner}:{cmd.owner_id}", change_id=new.change_id, edit=cmd.edit, reason=cmd.reason
    )
    return new


async def decide_change(tx: Tx, change_id: int, then: ChangeState) -> Change:
    """Make a proposed change, or refuse it. Raises Forbidden for one's own, Conflict where it fits no more."""
    found = await store.get_change(tx, change_id)
    held = await _hold(tx, found.owner, found.owner_id)
    change = await store.get_change(tx, change_id, lock=True)
    if change.state is not ChangeState.PROPOSED:
        raise Conflict(f"state: the change is {change.state}", state=change.state.value)
    single, before = False, {}
    if then is ChangeState.APPROVED:
        single = await check_second_person(tx, change.made_by, "approve a change")
        before = await _make(tx, held, change)
    await audit.record(
        tx,
        f"change {then}",
        f"{change.owner}:{change.owner_id}",
        single_operator=single,
        change_id=change_id,
        before=before,
        after=change.edit if before else {},
    )
    return await store.decide(tx, change, then)


async def _hold(tx: Tx, owner: Owner, owner_id: int) -> Campaign | Promotion:
    """What is to be changed, held with its campaign. Raises Conflict where it is a draft still, or over."""
    held: Campaign | Promotion
    if owner is Owner.CAMPAIGN:
        await hold_campaign(tx, owner_id)
        held = await campaigns.get_campaign(tx, owner_id, lock=True)
    else:
        await hold_campaign(tx, (await promotions.get_promotion(tx, owner_id)).campaign_id)
        held = await promotions.get_promotion(tx, owner_id, lock=True)
    if held.state not in AGREED:
        raise Conflict(
            f"state: the {owner} is {held.state}; one that was approved can be changed", state=held.state.value
        )
    return held


async def _check(tx: Tx, held: Campaign | Promotion, owner: Owner, edit: Edit) -> datetime | None:
    """The new end, if it is one. Raises Invalid and Conflict."""
    if isinstance(edit, EndOn):
        return await _new_end(tx, held, edit.ends)
    budget = await budgets.get_budget(tx, edit.budget_id)
    owner_id = held.campaign_id if isinstance(held, Campaign) else held.promotion_id
    if (budget.owner, budget.owner_id) != (owner, owner_id):
        raise Invalid(f"budget_id: is no budget of this {owner}", pointer="/edit/budget_id")
    return None


async def _new_end(tx: Tx, held: Campaign | Promotion, ends: str) -> datetime:
    schedule = held.schedule if isinstance(held, Campaign) else await _schedule(tx, held)
    try:
        end = schedule_span(msgspec.structs.replace(schedule, ends=ends)).ends
    except ValueError as fault:
        raise Invalid(f"ends: {fault}", pointer="/edit/ends") from fault
    assert end is not None
    if end <= max(tx.now, held.starts_at):
        raise Invalid("ends: must be to come, and after the start", pointer="/edit/ends")
    if isinstance(held, Promotion):
        campaign = await campaigns.get_campaign(tx, held.campaign_id)
        if campaign.ends_at is not None and end > campaign.ends_at:
            raise Conflict(f"ends: the campaign ends at {campaign.ends_at:%Y-%m-%dT%H:%MZ}", pointer="/edit/ends")
    return end


async def _schedule(tx: Tx, of: Promotion) -> Schedule:
    return (await promotions.get_version(tx, of.promotion_id)).terms.schedule


async def _make(tx: Tx, held: Campaign | Promotion, change: Change) -> dict[str, object]:
    """Do it; what was before."""
    ends_at = await _check(tx, held, change.owner, change.edit)
    if isinstance(change.edit, TopUp):
        budget = await budgets.get_budget(tx, change.edit.budget_id)
        await budgets.top_up(tx, budget, change.edit.amount_minor)
        return {"limit_minor": budget.limit_minor}
    if isinstance(held, Campaign):
        await campaigns.save_campaign(tx, msgspec.structs.replace(held, ends_at=ends_at))
    else:
        terms = (await promotions.get_version(tx, held.promotion_id)).terms
        closes_at, review_at = last_instants(terms, ends_at)
        new = msgspec.structs.replace(held, ends_at=ends_at, closes_at=closes_at, review_at=review_at)
        await promotions.publish(tx, await promotions.save_promotion(tx, new))
    return {"ends_at": held.ends_at}
