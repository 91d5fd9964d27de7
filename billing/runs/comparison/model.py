"""A statement column that moved, as a value. Pure."""

import msgspec


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """A column of a merchant's statement, in the run and in those of the period before, in minor units.

    relative_ppm: the change in millionths of what stood before, None where nothing did. flag: "new" for a merchant
    without any movement before, "vanished" for one without any now, else None; a payout is no such movement. What was
    carried over or paid out is what earlier runs have come to: such rows stand last, without a flag.
    """

    merchant_id: int
    currency: str
    column: str
    before_minor: int
    now_minor: int
    change_minor: int
    relative_ppm: int | None
    flag: str | None


CARRIED = ("opening", "payout")
"""Columns that tell of earlier runs."""

MovedKey = tuple[bool, int, int, int, str, str]
"""(whether it was carried, absolute change, relative change in ppm or MOST, merchant_id, currency, column) of a page's
last row."""

MOST = 2**63 - 1
"""The relative change of what was nothing before: more than any other."""


def key_of(moved: Moved) -> MovedKey:
    """Where a row stands: what the run itself moved first, of that the largest absolute change, then the largest
    relative one, then by merchant."""
    relative = MOST if moved.relative_ppm is None else abs(moved.relative_ppm)
    carried = moved.column in CARRIED
    return carried, abs(moved.change_minor), relative, moved.merchant_id, moved.currency, moved.column
