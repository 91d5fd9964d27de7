"""Who did what: the audit trail, for the house's people."""

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromQuery

from marketplace.consoles import people_queries
from marketplace.consoles.layout import send
from marketplace.consoles.lists import given_day
from marketplace.consoles.people_queries import AuditFilter
from marketplace.core.db import STAFF as STAFF_SCOPE
from marketplace.core.db import Database
from marketplace.core.paging import decode_cursor, encode_cursor
from marketplace.web.auth import ActorRequest
from marketplace.web.guards import STAFF, needs


@get("/audit", guards=[needs(STAFF)], include_in_schema=False)
async def audit_trail(
    request: ActorRequest,
    db: NamedDependency[Database],
    actor: FromQuery[str] = "",
    subject: FromQuery[str] = "",
    first: FromQuery[str] = "",
    last: FromQuery[str] = "",
    before: FromQuery[str | None] = None,
) -> Response[str]:
    """The newest deeds first, narrowed by who, about what, and when."""
    wanted = AuditFilter(
        actor=actor.strip() or None,
        subject=subject.strip() or None,
        first=given_day(first, "first"),
        last=given_day(last, "last"),
    )
    key = decode_cursor(before, tuple[int])
    async with db.read(STAFF_SCOPE) as tx:
        page = await people_queries.audit_page(tx, wanted, key[0] if key else None)
    older = encode_cursor((page.older,)) if page.older else None
    return send(request, "people/audit.html", page, "audit", cursor=older)


PAGES = [audit_trail]
"""The page."""
