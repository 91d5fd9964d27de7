"""What merchants that were won have reached by their own doing, by the business model they were won by.

Each statement gives stages and instants of one merchant: `:merchant`, days in `:zone`; of products, what has happened
`:since` the lead was contacted. Stages that a funnel does not have are passed over.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from marketplace.core.db import Tx
from supply.leads.model import Lead, Model

_PLATFORM = """
    SELECT 'live' AS stage, CAST(joined_on AS timestamp) AT TIME ZONE :zone AS at
    FROM supply.merchant WHERE merchant_id = :merchant AND joined_on IS NOT NULL
    UNION ALL
    SELECT CASE o.place WHEN 1 THEN 'first_order' ELSE 'repeat' END, o.delivered_at
    FROM (
        SELECT row_number() OVER (ORDER BY delivered_at, order_id) AS place, delivered_at
        FROM demand.merchant_order WHERE merchant_id = :merchant AND delivered_at IS NOT NULL
        ORDER BY delivered_at, order_id LIMIT 2
    ) o
"""
_TOOL = """
    SELECT 'sign_up' AS stage, min(made_at) AS at FROM supply.subscription
    WHERE merchant_id = :merchant AND made_at >= :since
    UNION ALL
    SELECT 'key_action', min(greatest(s.made_at, CAST(u.used_on AS timestamp) AT TIME ZONE :zone))
    FROM supply.tool_usage u
    JOIN supply.subscription s ON s.merchant_id = u.merchant_id AND s.subscription_id = u.subscription_id
    WHERE u.merchant_id = :merchant AND u.uses > 0 AND s.made_at >= :since
    UNION ALL
    SELECT CASE c.place WHEN 1 THEN 'paid' ELSE 'renewed' END, c.created_at
    FROM (
        SELECT row_number() OVER (ORDER BY created_at, charge_id) AS place, created_at FROM billing.charge
        WHERE merchant_id = :merchant AND source = 'subscription' AND created_at >= :since
        ORDER BY created_at, charge_id LIMIT 2
    ) c
"""
_HARDWARE = """
    SELECT 'quote' AS stage, min(made_at) AS at FROM supply.hardware_quote
    WHERE merchant_id = :merchant AND made_at >= :since
    UNION ALL
    SELECT 'deposit', min(created_at) FROM billing.charge
    WHERE merchant_id = :merchant AND source = 'hardware' AND created_at >= :since
    UNION ALL
    SELECT 'shipped', min(CAST(d.shipped_on AS timestamp) AT TIME ZONE :zone) FROM supply.hardware_delivery d
    JOIN supply.hardware_order o ON o.merchant_id = d.merchant_id AND o.order_id = d.order_id
    WHERE d.merchant_id = :merchant AND o.made_at >= :since
    UNION ALL
    SELECT 'installed', min(CAST(d.installed_on AS timestamp) AT TIME ZONE :zone) FROM supply.hardware_delivery d
    JOIN supply.hardware_order o ON o.merchant_id = d.merchant_id AND o.order_id = d.order_id
    WHERE d.merchant_id = :merchant AND o.made_at >= :since
"""
_SERVICE = """
    SELECT 'proposal' AS stage, min(made_at) AS at FROM supply.service_agreement
    WHERE merchant_id = :merchant AND made_at >= :since
    UNION ALL
    SELECT 'contract', min(greatest(made_at, CAST(starts_on AS timestamp) AT TIME ZONE :zone))
    FROM supply.service_agreement
    WHERE merchant_id = :merchant AND made_at >= :since AND state IN ('active', 'ended')
    UNION ALL
    SELECT 'milestone', min(created_at) FROM billing.charge
    WHERE merchant_id = :merchant AND source = 'service' AND created_at >= :since
    UNION ALL
    SELECT 'cash_collected', min(m.at) FROM billing.charge_movement m
    JOIN billing.charge c ON c.merchant_id = m.merchant_id AND c.charge_id = m.charge_id
    WHERE m.merchant_id = :merchant AND c.source = 'service' AND c.created_at >= :since AND m.kind IN ('netted', 'paid')
"""

_CONTACTED = """
    SELECT coalesce(min(CASE WHEN t.rep_id IS NULL THEN t.at ELSE t.recorded_at END), min(l.first_contact_at))
    FROM supply.lead l LEFT JOIN supply.touch t ON t.lead_id = l.lead_id
    WHERE l.lead_id = :lead OR l.merged_into = :lead
"""
_WON_BY_ANOTHER = """
    SELECT EXISTS (
        SELECT FROM supply.lead
        WHERE merchant_id = :merchant AND lead_id <> :lead AND model = 'platform' AND merged_into IS NULL
    )
"""
_NEW = """
    SELECT created_at >= :since OR (
        SELECT CAST(min(purchased_on) AS timestamp) AT TIME ZONE :zone FROM demand.merchant_order
        WHERE merchant_id = :merchant
    ) >= :since
    FROM supply.merchant WHERE merchant_id = :merchant
"""

_OF = {Model.PLATFORM: _PLATFORM, Model.TOOL: _TOOL, Model.HARDWARE: _HARDWARE, Model.SERVICE: _SERVICE}
LAST = {
    Model.PLATFORM: "repeat", Model.TOOL: "renewed", Model.HARDWARE: "installed", Model.SERVICE: "cash_collected",
}  # fmt: skip
"""The last stage of a model that follows from what a merchant does: who has reached it is not looked at any more."""


async def milestones_of(tx: Tx, lead: Lead) -> Sequence[Any]:
    """Stage and instant of what a lead that was won has reached by now."""
    return await _reached(tx, lead, lead.merchant_id, await contacted_since(tx, lead.lead_id))


async def is_new_since(tx: Tx, lead: Lead, merchant_id: int) -> bool:
    """Whether a merchant signed up, or first bought or sold, after the lead was contacted, and by no other lead."""
    since = await contacted_since(tx, lead.lead_id)
    if lead.model is not Model.PLATFORM:
        return bool(await _reached(tx, lead, merchant_id, since))
    if await tx.scalar(_WON_BY_ANOTHER, merchant=merchant_id, lead=lead.lead_id):
        return False
    return bool(await tx.scalar(_NEW, merchant=merchant_id, since=since, zone=lead.zone))


async def contacted_since(tx: Tx, lead_id: int) -> datetime:
    """Since when a lead is known to have been contacted: what a rep tells of counts from when it was told."""
    found: datetime = await tx.scalar(_CONTACTED, lead=lead_id)
    return found


async def _reached(tx: Tx, lead: Lead, merchant_id: int | None, since: datetime) -> Sequence[Any]:
    rows = await tx.rows(_OF[lead.model], merchant=merchant_id, zone=lead.zone, since=since)
    return [row for row in rows if row.at is not None and row.at <= tx.now]
