"""Refund a merchant's order, in part or whole, before or after its settlement and even after the payout."""

import msgspec

from billing.ledger import store as ledger
from demand.refund_policy import Reason
from demand.store import lock_order
from marketplace.core import audit, outbox
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, Invalid
from marketplace.core.ids import time_ordered_id
from marketplace.flows.refunds.book_refund import Booking, book_refund
from marketplace.flows.refunds.pay_refund import send_back
from marketplace.flows.refunds.plan_refund import RefundLine, RefundOrder, plan_refund

__all__ = ["RefundLine", "RefundOrder", "Refunded", "refund_order", "refund_units"]


class Refunded(msgspec.Struct, frozen=True, kw_only=True):
    """A refund as it was booked: what goes back, and what came back of commission and VAT, in minor units.

    payer_minor, promotion_minor: what of gross_minor goes to third-party payers, and to whoever bears promotions; the
    buyer is owed the rest. platform_minor: what of it
    the platform bears; negative: what it got back of what it had borne. fee_minor: the processor's fee charged on to
    the merchant.
    """

    refund_id: int
    entry_no: int
    gross_minor: int
    commission_minor: int
    vat_minor: int
    platform_minor: int
    fee_minor: int
    payer_minor: int = 0
    promotion_minor: int = 0


async def refund_order(tx: Tx, cmd: RefundOrder) -> Refunded:
    """Book a refund; the buyer is owed it at once, whatever the merchant's balance is, and it is sent on its way.

    Commission and VAT return by the refunded share of the original base, fixed part included, so that any partition of
    a full refund returns (or keeps) them exactly. Raises NotFound, Conflict for an order that cannot be refunded and
    for more than is refundable, Invalid naming the line when more is asked than is left of it.
    """
    done = await refund_units(tx, cmd)
    if done is None:
        raise Conflict("the order is refunded in full already")
    return done


async def refund_units(tx: Tx, cmd: RefundOrder) -> Refunded | None:
    """As `refund_order`; None when it moves no money, because the buyer has got these units' worth from the platform.

    Where the merchant bears them they move money even then: it gives back what the platform has given.
    """
    if cmd.reason == Reason.DISPUTE_LOST:
        raise Invalid("reason: dispute_lost is what the processor says, not a refund", pointer="/reason")
    await ledger.lock_books(tx, cmd.merchant_id)
    order = await lock_order(tx, cmd.merchant_id, cmd.order_id)
    plan = await plan_refund(tx, cmd, order)
    if not plan.gross_minor and not plan.borne_minor:
        return None
    refund_id = time_ordered_id(tx.now)
    booking = Booking(refund_id=refund_id, ends_by=cmd.ends_by, at=cmd.refunded_at or tx.now)
    entry = await book_refund(tx, plan, booking)
    await send_back(tx, order, refund_id, plan.buyer_minor)
    await audit.record(
        tx,
        "order refunded",
        f"order:{cmd.merchant_id}/{cmd.order_id}",
        refund_id=refund_id,
        gross_minor=plan.gross_minor,
        reason=cmd.reason,
        initiator=cmd.initiator,
    )
    result = Refunded(
        refund_id=refund_id,
        entry_no=entry.entry_no,
        gross_minor=plan.gross_minor,
        commission_minor=plan.commission_minor,
        vat_minor=plan.vat_minor,
        platform_minor=plan.platform_minor,
        fee_minor=plan.fee_minor,
        payer_minor=plan.payer_minor,
        promotion_minor=plan.promotion_minor,
    )
    await outbox.emit(tx, "demand.order_refunded.v1", result, merchant_id=cmd.merchant_id)
    return result
