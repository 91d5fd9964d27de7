"""Take back units of a delivered order: the buyer asks, the merchant decides, refunded once they are back."""

import msgspec

from demand.fulfilment import store as fulfilment
from demand.fulfilment.model import (
    RETURNED_WITHIN,
    Return,
    ReturnMove,
    ReturnState,
    check_may_ask,
    check_return_move,
    spoken_for,
)
from demand.fulfilment.units import LineUnits, check_units, kept, left_by
from demand.lifecycle import Move, Party, check_move
from demand.model import Order, OrderState
from demand.refund_policy import Reason
from demand.refunds import store as refunds
from demand.store import get_lines, lock_order, move_order
from marketplace.core import audit, outbox
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, Invalid
from marketplace.flows.orders.cancel_order import refund_lines, units_of
from marketplace.flows.orders.hold_order import Act, hold_order
from marketplace.flows.refunds.refund_order import Refunded, RefundOrder, refund_units
from supply.stock import store as stock

AT_FAULT = frozenset({Reason.DAMAGED, Reason.WRONG_ITEM, Reason.LATE, Reason.NOT_DELIVERED})
"""Reasons to send something back that are the merchant's doing; whoever approves the return accepts its reason."""


class AskReturn(Act, frozen=True, kw_only=True):
    """Ask to give these units back; None means all that the buyer still has. reason: why, as a code."""

    reason: str
    note: str = ""
    lines: tuple[LineUnits, ...] | None = None


class DecideReturn(Act, frozen=True, kw_only=True):
    """Approve, refuse or cancel a return; whoever refuses says why in the note."""

    return_id: int
    move: ReturnMove
    note: str = ""


class ReceiveReturn(Act, frozen=True, kw_only=True):
    """The units of an approved return are back. restock: they go on the shelf again."""

    return_id: int
    restock: bool = False


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """The return as it ended, what the buyer is owed for it, and what that made of the order."""

    returned: Return
    refund: Refunded | None
    order_state: OrderState
    version: int


class ReturnMoved(msgspec.Struct, frozen=True, kw_only=True):
    """What the world is told of a return: its state, and the order it belongs to."""

    merchant_id: int
    order_id: int
    order_ref: str
    return_id: int
    state: ReturnState
    party: Party


async def ask_return(tx: Tx, cmd: AskReturn) -> Return:
    """Ask for a return of a delivered order, settled or not. Raises NotFound, Forbidden, Conflict, Invalid.

    Units can be asked for once, and no later than `RETURNED_WITHIN` after the delivery.
    """
    check_may_ask(cmd.party)
    order = await hold_order(tx, cmd, with_books=False)
    if order.state not in {OrderState.DELIVERED, OrderState.SETTLED} or order.delivered_at is None:
        raise Conflict(f"state: the order is {order.state}; one that is delivered can be returned", state=order.state)
    if tx.now > order.delivered_at + RETURNED_WITHIN:
        raise Conflict(
            f"the order was delivered on {order.delivered_at:%Y-%m-%d}, more than {RETURNED_WITHIN.days} days ago"
        )
    lines = await get_lines(tx, cmd.merchant_id, cmd.order_id)
    asked = spoken_for(await fulfilment.list_returns(tx, cmd.merchant_id, cmd.order_id))
    left = {line.line_no: kept(line) - asked.get(line.line_no, 0) for line in lines}
    wanted = cmd.lines if cmd.lines is not None else left_by(lines, lambda line: left[line.line_no])
    check_units(wanted, left, "returned")
    found = await fulfilment.add_return(tx, order, cmd.party, wanted, cmd.reason, cmd.note)
    return await _told(tx, order, found, cmd.party)


async def decide_return(tx: Tx, cmd: DecideReturn) -> Return:
    """Approve or refuse what was asked for, or cancel what is not back yet. Raises NotFound, Forbidden, Conflict."""
    if cmd.move is ReturnMove.REFUSE and not cmd.note.strip():
        raise Invalid("note: a refusal says why", pointer="/note")
    order = await hold_order(tx, cmd, with_books=False)
    found = await fulfilment.get_return(tx, cmd.merchant_id, cmd.order_id, cmd.return_id)
    check_return_move(found.state, cmd.move, cmd.party)
    state = _DECIDED[cmd.move]
    decided = {"decided_at": tx.now, "decided_by": tx.actor, "decision_note": cmd.note}
    await fulfilment.change_return(tx, cmd.merchant_id, cmd.return_id, state, **decided)
    found = await fulfilment.get_return(tx, cmd.merchant_id, cmd.order_id, cmd.return_id)
    return await _told(tx, order, found, cmd.party)


