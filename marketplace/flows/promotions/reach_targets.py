"""Bring windows to what they entitle to: what is missing is granted out of the budgets, what is too much taken back."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from incentives.budgets import store as budgets
from incentives.budgets.model import Ask, Budget, Decision, Verdict
from incentives.budgets.reservations import store as reservations
from incentives.grants import store as grants
from incentives.grants.model import Contribution, Grant, GrantState, Progress
from incentives.grants.rewards import borne, taken_from
from incentives.grants.store import Window
from incentives.promotions.budgets import ask_for
from incentives.rules import target as rules
from incentives.rules.events import Used
from incentives.rules.index import Plan
from incentives.rules.model import ByMerchant, ByPlatform, funder_name
from incentives.rules.parts import Role
from marketplace.core.db import Tx
from marketplace.core.ids import time_ordered_id
from marketplace.flows.payers.fund_promotions import contracts_of
from marketplace.flows.promotions.cover_rewards import Caps, cover_grants, hold_caps, uncover_grants
from marketplace.flows.promotions.judge_orders import Desk
from marketplace.flows.promotions.keep_promises import (
    PROMISED,
    PROMISED_FOR,
    drop_promises,
    promised,
    spend_promises,
)
from marketplace.flows.promotions.use_rewards import issue_vouchers
from marketplace.flows.promotions.vest_rebates import free_credit, post_rebates
from marketplace.flows.promotions.vest_rewards import post_grants

_NO_PAYERS = {funder_name(ByMerchant()), funder_name(ByPlatform())}


class Touched(msgspec.Struct, kw_only=True):
    """What a page changes in a window: contributions before and now. void: all that has not vested is taken back."""

    starts: datetime
    ends: datetime | None
    award_minor: int | None
    at: datetime
    changes: list[tuple[Contribution | None, Contribution]] = []
    void: bool = False


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """Where a window goes. change_minor: what is to be granted, below zero taken back. granted: what was, in order.

    promise_minor: what is to be on the way after that. used: what the merchant has of the promotion with it, in all its
    windows.
    """

    role: Role
    plan: Plan
    progress: Progress
    change_minor: int
    promise_minor: int
    at: datetime
    vest_seconds: int
    form: str
    granted: list[Grant]
    used: Used

    @property
    def promotion_id(self) -> int:
        return self.plan.promotion_id

    @property
    def is_promised(self) -> bool:
        """Whether budgets hold what is promised before it is earned."""
        return self.plan.on == PROMISED

    @property
    def due_minor(self) -> int:
        """What budgets have to hold or give now: the next grant, and what is promised."""
        return max(0, self.change_minor) + self.promise_minor

    @property
    def lacks_minor(self) -> int:
        """What of it they have not been asked for yet."""
        return max(0, self.due_minor - self.progress.promised_minor)

    @property
    def key(self) -> str:
        """Of the next grant's reservation, or the next promise's."""
        window = self.progress
        number = f"p{window.promises + 1}" if self.is_promised else window.grants + 1
        who = f"b{window.party_id}" if self.role == "buyer" else window.party_id
        return f"{who}:{window.promotion_id}:{window.span}:{number}"


async def reach_targets(tx: Tx, desk: Desk, touched: Mapping[Window, Touched]) -> bool:
    """Grant and take back, and book it; returns whether there was anything. The merchant's books and grants are held.

    What is taken back returns to the budgets before they are asked for more.
    """
    stored = await grants.progress_of(tx, desk.role, list(touched))
    used: dict[tuple[int, int], Used] = {}
    free: dict[tuple[int, str], int] = {}
    steps = []
    for window, touch in sorted(touched.items()):
        who = window[0], window[1]
        if who not in used:
            used[who] = (await grants.used(tx, desk.role, window[1], [window[0]])).get(window[0], Used())
        step = await _step(tx, desk, window, touch, stored.get(window), used[who])
        used[who] = step.used
        steps.append(await _within_credit(tx, step, free) if desk.role == "buyer" else step)
    changing = {step.promotion_id for step in steps if step.change_minor or step.due_minor or step.progress.promises}
    kept = await budgets.budgets_under(tx, {each: desk.campaigns[each] for each in changing})
    backs = [(step, _take_back(tx, desk, step)) for step in steps if step.change_minor < 0]
    bearing = {name for _, new in backs for grant in new for name in grant.funders} - _NO_PAYERS
    contracts = await contracts_of(tx, [step.plan.terms for step in steps if step.change_minor], bearing)
    caps = await hold_caps(tx, contracts, desk.merchant)  # caps before budgets, here as everywhere
    await uncover_grants(tx, contracts, [(step.granted, new) for step, new in backs])
    if backs or any(step.progress.promise_keys for step in steps):
        await reservations.hold(tx, {each.budget_id for of in kept.values() for each in of})
        caps = await hold_caps(tx, contracts, desk.merchant)
    await _recycle(tx, backs, kept)
    made = [grant for _, new in backs for grant in new]
    steps = [step for step in steps if step.change_minor >= 0] + [_taken_back(*back) for back in backs]
    steps = [await _without_surplus(tx, step, kept) for step in steps]
    gifts = await _give(tx, desk, [step for step in steps if step.due_minor], kept, caps)
    await cover_grants(tx, contracts, [(grant, step.plan) for step, new, _ in gifts for grant in new], desk.merchant)
    progress = [step.progress for step in steps if not step.due_minor] + [_after(*gift) for gift in gifts]
    made += [grant for _, new, _ in gifts for grant in new]
    await grants.save_progress(tx, desk.role, progress)
    await grants.add_grants(tx, desk.role, made)
    await issue_vouchers(tx, desk, [(grant, step.plan) for step, new, _ in gifts for grant in new])
    if desk.role == "merchant":
        await post_grants(tx, made, desk.merchant.zone, contracts)
    else:
        await post_rebates(tx, made, desk.merchant)
    return bool(made)


async def _step(tx: Tx, desk: Desk, window: Window, touch: Touched, was: Progress | None, used: Used) -> Step:
    """Where a window stands after what has changed in it, and what that entitles to."""
    before = was or Progress(
        party_id=window[0],
        promotion_id=window[1],
        span=window[2],
        starts_at=touch.starts,
        ends_at=touch.ends,
        award_minor=touch.award_minor,
    )
    own = before.granted_minor + before.pending_minor + before.promised_minor
    elsewhere = Used(grants=used.grants - (own > 0), minor=used.minor - own)
    plan = await desk.plans.get(tx, window[1], await _version_of(tx, desk, window, touch))
    buyer_id = touch.changes[-1][1].of_buyer if touch.changes else None
    if desk.role == "buyer":
        buyer_id = window[0]
    side = desk.side(plan, buyer_id)
    stands = await _standing(tx, desk, plan, window, before, touch)
    target = side.goal.target(stands, elsewhere)
    change = max(target.grant_minor, -before.granted_minor)
    entitled = target.available_minor + target.pending_minor - before.void_minor
    promise = max(0, entitled - before.granted_minor - change) if plan.on == PROMISED else 0
    matters = before.grants and (change or promise or touch.void)
    granted = await grants.grants_in(tx, desk.role, window) if matters else []
    void_minor = 0
    if touch.void:
        change = -sum(grant.amount_minor for grant in granted if grant.state is GrantState.PENDING)
        void_minor = before.pending_minor + before.promised_minor - change
        promise = 0
    has_minor = before.granted_minor + change + promise
    return Step(
        role=desk.role,
        plan=plan,
        progress=msgspec.structs.replace(
            before,
            promised=stands.promised,
            settled=stands.settled,
            reached=stands.reached,
            pending_minor=0,
            void_minor=before.void_minor + void_minor,
        ),
        change_minor=change,
        promise_minor=promise,
        at=touch.at,
        vest_seconds=side.side.reward.vest_seconds,
        form=str(side.side.reward.form.__struct_config__.tag),
        granted=granted,
        used=Used(grants=elsewhere.grants + (has_minor > 0), minor=elsewhere.minor + has_minor),
    )


async def _within_credit(tx: Tx, step: Step, free: dict[tuple[int, str], int]) -> Step:
    """No more is taken back from a buyer than is on the way to it or free of its credit; the rest stays granted.

    free: what is left of each buyer's credit after the steps before, by currency.
    """
    if step.change_minor >= 0:
        return step
    whose = step.progress.party_id, step.plan.terms.currency
    if whose not in free:
        free[whose] = await free_credit(tx, *whose)
    pending = max(0, sum(grant.amount_minor for grant in step.granted if grant.state is GrantState.PENDING))
    taken = min(-step.change_minor, pending + free[whose])
    free[whose] -= max(0, taken - pending)
    return msgspec.structs.replace(step, change_minor=-taken)


async def _version_of(tx: Tx, desk: Desk, window: Window, touch: Touched) -> int:
    """A window of one event is looked at under that event's version, a longer one under the newest that counts."""
    if touch.changes and touch.changes[-1][1].event_id == window[2]:
        return touch.changes[-1][1].version_no
    return await grants.newest_version(tx, desk.role, window)


