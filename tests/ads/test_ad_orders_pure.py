"""The rules of insertion orders: who moves one, when a line is billed, how far it should be, what it may cost."""

from datetime import timedelta
from typing import get_args, get_type_hints

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.ads.lifecycle import AdParty
from billing.ads.model import Pricing
from billing.ads.orders.lifecycle import RULES, OrderMove, OrderState, check_move
from billing.ads.orders.model import (
    GRACE,
    SETTLES,
    LineState,
    OrderLine,
    allowed_units,
    billable,
    next_window,
    shortfall,
)
from marketplace.core.errors import Conflict, Forbidden
from marketplace.routes.ad_orders import OrderMoveBody
from tests.conftest import NOW

LINE = OrderLine(
    merchant_id=1, order_id=1, line_no=1, placement_id=1, pricing=Pricing.THOUSAND, product_id=1, categories=(),
    words=(), from_at=NOW, to_at=NOW + timedelta(days=40), quantity=10_000, list_price_minor=500, unit_price_minor=333,
    makes_good_line_no=None, state=LineState.RUNNING, shown=True, made_by="", decided_by=None, campaign_id=1,
    stopped_at=None, billed_through=None, bill_at=NOW, charged_units=0, charged_minor=0,
)  # fmt: skip
zones = st.sampled_from(["UTC", "Asia/Kolkata", "America/Sao_Paulo", "Pacific/Kiritimati"])


@given(st.sampled_from(OrderState), st.sampled_from(OrderMove), st.sampled_from(AdParty))
def test_a_move_is_made_by_its_party_from_its_states_alone(state: OrderState, what: OrderMove, party: AdParty) -> None:
    if party not in RULES[what].parties:
        with pytest.raises(Forbidden):
            check_move(state, what, party)
    elif state not in RULES[what].sources:
        with pytest.raises(Conflict):
            check_move(state, what, party)
    else:
        assert check_move(state, what, party) is RULES[what].target


def test_the_api_names_the_moves_that_the_house_asks_for() -> None:
    """The others are the clock's, or have a request of their own."""
    platforms = {what for what, rule in RULES.items() if AdParty.PLATFORM in rule.parties}
    assert set(get_args(get_type_hints(OrderMoveBody)["move"])) == platforms - {OrderMove.ACCEPT, OrderMove.MAKE_GOOD}


def test_every_state_can_be_reached_and_has_an_end() -> None:
    reached = {OrderState.OPPORTUNITY}
    for _ in OrderState:
        reached |= {rule.target for rule in RULES.values() if rule.sources & reached}
    assert reached == set(OrderState)
    ends = {state for state in OrderState if not any(state in rule.sources for rule in RULES.values())}
    assert ends == {OrderState.LOST, OrderState.CANCELLED}


@given(st.integers(0, 60 * 24 * 90), zones, st.integers(1, 120), st.none() | st.integers(0, 60 * 24 * 120))
def test_windows_follow_each_other_to_one_that_is_the_last(
    begins: int, zone: str, days: int, stopped: int | None
) -> None:
    from_at = NOW + timedelta(minutes=begins)
    stopped_at = None if stopped is None else from_at + timedelta(minutes=stopped)
    line = msgspec.structs.replace(LINE, from_at=from_at, to_at=from_at + timedelta(days=days), stopped_at=stopped_at)
    through = from_at
    for _ in range(9):
        window = next_window(line, zone)
        assert window.through > through
        assert window.bill_at == window.through + SETTLES
        assert window.through - through <= timedelta(days=32)
        line, through = msgspec.structs.replace(line, billed_through=window.through), window.through
        if window.last:
            assert window.through == line.ends_at + GRACE
            return
    raise AssertionError("there is no end to it")


@given(st.integers(1, 10**7), st.integers(1, 10**6), st.integers(-(10**6), 2 * 10**6))
def test_what_is_allowed_by_now_grows_to_the_whole(quantity: int, length: int, gone: int) -> None:
    to_at, now = NOW + timedelta(seconds=length), NOW + timedelta(seconds=gone)
    allowed = allowed_units(quantity, NOW, to_at, now)
    assert 0 <= allowed <= allowed_units(quantity, NOW, to_at, now + timedelta(seconds=1)) <= quantity
    assert allowed_units(quantity, NOW, to_at, to_at) == quantity
    assert gone > -3600 or allowed == 0


@given(st.integers(0, 12_000), st.lists(st.tuples(st.integers(1, 4_000), st.integers(1, 333)), max_size=4))
def test_a_line_and_its_make_goods_cost_no_more_than_was_agreed(
    delivered: int, made_good: list[tuple[int, int]]
) -> None:
    """Whatever is delivered of either, and whatever comes to be counted of the line itself afterwards."""
    units = billable(LINE, delivered, [LINE])
    line = msgspec.structs.replace(LINE, state=LineState.ENDED, charged_units=units, charged_minor=LINE.price(units))
    lines = [line]
    for number, (quantity, price) in enumerate(made_good, start=2):
        again = msgspec.structs.replace(
            LINE, line_no=number, makes_good_line_no=1, quantity=quantity, unit_price_minor=price
        )
        if quantity <= shortfall(line, lines):
            lines.append(msgspec.structs.replace(again, charged_units=quantity, charged_minor=again.price(quantity)))
    late = billable(line, 10**6, lines)
    assert late + sum(each.charged_units for each in lines[1:]) <= line.quantity
    assert line.price(late) + sum(each.charged_minor for each in lines[1:]) <= line.total_minor
