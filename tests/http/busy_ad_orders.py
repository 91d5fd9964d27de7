"""Insertion orders of both merchants: some in every state, one of each delivered short of what was sold."""

from datetime import UTC, date, datetime, timedelta

from billing.ads import store as ad_keys
from billing.ads.accounts.store import add_terms
from billing.ads.campaigns import store as campaigns
from billing.ads.events import read_lines
from billing.ads.lifecycle import AdParty
from billing.ads.model import Placement, Pricing, Terms
from billing.ads.orders import store
from billing.ads.orders.lifecycle import OrderMove
from billing.ads.orders.model import AdOrder
from billing.ads.tokens import Ticket, sign
from billing.charges.model import PaysBy
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.ads.deliver_ad_orders import deliver_ad_orders
from marketplace.flows.ads.make_good_ads import MakeGood, propose_make_good
from marketplace.flows.ads.plan_campaign import end_campaigns
from marketplace.flows.ads.sell_ads import AcceptOrder, OpenOrder, WantedLine, accept_order, move_order, open_order
from marketplace.flows.ads.take_ad_events import take_events
from tests.ads.market import HOUR, line, ndjson
from tests.builders import ENTITY
from tests.http.market import ALPHA, BETA

DEALS = 601
"""A placement of which people sell clicks."""
BEGUN = datetime(2018, 7, 10, tzinfo=UTC)


async def add_ad_orders(db: Database) -> None:
    """One order of each merchant is sold and delivered in July; the others wait for somebody now."""
    assert isinstance(db.clock, FixedClock)
    now = db.clock.now()
    db.clock.move_to(BEGUN - timedelta(days=5))
    short = await db.write(WORKER, "test", _sell_short)
    db.clock.move_to(BEGUN + HOUR)
    for order in short:
        await _click(db, order)
    db.clock.move_to(now)
    await end_campaigns(db, "worker")
    await deliver_ad_orders(db, "worker")
    await db.write(WORKER, "test", _sell_more, short)


async def _sell_short(tx: Tx) -> list[AdOrder]:
    await ad_keys.add_first_key(tx)
    await add_terms(tx, Terms(entity_id=ENTITY, currency="EUR", valid_from=date(2017, 1, 1), vat_ppm=200_000))
    deals = Placement(
        placement_id=DEALS, name="deals", pricing=Pricing.CLICK, currency="EUR", positions=3, reserve_minor=5,
        slot_minutes=0, slot_price_minor=0, list_price_minor=20, open=True, version=1,
    )  # fmt: skip
    await campaigns.add_placement(tx, deals)
    return [await _brought_to(tx, merchant_id, "ordered", BEGUN) for merchant_id in (ALPHA, BETA)]


async def _sell_more(tx: Tx, short: list[AdOrder]) -> None:
    for order in short:
        for _ in range(6):
            again = MakeGood(
                merchant_id=order.merchant_id, order_id=order.order_id, line_no=1,
                wanted=_wanted(order.merchant_id, tx.now + timedelta(days=9), 5),
            )  # fmt: skip
            await propose_make_good(tx, again)
        for state in ("opportunity", "in_review", "quoted", "ordered"):
            for _ in range(3):
                await _brought_to(tx, order.merchant_id, state, tx.now + timedelta(days=9))


def _wanted(merchant_id: int, from_at: datetime, quantity: int) -> WantedLine:
    return WantedLine(
        placement_id=DEALS, product_id=merchant_id, categories=(), words=("lamp",), from_at=from_at,
        to_at=from_at + timedelta(days=5), quantity=quantity, unit_price_minor=15,
    )  # fmt: skip


async def _brought_to(tx: Tx, merchant_id: int, state: str, from_at: datetime) -> AdOrder:
    """An order of 500 clicks in a state on its way to being ordered."""
    opening = OpenOrder(
        merchant_id=merchant_id, name="Lamps", owner="sam", currency="EUR", expected_minor=7_000, expected_on=None,
        valid_until=from_at.date(), due_days=14, lines=(_wanted(merchant_id, from_at, 500),),
    )  # fmt: skip
    order = await open_order(tx, opening)
    for move, before in ((OrderMove.SUBMIT, "opportunity"), (OrderMove.APPROVE, "in_review")):
        if state == before:
            return order
        order = await move_order(tx, merchant_id, order.order_id, move, "")
    if state == "quoted":
        return order
    cmd = AcceptOrder(
        merchant_id=merchant_id,
        order_id=order.order_id,
        version=order.version,
        pays_by=PaysBy.TRANSFER,
        evidence="mail",
    )
    return await accept_order(tx, cmd, AdParty.PLATFORM)


async def _click(db: Database, order: AdOrder) -> None:
    async with db.read(WORKER) as tx:
        keys = await ad_keys.read_keys(tx)
        [sold] = await store.lines_of(tx, order.merchant_id, order.order_id)
    assert sold.campaign_id is not None
    ticket = Ticket(1, order.merchant_id, sold.campaign_id, DEALS, 1, 0, 0, int(BEGUN.timestamp()))
    lines = [line(sign(ticket, keys[1]), f"deal-{order.merchant_id}-{n}", BEGUN + HOUR) for n in range(40)]
    await db.write(WORKER, "the shop", take_events, read_lines(ndjson(lines), keys, db.clock.now()))
