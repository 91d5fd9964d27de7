"""Which listings are shown in the sponsored positions of an answer, and what each would cost.

Asked with every search, so it writes nothing: what a campaign may still spend is estimated from what is rated and what
has come in since. Rating, which holds the books, is what keeps every limit to the cent.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from billing.ads import store
from billing.ads.auction import Bid, run_auction
from billing.ads.campaigns import store as campaigns
from billing.ads.model import MILLI, Pacing, Placement, Pricing
from billing.ads.orders.model import behind
from billing.ads.pacing import allowance
from billing.ads.tokens import Ticket, sign
from marketplace.core.db import WORKER, Database, Tx

WORDS_MAX = 20


class AskSponsored(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody looks at or looks for, and in how many positions ads could be shown."""

    placement: str
    category: str | None
    query: str
    positions: int | None


class Sponsored(msgspec.Struct, frozen=True, kw_only=True):
    """A listing in a sponsored position; it has to be marked as such. token: goes back with every event about it."""

    position: int
    sponsored: bool
    merchant_id: int
    product_id: int
    title: str
    price_minor: int
    currency: str
    token: str


class SponsoredAnswer(msgspec.Struct, frozen=True, kw_only=True):
    placement: str
    items: list[Sponsored]


# One campaign a row, with all that decides whether it may be shown: the account, the day so far, what is not rated yet.
_CANDIDATES = """
SELECT c.merchant_id, c.campaign_id, c.bid_minor, c.quality_ppm, c.product_id, c.zone, c.pacing,
       c.total_minor, c.spent_minor, o.title, o.price_minor, o.currency,
       a.paid_minor + a.granted_minor - a.held_minor AS free_minor,
       coalesce(budget.daily_minor, 0) AS daily_minor, coalesce(day.billed_minor, 0) AS billed_minor,
       coalesce(day.accrued_milli, 0) AS day_milli, coalesce(due.accrued_milli, 0) AS due_milli
FROM (SELECT DISTINCT merchant_id, campaign_id FROM billing.ad_target
      WHERE (kind = 'category' AND term = :category) OR (kind = 'word' AND term = ANY(:words))) AS t
JOIN billing.ad_campaign c ON c.merchant_id = t.merchant_id AND c.campaign_id = t.campaign_id
JOIN supply.merchant m ON m.merchant_id = c.merchant_id AND m.state = 'live'
JOIN supply.offer o ON o.merchant_id = c.merchant_id AND o.product_id = c.product_id AND o.state = 'listed'
LEFT JOIN supply.stock s ON s.merchant_id = o.merchant_id AND s.product_id = o.product_id
JOIN billing.ad_account a ON a.merchant_id = c.merchant_id AND a.currency = c.currency
LEFT JOIN LATERAL (
    SELECT daily_minor FROM billing.ad_budget b
    WHERE b.merchant_id = c.merchant_id AND b.campaign_id = c.campaign_id
      AND b.from_on <= (CAST(:now AS timestamptz) AT TIME ZONE c.zone)::date
    ORDER BY b.from_on DESC LIMIT 1) AS budget ON true
LEFT JOIN LATERAL (
    SELECT sum(b.billed_minor) AS billed_minor,
           sum(greatest(b.gross_milli - b.invalid_milli - b.rated_milli, 0)) AS accrued_milli
    FROM billing.ad_bucket b
    WHERE b.merchant_id = c.merchant_id AND b.campaign_id = c.campaign_id
      AND b.on_day = (CAST(:now AS timestamptz) AT TIME ZONE c.zone)::date) AS day ON true
LEFT JOIN LATERAL (
    SELECT sum(greatest(b.gross_milli - b.invalid_milli - b.rated_milli, 0)) AS accrued_milli
    FROM billing.ad_bucket b
    WHERE b.merchant_id = c.merchant_id
      AND (b.clicks <> b.judged_clicks OR b.gross_milli - b.invalid_milli <> b.rated_milli)) AS due ON true
WHERE c.placement_id = :placement AND c.state = 'active' AND NOT c.guaranteed AND c.starts_at <= :now
  AND (c.ends_at IS NULL OR c.ends_at > :now)
  AND (NOT o.counted OR s.on_hand > s.reserved)
"""
# Lines of insertion orders that could be shown, with what of each has been delivered.
_GUARANTEED = """
SELECT c.merchant_id, c.campaign_id, c.product_id, o.title, o.price_minor, o.currency, l.from_at, l.to_at, l.quantity,
       coalesce(shown.impressions, 0) AS impressions, coalesce(shown.clicks, 0) AS clicks
FROM (SELECT DISTINCT merchant_id, campaign_id FROM billing.ad_target
      WHERE (kind = 'category' AND term = :category) OR (kind = 'word' AND term = ANY(:words))) AS t
JOIN billing.ad_campaign c ON c.merchant_id = t.merchant_id AND c.campaign_id = t.campaign_id
JOIN billing.ad_order_line l ON l.merchant_id = c.merchant_id AND l.campaign_id = c.campaign_id
JOIN supply.merchant m ON m.merchant_id = c.merchant_id AND m.state = 'live'
JOIN supply.offer o ON o.merchant_id = c.merchant_id AND o.product_id = c.product_id AND o.state = 'listed'
LEFT JOIN supply.stock s ON s.merchant_id = o.merchant_id AND s.product_id = o.product_id
LEFT JOIN LATERAL (
    SELECT sum(b.impressions - b.invalid_impressions) AS impressions, sum(b.clicks - b.invalid_clicks) AS clicks
    FROM billing.ad_bucket b
    WHERE b.merchant_id = c.merchant_id AND b.campaign_id = c.campaign_id) AS shown ON true
WHERE c.placement_id = :placement AND c.state = 'active' AND c.guaranteed AND l.from_at <= :now AND l.to_at > :now
  AND (NOT o.counted OR s.on_hand > s.reserved)
"""


