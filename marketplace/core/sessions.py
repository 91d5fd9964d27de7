"""What proves who calls: session tokens of browsers and API keys of programs. Only hashes of either are stored."""

import hashlib
import hmac
import re
import secrets
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Text, delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import BYTEA

from marketplace.core import audit
from marketplace.core.db import Database, Tx
from marketplace.core.errors import Invalid, NotFound
from marketplace.core.scopes import check_scopes
from marketplace.core.tables import api_key, session

SESSION_MAX = timedelta(days=7)
SESSION_IDLE_MAX = timedelta(hours=12)
_SEEN_EVERY = timedelta(minutes=5)
API_KEY_MAX = timedelta(days=366)
ROTATION_OVERLAP_MAX = timedelta(days=30)
_KEY_NAME_LENGTH_MAX = 100
_KEY_ID = re.compile(r"[A-Za-z0-9]{1,64}")
_USER_AGENT_LENGTH_MAX = 300


class SignedIn(msgspec.Struct, frozen=True):
    """A session just opened: the token is shown once, to its owner."""

    token: str
    user_id: int
    expires_at: datetime


class SessionInfo(msgspec.Struct, frozen=True):
    """An open session as its owner sees it; session_id is part of the token's hash and opens nothing."""

    session_id: str
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    address: str
    user_agent: str


class KeyInfo(msgspec.Struct, frozen=True):
    """An API key as its owner sees it, without the secret."""

    key_id: str
    name: str
    scopes: list[str] | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


class NewKey(msgspec.Struct, frozen=True):
    """An API key just made: `key` is shown once."""

    key_id: str
    key: str
    name: str
    expires_at: datetime | None
    scopes: list[str] | None = None


class Holder(msgspec.Struct, frozen=True):
    """Whom a valid credential belongs to, what it is narrowed to, and whether its last use should be noted again.

    caller: under what name its requests are counted. viewing_merchant_id, viewing_name: as whom one of the house looks
    around.
    """

    user_id: int
    login: str
    name: str
    roles: list[str]
    merchant_id: int | None
    payer_id: int | None
    locale: str
    scopes: frozenset[str] | None
    caller: str
    note_use: bool
    viewing_merchant_id: int | None = None
    viewing_name: str = ""


_FIND_SESSION = """
    SELECT u.user_id, u.login, u.name, u.roles, u.merchant_id, u.payer_id, u.locale, s.last_seen_at,
           s.viewing_merchant_id
    FROM core.session s JOIN core.app_user u USING (user_id)
    WHERE s.token_hash = $1 AND s.expires_at > $2 AND s.last_seen_at > $3 AND u.active
"""
_NAME = "SELECT name FROM supply.merchant WHERE merchant_id = $1"
_FIND_KEY = """
    SELECT u.user_id, u.login, u.name, u.roles, u.merchant_id, u.payer_id, u.locale, k.secret_hash, k.scopes,
           k.last_used_at
    FROM core.api_key k JOIN core.app_user u USING (user_id)
    WHERE k.key_id = $1 AND k.revoked_at IS NULL AND coalesce(k.expires_at > $2, true) AND u.active
"""


def hash_secret(secret: str) -> bytes:
    """SHA-256: enough for 256 random bits, which nobody can guess from a table of hashes."""
    return hashlib.sha256(secret.encode()).digest()


async def open_session(tx: Tx, user_id: int, *, address: str, user_agent: str) -> SignedIn:
    """A new session of the user, with a token of 256 random bits."""
    token = secrets.token_urlsafe(32)
    expires_at = tx.now + SESSION_MAX
    await tx.execute(
        insert(session),
        {
            "token_hash": hash_secret(token),
            "user_id": user_id,
            "created_at": tx.now,
            "last_seen_at": tx.now,
            "expires_at": expires_at,
            "address": address,
            "user_agent": user_agent[:_USER_AGENT_LENGTH_MAX],
        },
    )
    return SignedIn(token, user_id, expires_at)


