"""Webhooks over HTTP: who may see and change which endpoint, and what its owner is told about its deliveries."""

import ast
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import Litestar

from marketplace.core import outbox
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.signatures import verify
from marketplace.core.webhooks import deliveries, sender
from marketplace.core.webhooks.store import ENDPOINTS_MAX
from marketplace.core.webhooks.topics import HOUSE_ONLY, TEST_TOPIC, TOPICS
from marketplace.worker import DELIVERIES
from tests.http.conftest import api_key, make_client, running
from tests.http.market import ALPHA, BETA, send
from tests.http.receiver import Receiver, receiving

Make = Callable[..., Awaitable[httpx.AsyncClient]]

ROOT = Path(__file__).parents[2]
MOVED = "demand.order_moved.v1"


@pytest.fixture
async def app(db: Database, tmp_path: Path) -> AsyncIterator[Litestar]:
    """The application of a trial: webhooks may go to loopback."""
    async with running(db, tmp_path, webhooks_private=True) as app:
        yield app


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


async def tell(db: Database, *events: tuple[str, int | None]) -> None:
    """Emit events (topic, merchant_id) and dispatch them."""

    async def emit(tx: Tx) -> None:
        for number, (topic, merchant_id) in enumerate(events):
            await outbox.emit(tx, topic, {"number": number, "run_id": 1}, merchant_id=merchant_id)

    await db.write(WORKER, "test", emit)
    await db.write(WORKER, "worker", outbox.dispatch, DELIVERIES, 100)


async def send_due(db: Database) -> int:
    return await sender.send_due(db, "worker", private=True)


async def made(client: httpx.AsyncClient, url: str, **more: Any) -> dict[str, Any]:
    answer = await send(client, "/webhooks", {"url": url, **more})
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def test_each_is_told_of_its_own_and_the_house_of_all(
    caller: Make, db: Database, receiver: Receiver, clock: FixedClock
) -> None:
    alpha = await caller("alice", "merchant_owner", merchant_id=ALPHA)
    beta = await caller("bob", "merchant_manager", merchant_id=BETA)
    house = await caller("ada", "admin")
    secret = (await made(alpha, receiver.url("/alpha")))["secret"]
    await made(beta, receiver.url("/beta"), topics=["demand.order_refunded.v1"])
    await made(house, receiver.url("/house"))
    await tell(db, (MOVED, ALPHA), (MOVED, BETA), ("billing.run_finalised.v1", None))
    assert await send_due(db) == 4
    told = {path: [each for each in receiver.received if each.path == path] for path in ("/alpha", "/beta", "/house")}
    assert [len(each) for each in told.values()] == [1, 0, 3]
    (only,) = told["/alpha"]
    assert verify(only.headers, only.body, [secret], clock.now()) == only.id
    assert only.id in {each.id for each in told["/house"]}
    assert only.headers["content-type"] == "application/json"
    sent = httpx.Response(200, content=only.body).json()
    assert sent == {
        "type": MOVED,
        "timestamp": "2018-09-03T12:00:00Z",
        "merchant_id": ALPHA,
        "data": {"number": 0, "run_id": 1},
    }
    assert await send_due(db) == 0


async def test_an_endpoint_is_made_read_changed_and_removed(caller: Make, receiver: Receiver) -> None:
    alpha = await caller("alice", "merchant_owner", merchant_id=ALPHA)
    answer = await made(alpha, receiver.url(), description="shop", topics=[MOVED, MOVED])
    endpoint, path = answer["endpoint"], f"/api/v1/webhooks/{answer['endpoint']['endpoint_id']}"
    assert answer["secret"].startswith("whsec_")
    assert (endpoint["merchant_id"], endpoint["topics"], endpoint["state"]) == (ALPHA, [MOVED], "active")
    read = await alpha.get(path)
    assert read.json() == endpoint
    assert answer["secret"] not in (read.text + (await alpha.get("/api/v1/webhooks")).text)
    assert (await alpha.patch(path, json={"topics": []})).status_code == 428
    tag = {"If-Match": read.headers["etag"]}
    changed = await alpha.patch(path, json={"topics": [], "description": "all"}, headers=tag)
    assert (changed.json()["topics"], changed.json()["description"], changed.json()["url"]) == (
        [],
        "all",
        endpoint["url"],
    )
    assert (await alpha.patch(path, json={"state": "disabled"}, headers=tag)).status_code == 412
    assert (await alpha.delete(path)).status_code == 204
    assert (await alpha.get(path)).status_code == 404


