"""Channels as a tree, what was spent on them, and what they have brought for it."""

from datetime import date
from typing import Annotated

import msgspec
from litestar import Response, get, patch, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter

from marketplace.core.db import Database, Tx
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.flows.acquisition import weigh_channels as flows
from marketplace.flows.acquisition.import_costs import BYTES_MAX, CostsLoaded, import_costs
from marketplace.flows.acquisition.weigh_channels import Economics, WeighChannels, weigh_channels
from marketplace.routes.fields import Name
from marketplace.routes.parameters import LIMIT, Cursor, FromOn, Limit, PathId, QueryId, ToOn
from marketplace.web.auth import ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.etag import edited, tagged, versioned
from marketplace.web.guards import GROWTH, SALES, STAFF, needs
from marketplace.web.once import once
from marketplace.web.openapi import ONCE
from supply.leads.attribution import AttributionModel
from supply.leads.channels import store
from supply.leads.model import Channel, ChannelCost, Model

_ONE = "/channels/{channel_id:int}"

OfCurrency = Annotated[str, QueryParameter(pattern="^[A-Z]{3}$")]
OfModel = Annotated[Model, QueryParameter(name="model")]
By = Annotated[AttributionModel, QueryParameter(description="How merchants are divided over channels.")]
Grouping = Annotated[flows.By, QueryParameter(description="By what cost and merchants are divided.")]
Horizon = Annotated[int, QueryParameter(ge=1, le=120, description="Months of the lifetime value.")]
Discount = Annotated[int, QueryParameter(ge=0, le=1_000_000, description="Of a month, in ppm.")]


class ChannelBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """key: what is added to the parent's code, behind a point."""

    parent_id: Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]
    key: Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9_]{0,39}$")]
    name: Name


class ChannelChanges(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """null leaves a field as it is. What is not active takes no more leads and costs."""

    name: Name | None = None
    active: bool | None = None


class CostFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A CSV file with the columns ref,channel,campaign,day,kind,currency,amount."""

    content: Annotated[str, msgspec.Meta(min_length=1, max_length=BYTES_MAX)]


@get("/channels", guards=[needs(STAFF, SALES)])
async def list_channels(request: ActorRequest, db: NamedDependency[Database]) -> list[Channel]:
    """The whole tree, by code."""
    async with db.read(request.user.scope) as tx:
        return await store.list_channels(tx)


@post("/channels", dto=StrictBody[ChannelBody], guards=[needs(GROWTH)], opt=ONCE)
async def create_channel(
    request: ActorRequest, db: NamedDependency[Database], data: JSONBody[ChannelBody]
) -> Response[Channel]:
    """Add a channel below another."""

    async def work(tx: Tx) -> Channel:
        return await store.add_channel(tx, await store.get_channel(tx, data.parent_id), data.key, data.name)

    return await once(request, db, work)


@get(_ONE, guards=[needs(STAFF, SALES)])
async def get_channel(request: ActorRequest, db: NamedDependency[Database], channel_id: PathId) -> Response[Channel]:
    """One channel."""
    async with db.read(request.user.scope) as tx:
        found = await store.get_channel(tx, channel_id)
    return tagged(found, found.version)


@patch(_ONE, dto=StrictBody[ChannelChanges], guards=[needs(GROWTH)], opt=versioned())
async def change_channel(
    request: ActorRequest, db: NamedDependency[Database], channel_id: PathId, data: JSONBody[ChannelChanges]
) -> Response[Channel]:
    """Rename a channel, or take it out of use."""

    async def change(tx: Tx, held: Channel) -> Channel:
        active = held.active if data.active is None else data.active
        return await store.edit_channel(tx, channel_id, name=data.name or held.name, active=active)

    return await edited(request, db, lambda tx: store.get_channel(tx, channel_id, lock=True), change)


@get("/channel-costs", guards=[needs(STAFF)])
async def list_costs(
    request: ActorRequest,
    db: NamedDependency[Database],
    channel_id: QueryId = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[ChannelCost]:
    """What was spent, the newest days first."""
    before = decode_cursor(cursor, tuple[date, int])
    async with db.read(request.user.scope) as tx:
        wanted = store.CostFilter(channel_id=channel_id)
        rows = await store.list_costs(tx, limit=limit + 1, before=before, wanted=wanted)
    return page(rows, limit, lambda row: row, lambda row: (row.spent_on, row.cost_id))


@post("/channel-costs", dto=StrictBody[CostFile], guards=[needs(GROWTH)], opt=ONCE)
async def create_costs(
    request: ActorRequest, db: NamedDependency[Database], data: JSONBody[CostFile]
) -> Response[CostsLoaded]:
    """Store what was spent, from a file: all of it, or every reason why not; what is stored already stays."""
    return await once(request, db, import_costs, data.content.encode())


@get("/channel-economics", guards=[needs(STAFF)])
async def get_economics(
    request: ActorRequest,
    db: NamedDependency[Database],
    from_on: FromOn,
    to_on: ToOn,
    currency: OfCurrency,
    of_model: OfModel = Model.PLATFORM,
    by: Grouping = "channel",
    attribution: By = AttributionModel.LAST,
    horizon: Horizon = 12,
    discount_ppm: Discount = 0,
) -> Economics:
    """Cost per stage, CAC, payback and LTV:CAC by channel, campaign, rep, distributor or segment."""
    cmd = WeighChannels(
        from_on=from_on, to_on=to_on, currency=currency, model=of_model, by=by, attribution=attribution,
        horizon=horizon, discount_ppm=discount_ppm,
    )  # fmt: skip
    async with db.read(request.user.scope) as tx:
        return await weigh_channels(tx, cmd)


HANDLERS = [
    list_channels,
    create_channel,
    get_channel,
    change_channel,
    list_costs,
    create_costs,
    get_economics,
]
