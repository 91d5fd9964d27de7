"""Insertion orders over HTTP: the seller's pipeline, what the merchant sees of it and when, and what is refused."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx

from billing.ads.model import Pricing
from marketplace.core import policies
from marketplace.core.db import WORKER, Database
from tests.ads.market import LAMP, MERCHANT, OTHER
from tests.ads.orders import places
from tests.http.conftest import app, caller
from tests.http.market import send

__all__ = ["app", "caller"]

Make = Callable[..., Awaitable[httpx.AsyncClient]]
ORDERS = f"/merchants/{MERCHANT}/ad-orders"


def line(placement_id: int, **changes: Any) -> dict[str, Any]:
    plain = {"placement_id": placement_id, "product_id": LAMP, "quantity": 100, "unit_price_minor": 15}
    window = {"from_at": "2018-09-20T00:00:00Z", "to_at": "2018-09-30T00:00:00Z", "words": ["Lamp"]}
    return {**plain, **window, **changes}


def pointed(refused: httpx.Response) -> str:
    """The place in the body that a refusal points to."""
    return str(refused.json()["errors"][0]["pointer"])


async def test_a_pipeline_and_what_the_merchant_sees_of_it(db: Database, caller: Make) -> None:
    place = (await places(db))[Pricing.CLICK].placement_id
    await db.write(WORKER, "admin", policies.switch, "single_operator", on=False)
    sam, olga = await caller("sam", "growth"), await caller("olga", "approver")
    mia = await caller("mia", "merchant_owner", merchant_id=MERCHANT)
    body = {"name": "Autumn", "currency": "EUR", "expected_minor": 9_000, "lines": [line(place)]}
    first = (await send(sam, ORDERS, body)).json()
    second = (await send(sam, ORDERS, {**body, "owner": "sue", "name": "Winter", "lines": []})).json()
    assert (first["owner"], second["owner"], first["state"]) == ("sam", "sue", "opportunity")
    one = f"/api/v1{ORDERS}/{first['order_id']}"

    async def pipeline(client: httpx.AsyncClient, **query: str) -> list[tuple[str, int | None]]:
        found = (await client.get("/api/v1/ad-orders", params=query)).json()["items"]
        return [(order["name"], order["expected_minor"]) for order in found]

    assert await pipeline(sam) == [("Winter", 9_000), ("Autumn", 9_000)]
    assert await pipeline(sam, owner="sue", state="opportunity") == [("Winter", 9_000)]
    assert await pipeline(sam, state="quoted") == []
    page = (await sam.get("/api/v1/ad-orders", params={"limit": 1})).json()
    assert await pipeline(sam, cursor=page["next"]) == [("Autumn", 9_000)]
    assert await pipeline(mia) == []
    assert (await mia.get(one)).status_code == 404

    without = await send(sam, f"{ORDERS}/{first['order_id']}/moves", {"move": "submit"})
    assert (without.status_code, pointed(without)) == (422, "/valid_until")
    etag = (await sam.get(one)).headers["etag"]
    changed = await sam.patch(one, json={"valid_until": "2018-09-15"}, headers={"If-Match": etag})
    assert changed.status_code == 200, changed.text
    assert (await sam.patch(one, json={"name": "x"}, headers={"If-Match": etag})).status_code == 412
    moves = f"{ORDERS}/{first['order_id']}/moves"
    assert (await send(sam, moves, {"move": "submit"})).json()["state"] == "in_review"
    assert (await send(sam, moves, {"move": "approve"})).status_code == 403
    for not_asked in ("expire", "accept"):  # the clock's, and one with a request of its own
        assert (await send(sam, moves, {"move": not_asked})).status_code == 422
    assert pointed(await send(olga, moves, {"move": "reject"})) == "/reason"
    quoted = (await send(olga, moves, {"move": "approve"})).json()
    assert await pipeline(mia) == [("Autumn", None)]
    detail = (await mia.get(one)).json()
    shown = detail["lines"][0]
    assert (shown["total_minor"], shown["list_minor"], shown["discount_ppm"]) == (1_500, 2_000, 250_000)
    assert (detail["total_minor"], detail["events"], shown["line"]["words"]) == (1_500, [], ["lamp"])
    other = await caller("otto", "merchant_owner", merchant_id=OTHER)
    assert (await other.get(one)).status_code == 404

    accept = f"{ORDERS}/{first['order_id']}/accept"
    stale = await send(mia, accept, {"version": 1, "pays_by": "netting"})
    assert (stale.status_code, stale.json()["version"]) == (409, quoted["version"])
    unsaid = await send(olga, accept, {"version": quoted["version"], "pays_by": "netting"})
    assert pointed(unsaid) == "/evidence"
    ordered = (await send(mia, accept, {"version": quoted["version"], "pays_by": "netting"})).json()
    assert (ordered["state"], ordered["expected_minor"]) == ("ordered", None)
    history = (await sam.get(one)).json()["events"]
    assert [(event["move"], event["actor"], event["party"]) for event in history] == [
        ("open", "sam", "platform"), ("submit", "sam", "platform"), ("approve", "olga", "platform"),
        ("accept", "mia", "merchant"),
    ]  # fmt: skip


async def test_lines_that_cannot_be_sold_are_refused_where_they_stand(db: Database, caller: Make) -> None:
    found = await places(db)
    sam = await caller("sam", "growth")
    clicks, hours = found[Pricing.CLICK].placement_id, found[Pricing.SLOT].placement_id
    day = {"from_at": "2018-09-20T00:00:00Z", "to_at": "2018-09-21T00:00:00Z"}
    wrong = {
        "/lines/1/quantity": line(hours, **day, quantity=23),
        "/lines/1/categories": line(clicks, words=[]),
        "/lines/1/from_at": line(clicks, from_at="2018-09-02T00:00:00Z"),
        "/product_id": line(clicks, product_id=5),
    }
    for place, bad in wrong.items():
        answer = await send(sam, ORDERS, {"name": "Autumn", "currency": "EUR", "lines": [line(clicks), bad]})
        assert (answer.status_code, pointed(answer)) == (422, place), answer.text
    foreign = await send(sam, ORDERS, {"name": "Autumn", "currency": "USD", "lines": [line(clicks)]})
    assert pointed(foreign) == "/lines/0/placement_id"
