"""What an order has to give back: what was captured of it and where that went, and what is left of its lines."""

from collections.abc import Sequence
from typing import Any

import msgspec

from billing.ledger.chart import Account
from demand.model import Order, OrderState
from demand.refund_policy import LineLeft, buyers_shares
from marketplace.core.db import Tx


class Funds(msgspec.Struct, frozen=True, kw_only=True):
    """What was captured of an order and where it went, in minor units, computed from the rows.

    captured: of the buyer, and what third-party payers and promotions bear. payers: what these bear less what has come
    back. refunded: refunds that were not cancelled, less what a lost dispute has paid of them; one that failed is still
    owed and counts. disputed: disputes that are open or lost. bore: what the platform has borne of both and not got
    back.
    """

    captured_minor: int
    refunded_minor: int
    disputed_minor: int
    bore_minor: int
    payers_minor: int = 0

    @property
    def left_minor(self) -> int:
        """Negative where a dispute took again what was refunded already."""
        return self.captured_minor - self.refunded_minor - self.disputed_minor

    @property
    def buyers_minor(self) -> int:
        """What of it the buyer itself has paid."""
        return self.left_minor - self.payers_minor

    @property
    def refundable_minor(self) -> int:
        return max(0, self.left_minor)


async def funds_of(tx: Tx, merchant_id: int, order_id: int) -> Funds:
    """An order without any part of a payment was imported as paid: what it sold for was captured."""
    of_order = "merchant_id = :merchant AND order_id = :order"
    of_share = "merchant_id = :merchant AND source = 'order' AND source_id = :order AND state = 'committed'"
    row = await tx.row(
        f"""
        SELECT (SELECT count(*) FROM billing.payment_part WHERE {of_order}) AS parts,
               (SELECT coalesce(sum(amount_minor + credit_minor), 0)::bigint FROM billing.payment_part
                WHERE {of_order} AND state = 'captured') AS captured,
               (SELECT coalesce(sum(goods_minor - discount_minor + freight_minor
                                    - carried_goods_minor - carried_freight_minor), 0)::bigint
                FROM demand.order_line WHERE {of_order}) AS gross,
               (SELECT coalesce(sum(goods_minor + freight_minor), 0)::bigint FROM demand.refund
                WHERE {of_order} AND state = 'booked' AND reason <> 'dispute_lost') AS refunded,
               (SELECT coalesce(sum(covered_minor), 0)::bigint FROM billing.refund_payment WHERE {of_order}) AS covered,
               (SELECT coalesce(sum(amount_minor), 0)::bigint FROM demand.dispute
                WHERE {of_order} AND state IN ('open', 'lost')) AS disputed,
               (SELECT coalesce(sum(platform_minor), 0)::bigint FROM demand.refund
                WHERE {of_order} AND state = 'booked') AS borne,
               (SELECT coalesce(sum(excess_minor - covered_minor), 0)::bigint FROM demand.dispute
                WHERE {of_order} AND state = 'lost') AS excess,
               (SELECT coalesce(sum(amount_minor), 0)::bigint FROM billing.payer_share
                WHERE {of_share}) AS payers,
               (SELECT coalesce(sum(back_minor), 0)::bigint FROM billing.payer_share WHERE {of_share}) AS payers_back,
               (SELECT coalesce(sum(of_line.minor - of_line.own), 0)::bigint
                FROM incentives.order_discount d, unnest(d.line_minor, d.own_minor) AS of_line (minor, own)
                WHERE {of_order} AND state = 'committed') AS taken_off,
               (SELECT coalesce(sum(back), 0)::bigint
                FROM incentives.order_discount d, unnest(d.borne_back_minor) AS back
                WHERE {of_order} AND state = 'committed') AS taken_off_back
        """,
        merchant=merchant_id,
        order=order_id,
    )
    assert row is not None
    return Funds(
        captured_minor=row.captured + row.payers + row.taken_off if row.parts else row.gross,
        refunded_minor=row.refunded - row.covered,
        disputed_minor=row.disputed,
        bore_minor=row.borne + row.excess,
        payers_minor=row.payers - row.payers_back + row.taken_off - row.taken_off_back,
    )


