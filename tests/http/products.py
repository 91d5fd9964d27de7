"""What the platform sells to the two merchants: something of every kind and in every state that a request may need."""

from datetime import UTC, date, datetime
from typing import Any

from billing.charges import store as charges
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.products import bill_services as services
from marketplace.flows.products import order_work as working
from marketplace.flows.products import sell_hardware as selling
from marketplace.flows.products import stock_hardware as stocking
from marketplace.flows.products.change_subscription import CancelSubscription, leave
from marketplace.flows.products.dun_merchants import ProposeWriteOff, dun_merchants, propose_write_off
from marketplace.flows.products.note_usage import NoteUsage, note_usage
from marketplace.flows.products.run_charges import recognise_revenue
from marketplace.flows.products.run_subscriptions import run_subscriptions
from marketplace.flows.products.sell_own import SellOwn, sell_own
from marketplace.flows.products.subscribe_merchant import OfferPlan, Subscribe, offer_plan, subscribe
from supply.products.hardware import store as hardware
from supply.products.hardware.model import HardwareLine, WorkKind
from supply.products.model import Means
from supply.products.subscriptions.lifecycle import By
from supply.products.subscriptions.model import Interval, Per, Plan, Refunds
from tests.http.market import ALPHA, BETA

JULY_1 = date(2018, 7, 1)
IN_STOCK = 4
"""Units in stock for each merchant's orders that are not shipped yet, of two units that were."""


def serial(merchant_id: int, number: int) -> str:
    return f"S-{merchant_id}-{number}"


async def add_products(db: Database) -> None:
    """Sold in July, and looked after by the clock until now."""
    assert isinstance(db.clock, FixedClock)
    now = db.clock.now()
    db.clock.move_to(datetime(2018, 7, 1, 8, tzinfo=UTC))
    await db.write(WORKER, "test", _sell)
    db.clock.move_to(now)
    await run_subscriptions(db, "worker")
    await services.bill_services(db, "worker")
    await dun_merchants(db, "worker")
    await recognise_revenue(db, "worker")
    await db.write(WORKER, "test", _ask_for_it)


OWN = [f"O-{number}" for number in range(6)]
"""Units that the platform sells itself; the first two are sold."""


async def _sell_own(tx: Tx, item_id: int, provider_id: int) -> None:
    bought = stocking.ReceiveUnits(item_id=item_id, provider_id=provider_id, serials=tuple(OWN), cost_minor=5_500)
    await stocking.receive_units(tx, bought)
    for own in OWN[:2]:
        sale = SellOwn(serials=(own,), buyer="Ada", net_minor=8_000, vat_ppm=200_000, processor="card", receipt_ref=own)
        await sell_own(tx, sale)


async def _sell(tx: Tx) -> None:
    plans = [await _plan(tx, code, days) for code, days in (("till", 0), ("till_plus", 0), ("stock", 10))]
    add = stocking.AddItem(sku="till", name="Till", currency="EUR", price_minor=25_000, warranty_months=24)
    item = await stocking.add_item(tx, add)
    provider = await hardware.add_provider(tx, "Tillmaker")
    await _sell_own(tx, item.item_id, provider.provider_id)
    for merchant_id in (ALPHA, BETA):
        await _subscribe(tx, merchant_id, plans)
        serials = tuple(serial(merchant_id, number) for number in range(2 + IN_STOCK))
        bought = stocking.ReceiveUnits(
            item_id=item.item_id, provider_id=provider.provider_id, serials=serials, cost_minor=14_000
        )
        await stocking.receive_units(tx, bought)
        for number in range(2):
            order_id = await _order(tx, merchant_id, item.item_id)
            await selling.ship_hardware(
                tx,
                selling.ShipHardware(merchant_id=merchant_id, order_id=order_id, serials=serials[number : number + 1]),
            )
        terms: dict[str, Any] = {"name": "Growth", "currency": "EUR", "share_ppm": 100_000, "vat_ppm": 0}
        share = services.ProposeShare(
            merchant_id=merchant_id, **terms, due_days=14, baseline_from=date(2018, 4, 1), baseline_to=JULY_1,
            starts_on=JULY_1, ends_on=None,
        )  # fmt: skip
        made = await services.propose_share(tx, share)
        await services.accept_agreement(tx, merchant_id, made.agreement_id, Means.TRANSFER)


