"""Signing in and out with a browser, the language of the pages, and the way to one's own console."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from litestar import MediaType, Response, Router, get, post
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.params import FromQuery, QueryParameter
from litestar.response import Redirect

from marketplace.consoles.doors import LANGUAGE_COOKIE, AnyRequest, client_of, language_of, local_path
from marketplace.consoles.layout import DEMONSTRATION_LOGINS, consoles_of, send
from marketplace.consoles.people_queries import known_logins
from marketplace.consoles.second_step import lead_in
from marketplace.core import policies, sessions, users
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import AppError, Invalid, NotFound
from marketplace.core.people.attempts import TooManyAttempts
from marketplace.flows.demo.run_demo import PASSWORD
from marketplace.settings import Settings
from marketplace.web.auth import ActorRequest, no_session_cookie
from marketplace.web.guards import MERCHANT_BOOKS, public, signed_in
from marketplace.web.i18n import LANGUAGES
from marketplace.web.problems import SIGN_IN_PATH
from marketplace.web.templating import render

_LANGUAGE_COOKIE_S = 365 * 24 * 3600
DEMONSTRATION = "demonstration"
"""The policy that says: these data are made up, and the sign-in page may hand out their keys."""


class SignInPage(msgspec.Struct, frozen=True):
    """The sign-in form. `fault` is the code of what went wrong; `login` what was typed.

    people: of the demonstration, and the console of each.
    """

    next_path: str
    login: str
    fault: str
    retry_after_s: int
    demonstration: bool
    people: Mapping[str, str]
    password: str
    path: str
    provider: bool


@get("/", guards=[signed_in])
async def entrance(request: ActorRequest) -> Redirect:
    """To the console of the one who is signed in."""
    return Redirect(home_of(request), status_code=303)


def home_of(request: ActorRequest) -> str:
    open_to = consoles_of(request.user)
    if not open_to:
        raise NotFound("there is no page for this role yet")
    if open_to == ["merchant"] and not request.user.roles & MERCHANT_BOOKS:
        return "/merchant/orders"
    return f"/{open_to[-1]}"


@get(SIGN_IN_PATH, guards=[public])
async def sign_in_page(
    request: AnyRequest,
    db: NamedDependency[Database],
    settings: NamedDependency[Settings],
    next_path: Annotated[str, QueryParameter(name="next")] = "/",
    lang: FromQuery[str] = "",
) -> Response[str]:
    """The form to sign in with; on demonstration data also its people."""
    response = await _form(db, settings, language=language_of(request, lang), next_path=next_path)
    if lang in LANGUAGES:
        response.set_cookie(_language_cookie(lang))
    return response


def _language_cookie(code: str) -> Cookie:
    return Cookie(key=LANGUAGE_COOKIE, value=code, path="/", max_age=_LANGUAGE_COOKIE_S, httponly=True, samesite="lax")


async def show_form(
    request: AnyRequest, db: Database, settings: Settings, *, next_path: str, fault: AppError, login: str = ""
) -> Response[str]:
    """The form again, with what went wrong."""
    return await _form(db, settings, language=language_of(request), next_path=next_path, login=login, fault=fault)


async def _form(
    db: Database,
    settings: Settings,
    *,
    language: str,
    next_path: str,
    login: str = "",
    fault: AppError | None = None,
) -> Response[str]:
    async with db.read(WORKER) as tx:
        demonstration = await policies.is_on(tx, DEMONSTRATION)
        people = await _people(tx) if demonstration else {}
    page = SignInPage(
        next_path=local_path(next_path),
        login=login,
        fault=fault.code if fault else "",
        retry_after_s=fault.extra.get("retry_after_s", 0) if fault else 0,
        demonstration=demonstration,
        people=people,
        password=PASSWORD if demonstration else "",
        path=SIGN_IN_PATH,
        provider=settings.oidc_issuer is not None,
    )
    content = render("signin.html", language, page)
    return Response(content, media_type=MediaType.HTML, status_code=fault.status if fault else 200)


@post(SIGN_IN_PATH, guards=[public], status_code=200)
async def sign_in(
    request: AnyRequest, db: NamedDependency[Database], settings: NamedDependency[Settings]
) -> Response[Any]:
    """Open a session and go on to the page that was asked for; a wrong password shows the form again."""
    form = await request.form()
    login, next_path = str(form.get("login", "")), str(form.get("next", "/"))
    try:
        opened = await users.sign_in(
            db,
            login,
            str(form.get("password", "")),
            **client_of(request),
        )
    except (users.WrongCredentials, TooManyAttempts) as fault:
        return await show_form(request, db, settings, next_path=next_path, login=login, fault=fault)
    return lead_in(opened, next_path, secure=settings.cookie_secure)


class SwitchPage(msgspec.Struct, frozen=True):
    """The people of the demonstration, and the console of each."""

    people: Mapping[str, str]


@get("/switch", guards=[signed_in])
async def switch_page(request: ActorRequest, db: NamedDependency[Database]) -> Response[str]:
    """Who else there is in the demonstration."""
    await _check_demonstration(db)
    async with db.read(WORKER) as tx:
        page = SwitchPage(await _people(tx))
    return send(request, "people/switch.html", page, "")


@post("/switch", guards=[signed_in], status_code=303)
async def switch_role(
    request: ActorRequest, db: NamedDependency[Database], settings: NamedDependency[Settings]
) -> Redirect:
    """Go on as another of the demonstration's people, with the password they came with: one they changed is theirs."""
    await _check_demonstration(db)
    login = str((await request.form()).get("login", ""))
    if login not in DEMONSTRATION_LOGINS:
        raise Invalid(f"login: must be one of {', '.join(DEMONSTRATION_LOGINS)}", pointer="/login")
    opened = await users.sign_in(db, login, PASSWORD, **client_of(request))
    if request.auth.is_cookie:
        await db.write(WORKER, request.user.login, sessions.close_session, request.auth.secret)
    return lead_in(opened, "/", secure=settings.cookie_secure)