async def find_session(db: Database, token: str) -> Holder | None:
    """Whose session the token opens; None when there is none, it has expired or its user was shut out."""
    now = db.clock.now()
    row = await db.lookup(_FIND_SESSION, hash_secret(token), now, now - SESSION_IDLE_MAX)
    if row is None:
        return None
    holder = _holder(row, None, f"user:{row['user_id']}", row["last_seen_at"] <= now - _SEEN_EVERY)
    viewing = row["viewing_merchant_id"]
    if viewing is None:
        return holder
    named = await db.lookup(_NAME, viewing)
    return msgspec.structs.replace(holder, viewing_merchant_id=viewing, viewing_name=named["name"] if named else "")


def _holder(row: Any, scopes: list[str] | None, caller: str, note_use: bool) -> Holder:
    return Holder(
        row["user_id"],
        row["login"],
        row["name"],
        row["roles"],
        row["merchant_id"],
        row["payer_id"],
        row["locale"],
        None if scopes is None else frozenset(scopes),
        caller,
        note_use,
    )


async def note_session_use(tx: Tx, token: str) -> None:
    await tx.execute(update(session).where(session.c.token_hash == hash_secret(token)).values(last_seen_at=tx.now))


async def close_session(tx: Tx, token: str) -> None:
    """Sign out: the token opens nothing from now on."""
    await tx.execute(delete(session).where(session.c.token_hash == hash_secret(token)))


async def list_sessions(tx: Tx, user_id: int) -> list[SessionInfo]:
    """The user's live sessions, the latest seen first."""
    rows = await tx.rows(
        select(_session_id().label("session_id"), *(session.c[name] for name in SessionInfo.__struct_fields__[1:]))
        .where(
            session.c.user_id == user_id,
            session.c.expires_at > tx.now,
            session.c.last_seen_at > tx.now - SESSION_IDLE_MAX,
        )
        .order_by(session.c.last_seen_at.desc(), session.c.token_hash)
    )
    return [SessionInfo(*row) for row in rows]


async def revoke_session(tx: Tx, user_id: int, session_id: str) -> None:
    """End one session of the user. Raises NotFound."""
    gone = await tx.execute(delete(session).where(session.c.user_id == user_id, _session_id() == session_id))
    if gone.rowcount == 0:
        raise NotFound(f"session_id: you have no open session {session_id!r}")
    await audit.record(tx, "session revoked", f"session:{session_id}")


async def revoke_others(tx: Tx, user_id: int, token: str) -> None:
    """End all sessions of the user but the one with this token."""
    others = (session.c.user_id == user_id) & (session.c.token_hash != hash_secret(token))
    await tx.execute(delete(session).where(others))
    await audit.record(tx, "other sessions revoked", f"user:{tx.actor}")


async def view_as(tx: Tx, token: str, merchant_id: int | None) -> None:
    """From now on the session looks at this merchant's pages as the merchant does; None ends it."""
    await tx.execute(
        update(session).where(session.c.token_hash == hash_secret(token)).values(viewing_merchant_id=merchant_id)
    )


def _session_id() -> ColumnElement[str]:
    return func.encode(func.substring(session.c.token_hash, 1, 8, type_=BYTEA), "hex", type_=Text)


async def create_api_key(
    tx: Tx, user_id: int, name: str, expires_at: datetime | None = None, scopes: list[str] | None = None
) -> NewKey:
    """A new API key of the user, narrowed to `scopes` where they are given.

    Raises Invalid for a bad name, an expiry that is past or over a year away, or a scope that there is not.
    """
    if not 0 < len(name.strip()) <= _KEY_NAME_LENGTH_MAX:
        raise Invalid(f"name: must have 1 to {_KEY_NAME_LENGTH_MAX} characters", pointer="/name")
    if expires_at is not None and not tx.now < expires_at <= tx.now + API_KEY_MAX:
        raise Invalid(f"expires_at: must be in the next {API_KEY_MAX.days} days", pointer="/expires_at")
    scopes = None if scopes is None else check_scopes(scopes)
    key_id, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
    row = {"key_id": key_id, "user_id": user_id, "name": name.strip(), "secret_hash": hash_secret(secret)}
    await tx.execute(insert(api_key), row | {"scopes": scopes, "created_at": tx.now, "expires_at": expires_at})
    await audit.record(tx, "API key created", f"api_key:{key_id}", name=name.strip(), scopes=scopes)
    return NewKey(key_id, f"mk_{key_id}_{secret}", name.strip(), expires_at, scopes)


