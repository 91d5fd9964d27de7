"""Process: a lead is scored by what is known of it, and goes on to sales when it is promising enough."""

from marketplace.core.db import Tx
from marketplace.flows.acquisition.note_stages import funnel_of, put_stage
from supply.funnels import store as funnels
from supply.leads import store
from supply.leads.channels import store as channels
from supply.leads.model import ACTIONS, Lead, TouchKind
from supply.leads.scoring import Facts, score
from supply.leads.scoring_sql import newest_scoring

_QUALIFIED = "qualified"


async def score_lead(tx: Tx, held: Lead) -> Lead:
    """Score a held lead by the newest rules; one that qualifies is noted so, where its funnel has such a stage."""
    scoring = await newest_scoring(tx)
    if scoring is None:
        return held
    found = score(await _facts(tx, held), scoring.rules)
    scored = await store.set_score(tx, held, found.fit, found.engagement, scoring.version_no)
    funnel = await funnel_of(tx, held)
    if found.qualifies(scoring.rules) and any(stage.key == _QUALIFIED for stage in funnel.stages):
        told = {event.stage for event in await funnels.events_of(tx, held.lead_id)}
        if _QUALIFIED not in told:
            await put_stage(tx, scored, _QUALIFIED, tx.now, cause="score")
    return scored


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
