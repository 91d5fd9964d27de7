"""The pages before anybody is known: their language, where they lead on to, and how they say what went wrong."""

from collections.abc import Sequence
from typing import Any, TypedDict

import msgspec
from litestar import MediaType, Request, Response
from litestar.datastructures import Cookie

from marketplace.core.errors import AppError
from marketplace.web.i18n import LANGUAGES, negotiate
from marketplace.web.templating import render

LANGUAGE_COOKIE = "marketplace_language"

AnyRequest = Request[Any, Any, Any]


class Client(TypedDict):
    """From where somebody signs in, as sessions show it."""

    address: str
    user_agent: str


def client_of(request: AnyRequest) -> Client:
    return {
        "address": request.client.host if request.client else "",
        "user_agent": request.headers.get("user-agent", ""),
    }


def language_of(request: AnyRequest, wished: str = "") -> str:
    """The language before anybody is known: the one chosen on the page, else what the browser asks for."""
    for code in (wished, request.cookies.get(LANGUAGE_COOKIE, "")):
        if code in LANGUAGES:
            return code
    return negotiate(request.headers.get("accept-language", ""))


def local_path(path: str) -> str:
    """A path of this site to go on to; anything that a browser could read as another site's is the start page."""
    safe = path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable()
    return path if safe else "/"


def door(
    template: str, language: str, page: msgspec.Struct, fault: AppError | None = None, cookies: Sequence[Cookie] = ()
) -> Response[Any]:
    """A page outside of the consoles, with what was refused."""
    content = render(template, language, page, fault=fault)
    status = fault.status if fault else 200
    return Response(content, media_type=MediaType.HTML, status_code=status, cookies=list(cookies))
