"""What referrals depend on: who was activated and who was lost, who is who, and what either side was granted."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from marketplace.core.db import Tx
from marketplace.flows.acquisition.pay_agents_sql import ACTIVATED
from supply.leads.identity import tax_key
from supply.leads.referrals.model import (
    Brought,
    Identity,
    OwnCode,
    Referral,
    ReferralReward,
    ReferralState,
    WhyNot,
)

_ENTRY = f"""
    SELECT own.merchant_id, own.zone, e.entered_on AS activated_on
    FROM supply.lead l
    JOIN supply.lead own ON own.lead_id = coalesce(l.merged_into, l.lead_id)
    JOIN supply.funnel f ON f.model = own.model AND f.version_no = own.funnel_version
    JOIN supply.stage_entry e ON e.lead_id = own.lead_id AND {ACTIVATED}
    WHERE l.lead_id = {{}}
"""


async def activated_of(tx: Tx, lead_id: int) -> Any | None:
    """As whom and when a lead, or the one it lives on in, was activated; None: not yet."""
    return await tx.row(_ENTRY.format(":lead"), lead=lead_id)


async def judgeable(tx: Tx, now: datetime, after: int, limit: int) -> Sequence[Any]:
    """Referrals that wait, whose lead is activated as a merchant or whose time is over."""
    return await tx.rows(
        f"""
        SELECT r.referral_id FROM supply.referral r
        WHERE r.state = 'pending' AND r.referral_id > :after
          AND (r.expires_at < :now OR EXISTS (SELECT FROM ({_ENTRY.format("r.lead_id")}) a
                                              WHERE a.merchant_id IS NOT NULL))
        ORDER BY r.referral_id LIMIT :limit
        """,
        now=now,
        after=after,
        limit=limit,
    )


async def rewardable(tx: Tx, _now: datetime, after: int, limit: int) -> Sequence[Any]:
    return await tx.rows(
        """
        SELECT referral_id, referrer_id, merchant_id FROM supply.referral
        WHERE state = 'qualified' AND referral_id > :after ORDER BY referral_id LIMIT :limit
        """,
        after=after,
        limit=limit,
    )


async def clawable(tx: Tx, _now: datetime, after: int, limit: int) -> Sequence[Any]:
    """Rewarded referrals whose merchant was closed in time, or whose activation was taken back."""
    return await tx.rows(
        f"""
        SELECT r.referral_id, r.referrer_id, r.merchant_id,
               CASE WHEN m.closed_on IS NULL THEN 'the activation was taken back'
                    ELSE 'the merchant was closed' END AS why
        FROM supply.referral r
        JOIN supply.referral_programme p ON p.name = r.programme AND p.version_no = r.version_no
        JOIN supply.merchant m ON m.merchant_id = r.merchant_id
        WHERE r.state = 'rewarded' AND r.referral_id > :after AND CAST(p.terms ->> 'clawback_days' AS integer) > 0
          AND (m.closed_on < r.activated_on + CAST(p.terms ->> 'clawback_days' AS integer)
               OR NOT EXISTS ({_ENTRY.format("r.lead_id")}))
        ORDER BY r.referral_id LIMIT :limit
        """,
        after=after,
        limit=limit,
    )


async def referrer_identity(tx: Tx, of: Referral) -> Identity:
    """By what the merchant who brings somebody is known: its own papers, and the lead it once was."""
    device = await tx.scalar("SELECT device FROM supply.referral_code WHERE code = :code", code=of.code)
    keys = await tx.rows(
        "SELECT tax_key, phone_key FROM supply.lead WHERE merchant_id = :merchant", merchant=of.referrer_id
    )
    return await _identity(tx, of.referrer_id, keys, device)


async def referee_identity(tx: Tx, of: Referral, merchant_id: int) -> Identity:
    """By what the one that was brought is known: its lead, with those merged into it, and its papers since."""
    keys = await tx.rows(
        """
        SELECT other.tax_key, other.phone_key FROM supply.lead l
        JOIN supply.lead other ON coalesce(other.merged_into, other.lead_id) = coalesce(l.merged_into, l.lead_id)
        WHERE l.lead_id = :lead
        """,
        lead=of.lead_id,
    )
    return await _identity(tx, merchant_id, keys, of.device)


async def _identity(tx: Tx, merchant_id: int, keys: Sequence[Any], device: str) -> Identity:
    party = await tx.scalar(
        "SELECT tax_id FROM billing.billing_party WHERE merchant_id = :merchant", merchant=merchant_id
    )
    accounts = await tx.rows(
        """
        SELECT DISTINCT number, routing FROM billing.bank_account
        WHERE merchant_id = :merchant AND state NOT IN ('rejected', 'cancelled')
        """,
        merchant=merchant_id,
    )
    taxes = [*(row.tax_key for row in keys), tax_key(party or "")]
    return Identity(
        merchants=frozenset({merchant_id}),
        tax_ids=frozenset(each for each in taxes if each),
        phones=frozenset(row.phone_key for row in keys if row.phone_key),
        accounts=frozenset(f"{row.routing}/{row.number}" for row in accounts),
        devices=frozenset({device} - {""}),
    )


async def codes_of(tx: Tx, merchant_id: int) -> list[OwnCode]:
    """A merchant's codes, with what has come of them."""
    rows = await tx.rows(
        """
        SELECT c.code, c.programme, c.active, count(r.referral_id) AS brought,
               count(*) FILTER (WHERE r.state = 'rewarded') AS rewarded
        FROM supply.referral_code c LEFT JOIN supply.referral r ON r.code = c.code
        WHERE c.merchant_id = :merchant GROUP BY c.code ORDER BY c.code
        """,
        merchant=merchant_id,
    )
    return [OwnCode(**row._mapping) for row in rows]


