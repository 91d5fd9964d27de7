"""The JSON API under /api/v1: one module per noun, `…_queries` beside it for what it reads."""

from litestar import Router

from marketplace.routes import session
from marketplace.routes.figures import FIGURES

API = Router("/api/v1", route_handlers=[*session.HANDLERS])

__all__ = ["API", "FIGURES"]
