"""The pages of a distributor's people: whom it brought, and what it has earned."""

from datetime import date

import msgspec
from litestar import Response, Router, get
from litestar.di import NamedDependency
from litestar.params import FromQuery

from marketplace.consoles import field_queries
from marketplace.consoles.layout import send
from marketplace.core.db import STAFF, Database
from marketplace.core.paging import decode_cursor, encode_cursor
from marketplace.web.auth import ActorRequest
from marketplace.web.guards import DISTRIBUTOR, needs


@get("/")
async def home(
    request: ActorRequest, db: NamedDependency[Database], after: FromQuery[str | None] = None
) -> Response[str]:
    """Whom the distributor brought, how far they are, and its commission."""
    async with db.read(request.user.scope) as tx:
        page = await field_queries.distributor_home(tx, decode_cursor(after, tuple[date, int]))
    async with db.read(STAFF) as tx:
        page = msgspec.structs.replace(page, earnings=await field_queries.with_balances(tx, page.earnings))
    return send(
        request, "field/distributor.html", page, "home", cursor=encode_cursor(page.older) if page.older else None
    )


PAGES = [Router("/distributor", route_handlers=[home], guards=[needs(DISTRIBUTOR)], include_in_schema=False)]
