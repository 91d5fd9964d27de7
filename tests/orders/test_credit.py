"""Buyers' credit: granted, used, expired, and never out of step with the house's books."""

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import insert

from billing.credit import store
from billing.ledger import store as ledger
from billing.ledger.tables import entity
from billing.payments import store as payments
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import Conflict, Invalid, NotFound
from marketplace.flows.refunds.grant_credit import GrantCredit, Granted, expire_credit, grant_credit
from tests.billing.market import check_books
from tests.builders import ENTITY, HOUSE
from tests.conftest import NOW
from tests.orders.paid import BUYER, Paid, balances, count, entry, market, of

TODAY = NOW.date()


async def grant(
    db: Database,
    amount: int,
    buyer: int = BUYER,
    currency: str = "EUR",
    expires_on: date | None = None,
    entity_id: int | None = None,
) -> Granted:
    cmd = GrantCredit(
        buyer_id=buyer,
        currency=currency,
        amount_minor=amount,
        reason="sorry",
        expires_on=expires_on,
        entity_id=entity_id,
    )
    return await db.write(WORKER, "ops", grant_credit, cmd)


async def set_aside(db: Database, minor: int) -> None:
    """As a placed order that is paid with so much credit does."""
    await db.write(WORKER, "shop", Tx.execute, f"UPDATE billing.credit_account SET reserved_minor = {minor}")


async def use(db: Database, minor: int) -> None:
    """What was set aside pays; the books of that are the payment's, and not of interest here."""

    async def used(tx: Tx) -> None:
        await store.use(tx, await payments.get_payment(tx, BUYER, 500), minor)

    await db.write(WORKER, "shop", used)


async def left(db: Database) -> list[int]:
    """What is left of each grant that expires, the next first; the last is all of the buyer's credit."""
    async with db.read(WORKER) as tx:
        [account] = await store.accounts(tx, BUYER)
        return [*(one.left_minor for one in await store.grants(tx, BUYER)), account.balance_minor]


async def expire(db: Database) -> int:
    return await expire_credit(db, "clock", db.clock.now())


async def test_what_is_not_used_in_time_goes_back_to_the_house(db: Database, clock: FixedClock) -> None:
    await market(db, Paid(order=of(1, 1)))
    await grant(db, 1_000)
    await grant(db, 300, expires_on=TODAY + timedelta(days=1))
    assert await entry(db, "credit_granted", HOUSE) == {6920: 1_000, 2410: -1_000}
    clock.move_to(datetime(2018, 9, 4, 23, 59, 59, tzinfo=UTC))
    assert (await expire(db), await left(db)) == (0, [300, 1_300])
    clock.move_to(datetime(2018, 9, 5, tzinfo=UTC))
    assert [await expire(db) for _ in range(2)] == [1, 0]
    assert await entry(db, "credit_expired", HOUSE) == {2410: 300, 6920: -300}
    assert await left(db) == [1_000]
    async with db.read(WORKER) as tx:
        moved = await store.movements(tx, BUYER, limit=10, before=None)
    assert [(one.kind, one.amount_minor) for one in moved] == [("expired", -300), ("granted", 300), ("granted", 1_000)]
    await check_books(db)


async def test_the_day_ends_where_the_house_is(db: Database, clock: FixedClock) -> None:
    await market(db, Paid(order=of(1, 1)))
    await db.write(WORKER, "test", Tx.execute, "UPDATE billing.entity SET zone = 'America/Sao_Paulo'")
    await grant(db, 300, expires_on=TODAY)
    clock.move_to(datetime(2018, 9, 4, 2, 59, tzinfo=UTC))
    assert await expire(db) == 0
    clock.move_to(datetime(2018, 9, 4, 3, 0, tzinfo=UTC))
    assert await expire(db) == 1


