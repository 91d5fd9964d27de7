"""Who may sign in: users, their roles and passwords, and the sign-in itself with its limits on failed attempts."""

from datetime import timedelta
from enum import StrEnum

import msgspec
from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from marketplace.core import audit
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import AppError, Conflict, Forbidden, Invalid, NotFound
from marketplace.core.ids import time_ordered_id
from marketplace.core.passwords import hash_password, password_matches
from marketplace.core.sessions import SignedIn, open_session
from marketplace.core.tables import app_user, session, sign_in_attempt

LOCALES = ("en", "zh", "pt")
_LOGIN_LENGTH_MAX = 200
_NAME_LENGTH_MAX = 200
_ATTEMPT_WINDOW = timedelta(minutes=15)
FAILURES_PER_LOGIN_MAX = 10
FAILURES_PER_ADDRESS_MAX = 100


class UserRole(StrEnum):
    """What a caller may do. The first three belong to one merchant, `payer` to one payer, the others to the house.

    `sales_rep` sees the leads it holds, `sales_manager` those of its territories.
    `storefront` is no person but the shop that buyers see: its API key acts for the buyers it names.
    """

    MERCHANT_OWNER = "merchant_owner"
    MERCHANT_MANAGER = "merchant_manager"
    MERCHANT_CASHIER = "merchant_cashier"
    GROWTH = "growth"
    INCENTIVES = "incentives"
    APPROVER = "approver"
    ACCOUNTANT = "accountant"
    CONTROLLER = "controller"
    PAYER = "payer"
    STOREFRONT = "storefront"
    SALES_REP = "sales_rep"
    SALES_MANAGER = "sales_manager"
    ADMIN = "admin"


MERCHANT_ROLES = frozenset({UserRole.MERCHANT_OWNER, UserRole.MERCHANT_MANAGER, UserRole.MERCHANT_CASHIER})
FINANCE_ROLES = frozenset({UserRole.ACCOUNTANT, UserRole.CONTROLLER})
OPS_ROLES = frozenset({UserRole.GROWTH, UserRole.INCENTIVES, UserRole.APPROVER})
SALES_ROLES = frozenset({UserRole.SALES_REP, UserRole.SALES_MANAGER})
STAFF_ROLES = FINANCE_ROLES | OPS_ROLES | {UserRole.ADMIN}


class TooManyAttempts(AppError):
    """Too many failed sign-ins; `retry_after_s` says when the next one is looked at."""

    code = "too-many-attempts"
    status = 429
    title = "Too many failed attempts"


class WrongCredentials(AppError):
    """Says neither whether the login exists nor whether it has a password."""

    code = "wrong-credentials"
    status = 401
    title = "Login or password is wrong"


class User(msgspec.Struct, frozen=True):
    """A user as others may see one: without the password."""

    user_id: int
    login: str
    name: str
    roles: list[str]
    merchant_id: int | None
    locale: str
    active: bool
    payer_id: int | None = None


_USER_COLUMNS = [app_user.c[name] for name in User.__struct_fields__]


async def create_user(
    tx: Tx,
    login: str,
    name: str,
    roles: list[str],
    *,
    merchant_id: int | None = None,
    payer_id: int | None = None,
    locale: str = "en",
    password: str | None = None,
) -> User:
    """Create a user and return it. Raises Invalid for a bad field and Conflict for a login that is taken.

    Merchant roles need `merchant_id`, the payer's role `payer_id`; all other roles refuse them. Without a password the
    user can act on the command line and by API key, not sign in.
    """
    login = login.strip()
    if not 0 < len(login) <= _LOGIN_LENGTH_MAX or not login.isprintable():
        raise Invalid(f"login: must have 1 to {_LOGIN_LENGTH_MAX} printable characters", pointer="/login")
    if not 0 < len(name.strip()) <= _NAME_LENGTH_MAX:
        raise Invalid(f"name: must have 1 to {_NAME_LENGTH_MAX} characters", pointer="/name")
    _check_locale(locale)
    check_roles(roles, merchant_id, payer_id)
    user = User(
        time_ordered_id(tx.now), login, name.strip(), sorted(set(roles)), merchant_id, locale, active=True,
        payer_id=payer_id,
    )  # fmt: skip
    row = msgspec.structs.asdict(user) | {"created_at": tx.now}
    row["password_hash"] = None if password is None else await hash_password(password)
    try:
        await tx.execute(insert(app_user), row)
    except IntegrityError as fault:
        raise Conflict(f"login: {login!r} is taken", pointer="/login") from fault
    await audit.record(tx, "user created", f"user:{login}", roles=user.roles, merchant_id=merchant_id)
    return user


def check_roles(roles: list[str], merchant_id: int | None, payer_id: int | None = None) -> None:
    """Raise Invalid unless the roles exist, go together, and fit the merchant or payer given or not given."""
    unknown = sorted(set(roles) - set(UserRole))
    if unknown or not roles:
        raise Invalid(f"roles: {', '.join(unknown) or 'none given'}; there are {', '.join(UserRole)}", pointer="/roles")
    if len({_party(role) for role in roles}) > 1:
        raise Invalid("roles: a person is of a merchant, of a payer or of the house, not of two", pointer="/roles")
    if (merchant_id is not None) != (set(roles) <= MERCHANT_ROLES):
        reason = "a merchant's role needs it" if merchant_id is None else "only merchants' roles have one"
        raise Invalid(f"merchant_id: {reason}", pointer="/merchant_id")
    if (payer_id is not None) != (set(roles) == {UserRole.PAYER}):
        reason = "a payer's role needs it" if payer_id is None else "only the payer's role has one"
        raise Invalid(f"payer_id: {reason}", pointer="/payer_id")


