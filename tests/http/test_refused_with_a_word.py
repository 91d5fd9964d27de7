"""What must be refused with a clear word (issue 4): each asked over HTTP, after what makes it wrong has happened."""

from collections.abc import Awaitable, Callable
from datetime import date

import httpx

from billing.ledger import store as ledger
from marketplace.core import policies
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.payers.cover_cost import CoverCost, commit_cost, reserve_cost
from tests.billing.accounts import activated
from tests.billing.market import check_books, goodwill
from tests.builders import ENTITY
from tests.http.busy_payers import TERMS
from tests.http.market import ALPHA, BETA, add_small_market, add_supply, close_month, done, send

Make = Callable[..., Awaitable[httpx.AsyncClient]]
AUGUST, DAY = date(2018, 8, 1), date(2018, 9, 1)
MAY = "/periods/2018-05"


async def refused(asker: httpx.AsyncClient, path: str, body: object, status: int, word: str) -> None:
    answer = await send(asker, path, body)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    assert word in answer.json()["detail"]


async def test_what_must_be_refused_is_refused_with_a_clear_word(db: Database, clock: FixedClock, caller: Make) -> None:
    await add_small_market(db)
    await add_supply(db)
    first, second = await caller("first", "controller"), await caller("second", "controller")
    run_id = await close_month(first)  # one person may do both as long as single_operator is set
    await db.write(WORKER, "admin", policies.switch, "single_operator", on=False)
    await a_period_already_closed(first, second, run_id)
    await approval_by_the_maker(first, second)
    await a_payout_above_the_balance(db, clock, first)
    await a_payer_cap_below_what_is_committed(db, first)
    await a_slot_sold_twice(await caller("ops", "growth"), second)
    await check_books(db)


async def approval_by_the_maker(maker: httpx.AsyncClient, other: httpx.AsyncClient) -> None:
    run = (await done(maker, "/billing-runs", {"period": "2018-06"}))["run"]
    approve, seen = f"/billing-runs/{run['run_id']}/approve", {"batch_id": run["batch_id"]}
    await refused(maker, approve, seen, 403, "another person")
    await done(other, approve, seen)


async def a_period_already_closed(maker: httpx.AsyncClient, other: httpx.AsyncClient, run_id: int) -> None:
    await done(maker, f"{MAY}/soft-close")
    await done(other, f"{MAY}/close")
    await refused(other, f"{MAY}/close", None, 409, "2018-05 is closed; it cannot become closed")
    await refused(other, f"/billing-runs/{run_id}/reverse", None, 409, "2018-05 is closed")


async def a_payout_above_the_balance(db: Database, clock: FixedClock, finance: httpx.AsyncClient) -> None:
    listed = (await finance.get("/api/v1/payouts")).json()["items"]
    of = f"/merchants/{ALPHA}/payouts/{next(one['payout_id'] for one in listed if one['merchant_id'] == ALPHA)}"
    await done(finance, f"{of}/confirm", {"bank_ref": "B-1", "on": "2018-06-02"})
    await done(finance, f"{of}/return", {"bank_ref": "B-2", "on": "2018-06-05", "reason": "account closed"})
    await activated(db, clock, ALPHA)
    await db.write(WORKER, "test", ledger.post, [goodwill(ALPHA, 1, AUGUST, -1)])
    await refused(finance, f"{of}/retry", None, 409, "a payout of 110.44 EUR is above the balance of 110.43")


async def a_payer_cap_below_what_is_committed(db: Database, finance: httpx.AsyncClient) -> None:
    await done(finance, "/payers", {"name": TERMS["payer"], "kind": "insurer"})
    until = {**TERMS, "valid_until": "2018-10-01"}
    await done(finance, "/payer-contracts", {"payer_contract": [until]})

    async def bear(tx: Tx) -> None:
        cost = CoverCost(
            contract_id=1, merchant_id=ALPHA, entity_id=ENTITY, source="charge", source_id=1, source_ref="a charge",
            amount_minor=500, on=DAY,
        )  # fmt: skip
        await reserve_cost(tx, cost)
        await commit_cost(tx, ALPHA, "charge", 1, 1, on=DAY)

    await db.write(WORKER, "test", bear)
    less = {**TERMS, "valid_from": "2018-10-01", "cap_minor": 499}
    word = "cap_minor: 499 is below 500, which is committed already"
    await refused(finance, "/payer-contracts", {"payer_contract": [less]}, 409, word)


async def a_slot_sold_twice(ops: httpx.AsyncClient, finance: httpx.AsyncClient) -> None:
    terms = {"entity_id": ENTITY, "currency": "EUR", "valid_from": "2018-01-01", "vat_ppm": 200_000}
    await done(finance, "/ad-terms", terms)
    by_time = {"name": "front page", "pricing": "slot", "currency": "EUR", "slot_minutes": 60, "slot_price_minor": 100}
    front = (await done(ops, "/ad-placements", by_time))["placement_id"]
    slot = {"from_at": "2018-09-20T10:00:00Z", "to_at": "2018-09-20T11:00:00Z"}
    for merchant_id in (ALPHA, BETA):
        of = f"/merchants/{merchant_id}"
        paid = {"currency": "EUR", "amount_minor": 20_000, "receipt_ref": f"of {merchant_id}"}
        await done(finance, f"{of}/ad-receipts", paid)
        shown = {"name": "front", "placement_id": front, "product_id": merchant_id, "starts_at": "2018-09-01T00:00:00Z"}
        campaign = f"{of}/campaigns/{(await done(ops, f'{of}/campaigns', shown))['campaign']['campaign_id']}"
        for move in ("submit", "approve"):
            await done(ops, f"{campaign}/moves", {"move": move})
        if merchant_id == ALPHA:
            await done(ops, f"{campaign}/bookings", slot)
        else:
            await refused(ops, f"{campaign}/bookings", slot, 409, "the slot of 2018-09-20 10:00 UTC is sold")
