"""The API's description (OpenAPI 3.1): what Litestar derives from the handlers, completed with what it cannot see.

Litestar does not know our refusals, our guards and the Idempotency-Key. The description is made from an application
of its own that is never served, so that none of Litestar's documentation pages exist in the one that is.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from litestar import Litestar, Router
from litestar.di import Provide
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme
from litestar.routes import HTTPRoute

from marketplace.core.scopes import scope_of
from marketplace.web.auth import SESSION_COOKIE
from marketplace.web.guards import in_person, roles_of
from marketplace.web.problems import PROBLEM_JSON

ONCE = {"once": True}
"""`opt` of a handler that answers through `once`: it needs an Idempotency-Key."""

IF_MATCH_OPTIONAL = {"if_match_optional": True}
"""`opt` of a handler that honours If-Match where it is sent: a move, whose state is checked anyway."""

ALSO = "also"
"""Key of `opt` for statuses that only this handler refuses with."""

_PROBLEM_SCHEMA = {
    "type": "object",
    "description": "A problem document (RFC 9457). Further members depend on the type.",
    "required": ["type", "title", "status", "detail", "instance", "request_id"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string", "format": "uri-reference"},
        "request_id": {"type": "string"},
        "incident_id": {"type": "string", "description": "To be quoted when a fault (5xx) is reported."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "detail"],
                "properties": {
                    "pointer": {"type": "string", "description": "The refused field (RFC 6901); empty: the whole."},
                    "detail": {"type": "string"},
                },
            },
        },
    },
}

_REASONS = {
    400: "The request cannot be read, or a required header is missing.",
    401: "Nobody is signed in, or the API key is not valid.",
    403: "The caller may not do this.",
    404: "There is no such thing, or it is another's.",
    409: "The present state does not allow this.",
    412: "It has been changed since it was read; `ETag` of a new read is its version.",
    413: "The body is larger than allowed; `detail` says how large it may be.",
    414: "Path and query are longer than 8 KiB.",
    415: "The body is not JSON.",
    422: "A field is not valid; `errors` names it.",
    428: "The header If-Match is missing.",
    429: "Too many requests in a minute (`RateLimit` says how many are left), or too many failed attempts;"
    " `Retry-After` says when to try again.",
    431: "There are more than 100 header fields or 32 KiB of them.",
    500: "A fault of ours; `incident_id` names it in the log.",
    503: "The database does not answer.",
}

_ONCE_HEADER = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "description": "New for every new request; the same again gets the same answer without doing it again.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[\x20-\x7e]+$"},
}

_IF_MATCH_HEADER = {
    "name": "If-Match",
    "in": "header",
    "required": True,
    "description": "The ETag of what was read: the edit is refused when it has been changed since.",
    "schema": {"type": "string", "minLength": 3, "maxLength": 11, "pattern": '^"[0-9]{1,9}"$'},
}


def describe(api: Router, dependencies: Mapping[str, Provide]) -> bytes:
    """The description of the API as JSON, the same bytes for the same code."""
    app = Litestar([api], dependencies=dict(dependencies), openapi_config=_config(), logging_config=None)
    schema: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(app.openapi_schema.to_schema()))
    types = schema["components"].setdefault("schemas", {})
    types["Problem"] = _PROBLEM_SCHEMA
    for each in types.values():
        each.pop("default", None)  # of the field that Litestar came upon first, in whatever order
    for path, method, handler in documented(app):
        operation = schema["paths"][path][method]
        _complete(operation, handler)
        if operation.get("security") is None:  # an API key may do it
            operation["x-scope"] = scope_of(path, method.upper())
    _correct(schema)
    return msgspec.json.encode(schema, order="sorted")


def documented(app: Litestar) -> Iterator[tuple[str, str, HTTPRouteHandler]]:
    """Every described operation: path template, method in lower case, its handler."""
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for method, (handler, _) in route.route_handler_map.items():
                if handler.resolve_include_in_schema() and method != "OPTIONS":
                    yield route.path_format, method.lower(), handler


def _complete(operation: dict[str, Any], handler: HTTPRouteHandler) -> None:
    roles = roles_of(handler.resolve_guards())
    if roles is None:
        operation["security"] = []
    else:
        operation["x-roles"] = sorted(roles)
    if in_person in handler.resolve_guards():
        operation["security"] = [{"session": []}]
    if handler.opt.get("once"):
        operation.setdefault("parameters", []).append(_ONCE_HEADER)
    if handler.opt.get("if_match"):
        operation.setdefault("parameters", []).append(_IF_MATCH_HEADER)
    if handler.opt.get("if_match_optional"):
        operation.setdefault("parameters", []).append({**_IF_MATCH_HEADER, "required": False})
    responses = operation["responses"]
    responses.get("204", {}).pop("content", None)
    responses.pop("400", None)  # Litestar's own shape, which our problems replace
    for status in _refusals(operation, handler, is_public=roles is None):
        responses[str(status)] = {
            "description": _REASONS[status],
            "content": {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }


def _correct(node: Any) -> None:
    """Say what Litestar means and does not write.

    A lower bound of zero is lost where null is allowed besides, and no integer of ours has an upper bound only. Integer
    bounds come as floats, which at 64 bits are other numbers; the dots of `tuple[X, ...]` come as a second kind
    of item, of which everything is one.
    """
    if isinstance(node, dict):
        if "oneOf" in node and "maximum" in node:
            node.setdefault("minimum", 0)
        for bound in ("minimum", "maximum"):
            if isinstance(node.get(bound), float) and node.get("type", "integer") == "integer":
                node[bound] = max(-(2**63), min(int(node[bound]), 2**63 - 1))
        items = node.get("items")
        if isinstance(items, dict) and len(items.get("oneOf", ())) == 2 and items["oneOf"][1] == {}:
            node["items"] = items["oneOf"][0]
    for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        _correct(inner)


def _refusals(operation: dict[str, Any], handler: HTTPRouteHandler, *, is_public: bool) -> list[int]:
    parameters = operation.get("parameters", [])
    found = {401, 414, 422, 429, 431, 500, 503, *handler.opt.get(ALSO, ())}
    if not is_public:
        found.add(403)
    if any(parameter["in"] == "path" or parameter["name"] == "merchant_id" for parameter in parameters):
        found.add(404)
    if "requestBody" in operation:
        found |= {400, 413, 415}
    if "GET" not in handler.http_methods:
        found |= {403, 409}
    if handler.opt.get("once"):
        found.add(400)
    if handler.opt.get("if_match"):
        found |= {412, 428}
    if handler.opt.get("if_match_optional"):
        found.add(412)
    return sorted(found)


def _config() -> OpenAPIConfig:
    return OpenAPIConfig(
        title="Marketplace operations",
        version="1",
        use_handler_docstrings=True,
        operation_id_creator=lambda handler, method, path: handler.handler_name,
        security=[{"session": []}, {"apiKey": []}],
        components=Components(
            security_schemes={
                "session": SecurityScheme(type="apiKey", security_scheme_in="cookie", name=SESSION_COOKIE),
                "apiKey": SecurityScheme(type="http", scheme="bearer", bearer_format="mk_<id>_<secret>"),
            }
        ),
    )
