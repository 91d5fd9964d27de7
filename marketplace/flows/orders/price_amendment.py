"""What an amendment of a paid order would come to: the same pricing for preview, proposal, acceptance and payment."""

import msgspec

from demand.amendments.model import Amendment, Changes, ChangeSet, Listing, Priced
from demand.amendments.pricing import price_changes
from demand.lifecycle import UNDELIVERED, Party
from demand.model import Order
from demand.refund_policy import LineLeft, Reason
from demand.store import get_order
from marketplace.core import audit
from marketplace.core.db import Tx
from marketplace.core.errors import AppError, Conflict, NotFound
from marketplace.flows.payers.unwind_shares import plan_back
from marketplace.flows.refunds.plan_refund import within
from marketplace.flows.refunds.read_funds import buyers_left, funds_of, read_lines


class By(msgspec.Struct, frozen=True, kw_only=True):
    """On whose side the caller acts. buyer_id: for a buyer, whose order it must be."""

    party: Party
    buyer_id: int | None = None


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """What a set of changes would come to, of the order at this version.

    refund_minor: what the buyer gets back in the end. That is less than what the merchant's lines lose by it (a
    negative delta_minor) where the platform has given the buyer some of their worth before, or a promotion bears a part
    of it: that they regain.
    """

    order_id: int
    base_version: int
    currency: str
    priced: Priced
    refund_minor: int


async def preview_amendment(tx: Tx, merchant_id: int, order_id: int, by: By, changes: Changes) -> Preview:
    """Price changes and change nothing. Raises NotFound, Conflict for an order past amending, Invalid."""
    order = (await get_order(tx, merchant_id, order_id)).order
    check_amendable(order, by)
    return await show(tx, order, await price(tx, order, changes))


def check_buyer(order: Order, by: By) -> None:
    """Raise NotFound when a buyer names an order of somebody else's: to it that does not exist."""
    if by.party is Party.BUYER and by.buyer_id != order.buyer_id:
        raise NotFound(f"merchant {order.merchant_id} has no order {order.order_id} of this buyer")


def check_amendable(order: Order, by: By) -> None:
    check_buyer(order, by)
    if order.state not in UNDELIVERED:
        wanted = ", ".join(UNDELIVERED)
        raise Conflict(f"state: the order is {order.state}; one that is {wanted} can be amended", state=order.state)


async def check_version(tx: Tx, order: Order, seen: int, present: ChangeSet) -> None:
    if seen != order.version:
        raise Conflict(
            f"base_version: the order is at version {order.version} now; look at the new preview",
            version=order.version,
            preview=await show(tx, order, present),
        )


async def show(tx: Tx, order: Order, change_set: ChangeSet) -> Preview:
    return Preview(
        order_id=order.order_id,
        base_version=order.version,
        currency=order.currency,
        priced=change_set.priced,
        refund_minor=await _refund_of(tx, order, change_set.priced),
    )


class _Left(msgspec.Struct, frozen=True):
    """A line as `read_lines` would find it."""

    line_no: int
    goods_left: int
    freight_left: int
    goods_given: int = 0
    freight_given: int = 0


async def _refund_of(tx: Tx, order: Order, priced: Priced) -> int:
    """What the refund of the rest will give the buyer, by the rule that books it, with the worth that is carried over
    to new lines where it will be by then.
    """
    rest = rest_of(priced)
    if not rest:
        return 0
    carried = {back.line_no: back for back in priced.given_back}
    lines = []
    for line in await read_lines(tx, order):
        back = carried.get(line.line_no)
        goods, freight = (back.carried_goods_minor, back.carried_freight_minor) if back else (0, 0)
        goods, freight = line.goods_left - goods, line.freight_left - freight
        lines.append(_Left(line.line_no, goods, freight, line.goods_given, line.freight_given))
    lines += [_Left(line.line_no, line.goods_minor, line.freight_minor) for line in priced.added]
    funds = await funds_of(tx, order.merchant_id, order.order_id)
    given = within(rest, buyers_left(lines, funds))
    borne = {line.line_no: (line.goods_minor, line.freight_minor) for line in rest}
    backs = await plan_back(tx, order, Reason.AMENDMENT, given, borne, funds)
    to_others = sum(back.borne_minor for back in backs.discounts)
    return sum(line.goods_minor + line.freight_minor for line in given) - to_others


def rest_of(priced: Priced) -> list[LineLeft]:
    """What the merchant's lines lose beyond what is carried over to others."""
    rest = [
        LineLeft(
            back.line_no,
            back.goods_minor - back.carried_goods_minor,
            back.freight_minor - back.carried_freight_minor,
        )
        for back in priced.given_back
    ]
    return [line for line in rest if line.goods_minor or line.freight_minor]


async def price(tx: Tx, order: Order, changes: Changes) -> ChangeSet:
    """The changes at the listings' present prices."""
    rows = await tx.rows(
        """
        SELECT o.product_id, o.title, coalesce(o.category, p.category) AS category, o.price_minor, o.freight_minor
        FROM supply.offer o JOIN supply.product p ON p.product_id = o.product_id
        WHERE o.merchant_id = :merchant AND o.product_id = ANY(:products) AND o.state = 'listed'
          AND o.currency = :currency
        """,
        merchant=order.merchant_id,
        products=[more.product_id for more in changes.add],
        currency=order.currency,
    )
    listings = {row.product_id: Listing(**row._mapping) for row in rows}
    return price_changes((await get_order(tx, order.merchant_id, order.order_id)).lines, changes, listings)


async def price_again(tx: Tx, order: Order, held: Amendment) -> ChangeSet:
    """A stored change set at the prices it was proposed at, against the lines as they are. Raises Conflict."""
    listings = {listing.product_id: listing for listing in held.changes.listings}
    try:
        lines = (await get_order(tx, order.merchant_id, order.order_id)).lines
        return price_changes(lines, held.changes.changes, listings)
    except AppError as fault:
        raise Conflict(f"the order has changed since: {fault.detail}", version=order.version) from fault


async def note(tx: Tx, action: str, held: Amendment, by: By, *, single_operator: bool = False) -> None:
    await audit.record(
        tx,
        action,
        f"order:{held.merchant_id}/{held.order_id}",
        single_operator=single_operator,
        amendment_id=held.amendment_id,
        party=by.party,
        delta_minor=held.delta_minor,
        reason=held.outcome or held.reason,
    )
