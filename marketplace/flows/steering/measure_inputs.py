"""Process: what figures are made of is measured, every input in one place.

What is rolled up answers most; the rest is answered by the flows that compare merchants and weigh channels, so that
they and the figures cannot say different things.
"""

from collections.abc import Iterable
from fractions import Fraction
from typing import Any

from marketplace.core.db import Tx
from marketplace.core.months import add_months
from marketplace.core.rates import PPM
from marketplace.flows.acquisition.compare_sales import earned_growth, sold_growth
from marketplace.flows.acquisition.weigh_channels import WeighChannels, weigh_total
from marketplace.flows.steering import measure_products_sql as products
from marketplace.flows.steering import measure_sales_sql as sales
from marketplace.flows.steering.measure_trade import TRADE
from marketplace.flows.steering.pace_goals import pace_goal
from marketplace.metrics import goals_sql as goals
from marketplace.metrics import observations_sql as observations
from marketplace.metrics.definitions import definition
from marketplace.metrics.drivers import NORTH_STAR
from marketplace.metrics.formulas import Number, evaluate, inputs_of
from marketplace.metrics.inputs_sql import ROLLED, Found, Of, Source
from marketplace.metrics.periods import Span, compared
from marketplace.metrics.tables import TOLD
from supply.funnels.statistics import counted, median_survival


async def _growth(tx: Tx, of: Of, span: Span) -> Found:
    found = await earned_growth(tx, *compared(span, of.as_of), of.currency, of.entity_id)
    return {
        "start_revenue_minor": found.start_minor,
        "kept_revenue_minor": found.start_minor - found.contraction_minor - found.churned_minor,
        "new_revenue_minor": found.new_minor,
        "reactivated_revenue_minor": found.reactivated_minor,
        "expansion_minor": found.expansion_minor,
        "contraction_minor": found.contraction_minor,
        "churned_revenue_minor": found.churned_minor,
    }


async def _year(tx: Tx, of: Of, span: Span) -> Found:
    """Three months to the end of the period, and the same three a year before."""
    last = Span(add_months(span.to_on, -3), span.to_on)
    year = Span(add_months(last.from_on, -12), add_months(last.to_on, -12))
    found = await earned_growth(tx, last, year, of.currency, of.entity_id)
    return {"year_start_minor": found.start_minor, "year_end_minor": found.existing_minor}


async def _sold(tx: Tx, of: Of, span: Span) -> Found:
    found = await sold_growth(tx, *compared(span, of.as_of), of.currency, of.entity_id)
    return {
        "start_gmv_minor": found.start_minor,
        "gmv_expansion_minor": found.expansion_minor,
        "gmv_contraction_minor": found.contraction_minor,
        "churned_gmv_minor": found.churned_minor,
    }


async def _economics(tx: Tx, of: Of, span: Span) -> Found:
    """Of the platform's leads that began in the period, in the words of `weigh_channels`."""
    cmd = WeighChannels(from_on=span.from_on, to_on=span.to_on, currency=of.currency)
    found = await weigh_total(tx, cmd, of.channel_id)
    return {
        "cohort_cost_minor": found.spent_minor,
        "cohort_paid_minor": found.paid_minor,
        "cohort_activated": Fraction(found.activated_ppm, PPM),
        "cac_minor": found.cac_loaded_minor,
        "payback_months": found.payback_months,
        "ltv_minor": found.ltv_minor,
    }


def _whose(of: Of, span: Span) -> dict[str, Any]:
    return {
        "from_on": span.from_on,
        "to_on": span.to_on,
        "rep": of.rep_id,
        "territory": of.territory_id,
        "channel": of.channel_id,
    }


async def _visits(tx: Tx, of: Of, span: Span) -> Found:
    return dict((await sales.visits(tx, **_whose(of, span)))._mapping)


async def _qualified(tx: Tx, of: Of, span: Span) -> Found:
    return await sales.qualified(tx, **_whose(of, span))


def _median(name: str, first: str, last: str) -> Source:
    """The median of days between two stages, those who are not there yet counted as still on their way."""

    async def read(tx: Tx, of: Of, span: Span) -> Found:
        rows = await sales.days_between(tx, first, last, today=of.as_of, **_whose(of, span))
        done, still = (counted((row.days, row.leads) for row in rows if row.fate == fate) for fate in ("on", "open"))
        return {name: median_survival(done, still)}

    return Source(frozenset({name}), read, _BY_LEAD)


async def _deals(tx: Tx, of: Of, span: Span) -> Found:
    return {"open_deals": await sales.open_deals(tx, **_whose(of, span))}


async def _deal_value(tx: Tx, of: Of, span: Span) -> Found:
    """A deal is worth what a merchant that sells brings the house in a year, whoever closes it."""
    house = Of(entity_id=of.entity_id, currency=of.currency, as_of=of.as_of)
    year = Span(add_months(span.to_on, -12), span.to_on)
    earned = await _value(tx, house, year, "platform_revenue")
    merchants = await sales.merchants_sold(
        tx, entity=of.entity_id, currency=of.currency, from_on=year.from_on, to_on=year.to_on
    )
    return {"deal_minor": None if earned is None or not merchants else Fraction(earned, merchants)}


_SIGNED = "signed_merchants"


