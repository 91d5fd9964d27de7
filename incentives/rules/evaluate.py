"""What an event brings under every promotion that it touches, and why: one way for live, dry run and replay. Pure.

An event alone decides a reward of its own (a discount at checkout, a rebate per order); to a longer window it adds what
it measures, and `incentives.rules.target` says from the window's totals what has been earned.
"""

from collections.abc import Iterable
from datetime import datetime
from operator import attrgetter
from typing import Literal

import msgspec

from incentives.rules.allocation import share_out
from incentives.rules.arms import arm_of, is_held_out
from incentives.rules.awards import Form
from incentives.rules.events import NOTHING_USED, Event, Facts, Line, Room, measured, once
from incentives.rules.index import Index, Plan, PlanSide
from incentives.rules.model import Stacking
from incentives.rules.parts import OptIn, Role
from incentives.rules.qualifying import why_not
from incentives.rules.reward import next_step
from incentives.rules.stacking import decide
from incentives.rules.target import Progress, fitted
from incentives.rules.windows import Span
from marketplace.core.money import allocate, text_from_minor
from marketplace.core.rates import PPM

Outcome = Literal["applied", "counts", "queued", "refused", "held_out"]
PartName = Literal[
    "trigger", "qualify", "measure", "beneficiary", "budgets", "limits", "stacking", "schedule", "experiment"
]


