"""The JSON API under /api/v1: one module per noun, `…_queries` beside it for what it reads."""

from litestar import Router

from marketplace.routes import (
    amendments,
    bank_accounts,
    billing,
    buyers,
    carts,
    catalogue,
    charges,
    contracts,
    credit,
    disputes,
    hardware_orders,
    hardware_stock,
    ledger,
    listings,
    merchants,
    orders,
    payer_claims,
    payers,
    payments,
    payouts,
    plans,
    purchases,
    receivables,
    reconciliation,
    refunds,
    service_agreements,
    session,
    settlement,
    statements,
    subscriptions,
    tasks,
    trade,
    webhooks,
    work_orders,
)
from marketplace.routes.figures import FIGURES
from marketplace.web.query import check_query

_NOUNS = (
    session,
    merchants,
    listings,
    catalogue,
    bank_accounts,
    buyers,
    carts,
    purchases,
    trade,
    orders,
    amendments,
    refunds,
    disputes,
    credit,
    payments,
    contracts,
    payers,
    payer_claims,
    settlement,
    billing,
    statements,
    payouts,
    ledger,
    reconciliation,
    webhooks,
    receivables,
    plans,
    subscriptions,
    tasks,
    charges,
    hardware_stock,
    hardware_orders,
    work_orders,
    service_agreements,
)

API = Router(
    "/api/v1", route_handlers=[handler for noun in _NOUNS for handler in noun.HANDLERS], before_request=check_query
)

__all__ = ["API", "FIGURES"]
