"""Process: a lead is scored by what is known of it, and goes on to sales when it is promising enough."""

from collections.abc import Sequence
from datetime import datetime

from marketplace.core.db import Tx
from marketplace.flows.acquisition.note_stages import funnel_of, put_stage, take_back
from supply.funnels import store as funnels
from supply.funnels.model import StageEvent
from supply.leads import store
from supply.leads.channels import store as channels
from supply.leads.model import ACTIONS, Lead, TouchKind
from supply.leads.scoring import Facts, Score, score
from supply.leads.scoring_sql import Scoring, newest_scoring

_QUALIFIED, _BY_SCORE = "qualified", "score"


async def score_lead(tx: Tx, held: Lead) -> Lead:
    """Score a held lead by the newest rules; one that qualifies is noted so, where its funnel has such a stage."""
    scoring = await newest_scoring(tx)
    if scoring is None:
        return held
    scored, found = await _scored(tx, held, scoring)
    funnel = await funnel_of(tx, held)
    may = found.qualifies(scoring.rules) and any(stage.key == _QUALIFIED for stage in funnel.stages)
    if may and not _is_told(await funnels.events_of(tx, held.lead_id)):
        await put_stage(tx, scored, _QUALIFIED, tx.now, cause=_BY_SCORE)
    return scored


async def rescore_lead(tx: Tx, held: Lead, *, since: datetime | None) -> Lead:
    """Score a held lead anew of which something is no more that has counted since then. Where it does not qualify any
    more, and the score said so only since, that is taken back, too.
    """
    scoring = await newest_scoring(tx)
    if scoring is None:
        return held
    scored, found = await _scored(tx, held, scoring)
    if since is not None and not found.qualifies(scoring.rules):
        for event in _said_by_score(await funnels.events_of(tx, held.lead_id)):
            if event.recorded_at >= since:
                await take_back(tx, held, event, cause=_BY_SCORE)
    return scored


async def _scored(tx: Tx, held: Lead, scoring: Scoring) -> tuple[Lead, Score]:
    found = score(await _facts(tx, held), scoring.rules)
    return await store.set_score(tx, held, found.fit, found.engagement, scoring.version_no), found


def _is_told(events: Sequence[StageEvent]) -> bool:
    """Whether it was said that a lead qualifies: for good when a person has taken it back, not when the score has."""
    unsaid = {event.voids for event in events if event.cause == _BY_SCORE}
    return any(event.stage == _QUALIFIED and event.voids is None and event.event_id not in unsaid for event in events)


def _said_by_score(events: Sequence[StageEvent]) -> list[StageEvent]:
    """What the score has said and nobody has taken back."""
    voided = {event.voids for event in events}
    said = [event for event in events if event.cause == _BY_SCORE and event.voids is None]
    return [event for event in said if event.event_id not in voided]


async def _facts(tx: Tx, held: Lead) -> Facts:
    touches = await store.touches_of(tx, held.lead_id)
    channel = await channels.get_channel(tx, held.channel_id)
    return Facts(
        model=held.model,
        channel=channel.code,
        campaign=held.campaign,
        region=held.region,
        city=held.city,
        has_tax_id=int(bool(held.tax_id)),
        has_phone=int(bool(held.phone)),
        has_email=int(bool(held.email)),
        touches=len(touches),
        actions=sum(touch.kind in ACTIONS for touch in touches),
        forms=sum(touch.kind is TouchKind.FORM for touch in touches),
    )
