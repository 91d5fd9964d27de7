"""So many requests a minute, over however many processes, and what a caller is told about it."""

import asyncio
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import cast

import httpx
import pytest
from litestar import Litestar
from litestar.types import Scope

from marketplace.core import signatures
from marketplace.core.clock import FixedClock
from marketplace.core.db import Database
from marketplace.core.errors import Invalid
from marketplace.core.limits import WINDOW, Limits, TooManyRequests
from marketplace.settings import load_settings
from marketplace.web.limits import address_of
from tests.conftest import NOW
from tests.http.conftest import api_key, make_client, running

PROCESS = """
import asyncio, sys
from datetime import UTC, datetime
from marketplace.core.clock import FixedClock
from marketplace.core.db import Database
from marketplace.core.limits import Limits, TooManyRequests

async def main(url, at, caller, limit):
    db = Database(url, FixedClock(datetime.fromisoformat(at)), pool_size=2)
    limits, passed = Limits(db), 0
    sys.stdin.readline()
    try:
        while True:
            await limits.take(caller, int(limit))
            passed += 1
    except TooManyRequests:
        print(passed)
    await db.close()

asyncio.run(main(*sys.argv[1:]))
"""


async def passed(limits: Limits, limit: int, tries: int) -> int:
    """How many of so many requests at once get through."""

    async def one() -> bool:
        try:
            await limits.take("key:a", limit)
        except TooManyRequests:
            return False
        return True

    return sum(await asyncio.gather(*(one() for _ in range(tries))))


@pytest.fixture
async def second(db: Database, clock: FixedClock) -> AsyncIterator[Database]:
    """Another pool to the same database, as another process has."""
    other = Database(db.url, clock, pool_size=4)
    yield other
    await other.close()


@pytest.mark.parametrize("limit", [1, 7, 100, 1_234])
async def test_the_sum_over_processes_never_exceeds_the_limit(db: Database, second: Database, limit: int) -> None:
    one, two = Limits(db), Limits(second)
    counts = [0, 0]
    while True:
        through = await asyncio.gather(passed(one, limit, 40), passed(two, limit, 40))
        counts = [counts[0] + through[0], counts[1] + through[1]]
        if not any(through):
            break
    assert sum(counts) == limit


async def test_an_idle_process_strands_little_of_the_limit(db: Database, second: Database) -> None:
    busy, idle = Limits(db), Limits(second)
    await idle.take("key:a", 1_000)
    assert 990 <= await passed(busy, 1_000, 1_100) < 1_000


async def test_real_processes_share_one_limit(db: Database, tmp_path: Path) -> None:
    processes = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", PROCESS, db.url, NOW.isoformat(), "key:a", "5000"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        for _ in range(2)
    ]
    answers = await asyncio.gather(*(process.communicate(b"go\n") for process in processes))
    counts = [int(answer[0]) for answer in answers]
    assert sum(counts) == 5_000


async def test_the_next_minute_begins_anew_and_callers_do_not_share(db: Database, clock: FixedClock) -> None:
    limits = Limits(db)
    assert await passed(limits, 5, 9) == 5
    await limits.take("key:b", 5)
    clock.move_to(NOW + WINDOW - timedelta(seconds=1))
    assert await passed(limits, 5, 9) == 0
    clock.move_to(NOW + WINDOW)
    assert await passed(limits, 5, 9) == 5


async def test_a_process_whose_clock_is_behind_takes_from_the_newer_window(db: Database, second: Database) -> None:
    ahead = Database(db.url, FixedClock(NOW + WINDOW), pool_size=2)
    assert await passed(Limits(ahead), 100, 60) == 60
    late = await passed(Limits(second), 100, 100)
    assert late <= 40
    assert await passed(Limits(ahead), 100, 100) + late <= 40
    await ahead.close()


async def test_a_process_whose_clock_is_far_ahead_blocks_nobody(db: Database) -> None:
    ahead = Database(db.url, FixedClock(NOW + timedelta(hours=6)), pool_size=2)
    assert await passed(Limits(ahead), 10, 12) == 10
    assert await passed(Limits(db), 10, 12) == 10
    await ahead.close()


