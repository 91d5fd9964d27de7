"""Sell time: slots of a placement at a fixed price, set aside when they are booked and charged when they begin."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import insert

from billing import postings
from billing.ads import rating_sql
from billing.ads.accounts import store as accounts
from billing.ads.calendar import slots_between
from billing.ads.campaigns import store as campaigns
from billing.ads.model import Booking, BookingState, Campaign, CampaignState, Charge, ChargeKind, Pricing
from billing.ads.rating import Parts, split
from billing.ads.rules import VERSION
from billing.ads.slots import store
from billing.ads.tables import ad_charge
from billing.ledger import store as ledger
from billing.ledger.model import NewEntry
from marketplace.core import audit
from marketplace.core.clock import local_date
from marketplace.core.db import Database, Tx
from marketplace.core.each import FIRST, each
from marketplace.core.errors import Conflict, Invalid
from marketplace.core.ids import time_ordered_id
from supply.model import MerchantState
from supply.store import get_merchant

BATCH = 200


class BookSlots(msgspec.Struct, frozen=True, kw_only=True):
    """Time of the campaign's placement, from from_at to before to_at, whole slots of it."""

    merchant_id: int
    campaign_id: int
    from_at: datetime
    to_at: datetime


async def book_slots(tx: Tx, cmd: BookSlots) -> Booking:
    """Book time for a campaign; its price is set aside from the prepaid balance.

    Raises SlotTaken naming the booking that has some of it, Conflict when the balance or the campaign's total is too
    small or the campaign is not approved, Invalid for time that is no slots or not to come.
    """
    await ledger.lock_books(tx, cmd.merchant_id)
    campaign = await campaigns.get_campaign(tx, cmd.merchant_id, cmd.campaign_id, lock=True)
    check_own(campaign)
    placement = await campaigns.get_placement(tx, campaign.placement_id)
    if placement.pricing is not Pricing.SLOT:
        raise Invalid(f"campaign_id: {placement.name} sells no slots", pointer="/campaign_id")
    if campaign.state not in {CampaignState.ACTIVE, CampaignState.PAUSED} or not placement.open:
        raise Conflict(f"state: the campaign is {campaign.state}; time is booked for one that is approved")
    slots = slots_between(cmd.from_at, cmd.to_at, placement.slot_minutes)
    if cmd.from_at <= tx.now:
        raise Invalid("from_at: must be to come", pointer="/from_at")
    booking = Booking(
        merchant_id=cmd.merchant_id,
        booking_id=time_ordered_id(tx.now),
        campaign_id=cmd.campaign_id,
        placement_id=placement.placement_id,
        from_at=cmd.from_at,
        to_at=cmd.to_at,
        price_minor=len(slots) * placement.slot_price_minor,
        state=BookingState.BOOKED,
        made_by=tx.actor,
        made_at=tx.now,
    )
    await _check_affordable(tx, campaign, booking.price_minor)
    await store.insert_bookings(tx, [booking])
    await accounts.change_account(tx, cmd.merchant_id, campaign.currency, held=booking.price_minor)
    await store.take_slots(tx, [(slot, booking) for slot in slots])
    await audit.record(tx, "slots booked", f"ad_booking:{booking.booking_id}", price_minor=booking.price_minor)
    return booking


def check_own(campaign: Campaign) -> None:
    """Raise Conflict for a campaign that is a line of an insertion order: what was agreed on there is what holds."""
    if campaign.guaranteed:
        raise Conflict("state: the campaign is a line of an ad order, and is changed with it")


async def _check_affordable(tx: Tx, campaign: Campaign, price_minor: int) -> None:
    account = await accounts.get_account(tx, campaign.merchant_id, campaign.currency)
    if account.free_minor < price_minor:
        raise Conflict(f"to_at: it costs {price_minor}, and {account.free_minor} is prepaid and free")
    committed = await committed_minor(tx, campaign)
    if campaign.total_minor is not None and committed + price_minor > campaign.total_minor:
        raise Conflict(
            f"to_at: it costs {price_minor}, and the campaign's total leaves {campaign.total_minor - committed}"
        )


async def committed_minor(tx: Tx, campaign: Campaign) -> int:
    """What a campaign has spent and booked."""
    booked = await store.open_bookings(tx, campaign.merchant_id, campaign.campaign_id)
    return campaign.spent_minor + sum(each.price_minor for each in booked)


