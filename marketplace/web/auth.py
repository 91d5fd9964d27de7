"""Who calls: a browser's session cookie or a program's API key becomes `request.user`, an Actor, or None.

Only finds out; what a caller may do is decided by guards. A credential that is given but not valid is refused for an
API key (a program should learn that its key is dead) and ignored for a cookie (a person should reach the sign-in).
"""

from typing import Any

import msgspec
from litestar import Request
from litestar.datastructures import Cookie, State
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send
from structlog.contextvars import bind_contextvars

from marketplace.core import db as database
from marketplace.core.db import STAFF, WORKER, Database, Role
from marketplace.core.errors import Forbidden, Unauthenticated
from marketplace.core.people.notices import audiences_of, count_unread
from marketplace.core.sessions import (
    SESSION_MAX,
    Holder,
    find_api_key,
    find_session,
    note_api_key_use,
    note_session_use,
)
from marketplace.core.users import SALES_ROLES, STAFF_ROLES, UserRole
from marketplace.web.limits import address_of, count
from marketplace.web.observed import settings_of

SESSION_COOKIE = "marketplace_session"
_NO_PAGES = ("/api/", "/static/")
"""Where nobody is told of anything that is new."""


class Actor(msgspec.Struct, frozen=True):
    """The signed-in caller. roles are values of `UserRole`; the house's own people have no merchant_id or payer_id.

    viewing: one of the house who looks at a merchant's pages as that merchant does; roles and merchant_id are then the
    merchant's, and nothing may be changed. viewing_name: the merchant's name. unread: how many notices are new.
    """

    user_id: int
    login: str
    name: str
    roles: frozenset[str]
    merchant_id: int | None
    locale: str
    payer_id: int | None = None
    viewing: bool = False
    viewing_name: str = ""
    unread: int = 0

    @property
    def is_staff(self) -> bool:
        return self.merchant_id is None and bool(self.roles & STAFF_ROLES)

    @property
    def scope(self) -> database.Scope:
        """As whom the database is asked on this caller's behalf. Never from a path or a body: only from here."""
        if self.merchant_id is not None:
            return database.Scope(Role.MERCHANT, self.merchant_id)
        if self.payer_id is not None:
            return database.Scope(Role.PAYER, self.payer_id)
        if self.is_staff:
            return STAFF
        if self.roles & (SALES_ROLES | {UserRole.DISTRIBUTOR}):
            return database.Scope(Role.SALES, self.user_id)
        raise Forbidden("this role has no books to look at")


class Credential(msgspec.Struct, frozen=True):
    """How the caller proved who it is: a session's token or an API key.

    scopes: what an API key is narrowed to, None for all. caller: under what name its requests are counted.
    """

    secret: str
    is_cookie: bool
    scopes: frozenset[str] | None = None
    caller: str = ""


ActorRequest = Request[Actor, Credential, State]
"""A request behind a guard: `request.user` is an Actor."""


class Authentication(ASGIMiddleware):
    """Sets `scope["user"]` to the Actor and `scope["auth"]` to its Credential, or both to None.

    What is refused here counts as a stranger's request. A key is looked up before that, so a right one is let in also
    from an address that has used up its requests: what keeps keys from being guessed is their length.
    """

    scopes = (ScopeType.HTTP,)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        scope["user"] = scope["auth"] = None
        try:
            await _recognise(scope)
        except Unauthenticated:
            await count(scope, address_of(scope), settings_of(scope).rate_limit_anonymous)
            raise
        if scope["user"] is not None and scope["user"].viewing and not _only_looks(scope):
            raise OnlyLooking("you are looking at a merchant's pages: end that first, then act as yourself")
        await next_app(scope, receive, send)


class OnlyLooking(Forbidden):
    """Who views as a merchant changes nothing."""

    code = "only-looking"
    title = "You only look at this merchant's pages"


LEAVE_VIEW = "/view-as/end"
_OWN = frozenset({LEAVE_VIEW, "/sign-out", "/language"})
"""What concerns the viewer alone."""


def _only_looks(scope: Scope) -> bool:
    return str(scope.get("method")) in {"GET", "HEAD", "OPTIONS"} or scope["path"] in _OWN


async def _recognise(scope: Scope) -> None:
    credential = given_credential(scope)
    if credential is None:
        return
    holder = await _holder(scope["litestar_app"].state["db"], credential)
    if holder is None and not credential.is_cookie:
        raise Unauthenticated("authorization: the API key is not valid (unknown, expired or revoked)")
    if holder is not None:
        actor = _actor(holder)
        if credential.is_cookie and not actor.viewing and not scope["path"].startswith(_NO_PAGES):
            told = audiences_of(actor.roles, actor.merchant_id)
            unread = await count_unread(scope["litestar_app"].state["db"], actor.user_id, told, actor.merchant_id)
            actor = msgspec.structs.replace(actor, unread=unread)
        scope["user"] = actor
        scope["auth"] = msgspec.structs.replace(credential, scopes=holder.scopes, caller=holder.caller)
        scope["actor"] = holder.login  # type: ignore[typeddict-unknown-key]  # read by the request log
        bind_contextvars(actor=holder.login)


def given_credential(scope: Scope) -> Credential | None:
    """The credential in the headers; an API key wins over a cookie. Raises Unauthenticated for another scheme."""
    request: Request[Any, Any, Any] = Request(scope)
    header = request.headers.get("authorization")
    if header is not None:
        scheme, _, key = header.partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthenticated("authorization: must be `Bearer mk_…`, an API key")
        return Credential(key.strip(), is_cookie=False)
    token = request.cookies.get(SESSION_COOKIE)
    return Credential(token, is_cookie=True) if token else None


async def _holder(db: Database, credential: Credential) -> Holder | None:
    find, note = (find_session, note_session_use) if credential.is_cookie else (find_api_key, note_api_key_use)
    holder = await find(db, credential.secret)
    if holder is not None and holder.note_use:
        await db.write(WORKER, holder.login, note, credential.secret)
    return holder


def _actor(holder: Holder) -> Actor:
    actor = Actor(
        user_id=holder.user_id,
        login=holder.login,
        name=holder.name,
        roles=frozenset(holder.roles),
        merchant_id=holder.merchant_id,
        locale=holder.locale,
        payer_id=holder.payer_id,
    )
    if holder.viewing_merchant_id is None or not actor.is_staff:
        return actor
    owner = frozenset({UserRole.MERCHANT_OWNER.value})
    return msgspec.structs.replace(
        actor, roles=owner, merchant_id=holder.viewing_merchant_id, viewing=True, viewing_name=holder.viewing_name
    )


def session_cookie(token: str, *, secure: bool) -> Cookie:
    """The cookie that carries a session; scripts cannot read it, and other sites cannot post with it."""
    return Cookie(
        key=SESSION_COOKIE,
        value=token,
        path="/",
        max_age=int(SESSION_MAX.total_seconds()),
        httponly=True,
        samesite="lax",
        secure=secure,
    )


def no_session_cookie(*, secure: bool) -> Cookie:
    """The cookie that takes a session away."""
    return Cookie(key=SESSION_COOKIE, value="", path="/", max_age=0, httponly=True, samesite="lax", secure=secure)
