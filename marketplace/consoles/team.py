"""A team's page: a merchant's owner about its people, an administrator about any merchant's and the house's own."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from litestar import Response, Router, get, post
from litestar.di import NamedDependency, Provide

from marketplace.consoles import people_queries
from marketplace.consoles.deeds import Refused, carry_out, done, take, text
from marketplace.consoles.layout import PathId, Place, send
from marketplace.consoles.merchant import any_place, own_place
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.people import links
from marketplace.core.people.links import Invite
from marketplace.core.people.team import change_roles, remove_member, return_member
from marketplace.settings import Settings
from marketplace.web.auth import ActorRequest
from marketplace.web.guards import Role, needs
from supply.store import get_merchant

_NAME_MAX = 200
_ROLE = "role:"
"""Roles are boxes to be ticked, each a field of its own."""


class Team(msgspec.Struct, frozen=True):
    """Whose people a page shows, where the page is, and the merchant's pages around it."""

    merchant_id: int | None
    at: str
    place: Place | None


async def own_team(request: ActorRequest) -> Team:
    place = await own_place(request)
    return Team(place.merchant_id, f"{place.base}/team", place)


async def any_team(merchant_id: PathId, db: NamedDependency[Database]) -> Team:
    """Raises NotFound for a merchant that there is not; the house's own books have no team."""
    async with db.read(WORKER) as tx:
        await get_merchant(tx, merchant_id)
    place = await any_place(merchant_id)
    return Team(merchant_id, f"{place.base}/team", place)


async def house_team() -> Team:
    return Team(None, "/ops/people", None)


class Fresh(msgspec.Struct, frozen=True):
    """An invitation that was just made: its link, shown this once."""

    email: str
    link: str


@get("/")
async def show_team(request: ActorRequest, db: NamedDependency[Database], team: NamedDependency[Team]) -> Response[str]:
    """The people, and who is invited."""
    return await _show(request, db, team)


async def _show(
    request: ActorRequest, db: Database, whose: Team, refused: Refused | None = None, fresh: Fresh | None = None
) -> Response[str]:
    async with db.read(WORKER) as tx:
        page = await people_queries.team_page(tx, whose.merchant_id, request.user.user_id, whose.at)
    tab = "team" if whose.place else "people"
    return send(request, "people/team.html", page, tab, whose.place, refused=refused, fresh=fresh)


@post("/invite", status_code=200)
async def invite(
    request: ActorRequest,
    db: NamedDependency[Database],
    settings: NamedDependency[Settings],
    team: NamedDependency[Team],
) -> Response[Any]:
    """Invite somebody; the answer shows the link. Sent twice, the second invitation takes the first one's place."""

    async def work(typed: Mapping[str, str]) -> Response[Any]:
        cmd = Invite(
            email=text(typed, "email", least=3, most=_NAME_MAX),
            name=text(typed, "name", most=_NAME_MAX),
            roles=_roles(typed),
            merchant_id=team.merchant_id,
            locale=request.user.locale,
        )
        made = await db.write(WORKER, request.user.login, links.invite, cmd)
        base = settings.address or str(request.base_url).rstrip("/")
        return await _show(request, db, team, fresh=Fresh(cmd.email, f"{base}/join?token={made.token}"))

    return await take(request, work, again=_again(request, db, team))


@post("/invitations/{link_id:int}/withdraw")
async def withdraw(
    request: ActorRequest, db: NamedDependency[Database], team: NamedDependency[Team], link_id: PathId
) -> Response[Any]:
    """End an invitation that nobody has accepted yet."""
    return await _move(request, db, team, links.withdraw_invitation, link_id, "invitation_withdrawn")


@post("/{user_id:int}/roles")
async def set_roles(
    request: ActorRequest, db: NamedDependency[Database], team: NamedDependency[Team], user_id: PathId
) -> Response[Any]:
    """Make a member something else."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        await change_roles(tx, team.merchant_id, user_id, _roles(typed))
        return done(team.at, "roles_changed")

    return await carry_out(request, db, work, again=_again(request, db, team))


@post("/{user_id:int}/remove")
async def remove(
    request: ActorRequest, db: NamedDependency[Database], team: NamedDependency[Team], user_id: PathId
) -> Response[Any]:
    """Shut a member out."""
    return await _move(request, db, team, remove_member, user_id, "member_removed")


@post("/{user_id:int}/return")
async def let_return(
    request: ActorRequest, db: NamedDependency[Database], team: NamedDependency[Team], user_id: PathId
) -> Response[Any]:
    """Let one who was removed in again."""
    return await _move(request, db, team, return_member, user_id, "member_returned")


async def _move(
    request: ActorRequest,
    db: Database,
    team: Team,
    move: Callable[[Tx, int | None, int], Awaitable[object]],
    which: int,
    said: str,
) -> Response[Any]:
    """What needs nothing typed: `move` somebody of the team, or an invitation to it."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        del typed
        await move(tx, team.merchant_id, which)
        return done(team.at, said)

    return await carry_out(request, db, work, again=_again(request, db, team))


def _roles(typed: Mapping[str, str]) -> list[str]:
    return [name.removeprefix(_ROLE) for name in typed if name.startswith(_ROLE)]


def _again(request: ActorRequest, db: Database, whose: Team) -> Any:
    async def show(refused: Refused) -> Response[str]:
        return await _show(request, db, whose, refused)

    return show


PAGES = [
    Router(
        path,
        route_handlers=[show_team, invite, withdraw, set_roles, remove, let_return],
        guards=[needs(role)],
        dependencies={"team": Provide(whose)},
        include_in_schema=False,
    )
    for path, role, whose in (
        ("/merchant/team", Role.MERCHANT_OWNER, own_team),
        ("/books/{merchant_id:int}/team", Role.ADMIN, any_team),
        ("/ops/people", Role.ADMIN, house_team),
    )
]
