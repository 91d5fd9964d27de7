"""Statements on attribution: shares that are locked once a lead is activated."""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from sqlalchemy import insert, select

from marketplace.core.db import Tx
from supply.leads.attribution import AttributionModel, Point, Share, attribute
from supply.leads.model import Lead, Touch
from supply.leads.tables import attribution_share


class Attributed(msgspec.Struct, frozen=True, kw_only=True):
    """The shares of one model. locked: the lead is activated, and nothing changes them any more."""

    model: AttributionModel
    locked: bool
    shares: list[Share]


def shares_of(lead: Lead, touches: Sequence[Touch], until: datetime) -> list[Attributed]:
    """What every model says of the touches so far."""
    points = [Point(each.at, each.touch_id, each.channel_id, each.campaign, each.rep_id) for each in touches]
    return [
        Attributed(
            model=model, locked=False, shares=attribute(points, model, until=until, owner_id=lead.owner_id)
        )
        for model in AttributionModel
    ]  # fmt: skip


async def lock_shares(tx: Tx, lead: Lead, touches: Sequence[Touch], activated_at: datetime) -> None:
    """Store what every model says at activation, unless it is stored already."""
    if await locked_shares(tx, lead.lead_id):
        return
    rows = [
        {"lead_id": lead.lead_id, "model": each.model, "locked_at": tx.now, **msgspec.structs.asdict(share)}
        for each in shares_of(lead, touches, activated_at)
        for share in each.shares
    ]
    if rows:
        await tx.execute(insert(attribution_share), rows)


async def locked_shares(tx: Tx, lead_id: int) -> list[Attributed]:
    """What is stored, by model; nothing before activation."""
    columns = [attribution_share.c[name] for name in ("model", "channel_id", "campaign", "share_ppm")]
    query = select(*columns).where(attribution_share.c.lead_id == lead_id)
    found: dict[AttributionModel, list[Share]] = {}
    for row in await tx.rows(query.order_by("model", "channel_id", "campaign")):
        found.setdefault(AttributionModel(row.model), []).append(Share(row.channel_id, row.campaign, row.share_ppm))
    return [Attributed(model=model, locked=True, shares=shares) for model, shares in found.items()]
