"""The endpoints of webhooks: who is told, where, of what, and with which secret the messages are signed."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

import msgspec
from sqlalchemy import delete, func, insert, select, update

from marketplace.core import audit
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, Invalid, NotFound
from marketplace.core.ids import time_ordered_id
from marketplace.core.signatures import new_secret
from marketplace.core.webhooks.tables import webhook_delivery, webhook_endpoint
from marketplace.core.webhooks.topics import HOUSE_ONLY, TOPICS

ENDPOINTS_MAX = 20
"""Of one merchant, and of the house: each event may be sent that many times."""

SECRET_OVERLAP = timedelta(hours=24)
"""How long messages are also signed with the secret before, so that receivers can change over."""


Url = Annotated[str, msgspec.Meta(max_length=500)]
Description = Annotated[str, msgspec.Meta(max_length=200, pattern=r"^[^\x00]*$")]
Topics = Annotated[list[Annotated[str, msgspec.Meta(max_length=100)]], msgspec.Meta(max_length=100)]


class EndpointState(StrEnum):
    ACTIVE = "active"
    DISABLED = "disabled"


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint without its secret.

    merchant_id: None for one of the house. topics: none for all. failing_since: no success since that failure.
    disabled_because: why the program, not a person, has disabled it.
    """

    endpoint_id: int
    merchant_id: int | None
    url: str
    description: str
    topics: list[str]
    state: EndpointState
    disabled_because: str | None
    failing_since: datetime | None
    previous_until: datetime | None
    created_at: datetime
    version: int


