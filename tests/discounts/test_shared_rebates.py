"""Posting G per funder: platform, merchant and a brand bear a buyer's rebate by weight, each in its own books."""

import csv
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from billing.ledger import store as ledger
from billing.payers import store as payers
from billing.payers.claims.store import PayerClaim
from billing.payers.terms import PayerTerms
from billing.runs.model import period_named
from billing.runs.store import totals
from incentives.promotions.model import Promotion
from incentives.rules.awards import Credit, Fixed, NextOrderVoucher, Once, Reward
from incentives.rules.model import ByMerchant, ByPlatform, Calendar, FunderBudget, Terms, TotalBudget
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.books.export_books import export_statements
from marketplace.flows.payers.apply_payer_contracts import apply_payer_versions
from marketplace.flows.payers.claim_shares import ClaimShares, claim_shares
from marketplace.flows.payers.settle_claim import RejectLine, Remit, reject_line, remit
from marketplace.migrate import migrate, newest_version
from tests.billing.market import billed, check_books, figures, goodwill, statements
from tests.builders import ENTITY, HOUSE
from tests.conftest import connect
from tests.discounts.market import Stand, bought, market, off, refund, sold, stands
from tests.discounts.test_payers import BRAND, contract
from tests.discounts.test_rebates import back, credit_of, look
from tests.discounts.test_vouchers import bought_with, having
from tests.http.conftest import app, caller, client
from tests.incentives.budgets import check_budgets
from tests.orders.paid import balances, entry
from tests.payers.market import used
from tests.placing.market import ALPHA

__all__ = ["app", "caller", "client"]

Make = Callable[..., Awaitable[httpx.AsyncClient]]
BEFORE_0027 = (
    "ALTER TABLE billing.statement DROP CONSTRAINT ck_statement_ties",
    "UPDATE billing.statement SET other_minor = other_minor + rebate_minor",
    "ALTER TABLE billing.statement DROP COLUMN rebate_minor, ADD CONSTRAINT ck_statement_ties CHECK (true)",
    "DROP INDEX supply.ix_offer_listed_at",
    "UPDATE public.schema_version SET version_num = '0026'",
)
SEPTEMBER = period_named("2018-09")
ALL_THREE = (ByPlatform(weight=1), ByMerchant(weight=1), BRAND)


async def shared(db: Database, clock: FixedClock, wanted: Terms, paying: PayerTerms | None = None) -> Promotion:
    async def add(tx: Tx) -> None:
        await payers.insert_payer(tx, name="Brand", kind="brand", email="claims@example.org")
        await apply_payer_versions(tx, [paying or contract()])

    await db.write(WORKER, "test", add)
    [made] = await market(db, clock, wanted)
    return made


async def claim(db: Database) -> PayerClaim:
    cmd = ClaimShares(contract_id=1, entity_id=ENTITY, through=db.clock.now().date())
    return await db.write(WORKER, "test", claim_shares, cmd)


async def test_g_all_three_bear_a_rebate_by_weight_and_have_their_part_back_with_a_refund(
    db: Database, clock: FixedClock
) -> None:
    """12.00 back of 120.00: 3.00 are the platform's, 3.00 the merchant's, 6.00 the brand's."""
    sale = await shared(db, clock, back(funding=ALL_THREE))
    placed = await sold(db)
    before = (await balances(db, ALPHA))[2000]
    await look(db)
    assert await entry(db, "rebate_earned", HOUSE) == {5000: 300, 1030: 300, 1110: 600, 2050: -1_200}
    assert await entry(db, "rebate_shared", ALPHA) == {2000: 300, 1030: -300}
    assert ((await balances(db, ALPHA))[2000] - before, await used(db), await credit_of(db)) == (300, 600, 1_200)
    await check_books(db)
    await refund(db, placed, 4_000)
    await look(db)
    assert await entry(db, "rebate_clawed_back", HOUSE) == {2410: 400, 5000: -100, 1030: -100, 1110: -200}
    assert (await used(db), await credit_of(db), (await stands(db, sale)).spent) == (400, 800, 800)
    await check_books(db)
    await refund(db, placed)
    await look(db)
    assert (await stands(db, sale), await used(db)) == (Stand(reserved=0, spent=0, granted=0, cost=0), 0)
    assert [(await balances(db, HOUSE)).get(account, 0) for account in (5000, 1110, 2050, 2410)] == [0, 0, 0, 0]
    await check_budgets(db)
    await check_books(db)


async def test_a_merchants_part_has_a_column_of_its_own_on_its_statement(
    db: Database, clock: FixedClock, tmp_path: Path
) -> None:
    """3.00 of the rebate are the merchant's, of which 1.00 comes back with a third of the order."""
    await shared(db, clock, back(funding=ALL_THREE))
    placed = await sold(db)
    await look(db)
    await refund(db, placed, 4_000)
    await look(db)
    clock.move_to(datetime(2018, 10, 2, tzinfo=UTC))
    run = (await billed(db, SEPTEMBER)).run
    found = figures((await statements(db, run.run_id))[ALPHA, "EUR"])
    assert found["rebate"] == -200
    assert "other" not in found
    async with db.read(WORKER) as tx:
        [total] = await totals(tx, run.run_id)
    assert (total.rebate_minor, total.other_minor) == (-200, 0)
    assert await export_statements(db, SEPTEMBER, tmp_path / "month.csv") > 0
    rows = list(csv.DictReader((tmp_path / "month.csv").read_text().splitlines()))
    assert {row["rebate_minor"] for row in rows if row["orders"] != "0"} == {"-200"}
    await check_books(db)


