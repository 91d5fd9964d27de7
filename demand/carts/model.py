"""Carts, and the quote that says what a cart costs. Pure. Amounts are minor units of the cart's currency."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Annotated

import msgspec

from marketplace.core.money import AMOUNT_MAX

LINES_MAX = 100
QUANTITY_MAX = 9_999


class CartLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """So many units of a merchant's listing."""

    merchant_id: int
    product_id: int
    quantity: Annotated[int, msgspec.Meta(ge=1, le=QUANTITY_MAX)]


class Cart(msgspec.Struct, frozen=True, kw_only=True):
    """A buyer's cart. purchase_id: what it became, once it is placed. version counts its changes."""

    buyer_id: int
    cart_id: int
    currency: str
    state: str
    purchase_id: int | None
    version: int
    created_at: datetime
    updated_at: datetime
    lines: list[CartLine]


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """What a cart line finds in the catalogue: price and freight of one unit, None where there is no such listing.

    free: units that are not promised to others, None where they are not counted.
    """

    merchant_id: int
    product_id: int
    title: str = ""
    category: str | None = None
    currency: str | None = None
    price_minor: int = 0
    freight_minor: int = 0
    sold: bool = False
    entity_id: int = 0
    free: int | None = None


class QuoteLine(msgspec.Struct, frozen=True, kw_only=True):
    """goods_minor and freight_minor are of the whole quantity. problem: why it cannot be bought now, None if it can.

    free: how many units there are, where that is less than the quantity. discount_minor: what promotions take off the
    goods.
    """

    merchant_id: int
    product_id: int
    title: str
    category: str | None
    quantity: int
    price_minor: int
    goods_minor: int
    freight_minor: int
    problem: str | None
    free: int | None = None
    discount_minor: int = 0


class PayerPart(msgspec.Struct, frozen=True, kw_only=True):
    """What a third party pays of an order. note: why it is not more; None when nothing held it back.

    `order_cap`, `cap_left`: a cap gave no more; `cap_exhausted`: it gives nothing any more; `price`: nothing was left.
    """

    contract_id: int
    payer: str
    contract: str
    amount_minor: int
    note: str | None


class PromotionPart(msgspec.Struct, frozen=True, kw_only=True):
    """What a promotion takes off an order; with nothing, `reason` says why."""

    promotion_id: int
    promotion: str
    amount_minor: int
    reason: str | None = None


class QuotedOrder(msgspec.Struct, frozen=True, kw_only=True):
    """One merchant's share of a quote: the order it would become.

    total_minor: its price. discount_minor: what promotions take off it. due_minor: what they and the payers leave to
    the buyer.
    """

    merchant_id: int
    goods_minor: int
    freight_minor: int
    total_minor: int
    due_minor: int
    payers: list[PayerPart] = []
    discount_minor: int = 0
    promotions: list[PromotionPart] = []


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """What a cart costs now. `quote` names exactly these lines at these prices: placing repeats it, so that what is
    charged is what was shown, or nothing. due_minor: what the buyer pays; the rest is taken off by promotions, or
    third parties pay it. voucher_minor: what of that a voucher pays that was named with it."""

    quote: str
    currency: str
    lines: list[QuoteLine]
    orders: list[QuotedOrder]
    goods_minor: int
    freight_minor: int
    total_minor: int
    due_minor: int
    placeable: bool
    discount_minor: int = 0
    voucher_minor: int = 0


