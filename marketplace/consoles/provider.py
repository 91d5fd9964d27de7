"""Sign-in with the company's own provider, for the house's people: there, and back."""

import hmac
from typing import Annotated, Any

from litestar import Response, Router, get
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.params import FromQuery, QueryParameter
from litestar.response import Redirect

from marketplace.consoles.doors import AnyRequest, client_of, local_path
from marketplace.consoles.second_step import lead_in
from marketplace.consoles.signin import show_form
from marketplace.core.db import Database
from marketplace.core.errors import AppError, NotFound
from marketplace.core.people import oidc
from marketplace.core.people.oidc import Provider, ProviderFailed
from marketplace.settings import Settings
from marketplace.web.guards import public
from marketplace.web.problems import SIGN_IN_PATH

STATE_COOKIE = "marketplace_provider"
_PATH = f"{SIGN_IN_PATH}/provider"


def _provider(settings: Settings) -> Provider:
    if settings.oidc_issuer is None:
        raise NotFound("there is no provider to sign in with")
    return Provider(settings.oidc_issuer, settings.oidc_client_id or "", settings.oidc_client_secret or "")


def _callback(request: AnyRequest, settings: Settings) -> str:
    base = (settings.address or str(request.base_url)).rstrip("/")
    return f"{base}{_PATH}/back"


def _state_cookie(state: str, *, secure: bool) -> Cookie:
    """It ties the attempt to this browser; a link to the way back, made by somebody else, opens nothing."""
    age = int(oidc.ATTEMPT_MAX.total_seconds()) if state else 0
    return Cookie(key=STATE_COOKIE, value=state, path=_PATH, max_age=age, httponly=True, samesite="lax", secure=secure)


@get("/", guards=[public])
async def go(
    request: AnyRequest,
    db: NamedDependency[Database],
    settings: NamedDependency[Settings],
    next_path: Annotated[str, QueryParameter(name="next")] = "/",
) -> Response[Any]:
    """To the provider."""
    provider = _provider(settings)
    try:
        begun = await oidc.begin(db, provider, _callback(request, settings), local_path(next_path))
    except ProviderFailed as fault:
        return await show_form(request, db, settings, next_path=next_path, fault=fault)
    return Redirect(begun.url, status_code=303, cookies=[_state_cookie(begun.state, secure=settings.cookie_secure)])


@get("/back", guards=[public])
async def back(
    request: AnyRequest,
    db: NamedDependency[Database],
    settings: NamedDependency[Settings],
    code: FromQuery[str] = "",
    given: Annotated[str, QueryParameter(name="state")] = "",
    iss: FromQuery[str | None] = None,
) -> Response[Any]:
    """From the provider: in, or the sign-in again with what went wrong."""
    provider = _provider(settings)
    try:
        kept = request.cookies.get(STATE_COOKIE, "")
        if not kept or not hmac.compare_digest(kept.encode(), given.encode()):
            raise ProviderFailed("state: is not the one that this browser began with")
        if iss is not None and iss != provider.issuer:  # RFC 9207
            raise ProviderFailed("iss: another provider answered")
        redirect_uri = _callback(request, settings)
        arrived = await oidc.finish(db, provider, redirect_uri, given, code, **client_of(request))
    except AppError as fault:
        return await show_form(request, db, settings, next_path="/", fault=fault)
    answer = lead_in(arrived.opened, arrived.next_path, secure=settings.cookie_secure)
    answer.set_cookie(_state_cookie("", secure=settings.cookie_secure))
    return answer


PAGES = [Router(_PATH, route_handlers=[go, back], include_in_schema=False)]