async def _plan(tx: Tx, code: str, trial_days: int) -> Plan:
    cmd = OfferPlan(
        code=code, name=code, currency="EUR", price_minor=3_000, per=Per.SEAT, every=Interval.YEAR, vat_ppm=200_000,
        trial_days=trial_days, due_days=180, refunds=Refunds.UNUSED, follow_up_day=trial_days // 2, follow_up_uses=1,
        owner="olga",
    )  # fmt: skip
    return await offer_plan(tx, cmd)


async def _subscribe(tx: Tx, merchant_id: int, plans: list[Plan]) -> None:
    for plan in plans:
        pays_by = None if plan.trial_days else Means.TRANSFER
        cmd = Subscribe(merchant_id=merchant_id, plan_id=plan.plan_id, seats=2, pays_by=pays_by)
        held = await subscribe(tx, cmd)
        usage = NoteUsage(
            merchant_id=merchant_id, subscription_id=held.subscription_id, used_on=JULY_1, uses=merchant_id
        )
        await note_usage(tx, usage)
        if plan.code == "till_plus":
            gone = CancelSubscription(
                merchant_id=merchant_id, subscription_id=held.subscription_id, reason="no", at_period_end=True
            )
            await leave(tx, gone, By.MERCHANT)


async def _order(tx: Tx, merchant_id: int, item_id: int, *, accepted: bool = True) -> int:
    line = HardwareLine(item_id=item_id, quantity=1, price_minor=25_000)
    quote = selling.QuoteHardware(
        merchant_id=merchant_id, order_id=None, currency="EUR", lines=(line,), vat_ppm=200_000, deposit_ppm=0,
        expires_on=date(2018, 12, 1),
    )  # fmt: skip
    order = await selling.quote_hardware(tx, quote)
    if accepted:
        yes = selling.AcceptQuote(merchant_id=merchant_id, order_id=order.order_id, quote_no=1, pays_by=Means.TRANSFER)
        await selling.accept_quote(tx, yes)
    return order.order_id


async def _ask_for_it(tx: Tx) -> None:
    """What waits for somebody today: write-offs, quotes, orders to ship, work, agreements to accept."""
    [item] = await hardware.list_items(tx, limit=9)
    for merchant_id in (ALPHA, BETA):
        for accepted in (False, False, False, True, True, True):
            await _order(tx, merchant_id, item.item_id, accepted=accepted)
        late = [charge for charge in await charges.open_charges(tx, merchant_id) if charge.source == "hardware"]
        cmd = ProposeWriteOff(merchant_id=merchant_id, charge_id=late[0].charge_id, reason="closed down")
        await propose_write_off(tx, cmd)
        for appointed in (False, False, True, True):
            plan = working.PlanWork(
                merchant_id=merchant_id, kind=WorkKind.MAINTAIN, serials=(serial(merchant_id, 0),), provider_id=None,
                technician="Tom", currency="EUR", price_minor=500, vat_ppm=0, cost_minor=0, pays_by=Means.TRANSFER,
            )  # fmt: skip
            work = await working.plan_work(tx, plan)
            if appointed:
                at = datetime(2018, 9, 4, 9, tzinfo=UTC)
                await working.appoint_work(
                    tx, working.Appoint(merchant_id=merchant_id, work_order_id=work.work_order_id, at=at)
                )
        for _ in range(3):
            terms: dict[str, Any] = {"name": "Care", "currency": "EUR", "retainer_minor": 5_000, "vat_ppm": 0}
            retainer = services.ProposeRetainer(
                merchant_id=merchant_id, **terms, due_days=14, starts_on=date(2018, 9, 1), ends_on=None
            )
            await services.propose_retainer(tx, retainer)
