"""Process: trade is measured: how orders were carried out, who came back, what it settled, what promotions brought."""

from fractions import Fraction
from typing import Any

from marketplace.core.db import Tx
from marketplace.core.rates import PPM
from marketplace.flows.steering import measure_trade_sql as sql
from marketplace.metrics.inputs_sql import Found, Of, Source, read_orders
from marketplace.metrics.periods import Span, before


def _bound(of: Of, span: Span) -> dict[str, Any]:
    return {
        "entity": of.entity_id,
        "currency": of.currency,
        "merchant": of.merchant_id,
        "from_on": span.from_on,
        "to_on": span.to_on,
    }


async def _paid(tx: Tx, of: Of, span: Span) -> Found:
    return dict((await sql.paid(tx, **_bound(of, span)))._mapping)


async def _defects(tx: Tx, of: Of, span: Span) -> Found:
    return dict((await sql.defects(tx, **_bound(of, span)))._mapping)


async def _shipments(tx: Tx, of: Of, span: Span) -> Found:
    return dict((await sql.shipments(tx, **_bound(of, span)))._mapping)


async def _cohort(tx: Tx, of: Of, span: Span) -> Found:
    joined = before(span)
    days = {"joined_from": joined.from_on, "joined_to": joined.to_on, "from_on": span.from_on, "to_on": span.to_on}
    return dict((await sql.cohort(tx, entity=of.entity_id, **days))._mapping)


async def _ad_sales(tx: Tx, of: Of, span: Span) -> Found:
    return dict((await sql.ad_sales(tx, **_bound(of, span)))._mapping)


async def _matched(tx: Tx, of: Of, span: Span) -> Found:
    days = {"from_on": span.from_on, "to_on": span.to_on}
    return dict((await sql.matched(tx, entity=of.entity_id, currency=of.currency, **days))._mapping)


async def _settlement(tx: Tx, of: Of, span: Span) -> Found:
    return dict((await sql.settlement(tx, **_bound(of, span)))._mapping)


async def _promotions(tx: Tx, of: Of, span: Span) -> Found:
    """What reviews of the days found of promotions with a control, each arm by what it brought beside it."""
    treated, counterfactual, brought, cost = Fraction(), Fraction(), Fraction(), 0
    days = {"from_on": span.from_on, "to_on": span.to_on}
    for findings in await sql.reviews(tx, entity=of.entity_id, currency=of.currency, **days):
        for arm in findings.comparisons:
            if arm.control_minor is None or arm.cost_minor is None or findings.alarm:
                continue
            counterfactual += arm.treated * arm.control_minor
            treated += arm.treated * (arm.control_minor + arm.effect_minor.estimate)
            cost += arm.cost_minor
            brought += Fraction(arm.iroi_ppm.estimate * arm.cost_minor, PPM) if arm.iroi_ppm else 0
    orders = await read_orders(tx, of, span)
    completed, sold = orders["completed"], orders["completed_goods_minor"]
    more = (treated - counterfactual) * Fraction(completed, sold) if completed and sold else None
    return {
        "treated": treated,
        "counterfactual": counterfactual,
        "incremental_contribution_minor": brought,
        "campaign_cost_minor": cost,
        "incremental_orders": more if more is not None and more > 0 else None,
    }


_BY_MERCHANT = frozenset({"merchant_id"})
TRADE = (
    Source(frozenset({"paid_goods_minor"}), _paid, _BY_MERCHANT),
    Source(frozenset({"defective_orders"}), _defects, _BY_MERCHANT),
    Source(frozenset({"shipments", "late_shipments"}), _shipments, _BY_MERCHANT),
    Source(frozenset({"cohort", "cohort_active", "cohort_active_or_later"}), _cohort),
    Source(frozenset({"ad_sales_minor"}), _ad_sales, _BY_MERCHANT),
    Source(frozenset({"matched_minor", "processor_minor"}), _matched),
    Source(
        frozenset({"sales_minor", "top_up_minor", "refunds_minor", "fee_tax_minor", "fees_minor", "psp_minor"})
        | {"ads_minor", "rebates_minor", "clawed_back_minor", "reserve_held_minor", "reserve_released_minor"},
        _settlement,
        _BY_MERCHANT,
    ),
    Source(
        frozenset({"treated", "counterfactual", "incremental_contribution_minor", "campaign_cost_minor"})
        | {"incremental_orders"},
        _promotions,
    ),
)
