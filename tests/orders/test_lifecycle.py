"""The table of moves: what it does not name is refused, and no order is stuck."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demand.fulfilment.model import RETURN_RULES, ReturnMove, ReturnState, check_return_move
from demand.lifecycle import ENDED, RULES, UNDELIVERED, Move, Party, check_move, moves_from
from demand.model import OrderState
from marketplace.core.errors import Conflict, Forbidden

STORED = [state for state in OrderState if state is not OrderState.SETTLED]
LIFE = [OrderState.PLACED, *UNDELIVERED, OrderState.DELIVERED, *ENDED]


@given(st.sampled_from(STORED), st.sampled_from(Move), st.sampled_from(Party), st.sampled_from(STORED))
def test_only_what_the_table_names_succeeds(state: OrderState, move: Move, party: Party, target: OrderState) -> None:
    rule = RULES.get((move, party))
    if rule is None:
        with pytest.raises(Forbidden, match=party):
            check_move(state, move, party, target)
    elif state not in rule.sources or target not in rule.targets or LIFE.index(target) < LIFE.index(state):
        with pytest.raises(Conflict, match="state"):
            check_move(state, move, party, target)
    else:
        assert check_move(state, move, party, target) is target


@given(st.sampled_from(Move), st.sampled_from(Party), st.sampled_from(STORED))
def test_a_settled_order_moves_as_a_delivered_one(move: Move, party: Party, target: OrderState) -> None:
    outcomes = []
    for state in (OrderState.DELIVERED, OrderState.SETTLED):
        try:
            outcomes.append(str(check_move(state, move, party, target)))
        except (Conflict, Forbidden) as refused:
            outcomes.append(type(refused).__name__)
    assert outcomes[0] == outcomes[1]
    assert moves_from(OrderState.SETTLED, party) == moves_from(OrderState.DELIVERED, party)


@pytest.mark.parametrize("state", STORED)
def test_every_state_but_the_last_ones_has_a_way_on(state: OrderState) -> None:
    onward = {
        target
        for (move, party), rule in RULES.items()
        if state in rule.sources
        for target in rule.targets
        if LIFE.index(target) > LIFE.index(state) and check_move(state, move, party, target)
    }
    assert bool(onward) is (state not in ENDED)


def test_whoever_waits_is_not_the_only_one_who_can_go_on() -> None:
    """What is left undone by merchant and buyer the platform can do, or the clock."""
    for state in STORED:
        if state not in ENDED:
            assert moves_from(state, Party.PLATFORM) or moves_from(state, Party.CLOCK)


def test_a_buyer_changes_its_mind_only_until_the_merchant_has_taken_the_order_on() -> None:
    assert Move.CANCEL in moves_from(OrderState.PAID, Party.BUYER)
    for state in (OrderState.ACCEPTED, OrderState.FULFILLING, OrderState.PARTLY_DELIVERED, OrderState.DELIVERED):
        assert not {Move.CANCEL, Move.CANCEL_PART} & set(moves_from(state, Party.BUYER))


def test_shipping_the_rest_does_not_undo_a_delivery() -> None:
    with pytest.raises(Conflict):
        check_move(OrderState.PARTLY_DELIVERED, Move.SHIP, Party.MERCHANT, OrderState.FULFILLING)


@given(st.sampled_from(ReturnState), st.sampled_from(ReturnMove), st.sampled_from(Party))
def test_returns_have_a_table_too(state: ReturnState, move: ReturnMove, party: Party) -> None:
    sources, parties = RETURN_RULES[move]
    if party not in parties:
        with pytest.raises(Forbidden):
            check_return_move(state, move, party)
    elif state not in sources:
        with pytest.raises(Conflict):
            check_return_move(state, move, party)
    else:
        check_return_move(state, move, party)
