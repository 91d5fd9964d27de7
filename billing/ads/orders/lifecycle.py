"""The life of an insertion order: a table of allowed moves and who may make them. Pure.

opportunity -> in_review -> quoted -> ordered -> delivering -> closed; what is not agreed on ends as lost, what is
called off as cancelled. A make-good opens a closed order again.
"""

from enum import StrEnum

from billing.ads.lifecycle import AdParty
from marketplace.core import moves
from marketplace.core.moves import Rule, rule


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


_S, _M, _P = OrderState, OrderMove, AdParty


RULES: dict[OrderMove, Rule[OrderState, AdParty]] = {
    _M.SUBMIT: rule((_S.OPPORTUNITY,), _S.IN_REVIEW, _P.PLATFORM),
    _M.APPROVE: rule((_S.IN_REVIEW,), _S.QUOTED, _P.PLATFORM),
    _M.REJECT: rule((_S.IN_REVIEW,), _S.OPPORTUNITY, _P.PLATFORM),
    _M.REVISE: rule((_S.QUOTED,), _S.OPPORTUNITY, _P.PLATFORM),
    _M.LOSE: rule((_S.OPPORTUNITY, _S.IN_REVIEW, _S.QUOTED), _S.LOST, _P.PLATFORM),
    _M.EXPIRE: rule((_S.QUOTED,), _S.LOST, _P.CLOCK),
    _M.ACCEPT: rule((_S.QUOTED,), _S.ORDERED, _P.MERCHANT, _P.PLATFORM),
    _M.BEGIN: rule((_S.ORDERED,), _S.DELIVERING, _P.CLOCK),
    _M.MAKE_GOOD: rule((_S.DELIVERING, _S.CLOSED), _S.DELIVERING, _P.PLATFORM),
    _M.CLOSE: rule((_S.DELIVERING,), _S.CLOSED, _P.CLOCK),
    _M.CANCEL: rule((_S.ORDERED, _S.DELIVERING), _S.CANCELLED, _P.PLATFORM),
}

NEED_REASON = frozenset({_M.REJECT, _M.REVISE, _M.LOSE, _M.CANCEL})
"""Moves that somebody has to say why of."""


def check_move(state: OrderState, move: OrderMove, party: AdParty) -> OrderState:
    """The state that the move leads to. Raises as `moves.checked` does."""
    return moves.checked(RULES, state, move, party, "ad order")