async def brought_by(tx: Tx, merchant_id: int, *, limit: int, before: int | None = None) -> list[Brought]:
    """Whom a merchant has brought, the newest first, behind the id `before`."""
    rows = await tx.rows(
        """
        SELECT r.referral_id, r.code, r.referred_at, r.expires_at, r.state, r.activated_on,
               p.terms ->> 'currency' AS currency,
               (SELECT coalesce(sum(g.amount_minor), 0)::bigint FROM supply.referral_reward w
                JOIN incentives.merchant_grant g ON g.merchant_id = w.merchant_id
                  AND g.promotion_id = w.promotion_id AND g.event_id = w.event_id AND g.state <> 'void'
                WHERE w.referral_id = r.referral_id AND w.merchant_id = :merchant AND w.side = 'referrer'
               ) AS earned_minor,
               CASE WHEN r.state = 'clawed_back' THEN 'lost'
                    WHEN r.state = 'refused' AND r.activated_on IS NULL THEN 'too_late'
                    WHEN r.state = 'refused' THEN 'not_eligible' END AS why_not
        FROM supply.referral r
        JOIN supply.referral_programme p ON p.name = r.programme AND p.version_no = r.version_no
        WHERE r.referrer_id = :merchant AND (CAST(:before AS bigint) IS NULL OR r.referral_id < :before)
        ORDER BY r.referral_id DESC LIMIT :limit
        """,
        merchant=merchant_id,
        before=before,
        limit=limit,
    )
    return [
        Brought(
            **{
                **row._mapping,
                "state": ReferralState(row.state),
                "why_not": None if row.why_not is None else WhyNot(row.why_not),
            }
        )
        for row in rows
    ]


async def rewards_of(tx: Tx, referral_id: int) -> list[ReferralReward]:
    """What either side has been granted, less what was taken back."""
    rows = await tx.rows(
        """
        SELECT side, merchant_id, promotion_id, event_id, currency FROM supply.referral_reward
        WHERE referral_id = :referral ORDER BY side DESC, promotion_id
        """,
        referral=referral_id,
    )
    found = []
    for row in rows:
        minor = await tx.scalar(
            """
            SELECT coalesce(sum(amount_minor), 0)::bigint FROM incentives.merchant_grant
            WHERE merchant_id = :merchant AND promotion_id = :promotion AND event_id = :event AND state <> 'void'
            """,
            merchant=row.merchant_id,
            promotion=row.promotion_id,
            event=row.event_id,
        )
        found.append(ReferralReward(**row._mapping, amount_minor=minor))
    return found
