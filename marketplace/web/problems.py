"""Everything that goes wrong becomes a problem document (RFC 9457), or a page when a person asked for a page.

A refusal of ours (AppError) says what and why. Of an unexpected fault the caller learns an incident id and nothing
else; the log line of that id has the rest.
"""

import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import asyncpg
import msgspec
import structlog
from jinja2 import TemplateNotFound
from litestar import MediaType, Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.response import Redirect
from markupsafe import escape
from sqlalchemy.exc import DBAPIError

from marketplace.core.db import is_lost, sqlstate
from marketplace.core.errors import AppError, Unauthenticated
from marketplace.web.templating import render

PROBLEM_JSON = "application/problem+json"
SIGN_IN_PATH = "/sign-in"
_MACHINE_PATHS = ("/api/", "/health/", "/metrics", "/openapi.json", "/problems/", "/static/")
_UNSTORABLE = frozenset({"22021", "22P05", "22003"})  # a NUL in a text, a lone surrogate, an integer beyond 64 bits

UNSTORABLE = "a text holds a character that cannot be stored, or a number does not fit 64 bits"

log = structlog.get_logger(__name__)


class Problem(msgspec.Struct, kw_only=True):
    """A problem document; `extra` becomes further members of it."""

    code: str
    title: str
    status: int
    detail: str
    extra: dict[str, Any] = {}
    headers: dict[str, str] = {}


def is_page_path(path: str) -> bool:
    """Whether a person looks at this path in a browser: all but the API and what machines read."""
    return not path.startswith(_MACHINE_PATHS)


def all_errors(base: type[AppError] = AppError) -> Iterator[type[AppError]]:
    """Every kind of refusal this program knows, for the pages behind the problems' `type`."""
    yield base
    for kind in base.__subclasses__():
        yield from all_errors(kind)


def from_app_error(error: AppError) -> Problem:
    """A refused field, given as `pointer` or by its bare name as `field`, becomes the one member of `errors`.

    What is not valid always has one: where no field is given, the detail begins with its name, or it is the whole.
    """
    extra = dict(error.extra)
    headers = {}
    if "field" in extra:
        extra["pointer"] = f"/{extra.pop('field')}"
    if "pointer" in extra:
        extra["errors"] = [{"pointer": extra.pop("pointer"), "detail": error.detail}]
    if error.status == HTTPStatus.UNPROCESSABLE_ENTITY:
        extra.setdefault("errors", [{"pointer": _named(error.detail), "detail": error.detail}])
    if "retry_after_s" in extra:
        headers["Retry-After"] = str(extra["retry_after_s"])
    if error.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return Problem(
        code=error.code, title=error.title, status=error.status, detail=error.detail, extra=extra, headers=headers
    )


_FIELD = re.compile(r"([a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*|\[[0-9]+\])*): ")


def _named(detail: str) -> str:
    """The pointer to the field that a reason begins with ("lines[0].quantity: 0 is too few"), else to the whole."""
    found = _FIELD.match(detail)
    if found is None or found[1] == "body":
        return ""
    return "".join(f"/{name}" for name in re.findall(r"[^.\[\]]+", found[1]))


def from_msgspec(error: msgspec.DecodeError) -> Problem:
    """A body that cannot be read: 400 when it is no JSON, 422 with a pointer to the field when it is the wrong one."""
    if not isinstance(error, msgspec.ValidationError):
        return Problem(code="malformed", title="The body is not valid JSON", status=400, detail=str(error))
    detail, pointer = _explain(str(error))
    return Problem(
        code="invalid-input",
        title="The input is not valid",
        status=422,
        detail=f"{pointer.lstrip('/') or 'body'}: {detail}",
        extra={"errors": [{"pointer": pointer, "detail": detail}]},
    )


def _explain(message: str) -> tuple[str, str]:
    """Split msgspec's "Expected `int`, got `str` - at `$.lines[0].amount_minor`" into reason and JSON Pointer."""
    reason, _, path = message.partition(" - at `$")
    pointer = "".join(f"/{name}" for name in re.findall(r"[^.\[\]]+", path.rstrip("`")))
    named = re.search(r"(?:unknown|required) field `([^`]+)`", reason)
    return reason, f"{pointer}/{named.group(1)}" if named else pointer


def from_http_exception(request: Request[Any, Any, Any], error: HTTPException) -> Problem:
    """Litestar's own refusals; a parameter of path or query that does not convert is named."""
    status = HTTPStatus(error.status_code)
    extra: dict[str, Any] = {}
    detail = error.detail or status.phrase
    if status is HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        detail = f"body: is larger than {request.route_handler.resolve_request_max_body_size()} bytes"
    if isinstance(error, ValidationException):
        faults: list[Any] = error.extra if isinstance(error.extra, list) else []
        extra["errors"] = [_refused_parameter(request, fault) for fault in faults]
        if extra["errors"]:
            first = extra["errors"][0]
            detail = f"{first['pointer'][1:] or 'body'}: {first['detail']}"
        else:
            extra["errors"] = [{"pointer": "", "detail": detail}]
        status = HTTPStatus.UNPROCESSABLE_ENTITY
        return Problem(code="invalid-input", title="The input is not valid", status=status, detail=detail, extra=extra)
    code = status.phrase.lower().replace(" ", "-")
    return Problem(
        code=code, title=status.phrase, status=status, detail=detail, headers=dict(error.headers or {}), extra=extra
    )


