"""The application on a database of the test's own, in the test's own loop, and callers of every kind."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from pathlib import Path

import httpx
import pytest
from litestar import Litestar

from marketplace.app import create_app
from marketplace.core import sessions, users
from marketplace.core.db import WORKER, Database
from marketplace.settings import Settings

BASE = "http://marketplace.test"
PASSWORD = "a long enough password"


def make_client(app: Litestar, **headers: str) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]  # Litestar is an ASGI application
    return httpx.AsyncClient(transport=transport, base_url=BASE, headers=headers)


@asynccontextmanager
async def running(db: Database, home: Path, **settings: object) -> AsyncIterator[Litestar]:
    """The application over `db`, started and stopped."""
    app = create_app(Settings(home=home, **settings), lambda: nullcontext(db))  # type: ignore[arg-type]
    async with app.lifespan():
        yield app


@pytest.fixture
async def app(db: Database, tmp_path: Path) -> AsyncIterator[Litestar]:
    async with running(db, tmp_path) as app:
        yield app


@pytest.fixture
async def client(app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    """A program that has not said who it is."""
    async with make_client(app) as client:
        yield client


async def api_key(db: Database, login: str, roles: list[str], merchant_id: int | None = None) -> str:
    """A new user of these roles, and a key of its."""
    user = await db.write(WORKER, "test", users.create_user, login, login.title(), roles, merchant_id=merchant_id)
    return (await db.write(WORKER, login, sessions.create_api_key, user.user_id, "tests")).key


Caller = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture
async def caller(app: Litestar, db: Database) -> AsyncIterator[Callable[..., object]]:
    """`await caller("anna", "controller")`: a program with an API key of a new user of these roles."""
    async with AsyncExitStack() as stack:

        async def make(login: str, *roles: str, merchant_id: int | None = None) -> httpx.AsyncClient:
            key = await api_key(db, login, list(roles), merchant_id)
            return await stack.enter_async_context(make_client(app, Authorization=f"Bearer {key}"))

        yield make


@pytest.fixture
async def anna(db: Database) -> users.User:
    """An accountant who signs in with PASSWORD."""
    return await db.write(WORKER, "test", users.create_user, "anna", "Anna", ["accountant"], password=PASSWORD)