async def test_what_ends_first_is_used_first_and_what_never_ends_last(db: Database, clock: FixedClock) -> None:
    await market(db, Paid(order=of(1, 1)))
    await grant(db, 500)
    await grant(db, 300, expires_on=date(2018, 12, 31))
    await grant(db, 200, expires_on=date(2018, 9, 30))
    assert await left(db) == [200, 300, 1_000]
    await set_aside(db, 250)
    await use(db, 250)
    assert await left(db) == [250, 750]
    clock.move_to(datetime(2018, 10, 1, tzinfo=UTC))
    assert await expire(db) == 0  # the one that ended was used
    clock.move_to(datetime(2019, 1, 1, tzinfo=UTC))
    assert (await expire(db), await left(db)) == (1, [500])


async def test_what_is_set_aside_for_a_payment_waits_for_it(db: Database, clock: FixedClock) -> None:
    """Of 600 that end, 200 are set aside: they end when the payment has not used them."""
    await market(db, Paid(order=of(1, 1)))
    await grant(db, 400, expires_on=TODAY)
    await grant(db, 200, expires_on=TODAY)
    await grant(db, 100)
    await set_aside(db, 450)
    clock.move_to(NOW + timedelta(days=1))
    assert (await expire(db), await left(db)) == (1, [400, 50, 550])
    assert (await expire(db), await count(db, "credit_expired", HOUSE)) == (0, 1)
    await check_books(db)
    await set_aside(db, 10)
    assert (await expire(db), await left(db)) == (2, [10, 110])
    await set_aside(db, 0)
    assert (await expire(db), await left(db)) == (1, [100])
    assert (await balances(db, HOUSE))[2410] == -100
    await check_books(db)


async def test_no_more_is_taken_than_is_free(db: Database) -> None:
    await market(db, Paid(order=of(1, 1)))
    await grant(db, 1_000)
    await set_aside(db, 300)
    with pytest.raises(Conflict, match="less than 701 of free credit"):
        await db.write(WORKER, "test", lambda tx: store.move(tx, BUYER, "EUR", "expired", -701, source_id=1))


@pytest.mark.parametrize("expires_on", [TODAY - timedelta(days=1), TODAY + timedelta(days=3_654), date.max])
async def test_credit_ends_neither_before_today_nor_in_another_age(db: Database, expires_on: date) -> None:
    await market(db, Paid(order=of(1, 1)))
    with pytest.raises(Invalid, match=r"^expires_on: "):
        await grant(db, 1, expires_on=expires_on)


async def test_what_cannot_be_granted_is_refused_by_name(db: Database) -> None:
    await market(db, Paid(order=of(1, 1)))
    with pytest.raises(NotFound, match="buyer 77"):
        await grant(db, 1, buyer=77)
    with pytest.raises(Invalid, match="currency"):
        await grant(db, 1, currency="USD")
    with pytest.raises(Invalid, match="amount_minor"):
        await grant(db, 0)


async def _second_house(tx: Tx) -> None:
    named = {"entity_id": 2, "name": "Second", "currency": "EUR", "zone": "UTC", "house_merchant_id": -2}
    await tx.execute(insert(entity), named)
    await ledger.open_books(tx, [-2], 2)


async def test_where_several_entities_trade_the_one_that_gives_is_named(db: Database, clock: FixedClock) -> None:
    """Nobody's books are charged by chance; what expires goes back to the entity that gave it."""
    await market(db, Paid(order=of(1, 1)))
    await db.write(WORKER, "test", _second_house)
    for unclear in (None, 3):
        with pytest.raises(Invalid, match=rf"^entity_id: .* trade {ENTITY}, 2$") as refused:
            await grant(db, 100, entity_id=unclear)
        assert refused.value.extra["pointer"] == "/entity_id"
    await grant(db, 100, entity_id=2, expires_on=TODAY)
    await grant(db, 30, entity_id=ENTITY)
    assert await entry(db, "credit_granted", -2) == {6920: 100, 2410: -100}
    assert await entry(db, "credit_granted", HOUSE) == {6920: 30, 2410: -30}
    clock.move_to(NOW + timedelta(days=1))
    assert await expire(db) == 1
    assert await entry(db, "credit_expired", -2) == {6920: -100, 2410: 100}
    await check_books(db)
