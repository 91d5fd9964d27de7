"""Returns: asked for, decided, received; the units' share goes back before and after settlement."""

from datetime import timedelta
from typing import Any

import pytest

from demand.fulfilment.model import RETURNED_WITHIN, Return, ReturnMove
from demand.fulfilment.units import LineUnits
from demand.lifecycle import Party
from demand.model import OrderState
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database
from marketplace.core.errors import Conflict, Forbidden, Invalid, NotFound
from marketplace.flows.commission.settle_orders import settle_through
from marketplace.flows.refunds.return_order import (
    AskReturn,
    DecideReturn,
    Received,
    ReceiveReturn,
    ask_return,
    decide_return,
    receive_return,
)
from tests.billing.market import check_books
from tests.builders import Line as PlainLine
from tests.builders import Order, add_orders
from tests.conftest import NOW
from tests.orders.market import SHELF, Bought, Sold, read_order, shelf, shop_with, simple
from tests.orders.test_cancellation import accounts
from tests.orders.test_fulfilment import THE_ORDER, arrive, ship


async def ask(
    db: Database, *lines: tuple[int, int], party: Party = Party.BUYER, order_id: int = 1, reason: str = "damaged"
) -> Return:
    units = tuple(LineUnits(*line) for line in lines) or None
    cmd = AskReturn(merchant_id=1, order_id=order_id, party=party, reason=reason, note="broken", lines=units)
    return await db.write(WORKER, "shop", ask_return, cmd)


async def decide(
    db: Database, asked: Return, move: ReturnMove, party: Party = Party.MERCHANT, note: str = "seen"
) -> Return:
    cmd = DecideReturn(
        merchant_id=1, order_id=asked.order_id, party=party, return_id=asked.return_id, move=move, note=note
    )
    return await db.write(WORKER, "mia", decide_return, cmd)


async def receive(db: Database, asked: Return, **values: Any) -> Received:
    cmd = ReceiveReturn(
        merchant_id=1, order_id=asked.order_id, party=Party.MERCHANT, return_id=asked.return_id, **values
    )
    return await db.write(WORKER, "mia", receive_return, cmd)


async def give_back(
    db: Database, *lines: tuple[int, int], party: Party = Party.BUYER, reason: str = "damaged", **values: Any
) -> Received:
    """Asked for, approved and received."""
    asked = await ask(db, *lines, party=party, reason=reason)
    await decide(db, asked, ReturnMove.APPROVE)
    return await receive(db, asked, **values)


async def delivered(db: Database, *orders: Bought) -> None:
    await shop_with(db, *orders or (simple(),))
    await arrive(db, await ship(db))


async def test_units_come_back_after_settlement_and_with_the_last_the_order_is_returned(db: Database) -> None:
    await delivered(db)
    await settle_through(db, "test", NOW.date())
    first = await give_back(db, (1, 1))
    assert first.refund is not None
    assert (first.returned.state, first.returned.refund_id) == ("refunded", first.refund.refund_id)
    assert (first.refund.gross_minor, first.refund.commission_minor, first.refund.vat_minor) == (4000, 400, 80)
    assert (first.order_state, await shelf(db)) == (OrderState.SETTLED, (SHELF - 3, 0))
    await check_books(db)
    last = await give_back(db, restock=True)
    assert (last.order_state, await shelf(db)) == (OrderState.RETURNED, (SHELF - 1, 0))
    assert await accounts(db) == {1020: 12000, 2400: -12000}
    assert (await read_order(db)).lines[0].returned_quantity == 3
    with pytest.raises(Conflict):
        await ask(db)
    await check_books(db)


async def test_units_that_come_back_before_settlement_are_not_settled(db: Database) -> None:
    await delivered(db)
    await give_back(db, (1, 1))
    await check_books(db)
    assert (await settle_through(db, "test", NOW.date())).orders == 1
    assert await accounts(db) == {1020: 12000, 2000: -7040, 2300: -160, 2400: -4000, 4000: -800}
    await check_books(db)


async def test_an_order_that_comes_back_whole_before_settlement_is_due_no_more(db: Database) -> None:
    await delivered(db)
    await give_back(db)
    assert (await read_order(db)).order.state is OrderState.RETURNED
    async with db.read(WORKER) as tx:
        assert await tx.scalar("SELECT count(*) FROM demand.order_due") == 0
    assert (await settle_through(db, "test", NOW.date())).orders == 0
    assert await accounts(db) == {1020: 12000, 2400: -12000}
    await check_books(db)


