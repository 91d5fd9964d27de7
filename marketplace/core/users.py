"""Who may sign in: users, their roles and passwords, and the sign-in itself with its limits on failed attempts."""

import re
from enum import StrEnum

import msgspec
from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from marketplace.core import audit, policies
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import AppError, Conflict, Forbidden, Invalid, NotFound
from marketplace.core.ids import time_ordered_id
from marketplace.core.passwords import hash_password, password_matches
from marketplace.core.people.attempts import clear_attempts, count_attempt, take_back_attempt
from marketplace.core.people.second_factor import Halfway, has_second_factor, open_halfway
from marketplace.core.people.tables import half_sign_in
from marketplace.core.sessions import SignedIn, open_session
from marketplace.core.tables import app_user, session

LOCALES = ("en", "zh", "pt")
_LOGIN_LENGTH_MAX = 200
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,190}")
_NAME_LENGTH_MAX = 200
FAILURES_PER_LOGIN_MAX = 10
FAILURES_PER_ADDRESS_MAX = 100


class UserRole(StrEnum):
    """What a caller may do. The first three belong to one merchant, `payer` to one payer, `distributor` to one
    distributor, the others to the house.

    `sales_rep` sees the leads it holds, `sales_manager` those of its territories, `distributor` those that it brought.
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
    DISTRIBUTOR = "distributor"
    ADMIN = "admin"


MERCHANT_ROLES = frozenset({UserRole.MERCHANT_OWNER, UserRole.MERCHANT_MANAGER, UserRole.MERCHANT_CASHIER})
FINANCE_ROLES = frozenset({UserRole.ACCOUNTANT, UserRole.CONTROLLER})
OPS_ROLES = frozenset({UserRole.GROWTH, UserRole.INCENTIVES, UserRole.APPROVER})
SALES_ROLES = frozenset({UserRole.SALES_REP, UserRole.SALES_MANAGER})
STAFF_ROLES = FINANCE_ROLES | OPS_ROLES | {UserRole.ADMIN}


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
    email: str | None = None

    @property
    def is_staff(self) -> bool:
        return self.merchant_id is None and bool(STAFF_ROLES & set(self.roles))


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
    email: str | None = None,
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
        payer_id=payer_id, email=None if email is None else clean_email(email),
    )  # fmt: skip
    row = msgspec.structs.asdict(user) | {"created_at": tx.now}
    row["password_hash"] = None if password is None else await hash_password(password)
    try:
        await tx.execute(insert(app_user), row)
    except IntegrityError as fault:
        raise Conflict(f"login: {login!r} is taken", pointer="/login") from fault
    await audit.record(tx, "user created", f"user:{login}", roles=user.roles, merchant_id=merchant_id)
    return user


def clean_email(email: str) -> str:
    """The address as it is kept: without spaces around it, in small letters. Raises Invalid when it is none."""
    email = email.strip().lower()
    if not _EMAIL.fullmatch(email) or not email.isprintable():
        raise Invalid("email: is not an e-mail address", pointer="/email")
    return email


def check_roles(roles: list[str], merchant_id: int | None, payer_id: int | None = None) -> None:
    """Raise Invalid unless the roles exist, go together, and fit the merchant or payer given or not given."""
    unknown = sorted(set(roles) - set(UserRole))
    if unknown or not roles:
        raise Invalid(f"roles: {', '.join(unknown) or 'none given'}; there are {', '.join(UserRole)}", pointer="/roles")
    if len({_party(role) for role in roles}) > 1:
        raise Invalid("roles: a person is of a merchant, a payer, a distributor or the house", pointer="/roles")
    if (merchant_id is not None) != (set(roles) <= MERCHANT_ROLES):
        reason = "a merchant's role needs it" if merchant_id is None else "only merchants' roles have one"
        raise Invalid(f"merchant_id: {reason}", pointer="/merchant_id")
    if (payer_id is not None) != (set(roles) == {UserRole.PAYER}):
        reason = "a payer's role needs it" if payer_id is None else "only the payer's role has one"
        raise Invalid(f"payer_id: {reason}", pointer="/payer_id")


def _party(role: str) -> str:
    if role in MERCHANT_ROLES:
        return "merchant"
    return str(role) if role in {UserRole.PAYER, UserRole.DISTRIBUTOR} else "house"


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
    await end_sessions(tx, user.user_id)
    await audit.record(tx, "password set", f"user:{login}")


async def end_sessions(tx: Tx, user_id: int) -> None:
    """Sign the user out everywhere, also where it is only halfway in."""
    await tx.execute(delete(session).where(session.c.user_id == user_id))
    await tx.execute(delete(half_sign_in).where(half_sign_in.c.user_id == user_id))


async def set_email(tx: Tx, login: str, email: str | None) -> None:
    """Where mails to the user go; nowhere without an address. Raises NotFound, Invalid."""
    user = await get_user(tx, login)
    kept = None if not email else clean_email(email)
    await tx.execute(update(app_user).where(app_user.c.user_id == user.user_id).values(email=kept))
    await audit.record(tx, "e-mail address set", f"user:{login}")


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
        await end_sessions(tx, user.user_id)
    await audit.record(tx, "user activated" if active else "user deactivated", f"user:{login}")


async def sign_in(db: Database, login: str, password: str, *, address: str, user_agent: str) -> SignedIn | Halfway:
    """Open a session, or go halfway where a second factor is wanted: by the user, or of staff by policy.

    Raises WrongCredentials, or TooManyAttempts when login or address failed too often. The attempt is counted and
    committed before the password is looked at, so that parallel guesses in any number of processes share one limit; a
    success takes its count back.
    """
    login = login.strip()[:_LOGIN_LENGTH_MAX]
    subjects = {f"login:{login}": FAILURES_PER_LOGIN_MAX, f"address:{address}": FAILURES_PER_ADDRESS_MAX}
    await db.write(WORKER, login, count_attempt, subjects)
    async with db.read(WORKER) as tx:
        row = await tx.row(
            select(app_user.c.user_id, app_user.c.password_hash).where(app_user.c.login == login, app_user.c.active)
        )
    if not await password_matches(row.password_hash if row else None, password):
        raise WrongCredentials("login or password is wrong")
    assert row is not None
    return await db.write(WORKER, login, _admit, row.password_hash, address, user_agent)


async def _admit(tx: Tx, password_hash: str, address: str, user_agent: str) -> SignedIn | Halfway:
    held = await tx.row(
        select(*_USER_COLUMNS)
        .where(app_user.c.login == tx.actor, app_user.c.active, app_user.c.password_hash == password_hash)
        .with_for_update()
    )
    if held is None:
        raise Forbidden("the user was changed while signing in")
    await take_back_attempt(tx, f"address:{address}")
    await clear_attempts(tx, f"login:{tx.actor}")
    return await let_in(tx, User(*held), address=address, user_agent=user_agent)


async def let_in(tx: Tx, user: User, *, address: str, user_agent: str) -> SignedIn | Halfway:
    """A session of the user who has proved who it is, or half of one where a second factor is wanted, too."""
    if await has_second_factor(tx, user.user_id):
        return await open_halfway(tx, user.user_id, enrol=False)
    if user.is_staff and await policies.is_on(tx, "staff_second_factor"):
        return await open_halfway(tx, user.user_id, enrol=True)
    await audit.record(tx, "signed in", f"user:{user.login}", address=address)
    return await open_session(tx, user.user_id, address=address, user_agent=user_agent)


async def change_password(
    db: Database, login: str, password: str, new_password: str, *, address: str, user_agent: str
) -> SignedIn:
    """A new password for who knows the old one: all sessions end, and a new one opens.

    Raises WrongCredentials, TooManyAttempts, Invalid. Tries are counted with those of the sign-in.
    """
    await db.write(WORKER, login, count_attempt, {f"login:{login}": FAILURES_PER_LOGIN_MAX})
    async with db.read(WORKER) as tx:
        row = await tx.row(select(app_user.c.user_id, app_user.c.password_hash).where(app_user.c.login == login))
    if row is None or not await password_matches(row.password_hash, password):
        raise WrongCredentials("password: is not the one you have", pointer="/password")

    async def change(tx: Tx) -> SignedIn:
        await set_password(tx, login, new_password)
        await clear_attempts(tx, f"login:{login}")
        return await open_session(tx, row.user_id, address=address, user_agent=user_agent)

    return await db.write(WORKER, login, change)
