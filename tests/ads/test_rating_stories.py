"""Postings H and H1 of domain.md to the cent, and what an hour costs when less is left than was clicked."""

from datetime import timedelta

from billing.ads.model import ChargeKind
from billing.ads.tokens import sign
from marketplace.core.db import Database
from tests.ads.market import (
    GRANTED,
    HOUR,
    MERCHANT,
    NOON,
    PAID,
    REVENUE,
    account_of,
    charges_of,
    clicks,
    hours_of,
    ledger_of,
    line,
    prepared,
    rate,
    send,
    ticket,
)
from tests.ads.market import keys_of as keys
from tests.billing.market import check_books


async def test_h_and_h1_to_the_cent(db: Database) -> None:
    """Top-up of 100.00 with 20.00 VAT; an hour of clicks for 37.40; invalid ones of 2.10 credited; 64.70 are left."""
    campaign = await prepared(db, prepaid=10_000)
    assert await ledger_of(db) == {1030: 12_000, PAID: -10_000, 2300: -2_000}
    await clicks(db, campaign, 374)
    assert await rate(db) == 1
    assert await ledger_of(db) == {1030: 12_000, PAID: -6_260, 2300: -2_000, REVENUE: -3_740}
    # Late: for each of 21 clicks another one of the same viewer 1 ms before it, so that the later one is a repeat.
    token = sign(ticket(campaign, click_minor=0, at=NOON - 2 * HOUR), (await keys(db))[1])
    at = NOON - 2 * HOUR
    await send(
        db,
        [
            line(token, f"late{n}", at + timedelta(milliseconds=n) - timedelta(microseconds=5), viewer=f"v-e{n}")
            for n in range(1, 22)
        ],
    )
    assert await rate(db) == 1
    assert await ledger_of(db) == {1030: 12_000, PAID: -6_470, 2300: -2_000, REVENUE: -3_530}
    assert (await account_of(db)).paid_minor == 6_470
    charge, credit = await charges_of(db)
    assert (charge.kind, charge.amount_minor, charge.paid_minor) == (ChargeKind.USE, 3_740, 3_740)
    assert (credit.kind, credit.amount_minor, credit.credits_charge_id) == (ChargeKind.CREDIT, -210, charge.charge_id)
    assert await hours_of(db, campaign) == [(395, 21, 3_530, 0)]
    await check_books(db)


async def test_nothing_is_spent_beyond_the_prepaid_balance(db: Database) -> None:
    campaign = await prepared(db, prepaid=500)
    await clicks(db, campaign, 80)
    await rate(db)
    assert await hours_of(db, campaign) == [(80, 0, 500, 300)]
    assert (await account_of(db)).paid_minor == 0
    assert (await ledger_of(db)).get(GRANTED) is None
    assert campaign.merchant_id == MERCHANT
