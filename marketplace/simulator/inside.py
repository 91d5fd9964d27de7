"""The simulator without a process of its own: asked directly, its events fetched instead of sent.

It keeps the same file as `marketplace simulator`, so that one goes on where the other stopped.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import msgspec

from marketplace.core.clock import Clock
from marketplace.core.errors import AppError, Conflict, Invalid, NotFound
from marketplace.processors.model import Refused
from marketplace.processors.wire import Accepted, Authorise, Capture, Refund
from marketplace.simulator.model import Behaviour
from marketplace.simulator.processor import Processor
from marketplace.simulator.store import Store


class Inside:
    """A `marketplace.processors.model.Processor`."""

    def __init__(self, processor: Processor) -> None:
        self._processor = processor

    async def authorise(
        self, command_id: int, reference: str, *, amount_minor: int, currency: str, method: str
    ) -> None:
        asked = Authorise(reference=reference, amount_minor=amount_minor, currency=currency, method=method)
        self._once(command_id, "/v1/payments", asked, lambda: self._processor.authorise(asked))

    async def capture(self, command_id: int, reference: str, *, amount_minor: int, currency: str) -> None:
        asked = Capture(amount_minor=amount_minor, currency=currency)
        path = f"/v1/payments/{reference}/capture"
        self._once(command_id, path, asked, lambda: self._processor.capture(reference, asked))

    async def void(self, command_id: int, reference: str) -> None:
        self._once(command_id, f"/v1/payments/{reference}/void", {}, lambda: self._processor.void(reference))

    async def refund(
        self, command_id: int, reference: str, refund_reference: str, *, amount_minor: int, currency: str
    ) -> None:
        asked = Refund(reference=refund_reference, amount_minor=amount_minor, currency=currency)
        path = f"/v1/payments/{reference}/refunds"
        self._once(command_id, path, asked, lambda: self._processor.refund(reference, asked))

    async def settlement_file(self, day: date) -> bytes:
        try:
            return self._processor.settlement_file(day).encode()
        except AppError as fault:
            raise Refused(fault.detail) from fault

    def _once(self, command_id: int, path: str, asked: Any, work: Callable[[], Accepted]) -> None:
        """Under the key and the fingerprint that the same command would have over HTTP."""
        try:
            self._processor.once(str(command_id), f"{path} {msgspec.json.encode(asked).decode()}", work)
        except AppError as fault:
            raise Refused(
                fault.detail, too_late=isinstance(fault, NotFound | Conflict), rejected=isinstance(fault, Invalid)
            ) from fault

    def next_event(self) -> tuple[int, str, bytes] | None:
        """The oldest event that is due: its number, its id and its body. None when there is none."""
        due = self._processor.store.due_event(self._processor.wall.now())
        if due is None:
            return None
        number: int = due["event_no"]
        return number, self._processor.event_id(number), due["body"]

    def note_taken(self, event_no: int) -> None:
        """The event has been stored where it was to go."""
        self._processor.store.set_event(event_no, "delivered", 1, "")


@contextmanager
def inside(file: Path, clock: Clock) -> Iterator[Inside]:
    """The simulator of this file, for the length of the block."""
    file.parent.mkdir(parents=True, exist_ok=True)
    store = Store(file, clock.now())
    try:
        yield Inside(Processor(store, clock, Behaviour()))
    finally:
        store.close()
