"""What each figure means: its formula over measured inputs, unit, direction and on which days it counts. Pure.

The words and formulas are those of section 4 of `research/marketplace.md`. A definition that changes gets the next
version; what was reported under an earlier one keeps saying so. Where an input is not known, the figure is None: nobody
has set the goal, the shop has told nothing, or it is asked of somebody it cannot be narrowed to.
"""

from collections.abc import Mapping
from enum import StrEnum
from fractions import Fraction

import msgspec

from marketplace.core.errors import NotFound
from marketplace.core.rates import PPM
from marketplace.metrics.formulas import Expression, Product, Ratio, Sum


class Unit(StrEnum):
    """COUNT and DAYS are whole; MINOR is money; RATIO is shown in parts per million, AMOUNT_EACH in minor units."""

    COUNT = "count"
    MINOR = "minor"
    RATIO = "ratio"
    DAYS = "days"
    MONTHS = "months"

    @property
    def scale(self) -> int:
        """How many of its whole numbers make one."""
        return PPM if self is Unit.RATIO else 1

    def whole(self, value: Fraction | None) -> int | None:
        """A value in whole numbers of the unit, half-even."""
        return None if value is None else round(value * self.scale)


class Direction(StrEnum):
    """Which way is good."""

    UP = "up"
    DOWN = "down"
    NEITHER = "neither"


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """additive: figures of days sum to that of their week. basis: of which days, gross or net, of whom."""

    name: str
    version_no: int
    unit: Unit
    direction: Direction
    additive: bool
    formula: Expression
    basis: str


_ALL: dict[str, Definition] = {}
_UP, _DOWN, _NEITHER = Direction.UP, Direction.DOWN, Direction.NEITHER


def _define(
    name: str,
    unit: Unit,
    formula: Expression,
    basis: str,
    direction: Direction = _UP,
    *,
    additive: bool = False,
    version_no: int = 1,
) -> None:
    assert name not in _ALL, name
    _ALL[name] = Definition(
        name=name, version_no=version_no, unit=unit, direction=direction, additive=additive, formula=formula,
        basis=basis,
    )  # fmt: skip


def _count(name: str, basis: str, direction: Direction = _UP, formula: Expression | None = None) -> None:
    _define(name, Unit.COUNT, name if formula is None else formula, basis, direction, additive=True)


def _money(name: str, basis: str, direction: Direction = _UP, formula: Expression | None = None) -> None:
    _define(name, Unit.MINOR, name if formula is None else formula, basis, direction, additive=True)


def _ratio(name: str, over: Expression, under: Expression, basis: str, direction: Direction = _UP) -> None:
    _define(name, Unit.RATIO, Ratio(over, under), basis, direction)


# Orders and what they are worth. Goods before discounts, without freight and tax.
_count("placed_orders", "orders placed, later cancelled ones with them, on the day of the sale", formula="placed")
_count("completed_orders", "orders of which the last part was delivered, on that day", formula="completed")
_money("gmv_placed", "goods of orders placed, later cancelled ones with them", formula="placed_goods_minor")
_define("gmv_paid", Unit.MINOR, "paid_goods_minor", "goods of orders paid, on the day that the payment counts in the"
        " journal", additive=True, version_no=2)  # fmt: skip
_money("gmv_completed", "goods of orders completed, on that day", formula="completed_goods_minor")
_money(
    "net_gmv",
    "completed GMV less discounts of merchants and platform and goods refunded on the day",
    formula=Sum(("completed_goods_minor",), ("completed_discount_minor", "incentives_minor", "refunded_goods_minor")),
)
_define(
    "aov", Unit.MINOR, Ratio("completed_goods_minor", "completed"), "goods of an order that was completed, on average"
)
_ratio("items_per_order", "completed_items", "completed", "units of an order that was completed")
_define("price_per_item", Unit.MINOR, Ratio("completed_goods_minor", "completed_items"), "goods by the units of orders"
        " that were completed", _NEITHER)  # fmt: skip
