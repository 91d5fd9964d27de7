"""The life of an insertion order: a table of allowed moves and who may make them. Pure.

opportunity -> in_review -> quoted -> ordered -> delivering -> closed; what is not agreed on ends as lost, what is
called off as cancelled. A make-good opens a closed order again.
"""

from enum import StrEnum

import msgspec

from billing.ads.lifecycle import AdParty
from marketplace.core.errors import Conflict, Forbidden


class OrderState(StrEnum):
    OPPORTUNITY = "opportunity"
    IN_REVIEW = "in_review"
    QUOTED = "quoted"
    ORDERED = "ordered"
    DELIVERING = "delivering"
    CLOSED = "closed"
    LOST = "lost"
    CANCELLED = "cancelled"


class OrderMove(StrEnum):
    SUBMIT = "submit"
    APPROVE = "approve"
    REJECT = "reject"
    REVISE = "revise"
    LOSE = "lose"
    EXPIRE = "expire"
    ACCEPT = "accept"
    BEGIN = "begin"
    MAKE_GOOD = "make_good"
    CLOSE = "close"
    CANCEL = "cancel"


class Rule(msgspec.Struct, frozen=True):
    """From these states a move leads to that one, when one of these parties makes it."""

    sources: frozenset[OrderState]
    target: OrderState
    parties: frozenset[AdParty]


_S, _M, _P = OrderState, OrderMove, AdParty


def _rule(sources: tuple[OrderState, ...], target: OrderState, *parties: AdParty) -> Rule:
    return Rule(frozenset(sources), target, frozenset(parties))


RULES: dict[OrderMove, Rule] = {
    _M.SUBMIT: _rule((_S.OPPORTUNITY,), _S.IN_REVIEW, _P.PLATFORM),
    _M.APPROVE: _rule((_S.IN_REVIEW,), _S.QUOTED, _P.PLATFORM),
    _M.REJECT: _rule((_S.IN_REVIEW,), _S.OPPORTUNITY, _P.PLATFORM),
    _M.REVISE: _rule((_S.QUOTED,), _S.OPPORTUNITY, _P.PLATFORM),
    _M.LOSE: _rule((_S.OPPORTUNITY, _S.IN_REVIEW, _S.QUOTED), _S.LOST, _P.PLATFORM),
    _M.EXPIRE: _rule((_S.QUOTED,), _S.LOST, _P.CLOCK),
    _M.ACCEPT: _rule((_S.QUOTED,), _S.ORDERED, _P.MERCHANT, _P.PLATFORM),
    _M.BEGIN: _rule((_S.ORDERED,), _S.DELIVERING, _P.CLOCK),
    _M.MAKE_GOOD: _rule((_S.DELIVERING, _S.CLOSED), _S.DELIVERING, _P.PLATFORM),
    _M.CLOSE: _rule((_S.DELIVERING,), _S.CLOSED, _P.CLOCK),
    _M.CANCEL: _rule((_S.ORDERED, _S.DELIVERING), _S.CANCELLED, _P.PLATFORM),
}

NEED_REASON = frozenset({_M.REJECT, _M.REVISE, _M.LOSE, _M.CANCEL})
"""Moves that somebody has to say why of."""


def check_move(state: OrderState, move: OrderMove, party: AdParty) -> OrderState:
    """The state that the move leads to.

    Raises Forbidden when this party never makes such a move, Conflict when the order's state does not allow it.
    """
    rule = RULES[move]
    if party not in rule.parties:
        raise Forbidden(f"move: the {party} may not {move} an ad order")
    if state not in rule.sources:
        allowed = ", ".join(sorted(rule.sources))
        raise Conflict(f"state: the ad order is {state}; {move} needs one that is {allowed}", state=state.value)
    return rule.target