async def loss_of(tx: Tx, merchant_id: int, order_id: int) -> int:
    """What lost disputes of an order have cost the platform, by the books, and have not been paid back."""
    loss: int = await tx.scalar(
        """
        SELECT coalesce(sum(leg.amount), 0)::bigint
               - (SELECT coalesce(sum(covered_minor), 0)::bigint FROM billing.refund_payment
                  WHERE merchant_id = :merchant AND order_id = :order)
        FROM (SELECT refund_id AS source_id FROM demand.refund WHERE merchant_id = :merchant AND order_id = :order
              UNION
              SELECT dispute_id FROM demand.dispute WHERE merchant_id = :merchant AND order_id = :order) AS s
        JOIN billing.entry e ON e.merchant_id = :merchant AND e.source_id = s.source_id
         AND e.kind IN ('order_refunded', 'refund_cancelled', 'dispute_lost'),
             unnest(e.accounts, e.amounts) AS leg (account, amount)
        WHERE leg.account = :loss
        """,
        merchant=merchant_id,
        order=order_id,
        loss=int(Account.CHARGEBACK_LOSS),
    )
    return loss


async def is_settled(tx: Tx, order: Order) -> bool:
    """Whether the order's money has left the merchant's pending balance."""
    if order.state is not OrderState.RETURNED:
        return order.state is OrderState.SETTLED
    due = await tx.scalar(
        "SELECT count(*) FROM demand.order_due WHERE merchant_id = :merchant AND order_id = :order",
        merchant=order.merchant_id,
        order=order.order_id,
    )
    return not due


async def read_lines(tx: Tx, order: Order) -> Sequence[Any]:
    """Lines with what is left of them for the merchant, and what the platform has given the buyer of that already."""
    return await tx.rows(
        """
        SELECT l.line_no, l.contract_id, l.goods_minor - l.discount_minor - l.refunded_goods_minor AS goods_left,
               l.freight_minor - l.refunded_freight_minor AS freight_left,
               coalesce(p.goods, 0)::bigint AS goods_given, coalesce(p.freight, 0)::bigint AS freight_given
        FROM demand.order_line l
        LEFT JOIN (SELECT g.line_no, sum(g.goods_minor - g.merchant_goods_minor) AS goods,
                          sum(g.freight_minor - g.merchant_freight_minor) AS freight
                   FROM demand.refund_line g
                   JOIN demand.refund r ON r.merchant_id = g.merchant_id AND r.refund_id = g.refund_id
                   WHERE g.merchant_id = :merchant AND g.order_id = :order AND r.state = 'booked'
                   GROUP BY g.line_no) AS p ON p.line_no = l.line_no
        WHERE l.merchant_id = :merchant AND l.order_id = :order ORDER BY l.line_no
        """,
        merchant=order.merchant_id,
        order=order.order_id,
    )


def buyers_left(lines: Sequence[Any], funds: Funds) -> list[LineLeft]:
    """What the buyer has not got back of each line, from whomever."""
    shares = buyers_shares(
        [line.goods_left for line in lines] + [line.freight_left for line in lines],
        [line.goods_given for line in lines] + [line.freight_given for line in lines],
        funds.bore_minor,
    )
    goods, freight = shares[: len(lines)], shares[len(lines) :]
    return [LineLeft(line.line_no, goods[n], freight[n]) for n, line in enumerate(lines)]


def merchants_left(lines: Sequence[Any], *, freight: bool = True) -> list[LineLeft]:
    """What is left of each line for the merchant; freight: that too, or none of it."""
    return [LineLeft(line.line_no, line.goods_left, line.freight_left if freight else 0) for line in lines]