@pytest.mark.parametrize(
    ("party", "reason", "shares"),
    [
        (Party.PLATFORM, "changed_mind", [341, 340, 339]),
        (Party.BUYER, "changed_mind", [307, 307, 306]),
        (Party.BUYER, "too_small", [307, 307, 306]),
        (Party.BUYER, "damaged", [341, 340, 339]),
    ],
)
async def test_unit_by_unit_the_discounted_line_comes_back_to_the_cent(
    db: Database, party: Party, reason: str, shares: list[int]
) -> None:
    """Of what a buyer returns for its own reasons the freight is not given back: so the default policy.

    What the merchant has done wrong costs the buyer nothing.
    """
    line = Sold(quantity=3, goods_minor=1000, freight_minor=100, discount_minor=80)
    await delivered(db, Bought(merchant_id=1, order_id=1, lines=(line,)))
    await settle_through(db, "test", NOW.date())
    backs = [await give_back(db, (1, 1), party=party, reason=reason) for _ in range(3)]
    assert [back.refund.gross_minor for back in backs if back.refund] == shares
    async with db.read(WORKER) as tx:
        reasons = {row.reason for row in await tx.rows("SELECT reason FROM demand.refund")}
    assert reasons == {"damaged" if reason == "damaged" else "returned"}
    assert (await read_order(db)).order.state is OrderState.RETURNED
    await check_books(db)


async def test_the_window_closes(db: Database, clock: FixedClock) -> None:
    await delivered(db)
    clock.move_to(NOW + RETURNED_WITHIN)
    await ask(db, (1, 1))
    clock.move_to(NOW + RETURNED_WITHIN + timedelta(seconds=1))
    with pytest.raises(Conflict, match="more than 30 days"):
        await ask(db, (1, 1))


async def test_units_are_asked_for_once(db: Database) -> None:
    await delivered(db)
    first = await ask(db, (1, 2))
    with pytest.raises(Invalid, match="what is left to be returned"):
        await ask(db, (1, 2))
    rest = await ask(db)
    assert rest.lines == [LineUnits(1, 1)]
    with pytest.raises(Conflict, match="nothing is left"):
        await ask(db)
    assert (await decide(db, first, ReturnMove.CANCEL, Party.BUYER)).state == "cancelled"
    await ask(db, (1, 2))


async def test_a_refusal_says_why_and_is_the_end_of_it(db: Database) -> None:
    await delivered(db)
    asked = await ask(db)
    with pytest.raises(Invalid, match="note"):
        await decide(db, asked, ReturnMove.REFUSE, note=" ")
    refused = await decide(db, asked, ReturnMove.REFUSE, note="worn")
    assert (refused.state, refused.decision_note, refused.decided_at) == ("refused", "worn", NOW)
    with pytest.raises(Conflict):
        await decide(db, asked, ReturnMove.APPROVE)
    with pytest.raises(Conflict):
        await receive(db, asked)
    assert (await read_order(db)).refunds == []


async def test_who_may_do_what(db: Database) -> None:
    await delivered(db)
    with pytest.raises(Forbidden):
        await ask(db, party=Party.MERCHANT)
    asked = await ask(db)
    with pytest.raises(Forbidden):
        await decide(db, asked, ReturnMove.APPROVE, Party.BUYER)
    with pytest.raises(Conflict, match="one may receive what is approved"):
        await receive(db, asked)
    with pytest.raises(NotFound):
        await db.write(WORKER, "mia", receive_return, ReceiveReturn(**THE_ORDER, party=Party.MERCHANT, return_id=9))


async def test_what_is_not_delivered_is_not_returned(db: Database) -> None:
    await shop_with(db, simple())
    await ship(db)
    with pytest.raises(Conflict, match="fulfilling"):
        await ask(db)


async def test_what_was_imported_delivered_can_be_returned_without_having_been_shipped(db: Database) -> None:
    await shop_with(db, simple())
    imported = Order(merchant_id=1, order_id=7, lines=(PlainLine(goods_minor=900),), placed_at=NOW, settles_at=NOW)
    await db.write(WORKER, "test", add_orders, [imported])
    await settle_through(db, "test", NOW.date())
    asked = await ask(db, order_id=7)
    await decide(db, asked, ReturnMove.APPROVE)
    back = await receive(db, asked, restock=True)
    assert (back.order_state, back.refund and back.refund.gross_minor) == (OrderState.RETURNED, 900)
    await check_books(db)


async def test_freight_that_is_not_given_back_is_settled_all_the_same(db: Database) -> None:
    line = Sold(quantity=1, goods_minor=1000, freight_minor=100)
    await delivered(db, Bought(merchant_id=1, order_id=1, lines=(line,)))
    back = await give_back(db, reason="changed_mind")
    assert (back.order_state, back.refund and back.refund.gross_minor) == (OrderState.RETURNED, 1000)
    await check_books(db)
    assert (await settle_through(db, "test", NOW.date())).orders == 1
    assert (await accounts(db))[2000] == -100
    await check_books(db)


async def test_units_worth_nothing_come_back_without_a_refund(db: Database) -> None:
    gift = Sold(quantity=1, goods_minor=500, discount_minor=500, product_id=2)
    await delivered(db, Bought(merchant_id=1, order_id=1, lines=(Sold(quantity=1, goods_minor=1000), gift)))
    back = await give_back(db, (2, 1))
    assert (back.returned.state, back.refund, back.order_state) == ("received", None, OrderState.DELIVERED)
    await check_books(db)
