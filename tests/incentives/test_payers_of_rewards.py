"""Posting F per funder: a brand bears a part of merchants' rewards, by its cap, and is asked for it in a claim."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from billing.ledger.chart import Account
from billing.payers import store as payers
from billing.payers.claims.store import PayerClaim
from billing.payers.terms import PayerTerms
from incentives.promotions.model import Promotion, VersionState
from incentives.rules.awards import EveryN, Once, Reward
from incentives.rules.model import ByMerchant, ByPayer, ByPlatform, FunderBudget, PerEvent, Terms, TotalBudget
from incentives.rules.parts import DAY
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.payers.apply_payer_contracts import apply_payer_versions
from marketplace.flows.payers.claim_shares import ClaimShares, claim_shares
from marketplace.flows.payers.settle_claim import RejectLine, reject_line
from marketplace.flows.promotions import plan_incentives as plans
from marketplace.flows.promotions.plan_incentives import NewVersion
from tests.billing.market import MAKER, check_books, prepare
from tests.billing.market import order as paid_order
from tests.builders import ENTITY
from tests.discounts.test_payers import contract
from tests.http.conftest import app, caller, client
from tests.incentives.market import CHECKER, WARNED, live, simulated, terms
from tests.incentives.market import MAKER as PLANNER
from tests.incentives.trade import WEEK, day, look, refund, settle
from tests.payers.market import used

__all__ = ["app", "caller", "client"]

Make = Callable[..., Awaitable[httpx.AsyncClient]]
BRAND = ByPayer(contract="brand autumn", weight=2)


async def market(db: Database, clock: FixedClock, wanted: Terms, paying: PayerTerms | None = None) -> Promotion:
    async def add(tx: Tx) -> None:
        await payers.insert_payer(tx, name="Brand", kind="brand", email="claims@example.org")
        await apply_payer_versions(tx, [paying or contract(cap_minor=2_500)])

    await db.write(WORKER, MAKER, prepare, [])
    await db.write(WORKER, "test", add)
    _, made = await live(db, clock, wanted)
    return made


def shared(*funding: Any, **changes: Any) -> Terms:
    """20.00 for a week of 100.00, two thirds of it the brand's."""
    return terms(**{"window": WEEK, "funding": funding or (BRAND, ByPlatform(weight=1)), **changes})


async def legs(db: Database) -> dict[int, int]:
    """What the entries of incentives have come to, by account."""
    async with db.read(WORKER) as tx:
        rows = await tx.rows(
            """
            SELECT leg.account, sum(leg.amount)::bigint AS minor
            FROM billing.entry e, unnest(e.accounts, e.amounts) AS leg (account, amount)
            WHERE e.kind LIKE 'incentive%' GROUP BY leg.account HAVING sum(leg.amount) <> 0
            """
        )
    return {row.account: row.minor for row in rows}


async def claim(db: Database) -> PayerClaim:
    cmd = ClaimShares(contract_id=1, entity_id=ENTITY, through=db.clock.now().date())
    return await db.write(WORKER, "test", claim_shares, cmd)


async def test_f_a_brand_bears_two_thirds_of_a_reward_and_is_claimed_for_it(db: Database, clock: FixedClock) -> None:
    await market(db, clock, shared())
    await settle(db, clock, paid_order(1, 1, day(4), 10_000))
    await look(db)
    assert await legs(db) == {Account.PAYER_RECEIVABLE: 1_333, Account.INCENTIVE_COST: 667, Account.PAYABLE: -2_000}
    assert await used(db) == 1_333
    await check_books(db)
    made = await claim(db)
    assert (made.lines, made.amount_minor) == (1, 1_333)
    await check_books(db)
    await refund(db, 1, 1)
    await look(db)
    assert (await legs(db), await used(db)) == ({}, 0)
    await check_books(db)
    made = await claim(db)
    assert (made.lines, made.amount_minor) == (1, -1_333)
    await check_books(db)


async def test_the_claim_file_has_a_line_for_every_grant_and_is_the_payers_own(
    db: Database, clock: FixedClock, caller: Make
) -> None:
    made = await market(db, clock, shared(window=PerEvent()))
    await settle(db, clock, paid_order(1, 1, day(4), 10_000))
    await look(db)
    path = f"/api/v1/payers/1/claims/{(await claim(db)).claim_id}/grants"
    payer = await caller("brand", "payer", payer_id=1)
    [line] = (await payer.get(path)).json()["items"]
    assert {name: line[name] for name in ("promotion_id", "beneficiary", "window", "granted_minor", "borne_minor")} == {
        "promotion_id": made.promotion_id, "beneficiary": "merchant", "window": "1", "granted_minor": 2_000,
        "borne_minor": 1_333,
    }  # fmt: skip
    head, first = (await payer.get(f"{path}.csv")).text.splitlines()
    assert head.startswith("claim_no,line_no,merchant_id,grant_id,promotion_id,promotion,")
    assert first.endswith("20.00,13.33,0.00,13.33,EUR")
    await refund(db, 1, 1)
    await look(db)
    back = f"/api/v1/payers/1/claims/{(await claim(db)).claim_id}/grants.csv"
    assert (await payer.get(back)).text.splitlines()[1].endswith("20.00,13.33,13.33,-13.33,EUR")
    await db.write(WORKER, "test", payers.insert_payer, name="Other", kind="brand", email="")
    other = await caller("other", "payer", payer_id=2)
    assert {(await other.get(each)).status_code for each in (path, f"{path}.csv")} == {404}


