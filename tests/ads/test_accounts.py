"""Prepaid balances: paid in three ways, granted by two people, given back with their VAT."""

import asyncio

import pytest

from billing.ads.model import GrantState, TopUpSource
from billing.ledger import store as ledger
from marketplace.core import policies
from marketplace.core.db import WORKER, Database
from marketplace.core.errors import Conflict, Forbidden, Invalid
from marketplace.flows.ads.fund_ads import (
    ProposeGrant,
    RefundAds,
    TopUp,
    approve_grant,
    propose_grant,
    refund_unspent,
    reject_grant,
    top_up,
)
from tests.ads.market import (
    DAY,
    GRANTED,
    MERCHANT,
    OTHER,
    PAID,
    REVENUE,
    account_of,
    add_ad_market,
    charges_of,
    clicks,
    ledger_of,
    prepared,
    prepay,
    rate,
)
from tests.billing.market import check_books, goodwill
from tests.builders import HOUSE, PROCESSOR


def funds(source: TopUpSource, amount: int = 10_000, **more: str) -> TopUp:
    return TopUp(merchant_id=MERCHANT, currency="EUR", amount_minor=amount, source=source, **more)


async def test_h_by_card_by_bank_and_from_earnings(db: Database) -> None:
    await db.write(WORKER, "test", add_ad_market)
    card = funds(TopUpSource.PROCESSOR, receipt_ref="C-1", processor="card")
    await db.write(WORKER, "fay", top_up, card)
    assert await ledger_of(db) == {1020: 12_000, PAID: -10_000, 2300: -2_000}
    await db.write(WORKER, "fay", top_up, funds(TopUpSource.BANK, receipt_ref="B-1"))
    assert await ledger_of(db, HOUSE) == {1010: 12_000, 1030: -12_000}
    await db.write(WORKER, "test", ledger.post, [goodwill(MERCHANT, 1, DAY, 15_000)])
    await db.write(WORKER, "olga", top_up, funds(TopUpSource.EARNINGS))
    books = await ledger_of(db)
    assert (books[2000], books[PAID], books[2300]) == (-3_000, -30_000, -6_000)
    assert (await account_of(db)).paid_minor == 30_000
    assert PROCESSOR == 1
    await check_books(db)


async def test_nobody_pays_with_more_than_it_is_owed_however_often_it_asks(db: Database) -> None:
    await db.write(WORKER, "test", add_ad_market)
    await db.write(WORKER, "test", ledger.post, [goodwill(MERCHANT, 1, DAY, 12_500)])

    cmd = funds(TopUpSource.EARNINGS, 5_000)
    asked = await asyncio.gather(*(db.write(WORKER, "olga", top_up, cmd) for _ in range(6)), return_exceptions=True)
    refused = [str(one) for one in asked if isinstance(one, Conflict)]
    assert len(refused) == 4
    assert all("the merchant is owed 500" in one for one in refused)
    assert (await ledger_of(db))[2000] == -500
    await check_books(db)


async def test_a_receipt_is_booked_once_for_whomever(db: Database) -> None:
    await db.write(WORKER, "test", add_ad_market)
    await db.write(WORKER, "fay", prepay, MERCHANT, 500, "B-1")
    with pytest.raises(Conflict, match="B-1 was booked before, for merchant 1"):
        await db.write(WORKER, "fay", prepay, OTHER, 500, "B-1")
    with pytest.raises(Invalid, match="no processor 'unknown'"):
        await db.write(WORKER, "fay", top_up, funds(TopUpSource.PROCESSOR, receipt_ref="X", processor="unknown"))
    await check_books(db)


async def test_credit_is_granted_by_two_people_and_spent_first(db: Database) -> None:
    campaign = await prepared(db, prepaid=1_000)
    await db.write(WORKER, "test", policies.switch, "single_operator", on=False)
    ask = ProposeGrant(merchant_id=MERCHANT, currency="EUR", amount_minor=300, reason="welcome")
    grant = await db.write(WORKER, "olga", propose_grant, ask)
    with pytest.raises(Forbidden, match="made by olga"):
        await db.write(WORKER, "olga", approve_grant, MERCHANT, grant.grant_id)
    approved = await asyncio.gather(
        *(db.write(WORKER, "bert", approve_grant, MERCHANT, grant.grant_id) for _ in range(3)), return_exceptions=True
    )
    assert sum(isinstance(one, Conflict) for one in approved) == 2
    books = await ledger_of(db)
    assert (books[5400], books[GRANTED]) == (300, -300)
    refused = await db.write(WORKER, "olga", propose_grant, ask)
    assert (await db.write(WORKER, "bert", reject_grant, MERCHANT, refused.grant_id)).state is GrantState.REJECTED
    await clicks(db, campaign, 45)
    await rate(db)
    [charge] = await charges_of(db)
    assert (charge.granted_minor, charge.paid_minor) == (300, 150)
    books = await ledger_of(db)
    assert (books.get(GRANTED, 0), books[PAID], books[REVENUE], books[5400]) == (0, -850, -450, 300)
    await check_books(db)


async def test_what_is_not_used_goes_back_with_its_vat(db: Database) -> None:
    campaign = await prepared(db, prepaid=1_000)
    await clicks(db, campaign, 30)
    await rate(db)
    some = RefundAds(merchant_id=MERCHANT, currency="EUR", amount_minor=333, reason="enough")
    done = await db.write(WORKER, "olga", refund_unspent, some)
    assert (done.movement.paid_minor, done.movement.vat_minor) == (-333, -67)  # 66.6, half-even
    rest = RefundAds(merchant_id=MERCHANT, currency="EUR", amount_minor=None, reason="enough")
    done = await db.write(WORKER, "olga", refund_unspent, rest)
    assert (done.movement.paid_minor, done.movement.vat_minor) == (-367, -73)
    assert await ledger_of(db) == {1030: 1_200, 2000: -840, 2300: -60, REVENUE: -300}
    with pytest.raises(Conflict, match="0 of what was paid is free"):
        await db.write(WORKER, "olga", refund_unspent, rest)
    await check_books(db)


async def test_without_terms_nobody_prepays(db: Database) -> None:
    await db.write(WORKER, "test", add_ad_market)
    cmd = TopUp(merchant_id=MERCHANT, currency="USD", amount_minor=5, source=TopUpSource.BANK, receipt_ref="U")
    with pytest.raises(Invalid, match="no terms for ads in USD"):
        await db.write(WORKER, "fay", top_up, cmd)