class Effect(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What one beneficiary gets by the event.

    window: with promotion, role and party the key of its progress: the event's id, or when the window starts, for a
    buyer behind the legal entity that it buys of. measure: what the event adds to it, of the lines numbered.
    amount_minor: what the event itself earns, None when its window is longer; line_minor: over the lines,
    funder_minor: over the funders of the terms, both frozen with the award.
    """

    role: Role
    party_id: int
    window: str
    starts: datetime
    ends: datetime | None
    form: Form
    measure: int
    lines: tuple[int, ...]
    amount_minor: int | None = None
    line_minor: tuple[int, ...] = ()
    funder_minor: tuple[int, ...] = ()


class Verdict(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """applied: the event earns its own reward. counts: it adds to a window. queued: it waits for a budget's top-up.
    refused: because of that part of the terms, for that reason. held_out: by lot, though everything else holds.

    arm: of the experiment. worth_minor: what stacking compared: the event's reward, as if it stood alone.
    """

    promotion_id: int
    version: int
    outcome: Outcome
    part: PartName | None = None
    reason: str = ""
    arm: str = ""
    measure: int = 0
    worth_minor: int = 0
    effects: tuple[Effect, ...] = ()


class _Refusal(Exception):
    """Why a promotion does not come into question; caught where it is asked."""

    def __init__(self, part: PartName, reason: str, outcome: Outcome = "refused") -> None:
        super().__init__(reason)
        self.part, self.reason, self.outcome = part, reason, outcome


_Sides = list[tuple[PlanSide, Span]]


class _Candidate:
    """A promotion that the event qualifies for, before those beside it are known."""

    def __init__(self, plan: Plan, lines: tuple[Line, ...], arm: str, measure: int, sides: _Sides) -> None:
        self.plan, self.lines, self.arm, self.measure, self.sides = plan, lines, arm, measure, sides
        self.promotion_id = plan.promotion_id
        self.stacking: Stacking = plan.terms.stacking
        self.awards: list[int] = []
        self.worth = 0
        self.queued = False
        self.short: tuple[PartName, str] | None = None
        self.effects: tuple[Effect, ...] = ()


def evaluate(index: Index, event: Event, facts: Facts, at: datetime, include: Iterable[Plan] = ()) -> list[Verdict]:
    """The verdicts on an event that qualified at that instant, by promotion id.

    Of live promotions only those that the index finds are judged; `include` are judged too whatever they are (drafts,
    paused ones), in place of a live version of the same promotion. The lines of the event are those that were ordered:
    what is refunded later changes the contribution under the same lines, never the verdict.
    """
    desk = _Desk(event, facts, at)
    plans = index.matching(event)
    for plan in include:
        plans[plan.promotion_id] = plan
    verdicts, candidates = [], []
    for plan in plans.values():
        try:
            candidates.append(desk.candidate(plan))
        except _Refusal as refusal:
            verdicts.append(
                Verdict(
                    promotion_id=plan.promotion_id,
                    version=plan.version,
                    outcome=refusal.outcome,
                    part=refusal.part,
                    reason=refusal.reason,
                )
            )
    for candidate, reason in decide(candidates, index.lanes, desk.worth, desk.take):
        why: tuple[PartName, str] = ("stacking", reason)
        if not candidate.worth and candidate.short is not None:
            why = candidate.short
        verdicts.append(_judged(candidate, "refused", *why))
    for candidate in candidates:
        if candidate.effects:
            outcome: Outcome = "queued" if candidate.queued else "applied" if candidate.plan.per_event else "counts"
            verdicts.append(_judged(candidate, outcome))
    verdicts.sort(key=_BY_ID)
    return verdicts


class _Desk:
    """Judges promotions on one event, and keeps what is left to give while they are."""

    def __init__(self, event: Event, facts: Facts, at: datetime) -> None:
        self.event, self.facts, self.at = event, facts, at

    @once
    def left_minor(self) -> int:
        """What the order bears of awards of its own so far."""
        if not self.event.on.startswith("order."):
            return _NO_CLAMP
        return self.event.amount_minor * min(self.facts.clamp_ppm, PPM) // PPM

    @once
    def line_left(self) -> dict[int, int]:
        """What discounts have left of the lines so far."""
        return {line.line_no: line.amount_minor for line in self.event.lines}

    def candidate(self, plan: Plan) -> _Candidate:
        """The promotion as a candidate. Raises _Refusal, of the first part that does not hold."""
        terms, event = plan.terms, self.event
        if plan.on != event.on or terms.currency != event.currency:
            raise _Refusal("trigger", f"it waits for {plan.on} in {terms.currency}")
        closed = plan.timeline.why_closed(self.at)
        if closed is not None:
            raise _Refusal("schedule", closed)
        if event.self_trade:
            raise _Refusal("measure", "the merchant and the buyer are the same")
        if plan.event_test is not None and terms.qualify.event is not None and not plan.event_test(event):
            raise _Refusal("qualify", why_not(terms.qualify.event, event, event.currency))
        lines = event.lines
        if plan.lines_test is not None and terms.qualify.lines is not None:
            lines = tuple(line for line in lines if plan.lines_test(line))
            if not lines:
                why = why_not(terms.qualify.lines, event.lines[0], event.currency) if event.lines else "there is none"
                raise _Refusal("qualify", f"no line counts: {why}")
        measure = measured(terms.measure.of, lines)
        if measure <= 0:
            raise _Refusal("measure", "there is nothing to measure")
        spans = self._spans(plan)
        arm = self._arm(plan, spans)
        sides = [(side, spans[side.side.role]) for side in plan.sides[arm] if side.side.role in spans]
        return _Candidate(plan, lines, arm, measure, sides)

    def _spans(self, plan: Plan) -> dict[Role, Span]:
        """The window of each beneficiary that takes part. Raises _Refusal when none does."""
        spans: dict[Role, Span] = {}
        why = ""
        joined_at = self._joined_at(plan) if plan.joins else None
        for role in plan.roles:
            party = self.event.party(role)
            if party is None:
                why = f"the event has no {role}"
                continue
            span = plan.timeline.window_at(self.at, joined_at)
            if span is not None:
                spans[role] = span
        if not spans:
            raise _Refusal("beneficiary", why)
        return spans

    def _joined_at(self, plan: Plan) -> datetime | None:
        """When whoever's days the window counts has joined. Raises _Refusal where somebody must have and has not."""
        joined: dict[Role, datetime | None] = {}
        for role in plan.joins:
            party = self.event.party(role)
            who = plan.promotion_id, role, 0 if party is None else party.party_id
            joined[role] = self.facts.joined_at.get(who)
        counts_from = joined.get("buyer", joined.get("merchant"))
        span = plan.timeline.window_at(self.at, counts_from)
        for role, mode in plan.joins.items():
            at = joined[role]
            if not _has_joined(mode, at, self.at, span):
                why = "has not joined" if at is None else f"joined at {at:%F %R}"
                raise _Refusal("beneficiary", f"the {role} {why}")
        return counts_from

    def _arm(self, plan: Plan, spans: dict[Role, Span]) -> str:
        """The arm of the event's unit, "" without an experiment. Raises _Refusal when it is held out."""
        experiment = plan.terms.experiment
        if "merchant" in spans and self._is_out_of_all(spans["merchant"]):
            raise _Refusal("experiment", "the merchant is held out of all promotions", "held_out")
        if experiment is None:
            return ""
        unit = self._unit(experiment.unit)
        if unit is None:
            raise _Refusal("experiment", f"the {experiment.unit} is not known")
        arm = arm_of(experiment, unit)
        if arm is None:
            raise _Refusal("experiment", f"the {experiment.unit} is held out", "held_out")
        return arm.name

    def _is_out_of_all(self, span: Span) -> bool:
        """What a merchant was promised by name, such as for bringing another, it gets."""
        if not self.event.on.startswith("order."):
            return False
        return is_held_out(self.facts.holdout, self.event.merchant.party_id, span.starts)

    def _unit(self, of: str) -> str | None:
        """What an experiment draws lots for, as a text."""
        if of == "region":
            return self.event.merchant.region
        party = self.event.merchant if of == "merchant" else self.event.buyer
        return None if party is None else str(party.party_id)

    def worth(self, candidate: _Candidate) -> int:
        """What a candidate would earn by this event alone, after its limits and budgets, before those beside it."""
        plan, measure = candidate.plan, candidate.measure
        base = measure
        if plan.terms.stacking.base == "after_earlier_lanes" and plan.terms.measure.of == "amount":
            base = sum(self.line_left[line.line_no] for line in candidate.lines)
        room = self.facts.room.get(plan.promotion_id)
        for side, _ in candidate.sides:
            earned = side.earned(measure, base)
            if earned == 0 and plan.per_event:
                candidate.short = _missing(plan, side, measure, base)
            award = min(earned, self._most(candidate, side))
            if award == 0 < earned and plan.per_event:
                candidate.short = ("limits", f"the {side.side.role} has got all that it can")
            if room is not None and plan.per_event:
                award = self._fitted(candidate, award, room)
                room = Room(minor=max(0, room.minor - award), on_shortfall=room.on_shortfall)
            candidate.awards.append(award)
        candidate.worth = sum(candidate.awards)
        return candidate.worth

    def _most(self, candidate: _Candidate, side: PlanSide) -> int:
        if not side.is_limited:
            return side.goal.cap_minor
        limits = side.side.limits
        party = self.event.party(side.side.role)
        assert party is not None
        used = self.facts.used.get((candidate.promotion_id, side.side.role, party.party_id), NOTHING_USED)
        most = side.goal.most(used, _NO_PROGRESS)
        if limits.per_event_minor is not None:
            most = min(most, limits.per_event_minor)
        if limits.order_share_ppm is not None:
            most = min(most, self.event.amount_minor * limits.order_share_ppm // PPM)
        return most

    def _fitted(self, candidate: _Candidate, award: int, room: Room) -> int:
        """What a budget gives of an award."""
        if award > room.minor:
            left = text_from_minor(room.minor, self.event.currency)
            candidate.short = ("budgets", f"the budget has {left} left")
            candidate.queued = room.on_shortfall == "queue"
        return fitted(award, room)

    def take(self, candidate: _Candidate) -> bool:
        """Give a candidate what it is worth, as far as the order bears it; False when that is nothing."""
        effects = []
        for (side, span), award in zip(candidate.sides, candidate.awards, strict=True):
            if not candidate.plan.per_event:
                effects.append(self._effect(candidate, side, span))
                continue
            weights = [self.line_left[line.line_no] for line in candidate.lines]
            given = min(award, self.left_minor, sum(weights) if side.is_discount else award)
            if given == 0:
                continue
            if not side.is_discount:
                weights = [line.amount_minor for line in candidate.lines]
            shares = allocate(given, weights if any(weights) else [line.quantity for line in candidate.lines])
            self.left_minor -= given
            if side.is_discount:
                for line, share in zip(candidate.lines, shares, strict=True):
                    self.line_left[line.line_no] -= share
            effects.append(self._effect(candidate, side, span, given, tuple(shares)))
        candidate.effects = tuple(effects)
        return bool(effects)

    def _effect(
        self, candidate: _Candidate, side: PlanSide, span: Span, award: int | None = None, shares: tuple[int, ...] = ()
    ) -> Effect:
        plan, party = candidate.plan, self.event.party(side.side.role)
        assert party is not None
        funders = () if award is None else share_out([0] * len(plan.weights), award, plan.weights)
        return Effect(
            role=side.side.role,
            party_id=party.party_id,
            window=self._window(plan, side.side.role, span),
            starts=span.starts,
            ends=span.ends,
            form=side.side.reward.form,
            measure=candidate.measure,
            lines=tuple([line.line_no for line in candidate.lines]),
            amount_minor=award,
            line_minor=shares,
            funder_minor=tuple(funders),
        )

    def _window(self, plan: Plan, role: Role, span: Span) -> str:
        if plan.per_event:
            return self.event.event_id
        return span.name if role == "merchant" else f"{self.event.entity_id}:{span.name}"


_BY_ID = attrgetter("promotion_id")
_NO_CLAMP = 2**62
_NO_PROGRESS = Progress()


def _has_joined(mode: OptIn, joined_at: datetime | None, at: datetime, span: Span | None) -> bool:
    if joined_at is None or span is None:
        return False
    if mode == "from_window_start":
        return span.ends is None or joined_at < span.ends
    return joined_at <= at


def _missing(plan: Plan, side: PlanSide, measure: int, base: int) -> tuple[PartName, str]:
    """Why a measure earns nothing, in words."""
    if base < measure and side.earned(measure, measure):
        return "stacking", "earlier lanes left too little of the order"
    step = next_step(side.side.reward.amount, measure)
    if step is None:
        return "measure", "it is too little to earn anything"
    shown = text_from_minor if plan.terms.measure.of == "amount" else _counted
    currency = plan.terms.currency
    return "measure", f"{shown(measure, currency)} is below {shown(step.threshold, currency)}"


def _counted(number: int, _currency: str) -> str:
    return str(number)


def _judged(candidate: _Candidate, outcome: Outcome, part: PartName | None = None, reason: str = "") -> Verdict:
    return Verdict(
        promotion_id=candidate.promotion_id,
        version=candidate.plan.version,
        outcome=outcome,
        part=part,
        reason=reason,
        arm=candidate.arm,
        measure=candidate.measure,
        worth_minor=candidate.worth,
        effects=candidate.effects,
    )
