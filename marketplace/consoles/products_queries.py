"""What a merchant buys of the platform, on pages: tools, hardware, work, services, and what they cost."""

from collections.abc import Mapping, Sequence

import msgspec

from billing.charges import store as charges
from billing.charges.model import Charge
from marketplace.consoles.books_queries import Merchant, get_merchant
from marketplace.core.db import Tx
from supply.products.hardware import store as hardware
from supply.products.hardware.model import HardwareOrder, HardwareQuote, WorkOrder
from supply.products.services import store as services
from supply.products.services.model import Agreement
from supply.products.subscriptions import store as subscriptions
from supply.products.subscriptions.model import Plan, Subscription

LISTED_MAX = 50


class Deal(msgspec.Struct, frozen=True):
    """A hardware order with the quote that counts."""

    order: HardwareOrder
    quote: HardwareQuote


class ProductsPage(msgspec.Struct, frozen=True):
    """The newest of everything first. plans: every one that a subscription has, by id; offered: what can be had now."""

    merchant: Merchant
    offered: Sequence[Plan]
    plans: Mapping[int, Plan]
    items: Mapping[int, str]
    subscriptions: Sequence[Subscription]
    deals: Sequence[Deal]
    work: Sequence[WorkOrder]
    agreements: Sequence[Agreement]
    charges: Sequence[Charge]


async def products_page(tx: Tx, merchant_id: int) -> ProductsPage:
    """Raises NotFound."""
    merchant = await get_merchant(tx, merchant_id)
    held = await subscriptions.list_subscriptions(tx, merchant_id=merchant_id, limit=LISTED_MAX)
    offered = await subscriptions.list_plans(tx, limit=LISTED_MAX, offered=True)
    plans = {plan.plan_id: plan for plan in offered}
    for plan_id in {one.plan_id for one in held} - plans.keys():
        plans[plan_id] = await subscriptions.get_plan(tx, plan_id)
    return ProductsPage(
        merchant=merchant,
        offered=[plan for plan in offered if plan.currency == merchant.currency],
        plans=plans,
        items={item.item_id: item.name for item in await hardware.list_items(tx, limit=LISTED_MAX)},
        subscriptions=held,
        deals=await deals(tx, merchant_id),
        work=await hardware.list_work(tx, merchant_id=merchant_id, limit=LISTED_MAX),
        agreements=await services.list_agreements(tx, merchant_id=merchant_id, limit=LISTED_MAX),
        charges=await charges.list_charges(tx, merchant_id=merchant_id, limit=LISTED_MAX),
    )


async def deals(tx: Tx, merchant_id: int) -> list[Deal]:
    """The merchant's hardware orders, the newest first."""
    orders = await hardware.list_orders(tx, merchant_id=merchant_id, limit=LISTED_MAX)
    return [Deal(one, await hardware.get_quote(tx, merchant_id, one.order_id, one.quote_no)) for one in orders]
