"""Carts as they come in: those that come at the same time are placed in one transaction.

What it costs to place a cart is for the most part what two statements and a commit cost, whatever they hold. One cart
takes nothing away from another: those that cannot be placed with others are placed by themselves, as if alone.
"""

import asyncio
from collections.abc import Sequence

import structlog
from sqlalchemy.exc import TimeoutError as PoolTimeout

from marketplace.core.combining import Combining
from marketplace.core.db import WAIT_S, Database, Role, Scope, is_lost
from marketplace.core.errors import AppError
from marketplace.core.idempotency import Answer, Ticket
from marketplace.flows.orders.place_order import PlaceAlone, is_plain, place_order, place_together
from marketplace.flows.orders.placement import PlaceOrder

AT_ONCE = 1
"""Transactions of this process in which carts are placed together. Two would hold half as many each, at the same cost
each."""

MOST = 16
"""Carts of one transaction."""

PASSED_BY = 50
"""Carts that are placed alone without being tried after none of several could be placed together."""

_ACTOR = "checkouts"
"""Who places carts of several callers; what is stored names each one's own."""

_PLACING = Scope(Role.WORKER, plans_once=True)
_Asked = tuple[Ticket, PlaceOrder]

log = structlog.get_logger(__name__)


class Checkouts:
    """Where carts are placed: one for each process."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._pass_by = 0
        self._together = Combining[_Asked, Answer | AppError | None](
            self._place_some, at_once=AT_ONCE, most=MOST, fits=_fits
        )

    async def place(self, ticket: Ticket, cmd: PlaceOrder) -> Answer:
        """Place a cart and store the answer under the request's key. Raises as `place_order`."""
        outcome: Answer | AppError | None = None
        if self._pass_by:
            self._pass_by -= 1
        elif is_plain(cmd) and not self._db.citus:
            outcome = await self._ask((ticket, cmd))
        if isinstance(outcome, AppError):
            raise outcome
        if outcome is not None:
            return outcome
        return await self._db.write(_PLACING, ticket.actor, place_order, ticket, cmd, citus=self._db.citus)

    async def _ask(self, asked: _Asked) -> Answer | AppError | None:
        try:
            async with asyncio.timeout(WAIT_S):
                return await self._together.ask(asked)
        except TimeoutError as fault:
            raise PoolTimeout(f"no carts were placed within {WAIT_S} seconds") from fault

    async def _place_some(self, asked: Sequence[_Asked]) -> Sequence[Answer | AppError | None]:
        """Whatever keeps them from being placed together is no other cart's matter: each is tried by itself then."""
        outcomes: Sequence[Answer | AppError | None] = [None] * len(asked)
        try:
            outcomes = await self._db.write(_PLACING, _ACTOR, place_together, asked)
        except PlaceAlone:
            return outcomes
        except Exception as fault:
            if is_lost(fault):
                raise
            log.warning("carts not placed together", carts=len(asked), error=repr(fault))
            return outcomes
        if len(asked) > 1 and not any(outcomes):
            self._pass_by = PASSED_BY
        return outcomes


def _fits(taken: Sequence[_Asked], one: _Asked) -> bool:
    """Whether a cart may be placed with others: it is paid at the same processor, for another buyer and under another
    key. Locks keep twins apart only where their transactions differ."""
    ticket, cmd = one
    return all(
        cmd.processor == of.processor
        and (ticket.actor, ticket.key) != (other.actor, other.key)
        and cmd.buyer_id != of.buyer_id
        for other, of in taken
    )
