"""Live orders of the demonstration, one for each thing that happens to orders: placed, paid and moved as real ones are.

Each story is a buyer with one purchase. It is placed in one commit, paid through the processor, and then lived in one
commit; whatever of that has happened is not done again.
"""

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import msgspec

from billing.ledger import store as ledger
from billing.payments.store import ensure_processor
from demand.amendments.model import Add, Changes, TakeOff
from demand.carts import store as carts
from demand.carts.model import CartLine
from demand.fulfilment.model import ReturnMove
from demand.fulfilment.units import LineUnits
from demand.lifecycle import Party
from demand.model import Order, OrderState
from demand.store import get_order
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.idempotency import Ticket
from marketplace.flows.demo.demo_market import CURRENCY, DemoMarket
from marketplace.flows.demo.demo_market_goods import stock_shelves
from marketplace.flows.demo.demo_market_names import PEOPLE
from marketplace.flows.orders.amend_order import DecideAmendment, ProposeAmendment, accept_amendment, propose_amendment
from marketplace.flows.orders.cancel_order import CancelOrder, cancel_order
from marketplace.flows.orders.fulfil_order import DeliverShipment, ShipOrder, accept_order, deliver_shipment, ship_order
from marketplace.flows.orders.hold_order import Act
from marketplace.flows.orders.place_order import place_order
from marketplace.flows.orders.placement import PlaceOrder
from marketplace.flows.orders.price_amendment import By
from marketplace.flows.orders.quote_cart import quote_cart
from marketplace.flows.payments.apply_payment_events import ACTOR as TELLER
from marketplace.flows.payments.apply_payment_events import apply_events, receive_event
from marketplace.flows.payments.send_payment_commands import send_commands
from marketplace.flows.refunds.refund_order import RefundOrder, refund_order
from marketplace.flows.refunds.return_order import AskReturn, DecideReturn, ReceiveReturn, ask_return, decide_return
from marketplace.flows.refunds.return_order import receive_return as take_back
from marketplace.processors.model import Processor

Bar = Callable[[int, int], None]
Acts = Callable[[Tx, Sequence[Order]], Awaitable[None]]
"""What happens to the paid orders of a purchase; it leaves none of them merely paid."""


class Outside(Processor, Protocol):
    """A processor whose events are fetched: number, id and body of the oldest, until it is noted as taken."""

    def next_event(self) -> tuple[int, str, bytes] | None: ...

    def note_taken(self, event_no: int) -> None: ...


class Story(msgspec.Struct, frozen=True):
    """lines: (which merchant, which of its listings, units). method: the token that says how the payment goes."""

    lines: tuple[tuple[int, int, int], ...]
    acts: Acts | None = None
    method: str = "tok_ok"


async def live_orders(
    db: Database, actor: str, market: DemoMarket, outside: Mapping[str, Outside], seller: int, show: Bar
) -> int:
    """Fill the shelves, then let every story happen, most of them to the merchant `seller`; returns how many."""
    await db.write(WORKER, actor, stock_shelves, market)
    [(name, processor)] = outside.items()
    await db.write(WORKER, actor, ensure_processor, name)
    shelves = await _shelves(db, market, seller)
    placed = []
    for number, story in enumerate(STORIES, start=1):
        placed.append(await db.write(WORKER, actor, _place, number, story, shelves, name, citus=db.citus))
        show(number, 2 * len(STORIES))
    await _hear(db, name, processor)
    for number, (buyer_id, story) in enumerate(zip(placed, STORIES, strict=True), start=1):
        if story.acts is not None:
            await db.write(WORKER, actor, _live, buyer_id, story.acts)
        show(len(STORIES) + number, 2 * len(STORIES))
    await _hear(db, name, processor)
    return len(STORIES)


