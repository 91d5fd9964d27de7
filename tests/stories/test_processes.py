"""Server, worker and processor as processes of their own: a purchase goes its whole way, though workers are killed."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from datetime import UTC, date, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx

from marketplace.core.db import WORKER, Database
from tests.billing.market import check_books
from tests.builders import HOUSE
from tests.http.conftest import api_key
from tests.ops.commands import environment
from tests.ops.test_serve_processes import wait_for
from tests.payments.processes import NAME, SECRET, Simulator, killed, simulator, until, working
from tests.payments.test_processor import lease_is_over
from tests.placing.market import stock_of
from tests.stories.conftest import HOUSE_PEOPLE
from tests.stories.shop import ALPHA, BETA, BUYER, CABLE, CHAIR, LAMP, SHELF, Bought, People, add_shop, total_by_account

REAL = ""
"""No instant is set: the processes here go by the real clock, so that pauses end. Nothing compared depends on it."""


@contextmanager
def served(db: Database, home: Path) -> Iterator[str]:
    """`marketplace serve` on a port of its own; yields its address."""
    settings = {
        "MARKETPLACE_DATABASE_URL": db.url,
        "MARKETPLACE_PROCESSOR": NAME,
        "MARKETPLACE_PROCESSOR_SECRET": SECRET,
    }
    said = home / "serve.log"
    command = [sys.executable, "-m", "marketplace", "serve", "--port", "0"]
    with (
        said.open("w") as log,
        subprocess.Popen(command, env=environment(home, **settings), stdout=log, stderr=log) as process,
    ):
        try:
            wait_for(lambda: "Serving http" in said.read_text())
            yield said.read_text().partition("Serving ")[2].split()[0]
        finally:
            process.kill()


async def people(stack: AsyncExitStack, db: Database, base: str) -> dict[str, httpx.AsyncClient]:
    """Programs with API keys, over real sockets."""
    keys = {login: await api_key(db, login, [role]) for login, role in HOUSE_PEOPLE.items()}
    keys |= {f"owner of {m}": await api_key(db, f"owner{m}", ["merchant_owner"], m) for m in (ALPHA, BETA)}
    made = {}
    for who, key in keys.items():
        client = httpx.AsyncClient(base_url=base, headers={"Authorization": f"Bearer {key}"}, timeout=20)
        made[who] = await stack.enter_async_context(client)
    return made


async def test_a_purchase_goes_its_way_through_processes_that_are_killed(db: Database, tmp_path: Path) -> None:
    await db.write(WORKER, "test", add_shop)
    async with AsyncExitStack() as stack:
        sim = stack.enter_context(simulator(tmp_path / "simulator.sqlite", MARKETPLACE_CLOCK_AT=REAL))
        base = stack.enter_context(served(db, tmp_path))
        sim.control("settings", callback=f"{base}/api/v1/payment-events/{NAME}")
        shop = People(db, await people(stack, db, base))
        began = datetime.now(UTC).date()
        bought = await shop.place((ALPHA, CHAIR, 1), (BETA, LAMP, 1))
        with working(db, sim, tmp_path, MARKETPLACE_CLOCK_AT=REAL, MARKETPLACE_CRASH_AT="payment.sent") as worker:
            assert await killed(worker)  # the processor knows of the payment, and nobody has noted that
        assert await shop.state(bought) == "placed"
        with working(db, sim, tmp_path, MARKETPLACE_CLOCK_AT=REAL) as worker:
            await paid(shop, bought)
            cables = [await shop.place((ALPHA, CABLE, 1)) for _ in range(5)]
            declined = await shop.place((BETA, LAMP, 2), method="tok_decline")
            await paid(shop, cables[0])
            worker.kill()
        with working(db, sim, tmp_path, MARKETPLACE_CLOCK_AT=REAL):
            for cable in cables:
                await paid(shop, cable)
            purchase = f"/buyers/{BUYER}/purchases/{declined.purchase_id}"
            await until(lambda: is_declined(shop, purchase))
            assert await stock_of(db, BETA, LAMP) == (SHELF, 1 + 2)
            await shop.post("shop", f"{purchase}/orders/{declined.orders[BETA]}/cancel", {})
            assert await stock_of(db, BETA, LAMP) == (SHELF, 1)
            await shop.post("olga", f"{cables[0].path()}/refunds", {"reason": "damaged", "whole": True})
            await until(lambda: refund_is_paid(shop, cables[0]))
        await shop.deliver(bought)
        assert await shop.settle(datetime.now(UTC).date()) == 1
        await bring_files(shop, sim, began)
        await compare(shop)


async def paid(shop: People, bought: Bought) -> None:
    await comes_to(shop, bought, ALPHA, "paid")


async def comes_to(shop: People, bought: Bought, merchant_id: int, state: str) -> None:
    """By itself: all that is done here is to look, and not to wait for the lease of a worker that was killed."""

    async def there() -> bool:
        await shop.db.write(WORKER, "test", lease_is_over)
        return await shop.state(bought, merchant_id) == state

    await until(there)


async def refund_is_paid(shop: People, bought: Bought) -> bool:
    found = await shop.get("olga", f"/refunds?merchant_id={ALPHA}&order_id={bought.orders[ALPHA]}")
    [refund] = found["items"]
    detail = await shop.get("olga", f"/merchants/{ALPHA}/refunds/{refund['refund_id']}")
    return [payment["state"] for payment in detail["payments"]] == ["paid"]


async def is_declined(shop: People, purchase: str) -> bool:
    found = await shop.get("shop", purchase)
    return [one["failure"] for one in found["payments"]] == ["card declined"]


async def bring_files(shop: People, sim: Simulator, began: date) -> None:
    """The processor's files of the days since, of which midnight may have made two."""
    day, brought = began, 0
    while day <= datetime.now(UTC).date():
        file = await asyncio.to_thread(sim.http.get, f"/v1/settlement-files/{day}")
        if file.status_code != HTTPStatus.NOT_FOUND:
            body: dict[str, Any] = {"processor": NAME, "content": file.text}
            brought += (await shop.post("fay", "/processor-files", body))["new_lines"]
        day += timedelta(days=1)
    assert brought == 7  # six captures and a refund


async def compare(shop: People) -> None:
    """160.00 was captured for 2.36, and five times 5.00 for 0.42, of which one went back; the chair is settled."""
    assert await total_by_account(shop.db, ALPHA) == {
        5100: 177 + 5 * 42, 1030: 11_823 + 5 * 458 - 500, 2005: -2_000, 4000: -1_200, 2300: -240, 2000: -10_560,
    }  # fmt: skip
    assert await total_by_account(shop.db, BETA) == {5100: 59, 1030: 3_941, 2005: -4_000}
    assert await total_by_account(shop.db, HOUSE) == {1010: 17_554, 1030: -17_554}
    await check_books(shop.db)
