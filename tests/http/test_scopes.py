"""API keys narrowed to scopes: never more than their user may do, and of that only what they name."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from itertools import count

import httpx
import msgspec
import pytest
from litestar import Litestar

from marketplace.core import sessions, users
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database
from marketplace.core.errors import Invalid
from marketplace.core.scopes import NOUNS, SCOPES, allows, check_scopes, scope_of
from tests.conftest import NOW
from tests.http.conftest import PASSWORD, make_client
from tests.http.market import ALPHA, add_small_market, send
from tests.http.test_roles import ROUTES

Narrowed = Callable[..., Awaitable[httpx.AsyncClient]]


@pytest.fixture
async def narrowed(app: Litestar, db: Database) -> AsyncIterator[Narrowed]:
    """`await narrowed("controller", "runs:read")`: a program with a key of these scopes."""
    async with AsyncExitStack() as stack:
        numbers = count(1)

        async def make(role: str, *scopes: str) -> httpx.AsyncClient:
            login = f"{role}-{next(numbers)}"
            merchant_id = ALPHA if role.startswith("merchant") else None
            user = await db.write(WORKER, "test", users.create_user, login, login, [role], merchant_id=merchant_id)
            made = await db.write(
                WORKER, login, sessions.create_api_key, user.user_id, "narrow", None, list(scopes) or None
            )
            return await stack.enter_async_context(make_client(app, Authorization=f"Bearer {made.key}"))

        yield make


def test_every_route_that_a_key_may_use_has_a_noun() -> None:
    """A new route is either about a noun of core.scopes, or core.scopes learns its path segment."""
    nounless = [
        name
        for name, roles in ROUTES.items()
        if roles is not None and scope_of(name.split()[1], name.split()[0]) not in SCOPES
    ]
    assert not nounless


def test_the_last_noun_of_a_path_speaks() -> None:
    assert scope_of("/api/v1/merchants/{merchant_id}/orders/{order_id}", "GET") == "orders:read"
    assert scope_of("/api/v1/merchants/{merchant_id}/statements/{run_id}/lines.csv", "GET") == "statements:read"
    assert scope_of("/api/v1/billing-runs/{run_id}/approve", "POST") == "runs:write"
    assert scope_of("/api/v1/merchants/{merchant_id}/orders/{order_id}/deliveries", "POST") == "fulfilments:write"
    assert scope_of("/api/v1/surprise", "GET") is None
    assert scope_of("/finance/statements", "GET") is None


@pytest.mark.parametrize(
    ("method", "below", "scope"),
    [
        ("GET", "/deliveries", "webhooks:read"),
        ("GET", "/deliveries/{event_id}", "webhooks:read"),
        ("POST", "/deliveries/{event_id}/replay", "webhooks:write"),
        ("POST", "/replay", "webhooks:write"),
    ],
)
def test_what_a_webhook_delivers_is_about_the_webhook(method: str, below: str, scope: str) -> None:
    assert scope_of(f"/api/v1/webhooks/{{endpoint_id}}{below}", method) == scope


def test_no_segment_belongs_to_two_nouns() -> None:
    segments = [segment for owned in NOUNS.values() for segment in owned]
    assert len(set(segments)) == len(segments)


@pytest.mark.parametrize(
    ("scopes", "needed", "answer"),
    [
        ({"read"}, "orders:read", True),
        ({"read"}, "orders:write", False),
        ({"orders:read"}, "orders:read", True),
        ({"orders:write"}, "orders:read", False),
        ({"orders:read"}, "refunds:read", False),
        (SCOPES, None, False),
        (set(), "orders:read", False),
    ],
)
def test_one_scope_never_contains_another(scopes: set[str], needed: str | None, answer: bool) -> None:
    assert allows(scopes, needed) is answer


@pytest.mark.parametrize("scope", ["orders", "orders:delete", "write", "*", "", "ORDERS:READ", "surprise:read"])
def test_a_scope_that_there_is_not_is_refused_by_its_place(scope: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_scopes(["read", scope])
    assert refused.value.extra == {"pointer": "/scopes/1"}


async def test_a_narrowed_key_may_do_what_its_scopes_name_and_is_told_what_is_missing(
    narrowed: Narrowed, db: Database
) -> None:
    await add_small_market(db)
    client = await narrowed("controller", "runs:read", "settlements:write")
    assert (await client.get("/api/v1/billing-runs")).status_code == 200
    assert (await send(client, "/settlements", {"through": "2018-05-31"})).status_code != 403
    for answer, scope in (
        (await send(client, "/billing-runs", {"period": "2018-05"}), "runs:write"),
        (await client.get("/api/v1/orders"), "orders:read"),
        (await client.get("/metrics"), "metrics:read"),
    ):
        assert answer.status_code == 403
        assert answer.json()["type"] == "/problems/scope-missing"
        assert scope in answer.json()["detail"]


async def test_read_reads_everything_and_writes_nothing(narrowed: Narrowed, db: Database) -> None:
    await add_small_market(db)
    client = await narrowed("admin", "read")
    for name, roles in ROUTES.items():
        method, path = name.split()
        if roles is None or "{" in path or "admin" not in roles:
            continue
        answer = await client.request(method, path)
        assert (answer.status_code == 403) is (method != "GET"), (name, answer.text)


async def test_scopes_give_nothing_that_the_user_may_not_do(narrowed: Narrowed, db: Database) -> None:
    await add_small_market(db)
    client = await narrowed("merchant_cashier", *sorted(SCOPES))
    assert (await client.get("/api/v1/orders")).status_code == 200
    refused = await client.get("/api/v1/payouts")
    assert (refused.status_code, refused.json()["type"]) == (403, "/problems/forbidden")


async def test_pages_are_open_to_no_narrowed_key(narrowed: Narrowed) -> None:
    wide, narrow = await narrowed("controller"), await narrowed("controller", "read")
    assert (await wide.get("/finance")).status_code == 200
    assert (await narrow.get("/finance")).status_code == 403


async def test_a_key_is_made_with_scopes_and_keeps_them_when_rotated(
    client: httpx.AsyncClient, app: Litestar, anna: users.User, clock: FixedClock
) -> None:
    await client.post("/api/v1/session", json={"login": "anna", "password": PASSWORD})
    body = {"name": "robot", "scopes": ["payouts:read", "payouts:read", "identity:read"]}
    made = (await client.post("/api/v1/api-keys", json=body)).json()
    assert made["scopes"] == ["identity:read", "payouts:read"]
    rotated = (await client.post(f"/api/v1/api-keys/{made['key_id']}/rotate", json={"overlap_s": 0})).json()
    assert rotated["scopes"] == made["scopes"]
    assert [key["scopes"] for key in (await client.get("/api/v1/api-keys")).json()] == [made["scopes"]] * 2
    clock.move_to(NOW + timedelta(seconds=1))
    async with make_client(app, Authorization=f"Bearer {rotated['key']}") as robot:
        assert (await robot.get("/api/v1/payouts")).status_code == 200
        assert (await robot.get("/api/v1/statements")).status_code == 403
        assert (await robot.get("/api/v1/me")).status_code == 200


@pytest.mark.parametrize(("scopes", "pointer"), [([], "/scopes"), (["orders"], "/scopes/0"), ("read", "/scopes")])
async def test_bad_scopes_are_refused(
    client: httpx.AsyncClient, anna: users.User, scopes: object, pointer: str
) -> None:
    await client.post("/api/v1/session", json={"login": "anna", "password": PASSWORD})
    answer = await client.post("/api/v1/api-keys", json={"name": "robot", "scopes": scopes})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer


async def test_the_description_names_the_scope_of_every_operation_that_a_key_may_use(app: Litestar) -> None:
    description = msgspec.json.decode(app.state["openapi"])
    operations = [operation for path in description["paths"].values() for operation in path.values()]
    for operation in operations:
        assert (operation.get("x-scope") in SCOPES) is ("security" not in operation), operation["operationId"]
