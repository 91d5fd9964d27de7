"""Sending the simulator's events: signed, one after the other, again and again until they are taken."""

import asyncio
from contextlib import suppress
from datetime import timedelta

import httpx
import structlog

from marketplace.core.signatures import signed_headers
from marketplace.simulator.processor import Processor

ATTEMPTS_MAX = 30
_POLL_S = 0.1
_PAUSE_MAX_S = 60
_TIMEOUT_S = 10

log = structlog.get_logger(__name__)


class Delivery:
    """Sends what is due to the callback; `woken` says that something new may be."""

    def __init__(self, processor: Processor, secret: str, client: httpx.AsyncClient) -> None:
        self.processor = processor
        self.secret = secret
        self.client = client
        self.woken = asyncio.Event()

    async def run(self) -> None:
        """Deliver until cancelled. An event that is not taken waits alone: those behind it go ahead."""
        store = self.processor.store
        while True:
            due = store.due_event(self.processor.wall.now()) if store.setting("callback") else None
            if due is None:
                self.woken.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.woken.wait(), _POLL_S)
                continue
            status = await self.send(due["event_no"])
            attempts = due["attempts"] + 1
            state = "delivered" if 200 <= status < 300 else ("dead" if attempts >= ATTEMPTS_MAX else "pending")
            pause = timedelta(milliseconds=min(100 * 2**attempts, _PAUSE_MAX_S * 1000))
            store.set_event(due["event_no"], state, attempts, (self.processor.wall.now() + pause).isoformat())

    async def send(self, event_no: int) -> int:
        """Send an event now, whatever became of it before; returns the status it was answered with, 0 for none."""
        event = self.processor.store.event(event_no)
        assert event is not None
        body: bytes = event["body"]
        headers = signed_headers(self.processor.event_id(event_no), self.processor.now(), body, [self.secret])
        try:
            answer = await self.client.post(
                self.processor.store.setting("callback") or "",
                content=body,
                headers=headers | {"Content-Type": "application/json"},
                timeout=_TIMEOUT_S,
            )
        except (httpx.HTTPError, httpx.InvalidURL) as fault:
            log.info("event not delivered", event_no=event_no, error=f"{type(fault).__name__}: {fault}")
            return 0
        if not answer.is_success:
            log.info("event refused", event_no=event_no, status=answer.status_code, said=answer.text[:300])
        return answer.status_code
