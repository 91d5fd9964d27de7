"""Requests made up from the description: whatever is sent, the answer is a documented one and never a fault."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import given, settings
from hypothesis import strategies as st
from litestar import Litestar
from msgspec import json
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from marketplace.core.db import Database
from tests.http.conftest import BASE
from tests.http.market import add_small_market
from tests.http.test_roles import ROUTES

Make = Callable[..., Awaitable[httpx.AsyncClient]]

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
OPERATIONS = sorted(name for name in ROUTES if "/api/" in name and name != "GET /api/v1/proofs")
GROUPS = [OPERATIONS[start::4] for start in range(4)]


@pytest.mark.parametrize("group", range(len(GROUPS)))
async def test_every_answer_is_a_documented_one(app: Litestar, caller: Make, db: Database, group: int) -> None:
    await add_small_market(db)
    admin = await caller("ada", "admin")
    schema = schemathesis.openapi.from_dict(json.decode(app.state["openapi"]))
    failures: list[Any] = []

    for name in GROUPS[group]:
        method, path = name.split()
        for case in _cases(schema[path][method]):
            request = case.as_transport_kwargs(base_url=BASE)
            answer = await admin.request(**_for_httpx(request))
            try:
                case.validate_response(answer, checks=CHECKS)
            except FailureGroup as failure:  # collected: one run shows all that is wrong
                failures.append((name, request, str(failure)))
    assert not failures, "\n\n".join(map(str, failures[:5]))


def _cases(operation: Any) -> list[Any]:
    """At most ten requests of an operation, the same in every run."""
    cases: list[Any] = []

    @settings(max_examples=10, database=None)
    @given(operation.as_strategy() | st.nothing())
    def collect(case: Any) -> None:
        cases.append(case)

    collect()
    return cases[:10]


def _for_httpx(request: dict[str, Any]) -> dict[str, Any]:
    """The request as schemathesis states it for `requests`, in httpx's words."""
    known = {"method", "url", "params", "json", "headers", "cookies", "data"}
    stated = {name: value for name, value in request.items() if name in known and value is not None}
    stated["headers"] = {
        name: value for name, value in dict(stated.get("headers", {})).items() if name.lower() != "authorization"
    }
    stated.pop("cookies", None)
    if "data" in stated:
        stated["content"] = stated.pop("data")
    return stated
