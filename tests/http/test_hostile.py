"""What somebody may send who wishes us no good: each is refused clearly, or means nothing, and never is a fault."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from litestar import Litestar, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from marketplace.cli.listening import listen
from marketplace.cli.serve import make_server
from marketplace.core.db import WORKER, Database
from marketplace.settings import Settings
from marketplace.web.body import BODY_BYTES_MAX, StrictBody
from marketplace.web.guards import public
from marketplace.web.head import FIELDS_BYTES_MAX, FIELDS_MAX, TARGET_BYTES_MAX
from tests.http.conftest import api_key, running
from tests.http.market import add_small_market

Make = Callable[..., Awaitable[httpx.AsyncClient]]

JSON = {"content-type": "application/json"}


class Wide(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A body without any bounds of its own."""

    text: str = ""
    number: int = 0
    anything: Any = None


@post("/api/wide", dto=StrictBody[Wide], guards=[public], status_code=200)
async def wide(data: JSONBody[Wide], db: NamedDependency[Database]) -> Wide:
    async with db.read(WORKER) as tx:
        await tx.rows("SELECT CAST(:t AS text) AS t, CAST(:n AS bigint) AS n", t=data.text, n=data.number)
    return data


async def endless() -> AsyncIterator[bytes]:
    for _ in range(2 * BODY_BYTES_MAX // 65_536):
        yield b" " * 65_536


def body(content: Any, **headers: str) -> dict[str, Any]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return {"content": content, "headers": JSON | named}


HOSTILE: dict[str, tuple[str, str, dict[str, Any], int]] = {
    "arrays without end": ("POST", "/api/wide", body(b'{"anything":' + b"[" * 100_000), 400),
    "objects without end": ("POST", "/api/wide", body(b'{"anything":' + b'{"a":' * 100_000), 400),
    "deep but whole": ("POST", "/api/wide", body(b'{"anything":' + b"[" * 5_000 + b"]" * 5_000 + b"}"), 400),
    "a text that is not UTF-8": ("POST", "/api/wide", body(b'{"text":"\xff"}'), 400),
    "UTF-16": ("POST", "/api/wide", body('{"text":"a"}'.encode("utf-16")), 400),
    "half a character": ("POST", "/api/wide", body(rb'{"text":"\ud800"}'), 400),
    "NUL in a text": ("POST", "/api/wide", body(rb'{"text":"\u0000"}'), 422),
    "an integer beyond 64 bits": ("POST", "/api/wide", body(b'{"number":9223372036854775808}'), 422),
    "an integer of 300 digits": ("POST", "/api/wide", body(b'{"number":' + b"9" * 300 + b"}"), 422),
    "an integer of 9,000 digits": ("POST", "/api/wide", body(b'{"number":' + b"9" * 9_000 + b"}"), 422),
    "a number too large to be one": ("POST", "/api/wide", body(b'{"number":1e400}'), 422),
    "not a number": ("POST", "/api/wide", body(b'{"number":NaN}'), 400),
    "a byte order mark": ("POST", "/api/wide", body(b'\xef\xbb\xbf{"text":"a"}'), 400),
    "two documents": ("POST", "/api/wide", body(b'{"text":"a"}{"text":"b"}'), 400),
    "an unknown field": ("POST", "/api/wide", body(b'{"text":"a","is_admin":true}'), 422),
    "a packed body": ("POST", "/api/wide", body(b"\x1f\x8b\x08", content_encoding="gzip"), 415),
    "a form": ("POST", "/api/wide", body(b"text=a", content_type="application/x-www-form-urlencoded"), 415),
    "parts": ("POST", "/api/wide", body(b"--x\r\n", content_type="multipart/form-data; boundary=x"), 415),
    "another format": ("POST", "/api/wide", body(b"\x80", content_type="application/msgpack"), 415),
    "a large body": ("POST", "/api/wide", body(b" " * (BODY_BYTES_MAX + 1)), 413),
    "a large body without a length": ("POST", "/api/wide", body(endless), 413),
    "a large body where none is expected": (
        "POST",
        "/api/v1/billing-runs/1/approve",
        body(endless, Idempotency_Key="hostile"),
        413,
    ),
    "a wrong length": ("POST", "/api/wide", body(b"{}", content_length="9999999"), 413),
    "NUL in a query": ("GET", "/api/v1/orders?cursor=%00", {}, 422),
    "a query that is not UTF-8": ("GET", "/api/v1/orders?cursor=%ff%fe", {}, 422),
    "a state of surrogates": ("GET", "/api/v1/orders?state=%ed%a0%80", {}, 422),
    "a limit beyond 64 bits": ("GET", f"/api/v1/orders?limit={'9' * 30}", {}, 422),
    "a forged cursor": ("GET", "/api/v1/orders?cursor=WyJhIl0", {}, 422),
    "NUL in a path": ("DELETE", "/api/v1/api-keys/%00", {}, 422),
    "NUL after an id": ("GET", "/api/v1/merchants/1%00", {}, 404),
    "an id beyond 64 bits": ("GET", f"/api/v1/merchants/{'9' * 20}", {}, 422),
    "an id of 5,000 digits": ("GET", f"/api/v1/merchants/{'9' * 5_000}", {}, 404),
    "a way out of a folder": ("GET", "/static/..%2f..%2fpyproject.toml", {}, 404),
    "a long query": ("GET", f"/api/v1/orders?cursor={'a' * TARGET_BYTES_MAX}", {}, 414),
    "large header fields": ("GET", "/api/v1/me", {"headers": {"x-large": "a" * FIELDS_BYTES_MAX}}, 431),
    "many header fields": ("GET", "/api/v1/me", {"headers": [("x-many", "a")] * (FIELDS_MAX + 1)}, 431),
    "a method of its own": ("FOO", "/api/v1/me", {}, 405),
    "a trace": ("TRACE", "/api/v1/me", {}, 405),
    "a key with strange bytes": ("GET", "/api/v1/me", {"headers": {"authorization": b"Bearer mk_\xff_a"}}, 401),
    "a key of nothing": ("GET", "/api/v1/me", {"headers": {"authorization": "Bearer mk__"}}, 401),
    "another scheme": ("GET", "/api/v1/me", {"headers": {"authorization": "Basic YTpi"}}, 401),
    "NUL in a login": ("POST", "/api/v1/session", body(rb'{"login":"a\u0000","password":"b"}'), 422),
    "another site": ("POST", "/sign-in", {"headers": {"origin": "https://evil.example"}}, 403),
    "another site behind a forged host": (
        "POST",
        "/sign-in",
        {"headers": {"origin": "https://evil.example", "x-forwarded-host": "evil.example"}},
        403,
    ),
}


@pytest.fixture
async def app(db: Database, tmp_path: Path) -> AsyncIterator[Litestar]:
    async with running(db, tmp_path, beside=(wide,)) as app:
        yield app


@pytest.fixture
async def admin(caller: Make, db: Database) -> httpx.AsyncClient:
    """Somebody who may do everything, so that nothing is refused for that reason."""
    await add_small_market(db)
    return await caller("ada", "admin")


async def test_each_is_refused_clearly(admin: httpx.AsyncClient, client: httpx.AsyncClient) -> None:
    wrong = []
    for name, (method, path, sent, status) in HOSTILE.items():
        content = {"content": sent["content"]()} if callable(sent.get("content")) else {}
        answer = await (client if path == "/sign-in" else admin).request(method, path, **(sent | content))
        if answer.status_code != status or "Traceback" in answer.text:
            wrong.append((name, status, answer.status_code, answer.text[:300]))
        elif path.startswith("/api/"):
            problem = answer.json()
            assert answer.headers["content-type"] == "application/problem+json", name
            assert (problem["status"], bool(problem["detail"])) == (status, True), name
    assert not wrong


async def test_a_field_given_twice_counts_as_it_was_given_last(admin: httpx.AsyncClient) -> None:
    answer = await admin.post("/api/wide", **body(b'{"text":"a","text":"b"}'))
    assert answer.json()["text"] == "b"


async def test_no_header_changes_the_method_or_the_path(admin: httpx.AsyncClient, client: httpx.AsyncClient) -> None:
    (own,) = (await admin.get("/api/v1/api-keys")).json()
    path = f"/api/v1/api-keys/{own['key_id']}"
    for header in ("x-http-method-override", "x-http-method", "x-method-override"):
        assert (await admin.post(path, headers={header: "DELETE"})).status_code == 405
        assert (await admin.get("/api/v1/me", headers={header: "DELETE"})).status_code == 200
    for header in ("x-original-url", "x-rewrite-url", "x-forwarded-prefix"):
        assert (await client.get("/api/v1/me", headers={header: "/health/live"})).status_code == 401


class Wire:
    """A connection to a real server, on which bytes are written as they are."""

    def __init__(self, port: int, key: str) -> None:
        self.port = port
        self.key = key.encode()

    async def say(self, *parts: bytes) -> bytes:
        """Everything the server answers, until it closes or has been silent; a write it cuts off is no failure."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            for part in parts:
                writer.write(part)
                await writer.drain()
        except ConnectionError:
            pass
        heard = b""
        try:
            async with asyncio.timeout(5):
                while b"\r\n\r\n" not in heard and (more := await reader.read(65_536)):
                    heard += more
        except ConnectionResetError:
            pass
        writer.close()
        return heard


@pytest.fixture
async def wire(db: Database, tmp_path: Path) -> AsyncIterator[Wire]:
    async with serving(db, tmp_path) as port:
        yield Wire(port, await api_key(db, "ada", ["admin"]))


@asynccontextmanager
async def serving(db: Database, home: Path, **settings: Any) -> AsyncIterator[int]:
    """The server as `marketplace serve` runs it; gives its port."""
    listening = listen("127.0.0.1", 0)
    server = make_server(Settings(home=home, **settings), db)
    task = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        await task
        listening.close()


HEAD = b"GET /api/v1/me HTTP/1.1\r\nhost: localhost\r\n"
POST = b"POST /api/v1/session HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"


WIRED: dict[str, tuple[list[bytes], bytes]] = {
    "a head without end": ([HEAD, *[b"x-more: " + b"a" * 10_000 + b"\r\n"] * 50], b"431"),
    "a path without end": ([b"GET /" + b"a" * 1_000] + [b"a" * 50_000] * 10, b"431"),
    "NUL in a header": ([HEAD, b"x-nul: a\0b\r\n\r\n"], b"400"),
    "a space in a header's name": ([HEAD, b"x bad: a\r\n\r\n"], b"400"),
    "length and chunks": ([POST, b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"], b"400"),
    "two lengths": ([POST, b"content-length: 5\r\ncontent-length: 6\r\n\r\n12345"], b"400"),
    "less than nothing": ([POST, b"content-length: -1\r\n\r\n"], b"400"),
    "bad chunks": ([POST, b"transfer-encoding: chunked\r\n\r\nzz\r\n"], b"400"),
    "chunks without end": (
        [POST, b"transfer-encoding: chunked\r\n\r\n", *[b"10000\r\n" + b" " * 65_536 + b"\r\n"] * 40],
        b"413",
    ),
    "TLS on a plain port": ([b"\x16\x03\x01\x02\x00\x01\x00"], b"400"),
}


async def test_what_is_no_proper_http_is_refused_on_the_wire(wire: Wire) -> None:
    for name, (parts, status) in WIRED.items():
        heard = await wire.say(*parts)
        assert heard.startswith(b"HTTP/1.1 " + status), (name, heard[:200])


async def test_a_proper_request_passes_on_the_same_wire(wire: Wire) -> None:
    heard = await wire.say(HEAD, b"authorization: Bearer " + wire.key + b"\r\n\r\n")
    assert heard.startswith(b"HTTP/1.1 200")
    large = b'{"login": "ada", "password": "' + b"x" * 900_000 + b'"}'
    heard = await wire.say(POST, b"content-length: %d\r\n\r\n" % len(large), large)
    assert heard.startswith(b"HTTP/1.1 401")


async def test_forwarding_headers_make_no_other_stranger(db: Database, tmp_path: Path) -> None:
    async with serving(db, tmp_path, rate_limit_anonymous=3) as port:
        wire = Wire(port, "")
        forged = [
            b"x-forwarded-for: 10.0.0.%d\r\nforwarded: for=10.0.0.%d\r\nx-real-ip: 10.0.0.%d\r\n\r\n" % (n, n, n)
            for n in range(5)
        ]
        heard = [await wire.say(HEAD, each) for each in forged]
    assert [each.split()[1] for each in heard] == [b"401"] * 3 + [b"429"] * 2