async def answer_sponsored(db: Database, ask: AskSponsored) -> SponsoredAnswer:
    """The sponsored positions of an answer, each with its token. Raises NotFound for a placement that is none.

    Where time is sold, there is one at most: of whoever has booked it; clicks on it cost nothing more. Elsewhere what
    was guaranteed and is behind comes first, and costs nothing by the click; the auction fills the other positions.
    """
    words = list(dict.fromkeys(ask.query.lower().split()))[:WORDS_MAX]
    now = db.clock.now()
    async with db.read(WORKER) as tx:
        placement = await campaigns.find_placement(tx, ask.placement)
        by_time = placement.pricing is Pricing.SLOT
        rows: list[Any] = []
        owed: list[Any] = []
        if by_time:
            rows = await _booked(tx, placement, now)
        elif placement.open:
            bound = {"placement": placement.placement_id, "category": ask.category, "words": words, "now": now}
            rows = list(await tx.rows(_CANDIDATES, **bound))
            owed = owed_most(await tx.rows(_GUARANTEED, **bound), placement.pricing, now)
        keys = await store.read_keys(tx)
    if not keys:
        await db.write(WORKER, "ads", store.add_first_key)
        async with db.read(WORKER) as tx:
            keys = await store.read_keys(tx)
    if by_time:
        shown = [(row, 0) for row in rows]
    else:
        positions = min(placement.positions, placement.positions if ask.positions is None else ask.positions)
        shown = [(row, 0) for row in owed[:positions]]
        left = [row for row in rows if may_spend(row, placement.pricing, now)]
        shown += _fill(placement, left, positions - len(shown))
    key_id = max(keys)
    items = [
        Sponsored(
            position=number,
            sponsored=True,
            merchant_id=row.merchant_id,
            product_id=row.product_id,
            title=row.title,
            price_minor=row.price_minor,
            currency=row.currency,
            token=sign(_ticket(key_id, row, placement, number, price, now), keys[key_id]),
        )
        for number, (row, price) in enumerate(shown, start=1)
    ]
    return SponsoredAnswer(placement=placement.name, items=items)


