"""Campaigns of merchants: drafted, reviewed, run and reported; the time they book; what they were charged."""

from datetime import date, datetime, timedelta
from typing import Annotated

import msgspec
from litestar import Response, get, patch, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter

from billing.ads.campaigns import store
from billing.ads.campaigns.store import CampaignDetail
from billing.ads.lifecycle import CampaignMove, party_of
from billing.ads.model import Booking, Campaign, Charge, Pacing
from billing.ads.slots import store as slots
from billing.ledger import store as ledger
from marketplace.core.clock import local_date
from marketplace.core.db import Database, Tx
from marketplace.core.errors import Invalid
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.flows.ads import book_slots as booking
from marketplace.flows.ads import plan_campaign as flow
from marketplace.flows.ads.book_slots import BookSlots
from marketplace.flows.ads.plan_campaign import CampaignChange, NewCampaign
from marketplace.flows.ads.report_ads import CampaignReport, report_campaign
from marketplace.routes import campaign_queries
from marketplace.routes.fields import Minor, Name, Note
from marketplace.routes.parameters import LIMIT, Cursor, Limit, PathId, QueryId, check_books, own_or
from marketplace.web.auth import ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.etag import edited, tagged, versioned
from marketplace.web.guards import MERCHANT_BOOKS, OPS, STAFF, needs
from marketplace.web.once import once
from marketplace.web.openapi import ONCE

_PATH = "/merchants/{merchant_id:int}/campaigns/{campaign_id:int}"
_TERMS_MAX = 50

Term = Annotated[str, msgspec.Meta(min_length=1, max_length=60, pattern=r"^[^\x00-\x1f\x7f]*$")]
Word = Annotated[str, msgspec.Meta(min_length=1, max_length=60, pattern=r"^[^\x00-\x20\x7f]*$")]
Terms = Annotated[tuple[Term, ...], msgspec.Meta(max_length=_TERMS_MAX)]
Words = Annotated[tuple[Word, ...], msgspec.Meta(max_length=_TERMS_MAX)]
Zone = Annotated[str, msgspec.Meta(min_length=1, max_length=60, pattern="^[A-Za-z0-9_+/-]*$")]
Id = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
First = Annotated[date | None, QueryParameter(description="The first local day; four weeks before the last one.")]
Last = Annotated[date | None, QueryParameter(description="The last local day, up to a year later; today.")]
_FOUR_WEEKS = timedelta(days=27)


class CampaignBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A campaign for one listing, in the placement's currency.

    bid_minor: at most so much for a click, or for a thousand impressions. daily_minor: at most so much on a day in
    `zone`. words: single words, any of which somebody has to look for.
    """

    name: Name
    placement_id: Id
    product_id: Id
    bid_minor: Minor = 0
    daily_minor: Minor = 0
    total_minor: Minor | None = None
    zone: Zone = "UTC"
    pacing: Pacing = Pacing.EVEN
    starts_at: datetime
    ends_at: datetime | None = None
    categories: Terms = ()
    words: Words = ()


class CampaignChanges(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """null leaves a field as it is. A lower daily budget holds from tomorrow on."""

    name: Name | None = None
    bid_minor: Minor | None = None
    daily_minor: Minor | None = None
    total_minor: Minor | None = None
    pacing: Pacing | None = None
    ends_at: datetime | None = None
    categories: Terms | None = None
    words: Words | None = None


class MoveBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is to become of the campaign, and why."""

    move: CampaignMove
    reason: Note = ""


class BookingBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Time from from_at to before to_at, whole slots of the placement."""

    from_at: datetime
    to_at: datetime


def check_instants(**instants: datetime | None) -> None:
    """Raise Invalid for an instant without an offset, and for one that no zone can show."""
    for field, at in instants.items():
        if at is not None and (at.tzinfo is None or not 2000 <= at.year < 2200):
            raise Invalid(f"{field}: needs an offset, such as Z, and a year from 2000 to 2199", pointer=f"/{field}")


@get("/campaigns", guards=[needs(STAFF, MERCHANT_BOOKS)])
async def list_campaigns(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: QueryId = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[Campaign]:
    """Campaigns, the newest first."""
    (before,) = decode_cursor(cursor, tuple[int]) or (None,)
    async with db.read(request.user.scope) as tx:
        rows = await store.list_campaigns(tx, own_or(request.user, merchant_id), limit=limit + 1, before=before)
    return page(rows, limit, lambda row: row, lambda row: (row.campaign_id,))


@get(_PATH, guards=[needs(STAFF, MERCHANT_BOOKS)])
async def get_campaign(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, campaign_id: PathId
) -> Response[CampaignDetail]:
    """One campaign with its targets, budgets and history."""
    check_books(request.user, merchant_id)
    async with db.read(request.user.scope) as tx:
        found = await store.describe(tx, await store.get_campaign(tx, merchant_id, campaign_id))
    return tagged(found, found.version)


@post(
    "/merchants/{merchant_id:int}/campaigns",
    dto=StrictBody[CampaignBody],
    guards=[needs(OPS, MERCHANT_BOOKS)],
    opt=ONCE,
)
async def draft_campaign(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, data: JSONBody[CampaignBody]
) -> Response[CampaignDetail]:
    """Draft a campaign; it runs once it is submitted and approved."""
    check_books(request.user, merchant_id)
    check_instants(starts_at=data.starts_at, ends_at=data.ends_at)
    cmd = NewCampaign(merchant_id=merchant_id, **msgspec.structs.asdict(data))
    return await once(request, db, flow.draft_campaign, cmd, party_of(request.user.merchant_id))


@patch(_PATH, dto=StrictBody[CampaignChanges], guards=[needs(OPS, MERCHANT_BOOKS)], opt=versioned())
async def edit_campaign(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    campaign_id: PathId,
    data: JSONBody[CampaignChanges],
) -> Response[CampaignDetail]:
    """Change a campaign; a higher budget holds at once."""
    check_books(request.user, merchant_id)
    check_instants(ends_at=data.ends_at)

    async def hold(tx: Tx) -> Campaign:
        await ledger.lock_books(tx, merchant_id)
        return await store.get_campaign(tx, merchant_id, campaign_id, lock=True)

    async def change(tx: Tx, held: Campaign) -> CampaignDetail:
        return await flow.edit_campaign(tx, held, CampaignChange(**msgspec.structs.asdict(data)))

    return await edited(request, db, hold, change)


@post(
    f"{_PATH}/moves", dto=StrictBody[MoveBody], guards=[needs(OPS, MERCHANT_BOOKS)], status_code=200, opt=ONCE
)  # fmt: skip
async def move_campaign(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    campaign_id: PathId,
    data: JSONBody[MoveBody],
) -> Response[CampaignDetail]:
    """Submit, pause, resume or end a campaign; the platform also approves, rejects, suspends and reinstates."""
    check_books(request.user, merchant_id)
    party = party_of(request.user.merchant_id)
    return await once(request, db, flow.move_campaign, merchant_id, campaign_id, data.move, party, data.reason)


@get(f"{_PATH}/report", guards=[needs(STAFF, MERCHANT_BOOKS)])
async def get_campaign_report(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    campaign_id: PathId,
    first: First = None,
    last: Last = None,
) -> CampaignReport:
    """Impressions, clicks, spend and attributed sales by day, with the figures that follow from them."""
    check_books(request.user, merchant_id)
    for edge in (first, last):
        if edge is not None and not 2000 <= edge.year < 2200:
            raise Invalid("first: must be in a year from 2000 to 2199", field="first")
    async with db.read(request.user.scope) as tx:
        found = await store.get_campaign(tx, merchant_id, campaign_id)
        last = last or local_date(tx.now, found.zone)
        return await report_campaign(tx, merchant_id, campaign_id, first or last - _FOUR_WEEKS, last)


@get(f"{_PATH}/ad-charges", guards=[needs(STAFF, MERCHANT_BOOKS)])
async def list_ad_charges(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    campaign_id: PathId,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[Charge]:
    """Charges and credits, the newest first, each with its journal entry."""
    check_books(request.user, merchant_id)
    (before,) = decode_cursor(cursor, tuple[int]) or (None,)
    async with db.read(request.user.scope) as tx:
        await store.get_campaign(tx, merchant_id, campaign_id)
        rows = await campaign_queries.list_charges(tx, merchant_id, campaign_id, limit=limit + 1, before=before)
    return page(rows, limit, lambda row: row, lambda row: (row.charge_id,))


@get(f"{_PATH}/bookings", guards=[needs(STAFF, MERCHANT_BOOKS)])
async def list_bookings(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    campaign_id: PathId,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[Booking]:
    """The time that a campaign has booked, the newest first."""
    check_books(request.user, merchant_id)
    (before,) = decode_cursor(cursor, tuple[int]) or (None,)
    async with db.read(request.user.scope) as tx:
        await store.get_campaign(tx, merchant_id, campaign_id)
        rows = await slots.list_bookings(tx, merchant_id, campaign_id, limit=limit + 1, before=before)
    return page(rows, limit, lambda row: row, lambda row: (row.booking_id,))


@post(f"{_PATH}/bookings", dto=StrictBody[BookingBody], guards=[needs(OPS, MERCHANT_BOOKS)], opt=ONCE)
async def book_slots(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    campaign_id: PathId,
    data: JSONBody[BookingBody],
) -> Response[Booking]:
    """Book time; its price is set aside. What somebody else has booked is refused, naming that booking."""
    check_books(request.user, merchant_id)
    check_instants(from_at=data.from_at, to_at=data.to_at)
    cmd = BookSlots(merchant_id=merchant_id, campaign_id=campaign_id, from_at=data.from_at, to_at=data.to_at)
    return await once(request, db, booking.book_slots, cmd)


@post(
    "/merchants/{merchant_id:int}/bookings/{booking_id:int}/cancel",
    guards=[needs(OPS, MERCHANT_BOOKS)],
    status_code=200,
    opt=ONCE,
)
async def cancel_booking(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, booking_id: PathId
) -> Response[Booking]:
    """Give booked time back before it begins."""
    check_books(request.user, merchant_id)
    return await once(request, db, booking.cancel_booking, merchant_id, booking_id)


HANDLERS = [
    list_campaigns,
    get_campaign,
    draft_campaign,
    edit_campaign,
    move_campaign,
    get_campaign_report,
    list_ad_charges,
    list_bookings,
    book_slots,
    cancel_booking,
]
