"""Identifiers: 64-bit integers made by the application, never by a column default (see decision D2a)."""

import secrets
from datetime import UTC, datetime

_EPOCH = datetime(2010, 1, 1, tzinfo=UTC)
_RANDOM_BITS = 21
_KEPT = 1_000

_next: dict[int, int] = {}
"""The next id of a millisecond, of those that were asked for last: a clock may be set back to one."""


def time_ordered_id(now: datetime) -> int:
    """A new identifier, ordered by the millisecond of `now`: 63 bits until the year 2149.

    The first of a millisecond carries 21 random bits, so that processes differ; those after it in this process count
    on from there, so that no two are equal, however many a standing clock asks for.
    Ids of bulk loads come densely from `core.id_block` instead and stay below 2**40, so the two never meet.
    """
    milliseconds = int((now - _EPOCH).total_seconds() * 1000)
    own = _next.get(milliseconds)
    if own is None:
        own = (milliseconds << _RANDOM_BITS) | secrets.randbits(_RANDOM_BITS)
        if len(_next) == _KEPT:
            del _next[next(iter(_next))]
    _next[milliseconds] = own + 1
    return own
