"""Signing in and out with a browser, the language of the pages, and the way to one's own console."""

from typing import Annotated, Any

import msgspec
from litestar import MediaType, Request, Response, Router, get, post
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.params import FromQuery, QueryParameter
from litestar.response import Redirect

from marketplace.consoles.layout import consoles_of
from marketplace.core import policies, sessions, users
from marketplace.core.db import WORKER, Database
from marketplace.core.errors import AppError, Invalid, NotFound
from marketplace.flows.demo.run_demo import PASSWORD
from marketplace.settings import Settings
from marketplace.web.auth import ActorRequest, no_session_cookie, session_cookie
from marketplace.web.guards import MERCHANT_BOOKS, public, signed_in
from marketplace.web.i18n import LANGUAGES, negotiate
from marketplace.web.problems import SIGN_IN_PATH
from marketplace.web.templating import render

LANGUAGE_COOKIE = "marketplace_language"
_LANGUAGE_COOKIE_S = 365 * 24 * 3600
DEMONSTRATION = "demonstration"
"""The policy that says: these data are made up, and the sign-in page may hand out their keys."""
DEMONSTRATION_LOGINS = ("merchant", "ops", "finance")

AnyRequest = Request[Any, Any, Any]


class SignInPage(msgspec.Struct, frozen=True):
    """The sign-in form. `fault` is the code of what went wrong; `login` what was typed."""

    next_path: str
    login: str
    fault: str
    retry_after_s: int
    demonstration: bool
    logins: tuple[str, ...]
    password: str
    path: str


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
    next_path: Annotated[str, QueryParameter(name="next")] = "/",
    lang: FromQuery[str] = "",
) -> Response[str]:
    """The form to sign in with; on demonstration data also its three people."""
    response = await _form(request, db, language=language_of(request, lang), next_path=next_path)
    if lang in LANGUAGES:
        response.set_cookie(_language_cookie(lang))
    return response


def language_of(request: AnyRequest, wished: str = "") -> str:
    """The language before anybody is known: the one chosen on the page, else what the browser asks for."""
    for code in (wished, request.cookies.get(LANGUAGE_COOKIE, "")):
        if code in LANGUAGES:
            return code
    return negotiate(request.headers.get("accept-language", ""))


def _language_cookie(code: str) -> Cookie:
    return Cookie(key=LANGUAGE_COOKIE, value=code, path="/", max_age=_LANGUAGE_COOKIE_S, httponly=True, samesite="lax")


async def _form(
    request: AnyRequest,
    db: Database,
    *,
    language: str,
    next_path: str,
    login: str = "",
    fault: AppError | None = None,
) -> Response[str]:
    async with db.read(WORKER) as tx:
        demonstration = await policies.is_on(tx, DEMONSTRATION)
    page = SignInPage(
        next_path=local_path(next_path),
        login=login,
        fault=fault.code if fault else "",
        retry_after_s=fault.extra.get("retry_after_s", 0) if fault else 0,
        demonstration=demonstration,
        logins=DEMONSTRATION_LOGINS if demonstration else (),
        password=PASSWORD if demonstration else "",
        path=SIGN_IN_PATH,
    )
    content = render("signin.html", language, page)
    return Response(content, media_type=MediaType.HTML, status_code=fault.status if fault else 200)


def local_path(path: str) -> str:
    """A path of this site to go on to; anything that a browser could read as another site's is the start page."""
    safe = path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable()
    return path if safe else "/"


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
            address=request.client.host if request.client else "",
            user_agent=request.headers.get("user-agent", ""),
        )
    except (users.WrongCredentials, users.TooManyAttempts) as fault:
        return await _form(request, db, language=language_of(request), next_path=next_path, login=login, fault=fault)
    return Redirect(
        local_path(next_path), status_code=303, cookies=[session_cookie(opened.token, secure=settings.cookie_secure)]
    )


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
    Router("/", route_handlers=[entrance, sign_in_page, sign_in, sign_out, choose_language], include_in_schema=False)
]