async def test_most_requests_cost_no_statement(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = 0
    lookup = Database.lookup

    async def counted(self: Database, query: str, *values: object) -> object:
        nonlocal asked
        asked += 1
        return await lookup(self, query, *values)

    monkeypatch.setattr(Database, "lookup", counted)
    limits = Limits(db)
    assert await passed(limits, 60_000, 6_000) == 6_000
    assert asked == 10
    assert await passed(limits, 0, 100) == 100
    assert asked == 10


async def test_a_refusal_says_when_to_come_back(db: Database, tmp_path: Path, clock: FixedClock) -> None:
    clock.move_to(NOW + timedelta(seconds=20))
    key = await api_key(db, "anna", ["controller"])
    async with (
        running(db, tmp_path, rate_limit=3) as app,
        make_client(app, Authorization=f"Bearer {key}") as client,
    ):
        answers = [await client.get("/api/v1/me") for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert [answer.headers["ratelimit"] for answer in answers] == [
            f'"requests";r={left};t=41' for left in (2, 1, 0, 0)
        ]
        assert {answer.headers["ratelimit-policy"] for answer in answers} == {'"requests";q=3;w=60'}
        assert answers[3].headers["retry-after"] == "41"
        assert answers[3].json()["type"] == "/problems/too-many-requests"
        assert (await client.get("/health/live")).status_code == 200
        clock.move_to(NOW + timedelta(seconds=61))
        assert (await client.get("/api/v1/me")).status_code == 200


async def test_strangers_and_wrong_keys_are_counted_by_address_and_forging_one_does_not_help(
    db: Database, tmp_path: Path
) -> None:
    async with running(db, tmp_path, rate_limit_anonymous=6) as app:
        statuses = []
        for number in range(8):
            forged = {"X-Forwarded-For": f"10.0.0.{number}", "Forwarded": f"for=10.0.0.{number}"}
            wrong = {"Authorization": f"Bearer mk_{number}_guess"} if number % 2 else {}
            async with make_client(app, **forged, **wrong) as stranger:
                statuses.append((await stranger.get("/api/v1/me")).status_code)
        assert statuses == [401] * 6 + [429] * 2
        key = await api_key(db, "anna", ["controller"])
        async with make_client(app, Authorization=f"Bearer {key}") as known:
            assert (await known.get("/api/v1/me")).status_code == 200


async def test_what_a_processor_has_signed_is_counted_apart_from_strangers(
    db: Database, tmp_path: Path, clock: FixedClock
) -> None:
    secret, path = signatures.new_secret(), "/api/v1/payment-events/simulator"

    async def tell(client: httpx.AsyncClient, number: int, key: str = secret) -> int:
        body = b"{}"
        headers = signatures.signed_headers(f"evt_{number}", clock.now(), body, [key])
        return (await client.post(path, content=body, headers=headers)).status_code

    async with (
        running(db, tmp_path, processor_secret=secret, rate_limit=3, rate_limit_anonymous=2) as app,
        make_client(app) as client,
    ):
        forged = [await tell(client, number, signatures.new_secret()) for number in range(3)]
        assert forged == [401, 401, 429]
        assert (await client.get("/api/v1/me")).status_code == 429
        assert [await tell(client, number) == 429 for number in range(4)] == [False] * 3 + [True]
        clock.move_to(NOW + WINDOW)
        assert [await tell(client, number) == 429 for number in range(2)] == [False] * 2
        assert [(await client.get("/api/v1/me")).status_code for _ in range(3)] == [401, 401, 429]


async def test_a_limit_of_0_is_none_and_says_nothing(db: Database, tmp_path: Path) -> None:
    async with running(db, tmp_path, rate_limit_anonymous=0) as app, make_client(app) as stranger:
        answer = await stranger.get("/api/v1/me")
    assert "ratelimit" not in answer.headers


@pytest.mark.parametrize(
    ("client", "caller"),
    [
        (("192.0.2.7", 1), "address:192.0.2.7"),
        (("::ffff:192.0.2.7", 1), "address:192.0.2.7"),
        (("2001:db8:1:2:3:4:5:6", 1), "address:2001:db8:1:2::"),
        (("2001:db8:1:2::1", 1), "address:2001:db8:1:2::"),
        (None, "address:"),
        (("testclient", 1), "address:"),
    ],
)
def test_a_stranger_is_its_address_or_its_network(client: tuple[str, int] | None, caller: str) -> None:
    assert address_of(cast(Scope, {"client": client})) == caller


def test_a_limit_below_nothing_is_refused_by_name() -> None:
    assert load_settings({"MARKETPLACE_RATE_LIMIT": "0"}).rate_limit == 0
    with pytest.raises(Invalid, match=r"^MARKETPLACE_RATE_LIMIT_ANONYMOUS: "):
        load_settings({"MARKETPLACE_RATE_LIMIT_ANONYMOUS": "-1"})


async def test_every_operation_is_described_with_429(app: Litestar, client: httpx.AsyncClient) -> None:
    paths = (await client.get("/openapi.json")).json()["paths"]
    assert all("429" in operation["responses"] for path in paths.values() for operation in path.values())
