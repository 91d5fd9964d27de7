"""Orders that a merchant's own people have placed with it count for nothing: nobody is paid for buying of itself.

Buyers are known by what the shop calls them. It is one of the merchant's people where that is their login or e-mail
address, or the telephone number or tax id that the merchant itself has given.
"""

from collections.abc import Mapping, Sequence

import msgspec

from marketplace.core.db import Tx
from marketplace.flows.promotions.grant_rewards_sql import Settled
from supply.leads.identity import phone_key, tax_key

_PHONE_SIGNS = frozenset("0123456789+-()/. ")


_PEOPLE = """
SELECT 'name' AS kind, u.merchant_id, lower(unnest(ARRAY[u.login, u.email])) AS said
FROM core.app_user u WHERE u.merchant_id = ANY(:merchants)
UNION ALL SELECT 'phone', l.merchant_id, l.phone_key FROM supply.lead l WHERE l.merchant_id = ANY(:merchants)
UNION ALL SELECT 'tax', l.merchant_id, l.tax_key FROM supply.lead l WHERE l.merchant_id = ANY(:merchants)
UNION ALL SELECT 'paper', p.merchant_id, p.tax_id FROM billing.billing_party p WHERE p.merchant_id = ANY(:merchants)
"""

Sign = tuple[str, str | None]
"""What somebody is known by: of which kind, and it."""


async def with_self_trades(tx: Tx, orders: Mapping[int, Sequence[Settled]]) -> dict[int, list[Settled]]:
    """The orders, by merchant, those of its own people marked."""
    buyer_ids = sorted({order.buyer_id for of in orders.values() for order in of})
    if not buyer_ids:
        return {merchant_id: [] for merchant_id in orders}
    own: dict[int, set[Sign]] = {}
    for row in await tx.rows(_PEOPLE, merchants=list(orders)):
        sign = ("tax", tax_key(row.said or "")) if row.kind == "paper" else (row.kind, row.said)
        if sign[1] is not None:
            own.setdefault(row.merchant_id, set()).add(sign)
    refs = await tx.rows("SELECT buyer_id, buyer_ref FROM demand.buyer WHERE buyer_id = ANY(:buyers)", buyers=buyer_ids)
    known = {row.buyer_id: _signs(row.buyer_ref) for row in refs}
    return {
        merchant_id: [
            msgspec.structs.replace(each, self_trade=True)
            if not own.get(merchant_id, set()).isdisjoint(known.get(each.buyer_id, ()))
            else each
            for each in of
        ]
        for merchant_id, of in orders.items()
    }


def _signs(ref: str) -> tuple[Sign, ...]:
    """What a buyer may be known by, whom the shop calls so."""
    phone = phone_key(ref) if _PHONE_SIGNS.issuperset(ref) else None
    return ("name", ref.lower()), ("phone", phone), ("tax", tax_key(ref))
