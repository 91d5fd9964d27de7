"""A promotion and its versions, what may be edited of a live one, and what the public is told of it. Pure."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Literal

import msgspec

from incentives.lifecycle import State
from incentives.rules.awards import Beneficiary, Form, Limits, NextOrderVoucher, Reward, ToBuyer, sides
from incentives.rules.check import Problem
from incentives.rules.index import event_name
from incentives.rules.model import ByMerchant, Measure, PerEvent, Schedule, Terms, Window, merchants_pay
from incentives.rules.predicates import AllOf, AnyOf, Not, Predicate
from incentives.rules.qualifying import required
from incentives.rules.windows import Timeline, schedule_span, zone_named
from marketplace.core.rates import PPM

OnPause = Literal["honour", "void"]
"""What becomes of pending grants while a promotion is paused."""


class VersionState(StrEnum):
    """proposed: waits for another person. in_force: from `effective_from` on, until a later one is."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    REJECTED = "rejected"


class Promotion(msgspec.Struct, frozen=True, kw_only=True):
    """A promotion as it stands. starts_at, ends_at: by its schedule, or as it was changed since."""

    promotion_id: int
    campaign_id: int
    name: str
    currency: str
    state: State
    on_pause: OnPause
    starts_at: datetime
    ends_at: datetime | None
    closes_at: datetime | None
    review_at: datetime | None
    authors: tuple[str, ...]
    approved_by: str | None
    approved_at: datetime | None
    made_at: datetime
    version: int


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """Terms of a promotion, never changed. effective_from: events that happen from then on fall under it.

    The first approved version of a promotion is in force for whatever happened before it, too. simulation_digest: of
    the simulation that it was approved on, which is of this version; acknowledged: why its warnings do not matter.
    """

    promotion_id: int
    version_no: int
    terms: Terms
    effective_from: datetime
    state: VersionState
    author: str
    made_at: datetime
    approved_by: str | None
    approved_at: datetime | None
    simulation_id: int | None = None
    simulation_digest: str | None = None
    acknowledged: dict[str, str] = {}


class Passed(msgspec.Struct, frozen=True, kw_only=True):
    """What a version is approved on, see `Version`; without a simulation where none can be made."""

    simulation_id: int | None
    simulation_digest: str | None
    acknowledged: dict[str, str]


_SAFE = ("schedule", "budgets")
"""Parts of a live promotion that no new version changes: they are edited by changes of their own."""


def changed_parts(before: Terms, after: Terms) -> list[str]:
    """The parts in which two versions differ."""
    return [name for name in Terms.__struct_fields__ if getattr(before, name) != getattr(after, name)]


def unfit_for_live(before: Terms, after: Terms) -> list[Problem]:
    """What stands against a new version of a promotion that has been approved."""
    found = [
        (f"/terms/{name}", "stays in every version: change the end or add to a budget instead")
        for name in _SAFE
        if getattr(before, name) != getattr(after, name)
    ]
    if before.currency != after.currency:
        found.append(("/terms/currency", f"the promotion is in {before.currency}"))
    if not changed_parts(before, after):
        found.append(("/terms", "these are the terms as they are"))
    return found


def as_it_ends(terms: Terms, ends_at: datetime | None) -> Terms:
    """The terms with the end that was agreed last: versions keep the schedule that they were written with."""
    return msgspec.structs.replace(terms, schedule=_ending(terms.schedule, ends_at))


def _ending(schedule: Schedule, ends_at: datetime | None) -> Schedule:
    if ends_at is None or schedule_span(schedule).ends == ends_at:
        return schedule
    local = ends_at.astimezone(zone_named(schedule.zone))
    return msgspec.structs.replace(schedule, ends=f"{local:%Y-%m-%dT%H:%M}")


def last_instants(terms: Terms, ends_at: datetime | None) -> tuple[datetime | None, datetime | None]:
    """When all that was promised until the end has vested, and when no refund changes anything any more."""
    if ends_at is None:
        return None, None
    rewards = [side.reward for side in sides(terms.beneficiary, terms.reward, terms.limits)]
    closes_at = ends_at + max(timedelta(seconds=each.vest_seconds) + _usable(each.form) for each in rewards)
    return closes_at, closes_at + timedelta(seconds=max(reward.clawback.horizon_seconds for reward in rewards))