async def _standing(tx: Tx, desk: Desk, plan: Plan, window: Window, before: Progress, touch: Touched) -> rules.Progress:
    """The totals of a window now."""
    stands = rules.Progress(
        promised=before.promised,
        settled=before.settled,
        reached=before.reached,
        granted_minor=before.granted_minor + before.void_minor,
        award_minor=before.award_minor,
    )
    of = plan.terms.measure.of
    if of == "distinct_buyers":
        inside = await grants.contributions_in(tx, desk.role, window)
        return rules.totals(of, [_plain(one) for one in inside], stands)
    befores = [_plain(was) for was, _ in touch.changes if was is not None]
    return rules.moved(stands, _sum(befores), _sum([_plain(now) for _, now in touch.changes]))


def _plain(one: Contribution) -> rules.Contribution:
    return rules.Contribution(promised=one.promised, settled=one.settled, buyer_id=one.of_buyer)


def _sum(of: Sequence[rules.Contribution]) -> rules.Contribution:
    return rules.Contribution(promised=sum(one.promised for one in of), settled=sum(one.settled for one in of))


async def _give(
    tx: Tx, desk: Desk, steps: Sequence[Step], kept: Mapping[int, list[Budget]], caps: Caps
) -> list[tuple[Step, list[Grant], int]]:
    """What payers' caps and the budgets give of what is missing, and what stays owed: of promotions that may not grant
    just now, and of caps and budgets that make wait."""
    asks = [
        ask_for(
            step.key,
            step.lacks_minor,
            step.plan.terms,
            kept[step.promotion_id],
            step.at,
            desk.merchant.region or None,
            borne(step.plan.terms, step.granted),
        )
        for step in steps
        if step.promotion_id in desk.granting and step.lacks_minor
    ]
    decisions = caps.decide(asks, {step.key: step.plan.terms for step in steps})
    asks = [msgspec.structs.replace(ask, amount_minor=decisions[ask.key].granted_minor) for ask in asks]
    covered = [ask for ask in asks if ask.amount_minor]
    decisions |= {one.key: one for one in await _reserve(tx, covered, steps, kept)}
    gifts = []
    for step in steps:
        decision = decisions.get(step.key)
        minor = 0 if decision is None else decision.granted_minor
        waits = decision is None or decision.verdict is Verdict.QUEUED
        if step.is_promised:
            then, new = await _spend(tx, desk, step, minor, kept)
        else:
            then = step
            new = [_grant(tx, desk, step, step.granted, minor, _vests_at(step), step.key)] if minor else []
        gifts.append((then, new, step.change_minor - sum(one.amount_minor for one in new) if waits else 0))
    return gifts


