"""Webhooks: where events are told, and what came of it.

A merchant's people see and change their own merchant's. The house sees all, but of a merchant's it can only disable,
remove, test and repeat: where a merchant's events go and how they are signed is the merchant's alone. Of the house's
own, operations have those of their topics; whatever tells of money is for finance.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter

from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import Forbidden
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.core.webhooks import deliveries, store
from marketplace.core.webhooks.addresses import check_url
from marketplace.core.webhooks.deliveries import Delivery, DeliveryDetail, DeliveryState, Replayed
from marketplace.core.webhooks.store import Description, Endpoint, EndpointEdit, EndpointState, NewEndpoint, Topics, Url
from marketplace.core.webhooks.topics import FOR_OPS, HOUSE_ONLY, TOPICS
from marketplace.routes.parameters import LIMIT, Cursor, Limit, PathId
from marketplace.settings import Settings
from marketplace.web.auth import Actor, ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.etag import edited, tagged, versioned
from marketplace.web.guards import FINANCE, MERCHANT_BOOKS, OPS, needs
from marketplace.web.once import once
from marketplace.web.openapi import ONCE

InState = Annotated[DeliveryState | None, QueryParameter(name="state")]


class Topic(msgspec.Struct, frozen=True):
    """What an event of this topic tells. house_only: it is about no one merchant, and no merchant is told of it."""

    topic: str
    description: str
    house_only: bool


class CreateWebhook(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """url: https, and to the outside world. topics: what is to be told; none for everything, also what comes later."""

    url: Url
    description: Description = ""
    topics: Topics = []


class SecretAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint with its new secret, which is shown once: when the request is repeated, `secret` is null."""

    endpoint: Endpoint
    secret: str | None
    notice: str


class ReplayFailed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """since: what was owed from then on; an instant with its offset."""

    since: Annotated[datetime, msgspec.Meta(tz=True)]


_SHOWN_NOW = "Keep the secret: it is not shown again."
_SHOWN_BEFORE = "The secret was shown once, in the first answer to this request. If it was lost, rotate it."


def _check_topics_are_theirs(user: Actor, topics: list[str]) -> None:
    """Raise Forbidden unless somebody of the house may have these topics (none for all) sent to the house."""
    if not user.roles & FINANCE and not (topics and all(topic.startswith(FOR_OPS) for topic in topics)):
        raise Forbidden(f"topics: without a role of finance name them, all beginning with {' or '.join(FOR_OPS)}")


def _check_own(user: Actor, endpoint: Endpoint) -> None:
    """Raise Forbidden unless it is the caller's to say where this endpoint's events go, and to see its secret."""
    if user.merchant_id is None:
        if endpoint.merchant_id is not None:
            raise Forbidden("a merchant's webhook: the house may disable or remove it, and no more")
        _check_topics_are_theirs(user, endpoint.topics)


def _check_edit(user: Actor, endpoint: Endpoint, edit: EndpointEdit) -> None:
    """Raise Forbidden for a change that is not the caller's: of the house, anybody may disable what is a merchant's."""
    if endpoint.merchant_id is not None and edit == EndpointEdit(state=EndpointState.DISABLED):
        return
    _check_own(user, endpoint)
    if user.merchant_id is None and isinstance(edit.topics, list):
        _check_topics_are_theirs(user, edit.topics)


async def _once_with_secret(
    request: ActorRequest, db: Database, work: Callable[[Tx], Awaitable[NewEndpoint]]
) -> Response[SecretAnswer]:
    """Do the work through `once`, which stores an answer without the secret; only the first answer has it."""
    made: list[NewEndpoint] = []

    async def run(tx: Tx) -> SecretAnswer:
        made[:] = [await work(tx)]
        return SecretAnswer(endpoint=made[0].endpoint, secret=None, notice=_SHOWN_BEFORE)

    answer: Response[Any] = await once(request, db, run)
    if "Idempotency-Replayed" not in answer.headers:
        first = SecretAnswer(endpoint=made[0].endpoint, secret=made[0].secret, notice=_SHOWN_NOW)
        answer.content = msgspec.json.encode(first)
    return answer


@get("/webhook-topics", guards=[needs(MERCHANT_BOOKS, OPS, FINANCE)])
async def list_topics() -> list[Topic]:
    """What webhooks can tell of."""
    return [Topic(topic, description, topic in HOUSE_ONLY) for topic, description in sorted(TOPICS.items())]


