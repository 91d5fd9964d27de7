"""Around every request: an id, one log line, one measurement, and the headers that keep a browser safe.

Litestar runs middleware only for routes it knows, so this wraps the whole application: a 404 is seen, too.
"""

import secrets
import string
import time

import structlog
from litestar import Litestar
from litestar.datastructures import Headers
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPResponseStartEvent, HTTPScope, Message, Receive, Scope, Send
from prometheus_client import CollectorRegistry, Counter, Histogram
from structlog.contextvars import bound_contextvars
from structlog.typing import FilteringBoundLogger

from marketplace.settings import Settings
from marketplace.web.templating import CONTENT_SECURITY_POLICY

REQUEST_ID_HEADER = "x-request-id"
_REQUEST_ID_LENGTH_MAX = 64
_REQUEST_ID_CHARACTERS = frozenset(string.ascii_letters + string.digits + "-_")
_YEAR_S = 365 * 24 * 3600


class RequestMetrics:
    """How many requests and how long they took, by method, route template and status; never by a path with ids."""

    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ("method", "route", "status")
        self._count = Counter("marketplace_http_requests", "Requests answered.", labels, registry=registry)
        self._duration = Histogram(
            "marketplace_http_request_duration_seconds",
            "Time to the last byte of the answer.",
            labels[:2],
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60),
            registry=registry,
        )
        self._of: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def note(self, method: str, route: str, status: int, duration_s: float) -> None:
        """One more request. The figures of a combination are found once: finding them costs more than counting."""
        found = self._of.get((method, route, status))
        if found is None:
            found = self._count.labels(method, route, str(status)), self._duration.labels(method, route)
            self._of[method, route, status] = found
        found[0].inc()
        found[1].observe(duration_s)


def settings_of(scope: Scope) -> Settings:
    """What the application that answers was given to serve with."""
    settings: Settings = scope["litestar_app"].state["settings"]
    return settings


def observed(app: Litestar, handler: ASGIApp) -> ASGIApp:
    """`handler` with a request id in its scope; a log line of each HTTP request, and a measurement for `app`."""
    log = structlog.get_logger(__name__).bind()  # once, for binding costs as much as writing

    async def observe(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await handler(scope, receive, send)
            return
        began, status = time.perf_counter(), 0
        request_id = _request_id(Headers.from_scope(scope))
        scope["request_id"] = request_id  # type: ignore[typeddict-unknown-key]  # read by problems and logs

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                add_headers(message, (REQUEST_ID_HEADER.encode(), request_id.encode()))
            await send(message)

        with bound_contextvars(request_id=request_id):
            try:
                await handler(scope, receive, note)
            finally:
                _report(log, app.state["metrics"].requests, scope, status, time.perf_counter() - began)

    return observe


def add_headers(message: HTTPResponseStartEvent, *headers: tuple[bytes, bytes]) -> None:
    """Put header fields on an answer that does not have them yet; as bytes, for every request comes through here."""
    message["headers"] = [*message["headers"], *headers]


def _request_id(headers: Headers) -> str:
    """The id a proxy has given this request, when it is a plain one; otherwise a new one."""
    given = headers.get(REQUEST_ID_HEADER, "")
    if 0 < len(given) <= _REQUEST_ID_LENGTH_MAX and _REQUEST_ID_CHARACTERS.issuperset(given):
        return given
    return secrets.token_hex(8)


def _report(
    log: FilteringBoundLogger, metrics: RequestMetrics, scope: HTTPScope, status: int, duration_s: float
) -> None:
    method = scope["method"] if scope["method"] in _METHODS else "other"
    route = scope.get("path_template") or "unmatched"
    metrics.note(method, route, status, duration_s)
    write = log.error if status >= 500 or status == 0 else log.info
    write(
        "request",
        method=method,
        path=scope["path"],
        route=route,
        status=status,
        duration_ms=round(duration_s * 1000, 1),
        actor=scope.get("actor"),
    )


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


_SAFETY = {
    b"content-security-policy": CONTENT_SECURITY_POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",  # for browsers that do not know frame-ancestors
    b"referrer-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"cache-control": b"no-store",  # everything but static files is somebody's own
}
_SAFETY_HTTPS = {**_SAFETY, b"strict-transport-security": f"max-age={_YEAR_S}".encode()}


async def add_safety_headers(message: Message, scope: Scope) -> None:
    """A `before_send` hook: what every answer tells the browser not to do; over HTTPS, also to come back by it only."""
    if message["type"] == "http.response.start":
        headers = _SAFETY_HTTPS if settings_of(scope).cookie_secure else _SAFETY
        given = {name.lower() for name, _ in message["headers"]}
        add_headers(message, *(item for item in headers.items() if item[0] not in given))
