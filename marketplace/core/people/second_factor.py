"""The second factor: codes that a person's device computes from a shared secret (TOTP, RFC 6238), and recovery codes.

A code counts once: the time step of the last one is kept, and none of it or before it is taken again. Tries are counted
and committed before a code is looked at, over all processes, as those of passwords are.
"""

import base64
import secrets
from datetime import datetime, timedelta

import msgspec
import pyotp
from pyotp.utils import strings_equal
from sqlalchemy import delete, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from marketplace.core import audit
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import AppError, Conflict, NotFound
from marketplace.core.people.attempts import clear_attempts, count_attempt
from marketplace.core.people.tables import half_sign_in, recovery_code, second_factor
from marketplace.core.sessions import SignedIn, hash_secret, open_session
from marketplace.core.tables import app_user

TRIES_MAX = 10
"""Wrong codes of one user within a quarter of an hour."""

HALFWAY_MAX = timedelta(minutes=10)
RECOVERY_CODES = 10
_STEPS_AROUND = (0, -1, 1)
"""A device's clock may be half a minute off."""

_RECOVERY_BYTES = 10
_CODE_LENGTH_MAX = 60


class WrongCode(AppError):
    code = "wrong-code"
    status = 401
    title = "The code is not right, or was used before"


class SignInOver(AppError):
    """The time between password and code has run out, or the sign-in was finished elsewhere."""

    code = "sign-in-over"
    status = 401
    title = "Begin to sign in again"


class SecondFactorWanted(AppError):
    code = "second-factor-wanted"
    status = 401
    title = "A code of the second factor is wanted, too"


class Halfway(msgspec.Struct, frozen=True):
    """The password was right. token: what the second step is made with. enrol: there is no second factor yet."""

    token: str
    user_id: int
    expires_at: datetime
    enrol: bool


class Enrolment(msgspec.Struct, frozen=True):
    """A second factor that is not confirmed yet. uri: for the device's camera; secret: for its keyboard."""

    secret: str
    uri: str


class Standing(msgspec.Struct, frozen=True):
    """How a user's second factor stands: confirmed since, being set up, or neither; recovery codes that are left."""

    confirmed_at: datetime | None
    enrolment: Enrolment | None
    recovery_codes: int


async def standing(tx: Tx, user_id: int, login: str, issuer: str) -> Standing:
    """issuer: what the person's device calls this program."""
    row = await tx.row(
        select(second_factor.c.secret, second_factor.c.confirmed_at).where(second_factor.c.user_id == user_id)
    )
    left = await tx.scalar(
        "SELECT count(*) FROM core.recovery_code WHERE user_id = :user AND used_at IS NULL", user=user_id
    )
    if row is None or row.confirmed_at is not None:
        return Standing(row.confirmed_at if row else None, None, left)
    uri = pyotp.TOTP(row.secret).provisioning_uri(name=login, issuer_name=issuer)
    return Standing(None, Enrolment(row.secret, uri), left)


async def has_second_factor(tx: Tx, user_id: int) -> bool:
    """Whether the user has a confirmed one."""
    confirmed = select(second_factor.c.user_id).where(
        second_factor.c.user_id == user_id, second_factor.c.confirmed_at.is_not(None)
    )
    return await tx.scalar(confirmed) is not None


async def begin_enrolment(tx: Tx, user_id: int) -> None:
    """A new secret, to be confirmed by a first code. Raises Conflict when there is a confirmed one."""
    row = {"user_id": user_id, "secret": pyotp.random_base32(), "created_at": tx.now}
    begun = await tx.execute(
        upsert(second_factor)
        .values(row)
        .on_conflict_do_update(index_elements=["user_id"], set_=row, where=second_factor.c.confirmed_at.is_(None))
    )
    if begun.rowcount == 0:
        raise Conflict("there is a second factor already; remove it first")


async def confirm_enrolment(tx: Tx, user_id: int, code: str) -> list[str]:
    """The first code of the new secret makes it count; returns the recovery codes, to be shown this once.

    Raises WrongCode, NotFound when nothing was begun, Conflict when it counts already.
    """
    row = await tx.row(select(second_factor).where(second_factor.c.user_id == user_id).with_for_update())
    if row is None:
        raise NotFound("no second factor is being set up")
    if row.confirmed_at is not None:
        raise Conflict("there is a second factor already")
    step = _step(row.secret, code, tx.now, row.last_step)
    if step is None:
        raise WrongCode("code: is not one that the device shows now", pointer="/code")
    own = second_factor.c.user_id == user_id
    await tx.execute(update(second_factor).where(own).values(confirmed_at=tx.now, last_step=step))
    await audit.record(tx, "second factor added", f"user:{await _login(tx, user_id)}")
    return await new_recovery_codes(tx, user_id)


async def new_recovery_codes(tx: Tx, user_id: int) -> list[str]:
    """Fresh recovery codes in place of all that were: of 80 random bits each, and each good for one sign-in."""
    codes = [base64.b32encode(secrets.token_bytes(_RECOVERY_BYTES)).decode().lower() for _ in range(RECOVERY_CODES)]
    await tx.execute(delete(recovery_code).where(recovery_code.c.user_id == user_id))
    await tx.execute(insert(recovery_code), [{"user_id": user_id, "code_hash": hash_secret(code)} for code in codes])
    return ["-".join(code[at : at + 4] for at in range(0, len(code), 4)) for code in codes]


