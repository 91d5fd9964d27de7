"""Payments, what processors were told of them, and what processors say."""

from typing import Annotated, Literal

import msgspec
from litestar import Request, Response, get, post
from litestar.background_tasks import BackgroundTask
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.exceptions import HTTPException
from litestar.params import JSONBody, PathParameter, QueryParameter

from billing.payments import store as payments
from billing.payments.facts import PaymentState
from billing.payments.inbox import store as inbox
from billing.payments.model import InboxEvent, Payment, PaymentCommand, PaymentDetail, ProcessorFile
from marketplace.core import signatures
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import AppError, Invalid, NotFound
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.flows.payments.apply_payment_events import ACTOR, apply_event, receive_event
from marketplace.flows.payments.import_processor_file import ImportedFile, import_processor_file
from marketplace.routes import payment_queries
from marketplace.routes.parameters import LIMIT, Cursor, Limit, PathId, QueryId
from marketplace.settings import Settings
from marketplace.web.auth import ActorRequest
from marketplace.web.body import BODY_BYTES_MAX, StrictBody
from marketplace.web.guards import FINANCE, OPS, needs, public
from marketplace.web.limits import COUNTS_ITSELF, address_of, count
from marketplace.web.once import once, once_through
from marketplace.web.openapi import ALSO, ONCE

EVENT_BYTES_MAX = 2**16

ProcessorName = Annotated[str, PathParameter(max_length=60)]
InState = Annotated[PaymentState | None, QueryParameter(name="state")]
CommandState = Annotated[Literal["todo", "sent", "parked"] | None, QueryParameter(name="state")]
EventState = Annotated[Literal["waiting", "applied", "parked"] | None, QueryParameter(name="state")]


class Received(msgspec.Struct, frozen=True):
    """The event of this id is stored."""

    event_ref: str


@post(
    "/payment-events/{processor:str}",
    guards=[public],
    status_code=202,
    request_max_body_size=EVENT_BYTES_MAX,
    opt={ALSO: (401, 413, 422), COUNTS_ITSELF: True},
)
async def receive(
    request: Request[None, None, State],
    db: NamedDependency[Database],
    settings: NamedDependency[Settings],
    processor: ProcessorName,
) -> Response[Received]:
    """Take in an event of a processor, signed as Standard Webhooks say; the same event again is answered the same.

    What it says is applied afterwards, whatever order events come in. Strangers cannot use up what a processor may
    send: only what it has not signed counts as theirs.
    """
    try:
        if settings.processor_secret is None or processor != settings.processor:
            raise NotFound(f"there is no processor {processor!r} whose events are let in")
        body = await request.body()
        event_ref = signatures.verify(request.headers, body, [settings.processor_secret], db.clock.now())
    except (AppError, HTTPException):
        await count(request.scope, address_of(request.scope), settings.rate_limit_anonymous)
        raise
    await count(request.scope, f"processor:{processor}", settings.rate_limit)
    async with db.read(WORKER) as tx:
        processor_id = await payments.processor_id(tx, processor)
    if processor_id is None:
        raise NotFound(f"there is no processor {processor!r}")
    inbox_id = await db.write(WORKER, ACTOR, receive_event, processor_id, event_ref, body)
    soon = BackgroundTask(apply_event, db, inbox_id) if inbox_id is not None else None
    return Response(Received(event_ref), status_code=202, background=soon)


