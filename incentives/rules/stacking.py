"""Which promotions may stand beside each other on one event: lanes in order, each with its mode; no search. Pure.

Within a lane candidates come by priority, worth and age (the smaller id); in a lane of mode `best` by worth before
priority. What a candidate is worth is known before its lane is decided and depends on earlier lanes only, so the answer
does not depend on the order in which candidates are named.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Literal, Protocol, TypeVar

import msgspec

from incentives.rules.model import Stacking


class Lane(msgspec.Struct, frozen=True):
    """all: everyone that the tags allow. best: the one that is worth most. first: the one that comes first."""

    name: str
    mode: Literal["all", "best", "first"]


_NOTHING_LEFT = "nothing is left to give on this order"

LANES = (Lane("early", "all"), Lane("best_of", "best"), Lane("standard", "all"), Lane("late", "all"))
"""Of a platform that has not chosen its own."""


class Candidate(Protocol):
    @property
    def promotion_id(self) -> int: ...
    @property
    def stacking(self) -> Stacking: ...


C = TypeVar("C", bound=Candidate)


def may_meet(one: Stacking, other: Stacking) -> bool:
    """Each allows a tag of the other; one without tags is allowed by all."""
    return _allows(one, other) and _allows(other, one)


def _allows(one: Stacking, other: Stacking) -> bool:
    return not other.tags or not set(one.allows).isdisjoint(other.tags)


def decide(
    candidates: Sequence[C],
    lanes: Sequence[Lane],
    worth: Callable[[C], int],
    take: Callable[[C], bool],
) -> list[tuple[C, str]]:
    """Take what may be taken; returns the others with the reason.

    worth: what a candidate would get now; asked once of each, when its lane begins. take: gives it, and says whether
    anything was left to give.
    """
    refused: list[tuple[C, str]] = []
    if len(candidates) == 1 and any(lane.name == candidates[0].stacking.lane for lane in lanes):
        only = candidates[0]  # what most events have, without the ceremony
        worth(only)
        return refused if take(only) else [(only, _NOTHING_LEFT)]
    taken: dict[tuple[Sequence[str], Sequence[str]], C] = {}  # one of each kind is enough to ask
    by_lane: dict[str, list[C]] = {}
    for candidate in candidates:
        by_lane.setdefault(candidate.stacking.lane, []).append(candidate)
    for lane in lanes:
        if lane.name not in by_lane:
            continue
        winner: C | None = None
        for candidate in _ranked(by_lane.pop(lane.name), lane, worth):
            stacking = candidate.stacking
            barring = next((other for other in taken.values() if not may_meet(stacking, other.stacking)), None)
            if barring is not None:
                refused.append((candidate, f"promotion {barring.promotion_id} and this one do not allow each other"))
            elif winner is not None and lane.mode != "all":
                which = "worth more" if lane.mode == "best" else "before this one"
                refused.append((candidate, f"promotion {winner.promotion_id} is {which} in lane {lane.name}"))
            elif take(candidate):
                taken.setdefault((stacking.tags, stacking.allows), candidate)
                winner = winner or candidate
            else:
                refused.append((candidate, _NOTHING_LEFT))
    for unknown in by_lane.values():
        refused.extend((candidate, f"there is no lane {candidate.stacking.lane}") for candidate in unknown)
    return refused


def _ranked(candidates: Iterable[C], lane: Lane, worth: Callable[[C], int]) -> list[C]:
    def rank(entry: tuple[int, C]) -> tuple[int, int, int]:
        minor, candidate = entry
        priority = candidate.stacking.priority
        first, second = (minor, priority) if lane.mode == "best" else (priority, minor)
        return -first, -second, candidate.promotion_id

    return [candidate for _, candidate in sorted(((worth(each), each) for each in candidates), key=rank)]
