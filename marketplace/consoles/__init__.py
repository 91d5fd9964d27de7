"""The pages: a handler asks one query module, gets a page Struct and renders one template."""

from litestar.types import ControllerRouterHandler

from marketplace.consoles import finance, merchant, ops, signin, static

page_handlers: list[ControllerRouterHandler] = [
    *signin.PAGES,
    *merchant.PAGES,
    *ops.PAGES,
    *finance.PAGES,
    *static.PAGES,
]
"""What the application serves to people."""
