"""What a payment processor does for us. Pure.

A command is answered as soon as the processor has taken it on; what became of it is told later by an event. Every
command carries its id as idempotency key: sent again, it is answered the same and has no second effect.
"""

from datetime import date
from typing import Protocol


class Refused(Exception):
    """The processor will not do this, however often it is asked. `too_late`: there is nothing left to do it to.

    `rejected`: it has looked at what is asked, a payment by an unknown token for one, and has done nothing. Otherwise
    a person has to see what is wrong, such as a secret that it does not know.
    """

    def __init__(self, reason: str, *, too_late: bool = False, rejected: bool = False) -> None:
        super().__init__(reason)
        self.too_late = too_late
        self.rejected = rejected


class OutOfReach(Exception):
    """Nobody knows whether the processor has heard us: the same command must be sent again."""


class Processor(Protocol):
    """A payment processor. Amounts are minor units; every call raises Refused and OutOfReach.

    command_id: the idempotency key. reference: ours of the payment; refund_reference: ours of one refund of it.
    """

    async def authorise(
        self, command_id: int, reference: str, *, amount_minor: int, currency: str, method: str
    ) -> None:
        """Ask the buyer's bank to set the amount aside. method: the token of the buyer's card or account."""
        ...

    async def capture(self, command_id: int, reference: str, *, amount_minor: int, currency: str) -> None:
        """Take the amount, all that was authorised or less; the rest is given up."""
        ...

    async def void(self, command_id: int, reference: str) -> None:
        """Give up what was authorised."""
        ...

    async def refund(
        self, command_id: int, reference: str, refund_reference: str, *, amount_minor: int, currency: str
    ) -> None:
        """Pay back a part of what was captured, or all of it."""
        ...

    async def settlement_file(self, day: date) -> bytes:
        """What moved on a day and was paid out as one batch."""
        ...
