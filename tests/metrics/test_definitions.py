"""Every figure on hand-made data with known answers, and undefined where it is: None, never 0."""

from typing import Any

import pytest

from marketplace.flows.steering.measure_inputs import MEASURED, SOURCES
from marketplace.metrics.contributions import value_of
from marketplace.metrics.definitions import DEFINITIONS, Unit, definition
from marketplace.metrics.drivers import DRIVERS
from marketplace.metrics.formulas import evaluate, inputs_of

ORDERS = {
    "placed": 50, "placed_goods_minor": 500_000, "placed_paid": 45, "placed_paid_goods_minor": 1,
    "paid_goods_minor": 450_000,
    "placed_accepted": 36, "placed_cancelled": 5, "placed_cancelled_by_merchant": 2, "placed_completed": 30,
    "completed": 40, "completed_goods_minor": 400_000, "completed_discount_minor": 20_000, "completed_items": 100,
    "completed_refunded": 4, "refunds": 5, "refunded_goods_minor": 30_000, "refunded_freight_minor": 1_000,
    "buyers": 32, "visitors": 1_000, "visitors_with_order": 25, "requests": 8, "requests_filled": 2,
    "live_merchants": 20, "merchants_with_order": 15, "days_to_first_quote": 3, "defective_orders": 1,
    "late_shipments": 3, "shipments": 30,
}  # fmt: skip
MONEY = {
    "commission_minor": 40_000, "ad_minor": 8_000, "value_added_minor": 12_000, "third_party_minor": 4_000,
    "contra_revenue_minor": 4_000, "incentive_expense_minor": 6_000, "incentives_minor": 10_000,
    "recharged_minor": 500, "self_operated_minor": 1_000, "processor_fees_minor": 3_000, "losses_minor": 700,
    "goods_cost_minor": 600, "granted_ads_minor": 200, "pending_minor": 1_000, "payable_minor": 2_000,
    "reserve_minor": 300, "in_payout_minor": 40, "matched_minor": 900, "processor_minor": 1_000,
    "sales_minor": 10_000, "rebates_minor": 100, "top_up_minor": 200, "reserve_released_minor": 50,
    "refunds_minor": 1_000, "fees_minor": 900, "fee_tax_minor": 180, "psp_minor": 70, "ads_minor": 60,
    "clawed_back_minor": 20, "reserve_held_minor": 30,
}  # fmt: skip
MERCHANTS = {
    "active_at_start": 10, "active_at_end": 14, "new_active": 5, "reactivated": 1, "deactivated": 2, "joined": 8,
    "joined_activated": 6, "days_to_first_order": 9, "cohort": 10, "cohort_active": 4, "cohort_active_or_later": 5,
    "retained_at_start": 12, "churned": 3, "churned_at_start": 4, "returned": 1, "start_revenue_minor": 1_000,
    "kept_revenue_minor": 850, "expansion_minor": 250, "contraction_minor": 50, "churned_revenue_minor": 100,
    "start_gmv_minor": 10_000, "gmv_expansion_minor": 500, "gmv_contraction_minor": 1_500, "churned_gmv_minor": 1_000,
    "new_revenue_minor": 100, "reactivated_revenue_minor": 25, "year_start_minor": 2_000, "year_end_minor": 2_100,
    "subscriptions_at_start": 7, "subscriptions_new": 4, "subscriptions_ended": 2, "units_at_start": 30,
    "units_installed": 6, "units_returned": 1, "served_minor": 90_000, "merchants_served": 3,
}  # fmt: skip
LEADS = {
    "leads_new": 100, "leads_qualified": 24, "leads_marketing": 60, "leads_accepted": 40, "leads_signed": 12,
    "leads_activated": 8, "cohort_sql": 15, "cohort_mql": 60, "leads_won": 12, "leads_lost": 18,
    "days_qualified_to_signed": 20, "open_deals": 10, "deal_minor": 5_000, "signed_left": 4,
    "leads_qualified_before": 20, "valid_visits": 48, "rep_days": 20,
    "spend_minor": 70_000, "leads_confirmed": 24, "cohort_cost_minor": 64_000, "cohort_paid_minor": 24_000,
    "cohort_activated": 8, "payback_months": 7, "ltv_minor": 24_000, "cac_minor": 8_000,
    "ad_clicks": 200, "ad_impressions": 10_000, "ad_sales_minor": 32_000, "ad_slots_filled": 300,
    "ad_slots_eligible": 400, "slots": 3_000, "treated": 120, "counterfactual": 100,
    "incremental_contribution_minor": 15_000, "campaign_cost_minor": 10_000, "incremental_orders": 20, "actual": 80,
    "target": 100, "expected_to_date": 64, "days": 7, "days_over": 5,
}  # fmt: skip
INPUTS: dict[str, Any] = ORDERS | MONEY | MERCHANTS | LEADS

