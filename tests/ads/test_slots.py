"""Slots of time: none is sold twice, each is paid for when it begins, and what is given back is free again."""

import asyncio
from datetime import timedelta

import pytest

from billing.ads.lifecycle import AdParty, CampaignMove
from billing.ads.model import Booking, BookingState, Campaign, Pricing
from billing.ads.slots.store import SlotTaken, taken_slots
from billing.ads.tokens import read
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import Conflict, Invalid
from marketplace.flows.ads.answer_sponsored import AskSponsored, answer_sponsored
from marketplace.flows.ads.book_slots import BookSlots, begin_slots, book_slots, cancel_booking
from marketplace.flows.ads.plan_campaign import NewPlacement, add_placement, end_campaigns, move_campaign
from tests.ads.market import (
    HOUR,
    MERCHANT,
    NOON,
    OTHER,
    PAID,
    REVENUE,
    account_of,
    add_ad_market,
    charges_of,
    keys_of,
    lamps,
    ledger_of,
    prepay,
    run_campaign,
)
from tests.billing.market import check_books

TOMORROW = NOON.replace(hour=0) + timedelta(days=1)
PRICE = 300


async def fronts(db: Database, *merchants: int, **changes: object) -> list[Campaign]:
    """For each merchant a campaign on a front page that is sold by the hour at 3.00, and 40.00 prepaid."""

    async def make(tx: Tx) -> list[Campaign]:
        await add_ad_market(tx)
        page = NewPlacement(
            name="front page", pricing=Pricing.SLOT, currency="EUR", slot_minutes=60, slot_price_minor=PRICE
        )
        place = await add_placement(tx, page)
        for merchant_id in merchants:
            await prepay(tx, merchant_id, 4_000)
        terms = {"bid_minor": 0, "categories": (), "words": (), **changes}
        return [await run_campaign(tx, lamps(merchant_id, place, **terms)) for merchant_id in merchants]

    return await db.write(WORKER, "test", make)


def hours(campaign: Campaign, first: int, end: int) -> BookSlots:
    return BookSlots(
        merchant_id=campaign.merchant_id,
        campaign_id=campaign.campaign_id,
        from_at=TOMORROW + first * HOUR,
        to_at=TOMORROW + end * HOUR,
    )


async def book(db: Database, campaign: Campaign, first: int, end: int) -> Booking:
    return await db.write(WORKER, "olga", book_slots, hours(campaign, first, end))


async def test_a_slot_sold_twice_is_refused_naming_the_booking_that_has_it(db: Database) -> None:
    ours, theirs = await fronts(db, MERCHANT, OTHER)
    first = await book(db, ours, 8, 10)
    assert first.price_minor == 2 * PRICE
    with pytest.raises(SlotTaken, match=f"2018-09-04 09:00 UTC is sold, by booking {first.booking_id}"):
        await book(db, theirs, 9, 12)
    beside = await book(db, theirs, 10, 12)  # half-open: it begins where the other ends
    assert (await account_of(db, OTHER)).held_minor == 2 * PRICE  # nothing of what was refused
    async with db.read(WORKER) as tx:
        taken = await taken_slots(tx, ours.placement_id, TOMORROW, TOMORROW + timedelta(days=1))
    assert [(slot.slot_at.hour, slot.booking_id) for slot in taken] == [
        (8, first.booking_id), (9, first.booking_id), (10, beside.booking_id), (11, beside.booking_id),
    ]  # fmt: skip
    await check_books(db)


async def test_of_many_that_want_a_slot_at_once_one_has_it(db: Database) -> None:
    campaigns = await fronts(db, MERCHANT, OTHER)

    async def want(number: int) -> Booking | str:
        try:
            return await book(db, campaigns[number % 2], number % 3, 4 + number % 3)
        except SlotTaken as refused:
            return refused.detail

    got = await asyncio.gather(*(want(number) for number in range(12)))
    assert sum(isinstance(one, Booking) for one in got) == 1  # all of them want the hours from 2 to 4
    held = [(await account_of(db, merchant)).held_minor for merchant in (MERCHANT, OTHER)]
    assert sorted(held) == [0, 4 * PRICE]
    await check_books(db)


