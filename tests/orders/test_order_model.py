"""Any history of one order against the model: state, units, money and shelf agree, and the books still prove."""

import asyncio
from collections.abc import Coroutine
from typing import Any, ClassVar

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from demand.fulfilment.model import ReturnMove
from demand.fulfilment.units import LineUnits
from demand.lifecycle import Party
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import AppError
from marketplace.flows.commission.settle_orders import settle_through
from marketplace.flows.orders.cancel_order import CancelLines, CancelOrder, cancel_lines, cancel_order
from marketplace.flows.orders.fulfil_order import (
    DeliverShipment,
    ShipOrder,
    accept_order,
    complete_order,
    deliver_shipment,
    ship_order,
)
from marketplace.flows.orders.hold_order import Act
from marketplace.flows.refunds.return_order import (
    AskReturn,
    DecideReturn,
    ReceiveReturn,
    ask_return,
    decide_return,
    receive_return,
)
from tests.billing.market import check_books
from tests.conftest import NOW, fresh_database
from tests.orders.market import Bought, Sold, add_purchase, add_shop, read_order, shelf
from tests.orders.model_order import ModelOrder, model_line

units = st.tuples(st.integers(0, 3), st.integers(0, 2)).map(list)


@st.composite
def sold(draw: st.DrawFn) -> tuple[Sold, ...]:
    """Two lines of different products; one may be worth nothing."""
    lines = []
    for product, most in ((1, 4), (2, 2)):
        goods = draw(st.integers(0, 1000))
        discount = draw(st.sampled_from([0, goods // 7, goods]))
        lines.append(
            Sold(
                quantity=draw(st.integers(1, most)),
                goods_minor=goods,
                freight_minor=draw(st.sampled_from([0, 101])),
                discount_minor=discount,
                product_id=product,
            )
        )
    if all(line.goods_minor == line.discount_minor and not line.freight_minor for line in lines):
        lines[0] = Sold(quantity=lines[0].quantity, goods_minor=1000)  # a payment is of something
    return tuple(lines)


class OrderMachine(RuleBasedStateMachine):
    """One order at a time, in a market in which the orders of earlier histories stay."""

    db: ClassVar[Database]
    runner: ClassVar[asyncio.Runner]
    orders: ClassVar[int]

    def wait(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    @initialize(lines=sold(), steps=st.integers(0, 3))
    def buy(self, lines: tuple[Sold, ...], steps: int) -> None:
        """A paid order; so that the later states are seen as often, some are under way or settled already."""
        type(self).orders += 1
        self.order_id = self.orders
        bought = Bought(merchant_id=1, order_id=self.order_id, lines=lines)
        self.wait(self.db.write(WORKER, "test", add_purchase, self.order_id, [bought]))
        self.shipment_ids: list[int] = []
        self.model = ModelOrder(
            [model_line(one.quantity, one.goods_minor, one.freight_minor, one.discount_minor) for one in lines],
            [list(self.wait(shelf(self.db, 1, one.product_id))) for one in lines],
        )
        for step in (self.ship_the_rest, self.complete, self.settle)[:steps]:
            step()

    def act(self, allowed: bool, flow: Any, kind: Any, party: Party, **values: Any) -> Any:
        """Do it; where the model says that it may not be, it is refused."""
        cmd = kind(merchant_id=1, order_id=self.order_id, party=party, **values)
        if allowed:
            return self.wait(self.db.write(WORKER, "test", flow, cmd))
        with pytest.raises(AppError):
            self.wait(self.db.write(WORKER, "test", flow, cmd))
        return None

    @rule()
    def accept(self) -> None:
        self.act(self.model.accept(), accept_order, Act, Party.MERCHANT)

    @rule(wanted=units)
    def ship(self, wanted: list[int]) -> None:
        shipped = self.act(self.model.ship(wanted), ship_order, ShipOrder, Party.MERCHANT, lines=line_units(wanted))
        if shipped:
            self.shipment_ids.append(shipped.shipment.shipment_id)

    @rule()
    def ship_the_rest(self) -> None:
        wanted = [line.unshipped for line in self.model.lines]
        shipped = self.act(self.model.ship(wanted), ship_order, ShipOrder, Party.MERCHANT)
        if shipped:
            self.shipment_ids.append(shipped.shipment.shipment_id)

    @rule(which=st.integers(0, 3))
    def deliver(self, which: int) -> None:
        if which < len(self.shipment_ids):
            shipment_id = self.shipment_ids[which]
            allowed = self.model.deliver(which)
            self.act(allowed, deliver_shipment, DeliverShipment, Party.MERCHANT, shipment_id=shipment_id)

    @rule()
    def complete(self) -> None:
        self.act(self.model.complete(), complete_order, Act, Party.BUYER)

    @rule(party=st.sampled_from([Party.BUYER, Party.MERCHANT, Party.PLATFORM]), really=st.sampled_from([True, False]))
    def cancel(self, party: Party, really: bool) -> None:
        if really:
            self.act(self.model.cancel(party), cancel_order, CancelOrder, party)

    @rule(wanted=units)
    def cancel_part(self, wanted: list[int]) -> None:
        allowed = self.model.cancel_part(wanted)
        self.act(allowed, cancel_lines, CancelLines, Party.MERCHANT, lines=line_units(wanted))

    @rule(wanted=units, party=st.sampled_from([Party.BUYER, Party.PLATFORM]), restock=st.booleans())
    def give_some_back(self, wanted: list[int], party: Party, restock: bool) -> None:
        self.give_back(wanted, party, restock=restock)

    def give_back(self, wanted: list[int], party: Party, *, restock: bool) -> None:
        allowed = self.model.give_back(wanted, party, restock=restock)
        asked = self.act(allowed, ask_return, AskReturn, party, reason="changed_mind", lines=line_units(wanted))
        if asked:
            named = {"return_id": asked.return_id}
            self.act(True, decide_return, DecideReturn, Party.MERCHANT, move=ReturnMove.APPROVE, **named)
            self.act(True, receive_return, ReceiveReturn, Party.MERCHANT, restock=restock, **named)

    @rule(party=st.sampled_from([Party.BUYER, Party.PLATFORM]))
    def give_back_the_rest(self, party: Party) -> None:
        self.give_back([line.kept for line in self.model.lines], party, restock=False)

    @rule()
    def settle(self) -> None:
        self.model.settle()
        self.wait(settle_through(self.db, "test", NOW.date()))

    @invariant()
    def it_is_as_the_model_says(self) -> None:
        if not hasattr(self, "model"):
            return
        model, found = self.model, self.wait(read_order(self.db, 1, self.order_id))
        state = "settled" if model.settled and model.state == "delivered" else model.state
        assert found.order.state == state
        for line, wanted in zip(found.lines, model.lines, strict=True):
            counts = (line.cancelled_quantity, line.shipped_quantity, line.delivered_quantity, line.returned_quantity)
            assert counts == (wanted.cancelled, wanted.shipped, wanted.delivered, wanted.returned)
            assert line.goods_minor - line.discount_minor - line.refunded_goods_minor == wanted.goods_left
            assert line.freight_minor - line.refunded_freight_minor == wanted.freight_left
        assert sum(refund.goods_minor + refund.freight_minor for refund in found.refunds) == model.refunded
        for product, wanted_shelf in enumerate(model.shelf, start=1):
            assert list(self.wait(shelf(self.db, 1, product))) == wanted_shelf

    def teardown(self) -> None:
        self.wait(check_books(self.db))


def line_units(wanted: list[int]) -> tuple[LineUnits, ...]:
    return tuple(LineUnits(number, quantity) for number, quantity in enumerate(wanted, start=1) if quantity)


def test_orders_do_as_the_model_says(maintenance_url: str) -> None:
    with asyncio.Runner() as runner:
        opened = fresh_database(maintenance_url)
        db = runner.run(opened.__aenter__())
        try:
            runner.run(db.write(WORKER, "test", add_shop, [1]))
            runner.run(db.write(WORKER, "test", Tx.execute, "UPDATE supply.stock SET on_hand = 1000000"))
            members = {"db": db, "runner": runner, "orders": 0}
            run_state_machine_as_test(
                type("OrderMachineHere", (OrderMachine,), members),
                settings=settings(max_examples=40, stateful_step_count=12, phases=[Phase.generate, Phase.shrink]),
            )
        finally:
            runner.run(opened.__aexit__(None, None, None))
