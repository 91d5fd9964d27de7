"""Cancel a merchant's order, or units of it that have not left; sibling orders of the purchase stay as they are."""

from collections.abc import Sequence

import msgspec

from demand.fulfilment import store as fulfilment
from demand.fulfilment.units import LineUnits, check_units, unshipped, worth_of_units
from demand.lifecycle import ENDED, Move, Party, check_move, moves_from
from demand.model import Order, OrderLine, OrderState
from demand.refund_policy import LEAVES_STANDING, Bearer, Reason, reason_named
from demand.refunds import store as refunds
from demand.store import get_lines, lock_order, move_order
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict
from marketplace.flows.orders.fulfil_order import end_if_all_there
from marketplace.flows.orders.hold_order import Act, hold_order
from marketplace.flows.orders.release_order import release_rest, release_unpaid
from marketplace.flows.refunds.refund_order import Refunded, RefundLine, RefundOrder, refund_units
from supply.stock import store as stock
from supply.stock.store import Units

REASONS = {
    Party.BUYER: Reason.BUYER_CANCELLED,
    Party.MERCHANT: Reason.MERCHANT_CANCELLED,
    Party.PLATFORM: Reason.NOT_DELIVERED,
    Party.PROCESSOR: Reason.FRAUD,
}
"""Why an order is cancelled when nobody says otherwise; the reason of the refund that follows."""


class CancelOrder(Act, frozen=True, kw_only=True):
    """Cancel the whole order. reason: a code; by default the party's of `REASONS`."""

    reason: str | None = None


class CancelLines(Act, frozen=True, kw_only=True):
    """Cancel these units, which have not left. reason: as for the whole order."""

    lines: tuple[LineUnits, ...]
    reason: str | None = None


class Cancelled(msgspec.Struct, frozen=True, kw_only=True):
    """What the cancellation made of the order, and what the buyer is owed by it; None where nothing was paid."""

    merchant_id: int
    order_id: int
    state: OrderState
    version: int
    refund: Refunded | None


async def cancel_order(tx: Tx, cmd: CancelOrder) -> Cancelled:
    """Nothing more of the order is delivered; what is left of its money goes back, what has not left is free again.

    Units that have left stay with whoever has them. Raises NotFound, Forbidden, Conflict.
    """
    order = await hold_order(tx, cmd)
    reason = _reason(cmd.party, cmd.reason)
    if order.state is OrderState.PLACED:
        await release_unpaid(tx, order, Move.CANCEL, cmd.party, reason=reason)
        return await _cancelled(tx, order, None)
    check_move(order.state, Move.CANCEL, cmd.party)
    lines = await get_lines(tx, cmd.merchant_id, cmd.order_id)
    left = any(map(_money_left, lines))
    refund = await refund_units(tx, _refund(order, cmd.party, reason, None)) if left else None
    await _end(tx, order, cmd.party, reason)
    return await _cancelled(tx, order, refund)


async def cancel_lines(tx: Tx, cmd: CancelLines) -> Cancelled:
    """Cancel units that have not left: their share of the line goes back, their stock is free again.

    When nothing is left the order is cancelled; when all that is left has arrived it is delivered, and waits for
    settlement. Raises NotFound, Forbidden, Conflict, Invalid naming the line.
    """
    order = await hold_order(tx, cmd)
    check_move(order.state, Move.CANCEL_PART, cmd.party, order.state)
    reason = _reason(cmd.party, cmd.reason)
    lines = {line.line_no: line for line in await get_lines(tx, cmd.merchant_id, cmd.order_id)}
    check_units(cmd.lines, {number: unshipped(line) for number, line in lines.items()}, "cancelled")
    back = await refund_lines(tx, order, lines, cmd.lines, reason, cmd.party)
    await fulfilment.add_units(
        tx, order, "cancelled_quantity", cmd.lines
    )  # a refund that ends the order frees the rest
    refund = await refund_units(tx, _refund(order, cmd.party, reason, back)) if back else None
    present = await lock_order(tx, cmd.merchant_id, cmd.order_id)
    nothing_left = sum(line.quantity - line.cancelled_quantity for line in lines.values()) == sum(
        units.quantity for units in cmd.lines
    )
    if present.state in ENDED or nothing_left:
        await _end(tx, order, cmd.party, reason)
    else:
        refund_id = None if refund is None else refund.refund_id
        detail = {"reason": reason, "refund_id": refund_id, "lines": msgspec.to_builtins(cmd.lines)}
        await end_if_all_there(tx, present, Move.CANCEL_PART, cmd.party, **detail)
    await stock.release(tx, units_of(cmd.merchant_id, lines, cmd.lines))
    return await _cancelled(tx, order, refund)


