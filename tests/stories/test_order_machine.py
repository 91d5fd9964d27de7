"""Whole lives of orders at random, with their payments, disputes and payouts, against a small model of money.

Placed and paid, late or not at all; accepted, shipped, cancelled in part, amended, delivered, settled, billed and paid
out, returned, refunded, disputed. After every step the merchant's books say what the model says, to the cent; the
processor's own books agree; whatever is refused has changed nothing; at the end of each history the books are proved.
"""

import asyncio
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import msgspec
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from billing.runs import store as runs
from billing.runs.model import period_named
from demand.amendments.model import Add, Changes, TakeOff
from demand.carts import store as carts
from demand.carts.model import CartLine
from demand.fulfilment.model import ReturnMove
from demand.fulfilment.units import LineUnits, kept, unshipped
from demand.lifecycle import Party
from demand.model import OrderDetail, OrderState
from demand.store import get_order
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database
from marketplace.core.errors import AppError
from marketplace.core.idempotency import Ticket
from marketplace.flows.commission.settle_orders import settle_through
from marketplace.flows.orders.amend_order import DecideAmendment, ProposeAmendment, accept_amendment, propose_amendment
from marketplace.flows.orders.cancel_order import Cancelled, CancelLines, CancelOrder, cancel_lines, cancel_order
from marketplace.flows.orders.fulfil_order import ShipOrder, accept_order, complete_order, ship_order
from marketplace.flows.orders.hold_order import Act
from marketplace.flows.orders.pay_purchase import PayPurchase, pay_purchase
from marketplace.flows.orders.place_order import place_order
from marketplace.flows.orders.placement import PlaceOrder
from marketplace.flows.orders.price_amendment import By
from marketplace.flows.orders.quote_cart import quote_cart
from marketplace.flows.orders.read_placed import Placed
from marketplace.flows.orders.release_order import expire_orders
from marketplace.flows.payments.apply_payment_events import apply_events
from marketplace.flows.payouts.pay_merchants import ConfirmPayout, ReturnPayout, confirm_payout, return_payout
from marketplace.flows.refunds.refund_order import RefundOrder, refund_order
from marketplace.flows.refunds.return_order import (
    AskReturn,
    DecideReturn,
    Received,
    ReceiveReturn,
    ask_return,
    decide_return,
    receive_return,
)
from marketplace.flows.runs.run_billing import approve_run, finalise_run, run_period
from tests.billing.market import CHECKER, MAKER, check_books
from tests.conftest import fresh_database
from tests.stories.model_money import Money
from tests.stories.shop import BUYER, CABLE, LAMP, MAY_1, NAME, PRICES, Till, add_shop, total_by_account

ACCOUNTS = {2005: "pending", 4000: "commission", 2300: "vat", 1020: "clearing", 1120: "disputed", 5100: "fees"}
ACCOUNTS |= {5200: "lost", 2000: "due", 2020: "due", 1030: "due"}
DISPUTE_FEE = 1_500
FATES = ["paid"] * 11 + ["paid again", "declined", "expired", "late"]
"""What becomes of the payment; `late`: the money comes when the order has expired."""

FIRST_MERCHANT, HISTORIES = 101, 12

units, some = st.integers(1, 4), st.integers(1, 2)


Deed = TypeVar("Deed", bound=Callable[..., Any])


def when(*states: str) -> Callable[[Deed], Deed]:
    """A rule for orders in one of these states; what others may do is tried by `what_may_be_refused`."""
    return precondition(lambda machine: machine.state in states)


UNDER_WAY = ("paid", "accepted", "fulfilling", "partly_delivered")


