"""Shipments and returns: what they are, and who may do what with a return. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from demand.fulfilment.units import LineUnits
from demand.lifecycle import Party
from marketplace.core.errors import Conflict, Forbidden

COMPLETES_AFTER = timedelta(days=14)
"""How long after its last shipment an order counts as delivered, although nobody has said so."""

RETURNED_WITHIN = timedelta(days=30)
"""How long after the delivery a return may be asked for."""


class ReturnState(StrEnum):
    """requested -> approved -> refunded (or received, when nothing was left to give back); or refused; or cancelled."""

    REQUESTED = "requested"
    APPROVED = "approved"
    REFUSED = "refused"
    RECEIVED = "received"
    REFUNDED = "refunded"
    CANCELLED = "cancelled"


class ReturnMove(StrEnum):
    APPROVE = "approve"
    REFUSE = "refuse"
    RECEIVE = "receive"
    CANCEL = "cancel"


OPEN_RETURNS = (ReturnState.REQUESTED, ReturnState.APPROVED)
"""States in which the units of a return are spoken for and not back yet."""

_KEEPS = frozenset({Party.MERCHANT, Party.PLATFORM})
_ASKS = frozenset({Party.BUYER, Party.PLATFORM})

RETURN_RULES: dict[ReturnMove, tuple[frozenset[ReturnState], frozenset[Party]]] = {
    ReturnMove.APPROVE: (frozenset({ReturnState.REQUESTED}), _KEEPS),
    ReturnMove.REFUSE: (frozenset({ReturnState.REQUESTED}), _KEEPS),
    ReturnMove.RECEIVE: (frozenset({ReturnState.APPROVED}), _KEEPS),
    ReturnMove.CANCEL: (frozenset(OPEN_RETURNS), _ASKS),
}
"""From which states who may take a return further."""


class Shipment(msgspec.Struct, frozen=True, kw_only=True):
    """Units of an order that left together. delivered_at: when somebody said that they have arrived."""

    shipment_id: int
    carrier: str
    tracking: str
    shipped_at: datetime
    delivered_at: datetime | None
    lines: list[LineUnits]


class Return(msgspec.Struct, frozen=True, kw_only=True):
    """Units that a buyer sends back, and what became of that.

    note: what whoever asked has to say; decision_note: what whoever decided had to say. restock: the units went on the
    shelf again. refund_id: what was given back for them, if anything was left to give.
    """

    return_id: int
    order_id: int
    state: ReturnState
    initiator: Party
    reason: str
    note: str
    decision_note: str
    restock: bool
    refund_id: int | None
    requested_at: datetime
    decided_at: datetime | None
    received_at: datetime | None
    lines: list[LineUnits]


def spoken_for(returns: Sequence[Return]) -> dict[int, int]:
    """Units by line number that open returns are about."""
    units: dict[int, int] = {}
    for one in returns:
        if one.state in OPEN_RETURNS:
            for line in one.lines:
                units[line.line_no] = units.get(line.line_no, 0) + line.quantity
    return units


def check_may_ask(party: Party) -> None:
    """Raise Forbidden unless the party may ask for a return."""
    if party not in _ASKS:
        raise Forbidden(f"the {party} may not ask for a return")


def check_return_move(state: ReturnState, move: ReturnMove, party: Party) -> None:
    """Raise Forbidden when this party never makes such a move, Conflict when the return's state does not allow it."""
    sources, parties = RETURN_RULES[move]
    if party not in parties:
        raise Forbidden(f"the {party} may not {move} a return")
    if state not in sources:
        allowed = ", ".join(sorted(sources))
        raise Conflict(f"state: the return is {state}; one may {move} what is {allowed}", state=state.value)
