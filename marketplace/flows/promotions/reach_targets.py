"""Bring windows to what they entitle to: what is missing is granted out of the budgets, what is too much taken back."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from incentives.budgets import store as budgets
from incentives.budgets.model import Ask, Budget, Decision, Verdict
from incentives.budgets.reservations import store as reservations
from incentives.grants import store as grants
from incentives.grants.model import Grant, GrantState, Progress
from incentives.grants.rewards import NO_PAYERS, borne, of_promise, taken_from
from incentives.promotions.budgets import ask_for
from incentives.rules.funders import Shares
from incentives.rules.parts import Role
from marketplace.core.db import Tx
from marketplace.core.ids import time_ordered_id
from marketplace.flows.payers.fund_promotions import contracts_of
from marketplace.flows.promotions.cover_promises import Promised, promised_of
from marketplace.flows.promotions.cover_rewards import Caps, cover_grants, hold_caps, uncover_grants
from marketplace.flows.promotions.keep_promises import PROMISED_FOR, drop_promises, promised, spend_promises
from marketplace.flows.promotions.use_rewards import issue_vouchers
from marketplace.flows.promotions.vest_rebates import post_rebates
from marketplace.flows.promotions.vest_rewards import post_grants
from marketplace.flows.promotions.weigh_windows import Side, Step, weigh_windows


async def reach_targets(tx: Tx, sides: Sequence[Side]) -> bool:
    """Grant and take back, and book it; returns whether there was anything. What the windows' parties have is held, and
    so are the books that it is booked in.

    Caps and budgets are asked once for all desks: what is taken back returns to them before they are asked for more.
    Desks of several merchants come together only where nobody else has a part (`Desk.concerns_others`).
    """
    steps = await weigh_windows(tx, [side for side in sides if side[1]])
    if not steps:
        return False
    merchant, campaigns = steps[0].desk.merchant, steps[0].desk.campaigns
    changing = {step.promotion_id for step in steps if step.change_minor or step.due_minor or step.progress.promises}
    kept = await budgets.budgets_under(tx, {each: campaigns[each] for each in changing})
    backs = [(step, _take_back(tx, step)) for step in steps if step.change_minor < 0]
    covers = await promised_of(tx, merchant, [key for step in steps for key in step.progress.promise_keys])
    bearing = {name for _, new in backs for grant in new for name in grant.funders} - NO_PAYERS
    asking = [step.plan.terms for step in steps if step.change_minor or step.due_minor]
    contracts = await contracts_of(tx, asking, bearing.union(covers.names.values()))
    caps = await hold_caps(tx, contracts, merchant, covers.days)  # caps before budgets, here as everywhere
    await uncover_grants(tx, contracts, [(step.desk.books_id, step.granted, new) for step, new in backs])
    gives_back = backs or any(step.progress.promise_keys for step in steps)
    if gives_back:
        await reservations.hold(tx, {each.budget_id for of in kept.values() for each in of})
    await _recycle(tx, backs, kept)
    made = [(step.desk, grant) for step, new in backs for grant in new]
    steps = [step for step in steps if step.change_minor >= 0] + [_taken_back(*back) for back in backs]
    steps = [await _without_surplus(tx, step, kept, covers) for step in steps]
    if gives_back:
        caps = await hold_caps(tx, contracts, merchant)
    gifts = await _give(tx, [step for step in steps if step.due_minor], kept, caps, covers)
    covered = [
        (step.desk.books_id, grant, step.plan) for step, new, _ in gifts if not step.is_promised for grant in new
    ]
    await cover_grants(tx, contracts, covered, merchant)
    stands = [(step.desk, step.progress) for step in steps if not step.due_minor]
    stands += [(step.desk, _after(step, new, owed)) for step, new, owed in gifts]
    made += [(step.desk, grant) for step, new, _ in gifts for grant in new]
    issued = [(step.desk, grant, step.plan) for step, new, _ in gifts for grant in new]
    for role in _ROLES:
        granted = [(desk, grant) for desk, grant in made if desk.role == role]
        await grants.save_progress(tx, role, [now for desk, now in stands if desk.role == role])
        await grants.add_grants(tx, role, [grant for _, grant in granted])
        await issue_vouchers(tx, role, [each for each in issued if each[0].role == role])
        if role == "merchant":
            await post_grants(tx, [(grant, desk.merchant.zone) for desk, grant in granted], contracts)
        else:
            await post_rebates(tx, [grant for _, grant in granted], merchant, contracts)
    return bool(made)


_ROLES: tuple[Role, ...] = ("merchant", "buyer")


async def _give(
    tx: Tx, steps: Sequence[Step], kept: Mapping[int, list[Budget]], caps: Caps, covers: Promised
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
            step.desk.merchant.region or None,
            borne(step.plan.terms, step.granted),
        )
        for step in steps
        if step.promotion_id in step.desk.granting and step.lacks_minor
    ]
    decisions = caps.decide(asks, {step.key: step.plan.terms for step in steps})
    asks = [msgspec.structs.replace(ask, amount_minor=decisions[ask.key].granted_minor) for ask in asks]
    covered = [ask for ask in asks if ask.amount_minor]
    decisions |= {one.key: one for one in await _reserve(tx, covered, steps, kept)}
    promising = {step.key: step.plan.terms for step in steps if step.is_promised}
    given = [msgspec.structs.replace(ask, amount_minor=decisions[ask.key].granted_minor) for ask in covered]
    await covers.reserve(
        tx, caps.capped([ask for ask in given if ask.key in promising and ask.amount_minor], promising)
    )
    gifts = []
    for step in steps:
        decision = decisions.get(step.key)
        minor = 0 if decision is None else decision.granted_minor
        waits = decision is None or decision.verdict is Verdict.QUEUED
        if step.is_promised:
            then, new = await _spend(tx, step, minor, kept, covers)
        else:
            then = step
            shares = borne(step.plan.terms, step.granted).divide(minor)
            new = [_grant(tx, step, shares, minor, _vests_at(step), step.key)] if minor else []
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


async def _without_surplus(tx: Tx, step: Step, kept: Mapping[int, list[Budget]], covers: Promised) -> Step:
    """A step whose window is promised no more than is due."""
    if not step.progress.promise_keys:
        return step
    left = await drop_promises(
        tx, step.progress, step.due_minor, step.plan.terms, step.granted, kept[step.promotion_id], covers
    )
    return msgspec.structs.replace(step, progress=left)


async def _spend(
    tx: Tx, step: Step, minor: int, kept: Mapping[int, list[Budget]], covers: Promised
) -> tuple[Step, list[Grant]]:
    """A step with what it was promised just now, after what it has earned of its promises is granted."""
    stands = promised(step.progress, step.key, minor) if minor else step.progress
    if step.promotion_id not in step.desk.granting:
        return msgspec.structs.replace(step, progress=stands), []

    terms = step.plan.terms

    def make(part: int, key: str, new: list[Grant], payers: dict[str, int]) -> Grant:
        shares = of_promise(terms, [*step.granted, *new], part, payers)
        return _grant(tx, step, shares, part, _vests_at(step), key, len(new))

    stands, new = await spend_promises(tx, stands, step.change_minor, terms, kept[step.promotion_id], covers, make)
    return msgspec.structs.replace(step, progress=stands), new


def _vests_at(step: Step) -> datetime:
    return step.at + timedelta(seconds=step.vest_seconds)


def _take_back(tx: Tx, step: Step) -> list[Grant]:
    new: list[Grant] = []
    for minor, vests_at in taken_from(step.granted, -step.change_minor):
        shares = borne(step.plan.terms, [*step.granted, *new]).divide(-minor)
        new.append(_grant(tx, step, shares, -minor, vests_at, None, len(new)))
    return new


def _taken_back(step: Step, new: Sequence[Grant]) -> Step:
    """Where a window goes once what was too much has been taken back."""
    return msgspec.structs.replace(step, progress=_after(step, new, 0), change_minor=0, granted=[*step.granted, *new])


def _grant(
    tx: Tx,
    step: Step,
    shares: Shares,
    minor: int,
    vests_at: datetime | None,
    key: str | None,
    before: int = 0,
) -> Grant:
    """The next grant of a window, after so many others of this step; without `vests_at` it counts at once.

    shares: of its funders. key: under which its budgets hold it; None: of what is taken back.
    """
    window, terms = step.progress, step.plan.terms
    return Grant(
        party_id=window.party_id,
        promotion_id=window.promotion_id,
        span=window.span,
        grant_no=window.grants + before + 1,
        grant_id=time_ordered_id(tx.now),
        campaign_id=step.desk.campaigns[window.promotion_id],
        version_no=step.plan.version,
        event_id=window.span if step.plan.per_event else None,
        form=step.form,
        currency=terms.currency,
        amount_minor=minor,
        funders=tuple(shares[0]),
        funder_minor=tuple(shares[1]),
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
