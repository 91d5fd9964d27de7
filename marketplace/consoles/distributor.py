"""The pages of a distributor's people: whom it brought, and what it has earned."""

from typing import Any

from litestar import Response, Router, get
from litestar.di import NamedDependency

from marketplace.consoles import field_queries
from marketplace.consoles.field import show_commissions
from marketplace.consoles.field_queries import WORK
from marketplace.consoles.layout import send
from marketplace.core.db import Database
from marketplace.web.auth import ActorRequest
from marketplace.web.guards import DISTRIBUTOR, needs


@get(["/", "/leads.csv"])
async def home(request: ActorRequest, db: NamedDependency[Database]) -> Response[Any]:
    """Whom the distributor brought, how far they are, and its commission."""
    listing = WORK.asked(request, "/distributor", file="/distributor/leads.csv", owner=None, late_on=None)
    if listing.is_file:
        return await listing.as_file(request, db, request.user.scope)
    async with db.read(request.user.scope) as tx:
        page, listing = await field_queries.distributor_home(tx), await listing.page(tx)
    return send(request, "field/distributor.html", page, "home", listing=listing)


@get(["/commissions", "/commissions.csv"])
async def commissions(request: ActorRequest, db: NamedDependency[Database]) -> Response[Any]:
    """What was earned with each merchant, what was taken back, and what is owed."""
    return await show_commissions(request, db, "/distributor")


PAGES = [
    Router("/distributor", route_handlers=[home, commissions], guards=[needs(DISTRIBUTOR)], include_in_schema=False)
]