@get("/payment-events", guards=[needs(OPS, FINANCE)])
async def list_events(
    request: ActorRequest,
    db: NamedDependency[Database],
    in_state: EventState = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[InboxEvent]:
    """Events as processors have sent them, the newest first; a parked one says what is the matter."""
    (before,) = decode_cursor(cursor, tuple[int]) or (None,)
    async with db.read(request.user.scope) as tx:
        rows = await inbox.list_events(tx, state=in_state, limit=limit + 1, before_id=before)
    return page(rows, limit, lambda row: row, lambda row: (row.inbox_id,))


@post("/payment-events/{inbox_id:int}/retry", guards=[needs(OPS, FINANCE)], status_code=200, opt=ONCE)
async def retry_event(request: ActorRequest, db: NamedDependency[Database], inbox_id: PathId) -> Response[InboxEvent]:
    """Have a parked event tried again; a worker does so soon."""
    return await once(request, db, inbox.retry_event, inbox_id)


@get("/payment-commands", guards=[needs(OPS, FINANCE)])
async def list_commands(
    request: ActorRequest,
    db: NamedDependency[Database],
    in_state: CommandState = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[PaymentCommand]:
    """What processors are told, the newest first; a parked one says why it could not be sent."""
    (before,) = decode_cursor(cursor, tuple[int]) or (None,)
    async with db.read(request.user.scope) as tx:
        rows = await payments.list_commands(tx, state=in_state, limit=limit + 1, before_id=before)
    return page(rows, limit, lambda row: row, lambda row: (row.command_id,))


@post("/payment-commands/{command_id:int}/retry", guards=[needs(OPS, FINANCE)], status_code=200, opt=ONCE)
async def retry_command(
    request: ActorRequest, db: NamedDependency[Database], command_id: PathId
) -> Response[PaymentCommand]:
    """Have a parked command sent again; a worker does so soon."""
    return await once(request, db, payments.retry_command, command_id)


@get("/payments", guards=[needs(OPS, FINANCE)])
async def list_payments(
    request: ActorRequest,
    db: NamedDependency[Database],
    purchase_id: QueryId = None,
    in_state: InState = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[Payment]:
    """Payments, the newest first, of one purchase or of all."""
    (before,) = decode_cursor(cursor, tuple[int]) or (None,)
    async with db.read(request.user.scope) as tx:
        rows = await payments.list_payments(
            tx, purchase_id=purchase_id, state=in_state, limit=limit + 1, before_id=before
        )
    return page(rows, limit, lambda row: row, lambda row: (row.payment_id,))


@get("/payments/{payment_id:int}", guards=[needs(OPS, FINANCE)])
async def get_payment(request: ActorRequest, db: NamedDependency[Database], payment_id: PathId) -> PaymentDetail:
    """A payment with its parts by order, and what its processor was told."""
    async with db.read(request.user.scope) as tx:
        return await payments.get_detail(tx, payment_id)


class NewFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """content: the file as the processor gives it, CSV. A file of more than a request may hold goes by command line."""

    processor: Annotated[str, msgspec.Meta(min_length=1, max_length=60)]
    content: Annotated[str, msgspec.Meta(min_length=1, max_length=BODY_BYTES_MAX)]


@post("/processor-files", dto=StrictBody[NewFile], guards=[needs(FINANCE)], status_code=200, opt=ONCE | {ALSO: (404,)})
async def import_file(
    request: ActorRequest, db: NamedDependency[Database], data: JSONBody[NewFile]
) -> Response[ImportedFile]:
    """Book a processor's settlement file; lines that were booked before are passed over."""

    async def work(tx: Tx) -> ImportedFile:
        content = data.content.encode("utf-8", "surrogatepass")
        try:
            return await import_processor_file(db, tx.actor, data.processor, content)
        except Invalid as fault:  # it names the line and the column; that of the request is the file
            raise Invalid(fault.detail, pointer="/content") from fault

    return await once_through(request, db, work)


@get("/processor-files", guards=[needs(FINANCE)])
async def list_files(
    request: ActorRequest, db: NamedDependency[Database], limit: Limit = LIMIT, cursor: Cursor = None
) -> Page[ProcessorFile]:
    """Settlement files that brought something new, the newest first."""
    (before,) = decode_cursor(cursor, tuple[int]) or (None,)
    async with db.read(request.user.scope) as tx:
        rows = await payment_queries.list_files(tx, limit=limit + 1, before_id=before)
    return page(rows, limit, lambda row: row, lambda row: (row.file_id,))


HANDLERS = [
    import_file,
    list_files,
    receive,
    list_events,
    retry_event,
    list_commands,
    retry_command,
    list_payments,
    get_payment,
]
