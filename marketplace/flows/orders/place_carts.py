"""Carts as they come in: those that come at the same time are placed in one transaction.

What it costs to place a cart is for the most part what two statements and a commit cost, whatever they hold. One cart
takes nothing away from another: those that cannot be placed with others are placed by themselves, as if alone.
"""

from collections.abc import Sequence

from marketplace.core.combining import Combining
from marketplace.core.db import WORKER, Database
from marketplace.core.errors import AppError
from marketplace.core.idempotency import Answer, Ticket
from marketplace.flows.orders.place_order import PlaceAlone, is_plain, place_order, place_together
from marketplace.flows.orders.placement import PlaceOrder

AT_ONCE = 2
"""Transactions of this process in which carts are placed together."""

MOST = 16
"""Carts of one transaction."""

_Asked = tuple[Ticket, PlaceOrder]


class Checkouts:
    """Where carts are placed: one for each process."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._together = Combining[_Asked, Answer | AppError | None](
            self._place_some, at_once=AT_ONCE, most=MOST, fits=_fits
        )

    async def place(self, ticket: Ticket, cmd: PlaceOrder) -> Answer:
        """Place a cart and store the answer under the request's key. Raises as `place_order`."""
        outcome = None
        if is_plain(cmd) and not self._db.citus:
            outcome = await self._together.ask((ticket, cmd))
        if isinstance(outcome, AppError):
            raise outcome
        return outcome or await self._place_alone(ticket, cmd)

    async def _place_alone(self, ticket: Ticket, cmd: PlaceOrder) -> Answer:
        return await self._db.write(WORKER, ticket.actor, place_order, ticket, cmd, citus=self._db.citus)

    async def _place_some(self, asked: Sequence[_Asked]) -> Sequence[Answer | AppError | None]:
        if len(asked) == 1:
            try:
                return [await self._place_alone(*asked[0])]
            except AppError as refusal:
                return [refusal]
        try:
            return await self._db.write(WORKER, asked[0][0].actor, place_together, asked)
        except PlaceAlone:
            return [None] * len(asked)


def _fits(taken: Sequence[_Asked], one: _Asked) -> bool:
    """Whether a cart may be placed with others: it is asked for by the same caller, at the same processor, for another
    buyer and under another key. Locks keep twins apart only where their transactions differ."""
    ticket, cmd = one
    return all(
        (ticket.actor, cmd.processor) == (other.actor, of.processor)
        and ticket.key != other.key
        and cmd.buyer_id != of.buyer_id
        for other, of in taken
    )
