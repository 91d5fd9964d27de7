"""What each endpoint is owed: made with the event, claimed to be sent, and written down with every attempt.

At least once: a sender that dies between sending and writing it down leaves the delivery claimed; when its lease is
over another sends it again, with the same `webhook-id`, by which the receiver knows it.
"""

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import msgspec
from sqlalchemy import bindparam, func, insert, select, true, update

from marketplace.core import audit
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, NotFound
from marketplace.core.ids import time_ordered_id
from marketplace.core.outbox import Event
from marketplace.core.tables import ARRAY, BigInteger, Text, outbox, text
from marketplace.core.webhooks.store import Endpoint, EndpointState, disable_endpoint
from marketplace.core.webhooks.tables import webhook_attempt, webhook_delivery, webhook_endpoint
from marketplace.core.webhooks.topics import TEST_TOPIC

RETRY_AFTER = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
"""The pause after each failed attempt, 75 hours in all; after the last one the delivery has failed.

The schedule that Standard Webhooks proposes. Each pause is up to a tenth longer, so that what failed together does
not come back together.
"""
_JITTER = 0.1

FAILING_MAX = timedelta(days=5)
"""An endpoint without a success for so long is disabled."""

LEASE = timedelta(minutes=1)
"""How long a claimed delivery is its sender's alone; longer than sending and writing it down can take."""

PER_ENDPOINT = 4
"""Deliveries to one endpoint at a time, by all senders together: it is not flooded."""

PER_OWNER = 4
"""Endpoints of one owner at a time, by all senders together: one whose servers are slow holds up itself alone."""

_PUT_BACK = timedelta(seconds=5)
"""When a delivery is tried again that its sender had no means to send."""

_GONE = 410


