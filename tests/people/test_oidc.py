"""Sign-in with a provider that runs as a process of its own: who gets in, and every way in which it is refused."""

import asyncio
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import Litestar

from marketplace.core import users
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database
from tests.http.serving import BASE, make_client, running
from tests.people.provider import CLIENT, SECRET
from tests.people.test_second_factor import PASSWORD, guarded

ANNA = {"sub": "u-1", "email": "Anna@house.test", "email_verified": True}


@pytest.fixture(scope="module")
async def issuer() -> AsyncIterator[str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.people.provider", stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    yield f"http://127.0.0.1:{(await process.stdout.readline()).decode().strip()}"
    process.terminate()
    await process.wait()


@pytest.fixture
async def app(db: Database, issuer: str, tmp_path: Path) -> AsyncIterator[Litestar]:
    assert isinstance(db.clock, FixedClock)
    db.clock.move_to(datetime.now(UTC))  # the provider's clock is the machine's
    for login, roles, merchant_id in (("anna", ["accountant"], None), ("mia", ["merchant_owner"], 1)):
        await db.write(
            WORKER, "test", users.create_user, login, login, roles,
            merchant_id=merchant_id, password=PASSWORD, email=f"{login}@house.test",
        )  # fmt: skip
    settings: dict[str, Any] = {"oidc_issuer": issuer, "oidc_client_id": CLIENT, "oidc_client_secret": SECRET}
    async with running(db, tmp_path, **settings) as app:
        yield app


async def there(issuer: str, browser: httpx.AsyncClient, person: dict[str, object], wrong: str = "") -> str:
    """Go to the provider and be this person; the address of the way back."""
    begun = await browser.get("/sign-in/provider?next=/finance/approvals")
    assert begun.status_code == 303
    async with httpx.AsyncClient() as outside:
        await outside.post(f"{issuer}/control", json={"person": person, "wrong": wrong})
        answer = await outside.get(begun.headers["location"])
    return answer.headers["location"].removeprefix(BASE)


async def test_one_of_the_house_signs_in_with_the_provider(app: Litestar, issuer: str, db: Database) -> None:
    async with make_client(app) as browser:
        assert "/sign-in/provider" in (await browser.get("/sign-in")).text
        back = await there(issuer, browser, ANNA)
        answer = await browser.get(back)
        assert (answer.status_code, answer.headers["location"]) == (303, "/finance/approvals")
        assert (await browser.get("/api/v1/me")).json()["login"] == "anna"
        assert (await browser.get(back)).status_code == 400  # a way back is gone once
    async with make_client(app) as browser:  # known by its id from now on, whatever its address
        answer = await browser.get(await there(issuer, browser, {"sub": "u-1", "email": "new@else.test"}))
        assert answer.status_code == 303


@pytest.mark.parametrize("wrong", ["nonce", "audience", "both", "issuer", "late", "unsigned", "key"])
async def test_a_token_that_does_not_hold_opens_nothing(app: Litestar, issuer: str, wrong: str) -> None:
    async with make_client(app) as browser:
        answer = await browser.get(await there(issuer, browser, ANNA, wrong))
        assert answer.status_code == 400
        assert "did not answer as expected" in answer.text
        assert (await browser.get("/api/v1/me")).status_code == 401


@pytest.mark.parametrize(
    "person",
    [
        {**ANNA, "email_verified": False},
        {"sub": "u-1"},
        {**ANNA, "email": "mia@house.test"},
        {**ANNA, "email": "nobody@house.test"},
    ],
)
async def test_who_is_not_of_the_house_is_refused(app: Litestar, issuer: str, person: dict[str, object]) -> None:
    async with make_client(app) as browser:
        assert (await browser.get(await there(issuer, browser, person))).status_code == 403
        assert (await browser.get("/api/v1/me")).status_code == 401


async def test_another_person_of_the_provider_does_not_become_a_user_that_is_taken(
    app: Litestar, issuer: str, db: Database
) -> None:
    async with make_client(app) as browser:
        await browser.get(await there(issuer, browser, ANNA))
        await db.write(WORKER, "test", users.set_active, "anna", active=True)
    async with make_client(app) as browser:
        assert (await browser.get(await there(issuer, browser, {**ANNA, "sub": "u-2"}))).status_code == 403


async def test_a_way_back_holds_for_the_browser_that_began(app: Litestar, issuer: str) -> None:
    async with make_client(app) as browser, make_client(app) as victim:
        back = await there(issuer, browser, ANNA)
        assert (await victim.get(back)).status_code == 400
        assert (await browser.get(back.replace("iss=http", "iss=https"))).status_code == 400
        assert (await browser.get(back)).status_code == 303


async def test_a_second_factor_here_is_asked_for_all_the_same(app: Litestar, issuer: str, db: Database) -> None:
    async with db.read(WORKER) as tx:
        anna = await users.get_user(tx, "anna")
    await guarded(db, anna)
    async with make_client(app) as browser:
        answer = await browser.get(await there(issuer, browser, ANNA))
        assert answer.headers["location"].startswith("/sign-in/code")
        assert (await browser.get("/api/v1/me")).status_code == 401
