"""How grants and clawbacks fall on funders, and on what has vested and what has not: every minor unit once."""

from collections import Counter
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from incentives.budgets.model import Budget, Owner, Scope
from incentives.grants.model import Grant, GrantState
from incentives.grants.rewards import OWN, borne, is_reward, moves_minor, taken_from
from incentives.promotions.budgets import ask_for
from incentives.rules.awards import Discount, Reward, ToBuyer
from incentives.rules.model import ByMerchant, ByPlatform, OrderPlaced, Terms, funder_name
from tests.conftest import NOW
from tests.incentives.market import TERMS, terms

FUNDING = st.builds(
    lambda own, house: (ByMerchant(weight=own), ByPlatform(weight=house)), st.integers(0, 7), st.integers(1, 7)
)
STEPS = st.lists(st.tuples(st.integers(-900, 900), st.integers(0, 3), FUNDING), min_size=1, max_size=12)


def grant(minor: int, number: int, funders: tuple[str, ...], shares: tuple[int, ...], vests: int | None) -> Grant:
    return Grant(
        party_id=1, promotion_id=1, span="w", grant_no=number, grant_id=number, campaign_id=1, version_no=1,
        form="credit", currency="EUR", amount_minor=minor, funders=funders, funder_minor=shares,
        state=GrantState.PAID if vests is None else GrantState.PENDING,
        vests_at=None if vests is None else NOW + timedelta(days=vests),
    )  # fmt: skip


def _asked(now: Terms, granted: list[Grant], minor: int) -> dict[str, int]:
    """What a grant asks of budgets that limit each of the funders."""
    kept = [
        Budget(
            budget_id=no, owner=Owner.PROMOTION, owner_id=1, scope=Scope.FUNDER, scope_key=funder_name(funder),
            currency="EUR", limit_minor=1,
        )
        for no, funder in enumerate(now.funding)
    ]  # fmt: skip
    ask = ask_for("k", minor, now, kept, NOW, None, borne(now, granted))
    parts = {draw.budget.scope_key: ask.part_of(draw, minor) for draw in ask.draws}
    return {name: part for name, part in parts.items() if part}


@given(STEPS)
def test_nobody_bears_less_than_nothing_and_all_together_bear_what_was_granted(
    steps: list[tuple[int, int, object]],
) -> None:
    """Whatever is granted and taken back, under whatever weights; nothing that vests is taken twice."""
    granted: list[Grant] = []
    for change, vests, funding in steps:
        now = terms(funding=funding)
        total = sum(one.amount_minor for one in granted)
        parts: list[tuple[int, int | None]] = [(change, vests or None)] if change > 0 else []
        if change < 0:
            parts = [
                (-minor, None if at is None else (at - NOW).days)
                for minor, at in taken_from(granted, min(-change, total))
            ]
            assert sum(minor for minor, _ in parts) == -min(-change, total)
        for minor, at in parts:
            stands = borne(now, granted)
            funders, shares = stands.divide(minor)
            assert minor < 0 or _asked(now, granted, minor) == dict(zip(funders, shares, strict=True))
            assert sum(shares) == minor
            assert all(share * minor > 0 for share in shares)
            granted.append(grant(minor, len(granted) + 1, funders, shares, at))
        total_of: Counter[str] = Counter()
        pending: Counter[object] = Counter()
        for one in granted:
            total_of.update(dict(zip(one.funders, one.funder_minor, strict=True)))
            pending[one.vests_at] += one.amount_minor
        assert min(total_of.values(), default=0) >= 0
        assert min(pending.values(), default=0) >= 0
        assert sum(total_of.values()) == sum(one.amount_minor for one in granted)
        assert sum(moves_minor(one) for one in granted) == sum(total_of.values()) - total_of[OWN]


def test_what_is_a_reward_of_merchants() -> None:
    assert is_reward(TERMS)
    assert is_reward(terms(trigger=OrderPlaced()))
    assert not is_reward(terms(beneficiary=ToBuyer()))
    assert not is_reward(terms(reward=Reward(amount=TERMS.reward.amount, form=Discount())))