class OrderMachine(RuleBasedStateMachine):
    """One order at a time, each of a merchant of its own, so that every cent in its books is the order's."""

    db: ClassVar[Database]
    clock: ClassVar[FixedClock]
    till: ClassVar[Till]
    runner: ClassVar[asyncio.Runner]
    merchants: ClassVar[Iterator[int]]
    keys: ClassVar[Iterator[int]]

    def wait(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    def write(self, flow: Callable[..., Any], *args: Any) -> Any:
        return self.wait(self.db.write(WORKER, "test", flow, *args))

    def hear(self) -> None:
        self.wait(self.till.hear())

    @initialize(quantity=units, fate=st.sampled_from(FATES), begun=st.sampled_from([0, 0, 0, 1, 2, 3, 4]))
    def buy(self, quantity: int, fate: str, begun: int) -> None:
        """So that the later states are seen as often, some orders are under way, settled, or paid out already."""
        self.merchant_id = next(self.merchants)
        self.money = Money()
        self.state = "placed"
        self.open_dispute: str | None = None
        self.payout: dict[str, int] | None = None
        self.moved_before = self.moved()
        self.clock.move_to(self.clock.now().replace(day=20, hour=9, minute=0))  # every history in the same time
        placed = self.wait(self.place(quantity, "tok_decline" if fate in {"declined", "paid again"} else "tok_ok"))
        self.order_id = placed.orders[0].order_id
        self.reference = f"{BUYER}-{placed.payment_id}"
        self.captured = 0
        if fate == "late":
            for step in (self.till.send, self.till.receive, self.apply, self.till.send):
                self.wait(step())
        if fate in {"expired", "late"}:
            self.clock.move_to(self.clock.now() + timedelta(minutes=31))
            assert self.wait(expire_orders(self.db, "test", self.clock.now())) == 1
        self.hear()
        if fate == "declined":
            self.clock.move_to(self.clock.now() + timedelta(minutes=31))
            assert self.wait(expire_orders(self.db, "test", self.clock.now())) == 1
        if fate == "paid again":
            cmd = PayPurchase(buyer_id=BUYER, purchase_id=placed.purchase_id, method="tok_ok", processor=NAME)
            self.reference = f"{BUYER}-{self.write(pay_purchase, cmd).payment_id}"
            self.hear()
        assert (self.order().order.state == "paid") is (fate in {"paid", "paid again"})
        if self.order().order.state != "paid":
            assert self.order().order.state == "cancelled"
            return
        self.captured = quantity * PRICES[LAMP]
        self.money.pay(self.captured)
        for begin in (self.ship_the_rest, self.complete, self.settle, self.bill)[:begun]:
            begin()

    async def apply(self) -> int:
        return await apply_events(self.db)

    async def place(self, quantity: int, method: str) -> Placed:
        line = CartLine(merchant_id=self.merchant_id, product_id=LAMP, quantity=quantity)
        cart = await self.db.write(WORKER, "shop", carts.insert_cart, BUYER, "EUR", [line])
        async with self.db.read(WORKER) as tx:
            quote = await quote_cart(tx, cart)
        cmd = PlaceOrder(
            buyer_id=BUYER, cart_id=cart.cart_id, quote=quote.quote, method=method, processor=NAME
        )  # fmt: skip
        ticket = Ticket("shop", f"key-{next(self.keys)}", b"." * 32, 201)
        answer = await self.db.write(WORKER, "shop", place_order, ticket, cmd)
        return msgspec.json.decode(answer.body, type=Placed)

    def order(self) -> OrderDetail:
        async def ask() -> OrderDetail:
            async with self.db.read(WORKER) as tx:
                return await get_order(tx, self.merchant_id, self.order_id)

        found: OrderDetail = self.wait(ask())
        return found

    def act(self, flow: Any, kind: Any, party: Party = Party.MERCHANT, **values: Any) -> Any:
        """What became of it; None when it was refused, which the books must not show."""
        try:
            cmd = kind(merchant_id=self.merchant_id, order_id=self.order_id, party=party, **values)
            return self.write(flow, cmd)
        except AppError:
            return None

    def given_back(self, done: Cancelled | Received | None) -> None:
        """The refund of what was done, where there was one: the processor pays it, and the model hears of it."""
        if done is not None and done.refund is not None:
            self.money.give_back(done.refund.gross_minor)
            self.hear()

    # What merchants and buyers do.
    @rule(deed=st.sampled_from([(accept_order, Act), (ship_order, ShipOrder), (cancel_order, CancelOrder)]))
    def what_may_be_refused(self, deed: tuple[Any, Any]) -> None:
        done = self.act(*deed, Party.BUYER)
        self.given_back(done if deed[0] is cancel_order else None)

    @when("paid")
    @rule()
    def accept(self) -> None:
        self.act(accept_order, Act)

    @when(*UNDER_WAY)
    @rule(quantity=some)
    def ship(self, quantity: int) -> None:
        self.act(ship_order, ShipOrder, lines=(LineUnits(1, quantity),))

    @when(*UNDER_WAY)
    @rule()
    def ship_the_rest(self) -> None:
        self.act(ship_order, ShipOrder)

    @when("fulfilling", "partly_delivered")
    @rule()
    def complete(self) -> None:
        self.act(complete_order, Act, Party.BUYER)

    @when(*UNDER_WAY)
    @rule(party=st.sampled_from([Party.BUYER, Party.MERCHANT]))
    def cancel(self, party: Party) -> None:
        self.given_back(self.act(cancel_order, CancelOrder, party))

    @when(*UNDER_WAY)
    @rule(quantity=some)
    def cancel_some(self, quantity: int) -> None:
        before = self.order().lines[0]
        done = self.act(cancel_lines, CancelLines, lines=(LineUnits(1, quantity),))
        assert done is None or quantity <= unshipped(before)
        self.given_back(done)

    @when("delivered", "settled")
    @rule(quantity=some)
    def send_back(self, quantity: int) -> None:
        before = self.order().lines[0]
        asked = self.act(ask_return, AskReturn, Party.BUYER, reason="damaged", lines=(LineUnits(1, quantity),))
        if asked:
            assert quantity <= kept(before)
            named = {"return_id": asked.return_id}
            assert self.act(decide_return, DecideReturn, move=ReturnMove.APPROVE, **named)
            self.given_back(self.act(receive_return, ReceiveReturn, **named))

    @when(*UNDER_WAY)
    @rule(cables=st.integers(0, 3), lamps=st.integers(0, 2))
    def amend(self, cables: int, lamps: int) -> None:
        """Some cables more, some lamps less; the difference is charged or given back."""
        changes = Changes(
            add=(Add(product_id=CABLE, quantity=cables),) if cables else (),
            take_off=(TakeOff(line_no=1, quantity=lamps),) if lamps else (),
        )
        on = {"merchant_id": self.merchant_id, "order_id": self.order_id, "base_version": self.order().order.version}
        try:
            cmd = ProposeAmendment(**on, by=By(party=Party.MERCHANT), changes=changes, reason="the buyer rang")
            held = self.write(propose_amendment, cmd)
        except AppError:
            return
        by = By(party=Party.BUYER, buyer_id=BUYER)
        try:
            self.write(accept_amendment, DecideAmendment(**on, amendment_id=held.amendment_id, by=by))
        except AppError:  # a dispute holds what would be given back: the proposal stays open
            assert self.open_dispute
            return
        self.hear()
        if held.delta_minor > 0:
            self.money.pay(held.delta_minor)
        else:
            self.money.give_back(-held.delta_minor)

    # What the platform, the processor and the bank do.
    @rule(asked=st.one_of(st.none(), st.integers(1, 9_000)))
    def refund(self, asked: int | None) -> None:
        cmd = RefundOrder(
            merchant_id=self.merchant_id, order_id=self.order_id, reason="late", goodwill_minor=asked
        )  # fmt: skip
        wanted = self.money.left if asked is None else asked
        try:
            done = self.write(refund_order, cmd)
        except AppError:
            ended = self.order().order.state in {OrderState.CANCELLED, OrderState.PLACED}
            assert ended or not 0 < wanted <= min(self.money.refundable, self.money.left)
            return
        assert done.gross_minor == wanted
        assert wanted <= self.money.refundable
        self.money.give_back(wanted)
        self.hear()

    @precondition(lambda machine: machine.captured and not machine.open_dispute)
    @rule(share=st.integers(1, 4))
    def dispute(self, share: int) -> None:
        amount = self.captured * share // 4
        self.open_dispute = self.wait(self.till.dispute(self.reference, amount))
        self.money.dispute(amount, DISPUTE_FEE)

    @precondition(lambda machine: machine.open_dispute)
    @rule(won=st.booleans())
    def decide(self, won: bool) -> None:
        assert self.open_dispute
        self.wait(self.till.decide(self.open_dispute, won=won))
        self.open_dispute = None
        if won:
            self.money.win()
        else:
            self.money.lose()

    @when("delivered", "returned", "cancelled")
    @rule()
    def settle(self) -> None:
        self.wait(settle_through(self.db, "test", self.clock.now().date()))
        state = self.order().order.state
        if state is OrderState.SETTLED or (state is OrderState.RETURNED and self.money.left):
            self.money.settle()

    @rule()
    def bill(self) -> None:
        """The month ends and is billed, and so is the next one, after which nothing can be sent back any more."""
        for _ in range(2):
            ended = self.clock.now()
            self.clock.move_to((ended.replace(day=1) + timedelta(days=32)).replace(day=1))
            run_id = self.wait(run_period(self.db, MAKER, period_named(f"{ended:%Y-%m}"))).run.run_id
            self.wait(approve_run(self.db, CHECKER, run_id))
            self.wait(finalise_run(self.db, CHECKER, run_id))
            self.note_payout(run_id)

    def note_payout(self, run_id: int) -> None:
        async def find() -> Any:
            async with self.db.read(WORKER) as tx:
                return await runs.list_payouts(tx, run_id=run_id, merchant_id=self.merchant_id)

        for payout in self.wait(find()):
            self.payout = {"merchant_id": self.merchant_id, "payout_id": payout.payout_id}

    @precondition(lambda machine: machine.payout)
    @rule(back=st.booleans())
    def bank_says(self, back: bool) -> None:
        assert self.payout
        today = self.clock.now().date()
        try:
            if back:
                cmd = ReturnPayout(**self.payout, bank_ref=f"in-{today}", on=today, reason="closed")
                self.write(return_payout, cmd)
            else:
                self.write(confirm_payout, ConfirmPayout(**self.payout, bank_ref="out", on=today))
        except AppError:  # said before, otherwise
            return

    def moved(self) -> int:
        """What has moved at the processor so far, its fees for disputes too; those for captures it keeps for later."""
        rows = self.till.simulator.store.rows("SELECT kind, gross_minor, fee_minor FROM movement")
        return sum(row["gross_minor"] - (row["fee_minor"] if row["kind"] == "dispute" else 0) for row in rows)

    @invariant()
    def the_books_say_what_the_model_says(self) -> None:
        if not hasattr(self, "money"):
            return
        self.state = self.order().order.state
        found: dict[str, int] = {}
        for account, minor in self.wait(total_by_account(self.db, self.merchant_id)).items():
            name = ACCOUNTS.get(account, str(account))
            found[name] = found.get(name, 0) + minor
        assert {name: minor for name, minor in found.items() if minor} == self.money.books()
        assert self.moved() - self.moved_before == found.get("clearing", 0)

    def teardown(self) -> None:
        self.wait(check_books(self.db))


def test_the_books_of_any_life_of_an_order_say_what_the_model_says(maintenance_url: str) -> None:
    merchants = range(FIRST_MERCHANT, FIRST_MERCHANT + 20 * HISTORIES)
    clock = FixedClock(MAY_1)
    with asyncio.Runner() as runner, tempfile.TemporaryDirectory() as folder:
        opened = fresh_database(maintenance_url, clock)
        db = runner.run(opened.__aenter__())
        till = Till(db, clock, Path(folder))
        try:
            runner.run(db.write(WORKER, "test", add_shop, merchants))
            members = {"db": db, "clock": clock, "till": till, "runner": runner}
            members |= {"merchants": iter(merchants), "keys": count(1)}
            run_state_machine_as_test(
                type("OrderMachineHere", (OrderMachine,), members),
                settings=settings(max_examples=HISTORIES, stateful_step_count=12, phases=[Phase.generate]),
            )
        finally:
            till.simulator.store.close()
            runner.run(opened.__aexit__(None, None, None))