async def _reserve(
    tx: Tx, asks: Sequence[Ask], steps: Sequence[Step], kept: Mapping[int, list[Budget]]
) -> list[Decision]:
    """What is earned is spent at once, what is promised is held; all of it is asked for together."""
    promised = {step.key for step in steps if step.is_promised}
    if not promised:
        return await reservations.reserve(tx, asks, spend=True)
    decisions = await reservations.reserve(tx, asks, expires_at=tx.now + PROMISED_FOR)
    earned = [one.key for one in decisions if one.granted_minor and one.key not in promised]
    if earned:
        await reservations.commit(tx, {each.budget_id for of in kept.values() for each in of}, earned)
    return decisions


async def _without_surplus(tx: Tx, step: Step, kept: Mapping[int, list[Budget]]) -> Step:
    """A step whose window is promised no more than is due."""
    if not step.progress.promise_keys:
        return step
    left = await drop_promises(
        tx, step.progress, step.due_minor, step.plan.terms, step.granted, kept[step.promotion_id]
    )
    return msgspec.structs.replace(step, progress=left)


async def _spend(
    tx: Tx, desk: Desk, step: Step, minor: int, kept: Mapping[int, list[Budget]]
) -> tuple[Step, list[Grant]]:
    """A step with what it was promised just now, after what it has earned of its promises is granted."""
    stands = promised(step.progress, step.key, minor) if minor else step.progress
    if step.promotion_id not in desk.granting:
        return msgspec.structs.replace(step, progress=stands), []

    def make(part: int, key: str, new: list[Grant]) -> Grant:
        return _grant(tx, desk, step, [*step.granted, *new], part, _vests_at(step), key, len(new))

    stands, new = await spend_promises(tx, stands, step.change_minor, kept[step.promotion_id], make)
    return msgspec.structs.replace(step, progress=stands), new


