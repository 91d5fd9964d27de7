"""The table of a subscription's moves: every state, move and mover."""

import pytest

from marketplace.core.errors import Conflict, Forbidden
from supply.products.subscriptions.lifecycle import RULES, By, Move, check_move
from supply.products.subscriptions.model import SubscriptionState


@pytest.mark.parametrize("move", Move)
@pytest.mark.parametrize("state", SubscriptionState)
@pytest.mark.parametrize("by", By)
def test_only_the_table_moves_a_subscription(state: SubscriptionState, move: Move, by: By) -> None:
    rule = RULES[move]
    if by not in rule.by:
        with pytest.raises(Forbidden, match=f"the {by} may not {move}"):
            check_move(state, move, by)
    elif state not in rule.sources:
        with pytest.raises(Conflict, match=f"the subscription is {state}"):
            check_move(state, move, by)
    else:
        assert check_move(state, move, by) is (rule.target or state)


def test_nothing_leads_out_of_the_end() -> None:
    assert not [move for move, rule in RULES.items() if SubscriptionState.ENDED in rule.sources]