async def _shelves(db: Database, market: DemoMarket, seller: int) -> list[list[int]]:
    """For the seller and two more merchants: its id, and the products that it lists."""
    async with db.read(WORKER) as tx:
        others = await tx.rows(
            "SELECT merchant_id FROM supply.merchant_ref WHERE merchant_ref = ANY(CAST(:refs AS text[]))"
            " AND merchant_id <> :seller ORDER BY merchant_ref LIMIT 2",
            refs=[shop.merchant_ref for shop in market.shops[:3]],
            seller=seller,
        )
        shelves = []
        for merchant_id in (seller, *(row.merchant_id for row in others)):
            rows = await tx.rows(
                "SELECT product_id FROM supply.offer WHERE merchant_id = :merchant AND state = 'listed'"
                " ORDER BY product_id LIMIT 6",
                merchant=merchant_id,
            )
            shelves.append([merchant_id, *(row.product_id for row in rows)])
    return shelves


async def _place(
    tx: Tx, number: int, story: Story, shelves: Sequence[Sequence[int]], processor: str, *, citus: bool
) -> int:
    """A buyer, and its cart placed; the buyer's id. A buyer that is known has placed it already."""
    ref = f"live-{number:02d}"
    known = await carts.list_buyers(tx, limit=1, ref=ref)
    if known:
        return known[0].buyer_id
    buyer = await carts.insert_buyer(tx, ref=ref, name=PEOPLE[number - 1], city="", region="")
    lines = [
        CartLine(merchant_id=shelves[shop][0], product_id=shelves[shop][1 + product], quantity=units)
        for shop, product, units in story.lines
    ]
    cart = await carts.insert_cart(tx, buyer.buyer_id, CURRENCY, lines)
    cmd = PlaceOrder(
        buyer_id=buyer.buyer_id,
        cart_id=cart.cart_id,
        quote=(await quote_cart(tx, cart)).quote,
        method=story.method,
        processor=processor,
    )
    ticket = Ticket(tx.actor, f"demonstration-{cart.cart_id}", hashlib.sha256(ref.encode()).digest(), 201)
    await place_order(tx, ticket, cmd, citus=citus)
    return buyer.buyer_id


async def _hear(db: Database, name: str, processor: Outside) -> None:
    """Tell the processor what was decided and take in what it says, until neither has anything to say."""
    async with db.read(WORKER) as tx:
        processor_id = await tx.scalar("SELECT processor_id FROM billing.processor WHERE name = :name", name=name)
    news = True
    while news:
        news = await send_commands(db, {name: processor}) > 0
        while (event := processor.next_event()) is not None:
            event_no, event_ref, body = event
            await db.write(WORKER, TELLER, receive_event, processor_id, event_ref, body)
            processor.note_taken(event_no)
            news = True
        await apply_events(db)


async def _live(tx: Tx, buyer_id: int, acts: Acts) -> None:
    """What happens to a buyer's orders, once they are paid and nothing has happened to them."""
    rows = await tx.rows(
        "SELECT merchant_id, order_id FROM demand.merchant_order WHERE buyer_id = :buyer ORDER BY merchant_id",
        buyer=buyer_id,
    )
    for row in rows:
        await ledger.lock_books(tx, row.merchant_id)
    orders = [(await get_order(tx, row.merchant_id, row.order_id)).order for row in rows]
    if all(order.state is OrderState.PAID for order in orders):
        await acts(tx, orders)


A = TypeVar("A", bound=Act)


def _act(kind: type[A], order: Order, party: Party = Party.MERCHANT, **more: Any) -> A:
    return kind(merchant_id=order.merchant_id, order_id=order.order_id, party=party, **more)


async def _accept(tx: Tx, orders: Sequence[Order]) -> None:
    for order in orders:
        await accept_order(tx, _act(Act, order))


async def _ship(tx: Tx, order: Order, *lines: LineUnits) -> int:
    cmd = _act(ShipOrder, order, lines=lines or None, carrier="Parcel Post", tracking=f"PP{order.order_id}")
    return (await ship_order(tx, cmd)).shipment.shipment_id


async def _arrive(tx: Tx, order: Order, shipment_id: int) -> None:
    await deliver_shipment(tx, _act(DeliverShipment, order, Party.BUYER, shipment_id=shipment_id))


