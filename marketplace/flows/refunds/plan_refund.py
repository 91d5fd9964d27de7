"""What a refund would do: what the buyer gets, who bears it, what comes back of commission. It changes nothing.

What the platform has borne of earlier refunds left the merchant's lines whole. When such a line goes, or units of it
(cancelled, returned, amended away), or the whole rest of the order, the merchant gives back all that goes, the buyer
gets of it what it has not got yet, and the difference is the platform's again: never more than it has borne. A refund
of named amounts, and goodwill, give what they name and take no more than that from the merchant.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from billing.rating import refund_share
from demand.lifecycle import UNDELIVERED, Move, Party
from demand.model import Order, OrderState
from demand.refund_policy import LEAVES_STANDING, Bearer, Commission, LineLeft, Rule, fee_share, reason_named, spread
from demand.refunds import store as refunds
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, Invalid
from marketplace.flows.payers.unwind_shares import Backs, plan_back
from marketplace.flows.refunds.read_funds import (
    Funds,
    buyers_left,
    funds_of,
    is_settled,
    loss_of,
    merchants_left,
    read_lines,
)


class RefundLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to give back of one order line, in minor units; of units, what they are worth."""

    line_no: int
    goods_minor: int
    freight_minor: int = 0


class RefundOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Refund these lines; None means whatever is left of the order. refunded_at: by default the transaction's now.

    goodwill_minor: an amount without items instead, divided over what is left of the lines. reason and initiator
    decide, by the policy the order was sold under, who bears what. of_units: the lines say what the units are worth
    that are not delivered or came back, however much of that the buyer has got before. ends_by: the move of the
    initiator that this is part of, which ends an order of which nothing is left; by default the refund itself.
    """

    merchant_id: int
    order_id: int
    reason: str
    lines: tuple[RefundLine, ...] | None = None
    goodwill_minor: int | None = None
    initiator: Party = Party.PLATFORM
    of_units: bool = False
    ends_by: Move = Move.REFUND
    refunded_at: datetime | None = None


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A refund as it will be booked, in minor units.

    borne: goods and freight that the merchant bears, by line. regained_loss_minor: what the platform gets back of what
    disputes have cost it. commission_lines: rows that undo the refunded share of what the sale earned.
    lines_left_minor: what is left of the merchant's lines after it. fee_base_minor: what counts for the processor's
    fee that the merchant bears.
    """

    order: Order
    settled: bool
    rule: Rule
    given: list[LineLeft]
    borne: dict[int, tuple[int, int]]
    regained_loss_minor: int
    commission_lines: list[dict[str, Any]]
    lines_left_minor: int
    fee_base_minor: int
    fee_minor: int
    funds: Funds
    backs: Backs

    @property
    def gross_minor(self) -> int:
        """What goes back in all, to the buyer, to third-party payers and to whoever bears promotions."""
        return sum(line.goods_minor + line.freight_minor for line in self.given)

    @property
    def payer_minor(self) -> int:
        return sum(back.minor for back in self.backs.shares)

    @property
    def promotion_minor(self) -> int:
        return sum(back.borne_minor for back in self.backs.discounts)

    @property
    def buyer_minor(self) -> int:
        return self.gross_minor - self.payer_minor - self.promotion_minor

    @property
    def borne_minor(self) -> int:
        return sum(goods + freight for goods, freight in self.borne.values())

    @property
    def platform_minor(self) -> int:
        """What the platform bears less what it gets back."""
        return self.gross_minor - self.borne_minor

    @property
    def regained_minor(self) -> int:
        return _regained(self.given, self.borne)

    @property
    def commission_minor(self) -> int:
        return -sum(int(line["commission_minor"]) for line in self.commission_lines)

    @property
    def vat_minor(self) -> int:
        return -sum(int(line["vat_minor"]) for line in self.commission_lines)


async def plan_refund(tx: Tx, cmd: RefundOrder, order: Order) -> Plan:
    """The refund of an order. Whoever books it holds the merchant's books and the order; a preview does not.

    Raises Conflict for an order that cannot be refunded, for what its policy does not name and for more than is
    refundable; Invalid naming the line when more is asked than is left of it.
    """
    if order.state not in {*UNDELIVERED, OrderState.DELIVERED, OrderState.SETTLED, OrderState.RETURNED}:
        raise Conflict(f"order {order.order_id} is {order.state}: there is nothing to refund")
    policy = await refunds.get_policy(tx, order.refund_policy_id)
    rule = policy.rule(reason_named(cmd.reason), cmd.initiator)
    lines = await read_lines(tx, order)
    funds = await funds_of(tx, order.merchant_id, order.order_id)
    _check_funds(cmd.goodwill_minor or 0, funds)
    left = buyers_left(lines, funds)
    off = _off(cmd, rule, lines)
    given = _given(cmd, rule, left) if off is None else within(off, left)
    gross = sum(line.goods_minor + line.freight_minor for line in given)
    if not given or (gross == 0 and cmd.lines is None and cmd.ends_by is Move.REFUND):
        raise Conflict("the order is refunded in full already")
    _check_funds(gross, funds)
    return await plan_lines(tx, order, rule, lines, given, funds, off=off)


