"""Place a cart: one payment, one order per merchant, stock reserved until it is paid or the time to pay is over.

The price is computed again from the catalogue and must be the quoted one. A cart becomes one purchase: whoever places
it a second time gets the first result, under whatever key.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import msgspec

from billing.payments.model import CASH
from demand.carts.model import CartLine, Listing, Quote, QuoteLine, price
from marketplace.core.clock import local_date
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, Invalid, NotFound
from marketplace.core.idempotency import Answer, Ticket, earlier_answer, remember, twin_was_first
from marketplace.core.ids import time_ordered_id
from marketplace.core.money import allocate
from marketplace.flows.orders import place_order_sql as sql
from marketplace.flows.payers.bear_order import Borne, Merchant, bear_quote, reserve_shares
from marketplace.flows.payments.take_payment import capture_credit_only, hold_books

TIME_TO_PAY = timedelta(minutes=30)
"""How long stock stays reserved for a purchase that is not paid."""

TIME_TO_COLLECT = timedelta(days=30)
"""The same where it is cash, and the merchants collect the money themselves."""


class PlaceOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Place this cart at the price of this quote. method: the processor's token of what the buyer pays with.

    processor: the name of the one that is asked for the money. credit_minor: how much of it the buyer pays out of its
    credit. A method of `cash` asks nobody: each merchant collects at the door.
    """

    buyer_id: int
    cart_id: int
    quote: str
    method: str
    credit_minor: int = 0
    processor: str


class PlacedOrder(msgspec.Struct, frozen=True, kw_only=True):
    """One merchant's order of a purchase, in minor units. payer_minor: what third parties pay of the total."""

    merchant_id: int
    order_id: int
    goods_minor: int
    freight_minor: int
    total_minor: int
    payer_minor: int = 0


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """A purchase as it was placed. pay_minor goes through the processor, credit_minor out of the buyer's credit.

    expires_at: until when the stock waits for the payment. payer_minor: what third parties pay of the total.
    """

    purchase_id: int
    order_ref: str
    buyer_id: int
    currency: str
    total_minor: int
    pay_minor: int
    credit_minor: int
    payment_id: int
    expires_at: datetime
    orders: list[PlacedOrder]
    payer_minor: int = 0


class QuoteChanged(Conflict):
    """What the cart costs, or what is left of it, is not what was quoted; `quote` is the present one."""

    code = "quote-changed"
    title = "The cart is not what was quoted"


class OutOfStock(QuoteChanged):
    """The price is as quoted, but there is too little left: `out_of_stock` names what and how much is free."""

    code = "out-of-stock"
    title = "There is not enough of it left"


async def place_order(tx: Tx, ticket: Ticket, cmd: PlaceOrder, *, citus: bool = False) -> Answer:
    """Place the cart and store the answer under the request's key, in two round trips; more when credit pays it all, or
    when third parties pay a part.

    Raises NotFound, QuoteChanged, OutOfStock, Conflict for a cart that was dropped or credit that is not there,
    Invalid for more credit than the price. Nothing is stored then.
    """
    rows = await sql.read(tx, ticket, cmd.buyer_id, cmd.cart_id, cmd.processor, citus=citus)
    earlier = earlier_answer(ticket, rows[0])
    if earlier is not None:
        return earlier
    cart = rows[0]
    if cart["cart_state"] is None:
        raise NotFound(f"buyer {cmd.buyer_id} has no cart {cmd.cart_id}")
    if cart["cart_state"] == "placed":
        return await remember(tx, ticket, msgspec.json.encode(await read_placed(tx, cmd.buyer_id, cart["purchase_id"])))
    if cart["cart_state"] != "open":
        raise Conflict(f"cart {cmd.cart_id} is {cart['cart_state']}", state=cart["cart_state"])
    quote, borne = await _quote(tx, cart["currency"], rows)
    _check(quote, cmd)
    if cart["processor_id"] is None:
        raise Conflict(f"no payment processor {cmd.processor!r} is set up here: see MARKETPLACE_PROCESSOR_SECRET")
    placed = _placed(tx, cmd, quote)
    values = _values(tx, ticket, cmd, quote, placed, rows)
    if placed.pay_minor == 0:  # it is paid at once, and whoever posts takes the books before stock and credit
        await hold_books(tx, [order.merchant_id for order in placed.orders], with_house=True)
    if borne:
        order_ids = {order.merchant_id: order.order_id for order in placed.orders}
        await reserve_shares(tx, borne, order_ids, placed.order_ref)
    try:
        counts = await sql.write(tx.raw, values, citus=citus)
    except asyncpg.UniqueViolationError as fault:
        raise twin_was_first() from fault  # or an id that another process has made in the same millisecond
    _check_written(counts, values, cmd)
    if placed.pay_minor == 0:
        await capture_credit_only(tx, cmd.buyer_id, placed.payment_id)
    return Answer(ticket.status, values["body"], replayed=False)


