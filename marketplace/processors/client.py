"""A processor reached over HTTP, speaking `marketplace.processors.wire`."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import date
from http import HTTPStatus
from typing import Any

import httpx
import msgspec

from marketplace.processors.model import OutOfReach, Processor, Refused
from marketplace.processors.wire import Authorise, Capture, Refund
from marketplace.settings import Settings

TIMEOUT_S = 10
_TOO_LATE = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT})
_REJECTED = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.PAYMENT_REQUIRED, HTTPStatus.UNPROCESSABLE_ENTITY})
_AGAIN = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})


class HttpProcessor:
    """A `Processor` at an address; `client` carries the address and the secret."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def authorise(
        self, command_id: int, reference: str, *, amount_minor: int, currency: str, method: str
    ) -> None:
        body = Authorise(reference=reference, amount_minor=amount_minor, currency=currency, method=method)
        await self._post(command_id, "/v1/payments", body)

    async def capture(self, command_id: int, reference: str, *, amount_minor: int, currency: str) -> None:
        body = Capture(amount_minor=amount_minor, currency=currency)
        await self._post(command_id, f"/v1/payments/{reference}/capture", body)

    async def void(self, command_id: int, reference: str) -> None:
        await self._post(command_id, f"/v1/payments/{reference}/void", {})

    async def refund(
        self, command_id: int, reference: str, refund_reference: str, *, amount_minor: int, currency: str
    ) -> None:
        body = Refund(reference=refund_reference, amount_minor=amount_minor, currency=currency)
        await self._post(command_id, f"/v1/payments/{reference}/refunds", body)

    async def settlement_file(self, day: date) -> bytes:
        return (await self._request("GET", f"/v1/settlement-files/{day.isoformat()}")).content

    async def _post(self, command_id: int, path: str, body: Any) -> None:
        headers = {"Idempotency-Key": str(command_id), "Content-Type": "application/json"}
        await self._request("POST", path, content=msgspec.json.encode(body), headers=headers)

    async def _request(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            answer = await self._client.request(method, path, **options)
        except httpx.HTTPError as fault:
            raise OutOfReach(f"the processor does not answer: {type(fault).__name__} {fault}".strip()) from fault
        if answer.is_success:
            return answer
        said = f"{answer.status_code} {_words(answer.content)}"
        if answer.is_client_error and answer.status_code not in _AGAIN:
            raise Refused(
                f"the processor refuses: {said}",
                too_late=answer.status_code in _TOO_LATE,
                rejected=answer.status_code in _REJECTED,
            )
        raise OutOfReach(f"the processor answers {said}")


class _Problem(msgspec.Struct):
    detail: str


def _words(content: bytes) -> str:
    """What a refusal says, in words where it is a problem document."""
    try:
        return msgspec.json.decode(content, type=_Problem).detail[:300]
    except (msgspec.DecodeError, UnicodeDecodeError):
        return content[:300].decode(errors="replace")


@asynccontextmanager
async def open_processors(settings: Settings) -> AsyncIterator[Mapping[str, Processor]]:
    """The processors that the settings name, by name, for the length of the block: none or one."""
    if settings.processor_url is None or settings.processor_secret is None:
        yield {}
        return
    headers = {"Authorization": f"Bearer {settings.processor_secret}"}
    async with httpx.AsyncClient(base_url=settings.processor_url, headers=headers, timeout=TIMEOUT_S) as client:
        yield {settings.processor: HttpProcessor(client)}
