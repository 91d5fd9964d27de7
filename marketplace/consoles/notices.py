"""What somebody was told of, on a page: the newest first, what is new marked, and whether mails are wanted, too."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery

from marketplace.consoles import ops_queries
from marketplace.consoles.deeds import Refused, carry_out, done
from marketplace.consoles.layout import send
from marketplace.core.db import STAFF, WORKER, Database, Tx
from marketplace.core.paging import cut, decode_cursor, encode_cursor
from marketplace.core.people import notices as store
from marketplace.core.people.notices import Notice, Reading
from marketplace.web.auth import ActorRequest
from marketplace.web.guards import MERCHANT_BOOKS, needs
from marketplace.web.guards import STAFF as HOUSE

LISTED_MAX = 50
told = needs(MERCHANT_BOOKS, HOUSE)


class NoticesPage(msgspec.Struct, frozen=True):
    """Notices, the newest first; those with a higher id than reading.seen_id are new."""

    notices: Sequence[Notice]
    reading: Reading
    zone: str


@get("/notices", guards=[told], include_in_schema=False)
async def notices(
    request: ActorRequest, db: NamedDependency[Database], before: FromQuery[str | None] = None
) -> Response[str]:
    """What has happened since this person last looked, and before; from now on none of it is new."""
    return await show_notices(request, db, before)


async def show_notices(
    request: ActorRequest, db: Database, before: str | None = None, refused: Refused | None = None
) -> Response[str]:
    user = request.user
    key = decode_cursor(before, tuple[int])
    async with db.read(STAFF) as tx:
        entity = await ops_queries.get_entity(tx, None)
    async with db.read(WORKER) as tx:
        rows = await store.list_notices(
            tx,
            store.audiences_of(user.roles, user.merchant_id),
            user.merchant_id,
            limit=LISTED_MAX + 1,
            before=key[0] if key else None,
        )
        reading = await store.reading_of(tx, user.user_id)
    newest = rows[0].notice_id if rows else 0
    if before is None and newest > reading.seen_id and not user.viewing:
        await db.write(WORKER, user.login, store.set_reading, user.user_id, seen_id=newest)
        request.scope["user"] = msgspec.structs.replace(user, unread=0)
    shown, last = cut(rows, LISTED_MAX, lambda row: (row.notice_id,))
    page = NoticesPage(shown, reading, entity.zone if entity else "UTC")
    return send(
        request, "people/notices.html", page, "notices", refused=refused, cursor=encode_cursor(last) if last else None
    )


@post("/notices/mails", guards=[told], include_in_schema=False)
async def mails(request: ActorRequest, db: NamedDependency[Database]) -> Response[Any]:
    """Whether this person is told by mail, too."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        await store.set_reading(tx, request.user.user_id, by_mail=typed.get("wanted") == "yes")
        return done("/notices", "notices_mails")

    return await carry_out(request, db, work, again=partial(show_notices, request, db, None))


PAGES = [notices, mails]
