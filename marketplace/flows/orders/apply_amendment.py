"""Carry an accepted amendment out: lines, stock, contracts, refund of the net difference, history; one transaction.

What units taken off were worth pays for what is added first (it is carried, nothing is posted), and only the
difference moves money: a refund here, or a charge that `amend_order` has collected before. At every commit the worth
left in the order's lines is what the ledger holds for them.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import insert

from demand.amendments.model import Amendment, AmendmentState, GivenBack, NewLine, Priced
from demand.amendments.store import move_amendment
from demand.fulfilment.units import undelivered, unshipped
from demand.lifecycle import Move, Party
from demand.model import Order, OrderState
from demand.store import amend_order, get_lines, lock_order
from demand.tables import order_line
from marketplace.core.clock import local_date
from marketplace.core.db import Tx
from marketplace.flows.orders.freeze_contracts import freeze_at_amendment
from marketplace.flows.orders.fulfil_order import end_delivery, is_all_there, start_clock
from marketplace.flows.orders.price_amendment import rest_of
from marketplace.flows.refunds.refund_order import RefundLine, RefundOrder, refund_units
from supply.stock.store import Units

REASON = "amendment"
"""The refund's reason, by which the refund policy says who bears what."""


def units_added(merchant_id: int, priced: Priced) -> list[Units]:
    """What the new lines need of the merchant's stock; a surcharge needs nothing."""
    return [Units(merchant_id, line.product_id, line.quantity) for line in priced.added if line.product_id is not None]


def units_taken_off(merchant_id: int, priced: Priced) -> list[Units]:
    """What the order gives back to the merchant's stock."""
    product_of = {line.line_no: line.product_id for line in priced.lines}
    return [
        Units(merchant_id, product_id, back.quantity)
        for back in priced.given_back
        if back.quantity and (product_id := product_of[back.line_no]) is not None
    ]


async def apply_amendment(tx: Tx, order: Order, held: Amendment, party: Party) -> Amendment:
    """Make a change set so, as it is priced in the amendment; the difference it charges is on pending already.

    The caller holds books, order and amendment, has seen that the lines still bear the change set, and sees to stock.
    """
    priced = held.changes.priced
    await _take_off(tx, order, priced.given_back)
    await _add(tx, order, held, priced.added)
    zone = await tx.scalar("SELECT zone FROM billing.entity WHERE entity_id = :entity", entity=order.entity_id)
    await freeze_at_amendment(tx, order.merchant_id, order.order_id, held.amendment_id, local_date(tx.now, zone))
    refund_id = await _refund_rest(tx, order, priced, party)
    await amend_order(
        tx,
        order,
        party,
        amendment_id=held.amendment_id,
        delta_minor=priced.delta_minor,
        carried_minor=priced.carried_minor,
    )
    await _level_delivery(tx, order, party)
    return await move_amendment(
        tx,
        held,
        AmendmentState.APPLIED,
        carried_goods_minor=sum(back.carried_goods_minor for back in priced.given_back),
        carried_freight_minor=sum(back.carried_freight_minor for back in priced.given_back),
        refund_id=refund_id,
    )


async def _take_off(tx: Tx, order: Order, given_back: Sequence[GivenBack]) -> None:
    """Units that will not come, and the carried part of what they give back."""
    rows = [
        {
            "merchant": order.merchant_id,
            "order": order.order_id,
            "line_no": back.line_no,
            "quantity": back.quantity,
            "goods": back.carried_goods_minor,
            "freight": back.carried_freight_minor,
        }
        for back in given_back
    ]
    if rows:
        await tx.execute(
            """
            UPDATE demand.order_line SET cancelled_quantity = cancelled_quantity + :quantity,
                   refunded_goods_minor = refunded_goods_minor + :goods,
                   refunded_freight_minor = refunded_freight_minor + :freight,
                   carried_goods_minor = carried_goods_minor + :goods,
                   carried_freight_minor = carried_freight_minor + :freight
            WHERE merchant_id = :merchant AND order_id = :order AND line_no = :line_no
            """,
            rows,
        )


async def _add(tx: Tx, order: Order, held: Amendment, added: Sequence[NewLine]) -> None:
    """The new lines. A surcharge on a line of which nothing is left to ship is where that line is."""
    if not added:
        return
    where = {
        line.line_no: (unshipped(line), undelivered(line))
        for line in await get_lines(tx, order.merchant_id, order.order_id)
    }
    rows: list[dict[str, Any]] = []
    for line in added:
        to_ship, to_arrive = where.get(line.surcharge_on or 0, (1, 1))
        rows.append(
            {
                "merchant_id": order.merchant_id,
                "order_id": order.order_id,
                "line_no": line.line_no,
                "product_id": line.product_id,
                "category": line.category,
                "title": line.title,
                "quantity": line.quantity,
                "goods_minor": line.goods_minor,
                "freight_minor": line.freight_minor,
                "shipped_quantity": 0 if to_ship else line.quantity,
                "delivered_quantity": 0 if to_arrive else line.quantity,
                "amendment_id": held.amendment_id,
            }
        )
    await tx.execute(insert(order_line), rows)


async def _refund_rest(tx: Tx, order: Order, priced: Priced, party: Party) -> int | None:
    """Refund what is given back and not carried, as a refund of units: the merchant gives it all, the buyer gets of it
    what the platform has not given before. Returns the refund's id.
    """
    lines = tuple(RefundLine(line.line_no, line.goods_minor, line.freight_minor) for line in rest_of(priced))
    if not lines:
        return None
    cmd = RefundOrder(
        merchant_id=order.merchant_id,
        order_id=order.order_id,
        reason=REASON,
        lines=lines,
        initiator=party,
        of_units=True,
    )
    refund = await refund_units(tx, cmd)
    return None if refund is None else refund.refund_id


async def _level_delivery(tx: Tx, order: Order, party: Party) -> None:
    """The order's clock and state follow its units: what was added still has to be shipped; what was taken off may
    have been the last that was missing, and then the order is delivered and due for settlement.
    """
    if order.state not in {OrderState.FULFILLING, OrderState.PARTLY_DELIVERED}:
        return
    lines = await get_lines(tx, order.merchant_id, order.order_id)
    if is_all_there(lines):
        present = await lock_order(tx, order.merchant_id, order.order_id)
        await end_delivery(tx, present, Move.DELIVER, party)
    else:
        await start_clock(tx, order, lines)