def _vests_at(step: Step) -> datetime:
    return step.at + timedelta(seconds=step.vest_seconds)


def _take_back(tx: Tx, desk: Desk, step: Step) -> list[Grant]:
    new: list[Grant] = []
    for minor, vests_at in taken_from(step.granted, -step.change_minor):
        new.append(_grant(tx, desk, step, [*step.granted, *new], -minor, vests_at, None, len(new)))
    return new


def _taken_back(step: Step, new: Sequence[Grant]) -> Step:
    """Where a window goes once what was too much has been taken back."""
    return msgspec.structs.replace(step, progress=_after(step, new, 0), change_minor=0, granted=[*step.granted, *new])


def _grant(
    tx: Tx,
    desk: Desk,
    step: Step,
    granted: Sequence[Grant],
    minor: int,
    vests_at: datetime | None,
    key: str | None,
    before: int = 0,
) -> Grant:
    """The next grant of a window, after so many others of this step; without `vests_at` it counts at once.

    key: under which its budgets hold it; None: of what is taken back.
    """
    window, terms = step.progress, step.plan.terms
    funders, shares = borne(terms, granted).divide(minor)
    return Grant(
        party_id=window.party_id,
        promotion_id=window.promotion_id,
        span=window.span,
        grant_no=window.grants + before + 1,
        grant_id=time_ordered_id(tx.now),
        campaign_id=desk.campaigns[window.promotion_id],
        version_no=step.plan.version,
        event_id=window.span if step.plan.per_event else None,
        form=step.form,
        currency=terms.currency,
        amount_minor=minor,
        funders=funders,
        funder_minor=shares,
        state=GrantState.PAID if vests_at is None else GrantState.PENDING,
        reservation_key=key,
        vests_at=vests_at,
    )


def _after(step: Step, new: Sequence[Grant], owed_minor: int) -> Progress:
    granted = step.progress.granted_minor + sum(grant.amount_minor for grant in new)
    return msgspec.structs.replace(
        step.progress, granted_minor=granted, pending_minor=owed_minor, grants=step.progress.grants + len(new)
    )


async def _recycle(tx: Tx, backs: Sequence[tuple[Step, list[Grant]]], kept: Mapping[int, list[Budget]]) -> None:
    """Give back to the budgets what is taken back, out of the newest grants first, in the order of the budgets."""
    taken: dict[tuple[int, str], int] = defaultdict(int)
    for step, new in backs:
        keys = [one.reservation_key for one in reversed(step.granted) if one.reservation_key is not None]
        ids = [each.budget_id for each in kept[step.promotion_id]]
        left = await reservations.committed(tx, ids, keys)
        for budget in kept[step.promotion_id]:
            wanted = -sum(budget.concerned(one.funders, one.funder_minor) for one in new)
            for key in keys:
                part = min(wanted, left.get((budget.budget_id, key), 0))
                if part:
                    taken[budget.budget_id, key] += part
                    wanted -= part
    await reservations.recycle(tx, taken)
