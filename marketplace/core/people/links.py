"""Links that let somebody in once: an invitation makes a user, a reset gives one a new password.

A link is used or withdrawn as a row; what opens it are tokens, of which it may have several: one that was shown to who
made it, and one for each time that its mail was sent. They are known by their hashes alone.
"""

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import insert, select, update

from marketplace.core import audit
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import AppError, NotFound
from marketplace.core.ids import time_ordered_id
from marketplace.core.people.attempts import count_attempt
from marketplace.core.people.mails import ask_for_mail
from marketplace.core.people.tables import access_link, link_token
from marketplace.core.sessions import hash_secret
from marketplace.core.tables import app_user
from marketplace.core.users import User, check_roles, clean_email, create_user, set_password

INVITATION_MAX = timedelta(days=7)
RESET_MAX = timedelta(hours=1)
RESETS_PER_LOGIN_MAX = 5
RESETS_PER_ADDRESS_MAX = 50
"""What may be asked for within a quarter of an hour, for one login and from one address."""

_TYPED_LENGTH_MAX = 200
_RESETS_AT_ONCE = 5


class LinkOver(AppError):
    """The link was used, withdrawn, or has expired; or it never was."""

    code = "link-over"
    status = 410
    title = "This link opens nothing any more"


class Link(msgspec.Struct, frozen=True):
    """What a link is for. email: the login that an invitation will make, or where a reset was sent."""

    link_id: int
    kind: str
    email: str
    user_id: int | None
    name: str | None
    roles: list[str] | None
    merchant_id: int | None
    made_by: str
    made_at: datetime
    expires_at: datetime


_COLUMNS = [access_link.c[name] for name in Link.__struct_fields__]
_UNUSED = (access_link.c.used_at.is_(None), access_link.c.withdrawn_at.is_(None))