_ratio("order_frequency", "completed", "buyers", "orders completed by distinct buyers that they were completed for")
_ratio("buyer_conversion", "visitors_with_order", "visitors", "visitors of a day who order by all its visitors, as the"
       " shop tells them")  # fmt: skip
_ratio("fill_rate", "requests_filled", "requests", "requests of the days that led to a completed order within the"
       " shop's window, as it tells them")  # fmt: skip
_ratio("supply_utilisation", "merchants_with_order", "live_merchants", "live merchants that had an order")
_define("time_to_first_quote", Unit.DAYS, "days_to_first_quote", "median over requests of the days, as the shop tells"
        " them, those unquoted censored when they were given up", _DOWN)  # fmt: skip
_ratio("completion_rate", "placed_completed", "placed", "orders placed in the period that were completed since")
_ratio("completed_per_placed", "completed", "placed", "orders completed by orders placed, both in the period")
_ratio("acceptance_rate", "placed_accepted", "placed_paid", "orders placed and paid that the merchant accepted")
_ratio("seller_cancel_rate", "placed_cancelled_by_merchant", "placed", "orders placed that the merchant called off",
       _DOWN)  # fmt: skip
_ratio("order_defect_rate", "defective_orders", "completed", "orders completed in the period with a granted claim or a"
       " chargeback that was not won", _DOWN)  # fmt: skip
_ratio("late_shipment_rate", "late_shipments", "shipments", "parcels sent in the period later than 3 days after the"
       " order was paid", _DOWN)  # fmt: skip
_ratio("refund_rate", "completed_refunded", "completed", "orders completed in the period that were refunded", _DOWN)

# What the platform earns, by the journal, on the effective day.
_REVENUE = Sum(
    ("commission_minor", "ad_minor", "value_added_minor", "third_party_minor"), ("contra_revenue_minor",)
)  # fmt: skip
_FEES = Sum(("commission_minor", "ad_minor", "value_added_minor"))
_INCENTIVES = Sum(("incentives_minor",))
_money("commission", "net of what refunds returned", formula="commission_minor")
_money("ad_revenue", "ads that were delivered", formula="ad_minor")
_money("value_added_revenue", "subscriptions, hardware and services, as earned", formula="value_added_minor")
_money("third_party_revenue", "fees of payers", formula="third_party_minor")
_money("platform_revenue", "net of incentives that lower revenue; matchmaking only", formula=_REVENUE)
_money("self_operated_revenue", "goods the platform sold itself, gross", formula="self_operated_minor")
_money("incentive_cost", "what promotions cost the platform", _DOWN, formula="incentives_minor")
_ratio("gross_take_rate", _FEES, "completed_goods_minor", "commission, ads and service fees, net of what was"
       " given back, by the days they count in the journal, by completed GMV: goods before discounts, without freight,"
       " before refunds")  # fmt: skip
_ratio("net_take_rate", Sum((_FEES,), (_INCENTIVES,)), "completed_goods_minor", "the same, less incentives")
_ratio("revenue_rate", _REVENUE, "completed_goods_minor", "platform revenue by completed GMV")
for _part, _input in (
    ("commission", "commission_minor"), ("ad", "ad_minor"), ("value_added", "value_added_minor"),
    ("third_party", "third_party_minor"),
):  # fmt: skip
    _ratio(f"{_part}_rate", _input, "completed_goods_minor", "by completed GMV", _NEITHER)
    _ratio(f"{_part}_share", _input, _REVENUE, "of platform revenue", _NEITHER)
