"""What a beneficiary is entitled to, from where its measure stands now: a target, never a sum of steps. Pure.

The next grant is what it is entitled to less what it was granted; below zero it is a clawback. So the same event twice,
events in another order, late ones, refunds, and a threshold that is crossed, left and crossed again need no rules of
their own: the answer depends on the totals alone.
"""

from collections.abc import Iterable
from typing import Literal, Protocol

import msgspec

from incentives.rules.awards import Limits, Reward
from incentives.rules.events import NOTHING_USED, Line, Room, Used, measured
from incentives.rules.parts import Role
from incentives.rules.reward import Earned, earned_by
from marketplace.core.money import AMOUNT_MAX

Standing = Literal["placed", "settled", "cancelled"]


class Contribution(msgspec.Struct, frozen=True, kw_only=True):
    """What one event adds to a measure now: promised from when it happens, settled from when it is final.

    Stored under the event's id it makes a repeated event harmless: it is replaced, never added.
    """

    promised: int = 0
    settled: int = 0
    buyer_id: int | None = None


def contribution(of: str, lines: Iterable[Line], standing: Standing, buyer_id: int | None = None) -> Contribution:
    """The contribution of an event whose qualifying lines stand like this, net of refunds."""
    value = 0 if standing == "cancelled" else measured(of, tuple(lines))
    return Contribution(promised=value, settled=value if standing == "settled" else 0, buyer_id=buyer_id)


class Stands(Protocol):
    """What a goal must know of a window; see `Progress`."""

    @property
    def promised(self) -> int: ...
    @property
    def settled(self) -> int: ...
    @property
    def reached(self) -> int: ...
    @property
    def granted_minor(self) -> int: ...
    @property
    def award_minor(self) -> int | None: ...


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """Where a beneficiary stands in one window. settled is part of promised; reached: the highest that settled was.

    granted_minor: grants less clawbacks. award_minor: in a window of one event, what was decided for it at the event,
    after limits and stacking: the most it can come to. None in longer windows.
    """

    promised: int = 0
    settled: int = 0
    reached: int = 0
    granted_minor: int = 0
    award_minor: int | None = None


def totals(of: str, contributions: Iterable[Contribution], before: Progress | None = None) -> Progress:
    """The progress of all contributions of a window; what was granted and reached before goes on."""
    everything, before = tuple(contributions), before or Progress()
    if of == "distinct_buyers":
        promised = len({each.buyer_id for each in everything if each.promised > 0})
        settled = len({each.buyer_id for each in everything if each.settled > 0})
    else:
        promised = sum(each.promised for each in everything)
        settled = sum(each.settled for each in everything)
    reached = max(before.reached, settled)
    return msgspec.structs.replace(before, promised=promised, settled=settled, reached=reached)


def moved(progress: Progress, before: Contribution | None, now: Contribution) -> Progress:
    """Progress after one event's contribution has changed. Not for distinct buyers: count those with `totals`."""
    before = before or Contribution()
    settled = progress.settled + now.settled - before.settled
    return msgspec.structs.replace(
        progress,
        promised=progress.promised + now.promised - before.promised,
        settled=settled,
        reached=max(progress.reached, settled),
    )


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """available_minor: earned. pending_minor: on the way, if everything promised settles. grant_minor: the next grant,
    below zero a clawback. A budget must hold available and pending together."""

    available_minor: int
    pending_minor: int
    grant_minor: int


class Goal:
    """A side's reward with its caps and its clawback policy, prepared for being asked often."""

    def __init__(self, reward: Reward, limits: Limits, role: Role) -> None:
        self._earned: Earned = earned_by(reward.amount)
        self.cap_minor = AMOUNT_MAX if reward.cap_minor is None else reward.cap_minor
        self.has_lifetime = limits.grants is not None or limits.lifetime_minor is not None
        self._limits = limits
        self._ignore_below = reward.clawback.ignore_below_minor
        self._policy = reward.clawback.policy or ("strict" if role == "merchant" else "proportional")

    def target(self, progress: Stands, used: Used = NOTHING_USED) -> Target:
        """What the progress entitles to now. used: what the same beneficiary has got in other windows."""
        most = self.most(used, progress)
        available = min(self._available(progress), most)
        promised = min(self._earned(progress.promised, progress.promised), most)
        grant = available - progress.granted_minor
        if -self._ignore_below < grant < 0:
            grant, available = 0, progress.granted_minor
        return Target(available_minor=available, pending_minor=max(0, promised - available), grant_minor=grant)

    def _available(self, progress: Stands) -> int:
        settled, reached, earned = progress.settled, progress.reached, self._earned
        match self._policy:
            case "keep":
                return earned(reached, reached)
            case "keep_tier":
                return earned(reached, settled)
            case "proportional" if 0 < settled < reached:
                return max(earned(settled, settled), earned(reached, reached) * settled // reached)
        return earned(settled, settled)

    def most(self, used: Used, progress: Stands) -> int:
        """The least of the caps: of the window, of the event's award, of what is left of the lifetime's limits."""
        most = self.cap_minor
        if progress.award_minor is not None:
            most = min(most, progress.award_minor)
        if self.has_lifetime:
            limits = self._limits
            if limits.grants is not None and used.grants >= limits.grants:
                return 0
            if limits.lifetime_minor is not None:
                most = min(most, max(0, limits.lifetime_minor - used.minor))
        return most


def fitted(award_minor: int, room: Room) -> int:
    """What a budget gives of an award: all that fits, else nothing, what is left, or all of it once it is topped up."""
    if award_minor <= room.minor:
        return award_minor
    return {"reject": 0, "partial": room.minor, "queue": award_minor}[room.on_shortfall]


def is_final(settled_seconds_ago: int, reward: Reward) -> bool:
    """Whether a refund comes so long after settlement that it changes nothing any more."""
    return settled_seconds_ago >= reward.clawback.horizon_seconds
