"""The real program, killed with SIGKILL at each named point and started again: the same books as undisturbed."""

import asyncio
import signal
import uuid
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
from sqlalchemy import make_url

from marketplace.core.clock import FixedClock
from marketplace.core.crash import CRASH_POINTS
from marketplace.core.db import WORKER, Database
from tests.billing.commands import Answer, Run, command_line
from tests.billing.contents import contents
from tests.billing.market import MAKER, check_books, order, prepare
from tests.builders import Line, Order
from tests.conftest import NOW, connect, copy_template, named

SETTLE = ("settle", "--through", "2018-06-30")
BILL = ("billing", "run", "--period", "2018-05", "--finalise")
REVERSE = ("billing", "reverse", "1")

CASES: list[tuple[tuple[str, ...], str]] = [
    *[(SETTLE, point) for point in ("planned", "rated", "rated:2", "posted", "before-commit", "committed:2")],
    *[(BILL, point) for point in ("run.drafted", "run.previewing:2", "run.previewed", "run.approved")],
    *[(BILL, point) for point in ("run.finalising", "run.bucket-committed", "run.bucket-committed:3")],
    *[(BILL, point) for point in ("run.before-commit:2", "run.finalised", "payout.instructed", "payout.posted:2")],
    *[(BILL, point) for point in ("documents.numbered", "documents.numbered:3")],
    *[(REVERSE, point) for point in ("run.before-commit:2", "run.bucket-committed")],
    *[(command, point) for command in (SETTLE, BILL, REVERSE) for point in ("roll.committed",)],
]


def point_name(point: str) -> str:
    """The crash point as it is named; of settlement's, the first part is left out above."""
    return point if "." in point else f"settle.{point}"


def test_every_crash_point_of_settlement_runs_payouts_and_the_roll_is_tried() -> None:
    elsewhere = ("import.", "payment.", "file.", "bank-file.", "opening.")
    tried = {point_name(point).partition(":")[0] for _, point in CASES}
    assert tried == {point for point in CRASH_POINTS if not point.startswith(elsewhere)}


def shown(answer: Answer) -> Any:
    """What a command printed, but for the random id of the work."""
    value = answer.value
    value.get("run", {}).pop("batch_id", None)
    return value


class Prepared:
    """Databases in the state before a command, and what an undisturbed run of it makes of them."""

    def __init__(self, maintenance_url: str, run: Run) -> None:
        self.maintenance_url = maintenance_url
        self.run = run
        self.names: list[str] = []
        self.before: dict[tuple[str, ...], str] = {}
        self.after: dict[tuple[str, ...], dict[str, list[str]]] = {}
        self.answers: dict[tuple[str, ...], Any] = {}

    async def make(self) -> None:
        """A market of five merchants, and the stages of its month, each a database of its own."""
        url = await copy_template(self.maintenance_url)
        self.names.append(str(make_url(url).database))
        db = Database(url, FixedClock(NOW), pool_size=2)
        await db.write(WORKER, MAKER, prepare, _orders(), [1, 2, 3, 4, 5])
        await db.close()
        for command in (SETTLE, BILL, REVERSE):
            self.before[command] = url
            url = await self.copy(url)
            answer = self.run(*command, database=url)
            assert answer.status == (3 if command == SETTLE else 0), answer
            self.answers[command], self.after[command] = shown(answer), await contents(url)

    async def copy(self, url: str) -> str:
        name = f"test_{uuid.uuid4().hex}"
        connection = await connect(self.maintenance_url)
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE {make_url(url).database} STRATEGY file_copy")
        await connection.close()
        self.names.append(name)
        return named(self.maintenance_url, name)

    async def drop(self) -> None:
        connection = await connect(self.maintenance_url)
        for name in self.names:
            await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await connection.close()


def _orders() -> list[Order]:
    """Of five merchants, from April to June; one that no contract covers stays due."""
    orders = [
        order(1 + number % 5, number, date(2018, 4 + number % 3, 1 + number), 1000 + 111 * number)
        for number in range(1, 16)
    ]
    return [*orders, Order(merchant_id=2, order_id=99, lines=(Line(goods_minor=5),), placed_at=NOW.replace(year=2017))]


@pytest.fixture(scope="module")
def prepared(maintenance_url: str) -> Iterator[Prepared]:
    with command_line(small_buckets=True) as run:
        made = Prepared(maintenance_url, run)
        try:
            asyncio.run(made.make())
            yield made
        finally:
            asyncio.run(made.drop())


@pytest.mark.parametrize(("command", "point"), CASES, ids=[f"{c[0]} {p}" for c, p in CASES])
def test_killed_and_started_again(prepared: Prepared, command: tuple[str, ...], point: str) -> None:
    url = asyncio.run(prepared.copy(prepared.before[command]))
    killed = prepared.run(*command, database=url, MARKETPLACE_CRASH_AT=point_name(point))
    assert (killed.status, killed.out) == (-signal.SIGKILL, "")
    again = prepared.run(*command, database=url)
    if command == SETTLE and point == "roll.committed":  # everything had been settled: nothing was left to tell of
        assert again.value["orders"] == 0
    else:
        assert shown(again) == prepared.answers[command]
    assert asyncio.run(contents(url)) == prepared.after[command]
    asyncio.run(_check(url))


async def _check(url: str) -> None:
    db = Database(url, FixedClock(NOW), pool_size=1)
    await check_books(db)
    await db.close()
