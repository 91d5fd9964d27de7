"""The page of content: what pieces brought, and which go out over which channel."""

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromQuery

from marketplace.consoles.content_queries import content_page
from marketplace.consoles.layout import send
from marketplace.core.clock import local_date
from marketplace.core.db import STAFF, Database
from marketplace.core.paging import decode_cursor, encode_cursor
from marketplace.web.auth import ActorRequest


@get("/content")
async def content(
    request: ActorRequest, db: NamedDependency[Database], before: FromQuery[str | None] = None
) -> Response[str]:  # fmt: skip
    """Pieces with who was reached, opened, passed on and won; the media matrix; partners."""
    (key,) = decode_cursor(before, tuple[int]) or (None,)
    async with db.read(STAFF) as tx:
        page = await content_page(tx, local_date(tx.now, "UTC"), key)
    return send(
        request, "ops/content.html", page, "content", cursor=encode_cursor((page.older,)) if page.older else None
    )


PAGES = [content]
