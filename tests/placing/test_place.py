"""Placing a cart: what is stored, what is refused, and that it happens once."""

import asyncio
from datetime import date, timedelta
from typing import Any

import msgspec
import pytest

from billing.contracts.terms import Terms
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database
from marketplace.core.errors import AppError, Conflict, Invalid, NotFound
from marketplace.core.idempotency import KeyReused
from marketplace.flows.commission.apply_contracts import apply_versions
from marketplace.flows.orders.place_order import QuoteChanged, place_order
from marketplace.flows.orders.placement import TIME_TO_PAY
from marketplace.flows.orders.read_placed import read_placed
from marketplace.flows.orders.release_order import expire_orders
from supply.store import join
from tests.billing.market import check_books
from tests.placing.market import (
    ALPHA,
    BETA,
    BUYER,
    CUP,
    LAMP,
    MUG,
    TEA,
    Counting,
    command,
    line,
    new_cart,
    place,
    prepare,
    stock_of,
    ticket,
)


async def rows(db: Database, query: str) -> list[Any]:
    async with db.read(WORKER) as tx:
        return [tuple(row) for row in await tx.rows(query)]


async def test_a_cart_becomes_one_order_per_merchant_in_one_payment(db: Database) -> None:
    await prepare(db)
    placed = await place(db, await new_cart(db, line(BETA, LAMP), line(ALPHA, TEA, 2), line(ALPHA, CUP, 3)))
    assert placed.total_minor == placed.pay_minor == 2 * 1_550 + 3 * 799 + 5_900
    assert [(order.merchant_id, order.goods_minor, order.freight_minor) for order in placed.orders] == [
        (ALPHA, 2 * 1_250 + 3 * 799, 600),
        (BETA, 5_000, 900),
    ]
    assert await rows(
        db, "SELECT merchant_id, state, goods_minor, freight_minor FROM demand.merchant_order ORDER BY 1"
    ) == [
        (ALPHA, "placed", 4_897, 600),
        (BETA, "placed", 5_000, 900),
    ]
    assert await rows(
        db, "SELECT merchant_id, line_no, product_id, title, quantity, goods_minor FROM demand.order_line ORDER BY 1, 2"
    ) == [(ALPHA, 1, TEA, "Tea", 2, 2_500), (ALPHA, 2, CUP, "Cup", 3, 2_397), (BETA, 1, LAMP, "Lamp", 1, 5_000)]
    assert await rows(db, "SELECT sum(amount_minor) FROM billing.payment_part") == [(placed.total_minor,)]
    assert await rows(db, "SELECT kind, amount_minor, method FROM billing.payment_command") == [
        ("authorise", placed.total_minor, "tok_ok")
    ]
    assert await rows(db, "SELECT topic FROM core.outbox") == [("demand.purchase_placed.v1",)]
    assert (await stock_of(db, ALPHA, TEA), await stock_of(db, BETA, LAMP)) == ((10, 2), (3, 1))
    assert await rows(db, "SELECT count(*) FROM billing.entry") == [(0,)]
    await check_books(db)


async def test_what_is_charged_is_what_was_quoted(db: Database) -> None:
    await prepare(db)
    cart = await new_cart(db, line(ALPHA, TEA))
    cmd = await command(db, cart)
    await db.write(WORKER, "test", _execute, "UPDATE supply.offer SET price_minor = price_minor + 1")
    with pytest.raises(QuoteChanged, match="the price has changed") as refusal:
        await db.write(WORKER, "shop", place_order, ticket(), cmd)
    assert refusal.value.extra["quote"]["total_minor"] == 1_551
    assert await rows(db, "SELECT count(*) FROM demand.merchant_order") == [(0,)]
    assert (await place(db, cart)).total_minor == 1_551


async def _execute(tx: Any, statement: str) -> None:
    await tx.execute(statement)


async def test_the_same_request_again_gets_the_same_bytes_and_one_effect(db: Database) -> None:
    await prepare(db)
    cmd = await command(db, await new_cart(db, line(ALPHA, TEA)))
    first = await db.write(WORKER, "shop", place_order, ticket(), cmd)
    again = await db.write(WORKER, "shop", place_order, ticket(), cmd)
    assert (again.body, again.replayed) == (first.body, True)
    with pytest.raises(KeyReused):
        await db.write(WORKER, "shop", place_order, ticket(body=b"other"), cmd)
    assert await rows(db, "SELECT count(*) FROM demand.purchase") == [(1,)]


async def test_pain_1_a_second_completion_of_a_cart_returns_the_first_result(db: Database) -> None:
    """mercur#909: a payment webhook ran the checkout again and deleted what had been paid."""
    await prepare(db)
    cart = await new_cart(db, line(ALPHA, TEA), line(BETA, MUG, 7))
    first = await place(db, cart, "k1")
    again = await place(db, cart, "another key")
    assert again == first
    assert (await stock_of(db, ALPHA, TEA), await stock_of(db, BETA, MUG)) == ((10, 1), (100, 7))
    async with db.read(WORKER) as tx:
        assert await read_placed(tx, BUYER, first.purchase_id) == first


