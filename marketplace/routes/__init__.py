"""The JSON API under /api/v1: one module per noun, `…_queries` beside it for what it reads."""

from litestar import Router

from marketplace.routes import (
    amendments,
    bank_accounts,
    billing,
    buyers,
    carts,
    catalogue,
    contracts,
    credit,
    disputes,
    ledger,
    listings,
    merchants,
    orders,
    payments,
    payout_files,
    payout_terms,
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
    settlement,
    billing,
    statements,
    payout_files,
    payout_terms,
    payouts,
    ledger,
    reconciliation,
    webhooks,
    receivables,
)

API = Router(
    "/api/v1", route_handlers=[handler for noun in _NOUNS for handler in noun.HANDLERS], before_request=check_query
)

__all__ = ["API", "FIGURES"]
