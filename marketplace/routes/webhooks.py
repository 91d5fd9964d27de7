"""Webhooks: where events are told, and what came of it. A merchant's people see and change their own merchant's."""

from datetime import datetime
from typing import Annotated

import msgspec
from litestar import Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter

from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.core.webhooks import deliveries, store
from marketplace.core.webhooks.addresses import check_url
from marketplace.core.webhooks.deliveries import Delivery, DeliveryDetail, DeliveryState, Replayed
from marketplace.core.webhooks.store import Endpoint, EndpointEdit, EndpointState, NewEndpoint
from marketplace.core.webhooks.topics import TOPICS
from marketplace.routes.parameters import LIMIT, Cursor, Limit, PathId
from marketplace.settings import Settings
from marketplace.web.auth import ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.etag import check_version, expected_version, tagged, versioned
from marketplace.web.guards import MERCHANT_BOOKS, OPS, needs
from marketplace.web.once import once
from marketplace.web.openapi import ONCE

_TOPICS_MAX = 100

Url = Annotated[str, msgspec.Meta(max_length=500)]
Description = Annotated[str, msgspec.Meta(max_length=200, pattern=r"^[^\x00]*$")]
Topics = Annotated[list[Annotated[str, msgspec.Meta(max_length=100)]], msgspec.Meta(max_length=_TOPICS_MAX)]
InState = Annotated[DeliveryState | None, QueryParameter(name="state")]


class Topic(msgspec.Struct, frozen=True):
    """What an event of this topic tells."""

    topic: str
    description: str