def price(currency: str, lines: Sequence[CartLine], listings: Iterable[Listing]) -> Quote:
    """The quote of cart lines, in the order of merchant and product."""
    found = {(listing.merchant_id, listing.product_id): listing for listing in listings}
    quoted = []
    for line in sorted(lines, key=_key):
        listing = found.get(_key(line)) or Listing(merchant_id=line.merchant_id, product_id=line.product_id)
        problem = _problem(currency, line, listing)
        short = _short_of(line, listing) if problem is None else None
        quoted.append(
            QuoteLine(
                merchant_id=line.merchant_id,
                product_id=line.product_id,
                title=listing.title,
                category=listing.category,
                quantity=line.quantity,
                price_minor=listing.price_minor,
                goods_minor=listing.price_minor * line.quantity,
                freight_minor=listing.freight_minor * line.quantity,
                problem=problem if short is None else f"only {short} left",
                free=short,
            )
        )
    orders = [_order(merchant_id, list(group)) for merchant_id, group in groupby(quoted, lambda line: line.merchant_id)]
    total = sum(order.total_minor for order in orders)
    entities = {found[_key(line)].entity_id for line in quoted if not line.problem}
    return Quote(
        quote=_digest(currency, quoted),
        currency=currency,
        lines=quoted,
        orders=orders,
        goods_minor=sum(order.goods_minor for order in orders),
        freight_minor=sum(order.freight_minor for order in orders),
        total_minor=total,
        due_minor=total,
        placeable=total <= AMOUNT_MAX
        and len(entities) == 1
        and all(order.total_minor > 0 for order in orders)
        and not any(line.problem for line in quoted),
    )


def _key(line: CartLine | QuoteLine) -> tuple[int, int]:
    return line.merchant_id, line.product_id


def _problem(currency: str, line: CartLine, listing: Listing) -> str | None:
    if not listing.sold:
        return "is not for sale"
    if listing.currency != currency:
        return f"is sold in {listing.currency}, not in {currency}"
    return None


def _short_of(line: CartLine, listing: Listing) -> int | None:
    """How many units are left where they are too few."""
    return None if listing.free is None or listing.free >= line.quantity else max(listing.free, 0)


def _order(merchant_id: int, lines: Sequence[QuoteLine]) -> QuotedOrder:
    goods = sum(line.goods_minor for line in lines)
    freight = sum(line.freight_minor for line in lines)
    total = goods + freight
    return QuotedOrder(
        merchant_id=merchant_id, goods_minor=goods, freight_minor=freight, total_minor=total, due_minor=total
    )


def take_off(
    quote: Quote, parts: Mapping[int, Sequence[PromotionPart]], line_minor: Mapping[int, Sequence[int]]
) -> Quote:
    """The quote with what promotions take off each merchant's order, and off its lines; its name says how much."""
    left = {merchant_id: iter(of) for merchant_id, of in line_minor.items()}
    lines = [
        msgspec.structs.replace(line, discount_minor=next(left[line.merchant_id])) if line.merchant_id in left else line
        for line in quote.lines
    ]
    orders = []
    for order in quote.orders:
        minor = sum(part.amount_minor for part in parts.get(order.merchant_id, ()))
        orders.append(
            msgspec.structs.replace(
                order,
                promotions=list(parts.get(order.merchant_id, ())),
                discount_minor=minor,
                due_minor=order.due_minor - minor,
            )
        )
    given = [
        (order.merchant_id, part.promotion_id, part.amount_minor)
        for order in orders
        for part in order.promotions
        if part.amount_minor
    ]
    return msgspec.structs.replace(
        quote,
        quote=hashlib.sha256(msgspec.json.encode((quote.quote, given))).hexdigest()[:32] if given else quote.quote,
        lines=lines,
        orders=orders,
        due_minor=sum(order.due_minor for order in orders),
        discount_minor=sum(order.discount_minor for order in orders),
    )


def share_with_payers(quote: Quote, parts: Mapping[int, Sequence[PayerPart]]) -> Quote:
    """The quote with what third parties pay of each merchant's order; its name says how much that is."""
    orders = [
        msgspec.structs.replace(
            order,
            payers=list(parts.get(order.merchant_id, ())),
            due_minor=order.due_minor - sum(part.amount_minor for part in parts.get(order.merchant_id, ())),
        )
        for order in quote.orders
    ]
    shared = [(order.merchant_id, part.contract_id, part.amount_minor) for order in orders for part in order.payers]
    return msgspec.structs.replace(
        quote,
        quote=hashlib.sha256(msgspec.json.encode((quote.quote, shared))).hexdigest()[:32],
        orders=orders,
        due_minor=sum(order.due_minor for order in orders),
    )


def _digest(currency: str, lines: Sequence[QuoteLine]) -> str:
    priced = [
        (line.merchant_id, line.product_id, line.quantity, line.goods_minor, line.freight_minor) for line in lines
    ]
    return hashlib.sha256(msgspec.json.encode((currency, priced))).hexdigest()[:32]
