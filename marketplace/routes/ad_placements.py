"""Where ads are shown, and the calendar of those places that are sold by time."""

from datetime import datetime, timedelta
from typing import Annotated

import msgspec
from litestar import Response, get, patch, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter

from billing.ads.campaigns import store
from billing.ads.model import Placement, Pricing
from billing.ads.slots import store as slots
from billing.ads.slots.store import TakenSlot
from marketplace.core import audit
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import Invalid
from marketplace.core.money import check_currency
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.flows.ads import plan_campaign as flow
from marketplace.flows.ads.plan_campaign import NewPlacement
from marketplace.routes.fields import Currency, Minor, Name
from marketplace.routes.parameters import LIMIT, Cursor, Limit, PathId
from marketplace.web.auth import ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.etag import edited, tagged, versioned
from marketplace.web.guards import MERCHANT_BOOKS, OPS, STAFF, needs
from marketplace.web.once import once
from marketplace.web.openapi import ONCE

_CALENDAR_MAX = timedelta(days=92)
_FOUR_WEEKS = timedelta(days=28)

Positions = Annotated[int, msgspec.Meta(ge=0, le=100)]
Since = Annotated[datetime | None, QueryParameter(description="From this instant on; from now on.")]
Until = Annotated[
    datetime | None, QueryParameter(description="To before this instant, 92 days later at most; for four weeks.")
]


class PlacementBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """positions and reserve_minor where an auction fills it; slot_minutes and slot_price_minor where time is sold.

    list_price_minor: of a click or of a thousand impressions, where insertion orders are sold; 0 where none are.
    """

    name: Name
    pricing: Pricing
    currency: Currency
    positions: Positions = 0
    reserve_minor: Minor = 0
    slot_minutes: Annotated[int, msgspec.Meta(ge=0, le=1440)] = 0
    slot_price_minor: Minor = 0
    list_price_minor: Minor = 0


class PlacementChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """null leaves a field as it is. A closed placement shows nothing and takes no campaigns."""

    positions: Positions | None = None
    reserve_minor: Minor | None = None
    slot_price_minor: Minor | None = None
    list_price_minor: Minor | None = None
    open: bool | None = None


class Calendar(msgspec.Struct, frozen=True, kw_only=True):
    """What is sold of a placement's time; all other slots are free."""

    placement_id: int
    slot_minutes: int
    slot_price_minor: int
    taken: list[TakenSlot]


@get("/ad-placements", guards=[needs(STAFF, MERCHANT_BOOKS)])
async def list_placements(
    request: ActorRequest, db: NamedDependency[Database], limit: Limit = LIMIT, cursor: Cursor = None
) -> Page[Placement]:
    """Every place for ads, with its prices."""
    (after,) = decode_cursor(cursor, tuple[int]) or (None,)
    async with db.read(request.user.scope) as tx:
        rows = await store.list_placements(tx, limit=limit + 1, after=after)
    return page(rows, limit, lambda row: row, lambda row: (row.placement_id,))


@get("/ad-placements/{placement_id:int}", guards=[needs(STAFF, MERCHANT_BOOKS)])
async def get_placement(
    request: ActorRequest, db: NamedDependency[Database], placement_id: PathId
) -> Response[Placement]:
    """One place for ads."""
    async with db.read(request.user.scope) as tx:
        found = await store.get_placement(tx, placement_id)
    return tagged(found, found.version)


@post("/ad-placements", dto=StrictBody[PlacementBody], guards=[needs(OPS)], opt=ONCE)
async def add_placement(
    request: ActorRequest, db: NamedDependency[Database], data: JSONBody[PlacementBody]
) -> Response[Placement]:
    """Offer a new place for ads."""
    check_currency(data.currency)
    return await once(request, db, flow.add_placement, NewPlacement(**msgspec.structs.asdict(data)))


@patch("/ad-placements/{placement_id:int}", dto=StrictBody[PlacementChange], guards=[needs(OPS)], opt=versioned())
async def edit_placement(
    request: ActorRequest, db: NamedDependency[Database], placement_id: PathId, data: JSONBody[PlacementChange]
) -> Response[Placement]:
    """Change what holds from now on; what was booked or shown keeps its price."""
    given = {name: value for name, value in msgspec.structs.asdict(data).items() if value is not None}

    async def change(tx: Tx, held: Placement) -> Placement:
        if held.pricing is not Pricing.SLOT and data.slot_price_minor:
            raise Invalid(f"slot_price_minor: {held.name} sells no slots", pointer="/slot_price_minor")
        if held.pricing is Pricing.SLOT and data.list_price_minor:
            raise Invalid(f"list_price_minor: {held.name} sells slots", pointer="/list_price_minor")
        new = await store.edit_placement(tx, msgspec.structs.replace(held, **given))
        await audit.record(tx, "ad placement edited", f"ad_placement:{placement_id}", **given)
        return new

    return await edited(request, db, lambda tx: store.get_placement(tx, placement_id, lock=True), change)


@get("/ad-placements/{placement_id:int}/calendar", guards=[needs(STAFF, MERCHANT_BOOKS)])
async def get_ad_calendar(
    request: ActorRequest,
    db: NamedDependency[Database],
    placement_id: PathId,
    from_at: Since = None,
    to_at: Until = None,
) -> Calendar:
    """Which slots are sold; not to whom."""
    first = from_at or db.clock.now()
    if not 2000 <= first.year < 2200 or first.tzinfo is None:
        raise Invalid("from_at: needs an offset, such as Z, and a year from 2000 to 2199", field="from_at")
    end = to_at or first + _FOUR_WEEKS
    if end.tzinfo is None or not timedelta(0) < end - first <= _CALENDAR_MAX:
        raise Invalid(
            f"to_at: needs an offset and must be up to {_CALENDAR_MAX.days} days after from_at", field="to_at"
        )
    async with db.read(WORKER) as tx:  # the calendar is no merchant's: it says which booking has a slot, not whose
        found = await store.get_placement(tx, placement_id)
        taken = await slots.taken_slots(tx, placement_id, first, end)
    return Calendar(
        placement_id=placement_id,
        slot_minutes=found.slot_minutes,
        slot_price_minor=found.slot_price_minor,
        taken=taken,
    )


HANDLERS = [list_placements, get_placement, add_placement, edit_placement, get_ad_calendar]
