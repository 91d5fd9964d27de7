"""The simulator over HTTP: the processor's API under /v1, and under /control what makes the world misbehave."""

import asyncio
import hmac
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from typing import Any, TypeVar

import httpx
import msgspec
from litestar import Litestar, Request, Response, Router, get, post
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.handlers.base import BaseRouteHandler
from litestar.params import FromPath

from marketplace.core.errors import AppError, Invalid, NotFound, Unauthenticated
from marketplace.core.together import end
from marketplace.processors.wire import Accepted, Authorise, Capture, Refund
from marketplace.simulator.delivery import Delivery
from marketplace.simulator.processor import Processor

SimRequest = Request[Any, Any, State]
T = TypeVar("T")


class Outage(msgspec.Struct, frozen=True, kw_only=True):
    """The next `requests` commands are answered 503: before anything is done, or after, when the answer is lost."""

    requests: int
    after: bool = False


class Control(msgspec.Struct, frozen=True, kw_only=True):
    """What to change; what is not named stays. callback: where events go. hold: keep new events back."""

    callback: str | None = None
    clock: datetime | None = None
    hold: bool | None = None


class OpenDispute(msgspec.Struct, frozen=True, kw_only=True):
    """amount_minor: by default all that was captured."""

    reference: str
    amount_minor: int | None = None


class CloseDispute(msgspec.Struct, frozen=True, kw_only=True):
    won: bool


class Deliver(msgspec.Struct, frozen=True, kw_only=True):
    """Events to send now, in this order, as often as they are named."""

    events: list[int]


class Charge(msgspec.Struct, frozen=True, kw_only=True):
    fee_minor: int
    currency: str


