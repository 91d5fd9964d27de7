"""Process: what happens to a lead is noted as stages of its funnel, and the roll-up follows in the same commit.

Stages come from the lead's own moves, from people, and, once it is a merchant, from what the merchant does.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from marketplace.core import outbox
from marketplace.core.db import Database, Tx
from marketplace.core.each import FIRST, each
from marketplace.core.errors import Conflict, Forbidden, Invalid
from marketplace.flows.acquisition.milestones_sql import LAST, milestones_of
from supply.funnels import store as funnels
from supply.funnels.model import Funnel, StageEvent
from supply.leads import store
from supply.leads.model import Lead, LeadState
from supply.leads.shares_sql import lock_shares
from supply.leads.territories import store as territories

_PAGE = 500


class NoteStage(msgspec.Struct, frozen=True, kw_only=True):
    """The lead was in a stage at an instant, or is now (None). evidence: what shows it, for a stage that is a fact."""

    lead_id: int
    stage: str
    at: datetime | None = None
    evidence: str = ""


async def funnel_of(tx: Tx, lead: Lead) -> Funnel:
    """The version that a lead began under."""
    return await funnels.get_funnel(tx, lead.model, lead.funnel_version)


async def note_stage(tx: Tx, cmd: NoteStage) -> StageEvent:
    """Note a stage that somebody saw, also late. Raises Invalid for a stage or instant that there is not, and for a
    fact that nothing shows; Forbidden for who says of its own lead what earns commission.
    """
    held = await store.get_lead(tx, cmd.lead_id, lock=True)
    check_alive(held)
    funnel = await funnel_of(tx, held)
    if funnel.is_fact(cmd.stage) and not cmd.evidence:
        raise Invalid(f"evidence: {cmd.stage} is a fact: name what shows it", pointer="/evidence")
    if funnel.is_activated(cmd.stage):
        await check_not_own(tx, held, f"stage {cmd.stage} earns commission")
    return await put_stage(tx, held, cmd.stage, cmd.at or tx.now, cause="person", evidence=cmd.evidence)


async def check_not_own(tx: Tx, held: Lead, why: str) -> None:
    """Raise Forbidden when the rep who holds a lead says what it would earn commission by, whatever policy is on."""
    if held.owner_id is not None and (await territories.get_rep(tx, held.owner_id)).login == tx.actor:
        raise Forbidden(f"{why}: another person than {tx.actor}, who holds the lead, must say so")


async def put_stage(tx: Tx, held: Lead, stage: str, at: datetime, *, cause: str, evidence: str = "") -> StageEvent:
    """Note a stage of a held lead. An activated lead's attribution is locked."""
    check_past(tx, at, "at")
    funnel = await funnel_of(tx, held)
    funnel.place(stage)
    new = {"lead_id": held.lead_id, "stage": stage, "at": at, "cause": cause, "evidence": evidence}
    [event_id] = await funnels.add_events(tx, [new])
    if stage == funnel.activated:
        await lock_shares(tx, held, await store.touches_of(tx, held.lead_id), at)
    await funnels.roll(tx, [held.lead_id])
    told = {"lead_id": held.lead_id, "model": held.model, "stage": stage, "at": at, "cause": cause}
    await outbox.emit(tx, "supply.stage_reached.v1", told)
    return await funnels.get_event(tx, held.lead_id, event_id)


async def void_stage(tx: Tx, lead_id: int, event_id: int) -> StageEvent:
    """Take a stage event back that was wrong; both stay on record. Raises Conflict when it was taken back before."""
    held = await store.get_lead(tx, lead_id, lock=True)
    check_alive(held)
    events = await funnels.events_of(tx, lead_id)
    wrong = await funnels.get_event(tx, lead_id, event_id)
    if wrong.voids is not None or event_id in {event.voids for event in events}:
        raise Conflict(f"stage event {event_id} has been taken back, or is a correction itself")
    return await take_back(tx, held, wrong, cause="correction")


async def take_back(tx: Tx, held: Lead, wrong: StageEvent, *, cause: str) -> StageEvent:
    """Take a stage event of a held lead back that stands."""
    back = {"lead_id": wrong.lead_id, "stage": wrong.stage, "at": wrong.at, "cause": cause, "voids": wrong.event_id}
    [new_id] = await funnels.add_events(tx, [back])
    await funnels.roll(tx, [held.lead_id])
    return await funnels.get_event(tx, held.lead_id, new_id)


def check_past(tx: Tx, at: datetime, field: str) -> None:
    """Raise Invalid for an instant that has not come, or lies before all records."""
    if at.year < 2000 or at > tx.now:
        raise Invalid(f"{field}: must lie between the year 2000 and now", pointer=f"/{field}")


def check_alive(lead: Lead) -> None:
    """Raise Conflict for a lead that was merged: what is new belongs to the one that lives on."""
    if lead.state is LeadState.MERGED:
        raise Conflict(f"lead_id: was merged into lead {lead.merged_into}", merged_into=lead.merged_into)


_WON = """
    SELECT l.lead_id FROM supply.lead l
    JOIN unnest(CAST(:models AS text[]), CAST(:stages AS text[])) AS last (model, stage) ON last.model = l.model
    WHERE l.lead_id > :after AND l.merchant_id IS NOT NULL AND l.merged_into IS NULL
      AND NOT EXISTS (
          SELECT FROM supply.stage_event e
          WHERE e.lead_id = l.lead_id AND e.stage = last.stage AND e.cause = 'merchant'
      )
    ORDER BY l.lead_id LIMIT :limit
"""
"""Those who have not reached the last of the milestones of their model."""


async def note_milestones(db: Database, actor: str) -> int:
    """Note what merchants that were won as leads have reached since; returns how many leads went on."""

    async def page(tx: Tx, last: Any | None) -> Sequence[Any]:
        after = last.lead_id if last else FIRST
        return await tx.rows(_WON, models=list(LAST), stages=list(LAST.values()), after=after, limit=_PAGE)

    return await each(db, actor, "milestones of a lead could not be noted", page, _note_milestones)


async def _note_milestones(tx: Tx, row: Any) -> bool:
    held = await store.get_lead(tx, row.lead_id, lock=True)
    known = {event.stage for event in await funnels.events_of(tx, held.lead_id) if event.cause == "merchant"}
    reached = [found for found in await milestones_of(tx, held) if found.stage not in known]
    stages = {stage.key for stage in (await funnel_of(tx, held)).stages}
    noted = [found for found in reached if found.stage in stages]
    for found in noted:
        await put_stage(tx, held, found.stage, found.at, cause="merchant")
    return bool(noted)
