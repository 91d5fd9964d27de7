"""A merchant reads how far it is, in money and time, and what it was granted, with the entries of its books."""

from datetime import UTC, datetime
from typing import Any

from litestar import Litestar

from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database
from tests.billing.market import MAKER, order, prepare
from tests.incentives.market import live, terms
from tests.incentives.promised import PLACED, deliver, pay, placed
from tests.incentives.trade import WEEKLY, day, look, refund, settle


async def test_a_merchant_reads_what_is_missing_and_what_it_has_got(
    app: Litestar, db: Database, clock: FixedClock, caller: Any
) -> None:
    await db.write(WORKER, MAKER, prepare, [])
    _, promotion = await live(db, clock, WEEKLY)
    await settle(db, clock, order(1, 1, day(4), 6_000))
    await look(db)
    owner = await caller("owner", "merchant_owner", merchant_id=1)
    [reward] = (await owner.get("/api/v1/merchants/1/rewards")).json()["items"]
    assert reward == {
        "promotion_id": promotion.promotion_id,
        "name": "trade 100, get 20",
        "currency": "EUR",
        "span": "2018-09-04T00:00:00+00:00",
        "starts_at": "2018-09-04T00:00:00Z",
        "ends_at": "2018-09-10T00:00:00Z",
        "seconds_left": 5 * 86_400 + 6 * 3_600,
        "measure": "amount",
        "reached": 6_000,
        "promised": 6_000,
        "granted_minor": 0,
        "owed_minor": 0,
        "promised_minor": 0,
        "next_at": 10_000,
        "missing": 4_000,
        "next_total_minor": 2_000,
    }
    await settle(db, clock, order(1, 2, day(5), 4_000))
    await look(db)
    clock.move_to(datetime(2018, 9, 7, 12, tzinfo=UTC))
    await look(db)
    await refund(db, 2, 1)
    await look(db)
    [back, grant] = (await owner.get("/api/v1/merchants/1/rewards/grants")).json()["items"]
    assert [(one["amount_minor"], one["state"], one["funder_minor"]) for one in (grant, back)] == [
        (2_000, "paid", [2_000]),
        (-2_000, "paid", [-2_000]),
    ]
    assert [entry["kind"] for entry in grant["entries"]] == ["incentive_earned", "incentive_vested"]
    assert [entry["kind"] for entry in back["entries"]] == ["incentive_clawed_back"]
    answer = await owner.get("/api/v1/merchants/1/rewards/grants", params={"limit": 1})
    more = await owner.get("/api/v1/merchants/1/rewards/grants", params={"limit": 1, "cursor": answer.json()["next"]})
    assert [one["grant_id"] for one in more.json()["items"]] == [grant["grant_id"]]
    assert (await owner.get("/api/v1/merchants/2/rewards")).status_code == 404


async def test_a_merchant_reads_what_is_promised_before_it_settles(
    app: Litestar, db: Database, clock: FixedClock, caller: Any
) -> None:
    await db.write(WORKER, MAKER, prepare, [])
    await live(db, clock, terms(**PLACED))
    await pay(db, clock, placed(1, 4, 7_000))
    owner = await caller("owner", "merchant_owner", merchant_id=1)

    async def stands() -> list[Any]:
        [reward] = (await owner.get("/api/v1/merchants/1/rewards")).json()["items"]
        return [reward[name] for name in ("reached", "promised", "missing", "granted_minor", "promised_minor")]

    assert await stands() == [0, 7_000, 3_000, 0, 0]
    await pay(db, clock, placed(2, 5, 4_000))
    assert await stands() == [0, 11_000, None, 0, 2_000]
    await deliver(db, clock, 1, 6)
    await deliver(db, clock, 2, 7)
    assert await stands() == [11_000, 11_000, None, 2_000, 0]


async def test_who_is_held_out_of_all_promotions_is_not_told_of_any(
    app: Litestar, db: Database, clock: FixedClock, caller: Any
) -> None:
    """Merchant 13 is drawn for the second half of 2018."""
    await db.write(WORKER, MAKER, prepare, [], [1, 13])
    _, promotion = await live(db, clock, WEEKLY)
    listed = {}
    for merchant_id in (1, 13):
        owner = await caller(f"owner{merchant_id}", "merchant_owner", merchant_id=merchant_id)
        answer = await owner.get(f"/api/v1/merchants/{merchant_id}/promotions")
        listed[merchant_id] = [each["promotion_id"] for each in answer.json()["items"]]
    assert listed == {1: [promotion.promotion_id], 13: []}