async def find_api_key(db: Database, key: str) -> Holder | None:
    """Whose key this is; None when it is malformed, unknown, wrong, expired, revoked or its user was shut out."""
    prefix, _, rest = key.partition("_")
    key_id, _, secret = rest.partition("_")
    if prefix != "mk" or not _KEY_ID.fullmatch(key_id) or not secret:
        return None
    now = db.clock.now()
    row = await db.lookup(_FIND_KEY, key_id, now)
    if row is None or not hmac.compare_digest(row["secret_hash"], hash_secret(secret)):
        return None
    note_use = row["last_used_at"] is None or row["last_used_at"] <= now - _SEEN_EVERY
    return _holder(row, row["scopes"], f"key:{key_id}", note_use)


async def note_api_key_use(tx: Tx, key: str) -> None:
    await tx.execute(update(api_key).where(api_key.c.key_id == key.split("_", 2)[1]).values(last_used_at=tx.now))


async def list_api_keys(tx: Tx, user_id: int) -> list[KeyInfo]:
    """The user's API keys, revoked ones too, the newest first."""
    columns = [api_key.c[name] for name in KeyInfo.__struct_fields__]
    rows = await tx.rows(
        select(*columns).where(api_key.c.user_id == user_id).order_by(api_key.c.created_at.desc(), api_key.c.key_id)
    )
    return [KeyInfo(*row) for row in rows]


async def revoke_api_key(tx: Tx, user_id: int, key_id: str) -> None:
    """Make a key worthless at once. Raises NotFound when the user has no such live key."""
    own = (api_key.c.key_id == key_id) & (api_key.c.user_id == user_id) & api_key.c.revoked_at.is_(None)
    if (await tx.execute(update(api_key).where(own).values(revoked_at=tx.now))).rowcount == 0:
        raise NotFound(f"key_id: you have no live API key {key_id!r}")
    await audit.record(tx, "API key revoked", f"api_key:{key_id}")


async def rotate_api_key(tx: Tx, user_id: int, key_id: str, overlap: timedelta) -> NewKey:
    """A new key with the old one's name and scopes; the old one works on for `overlap`, while callers change over.

    Raises NotFound, or Invalid when the overlap is negative or longer than 30 days.
    """
    if not timedelta(0) <= overlap <= ROTATION_OVERLAP_MAX:
        raise Invalid(f"overlap_s: must be 0 to {ROTATION_OVERLAP_MAX.days} days", pointer="/overlap_s")
    old = await tx.row(
        select(api_key.c.name, api_key.c.scopes, api_key.c.created_at, api_key.c.expires_at)
        .where(api_key.c.key_id == key_id, api_key.c.user_id == user_id, api_key.c.revoked_at.is_(None))
        .with_for_update()
    )
    if old is None:
        raise NotFound(f"key_id: you have no live API key {key_id!r}")
    lifetime = None if old.expires_at is None else old.expires_at - old.created_at
    new = await create_api_key(tx, user_id, old.name, None if lifetime is None else tx.now + lifetime, old.scopes)
    ends_at = tx.now + overlap
    if old.expires_at is None or old.expires_at > ends_at:
        await tx.execute(update(api_key).where(api_key.c.key_id == key_id).values(expires_at=ends_at))
    await audit.record(tx, "API key rotated", f"api_key:{key_id}", replaced_by=new.key_id)
    return new
