"""What commission for winning merchants depends on: which merchants were activated, and how they stand."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from marketplace.core.db import Tx
from supply.leads.agents.model import AgentCommission, AgentTerms
from supply.leads.agents.rules import Standing

ACTIVATED = "f.stages -> e.stage_no ->> 'key' = f.activated"
"""Whether a stage entry `e` is the one by which the funnel `f` knows that a merchant lives."""

_DUE = f"""
    SELECT l.lead_id, l.merchant_id, a.agent_id, e.entered_on AS activated_on, p.version_no
    FROM supply.lead l
    JOIN supply.funnel f ON f.model = l.model AND f.version_no = l.funnel_version
    JOIN supply.stage_entry e ON e.lead_id = l.lead_id AND {ACTIVATED}
    LEFT JOIN LATERAL (
        SELECT c.agent_id FROM supply.lead own JOIN supply.lead_credit c ON c.lead_id = own.lead_id
        WHERE own.lead_id = l.lead_id OR own.merged_into = l.lead_id ORDER BY c.made_at, c.lead_id LIMIT 1
    ) credit ON true
    LEFT JOIN supply.agent r ON r.user_id = l.owner_id
    JOIN supply.agent a ON a.agent_id = coalesce(credit.agent_id, r.agent_id)
    JOIN LATERAL (
        SELECT version_no FROM supply.agent_plan
        WHERE code = a.plan_code AND from_on <= e.entered_on ORDER BY version_no DESC LIMIT 1
    ) p ON true
    WHERE l.merged_into IS NULL AND l.merchant_id IS NOT NULL AND a.active AND e.entered_on >= a.since_on
      AND NOT EXISTS (SELECT FROM supply.agent_commission k WHERE k.merchant_id = l.merchant_id)
      AND l.lead_id > :after
    ORDER BY l.lead_id LIMIT :limit
"""
"""Who brought a merchant earns its commission: the agent it is credited to, else the rep who held the lead."""


async def due(tx: Tx, after: int, limit: int) -> Sequence[Any]:
    """Leads activated, whose merchants have earned no commission yet, those behind `after`."""
    return await tx.rows(_DUE, after=after, limit=limit)


async def open_commissions(tx: Tx, today: date, after: int, limit: int) -> Sequence[Any]:
    """Commissions that are still watched and were not looked at today, or whose merchant is closed."""
    return await tx.rows(
        """
        SELECT c.commission_id, c.merchant_id FROM supply.agent_commission c
        JOIN supply.merchant m ON m.merchant_id = c.merchant_id
        WHERE c.state = 'open' AND (c.looked_on < :today OR m.closed_on IS NOT NULL) AND c.commission_id > :after
        ORDER BY c.commission_id LIMIT :limit
        """,
        today=today,
        after=after,
        limit=limit,
    )


async def house_of(tx: Tx, merchant_id: int) -> Any:
    """The house whose merchant this is: its books and its zone."""
    return await tx.row(
        """
        SELECT e.house_merchant_id, e.zone FROM supply.merchant m JOIN billing.entity e ON e.entity_id = m.entity_id
        WHERE m.merchant_id = :merchant
        """,
        merchant=merchant_id,
    )


async def standing(tx: Tx, of: AgentCommission, terms: AgentTerms, today: date) -> Standing:
    """How a merchant stands whose books are held."""
    row = await tx.row(
        """
        SELECT m.closed_on,
               (SELECT max(delivered_on) FROM demand.merchant_order WHERE merchant_id = :merchant) AS last_sale_on,
               (SELECT coalesce(-sum(p.amount_minor), 0)::bigint FROM billing.posting p
                WHERE p.merchant_id = :merchant AND p.currency = :currency AND p.account = 4000
                  AND p.effective_on >= :from_on
                  AND p.effective_on < CAST(:from_on AS date) + CAST(:days AS integer)) AS base_minor
        FROM supply.merchant m WHERE m.merchant_id = :merchant
        """,
        merchant=of.merchant_id,
        currency=of.currency,
        from_on=of.activated_on,
        days=terms.share_days,
    )
    assert row is not None
    activated = await tx.scalar(_ACTIVE, lead=of.lead_id)
    return Standing(today=today, activated_on=of.activated_on, activated=activated, **row._mapping)


_ACTIVE = f"""
    SELECT EXISTS (
        SELECT FROM supply.lead l
        JOIN supply.lead own ON own.lead_id = coalesce(l.merged_into, l.lead_id)
        JOIN supply.funnel f ON f.model = own.model AND f.version_no = own.funnel_version
        JOIN supply.stage_entry e ON e.lead_id = own.lead_id AND {ACTIVATED}
        WHERE l.lead_id = :lead
    )
"""
"""Whether a lead, or the one that it lives on in, is still in the stage by which it counts as activated."""


async def ledger_of(tx: Tx, provider_id: int, from_on: date, to_on: date) -> Sequence[Any]:
    """What moved on an agent's payable until before a day, by currency, kind and whether it was before `from_on`."""
    return await tx.rows(
        """
        SELECT p.currency, p.kind, p.effective_on < :from_on AS before, -sum(p.amount_minor)::bigint AS minor
        FROM billing.entity e JOIN billing.posting p ON p.merchant_id = e.house_merchant_id
        WHERE p.account = 2060 AND p.dimension = :provider AND p.effective_on < :to_on
        GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
        """,
        provider=provider_id,
        from_on=from_on,
        to_on=to_on,
    )