async def test_what_has_not_vested_is_owed_and_not_claimed_yet(db: Database, clock: FixedClock) -> None:
    reward = Reward(amount=Once(threshold=10_000, amount_minor=2_000), vest_seconds=10 * DAY)
    await market(db, clock, shared(reward=reward))
    await settle(db, clock, paid_order(1, 1, day(4), 10_000))
    await look(db)
    assert (await legs(db))[Account.PAYER_RECEIVABLE] == 1_333
    with pytest.raises(Exception, match="nothing to be claimed"):
        await claim(db)
    clock.move_to(datetime(2018, 9, 15, 12, tzinfo=UTC))
    await look(db)
    assert (await claim(db)).amount_minor == 1_333
    await check_books(db)


async def test_a_cap_that_is_short_rejects_gives_a_part_or_has_it_wait(db: Database, clock: FixedClock) -> None:
    """Per order 20.00, of which 13.33 are the brand's: its cap of 25.00 has enough for one, and then for 11.67."""
    soft = TotalBudget(limit_minor=100_000, currency="EUR", on_shortfall="partial")
    own = FunderBudget(limit_minor=100_000, currency="EUR", funder="brand autumn")
    wanted = shared(
        window=PerEvent(), reward=Reward(amount=EveryN(every=10_000, amount_minor=2_000)), budgets=(soft, own)
    )
    await market(db, clock, wanted)
    await settle(db, clock, *(paid_order(1, number, day(4), 10_000) for number in (1, 2, 3)))
    await look(db)
    assert await used(db) == 2_500
    assert -(await legs(db))[Account.PAYABLE] == 3_750
    await check_books(db)


async def test_a_hard_cap_gives_the_second_reward_nothing_and_the_platform_bears_none_of_it(
    db: Database, clock: FixedClock
) -> None:
    await market(db, clock, shared(budgets=()))
    await settle(db, clock, paid_order(1, 1, day(4), 10_000), paid_order(2, 2, day(4), 10_000))
    await look(db)
    assert await legs(db) == {Account.PAYER_RECEIVABLE: 1_333, Account.INCENTIVE_COST: 667, Account.PAYABLE: -2_000}
    await check_books(db)


async def test_all_three_bear_it_and_what_the_payer_rejects_comes_back_to_whoever_bore_that(
    db: Database, clock: FixedClock
) -> None:
    await market(db, clock, shared(ByPlatform(weight=1), BRAND, ByMerchant(weight=1)))
    await settle(db, clock, paid_order(1, 1, day(4), 10_000))
    await look(db)
    assert await legs(db) == {Account.PAYER_RECEIVABLE: 1_000, Account.INCENTIVE_COST: 500, Account.PAYABLE: -1_500}
    made = await claim(db)
    line = RejectLine(payer_id=made.payer_id, claim_id=made.claim_id, line_no=1, amount_minor=400, reason="not ours")
    await db.write(WORKER, "test", reject_line, line)
    await check_books(db)
    await refund(db, 1, 1)
    await look(db)
    assert (await legs(db), await used(db)) == ({}, 0)
    await check_books(db)


async def test_a_payer_that_bears_nothing_by_a_later_version_gets_back_what_it_bore_before(
    db: Database, clock: FixedClock
) -> None:
    made = await market(db, clock, shared())
    await settle(db, clock, paid_order(1, 1, day(4), 10_000))
    await look(db)
    assert (await legs(db))[Account.PAYER_RECEIVABLE] == 1_333
    cmd = NewVersion(promotion_id=made.promotion_id, terms=terms(window=WEEK))
    version = await db.write(WORKER, PLANNER, plans.add_version, cmd)
    await simulated(db, made.promotion_id)
    approved = (made.promotion_id, version.version_no, VersionState.APPROVED, WARNED)
    await db.write(WORKER, CHECKER, plans.decide_version, *approved)
    await settle(db, clock, paid_order(1, 2, day(5), 100))
    await look(db)
    await refund(db, 1, 10_000)
    await look(db)
    assert (await legs(db), await used(db)) == ({}, 0)
    await check_books(db)
