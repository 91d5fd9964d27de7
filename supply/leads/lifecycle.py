"""The life of a lead: a table of allowed moves. Pure.

    new -> pooled -> claimed -> contacted -> visited -> negotiating -> signed -> handed over

Steps may be left out, but none is taken back save a visit that does not count; out of every held state a lead goes
back to its pool, released by somebody or recycled by the clock. A lead that was lost may begin anew; one that was
merged lives on in another.
"""

from enum import StrEnum

import msgspec

from marketplace.core.errors import Conflict
from supply.leads.model import HELD, LeadState


class Move(StrEnum):
    POOL = "pool"
    CLAIM = "claim"
    ASSIGN = "assign"
    CONTACT = "contact"
    VISIT = "visit"
    UNVISIT = "unvisit"
    NEGOTIATE = "negotiate"
    SIGN = "sign"
    HAND_OVER = "hand_over"
    LOSE = "lose"
    REOPEN = "reopen"
    RELEASE = "release"
    RECYCLE = "recycle"
    MERGE = "merge"


class Rule(msgspec.Struct, frozen=True):
    sources: frozenset[LeadState]
    target: LeadState


_S = LeadState
_OPEN = HELD | {_S.NEW, _S.POOLED}

RULES: dict[Move, Rule] = {
    Move.POOL: Rule(frozenset({_S.NEW}), _S.POOLED),
    Move.CLAIM: Rule(frozenset({_S.POOLED}), _S.CLAIMED),
    Move.ASSIGN: Rule(frozenset({_S.NEW, _S.POOLED}), _S.CLAIMED),
    Move.CONTACT: Rule(frozenset({_S.CLAIMED}), _S.CONTACTED),
    Move.VISIT: Rule(frozenset({_S.CLAIMED, _S.CONTACTED}), _S.VISITED),
    Move.UNVISIT: Rule(frozenset({_S.VISITED}), _S.CLAIMED),
    Move.NEGOTIATE: Rule(frozenset({_S.CLAIMED, _S.CONTACTED, _S.VISITED}), _S.NEGOTIATING),
    Move.SIGN: Rule(_OPEN, _S.SIGNED),
    Move.HAND_OVER: Rule(frozenset({_S.SIGNED}), _S.HANDED_OVER),
    Move.LOSE: Rule(_OPEN, _S.LOST),
    Move.REOPEN: Rule(frozenset({_S.LOST}), _S.NEW),
    Move.RELEASE: Rule(HELD, _S.POOLED),
    Move.RECYCLE: Rule(HELD, _S.POOLED),
    Move.MERGE: Rule(_OPEN | {_S.LOST}, _S.MERGED),
}

BY_REPS = frozenset({Move.CONTACT, Move.VISIT, Move.NEGOTIATE, Move.SIGN, Move.HAND_OVER, Move.LOSE, Move.RELEASE})
"""What a rep may do with a lead of its own; the others are for managers, the house or the clock."""


def check_move(state: LeadState, move: Move) -> LeadState:
    """The state that the move leads to. Raises Conflict for a state without it."""
    rule = RULES[move]
    if state not in rule.sources:
        allowed = ", ".join(sorted(rule.sources))
        raise Conflict(f"state: the lead is {state}; {move} needs one that is {allowed}", state=state.value)
    return rule.target
