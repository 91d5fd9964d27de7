"""A brand pays a part of a discount: its cap, its receivable, its claim file, and what refunds give back to it."""

import pytest

from billing.payers import store as payers
from billing.payers.terms import PayerTerms, check_terms
from incentives.campaigns.store import get_campaign
from incentives.lifecycle import Move
from incentives.promotions.model import Promotion
from incentives.rules.model import ByMerchant, ByPayer, ByPlatform, Terms, TotalBudget
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import Invalid
from marketplace.flows.orders.placement import TIME_TO_PAY
from marketplace.flows.orders.release_order import expire_orders
from marketplace.flows.payers.apply_payer_contracts import apply_payer_versions
from marketplace.flows.payers.claim_shares import ClaimShares, claim_shares
from tests.billing.market import check_books
from tests.builders import ENTITY
from tests.discounts.market import Stand, bought, cart, market, off, pay, quoted, refund, settle, sold, stands
from tests.incentives.market import drafted, move
from tests.orders.paid import balances, entry
from tests.payers.market import terms as payer_terms
from tests.payers.market import used
from tests.placing.market import ALPHA

BRAND = ByPayer(contract="brand autumn", weight=2)


def contract(**changes: object) -> PayerTerms:
    """A brand's contract that pays promotions, up to so much a month."""
    given: dict[str, object] = {
        "name": "brand autumn", "payer": "Brand", "pays": "promotion", "order_cap_minor": None, "cap_minor": 2_500,
        "cap_period": "month", "share_ppm": 1_000_000,
    }  # fmt: skip
    return payer_terms(**{**given, **changes})


async def brand_market(db: Database, clock: FixedClock, wanted: Terms, paying: PayerTerms | None = None) -> Promotion:
    async def add(tx: Tx) -> None:
        await payers.insert_payer(tx, name="Brand", kind="brand", email="claims@example.org")
        await apply_payer_versions(tx, [paying or contract()])

    await db.write(WORKER, "test", add)
    [made] = await market(db, clock, wanted)
    return made


async def test_g_a_brand_bears_two_thirds_of_a_discount_to_the_cent(db: Database, clock: FixedClock) -> None:
    sale = await brand_market(db, clock, off(125_000, BRAND, ByPlatform(weight=1)))
    placed = await bought(db)
    assert (placed.discount_minor, placed.pay_minor, await used(db)) == (1_500, 10_500, 1_000)
    await check_books(db)
    await pay(db, placed)
    assert await entry(db, "order_paid", ALPHA) == {1020: 10_500, 5000: 500, 1110: 1_000, 2005: -12_000}
    await settle(db, placed)
    assert await entry(db, "order_settled", ALPHA) == {2005: 12_000, 4000: -1_200, 2300: -240, 2000: -10_560}
    await refund(db, placed, 4_000)
    assert await entry(db, "order_refunded", ALPHA) == {
        2000: 3_520, 4000: 400, 2300: 80, 2400: -3_500, 5000: -167, 1110: -333,
    }  # fmt: skip
    assert (await stands(db, sale), await used(db)) == (Stand(reserved=0, spent=1_000, granted=1_000, cost=333), 667)
    await check_books(db)
    cmd = ClaimShares(contract_id=1, entity_id=ENTITY, through=clock.now().date())
    claim = await db.write(WORKER, "test", claim_shares, cmd)
    assert (claim.lines, claim.amount_minor) == (1, 667)
    await check_books(db)
    await refund(db, placed)
    assert (await stands(db, sale), await used(db)) == (Stand(reserved=0, spent=0, granted=0, cost=0), 0)
    await check_books(db)


async def test_an_exhausted_cap_takes_nothing_off_and_never_falls_on_the_platform(
    db: Database, clock: FixedClock
) -> None:
    sale = await brand_market(db, clock, off(125_000, BRAND, ByPlatform(weight=1)))
    assert [(await bought(db, f"k{n}")).discount_minor for n in range(3)] == [1_500, 1_500, 0]
    assert (await stands(db, sale)).reserved == 3_000
    reason = (await quoted(db, await cart(db))).orders[0].promotions[0].reason
    assert reason == "the budget has 7.50 left"
    await check_books(db)


async def test_a_cap_gives_what_is_left_where_the_budget_gives_parts(db: Database, clock: FixedClock) -> None:
    budget = TotalBudget(limit_minor=100_000, currency="EUR", on_shortfall="partial")
    sale = await brand_market(db, clock, off(125_000, BRAND, ByPlatform(weight=1), budgets=(budget,)))
    assert [(await bought(db, f"k{n}")).discount_minor for n in range(3)] == [1_500, 1_500, 750]
    assert ((await stands(db, sale)).reserved, await used(db)) == (3_750, 2_500)
    await check_books(db)


async def test_an_order_that_nobody_pays_gives_the_cap_back(db: Database, clock: FixedClock) -> None:
    sale = await brand_market(db, clock, off(125_000, BRAND, ByMerchant(weight=1)))
    await bought(db)
    assert await used(db) == 1_000
    clock.move_to(clock.now() + TIME_TO_PAY)
    assert await expire_orders(db, "worker", clock.now()) == 1
    assert (await used(db), await stands(db, sale)) == (0, Stand(reserved=0, spent=0, granted=0, cost=0))
    await check_books(db)


async def test_all_of_it_by_the_brand_leaves_platform_and_merchant_whole(db: Database, clock: FixedClock) -> None:
    sale = await brand_market(db, clock, off(125_000, BRAND))
    placed = await sold(db)
    assert await entry(db, "order_paid", ALPHA) == {1020: 10_500, 1110: 1_500, 2005: -12_000}
    assert (await balances(db, ALPHA))[2000] == -10_560
    assert (await stands(db, sale)).cost == 0
    assert placed.payer_minor == 0
    await check_books(db)


@pytest.mark.parametrize(
    ("paying", "why"),
    [
        (contract(name="another"), "there is no payer contract"),
        (contract(pays="order"), "pays order"),
        (contract(pay_when_paid=True), "'brand autumn' is pay_when_paid"),
    ],
)
async def test_a_payer_that_does_not_pay_promotions_is_refused_before_approval(
    db: Database, clock: FixedClock, paying: PayerTerms, why: str
) -> None:
    await brand_market(db, clock, off(name="other"), paying)
    async with db.read(WORKER) as tx:
        campaign_id = await tx.scalar("SELECT campaign_id FROM incentives.campaign")
        campaign = await get_campaign(tx, campaign_id)
    made = await drafted(db, campaign, off(125_000, BRAND))
    with pytest.raises(Invalid, match=why):
        await move(db, made, Move.SUBMIT)


def test_a_contract_that_pays_promotions_is_not_waited_for() -> None:
    with pytest.raises(Invalid, match="pay_when_paid: nobody waits"):
        check_terms(contract(pay_when_paid=True), "payer_contract[0]")
    check_terms(contract(pays="order", pay_when_paid=True), "payer_contract[0]")
