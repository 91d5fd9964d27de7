"""Refund a merchant's order, in part or whole, before or after its settlement and even after the payout."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import insert

from billing import postings
from billing.ledger import store as ledger
from billing.ledger.model import Entry, Leg, NewEntry
from billing.rating import refund_share
from billing.tables import commission_line
from demand.lifecycle import UNDELIVERED, Party
from demand.store import ORDER_STATE, refresh_due_order, remove_due_order
from demand.tables import refund as refund_table
from marketplace.core import audit, outbox
from marketplace.core.clock import local_date
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, Invalid, NotFound
from marketplace.core.ids import time_ordered_id


class RefundLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to give back of one order line, in minor units."""

    line_no: int
    goods_minor: int
    freight_minor: int = 0


class RefundOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Refund these lines; None means whatever is left of the order. refunded_at: by default the transaction's now."""

    merchant_id: int
    order_id: int
    reason: str
    lines: tuple[RefundLine, ...] | None = None
    initiator: Party = Party.PLATFORM
    refunded_at: datetime | None = None


class Refunded(msgspec.Struct, frozen=True, kw_only=True):
    """A refund as it was booked: what the buyer is owed, and what came back of commission and VAT, in minor units."""

    refund_id: int
    entry_no: int
    gross_minor: int
    commission_minor: int
    vat_minor: int


async def refund_order(tx: Tx, cmd: RefundOrder) -> Refunded:
    """Book a refund; the buyer is owed it at once, whatever the merchant's balance is.

    Commission and VAT return by the refunded share of the original base, fixed part included, so that any partition of
    a full refund returns them exactly. Raises NotFound, Conflict for an order that cannot be refunded, Invalid naming
    the line when more is asked than is left of it.
    """
    await ledger.lock_books(tx, cmd.merchant_id)
    order = await _lock_order(tx, cmd)
    lines = await _lines(tx, cmd)
    given_back = cmd.lines if cmd.lines is not None else _what_is_left(lines)
    _check(given_back, {line.line_no: line for line in lines})
    gross = sum(line.goods_minor + line.freight_minor for line in given_back)
    refund_id = time_ordered_id(tx.now)
    left = sum(line.goods_left + line.freight_left for line in lines) - gross
    parts: list[dict[str, Any]] = []
    if order.state == "settled":
        contract_of = {line.line_no: line.contract_id for line in lines}
        parts = await _take_back(tx, cmd, given_back, contract_of, nothing_left=left == 0)
    commission = -sum(part["commission_minor"] for part in parts)
    vat = -sum(part["vat_minor"] for part in parts)
    legs = (
        postings.refunded_after_settlement(gross, commission, vat)
        if order.state == "settled"
        else postings.refunded_before_settlement(gross)
    )
    entry = await _post(tx, cmd, order, refund_id, legs)
    await _store(tx, cmd, refund_id, given_back)
    if parts:
        booked = {
            "entry_no": entry.entry_no,
            "occurred_at": entry.occurred_at,
            "occurred_on": local_date(entry.occurred_at, order.zone),
            "effective_on": entry.effective_on,
        }
        await tx.execute(insert(commission_line), [{**part, **booked} for part in parts])
    if order.state == "delivered":
        await refresh_due_order(tx, cmd.merchant_id, cmd.order_id)
    if left == 0 and order.state != "settled":
        await _cancel(tx, cmd)
    subject = f"order:{cmd.merchant_id}/{cmd.order_id}"
    await audit.record(tx, "order refunded", subject, refund_id=refund_id, gross_minor=gross, reason=cmd.reason)
    result = Refunded(
        refund_id=refund_id, entry_no=entry.entry_no, gross_minor=gross, commission_minor=commission, vat_minor=vat
    )
    await outbox.emit(tx, "demand.order_refunded.v1", result, merchant_id=cmd.merchant_id)
    return result


async def _lock_order(tx: Tx, cmd: RefundOrder) -> Any:
    order = await tx.row(
        f"""
        SELECT {ORDER_STATE} AS state, o.currency, e.zone FROM demand.merchant_order o
        JOIN billing.entity e ON e.entity_id = o.entity_id
        WHERE o.merchant_id = :merchant AND o.order_id = :order FOR UPDATE OF o
        """,
        merchant=cmd.merchant_id,
        order=cmd.order_id,
    )
    if order is None:
        raise NotFound(f"merchant {cmd.merchant_id} has no order {cmd.order_id}")
    if order.state not in {*UNDELIVERED, "delivered", "settled"}:
        raise Conflict(f"order {cmd.order_id} is {order.state}: there is nothing to refund")
    return order


async def _lines(tx: Tx, cmd: RefundOrder) -> Sequence[Any]:
    return await tx.rows(
        """
        SELECT line_no, contract_id, goods_minor - discount_minor - refunded_goods_minor AS goods_left,
               freight_minor - refunded_freight_minor AS freight_left
        FROM demand.order_line WHERE merchant_id = :merchant AND order_id = :order ORDER BY line_no
        """,
        merchant=cmd.merchant_id,
        order=cmd.order_id,
    )


def _what_is_left(lines: Sequence[Any]) -> tuple[RefundLine, ...]:
    return tuple(
        RefundLine(line.line_no, line.goods_left, line.freight_left)
        for line in lines
        if line.goods_left or line.freight_left
    )


