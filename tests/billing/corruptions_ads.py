"""What `test_verify` plants to have the proofs of ads fail, and the campaigns it plants it in."""

from datetime import timedelta

from billing.ads.model import Campaign, Pricing
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.ads.book_slots import BookSlots, book_slots
from marketplace.flows.ads.credit_clicks import credit_clicks
from marketplace.flows.ads.plan_campaign import NewPlacement, add_placement
from tests.ads.market import HOUR, NOON, add_lamps, add_search, clicks, lamps, prepay, rate, run_campaign

ADVERTISER = 2


async def add_ads(db: Database) -> None:
    """A campaign with an hour of clicks, some of them credited, and another with a booked slot."""
    campaign = await db.write(WORKER, "test", _advertise)
    await clicks(db, campaign, 20, at=NOON - 3 * HOUR)
    await rate(db)
    await db.write(WORKER, "test", credit_clicks, ADVERTISER, ["e1", "e2"], "a test")


async def _advertise(tx: Tx) -> Campaign:
    await add_lamps(tx, [1, ADVERTISER])
    await prepay(tx, ADVERTISER, 5_000)
    by_time = NewPlacement(
        name="front page", pricing=Pricing.SLOT, currency="EUR", slot_minutes=60, slot_price_minor=300
    )
    slots = await run_campaign(tx, lamps(ADVERTISER, await add_placement(tx, by_time), bid_minor=0))
    at = NOON + 5 * HOUR
    await book_slots(
        tx, BookSlots(merchant_id=ADVERTISER, campaign_id=slots.campaign_id, from_at=at, to_at=at + 2 * HOUR)
    )
    return await run_campaign(tx, lamps(ADVERTISER, await add_search(tx), ends_at=NOON + timedelta(days=9)))


USE = "merchant_id = 2 AND kind = 'use'"

ADS_CORRUPTIONS: dict[str, tuple[list[str], set[str]]] = {
    "prepaid ads that nobody paid": (
        ["UPDATE billing.ad_account SET paid_minor = paid_minor + 1 WHERE merchant_id = 2"],
        {"ads-are-ledger", "ads-are-movements"},
    ),
    "paid and granted mixed up": (
        [
            """UPDATE billing.ad_account SET paid_minor = paid_minor - 1, granted_minor = granted_minor + 1
               WHERE merchant_id = 2""",
            "UPDATE billing.ad_movement SET paid_minor = paid_minor - 1, granted_minor = granted_minor + 1",
        ],
        {"ads-are-ledger"},
    ),
    "money set aside for nothing": (
        ["UPDATE billing.ad_account SET held_minor = held_minor + 1 WHERE merchant_id = 2"], {"ads-are-movements"},
    ),
    "a top-up that was forgotten": (
        ["DELETE FROM billing.ad_movement WHERE merchant_id = 2"], {"ads-are-movements"},
    ),
    "a charge of another amount than booked": (
        [f"UPDATE billing.ad_charge SET amount_minor = amount_minor + 1, paid_minor = paid_minor + 1 WHERE {USE}"],
        {"ad-charges-are-entries", "ad-hours-are-charges", "ads-are-movements", "ad-budgets-hold"},
    ),
    "a charge of another entry": (
        [f"UPDATE billing.ad_charge SET entry_no = 1 WHERE {USE}"], {"ad-charges-are-entries"},
    ),
    "an hour billed and not charged": (
        ["""UPDATE billing.ad_bucket SET billed_minor = billed_minor + 1, rated_milli = rated_milli + 1000
            WHERE merchant_id = 2"""],
        {"ad-hours-are-charges"},
    ),
    "an hour that nobody pays for": (
        ["UPDATE billing.ad_bucket SET unbilled_minor = unbilled_minor + 1 WHERE merchant_id = 2"],
        {"ad-hours-are-charges"},
    ),
    "a click that was never counted": (
        ["DELETE FROM billing.ad_event WHERE merchant_id = 2 AND event_id = 'e5'"], {"ad-hours-are-events"},
    ),
    "a click taken for no real one by nobody": (
        ["UPDATE billing.ad_event SET verdict = 'bot' WHERE merchant_id = 2 AND event_id = 'e5'"],
        {"ad-hours-are-events"},
    ),
    "an hour said to be forgotten": (
        ["UPDATE billing.ad_bucket SET events_kept = 'none' WHERE merchant_id = 2"], {"ad-hours-are-events"},
    ),
    "an hour whose impressions are said to be forgotten, and whose clicks are gone": (
        ["UPDATE billing.ad_bucket SET events_kept = 'clicks' WHERE merchant_id = 2",
         "DELETE FROM billing.ad_event WHERE merchant_id = 2 AND event_id = 'e5'"],
        {"ad-hours-are-events"},
    ),
    "a day beyond its budget": (
        ["UPDATE billing.ad_budget SET daily_minor = 179 WHERE merchant_id = 2"], {"ad-budgets-hold"},
    ),
    "a campaign beyond its total": (
        ["UPDATE billing.ad_campaign SET total_minor = 179 WHERE merchant_id = 2 AND spent_minor > 0"],
        {"ad-budgets-hold"},
    ),
    "a credit of more than the charge": (
        [f"UPDATE billing.ad_charge SET granted_minor = paid_minor, paid_minor = granted_minor WHERE {USE}"],
        {"ad-credits-are-charges", "ad-charges-are-entries", "ads-are-movements"},
    ),
    "a credit of no charge": (
        ["UPDATE billing.ad_charge SET credits_charge_id = 5 WHERE merchant_id = 2 AND kind = 'credit'"],
        {"ad-credits-are-charges"},
    ),
    "a slot that is in nobody's booking": (
        ["UPDATE billing.ad_slot SET booking_id = 5 WHERE slot_at = (SELECT min(slot_at) FROM billing.ad_slot)"],
        {"ad-slots-are-bookings"},
    ),
    "a booking without its slots": (["DELETE FROM billing.ad_slot"], {"ad-slots-are-bookings"}),
}  # fmt: skip