_ratio("contra_rate", "contra_revenue_minor", "completed_goods_minor", "incentives booked against revenue", _DOWN)
_ratio("subsidy_rate", "incentives_minor", "completed_goods_minor", "incentives by completed GMV", _DOWN)
_money(
    "contribution_margin",
    "platform revenue less what varies with it, as booked: incentives, processors, losses, goods",
    formula=Sum(
        (_REVENUE, "recharged_minor", "self_operated_minor"),
        ("incentive_expense_minor", "processor_fees_minor", "losses_minor", "goods_cost_minor", "granted_ads_minor"),
    ),
)
_define(
    "arpu", Unit.MINOR, Ratio(_REVENUE, Ratio(Sum(("active_at_start", "active_at_end")), 2)),
    "platform revenue by the average of active merchants at start and end",
)  # fmt: skip

# Merchants: alive, new and gone.
_define("active_merchants", Unit.COUNT, "active_at_end", "a completed order in the 28 days to the end of the period")
_define("active_at_start", Unit.COUNT, "active_at_start", "active on the day before the period")
_count("new_active_merchants", "active for the first time", formula="new_active")
_count("reactivated_merchants", "active again", formula="reactivated")
_count("deactivated_merchants", "active no more: no completed order for 28 days", _DOWN, formula="deactivated")
_count(
    "net_active_change", "new and reactivated, less those active no more",
    formula=Sum(("new_active", "reactivated"), ("deactivated",)),
)  # fmt: skip
_ratio("orders_per_active_merchant", "placed", "active_at_end", "orders placed by active merchants at the end")
_ratio("activation_rate", "joined_activated", "joined", "merchants live in the period with an order within 30 days")
_define("time_to_value", Unit.DAYS, "days_to_first_order", "median from signed to the first completed order, censored",
        _DOWN)  # fmt: skip
_ratio("cohort_retention", "cohort_active", "cohort", "merchants live in the period before (ask for a month) that"
       " completed an order in this one")  # fmt: skip
_ratio("rolling_retention", "cohort_active_or_later", "cohort", "the same, in this period or since")
_ratio("logo_churn", "churned", "retained_at_start", "alive at the start, last order in the period and none since"
       " for 60 days, or three of their median gaps", _DOWN)  # fmt: skip
_ratio("reactivation_rate", "returned", "churned_at_start", "churned at the start and back in the period")
_ratio("grr", "kept_revenue_minor", "start_revenue_minor", "of merchants who brought revenue in the period before, what"
       " they bring now, each at most what it was")  # fmt: skip
_NRR = Sum(("start_revenue_minor", "expansion_minor"), ("contraction_minor", "churned_revenue_minor"))
_define("nrr", Unit.RATIO, Ratio(_NRR, "start_revenue_minor"), "of merchants who brought revenue in the period before,"
        " what they bring now", version_no=2)  # fmt: skip
_ratio("nrr_year", "year_end_minor", "year_start_minor", "the same of three months to the end of the period, against"
       " the same three a year before")  # fmt: skip
_GMV_NRR = Sum(("start_gmv_minor", "gmv_expansion_minor"), ("gmv_contraction_minor", "churned_gmv_minor"))
_ratio("gmv_nrr", _GMV_NRR, "start_gmv_minor", "as NRR, of completed GMV")
_ratio(
    "quick_ratio", Sum(("new_revenue_minor", "reactivated_revenue_minor", "expansion_minor")),
    Sum(("contraction_minor", "churned_revenue_minor")), "revenue won by revenue lost",
)  # fmt: skip

# Winning merchants: what came in and what it cost.
_count("leads", "leads that entered the funnel", formula="leads_new")
_count("qualified_leads", "need, authority, ability and timing confirmed (SQL)", formula="leads_qualified")
_count("marketing_qualified_leads", "fit and engagement above the scoring's bounds (MQL)", formula="leads_marketing")
_count("accepted_leads", "taken up by sales within its time (SAL)", formula="leads_accepted")
_count("signed_merchants", "leads that signed", formula="leads_signed")
_count("activated_merchants", "leads that reached the stage where the merchant lives", formula="leads_activated")
_ratio("mql_to_sql", "cohort_sql", "cohort_mql", "MQLs of the period that people qualified within 30 days")
_define("mql_to_sql_period", Unit.RATIO, Ratio("leads_confirmed", "leads_marketing"), "what people qualified by what"
        " the score did on the same days: no cohort", version_no=2)  # fmt: skip
