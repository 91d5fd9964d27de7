"""A buyer uses a voucher for an order: what it was granted becomes credit (G, 2050 to 2410), which pays for the order.

What the order does not need, or frees because nobody pays the rest, stays credit until the voucher would have expired.
"""

from typing import Any

from billing.credit import store as credit
from incentives.grants import store as grants
from incentives.grants.model import GrantState
from incentives.grants.vouchers import store as vouchers
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict
from marketplace.flows.promotions.vest_rebates import vest_grants

_AT = "/voucher"


async def use_voucher(tx: Tx, buyer_id: int, code: str, currency: str, due_minor: int, order_ref: str) -> int:
    """How much it brings. The books of the order's merchants and of their house are held.

    Raises Conflict for one that is not the buyer's, or not for such an order, or is used, expired or void.
    """
    holder = await vouchers.holder_of(tx, code)
    if holder is None or (holder.role, holder.party_id) != ("buyer", buyer_id):
        raise Conflict(f"voucher: the buyer has no voucher {code!r}", pointer=_AT)
    await grants.hold_parties(tx, "buyer", [buyer_id])
    used = await vouchers.use(tx, "buyer", buyer_id, holder.voucher_id, order_ref)
    if used.currency != currency or due_minor < used.minimum_minor or used.issued_at > tx.now:
        raise Conflict(
            f"voucher: it is for {used.minimum_minor} {used.currency} or more, from {used.issued_at:%F %R} on",
            pointer=_AT,
        )
    of = await _origin(tx, buyer_id, used.grant_id)
    window = buyer_id, used.promotion_id, of.span
    waiting = [
        one.grant_id
        for one in await grants.grants_in(tx, "buyer", window)
        if one.state is GrantState.PENDING and one.vests_at == used.issued_at
    ]
    vested = await vest_grants(tx, buyer_id, waiting, of.house_id, of.zone)
    minor = sum(grant.amount_minor for grant in vested)
    if minor <= 0:
        raise Conflict("voucher: what it was earned with was refunded", pointer=_AT)
    await credit.move(tx, buyer_id, currency, "rebate", minor, source_id=used.grant_id, reason="voucher")
    left = credit.Grant(
        grant_id=used.grant_id,
        currency=currency,
        amount_minor=minor,
        left_minor=minor,
        expires_at=used.expires_at,
    )
    await credit.add_grant(tx, buyer_id, of.entity_id, left)
    return minor


async def _origin(tx: Tx, buyer_id: int, grant_id: int) -> Any:
    """The window that a voucher was earned in, and the house in whose books."""
    row = await tx.row(
        """
        SELECT g.span, n.house_merchant_id AS house_id, n.entity_id, n.zone FROM incentives.buyer_grant g
        CROSS JOIN billing.entity n
        JOIN billing.entry e ON e.merchant_id = n.house_merchant_id AND e.kind = 'rebate_earned'
         AND e.source_id = g.grant_id
        WHERE g.buyer_id = :buyer AND g.grant_id = :grant
        """,
        buyer=buyer_id,
        grant=grant_id,
    )
    assert row is not None
    return row
