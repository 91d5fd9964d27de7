"""Second factors: a code counts once, wrong ones are counted over all processes, recovery codes are used up."""

import asyncio
from datetime import timedelta

import pyotp
import pytest

from marketplace.core import policies, users
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import Conflict
from marketplace.core.people import second_factor
from marketplace.core.people.attempts import TooManyAttempts
from marketplace.core.people.second_factor import HALFWAY_MAX, Halfway, SignInOver, WrongCode, finish_sign_in
from marketplace.core.people.tables import recovery_code
from marketplace.core.sessions import SignedIn, find_session
from tests.conftest import NOW

PASSWORD = "a long enough password"
FROM = {"address": "192.0.2.1", "user_agent": "test"}


@pytest.fixture
async def anna(db: Database) -> users.User:
    return await db.write(WORKER, "test", users.create_user, "anna", "Anna", ["accountant"], password=PASSWORD)


async def secret_of(db: Database, user_id: int) -> str:
    async with db.read(WORKER) as tx:
        return str(await tx.scalar("SELECT secret FROM core.second_factor WHERE user_id = :user", user=user_id))


async def guarded(db: Database, user: users.User) -> tuple[pyotp.TOTP, list[str]]:
    """The user's device, and its recovery codes; the code of this half minute is used."""
    await db.write(WORKER, user.login, second_factor.begin_enrolment, user.user_id)
    totp = pyotp.TOTP(await secret_of(db, user.user_id))
    code = totp.at(db.clock.now())
    return totp, await db.write(WORKER, user.login, second_factor.confirm_enrolment, user.user_id, code)


def later(db: Database, by: timedelta) -> None:
    assert isinstance(db.clock, FixedClock)
    db.clock.move_to(db.clock.now() + by)


async def halfway(db: Database, login: str = "anna") -> Halfway:
    opened = await users.sign_in(db, login, PASSWORD, **FROM)
    assert isinstance(opened, Halfway)
    return opened


async def test_without_a_second_factor_the_password_is_enough(db: Database, anna: users.User) -> None:
    opened = await users.sign_in(db, "anna", PASSWORD, **FROM)
    assert isinstance(opened, SignedIn)
    holder = await find_session(db, opened.token)
    assert holder is not None
    assert holder.login == anna.login


async def test_the_code_of_the_device_opens_the_session(db: Database, anna: users.User) -> None:
    totp, _ = await guarded(db, anna)
    later(db, timedelta(seconds=60))
    half = await halfway(db)
    assert await find_session(db, half.token) is None
    entered = await finish_sign_in(db, half.token, totp.at(db.clock.now()), **FROM)
    assert await find_session(db, entered.session.token) is not None
    assert entered.recovery_codes == []


@pytest.mark.parametrize(("off_by_s", "taken"), [(-30, True), (30, True), (-60, False), (90, False)])
async def test_a_devices_clock_may_be_half_a_minute_off(
    db: Database, anna: users.User, off_by_s: int, *, taken: bool
) -> None:
    totp, _ = await guarded(db, anna)
    later(db, timedelta(minutes=5))
    half = await halfway(db)
    code = totp.at(db.clock.now() + timedelta(seconds=off_by_s))
    if taken:
        await finish_sign_in(db, half.token, code, **FROM)
    else:
        with pytest.raises(WrongCode):
            await finish_sign_in(db, half.token, code, **FROM)


async def test_a_code_counts_once_also_for_two_at_the_same_time(db: Database, anna: users.User) -> None:
    totp, _ = await guarded(db, anna)
    with pytest.raises(WrongCode):  # the code that confirmed the factor
        await finish_sign_in(db, (await halfway(db)).token, totp.at(db.clock.now()), **FROM)
    later(db, timedelta(seconds=60))
    halves, code = [await halfway(db) for _ in range(4)], totp.at(db.clock.now())
    results = await asyncio.gather(
        *(finish_sign_in(db, half.token, code, **FROM) for half in halves), return_exceptions=True
    )
    assert sorted(type(result).__name__ for result in results) == ["Entered", "WrongCode", "WrongCode", "WrongCode"]


