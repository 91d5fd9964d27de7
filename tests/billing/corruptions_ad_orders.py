"""What `test_verify` plants to have the proofs of insertion orders fail, and the order it plants it in."""

from datetime import timedelta

from billing.ads.campaigns import store as campaigns
from billing.ads.lifecycle import AdParty
from billing.ads.model import Pricing
from billing.ads.orders import store
from billing.ads.orders.lifecycle import OrderMove
from billing.ads.orders.model import AdOrder
from billing.charges.model import PaysBy
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.ads.credit_clicks import credit_clicks
from marketplace.flows.ads.plan_campaign import NewPlacement, add_placement
from marketplace.flows.ads.sell_ads import AcceptOrder, accept_order, move_order, open_order
from tests.ads.market import HOUR, NOON
from tests.ads.orders import click, opening, wanted

BUYER = 1


async def add_ad_orders(db: Database, maker: str) -> None:
    """Clicks and hours are sold to a merchant and called off: 20 clicks are billed, two of them credited."""
    order = await db.write(WORKER, maker, _sell)
    async with db.read(WORKER) as tx:
        clicks, _ = await store.lines_of(tx, BUYER, order.order_id)
        place = await campaigns.get_placement(tx, clicks.placement_id)
    assert clicks.campaign_id is not None
    await click(db, clicks.campaign_id, place, 20, db.clock.now() - HOUR, name="sold", merchant_id=BUYER)
    await db.write(WORKER, maker, move_order, BUYER, order.order_id, OrderMove.CANCEL, "a test")
    await db.write(WORKER, maker, credit_clicks, BUYER, ["sold1", "sold2"], "a test")


async def _sell(tx: Tx) -> AdOrder:
    deals = NewPlacement(name="deals", pricing=Pricing.CLICK, currency="EUR", positions=1, list_price_minor=20)
    top = NewPlacement(name="top", pricing=Pricing.SLOT, currency="EUR", slot_minutes=60, slot_price_minor=300)
    by_click, by_time = await add_placement(tx, deals), await add_placement(tx, top)
    from_at = NOON + timedelta(days=2)
    lines = [wanted(by_click, from_at), wanted(by_time, from_at, quantity=24, days=1, unit_price_minor=250)]
    order = await open_order(tx, opening(tx.now, *lines, merchant_id=BUYER))
    for move in (OrderMove.SUBMIT, OrderMove.APPROVE):
        order = await move_order(tx, BUYER, order.order_id, move, "")
    cmd = AcceptOrder(
        merchant_id=BUYER, order_id=order.order_id, version=order.version, pays_by=PaysBy.TRANSFER, evidence=""
    )
    return await accept_order(tx, cmd, AdParty.MERCHANT)


CLICKS = "merchant_id = 1 AND pricing = 'click'"

AD_ORDER_CORRUPTIONS: dict[str, tuple[list[str], set[str]]] = {
    "a line billed more than its units": (
        [f"UPDATE billing.ad_order_line SET charged_minor = charged_minor + 1 WHERE {CLICKS}"],
        {"ad-lines-are-charges"},
    ),
    "a bill that nobody has": (
        ["DELETE FROM billing.ad_order_bill WHERE amount_minor < 0"], {"ad-lines-are-charges"},
    ),
    "a charge of another line": (
        ["UPDATE billing.charge SET part = '2.1' WHERE source = 'ad_order'"], {"ad-lines-are-charges"},
    ),
    "a line billed beyond what was sold": (
        [f"UPDATE billing.ad_order_line SET quantity = 17 WHERE {CLICKS}"], {"ad-lines-hold-their-price"},
    ),
    "a make-good of no line": (
        [f"UPDATE billing.ad_order_line SET makes_good_line_no = 9 WHERE {CLICKS}"], {"ad-lines-hold-their-price"},
    ),
    "an order's campaign that bids": (
        ["UPDATE billing.ad_campaign SET guaranteed = false WHERE merchant_id = 1 AND pricing = 'click'"],
        {"ad-lines-are-campaigns"},
    ),
    "an order's slots for the prepaid balance": (
        ["UPDATE billing.ad_booking SET price_minor = 300 WHERE merchant_id = 1"], {"ad-lines-are-campaigns"},
    ),
}  # fmt: skip
