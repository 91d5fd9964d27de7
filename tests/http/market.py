"""A small market with two merchants, and its month taken to the end over HTTP."""

from itertools import count
from typing import Any

import httpx
from sqlalchemy import insert

from billing.ads.tables import ad_campaign, ad_placement
from demand.amendments.model import Amendment, AmendmentState, Changes, ChangeSet, Priced
from demand.amendments.store import insert_amendment
from demand.lifecycle import Party
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.ids import time_ordered_id
from supply.stock import store as stock_store
from supply.tables import offer, store
from tests.billing.accounts import add_account
from tests.builders import Line, Order, add_market, add_orders

ALPHA, BETA = 11, 22
SEARCH = 600
"""A placement whose sponsored positions are auctioned by click."""
CONTRACTS: dict[str, list[dict[str, Any]]] = {
    "contract": [
        {"name": "standard", "currency": "EUR", "valid_from": "2018-01-01", "rate_ppm": 100_000, "vat_ppm": 200_000},
        {
            "name": "for beta",
            "currency": "EUR",
            "valid_from": "2018-01-01",
            "merchants": [f"m{BETA}"],
            "tiers": [{"from_minor": 0, "rate_ppm": 50_000}, {"from_minor": 10_000, "rate_ppm": 40_000}],
        },
    ]
}
_keys = count(1)


async def _add(tx: Tx) -> None:
    await add_market(tx, [ALPHA, BETA])
    await add_orders(
        tx,
        [
            Order(merchant_id=ALPHA, order_id=1, order_ref="alpha-1", lines=(Line(goods_minor=10_000),)),
            Order(merchant_id=ALPHA, order_id=2, order_ref="alpha-2", lines=(Line(goods_minor=2_550),)),
            Order(merchant_id=BETA, order_id=3, order_ref="beta-3", lines=(Line(goods_minor=12_000),)),
            Order(merchant_id=BETA, order_id=4, order_ref="beta-4", lines=(Line(goods_minor=700),), settles_at=None),
        ],
    )


async def add_small_market(db: Database) -> None:
    """Two merchants; three delivered orders of May 2018, and one that is only paid."""
    await db.write(WORKER, "test", _add)


async def _add_supply(tx: Tx) -> None:
    place = {"placement_id": SEARCH, "name": "search", "pricing": "click", "currency": "EUR", "positions": 3}
    place |= {"reserve_minor": 5, "slot_minutes": 0, "slot_price_minor": 0, "open": True}
    await tx.execute(insert(ad_placement), place)
    for merchant_id, name in ((ALPHA, "alpha"), (BETA, "beta")):
        key = {"merchant_id": merchant_id}
        await tx.execute(insert(store), {**key, "store_id": merchant_id, "name": f"{name} downtown"})
        listing = {**key, "product_id": merchant_id, "sku": f"{name}-1", "title": f"{name} lamp"}
        await tx.execute(insert(offer), {**listing, "price_minor": 900, "currency": "EUR", "updated_at": tx.now})
        now = await stock_store.get_stock(tx, merchant_id, merchant_id)
        await stock_store.begin_counting(tx, now, 5, reserved=0, reason=f"{name} counted")
        await add_account(tx, merchant_id, merchant_id)
        campaign = {**key, "campaign_id": merchant_id, "name": f"{name} lamps", "placement_id": SEARCH}
        campaign |= {"product_id": merchant_id, "pricing": "click", "currency": "EUR", "bid_minor": 50, "zone": "UTC"}
        await tx.execute(insert(ad_campaign), {**campaign, "pacing": "even", "starts_at": tx.now})


async def add_supply(db: Database) -> None:
    """For each of the two merchants a store, a counted listing, a bank account and a campaign, with its own id."""
    await db.write(WORKER, "test", _add_supply)


async def add_declined_amendment(tx: Tx, merchant_id: int, order_id: int) -> int:
    """An amendment of any order that came to nothing; returns its id."""
    amendment_id = time_ordered_id(tx.now)
    nothing = Priced(
        lines=(), given_back=(), added=(), goods_delta_minor=0, freight_delta_minor=0, delta_minor=0, carried_minor=0
    )
    declined = Amendment(
        merchant_id=merchant_id,
        amendment_id=amendment_id,
        order_id=order_id,
        state=AmendmentState.DECLINED,
        base_version=1,
        changes=ChangeSet(changes=Changes(), listings=(), priced=nothing),
        delta_minor=0,
        carried_goods_minor=0,
        carried_freight_minor=0,
        party=Party.MERCHANT,
        proposed_by="test",
        proposed_at=tx.now,
        reason="a test",
        method="",
        decided_party=Party.BUYER,
        decided_by="test",
        decided_at=tx.now,
        outcome="",
        expires_at=tx.now,
        payment_id=None,
        refund_id=None,
    )
    await insert_amendment(tx, declined)
    return amendment_id


async def send(client: httpx.AsyncClient, path: str, body: object = None, key: str | None = None) -> httpx.Response:
    """POST with an Idempotency-Key, a new one unless named."""
    headers = {"Idempotency-Key": key or f"test-{next(_keys)}"}
    if body is None:
        return await client.post(f"/api/v1{path}", headers=headers)
    return await client.post(f"/api/v1{path}", json=body, headers=headers)


async def done(client: httpx.AsyncClient, path: str, body: object = None) -> Any:
    """POST what must succeed; the answer's body."""
    answer = await send(client, path, body)
    assert answer.is_success, (path, answer.text)
    return answer.json()


async def close_month(client: httpx.AsyncClient) -> int:
    """Contracts, settlement and the finalised run of May 2018; returns the run's id."""
    assert (await send(client, "/contracts", CONTRACTS)).status_code == 200
    assert (await send(client, "/settlements", {"through": "2018-05-31"})).json()["orders"] == 3
    started = await send(client, "/billing-runs", {"period": "2018-05"})
    assert started.status_code == 200, started.text
    run_id: int = started.json()["run"]["run_id"]
    seen = {"batch_id": started.json()["run"]["batch_id"]}
    assert (await send(client, f"/billing-runs/{run_id}/approve", seen)).status_code == 200
    final = await send(client, f"/billing-runs/{run_id}/finalise")
    assert final.json()["run"]["state"] == "finalised", final.text
    return run_id
