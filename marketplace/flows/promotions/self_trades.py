"""Orders that a merchant's own people have placed with it count for nothing: nobody is paid for buying of itself.

Buyers are known by what the shop calls them. It is one of the merchant's people where that is their login or e-mail
address, or the telephone number or tax id that the merchant itself has given.
"""

from collections.abc import Sequence

import msgspec

from marketplace.core.db import Tx
from marketplace.flows.promotions.grant_rewards_sql import Settled
from supply.leads.identity import phone_key, tax_key

_PHONE_SIGNS = frozenset("0123456789+-()/. ")


async def with_self_trades(tx: Tx, merchant_id: int, orders: Sequence[Settled]) -> list[Settled]:
    """The orders, those of the merchant's own people marked."""
    if not orders:
        return []
    row = await tx.row(
        """
        SELECT ARRAY(SELECT lower(unnest(ARRAY[u.login, u.email])) FROM core.app_user u WHERE u.merchant_id = :merchant)
                   AS names,
               ARRAY(SELECT l.phone_key FROM supply.lead l WHERE l.merchant_id = :merchant) AS phones,
               ARRAY(SELECT l.tax_key FROM supply.lead l WHERE l.merchant_id = :merchant) AS taxes,
               ARRAY(SELECT p.tax_id FROM billing.billing_party p WHERE p.merchant_id = :merchant) AS papers
        """,
        merchant=merchant_id,
    )
    assert row is not None
    names, phones = {*row.names} - {None}, {*row.phones} - {None}
    taxes = {*row.taxes, *(tax_key(each or "") for each in row.papers)} - {None}
    refs = await tx.rows(
        "SELECT buyer_id, buyer_ref FROM demand.buyer WHERE buyer_id = ANY(:buyers)",
        buyers=sorted({order.buyer_id for order in orders}),
    )
    own = {
        of.buyer_id
        for of in refs
        if of.buyer_ref.lower() in names
        or (_PHONE_SIGNS.issuperset(of.buyer_ref) and phone_key(of.buyer_ref) in phones)
        or tax_key(of.buyer_ref) in taxes
    }
    return [msgspec.structs.replace(each, self_trade=True) if each.buyer_id in own else each for each in orders]
