"""Entitlement follows the totals alone: repeats, orders, refunds and re-crossings need no rules of their own."""

import random
from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from incentives.rules.awards import Clawback, Limits, Once, Reward
from incentives.rules.events import Line, Room, Used
from incentives.rules.reward import earned_by
from incentives.rules.target import Contribution, Goal, Progress, contribution, fitted, is_final, moved, totals
from tests.incentives.rules.cases import REWARDS, percent

MEASURES_OF = ("amount", "orders", "distinct_buyers", "quantity")
POLICIES = ("strict", "proportional", "keep", "keep_tier")

changes = st.builds(
    lambda event, minor, settled, buyer: (
        event,
        Contribution(promised=minor, settled=minor if settled else 0, buyer_id=buyer),
    ),
    st.integers(1, 6),
    st.integers(0, 900),
    st.booleans(),
    st.integers(1, 3),
)
"""An event stands like this now."""
histories = st.lists(changes, max_size=14)


class Account:
    """What a store does with the targets of one beneficiary in one window, with grants in the order of events."""

    def __init__(self, reward: Reward, policy: str = "strict") -> None:
        clawback = msgspec.convert({"policy": policy}, Clawback)
        self.reward = msgspec.structs.replace(reward, clawback=clawback)
        self.goal = Goal(self.reward, Limits(), "merchant")
        self.contributions: dict[int, Contribution] = {}
        self.progress = Progress()
        self.grants: list[int] = []
        self.most = 0

    def take(self, event: int, now: Contribution) -> int:
        self.progress = moved(self.progress, self.contributions.get(event), now)
        self.contributions[event] = now
        target = self.goal.target(self.progress)
        assert target.pending_minor >= 0
        if target.grant_minor:
            self.grants.append(target.grant_minor)
        granted = self.progress.granted_minor + target.grant_minor
        self.progress = msgspec.structs.replace(self.progress, granted_minor=granted)
        self.most = max(self.most, self.entitled(self.progress.settled))
        return target.grant_minor

    def entitled(self, measure: int) -> int:
        earned = earned_by(self.reward.amount)(measure, measure)
        return earned if self.reward.cap_minor is None else min(earned, self.reward.cap_minor)


@given(REWARDS, histories, st.data())
def test_invariant_7_events_again_change_nothing(
    reward: Reward, history: list[tuple[int, Contribution]], data: st.DataObject
) -> None:
    """The last state of an event, again: any of them, in any order, as often as you like."""
    account = Account(reward)
    for event, now in history:
        account.take(event, now)
    before, grants = account.progress, list(account.grants)
    if account.contributions:
        for event in data.draw(st.lists(st.sampled_from(sorted(account.contributions)), max_size=8)):
            assert account.take(event, account.contributions[event]) == 0
    assert (account.progress, account.grants) == (before, grants)


@given(REWARDS, st.dictionaries(st.integers(1, 12), changes.map(lambda change: change[1])), st.randoms())
def test_invariant_8_the_order_of_events_does_not_matter(
    reward: Reward, events: dict[int, Contribution], shuffle: random.Random
) -> None:
    turned = list(events.items())
    shuffle.shuffle(turned)
    one, other = Account(reward), Account(reward)
    for event, now in events.items():
        one.take(event, now)
    for event, now in turned:
        other.take(event, now)
    assert one.progress == other.progress
    assert sum(one.grants) == sum(other.grants) == one.entitled(one.progress.settled)


@given(REWARDS, histories, st.integers(1, 2_000))
def test_invariant_9_an_event_refunded_in_full_never_happened(
    reward: Reward, history: list[tuple[int, Contribution]], minor: int
) -> None:
    with_it, without = Account(reward), Account(reward)
    for event, now in history:
        with_it.take(event, now)
        without.take(event, now)
    with_it.take(99, Contribution(promised=minor, settled=minor))
    with_it.take(99, Contribution())
    assert with_it.progress.granted_minor == without.progress.granted_minor
    assert with_it.progress.granted_minor <= with_it.most


@given(REWARDS, st.integers(1, 2_000), st.integers(0, 100))
def test_invariant_9_a_proportional_reward_goes_with_the_last_of_its_measure(
    reward: Reward, minor: int, per_cent: int
) -> None:
    account = Account(reward, "proportional")
    account.take(1, Contribution(promised=minor, settled=minor))
    left = minor * per_cent // 100
    account.take(1, Contribution(promised=left, settled=left))
    assert account.progress.granted_minor >= account.most * left // minor
    account.take(1, Contribution())
    assert account.progress.granted_minor == 0


