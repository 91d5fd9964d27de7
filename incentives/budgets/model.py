"""What a budget is, and how much of what is asked for it gives. Pure; amounts are minor units."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from enum import StrEnum
from zlib import crc32

import msgspec

from incentives.rules.allocation import share_out
from marketplace.core.clock import local_date
from marketplace.core.money import allocate

WHOLE = date(1970, 1, 1)
"""The one period of a budget that is not of a day."""
SHARDS_MAX = 32


class Owner(StrEnum):
    CAMPAIGN = "campaign"
    PROMOTION = "promotion"


class Scope(StrEnum):
    """What a budget limits: all that is given, what is given on a local day, in a region, by a funder."""

    TOTAL = "total"
    DAY = "day"
    REGION = "region"
    FUNDER = "funder"


class Shortfall(StrEnum):
    """What becomes of a grant that a budget has not enough for: nothing, what is left, or it waits for more."""

    REJECT = "reject"
    PARTIAL = "partial"
    QUEUE = "queue"


class Control(StrEnum):
    """Whether a limit is one (funds check `absolute`), or is only watched."""

    ABSOLUTE = "absolute"
    ADVISORY = "advisory"


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """A budget as it is agreed. scope_key: the region or the funder. zone: whose days it counts.

    limit_minor: in all, or on each day to come. shards: over how many rows it is spread, of which one takes one grant
    after the other.
    """

    budget_id: int
    owner: Owner
    owner_id: int
    scope: Scope
    scope_key: str = ""
    currency: str
    zone: str = "UTC"
    limit_minor: int
    on_shortfall: Shortfall = Shortfall.REJECT
    control: Control = Control.ABSOLUTE
    shards: int = 1

    def period_on(self, at: datetime) -> date:
        """The period that an instant belongs to: its local day, or the only one."""
        return local_date(at, self.zone) if self.scope is Scope.DAY else WHOLE

    def concerned(self, funders: Sequence[str], funder_minor: Sequence[int]) -> int:
        """What of an amount concerns it, as the funders bear it: all, or the part of the one that it limits."""
        shares = zip(funders, funder_minor, strict=True)
        return sum(minor for name, minor in shares if self.scope is not Scope.FUNDER or name == self.scope_key)


Slot = tuple[int, date]
"""A budget in one period: what has shards."""


class Draw(msgspec.Struct, frozen=True):
    """That a grant draws on a budget. funder: on which funder's share of it, None: on the whole."""

    budget: Budget
    period_from: date
    funder: int | None = None

    @property
    def slot(self) -> Slot:
        return self.budget.budget_id, self.period_from


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """A grant that wants its money set aside. weights, held: how the funders share it, and what each bears already of
    the same running total (`share_out`); none held: nothing."""

    key: str
    amount_minor: int
    draws: tuple[Draw, ...]
    weights: tuple[int, ...] = (1,)
    held: tuple[int, ...] = ()

    def part_of(self, draw: Draw, amount_minor: int) -> int:
        """What a grant of that amount takes of one of its budgets."""
        if draw.funder is None:
            return amount_minor
        return share_out(self.held or (0,) * len(self.weights), amount_minor, self.weights)[draw.funder]

    def largest_within(self, draw: Draw, room_minor: int) -> int:
        """The largest grant whose part fits into what a budget has left.

        By largest remainder a share is at most its exact value rounded up, so rounding down here is enough.
        """
        if draw.funder is None:
            return room_minor
        weight = self.weights[draw.funder]
        if not weight:
            return self.amount_minor
        held = self.held[draw.funder] if self.held else 0
        return (room_minor + held) * sum(self.weights) // weight - sum(self.held)


class Verdict(StrEnum):
    RESERVED = "reserved"
    PARTIAL = "partial"
    REJECTED = "rejected"
    QUEUED = "queued"


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What an ask has got. short_id: the budget that had not enough. again: it was answered so before."""

    key: str
    verdict: Verdict
    granted_minor: int
    short_id: int | None = None
    again: bool = False


def decide(asks: Iterable[Ask], rooms: dict[Slot, int]) -> list[Decision]:
    """Give to one ask after the other what its budgets have left; `rooms` is what is left afterwards.

    A grant takes of all its budgets or of none. Of those that have not enough, one that rejects speaks before one that
    queues, and that before one that gives a part. An advisory budget has always enough: its room may fall below zero.
    """
    decisions = []
    for ask in asks:
        short = [
            draw
            for draw in ask.draws
            if draw.budget.control is Control.ABSOLUTE and ask.part_of(draw, ask.amount_minor) > rooms[draw.slot]
        ]
        decision = _short(ask, short, rooms) if short else given(ask)
        for draw in ask.draws:
            rooms[draw.slot] -= ask.part_of(draw, decision.granted_minor)
        decisions.append(decision)
    return decisions


def given(ask: Ask) -> Decision:
    """All that was asked for."""
    return Decision(key=ask.key, verdict=Verdict.RESERVED, granted_minor=ask.amount_minor)


def _short(ask: Ask, short: list[Draw], rooms: dict[Slot, int]) -> Decision:
    for shortfall, verdict in ((Shortfall.REJECT, Verdict.REJECTED), (Shortfall.QUEUE, Verdict.QUEUED)):
        for draw in short:
            if draw.budget.on_shortfall is shortfall:
                return Decision(key=ask.key, verdict=verdict, granted_minor=0, short_id=draw.budget.budget_id)
    tightest = min(short, key=lambda draw: ask.largest_within(draw, rooms[draw.slot]))
    fits = max(ask.largest_within(tightest, rooms[tightest.slot]), 0)
    verdict = Verdict.PARTIAL if fits else Verdict.REJECTED
    return Decision(key=ask.key, verdict=verdict, granted_minor=fits, short_id=tightest.budget.budget_id)


def shard_of(key: str, shards: int) -> int:
    """From which shard something is taken first: keys spread over all."""
    return crc32(key.encode()) % shards


def spread(room_minor: int, shards: int, largest_minor: int) -> list[int]:
    """How what is left lies over the shards: evenly, or all in the first one when it is little.

    Little is what gives less than two of the largest grants for each shard: then one that is short would say nothing.
    """
    if room_minor < 2 * shards * largest_minor:
        return [room_minor] + [0] * (shards - 1)
    return allocate(room_minor, [1] * shards)
