"""The JSON API under /api/v1: one module per noun, `…_queries` beside it for what it reads."""

from litestar import Router

from marketplace.routes import (
    billing,
    contracts,
    credit,
    disputes,
    ledger,
    orders,
    purchases,
    reconciliation,
    refunds,
    session,
    settlement,
    statements,
    trade,
)
from marketplace.routes.figures import FIGURES

_NOUNS = (
    session,
    trade,
    orders,
    purchases,
    contracts,
    settlement,
    billing,
    statements,
    ledger,
    reconciliation,
    refunds,
    disputes,
    credit,
)

API = Router("/api/v1", route_handlers=[handler for noun in _NOUNS for handler in noun.HANDLERS])

__all__ = ["API", "FIGURES"]