async def cancel_booking(tx: Tx, merchant_id: int, booking_id: int) -> Booking:
    """Give booked time back before it begins: its price is free again. Raises Conflict when it has begun or ended."""
    await ledger.lock_books(tx, merchant_id)
    booking = await store.lock_booking(tx, merchant_id, booking_id)
    if booking.state is not BookingState.BOOKED or booking.from_at <= tx.now:
        raise Conflict("state: the booking has begun or was cancelled before", state=booking.state.value)
    campaign = await campaigns.get_campaign(tx, merchant_id, booking.campaign_id)
    check_own(campaign)
    return await _release(tx, campaign, booking)


async def release_bookings(tx: Tx, campaign: Campaign) -> None:
    """Give back all that a campaign has booked and not begun: it ends. The merchant's ledger head is held."""
    for booking in await store.open_bookings(tx, campaign.merchant_id, campaign.campaign_id):
        await _release(tx, campaign, booking)


async def _release(tx: Tx, campaign: Campaign, booking: Booking) -> Booking:
    if booking.price_minor:
        await accounts.change_account(tx, booking.merchant_id, campaign.currency, held=-booking.price_minor)
    await store.free_slots(tx, booking)
    await audit.record(tx, "slots released", f"ad_booking:{booking.booking_id}", price_minor=booking.price_minor)
    return await store.end_booking(tx, booking, BookingState.CANCELLED)


async def begin_slots(db: Database, actor: str) -> int:
    """Charge for all booked time that has begun; returns how many bookings."""

    async def page(tx: Tx, last: Any | None) -> Sequence[Any]:
        after = (last.merchant_id, last.booking_id) if last is not None else (FIRST, FIRST)
        return await store.beginning(tx, tx.now, after, BATCH)

    async def begin(tx: Tx, row: Any) -> bool:
        return await begin_booking(tx, row.merchant_id, row.booking_id)

    return await each(db, actor, "slot not begun", page, begin)


async def begin_booking(tx: Tx, merchant_id: int, booking_id: int) -> bool:
    """Charge for a booking that has begun (H1); False when somebody has.

    Where the platform has suspended the campaign or its merchant, nothing is shown and it is given back instead.
    """
    await ledger.lock_books(tx, merchant_id)
    booking = await store.lock_booking(tx, merchant_id, booking_id)
    if booking.state is not BookingState.BOOKED or booking.from_at > tx.now:
        return False
    campaign = await campaigns.get_campaign(tx, merchant_id, booking.campaign_id, lock=True)
    merchant = await get_merchant(tx, merchant_id)
    running = {CampaignState.ACTIVE} if campaign.guaranteed else {CampaignState.ACTIVE, CampaignState.PAUSED}
    if campaign.state not in running or merchant.state is not MerchantState.LIVE:
        await _release(tx, campaign, booking)
        return True
    if booking.price_minor:
        await _pay(tx, campaign, booking)
    await store.end_booking(tx, booking, BookingState.CHARGED)
    return True


async def _pay(tx: Tx, campaign: Campaign, booking: Booking) -> None:
    """Out of what was set aside for it, granted credit first."""
    merchant_id = booking.merchant_id
    account = await accounts.get_account(tx, merchant_id, campaign.currency)
    parts = split(booking.price_minor, account.granted_minor)
    await _charge(tx, campaign, booking, parts)
    await tx.raw.execute(rating_sql.SPENT, merchant_id, [campaign.campaign_id], [parts.amount_minor])
    await accounts.change_account(
        tx,
        merchant_id,
        campaign.currency,
        paid=-parts.paid_minor,
        granted=-parts.granted_minor,
        held=-booking.price_minor,
    )


async def _charge(tx: Tx, campaign: Campaign, booking: Booking, parts: Parts) -> None:
    books = await accounts.books_of(tx, booking.merchant_id)
    entry = NewEntry(
        merchant_id=booking.merchant_id,
        kind="ad_spent",
        source_id=booking.booking_id,
        currency=campaign.currency,
        occurred_at=booking.from_at,
        effective_on=local_date(booking.from_at, books.zone),
        legs=postings.ads_spent(parts.granted_minor, parts.paid_minor),
    )
    [entry_no] = await ledger.post(tx, [entry])
    charge = Charge(
        merchant_id=booking.merchant_id,
        charge_id=time_ordered_id(tx.now),
        campaign_id=campaign.campaign_id,
        kind=ChargeKind.SLOT,
        currency=campaign.currency,
        hour_at=booking.from_at,
        on_day=local_date(booking.from_at, campaign.zone),
        amount_minor=parts.amount_minor,
        granted_minor=parts.granted_minor,
        paid_minor=parts.paid_minor,
        credits_charge_id=None,
        booking_id=booking.booking_id,
        rules_version=VERSION,
        entry_no=entry_no,
        at=tx.now,
    )
    row: dict[str, Any] = {**msgspec.structs.asdict(charge), "kind": charge.kind.value}
    await tx.execute(insert(ad_charge), row)