async def test_another_merchants_endpoint_does_not_exist(caller: Make, db: Database, receiver: Receiver) -> None:
    alpha = await caller("alice", "merchant_owner", merchant_id=ALPHA)
    beta = await caller("bob", "merchant_owner", merchant_id=BETA)
    house = await caller("ada", "admin")
    ids = {
        "beta": (await made(beta, receiver.url()))["endpoint"]["endpoint_id"],
        "house": (await made(house, receiver.url()))["endpoint"]["endpoint_id"],
    }
    await tell(db, (MOVED, BETA))
    deliveries = (await beta.get(f"/api/v1/webhooks/{ids['beta']}/deliveries")).json()["items"]
    event_id = deliveries[0]["event_id"]
    assert (await alpha.get("/api/v1/webhooks")).json()["items"] == []
    for endpoint_id in ids.values():
        path = f"/webhooks/{endpoint_id}"
        answers = [
            await alpha.get(f"/api/v1{path}"),
            await alpha.get(f"/api/v1{path}/deliveries"),
            await alpha.get(f"/api/v1{path}/deliveries/{event_id}"),
            await alpha.patch(f"/api/v1{path}", json={"url": receiver.url()}, headers={"If-Match": '"1"'}),
            await alpha.delete(f"/api/v1{path}"),
            await send(alpha, f"{path}/rotate-secret"),
            await send(alpha, f"{path}/test"),
            await send(alpha, f"{path}/deliveries/{event_id}/replay"),
            await send(alpha, f"{path}/replay", {"since": "2018-01-01T00:00:00Z"}),
        ]
        assert {answer.status_code for answer in answers} == {404}
    assert len((await house.get("/api/v1/webhooks")).json()["items"]) == 2


async def test_of_a_merchants_webhook_the_house_can_stop_it_and_not_have_it(
    caller: Make, db: Database, receiver: Receiver
) -> None:
    alpha = await caller("alice", "merchant_owner", merchant_id=ALPHA)
    path = f"/webhooks/{(await made(alpha, receiver.url()))['endpoint']['endpoint_id']}"
    for number, role in enumerate(("growth", "controller", "admin"), start=1):
        house = await caller(f"the {role}", role)
        read = await house.get(f"/api/v1{path}")
        tag = {"If-Match": read.headers["etag"]}
        refused = [
            await house.patch(f"/api/v1{path}", json=edit, headers=tag)
            for edit in (
                {"url": receiver.url("/elsewhere")},
                {"topics": [MOVED]},
                {"description": "ours"},
                {"state": "active"},
                {"state": "disabled", "url": receiver.url("/elsewhere")},
            )
        ]
        refused.append(await send(house, f"{path}/rotate-secret"))
        assert {answer.status_code for answer in refused} == {403}
        assert (await send(house, f"{path}/test")).status_code == 202
        disabled = await house.patch(f"/api/v1{path}", json={"state": "disabled"}, headers=tag)
        assert disabled.json() == {**read.json(), "state": "disabled", "version": 2 * number}
        tag = {"If-Match": disabled.headers["etag"]}
        assert (await alpha.patch(f"/api/v1{path}", json={"state": "active"}, headers=tag)).status_code == 200
    async with db.read(WORKER) as tx:
        told = await tx.rows("SELECT payload::text AS said FROM core.outbox WHERE topic = :topic", topic=TEST_TOPIC)
        audited = await tx.rows("SELECT actor FROM core.audit WHERE action = 'webhook tested' ORDER BY actor")
    assert len(told) == 3
    assert not any("the growth" in row.said for row in told)
    assert [row.actor for row in audited] == ["the admin", "the controller", "the growth"]
    ops = await caller("opal", "growth")
    assert (await ops.delete(f"/api/v1{path}")).status_code == 204


