"""How large the head of a request may be: its target and its header fields.

The server's parser knows no limits of its own: it would collect header fields until there is no memory left. So heads
that do not end are cut off where the bytes arrive, and those that end beyond the limits are refused by name.
"""

from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from marketplace.core.errors import AppError

TARGET_BYTES_MAX = 8_192
FIELDS_BYTES_MAX = 32_768
FIELDS_MAX = 100

_UNFINISHED_BYTES_MAX = 65_536
_IS_BOUNDED = not hasattr(AutoHTTPProtocol, "on_headers_complete")
"""h11, which serves where httptools cannot be installed, has a limit of its own."""

_ANSWER = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class TargetTooLong(AppError):
    code = "target-too-long"
    status = 414
    title = "Path and query are too long"


class HeadTooLarge(AppError):
    code = "head-too-large"
    status = 431
    title = "The header fields are too large"


class HeadLimit(ASGIMiddleware):
    """Refuses what is too long before anything looks at it."""

    scopes = (ScopeType.HTTP,)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        fields = list(scope["headers"])
        if len(scope["raw_path"]) + len(scope["query_string"]) > TARGET_BYTES_MAX:
            raise TargetTooLong(f"path and query may have {TARGET_BYTES_MAX} bytes")
        size = sum(len(name) + len(value) for name, value in fields)
        if len(fields) > FIELDS_MAX or size > FIELDS_BYTES_MAX:
            raise HeadTooLarge(f"there may be {FIELDS_MAX} header fields of {FIELDS_BYTES_MAX} bytes in all")
        await next_app(scope, receive, send)


class BoundedProtocol(AutoHTTPProtocol):  # type: ignore[valid-type,misc]  # httptools' or h11's, as is installed
    """The server's protocol, which ends a connection whose head does not end.

    What comes in one piece with the end of a head or of a body is not counted: a piece is at most 256 KiB.
    """

    _in_body = False
    _has_turned = False
    _head_bytes = 0

    def on_headers_complete(self) -> None:
        self._in_body = self._has_turned = True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_body, self._has_turned = False, True
        super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        self._has_turned = False
        super().data_received(data)
        if self._has_turned:
            self._head_bytes = 0
        elif not self._in_body and not _IS_BOUNDED:
            self._head_bytes += len(data)
            if self._head_bytes > _UNFINISHED_BYTES_MAX and not self.transport.is_closing():
                self.transport.write(_ANSWER)
                self.transport.close()
