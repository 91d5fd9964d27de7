"""The life of a merchant: a table of allowed moves. Pure.

    onboarding -> live <-> suspended, and out of every state: closed

Only a live merchant sells. What was sold before is delivered, settled and paid whatever the state.
"""

from enum import StrEnum

import msgspec

from marketplace.core.errors import Conflict
from supply.model import MerchantState


class MerchantMove(StrEnum):
    GO_LIVE = "go_live"
    SUSPEND = "suspend"
    REINSTATE = "reinstate"
    CLOSE = "close"


class Rule(msgspec.Struct, frozen=True):
    """From these states a move leads to that one."""

    sources: frozenset[MerchantState]
    target: MerchantState


_S = MerchantState

RULES: dict[MerchantMove, Rule] = {
    MerchantMove.GO_LIVE: Rule(frozenset({_S.ONBOARDING}), _S.LIVE),
    MerchantMove.SUSPEND: Rule(frozenset({_S.LIVE}), _S.SUSPENDED),
    MerchantMove.REINSTATE: Rule(frozenset({_S.SUSPENDED}), _S.LIVE),
    MerchantMove.CLOSE: Rule(frozenset({_S.ONBOARDING, _S.LIVE, _S.SUSPENDED}), _S.CLOSED),
}


def check_move(state: MerchantState, move: MerchantMove) -> MerchantState:
    """The state that the move leads to. Raises Conflict when a merchant in `state` cannot make it."""
    rule = RULES[move]
    if state not in rule.sources:
        allowed = ", ".join(sorted(rule.sources))
        words = move.replace("_", " ")
        raise Conflict(f"state: the merchant is {state}; {words} needs one that is {allowed}", state=state.value)
    return rule.target


def moves_from(state: MerchantState) -> list[MerchantMove]:
    """The moves that a merchant in `state` can make."""
    return [move for move, rule in RULES.items() if state in rule.sources]
