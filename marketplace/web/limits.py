"""How many requests a caller may make: counted after it is known who calls, told in the headers of every answer.

A caller is an API key, a session's user, or an address where nobody has signed in. The address is that of the
connection: what `X-Forwarded-For` and its like say can be written by anybody, so behind a proxy all strangers are one.
A processor is known by the signature of its events, which its handler looks at: it is counted there, under its name.
(IETF draft-ietf-httpapi-ratelimit-headers, version 10.)
"""

import ipaddress

from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from marketplace.core.limits import WINDOW, Allowance, Limits, TooManyRequests
from marketplace.web.observed import add_headers, settings_of

_FREE = ("/health/", "/static/")
"""What is never counted: answered without the database, and asked for by those who watch over this program."""

COUNTS_ITSELF = "counts_itself"
"""The option of a handler that finds out by itself who calls, and counts that with `count`."""

_WINDOW_S = int(WINDOW.total_seconds())


class RateLimit(ASGIMiddleware):
    """Counts each request and refuses those beyond the limit; stands behind Authentication."""

    scopes = (ScopeType.HTTP,)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        if not scope["path"].startswith(_FREE) and not scope["route_handler"].opt.get(COUNTS_ITSELF):
            auth, settings = scope.get("auth"), settings_of(scope)
            if auth is None:
                await count(scope, address_of(scope), settings.rate_limit_anonymous)
            else:
                await count(scope, auth.caller, settings.rate_limit)
        await next_app(scope, receive, send)


async def count(scope: Scope, caller: str, limit: int) -> None:
    """Count a request, and note for its answer's headers what is left. Raises TooManyRequests."""
    limits: Limits = scope["litestar_app"].state["limits"]
    try:
        allowance = await limits.take(caller, limit)
    except TooManyRequests as refusal:
        _note(scope, Allowance(limit, 0, refusal.extra["retry_after_s"]))
        raise
    _note(scope, allowance)


def _note(scope: Scope, allowance: Allowance) -> None:
    scope["allowance"] = allowance  # type: ignore[typeddict-unknown-key]  # read by tell_allowance


def address_of(scope: Scope) -> str:
    """Who a stranger is: its IPv4 address, or the /64 network of its IPv6 one, in which it may choose its address."""
    client = scope.get("client")
    try:
        address = ipaddress.ip_address(client[0] if client else "")
    except ValueError:  # a socket file has no address
        return "address:"
    if address.version == 6:
        mapped = address.ipv4_mapped
        address = mapped or ipaddress.ip_network((address, 64), strict=False).network_address
    return f"address:{address}"


async def tell_allowance(message: Message, scope: Scope) -> None:
    """A `before_send` hook: RateLimit and RateLimit-Policy of the answer."""
    allowance = scope.get("allowance")
    if isinstance(allowance, Allowance) and allowance.limit and message["type"] == "http.response.start":
        add_headers(
            message,
            (b"ratelimit-policy", f'"requests";q={allowance.limit};w={_WINDOW_S}'.encode()),
            (b"ratelimit", f'"requests";r={allowance.remaining};t={allowance.resets_in_s}'.encode()),
        )
