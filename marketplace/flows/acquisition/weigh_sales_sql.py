"""What winning merchants has cost and brought, by channel, campaign, rep, distributor or segment of the lead.

A cohort is of leads that began in a period. What is known of a lead by itself, its commission and what a referral of it
was rewarded with, is a cost of its cohort whenever it was booked; other spend is that of the period.
"""

from collections.abc import Sequence
from datetime import date
from typing import Any

import msgspec

from marketplace.core.db import Tx
from marketplace.core.money import allocate
from marketplace.core.rates import PPM
from supply.leads.model import Model


class Cohort(msgspec.Struct, frozen=True, kw_only=True):
    """Leads of a funnel's version that began in [from_on, to_on). activated: the number of that stage."""

    model: Model
    version: int
    from_on: date
    to_on: date
    currency: str
    attribution: str
    activated: int


OWN_LEADS = f"""
    SELECT l.lead_id, l.merchant_id, l.channel_id, l.campaign, l.segment, h.code AS channel, {PPM} AS whole,
           CASE WHEN a.kind = 'distributor' THEN a.name ELSE '' END AS distributor,
           CASE WHEN a.kind = 'distributor' THEN '' ELSE coalesce(r.login, '') END AS rep
    FROM supply.stage_entry e
    JOIN supply.lead l ON l.lead_id = e.lead_id
    JOIN supply.channel h ON h.channel_id = l.channel_id
    LEFT JOIN LATERAL (
        SELECT g.agent_id FROM supply.lead own JOIN supply.lead_credit g ON g.lead_id = own.lead_id
        WHERE own.lead_id = l.lead_id OR own.merged_into = l.lead_id ORDER BY g.made_at, g.lead_id LIMIT 1
    ) credit ON true
    LEFT JOIN supply.agent a ON a.agent_id = credit.agent_id
    LEFT JOIN supply.rep r ON r.user_id = coalesce(a.user_id, l.owner_id)
    WHERE e.stage_no = 0 AND e.model = :model AND e.version_no = :version
      AND e.began_on >= :from_on AND e.began_on < :to_on
"""
"""The leads of a cohort, each with the distributor it is credited to, or else the rep who holds the contract."""
_SHARED = {"channel": "h.code", "campaign": "t.campaign"}
"""Over what merchants are divided by the shares `t` of attribution, by channels `h`; else they are whole."""


async def reached(tx: Tx, of: Cohort, by: str) -> Sequence[Any]:
    """How many leads of each key have reached each stage."""
    return await tx.rows(
        f"""
        SELECT c.{by} AS key, s.stage_no, count(*) AS leads FROM ({OWN_LEADS}) c
        JOIN supply.stage_entry s ON s.lead_id = c.lead_id GROUP BY 1, 2
        """,
        **_cohort(of),
    )


async def activated(tx: Tx, of: Cohort, by: str) -> Sequence[Any]:
    """Merchants activated, by the shares of attribution for what touches say, else whole."""
    shared = by in _SHARED
    key = _SHARED.get(by, f"c.{by}")
    ways = """
        JOIN supply.attribution_share t ON t.lead_id = c.lead_id AND t.model = :attribution
        JOIN supply.channel h ON h.channel_id = t.channel_id
    """
    return await tx.rows(
        f"""
        SELECT {key} AS key, {"t.share_ppm" if shared else "c.whole"} AS share_ppm, c.merchant_id,
               s.entered_on AS activated_on
        FROM ({OWN_LEADS}) c JOIN supply.stage_entry s ON s.lead_id = c.lead_id AND s.stage_no = :activated
        {ways if shared else ""}
        """,
        **_cohort(of),
        activated=of.activated,
        **({"attribution": of.attribution} if shared else {}),
    )


