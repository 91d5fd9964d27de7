"""No other site may write with a visitor's cookie: tokenless protection against cross-site requests.

A browser says where a request comes from in `Sec-Fetch-Site`, older ones in `Origin`; neither can be set by a page.
A program sends neither and has no cookie jar to abuse. (The rule is that of Go's net/http.CrossOriginProtection.)
"""

from urllib.parse import urlsplit

from litestar.datastructures import Headers
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send

from marketplace.core.errors import Forbidden

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class CrossSite(Forbidden):
    code = "cross-site"
    title = "Another site may not write here"


class SameOrigin(ASGIMiddleware):
    """Refuses unsafe requests that come from another origin, unless an API key speaks for itself."""

    scopes = (ScopeType.HTTP,)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        headers, method = Headers.from_scope(scope), str(scope.get("method"))
        if method not in _SAFE_METHODS and "authorization" not in headers and not is_same_origin(headers):
            raise CrossSite("this request was sent by a page of another site")
        await next_app(scope, receive, send)


def is_same_origin(headers: Headers) -> bool:
    """Whether a request comes from our own pages, from the user directly, or from no browser at all."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in {"same-origin", "none"}
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == headers.get("host")