_ratio("win_rate", "leads_won", Sum(("leads_won", "leads_lost")), "won by closed in the period; open ones left out")
_define("sales_cycle", Unit.DAYS, "days_qualified_to_signed", "median from qualified to signed", _DOWN)
_define(
    "pipeline_velocity", Unit.MINOR,
    Ratio(Product(("open_deals", Ratio("leads_won", Sum(("leads_won", "leads_lost"))), "deal_minor")),
          "days_qualified_to_signed"),
    "what the deals open at the end of the period bring a day; a deal is worth what a merchant that sold has brought"
    " the house in the year to then",
)  # fmt: skip
_define("pipeline_coverage", Unit.RATIO, Ratio("open_deals", "signed_left"), "open deals by what is left of the house's"
        " goal of merchants to sign in these very days", version_no=2)  # fmt: skip
_ratio("lead_velocity", Sum(("leads_qualified",), ("leads_qualified_before",)), "leads_qualified_before",
       "change of qualified leads against the period before")  # fmt: skip
_ratio("visits_per_rep_day", "valid_visits", "rep_days", "visits that count by days that reps worked")
_ratio("signed_per_visit", "leads_signed", "valid_visits", "signed by visits that count")
_money("acquisition_spend", "all that was spent on channels", _NEITHER, formula="spend_minor")
_define("cohort_cost", Unit.MINOR, "cohort_cost_minor", "spent in the period, with commission and rewards of the leads"
        " that began in it", _NEITHER)  # fmt: skip
_define("cohort_activated_merchants", Unit.COUNT, "cohort_activated", "of the leads that began in the period")
_define("paid_cac", Unit.MINOR, Ratio("cohort_paid_minor", "cohort_activated"), "media and variable cost by merchants"
        " activated of the leads that began in the period", _DOWN, version_no=2)  # fmt: skip
_define("loaded_cac", Unit.MINOR, Ratio("cohort_cost_minor", "cohort_activated"), "all cost by merchants activated of"
        " the leads that began in the period", _DOWN, version_no=2)  # fmt: skip
_define("payback", Unit.MONTHS, "payback_months", "first month by which contribution has reached cost", _DOWN)
_define("ltv", Unit.MINOR, "ltv_minor", "contribution per merchant of a cohort to a horizon, discounted")
_ratio("ltv_to_cac", "ltv_minor", "cac_minor", "of the same cohort and margin")

# What merchants use: the North Stars of a tool, of hardware and of a service.
_define(
    "active_subscriptions", Unit.COUNT,
    Sum(("subscriptions_at_start", "subscriptions_new"), ("subscriptions_ended",)),
    "paid for at least once and not ended at the end of the period",
)  # fmt: skip
_define("subscriptions_at_start", Unit.COUNT, "subscriptions_at_start", "on the day before the period")
_count("new_subscriptions", "paid for the first time", formula="subscriptions_new")
_count("ended_subscriptions", "ended after they were paid for", _DOWN, formula="subscriptions_ended")
_define("installed_units", Unit.COUNT, Sum(("units_at_start", "units_installed"), ("units_returned",)),
        "devices installed and not returned at the end of the period")  # fmt: skip
_define("units_at_start", Unit.COUNT, "units_at_start", "on the day before the period")
_count("newly_installed_units", "devices installed", formula="units_installed")
_count("returned_units", "devices that came back after they were installed", _DOWN, formula="units_returned")
_define("turnover_served", Unit.MINOR, "served_minor", "merchants' turnover of closed months that a share is taken of,"
        " by the month's first day")  # fmt: skip
