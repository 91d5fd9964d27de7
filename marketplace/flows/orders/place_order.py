"""Place a cart: one payment, one order per merchant, stock reserved until it is paid or the time to pay is over.

The price is computed again from the catalogue and must be the quoted one. A cart becomes one purchase: whoever places
it a second time gets the first result, under whatever key.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg
import msgspec

from billing.payments.model import CASH
from demand.carts.model import CartLine, Listing, Quote, price
from incentives.budgets.model import Slot
from marketplace.core.db import Tx
from marketplace.core.errors import AppError, Conflict, Invalid, NotFound
from marketplace.core.idempotency import Answer, Ticket, earlier_answer, remember, twin_was_first
from marketplace.core.ids import time_ordered_id
from marketplace.flows.discounts.cover_discounts import reserve_covers
from marketplace.flows.discounts.quote_discounts import (
    Taken,
    joined_of,
    quote_discounts,
    rooms_of,
)
from marketplace.flows.discounts.reserve_discounts import (
    Checkout,
    Discounted,
    asks_of,
    check_discounts_written,
    checkout_of,
    discount_values,
    discounts_of,
    reserve_exactly,
)
from marketplace.flows.discounts.use_voucher import find_voucher, use_voucher
from marketplace.flows.orders import place_on_cluster as cluster
from marketplace.flows.orders import place_order_sql as sql
from marketplace.flows.orders.placement import Placement, PlaceOrder, placement_of, values_of
from marketplace.flows.orders.read_placed import order_ref, read_placed
from marketplace.flows.payers.bear_order import Borne, Merchant, bear_quote, reserve_shares
from marketplace.flows.payments.take_payment import capture_credit_only, hold_books


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
    asked = sql.Asked(ticket=ticket, buyer_id=cmd.buyer_id, cart_id=cmd.cart_id)
    if citus:
        rows = await cluster.read(tx, asked, cmd.processor, cmd.codes)
    else:
        [rows] = await sql.read(tx, [asked], cmd.processor, cmd.codes)
    earlier = await _earlier(tx, ticket, cmd, rows[0])
    if earlier is not None:
        return earlier
    checkout = await checkout_of(tx, cmd.buyer_id, rows[0], cmd.codes)
    quote, taken, borne = await _agreed(tx, cmd, rows, checkout)
    _check_processor(cmd, rows)
    purchase_id = time_ordered_id(tx.now)
    if cmd.voucher is not None:
        cmd = await _with_voucher(tx, cmd, cmd.voucher, quote, order_ref(purchase_id))
    one = placement_of(tx.now, ticket, cmd, quote, rows, taken, purchase_id)
    placed = one.placed
    values = values_of(tx.now, [one])
    if placed.pay_minor == 0:  # it is paid at once, and whoever posts takes the books before stock and credit
        await hold_books(tx, [order.merchant_id for order in placed.orders], with_house=True)
    if borne:
        await reserve_shares(tx, borne, one.order_ids, placed.order_ref)
    if checkout is not None and (off := _discounted(tx, checkout, one)) is not None:
        merchants = merchants_of(rows)
        await reserve_covers(tx, off.discounts, merchants, placed.order_ref)  # caps before budgets, as everywhere
        reserved, short = await reserve_exactly(tx, checkout, taken, off.asks, merchants, citus=citus)
        if short is not None:
            present, _, _ = await _quote(tx, rows, checkout, short)
            raise QuoteChanged(_USED_UP, quote=msgspec.to_builtins(present))
        values |= discount_values([msgspec.structs.replace(off, asks=()) if reserved else off])
    try:
        counts = await (cluster.write if citus else sql.write)(tx.raw, values)
    except asyncpg.UniqueViolationError as fault:
        raise twin_was_first() from fault  # or an id that another process has made in the same millisecond
    _check_written(counts, values, cmd)
    if placed.pay_minor == 0:
        await capture_credit_only(tx, cmd.buyer_id, placed.payment_id)
    return Answer(ticket.status, one.body, replayed=False)


def _check_processor(cmd: PlaceOrder, rows: Sequence[Any]) -> None:
    if rows[0]["processor_id"] is None:
        raise Conflict(f"no payment processor {cmd.processor!r} is set up here: see MARKETPLACE_PROCESSOR_SECRET")


class PlaceAlone(Exception):
    """Carts that were to be placed together are to be placed one by one: something came in between."""


_IN_BETWEEN = (
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.TransactionRollbackError,
    asyncpg.LockNotAvailableError,
)
_PATIENCE = "100ms"
"""How long carts that are placed together wait for a row of somebody else's: others wait behind them."""