@get("/webhooks", guards=[needs(MERCHANT_BOOKS, OPS, FINANCE)])
async def list_webhooks(
    request: ActorRequest, db: NamedDependency[Database], limit: Limit = LIMIT, cursor: Cursor = None
) -> Page[Endpoint]:
    """Endpoints by age: the house sees all, a merchant's person its merchant's."""
    (after,) = decode_cursor(cursor, tuple[int]) or (0,)
    async with db.read(WORKER) as tx:
        rows = await store.list_endpoints(tx, request.user.merchant_id, limit=limit + 1, after=after)
    return page(rows, limit, lambda row: row, lambda row: (row.endpoint_id,))


@post(
    "/webhooks", dto=StrictBody[CreateWebhook], guards=[needs(MERCHANT_BOOKS, OPS, FINANCE)], status_code=201, opt=ONCE
)
async def create_webhook(
    request: ActorRequest,
    db: NamedDependency[Database],
    settings: NamedDependency[Settings],
    data: JSONBody[CreateWebhook],
) -> Response[SecretAnswer]:
    """A new endpoint: of the caller's merchant, told of what concerns that merchant; or of the house, told of all.

    Without a role of finance, one of the house names its topics, all of `demand.` or `supply.`. The answer holds the
    secret that messages are signed with (Standard Webhooks); it is shown nowhere else, nor when this is repeated.
    """
    url = check_url(data.url, private=settings.webhooks_private)
    owner = request.user.merchant_id
    if owner is None:
        _check_topics_are_theirs(request.user, data.topics)

    async def create(tx: Tx) -> NewEndpoint:
        return await store.create_endpoint(tx, owner, url, data.description, data.topics)

    return await _once_with_secret(request, db, create)


@get("/webhooks/{endpoint_id:int}", guards=[needs(MERCHANT_BOOKS, OPS, FINANCE)])
async def get_webhook(request: ActorRequest, db: NamedDependency[Database], endpoint_id: PathId) -> Response[Endpoint]:
    """One endpoint, without its secret."""
    async with db.read(WORKER) as tx:
        endpoint = await store.get_endpoint(tx, endpoint_id, request.user.merchant_id)
    return tagged(endpoint, endpoint.version)


@patch(
    "/webhooks/{endpoint_id:int}",
    dto=StrictBody[EndpointEdit],
    guards=[needs(MERCHANT_BOOKS, OPS, FINANCE)],
    opt=versioned(),
)
async def edit_webhook(
    request: ActorRequest,
    db: NamedDependency[Database],
    settings: NamedDependency[Settings],
    endpoint_id: PathId,
    data: JSONBody[EndpointEdit],
) -> Response[Endpoint]:
    """Change an endpoint, disable it, or enable it again; the house can disable a merchant's, and no more."""
    if isinstance(data.url, str):
        check_url(data.url, private=settings.webhooks_private)

    async def hold(tx: Tx) -> Endpoint:
        endpoint = await store.get_endpoint(tx, endpoint_id, request.user.merchant_id, locked=True)
        _check_edit(request.user, endpoint, data)
        return endpoint

    async def change(tx: Tx, endpoint: Endpoint) -> Endpoint:
        return await store.edit_endpoint(tx, endpoint, data)

    return await edited(request, db, hold, change)


@delete("/webhooks/{endpoint_id:int}", guards=[needs(MERCHANT_BOOKS, OPS, FINANCE)], status_code=204)
async def remove_webhook(request: ActorRequest, db: NamedDependency[Database], endpoint_id: PathId) -> None:
    """Remove an endpoint with its log."""
    owner = request.user.merchant_id

    async def remove(tx: Tx) -> None:
        endpoint = await store.get_endpoint(tx, endpoint_id, owner, locked=True)
        if endpoint.merchant_id is None:
            _check_own(request.user, endpoint)
        await store.remove_endpoint(tx, endpoint)

    await db.write(WORKER, request.user.login, remove)


