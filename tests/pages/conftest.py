"""A small billed market behind the real application, and people who sign in to it with a browser's cookies."""

import asyncio
import re
import shutil
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime

import httpx
import pytest
import uvicorn
from litestar import Litestar
from playwright.async_api import Browser, async_playwright

from marketplace.core import policies
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.users import create_user
from marketplace.flows.commission.apply_contracts import apply_file
from marketplace.flows.commission.settle_orders import settle_through
from marketplace.flows.demo.demo_market import DemoMarket, demo_contracts, load_demo_market, make_market
from marketplace.flows.demo.run_demo import PASSWORD, closed_periods
from marketplace.flows.proofs.check_again import check_all
from marketplace.flows.runs import run_billing
from marketplace.flows.steering.roll_metrics import roll_metrics
from marketplace.flows.steering.set_goals import SetGoal, set_goal
from marketplace.metrics.periods import Grain
from tests.conftest import copy_template, fresh_database, once_in_run, run_home
from tests.http.conftest import make_client, running

BILLED = "marketplace_billed"
MARKET_NOW = datetime(2018, 9, 3, 12, 0, tzinfo=UTC)
PEOPLE: dict[str, list[str]] = {
    "merchant": ["merchant_owner"],
    "cashier": ["merchant_cashier"],
    "other": ["merchant_owner"],
    "ops": ["growth", "approver"],
    "finance": ["accountant", "controller"],
    "admin": ["admin"],
    "payer": ["payer"],
}
MINE, OTHERS = 1, 2
"""The merchants of the users `merchant` and `cashier`, and of the user `other`."""
PAYER = 1
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@asynccontextmanager
async def billed_market(maintenance_url: str) -> AsyncIterator[Database]:
    """A database with a quarter of 600 orders of 12 merchants: settled, and its closed months billed."""
    with once_in_run(run_home(), BILLED) as first:
        if first:
            await _make_billed(maintenance_url)
    async with fresh_database(maintenance_url, FixedClock(MARKET_NOW), template=BILLED) as db:
        yield db


async def _make_billed(maintenance_url: str) -> None:
    db = Database(await copy_template(maintenance_url, name=BILLED), FixedClock(MARKET_NOW), pool_size=8)
    await _bill(db, make_market(MARKET_NOW, orders=600, merchants=12))
    await db.close()


async def _bill(db: Database, market: DemoMarket) -> None:
    await db.write(WORKER, "test", _switch_on)
    await load_demo_market(db, "test", market)
    await apply_file(db, "test", demo_contracts(market).encode())
    await settle_through(db, "test", market.last_on)
    for period in closed_periods(market.first_on, market.last_on)[:2]:
        result = await run_billing.run_period(db, "test", period)
        await run_billing.approve_run(db, "test", result.run.run_id)
        await run_billing.finalise_run(db, "test", result.run.run_id)
    await db.write(WORKER, "test", add_people)
    await roll_metrics(db, "test")
    goal = SetGoal(
        metric="completed_orders", grain=Grain.WEEK, on=MARKET_NOW.date(), target=60, owner="ops", reason="to grow"
    )
    await db.write(WORKER, "ops", set_goal, goal)
    await check_all(db, "test")


async def _switch_on(tx: Tx) -> None:
    for name in ("single_operator", "demonstration"):
        await policies.switch(tx, name, on=True)


async def add_people(tx: Tx) -> None:
    for login, roles in PEOPLE.items():
        merchant_id = {"merchant": MINE, "cashier": MINE, "other": OTHERS}.get(login)
        named = f"{login.title()} <Person>"
        payer_id = PAYER if login == "payer" else None
        await create_user(tx, login, named, roles, merchant_id=merchant_id, payer_id=payer_id, password=PASSWORD)


@pytest.fixture(scope="module")
async def market(maintenance_url: str) -> AsyncIterator[Database]:
    """The billed market, shared by a module's tests, which only read it."""
    async with billed_market(maintenance_url) as db:
        yield db


@pytest.fixture(scope="module")
async def app(market: Database, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Litestar]:
    async with running(market, tmp_path_factory.mktemp("home")) as app:
        yield app


SignIn = Callable[[str], Awaitable[httpx.AsyncClient]]


@pytest.fixture(scope="module")
async def sign_in(app: Litestar) -> AsyncIterator[SignIn]:
    """`await sign_in("finance")`: a browser with that person's session; one for each person and module."""
    async with AsyncExitStack() as stack:
        browsers: dict[str, httpx.AsyncClient] = {}

        async def enter(login: str) -> httpx.AsyncClient:
            if login not in browsers:
                browser = await stack.enter_async_context(make_client(app))
                answer = await browser.post("/sign-in", data={"login": login, "password": PASSWORD, "next": "/"})
                assert answer.status_code == 303, answer.text
                browsers[login] = browser
            return browsers[login]

        yield enter


def plain(html: str) -> str:
    """The words of a page: tags away, white space folded."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def links(html: str) -> list[str]:
    """The local addresses that a page leads to."""
    return [href.replace("&amp;", "&") for href in re.findall(r'href="(/[^"]*)"', html)]


@pytest.fixture(scope="module")
async def address(app: Litestar, market: Database) -> AsyncIterator[str]:
    """The application on a free port of the loopback."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, log_level="warning", lifespan="off")
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve(sockets=[listening]))
        while not server.started:  # noqa: ASYNC110  # uvicorn has no event for it
            await asyncio.sleep(0.02)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        await task


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        await browser.close()
