"""Query strings of the API: what the description does not know is refused, and what is said twice; an integer is one.

What is passed over in silence looks like an answer to a question that nobody has heard: a misspelt filter, for one.
"""

import re
from typing import Any

import msgspec
from litestar import Request
from litestar.datastructures import State

from marketplace.core.errors import Invalid

Queries = dict[tuple[str, str], dict[str, bool]]
"""The query parameters of every operation, by path template and method: whether each is an integer."""

_INTEGER = re.compile(r"-?[0-9]{1,40}")
_SHOWN = 60


def queries_of(description: bytes) -> Queries:
    """What the API's description says of the query strings."""
    return {
        (path, method.upper()): {
            one["name"]: _is_integer(one["schema"]) for one in operation.get("parameters", ()) if one["in"] == "query"
        }
        for path, operations in msgspec.json.decode(description)["paths"].items()
        for method, operation in operations.items()
    }


def _is_integer(schema: dict[str, Any]) -> bool:
    """A type is one, a list of them, or one for each kind of value."""
    kinds: set[str] = set()
    for one in schema.get("oneOf", [schema]):
        kind = one.get("type", "")
        kinds.update([kind] if isinstance(kind, str) else kind)
    return kinds - {"null"} == {"integer"}


async def check_query(request: Request[Any, Any, State]) -> None:
    """Litestar runs it after the guards and before it reads anything. Raises Invalid."""
    known = request.app.state["queries"].get((request.scope["path_template"], str(request.scope.get("method"))), {})
    seen: set[str] = set()
    for name, value in request.query_params.multi_items():
        if name not in known:
            there = f"; there are {', '.join(sorted(known))}" if known else " here"
            raise Invalid(f"{name[:_SHOWN]}: there is no such parameter{there}", pointer=f"/{name[:_SHOWN]}")
        if name in seen:  # no parameter of ours is a list
            raise Invalid(f"{name}: is given more than once", pointer=f"/{name}")
        seen.add(name)
        if known[name] and not _INTEGER.fullmatch(value):
            raise Invalid(f"{name}: {value[:_SHOWN]!r} is not an integer", pointer=f"/{name}")
