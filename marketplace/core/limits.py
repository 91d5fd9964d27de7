"""Requests per minute that hold over any number of processes: a fixed window per caller, kept in the database.

A process leases part of a window's allowance with one statement and hands it out from memory, so most requests cost
none. What is leased is taken, used or not: the sum over all processes never exceeds the limit, and a process that
dies, or has few requests, can only make it tighter. The table is unlogged: after a crash of the server the windows
begin anew.
"""

import asyncio
from datetime import UTC, datetime, timedelta

import msgspec

from marketplace.core.db import Database
from marketplace.core.errors import AppError

WINDOW = timedelta(minutes=1)
_LEASES_PER_LIMIT = 100
_CALLERS_MAX = 100_000
"""Of so many callers a process remembers leases within one window; forgotten ones are lost to their callers."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# The nearer the end, the smaller the lease, so that little is stranded in a process that does not need it. A process
# whose clock is behind takes from the newer window, if that is the next one. A window further ahead is of a clock that
# is wrong: it is given up, else its caller would be refused by everybody until that time. While such a process runs,
# its windows and the others' supersede each other, and a caller of both gets more than the limit.
_LEASE = """
    INSERT INTO core.request_window AS held (caller, window_starts_at, taken, granted) VALUES ($1, $2, $3, $3)
    ON CONFLICT (caller) DO UPDATE SET
        window_starts_at = CASE WHEN {other} THEN excluded.window_starts_at ELSE held.window_starts_at END,
        granted = CASE WHEN {other} THEN excluded.granted
            ELSE greatest(1, least(excluded.granted, ($4 - held.taken) / 4)) END,
        taken = CASE WHEN {other} THEN excluded.taken
            ELSE held.taken + greatest(1, least(excluded.granted, ($4 - held.taken) / 4)) END
    WHERE {other} OR held.taken < $4
    RETURNING taken, granted
""".format(
    other="held.window_starts_at NOT BETWEEN excluded.window_starts_at"
    f" AND excluded.window_starts_at + interval '{WINDOW.total_seconds():.0f} seconds'"
)


class TooManyRequests(AppError):
    """The caller has used up its requests of this minute; `retry_after_s` says when the next one begins."""

    code = "too-many-requests"
    status = 429
    title = "Too many requests"


class Allowance(msgspec.Struct, frozen=True):
    """What a caller has left of a window, as far as this process knows: others may have used some of it."""

    limit: int
    remaining: int
    resets_in_s: int


class _Lease:
    """What a process may still hand out of a caller's window, and how much all processes have leased of it."""

    __slots__ = ("left", "lock", "taken", "used_up")

    def __init__(self) -> None:
        self.left = self.taken = 0
        self.used_up = False
        self.lock = asyncio.Lock()


class Limits:
    """The leases of one process."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._window = _EPOCH
        self._leases: dict[str, _Lease] = {}

    async def take(self, caller: str, limit: int) -> Allowance:
        """Count one request of the caller. Raises TooManyRequests when the limit is reached; 0 is no limit."""
        if not limit:
            return Allowance(0, 0, 0)
        now = self._db.clock.now()
        window = now - (now - _EPOCH) % WINDOW
        if window != self._window or len(self._leases) >= _CALLERS_MAX:
            self._window, self._leases = window, {}
        lease = self._leases.get(caller)
        if lease is None:
            lease = self._leases[caller] = _Lease()
        resets_in_s = int((window + WINDOW - now).total_seconds()) + 1
        if not lease.left and not lease.used_up:
            async with lease.lock:  # one of those that wait asks for all
                if not lease.left and not lease.used_up:
                    await self._extend(lease, caller, window, limit)
        if not lease.left:
            raise TooManyRequests(
                f"no more than {limit} in {int(WINDOW.total_seconds())} seconds; try again in {resets_in_s}",
                retry_after_s=resets_in_s,
            )
        lease.left -= 1
        return Allowance(limit, limit - lease.taken + lease.left, resets_in_s)

    async def _extend(self, lease: _Lease, caller: str, window: datetime, limit: int) -> None:
        row = await self._db.lookup(_LEASE, caller, window, max(1, limit // _LEASES_PER_LIMIT), limit)
        if row is None:
            lease.used_up = True
        else:
            lease.left, lease.taken = row["granted"], row["taken"]
