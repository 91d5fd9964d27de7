"""A campaign from its draft to its end: what it shows, where, what it may cost, and who lets it run."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from billing.ads.campaigns import store
from billing.ads.campaigns.store import CampaignDetail
from billing.ads.lifecycle import AdParty, CampaignMove
from billing.ads.model import Campaign, CampaignState, Pacing, Placement, Pricing
from billing.ledger import store as ledger
from marketplace.core import audit
from marketplace.core.clock import local_date
from marketplace.core.db import Database, Tx
from marketplace.core.each import FIRST, each
from marketplace.core.errors import Conflict, Invalid
from marketplace.core.ids import time_ordered_id
from marketplace.flows.ads.book_slots import check_own, committed_minor, release_bookings
from supply.model import MerchantState
from supply.store import get_merchant

BATCH = 200
_OF_GUARANTEED = frozenset({CampaignMove.SUSPEND, CampaignMove.REINSTATE, CampaignMove.RESUME})
"""What the platform may do with a campaign that is a line of an insertion order."""


class NewPlacement(msgspec.Struct, frozen=True, kw_only=True):
    """A place for ads. positions and reserve_minor where an auction fills it, the next two where slots are sold.

    list_price_minor: where clicks or thousands of impressions are sold by people, too.
    """

    name: str
    pricing: Pricing
    currency: str
    positions: int = 0
    reserve_minor: int = 0
    slot_minutes: int = 0
    slot_price_minor: int = 0
    list_price_minor: int = 0


class NewCampaign(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be shown where. daily_minor: of each day in `zone`; words: what is looked for, each a single word."""

    merchant_id: int
    name: str
    placement_id: int
    product_id: int
    bid_minor: int
    daily_minor: int
    total_minor: int | None
    zone: str
    pacing: Pacing
    starts_at: datetime
    ends_at: datetime | None
    categories: tuple[str, ...]
    words: tuple[str, ...]


class CampaignChange(msgspec.Struct, frozen=True, kw_only=True):
    """The campaign as it is to be; None leaves a field as it is."""

    name: str | None = None
    bid_minor: int | None = None
    daily_minor: int | None = None
    total_minor: int | None = None
    pacing: Pacing | None = None
    ends_at: datetime | None = None
    categories: tuple[str, ...] | None = None
    words: tuple[str, ...] | None = None


async def add_placement(tx: Tx, cmd: NewPlacement) -> Placement:
    """A new place for ads. Raises Invalid for a unit of time that does not divide a day, Conflict for a name in use."""
    slots = cmd.pricing is Pricing.SLOT
    if slots and (cmd.slot_minutes <= 0 or 1440 % cmd.slot_minutes):
        raise Invalid("slot_minutes: must divide a day of 1440 minutes", pointer="/slot_minutes")
    if not slots and (cmd.slot_minutes or cmd.slot_price_minor):
        raise Invalid("slot_minutes: only a placement that sells slots has them", pointer="/slot_minutes")
    if slots and cmd.list_price_minor:
        raise Invalid("list_price_minor: slots have a price", pointer="/list_price_minor")
    if not slots and cmd.positions == 0:
        raise Invalid("positions: an auction needs at least one", pointer="/positions")
    new = Placement(placement_id=time_ordered_id(tx.now), open=True, version=1, **msgspec.structs.asdict(cmd))
    await store.add_placement(tx, new)
    await audit.record(tx, "ad placement added", f"ad_placement:{new.placement_id}", name=new.name)
    return new


async def draft_campaign(tx: Tx, cmd: NewCampaign, party: AdParty) -> CampaignDetail:
    """A campaign that nobody sees yet. Raises NotFound for an unknown merchant or placement, Invalid for bad terms."""
    await get_merchant(tx, cmd.merchant_id)
    placement = await store.get_placement(tx, cmd.placement_id)
    if not placement.open:
        raise Conflict(f"placement_id: {placement.name} is closed")
    _check_zone(cmd.zone)
    _check_bid(placement, cmd.bid_minor)
    await check_listing(tx, cmd.merchant_id, cmd.product_id)
    if placement.pricing is not Pricing.SLOT and not cmd.categories and not cmd.words:
        raise Invalid("categories: name a category or a word to be shown for", pointer="/categories")
    if cmd.ends_at is not None and cmd.ends_at <= max(cmd.starts_at, tx.now):
        raise Invalid("ends_at: must be after the start, and to come", pointer="/ends_at")
    new = Campaign(
        merchant_id=cmd.merchant_id,
        campaign_id=time_ordered_id(tx.now),
        name=cmd.name,
        placement_id=placement.placement_id,
        product_id=cmd.product_id,
        pricing=placement.pricing,
        currency=placement.currency,
        bid_minor=cmd.bid_minor,
        total_minor=cmd.total_minor,
        spent_minor=0,
        zone=cmd.zone,
        pacing=cmd.pacing,
        starts_at=cmd.starts_at,
        ends_at=cmd.ends_at,
        state=CampaignState.DRAFT,
        quality_ppm=1_000_000,
        version=1,
    )
    await store.insert_campaign(tx, new, categories=cmd.categories, words=_lower(cmd.words), made_by=party)
    if placement.pricing is not Pricing.SLOT:
        first = local_date(min(tx.now, cmd.starts_at), cmd.zone)
        await store.set_budget(tx, cmd.merchant_id, new.campaign_id, first, cmd.daily_minor)
    return await store.describe(tx, new)


def _lower(words: tuple[str, ...]) -> set[str]:
    return {word.lower() for word in words}


