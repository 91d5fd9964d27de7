"""Any history of one subscription against the model: state, period and price agree, and the books still prove."""

import asyncio
from collections.abc import Coroutine
from datetime import date, timedelta
from typing import Any, ClassVar

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from billing.charges import store as charge_store
from billing.charges.model import Charge, ChargeSource
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database
from marketplace.core.errors import AppError
from marketplace.flows.products.change_subscription import (
    CancelSubscription,
    ChangeSubscription,
    change_subscription,
    leave,
    stay,
)
from marketplace.flows.products.subscribe_merchant import Agree, Subscribe, agree, subscribe
from supply.products.model import Means
from supply.products.subscriptions import store
from supply.products.subscriptions.lifecycle import By
from supply.products.subscriptions.model import Interval, Plan, Subscription, SubscriptionState, unused
from tests.billing.market import check_books
from tests.conftest import NOW, fresh_database
from tests.products.market import MONTHLY, day, earn, offered, open_market, tick
from tests.products.model_subscription import ModelSubscription, Offer

START = date(2018, 1, 29)
PRICES = {"small": (1, 1_999), "large": (1, 4_711), "yearly": (12, 25_001)}
codes = st.sampled_from(sorted(PRICES))
seats = st.integers(1, 4)


class SubscriptionMachine(RuleBasedStateMachine):
    """One subscription of a merchant of its own at a time; the merchant has always earned enough to be netted."""

    db: ClassVar[Database]
    clock: ClassVar[FixedClock]
    runner: ClassVar[asyncio.Runner]
    plans: ClassVar[dict[str, Plan]]
    merchants: ClassVar[int]

    def wait(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    @initialize(code=codes, wanted=seats, trial=st.booleans(), agreed=st.booleans())
    def begin(self, code: str, wanted: int, trial: bool, agreed: bool) -> None:
        type(self).merchants += 1
        self.merchant = self.merchants
        day(self.clock, START)
        self.wait(earn(self.db, self.merchant, 10**9, START))
        plan = self.plans[f"{code}_trial" if trial else code]
        agreed = agreed or not trial
        cmd = Subscribe(
            merchant_id=self.merchant, plan_id=plan.plan_id, seats=wanted, pays_by=Means.NETTING if agreed else None
        )
        self.id = self.wait(self.db.write(WORKER, "test", subscribe, cmd)).subscription_id
        trial_to = START + timedelta(days=20) if trial else None
        self.model = ModelSubscription(START, Offer(*PRICES[code]), wanted, trial_to, agreed=agreed)

    def act(self, allowed: bool, work: Coroutine[Any, Any, Any]) -> None:
        if allowed:
            self.wait(work)
        else:
            with pytest.raises(AppError):
                self.wait(work)

    @rule(days=st.sampled_from([1, 5, 20, 33, 100]))
    def wait_for(self, days: int) -> None:
        self.model.pass_to(self.model.today + timedelta(days=days))
        self.wait(tick(self.db, self.clock, self.model.today))

    @rule(code=codes, wanted=seats, then=st.booleans())
    def change(self, code: str, wanted: int, then: bool) -> None:
        if self.model.state == "trialing" and PRICES[code][0] != self.model.offer.months:
            return  # the plan with the same interval: a trial goes on as it began
        plan = self.plans[code]
        now = self.wait(self._now())
        if Offer(*PRICES[code]) == self.model.offer:
            plan = self.wait(self._plan(now.plan_id))  # with or without a trial it is the same offer to the model
        allowed = self.model.change(Offer(*PRICES[code]), wanted, then=then)
        cmd = ChangeSubscription(
            merchant_id=self.merchant, subscription_id=self.id, plan_id=plan.plan_id, seats=wanted, at_period_end=then
        )
        self.act(allowed, self.db.write(WORKER, "test", change_subscription, cmd, By.MERCHANT))

    @rule()
    def agree(self) -> None:
        cmd = Agree(merchant_id=self.merchant, subscription_id=self.id, pays_by=Means.NETTING)
        self.act(self.model.agree(), self.db.write(WORKER, "test", agree, cmd, By.MERCHANT))

    @rule()
    def leave(self) -> None:
        self.act(self.model.leave(), self._end(at_period_end=True))

    @rule()
    def stay(self) -> None:
        self.act(self.model.stay(), self.db.write(WORKER, "test", stay, self.merchant, self.id, By.MERCHANT))

    @rule(really=st.integers(0, 3))
    def cancel(self, really: int) -> None:
        if really == 0:
            self.act(self.model.cancel(), self._end(at_period_end=False))

    def _end(self, *, at_period_end: bool) -> Coroutine[Any, Any, Any]:
        cmd = CancelSubscription(
            merchant_id=self.merchant, subscription_id=self.id, reason="no need", at_period_end=at_period_end
        )
        return self.db.write(WORKER, "test", leave, cmd, By.MERCHANT)

    async def _now(self) -> Subscription:
        async with self.db.read(WORKER) as tx:
            return await store.get_subscription(tx, self.merchant, self.id)

    async def _plan(self, plan_id: int) -> Plan:
        async with self.db.read(WORKER) as tx:
            return await store.get_plan(tx, plan_id)

    async def _charges(self) -> list[Charge]:
        async with self.db.read(WORKER) as tx:
            return await charge_store.of_source(tx, self.merchant, ChargeSource.SUBSCRIPTION, self.id)

    @invariant()
    def agrees(self) -> None:
        model, now, charges = self.model, self.wait(self._now()), self.wait(self._charges())
        assert (now.state, now.seats) == (model.state, model.seats)
        whole = [charge for charge in charges if "+" not in charge.part]
        assert len(whole) <= model.periods
        assert all(charge.open_minor == 0 for charge in charges)  # all of it could be netted
        if now.state in {SubscriptionState.ACTIVE, SubscriptionState.LEAVING}:
            assert (now.period_from, now.period_to) == model.period
            of_period = [charge for charge in charges if charge.service_to == now.period_to]
            left = sum(charge.unused(model.today) for charge in of_period)
            assert abs(left - unused(model.price, *model.period, model.today)) <= len(of_period)
        else:
            assert all(charge.unused(model.today) == 0 for charge in charges)
            assert model.periods or not charges

    def teardown(self) -> None:
        if hasattr(self, "id"):
            self.wait(check_books(self.db))


def test_any_history_agrees_with_the_model(maintenance_url: str) -> None:
    with asyncio.Runner() as runner:
        clock = FixedClock(NOW)
        opened = fresh_database(maintenance_url, clock)
        SubscriptionMachine.db = runner.run(opened.__aenter__())
        SubscriptionMachine.clock = clock
        SubscriptionMachine.runner, SubscriptionMachine.merchants = runner, 0
        try:
            runner.run(_prepare())
            run_state_machine_as_test(
                SubscriptionMachine,
                settings=settings(
                    max_examples=60, stateful_step_count=15, deadline=None, phases=[Phase.explicit, Phase.generate]
                ),
            )
        finally:
            runner.run(opened.__aexit__(None, None, None))


async def _prepare() -> None:
    day(SubscriptionMachine.clock, START)
    await open_market(SubscriptionMachine.db, range(1, 90))
    SubscriptionMachine.plans = {}
    for code, (months, price) in PRICES.items():
        every = Interval.YEAR if months == 12 else Interval.MONTH
        for name, trial_days in ((code, 0), (f"{code}_trial", 20)):
            SubscriptionMachine.plans[name] = await offered(
                SubscriptionMachine.db, MONTHLY, code=name, price_minor=price, every=every, trial_days=trial_days
            )