async def _people(tx: Tx) -> dict[str, str]:
    known = await known_logins(tx, DEMONSTRATION_LOGINS)
    return {login: console for login, console in DEMONSTRATION_LOGINS.items() if login in known}


async def _check_demonstration(db: Database) -> None:
    async with db.read(WORKER) as tx:
        if not await policies.is_on(tx, DEMONSTRATION):
            raise NotFound("this is no demonstration")


@post("/sign-out", guards=[signed_in], status_code=303)
async def sign_out(
    request: ActorRequest, db: NamedDependency[Database], settings: NamedDependency[Settings]
) -> Redirect:
    """Close the session and go back to the sign-in."""
    if request.auth.is_cookie:
        await db.write(WORKER, request.user.login, sessions.close_session, request.auth.secret)
    return Redirect(SIGN_IN_PATH, status_code=303, cookies=[no_session_cookie(secure=settings.cookie_secure)])


@post("/language", guards=[signed_in], status_code=303)
async def choose_language(request: ActorRequest, db: NamedDependency[Database]) -> Redirect:
    """Set the language of the signed-in person's pages and go back to the page they were on."""
    form = await request.form()
    code = str(form.get("language", ""))
    if code not in LANGUAGES:
        raise Invalid(f"language: must be one of {', '.join(LANGUAGES)}", pointer="/language")
    await db.write(WORKER, request.user.login, users.set_locale, request.user.login, code)
    back = local_path(str(form.get("next", "/")))
    return Redirect(back, status_code=303, cookies=[_language_cookie(code)])


PAGES = [
    Router(
        "/",
        route_handlers=[entrance, sign_in_page, sign_in, sign_out, choose_language, switch_page, switch_role],
        include_in_schema=False,
    )
]
