"""Take hold of a merchant's order to act on it: the books first where money or settlement follow, then the order."""

from collections.abc import Callable

import msgspec

from billing.ledger import store as ledger
from demand.lifecycle import Party
from demand.model import Moved, Order, OrderEvent
from demand.store import lock_order
from marketplace.core.db import Tx


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """Who acts on which order. check_version: raises when the order has moved on from what the caller has seen."""

    merchant_id: int
    order_id: int
    party: Party
    check_version: Callable[[int], None] | None = None


async def hold_order(tx: Tx, cmd: Act, *, with_books: bool = True) -> Order:
    """The order, held until the transaction ends. Raises NotFound, and what `check_version` raises.

    with_books: whatever ends a delivery, gives money back or changes what is due holds the merchant's books too.
    """
    if with_books:
        await ledger.lock_books(tx, cmd.merchant_id)
    order = await lock_order(tx, cmd.merchant_id, cmd.order_id)
    if cmd.check_version is not None:
        cmd.check_version(order.version)
    return order


def told_again(order: Order, event: OrderEvent) -> Moved:
    """What a move of the past was answered with, for whoever asks for it a second time."""
    return Moved(
        merchant_id=order.merchant_id,
        order_id=order.order_id,
        order_ref=order.order_ref,
        move=event.move,
        party=event.party,
        state=event.state,
        version=event.event_no,
        detail=event.detail,
    )
