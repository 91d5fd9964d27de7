"""Rerating over HTTP: what a contract that was applied late changes, proposed by one and approved by another."""

from collections.abc import Awaitable, Callable

import httpx

from marketplace.core import policies
from marketplace.core.db import WORKER, Database
from tests.http.market import ALPHA, add_small_market, close_month, send

Make = Callable[..., Awaitable[httpx.AsyncClient]]
SINCE = {"from_on": "2018-05-01"}


async def test_one_proposes_and_another_approves(db: Database, caller: Make) -> None:
    await add_small_market(db)
    await db.write(WORKER, "admin", policies.switch, "single_operator", on=True)
    controller = await caller("fay", "controller")
    await close_month(controller)
    await db.write(WORKER, "admin", policies.switch, "single_operator", on=False)
    assert (await controller.get("/api/v1/reratings/preview", params=SINCE)).json() == {"lines": []}
    refused = await send(controller, "/reratings", SINCE)
    assert (refused.status_code, "has earned what it should have" in refused.text) == (409, True)
    async with db.read(WORKER) as tx:
        ref = await tx.scalar("SELECT merchant_ref FROM supply.merchant WHERE merchant_id = :id", id=ALPHA)
    plan = {"name": "late", "currency": "EUR", "valid_from": "2018-01-01", "merchants": [ref], "rate_ppm": 0}
    assert (await send(controller, "/contracts", {"contract": [plan]})).status_code == 200
    lines = (await controller.get("/api/v1/reratings/preview", params=SINCE)).json()["lines"]
    assert [(line["merchant_id"], line["month"], line["orders"]) for line in lines] == [(ALPHA, "2018-05-01", 2)]
    proposed = (await send(controller, "/reratings", SINCE)).json()
    assert proposed["lines"] == lines
    path = f"/reratings/{proposed['rerating']['rerating_id']}"
    assert (await send(controller, f"{path}/approve")).status_code == 403
    checker = await caller("kim", "accountant")
    booked = await send(checker, f"{path}/approve")
    assert (booked.status_code, booked.json()["rerating"]["approved_by"]) == (200, "kim")
    assert (await send(checker, f"{path}/approve")).status_code == 409
    assert (await controller.get(f"/api/v1{path}")).json() == booked.json()
    listed = (await controller.get("/api/v1/reratings")).json()["items"]
    assert listed == [booked.json()["rerating"]]
    assert (await controller.get("/api/v1/reratings/7")).status_code == 404
    assert (await controller.get("/api/v1/proofs")).json()["ok"] is True
