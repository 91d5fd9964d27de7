"""What a campaign is for: its plan, what is missing of it, and when its own rules stop it. Pure; minor units."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import Annotated, Literal

import msgspec

from incentives.lifecycle import State
from incentives.rules.check import Problem
from incentives.rules.model import Schedule
from incentives.rules.parts import FUNDERS_MAX, Part, Positive, Text
from incentives.rules.windows import Span
from marketplace.core.clock import local_date
from marketplace.core.rates import PPM

Prose = Annotated[str, msgspec.Meta(max_length=2_000, pattern=r"^[^\x00]*$")]
STOPS_MAX = 10


class Target(Part, frozen=True, kw_only=True):
    """What is to be reached, and by which local day, which a draft may leave out.

    value: minor units for gmv, otherwise a count or ppm.
    """

    metric: Literal["gmv", "orders", "active_merchants", "new_listings", "buyers", "retention_ppm"]
    value: Positive
    by: date | None = None


class FunderPart(Part, frozen=True, kw_only=True):
    """How much of the budget a funder bears: `platform`, `merchant`, or the name of a payer contract."""

    funder: Text
    amount_minor: Positive


class _Stop(Part, frozen=True, tag_field="when"):
    """See `Stop`."""


class SpentShare(_Stop, frozen=True, kw_only=True, tag="spent_share"):
    """When so much of the budget is spent or promised."""

    share_ppm: Annotated[int, msgspec.Meta(ge=1, le=PPM)]


class OnDay(_Stop, frozen=True, kw_only=True, tag="day"):
    """When this local day begins."""

    on: date


Stop = SpentShare | OnDay


class Plan(Part, frozen=True, kw_only=True):
    """What a campaign wants and may cost. A draft may leave out anything; approved is only what has it all.

    reviewer: the login of who checks the result. gains, loses: who is better and who is worse off by it.
    """

    target: Target | None = None
    budget_minor: Positive | None = None
    funders: Annotated[tuple[FunderPart, ...], msgspec.Meta(max_length=FUNDERS_MAX)] = ()
    stops: Annotated[tuple[Stop, ...], msgspec.Meta(max_length=STOPS_MAX)] = ()
    reviewer: Annotated[str, msgspec.Meta(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")] = ""
    gains: Prose = ""
    loses: Prose = ""


class Campaign(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign as it stands. authors: whoever has written on it; stopped: the numbers of the stop rules that did."""

    campaign_id: int
    name: str
    currency: str
    schedule: Schedule
    plan: Plan
    state: State
    starts_at: datetime
    ends_at: datetime | None
    authors: tuple[str, ...]
    stopped: tuple[int, ...]
    approved_by: str | None
    approved_at: datetime | None
    made_at: datetime
    version: int


def missing(plan: Plan, span: Span, known_logins: Sequence[str]) -> list[Problem]:
    """Everything that a campaign lacks for being approved; nothing when it can be."""
    found = [*_missing_money(plan)]
    if plan.target is None:
        found.append(("/plan/target", "name what is to be reached: metric, value, by when"))
    elif plan.target.by is None:
        found.append(("/plan/target/by", "name by when the target is to be reached"))
    if not plan.stops:
        found.append(("/plan/stops", "name a rule that stops it"))
    if not plan.reviewer.strip():
        found.append(("/plan/reviewer", "name who checks the result"))
    elif plan.reviewer not in known_logins:
        found.append(("/plan/reviewer", f"there is nobody {plan.reviewer!r} who could"))
    for name, gist in (("gains", "say who gains by it"), ("loses", "say who loses by it")):
        if not getattr(plan, name).strip():
            found.append((f"/plan/{name}", gist))
    if span.ends is None:
        found.append(("/schedule/ends", "a campaign has an end"))
    return found


def _missing_money(plan: Plan) -> Iterator[Problem]:
    if plan.budget_minor is None:
        yield "/plan/budget_minor", "name what it may cost"
    elif sum(part.amount_minor for part in plan.funders) != plan.budget_minor:
        yield "/plan/funders", f"say who bears the budget: their parts come to {plan.budget_minor} together"
    if len({part.funder for part in plan.funders}) < len(plan.funders):
        yield "/plan/funders", "a funder is named twice"


def stop_due(campaign: Campaign, used_minor: int, now: datetime) -> tuple[int, str] | None:
    """The first stop rule that holds and has not stopped the campaign yet, and why. used: spent and promised."""
    today = local_date(now, campaign.schedule.zone)
    for number, stop in enumerate(campaign.plan.stops):
        if number in campaign.stopped:
            continue
        match stop:
            case SpentShare(share_ppm=share):
                if used_minor * PPM >= (campaign.plan.budget_minor or 0) * share:
                    return number, f"stops[{number}]: {share} ppm of the budget are spent or promised"
            case OnDay(on=on):
                if on <= today:
                    return number, f"stops[{number}]: it is {on}"
    return None
