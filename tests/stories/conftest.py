"""The marketplace of the stories, opened on May 1, 2018."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database
from tests.http.conftest import api_key, make_client, running
from tests.stories.shop import MAY_1, MERCHANTS, NAME, Shop, add_shop

HOUSE_PEOPLE = {"shop": "storefront", "fay": "accountant", "fred": "controller", "olga": "growth"}


@pytest.fixture
async def shop(db: Database, clock: FixedClock, tmp_path: Path) -> AsyncIterator[Shop]:
    clock.move_to(MAY_1)
    await db.write(WORKER, "test", add_shop)
    keys = {login: await api_key(db, login, [role]) for login, role in HOUSE_PEOPLE.items()}
    keys |= {f"owner of {m}": await api_key(db, f"owner{m}", ["merchant_owner"], m) for m in MERCHANTS}
    async with AsyncExitStack() as stack:
        app = await stack.enter_async_context(running(db, tmp_path, processor=NAME))
        people = {
            who: await stack.enter_async_context(make_client(app, Authorization=f"Bearer {key}"))
            for who, key in keys.items()
        }
        one = Shop(db, clock, tmp_path, people)
        yield one
        one.simulator.store.close()
