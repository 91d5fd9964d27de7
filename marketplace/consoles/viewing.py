"""One of the house looks at a merchant's pages as the merchant does: read only, with a reason, and on record."""

from collections.abc import Mapping
from typing import Any

from litestar import Response, Router, post
from litestar.di import NamedDependency
from litestar.response import Redirect

from marketplace.consoles import books_queries
from marketplace.consoles.deeds import Refused, carry_out, text
from marketplace.consoles.layout import PathId
from marketplace.consoles.merchant import any_place, show_home
from marketplace.core import audit, sessions
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import Invalid
from marketplace.web.auth import LEAVE_VIEW, ActorRequest
from marketplace.web.guards import STAFF, in_person, needs, signed_in

_REASON_MAX = 200


@post("/books/{merchant_id:int}/view-as", guards=[needs(STAFF), in_person])
async def view_as(request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId) -> Response[Any]:
    """Look around as this merchant, until that is ended; the reason stands in the audit trail."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        if merchant_id <= 0:
            raise Invalid("merchant_id: the house has no pages of its own as a merchant")
        merchant = await books_queries.get_merchant(tx, merchant_id)
        reason = text(typed, "reason", least=3, most=_REASON_MAX)
        await sessions.view_as(tx, request.auth.secret, merchant.merchant_id)
        await audit.record(tx, "viewed as merchant", f"merchant:{merchant_id}", reason=reason)
        return "/merchant"

    async def again(refused: Refused) -> Response[str]:
        return await show_home(request, db, await any_place(merchant_id), refused=refused)

    return await carry_out(request, db, work, again=again)


@post(LEAVE_VIEW, guards=[signed_in, in_person], status_code=303)
async def leave(request: ActorRequest, db: NamedDependency[Database]) -> Redirect:
    """Be oneself again, on the house's pages about that merchant."""
    actor = request.user
    if not actor.viewing:
        return Redirect("/", status_code=303)
    await db.write(WORKER, actor.login, _leave, request.auth.secret, actor.merchant_id)
    return Redirect(f"/books/{actor.merchant_id}", status_code=303)


async def _leave(tx: Tx, token: str, merchant_id: int | None) -> None:
    await sessions.view_as(tx, token, None)
    await audit.record(tx, "ended view as merchant", f"merchant:{merchant_id}")


PAGES = [Router("/", route_handlers=[view_as, leave], include_in_schema=False)]
