"""Which clicks and impressions are not valid and cost nothing. Pure; `events_sql` judges whole hours by the same rules.

Two kinds. What a single event shows is judged when it comes in: somebody automatic, or somebody of the merchant's own.
What only a viewer's clicks together show is judged hour by hour, when the hour is rated and again whenever more of it
arrives; so the verdict depends on the clicks of the hour alone, never on the order in which they came. Two quick clicks
at the turn of an hour are therefore two.
"""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

import msgspec

VERSION = 1
"""Raised with every change of what follows; each charge says by which version it was judged."""

REPEAT_S = 30
"""A click of the same viewer on the same campaign so soon after the one before is a repeat."""
CLICKS_PER_HOUR_MAX = 10
"""More clicks of one viewer on one campaign within an hour than this are too many."""


class Verdict(StrEnum):
    """Why an event is not valid; empty when it is."""

    VALID = ""
    BOT = "bot"
    OWN = "own"
    REPEAT = "repeat"
    TOO_MANY = "too_many"
    REPORTED = "reported"


LASTING = (Verdict.BOT, Verdict.OWN, Verdict.REPORTED)
"""Verdicts that no later click changes; such clicks do not count when a viewer's others are judged."""


class ViewerClick(msgspec.Struct, frozen=True, kw_only=True):
    """A click as the rules see it."""

    event_id: str
    viewer: int
    at: datetime


def at_sight(*, bot: bool, own: bool) -> Verdict:
    """What an event shows by itself. own: whoever clicked is one of the merchant's users."""
    if bot:
        return Verdict.BOT
    return Verdict.OWN if own else Verdict.VALID


def judge_hour(clicks: Sequence[ViewerClick]) -> dict[str, Verdict]:
    """A verdict for each click of a campaign's hour, those with a lasting verdict left out, by event id."""
    verdicts: dict[str, Verdict] = {}
    by_viewer: dict[int, list[ViewerClick]] = {}
    for click in sorted(clicks, key=lambda click: (click.at, click.event_id)):
        earlier = by_viewer.setdefault(click.viewer, [])
        if earlier and (click.at - earlier[-1].at).total_seconds() < REPEAT_S:
            verdicts[click.event_id] = Verdict.REPEAT
        elif len(earlier) >= CLICKS_PER_HOUR_MAX:
            verdicts[click.event_id] = Verdict.TOO_MANY
        else:
            verdicts[click.event_id] = Verdict.VALID
        earlier.append(click)
    return verdicts
