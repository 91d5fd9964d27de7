"""Password hashes (argon2id), computed away from the event loop by at most two threads: each takes 64 MiB."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from marketplace.core.errors import Invalid

LENGTH_MIN = 10
LENGTH_MAX = 200

_hasher = PasswordHasher()
_threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="argon2")


@cache
def _absent() -> str:
    """What the password of a user without one is compared with: it is refused as slowly as a wrong one.

    Made when it is needed first, for making it is slow, too, and most processes never check a password.
    """
    return _hasher.hash("a user without a password")


async def hash_password(password: str) -> str:
    """The hash to store. Raises Invalid when the password is too short or absurdly long."""
    if not LENGTH_MIN <= len(password) <= LENGTH_MAX:
        raise Invalid(f"password: must have {LENGTH_MIN} to {LENGTH_MAX} characters", pointer="/password")
    return await asyncio.get_running_loop().run_in_executor(_threads, _hasher.hash, password)


async def password_matches(stored: str | None, password: str) -> bool:
    """Whether `password` is the one behind the hash; as slow for a user that has none as for a wrong one."""
    return await asyncio.get_running_loop().run_in_executor(_threads, _matches, stored, password)


def _matches(stored: str | None, password: str) -> bool:
    try:
        return _hasher.verify(stored or _absent(), password) and stored is not None
    except (VerificationError, InvalidHashError):
        return False