async def test_a_lost_acknowledgement_and_a_retry_have_one_effect(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit arrives, its answer does not: the client sends the same request again."""
    await prepare(db)
    cart = await new_cart(db, line(ALPHA, TEA))
    cmd = await command(db, cart)
    committed = await db.write(WORKER, "shop", place_order, ticket(), cmd)
    again = await asyncio.gather(
        *(db.write(WORKER, "shop", place_order, ticket(), cmd) for _ in range(4)), return_exceptions=True
    )
    assert {answer.body for answer in again if not isinstance(answer, BaseException)} == {committed.body}
    assert all(isinstance(each, AppError) for each in again if isinstance(each, BaseException))
    assert await rows(db, "SELECT count(*), sum(reserved) FROM demand.purchase, supply.stock WHERE reserved > 0") == [
        (1, 1)
    ]


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([(ALPHA, TEA, 11)], "only 10 left"),
        ([(ALPHA, 99, 1)], "is not for sale"),
        ([(99, TEA, 1)], "is not for sale"),
        ([], "is empty"),
    ],
)
async def test_what_cannot_be_bought_is_refused_and_nothing_is_stored(
    db: Database, lines: list[tuple[int, int, int]], reason: str
) -> None:
    await prepare(db)
    cart = await new_cart(db, *(line(*each) for each in lines))
    with pytest.raises(Conflict, match=reason):
        await place(db, cart)
    assert await rows(db, "SELECT (SELECT count(*) FROM demand.purchase), sum(reserved) FROM supply.stock") == [(0, 0)]
    assert await rows(db, "SELECT state FROM demand.cart") == [("open",)]


async def test_a_suspended_merchant_and_a_hidden_listing_sell_nothing(db: Database) -> None:
    await prepare(db)
    cart = await new_cart(db, line(ALPHA, TEA), line(BETA, LAMP))
    await db.write(WORKER, "test", _execute, f"UPDATE supply.offer SET state = 'hidden' WHERE product_id = {TEA}")
    await db.write(
        WORKER, "test", _execute, f"UPDATE supply.merchant SET state = 'suspended' WHERE merchant_id = {BETA}"
    )
    with pytest.raises(QuoteChanged) as refusal:
        await place(db, cart)
    assert refusal.value.detail.count("is not for sale") == 2


async def test_other_things_that_are_not_there(db: Database) -> None:
    await prepare(db)
    cart = await new_cart(db, line(ALPHA, TEA))
    cmd = await command(db, cart)
    for change, kind in (({"cart_id": 9}, NotFound), ({"buyer_id": 9}, NotFound), ({"processor": "none"}, Conflict)):
        with pytest.raises(kind):
            await db.write(WORKER, "shop", place_order, ticket(), _replace(cmd, **change))
    with pytest.raises(Conflict, match="credit"):
        await place(db, cart, credit_minor=1)
    with pytest.raises(Invalid, match="more than the total"):
        await place(db, cart, credit_minor=10**6)


def _replace(cmd: Any, **changes: Any) -> Any:
    return type(cmd)(**{name: getattr(cmd, name) for name in cmd.__struct_fields__} | changes)


async def test_stock_that_nobody_pays_for_comes_back(db: Database, clock: FixedClock) -> None:
    await prepare(db)
    placed = await place(db, await new_cart(db, line(ALPHA, TEA, 10), line(BETA, LAMP)))
    assert placed.expires_at == clock.now() + TIME_TO_PAY
    assert await expire_orders(db, "clock", clock.now()) == 0
    clock.move_to(clock.now() + TIME_TO_PAY + timedelta(seconds=1))
    assert await expire_orders(db, "clock", clock.now()) == 2
    assert await expire_orders(db, "clock", clock.now()) == 0
    assert (await stock_of(db, ALPHA, TEA), await stock_of(db, BETA, LAMP)) == ((10, 0), (3, 0))
    assert await rows(db, "SELECT DISTINCT state FROM demand.merchant_order") == [("cancelled",)]
    assert await rows(db, "SELECT DISTINCT state FROM billing.payment_part") == [("released",)]
    assert await rows(db, "SELECT state FROM billing.payment") == [("voided",)]
    assert await rows(db, "SELECT kind FROM billing.payment_command ORDER BY command_id") == [("authorise",), ("void",)]
    assert (await place(db, await new_cart(db, line(ALPHA, TEA, 10)), "k2")).total_minor == 15_500


async def test_every_write_is_one_round_trip_after_the_read(db: Database) -> None:
    """Decision D8: two round trips inside the transaction, whatever the cart holds."""
    await prepare(db)
    counts = []
    for lines in ([line(ALPHA, TEA)], [line(ALPHA, TEA), line(ALPHA, CUP), line(BETA, LAMP), line(BETA, MUG)]):
        cmd = await command(db, await new_cart(db, *lines))
        sent: list[str] = []

        async def counted(tx: Any, *given: Any, sent: list[str] = sent) -> Any:
            return await place_order(Counting(tx, sent), *given)  # type: ignore[arg-type]  # as a transaction does

        await db.write(WORKER, "shop", counted, ticket(f"k{len(lines)}"), cmd)
        counts.append(len(sent))
    assert counts == [2, 2]


async def test_a_merchant_in_its_first_months_sells_under_the_rate_for_them(db: Database) -> None:
    await prepare(db)
    standard = Terms(name="standard", currency="EUR", valid_from=date(2018, 4, 1), rate_ppm=100_000)
    welcome = msgspec.structs.replace(standard, name="welcome", valid_from=date(2018, 1, 1), first_months=2)
    await db.write(WORKER, "test", apply_versions, [standard, welcome])
    async with db.read(WORKER) as tx:
        today = tx.now.date()
    await db.write(WORKER, "test", join, ALPHA, today - timedelta(days=20))
    await db.write(WORKER, "test", join, BETA, today - timedelta(days=70))
    await place(db, await new_cart(db, line(ALPHA, TEA), line(BETA, MUG)))
    sold = (
        "SELECT l.merchant_id, k.name FROM demand.order_line l JOIN billing.contract k USING (contract_id) ORDER BY 1"
    )
    assert await rows(db, sold) == [(ALPHA, "welcome"), (BETA, "standard")]