async def test_statements_from_before_there_was_such_a_column_have_it_after_the_upgrade(
    db: Database, clock: FixedClock
) -> None:
    """As schema 0026 had it, all in `other`, with a credit that stays there."""
    await shared(db, clock, back(funding=ALL_THREE))
    await sold(db)
    await look(db)
    await db.write(WORKER, "test", ledger.post, [goodwill(ALPHA, 1, clock.now().date(), 500)])
    clock.move_to(datetime(2018, 10, 2, tzinfo=UTC))
    run = (await billed(db, SEPTEMBER)).run
    before = await statements(db, run.run_id)
    owner = await connect(db.url)
    for statement in BEFORE_0027:
        await owner.execute(statement)
    await owner.close()
    assert await migrate(db.url) == ("0026", newest_version())
    later = Database(db.url, clock)
    after = await statements(later, run.run_id)
    assert after == before
    assert (after[ALPHA, "EUR"].rebate_minor, after[ALPHA, "EUR"].other_minor) == (-300, 500)
    await check_books(later)
    await later.close()


async def test_the_brand_is_claimed_for_it_pays_and_rejects_and_no_merchant_bears_the_rejection(
    db: Database, clock: FixedClock, caller: Make
) -> None:
    sale = await shared(db, clock, back(funding=ALL_THREE), contract(recourse=True))
    placed = await sold(db)
    await look(db)
    made = await claim(db)
    assert (made.lines, made.amount_minor) == (1, 600)
    path = f"/api/v1/payers/1/claims/{made.claim_id}/grants"
    payer = await caller("brand", "payer", payer_id=1)
    [line] = (await payer.get(path)).json()["items"]
    names = ("promotion_id", "beneficiary", "window", "granted_minor", "borne_minor")
    assert [line[name] for name in names] == [
        sale.promotion_id, "buyer", str(placed.orders[0].order_id), 1_200, 600,
    ]  # fmt: skip
    rejecting = RejectLine(payer_id=1, claim_id=made.claim_id, line_no=1, amount_minor=200, reason="not ours")
    await db.write(WORKER, "test", reject_line, rejecting)
    assert await entry(db, "payer_rejected", HOUSE) == {5210: 200, 1110: -200}
    paying = Remit(
        payer_id=1, claim_id=made.claim_id, amount_minor=300, bank_ref="b1", received_on=clock.now().date()
    )  # fmt: skip
    await db.write(WORKER, "test", remit, paying)
    await check_books(db)
    await refund(db, placed)
    await look(db)
    assert (await used(db), await credit_of(db)) == (0, 0)
    await check_books(db)


async def test_credit_that_was_spent_stays_borne_by_those_who_bore_it(db: Database, clock: FixedClock) -> None:
    sale = await shared(db, clock, back(funding=ALL_THREE))
    placed = await sold(db)
    await look(db)
    await bought(db, "k2", credit_minor=1_000)
    await refund(db, placed)
    await look(db)
    found = await stands(db, sale)
    assert (await credit_of(db), found.granted, found.cost, await used(db)) == (1_000, 1_000, 250, 500)
    await check_books(db)


async def test_a_cap_that_is_short_gives_nothing_or_a_part_and_falls_on_nobody_else(
    db: Database, clock: FixedClock
) -> None:
    """12.00 each, 6.00 of it the brand's, whose cap of 9.00 has 3.00 left for the second: 6.00 of it."""
    soft = TotalBudget(limit_minor=100_000, currency="EUR", on_shortfall="partial")
    own = FunderBudget(limit_minor=100_000, currency="EUR", funder="merchant")
    sale = await shared(db, clock, back(funding=ALL_THREE, budgets=(soft, own)), contract(cap_minor=900))
    for key in ("k1", "k2", "k3"):
        await sold(db, key)
    await look(db)
    found = await stands(db, sale)
    assert (await credit_of(db), found.granted, found.cost, await used(db)) == (1_800, 1_800, 450, 900)
    await check_budgets(db)
    await check_books(db)


async def test_a_brand_bears_its_part_of_a_week(db: Database, clock: FixedClock) -> None:
    weekly = Reward(amount=Once(threshold=20_000, amount_minor=1_500), form=Credit())
    wanted = back(reward=weekly, window=Calendar(period="week"), funding=(BRAND, ByPlatform(weight=1)))
    sale = await shared(db, clock, wanted)
    await sold(db)
    await look(db)
    placed = await sold(db, "k2")
    await look(db)
    assert await entry(db, "rebate_earned", HOUSE) == {5000: 500, 1110: 1_000, 2050: -1_500}
    await refund(db, placed, 5_000)
    await look(db)
    found = await stands(db, sale)
    assert (await credit_of(db), found.cost, await used(db)) == (1_187, 396, 791)
    await check_books(db)


@pytest.mark.parametrize("uses", [True, False])
async def test_a_shared_voucher_costs_all_three_when_it_is_used_and_nobody_when_it_is_not(
    db: Database, clock: FixedClock, *, uses: bool
) -> None:
    reward = Reward(amount=Fixed(amount_minor=1_000), form=NextOrderVoucher(valid_days=10))
    wanted: Any = off(0, *ALL_THREE, reward=reward, trigger=back().trigger)
    sale = await shared(db, clock, wanted)
    await sold(db)
    await look(db)
    [one] = await having(db)
    assert await entry(db, "rebate_earned", HOUSE) == {5000: 250, 1030: 250, 1110: 500, 2050: -1_000}
    if uses:
        placed = await bought_with(db, one.code, "k2")
        assert placed.credit_minor == 1_000
    clock.move_to(one.expires_at)
    await look(db)
    found = await stands(db, sale)
    assert (found.spent, found.cost, await used(db)) == ((1_000, 250, 500) if uses else (0, 0, 0))
    await check_books(db)