async def place_together(tx: Tx, asked: Sequence[tuple[Ticket, PlaceOrder]]) -> list[Answer | AppError | None]:
    """Place carts of different buyers in two round trips for all of them: for each its answer, or why it is refused.

    None for one of which more is to be found out, or done: `place_order` is for it. What is asked for is `is_plain`, at
    one processor. Raises PlaceAlone; nothing is stored then.
    """
    wanted = [sql.Asked(ticket=ticket, buyer_id=cmd.buyer_id, cart_id=cmd.cart_id) for ticket, cmd in asked]
    outcomes: list[Answer | AppError | None] = []
    placements: list[Placement] = []
    discounted: list[Discounted] = []
    try:
        found = await sql.read(tx, wanted, asked[0][1].processor, (), patience=_PATIENCE)
        for (ticket, cmd), rows in zip(asked, found, strict=True):
            try:
                one = await _plainly(tx, ticket, cmd, rows)
            except AppError as refusal:
                outcomes.append(refusal)
                continue
            if isinstance(one, tuple):
                placement, off = one
                placements.append(placement)
                discounted += [] if off is None else [off]
                outcomes.append(Answer(ticket.status, placement.body, replayed=False))
            else:
                outcomes.append(one)
        if placements:
            await _write_together(tx, placements, discounted)
    except _IN_BETWEEN as fault:
        raise PlaceAlone from fault
    return outcomes


async def _write_together(tx: Tx, placements: Sequence[Placement], discounted: Sequence[Discounted]) -> None:
    values = values_of(tx.now, placements)
    if discounted:
        values |= discount_values(discounted)
    counts = await sql.write(tx.raw, values)
    if discounted:
        check_discounts_written(counts, values)
    found = tuple(counts[name] for name in ("uncounted", "reserved", "carts"))
    if found != (len(values["uncounted_products"]), len(values["stock_products"]), len(placements)):
        raise PlaceAlone


def is_plain(cmd: PlaceOrder) -> bool:
    """Whether a cart may be placed together with others: the processor alone is asked for the money."""
    return not (cmd.credit_minor or cmd.codes or cmd.voucher)


async def _plainly(
    tx: Tx, ticket: Ticket, cmd: PlaceOrder, rows: Sequence[Any]
) -> Answer | tuple[Placement, Discounted | None] | None:
    """A cart as it is placed, and what is taken off it, where nothing has to be asked but what `rows` say; else None,
    or its earlier answer."""
    row = rows[0]
    if (earlier := earlier_answer(ticket, row)) is not None:
        return earlier
    if row["cart_state"] == "placed" or row["payers"] or (row["epoch"] is not None and not row["alone"]):
        return None
    await _earlier(tx, ticket, cmd, row)
    checkout = await checkout_of(tx, cmd.buyer_id, row, cmd.codes)
    if checkout is not None and (checkout.live.contracts or any(checkout.live.joined.values())):
        return None
    quote, taken, _ = await _quote(tx, rows, checkout)
    if checkout is not None and quote.quote != cmd.quote:
        return None
    _check(quote, cmd)
    _check_processor(cmd, rows)
    one = placement_of(tx.now, ticket, cmd, quote, rows, taken)
    if one.placed.pay_minor == 0:  # it is paid at once, and whoever posts takes the books before stock
        return None
    off = None if checkout is None else _discounted(tx, checkout, one)
    return None if off is not None and off.may_be_short else (one, off)


def _discounted(tx: Tx, checkout: Checkout, one: Placement) -> Discounted | None:
    """What promotions take off a cart, None when that is nothing."""
    if not one.taken:
        return None
    discounts = discounts_of(tx, checkout, one.taken, one.order_ids)
    asks = asks_of(tx, checkout, one.taken, one.order_ids)
    return Discounted(checkout=checkout, taken=one.taken, discounts=discounts, asks=asks)


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


def _check_written(counts: dict[str, int], values: dict[str, Any], cmd: PlaceOrder) -> None:
    if "discounts" in values:
        check_discounts_written(counts, values)
    if counts["carts"] == 0:
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