_define("merchants_served", Unit.COUNT, "merchants_served", "whose closed months are in the turnover served")
_define("turnover_per_merchant_served", Unit.MINOR, Ratio("served_minor", "merchants_served"), "on average")

# Ads and promotions.
_ratio("ctr", "ad_clicks", "ad_impressions", "clicks by impressions")
_define("cpc", Unit.MINOR, Ratio("ad_minor", "ad_clicks"), "spend by clicks", _NEITHER)
_define("cpm", Unit.MINOR, Ratio(Product(("ad_minor", 1000)), "ad_impressions"), "spend by a thousand impressions",
        _NEITHER)  # fmt: skip
_ratio("roas", "ad_sales_minor", "ad_minor", "sales within a week of a buyer's last click, by spend")
_ratio("acos", "ad_minor", "ad_sales_minor", "spend by such sales", _DOWN)
_ratio("tacos", "ad_minor", "completed_goods_minor", "spend by all sales", _NEITHER)
_ratio("ad_fill_rate", "ad_slots_filled", "ad_slots_eligible", "filled slots by eligible slots, as the shop tells them")
_ratio("ad_load", "ad_slots_filled", "slots", "ad slots by all slots, as the shop tells them", _NEITHER)
_ratio("lift", Sum(("treated",), ("counterfactual",)), "counterfactual", "sales of merchants in promotions"
       " reviewed in the period against what they would have been by their controls")  # fmt: skip
_ratio("incremental_roi", Sum(("incremental_contribution_minor",), ("campaign_cost_minor",)), "campaign_cost_minor",
       "of the same: margin that they brought less cost, by cost")  # fmt: skip
_define("burn_per_incremental_order", Unit.MINOR, Ratio("campaign_cost_minor", "incremental_orders"),
        "of the same: cost by orders that would not have been, by the period's average order", _DOWN,
        version_no=2)  # fmt: skip

# Goals and money on its way.
_ratio("attainment", "actual", "target", "of the house's goal of completed orders of these very days")
_ratio("pace", "actual", "expected_to_date", "of that goal, against what its days so far were to bring")
_define("run_rate", Unit.COUNT, Product(("completed", Ratio("days", "days_over"))), "orders completed by the end of the"
        " period, were its days to come like those that are over")  # fmt: skip
_define(
    "seller_balance", Unit.MINOR, Sum(("pending_minor", "payable_minor", "reserve_minor", "in_payout_minor")),
    "what the house holds for merchants at the end of the period", _NEITHER,
)  # fmt: skip
_ratio("reconciliation_rate", "matched_minor", "processor_minor", "value of processors' lines that our books"
       " have and whose batch the bank has, by all of the days")  # fmt: skip
_define(
    "net_settlement", Unit.MINOR,
    Sum(
        ("sales_minor", "rebates_minor", "top_up_minor", "reserve_released_minor"),
        ("refunds_minor", "fees_minor", "fee_tax_minor", "psp_minor", "ads_minor", "clawed_back_minor",
         "reserve_held_minor"),
    ),
    "what merchants are paid for a period: all that moves their payable account but payouts", _NEITHER,
)  # fmt: skip

DEFINITIONS: dict[str, Definition] = _ALL


def definition(name: str) -> Definition:
    """A figure by its name. Raises NotFound."""
    found = DEFINITIONS.get(name)
    if found is None:
        raise NotFound(f"there is no metric {name[:60]!r}")
    return found


STILL_OPEN: Mapping[str, Expression] = {
    "completion_rate": Sum(("placed",), ("placed_completed", "placed_cancelled")),
    "acceptance_rate": Sum(("placed",), ("placed_accepted", "placed_cancelled")),
    "seller_cancel_rate": Sum(("placed",), ("placed_completed", "placed_cancelled")),
}
"""Of figures of a cohort, how many of it are still on their way: while there are any, the figure is not mature."""