def _check(given_back: Sequence[RefundLine], lines: dict[int, Any]) -> None:
    """Raise Invalid unless every line exists, is named once, and has as much left as is given back."""
    if not given_back:
        raise Conflict("the order is refunded in full already")
    for position, line in enumerate(given_back):
        where = f"lines[{position}]"
        if line.line_no not in lines:
            raise Invalid(f"{where}.line_no: the order has no line {line.line_no}")
        if any(other.line_no == line.line_no for other in given_back[:position]):
            raise Invalid(f"{where}.line_no: line {line.line_no} is named twice")
        for field, left in (
            ("goods_minor", lines[line.line_no].goods_left),
            ("freight_minor", lines[line.line_no].freight_left),
        ):
            if not 0 <= getattr(line, field) <= left:
                raise Invalid(
                    f"{where}.{field}: {getattr(line, field)} is not between 0 and {left}, what is left of it"
                )
        if line.goods_minor + line.freight_minor == 0:
            raise Invalid(f"{where}: nothing is given back")


async def _take_back(
    tx: Tx, cmd: RefundOrder, given_back: Sequence[RefundLine], contract_of: dict[int, int], *, nothing_left: bool
) -> list[dict[str, Any]]:
    """The commission lines that undo the refunded share of what the sale earned, one per contract.

    When nothing is left of the order, every contract returns whatever it still holds of it.
    """
    earned = await tx.rows(
        """
        SELECT c.contract_id, c.currency, k.base AS base_rule,
               sum(c.base_minor) FILTER (WHERE c.kind = 'sale')::bigint AS base,
               sum(c.commission_minor) FILTER (WHERE c.kind = 'sale')::bigint AS commission,
               sum(c.vat_minor) FILTER (WHERE c.kind = 'sale')::bigint AS vat,
               coalesce(-sum(c.base_minor) FILTER (WHERE c.kind = 'refund'), 0)::bigint AS base_back,
               coalesce(-sum(c.commission_minor) FILTER (WHERE c.kind = 'refund'), 0)::bigint AS commission_back,
               coalesce(-sum(c.vat_minor) FILTER (WHERE c.kind = 'refund'), 0)::bigint AS vat_back
        FROM billing.commission_line c JOIN billing.contract k ON k.contract_id = c.contract_id
        WHERE c.merchant_id = :merchant AND c.order_id = :order
        GROUP BY c.contract_id, c.currency, k.base ORDER BY c.contract_id
        """,
        merchant=cmd.merchant_id,
        order=cmd.order_id,
    )
    parts = []
    for sale in earned:
        lines = [line for line in given_back if contract_of[line.line_no] == sale.contract_id]
        commission_held = sale.commission - sale.commission_back
        vat_held = sale.vat - sale.vat_back
        if not lines and not (nothing_left and (commission_held or vat_held)):
            continue
        goods = sum(line.goods_minor for line in lines)
        freight = sum(line.freight_minor for line in lines)
        base = goods + (freight if sale.base_rule == "goods_and_freight" else 0)
        upto = sale.base_back + base
        commission, vat = (
            (commission_held, vat_held)
            if nothing_left
            else (
                refund_share(sale.commission, sale.commission_back, upto, sale.base),
                refund_share(sale.vat, sale.vat_back, upto, sale.base),
            )
        )
        parts.append(
            {
                "merchant_id": cmd.merchant_id,
                "contract_id": sale.contract_id,
                "order_id": cmd.order_id,
                "kind": "refund",
                "currency": sale.currency,
                "goods_minor": -goods,
                "freight_minor": -freight,
                "discount_minor": 0,
                "base_minor": -base,
                "commission_minor": -commission,
                "vat_minor": -vat,
            }
        )
    return parts


async def _post(tx: Tx, cmd: RefundOrder, order: Any, refund_id: int, legs: tuple[Leg, ...]) -> Entry:
    at = cmd.refunded_at or tx.now
    entry = NewEntry(
        merchant_id=cmd.merchant_id,
        kind="order_refunded",
        source_id=refund_id,
        currency=order.currency,
        occurred_at=at,
        effective_on=local_date(at, order.zone),
        legs=legs,
    )
    [entry_no] = await ledger.post(tx, [entry])
    return await ledger.get_entry(tx, cmd.merchant_id, entry_no)


async def _store(tx: Tx, cmd: RefundOrder, refund_id: int, given_back: Sequence[RefundLine]) -> None:
    row = {
        "merchant_id": cmd.merchant_id,
        "refund_id": refund_id,
        "order_id": cmd.order_id,
        "goods_minor": sum(line.goods_minor for line in given_back),
        "freight_minor": sum(line.freight_minor for line in given_back),
        "reason": cmd.reason,
        "refunded_at": cmd.refunded_at or tx.now,
    }
    await tx.execute(insert(refund_table), row)
    await tx.execute(
        """
        UPDATE demand.order_line SET refunded_goods_minor = refunded_goods_minor + :goods,
               refunded_freight_minor = refunded_freight_minor + :freight
        WHERE merchant_id = :merchant AND order_id = :order AND line_no = :line_no
        """,
        [
            {
                "merchant": cmd.merchant_id,
                "order": cmd.order_id,
                "line_no": line.line_no,
                "goods": line.goods_minor,
                "freight": line.freight_minor,
            }
            for line in given_back
        ],
    )


async def _cancel(tx: Tx, cmd: RefundOrder) -> None:
    """An unsettled order of which nothing is left is cancelled and no longer due."""
    key = {"merchant": cmd.merchant_id, "order": cmd.order_id}
    await tx.execute(
        "UPDATE demand.merchant_order SET state = 'cancelled' WHERE merchant_id = :merchant AND order_id = :order", key
    )
    await remove_due_order(tx, cmd.merchant_id, cmd.order_id)
    await tx.execute("DELETE FROM billing.parked_order WHERE merchant_id = :merchant AND order_id = :order", key)