@pytest.mark.parametrize("policy", POLICIES)
@given(reward=REWARDS, history=histories)
def test_invariant_10_grants_telescope(policy: str, reward: Reward, history: list[tuple[int, Contribution]]) -> None:
    account = Account(reward, policy)
    for event, now in history:
        account.take(event, now)
        granted = account.progress.granted_minor
        assert 0 <= granted == sum(account.grants) <= account.entitled(account.progress.reached)
        if policy == "strict":
            assert granted == account.entitled(account.progress.settled)
        else:
            assert granted >= account.entitled(account.progress.settled)
        if policy == "keep":
            assert granted == account.entitled(account.progress.reached)


@given(st.sampled_from(MEASURES_OF), histories)
def test_totals_are_the_sum_of_moves(of: str, history: list[tuple[int, Contribution]]) -> None:
    progress = Progress()
    standing: dict[int, Contribution] = {}
    for event, now in history:
        progress = moved(progress, standing.get(event), now)
        standing[event] = now
        counted = totals(of, standing.values(), progress)
        if of == "distinct_buyers":
            assert counted.promised == len({each.buyer_id for each in standing.values() if each.promised})
            assert counted.settled <= counted.promised
        else:
            assert counted == progress


@pytest.mark.parametrize(
    ("of", "standing", "promised", "settled"),
    [
        ("amount", "placed", 60_00, 0),
        ("amount", "settled", 60_00, 60_00),
        ("amount", "cancelled", 0, 0),
        ("orders", "settled", 1, 1),
        ("distinct_buyers", "placed", 1, 0),
        ("quantity", "settled", 5, 5),
    ],
)
def test_what_an_event_contributes(
    of: str, standing: Literal["placed", "settled", "cancelled"], promised: int, settled: int
) -> None:
    lines = (Line(line_no=1, amount_minor=50_00, quantity=2), Line(line_no=2, amount_minor=10_00, quantity=3))
    assert contribution(of, lines, standing, 7) == Contribution(promised=promised, settled=settled, buyer_id=7)


def test_an_order_of_which_nothing_is_left_is_no_order() -> None:
    gone = (Line(line_no=1, amount_minor=0, quantity=0),)
    assert contribution("orders", gone, "settled").settled == 0


def test_bug_12_buy_earn_refund_and_again_earns_nothing() -> None:
    """Odoo PR 257854: points stayed, each time round."""
    for policy in ("strict", "proportional", "keep_tier"):
        account = Account(Reward(amount=Once(threshold=100_00, amount_minor=20_00)), policy)
        for event in range(10):
            account.take(event, Contribution(promised=100_00, settled=100_00))
            account.take(event, Contribution())
        kept = 20_00 if policy == "keep_tier" else 0
        assert account.progress.granted_minor == kept
    keeping = Account(Reward(amount=Once(threshold=100_00, amount_minor=20_00)), "keep")
    for event in range(10):
        keeping.take(event, Contribution(promised=100_00, settled=100_00))
        keeping.take(event, Contribution())
    assert keeping.grants == [20_00], "kept once, never earned again"


def test_bug_12_six_bought_from_300_and_five_returned_is_recalculated() -> None:
    """Odoo PR 238806: six at 50.00 with 10 % from 300.00; one alone earns nothing."""
    amount = {"gives": "volume", "bands": [{"from_minor": 300_00, "rate_ppm": 100_000}]}
    account = Account(msgspec.convert({"amount": amount}, Reward))
    assert account.take(1, Contribution(promised=300_00, settled=300_00)) == 30_00
    assert account.take(1, Contribution(promised=50_00, settled=50_00)) == -30_00


def test_re_crossing_pays_once() -> None:
    account = Account(Reward(amount=Once(threshold=100, amount_minor=20)))
    moves = [account.take(1, Contribution(promised=minor, settled=minor)) for minor in (99, 100, 40, 150, 100, 0)]
    assert moves == [0, 20, -20, 20, 0, -20]


