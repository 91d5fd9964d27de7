"""Take back a refund that never reached the buyer: its entry is reversed, its lines are the merchant's again."""

from typing import Any

from billing import postings
from billing.ledger import store as ledger
from billing.ledger.chart import Account
from billing.refunds import store
from demand.model import Order, OrderState
from demand.refund_policy import Reason
from demand.refunds import store as refunds
from demand.store import lock_order, refresh_due_order
from marketplace.core import audit
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, NotFound
from marketplace.flows.discounts.unwind_discounts import undo_discounts_back
from marketplace.flows.payers.unwind_shares import undo_back
from marketplace.flows.refunds.book_refund import add_commission, mirror, post
from marketplace.flows.refunds.pay_refund import RefundKey
from marketplace.flows.refunds.read_funds import funds_of, is_settled, loss_of

_MIRRORED = (
    "goods_minor",
    "freight_minor",
    "discount_minor",
    "base_minor",
    "commission_minor",
    "vat_minor",
    "kept_commission_minor",
    "kept_vat_minor",
)


async def cancel_refund(tx: Tx, key: RefundKey) -> RefundKey:
    """Take a refund back of which everything has failed, or that no payment carries: the buyer is owed it no more.

    Raises NotFound, and Conflict when any of it was paid or is on its way, or when the order has ended, was settled or
    rated anew since, or the platform has got back what it bore of it: then the buyer keeps what it is owed, and it can
    be retried or turned into credit.
    """
    await ledger.lock_books(tx, key.merchant_id)
    refund = await tx.row(
        """
        SELECT order_id, reason, state, fee_minor, platform_minor,
               goods_minor + freight_minor - payer_minor - promotion_minor AS buyer_minor,
               (SELECT count(*) FROM demand.refund_line
                WHERE merchant_id = :merchant AND refund_id = :refund) AS lines
        FROM demand.refund WHERE merchant_id = :merchant AND refund_id = :refund
        """,
        merchant=key.merchant_id,
        refund=key.refund_id,
    )
    if refund is None:
        raise NotFound(f"merchant {key.merchant_id} has no refund {key.refund_id}")
    order = await lock_order(tx, key.merchant_id, refund.order_id)
    payments = await store.of_refund(tx, key.merchant_id, key.refund_id)
    booked = await _booked(tx, key)
    await _check(tx, order, refund, [one.state for one in payments], booked)
    if await _is_rerated(tx, order, booked.entry_no):
        raise Conflict(f"order {order.order_id} was rated anew with this refund in it: it stays the buyer's")
    entry = await post(tx, order, "refund_cancelled", key.refund_id, mirror(booked), tx.now)
    lines = await tx.rows(
        "SELECT * FROM billing.commission_line WHERE merchant_id = :merchant AND entry_no = :entry_no",
        merchant=key.merchant_id,
        entry_no=booked.entry_no,
    )
    await add_commission(tx, order, entry, [_undone(line) for line in lines])
    if refund.fee_minor:
        fee = postings.fee_recharged(-refund.fee_minor)
        await post(tx, order, "processor_fee_returned", key.refund_id, fee, tx.now)
    await refunds.take_refund_back(tx, key.merchant_id, key.refund_id)
    await undo_back(tx, order, key.refund_id)
    await undo_discounts_back(tx, order, key.refund_id)
    for payment in payments:
        if payment.state == "failed":
            await store.change(tx, payment, state="cancelled")
    if not await is_settled(tx, order):
        await refresh_due_order(tx, order.merchant_id, order.order_id)
    await audit.record(tx, "refund cancelled", f"refund:{key.merchant_id}/{key.refund_id}")
    return key


async def _booked(tx: Tx, key: RefundKey) -> Any:
    return await tx.row(
        "SELECT * FROM billing.entry WHERE merchant_id = :merchant AND kind = 'order_refunded' AND source_id = :refund",
        merchant=key.merchant_id,
        refund=key.refund_id,
    )


async def _check(tx: Tx, order: Order, refund: Any, payments: list[str], booked: Any) -> None:
    if refund.state == "cancelled":
        raise Conflict("state: the refund is cancelled already")
    if not refund.lines:
        raise Conflict("refund_id: the refund was imported, nobody knows of which lines; it cannot be taken back")
    if refund.reason == Reason.DISPUTE_LOST or booked is None:
        raise Conflict("reason: the buyer's bank has taken this money; it is no refund that could be taken back")
    if not refund.buyer_minor:
        raise Conflict("goods_minor: the buyer was owed nothing by this refund: nothing of it has failed")
    if any(state not in {"failed", "retried"} for state in payments) or await _covered(tx, order, payments):
        raise Conflict("state: some of this refund was paid or is on its way; only what has failed can be taken back")
    if order.state is OrderState.CANCELLED:
        raise Conflict(f"order {order.order_id} is cancelled: the buyer is owed what it paid for it")
    if Account.PENDING in booked.accounts and await is_settled(tx, order):
        raise Conflict(f"order {order.order_id} was settled since without this refund: it stays the buyer's")
    if refund.platform_minor > 0:
        funds = await funds_of(tx, order.merchant_id, order.order_id)
        goodwill = funds.bore_minor - await loss_of(tx, order.merchant_id, order.order_id)
        if refund.platform_minor > goodwill:
            raise Conflict("platform_minor: the merchant has given this back to the platform since: it is the buyer's")


async def _is_rerated(tx: Tx, order: Order, refunded_no: int) -> bool:
    """Whether an adjustment has counted the refund for more or less than it gave back of the commission."""
    return bool(
        await tx.scalar(
            """
            SELECT EXISTS (SELECT FROM billing.commission_line
                           WHERE merchant_id = :merchant AND order_id = :order AND kind = 'adjustment'
                             AND entry_no > :refunded AND (kept_commission_minor, kept_vat_minor) <> (0, 0))
            """,
            merchant=order.merchant_id,
            order=order.order_id,
            refunded=refunded_no,
        )
    )


async def _covered(tx: Tx, order: Order, payments: list[str]) -> bool:
    """Whether a lost dispute has paid some of what failed."""
    if "failed" not in payments:
        return False
    failed = await store.failed_of_order(tx, order.merchant_id, order.order_id)
    return any(payment.covered_minor for payment in failed)


def _undone(line: Any) -> dict[str, object]:
    kept = {name: getattr(line, name) for name in ("merchant_id", "contract_id", "order_id", "kind", "currency")}
    return kept | {name: -getattr(line, name) for name in _MIRRORED}