async def _signed_left(tx: Tx, of: Of, span: Span) -> Found:
    """What is left of the house's goal of merchants to sign in these very days."""
    goal = await goals.house_goal(tx, _SIGNED, of.entity_id, of.currency, span)
    signed = await _value(tx, of, span, _SIGNED)
    return {"signed_left": None if goal is None or signed is None else max(goal.target - signed, Fraction())}


async def _goal(tx: Tx, of: Of, span: Span) -> Found:
    """Of the house's goal for the North Star of these very days."""
    goal = await goals.house_goal(tx, NORTH_STAR, of.entity_id, of.currency, span)
    if goal is None:
        return {"actual": None, "target": None, "expected_to_date": None}
    reached = definition(NORTH_STAR).unit.whole(await _value(tx, of, span, NORTH_STAR)) or 0
    found = await pace_goal(tx, goal, of, reached)
    return {"actual": found.actual, "target": found.target, "expected_to_date": found.expected}


async def _value(tx: Tx, of: Of, span: Span, name: str) -> Fraction | None:
    formula = definition(name).formula
    return evaluate(formula, await read_inputs(tx, of, span, inputs_of(formula)))


def _bound(of: Of, span: Span) -> dict[str, Any]:
    return {"entity": of.entity_id, "merchant": of.merchant_id, "from_on": span.from_on, "to_on": span.to_on}


async def _subscriptions(tx: Tx, of: Of, span: Span) -> Found:
    return dict((await products.subscriptions(tx, **_bound(of, span)))._mapping)


async def _units(tx: Tx, of: Of, span: Span) -> Found:
    return dict((await products.units(tx, **_bound(of, span)))._mapping)


async def _served(tx: Tx, of: Of, span: Span) -> Found:
    return dict((await products.served(tx, of.currency, **_bound(of, span)))._mapping)


async def _days(tx: Tx, of: Of, span: Span) -> Found:
    return {"days": span.days, "days_over": min(max((of.as_of - span.from_on).days, 0), span.days)}


async def _visitors(tx: Tx, of: Of, span: Span) -> Found:
    told = await observations.counts(tx, of.entity_id, span)
    return {name: told.get(name) for name in TOLD}


async def _first_quotes(tx: Tx, of: Of, span: Span) -> Found:
    told = await observations.waits(tx, of.entity_id, span)
    return {"days_to_first_quote": median_survival(told["quoted"], told["unquoted"])}


_BY_LEAD = frozenset({"territory_id", "rep_id", "channel_id"})
_BY_MERCHANT = frozenset({"merchant_id"})
SOURCES = (
    *ROLLED,
    *TRADE,
    Source(frozenset({"open_deals"}), _deals, _BY_LEAD),
    Source(frozenset({"deal_minor"}), _deal_value, _BY_LEAD),
    Source(frozenset({"signed_left"}), _signed_left),
    Source(frozenset({"actual", "target", "expected_to_date"}), _goal),
    Source(frozenset({"days", "days_over"}), _days, _BY_MERCHANT),
    Source(frozenset(TOLD), _visitors),
    Source(frozenset({"days_to_first_quote"}), _first_quotes),
    Source(
        frozenset(
            {"start_revenue_minor", "kept_revenue_minor", "new_revenue_minor", "reactivated_revenue_minor"}
            | {"expansion_minor", "contraction_minor", "churned_revenue_minor"}
        ),
        _growth,
    ),
    Source(frozenset({"year_start_minor", "year_end_minor"}), _year),
    Source(frozenset({"start_gmv_minor", "gmv_expansion_minor", "gmv_contraction_minor", "churned_gmv_minor"}), _sold),
    Source(
        frozenset({"cohort_cost_minor", "cohort_paid_minor", "cohort_activated"})
        | {"cac_minor", "payback_months", "ltv_minor"},
        _economics,
        frozenset({"channel_id"}),
    ),
    Source(frozenset({"valid_visits", "rep_days"}), _visits, frozenset({"territory_id", "rep_id"})),
    Source(
        frozenset({"leads_marketing", "leads_accepted", "leads_confirmed", "cohort_mql", "cohort_sql"}),
        _qualified,
        _BY_LEAD,
    ),
    _median("days_qualified_to_signed", "qualified", "signed"),
    _median("days_to_first_order", "signed", "first_order"),
    Source(
        frozenset({"subscriptions_at_start", "subscriptions_new", "subscriptions_ended"}), _subscriptions, _BY_MERCHANT
    ),
    Source(frozenset({"units_at_start", "units_installed", "units_returned"}), _units, _BY_MERCHANT),
    Source(frozenset({"served_minor", "merchants_served"}), _served, _BY_MERCHANT),
)
MEASURED = frozenset().union(*(source.inputs for source in SOURCES))


async def read_inputs(tx: Tx, of: Of, span: Span, names: Iterable[str]) -> dict[str, Number | None]:
    """The inputs of these names: None for what nothing measures, or not for this scope."""
    wanted = frozenset(names)
    narrowed = {field for field in ("merchant_id", "territory_id", "rep_id", "channel_id") if getattr(of, field)}
    found: dict[str, Number | None] = dict.fromkeys(wanted)
    for source in SOURCES:
        if source.inputs & wanted and narrowed <= source.by:
            measured = await source.read(tx, of, span)
            found |= {name: measured[name] for name in source.inputs & wanted}
    return found