def _party(role: str) -> str:
    if role in MERCHANT_ROLES:
        return "merchant"
    return "payer" if role == UserRole.PAYER else "house"


async def get_user(tx: Tx, login: str) -> User:
    """The user of that login. Raises NotFound."""
    row = await tx.row(select(*_USER_COLUMNS).where(app_user.c.login == login))
    if row is None:
        raise NotFound(f"login: there is no user {login!r}")
    return User(*row)


async def list_users(tx: Tx) -> list[User]:
    """Every user, by login."""
    return [User(*row) for row in await tx.rows(select(*_USER_COLUMNS).order_by(app_user.c.login))]


async def set_password(tx: Tx, login: str, password: str) -> None:
    """Give a user a (new) password and end the sessions opened with the old one. Raises NotFound, Invalid.

    API keys stay: programs do not know the password, and a routine change must not stop them. A key that leaked is
    revoked by its id, a user who left is shut out by `set_active`, which ends both.
    """
    user = await get_user(tx, login)
    hashed = await hash_password(password)
    await tx.execute(update(app_user).where(app_user.c.user_id == user.user_id).values(password_hash=hashed))
    await tx.execute(delete(session).where(session.c.user_id == user.user_id))
    await audit.record(tx, "password set", f"user:{login}")


async def set_locale(tx: Tx, login: str, locale: str) -> None:
    """Choose the language a user's pages are in. Raises Invalid for one there is no catalogue of."""
    _check_locale(locale)
    await tx.execute(update(app_user).where(app_user.c.login == login).values(locale=locale))


def _check_locale(locale: str) -> None:
    if locale not in LOCALES:
        raise Invalid(f"locale: must be one of {', '.join(LOCALES)}", pointer="/locale")


async def set_active(tx: Tx, login: str, *, active: bool) -> None:
    """Let a user in again, or shut one out: its sessions end at once, its API keys answer 401."""
    user = await get_user(tx, login)
    await tx.execute(update(app_user).where(app_user.c.user_id == user.user_id).values(active=active))
    if not active:
        await tx.execute(delete(session).where(session.c.user_id == user.user_id))
    await audit.record(tx, "user activated" if active else "user deactivated", f"user:{login}")


async def sign_in(db: Database, login: str, password: str, *, address: str, user_agent: str) -> SignedIn:
    """Open a session. Raises WrongCredentials, or TooManyAttempts when login or address failed too often.

    The attempt is counted and committed before the password is looked at, so that parallel guesses in any number of
    processes share one limit; a success takes its count back.
    """
    login = login.strip()[:_LOGIN_LENGTH_MAX]
    subjects = {f"login:{login}": FAILURES_PER_LOGIN_MAX, f"address:{address}": FAILURES_PER_ADDRESS_MAX}
    await db.write(WORKER, login, _count_attempt, subjects)
    async with db.read(WORKER) as tx:
        row = await tx.row(
            select(app_user.c.user_id, app_user.c.password_hash).where(app_user.c.login == login, app_user.c.active)
        )
    if not await password_matches(row.password_hash if row else None, password):
        raise WrongCredentials("login or password is wrong")
    assert row is not None
    return await db.write(WORKER, login, _admit, row.user_id, row.password_hash, list(subjects), address, user_agent)


_COUNT_ATTEMPT = """
    INSERT INTO core.sign_in_attempt AS held (subject, window_starts_at, failures) VALUES (:subject, :now, 1)
    ON CONFLICT (subject) DO UPDATE SET
        failures = CASE WHEN held.window_starts_at <= :expired THEN 1 ELSE held.failures + 1 END,
        window_starts_at = CASE WHEN held.window_starts_at <= :expired THEN :now ELSE held.window_starts_at END
    RETURNING failures, window_starts_at
"""


async def _count_attempt(tx: Tx, subjects: dict[str, int]) -> None:
    for subject in sorted(subjects):  # one order of rows, so that two attempts never deadlock
        row = await tx.row(_COUNT_ATTEMPT, subject=subject, now=tx.now, expired=tx.now - _ATTEMPT_WINDOW)
        assert row is not None
        if row.failures > subjects[subject]:
            wait_s = int((row.window_starts_at + _ATTEMPT_WINDOW - tx.now).total_seconds()) + 1
            raise TooManyAttempts(f"try again in {wait_s} seconds", retry_after_s=wait_s)


async def _admit(
    tx: Tx, user_id: int, password_hash: str, subjects: list[str], address: str, user_agent: str
) -> SignedIn:
    still = await tx.scalar(
        select(app_user.c.user_id)
        .where(app_user.c.user_id == user_id, app_user.c.active, app_user.c.password_hash == password_hash)
        .with_for_update()
    )
    if still is None:
        raise Forbidden("the user was changed while signing in")
    for subject in sorted(subjects):
        own = sign_in_attempt.c.subject == subject
        if subject.startswith("login:"):
            await tx.execute(delete(sign_in_attempt).where(own))
        else:
            await tx.execute(update(sign_in_attempt).where(own).values(failures=sign_in_attempt.c.failures - 1))
    await audit.record(tx, "signed in", f"user:{tx.actor}", address=address)
    return await open_session(tx, user_id, address=address, user_agent=user_agent)
