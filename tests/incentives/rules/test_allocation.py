"""Every minor unit of a reward is somebody's, and comes back from where it went."""

from hypothesis import assume, given
from hypothesis import strategies as st

from incentives.rules.allocation import share_out, slice_of
from marketplace.core.money import allocate
from tests.incentives.rules.cases import amount_of, discount, judge, order, percent

WEIGHTS = st.lists(st.integers(0, 1_000), min_size=1, max_size=6).filter(any)


@given(st.integers(0, 5_000), WEIGHTS)
def test_invariant_1_an_amount_is_divided_exactly(amount: int, weights: list[int]) -> None:
    shares, total = allocate(amount, weights), sum(weights)
    assert sum(shares) == amount
    for share, weight in zip(shares, weights, strict=True):
        assert weight or share == 0
        assert abs(share * total - amount * weight) < total
        assert share >= 0
        if amount <= total:
            assert share <= weight


@given(st.integers(0, 5_000), WEIGHTS)
def test_invariant_1_the_order_of_lines_does_not_matter_but_for_ties(amount: int, weights: list[int]) -> None:
    remainders = [amount * weight % sum(weights) for weight in weights]
    assume(len(set(remainders)) == len(remainders))
    by_weight = dict(zip(weights, allocate(amount, weights), strict=True))
    turned = weights[::-1]
    assert dict(zip(turned, allocate(amount, turned), strict=True)) == by_weight


@given(st.integers(0, 10_000), st.lists(st.integers(1, 9), min_size=1, max_size=8))
def test_invariant_2_units_given_back_in_any_portions_carry_the_share(share: int, portions: list[int]) -> None:
    units, before, slices = sum(portions), 0, []
    for now in portions:
        slices.append(slice_of(share, units, before, now))
        before += now
    assert sum(slices) == share
    assert min(slices) >= 0


@given(WEIGHTS, st.lists(st.integers(-300, 300), max_size=30), st.integers(2, 9))
def test_invariant_11_funders_bear_all_of_it_by_their_weights(
    weights: list[int], changes: list[int], scale: int
) -> None:
    held, scaled = [0] * len(weights), [0] * len(weights)
    for change in changes:
        if sum(held) + change < 0:
            continue
        moves = share_out(held, change, weights)
        assert sum(moves) == change
        assert all(move * change >= 0 for move in moves), "one funder gains while another pays"
        due = allocate(sum(held) + change, weights)
        for has, move, goal in zip(held, moves, due, strict=True):
            assert min(has, goal) <= has + move <= max(has, goal), "a funder went past its share"
        held = [has + move for has, move in zip(held, moves, strict=True)]
        more = share_out(scaled, change, [scale * weight for weight in weights])
        scaled = [has + move for has, move in zip(scaled, more, strict=True)]
        assert min(held) >= 0
        for has, weight in zip(held, weights, strict=True):
            assert abs(has - sum(held) * weight / sum(weights)) < len(weights) + 1
    assert scaled == held
    assert not any(has + move for has, move in zip(held, share_out(held, -sum(held), weights), strict=True))


def test_a_hundred_grants_of_a_cent_are_shared_like_one_of_a_unit() -> None:
    held = [0, 0]
    for _ in range(100):
        held = [has + move for has, move in zip(held, share_out(held, 1, [1, 1]), strict=True)]
    assert held == [50, 50]


def test_bug_8_ten_over_three_equal_lines() -> None:
    """ERPNext #58042: 9.98, with the wrong sign."""
    [verdict] = judge(order(100_00, 100_00, 100_00), discount({"gives": "fixed", "amount_minor": 10_00}))
    assert verdict.effects[0].line_minor == (3_34, 3_33, 3_33)


def test_bug_8_no_price_is_raised_and_none_goes_below_zero() -> None:
    """Saleor: 0.03 over five lines of 1.00 made the last one cost 1.01."""
    [verdict] = judge(order(1_00, 1_00, 1_00, 1_00, 1_00), discount({"gives": "fixed", "amount_minor": 3}))
    assert sorted(verdict.effects[0].line_minor) == [0, 0, 1, 1, 1]
    [verdict] = judge(order(1, 1, 1), discount({"gives": "fixed", "amount_minor": 1}))
    assert sum(verdict.effects[0].line_minor) == 1  # Sylius: it vanished


def test_bug_8_a_line_that_costs_nothing_swallows_nothing() -> None:
    """Sylius gave the remainder to lines of zero weight."""
    [verdict] = judge(order(1_00, 1_00, 1_00, 0), discount({"gives": "fixed", "amount_minor": 10}))
    assert verdict.effects[0].line_minor == (4, 3, 3, 0)


@given(st.lists(st.integers(0, 999), min_size=1, max_size=7).filter(any))
def test_bug_9_a_hundred_per_cent_leave_exactly_nothing(amounts: list[int]) -> None:
    """Medusa #12226: -1.647059e-14 was left; Odoo PR 271032: 0.01."""
    [verdict] = judge(order(*amounts), discount(percent(1_000_000)))
    assert list(verdict.effects[0].line_minor) == amounts


def test_bug_10_cancelling_one_line_leaves_the_price_of_the_other() -> None:
    """Vendure #4811: lines of 50 and 10, 10 off; with the 50 cancelled, the other one still costs 8.33."""
    [verdict] = judge(order(50_00, 10_00), discount({"gives": "once", "threshold": 60_00, "amount_minor": 10_00}))
    large, small = verdict.effects[0].line_minor
    assert (large, small) == (8_33, 1_67)
    assert slice_of(large, 1, 0, 1) == large
    assert 10_00 - small == 8_33


def test_bug_11_a_refund_gives_back_the_net_of_its_own_units() -> None:
    """Solidus #512: three units of 10.00 with 1.00 off give back 9.66, 9.67 and 9.67: together what was paid."""
    [verdict] = judge(order(30_00), discount({"gives": "fixed", "amount_minor": 1_00}))
    share = verdict.effects[0].line_minor[0]
    paid_back = [10_00 - slice_of(share, 3, before, 1) for before in range(3)]
    assert sum(paid_back) == 29_00 == 30_00 - amount_of(verdict)
    assert max(paid_back) - min(paid_back) <= 1