class CreateWebhook(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """url: https, and to the outside world. topics: what is to be told; none for everything, also what comes later."""

    url: Url
    description: Description = ""
    topics: Topics = []


class EditWebhook(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What may be changed; what is not given stays as it is. Disabling gives up what has not been delivered yet."""

    url: Url | msgspec.UnsetType = msgspec.UNSET
    description: Description | msgspec.UnsetType = msgspec.UNSET
    topics: Topics | msgspec.UnsetType = msgspec.UNSET
    state: EndpointState | msgspec.UnsetType = msgspec.UNSET


class ReplayFailed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """since: what was owed from then on; an instant with its offset."""

    since: Annotated[datetime, msgspec.Meta(tz=True)]


@get("/webhook-topics", guards=[needs(MERCHANT_BOOKS, OPS)])
async def list_topics() -> list[Topic]:
    """What webhooks can tell of."""
    return [Topic(topic, description) for topic, description in sorted(TOPICS.items())]


@get("/webhooks", guards=[needs(MERCHANT_BOOKS, OPS)])
async def list_webhooks(
    request: ActorRequest, db: NamedDependency[Database], limit: Limit = LIMIT, cursor: Cursor = None
) -> Page[Endpoint]:
    """Endpoints by age: the house sees all, a merchant's person its merchant's."""
    (after,) = decode_cursor(cursor, tuple[int]) or (0,)
    async with db.read(WORKER) as tx:
        rows = await store.list_endpoints(tx, request.user.merchant_id, limit=limit + 1, after=after)
    return page(rows, limit, lambda row: row, lambda row: (row.endpoint_id,))


@post("/webhooks", dto=StrictBody[CreateWebhook], guards=[needs(MERCHANT_BOOKS, OPS)], status_code=201, opt=ONCE)
async def create_webhook(
    request: ActorRequest,
    db: NamedDependency[Database],
    settings: NamedDependency[Settings],
    data: JSONBody[CreateWebhook],
) -> Response[NewEndpoint]:
    """A new endpoint: of the caller's merchant, told of what concerns that merchant; or of the house, told of all.

    The answer holds the secret that messages are signed with (Standard Webhooks); it is shown nowhere else.
    """
    url = check_url(data.url, private=settings.webhooks_private)
    owner = request.user.merchant_id
    return await once(request, db, store.create_endpoint, owner, url, data.description, data.topics)


@get("/webhooks/{endpoint_id:int}", guards=[needs(MERCHANT_BOOKS, OPS)])
async def get_webhook(request: ActorRequest, db: NamedDependency[Database], endpoint_id: PathId) -> Response[Endpoint]:
    """One endpoint, without its secret."""
    async with db.read(WORKER) as tx:
        endpoint = await store.get_endpoint(tx, endpoint_id, request.user.merchant_id)
    return tagged(endpoint, endpoint.version)


@patch(
    "/webhooks/{endpoint_id:int}",
    dto=StrictBody[EditWebhook],
    guards=[needs(MERCHANT_BOOKS, OPS)],
    opt=versioned(),
)
async def edit_webhook(
    request: ActorRequest,
    db: NamedDependency[Database],
    settings: NamedDependency[Settings],
    endpoint_id: PathId,
    data: JSONBody[EditWebhook],
) -> Response[Endpoint]:
    """Change an endpoint, disable it, or enable it again."""
    if isinstance(data.url, str):
        check_url(data.url, private=settings.webhooks_private)
    edit = EndpointEdit(url=data.url, description=data.description, topics=data.topics, state=data.state)
    expected, owner = expected_version(request), request.user.merchant_id

    async def change(tx: Tx) -> Endpoint:
        endpoint = await store.get_endpoint(tx, endpoint_id, owner, locked=True)
        check_version(expected, endpoint.version)
        return await store.edit_endpoint(tx, endpoint, edit)

    changed = await db.write(WORKER, request.user.login, change)
    return tagged(changed, changed.version)


@delete("/webhooks/{endpoint_id:int}", guards=[needs(MERCHANT_BOOKS, OPS)], status_code=204)
async def remove_webhook(request: ActorRequest, db: NamedDependency[Database], endpoint_id: PathId) -> None:
    """Remove an endpoint with its log."""
    owner = request.user.merchant_id

    async def remove(tx: Tx) -> None:
        await store.remove_endpoint(tx, await store.get_endpoint(tx, endpoint_id, owner, locked=True))

    await db.write(WORKER, request.user.login, remove)


@post("/webhooks/{endpoint_id:int}/rotate-secret", guards=[needs(MERCHANT_BOOKS, OPS)], status_code=200, opt=ONCE)
async def rotate_webhook_secret(
    request: ActorRequest, db: NamedDependency[Database], endpoint_id: PathId
) -> Response[NewEndpoint]:
    """A new secret. For 24 hours messages are signed with the one before it, too, so that receivers can change over."""
    owner = request.user.merchant_id

    async def rotate(tx: Tx) -> NewEndpoint:
        return await store.rotate_secret(tx, await store.get_endpoint(tx, endpoint_id, owner, locked=True))

    return await once(request, db, rotate)


@post("/webhooks/{endpoint_id:int}/test", guards=[needs(MERCHANT_BOOKS, OPS)], status_code=202, opt=ONCE)
async def check_webhook(
    request: ActorRequest, db: NamedDependency[Database], endpoint_id: PathId
) -> Response[Delivery]:
    """Have a message of topic `core.webhook_test.v1` sent to this endpoint; its delivery tells what came of it."""
    owner = request.user.merchant_id

    async def ask(tx: Tx) -> Delivery:
        return await deliveries.send_test(tx, await store.get_endpoint(tx, endpoint_id, owner, locked=True))

    return await once(request, db, ask)


@get("/webhooks/{endpoint_id:int}/deliveries", guards=[needs(MERCHANT_BOOKS, OPS)])
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


@get("/webhooks/{endpoint_id:int}/deliveries/{event_id:int}", guards=[needs(MERCHANT_BOOKS, OPS)])
async def get_webhook_delivery(
    request: ActorRequest, db: NamedDependency[Database], endpoint_id: PathId, event_id: PathId
) -> DeliveryDetail:
    """One delivery with each attempt: when, what was answered, how long it took."""
    async with db.read(WORKER) as tx:
        await store.get_endpoint(tx, endpoint_id, request.user.merchant_id)
        return await deliveries.get_delivery(tx, endpoint_id, event_id)


@post(
    "/webhooks/{endpoint_id:int}/deliveries/{event_id:int}/replay",
    guards=[needs(MERCHANT_BOOKS, OPS)],
    status_code=202,
    opt=ONCE,
)
async def replay_webhook_delivery(
    request: ActorRequest, db: NamedDependency[Database], endpoint_id: PathId, event_id: PathId
) -> Response[Delivery]:
    """Send an event again that was delivered or has failed, with the same `webhook-id`."""
    owner = request.user.merchant_id

    async def replay(tx: Tx) -> Delivery:
        endpoint = await store.get_endpoint(tx, endpoint_id, owner, locked=True)
        return await deliveries.replay(tx, endpoint, event_id)

    return await once(request, db, replay)


@post(
    "/webhooks/{endpoint_id:int}/replay",
    dto=StrictBody[ReplayFailed],
    guards=[needs(MERCHANT_BOOKS, OPS)],
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
