"""Signing in: sessions of browsers, keys of programs, and what happens to those who guess."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from http.cookies import SimpleCookie
from pathlib import Path

import httpx
import pytest
from litestar import Litestar

from marketplace.core import users
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database
from marketplace.core.errors import Invalid
from marketplace.core.sessions import SESSION_IDLE_MAX, SESSION_MAX
from marketplace.web.auth import SESSION_COOKIE
from tests.conftest import NOW
from tests.http.conftest import PASSWORD, make_client, running

GOOD = {"login": "anna", "password": PASSWORD}
Make = Callable[..., Awaitable[httpx.AsyncClient]]


async def sign_in(client: httpx.AsyncClient) -> httpx.Response:
    return await client.post("/api/v1/session", json=GOOD)


def with_key(app: Litestar, made: dict[str, str]) -> httpx.AsyncClient:
    """A program that uses an API key just made."""
    return make_client(app, Authorization=f"Bearer {made['key']}")


async def test_a_session_opens_with_login_and_password_and_closes(
    client: httpx.AsyncClient, anna: users.User, db: Database
) -> None:
    assert (await client.get("/api/v1/me")).status_code == 401
    answer = await sign_in(client)
    assert answer.status_code == 201
    cookie = SimpleCookie(answer.headers["set-cookie"])[SESSION_COOKIE]
    assert cookie["httponly"]
    assert cookie["samesite"] == "lax"
    assert cookie["path"] == "/"
    assert not cookie["secure"]
    me = (await client.get("/api/v1/me")).json()
    ids = {"merchant_id": None, "payer_id": None}
    assert me == {"login": "anna", "name": "Anna", "roles": ["accountant"], "locale": "en", **ids}
    async with db.read(WORKER) as tx:
        stored = await tx.scalar("SELECT string_agg(encode(token_hash, 'escape'), '') FROM core.session")
    assert cookie.value not in stored
    kept = client.cookies[SESSION_COOKIE]
    assert (await client.delete("/api/v1/session")).status_code == 204
    client.cookies.set(SESSION_COOKIE, kept)
    assert (await client.get("/api/v1/me")).status_code == 401


async def test_the_cookie_is_for_https_only_when_the_settings_say_so(
    db: Database, tmp_path: Path, anna: users.User
) -> None:
    async with running(db, tmp_path, cookie_secure=True) as app, make_client(app) as client:
        answer = await sign_in(client)
    assert "Secure" in answer.headers["set-cookie"]
    assert answer.headers["strict-transport-security"].startswith("max-age=")


@pytest.mark.parametrize("login", ["anna", "nobody"])
async def test_a_wrong_password_and_an_unknown_login_are_told_alike(
    client: httpx.AsyncClient, anna: users.User, login: str
) -> None:
    answer = await client.post("/api/v1/session", json={"login": login, "password": "not the password"})
    assert answer.status_code == 401
    assert answer.json()["type"] == "/problems/wrong-credentials"
    assert answer.json()["detail"] == "login or password is wrong"
    assert "set-cookie" not in answer.headers


async def test_guessing_is_stopped_and_forgiven_with_time(
    client: httpx.AsyncClient, anna: users.User, clock: FixedClock
) -> None:
    wrong = {**GOOD, "password": "not the password"}
    guesses = [client.post("/api/v1/session", json=wrong) for _ in range(users.FAILURES_PER_LOGIN_MAX + 5)]
    statuses = sorted(answer.status_code for answer in await asyncio.gather(*guesses))
    assert statuses == [401] * users.FAILURES_PER_LOGIN_MAX + [429] * 5
    refused = await sign_in(client)
    assert refused.status_code == 429
    assert 0 < int(refused.headers["retry-after"]) <= 901
    clock.move_to(NOW + timedelta(minutes=15, seconds=1))
    assert (await sign_in(client)).status_code == 201


async def test_a_success_takes_the_failures_back(client: httpx.AsyncClient, anna: users.User) -> None:
    wrong = {**GOOD, "password": "not the password"}
    for _ in range(2):
        for _ in range(users.FAILURES_PER_LOGIN_MAX - 1):
            assert (await client.post("/api/v1/session", json=wrong)).status_code == 401
        assert (await sign_in(client)).status_code == 201


@pytest.mark.parametrize(
    ("idle", "total"), [(SESSION_IDLE_MAX, timedelta(0)), (SESSION_IDLE_MAX / 2, SESSION_MAX)], ids=["idle", "old"]
)
async def test_a_session_ends_when_it_is_idle_or_old(
    client: httpx.AsyncClient, anna: users.User, clock: FixedClock, idle: timedelta, total: timedelta
) -> None:
    await sign_in(client)
    while clock.now() - NOW + idle < total:
        clock.move_to(clock.now() + idle)
        assert (await client.get("/api/v1/me")).status_code == 200
    clock.move_to(clock.now() + idle)
    assert (await client.get("/api/v1/me")).status_code == 401


async def test_other_sessions_can_be_seen_and_ended(app: Litestar, anna: users.User) -> None:
    async with make_client(app) as desk, make_client(app, **{"user-agent": "phone"}) as phone:
        await sign_in(desk)
        await sign_in(phone)
        listed = (await desk.get("/api/v1/sessions")).json()
        (lost,) = [each for each in listed if each["user_agent"] == "phone"]
        assert (await desk.delete(f"/api/v1/sessions/{lost['session_id']}")).status_code == 204
        assert (await phone.get("/api/v1/me")).status_code == 401
        assert (await desk.get("/api/v1/me")).status_code == 200
        assert (await desk.delete(f"/api/v1/sessions/{lost['session_id']}")).status_code == 404


async def test_a_new_password_and_a_shut_out_user_end_sessions(
    client: httpx.AsyncClient, anna: users.User, db: Database
) -> None:
    await sign_in(client)
    await db.write(WORKER, "test", users.set_password, "anna", "another long password")
    assert (await client.get("/api/v1/me")).status_code == 401
    assert (await sign_in(client)).status_code == 401
    again = {"login": "anna", "password": "another long password"}
    assert (await client.post("/api/v1/session", json=again)).status_code == 201
    await db.write(WORKER, "test", users.set_active, "anna", active=False)
    assert (await client.get("/api/v1/me")).status_code == 401
    assert (await client.post("/api/v1/session", json=again)).status_code == 401


async def test_an_api_key_is_made_rotated_and_revoked(
    client: httpx.AsyncClient, app: Litestar, anna: users.User, clock: FixedClock
) -> None:
    await sign_in(client)
    old = (await client.post("/api/v1/api-keys", json={"name": "robot"})).json()
    assert (await client.get("/api/v1/api-keys")).json()[0]["name"] == "robot"
    new = (await client.post(f"/api/v1/api-keys/{old['key_id']}/rotate", json={"overlap_s": 60})).json()
    async with with_key(app, old) as first, with_key(app, new) as second:
        assert (await second.get("/api/v1/me")).json()["login"] == "anna"
        assert (await first.get("/api/v1/me")).status_code == 200
        clock.move_to(NOW + timedelta(seconds=61))
        assert (await first.get("/api/v1/me")).status_code == 401
        assert (await second.get("/api/v1/me")).status_code == 200
        listed = (await second.get("/api/v1/api-keys")).text
        assert new["key"].split("_", 2)[2] not in listed
        assert (await second.delete(f"/api/v1/api-keys/{new['key_id']}")).status_code == 204
        answer = await second.get("/api/v1/me")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_an_api_key_expires(
    client: httpx.AsyncClient, app: Litestar, anna: users.User, clock: FixedClock
) -> None:
    await sign_in(client)
    body = {"name": "short", "expires_at": (NOW + timedelta(hours=1)).isoformat()}
    made = (await client.post("/api/v1/api-keys", json=body)).json()
    async with with_key(app, made) as short:
        assert (await short.get("/api/v1/me")).status_code == 200
        clock.move_to(NOW + timedelta(hours=1))
        assert (await short.get("/api/v1/me")).status_code == 401
    late = {"name": "late", "expires_at": NOW.isoformat()}
    refused = await client.post("/api/v1/api-keys", json=late)
    assert refused.json()["errors"][0]["pointer"] == "/expires_at"


async def test_an_api_key_makes_no_key_that_could_outlive_it(caller: Make) -> None:
    robot = await caller("robot", "admin")
    own = (await robot.get("/api/v1/api-keys")).json()[0]["key_id"]
    for path, body in (("/api-keys", {"name": "forever"}), (f"/api-keys/{own}/rotate", {"overlap_s": 60})):
        answer = await robot.post(f"/api/v1{path}", json=body)
        assert answer.status_code == 403
        assert "sign in" in answer.json()["detail"]
    assert len((await robot.get("/api/v1/api-keys")).json()) == 1


async def test_a_new_password_leaves_the_api_keys_and_a_shut_out_user_has_none(
    client: httpx.AsyncClient, app: Litestar, anna: users.User, db: Database
) -> None:
    await sign_in(client)
    made = (await client.post("/api/v1/api-keys", json={"name": "robot"})).json()
    await db.write(WORKER, "test", users.set_password, "anna", "another long password")
    async with with_key(app, made) as robot:
        assert (await client.get("/api/v1/me")).status_code == 401
        assert (await robot.get("/api/v1/me")).status_code == 200
        await db.write(WORKER, "test", users.set_active, "anna", active=False)
        assert (await robot.get("/api/v1/me")).status_code == 401


@pytest.mark.parametrize(
    "header", ["Bearer", "Bearer mk_", "Bearer mk_0123456789abcdef_wrong", "Basic YTpi", "mk_a_b", "Bearer \u00e9"]
)
async def test_a_bad_credential_is_refused_everywhere(client: httpx.AsyncClient, header: str) -> None:
    answer = await client.get("/api/v1/me", headers={b"authorization": header.encode("latin-1")})
    assert answer.status_code == 401
    assert answer.json()["type"] == "/problems/unauthenticated"


async def test_one_users_key_is_not_anothers_to_revoke(caller: Make) -> None:
    one, other = await caller("one", "admin"), await caller("other", "accountant")
    key_id = (await other.get("/api/v1/api-keys")).json()[0]["key_id"]
    assert (await one.delete(f"/api/v1/api-keys/{key_id}")).status_code == 404
    assert (await other.get("/api/v1/me")).status_code == 200


@pytest.mark.parametrize(
    ("field", "bad"),
    [
        ("login", {"login": " "}),
        ("login", {"login": "a\u0000b"}),
        ("name", {"name": ""}),
        ("roles", {"roles": []}),
        ("roles", {"roles": ["king"]}),
        ("roles", {"roles": ["merchant_owner", "accountant"], "merchant_id": 7}),
        ("merchant_id", {"roles": ["merchant_owner"]}),
        ("merchant_id", {"roles": ["accountant"], "merchant_id": 7}),
        ("locale", {"locale": "xx"}),
        ("password", {"password": "short"}),
    ],
)
async def test_a_user_that_makes_no_sense_is_refused_by_field(db: Database, field: str, bad: dict[str, object]) -> None:
    good: dict[str, object] = {"login": "bert", "name": "Bert", "roles": ["accountant"]}
    with pytest.raises(Invalid) as refusal:
        await db.write(WORKER, "test", users.create_user, **(good | bad))  # type: ignore[arg-type]  # bad on purpose
    assert refusal.value.detail.startswith(f"{field}:")
    async with db.read(WORKER) as tx:
        assert await tx.scalar("SELECT count(*) FROM core.app_user WHERE login <> 'operator'") == 0
