"""Sending webhooks to a server that fails, is slow, has gone or lies: repeated, accounted for, and given up in time."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from marketplace.core import outbox, retention
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.webhooks import deliveries, sender, store
from marketplace.core.webhooks.deliveries import (
    FAILING_MAX,
    LEASE,
    PER_ENDPOINT,
    PER_OWNER,
    RETRY_AFTER,
    DeliveryDetail,
    Message,
)
from marketplace.core.webhooks.store import Endpoint
from marketplace.settings import Settings
from marketplace.worker import DELIVERIES, jobs_of
from tests.conftest import NOW
from tests.http.receiver import HANG, Receiver, receiving

MOVED = "demand.order_moved.v1"
JITTER = 1.11


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


async def add_endpoint(db: Database, url: str, merchant_id: int | None = None) -> Endpoint:
    return (await db.write(WORKER, "test", store.create_endpoint, merchant_id, url, "", [])).endpoint


async def tell(db: Database, count: int = 1, merchant_id: int = 7) -> None:
    async def emit(tx: Tx) -> None:
        for number in range(count):
            await outbox.emit(tx, MOVED, {"number": number}, merchant_id=merchant_id)

    await db.write(WORKER, "test", emit)
    await db.write(WORKER, "worker", outbox.dispatch, DELIVERIES, 1_000)


async def send(db: Database, *, private: bool = True, timeout_s: float = 5.0) -> int:
    return await sender.send_due(db, "worker", private=private, timeout_s=timeout_s)


async def only(db: Database, endpoint: Endpoint) -> DeliveryDetail:
    """The one delivery to the endpoint."""
    async with db.read(WORKER) as tx:
        (one,) = await deliveries.list_deliveries(tx, endpoint.endpoint_id, state=None, limit=10, before=None)
        return await deliveries.get_delivery(tx, endpoint.endpoint_id, one.event_id)


async def again(db: Database, endpoint: Endpoint) -> Endpoint:
    async with db.read(WORKER) as tx:
        return await store.get_endpoint(tx, endpoint.endpoint_id, None)


async def test_a_failing_endpoint_is_asked_again_by_the_schedule_and_then_given_up(
    db: Database, receiver: Receiver, clock: FixedClock
) -> None:
    endpoint = await add_endpoint(db, receiver.url())
    receiver.answers.extend([(500, b"broken")] * (len(RETRY_AFTER) + 1))
    await tell(db)
    assert await send(db) == 1
    for pause in RETRY_AFTER:
        clock.move_to(clock.now() + pause - timedelta(seconds=1))
        assert await send(db) == 0
        clock.move_to(clock.now() + pause * (JITTER - 1) + timedelta(seconds=1))
        assert await send(db) == 1
    clock.move_to(clock.now() + timedelta(days=1))
    assert await send(db) == 0
    given_up = await only(db, endpoint)
    assert (given_up.delivery.state, given_up.delivery.attempts) == ("failed", len(RETRY_AFTER) + 1)
    assert [each.status for each in given_up.log] == [500] * (len(RETRY_AFTER) + 1)
    assert {each.answer for each in given_up.log} == {"broken"}
    assert len({each.id for each in receiver.received}) == 1
    assert len({each.headers["webhook-timestamp"] for each in receiver.received}) == len(receiver.received)
    assert timedelta(days=3) < clock.now() - NOW < timedelta(days=5)
    assert (await again(db, endpoint)).state == "active"


async def test_a_success_after_failures_ends_it(db: Database, receiver: Receiver, clock: FixedClock) -> None:
    endpoint = await add_endpoint(db, receiver.url())
    receiver.answers.extend([(503, b""), (200, b"thanks")])
    await tell(db)
    await send(db)
    assert (await again(db, endpoint)).failing_since == NOW
    clock.move_to(NOW + timedelta(minutes=1))
    await send(db)
    detail = await only(db, endpoint)
    assert (detail.delivery.state, detail.delivery.ended_at) == ("delivered", clock.now())
    assert [(each.status, each.answer) for each in detail.log] == [(503, ""), (200, "thanks")]
    assert (await again(db, endpoint)).failing_since is None


async def test_no_answer_in_time_is_a_failure_that_says_so(db: Database, receiver: Receiver) -> None:
    endpoint = await add_endpoint(db, receiver.url())
    receiver.answers.append((HANG, b""))
    await tell(db)
    await send(db, timeout_s=0.3)
    (attempt,) = (await only(db, endpoint)).log
    assert attempt.status is None
    assert attempt.error
    assert "0.3 seconds" in attempt.error or "Timeout" in attempt.error
    assert 250 <= attempt.duration_ms < 5_000


async def test_nobody_listening_is_a_failure_that_says_so(db: Database, receiver: Receiver) -> None:
    async with receiving() as gone:
        url = gone.url()
    endpoint = await add_endpoint(db, url)
    await tell(db)
    await send(db)
    (attempt,) = (await only(db, endpoint)).log
    assert attempt.error
    assert attempt.error.startswith("ConnectError")


async def test_gone_disables_at_once(db: Database, receiver: Receiver) -> None:
    endpoint = await add_endpoint(db, receiver.url())
    receiver.answers.append((410, b"no longer here"))
    await tell(db, PER_ENDPOINT + 3)
    await send(db)
    now = await again(db, endpoint)
    assert (now.state, now.disabled_because) == ("disabled", "it answered 410 Gone")
    async with db.read(WORKER) as tx:
        owed = await deliveries.list_deliveries(tx, endpoint.endpoint_id, state=None, limit=50, before=None)
        audited = await tx.scalar("SELECT actor FROM core.audit WHERE action = 'webhook disabled'")
    assert {each.state for each in owed} == {"failed", "delivered"}
    assert sum(each.state == "delivered" for each in owed) == PER_ENDPOINT - 1
    assert audited == "worker"
    received = len(receiver.received)
    await tell(db)
    assert await send(db) == 0
    assert len(receiver.received) == received


async def test_who_fails_for_five_days_is_disabled(db: Database, receiver: Receiver, clock: FixedClock) -> None:
    endpoint = await add_endpoint(db, receiver.url())
    receiver.answers.extend([(500, b"")] * 20)
    await tell(db)
    await send(db)
    clock.move_to(NOW + FAILING_MAX - timedelta(seconds=1))
    await tell(db)
    await send(db)
    assert (await again(db, endpoint)).state == "active"
    clock.move_to(NOW + FAILING_MAX)
    await tell(db)
    await send(db)
    now = await again(db, endpoint)
    assert (now.state, now.disabled_because) == ("disabled", "it has failed for 5 days")


async def test_a_redirect_is_not_followed(db: Database, receiver: Receiver) -> None:
    endpoint = await add_endpoint(db, receiver.url())
    receiver.headers.append(f"location: {receiver.url('/elsewhere')}")
    receiver.answers.append((307, b""))
    await tell(db)
    await send(db)
    assert [each.path for each in receiver.received] == ["/hook"]
    detail = await only(db, endpoint)
    assert (detail.delivery.state, detail.log[0].status) == ("pending", 307)


async def test_of_an_answer_the_beginning_is_kept(db: Database, receiver: Receiver) -> None:
    endpoint = await add_endpoint(db, receiver.url())
    receiver.answers.append((200, b"a\0\xff" + b"x" * 5_000_000))
    await tell(db)
    await send(db)
    (attempt,) = (await only(db, endpoint)).log
    assert attempt.answer == "a\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}" + "x" * 497


async def test_a_name_that_leads_inside_is_not_called(db: Database, receiver: Receiver) -> None:
    """What was allowed as text is looked at again when it is called: names may change what they stand for."""
    endpoint = await add_endpoint(db, f"https://localhost:{receiver.port}/hook")
    await tell(db)
    await send(db, private=False)
    assert receiver.received == []
    (attempt,) = (await only(db, endpoint)).log
    assert attempt.error
    assert attempt.error.startswith("NotOutside")


async def test_what_a_dead_sender_had_claimed_is_sent_again_when_its_lease_is_over(
    db: Database, receiver: Receiver, clock: FixedClock
) -> None:
    endpoint = await add_endpoint(db, receiver.url())
    await tell(db)
    (lost,) = await db.write(WORKER, "worker", deliveries.claim, busy=[], endpoints=5)  # and then it was killed
    assert await send(db) == 0
    clock.move_to(NOW + LEASE - timedelta(seconds=1))
    assert await send(db) == 0
    clock.move_to(NOW + LEASE)
    assert await send(db) == 1
    (message,) = receiver.received
    assert message.id == lost.message_id
    detail = await only(db, endpoint)
    assert (detail.delivery.state, detail.delivery.attempts) == ("delivered", 2)
    assert [each.attempt_no for each in detail.log] == [2]


async def test_a_late_failure_does_not_undo_what_another_has_claimed(
    db: Database, receiver: Receiver, clock: FixedClock
) -> None:
    endpoint = await add_endpoint(db, receiver.url())
    await tell(db)
    (slow,) = await db.write(WORKER, "worker", deliveries.claim, busy=[], endpoints=5)
    clock.move_to(NOW + LEASE)
    (second,) = await db.write(WORKER, "worker", deliveries.claim, busy=[], endpoints=5)
    late = deliveries.Attempt(attempt_no=1, at=NOW, status=500, duration_ms=1, answer="", error=None)
    await db.write(WORKER, "worker", deliveries.record, slow, late)
    held = (await only(db, endpoint)).delivery
    assert (held.state, held.not_before) == ("pending", clock.now() + LEASE)
    good = deliveries.Attempt(attempt_no=2, at=clock.now(), status=200, duration_ms=1, answer="", error=None)
    await db.write(WORKER, "worker", deliveries.record, second, good)
    assert (await only(db, endpoint)).delivery.state == "delivered"


async def test_many_senders_send_each_message_once(db: Database, receiver: Receiver) -> None:
    for _ in range(3):
        await add_endpoint(db, receiver.url())
    await tell(db, 40)
    sent = await asyncio.gather(*(send(db) for _ in range(4)))
    assert sum(sent) == len(receiver.received) == 120
    assert len({each.id for each in receiver.received}) == 40


async def claim(db: Database, *, busy: list[int] | None = None, endpoints: int = 16) -> list[Message]:
    return await db.write(WORKER, "worker", deliveries.claim, busy=busy or [], endpoints=endpoints)


async def test_many_workers_together_lease_no_more_of_an_endpoint_than_one(db: Database, clock: FixedClock) -> None:
    await add_endpoint(db, "http://127.0.0.1:9/")
    await tell(db, 40)
    assert [len(await claim(db)) for _ in range(3)] == [PER_ENDPOINT, 0, 0]
    clock.move_to(NOW + LEASE)
    at_once = await asyncio.gather(*(claim(db) for _ in range(5)))
    assert sorted(map(len, at_once)) == [0, 0, 0, 0, PER_ENDPOINT]


async def test_what_is_free_of_an_endpoint_another_worker_may_take(db: Database, clock: FixedClock) -> None:
    await add_endpoint(db, "http://127.0.0.1:9/")
    await tell(db)
    (first,) = await claim(db)
    await tell(db, 10)
    assert len(await claim(db)) == PER_ENDPOINT - 1
    assert await claim(db) == []
    failed = deliveries.Attempt(attempt_no=1, at=NOW, status=500, duration_ms=1, answer="", error=None)
    await db.write(WORKER, "worker", deliveries.record, first, failed)
    assert len(await claim(db)) == 1


async def test_an_owner_of_many_endpoints_leaves_places_to_the_others(db: Database) -> None:
    slow = [(await add_endpoint(db, "http://127.0.0.1:9/", merchant_id=7)).endpoint_id for _ in range(20)]
    quick = (await add_endpoint(db, "http://127.0.0.1:9/", merchant_id=8)).endpoint_id
    await tell(db, 40, merchant_id=7)
    await tell(db, 1, merchant_id=8)
    first = {message.endpoint_id for message in await claim(db)}
    assert quick in first
    assert len(first & set(slow)) == PER_OWNER
    assert await claim(db) == []


async def test_whom_a_sender_is_still_at_takes_a_place_of_its_owner(db: Database) -> None:
    busy = [(await add_endpoint(db, "http://127.0.0.1:9/", merchant_id=7)).endpoint_id for _ in range(6)]
    await tell(db)
    claimed = {message.endpoint_id for message in await claim(db, busy=busy[: PER_OWNER - 1])}
    assert len(claimed) == 1
    assert not claimed & set(busy[: PER_OWNER - 1])


async def test_who_has_waited_longest_comes_first(db: Database, clock: FixedClock) -> None:
    owners = (9, 8, 7)
    endpoints = {owner: (await add_endpoint(db, "http://127.0.0.1:9/", merchant_id=owner)) for owner in (7, 8, 9)}
    for owner in owners:
        await tell(db, merchant_id=owner)
        clock.move_to(clock.now() + timedelta(seconds=1))
    order = [(await claim(db, endpoints=1))[0].endpoint_id for _ in owners]
    assert order == [endpoints[owner].endpoint_id for owner in owners]


async def until_looked_up() -> None:
    async with asyncio.timeout(20):
        while sender._looking_up:  # noqa: ASYNC110  # what is waited for is a thread's
            await asyncio.sleep(0.01)


async def test_a_name_server_that_hangs_holds_up_its_own_endpoints_alone(
    db: Database, receiver: Receiver, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, let_go, asked = socket.getaddrinfo, threading.Event(), []

    def slow(host: str, *args: Any, **kwargs: Any) -> Any:
        if host != "slow.test":
            return real(host, *args, **kwargs)
        asked.append(host)
        let_go.wait(60)
        raise socket.gaierror("no such name")

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    try:
        stuck = [await add_endpoint(db, f"https://slow.test/{number}", merchant_id=7) for number in range(2)]
        quick = await add_endpoint(db, f"http://localhost:{receiver.port}/hook", merchant_id=8)
        await tell(db, PER_ENDPOINT, merchant_id=7)
        await tell(db, 1, merchant_id=8)
        assert await send(db, timeout_s=0.5) == 2 * PER_ENDPOINT + 1
        assert (await only(db, quick)).delivery.state == "delivered"
        assert len(asked) == 2  # once for each endpoint and round, not for each message
        async with db.read(WORKER) as tx:
            (one, *_) = await deliveries.list_deliveries(tx, stuck[0].endpoint_id, state=None, limit=1, before=None)
            detail = await deliveries.get_delivery(tx, one.endpoint_id, one.event_id)
        assert detail.log[0].error == "its name was not found within 0.5 seconds"
        clock.move_to(NOW + timedelta(minutes=1))
        await tell(db, 1, merchant_id=8)
        assert await send(db, timeout_s=0.5) == 1  # the others are busy as long as their threads are
        assert len(asked) == 2
    finally:
        let_go.set()
    await until_looked_up()
    assert await send(db) == 2 * PER_ENDPOINT
    assert len(asked) == 4
    await until_looked_up()


async def test_that_our_own_threads_are_taken_is_no_failure_of_the_receiver(
    db: Database, receiver: Receiver, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = await add_endpoint(db, receiver.url())
    await tell(db)
    let_go = threading.Event()
    with ThreadPoolExecutor(1) as only_one:
        monkeypatch.setattr(sender, "_RESOLVERS", only_one)
        monkeypatch.setattr(sender, "_LOOKUP_S", 0.2)
        only_one.submit(let_go.wait, 60)
        try:
            assert await send(db) == 0
        finally:
            let_go.set()
    detail = await only(db, endpoint)
    assert (detail.delivery.state, detail.delivery.attempts, detail.log) == ("pending", 0, [])
    assert (await again(db, endpoint)).failing_since is None
    monkeypatch.undo()
    clock.move_to(NOW + timedelta(minutes=1))
    assert await send(db) == 1
    assert [each.attempt_no for each in (await only(db, endpoint)).log] == [1]


async def test_a_slow_endpoint_does_not_hold_up_the_others(db: Database, receiver: Receiver) -> None:
    async with receiving() as slow:
        await add_endpoint(db, slow.url())
        await add_endpoint(db, receiver.url())
        slow.answers.extend([(HANG, b"")] * 100)
        await tell(db, 3 * PER_ENDPOINT)
        sending = asyncio.create_task(send(db, timeout_s=2.0))
        async with asyncio.timeout(1.9):
            while len(receiver.received) < 3 * PER_ENDPOINT:  # noqa: ASYNC110  # what is waited for is another task's
                await asyncio.sleep(0.01)
        assert len(slow.received) <= PER_ENDPOINT
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)


async def test_the_workers_job_sends(db: Database, receiver: Receiver, tmp_path: Path) -> None:
    await add_endpoint(db, receiver.url())
    await tell(db)
    await jobs_of(Settings(home=tmp_path, webhooks_private=False))["send_webhooks"].run(db, None)
    assert receiver.received == []
    endpoint = await add_endpoint(db, receiver.url())
    await tell(db)
    await jobs_of(Settings(home=tmp_path, webhooks_private=True))["send_webhooks"].run(db, None)
    assert len(receiver.received) == 2
    assert (await only(db, endpoint)).delivery.state == "delivered"


async def test_deliveries_are_kept_as_long_as_their_events(db: Database, receiver: Receiver, clock: FixedClock) -> None:
    endpoint = await add_endpoint(db, receiver.url())
    await tell(db)
    await send(db)
    clock.move_to(NOW + retention.KEPT_DISPATCHED_EVENTS)
    assert (await db.write(WORKER, "t", retention.clean_up))["webhook_deliveries"] == 0
    await only(db, endpoint)
    clock.move_to(clock.now() + timedelta(seconds=1))
    removed = await db.write(WORKER, "t", retention.clean_up)
    assert (removed["webhook_deliveries"], removed["events"]) == (1, 1)
