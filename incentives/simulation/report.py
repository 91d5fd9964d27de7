"""What a simulation says to whoever approves a promotion, what speaks against it, and what it was made from. Pure."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from hashlib import sha256
from statistics import StatisticsError, correlation
from typing import Literal

import msgspec

from incentives.rules.events import Holdout
from incentives.rules.index import Plan
from incentives.rules.model import ByPlatform, Schedule, Terms
from incentives.rules.parts import SLOTS
from incentives.rules.windows import schedule_span, zone_named
from incentives.simulation.intervals import Intervals, intervals
from incentives.simulation.model import Answer, Replayed
from incentives.simulation.purse import Purse
from incentives.simulation.scenarios import Response, Scenario, scenario, scenarios
from incentives.uplift.estimates import moments
from incentives.uplift.power import smallest_effect
from marketplace.core.rates import PPM

DEADWEIGHT_MAX_PPM = 700_000
EXPECTED = Response(reach_ppm=100_000, volume_ppm=100_000)

WarningName = Literal["deadweight", "exhaustion", "power", "margin", "unsimulated", "invariant"]
"""margin: it costs the platform more than it earns; unsimulated: no history can say what it costs."""


class Warned(msgspec.Struct, frozen=True, kw_only=True):
    """What keeps a promotion from being approved, unless somebody names it and says why it does not matter."""

    name: WarningName
    detail: str


class Pins(msgspec.Struct, frozen=True, kw_only=True):
    """What a simulation was made from: the same pins give the same output. Digests are SHA-256 in hexadecimal.

    history: of the records; evaluator: of the source of the engine; tzdata: the release of the zone data.
    """

    history: str
    terms: str
    evaluator: str
    tzdata: str
    seed: int


class Power(msgspec.Struct, frozen=True, kw_only=True):
    """Merchants of the history in both arms, and the smallest change of their sales that would be found, in ppm; None:
    none would, because nobody is held out, or lots are drawn for others than merchants.

    Two-sided at 5 %, found in 80 of 100 cases, with CUPED; correlation_ppm: of the history's two halves.
    """

    treated: int
    control: int
    days: int
    correlation_ppm: int
    smallest_ppm: int | None


class Simulation(msgspec.Struct, frozen=True, kw_only=True):
    """starts, ends: of the history that was replayed. limited: with the budgets of the terms; unlimited: without, which
    is what there is demand for. deadweight_ppm: the cost without any response, of the cost with the expected one.
    commission_minor: what the platform earned on all orders of the time.
    """

    pins: Pins
    starts: datetime
    ends: datetime
    limited: Replayed
    unlimited: Replayed
    expected: Scenario
    deadweight_ppm: int
    scenarios: tuple[Scenario, ...]
    intervals: Intervals
    power: Power
    commission_minor: int = 0
    warnings: tuple[Warned, ...]


def over(terms: Terms, starts: date, ends: date) -> Terms:
    """The terms as if they ran from one recorded local day through another. Raises ValueError for an end before."""
    if ends < starts:
        raise ValueError(f"{ends} is before {starts}")
    schedule: Schedule = msgspec.structs.replace(terms.schedule, starts=starts.isoformat(), ends=ends.isoformat())
    return msgspec.structs.replace(terms, schedule=schedule)


def digest_of(value: object) -> str:
    """SHA-256 of a value as JSON, its members in order."""
    return sha256(msgspec.json.encode(value, order="deterministic")).hexdigest()


def simulation(
    plan: Plan,
    limited: Answer,
    unlimited: Answer,
    *,
    pins: Pins,
    expected: Response,
    holdout: Holdout | None,
    commission_minor: int = 0,
) -> Simulation:
    """All that two replays of one promotion say: with its budgets and without. Its schedule must have an end."""
    span = schedule_span(plan.terms.schedule)
    assert span.ends is not None
    measures = unlimited.standings.measures
    answered = scenario(plan, measures, expected)
    still = scenario(plan, measures, Response())
    limit = Purse(plan.promotion_id, plan.terms).total_minor()
    made = Simulation(
        pins=pins,
        starts=span.starts,
        ends=span.ends,
        limited=limited.replayed,
        unlimited=unlimited.replayed,
        expected=answered,
        deadweight_ppm=still.cost_minor * PPM // answered.cost_minor if answered.cost_minor else 0,
        scenarios=scenarios(plan, measures),
        intervals=intervals(unlimited.standings.burned, limit, seed=pins.seed),
        power=_power(plan, unlimited.standings.volume, holdout, span.ends - span.starts),
        commission_minor=commission_minor,
        warnings=(),
    )
    return msgspec.structs.replace(made, warnings=tuple(_warnings(plan, made)))


def _power(plan: Plan, volume: Mapping[int, list[int]], holdout: Holdout | None, length: timedelta) -> Power:
    experiment = plan.terms.experiment
    out = 0 if holdout is None or not plan.on.startswith("order.") else holdout.slots
    if experiment is not None:
        out += experiment.holdout_slots * (SLOTS - out) // SLOTS
    merchants = len(volume)
    control = merchants * out // SLOTS
    treated = merchants - control
    related, smallest = 0.0, None
    by_merchant = experiment is None or experiment.unit == "merchant"
    if by_merchant and control >= 2 and treated >= 2:
        sold = moments([float(first + second) for first, second in volume.values()])
        related = _correlation([(float(first), float(second)) for first, second in volume.values()])
        if sold.mean > 0:
            found = smallest_effect(treated, control, sold.variance, correlation=related)
            smallest = round(found / sold.mean * PPM)
    return Power(
        treated=treated,
        control=control,
        days=round(length / timedelta(days=1)),
        correlation_ppm=round(related * PPM),
        smallest_ppm=smallest,
    )


def _correlation(halves: list[tuple[float, float]]) -> float:
    try:
        return correlation([first for first, _ in halves], [second for _, second in halves])
    except StatisticsError:  # one half is the same for all
        return 0.0


def _warnings(plan: Plan, made: Simulation) -> Iterable[Warned]:
    if made.deadweight_ppm > DEADWEIGHT_MAX_PPM:
        share = f"{made.deadweight_ppm / 10_000:.1f} %"
        yield Warned(name="deadweight", detail=f"{share} of its cost would be paid for what happens without it")
    middle = (made.starts + (made.ends - made.starts) / 2).astimezone(zone_named(plan.terms.schedule.zone)).date()
    exhausted = [day for day in (made.limited.exhausted_on, made.intervals.exhausted_on.p50) if day is not None]
    if exhausted and min(exhausted) < middle:
        yield Warned(name="exhaustion", detail=f"its budget is exhausted on {min(exhausted)}, before half of its time")
    wanted = made.expected.response.volume_ppm
    if made.power.smallest_ppm is None:
        yield Warned(name="power", detail="no effect can be measured: there are no merchants to compare with")
    elif made.power.smallest_ppm > wanted:
        smallest = f"{made.power.smallest_ppm / 10_000:.1f} %"
        yield Warned(
            name="power", detail=f"no effect below {smallest} can be seen; {wanted / 10_000:.1f} % is expected"
        )
    borne = made.limited.cost_minor * _platform_ppm(plan.terms) // PPM
    if 0 < made.commission_minor < borne:
        yield Warned(name="margin", detail="the platform would bear more than it earned on all orders of the time")
    for breach in (*made.limited.breaches, *made.unlimited.breaches):
        yield Warned(name="invariant", detail=breach)


def _platform_ppm(terms: Terms) -> int:
    """What of each grant the platform bears."""
    of = [funder.weight for funder in terms.funding if isinstance(funder, ByPlatform)]
    return sum(of) * PPM // sum(funder.weight for funder in terms.funding)


def blocking(warnings: Iterable[Warned], overrides: Mapping[str, str]) -> list[Warned]:
    """The warnings that nobody has overridden: overrides are reasons by the warning's name, and not empty.

    What must always hold is never overridden.
    """
    return [each for each in warnings if each.name == "invariant" or not overrides.get(each.name, "").strip()]
