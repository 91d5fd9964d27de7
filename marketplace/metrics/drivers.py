"""What drives what: the trees that explain why a figure moved. Pure.

The North Star of the market is completed orders: active merchants x orders of each x how many are completed. It drives
what is sold (x average order value), and that drives what is earned (x what of it is revenue).
"""

from marketplace.metrics.contributions import Drivers, Op

NORTH_STAR = "completed_orders"
NORTH_STARS = {
    "platform": NORTH_STAR,
    "tool": "active_subscriptions",
    "hardware": "installed_units",
    "service": "turnover_served",
}
"""Of each business model that merchants are won by: what a merchant has of it, not what it pays."""

DRIVERS: dict[str, Drivers] = {
    "platform_revenue": Drivers(Op.PRODUCT, ("gmv_completed", "revenue_rate")),
    "gmv_completed": Drivers(Op.PRODUCT, ("completed_orders", "aov")),
    "aov": Drivers(Op.PRODUCT, ("items_per_order", "price_per_item")),
    "revenue_rate": Drivers(
        Op.SUM,
        ("commission_rate", "ad_rate", "value_added_rate", "third_party_rate", "contra_rate"),
        frozenset({"contra_rate"}),
    ),
    "completed_orders": Drivers(Op.PRODUCT, ("active_merchants", "orders_per_active_merchant", "completed_per_placed")),
    "active_merchants": Drivers(
        Op.SUM,
        ("active_at_start", "new_active_merchants", "reactivated_merchants", "deactivated_merchants"),
        frozenset({"deactivated_merchants"}),
    ),
    "net_active_change": Drivers(
        Op.SUM,
        ("new_active_merchants", "reactivated_merchants", "deactivated_merchants"),
        frozenset({"deactivated_merchants"}),
    ),
    "loaded_cac": Drivers(Op.RATIO, ("cohort_cost", "cohort_activated_merchants")),
    "active_subscriptions": Drivers(
        Op.SUM,
        ("subscriptions_at_start", "new_subscriptions", "ended_subscriptions"),
        frozenset({"ended_subscriptions"}),
    ),
    "installed_units": Drivers(
        Op.SUM, ("units_at_start", "newly_installed_units", "returned_units"), frozenset({"returned_units"})
    ),
    "turnover_served": Drivers(Op.PRODUCT, ("merchants_served", "turnover_per_merchant_served")),
}


def names_below(root: str) -> list[str]:
    """A figure and all that drives it, from the top down."""
    below = [name for each in (DRIVERS[root].names if root in DRIVERS else ()) for name in names_below(each)]
    return [root, *below]
