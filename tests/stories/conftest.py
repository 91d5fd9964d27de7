"""The marketplace of the stories, opened on May 1, 2018."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from litestar import Litestar

from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database
from tests.http.conftest import api_key, make_client, running
from tests.stories.shop import MAY_1, MERCHANTS, NAME, Shop, add_shop

HOUSE_PEOPLE = {"shop": "storefront", "fay": "accountant", "fred": "controller", "olga": "growth"}


@asynccontextmanager
async def opened_shop(
    db: Database, clock: FixedClock, folder: Path, through: Database | None = None
) -> AsyncIterator[Shop]:
    """The shop over this database. through: another way to it, which the application takes."""
    clock.move_to(MAY_1)
    await db.write(WORKER, "test", add_shop)
    keys = {login: await api_key(db, login, [role]) for login, role in HOUSE_PEOPLE.items()}
    keys |= {f"owner of {m}": await api_key(db, f"owner{m}", ["merchant_owner"], m) for m in MERCHANTS}
    async with AsyncExitStack() as stack:
        app = await stack.enter_async_context(running(through or db, folder, processor=NAME))
        people = {
            who: await stack.enter_async_context(make_client(app, Authorization=f"Bearer {key}"))
            for who, key in keys.items()
        }
        one = Shop(db, clock, folder, app, people)
        yield one
        one.simulator.store.close()


@pytest.fixture
async def shop(db: Database, clock: FixedClock, tmp_path: Path) -> AsyncIterator[Shop]:
    async with opened_shop(db, clock, tmp_path) as one:
        yield one


@pytest.fixture
def app_of_shop(shop: Shop) -> Litestar:
    return shop.app
