"""What merchants of other marketplaces suffer from, and do not here: pains 7 and 13 of the research."""

from datetime import date

import pytest

from billing.payouts import store as alarms
from billing.runs import store
from marketplace.core import policies
from marketplace.core.db import WORKER, Database
from marketplace.core.errors import Conflict
from marketplace.flows.acquisition.onboard_merchant import (
    NotReady,
    OnboardMerchant,
    go_live,
    onboard_merchant,
    read_checklist,
    tick,
    verify_by_document,
)
from marketplace.flows.commission.settle_orders import settle_through
from marketplace.flows.orders.list_goods import Goods, list_goods
from marketplace.flows.payouts.pay_merchants import ConfirmPayout, ReturnPayout, confirm_payout, return_payout
from marketplace.flows.refunds.refund_order import RefundOrder, refund_order
from supply.onboarding.rules import Act
from supply.store import get_merchant
from tests.billing.accounts import CLERK, OWNER, add_account, propose
from tests.billing.market import JUNE, MAKER, MAY, NET_OF_120, billed, check_books, order, payable, prepare
from tests.builders import add_market

MAY_10, MAY_20 = date(2018, 5, 10), date(2018, 5, 20)


async def test_pain_7_a_payout_that_the_bank_returns_is_not_settled_and_is_paid_again(db: Database) -> None:
    """Returned after success: the state says so, an alarm names it, and the next run pays exactly what is owed."""
    await db.write(WORKER, MAKER, prepare, [order(1, 1, MAY_10)])
    await db.write(WORKER, MAKER, add_account, 1)
    await settle_through(db, MAKER, MAY.last_on)
    run_id = (await billed(db)).run.run_id
    async with db.read(WORKER) as tx:
        [payout] = await store.list_payouts(tx, run_id=run_id)
    key = {"merchant_id": 1, "payout_id": payout.payout_id}
    await db.write(WORKER, "bank", confirm_payout, ConfirmPayout(**key, bank_ref="B-1", on=date(2018, 6, 2)))
    back = ReturnPayout(**key, bank_ref="B-2", on=date(2018, 6, 6), reason="account closed")
    assert (await db.write(WORKER, "bank", return_payout, back)).state == "returned"
    async with db.read(WORKER) as tx:
        [owed] = await alarms.list_owed(tx, limit=9)
    [reason] = owed.reasons
    assert (reason.why, reason.payout_ids, owed.owed_minor) == ("returned", [payout.payout_id], NET_OF_120)
    again = await billed(db, JUNE)
    async with db.read(WORKER) as tx:
        [paid] = await store.list_payouts(tx, run_id=again.run.run_id)
        assert await alarms.list_owed(tx, limit=9) == []
    assert paid.amount_minor == NET_OF_120
    await check_books(db)


async def test_pain_7_a_payout_is_never_more_than_the_merchant_still_has(db: Database) -> None:
    """A refund after the period's end, before its payouts: the payout is what is left, the alarm is silent."""
    await db.write(WORKER, MAKER, prepare, [order(1, 1, MAY_10), order(1, 2, MAY_20)])
    await db.write(WORKER, MAKER, add_account, 1)
    await settle_through(db, MAKER, MAY.last_on)
    await db.write(WORKER, MAKER, refund_order, RefundOrder(merchant_id=1, order_id=2, reason="late"))  # in September
    run_id = (await billed(db)).run.run_id
    async with db.read(WORKER) as tx:
        [payout] = await store.list_payouts(tx, run_id=run_id)
        assert await alarms.list_owed(tx, limit=9) == []
    assert payout.amount_minor == NET_OF_120
    assert await payable(db, 1) == {}
    await check_books(db)


async def test_pain_7_money_that_is_owed_without_a_payout_raises_an_alarm(db: Database) -> None:
    """Held for want of an account: nobody takes it for paid, and the bank cannot have confirmed it."""
    await db.write(WORKER, MAKER, prepare, [order(1, 1, MAY_10)])
    await settle_through(db, MAKER, MAY.last_on)
    run_id = (await billed(db)).run.run_id
    async with db.read(WORKER) as tx:
        [payout] = await store.list_payouts(tx, run_id=run_id)
        [owed] = await alarms.list_owed(tx, limit=9)
    assert (owed.reasons[0].why, owed.owed_minor, payout.held) == ("held", NET_OF_120, "no bank account")
    cmd = ConfirmPayout(merchant_id=1, payout_id=payout.payout_id, bank_ref="B-1", on=date(2018, 6, 2))
    with pytest.raises(Conflict, match="held"):
        await db.write(WORKER, "bank", confirm_payout, cmd)


async def test_pain_13_every_gate_says_what_is_missing_and_a_waiver_says_why(db: Database) -> None:
    await db.write(WORKER, "test", add_market, [1])
    m = (await db.write(WORKER, "ops", onboard_merchant, OnboardMerchant(name="Newcomer"))).merchant_id
    async with db.read(WORKER) as tx:
        found = await read_checklist(tx, m)
    assert {item.kind for item in found.items} == {"computed", "attested", "verified"}
    missing = {item.key for item in found.items if item.missing}
    assert missing == {item.key for item in found.items} - {"courses"}, "no course is required here"
    with pytest.raises(NotReady, match=r"legal_name_and_address: .*listing: a listing that is not hidden") as refused:
        await db.write(WORKER, "ops", go_live, m)
    assert set(refused.value.extra["needs"]) == missing
    for key in missing:
        await db.write(WORKER, "ops", tick, m, key, Act.WAIVE, reason=f"pilot: {key}")
    await db.write(WORKER, "ops", go_live, m)
    async with db.read(WORKER) as tx:
        waived = await read_checklist(tx, m)
    assert {(item.state, item.reason) for item in waived.items if item.key in missing} == {
        ("waived", f"pilot: {key}") for key in missing
    }


async def test_pain_13_with_the_switch_on_nobody_has_to_let_a_complete_merchant_in(db: Database) -> None:
    await db.write(WORKER, "test", add_market, [1])
    await db.write(WORKER, "admin", policies.switch, "auto_approve_merchants", on=True)
    m = (await db.write(WORKER, "ops", onboard_merchant, OnboardMerchant(name="Newcomer"))).merchant_id
    await db.write(WORKER, OWNER, list_goods, m, Goods(sku="A-1", title="Lamp", price_minor=900))
    for key in ("legal_name_and_address", "terms", "identity_document"):
        await db.write(WORKER, OWNER, tick, m, key, Act.ATTEST)
    await db.write(WORKER, "ops", tick, m, "identity_document", Act.VERIFY)
    account = await propose(db, m)
    async with db.read(WORKER) as tx:
        assert (await get_merchant(tx, m)).state == "onboarding"
    await db.write(WORKER, CLERK, verify_by_document, m, account.account_id, "bank letter")
    async with db.read(WORKER) as tx:
        assert (await get_merchant(tx, m)).state == "live"
        told = await tx.scalar("SELECT detail ->> 'by_policy' FROM core.audit WHERE action = 'merchant live'")
    assert told == "true"