class Invite(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to let in, and as what. merchant_id: whose people it joins, None for the house's."""

    email: str
    name: str
    roles: list[str]
    merchant_id: int | None = None
    locale: str = "en"


class Invitation(msgspec.Struct, frozen=True):
    """An invitation just made; the token is shown once, to who made it."""

    link_id: int
    token: str
    expires_at: datetime


async def invite(tx: Tx, cmd: Invite) -> Invitation:
    """Invite somebody, by mail and by a link to hand over; an older open invitation of the same one ends.

    Raises Invalid for a bad address or roles. Whether the login is taken is only said to who opens the link.
    """
    email = clean_email(cmd.email)
    check_roles(cmd.roles, cmd.merchant_id)
    await tx.execute(
        update(access_link)
        .where(
            access_link.c.email == email,
            access_link.c.kind == "invitation",
            access_link.c.merchant_id.is_not_distinct_from(cmd.merchant_id),
            *_UNUSED,
        )
        .values(withdrawn_at=tx.now)
    )
    link_id, expires_at = time_ordered_id(tx.now), tx.now + INVITATION_MAX
    row = {
        "link_id": link_id,
        "kind": "invitation",
        "email": email,
        "name": cmd.name.strip(),
        "roles": sorted(set(cmd.roles)),
        "merchant_id": cmd.merchant_id,
        "made_by": tx.actor,
        "made_at": tx.now,
        "expires_at": expires_at,
    }
    await tx.execute(insert(access_link), row)
    await ask_for_mail(tx, "invitation", email, cmd.locale, link_id=link_id, facts={"by": tx.actor})
    await audit.record(tx, "invited", f"email:{email}", roles=row["roles"], merchant_id=cmd.merchant_id)
    return Invitation(link_id, await new_token(tx, link_id), expires_at)


async def new_token(tx: Tx, link_id: int) -> str:
    """One more token that opens the link."""
    token = secrets.token_urlsafe(32)
    await tx.execute(insert(link_token), {"token_hash": hash_secret(token), "link_id": link_id})
    return token


async def list_invitations(tx: Tx, merchant_id: int | None) -> Sequence[Link]:
    """The open invitations to a merchant's people, or to the house's, newest first."""
    rows = await tx.rows(
        select(*_COLUMNS)
        .where(
            access_link.c.kind == "invitation",
            access_link.c.merchant_id.is_not_distinct_from(merchant_id),
            access_link.c.expires_at > tx.now,
            *_UNUSED,
        )
        .order_by(access_link.c.link_id.desc())
    )
    return [Link(*row) for row in rows]


async def withdraw_invitation(tx: Tx, merchant_id: int | None, link_id: int) -> None:
    """End an open invitation. Raises NotFound when these people have none such."""
    ended = await tx.execute(
        update(access_link)
        .where(
            access_link.c.link_id == link_id,
            access_link.c.kind == "invitation",
            access_link.c.merchant_id.is_not_distinct_from(merchant_id),
            *_UNUSED,
        )
        .values(withdrawn_at=tx.now)
        .returning(access_link.c.email)
    )
    email = ended.scalar()
    if email is None:
        raise NotFound(f"link_id: there is no open invitation {link_id}")
    await audit.record(tx, "invitation withdrawn", f"email:{email}")


async def find_link(tx: Tx, kind: str, token: str) -> Link:
    """What the token opens. Raises LinkOver."""
    return _found(await tx.row(_opened(kind, token, tx.now)))


def _opened(kind: str, token: str, now: datetime) -> Any:
    return (
        select(*_COLUMNS)
        .join(link_token, link_token.c.link_id == access_link.c.link_id)
        .where(
            link_token.c.token_hash == hash_secret(token),
            access_link.c.kind == kind,
            access_link.c.expires_at > now,
            *_UNUSED,
        )
    )


def _found(row: Any) -> Link:
    if row is None:
        raise LinkOver("it was used or withdrawn, or its time has run out; ask for a new one")
    return Link(*row)


async def _use(tx: Tx, kind: str, token: str) -> Link:
    """Take the link, so that nobody else can; a refusal later in the transaction gives it back. Raises LinkOver."""
    link = _found(await tx.row(_opened(kind, token, tx.now).with_for_update(of=access_link)))
    await tx.execute(update(access_link).where(access_link.c.link_id == link.link_id).values(used_at=tx.now))
    return link


async def accept_invitation(tx: Tx, token: str, *, name: str, password: str, locale: str) -> User:
    """Become a user, whose login is the address that was invited. Raises LinkOver, Invalid, Conflict."""
    link = await _use(tx, "invitation", token)
    assert link.roles is not None
    return await create_user(
        tx, link.email, name, link.roles, merchant_id=link.merchant_id, locale=locale, password=password,
        email=link.email,
    )  # fmt: skip


async def ask_for_reset(db: Database, typed: str, *, address: str) -> None:
    """Mail a link to whoever has this login or e-mail address; nobody is told whether there is one.

    Raises TooManyAttempts. With a login or without, the same is counted and committed.
    """
    typed = typed.strip()[:_TYPED_LENGTH_MAX]
    limits = {f"reset:{typed.lower()}": RESETS_PER_LOGIN_MAX, f"reset_from:{address}": RESETS_PER_ADDRESS_MAX}
    await db.write(WORKER, "anonymous", count_attempt, limits)
    await db.write(WORKER, "anonymous", _make_resets, typed)


async def _make_resets(tx: Tx, typed: str) -> None:
    rows = await tx.rows(
        select(app_user.c.user_id, app_user.c.login, app_user.c.email, app_user.c.locale)
        .where(
            (app_user.c.login == typed) | (app_user.c.email == typed.lower()),
            app_user.c.active,
            app_user.c.email.is_not(None),
        )
        .order_by(app_user.c.login)
        .limit(_RESETS_AT_ONCE)
    )
    for row in rows:
        link_id = time_ordered_id(tx.now)
        link = {"link_id": link_id, "kind": "reset", "email": row.email, "user_id": row.user_id}
        times = {"made_by": row.login, "made_at": tx.now, "expires_at": tx.now + RESET_MAX}
        await tx.execute(insert(access_link), link | times)
        await ask_for_mail(tx, "reset", row.email, row.locale, link_id=link_id, facts={"login": row.login})
        await audit.record(tx, "password reset asked for", f"user:{row.login}")


async def reset_password(tx: Tx, token: str, password: str) -> str:
    """Set a new password by a link, end all sessions and all other resets; returns the login.

    A second factor stays and is asked for at the next sign-in. Raises LinkOver, Invalid. The user is locked before the
    link: else two links of one user, used at once, would each wait for the other.
    """
    opened = _found(await tx.row(_opened("reset", token, tx.now)))
    await tx.execute(select(app_user.c.user_id).where(app_user.c.user_id == opened.user_id).with_for_update())
    link = await _use(tx, "reset", token)
    login = str(await tx.scalar(select(app_user.c.login).where(app_user.c.user_id == link.user_id)))
    await set_password(tx, login, password)
    others = (access_link.c.user_id == link.user_id) & (access_link.c.kind == "reset")
    await tx.execute(update(access_link).where(others, *_UNUSED).values(withdrawn_at=tx.now))
    await ask_for_mail(tx, "password_changed", link.email, await _locale(tx, login), facts={"login": login})
    return login


async def _locale(tx: Tx, login: str) -> str:
    return str(await tx.scalar(select(app_user.c.locale).where(app_user.c.login == login)))
