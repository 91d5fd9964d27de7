"""Signing in and out, one's own sessions and API keys."""

from datetime import datetime, timedelta
from typing import Annotated

import msgspec
from litestar import Request, Response, delete, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from marketplace.core import sessions, users
from marketplace.core.db import WORKER, Database
from marketplace.core.people.second_factor import Halfway, SecondFactorWanted, finish_sign_in
from marketplace.core.scopes import SCOPES
from marketplace.core.sessions import KeyInfo, NewKey, SessionInfo
from marketplace.settings import Settings
from marketplace.web.auth import ActorRequest, no_session_cookie, session_cookie
from marketplace.web.body import StrictBody
from marketplace.web.guards import in_person, public, signed_in
from marketplace.web.openapi import ALSO


class SignIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """code: of the second factor, or a recovery code, for who has one."""

    login: str
    password: str
    code: Annotated[str, msgspec.Meta(max_length=60)] | None = None


class Me(msgspec.Struct, frozen=True):
    """Who the caller is: roles decide what it may do, merchant_id or payer_id whose books it sees."""

    login: str
    name: str
    roles: list[str]
    merchant_id: int | None
    locale: str
    payer_id: int | None = None


class OpenedSession(msgspec.Struct, frozen=True):
    """The session just opened; the token itself is in the cookie."""

    login: str
    expires_at: datetime


class CreateKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """expires_at: at most a year ahead; None for a key that lives until it is revoked.

    scopes: what the key is narrowed to, such as `orders:read`; None for all that the caller may do.
    """

    name: str
    expires_at: datetime | None = None
    scopes: Annotated[list[str], msgspec.Meta(max_length=len(SCOPES))] | None = None


class RotateKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """overlap_s: how many seconds the old key keeps working."""

    overlap_s: int = 24 * 3600


@post("/session", dto=StrictBody[SignIn], guards=[public], status_code=201, opt={ALSO: (429,)})
async def sign_in(
    request: Request[None, None, State],
    db: NamedDependency[Database],
    settings: NamedDependency[Settings],
    data: JSONBody[SignIn],
) -> Response[OpenedSession]:
    """Sign in with login and password, and a code where there is a second factor; the answer sets the session cookie.

    Without the code the answer is 401 `second-factor-wanted`. A first second factor is set up on the pages.
    """
    address, user_agent = request.client.host if request.client else "", request.headers.get("user-agent", "")
    opened = await users.sign_in(db, data.login, data.password, address=address, user_agent=user_agent)
    if isinstance(opened, Halfway):
        if data.code is None or opened.enrol:
            raise SecondFactorWanted(
                "code: set a second factor up on the pages" if opened.enrol else "code: is missing"
            )
        entered = await finish_sign_in(db, opened.token, data.code, address=address, user_agent=user_agent)
        opened = entered.session
    return Response(
        OpenedSession(data.login.strip(), opened.expires_at),
        cookies=[session_cookie(opened.token, secure=settings.cookie_secure)],
    )


@delete("/session", guards=[signed_in], status_code=204)
async def sign_out(
    request: ActorRequest, db: NamedDependency[Database], settings: NamedDependency[Settings]
) -> Response[None]:
    """Close the session of the cookie this request came with."""
    if request.auth.is_cookie:
        await db.write(WORKER, request.user.login, sessions.close_session, request.auth.secret)
    return Response(None, status_code=204, cookies=[no_session_cookie(secure=settings.cookie_secure)])


@get("/me", guards=[signed_in])
async def get_me(request: ActorRequest) -> Me:
    """Who the caller is."""
    actor = request.user
    return Me(actor.login, actor.name, sorted(actor.roles), actor.merchant_id, actor.locale, actor.payer_id)


@get("/sessions", guards=[signed_in])
async def list_sessions(request: ActorRequest, db: NamedDependency[Database]) -> list[SessionInfo]:
    """The caller's open sessions, on whatever device."""
    async with db.read(WORKER) as tx:
        return await sessions.list_sessions(tx, request.user.user_id)


@delete("/sessions/{session_id:str}", guards=[signed_in], status_code=204)
async def revoke_session(request: ActorRequest, db: NamedDependency[Database], session_id: FromPath[str]) -> None:
    """End one of the caller's own sessions."""
    await db.write(WORKER, request.user.login, sessions.revoke_session, request.user.user_id, session_id)


@get("/api-keys", guards=[signed_in])
async def list_keys(request: ActorRequest, db: NamedDependency[Database]) -> list[KeyInfo]:
    """The caller's API keys, without their secrets."""
    async with db.read(WORKER) as tx:
        return await sessions.list_api_keys(tx, request.user.user_id)


@post("/api-keys", dto=StrictBody[CreateKey], guards=[signed_in, in_person], status_code=201)
async def create_key(request: ActorRequest, db: NamedDependency[Database], data: JSONBody[CreateKey]) -> NewKey:
    """A new API key that may do what the caller may do, or what its scopes say. It is shown here and never again.

    Only within a session: an API key cannot make another that outlives it. A key lives until it expires or is revoked;
    a new password ends the sessions of the old one, not the keys.
    """
    actor = request.user
    return await db.write(
        WORKER, actor.login, sessions.create_api_key, actor.user_id, data.name, data.expires_at, data.scopes
    )


@post("/api-keys/{key_id:str}/rotate", dto=StrictBody[RotateKey], guards=[signed_in, in_person], status_code=201)
async def rotate_key(
    request: ActorRequest, db: NamedDependency[Database], key_id: FromPath[str], data: JSONBody[RotateKey]
) -> NewKey:
    """Replace an API key by a new one; the old one works a little longer, so that callers can change over.

    Only within a session, as for a new key.
    """
    actor, overlap = request.user, timedelta(seconds=data.overlap_s)
    return await db.write(WORKER, actor.login, sessions.rotate_api_key, actor.user_id, key_id, overlap)


@delete("/api-keys/{key_id:str}", guards=[signed_in], status_code=204)
async def revoke_key(request: ActorRequest, db: NamedDependency[Database], key_id: FromPath[str]) -> None:
    """Make one of the caller's own API keys worthless at once."""
    await db.write(WORKER, request.user.login, sessions.revoke_api_key, request.user.user_id, key_id)


HANDLERS = [sign_in, sign_out, get_me, list_sessions, revoke_session, list_keys, create_key, rotate_key, revoke_key]
