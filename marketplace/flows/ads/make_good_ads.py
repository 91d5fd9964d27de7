"""Make good what a line of an insertion order ended short of: proposed by one person, approved by another."""

import msgspec

from billing.ads.lifecycle import AdParty
from billing.ads.orders import store
from billing.ads.orders.lifecycle import OrderMove, OrderState
from billing.ads.orders.model import GRACE, LineState, OrderLine, shortfall
from marketplace.core import audit, policies
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, Invalid, NotFound
from marketplace.flows.ads.run_ad_lines import start_line
from marketplace.flows.ads.sell_ads import WantedLine, check_live, check_to_come, plan_line, subject
from marketplace.flows.products.charge_products import hold


class MakeGood(msgspec.Struct, frozen=True, kw_only=True):
    """Units of a line that ended short of them, to be delivered in another window."""

    merchant_id: int
    order_id: int
    line_no: int
    wanted: WantedLine


async def propose_make_good(tx: Tx, cmd: MakeGood) -> OrderLine:
    """Propose to deliver later what a line ended short of. Raises NotFound, Conflict, Invalid."""
    await hold(tx, cmd.merchant_id)
    order = await store.get_order(tx, cmd.merchant_id, cmd.order_id, lock=True)
    if order.state not in {OrderState.DELIVERING, OrderState.CLOSED}:
        raise Conflict(f"state: the ad order is {order.state}, there is nothing to make good", state=order.state.value)
    lines = await store.lines_of(tx, cmd.merchant_id, cmd.order_id)
    original = _find(lines, cmd.line_no)
    new = await plan_line(tx, order, max(line.line_no for line in lines) + 1, cmd.wanted, original.line_no)
    _check_make_good(new, original, lines)
    await audit.record(tx, "make-good proposed", subject(order), line_no=new.line_no, of_line_no=original.line_no)
    return await store.insert_line(tx, new)


def _find(lines: list[OrderLine], line_no: int) -> OrderLine:
    for line in lines:
        if line.line_no == line_no:
            return line
    raise NotFound(f"the ad order has no line {line_no}")


def _check_make_good(new: OrderLine, original: OrderLine, lines: list[OrderLine]) -> None:
    """Raise unless it makes good what the original lacks, at its price at most and counted as it is."""
    if original.makes_good_line_no is not None:
        raise Invalid(f"line_no: it makes good line {original.makes_good_line_no}, name that one", pointer="/line_no")
    left = shortfall(original, lines)
    if original.state is not LineState.ENDED or left == 0:
        until = f"a line ends {GRACE.days} days after what was shown last, when no click can come any more"
        raise Conflict(f"line {original.line_no} has not ended short of what was sold: {until}")
    if new.pricing is not original.pricing:
        raise Invalid(f"placement_id: it must sell by {original.pricing}", pointer="/placement_id")
    if new.quantity > left:
        raise Invalid(f"quantity: line {original.line_no} is short of {left}", pointer="/quantity")
    if new.unit_price_minor > original.unit_price_minor:
        raise Invalid(
            f"unit_price_minor: line {original.line_no} costs {original.unit_price_minor}", pointer="/unit_price_minor"
        )


async def decide_make_good(tx: Tx, merchant_id: int, order_id: int, line_no: int, *, approved: bool) -> OrderLine:
    """Approve a make-good, as another person than proposed it, or drop it.

    Raises NotFound, Forbidden, Conflict for one that is decided or would begin in the past; SlotTaken.
    """
    await hold(tx, merchant_id)
    order = await store.get_order(tx, merchant_id, order_id, lock=True)
    lines = await store.lines_of(tx, merchant_id, order_id)
    line = _find(lines, line_no)
    if line.state is not LineState.PLANNED or line.makes_good_line_no is None:
        raise Conflict(f"state: line {line_no} is no make-good that waits for approval", state=line.state.value)
    if not approved:
        await audit.record(tx, "make-good dropped", subject(order), line_no=line_no)
        return await store.set_line(tx, line, state=LineState.DROPPED, decided_by=tx.actor)
    single = await policies.check_second_person(tx, line.made_by, f"make-good of ad order {order_id}")
    await check_live(tx, merchant_id)
    check_to_come(tx, line)
    moved = await store.move_order(tx, order, OrderMove.MAKE_GOOD, AdParty.PLATFORM)
    started = await start_line(tx, moved, line)
    await audit.record(tx, "make-good approved", subject(order), single_operator=single, line_no=line_no)
    return await store.set_line(tx, started, decided_by=tx.actor)