class DeliveryState(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One event owed to one endpoint: pending until it is delivered, or has failed and is given up.

    attempts: made so far. not_before: when a pending one is sent (again), None when that has ended.
    """

    endpoint_id: int
    event_id: int
    topic: str
    state: DeliveryState
    attempts: int
    not_before: datetime | None
    created_at: datetime
    ended_at: datetime | None


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt: the status answered, or the error that kept an answer from coming; answer: how its body begins."""

    attempt_no: int
    at: datetime
    status: int | None
    duration_ms: int
    answer: str
    error: str | None


class DeliveryDetail(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery with its attempts, the first one first. An attempt whose sender died is missing among them."""

    delivery: Delivery
    log: list[Attempt]


class Replayed(msgspec.Struct, frozen=True):
    """How many deliveries will be sent again."""

    deliveries: int


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A claimed delivery: what is sent where, signed with which secrets."""

    endpoint_id: int
    event_id: int
    attempt_no: int
    url: str
    secrets: tuple[str, ...]
    body: bytes

    @property
    def message_id(self) -> str:
        """The `webhook-id`: the same for every attempt and every endpoint."""
        return f"evt_{self.event_id}"


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """What is sent: the form that Standard Webhooks proposes, with the merchant whom it is about."""

    type: str
    timestamp: datetime
    merchant_id: int | None
    data: Any


_COLUMNS = [webhook_delivery.c[name] for name in Delivery.__struct_fields__]

_FAN_OUT = text("""
    INSERT INTO core.webhook_delivery (endpoint_id, event_id, topic, not_before, created_at)
    SELECT e.endpoint_id, event.event_id, event.topic, :now, :now
    FROM unnest(:event_ids, :topics, :merchant_ids) AS event (event_id, topic, merchant_id)
    JOIN core.webhook_endpoint e
        ON (e.merchant_id IS NULL OR e.merchant_id = event.merchant_id)
        AND (e.topics = '{}' OR event.topic = ANY (e.topics))
    WHERE e.state = 'active'
    ON CONFLICT DO NOTHING
""").bindparams(
    bindparam("event_ids", type_=ARRAY(BigInteger)),
    bindparam("topics", type_=ARRAY(Text)),
    bindparam("merchant_ids", type_=ARRAY(BigInteger)),
)


async def fan_out(tx: Tx, events: Sequence[Event]) -> None:
    """Owe the events to every active endpoint that may be told of them and wants to be."""
    await tx.execute(
        _FAN_OUT,
        {
            "now": tx.now,
            "event_ids": [event.event_id for event in events],
            "topics": [event.topic for event in events],
            "merchant_ids": [event.merchant_id for event in events],
        },
    )


# Claims come one after the other, so that each sees what is leased already. An endpoint waits in the order of its
# oldest delivery that is due; one that is leased in part takes no further place of its owner's.
_CLAIMING = text("SELECT pg_advisory_xact_lock(hashtext('webhook_claim'))")
_CLAIM = text("""
    WITH leased AS (
        SELECT endpoint_id, count(*) AS deliveries FROM core.webhook_delivery
        WHERE leased_until IS NOT NULL AND leased_until > :now AND state = 'pending' GROUP BY endpoint_id
    ), owner AS (
        SELECT e.merchant_id, count(*) AS endpoints FROM core.webhook_endpoint e
        WHERE e.endpoint_id = ANY (:busy) OR e.endpoint_id IN (SELECT endpoint_id FROM leased) GROUP BY 1
    ), waiting AS (
        SELECT e.endpoint_id, oldest.not_before, coalesce(leased.deliveries, 0) AS deliveries,
            coalesce(owner.endpoints, 0) + count(*) FILTER (WHERE leased.endpoint_id IS NULL)
                OVER (PARTITION BY e.merchant_id ORDER BY oldest.not_before, e.endpoint_id) AS place
        FROM core.webhook_endpoint e
        CROSS JOIN LATERAL (
            SELECT w.not_before FROM core.webhook_delivery w
            WHERE w.endpoint_id = e.endpoint_id AND w.state = 'pending' AND w.not_before <= :now
            ORDER BY w.not_before LIMIT 1
        ) AS oldest
        LEFT JOIN leased ON leased.endpoint_id = e.endpoint_id
        LEFT JOIN owner ON owner.merchant_id IS NOT DISTINCT FROM e.merchant_id
        WHERE e.state = 'active' AND e.endpoint_id <> ALL (:busy) AND coalesce(leased.deliveries, 0) < :per_endpoint
    ), chosen AS (
        SELECT endpoint_id, deliveries FROM waiting WHERE place <= :per_owner OR deliveries > 0
        ORDER BY not_before, endpoint_id LIMIT :endpoints
    )
    UPDATE core.webhook_delivery d SET attempts = d.attempts + 1, not_before = :until, leased_until = :until
    FROM (
        SELECT e.endpoint_id, e.url, e.secret, e.previous_secret, e.previous_until, due.event_id
        FROM chosen JOIN core.webhook_endpoint e ON e.endpoint_id = chosen.endpoint_id CROSS JOIN LATERAL (
            SELECT w.event_id FROM core.webhook_delivery w
            WHERE w.endpoint_id = e.endpoint_id AND w.state = 'pending' AND w.not_before <= :now
            ORDER BY w.not_before LIMIT :per_endpoint - chosen.deliveries FOR UPDATE SKIP LOCKED
        ) AS due
    ) AS claimed
    JOIN core.outbox o ON o.event_id = claimed.event_id
    WHERE d.endpoint_id = claimed.endpoint_id AND d.event_id = claimed.event_id
    RETURNING d.endpoint_id, d.event_id, d.attempts AS attempt_no, claimed.url, claimed.secret,
        claimed.previous_secret, claimed.previous_until, o.topic, o.occurred_at, o.merchant_id, o.payload
""").bindparams(bindparam("busy", type_=ARRAY(BigInteger)))


async def claim(tx: Tx, *, busy: Sequence[int], endpoints: int) -> list[Message]:
    """Deliveries that are due, of up to so many endpoints; theirs alone for LEASE.

    No more than PER_ENDPOINT of one endpoint and PER_OWNER endpoints of one owner are leased at a time, whoever
    claims. busy: endpoints that the caller is still at and that have to wait; they take their owners' places, too.
    """
    await tx.execute(_CLAIMING)
    most = {"per_endpoint": PER_ENDPOINT, "per_owner": PER_OWNER, "endpoints": endpoints}
    rows = await tx.rows(_CLAIM, now=tx.now, until=tx.now + LEASE, busy=list(busy), **most)
    return [_message(row, tx.now) for row in sorted(rows, key=lambda row: (row.endpoint_id, row.event_id))]


async def put_back(tx: Tx, messages: Sequence[Message]) -> None:
    """Give back what was claimed and could not be tried, through no fault of its endpoint: no attempt was made."""
    for message in messages:
        await tx.execute(
            update(webhook_delivery)
            .where(
                webhook_delivery.c.endpoint_id == message.endpoint_id,
                webhook_delivery.c.event_id == message.event_id,
                webhook_delivery.c.attempts == message.attempt_no,
                webhook_delivery.c.state == DeliveryState.PENDING,
            )
            .values(attempts=message.attempt_no - 1, not_before=tx.now + _PUT_BACK, leased_until=None)
        )


def _message(row: Any, now: datetime) -> Message:
    both = row.previous_until is not None and row.previous_until > now
    body = Body(type=row.topic, timestamp=row.occurred_at, merchant_id=row.merchant_id, data=row.payload)
    return Message(
        endpoint_id=row.endpoint_id,
        event_id=row.event_id,
        attempt_no=row.attempt_no,
        url=row.url,
        secrets=(row.secret, row.previous_secret) if both else (row.secret,),
        body=msgspec.json.encode(body),
    )


async def record(tx: Tx, message: Message, attempt: Attempt) -> None:
    """Write down how an attempt went, and what follows: delivered, again later, failed, or the endpoint disabled."""
    endpoint, succeeded = message.endpoint_id, attempt.status is not None and 200 <= attempt.status < 300
    failing_since = await _note_health(tx, endpoint, succeeded=succeeded)
    this = (webhook_delivery.c.endpoint_id == endpoint) & (webhook_delivery.c.event_id == message.event_id)
    row = await tx.row(select(*_COLUMNS, webhook_delivery.c.attempts_before).where(this).with_for_update())
    if row is None:  # the endpoint was removed meanwhile
        return
    await tx.execute(
        insert(webhook_attempt),
        {"endpoint_id": endpoint, "event_id": message.event_id, **msgspec.structs.asdict(attempt)},
    )
    following: dict[str, Any] | None = None
    if succeeded:
        following = {"state": DeliveryState.DELIVERED, "not_before": None, "leased_until": None, "ended_at": tx.now}
    elif row.state == DeliveryState.PENDING and row.attempts == message.attempt_no:  # else somebody else's by now
        following = _after_failure(tx.now, message.attempt_no - row.attempts_before)
    if following:
        await tx.execute(update(webhook_delivery).where(this).values(following))
    if attempt.status == _GONE:
        await disable_endpoint(tx, endpoint, "it answered 410 Gone")
    elif failing_since is not None and tx.now - failing_since >= FAILING_MAX:
        await disable_endpoint(tx, endpoint, f"it has failed for {FAILING_MAX.days} days")


def _after_failure(now: datetime, made: int) -> dict[str, Any]:
    """What becomes of a delivery after so many attempts in a row have failed."""
    if made > len(RETRY_AFTER):
        return {"state": DeliveryState.FAILED, "not_before": None, "leased_until": None, "ended_at": now}
    pause = RETRY_AFTER[made - 1]
    again = now + pause + pause * random.uniform(0, _JITTER)  # noqa: S311  # jitter, not a secret
    return {"not_before": again, "leased_until": None}


async def _note_health(tx: Tx, endpoint_id: int, *, succeeded: bool) -> datetime | None:
    """Since when the endpoint has failed, now that it has once more; None after a success.

    The endpoint's row comes before those of its deliveries, here as everywhere, so that nothing deadlocks.
    """
    mine = webhook_endpoint.c.endpoint_id == endpoint_id
    since: datetime | None = await tx.scalar(select(webhook_endpoint.c.failing_since).where(mine))
    if succeeded != (since is None):
        since = None if succeeded else tx.now
        await tx.execute(update(webhook_endpoint).where(mine).values(failing_since=since))
    return since


async def send_test(tx: Tx, endpoint: Endpoint) -> Delivery:
    """Owe one endpoint an event that tells of nothing. Raises Conflict when it is disabled."""
    _check_active(endpoint)
    event_id = time_ordered_id(tx.now)
    event = {"event_id": event_id, "topic": TEST_TOPIC, "merchant_id": endpoint.merchant_id}
    payload = {"endpoint_id": endpoint.endpoint_id}
    await tx.execute(insert(outbox), event | {"payload": payload, "occurred_at": tx.now, "dispatched_at": tx.now})
    row = {"endpoint_id": endpoint.endpoint_id, "event_id": event_id, "topic": TEST_TOPIC}
    made = insert(webhook_delivery).values(row | {"not_before": tx.now, "created_at": tx.now}).returning(*_COLUMNS)
    # Who asked is for our own eyes: a merchant reads the message.
    await audit.record(tx, "webhook tested", f"webhook:{endpoint.endpoint_id}", event_id=event_id)
    return _delivery((await tx.execute(made)).one())


def _check_active(endpoint: Endpoint) -> None:
    if endpoint.state is not EndpointState.ACTIVE:
        raise Conflict(f"webhook {endpoint.endpoint_id} is disabled: enable it first")


def _delivery(row: Any) -> Delivery:
    return msgspec.convert(row._mapping, Delivery)


async def list_deliveries(
    tx: Tx, endpoint_id: int, *, state: DeliveryState | None, limit: int, before: int | None
) -> list[Delivery]:
    """The deliveries to an endpoint, the newest event first."""
    query = select(*_COLUMNS).where(webhook_delivery.c.endpoint_id == endpoint_id)
    if state is not None:
        query = query.where(webhook_delivery.c.state == state)
    if before is not None:
        query = query.where(webhook_delivery.c.event_id < before)
    return [_delivery(row) for row in await tx.rows(query.order_by(webhook_delivery.c.event_id.desc()).limit(limit))]


async def get_delivery(tx: Tx, endpoint_id: int, event_id: int) -> DeliveryDetail:
    """One delivery with its log. Raises NotFound."""
    row = await tx.row(
        select(*_COLUMNS).where(webhook_delivery.c.endpoint_id == endpoint_id, webhook_delivery.c.event_id == event_id)
    )
    if row is None:
        raise NotFound(f"there is no delivery of event {event_id} to webhook {endpoint_id}")
    attempts = await tx.rows(
        select(*(webhook_attempt.c[name] for name in Attempt.__struct_fields__))
        .where(webhook_attempt.c.endpoint_id == endpoint_id, webhook_attempt.c.event_id == event_id)
        .order_by(webhook_attempt.c.attempt_no)
    )
    return DeliveryDetail(
        delivery=_delivery(row), log=[msgspec.convert(attempt._mapping, Attempt) for attempt in attempts]
    )


async def replay(tx: Tx, endpoint: Endpoint, event_id: int) -> Delivery:
    """Send an event again, or now that waits for its next attempt, which has all its attempts before it again.

    Raises NotFound, and Conflict while it is on its way.
    """
    _check_active(endpoint)
    await get_delivery(tx, endpoint.endpoint_id, event_id)
    on_its_way = (webhook_delivery.c.state == DeliveryState.PENDING) & (webhook_delivery.c.leased_until > tx.now)
    again = await tx.execute(
        _again(tx, endpoint)
        .where(webhook_delivery.c.event_id == event_id, func.coalesce(~on_its_way, true()))
        .returning(*_COLUMNS)
    )
    row = again.one_or_none()
    if row is None:
        raise Conflict(f"event {event_id} is being sent just now: wait what becomes of it")
    return _delivery(row)


async def replay_failed(tx: Tx, endpoint: Endpoint, since: datetime) -> Replayed:
    """Send everything again that was owed since then and has failed. Raises Conflict when the endpoint is disabled."""
    _check_active(endpoint)
    failed = (webhook_delivery.c.state == DeliveryState.FAILED) & (webhook_delivery.c.created_at >= since)
    return Replayed((await tx.execute(_again(tx, endpoint).where(failed))).rowcount)


def _again(tx: Tx, endpoint: Endpoint) -> Any:
    return (
        update(webhook_delivery)
        .where(webhook_delivery.c.endpoint_id == endpoint.endpoint_id)
        .values(state="pending", not_before=tx.now, ended_at=None, attempts_before=webhook_delivery.c.attempts)
    )