async def _deliver(tx: Tx, orders: Sequence[Order]) -> None:
    await _accept(tx, orders)
    for order in orders:
        await _arrive(tx, order, await _ship(tx, order))


async def _ship_a_part(tx: Tx, orders: Sequence[Order]) -> None:
    await _accept(tx, orders)
    await _ship(tx, orders[0], LineUnits(line_no=1, quantity=1))


async def _deliver_a_part(tx: Tx, orders: Sequence[Order]) -> None:
    await _accept(tx, orders)
    await _arrive(tx, orders[0], await _ship(tx, orders[0], LineUnits(line_no=1, quantity=1)))
    await _ship(tx, orders[0])


async def _run_out(tx: Tx, orders: Sequence[Order]) -> None:
    await cancel_order(tx, _act(CancelOrder, orders[0], reason="out_of_stock"))


async def _cancel_one_of_two(tx: Tx, orders: Sequence[Order]) -> None:
    await cancel_order(tx, _act(CancelOrder, orders[0], Party.BUYER))
    await _accept(tx, orders[1:])


async def _send_back(tx: Tx, orders: Sequence[Order]) -> None:
    await _deliver(tx, orders)
    order = orders[0]
    asked = await ask_return(tx, _act(AskReturn, order, Party.BUYER, reason="changed_mind", note="It is too large."))
    decided = _act(DecideReturn, order, return_id=asked.return_id, move=ReturnMove.APPROVE)
    await decide_return(tx, decided)
    await take_back(tx, _act(ReceiveReturn, order, return_id=asked.return_id, restock=True))


async def _take_off(tx: Tx, orders: Sequence[Order]) -> None:
    await _accept(tx, orders)
    await _amend(tx, orders[0], Changes(take_off=(TakeOff(line_no=1, quantity=1),)), "One is sold out.")


async def _add(tx: Tx, orders: Sequence[Order]) -> None:
    await _accept(tx, orders)
    lines = (await get_order(tx, orders[0].merchant_id, orders[0].order_id)).lines
    assert lines[0].product_id is not None
    await _amend(tx, orders[0], Changes(add=(Add(product_id=lines[0].product_id, quantity=1),)), "One more, please.")


async def _amend(tx: Tx, order: Order, changes: Changes, reason: str) -> None:
    """The merchant proposes, the buyer accepts."""
    version = (await get_order(tx, order.merchant_id, order.order_id)).order.version
    key: dict[str, Any] = {"merchant_id": order.merchant_id, "order_id": order.order_id, "base_version": version}
    merchant, buyer = By(party=Party.MERCHANT), By(party=Party.BUYER, buyer_id=order.buyer_id)
    proposed = await propose_amendment(tx, ProposeAmendment(**key, by=merchant, changes=changes, reason=reason))
    await accept_amendment(tx, DecideAmendment(**key, by=buyer, amendment_id=proposed.amendment_id))


async def _make_good(tx: Tx, orders: Sequence[Order]) -> None:
    await _deliver(tx, orders)
    order = orders[0]
    cmd = RefundOrder(
        merchant_id=order.merchant_id,
        order_id=order.order_id,
        reason="damaged",
        goodwill_minor=max(order.goods_minor // 4, 1),
        initiator=Party.MERCHANT,
    )
    await refund_order(tx, cmd)


STORIES = (
    Story(((0, 0, 1),), method="tok_decline"),
    Story(((0, 1, 2),)),
    Story(((0, 2, 1),), _accept),
    Story(((0, 0, 2), (0, 3, 1)), _ship_a_part),
    Story(((0, 1, 2), (0, 4, 1)), _deliver_a_part),
    Story(((0, 2, 1),), _deliver),
    Story(((0, 3, 1),), _run_out),
    Story(((0, 4, 1), (1, 0, 1)), _cancel_one_of_two),
    Story(((0, 0, 1),), _send_back),
    Story(((0, 1, 3),), _take_off),
    Story(((0, 2, 1), (2, 1, 1)), _accept, method="tok_dispute"),
    Story(((0, 3, 2),), _make_good),
    Story(((1, 1, 1),), _add),
)