def _check_zone(zone: str) -> None:
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as fault:
        raise Invalid(f"zone: {zone!r} is no time zone of the IANA database", pointer="/zone") from fault


def _check_bid(placement: Placement, bid_minor: int) -> None:
    if placement.pricing is Pricing.SLOT:
        if bid_minor:
            raise Invalid("bid_minor: slots have a price, nobody bids for them", pointer="/bid_minor")
    elif bid_minor < max(placement.reserve_minor, 1):
        least = max(placement.reserve_minor, 1)
        raise Invalid(f"bid_minor: {placement.name} takes no less than {least}", pointer="/bid_minor")


async def check_listing(tx: Tx, merchant_id: int, product_id: int) -> None:
    """Raise Invalid for a listing that the merchant does not have."""
    found = await tx.scalar(
        "SELECT 1 FROM supply.offer WHERE merchant_id = :merchant AND product_id = :product",
        merchant=merchant_id,
        product=product_id,
    )
    if found is None:
        raise Invalid(f"product_id: the merchant has no listing {product_id}", pointer="/product_id")


async def edit_campaign(tx: Tx, held: Campaign, cmd: CampaignChange) -> CampaignDetail:
    """Change a held campaign. A lower daily budget holds from the next day on, since today's may be spent already.

    Raises Conflict for one that has ended, and for a total below what is spent or booked.
    """
    check_own(held)
    if held.state is CampaignState.ENDED:
        raise Conflict("state: the campaign has ended", state=held.state.value)
    if cmd.bid_minor is not None:
        _check_bid(await store.get_placement(tx, held.placement_id), cmd.bid_minor)
    if cmd.total_minor is not None and cmd.total_minor < (committed := await committed_minor(tx, held)):
        raise Conflict(f"total_minor: {committed} is spent or booked already", committed_minor=committed)
    if cmd.ends_at is not None and cmd.ends_at <= max(held.starts_at, tx.now):
        raise Invalid("ends_at: must be after the start, and to come", pointer="/ends_at")
    given = {
        name: value
        for name in ("name", "bid_minor", "total_minor", "pacing", "ends_at")
        if (value := getattr(cmd, name)) is not None
    }
    new = await store.edit_campaign(tx, msgspec.structs.replace(held, **given))
    if cmd.daily_minor is not None:
        await _set_daily(tx, new, cmd.daily_minor)
    if cmd.categories is not None or cmd.words is not None:
        was = await store.describe(tx, new)
        categories = was.categories if cmd.categories is None else cmd.categories
        words = was.words if cmd.words is None else sorted(_lower(cmd.words))
        await store.replace_targets(tx, new, categories=categories, words=words)
    await audit.record(
        tx, "campaign edited", f"campaign:{new.campaign_id}", **{**given, "daily_minor": cmd.daily_minor}
    )
    return await store.describe(tx, new)


async def _set_daily(tx: Tx, held: Campaign, daily_minor: int) -> None:
    if held.pricing is Pricing.SLOT:
        raise Invalid("daily_minor: slots have a price of their own", pointer="/daily_minor")
    today = local_date(tx.now, held.zone)
    now = await store.daily_budget(tx, held.merchant_id, held.campaign_id, today)
    await store.set_budget(
        tx, held.merchant_id, held.campaign_id, budget_from(today, now=now, wanted=daily_minor), daily_minor
    )


def budget_from(today: date, *, now: int, wanted: int) -> date:
    """From which day a daily budget holds: a higher one at once, a lower one tomorrow."""
    return today if wanted >= now else today + timedelta(days=1)


async def move_campaign(
    tx: Tx, merchant_id: int, campaign_id: int, move: CampaignMove, party: AdParty, reason: str = ""
) -> CampaignDetail:
    """Take a campaign on; what an ending one has booked and not begun is given back.

    Raises NotFound, Forbidden for a move that is not this party's, Conflict where the state or the merchant's does not
    allow it.
    """
    await ledger.lock_books(tx, merchant_id)
    held = await store.get_campaign(tx, merchant_id, campaign_id, lock=True)
    if party is not AdParty.PLATFORM or move not in _OF_GUARANTEED:
        check_own(held)
    if move in {CampaignMove.SUBMIT, CampaignMove.APPROVE, CampaignMove.RESUME}:
        merchant = await get_merchant(tx, merchant_id)
        if merchant.state is not MerchantState.LIVE:
            raise Conflict(f"state: the merchant is {merchant.state}, only a live one advertises")
    if move in {CampaignMove.REJECT, CampaignMove.SUSPEND} and not reason:
        raise Invalid("reason: say why, for the merchant", pointer="/reason")
    new = await store.move_campaign(tx, held, move, party, reason=reason)
    if move is CampaignMove.END:
        await release_bookings(tx, new)
    return await store.describe(tx, new)


async def end_campaigns(db: Database, actor: str) -> int:
    """End every campaign whose time is over; returns how many."""

    async def page(tx: Tx, last: Any | None) -> Sequence[Any]:
        after = (last.merchant_id, last.campaign_id) if last is not None else (FIRST, FIRST)
        return await store.ending(tx, tx.now, after, BATCH)

    return await each(db, actor, "campaign not ended", page, _end)


async def _end(tx: Tx, row: Any) -> bool:
    await ledger.lock_books(tx, row.merchant_id)
    held = await store.get_campaign(tx, row.merchant_id, row.campaign_id, lock=True)
    if held.state is CampaignState.ENDED or held.ends_at is None or held.ends_at > tx.now:
        return False
    ended = await store.move_campaign(tx, held, CampaignMove.END, AdParty.CLOCK, reason="its time is over")
    await release_bookings(tx, ended)
    return True