async def _quote(tx: Tx, currency: str, rows: Sequence[Any]) -> tuple[Quote, list[Borne]]:
    """The present quote, and what third parties pay of it; who asks no payer costs no round trip."""
    lines = [
        CartLine(merchant_id=row["merchant_id"], product_id=row["product_id"], quantity=row["quantity"])
        for row in rows
        if row["merchant_id"] is not None
    ]
    quote = price(currency, lines, [listing for row in rows if (listing := listing_of(row)) is not None])
    if not rows[0]["payers"]:
        return quote, []
    return await bear_quote(tx, quote, merchants_of(rows), tx.now)


def listing_of(row: Any) -> Listing | None:
    """What a cart line's row finds in the catalogue, None when that is nothing."""
    if row["offer_currency"] is None:
        return None
    return Listing(
        merchant_id=row["merchant_id"],
        product_id=row["product_id"],
        title=row["title"],
        category=row["category"],
        currency=row["offer_currency"],
        price_minor=row["price_minor"],
        freight_minor=row["freight_minor"],
        sold=row["sold"],
        entity_id=row["entity_id"],
        free=row["free"],
    )


def merchants_of(rows: Sequence[Any]) -> dict[int, Merchant]:
    """What decides who pays a part of each merchant's order, of those whose listings were found."""
    return {
        row["merchant_id"]: Merchant(merchant_ref=row["merchant_ref"], entity_id=row["entity_id"], zone=row["zone"])
        for row in rows
        if row["offer_currency"] is not None
    }


def _check(quote: Quote, cmd: PlaceOrder) -> None:
    if not quote.lines:
        raise Conflict(f"cart {cmd.cart_id} is empty")
    if quote.quote != cmd.quote or not quote.placeable:
        problems = [
            f"product {line.product_id} of merchant {line.merchant_id} {line.problem}"
            for line in quote.lines
            if line.problem
        ]
        reason = "; ".join(problems) or ("quote: the price has changed" if quote.placeable else _unplaceable(quote))
        present = msgspec.to_builtins(quote)
        if quote.quote == cmd.quote and problems and all(line.free is not None for line in quote.lines if line.problem):
            raise OutOfStock(reason, quote=present, out_of_stock=_out_of_stock(quote))
        raise QuoteChanged(reason, quote=present)
    if cmd.credit_minor and cmd.method == CASH:
        raise Invalid("credit_minor: cash is not mixed with credit", pointer="/credit_minor")
    if cmd.credit_minor > quote.due_minor:
        raise Invalid(f"credit_minor: {cmd.credit_minor} is more than the total {quote.due_minor}")


def _out_of_stock(quote: Quote) -> list[dict[str, Any]]:
    names = ("merchant_id", "product_id", "title", "quantity", "free")
    return [{name: getattr(line, name) for name in names} for line in quote.lines if line.free is not None]


def _unplaceable(quote: Quote) -> str:
    if any(order.total_minor == 0 for order in quote.orders):
        return "what it holds of one merchant costs nothing, and nothing cannot be paid"
    return "its merchants belong to several legal entities, which one payment cannot serve, or it costs too much"


