"""The pages that links lead to: joining by invitation, asking for a new password, and choosing it.

The token stands in the query, which no log of ours keeps, and goes on as a hidden field.
"""

from functools import partial
from typing import Any

import msgspec
from litestar import Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery
from litestar.response import Redirect

from marketplace.consoles.doors import AnyRequest, client_of, door, language_of
from marketplace.core.db import WORKER, Database
from marketplace.core.errors import AppError
from marketplace.core.people import links
from marketplace.core.people.links import Link, LinkOver
from marketplace.settings import Settings
from marketplace.web.auth import no_session_cookie
from marketplace.web.guards import public
from marketplace.web.problems import SIGN_IN_PATH


class JoinPage(msgspec.Struct, frozen=True):
    """link is None when it opens nothing any more."""

    link: Link | None
    token: str
    name: str


class ResetPage(msgspec.Struct, frozen=True):
    """asked: the mail is on its way, if there is anybody to send it to."""

    asked: bool


class NewPasswordPage(msgspec.Struct, frozen=True):
    link: Link | None
    token: str


@get("/join", guards=[public])
async def join_page(request: AnyRequest, db: NamedDependency[Database], token: FromQuery[str] = "") -> Response[Any]:
    """What the invitation is for, and the form to accept it."""
    return await _join(request, db, token)


async def _join(
    request: AnyRequest, db: Database, token: str, name: str | None = None, fault: AppError | None = None
) -> Response[Any]:
    link, fault = await _opened(db, "invitation", token, fault)
    page = JoinPage(link, token, name if name is not None else (link.name or "" if link else ""))
    return door("people/join.html", language_of(request), page, fault)


async def _opened(db: Database, kind: str, token: str, fault: AppError | None) -> tuple[Link | None, AppError | None]:
    async with db.read(WORKER) as tx:
        try:
            return await links.find_link(tx, kind, token), fault
        except LinkOver as over:
            return None, over


@post("/join", guards=[public], status_code=200)
async def join(
    request: AnyRequest, db: NamedDependency[Database], settings: NamedDependency[Settings]
) -> Response[Any]:
    """Become a user, and go on to sign in; whoever was signed in here is not any more."""
    form = await request.form()
    token, name = str(form.get("token", "")), str(form.get("name", ""))
    password, locale = str(form.get("password", "")), language_of(request)
    accept = partial(links.accept_invitation, token=token, name=name, password=password, locale=locale)
    try:
        await db.write(WORKER, "invitation", accept)
    except AppError as fault:
        return await _join(request, db, token, name, fault)
    return _signed_out(f"{SIGN_IN_PATH}?next=/", settings)


def _signed_out(path: str, settings: Settings) -> Redirect:
    return Redirect(path, status_code=303, cookies=[no_session_cookie(secure=settings.cookie_secure)])


@get("/reset", guards=[public])
async def reset_page(request: AnyRequest) -> Response[Any]:
    """The form to ask for a new password."""
    return door("people/reset.html", language_of(request), ResetPage(asked=False))


@post("/reset", guards=[public], status_code=200)
async def ask_for_reset(request: AnyRequest, db: NamedDependency[Database]) -> Response[Any]:
    """Say the same whether there is such a user or not."""
    typed = str((await request.form()).get("login", ""))
    try:
        await links.ask_for_reset(db, typed, address=client_of(request)["address"])
    except AppError as fault:
        return door("people/reset.html", language_of(request), ResetPage(asked=False), fault)
    return door("people/reset.html", language_of(request), ResetPage(asked=True))


@get("/reset/new", guards=[public])
async def new_password_page(
    request: AnyRequest, db: NamedDependency[Database], token: FromQuery[str] = ""
) -> Response[Any]:
    """The form for the new password."""
    return await _new_password(request, db, token)


async def _new_password(request: AnyRequest, db: Database, token: str, fault: AppError | None = None) -> Response[Any]:
    link, fault = await _opened(db, "reset", token, fault)
    return door("people/new_password.html", language_of(request), NewPasswordPage(link, token), fault)


@post("/reset/new", guards=[public], status_code=200)
async def set_password(
    request: AnyRequest, db: NamedDependency[Database], settings: NamedDependency[Settings]
) -> Response[Any]:
    """Set the password, and go on to sign in with it."""
    form = await request.form()
    token = str(form.get("token", ""))
    try:
        await db.write(WORKER, "reset", links.reset_password, token, str(form.get("password", "")))
    except AppError as fault:
        return await _new_password(request, db, token, fault)
    return _signed_out(SIGN_IN_PATH, settings)


PAGES = [
    Router(
        "/",
        route_handlers=[join_page, join, reset_page, ask_for_reset, new_password_page, set_password],
        include_in_schema=False,
    )
]
