"""Stages of a business model, and when a subject entered each. Pure. Days are local to the subject."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated
from zoneinfo import ZoneInfo

import msgspec

from marketplace.core.errors import Invalid
from supply.leads.model import Model

Key = Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9_]{0,39}$")]


class Stage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """sla_days: whoever stays longer is stuck; None: there is no limit."""

    key: Key
    sla_days: Annotated[int, msgspec.Meta(ge=1, le=3_650)] | None = None


class Funnel(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a model's stages in their order. won: the stage where the contract is; activated: where it lives."""

    model: Model
    version_no: int
    stages: tuple[Stage, ...]
    won: str
    activated: str

    def place(self, stage: str) -> int:
        """The number of a stage, from 0. Raises Invalid for one that this version does not have."""
        for number, each in enumerate(self.stages):
            if each.key == stage:
                return number
        known = ", ".join(each.key for each in self.stages)
        raise Invalid(f"stage: {stage!r} is none of {known}", pointer="/stage")

    def is_fact(self, stage: str) -> bool:
        """Whether a stage lies behind the contract or the first use, and so is more than what somebody thinks."""
        return self.place(stage) >= min(self.place(self.won), self.place(self.activated))

    def is_activated(self, stage: str) -> bool:
        """Whether who is in a stage counts as activated."""
        return self.place(stage) >= self.place(self.activated)


class StageEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A subject was in a stage. evidence: what shows it; voids: the event that this one takes back."""

    event_id: int
    lead_id: int
    stage: str
    at: datetime
    cause: str
    evidence: str
    voids: int | None
    recorded_at: datetime
    actor: str


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A stage that a subject has reached. next_on: when it went on to the next one.

    began_on, won_on, lost_on: of the subject, the same at each of its stages; None for what has not come.
    inferred: the stage was skipped, or is recorded later than one behind it. regressions: how often the subject was
    seen here again when it had been further.
    """

    stage_no: int
    began_on: date
    entered_on: date
    next_on: date | None
    won_on: date | None
    lost_on: date | None
    inferred: bool
    regressions: int


def check_funnel(stages: Sequence[Stage], won: str, activated: str) -> None:
    """Raise Invalid unless there are two stages or more, none twice, and the two that are named are among them."""
    keys = [stage.key for stage in stages]
    if len(keys) < 2 or len(set(keys)) < len(keys):
        raise Invalid("stages: needs at least two, none of them twice", pointer="/stages")
    for field, key in (("won", won), ("activated", activated)):
        if key not in keys:
            raise Invalid(f"{field}: {key!r} is none of {', '.join(keys)}", pointer=f"/{field}")


def entries(funnel: Funnel, events: Sequence[StageEvent], *, zone: str, lost_at: datetime | None) -> list[Entry]:
    """When a subject entered each stage up to the furthest that it has reached, whatever order it was told in.

    A stage is entered when it is first seen, or when a later one is, if that was before: so entries never go back in
    time. Events of stages that this version does not have are passed over.
    """
    numbers = {stage.key: number for number, stage in enumerate(funnel.stages)}
    voided = {event.voids for event in events if event.voids is not None}
    told = [
        (numbers[event.stage], event.at)
        for event in events
        if event.voids is None and event.event_id not in voided and event.stage in numbers
    ]
    if not told:
        return []
    first: dict[int, datetime] = {}
    for number, at in told:
        first[number] = min(at, first.get(number, at))
    furthest = max(first)
    entered: list[datetime] = [first[furthest]] * (furthest + 1)
    for number in range(furthest - 1, -1, -1):
        entered[number] = min(first.get(number, entered[number + 1]), entered[number + 1])
    days = [at.astimezone(ZoneInfo(zone)).date() for at in entered]
    won = numbers[funnel.won]
    lost_on = lost_at.astimezone(ZoneInfo(zone)).date() if lost_at else None
    return [
        Entry(
            stage_no=number,
            began_on=days[0],
            entered_on=days[number],
            next_on=days[number + 1] if number < furthest else None,
            won_on=days[won] if won <= furthest else None,
            lost_on=max(lost_on, days[furthest]) if lost_on else None,
            inferred=first.get(number) != entered[number],
            regressions=sum(1 for place, at in told if place == number < furthest and at > entered[number + 1]),
        )
        for number in range(furthest + 1)
    ]
