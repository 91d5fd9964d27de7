"""Start and stop the lines of an insertion order: a campaign for each, whose slots are in the calendar at once."""

from datetime import datetime

from billing.ads.calendar import slots_between
from billing.ads.campaigns import store as campaigns
from billing.ads.lifecycle import AdParty, CampaignMove
from billing.ads.model import Booking, BookingState, Campaign, CampaignState, Pacing, Placement, Pricing
from billing.ads.orders import store
from billing.ads.orders.model import AdOrder, LineState, OrderLine, next_window
from billing.ads.slots import store as slots
from billing.charges.store import Books
from marketplace.core.db import Tx
from marketplace.core.ids import time_ordered_id
from marketplace.flows.ads.book_slots import begin_booking, release_bookings
from marketplace.flows.ads.deliver_ad_orders import bill_line


async def start_line(tx: Tx, order: AdOrder, line: OrderLine) -> OrderLine:
    """Give a line its campaign, which delivers it, and its slots."""
    placement = await campaigns.get_placement(tx, line.placement_id)
    campaign = Campaign(
        merchant_id=line.merchant_id,
        campaign_id=time_ordered_id(tx.now),
        name=f"{order.name}, line {line.line_no}",
        placement_id=line.placement_id,
        product_id=line.product_id,
        pricing=line.pricing,
        currency=order.currency,
        bid_minor=0,
        total_minor=None,
        spent_minor=0,
        zone=order.zone,
        pacing=Pacing.EVEN,
        starts_at=line.from_at,
        ends_at=line.to_at,
        state=CampaignState.ACTIVE,
        quality_ppm=1_000_000,
        guaranteed=True,
        version=1,
    )
    terms = {"categories": line.categories, "words": line.words}
    await campaigns.insert_campaign(tx, campaign, **terms, made_by=AdParty.PLATFORM)
    if line.pricing is Pricing.SLOT:
        await _take_slots(tx, campaign, line, placement)
    return await store.set_line(
        tx,
        line,
        state=LineState.RUNNING,
        shown=True,
        campaign_id=campaign.campaign_id,
        bill_at=next_window(line, order.zone).bill_at,
    )


async def _take_slots(tx: Tx, campaign: Campaign, line: OrderLine, placement: Placement) -> None:
    """A booking for each slot, so that each is counted as delivered when it begins; nothing is set aside for it."""
    bookings = [
        Booking(
            merchant_id=line.merchant_id,
            booking_id=time_ordered_id(tx.now),
            campaign_id=campaign.campaign_id,
            placement_id=line.placement_id,
            from_at=slot,
            to_at=min(following, line.to_at),
            price_minor=0,
            state=BookingState.BOOKED,
            made_by=tx.actor,
            made_at=tx.now,
        )
        for slot, following in _with_ends(line, placement)
    ]
    await slots.insert_bookings(tx, bookings)
    await slots.take_slots(tx, [(booking.from_at, booking) for booking in bookings])


def _with_ends(line: OrderLine, placement: Placement) -> list[tuple[datetime, datetime]]:
    edges = slots_between(line.from_at, line.to_at, placement.slot_minutes)
    return list(zip(edges, [*edges[1:], line.to_at], strict=True))


async def stop_lines(tx: Tx, books: Books, order: AdOrder) -> None:
    """End the lines of an order now: what was delivered is billed, what is to come is given back."""
    for line in await store.lines_of(tx, order.merchant_id, order.order_id):
        if line.state is LineState.PLANNED:
            await store.set_line(tx, line, state=LineState.DROPPED, decided_by=tx.actor)
        if line.state is LineState.RUNNING:
            await _stop_line(tx, books, order, line)


async def _stop_line(tx: Tx, books: Books, order: AdOrder, line: OrderLine) -> None:
    assert line.campaign_id is not None
    for booking in await slots.open_bookings(tx, line.merchant_id, line.campaign_id):
        if booking.from_at <= tx.now:
            await begin_booking(tx, line.merchant_id, booking.booking_id)
    campaign = await campaigns.get_campaign(tx, line.merchant_id, line.campaign_id, lock=True)
    if campaign.state is not CampaignState.ENDED:
        ended = await campaigns.move_campaign(tx, campaign, CampaignMove.END, AdParty.PLATFORM, reason=order.reason)
        await release_bookings(tx, ended)
    stopped = await store.set_line(tx, line, stopped_at=tx.now)
    lines = await store.lines_of(tx, order.merchant_id, order.order_id)
    billed = await bill_line(tx, books, order, stopped, lines, tx.now, books.today)
    await store.set_line(tx, billed, bill_at=next_window(billed, order.zone).bill_at)