async def test_what_tells_of_money_is_for_finance_alone(caller: Make, receiver: Receiver) -> None:
    ops, clerk = await caller("opal", "growth"), await caller("carl", "accountant")
    money = "billing.bank_account_changed.v1"
    for topics in ([], [money], [MOVED, money]):
        assert (await send(ops, "/webhooks", {"url": receiver.url(), "topics": topics})).status_code == 403
    own = (await made(ops, receiver.url(), topics=[MOVED, "supply.merchant_moved.v1"]))["endpoint"]
    path = f"/webhooks/{own['endpoint_id']}"
    for topics in ([], [money]):
        widened = await ops.patch(f"/api/v1{path}", json={"topics": topics}, headers={"If-Match": '"1"'})
        assert widened.status_code == 403
    assert (await send(ops, f"{path}/rotate-secret")).status_code == 200
    for topics in ([], [money]):
        full = (await made(clerk, receiver.url(), topics=topics))["endpoint"]
        path = f"/webhooks/{full['endpoint_id']}"
        moved = {"url": receiver.url("/elsewhere")}
        refused = [
            await ops.patch(f"/api/v1{path}", json=moved, headers={"If-Match": '"1"'}),
            await ops.patch(f"/api/v1{path}", json={"topics": [MOVED]}, headers={"If-Match": '"1"'}),
            await send(ops, f"{path}/rotate-secret"),
            await ops.delete(f"/api/v1{path}"),
        ]
        assert {answer.status_code for answer in refused} == {403}
        assert (await clerk.patch(f"/api/v1{path}", json=moved, headers={"If-Match": '"1"'})).status_code == 200


async def test_a_secret_is_in_the_first_answer_and_nowhere_else(caller: Make, db: Database, receiver: Receiver) -> None:
    alpha = await caller("alice", "merchant_owner", merchant_id=ALPHA)
    first = await send(alpha, "/webhooks", {"url": receiver.url()}, key="make")
    path = f"/webhooks/{first.json()['endpoint']['endpoint_id']}/rotate-secret"
    second = await send(alpha, path, key="rotate")
    replayed = [
        await send(alpha, "/webhooks", {"url": receiver.url()}, key="make"),
        await send(alpha, path, key="rotate"),
    ]
    for answer, again in zip((first, second), replayed, strict=True):
        assert answer.json()["secret"].startswith("whsec_")
        assert "idempotency-replayed" not in answer.headers
        assert again.headers["idempotency-replayed"] == "true"
        assert (again.status_code, again.json()["endpoint"]) == (answer.status_code, answer.json()["endpoint"])
        assert again.json()["secret"] is None
        assert "shown once" in again.json()["notice"]
    async with db.read(WORKER) as tx:
        stored = await tx.rows("SELECT convert_from(body, 'UTF8') AS body FROM core.idempotency_key")
    assert len(stored) == 2
    assert not any("whsec_" in row.body for row in stored)


async def test_what_is_about_no_one_merchant_is_refused_to_merchants(caller: Make, receiver: Receiver) -> None:
    alpha, clerk = await caller("alice", "merchant_owner", merchant_id=ALPHA), await caller("carl", "accountant")
    path = f"/api/v1/webhooks/{(await made(alpha, receiver.url()))['endpoint']['endpoint_id']}"
    for topic in HOUSE_ONLY:
        answer = await send(alpha, "/webhooks", {"url": receiver.url(), "topics": [MOVED, topic]})
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/topics/1")
        answer = await alpha.patch(path, json={"topics": [topic]}, headers={"If-Match": '"1"'})
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/topics/0")
        endpoint = await made(clerk, receiver.url(), topics=[topic])
        assert (await clerk.delete(f"/api/v1/webhooks/{endpoint['endpoint']['endpoint_id']}")).status_code == 204


def test_house_only_are_the_topics_that_are_emitted_without_a_merchant() -> None:
    emitted: dict[str, set[bool]] = {}
    for package in ("marketplace", "billing", "demand", "supply", "incentives"):
        for source in (ROOT / package).rglob("*.py"):
            for topic, about in topics_emitted(ast.parse(source.read_text("utf-8"))):
                emitted.setdefault(topic, set()).add(about)
    # A purchase is of several merchants; it is told by a statement of its own, in flows/orders/place_order_sql.py.
    placed = {"demand.purchase_placed.v1"}
    assert {topic for topic, about in emitted.items() if about == {False}} | placed == HOUSE_ONLY
    assert all(len(about) == 1 for about in emitted.values())
    assert emitted.keys() | placed == TOPICS.keys()


