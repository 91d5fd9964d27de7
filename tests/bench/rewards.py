"""What ten live promotions of merchants add to settling: the settlement pass, and the pass of rewards behind it."""

import statistics
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from incentives.rules.awards import (
    Amount,
    Band,
    EveryN,
    Fixed,
    Graduated,
    Ladder,
    Once,
    Reward,
    Tier,
    ToMerchant,
)
from incentives.rules.model import (
    Calendar,
    OrderSettled,
    PerEvent,
    Qualify,
    Schedule,
    Terms,
    TotalBudget,
    WholePromotion,
    Window,
)
from incentives.rules.predicates import Equals, Range
from marketplace.core.clock import FixedClock
from marketplace.core.db import Database
from marketplace.flows.commission.settle_orders import settle_through
from marketplace.flows.promotions.advance_incentives import advance_incentives
from marketplace.flows.promotions.grant_rewards import grant_rewards
from tests.bench.market import CURRENCY, FIRST_DAY, LAST_DAY, build_market
from tests.bench.promotions import BUDGET_MINOR, launch, schedule_over
from tests.bench.scratch import (
    ACTOR,
    Stopwatch,
    as_owner,
    ask_owner,
    at_least,
    at_most,
    copy_of,
    main,
    note,
    scratch_database,
)

RATIO_BAR = 1.5
_LAST = LAST_DAY + timedelta(days=60)
_LIVE = {"none": "UPDATE incentives.promotion SET state = 'cancelled'", "ten": "SELECT 1"}


async def measure(orders: int, merchants: int, rounds: int) -> dict[str, Any]:
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in _LIVE}
    async with scratch_database() as db:
        await build_market(db, merchants=merchants, orders=orders, exponent=0.78)
        clock = db.clock = FixedClock(datetime(2018, 4, 30, tzinfo=UTC))
        schedule = schedule_over(FIRST_DAY, _LAST)
        await launch(db, [_terms(number, schedule) for number in range(len(_REWARDS))])
        clock.move_to(datetime(2018, 6, 10, tzinfo=UTC))
        await advance_incentives(db, ACTOR)
        for number in range(rounds):
            for name, live in _LIVE.items():
                async with copy_of(db) as copy:
                    await as_owner(copy, live)
                    seconds[name].append(await _pass(copy))
                    granted = await ask_owner(copy, "SELECT count(*) FROM incentives.merchant_grant")
            note(f"round {number + 1}: { ({name: each[-1] for name, each in seconds.items()}) }, {granted} grants")
    by_name = [seconds[name] for name in _LIVE]
    return {
        "orders": orders,
        "merchants": merchants,
        "seconds_settling_and_rewarding": seconds,
        "rewarding_orders_per_second": round(orders / statistics.median(rewarding for _, rewarding in seconds["ten"])),
        "settling_over_without_promotions": round(_over_none([settling for settling, _ in of] for of in by_name), 2),
        "bars": {
            "both_passes_over_without_promotions": at_most(_over_none(map(sum, of) for of in by_name), RATIO_BAR),
            "grants": at_least(granted, 1),
        },
    }


def _over_none(taken: Iterable[Iterable[float]]) -> float:
    """The median over the rounds of what they took with ten promotions against what they took with none."""
    none, ten = taken
    return statistics.median(some / without for some, without in zip(ten, none, strict=True))


async def _pass(db: Database) -> tuple[float, float]:
    """The seconds of a settlement pass, and of the pass of rewards."""
    settling = Stopwatch()
    await settle_through(db, ACTOR, date(2018, 6, 30))
    settled = settling.seconds
    rewarding = Stopwatch()
    await grant_rewards(db, ACTOR)
    return settled, rewarding.seconds


_WEEK, _MONTH = Calendar(period="week"), Calendar(period="month")
_REWARDS: list[tuple[Window, Amount, Qualify]] = [
    (_WEEK, Once(threshold=100_00, amount_minor=20_00), Qualify()),
    (
        _WEEK,
        Ladder(tiers=(Tier(threshold=500_00, total_minor=10_00), Tier(threshold=2_000_00, total_minor=50_00))),
        Qualify(),
    ),
    (_MONTH, Graduated(bands=(Band(from_minor=0, rate_ppm=10_000),)), Qualify()),
    (
        _MONTH,
        Ladder(tiers=(Tier(threshold=2_000_00, total_minor=20_00),)),
        Qualify(event=Range(attribute="order.amount", at_least=100_00)),
    ),
    (WholePromotion(), EveryN(every=1_000_00, amount_minor=5_00), Qualify()),
    (
        WholePromotion(),
        Once(threshold=50_00, amount_minor=5_00),
        Qualify(lines=Equals(attribute="line.category", value="c3")),
    ),
    (_WEEK, Once(threshold=50_00, amount_minor=5_00), Qualify(lines=Equals(attribute="line.category", value="c7"))),
    (_MONTH, Once(threshold=50_00, amount_minor=5_00), Qualify(event=Equals(attribute="merchant.id", value=7))),
    (PerEvent(), Fixed(amount_minor=50), Qualify(event=Range(attribute="order.amount", at_least=150_00))),
    (
        _WEEK,
        Once(threshold=50_00, amount_minor=5_00),
        Qualify(event=Equals(attribute="merchant.region", value="north")),
    ),
]
"""Eight of them concern any merchant, one only one, one none."""


def _terms(number: int, schedule: Schedule) -> Terms:
    window, amount, qualify = _REWARDS[number]
    return Terms(
        name=f"reward {number}",
        currency=CURRENCY,
        trigger=OrderSettled(),
        qualify=qualify,
        window=window,
        reward=Reward(amount=amount),
        beneficiary=ToMerchant(),
        budgets=(TotalBudget(limit_minor=BUDGET_MINOR, currency=CURRENCY),),
        schedule=schedule,
    )


if __name__ == "__main__":
    main(measure, orders=200_000, merchants=2_000, rounds=3)