async def remove_second_factor(tx: Tx, user_id: int) -> None:
    """Take the second factor and its recovery codes away."""
    await tx.execute(delete(second_factor).where(second_factor.c.user_id == user_id))
    await tx.execute(delete(recovery_code).where(recovery_code.c.user_id == user_id))
    await audit.record(tx, "second factor removed", f"user:{await _login(tx, user_id)}")


async def count_try(db: Database, user_id: int, actor: str) -> None:
    """Count a try at a code, in a commit of its own. Raises TooManyAttempts."""
    await db.write(WORKER, actor, count_attempt, {f"code:{user_id}": TRIES_MAX})


async def check_code(tx: Tx, user_id: int, code: str) -> None:
    """Use up a code of the device, or a recovery code. Raises WrongCode; the try was counted before."""
    row = await tx.row(
        select(second_factor)
        .where(second_factor.c.user_id == user_id, second_factor.c.confirmed_at.is_not(None))
        .with_for_update()
    )
    step = _step(row.secret, code, tx.now, row.last_step) if row else None
    if step is not None:
        await tx.execute(update(second_factor).where(second_factor.c.user_id == user_id).values(last_step=step))
    elif row is None or not await _use_recovery_code(tx, user_id, code):
        raise WrongCode("code: is not right, or was used before", pointer="/code")
    await clear_attempts(tx, f"code:{user_id}")


def _step(secret: str, code: str, now: datetime, after: int) -> int | None:
    """The time step that `code` belongs to, when it is a newer one than `after`."""
    totp, typed = pyotp.TOTP(secret), code.replace(" ", "")[:_CODE_LENGTH_MAX]
    present = totp.timecode(now)
    steps = [present + around for around in _STEPS_AROUND]
    fitting = [step for step in steps if strings_equal(totp.generate_otp(step), typed)]
    return next((step for step in fitting if step > after), None)


async def _use_recovery_code(tx: Tx, user_id: int, code: str) -> bool:
    plain = code[:_CODE_LENGTH_MAX].replace("-", "").replace(" ", "").lower()
    mine = (recovery_code.c.user_id == user_id) & (recovery_code.c.code_hash == hash_secret(plain))
    used = update(recovery_code).where(mine, recovery_code.c.used_at.is_(None)).values(used_at=tx.now)
    if (await tx.execute(used)).rowcount == 0:
        return False
    await audit.record(tx, "recovery code used", f"user:{await _login(tx, user_id)}")
    return True


async def open_halfway(tx: Tx, user_id: int, *, enrol: bool) -> Halfway:
    """What is left of a sign-in when the password was right: a token for its second step."""
    token, expires_at = secrets.token_urlsafe(32), tx.now + HALFWAY_MAX
    await tx.execute(
        insert(half_sign_in), {"token_hash": hash_secret(token), "user_id": user_id, "expires_at": expires_at}
    )
    if enrol:
        await begin_enrolment(tx, user_id)
    return Halfway(token, user_id, expires_at, enrol)


class HalfwayUser(msgspec.Struct, frozen=True):
    """Who is halfway in."""

    user_id: int
    login: str
    locale: str


async def find_halfway(tx: Tx, token: str) -> HalfwayUser:
    """Whose sign-in the token goes on with. Raises SignInOver."""
    row = await tx.row(
        select(app_user.c.user_id, app_user.c.login, app_user.c.locale)
        .join(half_sign_in, half_sign_in.c.user_id == app_user.c.user_id)
        .where(half_sign_in.c.token_hash == hash_secret(token), half_sign_in.c.expires_at > tx.now, app_user.c.active)
    )
    if row is None:
        raise SignInOver("the sign-in took too long, or was finished elsewhere")
    return HalfwayUser(*row)


class Entered(msgspec.Struct, frozen=True):
    """A sign-in that is through; recovery_codes: shown this once, when the second factor is new."""

    user: HalfwayUser
    session: SignedIn
    recovery_codes: list[str]


async def finish_sign_in(db: Database, token: str, code: str, *, address: str, user_agent: str) -> Entered:
    """Open the session of a sign-in that is halfway, with a code; for who enrols, the first one confirms the factor.

    Raises SignInOver, WrongCode, TooManyAttempts.
    """
    async with db.read(WORKER) as tx:
        user = await find_halfway(tx, token)
    await count_try(db, user.user_id, user.login)
    return await db.write(WORKER, user.login, _finish, token, code, address, user_agent)


async def _finish(tx: Tx, token: str, code: str, address: str, user_agent: str) -> Entered:
    user = await find_halfway(tx, token)
    used = await tx.execute(delete(half_sign_in).where(half_sign_in.c.token_hash == hash_secret(token)))
    if used.rowcount == 0:
        raise SignInOver("the sign-in was finished elsewhere")
    if await has_second_factor(tx, user.user_id):
        await check_code(tx, user.user_id, code)
        codes = []
    else:
        codes = await confirm_enrolment(tx, user.user_id, code)
        await clear_attempts(tx, f"code:{user.user_id}")
    await audit.record(tx, "signed in", f"user:{user.login}", address=address, second_factor=True)
    return Entered(user, await open_session(tx, user.user_id, address=address, user_agent=user_agent), codes)


async def _login(tx: Tx, user_id: int) -> str:
    return str(await tx.scalar(select(app_user.c.login).where(app_user.c.user_id == user_id)))
