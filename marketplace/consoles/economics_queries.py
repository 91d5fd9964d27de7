"""What the pages of channels show: the tree, one channel, unit economics, and the leads behind a figure of them."""

from collections.abc import Mapping, Sequence
from datetime import date

import msgspec

from marketplace.consoles.ops_queries import Entity
from marketplace.core.db import Tx
from marketplace.core.paging import cut
from marketplace.flows.acquisition.show_field import ChannelShown, show_channels
from marketplace.flows.acquisition.weigh_channels import (
    ChannelEconomics,
    CohortLead,
    Economics,
    WeighChannels,
    leads_behind,
    weigh_channels,
    weigh_total,
)
from supply.leads.channels import store as channels
from supply.leads.model import Channel

LISTED_MAX = 50


class ChannelsPage(msgspec.Struct, frozen=True):
    """The tree, by code."""

    channels: Sequence[ChannelShown]


class ChannelPage(msgspec.Struct, frozen=True):
    """A channel with all below it: what it has cost and brought by the leads of some days."""

    entity: Entity
    channel: Channel
    above: Sequence[Channel]
    below: Sequence[Channel]
    asked: WeighChannels
    figures: ChannelEconomics


class EconomicsPage(msgspec.Struct, frozen=True):
    """names: of channels by code, where they are what it is by. ids: of channels by code."""

    entity: Entity
    asked: WeighChannels
    found: Economics
    names: Mapping[str, str]
    ids: Mapping[str, int]


class BehindPage(msgspec.Struct, frozen=True):
    """The leads behind the figures under a key; None: behind all of them. name: as people call it."""

    entity: Entity
    asked: WeighChannels
    key: str | None
    name: str
    leads: Sequence[CohortLead]
    older: tuple[date, int] | None


async def channels_page(tx: Tx) -> ChannelsPage:
    """Every channel."""
    return ChannelsPage(await show_channels(tx))


async def channel_page(tx: Tx, entity: Entity, channel_id: int, asked: WeighChannels) -> ChannelPage:
    """Raises NotFound."""
    found = await channels.get_channel(tx, channel_id)
    known = await channels.list_channels(tx)
    return ChannelPage(
        entity=entity,
        channel=found,
        above=[each for each in known if each.channel_id in found.path and each != found],
        below=[each for each in known if each.parent_id == channel_id],
        asked=asked,
        figures=await weigh_total(tx, asked, channel_id),
    )


async def economics_page(tx: Tx, entity: Entity, asked: WeighChannels) -> EconomicsPage:
    """Raises Invalid."""
    known = await channels.list_channels(tx)
    return EconomicsPage(
        entity=entity,
        asked=asked,
        found=await weigh_channels(tx, asked),
        names={each.code: each.name for each in known} if asked.by == "channel" else {},
        ids={each.code: each.channel_id for each in known},
    )


async def behind_page(
    tx: Tx, entity: Entity, asked: WeighChannels, key: str | None, before: tuple[date, int] | None
) -> BehindPage:
    """One page of them. Raises Invalid."""
    rows = await leads_behind(tx, asked, key, limit=LISTED_MAX + 1, before=before)
    shown, older = cut(rows, LISTED_MAX, lambda lead: (lead.began_on, lead.lead_id))
    names = {each.code: each.name for each in await channels.list_channels(tx)} if asked.by == "channel" else {}
    return BehindPage(entity, asked, key, names.get(key or "", key or ""), shown, older)