def create_simulator(processor: Processor, secret: str) -> Litestar:
    """The application; it delivers events for as long as it runs."""

    async def with_secret(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        given = connection.headers.get("authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), secret.encode()):
            raise Unauthenticated("authorization: is not `Bearer` and the secret")

    @asynccontextmanager
    async def delivering(app: Litestar) -> AsyncIterator[None]:
        async with httpx.AsyncClient() as client:
            app.state["delivery"] = Delivery(processor, secret, client)
            task = asyncio.create_task(app.state["delivery"].run())
            try:
                yield
            finally:
                await end([task])

    api = Router("/v1", route_handlers=[authorise, capture, void, refund, settlement_file])
    control = Router("/control", route_handlers=[change, fail, open_dispute, close_dispute, events, deliver, charge])
    return Litestar(
        [api, control],
        guards=[with_secret],
        lifespan=[delivering],
        state=State({"processor": processor, "outage": Outage(requests=0)}),
        exception_handlers={AppError: _on_app_error, msgspec.DecodeError: _on_bad_body},
        openapi_config=None,
        logging_config=None,
    )


def _on_app_error(_: SimRequest, error: AppError) -> Response[Any]:
    return Response({"code": error.code, "detail": error.detail}, status_code=error.status)


def _on_bad_body(_: SimRequest, error: msgspec.DecodeError) -> Response[Any]:
    return Response({"code": "invalid-input", "detail": str(error)}, status_code=422)


async def _read(request: SimRequest, kind: type[T]) -> T:
    return msgspec.json.decode(await request.body(), type=kind)


async def _once(request: SimRequest, work: Callable[[Processor, bytes], Accepted]) -> Response[Any]:
    """Answer a command: once for its key, unless an outage was ordered."""
    processor, state = request.app.state["processor"], request.app.state
    body = await request.body()
    outage: Outage = state["outage"]
    if outage.requests:
        state["outage"] = Outage(requests=outage.requests - 1, after=outage.after)
        if not outage.after:
            return Response({"detail": "out of order"}, status_code=503)
    asked = f"{request.url.path} {body.decode(errors='replace')}"
    status, answer = processor.once(request.headers.get("idempotency-key", ""), asked, lambda: work(processor, body))
    state["delivery"].woken.set()
    if outage.requests:
        return Response({"detail": "done, and the answer lost"}, status_code=503)
    return Response(answer, status_code=status, media_type="application/json")


@post("/payments", status_code=202)
async def authorise(request: SimRequest) -> Response[Any]:
    return await _once(request, lambda processor, body: processor.authorise(msgspec.json.decode(body, type=Authorise)))


@post("/payments/{reference:str}/capture", status_code=202)
async def capture(request: SimRequest, reference: FromPath[str]) -> Response[Any]:
    return await _once(
        request, lambda processor, body: processor.capture(reference, msgspec.json.decode(body, type=Capture))
    )


@post("/payments/{reference:str}/void", status_code=202)
async def void(request: SimRequest, reference: FromPath[str]) -> Response[Any]:
    return await _once(request, lambda processor, _: processor.void(reference))


@post("/payments/{reference:str}/refunds", status_code=202)
async def refund(request: SimRequest, reference: FromPath[str]) -> Response[Any]:
    return await _once(
        request, lambda processor, body: processor.refund(reference, msgspec.json.decode(body, type=Refund))
    )


@get("/settlement-files/{day:str}", media_type="text/csv")
async def settlement_file(request: SimRequest, day: FromPath[str]) -> str:
    try:
        wanted = date.fromisoformat(day)
    except ValueError:
        raise Invalid(f"day: {day[:20]!r} is not a date") from None
    text: str = request.app.state["processor"].settlement_file(wanted)
    return text


@post("/settings", status_code=200)
async def change(request: SimRequest) -> dict[str, str]:
    """Set the callback, the clock, or whether events are held back; with hold false all that were go out."""
    wanted, store = await _read(request, Control), request.app.state["processor"].store
    with store.transaction():
        if wanted.callback is not None:
            store.set("callback", wanted.callback)
        if wanted.clock is not None:
            store.set("clock", wanted.clock.astimezone(UTC).isoformat())
        if wanted.hold is not None:
            store.set("hold", "yes" if wanted.hold else None)
            if not wanted.hold:
                store.release_events()
    request.app.state["delivery"].woken.set()
    return {"now": request.app.state["processor"].now().isoformat()}


@post("/outage", status_code=200)
async def fail(request: SimRequest) -> Outage:
    outage = await _read(request, Outage)
    request.app.state["outage"] = outage
    return outage


@post("/disputes", status_code=201)
async def open_dispute(request: SimRequest) -> dict[str, str]:
    wanted, processor = await _read(request, OpenDispute), request.app.state["processor"]
    with processor.store.transaction():
        dispute = processor.open_dispute(wanted.reference, wanted.amount_minor)
    request.app.state["delivery"].woken.set()
    return {"dispute": dispute}


@post("/disputes/{dispute:str}/close", status_code=200)
async def close_dispute(request: SimRequest, dispute: FromPath[str]) -> dict[str, str]:
    wanted, processor = await _read(request, CloseDispute), request.app.state["processor"]
    with processor.store.transaction():
        processor.close_dispute(dispute, won=wanted.won)
    request.app.state["delivery"].woken.set()
    return {"dispute": dispute}


@get("/events")
async def events(request: SimRequest) -> list[dict[str, Any]]:
    """Every event so far: number, id, state, and what it says."""
    processor = request.app.state["processor"]
    return [
        {"event_no": event["event_no"], "id": processor.event_id(event["event_no"]), "state": event["state"]}
        | {"attempts": event["attempts"], "body": msgspec.json.decode(event["body"])}
        for event in processor.store.events()
    ]


@post("/deliver", status_code=200)
async def deliver(request: SimRequest) -> list[int]:
    """Send events now and say how each was answered; their own delivery goes on besides, unless they are held."""
    wanted, state = await _read(request, Deliver), request.app.state
    for event_no in wanted.events:
        if state["processor"].store.event(event_no) is None:
            raise NotFound(f"there is no event {event_no}")
    return [await state["delivery"].send(event_no) for event_no in wanted.events]


@post("/fees", status_code=201)
async def charge(request: SimRequest) -> None:
    wanted, processor = await _read(request, Charge), request.app.state["processor"]
    with processor.store.transaction():
        processor.charge(wanted.fee_minor, wanted.currency)