async def refund_lines(
    tx: Tx, order: Order, lines: dict[int, OrderLine], wanted: Sequence[LineUnits], reason: str, initiator: Party
) -> tuple[RefundLine, ...]:
    """What the next units of these lines are worth, for a refund of units; without the lines that are worth nothing.

    Freight only where the order's refund policy gives it back for this reason. Raises Invalid and Conflict for a reason
    that the policy does not know.
    """
    rule = (await refunds.get_policy(tx, order.refund_policy_id)).rule(reason_named(reason), initiator)
    back = []
    for one in wanted:
        worth = worth_of_units(lines[one.line_no], one.quantity)
        freight = 0 if rule.freight is Bearer.BUYER else worth.freight_minor
        if worth.goods_minor or freight:
            back.append(RefundLine(one.line_no, worth.goods_minor, freight))
    return tuple(back)


def units_of(merchant_id: int, lines: dict[int, OrderLine], wanted: Sequence[LineUnits]) -> list[Units]:
    """The same units as the stock knows them; what is no listing of the catalogue has none."""
    return [
        Units(merchant_id, line.product_id, one.quantity)
        for one in wanted
        if (line := lines[one.line_no]).product_id is not None
    ]


def _refund(order: Order, party: Party, reason: str, lines: tuple[RefundLine, ...] | None) -> RefundOrder:
    """A refund that ends the order, if it does, as the party's cancellation, unless it may cancel only a part."""
    return RefundOrder(
        merchant_id=order.merchant_id,
        order_id=order.order_id,
        reason=reason,
        lines=lines,
        initiator=party,
        of_units=lines is not None,
        ends_by=Move.CANCEL if Move.CANCEL in moves_from(order.state, party) else Move.REFUND,
    )


async def _end(tx: Tx, order: Order, party: Party, reason: str) -> None:
    """The order is cancelled, unless the refund of all that was left of it has ended it already.

    Raises Conflict while the merchant still has something of it, which then would never be settled.
    """
    present = await lock_order(tx, order.merchant_id, order.order_id)
    if present.state not in ENDED:
        kept_minor = sum(map(_money_left, await get_lines(tx, order.merchant_id, order.order_id)))
        if kept_minor:
            whole = await _giving_all_back(tx, order, party)
            raise Conflict(
                f"reason: {reason} leaves {kept_minor} of the order with the merchant, and a cancelled order leaves"
                f" nothing: give a reason that gives all of it back: {', '.join(whole) or 'the policy has none'}",
                pointer="/reason",
            )
        await move_order(tx, present, Move.CANCEL, party, reason=reason)
    await release_rest(tx, order.merchant_id, order.order_id)


async def _giving_all_back(tx: Tx, order: Order, party: Party) -> list[str]:
    """Reasons that leave nothing with the merchant when this party gives them, by the order's policy; its own first."""
    rules = (await refunds.get_policy(tx, order.refund_policy_id)).rules
    found = [rule.reason for rule in rules if rule.initiator is party and rule.freight is not Bearer.BUYER]
    named = [reason for reason in found if reason not in LEAVES_STANDING]
    return [reason.value for reason in sorted(named, key=lambda reason: reason is not REASONS.get(party))]


def _reason(party: Party, reason: str | None) -> str:
    return REASONS[party].value if reason is None else reason


def _money_left(line: OrderLine) -> int:
    return (
        line.goods_minor
        - line.discount_minor
        - line.refunded_goods_minor
        + line.freight_minor
        - line.refunded_freight_minor
    )


async def _cancelled(tx: Tx, order: Order, refund: Refunded | None) -> Cancelled:
    present = await lock_order(tx, order.merchant_id, order.order_id)
    return Cancelled(
        merchant_id=order.merchant_id,
        order_id=order.order_id,
        state=present.state,
        version=present.version,
        refund=refund,
    )
