"""How a budget burns: what was granted on each day, and when it will be used up if it goes on like that. Pure."""

from collections.abc import Mapping
from datetime import date, timedelta

import msgspec

RECENT_DAYS = 7
SHOWN_DAYS = 28


class Burn(msgspec.Struct, frozen=True, kw_only=True):
    """days: granted less taken back on each of the last days, the newest last. limit_minor: None without a budget.

    exhausted_on: the day on which what is left is used up at the pace of the last RECENT_DAYS; None: never, or not
    before `ends_on`.
    """

    spent_minor: int
    limit_minor: int | None
    pace_minor: int
    exhausted_on: date | None
    days: tuple[tuple[date, int], ...]

    @property
    def spent_ppm(self) -> int | None:
        return self.spent_minor * 1_000_000 // self.limit_minor if self.limit_minor else None


def burn(
    granted: Mapping[date, int], spent_minor: int, limit_minor: int | None, today: date, ends_on: date | None
) -> Burn:
    """granted: by local day. spent_minor: of the budget, what is spent and reserved."""
    counted = min(RECENT_DAYS, (today - min(granted)).days + 1) if granted else 1
    recent = sum(granted.get(today - timedelta(days=back), 0) for back in range(counted))
    pace = max(0, recent) // counted
    exhausted_on = None
    if limit_minor is not None:
        left = limit_minor - spent_minor
        if left <= 0:
            exhausted_on = today
        elif pace:
            exhausted_on = today + timedelta(days=min(-(-left // pace), 36_500))
            if ends_on is not None and exhausted_on > ends_on:
                exhausted_on = None
    shown = [today - timedelta(days=back) for back in reversed(range(SHOWN_DAYS))]
    return Burn(
        spent_minor=spent_minor,
        limit_minor=limit_minor,
        pace_minor=pace,
        exhausted_on=exhausted_on,
        days=tuple((on, granted.get(on, 0)) for on in shown),
    )