def _refused_parameter(request: Request[Any, Any, Any], fault: dict[str, Any]) -> dict[str, str]:
    if fault.get("key") == "data":  # an absent body is an absent argument to Litestar
        return {"pointer": "", "detail": "the body is missing"}
    key = fault.get("key", "")
    declared = request.route_handler.parsed_fn_signature.parameters.get(key)
    name = getattr(declared.kwarg_definition, "name", None) if declared else None
    return {"pointer": f"/{name or key}", "detail": fault.get("message", "")}


def from_fault(request: Request[Any, Any, Any], error: Exception) -> Problem:
    """What nobody foresaw. Only the database's own complaints about unstorable input are the caller's doing."""
    if _is_unstorable(error):
        return Problem(
            code="invalid-input",
            title="The input is not valid",
            status=422,
            detail=UNSTORABLE,
            extra={"errors": [{"pointer": "", "detail": UNSTORABLE}]},
        )
    incident = _request_id(request)
    if is_lost(error):
        log.error("unavailable", incident_id=incident, error=repr(error))
        return Problem(
            code="unavailable",
            title="The service is not available",
            status=503,
            detail="the database does not answer; try again shortly",
            extra={"incident_id": incident},
            headers={"Retry-After": "2"},
        )
    log.error("unexpected fault", incident_id=incident, path=request.scope["path"], exc_info=error)
    return Problem(
        code="internal",
        title="Something went wrong on our side",
        status=500,
        detail="nothing was changed by this request unless it was told so; quote the incident id when you report it",
        extra={"incident_id": incident},
    )


def _is_unstorable(error: Exception) -> bool:
    """Whether the database, or its driver before it, has refused a value as such."""
    if isinstance(error, DBAPIError | asyncpg.PostgresError) and sqlstate(error) in _UNSTORABLE:
        return True
    cause: BaseException | None = getattr(error, "orig", error)
    while cause is not None and not isinstance(cause, asyncpg.DataError):
        cause = cause.__cause__
    return cause is not None and isinstance(cause.__cause__, OverflowError | UnicodeEncodeError)


def respond(request: Request[Any, Any, Any], problem: Problem) -> Response[Any]:
    """The answer: a page for a person, a problem document for a program."""
    if is_page_path(request.scope["path"]):
        return _page(request, problem)
    document = {
        "type": f"/problems/{problem.code}",
        "title": problem.title,
        "status": int(problem.status),
        "detail": problem.detail,
        "instance": quote(request.scope["path"]),
        "request_id": _request_id(request),
        **problem.extra,
    }
    return Response(
        msgspec.json.encode(document),
        status_code=problem.status,
        media_type=PROBLEM_JSON,
        headers=problem.headers,
    )


class ErrorPage(msgspec.Struct, frozen=True):
    """What the template `error.html` sees."""

    status: int
    title: str
    detail: str
    code: str
    incident_id: str | None
    request_id: str


def _page(request: Request[Any, Any, Any], problem: Problem) -> Response[Any]:
    """The template `error.html`; plain HTML when it is missing or fails itself."""
    page = ErrorPage(
        status=problem.status,
        title=problem.title,
        detail=problem.detail,
        code=problem.code,
        incident_id=problem.extra.get("incident_id"),
        request_id=_request_id(request),
    )
    actor = request.scope.get("user")
    try:
        body = render("error.html", actor.locale if actor else "en", page, actor=actor)
    except TemplateNotFound:
        body = _plain_page(page)
    except Exception:  # the page about a fault must not be another fault
        log.exception("the error page failed", request_id=page.request_id)
        body = _plain_page(page)
    return Response(body, status_code=problem.status, media_type=MediaType.HTML, headers=problem.headers)


def _plain_page(page: ErrorPage) -> str:
    incident = f"<p>Incident {escape(page.incident_id)}</p>" if page.incident_id else ""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(page.title)}</title></head>'
        f"<body><main><h1>{escape(page.title)}</h1><p>{escape(page.detail)}</p>{incident}"
        '<p><a href="/">Start page</a></p></main></body></html>'
    )


def _request_id(request: Request[Any, Any, Any]) -> str:
    return str(request.scope["request_id"])  # type: ignore[typeddict-item]  # set by Observed, before everything else


def _on_app_error(request: Request[Any, Any, Any], error: AppError) -> Response[Any]:
    path = request.scope["path"]
    if isinstance(error, Unauthenticated) and is_page_path(path) and request.method in {"GET", "HEAD"}:
        query = request.scope["query_string"].decode("latin-1")
        wanted = quote(f"{path}?{query}" if query else path, safe="/")
        return Redirect(f"{SIGN_IN_PATH}?next={wanted}", status_code=303)
    return respond(request, from_app_error(error))


def _on_msgspec(request: Request[Any, Any, Any], error: msgspec.DecodeError) -> Response[Any]:
    return respond(request, from_msgspec(error))


def _on_http_exception(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    if error.status_code >= 500:  # Litestar's own words about our mistakes are for the log
        return respond(request, from_fault(request, error))
    return respond(request, from_http_exception(request, error))


def _on_fault(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    return respond(request, from_fault(request, error))


EXCEPTION_HANDLERS: dict[int | type[Exception], Any] = {
    AppError: _on_app_error,
    msgspec.DecodeError: _on_msgspec,
    HTTPException: _on_http_exception,
    Exception: _on_fault,
}
