"""What a caller is told when something goes wrong, and what it is never told."""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from litestar import Litestar, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from structlog.testing import capture_logs

from marketplace.core.db import WORKER, Database
from marketplace.core.errors import AppError, Conflict, Invalid
from marketplace.core.idempotency import KeyReused
from marketplace.web.body import BODY_BYTES_MAX, StrictBody
from marketplace.web.guards import public
from marketplace.web.problems import all_errors, from_app_error, is_page_path
from tests.http.conftest import make_client, running


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    amount_minor: int
    paid: bool = False


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    lines: list[Line]


@post("/api/echo", dto=StrictBody[Body], guards=[public], status_code=200)
async def echo(data: JSONBody[Body]) -> Body:
    return data


@get(["/api/fault", "/fault"], guards=[public], media_type="application/json")
async def fault() -> None:
    raise RuntimeError("secret: the password of the database is hunter2")


@get(["/api/database/{way:str}", "/database/{way:str}"], guards=[public], media_type="application/json")
async def database_fault(db: NamedDependency[Database], way: FromPath[str]) -> None:
    async with db.read(WORKER) as tx:
        if way == "driver":
            await tx.raw.execute("SELECT * FROM no_such_table WHERE x = 'hunter2'")
        await tx.rows("SELECT CAST(:secret || 'x' AS integer) AS secret_column", secret="hunter2")


@get(["/api/refused", "/refused"], guards=[public], media_type="application/json")
async def refused() -> None:
    raise Conflict("the run is <b>final</b>", run_id=7)


