"""The second step of a sign-in: a code of the person's device, or the first one of a device that is being set up."""

from typing import Annotated, Any
from urllib.parse import quote

import msgspec
import segno
from litestar import Response, Router, get, post
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from litestar.response import Redirect
from markupsafe import Markup

from marketplace.consoles.doors import AnyRequest, client_of, door, local_path
from marketplace.core.db import WORKER, Database
from marketplace.core.errors import AppError
from marketplace.core.people.attempts import TooManyAttempts
from marketplace.core.people.second_factor import (
    HALFWAY_MAX,
    Enrolment,
    Halfway,
    SignInOver,
    WrongCode,
    find_halfway,
    finish_sign_in,
    standing,
)
from marketplace.core.sessions import SignedIn
from marketplace.settings import Settings
from marketplace.web.auth import session_cookie
from marketplace.web.guards import public
from marketplace.web.problems import SIGN_IN_PATH

ISSUER = "Marketplace Operations"
"""What a device calls this program."""

HALF_COOKIE = "marketplace_half_sign_in"
CODE_PATH = f"{SIGN_IN_PATH}/code"


class StepPage(msgspec.Struct, frozen=True):
    """The form for the code; with an enrolment also what the device needs."""

    next_path: str
    enrolment: Enrolment | None
    qr: Markup


class CodesPage(msgspec.Struct, frozen=True):
    """Recovery codes, shown this once, and where to go on to."""

    codes: list[str]
    next_path: str


def qr(enrolment: Enrolment | None) -> Markup:
    """The enrolment for a camera: SVG that needs no style of its own."""
    if enrolment is None:
        return Markup()
    drawn = segno.make(enrolment.uri, micro=False).svg_inline(omitsize=True, border=4, svgclass="qr", lineclass=None)
    return Markup(drawn)  # noqa: S704  # segno's own drawing, of modules alone: the text is not in it


def lead_in(opened: SignedIn | Halfway, next_path: str, *, secure: bool) -> Redirect:
    """On to the page that was asked for, or to the second step."""
    if isinstance(opened, SignedIn):
        cookies = [session_cookie(opened.token, secure=secure)]
        return Redirect(local_path(next_path), status_code=303, cookies=cookies)
    path = f"{CODE_PATH}?next={quote(local_path(next_path), safe='/')}"
    return Redirect(path, status_code=303, cookies=[_half_cookie(opened.token, secure=secure)])


def _half_cookie(token: str, *, secure: bool) -> Cookie:
    age = int(HALFWAY_MAX.total_seconds()) if token else 0
    return Cookie(
        key=HALF_COOKIE, value=token, path=SIGN_IN_PATH, max_age=age, httponly=True, samesite="lax", secure=secure
    )


@get(CODE_PATH, guards=[public])
async def step_page(
    request: AnyRequest,
    db: NamedDependency[Database],
    next_path: Annotated[str, QueryParameter(name="next")] = "/",
) -> Response[Any]:
    """The form for the code."""
    return await _step(request, db, next_path)


async def _step(request: AnyRequest, db: Database, next_path: str, fault: AppError | None = None) -> Response[Any]:
    async with db.read(WORKER) as tx:
        try:
            user = await find_halfway(tx, request.cookies.get(HALF_COOKIE, ""))
        except SignInOver:
            return Redirect(SIGN_IN_PATH, status_code=303)
        enrolment = (await standing(tx, user.user_id, user.login, ISSUER)).enrolment
    page = StepPage(local_path(next_path), enrolment, qr(enrolment))
    return door("people/second_step.html", user.locale, page, fault)


@post(CODE_PATH, guards=[public], status_code=200)
async def take_step(
    request: AnyRequest, db: NamedDependency[Database], settings: NamedDependency[Settings]
) -> Response[Any]:
    """Open the session; who has just set a device up sees its recovery codes first."""
    form, token = await request.form(), request.cookies.get(HALF_COOKIE, "")
    next_path = local_path(str(form.get("next", "/")))
    try:
        entered = await finish_sign_in(db, token, str(form.get("code", "")), **client_of(request))
    except (WrongCode, TooManyAttempts, SignInOver) as fault:
        return await _step(request, db, next_path, fault)
    cookies = [
        session_cookie(entered.session.token, secure=settings.cookie_secure),
        _half_cookie("", secure=settings.cookie_secure),
    ]
    if not entered.recovery_codes:
        return Redirect(next_path, status_code=303, cookies=cookies)
    return door("people/codes.html", entered.user.locale, CodesPage(entered.recovery_codes, next_path), cookies=cookies)


PAGES = [Router("/", route_handlers=[step_page, take_step], include_in_schema=False)]