_SLOT = """
SELECT merchant_id, booking_id FROM billing.ad_slot
WHERE placement_id = :placement AND slot_at <= :now AND slot_at > :now - make_interval(mins => :minutes)
"""
_BOOKED = """
SELECT c.merchant_id, c.campaign_id, c.product_id, o.title, o.price_minor, o.currency
FROM billing.ad_booking b
JOIN billing.ad_campaign c ON c.merchant_id = b.merchant_id AND c.campaign_id = b.campaign_id
JOIN supply.merchant m ON m.merchant_id = c.merchant_id AND m.state = 'live'
JOIN supply.offer o ON o.merchant_id = c.merchant_id AND o.product_id = c.product_id AND o.state = 'listed'
WHERE b.merchant_id = :merchant AND b.booking_id = :booking AND c.state = 'active'
"""


async def _booked(tx: Tx, placement: Placement, now: datetime) -> list[Any]:
    """Whoever has booked the slot of this moment, if it may be shown."""
    minutes = placement.slot_minutes
    slot = await tx.row(_SLOT, placement=placement.placement_id, now=now, minutes=minutes)
    if slot is None or not placement.open:
        return []
    return list(await tx.rows(_BOOKED, merchant=slot.merchant_id, booking=slot.booking_id))


def owed_most(rows: Sequence[Any], pricing: Pricing, now: datetime) -> list[Any]:
    """Guaranteed lines that may be delivered more of by now, whatever lacks most of its quantity first, then by id."""
    found = []
    for row in rows:
        delivered = int(row.clicks if pricing is Pricing.CLICK else row.impressions)
        lacking = behind(row.quantity, delivered, row.from_at, row.to_at, now)
        if lacking > 0:
            found.append((-lacking, row.merchant_id, row.campaign_id, row))
    return [row for *_, row in sorted(found, key=lambda each: each[:3])]


def may_spend(row: Any, pricing: Pricing, now: datetime) -> bool:
    """Whether the limits of a campaign leave room for one more click, or impression, at its bid."""
    accrued = -(-int(row.day_milli) // MILLI)
    left = allowance(row.daily_minor, now, row.zone, Pacing(row.pacing)) - int(row.billed_minor) - accrued
    if row.total_minor is not None:
        left = min(left, row.total_minor - row.spent_minor - accrued)
    left = min(left, row.free_minor - -(-int(row.due_milli) // MILLI))
    return bool(left >= (row.bid_minor if pricing is Pricing.CLICK else 1))


def _fill(placement: Placement, rows: list[Any], positions: int) -> list[tuple[Any, int]]:
    """Whoever wins a position, with the price of it."""
    by_key = {(row.merchant_id, row.campaign_id): row for row in rows}
    bids = [
        Bid(
            merchant_id=row.merchant_id,
            campaign_id=row.campaign_id,
            bid_minor=row.bid_minor,
            quality_ppm=row.quality_ppm,
        )
        for row in rows
    ]
    won = run_auction(bids, positions=positions, reserve_minor=placement.reserve_minor)
    return [(by_key[each.bid.merchant_id, each.bid.campaign_id], each.price_minor) for each in won]


def _ticket(key_id: int, row: Any, placement: Placement, position: int, price_minor: int, now: datetime) -> Ticket:
    by_click = placement.pricing is Pricing.CLICK
    return Ticket(
        key_id=key_id,
        merchant_id=row.merchant_id,
        campaign_id=row.campaign_id,
        placement_id=placement.placement_id,
        position=position,
        impression_milli=0 if by_click else price_minor,
        click_milli=price_minor * MILLI if by_click else 0,
        issued_s=int(now.timestamp()),
    )
