"""Two legal entities with houses of their own: a buyer's windows and vouchers are of the one they were earned at."""

from importlib.resources import files

import msgspec

from billing.ledger import store as ledger
from incentives.promotions.model import Promotion
from incentives.rules.awards import Once, Reward
from incentives.rules.model import Calendar, Terms
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.orders.read_placed import Placed
from tests.billing.market import check_books
from tests.builders import HOUSE
from tests.discounts import test_vouchers
from tests.discounts.market import Stand, cart, market, pay, refund, settle, sold, stands
from tests.discounts.test_rebates import back, credit_of, look
from tests.discounts.test_vouchers import having
from tests.orders.paid import balances, entry
from tests.placing.market import BETA, LAMP, command, place
from tests.placing.test_place_locks import Held, placing, race

OTHER_HOUSE = -2
_OTHER_ENTITY = """
INSERT INTO billing.entity (entity_id, name, currency, zone, house_merchant_id)
VALUES (2, 'Other', 'EUR', 'UTC', :house)
"""


async def two_entities(db: Database, clock: FixedClock, wanted: Terms) -> Promotion:
    """As `market`; BETA, whose lamps are 59.00, is a merchant of the other entity."""

    async def add(tx: Tx) -> None:
        await tx.execute(_OTHER_ENTITY, {"house": OTHER_HOUSE})
        await ledger.open_books(tx, [OTHER_HOUSE], 2)
        await tx.execute(f"UPDATE supply.merchant SET entity_id = 2 WHERE merchant_id = {BETA}")
        await tx.execute(f"UPDATE billing.ledger_head SET entity_id = 2 WHERE merchant_id = {BETA}")

        await tx.execute(f"UPDATE supply.offer SET counted = false WHERE product_id = {LAMP}")
        await tx.execute(f"DELETE FROM supply.stock WHERE product_id = {LAMP}")

    [made] = await market(db, clock, wanted)
    await db.write(WORKER, "test", add)
    return made


async def lamps_sold(db: Database, key: str, lamps: int) -> Placed:
    placed = await place(db, await cart(db, 0, lamps=lamps), key)
    await pay(db, placed)
    await settle(db, placed)
    return placed


async def test_a_window_counts_the_orders_of_one_entity_in_the_books_of_its_house(
    db: Database, clock: FixedClock
) -> None:
    """15.00 back for 200.00 in a week: 120.00 here and 118.00 there are neither."""
    weekly = Reward(amount=Once(threshold=20_000, amount_minor=1_500), form=back().reward.form)
    sale = await two_entities(db, clock, back(reward=weekly, window=Calendar(period="week")))
    await sold(db)
    await lamps_sold(db, "k2", 2)
    await look(db)
    assert await credit_of(db) == 0
    await sold(db, "k3")
    await look(db)
    assert (await credit_of(db), (await stands(db, sale)).spent) == (1_500, 1_500)
    assert (await balances(db, HOUSE)).get(5000) == 1_500
    await lamps_sold(db, "k4", 1)
    await look(db)
    assert (await credit_of(db), (await balances(db, OTHER_HOUSE)).get(5000)) == (1_500, None)
    await check_books(db)


async def test_a_window_from_before_goes_on_under_its_entity(db: Database, clock: FixedClock) -> None:
    """Version 0019 says the entity of what was earned before."""
    weekly = Reward(amount=Once(threshold=10_000, amount_minor=1_500), form=back().reward.form)
    sale = await two_entities(db, clock, back(reward=weekly, window=Calendar(period="week")))
    placed = await sold(db)
    await look(db)
    script = (files("marketplace.migrations") / "sql" / "0019_changes.sql").read_text()

    async def as_before(tx: Tx) -> None:
        for table in ("progress", "grant", "contribution"):
            await tx.execute(f"UPDATE incentives.buyer_{table} SET span = substr(span, strpos(span, ':') + 1)")
        for statement in script.split("\n;;\n"):
            if statement.startswith("UPDATE"):
                await tx.execute(statement)

    await db.write(WORKER, "test", as_before)
    await check_books(db)
    await refund(db, placed)
    await look(db)
    assert (await credit_of(db), await stands(db, sale)) == (0, Stand(reserved=0, spent=0, granted=0, cost=0))
    await check_books(db)


async def test_whoever_uses_a_voucher_of_another_entity_takes_the_houses_in_their_order(
    db: Database, clock: FixedClock
) -> None:
    """Of somebody who holds the first house and then wants the second, neither is a deadlock's victim."""
    await two_entities(db, clock, test_vouchers.back())
    await lamps_sold(db, "k1", 1)
    await look(db)
    assert await entry(db, "rebate_earned", OTHER_HOUSE) == {5000: 1_000, 2050: -1_000}
    [one] = await having(db)
    cmd = msgspec.structs.replace(await command(db, await cart(db)), voucher=one.code)

    async def first(tx: Tx) -> None:
        await ledger.lock_books(tx, OTHER_HOUSE)

    async def second(tx: Tx) -> None:
        await ledger.lock_books(tx, HOUSE)

    attempts, came = await race(db, Held(db, first, second), placing(cmd, "k2"))
    assert (attempts, came) == (2, None)
    assert await entry(db, "rebate_vested", OTHER_HOUSE) == {2050: 1_000, 2410: -1_000}
    await check_books(db)
