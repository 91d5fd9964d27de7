"""Insertion orders in the small market that advertises: how one comes about, and what people do with what it shows."""

from datetime import datetime, timedelta
from typing import Any

import msgspec

from billing.ads.lifecycle import AdParty
from billing.ads.model import Placement, Pricing
from billing.ads.orders import store
from billing.ads.orders.lifecycle import OrderMove
from billing.ads.orders.model import AdOrder, Bill, OrderLine
from billing.ads.tokens import Ticket, sign
from billing.charges.model import PaysBy
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.ads.book_slots import begin_slots
from marketplace.flows.ads.deliver_ad_orders import deliver_ad_orders
from marketplace.flows.ads.plan_campaign import NewPlacement, add_placement, end_campaigns
from marketplace.flows.ads.rate_ads import rate_ended
from marketplace.flows.ads.sell_ads import AcceptOrder, OpenOrder, WantedLine, accept_order, move_order, open_order
from tests.ads.market import HOUR, LAMP, MERCHANT, add_ad_market, keys_of, line, send

SELLER, CHECKER, OWNER = "sam", "olga", "mia"
"""Who sells, who approves, and whose shop it is."""


async def add_places(tx: Tx) -> dict[Pricing, Placement]:
    """The market with a place of each kind: clicks at 0.20, a thousand impressions at 5.00, hours at 3.00."""
    await add_ad_market(tx)
    return {
        pricing: await add_placement(tx, NewPlacement(name=pricing.value, pricing=pricing, currency="EUR", **terms))
        for pricing, terms in _PLACES.items()
    }


_PLACES: dict[Pricing, dict[str, int]] = {
    Pricing.CLICK: {"positions": 2, "reserve_minor": 5, "list_price_minor": 20},
    Pricing.THOUSAND: {"positions": 2, "reserve_minor": 5, "list_price_minor": 500},
    Pricing.SLOT: {"slot_minutes": 60, "slot_price_minor": 300},
}


async def places(db: Database) -> dict[Pricing, Placement]:
    return await db.write(WORKER, "test", add_places)


def wanted(place: Placement, from_at: datetime, days: int = 10, **changes: Any) -> WantedLine:
    """A line of 100 clicks at 0.15 for whoever looks for lamps."""
    plain = WantedLine(
        placement_id=place.placement_id,
        product_id=LAMP,
        categories=() if place.pricing is Pricing.SLOT else ("lamps",),
        words=(),
        from_at=from_at,
        to_at=from_at + timedelta(days=days),
        quantity=100,
        unit_price_minor=15,
    )
    return msgspec.structs.replace(plain, **changes)


def opening(now: datetime, *lines: WantedLine, **changes: Any) -> OpenOrder:
    plain = OpenOrder(
        merchant_id=MERCHANT,
        name="Autumn",
        owner=SELLER,
        currency="EUR",
        expected_minor=2_000,
        expected_on=None,
        valid_until=(now + timedelta(days=5)).date(),
        due_days=14,
        lines=lines,
    )
    return msgspec.structs.replace(plain, **changes)


async def opened(db: Database, *lines: WantedLine, **changes: Any) -> AdOrder:
    return await db.write(WORKER, SELLER, open_order, opening(db.clock.now(), *lines, **changes))


async def move(db: Database, order: AdOrder, what: OrderMove, actor: str = SELLER, reason: str = "because") -> AdOrder:
    return await db.write(WORKER, actor, move_order, order.merchant_id, order.order_id, what, reason)


async def quoted(db: Database, *lines: WantedLine, **changes: Any) -> AdOrder:
    """Approved by a second person."""
    order = await opened(db, *lines, **changes)
    await move(db, order, OrderMove.SUBMIT)
    return await move(db, order, OrderMove.APPROVE, CHECKER)


async def accept(db: Database, order: AdOrder, pays_by: PaysBy = PaysBy.NETTING) -> AdOrder:
    cmd = AcceptOrder(
        merchant_id=order.merchant_id, order_id=order.order_id, version=order.version, pays_by=pays_by, evidence=""
    )
    return await db.write(WORKER, OWNER, accept_order, cmd, AdParty.MERCHANT)


async def ordered(db: Database, *lines: WantedLine, **changes: Any) -> AdOrder:
    """Accepted by its merchant."""
    return await accept(db, await quoted(db, *lines, **changes))


async def order_of(db: Database, order: AdOrder) -> AdOrder:
    async with db.read(WORKER) as tx:
        return await store.get_order(tx, order.merchant_id, order.order_id)


async def lines_of(db: Database, order: AdOrder) -> list[OrderLine]:
    async with db.read(WORKER) as tx:
        return await store.lines_of(tx, order.merchant_id, order.order_id)


async def bills_of(db: Database, order: AdOrder) -> list[Bill]:
    async with db.read(WORKER) as tx:
        return await store.list_bills(tx, order.merchant_id, order.order_id)


async def tick(db: Database, clock: FixedClock, at: datetime) -> None:
    """All that a worker does with ads at a moment."""
    clock.move_to(at)
    await begin_slots(db, "worker")
    await rate_ended(db, "worker")
    await end_campaigns(db, "worker")
    await deliver_ad_orders(db, "worker")


async def click(
    db: Database,
    campaign_id: int,
    place: Placement,
    number: int,
    at: datetime,
    *,
    kind: str = "click",
    name: str = "c",
    merchant_id: int = MERCHANT,
) -> None:
    """So many people click, or see, what an order shows, all of them at a moment; it costs nothing by the click."""
    shown = Ticket(
        key_id=1,
        merchant_id=merchant_id,
        campaign_id=campaign_id,
        placement_id=place.placement_id,
        position=1,
        impression_milli=0,
        click_milli=0,
        issued_s=int((at - HOUR).timestamp()),
    )
    token = sign(shown, (await keys_of(db))[1])
    await send(db, [line(token, f"{name}{n}", at, kind=kind) for n in range(number)])
