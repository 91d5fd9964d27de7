"""The life of a merchant's order: a table of allowed moves and who may make them. Pure.

    placed -> paid -> accepted -> fulfilling -> partly_delivered -> delivered -> (settled) -> returned
    and out of every state before delivery: cancelled

No move leads back to an earlier state; a part that is cancelled or comes back leaves the order where it is, or ends it.
Settled is not stored: a delivered order is settled once it no longer waits for settlement (`demand.store`).
"""

from enum import StrEnum

import msgspec

from demand.model import OrderState
from marketplace.core.errors import Conflict, Forbidden


class Party(StrEnum):
    """Who makes a move. `clock`: a delay that has passed; `processor`: what the payment processor says."""

    BUYER = "buyer"
    MERCHANT = "merchant"
    PLATFORM = "platform"
    PROCESSOR = "processor"
    CLOCK = "clock"


def party_of(merchant_id: int | None) -> Party:
    """As whom people act on orders: a merchant's own people, or the platform's, who have none."""
    return Party.PLATFORM if merchant_id is None else Party.MERCHANT


class Move(StrEnum):
    PAY = "pay"
    EXPIRE = "expire"
    ACCEPT = "accept"
    SHIP = "ship"
    DELIVER = "deliver"
    COMPLETE = "complete"
    CANCEL = "cancel"
    CANCEL_PART = "cancel_part"
    RETURN = "return"
    RETURN_PART = "return_part"
    REFUND = "refund"


class Rule(msgspec.Struct, frozen=True):
    """From these states a move leads to one of those states, when one of these parties makes it."""

    sources: frozenset[OrderState]
    targets: tuple[OrderState, ...]
    parties: frozenset[Party]


def _rule(sources: tuple[OrderState, ...], targets: tuple[OrderState, ...], parties: tuple[Party, ...]) -> Rule:
    return Rule(frozenset(sources), targets, frozenset(parties))


_S, _P = OrderState, Party

UNDELIVERED = (_S.PAID, _S.ACCEPTED, _S.FULFILLING, _S.PARTLY_DELIVERED)
"""States of an order that is paid and not wholly delivered: what is left of it is the merchant's pending balance."""

ENDED = (_S.CANCELLED, _S.RETURNED)
"""States that nothing leads out of."""

CONSEQUENCES = frozenset({Move.PAY, Move.EXPIRE, Move.REFUND})
"""Moves that follow from a payment, from none, or from a refund: nobody asks for them by name."""

_ORDER_OF_LIFE = (_S.PLACED, *UNDELIVERED, _S.DELIVERED, *ENDED)

RULES: dict[tuple[Move, Party], Rule] = {
    (move, party): rule
    for move, rule in (
        (Move.PAY, _rule((_S.PLACED,), (_S.PAID,), (_P.PROCESSOR, _P.PLATFORM))),
        (Move.EXPIRE, _rule((_S.PLACED,), (_S.CANCELLED,), (_P.CLOCK, _P.PROCESSOR))),
        (Move.ACCEPT, _rule((_S.PAID,), (_S.ACCEPTED,), (_P.MERCHANT, _P.PLATFORM))),
        (
            Move.SHIP,
            _rule(
                (_S.PAID, _S.ACCEPTED, _S.FULFILLING, _S.PARTLY_DELIVERED),
                (_S.FULFILLING, _S.PARTLY_DELIVERED),
                (_P.MERCHANT, _P.PLATFORM),
            ),
        ),
        (
            Move.DELIVER,
            _rule(
                (_S.FULFILLING, _S.PARTLY_DELIVERED),
                (_S.PARTLY_DELIVERED, _S.DELIVERED),
                (_P.MERCHANT, _P.BUYER, _P.PLATFORM),
            ),
        ),
        (
            Move.COMPLETE,
            _rule((_S.FULFILLING, _S.PARTLY_DELIVERED), (_S.DELIVERED,), (_P.CLOCK, _P.BUYER, _P.PLATFORM)),
        ),
        # A buyer changes its mind until the merchant has taken the order on; after that it asks the merchant.
        (Move.CANCEL, _rule((_S.PLACED, _S.PAID), (_S.CANCELLED,), (_P.BUYER,))),
        (
            Move.CANCEL,
            _rule((_S.PAID, _S.ACCEPTED, _S.FULFILLING), (_S.CANCELLED,), (_P.MERCHANT,)),
        ),
        (
            Move.CANCEL,
            _rule((_S.PLACED, *UNDELIVERED), (_S.CANCELLED,), (_P.PLATFORM, _P.PROCESSOR)),
        ),
        # Units not shipped yet. When all that is left has been delivered by then, the order is delivered.
        (Move.CANCEL_PART, _rule((_S.PAID,), (_S.PAID,), (_P.BUYER,))),
        (
            Move.CANCEL_PART,
            _rule(UNDELIVERED, (*UNDELIVERED, _S.DELIVERED), (_P.MERCHANT, _P.PLATFORM)),
        ),
        (Move.RETURN_PART, _rule((_S.DELIVERED,), (_S.DELIVERED,), (_P.MERCHANT, _P.PLATFORM))),
        # Whatever is given back in full before it is settled has come to nothing; the parties are those of the refund.
        (
            Move.REFUND,
            _rule(
                (*UNDELIVERED, _S.DELIVERED),
                (_S.CANCELLED,),
                (_P.BUYER, _P.MERCHANT, _P.PLATFORM, _P.PROCESSOR, _P.CLOCK),
            ),
        ),
        (Move.RETURN, _rule((_S.DELIVERED,), (_S.RETURNED,), (_P.MERCHANT, _P.PLATFORM, _P.PROCESSOR))),
    )
    for party in rule.parties
}


def check_move(state: OrderState, move: Move, party: Party, target: OrderState | None = None) -> OrderState:
    """The state that the move leads to: `target`, or the only one there is.

    Raises Forbidden when this party never makes such a move, Conflict when the order's state does not allow it.
    A settled order moves as a delivered one.
    """
    rule = RULES.get((move, party))
    if rule is None:
        raise Forbidden(f"the {party} may not {move} an order")
    stored = OrderState.DELIVERED if state is OrderState.SETTLED else state
    if stored not in rule.sources:
        allowed = ", ".join(sorted(rule.sources))
        raise Conflict(f"state: the order is {state}; the {party} may {move} one that is {allowed}", state=state.value)
    if target is None:
        [target] = rule.targets
    if target not in rule.targets or _ORDER_OF_LIFE.index(target) < _ORDER_OF_LIFE.index(stored):
        raise Conflict(f"state: {move} does not lead from {state} to {target}", state=state.value)
    return target


def moves_from(state: OrderState, party: Party) -> list[Move]:
    """What the party may do with an order in this state, in the order of life."""
    stored = OrderState.DELIVERED if state is OrderState.SETTLED else state
    return [move for (move, by), rule in RULES.items() if by is party and stored in rule.sources]
