"""What merchants have that later orders use up, and what orders have used."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, get_args

from incentives.rules.parts import Role
from marketplace.core.db import Tx
from marketplace.flows.promotions.grant_rewards_sql import of_merchants


async def using(tx: Tx, merchant_ids: Sequence[int]) -> set[int]:
    """Which of these merchants have ever had a voucher or a reduction of fees."""
    rows = await tx.rows(
        """
        SELECT DISTINCT merchant_id FROM incentives.merchant_grant
        WHERE merchant_id = ANY(:merchants) AND form IN ('fee_reduction', 'next_order_voucher')
        """,
        merchants=list(merchant_ids),
    )
    return {row.merchant_id for row in rows}


async def commissions(tx: Tx, merchant_id: int, order_ids: Sequence[int]) -> dict[int, int]:
    """What orders have been charged by now, net of what was given back, without VAT."""
    rows = await tx.rows(
        """
        SELECT order_id, sum(commission_minor)::bigint AS minor FROM billing.commission_line
        WHERE merchant_id = :merchant AND order_id = ANY(:orders) GROUP BY order_id
        """,
        merchant=merchant_id,
        orders=list(order_ids),
    )
    return {row.order_id: row.minor for row in rows}


async def open_vouchers(tx: Tx, merchant_id: int, currency: str, at: datetime, amount_minor: int) -> Sequence[Any]:
    """Vouchers that an order of that amount, settled then, may use, those first that expire first."""
    return await tx.rows(
        """
        SELECT v.merchant_id, v.voucher_id, v.promotion_id, v.amount_minor, v.issued_at, g.span
        FROM incentives.merchant_voucher v
        JOIN incentives.merchant_grant g ON g.merchant_id = v.merchant_id AND g.grant_id = v.grant_id
        WHERE v.merchant_id = :merchant AND v.state = 'issued' AND v.currency = :currency
          AND v.issued_at < :at AND v.expires_at > :at AND v.minimum_minor <= :amount
        ORDER BY v.expires_at, v.voucher_id
        """,
        merchant=merchant_id,
        currency=currency,
        at=at,
        amount=amount_minor,
    )


async def open_reductions(tx: Tx, merchant_id: int, currency: str, at: datetime) -> Sequence[Any]:
    """Windows of which some is left for orders that settle then, the oldest first."""
    return await tx.rows(
        """
        SELECT merchant_id, promotion_id, span, sum(amount_minor)::bigint AS left_minor
        FROM incentives.merchant_grant
        WHERE merchant_id = :merchant AND currency = :currency AND form = 'fee_reduction' AND state = 'pending'
          AND vests_at < :at
        GROUP BY merchant_id, promotion_id, span HAVING sum(amount_minor) > 0
        ORDER BY min(vests_at), promotion_id, span
        """,
        merchant=merchant_id,
        currency=currency,
        at=at,
    )


async def used_by(tx: Tx, merchant_id: int, event_id: str) -> Sequence[Any]:
    """What an order has used of windows that are not its own, the newest first."""
    return await tx.rows(
        """
        SELECT merchant_id, promotion_id, span, form, sum(amount_minor)::bigint AS minor
        FROM incentives.merchant_grant
        WHERE merchant_id = :merchant AND event_id = :event AND span <> event_id AND state = 'paid'
          AND form IN ('fee_reduction', 'next_order_voucher')
        GROUP BY merchant_id, promotion_id, span, form HAVING sum(amount_minor) > 0
        ORDER BY max(grant_id)
        """,
        merchant=merchant_id,
        event=event_id,
    )


async def unuse_vouchers(tx: Tx, merchant_id: int, event_id: str) -> None:
    """The order came to nothing: what was used for it is there again; it expires when it would have."""
    await tx.execute(
        """
        UPDATE incentives.merchant_voucher SET state = 'issued', used_for = NULL, changed_at = :now
        WHERE merchant_id = :merchant AND state = 'used' AND used_for = :event
        """,
        {"merchant": merchant_id, "event": event_id, "now": tx.now},
    )


def _expired(role: Role) -> str:
    """Vouchers that nobody has used in time, with the windows that they were earned in, and whom they concern.

    replaced: by another of the same window, which was earned again after a refund and has its money.
    """
    windows = f"""
        SELECT v.{role}_id AS party_id, v.voucher_id, v.promotion_id, v.expires_at, g.span,
               EXISTS (SELECT FROM incentives.{role}_voucher n
                       JOIN incentives.{role}_grant h ON h.{role}_id = n.{role}_id AND h.grant_id = n.grant_id
                       WHERE n.{role}_id = v.{role}_id AND n.promotion_id = v.promotion_id AND h.span = g.span
                         AND n.state = 'issued' AND n.expires_at > :now) AS replaced
        FROM incentives.{role}_voucher v
        JOIN incentives.{role}_grant g ON g.{role}_id = v.{role}_id AND g.grant_id = v.grant_id
        WHERE v.state = 'issued' AND v.expires_at <= :now"""
    return of_merchants(role, windows)


async def merchants_expiring(tx: Tx, now: datetime, after: int, limit: int) -> Sequence[Any]:
    """Merchants with vouchers that nobody has used in time, or whose buyers have some, those behind `after`."""
    each = " UNION ".join(f"SELECT w.merchant_id FROM {_expired(role)}" for role in get_args(Role))
    return await tx.rows(
        f"SELECT merchant_id FROM ({each}) AS every WHERE merchant_id > :after ORDER BY merchant_id LIMIT :limit",
        now=now,
        after=after,
        limit=limit,
    )


async def expired_of(tx: Tx, role: Role, merchant_id: int, limit: int) -> Sequence[Any]:
    """A merchant's vouchers that have expired, or its buyers', with their windows."""
    return await tx.rows(
        f"""
        SELECT DISTINCT w.party_id, w.voucher_id, w.promotion_id, w.span, w.replaced, w.expires_at FROM {_expired(role)}
        WHERE w.merchant_id = :merchant ORDER BY w.expires_at, w.voucher_id LIMIT :limit
        """,
        merchant=merchant_id,
        now=tx.now,
        limit=limit,
    )
