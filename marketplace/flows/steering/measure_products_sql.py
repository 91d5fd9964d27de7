"""What there is of products that merchants use: paid subscriptions, hardware in the field, turnover that is served."""

from typing import Any

from marketplace.core.db import Tx

_OF = "m.entity_id = :entity AND (CAST(:merchant AS bigint) IS NULL OR m.merchant_id = :merchant)"
_SUBSCRIPTIONS = f"""
SELECT count(*) FILTER (WHERE paid_on < :from_on AND (ended_on IS NULL OR ended_on >= :from_on))
           AS subscriptions_at_start,
       count(*) FILTER (WHERE paid_on >= :from_on AND paid_on < :to_on) AS subscriptions_new,
       count(*) FILTER (WHERE ended_on >= :from_on AND ended_on < :to_on) AS subscriptions_ended
FROM (
    SELECT (min(t.at) AT TIME ZONE e.zone)::date AS paid_on,
           greatest(s.ended_on, (min(t.at) AT TIME ZONE e.zone)::date) AS ended_on
    FROM supply.subscription s
    JOIN supply.merchant m ON m.merchant_id = s.merchant_id
    JOIN supply.subscription_step t ON t.merchant_id = s.merchant_id AND t.subscription_id = s.subscription_id
      AND t.state = 'active'
    JOIN billing.entity e ON e.entity_id = m.entity_id
    WHERE {_OF} GROUP BY s.merchant_id, s.subscription_id, s.ended_on, e.zone
) paid
"""
_UNITS = f"""
SELECT count(*) FILTER (WHERE d.installed_on < :from_on AND (d.returned_on IS NULL OR d.returned_on >= :from_on))
           AS units_at_start,
       count(*) FILTER (WHERE d.installed_on >= :from_on AND d.installed_on < :to_on) AS units_installed,
       count(*) FILTER (WHERE d.returned_on >= :from_on AND d.returned_on < :to_on) AS units_returned
FROM supply.hardware_delivery d JOIN supply.merchant m ON m.merchant_id = d.merchant_id
WHERE {_OF} AND d.installed_on IS NOT NULL AND coalesce(d.returned_on >= d.installed_on, true)
"""
_SERVED = f"""
SELECT coalesce(sum(s.turnover_minor), 0)::bigint AS served_minor, count(DISTINCT s.merchant_id) AS merchants_served
FROM supply.service_month s
JOIN supply.service_agreement a ON a.merchant_id = s.merchant_id AND a.agreement_id = s.agreement_id
JOIN supply.merchant m ON m.merchant_id = s.merchant_id
WHERE {_OF} AND a.currency = :currency AND s.month >= :from_on AND s.month < :to_on
"""


async def subscriptions(tx: Tx, **of: Any) -> Any:
    """Subscriptions by the day they were first paid for and the day they ended."""
    return await tx.row(_SUBSCRIPTIONS, **of)


async def units(tx: Tx, **of: Any) -> Any:
    """Devices by the day they were installed and the day they came back."""
    return await tx.row(_UNITS, **of)


async def served(tx: Tx, currency: str, **of: Any) -> Any:
    """The turnover of merchants' closed months that a share is taken of: those whose first day is in the period."""
    return await tx.row(_SERVED, currency=currency, **of)
