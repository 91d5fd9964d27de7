"""Time, proration and what a charge earns: pure rules, to the cent."""

from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.charges.dunning import Dunning, dunning
from billing.charges.model import Charge, ChargeSource, NewCharge, PaysBy
from marketplace.core.errors import Invalid
from marketplace.core.months import add_months, elapsed, last_of_month, month_ends, used
from supply.products.subscriptions.model import Interval, difference, period, unused

days = st.dates(date(2018, 1, 1), date(2021, 12, 31))
amounts = st.integers(1, 10**9)
JAN_1 = date(2018, 1, 1)


def made(net: int, from_on: date, to_on: date) -> Charge:
    return Charge(
        merchant_id=1, charge_id=1, source=ChargeSource.SUBSCRIPTION, source_id=1, part="x", description="",
        currency="EUR", vat_ppm=200_000,
        net_minor=net, vat_minor=net // 5, pays_by=PaysBy.NETTING, charged_on=from_on, due_on=from_on, deferred=False,
        service_from=from_on, service_to=to_on, anchored_on=from_on, anchored_minor=0, recognised_minor=0,
        credited_minor=0, credited_vat_minor=0, written_off_minor=0, regained_minor=0, open_minor=net,
        dunning_step=0, entry_no=1, created_at=datetime(2018, 1, 1, tzinfo=UTC),
    )  # fmt: skip


def credited(charge: Charge, net: int, on: date) -> Charge:
    """What crediting does to what a charge earns, as the flow does it."""
    return msgspec.structs.replace(
        charge, credited_minor=charge.credited_minor + net, anchored_on=on, anchored_minor=charge.earned(on),
        credited_vat_minor=charge.credited_vat_minor + charge.credited_vat(net),
    )  # fmt: skip


@given(amounts, days, st.integers(1, 800), st.lists(st.integers(0, 900), max_size=8))
def test_what_is_used_telescopes_over_any_days_and_never_goes_back(
    amount: int, from_on: date, length: int, stops: list[int]
) -> None:
    to_on = from_on + timedelta(days=length)
    at = [from_on, *(from_on + timedelta(days=stop) for stop in sorted(stops)), max(to_on, from_on + timedelta(900))]
    parts = [used(amount, from_on, to_on, b) - used(amount, from_on, to_on, a) for a, b in pairwise(at)]
    assert sum(parts) == amount
    assert min(parts) >= 0


@given(st.integers(1, 10**7), days, st.integers(1, 12))
def test_a_year_is_twelve_equal_months(monthly: int, start: date, months: int) -> None:
    start = start.replace(day=1)
    assert used(12 * monthly, start, add_months(start, 12), add_months(start, months)) == months * monthly


def test_within_a_month_every_day_counts_the_same() -> None:
    assert elapsed(JAN_1, date(2018, 2, 1), date(2018, 1, 11)) == Fraction(10, 31)
    assert elapsed(JAN_1, date(2018, 3, 1), date(2018, 2, 15)) == Fraction(3, 4)
    with pytest.raises(ValueError, match="after it begins"):
        elapsed(JAN_1, JAN_1, JAN_1)


def test_periods_are_counted_from_the_anchor() -> None:
    """A subscription of the 31st is renewed on the last day of short months, and on the 31st again after them."""
    anchor = date(2018, 1, 31)
    starts = [period(anchor, Interval.MONTH, number)[0] for number in range(5)]
    assert [(on.month, on.day) for on in starts] == [(1, 31), (2, 28), (3, 31), (4, 30), (5, 31)]
    assert period(date(2020, 2, 29), Interval.YEAR, 1) == (date(2021, 2, 28), date(2022, 2, 28))


@given(days, st.sampled_from(Interval), st.integers(0, 40))
def test_periods_follow_each_other_without_gap(anchor: date, every: Interval, number: int) -> None:
    from_on, to_on = period(anchor, every, number)
    assert from_on < to_on == period(anchor, every, number + 1)[0]