async def leads_of(
    tx: Tx, of: Cohort, by: str, key: str | None, *, limit: int, before: tuple[date, int] | None = None
) -> Sequence[Any]:
    """The leads behind the figures of a key (None: of all), the newest first, behind (day, id): who came under it, and
    whose merchant is divided over it. share_ppm: of the merchant, once it is activated.
    """
    share = "CASE WHEN CAST(:key AS text) IS NULL OR c.key = :key THEN c.whole END"
    if by in _SHARED:
        share = f"""
            (SELECT sum(t.share_ppm)::bigint FROM supply.attribution_share t
             JOIN supply.channel h ON h.channel_id = t.channel_id
             WHERE t.lead_id = c.lead_id AND t.model = :attribution
               AND (CAST(:key AS text) IS NULL OR {_SHARED[by]} = :key))
        """
    return await tx.rows(
        f"""
        SELECT * FROM (
            SELECT c.lead_id, l.company, c.merchant_id, first.began_on, s.entered_on AS activated_on,
                   CAST(:key AS text) IS NULL OR c.key = :key AS came,
                   (SELECT max(stage_no) FROM supply.stage_entry WHERE lead_id = c.lead_id) AS stage_no,
                   CASE WHEN s.lead_id IS NOT NULL THEN {share} END AS share_ppm
            FROM (SELECT o.*, o.{by} AS key FROM ({OWN_LEADS}) o) c
            JOIN supply.lead l ON l.lead_id = c.lead_id
            JOIN supply.stage_entry first ON first.lead_id = c.lead_id AND first.stage_no = 0
            LEFT JOIN supply.stage_entry s ON s.lead_id = c.lead_id AND s.stage_no = :activated
        ) found
        WHERE (came OR share_ppm > 0)
          AND (CAST(:day AS date) IS NULL OR (began_on, lead_id) < (:day, :lead))
        ORDER BY began_on DESC, lead_id DESC LIMIT :limit
        """,
        **_cohort(of),
        key=key,
        activated=of.activated,
        day=before[0] if before else None,
        lead=before[1] if before else None,
        limit=limit,
        **({"attribution": of.attribution} if by in _SHARED else {}),
    )


async def spent(tx: Tx, of: Cohort, by: str) -> list[Any]:
    """What was spent, by key and kind: of the period, and of the cohort's leads themselves."""
    rows: list[Any] = [*await _of_leads(tx, of, by)]
    period = {"from_on": of.from_on, "to_on": of.to_on, "currency": of.currency}
    if by == "segment":
        return rows + await _allocated(tx, of, period)
    key = {"channel": "h.code", "campaign": "k.campaign"}.get(by, "k.seller")
    known = {
        "rep": "WHERE key = '' OR key IN (SELECT login FROM supply.rep)",
        "distributor": "WHERE key = '' OR key IN (SELECT name FROM supply.agent WHERE kind = 'distributor')",
    }
    return rows + list(
        await tx.rows(
            f"""
            SELECT * FROM (
                SELECT {key} AS key, k.kind, sum(k.amount_minor)::bigint AS amount_minor
                FROM supply.channel_cost k JOIN supply.channel h ON h.channel_id = k.channel_id
                WHERE k.spent_on >= :from_on AND k.spent_on < :to_on AND k.currency = :currency GROUP BY 1, 2
            ) spent {known.get(by, "")}
            """,
            **period,
        )
    )


class _Part(msgspec.Struct, frozen=True):
    key: str
    kind: str
    amount_minor: int


async def _allocated(tx: Tx, of: Cohort, period: dict[str, Any]) -> list[Any]:
    """What channels cost, divided over segments as their leads of the cohort are; without any it is nobody's."""
    costs = await tx.rows(
        """
        SELECT channel_id, kind, sum(amount_minor)::bigint AS amount_minor FROM supply.channel_cost
        WHERE spent_on >= :from_on AND spent_on < :to_on AND currency = :currency GROUP BY 1, 2 ORDER BY 1, 2
        """,
        **period,
    )
    counts = await tx.rows(
        f"SELECT channel_id, segment, count(*) AS leads FROM ({OWN_LEADS}) c GROUP BY 1, 2 ORDER BY 1, 2",
        **_cohort(of),
    )
    parts = []
    for cost in costs:
        own = [(row.segment, row.leads) for row in counts if row.channel_id == cost.channel_id] or [("", 1)]
        shares = allocate(cost.amount_minor, [leads for _, leads in own])
        parts += [_Part(key, cost.kind, minor) for (key, _), minor in zip(own, shares, strict=True)]
    return parts


