"""Random lives of refunds and disputes against a small model: what was captured is given back once, to the cent.

Under every policy, before and after settlement, with payments that fail and come back, goodwill that the platform
bears, cancellations and returns, which nothing but an open dispute or the order's state may refuse. The books are
proved at the end.
"""

import asyncio
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import count
from typing import Any, ClassVar

import msgspec
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from billing.payments.facts import DisputeFact, DisputeState, payment_reference
from demand.fulfilment.model import ReturnMove
from demand.fulfilment.units import LineUnits, kept, unshipped
from demand.lifecycle import Party
from demand.model import OrderDetail, OrderLine, OrderState
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import AppError, Conflict
from marketplace.flows.commission.settle_orders import settle_through
from marketplace.flows.orders.cancel_order import CancelLines, CancelOrder, cancel_lines, cancel_order
from marketplace.flows.refunds.cancel_refund import cancel_refund
from marketplace.flows.refunds.dispute_order import dispute_changed
from marketplace.flows.refunds.pay_refund import RefundKey, refund_settled, refund_to_credit, retry_refund
from marketplace.flows.refunds.read_funds import Funds, funds_of, loss_of
from marketplace.flows.refunds.refund_order import Refunded, RefundLine, RefundOrder, refund_order
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
from tests.builders import PROCESSOR, Line, Order
from tests.conftest import NOW, fresh_database
from tests.orders.amending import worth
from tests.orders.market import read_order
from tests.orders.paid import BUYER, Paid, add_purchase, balances, paid_market, sent
from tests.orders.test_refund_postings import under

LINES = (Line(goods_minor=101), Line(goods_minor=60, freight_minor=37))
GROSS = 198
POLICIES: list[dict[str, str]] = [
    {},
    {"commission": "kept"},
    {"goods": "platform", "freight": "platform", "commission": "kept", "lost": "platform"},
    {"freight": "platform", "processor_fee": "merchant"},
]


class Model(msgspec.Struct):
    """The order as a child would keep its account: what is where, in minor units."""

    refunds: dict[int, tuple[Refunded, str]] = {}
    disputes: dict[str, tuple[int, str]] = {}

    def refunded(self) -> int:
        return sum(done.gross_minor for done, state in self.refunds.values() if state != "cancelled")

    def disputed(self, *states: str) -> int:
        return sum(amount for amount, state in self.disputes.values() if state in (states or ("opened", "lost")))