def _check_funds(asked_minor: int, funds: Funds) -> None:
    if asked_minor > funds.refundable_minor:
        raise Conflict(
            f"amount: {asked_minor} is more than {funds.refundable_minor}, what is refundable: captured"
            f" {funds.captured_minor}, refunded {funds.refunded_minor}, disputed {funds.disputed_minor}",
            **msgspec.structs.asdict(funds),
        )


async def plan_lines(
    tx: Tx,
    order: Order,
    rule: Rule,
    lines: Sequence[Any],
    given: list[LineLeft],
    funds: Funds,
    *,
    off: list[LineLeft] | None = None,
) -> Plan:
    """The plan for amounts that are known to be there. off: what the same lines lose, where that is not what is given.

    What the platform gets back was goodwill first, and then what disputes have cost it.
    """
    borne = {
        line.line_no: (
            line.goods_minor if rule.goods is Bearer.MERCHANT else 0,
            line.freight_minor if rule.freight is Bearer.MERCHANT else 0,
        )
        for line in (given if off is None else off)
        if _any_of(line)
    }
    given = [line for line in given if line.line_no in borne]
    regained = _regained(given, borne)
    loss = await loss_of(tx, order.merchant_id, order.order_id) if regained else 0
    left = sum(line.goods_left + line.freight_left for line in lines) - sum(map(sum, borne.values()))
    settled = await is_settled(tx, order)
    commission_lines: list[dict[str, Any]] = []
    if settled and any(map(any, borne.values())):
        contract_of = {line.line_no: line.contract_id for line in lines}
        commission_lines = await _take_back(tx, order, rule, borne, contract_of, nothing_left=left == 0)
    fee_base = fee = 0
    if rule.processor_fee is Bearer.MERCHANT:
        fee_base = sum(line.goods_minor + line.freight_minor for line in given)
        fee = await _fee(tx, order, fee_base, funds)
    return Plan(
        order=order,
        settled=settled,
        rule=rule,
        given=given,
        borne=borne,
        regained_loss_minor=max(0, regained - (funds.bore_minor - loss)),
        commission_lines=commission_lines,
        lines_left_minor=left,
        fee_base_minor=fee_base,
        fee_minor=fee,
        funds=funds,
        backs=await plan_back(tx, order, rule.reason, given, borne, funds),
    )


def _regained(given: Sequence[LineLeft], borne: dict[int, tuple[int, int]]) -> int:
    """What the merchant gives back beyond what the buyer gets."""
    return sum(
        max(0, borne[line.line_no][0] - line.goods_minor) + max(0, borne[line.line_no][1] - line.freight_minor)
        for line in given
    )


def within(off: Sequence[LineLeft], left: Sequence[LineLeft]) -> list[LineLeft]:
    """What the buyer gets of what its lines lose: no more than it has not got back yet."""
    of = {line.line_no: line for line in left}
    return [
        LineLeft(
            line.line_no,
            min(line.goods_minor, of[line.line_no].goods_minor),
            min(line.freight_minor, of[line.line_no].freight_minor),
        )
        for line in off
    ]


def _off(cmd: RefundOrder, rule: Rule, lines: Sequence[Any]) -> list[LineLeft] | None:
    """What goes with a refund of units, or of the whole rest; None for one of amounts."""
    if cmd.goodwill_minor is not None:
        return None
    if cmd.lines is None:
        whole = merchants_left(lines, freight=rule.freight is not Bearer.BUYER)
        return None if rule.reason in LEAVES_STANDING else [line for line in whole if _any_of(line)]
    if not cmd.of_units:
        return None
    _check(cmd.lines, {line.line_no: line for line in merchants_left(lines)}, rule)
    return [LineLeft(line.line_no, line.goods_minor, line.freight_minor) for line in cmd.lines]


def _given(cmd: RefundOrder, rule: Rule, left: Sequence[LineLeft]) -> list[LineLeft]:
    freight = rule.freight is not Bearer.BUYER
    if cmd.goodwill_minor is not None:
        if cmd.lines is not None:
            raise Invalid("goodwill_minor: an amount without items names no lines", pointer="/goodwill_minor")
        if cmd.goodwill_minor <= 0:
            raise Invalid("goodwill_minor: nothing is given back", pointer="/goodwill_minor")
        return spread(cmd.goodwill_minor, left, freight=freight)
    if cmd.lines is None:
        whole = [LineLeft(line.line_no, line.goods_minor, line.freight_minor if freight else 0) for line in left]
        return [line for line in whole if _any_of(line)]
    _check(cmd.lines, {line.line_no: line for line in left}, rule)
    return [LineLeft(line.line_no, line.goods_minor, line.freight_minor) for line in cmd.lines]


def _any_of(line: LineLeft) -> bool:
    return bool(line.goods_minor or line.freight_minor)


