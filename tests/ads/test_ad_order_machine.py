"""Any history of one insertion order against a model: its state, what it may do next, and what it is billed."""

import asyncio
from collections.abc import Coroutine
from datetime import datetime, timedelta
from typing import Any, ClassVar

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from billing.ads.lifecycle import AdParty
from billing.ads.model import Placement, Pricing
from billing.ads.orders.lifecycle import RULES, OrderMove, OrderState
from billing.ads.orders.model import GRACE, SETTLES, LineState
from billing.charges.model import PaysBy
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database
from marketplace.core.errors import AppError
from marketplace.flows.ads.credit_clicks import credit_clicks
from marketplace.flows.ads.make_good_ads import MakeGood, decide_make_good, propose_make_good
from marketplace.flows.ads.sell_ads import AcceptOrder, accept_order
from tests.ads.market import HOUR, MERCHANT
from tests.ads.orders import SELLER, click, lines_of, move, opened, order_of, places, tick, wanted
from tests.billing.market import check_books
from tests.conftest import NOW, fresh_database

QUANTITY, PRICE = 30, 7


class OrderMachine(RuleBasedStateMachine):
    """One order of clicks at a time. The model keeps its state, which clicks are valid, and when its line ends."""

    db: ClassVar[Database]
    clock: ClassVar[FixedClock]
    runner: ClassVar[asyncio.Runner]
    place: ClassVar[Placement]
    number: ClassVar[int] = 0

    def wait(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    @initialize(days=st.sampled_from([2, 20, 45]), sold=st.integers(0, 3))
    def begin(self, days: int, sold: int) -> None:
        type(self).number += 1
        now = self.clock.now()
        self.begins = now + timedelta(days=4)
        line = wanted(self.place, self.begins, days=days, quantity=QUANTITY, unit_price_minor=PRICE)
        self.order = self.wait(opened(self.db, line, valid_until=(now + timedelta(days=3)).date()))
        self.ends, self.state = self.begins + timedelta(days=days), OrderState.OPPORTUNITY
        self.again_ends = self.ends
        self.valid: list[str] = []
        self.clicks = self.made_good = 0
        if sold:  # most histories are about what comes then
            self.bargain(OrderMove.SUBMIT)
            self.bargain(OrderMove.APPROVE)
            self.accept()
            self.wait_for(4)
        if sold > 1:
            self.click(11)
        if sold > 2:
            self.wait_for(9)
            self.click(7)
            self.wait_for(33)
            self.wait_for(33)

    def act(self, allowed: bool, work: Coroutine[Any, Any, Any]) -> Any:
        if allowed:
            return self.wait(work)
        with pytest.raises(AppError):
            self.wait(work)
        return None

    def _may(self, what: OrderMove) -> bool:
        return self.state in RULES[what].sources

    def _quotable(self) -> bool:
        now = self.clock.now()
        return bool(now < self.begins and self.order.valid_until is not None and now.date() <= self.order.valid_until)

    @rule(what=st.sampled_from([OrderMove.SUBMIT, OrderMove.APPROVE, OrderMove.REJECT, OrderMove.REVISE]))
    def bargain(self, what: OrderMove) -> None:
        late = what in {OrderMove.SUBMIT, OrderMove.APPROVE} and not self._quotable()
        allowed = self._may(what) and not late
        self.act(allowed, move(self.db, self.order, what))
        self.state = RULES[what].target if allowed else self.state

    @rule()
    def accept(self) -> None:
        allowed = self._may(OrderMove.ACCEPT) and self._quotable()
        self.act(allowed, self._accept())
        self.state = OrderState.ORDERED if allowed else self.state

    async def _accept(self) -> None:
        now = await order_of(self.db, self.order)
        cmd = AcceptOrder(
            merchant_id=MERCHANT, order_id=now.order_id, version=now.version, pays_by=PaysBy.NETTING, evidence=""
        )
        await self.db.write(WORKER, "mia", accept_order, cmd, AdParty.MERCHANT)

    @rule(really=st.integers(0, 3))
    def cancel(self, really: int) -> None:
        if really:
            return
        allowed = self._may(OrderMove.CANCEL)
        self.act(allowed, move(self.db, self.order, OrderMove.CANCEL))
        if allowed:
            self.state, self.ends = OrderState.CANCELLED, min(self.ends, self.clock.now())

    @rule(number=st.integers(1, 12))
    def click(self, number: int) -> None:
        now = self.clock.now()
        lines = self.wait(lines_of(self.db, self.order))
        if lines[0].campaign_id is None or not self.begins <= now < self.ends:
            return
        name = f"o{self.number}-{self.clicks}-"
        self.wait(click(self.db, lines[0].campaign_id, self.place, number, now, name=name))
        self.valid += [f"{name}{n}" for n in range(number)]
        self.clicks += 1

    @rule(number=st.integers(1, 8))
    def complain(self, number: int) -> None:
        bad, self.valid = self.valid[:number], self.valid[number:]
        if bad:
            self.wait(self.db.write(WORKER, "olga", credit_clicks, MERCHANT, bad, "a complaint"))

    @rule(days=st.sampled_from([1, 3, 9, 33]))
    def wait_for(self, days: int) -> None:
        self.wait(tick(self.db, self.clock, self.clock.now() + timedelta(days=days, hours=13)))
        now = self.clock.now()
        assert self.order.valid_until is not None
        if self.state is OrderState.QUOTED and (now - timedelta(hours=12)).date() > self.order.valid_until:
            self.state = OrderState.LOST
        if self.state is OrderState.ORDERED and now >= self.begins:
            self.state = OrderState.DELIVERING
        if self.state is OrderState.DELIVERING and now >= self._last():
            self.state = OrderState.CLOSED

    def _last(self) -> datetime:
        return max(self.ends, self.again_ends) + GRACE + SETTLES

    @rule(quantity=st.integers(1, QUANTITY))
    def make_good(self, quantity: int) -> None:
        lines = self.wait(lines_of(self.db, self.order))
        if len(lines) > 1:
            return
        over = lines[0].state is LineState.ENDED and self.state in {OrderState.DELIVERING, OrderState.CLOSED}
        from_at = self.clock.now() + timedelta(days=1)
        line = wanted(self.place, from_at, days=2, quantity=quantity, unit_price_minor=PRICE)
        cmd = MakeGood(merchant_id=MERCHANT, order_id=self.order.order_id, line_no=1, wanted=line)
        allowed = over and quantity <= QUANTITY - lines[0].charged_units
        proposed = self.act(allowed, self.db.write(WORKER, SELLER, propose_make_good, cmd))
        if proposed is not None:
            key = (MERCHANT, self.order.order_id, proposed.line_no)
            self.wait(self.db.write(WORKER, "olga", decide_make_good, *key, approved=True))
            self.state, self.again_ends, self.made_good = OrderState.DELIVERING, from_at + timedelta(days=2), quantity

    @invariant()
    def agrees(self) -> None:
        if not hasattr(self, "order"):
            return
        now = self.wait(order_of(self.db, self.order))
        first, *again = self.wait(lines_of(self.db, self.order))
        assert now.state is self.state
        assert first.charged_units <= len(self.valid)
        if first.state is LineState.ENDED and not again:
            assert first.charged_units == min(len(self.valid), QUANTITY)
        assert sum(line.charged_minor for line in (first, *again)) <= (QUANTITY - self.made_good) * PRICE

    def teardown(self) -> None:
        if hasattr(self, "order"):
            self.wait(check_books(self.db))


def test_any_history_agrees_with_the_model(maintenance_url: str) -> None:
    with asyncio.Runner() as runner:
        clock = FixedClock(NOW)
        database = fresh_database(maintenance_url, clock)
        OrderMachine.db = runner.run(database.__aenter__())
        OrderMachine.clock, OrderMachine.runner = clock, runner
        try:
            OrderMachine.place = runner.run(places(OrderMachine.db))[Pricing.CLICK]
            clock.move_to(NOW + HOUR)
            run_state_machine_as_test(
                OrderMachine,
                settings=settings(
                    max_examples=40, stateful_step_count=14, deadline=None, phases=[Phase.explicit, Phase.generate]
                ),
            )
        finally:
            runner.run(database.__aexit__(None, None, None))
