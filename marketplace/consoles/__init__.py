"""The pages: a handler asks one query module, gets a page Struct and renders one template."""

from litestar.types import ControllerRouterHandler

from marketplace.consoles import (
    account,
    audit,
    distributor,
    field,
    finance,
    links,
    merchant,
    notices,
    ops,
    payers,
    progress,
    provider,
    second_step,
    signin,
    static,
    styleguide,
    team,
    viewing,
)

page_handlers: list[ControllerRouterHandler] = [
    *signin.PAGES,
    *second_step.PAGES,
    *provider.PAGES,
    *links.PAGES,
    *account.PAGES,
    *team.PAGES,
    *notices.PAGES,
    *viewing.PAGES,
    *audit.PAGES,
    *styleguide.PAGES,
    *merchant.PAGES,
    *ops.PAGES,
    *finance.PAGES,
    *field.PAGES,
    *distributor.PAGES,
    *payers.PAGES,
    *progress.PAGES,
    *static.PAGES,
]
"""What the application serves to people."""