def test_what_is_promised_is_on_the_way_until_it_settles() -> None:
    goal = Goal(Reward(amount=Once(threshold=100, amount_minor=20)), Limits(), "merchant")
    promised = goal.target(Progress(promised=120, settled=60, reached=60))
    assert (promised.available_minor, promised.pending_minor, promised.grant_minor) == (0, 20, 0)
    settled = goal.target(Progress(promised=120, settled=120, reached=120))
    assert (settled.available_minor, settled.pending_minor, settled.grant_minor) == (20, 0, 20)


def test_a_cap_gives_the_room_of_a_refunded_sale_to_the_others() -> None:
    reward = msgspec.convert(
        {"amount": {"gives": "graduated", "bands": [{"from_minor": 0, "rate_ppm": 100_000}]}, "cap_minor": 10}, Reward
    )
    account = Account(reward)
    account.take(1, Contribution(promised=100, settled=100))
    account.take(2, Contribution(promised=100, settled=100))
    assert account.progress.granted_minor == 10
    assert account.take(1, Contribution()) == 0


@pytest.mark.parametrize(
    ("limits", "used", "available"),
    [
        ({}, Used(grants=9, minor=900), 20),
        ({"lifetime_minor": 50}, Used(grants=1, minor=35), 15),
        ({"lifetime_minor": 50}, Used(grants=1, minor=60), 0),
        ({"grants": 2}, Used(grants=2, minor=40), 0),
        ({"grants": 2}, Used(grants=1, minor=20), 20),
    ],
)
def test_limits_of_a_lifetime(limits: dict[str, Any], used: Used, available: int) -> None:
    goal = Goal(Reward(amount=Once(threshold=1, amount_minor=20)), msgspec.convert(limits, Limits), "merchant")
    assert goal.target(Progress(promised=1, settled=1, reached=1), used).available_minor == available


def test_small_clawbacks_wait_until_they_are_worth_it() -> None:
    reward = Reward(amount=Once(threshold=100, amount_minor=20), clawback=Clawback(ignore_below_minor=21))
    below = Progress(promised=50, settled=50, reached=100, granted_minor=20)
    assert Goal(reward, Limits(), "merchant").target(below).grant_minor == 0
    heeded = msgspec.structs.replace(reward, clawback=Clawback(ignore_below_minor=20))
    assert Goal(heeded, Limits(), "merchant").target(below).grant_minor == -20


def test_defaults_of_clawback() -> None:
    """Strict for merchants, proportional for buyers; 60 days."""
    reward = Reward(amount=Once(threshold=100, amount_minor=20))
    half = Progress(promised=50, settled=50, reached=100, granted_minor=20)
    assert Goal(reward, Limits(), "merchant").target(half).grant_minor == -20
    assert Goal(reward, Limits(), "buyer").target(half).grant_minor == -10
    assert not is_final(60 * 86_400 - 1, reward)
    assert is_final(60 * 86_400, reward)


def test_keep_tier_keeps_the_rate_but_pays_what_is_left() -> None:
    """1688: the tier by what was paid, the rebate on what has settled."""
    amount = {
        "gives": "volume",
        "bands": [{"from_minor": 0, "rate_ppm": 10_000}, {"from_minor": 1_000, "rate_ppm": 50_000}],
    }
    account = Account(msgspec.convert({"amount": amount}, Reward), "keep_tier")
    assert account.take(1, Contribution(promised=1_000, settled=1_000)) == 50
    assert account.take(1, Contribution(promised=800, settled=800)) == -10


def test_what_a_budget_gives() -> None:
    assert [fitted(10, Room(minor=10, on_shortfall=mode)) for mode in ("reject", "partial", "queue")] == [10, 10, 10]
    assert [fitted(11, Room(minor=10, on_shortfall=mode)) for mode in ("reject", "partial", "queue")] == [0, 10, 11]


def test_what_an_event_was_awarded_is_the_most_it_can_come_to() -> None:
    """A rebate of 10.00 on an order that others had left 4.00 of; a refund of half leaves the smaller of both."""
    goal = Goal(msgspec.convert({"amount": percent(100_000)}, Reward), Limits(), "merchant")
    awarded = Progress(promised=100_00, settled=100_00, reached=100_00, award_minor=4_00)
    assert goal.target(awarded).grant_minor == 4_00
    refunded = msgspec.structs.replace(awarded, promised=30_00, settled=30_00, granted_minor=4_00)
    assert goal.target(refunded).grant_minor == -1_00
