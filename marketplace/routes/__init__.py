"""The JSON API under /api/v1: one module per noun, `…_queries` beside it for what it reads."""

from litestar import Router

from marketplace.routes import (
    amendments,
    billing,
    contracts,
    ledger,
    receivables,
    reconciliation,
    session,
    settlement,
    statements,
    trade,
)
from marketplace.routes.figures import FIGURES

_NOUNS = (session, trade, amendments, contracts, settlement, billing, statements, ledger, reconciliation, receivables)

API = Router("/api/v1", route_handlers=[handler for noun in _NOUNS for handler in noun.HANDLERS])

__all__ = ["API", "FIGURES"]