def _check(given_back: Sequence[RefundLine], left: dict[int, LineLeft], rule: Rule) -> None:
    """Raise Invalid unless every line exists, is named once, and has as much left as is given back."""
    for position, line in enumerate(given_back):
        where = f"lines[{position}]"
        if line.line_no not in left:
            raise Invalid(f"{where}.line_no: the order has no line {line.line_no}")
        if any(other.line_no == line.line_no for other in given_back[:position]):
            raise Invalid(f"{where}.line_no: line {line.line_no} is named twice")
        for field in ("goods_minor", "freight_minor"):
            asked, most = getattr(line, field), getattr(left[line.line_no], field)
            if not 0 <= asked <= most:
                raise Invalid(f"{where}.{field}: {asked} is not between 0 and {most}, what is left of it")
        if line.freight_minor and rule.freight is Bearer.BUYER:
            raise Invalid(
                f"{where}.freight_minor: {rule.reason} by the {rule.initiator} leaves the freight with the buyer"
            )
        if line.goods_minor + line.freight_minor == 0:
            raise Invalid(f"{where}: nothing is given back")


_EARNED = """
SELECT c.contract_id, c.currency, k.base AS base_rule,
       sum(c.base_minor) FILTER (WHERE c.kind = 'sale')::bigint AS base,
       sum(c.commission_minor + c.kept_commission_minor) FILTER (WHERE c.kind <> 'refund')::bigint AS commission,
       sum(c.vat_minor + c.kept_vat_minor) FILTER (WHERE c.kind <> 'refund')::bigint AS vat,
       coalesce(-sum(c.base_minor) FILTER (WHERE c.kind = 'refund'), 0)::bigint AS base_back,
       sum(c.kept_commission_minor - CASE WHEN c.kind = 'refund' THEN c.commission_minor ELSE 0 END)::bigint
           AS commission_back,
       sum(c.kept_vat_minor - CASE WHEN c.kind = 'refund' THEN c.vat_minor ELSE 0 END)::bigint AS vat_back
FROM billing.commission_line c JOIN billing.contract k ON k.contract_id = c.contract_id
WHERE c.merchant_id = :merchant AND c.order_id = :order
GROUP BY c.contract_id, c.currency, k.base ORDER BY c.contract_id
"""


async def _take_back(
    tx: Tx,
    order: Order,
    rule: Rule,
    borne: dict[int, tuple[int, int]],
    contract_of: dict[int, int],
    *,
    nothing_left: bool,
) -> list[dict[str, Any]]:
    """The commission lines that undo the refunded share of what the sale earned, one per contract.

    When nothing is left of the order, every contract returns whatever it still holds of it. What the policy keeps is
    recorded beside, so that the shares of later refunds are the same as if it had been returned.
    """
    parts = []
    for sale in await tx.rows(_EARNED, merchant=order.merchant_id, order=order.order_id):
        lines = [amounts for line_no, amounts in borne.items() if contract_of[line_no] == sale.contract_id]
        held = (sale.commission - sale.commission_back, sale.vat - sale.vat_back)
        if not lines and not (nothing_left and any(held)):
            continue
        goods, freight = sum(line[0] for line in lines), sum(line[1] for line in lines)
        base = goods + (freight if sale.base_rule == "goods_and_freight" else 0)
        upto = sale.base_back + base
        commission, vat = held
        if not nothing_left:
            commission = refund_share(sale.commission, sale.commission_back, upto, sale.base)
            vat = refund_share(sale.vat, sale.vat_back, upto, sale.base)
        kept = rule.commission is Commission.KEPT
        parts.append(
            {
                "merchant_id": order.merchant_id,
                "contract_id": sale.contract_id,
                "order_id": order.order_id,
                "kind": "refund",
                "currency": sale.currency,
                "goods_minor": -goods,
                "freight_minor": -freight,
                "discount_minor": 0,
                "base_minor": -base,
                "commission_minor": 0 if kept else -commission,
                "vat_minor": 0 if kept else -vat,
                "kept_commission_minor": commission if kept else 0,
                "kept_vat_minor": vat if kept else 0,
            }
        )
    return parts


async def _fee(tx: Tx, order: Order, base: int, funds: Funds) -> int:
    """The merchant's share of the processor's fees by what was refunded at its cost so far, less what it has paid.

    Fees that become known later are charged on then, see `recharge_fees`.
    """
    row = await tx.row(
        """
        SELECT (SELECT coalesce(sum(fee_minor), 0)::bigint FROM billing.payment_part
                WHERE merchant_id = :merchant AND order_id = :order AND state = 'captured') AS fees,
               coalesce(sum(fee_base_minor), 0)::bigint AS base, coalesce(sum(fee_minor), 0)::bigint AS charged
        FROM demand.refund WHERE merchant_id = :merchant AND order_id = :order AND state = 'booked'
          AND reason <> 'dispute_lost'
        """,
        merchant=order.merchant_id,
        order=order.order_id,
    )
    assert row is not None
    charged: int = row.charged
    return max(0, fee_share(row.fees, row.base + base, funds.captured_minor) - charged)
