"""Buyers join promotions that ask for it, and read how far they are."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import httpx
import pytest

from incentives.rules.awards import Credit, Once, Reward, ToBuyer
from incentives.rules.model import Calendar, SinceOptIn
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database
from marketplace.core.errors import NotFound
from marketplace.flows.promotions.join_promotion import join_as_buyer
from tests.billing.market import check_books
from tests.discounts.market import bought, cart, market, off, quoted, sold
from tests.discounts.test_rebates import back, credit_of, look
from tests.http.conftest import app, caller, client
from tests.placing.market import BUYER

__all__ = ["app", "caller", "client"]

Make = Callable[..., Awaitable[httpx.AsyncClient]]
JOINED = ToBuyer(opt_in="from_opt_in")
WEEKLY = Reward(amount=Once(threshold=20_000, amount_minor=1_500), form=Credit())
WEEK = Calendar(period="week")
_HERE = f"/api/v1/buyers/{BUYER}"


async def test_a_buyer_joins_over_the_api_and_what_it_buys_from_then_on_counts(
    db: Database, clock: FixedClock, caller: Make
) -> None:
    """15.00 for 200.00 in a week: 120.00 before it joined are none of them."""
    [sale, _] = await market(db, clock, back(reward=WEEKLY, window=WEEK, beneficiary=JOINED), off(name="for all"))
    await sold(db)
    await look(db)
    shop = await caller("shop", "storefront")
    [seen] = (await shop.get(f"{_HERE}/promotions")).json()["items"]
    assert (seen["promotion_id"], seen["joined_at"], seen["reward"]["amount"]["threshold"]) == (
        sale.promotion_id, None, 20_000,
    )  # fmt: skip
    joining = await shop.post(f"{_HERE}/promotions/{sale.promotion_id}/opt-in", headers={"Idempotency-Key": "join"})
    assert (joining.status_code, joining.json()["joined_at"]) == (200, clock.now().isoformat().replace("+00:00", "Z"))
    clock.move_to(clock.now() + timedelta(minutes=1))
    await sold(db, "k2")
    await look(db)
    [stand] = (await shop.get(f"{_HERE}/rewards")).json()["items"]
    assert (stand["reached"], stand["missing"], stand["next_total_minor"]) == (12_000, 8_000, 1_500)
    assert stand["seconds_left"] > 0
    assert await credit_of(db) == 0
    await sold(db, "k3")
    await look(db)
    [stand] = (await shop.get(f"{_HERE}/rewards")).json()["items"]
    assert (stand["reached"], stand["granted_minor"], stand["missing"], await credit_of(db)) == (
        24_000, 1_500, None, 1_500,
    )  # fmt: skip
    await check_books(db)


async def test_a_window_may_be_so_many_days_since_the_buyer_joined(db: Database, clock: FixedClock) -> None:
    [sale] = await market(db, clock, back(reward=WEEKLY, window=SinceOptIn(days=2)))
    await db.write(WORKER, "shop", join_as_buyer, BUYER, sale.promotion_id)
    await sold(db)
    await look(db)
    await sold(db, "k2")
    await look(db)
    assert await credit_of(db) == 1_500
    clock.move_to(clock.now() + timedelta(days=2))
    await sold(db, "k3")
    await sold(db, "k4")
    await look(db)
    assert await credit_of(db) == 1_500
    await check_books(db)


async def test_a_discount_is_for_the_buyers_that_have_joined(db: Database, clock: FixedClock) -> None:
    [sale] = await market(db, clock, off(beneficiary=JOINED))
    seen = (await quoted(db, await cart(db))).orders[0].promotions[0]
    assert (seen.amount_minor, seen.reason) == (0, "the buyer has not joined")
    first = await db.write(WORKER, "shop", join_as_buyer, BUYER, sale.promotion_id)
    clock.move_to(clock.now() + timedelta(minutes=1))
    assert (await db.write(WORKER, "shop", join_as_buyer, BUYER, sale.promotion_id)).joined_at == first.joined_at
    assert (await bought(db)).discount_minor == 1_500
    await check_books(db)


async def test_nobody_joins_what_asks_nobody_and_no_buyer_that_there_is_not(db: Database, clock: FixedClock) -> None:
    [free, asking] = await market(db, clock, off(), off(name="asking", beneficiary=JOINED))
    with pytest.raises(NotFound, match="for buyers to join"):
        await db.write(WORKER, "shop", join_as_buyer, BUYER, free.promotion_id)
    with pytest.raises(NotFound, match="there is no buyer 7"):
        await db.write(WORKER, "shop", join_as_buyer, 7, asking.promotion_id)
