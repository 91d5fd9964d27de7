"""A buyer uses a voucher for an order: what it was granted becomes credit (G, 2050 to 2410), which pays for the order.

What the order does not need, or frees because nobody pays the rest, stays credit until the voucher would have expired.
"""

from datetime import datetime

import msgspec

from billing.credit import store as credit
from incentives.grants import store as grants
from incentives.grants.model import Grant, GrantState, Voucher
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


async def quote_voucher(tx: Tx, buyer_id: int, code: str, currency: str, due_minor: int) -> int:
    """What a voucher would pay of an order. Raises Conflict as `use_voucher`."""
    found = await find_voucher(tx, buyer_id, code)
    voucher = await vouchers.valid(tx, "buyer", buyer_id, found.voucher_id)
    _check_for(voucher, tx.now, currency, due_minor)
    return min(due_minor, sum(grant.amount_minor for grant in await _waiting(tx, found, voucher)))


async def use_voucher(tx: Tx, buyer_id: int, found: Found, currency: str, due_minor: int, order_ref: str) -> int:
    """How much it brings. The books of the order's merchants, of their house and of the voucher's are held.

    Raises Conflict for one that is not for such an order, or is used, expired or void.
    """
    await grants.hold_parties(tx, "buyer", [buyer_id])
    used = await vouchers.use(tx, "buyer", buyer_id, found.voucher_id, order_ref)
    _check_for(used, tx.now, currency, due_minor)
    waiting = [grant.grant_id for grant in await _waiting(tx, found, used)]
    vested = await vest_grants(tx, buyer_id, waiting, found.house_id, found.zone)
    minor = sum(grant.amount_minor for grant in vested)
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


def _check_for(voucher: Voucher, now: datetime, currency: str, due_minor: int) -> None:
    """Raises Conflict for a voucher that is not for such an order."""
    if voucher.currency != currency or due_minor < voucher.minimum_minor or voucher.issued_at > now:
        raise Conflict(
            f"voucher: it is for {voucher.minimum_minor} {voucher.currency} or more, from {voucher.issued_at:%F %R} on",
            pointer=_AT,
        )


async def _waiting(tx: Tx, found: Found, voucher: Voucher) -> list[Grant]:
    """What waits for a voucher. Raises Conflict where that is nothing."""
    window = voucher.party_id, voucher.promotion_id, found.span
    waiting = [
        one
        for one in await grants.grants_in(tx, "buyer", window)
        if one.state is GrantState.PENDING and one.vests_at == voucher.issued_at
    ]
    if sum(one.amount_minor for one in waiting) <= 0:
        raise Conflict("voucher: what it was earned with was refunded", pointer=_AT)
    return waiting
