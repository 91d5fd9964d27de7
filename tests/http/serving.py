"""The application in the test's own loop, and programs that call it."""

from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any

import httpx
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler

from marketplace.app import assemble, furnish
from marketplace.core import sessions, users
from marketplace.core.db import WORKER, Database
from marketplace.settings import Settings

BASE = "http://marketplace.test"


def make_client(app: Litestar, **headers: str) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]  # Litestar is an ASGI application
    return httpx.AsyncClient(transport=transport, base_url=BASE, headers=headers)


_idle: defaultdict[tuple[HTTPRouteHandler, ...], list[Litestar]] = defaultdict(list)
"""Applications that have stopped, by the routes they have beside ours: a second or two of work, so they serve again."""


@asynccontextmanager
async def running(
    db: Database, home: Path, *, beside: tuple[HTTPRouteHandler, ...] = (), **settings: Any
) -> AsyncIterator[Litestar]:
    """The application over `db`, started and stopped. beside: routes of the test's own."""
    app = _idle[beside].pop() if _idle[beside] else _with(beside)
    async with furnish(app, Settings(home=home, **settings), lambda: nullcontext(db)).lifespan():
        yield app
    _idle[beside].append(app)


def _with(beside: tuple[HTTPRouteHandler, ...]) -> Litestar:
    app = assemble()
    for handler in beside:
        app.register(handler)
    return app


async def api_key(
    db: Database, login: str, roles: list[str], merchant_id: int | None = None, payer_id: int | None = None
) -> str:
    """A new user of these roles, and a key of its."""
    user = await db.write(
        WORKER, "test", users.create_user, login, login.title(), roles, merchant_id=merchant_id, payer_id=payer_id
    )
    return (await db.write(WORKER, login, sessions.create_api_key, user.user_id, "tests")).key
