"""What a cart costs now: its lines against the catalogue, the merchants' states and what is left on the shelves; what
promotions take off it, as far as their budgets reach, and what third parties pay of the rest.
"""

from collections.abc import Sequence

import msgspec

from demand.carts.model import Cart, Quote, price
from marketplace.core.db import Tx
from marketplace.flows.discounts.quote_discounts import BUYER, joined_of, quote_discounts, rooms_of, shopper_of
from marketplace.flows.discounts.read_live import read_live
from marketplace.flows.discounts.use_voucher import quote_voucher
from marketplace.flows.orders.place_order import listing_of, merchants_of
from marketplace.flows.payers.bear_order import bear_quote


async def quote_cart(tx: Tx, cart: Cart, codes: Sequence[str] = (), voucher: str | None = None) -> Quote:
    """Price a cart as placing it with these codes, and this voucher, would. Reserves nothing.

    Raises Conflict for a voucher that cannot be used for it.
    """
    rows = await tx.raw.fetch(
        _LISTINGS, [line.merchant_id for line in cart.lines], [line.product_id for line in cart.lines]
    )
    quote = price(cart.currency, cart.lines, [listing for row in rows if (listing := listing_of(row)) is not None])
    buyer = await tx.raw.fetchrow(_BUYER, cart.buyer_id, list(codes), tx.now)
    if buyer is not None:
        live = await read_live(tx, buyer["epoch"])
        if live.plans:
            merchants = merchants_of(rows)
            rooms = await rooms_of(tx, live, merchants, tx.now)
            shopper = shopper_of(cart.buyer_id, buyer, tx.now, codes)
            joined = await joined_of(tx, live, merchants, cart.buyer_id)
            quote, _ = quote_discounts(live, quote, shopper, merchants, tx.now, rooms, joined)
    if rows and rows[0]["payers"]:
        quote, _ = await bear_quote(tx, quote, merchants_of(rows), tx.now)
    if voucher is None:
        return quote
    minor = await quote_voucher(tx, cart.buyer_id, voucher, quote.currency, quote.due_minor)
    return msgspec.structs.replace(quote, voucher_minor=minor)


_BUYER = BUYER.format(buyer="$1", codes="$2", now="$3", locks="")
_LISTINGS = """
SELECT o.merchant_id, o.product_id, o.title, o.category, o.currency AS offer_currency, o.price_minor, o.freight_minor,
       o.state = 'listed' AND m.state = 'live' AS sold, m.entity_id,
       CASE WHEN o.counted THEN s.on_hand - s.reserved END AS free, m.merchant_ref, e.zone, m.region,
       coalesce(m.joined_on::timestamptz, m.created_at) AS since,
       EXISTS (SELECT FROM billing.payer_contract WHERE pays = 'order') AS payers
FROM unnest($1::bigint[], $2::bigint[]) AS l (merchant_id, product_id)
JOIN supply.offer o ON o.merchant_id = l.merchant_id AND o.product_id = l.product_id
JOIN supply.merchant m ON m.merchant_id = o.merchant_id
JOIN billing.entity e ON e.entity_id = m.entity_id
LEFT JOIN supply.stock s ON s.merchant_id = o.merchant_id AND s.product_id = o.product_id
"""