async def test_half_a_sign_in_is_finished_once_and_in_time(db: Database, anna: users.User) -> None:
    _, codes = await guarded(db, anna)
    half = await halfway(db)
    results = await asyncio.gather(
        *(finish_sign_in(db, half.token, code, **FROM) for code in codes[:3]), return_exceptions=True
    )
    assert sorted(type(result).__name__ for result in results) == ["Entered", "SignInOver", "SignInOver"]
    async with db.read(WORKER) as tx:  # what was refused took no code with it
        left = await tx.scalar("SELECT count(*) FROM core.recovery_code WHERE used_at IS NULL")
    assert left == second_factor.RECOVERY_CODES - 1
    half = await halfway(db)
    later(db, HALFWAY_MAX)
    with pytest.raises(SignInOver):
        await finish_sign_in(db, half.token, codes[5], **FROM)


async def test_a_recovery_code_lets_in_once_and_is_stored_as_a_hash(db: Database, anna: users.User) -> None:
    _, codes = await guarded(db, anna)
    assert len(set(codes)) == second_factor.RECOVERY_CODES
    await finish_sign_in(db, (await halfway(db)).token, codes[0].upper().replace("-", " "), **FROM)
    with pytest.raises(WrongCode):
        await finish_sign_in(db, (await halfway(db)).token, codes[0], **FROM)
    async with db.read(WORKER) as tx:
        kept = await tx.rows(recovery_code.select())
    assert all(codes[1].encode() not in row.code_hash and len(row.code_hash) == 32 for row in kept)


async def test_wrong_codes_are_counted_over_all_processes(db: Database, anna: users.User) -> None:
    totp, codes = await guarded(db, anna)
    half = await halfway(db)
    guesses = [finish_sign_in(db, half.token, f"{guess:06}", **FROM) for guess in range(second_factor.TRIES_MAX)]
    right = {totp.at(db.clock.now() + timedelta(seconds=30 * step)) for step in (-1, 0, 1)}
    assert not right & {f"{guess:06}" for guess in range(second_factor.TRIES_MAX)}
    assert {type(x) for x in await asyncio.gather(*guesses, return_exceptions=True)} == {WrongCode}
    with pytest.raises(TooManyAttempts):  # now even the right one
        await finish_sign_in(db, half.token, codes[0], **FROM)
    later(db, timedelta(minutes=16))
    await finish_sign_in(db, (await halfway(db)).token, codes[0], **FROM)


async def test_staff_set_one_up_where_the_house_requires_it(db: Database, anna: users.User) -> None:
    await db.write(WORKER, "test", _require)
    await db.write(
        WORKER, "test", users.create_user, "mia", "Mia", ["merchant_owner"], merchant_id=1, password=PASSWORD
    )
    assert isinstance(await users.sign_in(db, "mia", PASSWORD, **FROM), SignedIn)
    half = await halfway(db)
    assert half.enrol
    totp = pyotp.TOTP(await secret_of(db, anna.user_id))
    entered = await finish_sign_in(db, half.token, totp.at(NOW), **FROM)
    assert len(entered.recovery_codes) == second_factor.RECOVERY_CODES
    later(db, timedelta(minutes=1))
    assert not (await halfway(db)).enrol


async def _require(tx: Tx) -> None:
    await policies.switch(tx, "staff_second_factor", on=True)


async def test_a_confirmed_factor_is_not_replaced_unasked(db: Database, anna: users.User) -> None:
    await guarded(db, anna)
    with pytest.raises(Conflict):
        await db.write(WORKER, "anna", second_factor.begin_enrolment, anna.user_id)


async def test_a_new_password_ends_what_is_halfway(db: Database, anna: users.User) -> None:
    _, codes = await guarded(db, anna)
    half = await halfway(db)
    await db.write(WORKER, "test", users.set_password, "anna", "another long password")
    with pytest.raises(SignInOver):
        await finish_sign_in(db, half.token, codes[0], **FROM)
