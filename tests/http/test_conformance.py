"""Requests made up from the description, in a market where everything has happened: whatever is sent and by whomever,
the answer is a documented one and never a fault, and the books hold afterwards.
"""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import count
from pathlib import Path
from random import Random
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

from marketplace.core import sessions, users
from marketplace.core.db import WORKER, Database, Tx
from marketplace.web.auth import SESSION_COOKIE
from tests.billing.market import check_books
from tests.http import plausible_academy, plausible_field, plausible_periods
from tests.http.busy import NAME, SECRET
from tests.http.market import ALPHA
from tests.http.plausible import (
    EXTREMES,
    LOGIN,
    PASSWORD,
    SENSIBLE,
    Seen,
    forged_cursors,
    look,
    real_ids,
    ripe_ids,
    spoiled,
)
from tests.http.serving import BASE, make_client, running
from tests.http.test_roles import ROUTES

Make = Callable[..., Awaitable[httpx.AsyncClient]]

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
LAST = ("/reverse", "/suspend", "/close", "/{account_id}/cancel", "DELETE ")
"""What would leave the others little to try on comes at the end."""
FIRST = (
    "payout-files/{file_id}/approve",
    "payout-files/{file_id}/cancel",
    "work-orders/{work_order_id}/finish",
)
"""What the others would spoil."""
OPERATIONS = sorted(
    (name for name in ROUTES if "/api/" in name),
    key=lambda name: ([word in name for word in reversed(LAST)], not any(word in name for word in FIRST), name),
)
# In its group, one failed delivery is sent again before the others are, and an account is given up after its merchant
# has gone live: without one it could not.
GROUPS = [
    sorted(OPERATIONS[start::6], key=lambda name: ("event_id}/replay" not in name, "account_id}/cancel" in name))
    for start in range(6)
]

ROLES = {
    "admin": None, "merchant_owner": ALPHA, "storefront": None, "accountant": None, "merchant_cashier": ALPHA,
}  # fmt: skip
MADE_UP, SENSIBLY, SPOILED = 6, 9, 7
"""Requests of each operation: from the description, sensible ones, and sensible ones with one thing wrong."""

UNREACHED = {
    **plausible_academy.UNREACHED,
    **plausible_field.UNREACHED,
    **plausible_periods.UNREACHED,
    "DELETE /api/v1/sessions/{session_id}": "only one's own: tests/http/test_sign_in.py",
    "POST /api/v1/ads/events": "its body is lines, not one JSON document: tests/ads/test_sponsored.py",
    "GET /api/v1/channel-economics": "only a currency that there is: tests/leads/test_economics.py",
    "GET /api/v1/ads/sponsored": "only a placement's name that there is: tests/ads/test_sponsored.py",
    "POST /api/v1/merchants/{merchant_id}/payouts/{payout_id}/retry": "no account is new since a payout came back",
    "POST /api/v1/merchants/{merchant_id}/payout-dues/{run_id}/pay": "nobody has days of its own: test_payout_dues.py",
    "POST /api/v1/breaks/{break_id}/come-back": "no payout came back: tests/matching/test_differences.py",
    "POST /api/v1/breaks/{break_id}/write-off": "none that is open is of an item: tests/matching/test_breaks.py",
    "POST /api/v1/payout-files": "no payout waits for a file any more: tests/billing/test_payout_files.py",
    "POST /api/v1/merchants/{merchant_id}/work-orders": "only goods of its own: tests/products/test_hardware_story.py",
    "POST /api/v1/merchants/{merchant_id}/incentive-events/reverse": "only what was told: test_reported_events.py",
    "POST /api/v1/match-groups/{match_group_id}/unmatch": "the only group waits for a decision: test_by_hand.py",
    "POST /api/v1/match-groups": "only items of both sides that fit: tests/matching/test_by_hand.py",
    "POST /api/v1/payment-events/{processor}": "only a processor can sign: tests/payments/test_inbox.py",
    "POST /api/v1/promotions/{promotion_id}/review": "none is over: tests/incentives/test_experiments.py",
    "POST /api/v1/billing-runs/{run_id}/parked": "no statement is parked: tests/billing/test_runs_parked.py",
    "POST /api/v1/billing-runs/{run_id}/reverse": "the bank has paid one of its payouts",
    "POST /api/v1/merchants/{merchant_id}/bank-accounts/{account_id}/verify": "the code is in a transfer's reference",
}
"""What no request made up here can succeed at, and why."""
IN_PERSON = {"POST /api/v1/api-keys", "POST /api/v1/api-keys/{key_id}/rotate"}


