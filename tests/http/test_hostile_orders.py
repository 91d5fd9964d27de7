"""Hostile requests on orders and money: each is refused by name, and nothing at all has changed afterwards."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import Litestar
from sqlalchemy import select

from marketplace.core import policies, sessions
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.signatures import signed_headers
from marketplace.core.tables import qualified
from marketplace.tables import metadata
from tests.http.busy import NAME, SECRET
from tests.http.hostile import Try, all_of, post, things_of
from tests.http.market import ALPHA
from tests.http.serving import make_client, running

Make = Callable[..., Awaitable[httpx.AsyncClient]]

UNWATCHED = {"core.idempotency_key", "core.request_window", "core.sign_in_attempt", "core.api_key", "core.session"}
"""Tables that a refused request may write: limits, and when a key was last used."""

_numbers = count(1)


@pytest.fixture
async def db(busy_db: Database) -> Database:
    await busy_db.write(WORKER, "test", policies.switch, "single_operator", on=False)
    return busy_db


@pytest.fixture
async def app(db: Database, tmp_path: Path) -> AsyncIterator[Litestar]:
    async with running(db, tmp_path, processor=NAME, processor_secret=SECRET) as app:
        yield app


async def _used_key(
    tx: Tx, login: str, scopes: list[str] | None = None, expires_at: datetime | None = None
) -> sessions.NewKey:
    user_id = await tx.scalar("SELECT user_id FROM core.app_user WHERE login = :login", login=login)
    return await sessions.create_api_key(tx, user_id, "hostile", expires_at, scopes)


@pytest.fixture
async def actors(
    app: Litestar, db: Database, clock: FixedClock, caller: Make
) -> AsyncIterator[dict[str, httpx.AsyncClient]]:
    """Everybody by name: the people of the busy market, and keys of its owner that are worth less than it thinks."""
    owner = f"owner of {ALPHA}"
    soon = clock.now() + timedelta(seconds=1)
    wanted: dict[str, tuple[str, list[str] | None, datetime | None]] = {
        "owner": (owner, None, None),
        "shop": ("the shop", None, None),
        "ops": ("somebody of ops", None, None),
        "clerk": ("a clerk", None, None),
        "reader": (owner, ["read"], None),
        "late": (owner, None, soon),
        "cart keeper": ("the shop", ["carts:write", "read"], None),
        "rotated": (owner, None, None),
        "revoked": (owner, None, None),
    }
    async with AsyncExitStack() as stack:
        made = {}
        for name, (login, scopes, expires_at) in wanted.items():
            key = await db.write(WORKER, login, _used_key, login, scopes, expires_at)
            if name == "rotated":
                await db.write(WORKER, login, _rotate, key.key_id)
            if name == "revoked":
                await db.write(WORKER, login, _revoke, key.key_id)
            client = make_client(app, Authorization=f"Bearer {key.key}")
            made[name] = await stack.enter_async_context(client)
        made["nobody"] = await stack.enter_async_context(make_client(app))
        made["cashier"] = await caller("cash", "merchant_cashier", merchant_id=ALPHA)
        clock.move_to(soon)
        yield made


async def _owner_of(tx: Tx, key_id: str) -> int:
    user_id: int = await tx.scalar("SELECT user_id FROM core.api_key WHERE key_id = :key", key=key_id)
    return user_id


async def _rotate(tx: Tx, key_id: str) -> None:
    await sessions.rotate_api_key(tx, await _owner_of(tx, key_id), key_id, timedelta(0))


async def _revoke(tx: Tx, key_id: str) -> None:
    await sessions.revoke_api_key(tx, await _owner_of(tx, key_id), key_id)


async def contents(db: Database) -> dict[str, list[Any]]:
    """Every row of every table that a refusal has no business in."""
    async with db.read(WORKER) as tx:
        return {
            qualified(table): [tuple(row) for row in await tx.rows(select(table).order_by(*table.primary_key.columns))]
            for table in metadata.sorted_tables
            if qualified(table) not in UNWATCHED
        }


async def answered(actors: dict[str, httpx.AsyncClient], one: Try) -> httpx.Response:
    headers = {"Idempotency-Key": f"hostile-{next(_numbers)}"} | one.headers
    if not headers["Idempotency-Key"]:
        del headers["Idempotency-Key"]
    sent: dict[str, Any] = {"content": one.body} if isinstance(one.body, bytes) else {"json": one.body}
    if one.body is None:
        sent = {}
    return await actors[one.who].request(one.method, f"/api/v1{one.path}", headers=headers, **sent)


async def test_each_is_refused_by_name_and_nothing_has_changed(
    actors: dict[str, httpx.AsyncClient], db: Database
) -> None:
    things = await things_of(db, actors["shop"])
    first = post("owner", f"/merchants/{ALPHA}/stores", {"name": "first"}, 201, "", Idempotency_Key="used")
    assert (await answered(actors, first)).status_code == 201
    before = await contents(db)
    wrong, tried = [], dict(all_of(things))
    for name, one in tried.items():
        answer = await answered(actors, one)
        problem = answer.json()
        found = (answer.status_code, problem.get("type", "").removeprefix("/problems/"))
        named = one.status != 422 or all(fault["detail"] for fault in problem.get("errors", [{"detail": ""}]))
        if found != (one.status, one.code) or not problem["detail"] or not named:
            wrong.append((name, one.method, one.path, found, answer.text[:200]))
    assert not wrong, "\n".join(map(str, wrong))
    assert len(tried) >= 100
    after = await contents(db)
    assert [name for name in before if before[name] != after[name]] == []


async def test_an_event_that_is_known_is_not_taken_in_again_whatever_it_says(
    actors: dict[str, httpx.AsyncClient], db: Database
) -> None:
    before = await contents(db)
    async with db.read(WORKER) as tx:
        known: str = await tx.scalar("SELECT event_ref FROM billing.inbox_event ORDER BY inbox_id LIMIT 1")
    for body in (b"{}", b'{"type":"payment.voided"}'):
        signed = signed_headers(known, db.clock.now(), body, [SECRET])
        answer = await actors["nobody"].post(f"/api/v1/payment-events/{NAME}", content=body, headers=signed)
        assert (answer.status_code, answer.json()) == (202, {"event_ref": known})
    assert await contents(db) == before


async def test_a_key_of_another_person_is_another_key(actors: dict[str, httpx.AsyncClient], db: Database) -> None:
    """What somebody else's Idempotency-Key has answered is not told to whoever uses the same one."""
    path = f"/merchants/{ALPHA}/stores"
    made = [
        await answered(actors, post(who, path, {"name": who}, 201, "", Idempotency_Key="mine"))
        for who in ("owner", "ops")
    ]
    assert [one.json()["name"] for one in made] == ["owner", "ops"]
    assert all("idempotency-replayed" not in one.headers for one in made)
