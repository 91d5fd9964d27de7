"""What waits for a merchant, on a page: its checklist before it sells, decisions, appointments; and how it stands."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from marketplace.consoles.deeds import Refused, carry_out, done, text
from marketplace.consoles.layout import Place, send
from marketplace.consoles.lists import given
from marketplace.consoles.tasks_queries import MerchantTasks, merchant_tasks
from marketplace.core.db import Database, Tx
from marketplace.core.errors import Forbidden
from marketplace.flows.acquisition import onboard_merchant as flow
from marketplace.web.auth import ActorRequest
from marketplace.web.guards import MERCHANT_BOOKS, OPS, STAFF, needs
from supply.lifecycle import MerchantMove, moves_from
from supply.model import MerchantState
from supply.onboarding.rules import Act

_TEXT_MAX = 200


@get("/tasks", guards=[needs(MERCHANT_BOOKS, STAFF)])
async def tasks(request: ActorRequest, db: NamedDependency[Database], place: NamedDependency[Place]) -> Response[str]:
    """What the merchant has to show or to decide, and who comes when."""
    return await show_tasks(request, db, place)


async def show_tasks(
    request: ActorRequest, db: Database, place: Place, refused: Refused | None = None
) -> Response[str]:
    async with db.read(place.scope) as tx:
        page = await merchant_tasks(tx, place.merchant_id, request.user.login)
    house = bool(request.user.roles & OPS) and request.user.merchant_id is None
    return send(
        request, "merchant/tasks.html", page, "tasks", place, refused,
        may_attest=request.user.merchant_id is not None, may_judge=house, moves=_moves(page) if house else [],
    )  # fmt: skip


def _moves(page: MerchantTasks) -> list[MerchantMove]:
    """What the house may do with the merchant as it stands."""
    found = moves_from(MerchantState(page.merchant.state))
    return [move for move in found if move is not MerchantMove.GO_LIVE or page.checklist.ready]


@post("/tasks/{key:str}/{act:str}", guards=[needs(MERCHANT_BOOKS, OPS)])
async def tick(
    request: ActorRequest,
    db: NamedDependency[Database],
    place: NamedDependency[Place],
    key: FromPath[str],
    act: FromPath[str],
) -> Response[Any]:
    """The merchant gives its word on a point; the house verifies, rejects or waives it."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        chosen = given(act, Act, "act")
        assert chosen is not None
        if (chosen is Act.ATTEST) != (request.user.merchant_id is not None):
            raise Forbidden("the merchant gives its word, the house judges it")
        said = {name: text(typed, name, most=_TEXT_MAX) for name in ("note", "reason")}
        await flow.tick(tx, place.merchant_id, key, chosen, **said)
        return done(f"{place.base}/tasks", f"point_{chosen}")

    return await carry_out(request, db, work, again=partial(show_tasks, request, db, place))


@post("/moves/{move:str}", guards=[needs(OPS)])
async def move_merchant(
    request: ActorRequest, db: NamedDependency[Database], place: NamedDependency[Place], move: FromPath[str]
) -> Response[Any]:
    """Let a merchant sell, stop it for a time, or end its selling for good."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        chosen = given(move, MerchantMove, "move")
        assert chosen is not None
        if chosen is MerchantMove.GO_LIVE:
            await flow.go_live(tx, place.merchant_id)
        else:
            await flow.move_merchant(tx, place.merchant_id, chosen, text(typed, "reason", most=_TEXT_MAX, least=1))
        return done(f"{place.base}/tasks", f"merchant_{chosen}")

    return await carry_out(request, db, work, again=partial(show_tasks, request, db, place))


PAGES = [tasks, tick]
HOUSE_DEEDS = [move_merchant]
"""Only under the address of the house's people."""