def topics_emitted(module: ast.Module) -> Iterator[tuple[str, bool]]:
    """Each topic a module emits, and whether it names a merchant. Where a call is given its topic by a name, the topics
    are those that the module has otherwise."""
    calls = [
        call for call in ast.walk(module) if isinstance(call, ast.Call) and ast.unparse(call.func) == "outbox.emit"
    ]
    literal = {call.args[1].value for call in calls if isinstance(call.args[1], ast.Constant)}
    named = {node.value for node in ast.walk(module) if isinstance(node, ast.Constant) and node.value in TOPICS}
    for call in calls:
        about, topic = any(word.arg == "merchant_id" for word in call.keywords), call.args[1]
        for each in [topic.value] if isinstance(topic, ast.Constant) else named - literal:
            yield str(each), about


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"url": "http://example.com/"}, "/url"),
        ({"url": "https://user@example.com/"}, "/url"),
        ({"url": "https://example.com/", "topics": ["surprise.v1"]}, "/topics/0"),
        ({"url": "https://example.com/", "topics": [TEST_TOPIC]}, "/topics/0"),
        ({"url": "https://example.com/", "description": "a\0b"}, "/description"),
        ({"url": "https://example.com/", "secret": "mine"}, "/secret"),
    ],
)
async def test_what_is_wrong_with_an_endpoint_is_named(caller: Make, body: dict[str, Any], pointer: str) -> None:
    house = await caller("ada", "admin")
    answer = await send(house, "/webhooks", body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == pointer


async def test_loopback_is_refused_unless_the_settings_allow_it(
    db: Database, tmp_path: Path, receiver: Receiver
) -> None:
    key = await api_key(db, "ada", ["admin"])
    async with running(db, tmp_path) as real, make_client(real, Authorization=f"Bearer {key}") as house:
        answer = await send(house, "/webhooks", {"url": receiver.url()})
    assert answer.json()["errors"][0]["pointer"] == "/url"


async def test_an_owner_has_so_many_endpoints_and_no_more(caller: Make, receiver: Receiver) -> None:
    alpha = await caller("alice", "merchant_owner", merchant_id=ALPHA)
    for _ in range(ENDPOINTS_MAX):
        await made(alpha, receiver.url())
    assert (await send(alpha, "/webhooks", {"url": receiver.url()})).status_code == 409
    await made(await caller("ada", "admin"), receiver.url())
    page = (await alpha.get("/api/v1/webhooks", params={"limit": 15})).json()
    rest = (await alpha.get("/api/v1/webhooks", params={"limit": 15, "cursor": page["next"]})).json()
    assert len({item["endpoint_id"] for item in page["items"] + rest["items"]}) == ENDPOINTS_MAX
    assert rest["next"] is None


async def test_a_test_message_goes_to_that_endpoint_alone(caller: Make, db: Database, receiver: Receiver) -> None:
    alpha = await caller("alice", "merchant_owner", merchant_id=ALPHA)
    tested = (await made(alpha, receiver.url("/tested"), topics=[MOVED]))["endpoint"]["endpoint_id"]
    await made(alpha, receiver.url("/other"))
    asked = await send(alpha, f"/webhooks/{tested}/test")
    assert (asked.status_code, asked.json()["topic"]) == (202, TEST_TOPIC)
    assert await send_due(db) == 1
    assert [each.path for each in receiver.received] == ["/tested"]
    path = f"/api/v1/webhooks/{tested}/deliveries/{asked.json()['event_id']}"
    detail = (await alpha.get(path)).json()
    assert detail["delivery"]["state"] == "delivered"
    assert [(each["attempt_no"], each["status"], each["error"]) for each in detail["log"]] == [(1, 204, None)]


async def test_a_rotated_secret_signs_along_for_a_day(
    caller: Make, db: Database, receiver: Receiver, clock: FixedClock
) -> None:
    house = await caller("ada", "admin")
    first = await made(house, receiver.url())
    path = f"/webhooks/{first['endpoint']['endpoint_id']}"
    second = (await send(house, f"{path}/rotate-secret", key="once")).json()
    repeated = (await send(house, f"{path}/rotate-secret", key="once")).json()
    assert repeated["endpoint"] == second["endpoint"]
    assert second["secret"] != first["secret"]
    for wait, signatures in ((timedelta(hours=23), 2), (timedelta(hours=2), 1)):
        clock.move_to(clock.now() + wait)
        await tell(db, (MOVED, ALPHA))
        await send_due(db)
        message = receiver.received[-1]
        assert len(message.headers["webhook-signature"].split()) == signatures
        assert verify(message.headers, message.body, [second["secret"]], clock.now())


async def test_what_has_failed_is_seen_and_sent_again(
    caller: Make, db: Database, receiver: Receiver, clock: FixedClock
) -> None:
    alpha = await caller("alice", "merchant_owner", merchant_id=ALPHA)
    endpoint = (await made(alpha, receiver.url()))["endpoint"]
    path = f"/webhooks/{endpoint['endpoint_id']}"
    receiver.answers.extend([(500, b"no")] * 3)
    await tell(db, (MOVED, ALPHA), (MOVED, ALPHA), (MOVED, ALPHA))
    await send_due(db)
    disabled = await alpha.patch(f"/api/v1{path}", json={"state": "disabled"}, headers={"If-Match": '"1"'})
    assert disabled.json()["state"] == "disabled"
    failed = (await alpha.get(f"/api/v1{path}/deliveries", params={"state": "failed", "limit": 2})).json()
    assert len(failed["items"]) == 2
    assert failed["next"]
    event_id = failed["items"][0]["event_id"]
    assert (await send(alpha, f"{path}/deliveries/{event_id}/replay")).status_code == 409
    await alpha.patch(f"/api/v1{path}", json={"state": "active"}, headers={"If-Match": '"2"'})
    again = await send(alpha, f"{path}/deliveries/{event_id}/replay")
    assert (again.status_code, again.json()["state"]) == (202, "pending")
    assert (await send(alpha, f"{path}/deliveries/{event_id}/replay")).status_code == 202
    since = {"since": (clock.now() + timedelta(seconds=1)).isoformat()}
    assert (await send(alpha, f"{path}/replay", since)).json() == {"deliveries": 0}
    since = {"since": clock.now().isoformat()}
    assert (await send(alpha, f"{path}/replay", since)).json() == {"deliveries": 2}
    assert await send_due(db) == 3
    ids = [each.id for each in receiver.received]
    assert sorted(ids[:3]) == sorted(ids[3:])
    delivered = (await alpha.get(f"/api/v1{path}/deliveries", params={"state": "delivered"})).json()["items"]
    assert len(delivered) == 3
    assert (await send(alpha, f"{path}/deliveries/{event_id}/replay")).json()["state"] == "pending"
    assert (await send(alpha, f"{path}/deliveries/1/replay")).status_code == 404


async def test_what_waits_for_its_next_attempt_is_sent_now(
    caller: Make, db: Database, receiver: Receiver, clock: FixedClock
) -> None:
    alpha = await caller("alice", "merchant_owner", merchant_id=ALPHA)
    path = f"/webhooks/{(await made(alpha, receiver.url()))['endpoint']['endpoint_id']}"
    receiver.answers.append((500, b"no"))
    await tell(db, (MOVED, ALPHA))
    await send_due(db)
    [waits] = (await alpha.get(f"/api/v1{path}/deliveries", params={"state": "pending"})).json()["items"]
    assert (waits["attempts"], datetime.fromisoformat(waits["not_before"]) > clock.now()) == (1, True)
    assert await send_due(db) == 0
    replay = f"{path}/deliveries/{waits['event_id']}/replay"
    now = (await send(alpha, replay)).json()
    assert (now["state"], datetime.fromisoformat(now["not_before"])) == ("pending", clock.now())
    [message] = await db.write(WORKER, "worker", lambda tx: deliveries.claim(tx, busy=(), endpoints=1))
    refused = await send(alpha, replay)
    assert (refused.status_code, "being sent" in refused.json()["detail"]) == (409, True)
    await db.write(WORKER, "worker", deliveries.put_back, [message])
    assert (await send(alpha, replay)).status_code == 202
    assert await send_due(db) == 1
    [done] = (await alpha.get(f"/api/v1{path}/deliveries")).json()["items"]
    assert (done["state"], done["attempts"]) == ("delivered", 2)


async def test_the_catalogue_names_every_topic(caller: Make) -> None:
    alpha = await caller("alice", "merchant_manager", merchant_id=ALPHA)
    listed = (await alpha.get("/api/v1/webhook-topics")).json()
    assert [each["topic"] for each in listed] == sorted(TOPICS) == sorted(DELIVERIES)
    assert all(each["description"].endswith(".") for each in listed)
    assert {each["topic"] for each in listed if each["house_only"]} == HOUSE_ONLY