@pytest.fixture
async def probe(db: Database, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application with a few routes added that go wrong."""
    beside = (echo, fault, database_fault, refused)
    async with running(db, tmp_path, beside=beside) as app, make_client(app) as client:
        yield client


def content(line: str) -> dict[str, Any]:
    return {"content": f'{{"lines": [{{"amount_minor": 1}}, {line}]}}', "headers": {"content-type": "application/json"}}


@pytest.mark.parametrize(
    ("line", "pointer", "reason"),
    [
        ('{"amount_minor": "100"}', "/lines/1/amount_minor", "Expected `int`, got `str`"),
        ('{"amount_minor": 19.99}', "/lines/1/amount_minor", "Expected `int`, got `float`"),
        ('{"amount_minor": 1e2}', "/lines/1/amount_minor", "Expected `int`, got `float`"),
        ('{"amount_minor": null}', "/lines/1/amount_minor", "Expected `int`, got `null`"),
        ('{"amount_minor": 1, "paid": "true"}', "/lines/1/paid", "Expected `bool`, got `str`"),
        ('{"amount_minor": 1, "paid": 1}', "/lines/1/paid", "Expected `bool`, got `int`"),
        ('{"amount_minor": 1, "surprise": 1}', "/lines/1/surprise", "unknown field"),
        ("{}", "/lines/1/amount_minor", "missing required field"),
        ("[]", "/lines/1", "Expected `object`, got `array`"),
    ],
)
async def test_a_body_is_taken_literally_and_the_field_is_named(
    probe: httpx.AsyncClient, line: str, pointer: str, reason: str
) -> None:
    answer = await probe.post("/api/echo", **content(line))
    problem = answer.json()
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["errors"][0]["pointer"] == pointer
    assert reason in problem["errors"][0]["detail"]
    assert pointer.lstrip("/") in problem["detail"]


async def test_a_good_body_passes(probe: httpx.AsyncClient) -> None:
    answer = await probe.post("/api/echo", **content('{"amount_minor": -5, "paid": true}'))
    assert answer.json() == {"lines": [{"amount_minor": 1, "paid": False}, {"amount_minor": -5, "paid": True}]}


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"", "application/json", 422),
        (b"{", "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b'{"lines": [], "lines": 1}', "application/json", 422),
        (b'{"lines": ' + b"[" * 100_000, "application/json", 422),
        (b'{"lines": []}', "text/plain", 415),
        (b"lines=1", "application/x-www-form-urlencoded", 415),
        (b" " * BODY_BYTES_MAX + b'{"lines": []}', "application/json", 413),
    ],
    ids=["empty", "broken", "not utf-8", "twice", "deep", "text", "form", "large"],
)
async def test_what_is_no_json_is_told_apart(probe: httpx.AsyncClient, body: bytes, kind: str, status: int) -> None:
    answer = await probe.post("/api/echo", content=body, headers={"content-type": kind})
    assert (answer.status_code, answer.json()["status"]) == (status, status)


async def test_a_large_body_without_a_length_is_cut_off(probe: httpx.AsyncClient) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" " * 65_536

    answer = await probe.post("/api/echo", content=endless(), headers={"content-type": "application/json"})
    assert answer.status_code == 413
    assert answer.json()["detail"] == f"body: is larger than {BODY_BYTES_MAX} bytes"


async def test_a_fault_says_nothing_but_its_incident_id(probe: httpx.AsyncClient) -> None:
    with capture_logs() as logs:
        answer = await probe.get("/api/fault")
    problem = answer.json()
    assert answer.status_code == 500
    assert "hunter2" not in answer.text
    assert "RuntimeError" not in answer.text
    (line,) = [line for line in logs if line["event"] == "unexpected fault"]
    assert line["incident_id"] == problem["incident_id"] == answer.headers["x-request-id"]
    assert "hunter2" in str(line["exc_info"])


@pytest.mark.parametrize("path", ["/api/database/driver", "/database/driver", "/api/database/sql", "/database/sql"])
async def test_what_the_database_says_is_for_the_log_and_what_people_wrote_for_nobody(
    probe: httpx.AsyncClient, path: str
) -> None:
    with capture_logs() as logs:
        answer = await probe.get(path)
    assert answer.status_code == 500
    for word in ("hunter2", "SELECT", "secret_column", "no_such_table", "asyncpg", "sqlalchemy"):
        assert word not in answer.text
    (line,) = [line for line in logs if line["event"] == "unexpected fault"]
    assert "[parameters:" not in str(line["exc_info"])


async def test_a_person_gets_a_page_and_a_program_a_document(probe: httpx.AsyncClient) -> None:
    for path, status in (("/refused", 409), ("/fault", 500), ("/nowhere", 404)):
        page = await probe.get(path)
        assert page.status_code == status
        assert page.headers["content-type"].startswith("text/html")
        assert "hunter2" not in page.text
        assert "<b>final</b>" not in page.text
    document = (await probe.get("/api/refused")).json()
    assert document.pop("request_id")
    assert document == {
        "type": "/problems/conflict",
        "title": "The present state does not allow this",
        "status": 409,
        "detail": "the run is <b>final</b>",
        "instance": "/api/refused",
        "run_id": 7,
    }


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/v1/nowhere", 404, "not-found"),
        ("PUT", "/api/v1/me", 405, "method-not-allowed"),
        ("GET", "/problems/none", 404, "not-found"),
    ],
)
async def test_litestars_own_refusals_have_our_form(
    client: httpx.AsyncClient, method: str, path: str, status: int, code: str
) -> None:
    answer = await client.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == f"/problems/{code}"
    if status == 405:
        assert "GET" in answer.headers["allow"]


def subclasses() -> Iterator[type[AppError]]:
    return (kind for kind in all_errors() if kind is not AppError)


def test_every_refusal_has_a_code_of_its_own_and_words() -> None:
    kinds = list(subclasses())
    assert len({kind.code for kind in kinds}) == len(kinds)
    assert all(kind.title and (400 <= kind.status < 500 or kind.code == "not-ready") for kind in kinds)


async def test_every_problem_type_leads_to_its_meaning(client: httpx.AsyncClient) -> None:
    for kind in subclasses():
        answer = await client.get(f"/problems/{kind.code}")
        assert answer.json()["status"] == kind.status


def test_invalid_names_its_field_once() -> None:
    assert Invalid("name: is empty", pointer="/name").extra == {"pointer": "/name"}


@pytest.mark.parametrize(
    ("path", "page"), [("/", True), ("/merchant/orders", True), ("/api/v1/me", False), ("/openapi.json", False)]
)
def test_pages_and_machines_are_told_apart(path: str, page: bool) -> None:
    assert is_page_path(path) is page


async def test_safety_headers_are_on_every_answer(probe: httpx.AsyncClient) -> None:
    for path in ("/api/v1/me", "/nowhere", "/api/fault", "/openapi.json", "/health/live"):
        headers = (await probe.get(path)).headers
        policy = headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert "strict-transport-security" not in headers
        assert headers["cache-control"] == "no-store"


async def test_a_request_is_logged_once_with_its_route_and_id(client: httpx.AsyncClient) -> None:
    with capture_logs() as logs:
        await client.get("/problems/conflict", headers={"x-request-id": "given-by-a-proxy"})
        await client.get("/nowhere", headers={"x-request-id": "no\tgood"})
    lines = [line for line in logs if line["event"] == "request"]
    assert [(line["route"], line["status"]) for line in lines] == [("/problems/{code}", 200), ("unmatched", 404)]


async def test_a_proxys_request_id_is_kept_and_a_strange_one_is_not(client: httpx.AsyncClient) -> None:
    kept = await client.get("/health/live", headers={"x-request-id": "given-by-a-proxy"})
    assert kept.headers["x-request-id"] == "given-by-a-proxy"
    strange = await client.get("/health/live", headers={"x-request-id": "x" * 65})
    assert strange.headers["x-request-id"] != "x" * 65


async def test_nothing_of_litestars_documentation_is_served(client: httpx.AsyncClient, app: Litestar) -> None:
    for path in ("/schema", "/schema/swagger", "/schema/openapi.json"):
        assert (await client.get(path)).status_code == 404
    assert json.loads((await client.get("/openapi.json")).content)["openapi"].startswith("3.1")


@pytest.mark.parametrize(
    ("refusal", "pointer"),
    [
        (Invalid("lines[1].quantity: 0 is too few"), "/lines/1/quantity"),
        (Invalid("reason: say why", pointer="/why"), "/why"),
        (Invalid("sku: is taken", field="sku"), "/sku"),
        (Invalid("body: is empty"), ""),
        (Invalid("line 3: the sums do not hold"), ""),
        (KeyReused("Idempotency-Key: it was sent before"), ""),
    ],
)
def test_what_is_not_valid_is_named(refusal: AppError, pointer: str) -> None:
    assert from_app_error(refusal).extra["errors"] == [{"pointer": pointer, "detail": refusal.detail}]


def test_only_what_is_not_valid_names_a_field_of_itself() -> None:
    assert "errors" not in from_app_error(Conflict("state: the order is paid")).extra
