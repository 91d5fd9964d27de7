"""Which promotions the pass of merchants' rewards pays, and how a clawback falls on what was granted. Pure."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from incentives.grants.model import Grant, GrantState
from incentives.rules.allocation import share_out
from incentives.rules.awards import Credit, ToBuyer, ToMerchant
from incentives.rules.model import ByPayer, ByPlatform, CustomEvent, OrderSettled, PerEvent, Terms, funder_name

OWN = "merchant"
"""The funder of what a merchant bears of its own reward: no money moves for it."""


def is_reward(terms: Terms) -> bool:
    """Whether merchants are paid credit by it, when their orders settle or something else happens that has a name."""
    return (
        isinstance(terms.trigger, OrderSettled | CustomEvent)
        and isinstance(terms.beneficiary, ToMerchant)
        and _pays_credit(terms)
    )


def is_rebate(terms: Terms) -> bool:
    """Whether buyers are given credit by it when an order of theirs settles."""
    return (
        isinstance(terms.trigger, OrderSettled)
        and isinstance(terms.beneficiary, ToBuyer)
        and isinstance(terms.window, PerEvent)
        and _pays_credit(terms)
    )


def _pays_credit(terms: Terms) -> bool:
    rewards = [terms.reward, *(arm.reward for arm in (terms.experiment.arms if terms.experiment else ()) if arm.reward)]
    return all(isinstance(reward.form, Credit) for reward in rewards)


def not_payable(terms: Terms) -> list[tuple[str, str]]:
    """Pointer and reason of what such a reward or rebate cannot be funded by yet."""
    if is_rebate(terms):
        return [
            (f"/funding/{number}", "only the platform can bear a buyer's rebate yet")
            for number, funder in enumerate(terms.funding)
            if not isinstance(funder, ByPlatform)
        ]
    if not is_reward(terms):
        return []
    return [
        (f"/funding/{number}", "a third-party payer cannot bear a merchant's reward yet")
        for number, funder in enumerate(terms.funding)
        if isinstance(funder, ByPayer)
    ]


def funded(terms: Terms, granted: Sequence[Grant], change: int) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """How a grant, or below zero a clawback, falls on the funders, given what each bears of the window so far."""
    held: dict[str, int] = defaultdict(int)
    weights = {funder_name(funder): funder.weight for funder in terms.funding}
    for grant in granted:
        for name, minor in zip(grant.funders, grant.funder_minor, strict=True):
            held[name] += minor
    names = [*weights, *sorted(held.keys() - weights.keys())]
    shares = share_out([held[name] for name in names], change, [weights.get(name, 0) for name in names])
    borne = [(name, share) for name, share in zip(names, shares, strict=True) if share]
    return tuple(name for name, _ in borne), tuple(share for _, share in borne)


def taken_from(granted: Sequence[Grant], back_minor: int) -> list[tuple[int, datetime | None]]:
    """What is taken back of what has not vested yet, the last to vest first, and then of what was paid (None)."""
    pending: dict[datetime, int] = defaultdict(int)
    for grant in granted:
        if grant.state is GrantState.PENDING and grant.vests_at is not None:
            pending[grant.vests_at] += grant.amount_minor
    parts: list[tuple[int, datetime | None]] = []
    for vests_at in sorted(pending, reverse=True):
        part = min(pending[vests_at], back_minor)
        if part > 0:
            parts.append((part, vests_at))
            back_minor -= part
    return [*parts, (back_minor, None)] if back_minor else parts


def moves_minor(grant: Grant) -> int:
    """What of a grant moves money: all but what the merchant bears itself."""
    return sum(m for name, m in zip(grant.funders, grant.funder_minor, strict=True) if name != OWN)
