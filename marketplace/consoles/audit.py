"""Who did what: the audit trail, for the house's people."""

from typing import Any

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromQuery

from marketplace.consoles.layout import send
from marketplace.consoles.lists import given_day
from marketplace.consoles.people_queries import AUDIT, ZONE, AuditFilter, AuditPage, wanted_deeds
from marketplace.core.db import STAFF as STAFF_SCOPE
from marketplace.core.db import Database
from marketplace.web.auth import ActorRequest
from marketplace.web.guards import STAFF, needs


@get(["/audit", "/audit.csv"], guards=[needs(STAFF)], include_in_schema=False)
async def audit_trail(
    request: ActorRequest,
    db: NamedDependency[Database],
    actor: FromQuery[str] = "",
    subject: FromQuery[str] = "",
    first: FromQuery[str] = "",
    last: FromQuery[str] = "",
) -> Response[Any]:
    """The newest deeds first, narrowed by who, about what, and when."""
    wanted = AuditFilter(
        actor=actor.strip() or None,
        subject=subject.strip() or None,
        first=given_day(first, "first"),
        last=given_day(last, "last"),
    )
    where, bound = wanted_deeds(wanted)
    listing = AUDIT.asked(request, "/audit", msgspec.structs.asdict(wanted), where=where, **bound)
    if listing.is_file:
        return await listing.as_file(request, db, STAFF_SCOPE)
    async with db.read(STAFF_SCOPE) as tx:
        listing = await listing.page(tx)
    return send(request, "people/audit.html", AuditPage(wanted, ZONE), "audit", listing=listing)


PAGES = [audit_trail]
"""The page."""
