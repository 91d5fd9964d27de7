"""Identifiers: 64-bit integers made by the application, never by a column default (see decision D2a)."""

import secrets
from datetime import UTC, datetime

_EPOCH = datetime(2010, 1, 1, tzinfo=UTC)
_RANDOM_BITS = 21


def time_ordered_id(now: datetime) -> int:
    """A new identifier, ordered by the millisecond of `now`, with 21 random bits: 63 bits until the year 2149.

    Ids of bulk loads come densely from `core.id_block` instead and stay below 2**40, so the two never meet.
    """
    milliseconds = int((now - _EPOCH).total_seconds() * 1000)
    return (milliseconds << _RANDOM_BITS) | secrets.randbits(_RANDOM_BITS)
