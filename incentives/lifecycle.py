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

from marketplace.core import moves
from marketplace.core.moves import Rule, rule


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


_S, _P = State, Party

STARTED = (_S.LIVE, _S.PAUSED, _S.EXHAUSTED)
"""States of what has begun and not ended."""
BEFORE_START = (_S.DRAFT, _S.IN_REVIEW, _S.REJECTED, _S.APPROVED, _S.SCHEDULED)
OVER = (_S.ENDED, _S.CLOSING, _S.REVIEWED, _S.CANCELLED)
AGREED = (_S.APPROVED, _S.SCHEDULED, *STARTED)
"""States of what was approved and is not over: only by changes that are approved themselves it becomes another."""
FOR_APPROVERS = frozenset({Move.APPROVE, Move.REJECT})
"""Moves that only somebody who may approve makes."""

RULES: dict[Move, Rule[State, Party]] = {
    Move.SUBMIT: rule((_S.DRAFT,), _S.IN_REVIEW, _P.PLATFORM),
    Move.APPROVE: rule((_S.IN_REVIEW,), _S.APPROVED, _P.PLATFORM),
    Move.REJECT: rule((_S.IN_REVIEW,), _S.REJECTED, _P.PLATFORM),
    Move.REVISE: rule((_S.IN_REVIEW, _S.REJECTED), _S.DRAFT, _P.PLATFORM),
    Move.SCHEDULE: rule((_S.APPROVED,), _S.SCHEDULED, _P.PLATFORM),
    Move.START: rule((_S.SCHEDULED,), _S.LIVE, _P.CLOCK),
    Move.PAUSE: rule((_S.LIVE, _S.EXHAUSTED), _S.PAUSED, _P.PLATFORM, _P.CLOCK),
    Move.RESUME: rule((_S.PAUSED,), _S.LIVE, _P.PLATFORM),
    Move.EXHAUST: rule((_S.LIVE,), _S.EXHAUSTED, _P.CLOCK),
    Move.REFILL: rule((_S.EXHAUSTED,), _S.LIVE, _P.CLOCK),
    Move.END: rule(STARTED, _S.ENDED, _P.CLOCK),
    Move.CLOSE: rule((_S.ENDED,), _S.CLOSING, _P.CLOCK),
    Move.REVIEW: rule((_S.CLOSING,), _S.REVIEWED, _P.PLATFORM),
    Move.CANCEL: rule(BEFORE_START, _S.CANCELLED, _P.PLATFORM, _P.CLOCK),
}


def check_move(state: State, move: Move, party: Party, noun: str) -> State:
    """The state that the move leads to. Raises as `moves.checked` does."""
    return moves.checked(RULES, state, move, party, noun)


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
    return moves.open_to(RULES, state, party)
