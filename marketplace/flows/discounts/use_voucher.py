"""A buyer uses a voucher for an order: what it was granted becomes credit (G, 2050 to 2410), which pays for the order.

What the order does not need, or frees because nobody pays the rest, stays credit until the voucher would have expired.
"""

import msgspec

from billing.credit import store as credit
from incentives.grants import store as grants
from incentives.grants.model import GrantState
from incentives.grants.vouchers import store as vouchers
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict
from marketplace.flows.promotions.vest_rebates import vest_grants

_AT = "/voucher"


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A buyer's voucher: the window that it was earned in, and the house in whose books."""

    voucher_id: int
    span: str
    house_id: int
    entity_id: int
    zone: str


async def find_voucher(tx: Tx, buyer_id: int, code: str) -> Found:
    """Raises Conflict for one that is not the buyer's."""
    holder = await vouchers.holder_of(tx, code)
    if holder is None or (holder.role, holder.party_id) != ("buyer", buyer_id):
        raise Conflict(f"voucher: the buyer has no voucher {code!r}", pointer=_AT)
    row = await tx.row(
        """
        SELECT v.voucher_id, g.span, n.house_merchant_id AS house_id, n.entity_id, n.zone
        FROM incentives.buyer_voucher v
        JOIN incentives.buyer_grant g ON g.buyer_id = v.buyer_id AND g.grant_id = v.grant_id
        CROSS JOIN billing.entity n
        JOIN billing.entry e ON e.merchant_id = n.house_merchant_id AND e.kind = 'rebate_earned'
         AND e.source_id = g.grant_id
        WHERE v.buyer_id = :buyer AND v.voucher_id = :voucher
        """,
        buyer=buyer_id,
        voucher=holder.voucher_id,
    )
    assert row is not None
    return Found(**row._mapping)


async def use_voucher(tx: Tx, buyer_id: int, found: Found, currency: str, due_minor: int, order_ref: str) -> int:
    """How much it brings. The books of the order's merchants, of their house and of the voucher's are held.

    Raises Conflict for one that is not for such an order, or is used, expired or void.
    """
    await grants.hold_parties(tx, "buyer", [buyer_id])
    used = await vouchers.use(tx, "buyer", buyer_id, found.voucher_id, order_ref)
    if used.currency != currency or due_minor < used.minimum_minor or used.issued_at > tx.now:
        raise Conflict(
            f"voucher: it is for {used.minimum_minor} {used.currency} or more, from {used.issued_at:%F %R} on",
            pointer=_AT,
        )
    window = buyer_id, used.promotion_id, found.span
    waiting = [
        one.grant_id
        for one in await grants.grants_in(tx, "buyer", window)
        if one.state is GrantState.PENDING and one.vests_at == used.issued_at
    ]
    vested = await vest_grants(tx, buyer_id, waiting, found.house_id, found.zone)
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
    await credit.add_grant(tx, buyer_id, found.entity_id, left)
    return minor
