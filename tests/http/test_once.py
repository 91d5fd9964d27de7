"""A request that moves money happens once, however often it is sent and whatever happens between."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx
import msgspec
import pytest
from litestar import Response, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from marketplace.core import outbox
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import Conflict
from marketplace.web.auth import ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.guards import signed_in
from marketplace.web.once import once
from marketplace.web.openapi import ONCE
from tests.http.conftest import api_key, make_client, running
from tests.http.market import CONTRACTS, add_small_market
from tests.http.market import send as send_step

Make = Callable[..., Awaitable[httpx.AsyncClient]]


class Pay(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    amount_minor: int


class Paid(msgspec.Struct, frozen=True):
    amount_minor: int
    at: str
    by: str


GATE: dict[str, asyncio.Event] = {}


@post("/api/pay", dto=StrictBody[Pay], guards=[signed_in], status_code=201, opt=ONCE)
async def pay(request: ActorRequest, db: NamedDependency[Database], data: JSONBody[Pay]) -> Response[Paid]:
    async def work(tx: Tx, amount_minor: int) -> Paid:
        if amount_minor < 0:
            raise Conflict("nobody pays less than nothing")
        await outbox.emit(tx, "test.paid.v1", {"amount": amount_minor})
        if gate := GATE.get("entered"):
            gate.set()
            await GATE["leave"].wait()
        return Paid(amount_minor, tx.now.isoformat(), tx.actor)

    return await once(request, db, work, data.amount_minor)


@pytest.fixture
async def payer(db: Database, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    GATE.clear()
    async with running(db, tmp_path, beside=(pay,)) as app:
        key = await api_key(db, "payer", ["accountant"])
        async with make_client(app, Authorization=f"Bearer {key}") as client:
            yield client


async def send(client: httpx.AsyncClient, key: str, amount: int = 100) -> httpx.Response:
    return await client.post("/api/pay", json={"amount_minor": amount}, headers={"Idempotency-Key": key})


async def effects(db: Database) -> int:
    async with db.read(WORKER) as tx:
        count: int = await tx.scalar("SELECT count(*) FROM core.outbox")
        return count


async def test_the_same_request_again_gets_the_same_bytes(payer: httpx.AsyncClient, db: Database) -> None:
    first = await send(payer, "k1")
    assert first.status_code == 201
    assert first.json()["by"] == "payer"
    assert "idempotency-replayed" not in first.headers
    again = await send(payer, "k1")
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["content-type"] == first.headers["content-type"]
    assert again.headers["idempotency-replayed"] == "true"
    assert await effects(db) == 1
    assert (await send(payer, "k2")).status_code == 201
    assert await effects(db) == 2


async def test_another_body_or_route_under_the_same_key_is_refused(payer: httpx.AsyncClient, db: Database) -> None:
    await send(payer, "k1")
    other = await send(payer, "k1", amount=101)
    assert other.status_code == 422
    assert other.json()["type"] == "/problems/idempotency-key-reused"
    elsewhere = await payer.post("/api/pay?x=1", json={"amount_minor": 100}, headers={"Idempotency-Key": "k1"})
    assert elsewhere.status_code == 422
    assert await effects(db) == 1


@pytest.mark.parametrize(
    ("key", "problem", "fault"),
    [
        (None, "missing", "send 1 to 255 printable characters"),
        ("", "missing", "send 1 to 255 printable characters"),
        ("x" * 256, "unusable", "is 256 characters long; at most 255 are allowed"),
        ("tab\there", "unusable", "no printable ASCII character"),
        ("\u00e9", "unusable", "no printable ASCII character"),
    ],
)
async def test_a_key_is_needed_and_must_be_plain(
    payer: httpx.AsyncClient, db: Database, key: str | None, problem: str, fault: str
) -> None:
    headers = {} if key is None else {b"idempotency-key": key.encode("latin-1")}
    answer = await payer.post("/api/pay", json={"amount_minor": 1}, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["type"] == f"/problems/idempotency-key-{problem}"
    assert fault in answer.json()["detail"]
    assert await effects(db) == 0


async def test_a_refusal_is_not_stored(payer: httpx.AsyncClient, db: Database) -> None:
    assert (await send(payer, "k1", amount=-1)).status_code == 409
    assert (await send(payer, "k1", amount=1)).status_code == 201
    assert await effects(db) == 1


async def test_a_twin_is_told_to_wait_while_the_first_is_at_work(payer: httpx.AsyncClient, db: Database) -> None:
    GATE.update(entered=asyncio.Event(), leave=asyncio.Event())
    first = asyncio.create_task(send(payer, "k1"))
    await asyncio.wait_for(GATE["entered"].wait(), 5)
    twin = await send(payer, "k1")
    assert twin.status_code == 409
    assert twin.json()["type"] == "/problems/idempotency-key-in-flight"
    assert twin.headers["retry-after"] == "1"
    GATE["leave"].set()
    done = await first
    assert done.status_code == 201
    assert (await send(payer, "k1")).content == done.content
    assert await effects(db) == 1


async def test_of_many_at_once_one_takes_effect(payer: httpx.AsyncClient, db: Database) -> None:
    answers = await asyncio.gather(*(send(payer, "k1") for _ in range(12)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.content for answer in answers if answer.status_code == 201}) == 1
    assert await effects(db) == 1


async def test_two_callers_may_use_the_same_key(payer: httpx.AsyncClient, db: Database) -> None:
    await send(payer, "k1")
    key = await api_key(db, "other", ["accountant"])
    answer = await payer.post(
        "/api/pay",
        json={"amount_minor": 100},
        headers={"Idempotency-Key": "k1", "Authorization": f"Bearer {key}"},
    )
    assert answer.json()["by"] == "other"
    assert await effects(db) == 2


async def test_a_crash_before_the_commit_leaves_the_key_free(payer: httpx.AsyncClient, db: Database) -> None:
    GATE.update(entered=asyncio.Event(), leave=asyncio.Event())
    first = asyncio.create_task(send(payer, "k1"))
    await asyncio.wait_for(GATE["entered"].wait(), 5)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    GATE.clear()
    assert await effects(db) == 0
    assert (await send(payer, "k1")).status_code == 201
    assert await effects(db) == 1


async def test_a_crash_while_approving_leaves_the_run_to_be_approved_under_the_same_key(
    caller: Make, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add_small_market(db)
    maker, approver = await caller("fay", "accountant"), await caller("con", "controller")
    assert (await send_step(approver, "/contracts", CONTRACTS)).status_code == 200
    assert (await send_step(maker, "/settlements", {"through": "2018-05-31"})).status_code == 200
    started = await send_step(maker, "/billing-runs", {"period": "2018-05"})
    run = started.json()["run"]
    path, seen = f"/billing-runs/{run['run_id']}/approve", {"batch_id": run["batch_id"]}

    async def lost(*given: object) -> object:
        raise ConnectionError("the server went away")

    with monkeypatch.context() as patched:
        patched.setattr("marketplace.web.once.remember", lost)
        assert (await send_step(approver, path, seen, key="k1")).status_code == 503
    again = await send_step(approver, path, seen, key="k1")
    assert again.status_code == 200, again.text
    assert again.json()["run"]["state"] == "approved"


async def test_more_long_requests_at_once_than_connections_all_come_to_their_end(
    db: Database, tmp_path: Path, clock: FixedClock
) -> None:
    await add_small_market(db)
    small = Database(db.url, clock, pool_size=2)
    try:
        async with running(small, tmp_path) as app:
            key = await api_key(db, "fay", ["controller"])
            async with make_client(app, Authorization=f"Bearer {key}") as client:
                await send_step(client, "/contracts", CONTRACTS)
                async with asyncio.timeout(20):  # less than a request waits for a connection
                    settled = [send_step(client, "/settlements", {"through": "2018-05-31"}) for _ in range(4)]
                    answers = await asyncio.gather(*settled)
    finally:
        await small.close()
    assert [answer.status_code for answer in answers] == [200] * 4
    assert sum(answer.json()["orders"] for answer in answers) == 3
