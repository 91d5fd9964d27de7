"""The application on a database of the test's own, in the test's own loop, and callers of every kind."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path

import httpx
import pytest
from litestar import Litestar

from marketplace.core import users
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database
from tests.conftest import NOW, copy_template, fresh_database, named, once_in_run
from tests.http import busy
from tests.http.serving import BASE, api_key, make_client, running

__all__ = ["BASE", "PASSWORD", "Caller", "api_key", "make_client", "running"]

PASSWORD = "a long enough password"
BUSY = "marketplace_busy"


@pytest.fixture
async def app(db: Database, tmp_path: Path) -> AsyncIterator[Litestar]:
    async with running(db, tmp_path) as app:
        yield app


@pytest.fixture
async def client(app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    """A program that has not said who it is."""
    async with make_client(app) as client:
        yield client


Caller = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture
async def caller(app: Litestar, db: Database) -> AsyncIterator[Callable[..., object]]:
    """`await caller("anna", "controller")`: a program with an API key of a new user of these roles."""
    async with AsyncExitStack() as stack:

        async def make(
            login: str, *roles: str, merchant_id: int | None = None, payer_id: int | None = None
        ) -> httpx.AsyncClient:
            key = await api_key(db, login, list(roles), merchant_id, payer_id)
            return await stack.enter_async_context(make_client(app, Authorization=f"Bearer {key}"))

        yield make


@pytest.fixture
async def anna(db: Database) -> users.User:
    """An accountant who signs in with PASSWORD."""
    return await db.write(WORKER, "test", users.create_user, "anna", "Anna", ["accountant"], password=PASSWORD)


@pytest.fixture(scope="session")
def busy_template(maintenance_url: str, server_home: Path) -> str:
    """The name of a database with a busy market, made once per run."""
    with once_in_run(server_home, BUSY) as first:
        if first:
            asyncio.run(_make_busy(maintenance_url, server_home))
    return BUSY


async def _make_busy(maintenance_url: str, home: Path) -> None:
    await copy_template(maintenance_url, name=BUSY)
    db = Database(named(maintenance_url, BUSY), FixedClock(NOW), pool_size=8)
    await busy.fill(db, home)
    await db.close()


@pytest.fixture
async def busy_db(maintenance_url: str, busy_template: str, clock: FixedClock) -> AsyncIterator[Database]:
    """A busy market of this test's own."""
    async with fresh_database(maintenance_url, clock, template=busy_template) as database:
        yield database