class NewEndpoint(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint just made, or given another secret."""

    endpoint: Endpoint
    secret: str


class EndpointEdit(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What may be changed; what is not given stays as it is. Disabling gives up what has not been delivered yet."""

    url: Url | msgspec.UnsetType = msgspec.UNSET
    description: Description | msgspec.UnsetType = msgspec.UNSET
    topics: Topics | msgspec.UnsetType = msgspec.UNSET
    state: EndpointState | msgspec.UnsetType = msgspec.UNSET


_COLUMNS = [webhook_endpoint.c[name] for name in Endpoint.__struct_fields__]


def _endpoint(row: Any) -> Endpoint:
    return msgspec.convert(row._mapping, Endpoint)


def check_topics(topics: list[str], merchant_id: int | None) -> list[str]:
    """The topics without repetition, in order. Raises Invalid for one that there is not, or not for merchants."""
    for number, topic in enumerate(topics):
        if topic not in TOPICS:
            raise Invalid(f"topics: there is no topic {topic[:80]!r}", pointer=f"/topics/{number}")
        if merchant_id is not None and topic in HOUSE_ONLY:
            raise Invalid(f"topics: {topic} is told to the house alone", pointer=f"/topics/{number}")
    return sorted(set(topics))


async def create_endpoint(
    tx: Tx, merchant_id: int | None, url: str, description: str, topics: list[str]
) -> NewEndpoint:
    """An endpoint of a merchant or of the house; `url` has been checked. Raises Invalid, and Conflict for too many."""
    topics = check_topics(topics, merchant_id)
    # Two at once could pass the count together, so they come one after the other.
    await tx.scalar("SELECT pg_advisory_xact_lock(hashtext('webhook_endpoint'), :owner)", owner=_lock_of(merchant_id))
    own = webhook_endpoint.c.merchant_id.is_not_distinct_from(merchant_id)
    if await tx.scalar(select(func.count()).select_from(webhook_endpoint).where(own)) >= ENDPOINTS_MAX:
        raise Conflict(f"there are {ENDPOINTS_MAX} endpoints already: remove one first")
    row = {
        "endpoint_id": time_ordered_id(tx.now),
        "merchant_id": merchant_id,
        "url": url,
        "description": description,
        "topics": topics,
        "secret": new_secret(),
        "created_at": tx.now,
    }
    made = (await tx.execute(insert(webhook_endpoint).values(row).returning(*_COLUMNS))).one()
    await audit.record(tx, "webhook created", f"webhook:{row['endpoint_id']}", url=url, topics=topics)
    return NewEndpoint(endpoint=_endpoint(made), secret=str(row["secret"]))


def _lock_of(merchant_id: int | None) -> int:
    return 0 if merchant_id is None else merchant_id % 2**31


async def get_endpoint(tx: Tx, endpoint_id: int, owner: int | None, *, locked: bool = False) -> Endpoint:
    """An endpoint that the owner may see: a merchant its own, the house (None) every one. Raises NotFound."""
    query = select(*_COLUMNS).where(webhook_endpoint.c.endpoint_id == endpoint_id)
    if owner is not None:
        query = query.where(webhook_endpoint.c.merchant_id == owner)
    row = await tx.row(query.with_for_update() if locked else query)
    if row is None:
        raise NotFound(f"there is no webhook {endpoint_id}")
    return _endpoint(row)


async def list_endpoints(tx: Tx, owner: int | None, *, limit: int, after: int) -> list[Endpoint]:
    """The endpoints that the owner may see, by id."""
    query = select(*_COLUMNS).where(webhook_endpoint.c.endpoint_id > after)
    if owner is not None:
        query = query.where(webhook_endpoint.c.merchant_id == owner)
    return [_endpoint(row) for row in await tx.rows(query.order_by(webhook_endpoint.c.endpoint_id).limit(limit))]


async def edit_endpoint(tx: Tx, endpoint: Endpoint, edit: EndpointEdit) -> Endpoint:
    """Change a locked endpoint; `edit.url` has been checked. Enabling it forgives its failures."""
    given = {name: value for name, value in msgspec.structs.asdict(edit).items() if value is not msgspec.UNSET}
    if isinstance(edit.topics, list):
        given["topics"] = check_topics(edit.topics, endpoint.merchant_id)
    if edit.state is EndpointState.ACTIVE:
        given |= {"failing_since": None, "disabled_because": None}
    if edit.state is EndpointState.DISABLED and endpoint.state is EndpointState.ACTIVE:
        await _give_up_pending(tx, endpoint.endpoint_id)
    await audit.record(tx, "webhook changed", f"webhook:{endpoint.endpoint_id}", **given)
    changed = await tx.execute(
        update(webhook_endpoint)
        .where(webhook_endpoint.c.endpoint_id == endpoint.endpoint_id)
        .values(version=webhook_endpoint.c.version + 1, **given)
        .returning(*_COLUMNS)
    )
    return _endpoint(changed.one())


async def disable_endpoint(tx: Tx, endpoint_id: int, reason: str) -> None:
    """Tell an endpoint nothing more, for a reason that the program has found; what it is still owed has failed."""
    disabled = await tx.execute(
        update(webhook_endpoint)
        .where(webhook_endpoint.c.endpoint_id == endpoint_id, webhook_endpoint.c.state == EndpointState.ACTIVE)
        .values(state=EndpointState.DISABLED, disabled_because=reason, version=webhook_endpoint.c.version + 1)
    )
    if disabled.rowcount:
        await _give_up_pending(tx, endpoint_id)
        await audit.record(tx, "webhook disabled", f"webhook:{endpoint_id}", because=reason)


async def _give_up_pending(tx: Tx, endpoint_id: int) -> None:
    await tx.execute(
        update(webhook_delivery)
        .where(webhook_delivery.c.endpoint_id == endpoint_id, webhook_delivery.c.state == "pending")
        .values(state="failed", not_before=None, ended_at=tx.now)
    )


async def remove_endpoint(tx: Tx, endpoint: Endpoint) -> None:
    """Remove an endpoint with its log."""
    await tx.execute(delete(webhook_endpoint).where(webhook_endpoint.c.endpoint_id == endpoint.endpoint_id))
    await audit.record(tx, "webhook removed", f"webhook:{endpoint.endpoint_id}", url=endpoint.url)


async def rotate_secret(tx: Tx, endpoint: Endpoint) -> NewEndpoint:
    """A new secret for a locked endpoint; the one before it signs along for SECRET_OVERLAP."""
    secret = new_secret()
    changed = await tx.execute(
        update(webhook_endpoint)
        .where(webhook_endpoint.c.endpoint_id == endpoint.endpoint_id)
        .values(
            previous_secret=webhook_endpoint.c.secret,
            previous_until=tx.now + SECRET_OVERLAP,
            secret=secret,
            version=webhook_endpoint.c.version + 1,
        )
        .returning(*_COLUMNS)
    )
    await audit.record(tx, "webhook secret rotated", f"webhook:{endpoint.endpoint_id}")
    return NewEndpoint(endpoint=_endpoint(changed.one()), secret=secret)