@post(
    "/webhooks/{endpoint_id:int}/rotate-secret", guards=[needs(MERCHANT_BOOKS, OPS, FINANCE)], status_code=200, opt=ONCE
)
async def rotate_webhook_secret(
    request: ActorRequest, db: NamedDependency[Database], endpoint_id: PathId
) -> Response[SecretAnswer]:
    """A new secret, shown this once; the house cannot rotate a merchant's.

    For 24 hours messages are signed with the one before it, too, so that receivers can change over.
    """
    owner = request.user.merchant_id

    async def rotate(tx: Tx) -> NewEndpoint:
        endpoint = await store.get_endpoint(tx, endpoint_id, owner, locked=True)
        _check_own(request.user, endpoint)
        return await store.rotate_secret(tx, endpoint)

    return await _once_with_secret(request, db, rotate)


@post("/webhooks/{endpoint_id:int}/test", guards=[needs(MERCHANT_BOOKS, OPS, FINANCE)], status_code=202, opt=ONCE)
async def check_webhook(
    request: ActorRequest, db: NamedDependency[Database], endpoint_id: PathId
) -> Response[Delivery]:
    """Have a message of topic `core.webhook_test.v1` sent to this endpoint; its delivery tells what came of it."""
    owner = request.user.merchant_id

    async def ask(tx: Tx) -> Delivery:
        return await deliveries.send_test(tx, await store.get_endpoint(tx, endpoint_id, owner, locked=True))

    return await once(request, db, ask)


@get("/webhooks/{endpoint_id:int}/deliveries", guards=[needs(MERCHANT_BOOKS, OPS, FINANCE)])
async def list_webhook_deliveries(
    request: ActorRequest,
    db: NamedDependency[Database],
    endpoint_id: PathId,
    in_state: InState = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[Delivery]:
    """What this endpoint was and is owed in the last 30 days, the newest event first."""
    (before,) = decode_cursor(cursor, tuple[int]) or (None,)
    async with db.read(WORKER) as tx:
        await store.get_endpoint(tx, endpoint_id, request.user.merchant_id)
        rows = await deliveries.list_deliveries(tx, endpoint_id, state=in_state, limit=limit + 1, before=before)
    return page(rows, limit, lambda row: row, lambda row: (row.event_id,))


@get("/webhooks/{endpoint_id:int}/deliveries/{event_id:int}", guards=[needs(MERCHANT_BOOKS, OPS, FINANCE)])
async def get_webhook_delivery(
    request: ActorRequest, db: NamedDependency[Database], endpoint_id: PathId, event_id: PathId
) -> DeliveryDetail:
    """One delivery with each attempt: when, what was answered, how long it took."""
    async with db.read(WORKER) as tx:
        await store.get_endpoint(tx, endpoint_id, request.user.merchant_id)
        return await deliveries.get_delivery(tx, endpoint_id, event_id)


@post(
    "/webhooks/{endpoint_id:int}/deliveries/{event_id:int}/replay",
    guards=[needs(MERCHANT_BOOKS, OPS, FINANCE)],
    status_code=202,
    opt=ONCE,
)
async def replay_webhook_delivery(
    request: ActorRequest, db: NamedDependency[Database], endpoint_id: PathId, event_id: PathId
) -> Response[Delivery]:
    """Send an event again that was delivered or has failed, or now that waits, with the same `webhook-id`.

    409 while it is being sent.
    """
    owner = request.user.merchant_id

    async def replay(tx: Tx) -> Delivery:
        endpoint = await store.get_endpoint(tx, endpoint_id, owner, locked=True)
        return await deliveries.replay(tx, endpoint, event_id)

    return await once(request, db, replay)


@post(
    "/webhooks/{endpoint_id:int}/replay",
    dto=StrictBody[ReplayFailed],
    guards=[needs(MERCHANT_BOOKS, OPS, FINANCE)],
    status_code=202,
    opt=ONCE,
)
async def replay_failed_deliveries(
    request: ActorRequest, db: NamedDependency[Database], endpoint_id: PathId, data: JSONBody[ReplayFailed]
) -> Response[Replayed]:
    """Send everything again that this endpoint was owed since then and that has failed."""
    owner = request.user.merchant_id

    async def replay(tx: Tx) -> Replayed:
        endpoint = await store.get_endpoint(tx, endpoint_id, owner, locked=True)
        return await deliveries.replay_failed(tx, endpoint, data.since)

    return await once(request, db, replay)


HANDLERS = [
    list_topics,
    list_webhooks,
    create_webhook,
    get_webhook,
    edit_webhook,
    remove_webhook,
    rotate_webhook_secret,
    check_webhook,
    list_webhook_deliveries,
    get_webhook_delivery,
    replay_webhook_delivery,
    replay_failed_deliveries,
]