@given(amounts, amounts, days, st.integers(0, 30))
def test_up_and_down_on_one_day_costs_nothing(small: int, large: int, start: date, gone: int) -> None:
    to_on = add_months(start, 2)
    on = start + timedelta(days=gone)
    up = difference(unused(small, start, to_on, on), large, start, to_on, on)
    down = difference(unused(small, start, to_on, on) + up, small, start, to_on, on)
    assert up + down == 0


@given(amounts, days, st.integers(1, 12), st.lists(st.tuples(st.integers(0, 370), st.integers(1, 10**9)), max_size=6))
def test_after_any_changes_paid_is_what_is_earned_and_what_the_new_price_makes_of_the_rest(
    price: int, start: date, length: int, changes: list[tuple[int, int]]
) -> None:
    """The charges of a period as the flow makes them: more is a charge, less a credit of the newest."""
    to_on = add_months(start, length)
    charges = [made(price, start, to_on)]
    for gone, new in sorted(changes):
        on = min(start + timedelta(days=gone), to_on - timedelta(days=1))
        left = sum(charge.unused(on) for charge in charges)
        owed = difference(left, new, start, to_on, on)
        if owed > 0:
            charges.append(made(owed, on, to_on))
        for number in reversed(range(len(charges))):
            amount = min(max(-owed, 0), charges[number].unused(on))
            if amount > 0:
                charges[number] = credited(charges[number], amount, on)
                owed += amount
        paid = sum(charge.kept_minor for charge in charges)
        assert paid == sum(charge.earned(on) for charge in charges) + unused(new, start, to_on, on)
        price = new
    assert sum(charge.earned(to_on) for charge in charges) == sum(charge.kept_minor for charge in charges)


@given(amounts, days, st.integers(1, 400), st.lists(st.tuples(st.integers(0, 400), st.integers(1, 100)), max_size=4))
def test_the_months_of_a_charge_sum_to_it_whatever_is_credited_on_the_way(
    net: int, start: date, length: int, given_back: list[tuple[int, int]]
) -> None:
    charge = made(net, start, start + timedelta(days=length))
    recognised = 0
    todo = sorted(given_back)
    assert charge.service_to is not None
    for ends in month_ends(start, charge.service_to):
        while todo and start + timedelta(days=todo[0][0]) <= min(ends, charge.service_to):
            gone, percent = todo.pop(0)
            on = start + timedelta(days=gone)
            charge = credited(charge, charge.unused(on) * percent // 100, on)
        earned = charge.earned(ends + timedelta(days=1))
        assert earned >= recognised
        recognised = earned
    assert recognised == charge.kept_minor
    assert charge.credited_vat(charge.kept_minor) + charge.credited_vat_minor == charge.vat_minor


@given(amounts, days, st.integers(2, 400), st.integers(1, 399), st.integers(0, 500))
def test_before_a_change_it_has_earned_no_more_than_by_then(
    net: int, start: date, length: int, changed: int, asked: int
) -> None:
    on = start + timedelta(days=min(changed, length - 1))
    charge = credited(made(net, start, start + timedelta(days=length)), 0, on)
    earned = charge.earned(start + timedelta(days=asked))
    assert 0 <= earned <= (charge.anchored_minor if start + timedelta(days=asked) <= on else net)


@pytest.mark.parametrize(
    ("late", "step"),
    [(-5, 0), (0, 0), (2, 0), (3, 1), (9, 1), (10, 2), (20, 2), (21, 3), (59, 3), (60, 4), (4000, 4)],
)
def test_dunning_is_a_matter_of_days(late: int, step: int) -> None:
    assert dunning(JAN_1, JAN_1 + timedelta(days=late)) is Dunning(step)


def test_a_charge_is_above_zero() -> None:
    with pytest.raises(Invalid, match="above zero"):
        NewCharge(
            merchant_id=1, source=ChargeSource.SERVICE, source_id=1, part="", description="", currency="EUR",
            net_minor=0,
            vat_ppm=0, charged_on=JAN_1, due_on=JAN_1, pays_by=PaysBy.NETTING,
        )  # fmt: skip


def test_the_last_of_a_month() -> None:
    assert [last_of_month(add_months(JAN_1, n)).day for n in range(4)] == [31, 28, 31, 30]