KNOWN: dict[str, int] = {
    "placed_orders": 50, "completed_orders": 40, "gmv_placed": 500_000, "gmv_paid": 450_000, "gmv_completed": 400_000,
    "net_gmv": 340_000, "aov": 10_000, "items_per_order": 2_500_000, "price_per_item": 4_000,
    "order_frequency": 1_250_000,
    "buyer_conversion": 25_000, "fill_rate": 250_000, "supply_utilisation": 750_000, "time_to_first_quote": 3,
    "completion_rate": 600_000, "completed_per_placed": 800_000, "acceptance_rate": 800_000,
    "seller_cancel_rate": 40_000, "order_defect_rate": 25_000, "late_shipment_rate": 100_000, "refund_rate": 100_000,
    "commission": 40_000, "ad_revenue": 8_000, "value_added_revenue": 12_000, "third_party_revenue": 4_000,
    "platform_revenue": 60_000, "self_operated_revenue": 1_000, "incentive_cost": 10_000, "gross_take_rate": 150_000,
    "net_take_rate": 125_000, "revenue_rate": 150_000, "commission_rate": 100_000, "commission_share": 666_667,
    "ad_rate": 20_000, "ad_share": 133_333, "value_added_rate": 30_000, "value_added_share": 200_000,
    "third_party_rate": 10_000, "third_party_share": 66_667, "contra_rate": 10_000, "subsidy_rate": 25_000,
    "contribution_margin": 51_000, "arpu": 5_000, "active_merchants": 14, "active_at_start": 10,
    "new_active_merchants": 5, "reactivated_merchants": 1, "deactivated_merchants": 2, "net_active_change": 4,
    "orders_per_active_merchant": 3_571_429, "activation_rate": 750_000, "time_to_value": 9,
    "cohort_retention": 400_000, "rolling_retention": 500_000, "logo_churn": 250_000, "reactivation_rate": 250_000,
    "grr": 850_000, "nrr": 1_100_000, "nrr_year": 1_050_000, "gmv_nrr": 800_000, "quick_ratio": 2_500_000, "leads": 100,
    "qualified_leads": 24, "marketing_qualified_leads": 60, "accepted_leads": 40, "signed_merchants": 12,
    "activated_merchants": 8, "mql_to_sql": 250_000, "mql_to_sql_period": 400_000, "win_rate": 400_000,
    "sales_cycle": 20, "pipeline_velocity": 1_000, "pipeline_coverage": 2_500_000, "lead_velocity": 200_000,
    "visits_per_rep_day": 2_400_000, "signed_per_visit": 250_000, "acquisition_spend": 70_000, "cohort_cost": 64_000,
    "cohort_activated_merchants": 8, "active_subscriptions": 9, "subscriptions_at_start": 7, "new_subscriptions": 4,
    "ended_subscriptions": 2, "installed_units": 35, "units_at_start": 30, "newly_installed_units": 6,
    "returned_units": 1, "turnover_served": 90_000, "merchants_served": 3, "turnover_per_merchant_served": 30_000,
    "paid_cac": 3_000,
    "loaded_cac": 8_000, "payback": 7, "ltv": 24_000, "ltv_to_cac": 3_000_000, "ctr": 20_000, "cpc": 40, "cpm": 800,
    "roas": 4_000_000, "acos": 250_000, "tacos": 20_000, "ad_fill_rate": 750_000, "ad_load": 100_000, "lift": 200_000,
    "incremental_roi": 500_000, "burn_per_incremental_order": 500, "attainment": 800_000, "pace": 1_250_000,
    "run_rate": 56, "seller_balance": 3_340, "reconciliation_rate": 900_000, "net_settlement": 8_090,
}  # fmt: skip


def test_every_figure_has_a_known_answer() -> None:
    assert KNOWN.keys() == DEFINITIONS.keys()
    assert INPUTS.keys() == frozenset().union(*(inputs_of(known.formula) for known in DEFINITIONS.values())) | (
        ORDERS.keys() & {"placed_cancelled", "placed_paid_goods_minor", "refunds", "refunded_freight_minor"}
    )


@pytest.mark.parametrize("name", KNOWN)
def test_a_figure_on_hand_made_data(name: str) -> None:
    known = definition(name)
    assert known.unit.whole(evaluate(known.formula, INPUTS)) == KNOWN[name]


@pytest.mark.parametrize("name", KNOWN)
def test_a_figure_is_undefined_where_an_input_is_missing_or_it_divides_by_zero(name: str) -> None:
    known = definition(name)
    for missing in inputs_of(known.formula):
        assert evaluate(known.formula, INPUTS | {missing: None}) is None
    nothing = evaluate(known.formula, dict.fromkeys(INPUTS, 0))
    divides = known.unit is Unit.RATIO or name in {
        "aov", "arpu", "pipeline_velocity", "paid_cac", "loaded_cac", "cpc", "cpm", "burn_per_incremental_order",
        "turnover_per_merchant_served", "run_rate", "price_per_item",
    }  # fmt: skip
    assert nothing is None if divides else nothing == 0


def test_what_adds_up_over_days_is_a_sum_of_inputs_that_do() -> None:
    assert all(not known.additive or known.unit in {Unit.COUNT, Unit.MINOR} for known in DEFINITIONS.values())


def test_every_input_is_measured_once() -> None:
    assert len(MEASURED) == sum(len(source.inputs) for source in SOURCES)
    assert frozenset().union(*(inputs_of(known.formula) for known in DEFINITIONS.values())) <= MEASURED


def test_what_drives_a_figure_makes_it_up_exactly() -> None:
    """The identity of each tree on the hand-made data; the completed orders of a period are those of its merchants."""
    values = {name: evaluate(known.formula, INPUTS) for name, known in DEFINITIONS.items()}
    for name, drivers in DRIVERS.items():
        assert value_of(drivers, values) == values[name], name
