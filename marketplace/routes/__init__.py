"""The JSON API under /api/v1: one module per noun, `…_queries` beside it for what it reads."""

from litestar import Router

from marketplace.routes import (
    ad_accounts,
    ad_placements,
    ads,
    amendments,
    bank_accounts,
    billing,
    buyers,
    campaigns,
    carts,
    contracts,
    credit,
    disputes,
    ledger,
    listings,
    merchants,
    orders,
    payments,
    payouts,
    purchases,
    receivables,
    reconciliation,
    refunds,
    session,
    settlement,
    statements,
    trade,
    webhooks,
)
from marketplace.routes.figures import FIGURES

_NOUNS = (
    session,
    merchants,
    listings,
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
    settlement,
    billing,
    statements,
    payouts,
    ledger,
    reconciliation,
    webhooks,
    receivables,
    ads,
    ad_accounts,
    ad_placements,
    campaigns,
)

API = Router("/api/v1", route_handlers=[handler for noun in _NOUNS for handler in noun.HANDLERS])

__all__ = ["API", "FIGURES"]
