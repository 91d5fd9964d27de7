"""What there is to buy, for the shop."""

from typing import Annotated

from litestar import get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from marketplace.core.db import WORKER, Database
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.routes.parameters import LIMIT, Cursor, Limit, QueryId
from marketplace.web.guards import MERCHANT, SELLING, STAFF, Role, needs
from supply.listings import store
from supply.model import CategoryName, Offered

Category = Annotated[str | None, QueryParameter(name="category", max_length=100, pattern=r"^[^\x00]*$")]
Title = Annotated[
    str | None, QueryParameter(name="title", max_length=200, pattern=r"^[^\x00]*$", description="How the title begins.")
]


@get("/listings", guards=[needs(SELLING)])
async def list_offered(
    db: NamedDependency[Database],
    merchant_id: QueryId = None,
    category: Category = None,
    title: Title = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[Offered]:
    """What can be bought: what live merchants have listed, each with its price and how much of it is free."""
    after = decode_cursor(cursor, tuple[int, int])
    async with db.read(WORKER) as tx:
        rows = await store.list_offered(
            tx, merchant_id=merchant_id, category=category, title_prefix=title, limit=limit + 1, after=after
        )
    return page(rows, limit, lambda row: row, lambda row: (row.merchant_id, row.product_id))


@get("/categories", guards=[needs(STAFF, MERCHANT, Role.STOREFRONT)])
async def list_categories(
    db: NamedDependency[Database], limit: Limit = LIMIT, cursor: Cursor = None
) -> Page[CategoryName]:
    """The categories that a listing may have, by name."""
    (after,) = decode_cursor(cursor, tuple[str]) or ("",)
    async with db.read(WORKER) as tx:
        rows = await store.list_categories(tx, limit=limit + 1, after=after)
    return page(rows, limit, lambda row: row, lambda row: (row.category,))


HANDLERS = [list_offered, list_categories]
