"""Place a cart: one payment, one order per merchant, stock reserved until it is paid or the time to pay is over.

The price is computed again from the catalogue and must be the quoted one. A cart becomes one purchase: whoever places
it a second time gets the first result, under whatever key.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import asyncpg
import msgspec

from billing.payments.model import CASH
from demand.carts.model import CartLine, Listing, Quote, QuoteLine, price
from incentives.budgets.model import Slot
from marketplace.core.clock import local_date
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, Invalid, NotFound
from marketplace.core.idempotency import Answer, Ticket, earlier_answer, remember, twin_was_first
from marketplace.core.ids import time_ordered_id
from marketplace.core.money import allocate
from marketplace.flows.discounts.cover_discounts import reserve_covers
from marketplace.flows.discounts.quote_discounts import (
    Taken,
    joined_of,
    own_discounts,
    quote_discounts,
    rooms_of,
)
from marketplace.flows.discounts.reserve_discounts import (
    Checkout,
    asks_of,
    check_discounts_written,
    checkout_of,
    discount_values,
    discounts_of,
    reserve_exactly,
)
from marketplace.flows.discounts.use_voucher import find_voucher, use_voucher
from marketplace.flows.orders import place_order_sql as sql
from marketplace.flows.orders.read_placed import Placed, PlacedOrder, order_ref, read_placed
from marketplace.flows.payers.bear_order import Borne, Merchant, bear_quote, reserve_shares
from marketplace.flows.payments.take_payment import capture_credit_only, hold_books

TIME_TO_PAY = timedelta(minutes=30)
"""How long stock stays reserved for a purchase that is not paid."""

TIME_TO_COLLECT = timedelta(days=30)
"""The same where it is cash, and the merchants collect the money themselves."""


class PlaceOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Place this cart at the price of this quote. method: the processor's token of what the buyer pays with.

    codes: what the buyer has typed in. processor: the name of the one that is asked for the money. credit_minor: how
    much of it the buyer pays out of its credit. voucher: the code of one that it uses up for this order. A method of
    `cash` asks nobody: each merchant collects at the door.
    """

    buyer_id: int
    cart_id: int
    quote: str
    method: str
    credit_minor: int = 0
    codes: tuple[str, ...] = ()
    voucher: str | None = None
    processor: str


class QuoteChanged(Conflict):
    """What the cart costs, or what is left of it, is not what was quoted; `quote` is the present one."""

    code = "quote-changed"
    title = "The cart is not what was quoted"


class OutOfStock(QuoteChanged):
    """The price is as quoted, but there is too little left: `out_of_stock` names what and how much is free."""

    code = "out-of-stock"
    title = "There is not enough of it left"


async def place_order(tx: Tx, ticket: Ticket, cmd: PlaceOrder, *, citus: bool = False) -> Answer:
    """Place the cart and store the answer under the request's key, in two round trips; more when credit pays it all,
    when third parties pay a part, when merchants are to have joined a promotion, or its budget is nearly used up.

    Raises NotFound, QuoteChanged, OutOfStock, Conflict for a cart that was dropped or credit that is not there,
    Invalid for more credit than the price. Nothing is stored then.
    """
    rows = await sql.read(tx, ticket, cmd.buyer_id, cmd.cart_id, cmd.processor, cmd.codes, citus=citus)
    earlier = await _earlier(tx, ticket, cmd, rows[0])
    if earlier is not None:
        return earlier
    checkout = await checkout_of(tx, cmd.buyer_id, rows[0], cmd.codes)
    quote, taken, borne = await _agreed(tx, cmd, rows, checkout)
    if rows[0]["processor_id"] is None:
        raise Conflict(f"no payment processor {cmd.processor!r} is set up here: see MARKETPLACE_PROCESSOR_SECRET")
    purchase_id = time_ordered_id(tx.now)
    if cmd.voucher is not None:
        cmd = await _with_voucher(tx, cmd, cmd.voucher, quote, order_ref(purchase_id))
    placed = _placed(tx, cmd, quote, purchase_id)
    order_ids = {order.merchant_id: order.order_id for order in placed.orders}
    values = _values(tx, ticket, cmd, quote, placed, rows, taken)
    if placed.pay_minor == 0:  # it is paid at once, and whoever posts takes the books before stock and credit
        await hold_books(tx, [order.merchant_id for order in placed.orders], with_house=True)
    if borne:
        await reserve_shares(tx, borne, order_ids, placed.order_ref)
    if checkout is not None and taken:
        merchants = merchants_of(rows)
        discounts = discounts_of(tx, checkout, taken, order_ids)
        await reserve_covers(tx, discounts, merchants, placed.order_ref)  # caps before budgets, here as everywhere
        asks = asks_of(tx, checkout, taken, order_ids)
        reserved, short = await reserve_exactly(tx, checkout, taken, asks, merchants, citus=citus)
        if short is not None:
            present, _, _ = await _quote(tx, rows, checkout, short)
            raise QuoteChanged(_USED_UP, quote=msgspec.to_builtins(present))
        values |= discount_values(checkout, taken, discounts, asks, reserved=reserved)
    try:
        counts = await sql.write(tx.raw, values, citus=citus)
    except asyncpg.UniqueViolationError as fault:
        raise twin_was_first() from fault  # or an id that another process has made in the same millisecond
    _check_written(counts, values, cmd)
    if placed.pay_minor == 0:
        await capture_credit_only(tx, cmd.buyer_id, placed.payment_id)
    return Answer(ticket.status, values["body"], replayed=False)


