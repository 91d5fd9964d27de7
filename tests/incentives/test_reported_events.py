"""Events that somebody reports are rewarded once and can be taken back; what would be said to one leaves no trace."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from incentives.lifecycle import Move, State
from incentives.rules.arms import HOLDOUT, is_held_out
from incentives.rules.awards import Fixed, Reward
from incentives.rules.events import Line
from incentives.rules.model import CustomEvent, Measure, PerEvent, TotalBudget
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database
from marketplace.core.errors import AppError, Conflict, Invalid, NotFound
from marketplace.flows.acquisition.onboard_merchant import move_merchant
from marketplace.flows.promotions.explain_event import Explained, Trial, explain_event
from marketplace.flows.promotions.tell_events import ReportedEvent, TellEvent, tell_event, untell_event
from supply.lifecycle import MerchantMove
from tests.billing.market import MAKER, check_books, prepare
from tests.billing.market import order as paid_order
from tests.incentives import market as m
from tests.incentives.trade import WEEKLY, day, look, settle

TRAINED = m.terms(
    name="who is trained",
    trigger=CustomEvent(name="training"),
    measure=Measure(of="orders"),
    window=PerEvent(),
    reward=Reward(amount=Fixed(amount_minor=300)),
    budgets=(TotalBudget(limit_minor=500, currency="EUR"),),
)


async def tell(db: Database, event_id: str = "deed", merchant_id: int = 1, **changes: Any) -> ReportedEvent:
    cmd = TellEvent(merchant_id=merchant_id, event_id=event_id, **{"name": "training", "currency": "EUR", **changes})
    return await db.write(WORKER, "ops", tell_event, cmd)


async def granted(db: Database) -> dict[str, int]:
    async with db.read(WORKER) as tx:
        rows = await tx.rows(
            "SELECT event_id, sum(amount_minor)::bigint AS minor FROM incentives.merchant_grant GROUP BY 1 ORDER BY 1"
        )
    return {row.event_id: row.minor for row in rows}


async def test_what_is_told_is_rewarded_once_and_taken_back(db: Database, clock: FixedClock) -> None:
    await db.write(WORKER, MAKER, prepare, [], [1])
    _, promotion = await m.live(db, clock, TRAINED)
    for _ in range(2):
        assert (await tell(db)).promotions == [promotion.promotion_id]
    assert (await tell(db, "other")).promotions == []  # the budget has 2.00 left
    assert (await tell(db, "unheard", name="dancing")).promotions == []
    assert await granted(db) == {"told:deed": 300}
    for _ in range(2):
        await db.write(WORKER, "ops", untell_event, 1, "deed")
    assert await granted(db) == {"told:deed": 0}
    with pytest.raises(NotFound, match="event_id"):
        await db.write(WORKER, "ops", untell_event, 1, "unheard")
    await check_books(db)


@pytest.mark.parametrize(
    ("changes", "fault", "why"),
    [
        ({"name": "order.settled"}, Invalid, "name: 'order.settled' is noted by the platform itself"),
        ({"name": "referral.referrer"}, Invalid, "name: 'referral.referrer' is noted"),
        ({"at": datetime(2019, 1, 1, tzinfo=UTC)}, Invalid, "at: has not happened yet"),
        ({"merchant_id": 9}, NotFound, "no merchant 9"),
        ({"merchant_id": 2}, Conflict, "state: the merchant is suspended"),
    ],
)
async def test_what_nobody_tells_is_refused(
    db: Database, changes: dict[str, Any], fault: type[AppError], why: str
) -> None:
    await db.write(WORKER, MAKER, prepare, [], [1, 2])
    await db.write(WORKER, MAKER, move_merchant, 2, MerchantMove.SUSPEND, "forged papers")
    with pytest.raises(fault, match=why):
        await tell(db, **changes)


async def explain(db: Database, *promotion_ids: int, minor: int = 12_000, **changes: Any) -> dict[int, Explained]:
    given = {"on": "order.settled", "merchant_id": 1, "buyer_id": None, "currency": "EUR", **changes}
    lines = (Line(line_no=1, amount_minor=minor),)
    async with db.read(WORKER) as tx:
        found = await explain_event(tx, Trial(**given, lines=lines, promotion_ids=promotion_ids))
    return {each.promotion_id: each for each in found}


async def test_it_is_said_what_each_would_give_and_why_not_at_any_instant(db: Database, clock: FixedClock) -> None:
    out = next(number for number in range(2, 99) if is_held_out(HOLDOUT, number, datetime(2018, 9, 4, tzinfo=UTC)))
    await db.write(WORKER, MAKER, prepare, [], [1, out])
    campaign, weekly = await m.live(db, clock, WEEKLY)
    each = {"window": PerEvent(), "reward": Reward(amount=Fixed(amount_minor=4_000))}
    draft = await m.drafted(db, campaign, m.terms(name="per order", **each))
    of = weekly.promotion_id, draft.promotion_id
    found = await explain(db, draft.promotion_id)
    assert [(found[n].outcome, found[n].state, found[n].gives[0].amount_minor) for n in of] == [
        ("counts", State.LIVE, None), ("applied", State.DRAFT, 4_000),
    ]  # fmt: skip
    assert set(await explain(db)) == {weekly.promotion_id}
    late = await explain(db, draft.promotion_id, at=datetime(2018, 10, 1, tzinfo=UTC))
    assert [(late[n].part, late[n].reason[:8]) for n in of] == [("schedule", "it ended")] * 2
    held = await explain(db, draft.promotion_id, merchant_id=out)
    assert {each.outcome for each in held.values()} == {"held_out"}
    with pytest.raises(NotFound, match="buyer 7"):
        await explain(db, buyer_id=7)
    with pytest.raises(NotFound, match="promotion 7"):
        await explain(db, 7)
    async with db.read(WORKER) as tx:
        assert await tx.scalar("SELECT count(*) FROM incentives.merchant_progress") == 0


async def test_it_is_said_what_a_budget_has_left_and_the_merchants_own_people_are_known(
    db: Database, clock: FixedClock
) -> None:
    await db.write(WORKER, MAKER, prepare, [], [1])
    each = {"window": PerEvent(), "reward": Reward(amount=Fixed(amount_minor=4_000))}
    _, promotion = await m.live(db, clock, m.terms(**each))
    await settle(db, clock, paid_order(1, 101, day(5), 12_000))
    await look(db)
    [short] = (await explain(db)).values()
    assert (short.outcome, short.part, short.reason) == ("refused", "budgets", "the budget has 10.00 left")
    await m.move(db, promotion, Move.PAUSE)
    assert await explain(db) == {}
    [paused] = (await explain(db, promotion.promotion_id, at=clock.now() - timedelta(hours=1))).values()
    assert (paused.state, paused.part) == (State.PAUSED, "budgets")