class RefundMachine(RuleBasedStateMachine):
    """One order after another in one database, each refunded and disputed at random."""

    db: ClassVar[Database]
    runner: ClassVar[asyncio.Runner]
    numbers: ClassVar[Iterator[int]]
    minutes: ClassVar[Iterator[int]]

    @initialize(policy=st.sampled_from(POLICIES), credit=st.sampled_from([0, 0, 50]), delivered=st.booleans())
    def sell(self, policy: dict[str, str], credit: int, delivered: bool) -> None:
        self.model, self.order_id = Model(refunds={}, disputes={}), next(self.numbers)
        self.payment_id = 1_000 + self.order_id
        settles_at = NOW if delivered else None
        ref = f"p{self.order_id}"
        order = Order(merchant_id=1, order_id=self.order_id, lines=LINES, order_ref=ref, settles_at=settles_at)
        sold = [Paid(order=order, credit_minor=credit, fee_minor=7)]
        sell = paid_market if self.order_id == 1 else add_purchase
        self.runner.run(self.db.write(WORKER, "test", sell, sold, self.payment_id))
        units = "UPDATE demand.order_line SET quantity = 3 WHERE order_id = :order AND line_no = 2"
        self.runner.run(self.db.write(WORKER, "test", Tx.execute, units, {"order": self.order_id}))
        self.runner.run(under(self.db, **policy))
        self.before = self.runner.run(balances(self.db))
        self.paid = 0

    def funds(self) -> Funds:
        async def ask() -> Funds:
            async with self.db.read(WORKER) as tx:
                return await funds_of(tx, 1, self.order_id)

        found: Funds = self.runner.run(ask())
        return found

    def order(self) -> OrderDetail:
        found: OrderDetail = self.runner.run(read_order(self.db, 1, self.order_id))
        return found

    def ask(self, reason: str = "damaged", **asked: Any) -> None:
        refundable = self.funds().refundable_minor
        cmd = RefundOrder(merchant_id=1, order_id=self.order_id, reason=reason, initiator=Party.PLATFORM, **asked)
        try:
            done: Refunded = self.runner.run(self.db.write(WORKER, "test", refund_order, cmd))
        except AppError:
            assert asked.get("goodwill_minor", refundable + 1) > refundable
            return
        assert done.gross_minor <= refundable
        self.model.refunds[done.refund_id] = (done, "booked")

    @rule(amount=st.integers(1, GROSS + 1))
    def goodwill(self, amount: int) -> None:
        self.ask(goodwill_minor=amount)

    @rule(amount=st.integers(1, GROSS + 1), all_of_it=st.booleans())
    def goodwill_of_the_house(self, amount: int, all_of_it: bool) -> None:
        """Borne by the platform under every policy."""
        self.ask("goodwill", goodwill_minor=(all_of_it and self.funds().refundable_minor) or amount)

    @rule(really=st.sampled_from([True, False, False]))
    def cancel(self, really: bool) -> None:
        if really:
            cmd = CancelOrder(merchant_id=1, order_id=self.order_id, party=Party.PLATFORM)
            done = self.act(self.order().order.state is OrderState.PAID, cancel_order, cmd)
            assert done is None or (self.order().order.state, worth(self.order().lines)) == ("cancelled", 0)

    @rule(line=st.sampled_from([1, 2]), units=st.integers(1, 3))
    def cancel_units(self, line: int, units: int) -> None:
        found = self.order()
        most = self.most(found.lines[line - 1], unshipped, units)
        lines = (LineUnits(line, most or 1),)
        cmd = CancelLines(merchant_id=1, order_id=self.order_id, party=Party.PLATFORM, lines=lines)
        self.act(found.order.state is OrderState.PAID and bool(most), cancel_lines, cmd)

    @rule(line=st.sampled_from([1, 2]), units=st.integers(1, 3))
    def give_units_back(self, line: int, units: int) -> None:
        found = self.order()
        most = self.most(found.lines[line - 1], kept, units)
        if found.order.state not in {OrderState.DELIVERED, OrderState.SETTLED} or not most:
            return
        of_order: dict[str, Any] = {"merchant_id": 1, "order_id": self.order_id}

        async def give(tx: Tx) -> Received:
            asked = await ask_return(
                tx,
                AskReturn(**of_order, party=Party.PLATFORM, reason="damaged", lines=(LineUnits(line, most),)),
            )
            named = {**of_order, "return_id": asked.return_id}
            await decide_return(tx, DecideReturn(**named, party=Party.MERCHANT, move=ReturnMove.APPROVE))
            return await receive_return(tx, ReceiveReturn(**named, party=Party.MERCHANT))

        self.act(True, give)

    @staticmethod
    def most(line: OrderLine, left: Callable[[OrderLine], int], units: int) -> int:
        return min(left(line), units)

    def act(self, allowed: bool, flow: Any, *cmd: Any) -> Any:
        """Do what goes with a refund; only an open dispute may refuse what the order's state allows."""
        holds = self.model.disputed("opened")
        try:
            done = self.runner.run(self.db.write(WORKER, "test", flow, *cmd))
        except AppError:
            assert holds or not allowed
            return None
        assert allowed
        if done.refund is not None:
            self.model.refunds[done.refund.refund_id] = (done.refund, "booked")
        return done

    @rule(line=st.sampled_from([1, 2]), goods=st.integers(0, 101), freight=st.sampled_from([0, 0, 20]))
    def of_line(self, line: int, goods: int, freight: int) -> None:
        self.ask(lines=(RefundLine(line, goods, freight),))

    @rule()
    def whole(self) -> None:
        self.ask()

    @rule()
    def settle(self) -> None:
        self.runner.run(settle_through(self.db, "test", NOW.date()))

    @rule(ok=st.booleans(), which=st.integers(0, 3))
    def processor_says(self, ok: bool, which: int) -> None:
        for done, _ in list(self.model.refunds.values())[which : which + 1]:
            card = [one for one in self.runner.run(sent(self.db, done)) if one.way == "card"]
            if not card or card[-1].state not in {"due", "paid", "failed"} or card[-1].covered_minor:
                continue
            self.paid += card[-1].amount_minor * (int(ok) - int(card[-1].state == "paid"))
            at = NOW + timedelta(minutes=next(self.minutes))
            failure = None if ok else "closed"

            async def tell(tx: Tx, refund_id: int, at: datetime, failure: str | None) -> None:
                await refund_settled(tx, 1, refund_id, self.payment_id, ok=failure is None, failure=failure, at=at)

            for _ in range(2):
                self.runner.run(self.db.write(WORKER, "test", tell, done.refund_id, at, failure))

    @rule(which=st.integers(0, 3), deed=st.sampled_from([retry_refund, refund_to_credit, cancel_refund]))
    def decide(self, which: int, deed: Any) -> None:
        for done, state in list(self.model.refunds.values())[which : which + 1]:
            payments = self.runner.run(sent(self.db, done))
            key = RefundKey(1, done.refund_id)
            try:
                self.runner.run(self.db.write(WORKER, "ops", deed, key))
            except Conflict:
                continue
            assert any(one.state == "failed" for one in payments)
            assert state == "booked"
            if deed is cancel_refund:
                self.model.refunds[done.refund_id] = (done, "cancelled")

    @rule(name=st.sampled_from(["a", "b"]), amount=st.integers(1, 150), state=st.sampled_from(list(DisputeState)))
    def dispute(self, name: str, amount: int, state: DisputeState) -> None:
        known = self.model.disputes.get(name)
        amount = known[0] if known else amount
        said = DisputeFact(
            dispute_ref=f"{name}{self.order_id}",
            reference=payment_reference(BUYER, self.payment_id),
            state=state,
            amount_minor=amount,
            fee_minor=0,
            currency="EUR",
            occurred_at=NOW,
        )
        contradicts = known is not None and {known[1], state} == {"won", "lost"}
        try:
            self.runner.run(self.db.write(WORKER, "processor", dispute_changed, PROCESSOR, said))
        except Conflict:
            assert contradicts
            return
        assert not contradicts
        was = known or (amount, "opened")
        self.model.disputes[name] = (was[0], state if was[1] == "opened" else was[1])

    @invariant()
    def money_is_where_the_model_has_it(self) -> None:
        if not hasattr(self, "model"):
            return
        funds = self.funds()
        assert funds.captured_minor == GROSS
        assert funds.disputed_minor == self.model.disputed()
        assert 0 <= self.model.refunded() - funds.refunded_minor <= self.model.disputed()
        at_processor = self.runner.run(balances(self.db)).get(1020, 0) - self.before.get(1020, 0)
        assert at_processor == -self.paid - self.model.disputed()

    @invariant()
    def what_was_captured_is_the_merchants_the_buyers_or_the_platforms(self) -> None:
        if not hasattr(self, "model"):
            return
        funds, now = self.funds(), self.runner.run(balances(self.db))
        assert funds.left_minor + self.model.disputed("opened") == worth(self.order().lines) - funds.bore_minor

        async def lost() -> int:
            async with self.db.read(WORKER) as tx:
                return await loss_of(tx, 1, self.order_id)

        goodwill, loss = (now.get(account, 0) - self.before.get(account, 0) for account in (6920, 5200))
        assert (goodwill + loss, loss) == (funds.bore_minor, self.runner.run(lost()))
        assert min(goodwill, loss) >= 0

    def teardown(self) -> None:
        self.runner.run(check_books(self.db))


def test_what_was_captured_is_given_back_once(maintenance_url: str) -> None:
    with asyncio.Runner() as runner:
        opened = fresh_database(maintenance_url)
        db = runner.run(opened.__aenter__())
        run_over = {"db": db, "runner": runner, "numbers": count(1), "minutes": count(1)}
        try:
            run_state_machine_as_test(
                type("Machine", (RefundMachine,), run_over),
                settings=settings(max_examples=40, stateful_step_count=15, phases=[Phase.generate, Phase.shrink]),
            )
        finally:
            runner.run(opened.__aexit__(None, None, None))
