"""One's own account: where one is signed in, password, second factor, e-mail address."""

from collections.abc import Mapping
from typing import Any

from litestar import Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect

from marketplace.consoles import people_queries
from marketplace.consoles.deeds import Refused, carry_out, done, take
from marketplace.consoles.doors import client_of
from marketplace.consoles.layout import send
from marketplace.consoles.second_step import ISSUER, CodesPage, qr
from marketplace.core import sessions, users
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import Conflict
from marketplace.core.people import second_factor
from marketplace.settings import Settings
from marketplace.web.auth import ActorRequest, session_cookie
from marketplace.web.guards import in_person, signed_in

_AT = "/account"
_GUARDED = f"{_AT}#second-factor"


@get("/")
async def account(request: ActorRequest, db: NamedDependency[Database]) -> Response[str]:
    """Everything about the one who is signed in."""
    return await _show(request, db)


async def _show(request: ActorRequest, db: Database, refused: Refused | None = None) -> Response[str]:
    async with db.read(WORKER) as tx:
        page = await people_queries.account_page(tx, request.user.login, request.auth.secret, ISSUER)
    drawn = qr(page.standing.enrolment)
    return send(request, "people/account.html", page, "account", refused=refused, qr=drawn)


def _again(request: ActorRequest, db: Database) -> Any:
    async def show(refused: Refused) -> Response[str]:
        return await _show(request, db, refused)

    return show


@post("/email")
async def set_email(request: ActorRequest, db: NamedDependency[Database]) -> Response[Any]:
    """Where mails to this person go."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        await users.set_email(tx, request.user.login, typed.get("email"))
        return done(_AT, "email_set")

    return await carry_out(request, db, work, again=_again(request, db))


@post("/sessions/{session_id:str}/revoke")
async def revoke(request: ActorRequest, db: NamedDependency[Database], session_id: FromPath[str]) -> Response[Any]:
    """Sign out on another device."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        del typed
        await sessions.revoke_session(tx, request.user.user_id, session_id)
        return done(_AT, "session_revoked")

    return await carry_out(request, db, work, again=_again(request, db))


@post("/sessions/revoke-others")
async def revoke_others(request: ActorRequest, db: NamedDependency[Database]) -> Response[Any]:
    """Sign out everywhere but here."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        del typed
        await sessions.revoke_others(tx, request.user.user_id, request.auth.secret)
        return done(_AT, "session_revoked")

    return await carry_out(request, db, work, again=_again(request, db))


@post("/password", status_code=200)
async def change_password(
    request: ActorRequest, db: NamedDependency[Database], settings: NamedDependency[Settings]
) -> Response[Any]:
    """A new password, for who knows the old one; ends all sessions and opens this one anew."""

    async def work(typed: Mapping[str, str]) -> Response[Any]:
        opened = await users.change_password(
            db, request.user.login, typed.get("password", ""), typed.get("new_password", ""), **client_of(request)
        )
        cookies = [session_cookie(opened.token, secure=settings.cookie_secure)]
        return Redirect(done(_AT, "password_set"), status_code=303, cookies=cookies)

    return await take(request, work, again=_again(request, db))


@post("/second-factor")
async def begin(request: ActorRequest, db: NamedDependency[Database]) -> Response[Any]:
    """Set a second factor up: the page then shows what the device needs."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        del typed
        await second_factor.begin_enrolment(tx, request.user.user_id)
        return _GUARDED

    return await carry_out(request, db, work, again=_again(request, db))


@post("/second-factor/confirm", status_code=200)
async def confirm(request: ActorRequest, db: NamedDependency[Database]) -> Response[Any]:
    """The first code makes it count; the answer shows the recovery codes."""

    async def work(tx: Tx, code: str) -> list[str]:
        return await second_factor.confirm_enrolment(tx, request.user.user_id, code)

    return await _with_code(request, db, work)


@post("/second-factor/recovery-codes", status_code=200)
async def renew_codes(request: ActorRequest, db: NamedDependency[Database]) -> Response[Any]:
    """Fresh recovery codes in place of the old ones, shown once."""

    async def work(tx: Tx, code: str) -> list[str]:
        await second_factor.check_code(tx, request.user.user_id, code)
        return await second_factor.new_recovery_codes(tx, request.user.user_id)

    return await _with_code(request, db, work)


@post("/second-factor/remove", status_code=200)
async def remove(request: ActorRequest, db: NamedDependency[Database]) -> Response[Any]:
    """Go on without a second factor, where nobody requires one."""

    async def work(tx: Tx, code: str) -> list[str]:
        page = await people_queries.account_page(tx, request.user.login, request.auth.secret, ISSUER)
        if page.required:
            raise Conflict("the house requires a second factor of its people")
        await second_factor.check_code(tx, request.user.user_id, code)
        await second_factor.remove_second_factor(tx, request.user.user_id)
        return []

    return await _with_code(request, db, work)


async def _with_code(request: ActorRequest, db: Database, work: Any) -> Response[Any]:
    """Do `work(tx, code)`, whose tries are counted; it returns recovery codes to be shown, if any."""
    actor = request.user

    async def counted(typed: Mapping[str, str]) -> Response[Any]:
        await second_factor.count_try(db, actor.user_id, actor.login)
        codes = await db.write(WORKER, actor.login, work, typed.get("code", ""))
        if codes:
            return send(request, "people/account_codes.html", CodesPage(codes, _AT), "account")
        return Redirect(done(_AT, "second_factor_removed"), status_code=303)

    return await take(request, counted, again=_again(request, db))


PAGES = [
    Router(
        _AT,
        route_handlers=[
            account,
            set_email,
            revoke,
            revoke_others,
            change_password,
            begin,
            confirm,
            renew_codes,
            remove,
        ],
        guards=[signed_in, in_person],
        include_in_schema=False,
    )
]