def _usable(form: Form) -> timedelta:
    """How long what has vested waits to be used."""
    return timedelta(days=form.valid_days if isinstance(form, NextOrderVoucher) else 0)


class PublicTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What a merchant is told: what counts, what it gets for it, and what it bears; neither budgets nor experiments.

    merchant_ppm: the part of every grant that the merchant pays itself.
    """

    trigger: str
    event: Predicate | None
    lines: Predicate | None
    opt_in: str
    measure: Measure = Measure()
    window: Window
    reward: Reward
    beneficiary: Beneficiary
    limits: Limits = Limits()
    schedule: Schedule
    merchant_ppm: int

    @property
    def is_for_buyers(self) -> bool:
        """Whether buyers alone get what it gives."""
        return isinstance(self.beneficiary, ToBuyer)

    @property
    def is_per_event(self) -> bool:
        return isinstance(self.window, PerEvent)


def public_terms(terms: Terms) -> PublicTerms:
    """The terms without what is internal, or about others: whom else they are for is nobody's business."""
    weights = sum(funder.weight for funder in terms.funding)
    own = sum(funder.weight for funder in terms.funding if isinstance(funder, ByMerchant))
    return PublicTerms(
        trigger=event_name(terms.trigger),
        event=_public(terms.qualify.event),
        lines=terms.qualify.lines,
        opt_in=terms.qualify.opt_in,
        measure=terms.measure,
        window=terms.window,
        reward=terms.reward,
        beneficiary=terms.beneficiary,
        limits=terms.limits,
        schedule=terms.schedule,
        merchant_ppm=own * PPM // weights,
    )


def rewards_for_orders(terms: PublicTerms) -> bool:
    """Whether merchants are rewarded for orders by it: what they are held out of."""
    return terms.trigger.startswith("order.") and not isinstance(terms.beneficiary, ToBuyer)


def window_begins(terms: PublicTerms, ends_at: datetime | None, joined_at: datetime | None, now: datetime) -> datetime:
    """When the window began that is running for a merchant; where none is, one would begin now."""
    window = Timeline(_ending(terms.schedule, ends_at), terms.window).window_at(now, joined_at)
    return now if window is None else window.starts


def _public(predicate: Predicate | None) -> Predicate | None:
    """The predicate as far as it is about the order; None when nothing of it is."""
    match predicate:
        case None:
            return None
        case AllOf(of=of):
            kept = tuple(each for one in of if (each := _public(one)) is not None)
            return AllOf(of=kept) if kept else None
        case AnyOf(of=of):
            return predicate if all(_public(one) == one for one in of) else None
        case Not(of=one):
            return predicate if _public(one) == one else None
        case _:
            return predicate if predicate.attribute.startswith("order.") else None


def merchants_of(terms: Terms) -> list[int] | None:
    """The merchants that a promotion is for, None: for all, as far as its terms name them."""
    named = required(terms.qualify.event).get("merchant.id")
    return None if named is None else sorted(value for value in named if isinstance(value, int))


def concerns_merchants(terms: Terms) -> bool:
    """Whether a merchant gets something by it, bears something of it, or is to join it."""
    joins = terms.qualify.opt_in != "not_needed"
    return joins or merchants_pay(terms) or not isinstance(terms.beneficiary, ToBuyer)


def within(terms: Terms, starts_at: datetime, ends_at: datetime | None, campaign: Any) -> list[Problem]:
    """What of a promotion does not fit into its campaign."""
    found = []
    if terms.currency != campaign.currency:
        found.append(("/terms/currency", f"the campaign is in {campaign.currency}"))
    if starts_at < campaign.starts_at:
        found.append(("/terms/schedule/starts", f"the campaign begins at {campaign.starts_at:%Y-%m-%dT%H:%MZ}"))
    if campaign.ends_at is not None and (ends_at is None or ends_at > campaign.ends_at):
        found.append(("/terms/schedule/ends", f"the campaign ends at {campaign.ends_at:%Y-%m-%dT%H:%MZ}"))
    return found
