"""The life of campaigns and promotions: one table of allowed moves and who may make them. Pure.

    draft -> in_review -> approved -> scheduled -> live -> ended -> closing -> reviewed
    live <-> paused, live <-> exhausted, in_review -> rejected -> draft, and from before live: cancelled

Ended takes no new event; what was promised can still be earned and vest. Closing takes only refunds, until they change
nothing any more. Nothing leads out of reviewed and cancelled.
"""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

import msgspec

from marketplace.core.errors import Conflict, Forbidden


class State(StrEnum):
    DRAFT = "draft"
    IN_REVIEW = "in_review"
    APPROVED = "approved"
    SCHEDULED = "scheduled"
    LIVE = "live"
    PAUSED = "paused"
    EXHAUSTED = "exhausted"
    ENDED = "ended"
    CLOSING = "closing"
    REVIEWED = "reviewed"
    REJECTED = "rejected"
    CANCELLED = "cancelled"


class Move(StrEnum):
    SUBMIT = "submit"
    APPROVE = "approve"
    REJECT = "reject"
    REVISE = "revise"
    SCHEDULE = "schedule"
    START = "start"
    PAUSE = "pause"
    RESUME = "resume"
    EXHAUST = "exhaust"
    REFILL = "refill"
    END = "end"
    CLOSE = "close"
    REVIEW = "review"
    CANCEL = "cancel"


class Party(StrEnum):
    """Who makes a move. `clock`: an instant that has come, a budget that is used up, a stop rule that holds."""

    PLATFORM = "platform"
    CLOCK = "clock"


class Rule(msgspec.Struct, frozen=True):
    """From these states a move leads to that one, when one of these parties makes it."""

    sources: frozenset[State]
    target: State
    parties: frozenset[Party]


def _rule(sources: tuple[State, ...], target: State, *parties: Party) -> Rule:
    return Rule(frozenset(sources), target, frozenset(parties))


_S, _P = State, Party

STARTED = (_S.LIVE, _S.PAUSED, _S.EXHAUSTED)
"""States of what has begun and not ended."""
BEFORE_START = (_S.DRAFT, _S.IN_REVIEW, _S.REJECTED, _S.APPROVED, _S.SCHEDULED)
OVER = (_S.ENDED, _S.CLOSING, _S.REVIEWED, _S.CANCELLED)
AGREED = (_S.APPROVED, _S.SCHEDULED, *STARTED)
"""States of what was approved and is not over: only by changes that are approved themselves it becomes another."""
FOR_APPROVERS = frozenset({Move.APPROVE, Move.REJECT})
"""Moves that only somebody who may approve makes."""

RULES: dict[Move, Rule] = {
    Move.SUBMIT: _rule((_S.DRAFT,), _S.IN_REVIEW, _P.PLATFORM),
    Move.APPROVE: _rule((_S.IN_REVIEW,), _S.APPROVED, _P.PLATFORM),
    Move.REJECT: _rule((_S.IN_REVIEW,), _S.REJECTED, _P.PLATFORM),
    Move.REVISE: _rule((_S.IN_REVIEW, _S.REJECTED), _S.DRAFT, _P.PLATFORM),
    Move.SCHEDULE: _rule((_S.APPROVED,), _S.SCHEDULED, _P.PLATFORM),
    Move.START: _rule((_S.SCHEDULED,), _S.LIVE, _P.CLOCK),
    Move.PAUSE: _rule((_S.LIVE, _S.EXHAUSTED), _S.PAUSED, _P.PLATFORM, _P.CLOCK),
    Move.RESUME: _rule((_S.PAUSED,), _S.LIVE, _P.PLATFORM),
    Move.EXHAUST: _rule((_S.LIVE,), _S.EXHAUSTED, _P.CLOCK),
    Move.REFILL: _rule((_S.EXHAUSTED,), _S.LIVE, _P.CLOCK),
    Move.END: _rule(STARTED, _S.ENDED, _P.CLOCK),
    Move.CLOSE: _rule((_S.ENDED,), _S.CLOSING, _P.CLOCK),
    Move.REVIEW: _rule((_S.CLOSING,), _S.REVIEWED, _P.PLATFORM),
    Move.CANCEL: _rule(BEFORE_START, _S.CANCELLED, _P.PLATFORM, _P.CLOCK),
}


def check_move(state: State, move: Move, party: Party, noun: str) -> State:
    """The state that the move leads to.

    Raises Forbidden when this party never makes such a move, Conflict when the state of the `noun` does not allow it.
    """
    rule = RULES[move]
    if party not in rule.parties:
        raise Forbidden(f"move: the {party} may not {move} a {noun}")
    if state not in rule.sources:
        allowed = ", ".join(each for each in State if each in rule.sources)
        raise Conflict(f"state: the {noun} is {state}; {move} needs one that is {allowed}", state=state.value)
    return rule.target


class Clockwork(msgspec.Struct, frozen=True, kw_only=True):
    """What the clock looks at. vested: nothing is left that was promised and can still be earned.

    above: the state of a promotion's campaign. exhausted: a budget for all of it has refused something since it last
    got anything.
    """

    state: State
    starts_at: datetime
    ends_at: datetime | None
    vested: bool
    exhausted: bool
    above: State | None = None


def due_move(at: Clockwork, now: datetime) -> tuple[Move, str] | None:
    """The move that the clock makes now, and why."""
    over = at.ends_at is not None and at.ends_at <= now
    gone = at.above in OVER
    found: tuple[Move, str] | None = None
    match at.state:
        case state if gone and state in BEFORE_START:
            found = Move.CANCEL, "its campaign is over"
        case State.SCHEDULED if over:
            found = Move.CANCEL, "its time was over before it began"
        case State.SCHEDULED if at.starts_at <= now and (at.above is None or at.above in STARTED):
            found = Move.START, "its time has come"
        case State.LIVE | State.PAUSED | State.EXHAUSTED if over or gone:
            found = Move.END, "its time is over" if over else "its campaign is over"
        case State.LIVE if at.exhausted:
            found = Move.EXHAUST, "its budget is used up"
        case State.EXHAUSTED if not at.exhausted:
            found = Move.REFILL, "there is something to give again"
        case State.ENDED if at.vested:
            found = Move.CLOSE, "all that was promised is decided"
    return found


def moves_from(state: State, party: Party) -> Sequence[Move]:
    """What the party may do with a thing in this state."""
    return [move for move, rule in RULES.items() if party in rule.parties and state in rule.sources]