async def test_a_slot_is_charged_when_it_begins_once(db: Database, clock: FixedClock) -> None:
    [campaign] = await fronts(db, MERCHANT)
    await book(db, campaign, 8, 10)
    assert await begin_slots(db, "worker") == 0
    assert REVENUE not in await ledger_of(db)
    clock.move_to(TOMORROW + 8 * HOUR)
    assert sum(await asyncio.gather(*(begin_slots(db, "worker") for _ in range(4)))) == 1
    books = await ledger_of(db)
    assert (books[PAID], books[REVENUE]) == (-4_000 + 2 * PRICE, -2 * PRICE)
    account = await account_of(db)
    assert (account.paid_minor, account.held_minor) == (3_400, 0)
    ask = AskSponsored(placement="front page", category=None, query="", positions=None)
    shown = (await answer_sponsored(db, ask)).items
    assert [(one.merchant_id, one.position, one.sponsored) for one in shown] == [(MERCHANT, 1, True)]
    assert read(shown[0].token, await keys_of(db)).click_milli == 0
    clock.move_to(TOMORROW + 10 * HOUR)
    assert (await answer_sponsored(db, ask)).items == []
    [charge] = await charges_of(db)
    assert (charge.kind.value, charge.amount_minor, charge.on_day) == ("slot", 600, TOMORROW.date())
    await check_books(db)


async def test_what_is_given_back_in_time_can_be_sold_again(db: Database, clock: FixedClock) -> None:
    ours, theirs = await fronts(db, MERCHANT, OTHER)
    first = await book(db, ours, 8, 10)
    await db.write(WORKER, "olga", cancel_booking, MERCHANT, first.booking_id)
    assert (await account_of(db)).free_minor == 4_000
    second = await book(db, theirs, 8, 10)
    clock.move_to(TOMORROW + 8 * HOUR)
    with pytest.raises(Conflict, match="has begun"):
        await db.write(WORKER, "olga", cancel_booking, OTHER, second.booking_id)
    with pytest.raises(Conflict, match="cancelled before"):
        await db.write(WORKER, "olga", cancel_booking, MERCHANT, first.booking_id)
    await check_books(db)


async def test_nobody_books_beyond_balance_or_total_or_the_past(db: Database) -> None:
    [campaign] = await fronts(db, MERCHANT, total_minor=3_000)
    with pytest.raises(Conflict, match="prepaid and free"):
        await book(db, campaign, 0, 14)
    await book(db, campaign, 0, 9)
    with pytest.raises(Conflict, match="the campaign's total leaves 300"):
        await book(db, campaign, 9, 11)
    for first, end in ((-30, -29), (5, 5), (6, 5)):
        with pytest.raises(Invalid):
            await book(db, campaign, first, end)
    await check_books(db)


async def test_what_is_suspended_or_ended_gives_its_time_back(db: Database, clock: FixedClock) -> None:
    suspended, ended = await fronts(db, MERCHANT, OTHER, ends_at=TOMORROW + 9 * HOUR)
    await book(db, suspended, 8, 9)
    late = await book(db, ended, 12, 13)
    move = CampaignMove.SUSPEND
    await db.write(
        WORKER, "olga", move_campaign, MERCHANT, suspended.campaign_id, move, AdParty.PLATFORM, "a complaint"
    )
    clock.move_to(TOMORROW + 9 * HOUR)
    assert await begin_slots(db, "worker") == 1
    assert await end_campaigns(db, "worker") == 2
    assert await charges_of(db) == []
    assert (await account_of(db)).free_minor == (await account_of(db, OTHER)).free_minor == 4_000
    async with db.read(WORKER) as tx:
        assert await taken_slots(tx, ended.placement_id, TOMORROW, TOMORROW + timedelta(days=2)) == []
        state = await tx.scalar("SELECT state FROM billing.ad_booking WHERE booking_id = :b", b=late.booking_id)
    assert state == BookingState.CANCELLED
    await check_books(db)


async def test_a_booking_that_fails_holds_up_no_other(db: Database, clock: FixedClock) -> None:
    ours, theirs = await fronts(db, MERCHANT, OTHER, ends_at=TOMORROW + 9 * HOUR)
    await book(db, ours, 7, 8)
    await book(db, theirs, 8, 9)
    spoil = f"UPDATE billing.ad_account SET held_minor = 0 WHERE merchant_id = {MERCHANT}"
    await db.write(WORKER, "test", Tx.execute, spoil)
    clock.move_to(TOMORROW + 8 * HOUR)
    assert await begin_slots(db, "worker") == 1
    assert [charge.amount_minor for charge in await charges_of(db, OTHER)] == [PRICE]
    clock.move_to(TOMORROW + 10 * HOUR)
    assert await end_campaigns(db, "worker") == 1  # what cannot be given back keeps its campaign alone