def _placed(tx: Tx, cmd: PlaceOrder, quote: Quote) -> Placed:
    purchase_id = time_ordered_id(tx.now)
    return Placed(
        purchase_id=purchase_id,
        order_ref=order_ref(purchase_id),
        buyer_id=cmd.buyer_id,
        currency=quote.currency,
        total_minor=quote.total_minor,
        pay_minor=quote.due_minor - cmd.credit_minor,
        credit_minor=cmd.credit_minor,
        payment_id=time_ordered_id(tx.now),
        expires_at=tx.now + (TIME_TO_COLLECT if cmd.method == CASH else TIME_TO_PAY),
        orders=[
            PlacedOrder(
                merchant_id=order.merchant_id,
                order_id=time_ordered_id(tx.now),
                goods_minor=order.goods_minor,
                freight_minor=order.freight_minor,
                total_minor=order.total_minor,
                payer_minor=order.total_minor - order.due_minor,
            )
            for order in quote.orders
        ],
        payer_minor=quote.total_minor - quote.due_minor,
    )


_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32: nothing that is misread or misheard


def order_ref(purchase_id: int) -> str:
    """The purchase's id as people write it down."""
    digits = []
    while purchase_id:
        purchase_id, digit = divmod(purchase_id, 32)
        digits.append(_ALPHABET[digit])
    return "P" + "".join(reversed(digits))


def _values(
    tx: Tx, ticket: Ticket, cmd: PlaceOrder, quote: Quote, placed: Placed, rows: Sequence[Any]
) -> dict[str, Any]:
    """The parameters of the writes, by name."""
    counted = [row for row in rows if row["counted"]]
    uncounted = [row for row in rows if not row["counted"]]
    body = msgspec.json.encode(placed)
    dues = [order.total_minor - order.payer_minor for order in placed.orders]
    credit_shares = allocate(cmd.credit_minor, dues)
    return {
        "now": tx.now,
        "today": local_date(tx.now, rows[0]["zone"]),
        "expires": placed.expires_at,
        "entity": rows[0]["entity_id"],
        "buyer": cmd.buyer_id,
        "cart": cmd.cart_id,
        "version": rows[0]["version"],
        "currency": quote.currency,
        "purchase": placed.purchase_id,
        "ref": placed.order_ref,
        "policy": rows[0]["policy_id"],
        "payment": placed.payment_id,
        "processor": rows[0]["processor_id"],
        "method": cmd.method,
        "amount": placed.pay_minor,
        "credit": placed.credit_minor,
        "command": time_ordered_id(tx.now),
        "event": time_ordered_id(tx.now),
        "placed": body.decode(),
        "uncounted_merchants": [row["merchant_id"] for row in uncounted],
        "uncounted_products": [row["product_id"] for row in uncounted],
        "stock_merchants": [row["merchant_id"] for row in counted],
        "stock_products": [row["product_id"] for row in counted],
        "stock_quantities": [row["quantity"] for row in counted],
        "order_merchants": [order.merchant_id for order in placed.orders],
        "order_ids": [order.order_id for order in placed.orders],
        "order_goods": [order.goods_minor for order in placed.orders],
        "order_freights": [order.freight_minor for order in placed.orders],
        "part_amounts": [due - credit for due, credit in zip(dues, credit_shares, strict=True)],
        "part_credits": credit_shares,
        **_line_values(quote.lines, placed, [row["contract_id"] for row in rows]),
        "actor": ticket.actor,
        "key": ticket.key,
        "fingerprint": ticket.fingerprint,
        "status": ticket.status,
        "body": body,
    }


def _line_values(lines: Sequence[QuoteLine], placed: Placed, contracts: Sequence[int | None]) -> dict[str, list[Any]]:
    """Lines are numbered within their merchant's order. Quote and rows stand in the same order."""
    order_of = {order.merchant_id: order.order_id for order in placed.orders}
    numbers: list[int] = []
    for position, line in enumerate(lines):
        same = position > 0 and lines[position - 1].merchant_id == line.merchant_id
        numbers.append(numbers[-1] + 1 if same else 1)
    return {
        "line_merchants": [line.merchant_id for line in lines],
        "line_orders": [order_of[line.merchant_id] for line in lines],
        "line_nos": numbers,
        "line_products": [line.product_id for line in lines],
        "line_categories": [line.category for line in lines],
        "line_titles": [line.title for line in lines],
        "line_quantities": [line.quantity for line in lines],
        "line_goods": [line.goods_minor for line in lines],
        "line_freights": [line.freight_minor for line in lines],
        "line_contracts": list(contracts),
    }


