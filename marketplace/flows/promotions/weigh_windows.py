"""Where windows stand after what has changed in them, and what that entitles to: decided by totals, nothing booked."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from incentives.grants import store as grants
from incentives.grants.model import Contribution, Grant, GrantState, Progress
from incentives.grants.store import Window
from incentives.rules import target as rules
from incentives.rules.events import NOTHING_USED, Used
from incentives.rules.index import Plan, PlanSide
from incentives.rules.parts import Role
from marketplace.core.db import Tx
from marketplace.flows.promotions.judge_orders import Desk
from marketplace.flows.promotions.keep_promises import PROMISED
from marketplace.flows.promotions.vest_rebates import free_credit


class Touched(msgspec.Struct, kw_only=True):
    """What a page changes in a window: contributions before and now. void: all that has not vested is taken back."""

    starts: datetime
    ends: datetime | None
    award_minor: int | None
    at: datetime
    changes: list[tuple[Contribution | None, Contribution]] = []
    void: bool = False


Side = tuple[Desk, Mapping[Window, Touched]]
"""Windows of merchants, or of buyers, that are decided at a desk."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """Where a window goes. desk: that decides it. change_minor: what is to be granted, below zero taken back. granted:
    what was, in order.

    promise_minor: what is to be on the way after that. used: what the merchant has of the promotion with it, in all its
    windows.
    """

    desk: Desk
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
        who = f"b{window.party_id}" if self.desk.role == "buyer" else window.party_id
        return f"{who}:{window.promotion_id}:{window.span}:{number}"


class _Weighing(msgspec.Struct, frozen=True, kw_only=True):
    """A window before it is said where it goes. before: where it stood; stands: its totals now; elsewhere: what its
    party has of the promotion in other windows, as they stood."""

    desk: Desk
    plan: Plan
    window: Window
    touch: Touched
    before: Progress
    stands: rules.Progress
    side: PlanSide

    def target(self, elsewhere: Used) -> tuple[int, int]:
        """What it is to be given, below zero taken back; and what is to be on the way after that."""
        before, target = self.before, self.side.goal.target(self.stands, elsewhere)
        change = max(target.grant_minor, -before.granted_minor)
        entitled = target.available_minor + target.pending_minor - before.void_minor
        promise = max(0, entitled - before.granted_minor - change) if self.plan.on == PROMISED else 0
        return change, promise

    @property
    def may_matter(self) -> bool:
        """Whether it must be known what was granted in it before."""
        if not self.before.grants:
            return False
        return self.touch.void or self.side.goal.has_lifetime or any(self.target(NOTHING_USED))


async def weigh_windows(tx: Tx, sides: Sequence[Side]) -> list[Step]:
    """Where the windows of these desks go, in their order."""
    roles = list(dict.fromkeys(desk.role for desk, _ in sides))
    return [step for role in roles for step in await _weigh(tx, role, [side for side in sides if side[0].role == role])]


async def _weigh(tx: Tx, role: Role, sides: Sequence[Side]) -> list[Step]:
    """The same of desks of one role: what is stored is read for all of their windows at once."""
    every = [(desk, *each) for desk, touched in sides for each in sorted(touched.items())]
    stored = await grants.progress_of(tx, role, [window for _, window, _ in every])
    first = await _first_versions(tx, role, every)
    weighing = []
    for desk, window, touch in every:
        plan = await desk.plans.get(tx, window[1], _version_of(window, touch, first[window]))
        weighing.append(await _weighing(tx, desk, plan, window, touch, stored.get(window)))
    limited = [each.window for each in weighing if each.side.goal.has_lifetime]
    used = await grants.used(tx, role, limited) if limited else {}
    granted = await grants.grants_of(tx, role, [each.window for each in weighing if each.may_matter])
    free: dict[tuple[int, str], int] = {}
    steps = []
    for each in weighing:
        who = each.window[0], each.window[1]
        step = _step(each, granted.get(each.window, []), used.get(who, Used()))
        used[who] = step.used
        steps.append(await _within_credit(tx, step, free) if role == "buyer" else step)
    return steps


async def _first_versions(tx: Tx, role: Role, every: Sequence[tuple[Desk, Window, Touched]]) -> dict[Window, int]:
    """The first version that anything counts under, by window; of a promotion of which there is but one, that."""
    only = {window: desk.versions.only(window[1]) for desk, window, _ in every}
    found = {window: version for window, version in only.items() if version is not None}
    asked = [window for window in only if window not in found]
    return found | (await grants.first_versions(tx, role, asked) if asked else {})


async def _weighing(tx: Tx, desk: Desk, plan: Plan, window: Window, touch: Touched, was: Progress | None) -> _Weighing:
    """Where a window stands after what has changed in it."""
    before = was or Progress(
        party_id=window[0],
        promotion_id=window[1],
        span=window[2],
        starts_at=touch.starts,
        ends_at=touch.ends,
        award_minor=touch.award_minor,
    )
    buyer_id = touch.changes[-1][1].of_buyer if touch.changes else None
    if desk.role == "buyer":
        buyer_id = window[0]
    stands = await _standing(tx, desk, plan, window, before, touch)
    side = desk.side(plan, buyer_id)
    return _Weighing(desk=desk, plan=plan, window=window, touch=touch, before=before, stands=stands, side=side)


def _step(of: _Weighing, granted: list[Grant], used: Used) -> Step:
    """What a window entitles to. granted: in it so far; used: what its party has of the promotion in all windows."""
    before, stands = of.before, of.stands
    own = before.granted_minor + before.pending_minor + before.promised_minor
    elsewhere = Used(grants=used.grants - (own > 0), minor=used.minor - own)
    change, promise = of.target(elsewhere)
    void_minor = 0
    if of.touch.void:
        change = -sum(grant.amount_minor for grant in granted if grant.state is GrantState.PENDING)
        void_minor = before.pending_minor + before.promised_minor - change
        promise = 0
    has_minor = before.granted_minor + change + promise
    reward = of.side.side.reward
    return Step(
        desk=of.desk,
        plan=of.plan,
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
        at=of.touch.at,
        vest_seconds=reward.vest_seconds,
        form=str(reward.form.__struct_config__.tag),
        granted=granted if change or promise or of.touch.void else [],
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


def _version_of(window: Window, touch: Touched, first: int) -> int:
    """A window of one event is looked at under that event's version, a longer one to its end under the first that
    counts in it: what an edit promises is for windows that begin after it, and takes nothing back."""
    if touch.changes and touch.changes[-1][1].event_id == window[2]:
        return touch.changes[-1][1].version_no
    return first


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
