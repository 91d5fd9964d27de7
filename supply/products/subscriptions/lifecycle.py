"""The life of a subscription: a table of allowed moves and who may make them. Pure.

    trialing -> active <-> leaving, active and leaving <-> suspended, and out of every state: ended
    trialing -> trial_ended -> active

A trial costs nothing. Leaving is paid until the end of its period; suspended is not charged, and begins a new period
when it has recovered.
"""

from enum import StrEnum

import msgspec

from marketplace.core.errors import Conflict, Forbidden
from supply.products.subscriptions.model import SubscriptionState


class Move(StrEnum):
    CONVERT = "convert"
    EXPIRE = "expire"
    CHANGE = "change"
    RENEW = "renew"
    LEAVE = "leave"
    STAY = "stay"
    CANCEL = "cancel"
    END = "end"
    SUSPEND = "suspend"
    RECOVER = "recover"


class By(StrEnum):
    """Who makes a move. `clock`: a day that has come, or what was paid or not paid by it."""

    MERCHANT = "merchant"
    PLATFORM = "platform"
    CLOCK = "clock"


class Rule(msgspec.Struct, frozen=True):
    """From these states a move leads to that one, None: to the same, when one of these makes it."""

    sources: frozenset[SubscriptionState]
    target: SubscriptionState | None
    by: frozenset[By]


_S = SubscriptionState
_PEOPLE = (By.MERCHANT, By.PLATFORM)


def _rule(sources: tuple[SubscriptionState, ...], target: SubscriptionState | None, by: tuple[By, ...]) -> Rule:
    return Rule(frozenset(sources), target, frozenset(by))


RULES: dict[Move, Rule] = {
    Move.CONVERT: _rule((_S.TRIALING, _S.TRIAL_ENDED), _S.ACTIVE, (*_PEOPLE, By.CLOCK)),
    Move.EXPIRE: _rule((_S.TRIALING,), _S.TRIAL_ENDED, (By.CLOCK,)),
    Move.CHANGE: _rule((_S.TRIALING, _S.ACTIVE), None, (*_PEOPLE, By.CLOCK)),
    Move.RENEW: _rule((_S.ACTIVE,), _S.ACTIVE, (By.CLOCK,)),
    Move.LEAVE: _rule((_S.ACTIVE,), _S.LEAVING, _PEOPLE),
    Move.STAY: _rule((_S.LEAVING,), _S.ACTIVE, _PEOPLE),
    Move.CANCEL: _rule((_S.TRIALING, _S.TRIAL_ENDED, _S.ACTIVE, _S.LEAVING, _S.SUSPENDED), _S.ENDED, _PEOPLE),
    Move.END: _rule((_S.LEAVING, _S.SUSPENDED), _S.ENDED, (By.CLOCK,)),
    Move.SUSPEND: _rule((_S.ACTIVE, _S.LEAVING), _S.SUSPENDED, (By.PLATFORM, By.CLOCK)),
    Move.RECOVER: _rule((_S.SUSPENDED,), _S.ACTIVE, (By.PLATFORM, By.CLOCK)),
}


def check_move(state: SubscriptionState, move: Move, by: By) -> SubscriptionState:
    """The state that the move leads to. Raises Forbidden for who never makes it, Conflict for a state without it."""
    rule = RULES[move]
    if by not in rule.by:
        raise Forbidden(f"the {by} may not {move} a subscription")
    if state not in rule.sources:
        allowed = ", ".join(sorted(rule.sources))
        raise Conflict(f"state: the subscription is {state}; {move} needs one that is {allowed}", state=state.value)
    return rule.target or state