def _check_written(counts: dict[str, int], values: dict[str, Any], cmd: PlaceOrder) -> None:
    if counts["cart"] == 0:
        raise Conflict(f"cart {cmd.cart_id} was changed while it was being placed; quote it again")
    if counts["uncounted"] != len(values["uncounted_products"]):
        raise Conflict("the count of something in the cart has just begun; quote the cart again")
    if counts["reserved"] != len(values["stock_products"]):
        # The transaction starts again, and then sees what is left of it.
        raise asyncpg.SerializationError("somebody else has just bought the last of it")
    if cmd.credit_minor and counts["credit"] == 0:
        raise Conflict(
            f"credit_minor: the buyer's free credit is less than {cmd.credit_minor}", pointer="/credit_minor"
        )


async def read_placed(tx: Tx, buyer_id: int, purchase_id: int) -> Placed:
    """A purchase as it was placed, from its rows: with the first of its payments, where it was paid again."""
    payment = await tx.row(
        """
        SELECT p.order_ref, p.currency, y.payment_id, y.amount_minor, y.credit_minor, y.expires_at
        FROM demand.purchase p
        JOIN billing.payment y ON y.buyer_id = p.buyer_id AND y.purchase_id = p.purchase_id AND y.amendment_id IS NULL
        WHERE p.buyer_id = :buyer AND p.purchase_id = :purchase ORDER BY y.created_at, y.payment_id LIMIT 1
        """,
        buyer=buyer_id,
        purchase=purchase_id,
    )
    if payment is None:
        raise NotFound(f"buyer {buyer_id} has no purchase {purchase_id}")
    orders = await tx.rows(
        """
        SELECT p.merchant_id, p.order_id, p.amount_minor + p.credit_minor AS due,
               coalesce((SELECT sum(s.amount_minor) FROM billing.payer_share s
                         WHERE s.merchant_id = p.merchant_id AND s.source = 'order' AND s.source_id = p.order_id),
                        0)::bigint AS borne
        FROM billing.payment_part p WHERE p.payment_id = :payment ORDER BY p.merchant_id
        """,
        payment=payment.payment_id,
    )
    freights = await tx.rows(
        """
        SELECT l.merchant_id, l.order_id, sum(l.goods_minor)::bigint AS goods, sum(l.freight_minor)::bigint AS freight
        FROM demand.merchant_order o
        JOIN demand.order_line l ON l.merchant_id = o.merchant_id AND l.order_id = o.order_id AND l.amendment_id IS NULL
        WHERE o.buyer_id = :buyer AND o.purchase_id = :purchase GROUP BY l.merchant_id, l.order_id
        """,
        buyer=buyer_id,
        purchase=purchase_id,
    )
    borne = sum(order.borne for order in orders)
    split = {row.order_id: (row.goods, row.freight) for row in freights}
    return Placed(
        purchase_id=purchase_id,
        order_ref=payment.order_ref,
        buyer_id=buyer_id,
        currency=payment.currency,
        total_minor=payment.amount_minor + payment.credit_minor + borne,
        pay_minor=payment.amount_minor,
        credit_minor=payment.credit_minor,
        payment_id=payment.payment_id,
        expires_at=payment.expires_at,
        orders=[
            PlacedOrder(
                merchant_id=order.merchant_id,
                order_id=order.order_id,
                goods_minor=split[order.order_id][0],
                freight_minor=split[order.order_id][1],
                total_minor=order.due + order.borne,
                payer_minor=order.borne,
            )
            for order in orders
        ],
        payer_minor=borne,
    )
