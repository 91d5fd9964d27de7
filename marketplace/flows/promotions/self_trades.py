"""Orders that a merchant's own people have placed with it count for nothing: nobody is paid for buying of itself.

Buyers are known by what the shop calls them. It is one of the merchant's people where that is their login or e-mail
address, or the telephone number or tax id that the merchant itself has given.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from marketplace.core.db import Tx
from marketplace.flows.promotions.grant_rewards_sql import Settled
from supply.leads.identity import phone_key, tax_key

_PHONE_SIGNS = frozenset("0123456789+-()/. ")

# :merchants NULL stands for all. A login, an e-mail address, a telephone number or a tax id, and whose people have it.
_KEYS = """
SELECT u.merchant_id, 'name' AS kind, lower(n.name) AS key
FROM core.app_user u, unnest(ARRAY[u.login, u.email]) AS n (name)
WHERE u.merchant_id IS NOT NULL AND n.name IS NOT NULL
  AND (CAST(:merchants AS bigint[]) IS NULL OR u.merchant_id = ANY(:merchants))
UNION ALL
SELECT l.merchant_id, n.kind, n.key
FROM supply.lead l, unnest(ARRAY['phone', 'tax'], ARRAY[l.phone_key, l.tax_key]) AS n (kind, key)
WHERE l.merchant_id IS NOT NULL AND n.key IS NOT NULL
  AND (CAST(:merchants AS bigint[]) IS NULL OR l.merchant_id = ANY(:merchants))
UNION ALL
SELECT p.merchant_id, 'tax', p.tax_id FROM billing.billing_party p
WHERE (CAST(:merchants AS bigint[]) IS NULL OR p.merchant_id = ANY(:merchants))
"""

# Those whom a key may fit: telephone numbers are written in many ways, and what is not ASCII is not folded here.
_BUYERS = """
SELECT buyer_id, buyer_ref FROM demand.buyer
WHERE buyer_id = ANY(:buyers)
  AND (lower(buyer_ref) = ANY(:names) OR (:phones AND buyer_ref ~ '^[0-9+()/. -]+$')
       OR upper(regexp_replace(buyer_ref, '[^A-Za-z0-9]', '', 'g')) = ANY(:taxes)
       OR octet_length(buyer_ref) <> char_length(buyer_ref))
"""


class OwnPeople:
    """By what merchants' own people are called, the merchants."""

    def __init__(self) -> None:
        self.names: dict[str, set[int]] = defaultdict(set)
        self.phones: dict[str, set[int]] = defaultdict(set)
        self.taxes: dict[str, set[int]] = defaultdict(set)

    def merchants_of(self, buyer_ref: str) -> set[int]:
        """Of which merchants a buyer that the shop calls so is one of the people."""
        found = self.names.get(buyer_ref.lower(), set()) | self.taxes.get(tax_key(buyer_ref) or "", set())
        if _PHONE_SIGNS.issuperset(buyer_ref):
            found = found | self.phones.get(phone_key(buyer_ref) or "", set())
        return found


async def own_people(tx: Tx, merchant_ids: Sequence[int] | None = None) -> OwnPeople:
    """The people of these merchants, or of all."""
    people = OwnPeople()
    of = {"name": people.names, "phone": people.phones, "tax": people.taxes}
    for row in await tx.rows(_KEYS, merchants=merchant_ids):
        key = tax_key(row.key) if row.kind == "tax" else row.key
        if key:
            of[row.kind][key].add(row.merchant_id)
    return people


async def self_trades(tx: Tx, people: OwnPeople, buyer_ids: Iterable[int]) -> set[tuple[int, int]]:
    """Merchants with the buyers among these who are their own people."""
    if not (people.names or people.phones or people.taxes):
        return set()
    rows = await tx.rows(
        _BUYERS,
        buyers=sorted(set(buyer_ids)),
        names=sorted(people.names),
        phones=bool(people.phones),
        taxes=sorted(people.taxes),
    )
    return {(merchant_id, row.buyer_id) for row in rows for merchant_id in people.merchants_of(row.buyer_ref)}


async def with_self_trades(tx: Tx, orders: Mapping[int, Sequence[Settled]]) -> dict[int, list[Settled]]:
    """The orders, by merchant, those of its own people marked."""
    buyer_ids = {order.buyer_id for of in orders.values() for order in of}
    own = await self_trades(tx, await own_people(tx, list(orders)), buyer_ids) if buyer_ids else set()
    return {
        merchant_id: [
            msgspec.structs.replace(each, self_trade=True) if (merchant_id, each.buyer_id) in own else each
            for each in of
        ]
        for merchant_id, of in orders.items()
    }