async def _of_leads(tx: Tx, of: Cohort, by: str) -> list[_Part]:
    """Commission and rewards of referrals, each where its merchant is: divided as that is over what touches say."""
    commission = await tx.rows(
        f"""
        SELECT c.lead_id, c.{by} AS key, sum(k.earned_minor)::bigint AS minor
        FROM ({OWN_LEADS}) c
        JOIN supply.lead own ON own.lead_id = c.lead_id OR own.merged_into = c.lead_id
        JOIN supply.agent_commission k ON k.lead_id = own.lead_id
        WHERE k.currency = :currency GROUP BY 1, 2 ORDER BY 1
        """,
        **_cohort(of),
        currency=of.currency,
    )
    rewarded = await tx.rows(
        f"""
        SELECT c.lead_id, c.{by} AS key, w.merchant_id, w.event_id, w.promotion_id FROM ({OWN_LEADS}) c
        JOIN supply.lead own ON own.lead_id = c.lead_id OR own.merged_into = c.lead_id
        JOIN supply.referral r ON r.lead_id = own.lead_id
        JOIN supply.referral_reward w ON w.referral_id = r.referral_id
        WHERE w.currency = :currency ORDER BY c.lead_id, w.merchant_id, w.event_id, w.promotion_id
        """,
        **_cohort(of),
        currency=of.currency,
    )
    granted = await tx.rows(
        """
        SELECT merchant_id, event_id, promotion_id, sum(amount_minor)::bigint AS minor FROM incentives.merchant_grant
        WHERE merchant_id = ANY(:merchants) AND event_id = ANY(:events) AND state <> 'void' GROUP BY 1, 2, 3
        """,
        merchants=[row.merchant_id for row in rewarded],
        events=[row.event_id for row in rewarded],
    )
    minor = {(row.merchant_id, row.event_id, row.promotion_id): row.minor for row in granted}
    costs: list[tuple[Any, str, int]] = [(row, "commission", row.minor) for row in commission]
    costs += [
        (row, "incentive", minor.get((row.merchant_id, row.event_id, row.promotion_id), 0)) for row in rewarded
    ]  # fmt: skip
    shares = await _shares(tx, [row.lead_id for row, _, _ in costs], of.attribution, by) if by in _SHARED else {}
    parts = []
    for row, kind, amount in costs:
        keys = shares.get(row.lead_id) or [(row.key, PPM)]
        amounts = allocate(amount, [share for _, share in keys])
        parts += [_Part(key, kind, part) for (key, _), part in zip(keys, amounts, strict=True)]
    return parts


async def _shares(tx: Tx, leads: Sequence[int], attribution: str, by: str) -> dict[int, list[tuple[str, int]]]:
    """How activated leads are divided over channels or campaigns."""
    rows = await tx.rows(
        f"""
        SELECT t.lead_id, {_SHARED[by]} AS key, sum(t.share_ppm)::bigint AS share_ppm
        FROM supply.attribution_share t JOIN supply.channel h ON h.channel_id = t.channel_id
        WHERE t.lead_id = ANY(:leads) AND t.model = :attribution GROUP BY 1, 2 ORDER BY 1, 2
        """,
        leads=sorted(set(leads)),
        attribution=attribution,
    )
    found: dict[int, list[tuple[str, int]]] = {}
    for row in rows:
        found.setdefault(row.lead_id, []).append((row.key, row.share_ppm))
    return found


async def referral_promotions(tx: Tx) -> list[int]:
    """Promotions whose cost is a cost of winning merchants, not one of having them."""
    return [row[0] for row in await tx.rows("SELECT DISTINCT promotion_id FROM supply.referral_reward ORDER BY 1")]


async def contributions(tx: Tx, merchants: Sequence[int], currency: str) -> Sequence[Any]:
    """What the house earned with merchants by month, less what varies with it: accounts 4000 to 5999 of their books."""
    return await tx.rows(
        """
        SELECT merchant_id, date_trunc('month', effective_on::timestamp)::date AS month,
               -sum(amount_minor)::bigint AS minor
        FROM billing.posting
        WHERE merchant_id = ANY(:merchants) AND currency = :currency AND account BETWEEN 4000 AND 5999
          AND NOT (account = 5000 AND dimension = ANY(:promotions))
        GROUP BY 1, 2
        """,
        merchants=list(merchants),
        currency=currency,
        promotions=await referral_promotions(tx),
    )


def _cohort(of: Cohort) -> dict[str, Any]:
    return {"model": of.model, "version": of.version, "from_on": of.from_on, "to_on": of.to_on}