@pytest.fixture
async def db(busy_db: Database) -> Database:
    return busy_db


@pytest.fixture
async def app(db: Database, tmp_path: Path) -> AsyncIterator[Litestar]:
    async with running(db, tmp_path, processor=NAME, processor_secret=SECRET) as app:
        yield app


class Fuzzer:
    """Sends requests of one operation after the other and collects what is wrong with the answers."""

    def __init__(
        self, app: Litestar, db: Database, clients: dict[str, httpx.AsyncClient], in_person: httpx.AsyncClient
    ) -> None:
        self.in_person = in_person
        self.schema = schemathesis.openapi.from_dict(json.decode(app.state["openapi"]))
        self.db = db
        self.clients = clients
        self.failures: list[str] = []
        self.numbers = count(1)
        self.statuses: dict[str, Counter[int]] = {}

    async def try_out(self, name: str) -> None:
        method, path = name.split()
        self.rng = Random(name)
        self.name, self.operation = name, self.schema[path][method]
        self.statuses[name] = Counter()
        self.known = await real_ids(self.db, name)
        self.rng.shuffle(self.known)
        for case in _cases(self.operation, MADE_UP):
            if self.rng.random() < 0.7:
                case.path_parameters.update(self.ids())
            await self.send(case)
        for number in range(SENSIBLY):
            await self.send(await self.sensible(number))
        for number in range(SPOILED):
            case = await self.sensible(number)
            if name in SENSIBLE:
                case.body = spoiled(case.body, self.rng)
            else:
                self.ask_strangely(case)
            await self.send(case)
        if method == "GET" and "cursor" in self.query_names():
            await self.page_strangely()

    def query_names(self) -> list[str]:
        return [one.name for one in self.operation.query]

    def ids(self) -> dict[str, Any]:
        """Ids that belong together, now and then those of two things; text where the description wants text."""
        one = dict(self.known[next(self.numbers) % len(self.known)]) if self.known else {}
        if self.rng.random() < 0.1 and len(one) > 1:
            one |= dict(list(self.rng.choice(self.known).items())[-1:])
        return one

    async def sensible(self, number: int) -> Any:
        ripe = await ripe_ids(self.db, self.name)
        seen: Seen = await look(self.clients["admin"], ripe[(number // 3) % len(ripe)] if ripe else self.ids())
        body = {"body": SENSIBLE[self.name](seen, number)} if self.name in SENSIBLE else {}
        case = self.operation.Case(path_parameters=dict(seen.ids), **body)
        if "order_id" not in seen.ids:
            case.headers["If-Match"] = await self.etag(case)
        elif "merchant_id" in seen.ids and self.rng.random() < 0.5:
            case.headers["If-Match"] = f'"{seen.version}"'
        case.headers["Idempotency-Key"] = f"{self.name[:60]} {number}"
        return case

    async def etag(self, case: Any) -> str:
        """The present ETag of what the request is about, where there is one."""
        parts = case.formatted_path.split("/")
        for upto in (len(parts), len(parts) - 1):
            answer = await self.clients["admin"].get("/".join(parts[:upto]))
            if "etag" in answer.headers:
                return answer.headers["etag"]
        return '"1"'

    def ask_strangely(self, case: Any) -> None:
        """An extreme value in the query, or in the path."""
        query = self.query_names()
        if query and self.rng.random() < 0.8:
            case.query[self.rng.choice(query)] = str(self.rng.choice(EXTREMES))
        elif case.path_parameters:
            case.path_parameters[self.rng.choice(sorted(case.path_parameters))] = self.rng.choice(EXTREMES[:15])

    async def page_strangely(self) -> None:
        case = await self.sensible(0)
        answer = await self.clients["admin"].get(case.formatted_path, params={"limit": 1})
        following = answer.json().get("next") if answer.is_success else None
        for cursor in forged_cursors(self.rng, following):
            case = await self.sensible(0)
            case.query.update(cursor=cursor, limit=self.rng.choice((1, 200)))
            await self.send(case, "admin")

    async def send(self, case: Any, role: str | None = None) -> None:
        roles = ROUTES[self.name]
        allowed = [one for one in self.clients if roles is None or one in roles]
        role = role or self.rng.choice(allowed if allowed and self.rng.random() < 0.8 else list(self.clients))
        for header, fate in (("Idempotency-Key", self.rng.random()), ("If-Match", self.rng.random())):
            if fate < 0.06:
                case.headers.pop(header, None)
            elif fate < 0.1:
                case.headers[header] = "the same" if header == "Idempotency-Key" else '"0"'
        request = case.as_transport_kwargs(base_url=BASE)
        client = self.in_person if self.name in IN_PERSON and self.rng.random() < 0.8 else self.clients[role]
        answer = await client.request(**_for_httpx(request))
        self.statuses[self.name][answer.status_code] += 1
        if answer.status_code == 422 and not answer.json().get("errors"):
            self.failures.append(f"{self.name} by {role}: nothing is named\n{answer.text}")
        try:
            case.validate_response(answer, checks=CHECKS)
        except FailureGroup as failure:  # collected: one run shows all that is wrong
            self.failures.append(f"{self.name} by {role}: {request}\n{failure}")


@pytest.mark.parametrize("group", range(len(GROUPS)))
async def test_every_answer_is_a_documented_one(app: Litestar, caller: Make, db: Database, group: int) -> None:
    clients = {role: await caller(f"spare {role}", role, merchant_id=merchant) for role, merchant in ROLES.items()}
    token = await db.write(WORKER, "test", _open_sessions)
    cookie = {"Cookie": f"{SESSION_COOKIE}={token}", "Origin": BASE}
    async with make_client(app, **cookie) as in_person:
        fuzzer = Fuzzer(app, db, clients, in_person)
        for name in GROUPS[group]:
            await fuzzer.try_out(name)
    assert not fuzzer.failures, f"{len(fuzzer.failures)} wrong\n\n" + "\n\n".join(fuzzer.failures[:20])
    unreached = {name for name, seen in fuzzer.statuses.items() if not any(200 <= one < 300 for one in seen)}
    assert unreached == UNREACHED.keys() & set(GROUPS[group]), [(name, fuzzer.statuses[name]) for name in unreached]
    await check_books(db)


async def _open_sessions(tx: Tx) -> str:
    """A session for each of the spare people, and one who signs in with a password; the token of the admin's."""
    await users.create_user(tx, LOGIN, "Anna", ["accountant"], password=PASSWORD)
    opened = {}
    for row in await tx.rows("SELECT user_id, login FROM core.app_user WHERE login LIKE 'spare%'"):
        opened[row.login] = await sessions.open_session(tx, row.user_id, address="", user_agent="a browser")
    return opened["spare admin"].token


def _cases(operation: Any, most: int) -> list[Any]:
    """At most so many requests of an operation, the same in every run."""
    cases: list[Any] = []

    @settings(max_examples=most, database=None)
    @given(operation.as_strategy() | st.nothing())
    def collect(case: Any) -> None:
        cases.append(case)

    collect()
    return cases[:most]


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