async def _earlier(tx: Tx, ticket: Ticket, cmd: PlaceOrder, cart: Any) -> Answer | None:
    """The answer of whoever placed the cart before. Raises NotFound, and Conflict for a cart that was dropped."""
    earlier = earlier_answer(ticket, cart)
    if earlier is not None:
        return earlier
    if cart["cart_state"] is None:
        raise NotFound(f"buyer {cmd.buyer_id} has no cart {cmd.cart_id}")
    if cart["cart_state"] == "placed":
        return await remember(tx, ticket, msgspec.json.encode(await read_placed(tx, cmd.buyer_id, cart["purchase_id"])))
    if cart["cart_state"] != "open":
        raise Conflict(f"cart {cmd.cart_id} is {cart['cart_state']}", state=cart["cart_state"])
    return None


async def _agreed(
    tx: Tx, cmd: PlaceOrder, rows: Sequence[Any], checkout: Checkout | None
) -> tuple[Quote, list[Taken], list[Borne]]:
    """As `_quote`, which must be the quote that the buyer has seen. Raises as `_check`."""
    look = checkout is not None and bool(checkout.live.contracts)  # caps of payers are looked at first
    found = await _quote(tx, rows, checkout, look=look)
    if checkout is not None and not look and found[0].quote != cmd.quote:  # a budget may be short
        found = await _quote(tx, rows, checkout, look=True)
    _check(found[0], cmd)
    return found


_USED_UP = "quote: the budget of a promotion has just been used up"


async def _quote(
    tx: Tx,
    rows: Sequence[Any],
    checkout: Checkout | None,
    rooms: Mapping[Slot, int] | None = None,
    *,
    look: bool = False,
) -> tuple[Quote, list[Taken], list[Borne]]:
    """The present quote, what promotions take off it and third parties pay of the rest; who asks no payer costs no
    round trip. rooms: what budgets have left; look: that this is read here."""
    lines = [
        CartLine(merchant_id=row["merchant_id"], product_id=row["product_id"], quantity=row["quantity"])
        for row in rows
        if row["merchant_id"] is not None
    ]
    quote = price(rows[0]["currency"], lines, [listing for row in rows if (listing := listing_of(row)) is not None])
    taken: list[Taken] = []
    if checkout is not None:
        if look:
            rooms = await rooms_of(tx, checkout.live, merchants_of(rows), tx.now)
        merchants = merchants_of(rows)
        joined = await joined_of(tx, checkout.live, merchants, checkout.shopper.buyer_id)
        quote, taken = quote_discounts(checkout.live, quote, checkout.shopper, merchants, tx.now, rooms, joined)
    if not rows[0]["payers"]:
        return quote, taken, []
    quote, borne = await bear_quote(tx, quote, merchants_of(rows), tx.now)
    return quote, taken, borne


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
    """What decides who pays a part of each merchant's order and what is off it, where listings were found."""
    return {
        row["merchant_id"]: Merchant(**{name: row[name] for name in Merchant.__struct_fields__})
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
    if any(order.total_minor in {0, order.discount_minor} for order in quote.orders):
        return "what it holds of one merchant costs nothing, and nothing cannot be paid"
    return "its merchants belong to several legal entities, which one payment cannot serve, or it costs too much"


async def _with_voucher(tx: Tx, cmd: PlaceOrder, code: str, quote: Quote, ref: str) -> PlaceOrder:
    """What a voucher brings is credit, of which the order takes what it needs. Whoever posts takes the books first."""
    if cmd.method == CASH:
        raise Invalid("voucher: cash is not mixed with credit", pointer="/voucher")
    found = await find_voucher(tx, cmd.buyer_id, code)
    merchants = [order.merchant_id for order in quote.orders]
    await hold_books(tx, merchants, with_house=True, other_houses=[found.house_id])
    minor = await use_voucher(tx, cmd.buyer_id, found, quote.currency, quote.due_minor, ref)
    more = min(minor, quote.due_minor - cmd.credit_minor)
    return msgspec.structs.replace(cmd, credit_minor=cmd.credit_minor + more)


def _placed(tx: Tx, cmd: PlaceOrder, quote: Quote, purchase_id: int) -> Placed:
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
                payer_minor=order.total_minor - order.discount_minor - order.due_minor,
                discount_minor=order.discount_minor,
            )
            for order in quote.orders
        ],
        payer_minor=quote.total_minor - quote.discount_minor - quote.due_minor,
        discount_minor=quote.discount_minor,
    )


def _values(
    tx: Tx,
    ticket: Ticket,
    cmd: PlaceOrder,
    quote: Quote,
    placed: Placed,
    rows: Sequence[Any],
    taken: Sequence[Taken],
) -> dict[str, Any]:
    """The parameters of the writes, by name."""
    counted = [row for row in rows if row["counted"]]
    uncounted = [row for row in rows if not row["counted"]]
    body = msgspec.json.encode(placed)
    dues = [order.total_minor - order.discount_minor - order.payer_minor for order in placed.orders]
    own = _own_discounts(quote, taken)
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
        "order_discounts": [sum(own[order.merchant_id]) for order in placed.orders],
        "part_amounts": [due - credit for due, credit in zip(dues, credit_shares, strict=True)],
        "part_credits": credit_shares,
        **_line_values(quote.lines, placed, [row["contract_id"] for row in rows]),
        "line_discounts": [minor for order in placed.orders for minor in own[order.merchant_id]],
        "actor": ticket.actor,
        "key": ticket.key,
        "fingerprint": ticket.fingerprint,
        "status": ticket.status,
        "body": body,
    }


def _own_discounts(quote: Quote, taken: Sequence[Taken]) -> dict[int, list[int]]:
    """What each merchant itself takes off the lines of its order. Quote and orders stand in the same order."""
    lines = Counter(line.merchant_id for line in quote.lines)
    return {merchant_id: own_discounts(taken, merchant_id, count) for merchant_id, count in lines.items()}


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
    if "discounts" in values:
        check_discounts_written(counts, values)
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
