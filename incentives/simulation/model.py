"""What a replay reads and what it finds. Pure; amounts are minor units of the promotion's currency."""

from collections import Counter
from datetime import date, datetime

import msgspec

from incentives.rules.events import Event, Line
from incentives.rules.target import Standing


class Record(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What arrived at an instant; a history is its records in the order in which they arrived.

    event: what happened, as it was ordered; None when only its standing or what is left of it changed. left: what
    refunds have left of its lines; None: as before. A refund arrives when it was made, not with its order.
    """

    at: datetime
    event_id: str
    standing: Standing
    event: Event | None = None
    left: tuple[Line, ...] | None = None


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """What a beneficiary has been given in one window when the history ends.

    window: see `incentives.rules.evaluate.Effect`. granted_minor: grants less clawbacks; held_minor: what a budget
    holds for it, granted or still on the way. promised: the measure.
    """

    promotion_id: int
    role: str
    party_id: int
    window: str
    arm: str
    granted_minor: int
    held_minor: int
    promised: int
    settled: int


class Day(msgspec.Struct, frozen=True, kw_only=True):
    """A local day. burned_minor: what was set aside of budgets less what came back; clawed_minor: taken back."""

    day: date
    burned_minor: int
    granted_minor: int
    clawed_minor: int


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """Some beneficiaries: how many there are, what they measured and what they were given."""

    name: str
    parties: int
    measured: int
    granted_minor: int


class Gains(msgspec.Struct, frozen=True, kw_only=True):
    """Who gains. parties: beneficiaries that anything was measured of; gaining: those that were given something.

    top_share_ppm: what the top 1 % of those gaining got of all, at least one of them. deciles: by what was measured,
    the largest last. A beneficiary stands in each of its segments.
    """

    parties: int
    gaining: int
    top_share_ppm: int
    deciles: tuple[Share, ...]
    regions: tuple[Share, ...]
    segments: tuple[Share, ...]


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """What one promotion came to. cost_minor: held at the end, granted and on the way together: the cost that the
    history has without any response.

    grants: windows in which something was granted. refused_minor: what budgets had not enough for, as often as it was
    asked. exhausted_on: the first local day on which a budget had not enough. barred: events that promotions beside it
    kept from it; shared: events to which another one applied, too. held_out: events of units that are held out.
    breaches: of what must hold always; there are none unless the engine is wrong. digest: of all grants, whatever their
    order.
    """

    promotion_id: int
    version: int
    events: int
    grants: int
    granted_minor: int
    cost_minor: int
    clawed_minor: int
    refused_minor: int
    exhausted_on: date | None
    barred: int
    shared: int
    held_out: int
    days: tuple[Day, ...]
    gains: Gains
    breaches: tuple[str, ...]
    digest: str


class Standings(msgspec.Struct, kw_only=True):
    """Where windows stood in the end: how many with which measure, by arm and the number of its side.

    burned: by merchant, what the promotion set aside for its events on which day. volume: by merchant, the amount of
    all its events in the first and in the second half of the history, whether they qualified or not.
    """

    measures: dict[tuple[str, int], Counter[int]]
    burned: dict[int, dict[date, int]]
    volume: dict[int, list[int]]


class Answer(msgspec.Struct, frozen=True):
    """What one promotion came to, and where its windows stood."""

    replayed: Replayed
    standings: Standings
