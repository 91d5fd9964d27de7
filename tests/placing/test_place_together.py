"""Carts that come at the same time are placed in one transaction: what each becomes is what it would become alone."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demand.carts import store
from demand.carts.model import Cart, CartLine
from incentives.rules.model import Qualify
from incentives.rules.predicates import Equals
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import AppError, Conflict, NotFound
from marketplace.core.idempotency import Answer, KeyInFlight, KeyReused
from marketplace.flows.orders import place_order as module
from marketplace.flows.orders import placement
from marketplace.flows.orders.place_carts import Checkouts
from marketplace.flows.orders.place_order import OutOfStock, PlaceAlone, QuoteChanged, place_together
from marketplace.flows.orders.placement import PlaceOrder
from marketplace.flows.orders.read_placed import Placed
from tests.billing.market import check_books
from tests.conftest import fresh_database
from tests.discounts.market import market as discounted_market
from tests.discounts.market import off
from tests.incentives.budgets import check_budgets
from tests.placing.market import (
    ALPHA,
    BETA,
    BUYER,
    CUP,
    LAMP,
    MUG,
    TEA,
    Counting,
    add_listings,
    command,
    line,
    place,
    prepare,
    stock_of,
    ticket,
)

CONNECTIONS = 16
MIXED = (
    [line(ALPHA, TEA, 2)],
    [line(ALPHA, CUP), line(BETA, MUG, 3)],
    [line(BETA, LAMP), line(ALPHA, TEA), line(BETA, MUG), line(ALPHA, CUP, 2)],
    [line(BETA, MUG, 5)],
)


@pytest.fixture
async def many(db: Database, clock: FixedClock) -> AsyncIterator[Database]:
    pool = Database(db.url, clock, pool_size=CONNECTIONS)
    yield pool
    await pool.close()


async def cart_of(db: Database, number: int, lines: Sequence[CartLine]) -> Cart:
    """A cart of a buyer of its own."""
    await db.write(WORKER, "test", _add_buyer, BUYER + number)
    return await db.write(WORKER, "shop", store.insert_cart, BUYER + number, "EUR", lines)


async def _add_buyer(tx: Tx, buyer_id: int) -> None:
    await tx.execute(
        "INSERT INTO demand.buyer (buyer_id, buyer_ref, created_at) VALUES (:buyer, :ref, :now) ON CONFLICT DO NOTHING",
        {"buyer": buyer_id, "ref": f"b{buyer_id}", "now": tx.now},
    )


async def commands(db: Database, *carts: Sequence[CartLine]) -> list[PlaceOrder]:
    return [await command(db, await cart_of(db, number, lines)) for number, lines in enumerate(carts)]


async def together(db: Database, cmds: Sequence[PlaceOrder], first: int = 0) -> list[Answer | AppError | None]:
    asked = [(ticket(f"k{number}"), cmd) for number, cmd in enumerate(cmds, first)]
    return await db.write(WORKER, "shop", place_together, asked)


def placed_by(outcome: Answer | AppError | None) -> Placed:
    assert isinstance(outcome, Answer), outcome
    assert (outcome.status, outcome.replayed) == (201, False)
    return msgspec.json.decode(outcome.body, type=Placed)


_STORED = {
    "purchase": "SELECT buyer_id, currency, source_state, placed_at FROM demand.purchase ORDER BY buyer_id",
    "merchant_order": """SELECT merchant_id, buyer_id, entity_id, currency, state, goods_minor, freight_minor,
        discount_minor, placed_at, purchased_on, refund_policy_id, expires_at, version
        FROM demand.merchant_order ORDER BY buyer_id, merchant_id""",
    "order_line": """SELECT o.buyer_id, l.merchant_id, l.line_no, l.product_id, l.category, l.title, l.quantity,
        l.goods_minor, l.freight_minor, l.discount_minor, l.contract_id
        FROM demand.order_line l JOIN demand.merchant_order o USING (merchant_id, order_id) ORDER BY 1, 2, 3""",
    "payment": """SELECT buyer_id, processor_id, method, currency, amount_minor, credit_minor, state, created_at,
        expires_at FROM billing.payment ORDER BY buyer_id""",
    "payment_part": """SELECT p.buyer_id, p.merchant_id, p.processor_id, p.currency, p.amount_minor, p.credit_minor,
        p.state FROM billing.payment_part p ORDER BY 1, 2""",
    "payment_command": """SELECT buyer_id, processor_id, kind, currency, amount_minor, method, state
        FROM billing.payment_command ORDER BY 1""",
    "cart": "SELECT buyer_id, state, version, updated_at FROM demand.cart ORDER BY 1",
    "stock": "SELECT merchant_id, product_id, on_hand, reserved FROM supply.stock ORDER BY 1, 2",
    "idempotency_key": "SELECT actor, key, status, fingerprint FROM core.idempotency_key ORDER BY key",
    "names": """SELECT r.buyer_id, r.order_ref = p.order_ref, o.order_ref = p.order_ref, c.purchase_id = p.purchase_id,
        y.purchase_id = p.purchase_id, (e.payload->>'order_ref') = p.order_ref
        FROM demand.purchase p JOIN demand.purchase_ref r USING (purchase_id)
        JOIN demand.merchant_order o USING (purchase_id) JOIN demand.cart c USING (purchase_id)
        JOIN billing.payment y USING (purchase_id)
        JOIN core.outbox e ON (e.payload->>'purchase_id')::bigint = p.purchase_id ORDER BY 1""",
    "changes": """SELECT o.buyer_id, c.merchant_id FROM demand.order_change c
        JOIN demand.merchant_order o USING (merchant_id, order_id) ORDER BY 1, 2""",
}
"""What is stored, but for the ids that are made anew."""


async def stored(db: Database) -> dict[str, list[tuple[Any, ...]]]:
    async with db.read(WORKER) as tx:
        return {name: [tuple(row) for row in await tx.rows(query)] for name, query in _STORED.items()}


_LISTED = st.sampled_from([(ALPHA, TEA), (ALPHA, CUP), (BETA, LAMP), (BETA, MUG)])
_CARTS = st.lists(st.dictionaries(_LISTED, st.integers(1, 3), min_size=1), min_size=2, max_size=4)


@settings(max_examples=8)
@given(_CARTS)
async def test_together_they_become_what_they_become_alone(
    maintenance_url: str, carts: list[dict[tuple[int, int], int]]
) -> None:
    filled = [[line(*key, quantity) for key, quantity in cart.items()] for cart in carts]
    async with fresh_database(maintenance_url) as db, fresh_database(maintenance_url) as other:
        for each in (db, other):
            await each.write(WORKER, "test", add_listings)
            await each.write(WORKER, "test", _much_of_everything)
        answered = [placed_by(one) for one in await together(db, await commands(db, *filled))]
        alone = [
            await place(other, await cart_of(other, number, lines), f"k{number}") for number, lines in enumerate(filled)
        ]
        assert [_without_ids(one) for one in answered] == [_without_ids(one) for one in alone]
        assert await stored(db) == await stored(other)
        await check_books(db)


async def _much_of_everything(tx: Tx) -> None:
    await tx.execute("UPDATE supply.stock SET on_hand = 100")


def _without_ids(placed: Placed) -> Placed:
    orders = [msgspec.structs.replace(order, order_id=0) for order in placed.orders]
    return msgspec.structs.replace(placed, purchase_id=0, payment_id=0, order_ref="", orders=orders)


async def test_one_that_is_refused_takes_nothing_away_from_the_others(db: Database) -> None:
    await prepare(db)
    cheap, tea, mugs, gone, empty = await commands(
        db, [line(ALPHA, TEA)], [line(ALPHA, TEA, 2)], [line(BETA, MUG)], [line(BETA, MUG)], []
    )
    await db.write(WORKER, "shop", _drop, gone)
    asked = [
        msgspec.structs.replace(cheap, quote="0" * 32),
        tea,
        msgspec.structs.replace(tea, buyer_id=7_777),
        gone,
        mugs,
        empty,
    ]
    changed, first, nobody, dropped, second, nothing = await together(db, asked)
    assert isinstance(changed, QuoteChanged)
    assert isinstance(nobody, NotFound)
    assert isinstance(dropped, Conflict)
    assert isinstance(nothing, Conflict)
    assert (placed_by(first).total_minor, placed_by(second).total_minor) == (3_100, 550)
    assert (await stock_of(db, ALPHA, TEA), await stock_of(db, BETA, MUG)) == ((10, 2), (100, 1))
    assert [row[1] for row in (await stored(db))["idempotency_key"]] == ["k1", "k4"]
    await check_books(db)


async def _drop(tx: Tx, cmd: PlaceOrder) -> None:
    await store.drop_cart(tx, await store.get_cart(tx, cmd.buyer_id, cmd.cart_id, lock=True))


async def test_too_little_for_one_is_said_to_it_and_too_little_for_all_is_found_out_one_by_one(db: Database) -> None:
    await prepare(db)
    four = await commands(db, *([line(ALPHA, TEA, 3)] for _ in range(4)))
    too_many, one = await commands(db, [line(BETA, LAMP, 4)], [line(BETA, LAMP)])
    refused, taken = await together(db, [too_many, one])
    assert isinstance(refused, OutOfStock | QuoteChanged)
    assert placed_by(taken).total_minor == 5_900
    with pytest.raises(PlaceAlone):
        await together(db, four, first=10)
    assert await stock_of(db, ALPHA, TEA) == (10, 0)
    checkouts = Checkouts(db)
    outcomes = await asyncio.gather(
        *(checkouts.place(ticket(f"k{number}"), cmd) for number, cmd in enumerate(four, 20)), return_exceptions=True
    )
    assert sorted(isinstance(one, Answer) for one in outcomes) == [False, True, True, True]
    assert [type(one) for one in outcomes if not isinstance(one, Answer)] == [OutOfStock]
    assert await stock_of(db, ALPHA, TEA) == (10, 9)
    await check_books(db)


async def test_many_are_placed_in_two_round_trips(db: Database) -> None:
    """Decision D8, for all of them."""
    await prepare(db)
    cmds = await commands(db, *MIXED)
    sent: list[str] = []

    async def counted(tx: Any, *given: Any) -> Any:
        return await place_together(Counting(tx, sent), *given)  # type: ignore[arg-type]  # as a transaction does

    await db.write(WORKER, "shop", counted, [(ticket(f"k{number}"), cmd) for number, cmd in enumerate(cmds)])
    assert len(sent) == 2


async def test_a_twin_gets_the_same_answer_byte_for_byte_and_another_body_is_refused(db: Database) -> None:
    await prepare(db)
    checkouts = Checkouts(db)
    first, other = await commands(db, [line(ALPHA, TEA)], [line(BETA, MUG)])
    asked = [(ticket("k1"), first), (ticket("k2"), other), (ticket("k1"), first), (ticket("k1", b"else"), first)]
    outcomes = await asyncio.gather(*(checkouts.place(*one) for one in asked), return_exceptions=True)
    assert isinstance(outcomes[0], Answer)
    body = outcomes[0].body
    assert isinstance(outcomes[1], Answer)
    assert isinstance(outcomes[2], KeyInFlight) or outcomes[2] == Answer(201, body, replayed=True)
    assert isinstance(outcomes[3], KeyInFlight | KeyReused)
    assert await checkouts.place(*asked[2]) == Answer(201, body, replayed=True)
    with pytest.raises(KeyReused):
        await checkouts.place(*asked[3])
    same, another = await asyncio.gather(checkouts.place(ticket("k8"), first), checkouts.place(ticket("k9"), other))
    assert same.body == body  # under another key it is the purchase that the cart has become
    assert another.body != body
    assert len((await stored(db))["purchase"]) == 2


async def test_sixteen_at_once_sell_the_last_units_once(many: Database) -> None:
    await prepare(many)
    lines = [line(ALPHA, TEA), line(BETA, LAMP), line(BETA, MUG), line(ALPHA, CUP)]
    cmds = await commands(many, *(lines if number % 2 else lines[::-1] for number in range(2 * CONNECTIONS)))
    desks = [Checkouts(many), Checkouts(many)]  # as two processes have one each

    async def attempt(number: int, cmd: PlaceOrder) -> bool:
        try:
            await desks[number % 2].place(ticket(f"k{number}"), cmd)
        except Conflict:
            return False
        return True

    async with asyncio.timeout(60):
        won = await asyncio.gather(*(attempt(number, cmd) for number, cmd in enumerate(cmds)))
    assert sum(won) == 3  # three lamps
    assert [await stock_of(many, *key) for key in ((ALPHA, TEA), (BETA, LAMP), (BETA, MUG))] == [
        (10, 3), (3, 3), (100, 3),
    ]  # fmt: skip
    await check_books(many)


async def test_each_gets_its_own_discount_and_the_budget_gives_no_more_than_it_has(
    db: Database, clock: FixedClock
) -> None:
    """Ten carts at once, eight of them with 15.00 off, of 67.00: four get it, and none is placed at another price."""
    await discounted_market(
        db, clock, off(limit_minor=6_700, qualify=Qualify(event=Equals(attribute="merchant.id", value=ALPHA)))
    )
    tea, mugs = [line(ALPHA, TEA)], [line(BETA, MUG)]
    cmds = await commands(db, *[tea] * 8, *[mugs] * 2)
    checkouts = Checkouts(db)
    outcomes = await asyncio.gather(
        *(checkouts.place(ticket(f"k{number}"), cmd) for number, cmd in enumerate(cmds)), return_exceptions=True
    )
    given = [placed_by(one).discount_minor for one in outcomes if isinstance(one, Answer)]
    refused = [one for one in outcomes if not isinstance(one, Answer)]
    assert sorted(given) == [0, 0, 1_500, 1_500, 1_500, 1_500]
    assert [type(one) for one in refused] == [QuoteChanged] * 4
    await check_budgets(db)
    await check_books(db)


async def test_discounted_carts_are_placed_in_one_transaction(db: Database, clock: FixedClock) -> None:
    await discounted_market(db, clock, off(qualify=Qualify(event=Equals(attribute="merchant.id", value=ALPHA))))
    cmds = await commands(db, [line(ALPHA, TEA)], [line(BETA, MUG)], [line(ALPHA, TEA, 2), line(BETA, MUG)])
    assert [placed_by(one).discount_minor for one in await together(db, cmds)] == [1_500, 0, 3_000]
    async with db.read(WORKER) as tx:
        kept = await tx.rows(
            """SELECT d.buyer_id, d.amount_minor, p.award_minor FROM incentives.order_discount d
               JOIN incentives.buyer_progress p ON p.buyer_id = d.buyer_id AND p.span = d.order_id::text
               ORDER BY d.buyer_id"""
        )
    assert [tuple(row) for row in kept] == [(BUYER, 1_500, 1_500), (BUYER + 2, 3_000, 3_000)]
    await check_budgets(db)
    await check_books(db)


async def test_what_costs_nothing_is_paid_at_once_beside_others_too(db: Database, clock: FixedClock) -> None:
    await discounted_market(db, clock, off(1_000_000, limit_minor=5_000_000))
    cmds = await commands(db, [line(ALPHA, TEA)], [line(ALPHA, TEA, 2)])
    assert await together(db, cmds) == [None, None]
    checkouts = Checkouts(db)
    await asyncio.gather(*(checkouts.place(ticket(f"k{number}"), cmd) for number, cmd in enumerate(cmds)))
    async with db.read(WORKER) as tx:
        paid = await tx.rows(
            "SELECT p.state, o.state FROM billing.payment p JOIN demand.merchant_order o USING (purchase_id)"
        )
    assert [tuple(row) for row in paid] == [("captured", "paid")] * 2
    await check_books(db)


async def test_a_row_that_somebody_holds_keeps_nobody_else_waiting(many: Database) -> None:
    await prepare(many)
    cmds = await commands(many, [line(ALPHA, TEA)], [line(ALPHA, TEA)], [line(BETA, MUG)], [line(BETA, LAMP)])
    checkouts, holds, go = Checkouts(many), asyncio.Event(), asyncio.Event()

    async def hold(tx: Tx) -> None:
        await tx.execute("SELECT FROM supply.stock WHERE product_id = :tea FOR UPDATE", {"tea": TEA})
        holds.set()
        await go.wait()

    holding = asyncio.create_task(many.write(WORKER, "import", hold))
    await holds.wait()
    placing = []
    for number, cmd in enumerate(cmds):  # one after another, so that each finds the goes of those before it
        placing.append(asyncio.create_task(checkouts.place(ticket(f"k{number}"), cmd)))
        await asyncio.sleep(0)
    async with asyncio.timeout(20):
        await asyncio.gather(*placing[2:])
    assert not any(task.done() for task in placing[:2])
    go.set()
    await asyncio.gather(holding, *placing)
    await check_books(many)


async def test_one_carts_fault_is_no_other_carts(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    await prepare(db)
    cmds = await commands(db, [line(ALPHA, TEA)], [line(BETA, MUG)])
    broken, values_of = cmds[0].cart_id, placement.values_of

    def values(now: Any, placements: Any) -> Any:
        if any(each.cmd.cart_id == broken for each in placements):
            raise ArithmeticError("a fault of this cart")
        return values_of(now, placements)

    monkeypatch.setattr(module, "values_of", values)
    checkouts = Checkouts(db)
    outcomes = await asyncio.gather(
        *(checkouts.place(ticket(f"k{number}"), cmd) for number, cmd in enumerate(cmds)), return_exceptions=True
    )
    assert isinstance(outcomes[0], ArithmeticError)
    assert placed_by(outcomes[1]).total_minor == 550  # type: ignore[arg-type]  # an Answer


async def test_discounted_carts_of_one_transaction_take_from_different_shards(db: Database, clock: FixedClock) -> None:
    await discounted_market(db, clock, off(qualify=Qualify(event=Equals(attribute="merchant.id", value=ALPHA))))
    await together(db, await commands(db, *([line(ALPHA, TEA)] for _ in range(4))))
    async with db.read(WORKER) as tx:
        shards = await tx.rows("SELECT DISTINCT n FROM incentives.budget_reservation")
    assert len(shards) == 4
    await check_budgets(db)
