"""Around every request: an id, one log line, one measurement, and the headers that keep a browser safe.

Litestar runs middleware only for routes it knows, so this wraps the whole application: a 404 is seen, too.
"""

import secrets
import string
import time
from collections.abc import Awaitable, Callable

import structlog
from litestar.datastructures import Headers, MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send
from prometheus_client import CollectorRegistry, Counter, Histogram
from structlog.contextvars import bound_contextvars

from marketplace.web.templating import CONTENT_SECURITY_POLICY

REQUEST_ID_HEADER = "x-request-id"
_REQUEST_ID_LENGTH_MAX = 64
_REQUEST_ID_CHARACTERS = frozenset(string.ascii_letters + string.digits + "-_")
_YEAR_S = 365 * 24 * 3600

log = structlog.get_logger(__name__)


class RequestMetrics:
    """How many requests and how long they took, by method, route template and status; never by a path with ids."""

    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ("method", "route", "status")
        self.count = Counter("marketplace_http_requests", "Requests answered.", labels, registry=registry)
        self.duration = Histogram(
            "marketplace_http_request_duration_seconds",
            "Time to the last byte of the answer.",
            labels[:2],
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60),
            registry=registry,
        )


def observed(app: ASGIApp, metrics: RequestMetrics) -> ASGIApp:
    """`app` with a request id in its scope, and a log line and a measurement of each HTTP request."""

    async def observe(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await app(scope, receive, send)
            return
        began, status = time.perf_counter(), 0
        request_id = _request_id(Headers.from_scope(scope))
        scope["request_id"] = request_id  # type: ignore[typeddict-unknown-key]  # read by problems and logs

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableScopeHeaders.from_message(message)[REQUEST_ID_HEADER] = request_id
            await send(message)

        with bound_contextvars(request_id=request_id):
            try:
                await app(scope, receive, note)
            finally:
                _report(metrics, scope, status, time.perf_counter() - began)

    return observe


def _request_id(headers: Headers) -> str:
    """The id a proxy has given this request, when it is a plain one; otherwise a new one."""
    given = headers.get(REQUEST_ID_HEADER, "")
    if 0 < len(given) <= _REQUEST_ID_LENGTH_MAX and _REQUEST_ID_CHARACTERS.issuperset(given):
        return given
    return secrets.token_hex(8)


def _report(metrics: RequestMetrics, scope: HTTPScope, status: int, duration_s: float) -> None:
    method = scope["method"] if scope["method"] in _METHODS else "other"
    route = scope.get("path_template") or "unmatched"
    metrics.count.labels(method, route, str(status)).inc()
    metrics.duration.labels(method, route).observe(duration_s)
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


def safety_headers(*, https: bool) -> Callable[[Message, Scope], Awaitable[None]]:
    """A `before_send` hook: what every answer tells the browser not to do. https: also to come back by HTTPS only."""
    headers = {
        "content-security-policy": CONTENT_SECURITY_POLICY,
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",  # for browsers that do not know frame-ancestors
        "referrer-policy": "same-origin",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
    }
    if https:
        headers["strict-transport-security"] = f"max-age={_YEAR_S}"

    async def add(message: Message, scope: Scope) -> None:
        if message["type"] == "http.response.start":
            sent = MutableScopeHeaders.from_message(message)
            for name, value in headers.items():
                sent.setdefault(name, value)
            sent.setdefault("cache-control", "no-store")  # everything but static files is somebody's own

    return add