async def _refund_reason(tx: Tx, order: Order, found: Return) -> Reason:
    """Why the buyer gets money for what came back: the return's own reason where it is the merchant's doing and the
    order's policy has a row for it, else that it was returned.
    """
    for rule in (await refunds.get_policy(tx, order.refund_policy_id)).rules:
        if rule.reason in AT_FAULT and (rule.reason, rule.initiator) == (found.reason, found.initiator):
            return rule.reason
    return Reason.RETURNED


_DECIDED = {
    ReturnMove.APPROVE: ReturnState.APPROVED,
    ReturnMove.REFUSE: ReturnState.REFUSED,
    ReturnMove.CANCEL: ReturnState.CANCELLED,
}


async def receive_return(tx: Tx, cmd: ReceiveReturn) -> Received:
    """The units are back: the buyer is owed their share of the lines, unless the platform has given it before.

    With its last unit the order is returned. It moves before the refund, which would take an unsettled order of which
    nothing is left for one that came to nothing. Raises NotFound, Forbidden, Conflict.
    """
    order = await hold_order(tx, cmd)
    found = await fulfilment.get_return(tx, cmd.merchant_id, cmd.order_id, cmd.return_id)
    check_return_move(found.state, ReturnMove.RECEIVE, cmd.party)
    check_move(order.state, Move.RETURN, cmd.party)
    lines = {line.line_no: line for line in await get_lines(tx, cmd.merchant_id, cmd.order_id)}
    reason = await _refund_reason(tx, order, found)
    back = await refund_lines(tx, order, lines, found.lines, reason, found.initiator)
    await fulfilment.add_units(tx, order, "returned_quantity", found.lines)
    detail = {"return_id": cmd.return_id, "lines": msgspec.to_builtins(found.lines)}
    everything = sum(map(kept, lines.values())) == sum(units.quantity for units in found.lines)
    move, target = (Move.RETURN, OrderState.RETURNED) if everything else (Move.RETURN_PART, OrderState.DELIVERED)
    await move_order(tx, order, move, cmd.party, target=target, **detail)
    refund = None
    if back:
        refund_cmd = RefundOrder(
            merchant_id=cmd.merchant_id,
            order_id=cmd.order_id,
            reason=reason,
            lines=back,
            initiator=found.initiator,
            of_units=True,
        )
        refund = await refund_units(tx, refund_cmd)
    given_back = refund.refund_id if refund is not None and refund.gross_minor else None
    await fulfilment.change_return(
        tx,
        cmd.merchant_id,
        cmd.return_id,
        ReturnState.RECEIVED if given_back is None else ReturnState.REFUNDED,
        received_at=tx.now,
        restock=cmd.restock,
        refund_id=given_back,
    )
    found = await _told(
        tx, order, await fulfilment.get_return(tx, cmd.merchant_id, cmd.order_id, cmd.return_id), cmd.party
    )
    if cmd.restock:
        await stock.restock(tx, units_of(cmd.merchant_id, lines, found.lines))
    present = await lock_order(tx, cmd.merchant_id, cmd.order_id)
    return Received(returned=found, refund=refund, order_state=present.state, version=present.version)


async def _told(tx: Tx, order: Order, found: Return, party: Party) -> Return:
    """The return, after history and the world have been told of its state."""
    subject = f"order:{order.merchant_id}/{order.order_id}"
    await audit.record(tx, f"return {found.state}", subject, return_id=found.return_id, party=party.value)
    event = ReturnMoved(
        merchant_id=order.merchant_id,
        order_id=order.order_id,
        order_ref=order.order_ref,
        return_id=found.return_id,
        state=found.state,
        party=party,
    )
    await outbox.emit(tx, "demand.return_moved.v1", event, merchant_id=order.merchant_id)
    return found
