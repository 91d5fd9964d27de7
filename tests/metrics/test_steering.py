"""Goals with pace and forecast, what was first reported against what it says now, alerts in the outbox, reviews."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
import pytest

from marketplace.core import users
from marketplace.core.clock import FixedClock
from marketplace.core.db import STAFF, WORKER, Database, Tx
from marketplace.core.errors import AppError, Conflict, Invalid
from marketplace.flows.acquisition.work_leads import MoveLead, move_lead
from marketplace.flows.steering.hold_review import HoldReview, hold_review
from marketplace.flows.steering.roll_metrics import roll_metrics
from marketplace.flows.steering.set_goals import GoalProgress, SetGoal, revise_goal, set_goal, show_goal
from marketplace.flows.steering.show_metrics import AskMetrics, show_metrics
from marketplace.flows.steering.watch_metrics import SetAlert, report_periods, set_alert, watch_metrics
from marketplace.metrics import alerts_sql, goals_sql, reviews_sql
from marketplace.metrics.goals_sql import Goal
from marketplace.metrics.pace import Colour, Weighing
from marketplace.metrics.periods import Grain
from marketplace.metrics.reviews_sql import Decided, ReviewDecision
from marketplace.metrics.watch import BoundSide, Compared
from supply.leads.lifecycle import Move
from tests.builders import add_market, add_orders
from tests.leads.market import bring, organise
from tests.metrics.test_rolling import MONDAY, sale


async def topics(db: Database, topic: str) -> list[Any]:
    async with db.read(WORKER) as tx:
        rows = await tx.rows("SELECT payload FROM core.outbox WHERE topic = :topic ORDER BY event_id", topic=topic)
    return [row.payload for row in rows]


def goal(**values: Any) -> SetGoal:
    plain: dict[str, Any] = {
        "metric": "completed_orders", "grain": Grain.WEEK, "on": MONDAY, "target": 20, "owner": "operator",
        "reason": "to grow",
    }  # fmt: skip
    return SetGoal(**{**plain, **values})


async def shown(db: Database, held: Goal) -> GoalProgress:
    async with db.read(STAFF) as tx:
        return await show_goal(tx, await goals_sql.get_goal(tx, held.goal_id))


async def test_a_goal_of_the_house(db: Database, clock: FixedClock) -> None:
    """20 by Sunday; on Wednesday 12 are done, where working days expected 8: 6 a day, 12 + 3 x 6."""
    clock.move_to(datetime(2018, 7, 4, 9, tzinfo=UTC))
    await db.write(WORKER, "test", add_market, [1])
    sales = [sale(1, number, MONDAY - timedelta(days=2), 1_000) for number in range(1, 13)]
    await db.write(WORKER, "test", add_orders, sales)
    await roll_metrics(db, "worker")
    held = await db.write(WORKER, "operator", set_goal, goal())
    assert (held.from_on, held.to_on) == (MONDAY, MONDAY + timedelta(days=7))
    found = await shown(db, held)
    assert found.progress is not None
    assert (found.progress.actual, found.progress.expected, found.progress.pace_ppm) == (12, 8, 1_500_000)
    assert (found.progress.forecast, found.progress.colour) == (30, Colour.GREEN)
    assert found.progress.method is Weighing.WORKING_DAYS
    await db.write(WORKER, "operator", _raise_to, held.goal_id, 60)
    again = await shown(db, held)
    assert [(each.target, each.reason) for each in again.revisions] == [(20, "to grow"), (60, "more of it")]
    assert again.progress is not None
    assert again.progress.colour is Colour.RED
    assert [told["target"] for told in await topics(db, "metrics.goal_set.v1")] == [20, 60]


async def _raise_to(tx: Tx, goal_id: int, target: int) -> None:
    held = await goals_sql.get_goal(tx, goal_id, lock=True)
    await revise_goal(tx, held, target=target, owner=None, reason="more of it")


async def test_a_goal_divided_over_a_team_and_its_reps(db: Database) -> None:
    """What reps sign counts for their team and the house; the parts leave a residual with a name."""
    people = await organise(db)
    await db.write(WORKER, "test", add_market, [1])
    whole = await db.write(
        WORKER, "operator", set_goal, goal(metric="signed_merchants", on=date(2018, 9, 3), target=10)
    )
    part: dict[str, Any] = {"metric": "signed_merchants", "on": date(2018, 9, 3), "parent_id": whole.goal_id}
    team = await db.write(WORKER, "operator", set_goal, goal(**part, territory_id=people.north, target=6))
    mine = await db.write(WORKER, "operator", set_goal, goal(**part, rep_id=people.rita.user_id, target=3))
    lead = await bring(db)
    move = MoveLead(lead_id=lead.lead_id, move=Move.ASSIGN, owner_id=people.rita.user_id)
    await db.write(WORKER, "test", move_lead, move)
    for step in (Move.CONTACT, Move.SIGN):
        await db.write(WORKER, "test", move_lead, MoveLead(lead_id=lead.lead_id, move=step, reason="agreed"))
    await roll_metrics(db, "worker")
    for held in (whole, team, mine):
        found = await shown(db, held)
        assert found.progress is not None
        assert found.progress.actual == 1
    assert ((await shown(db, whole)).part_targets, (await shown(db, whole)).residual) == (9, 1)
    others = await db.write(WORKER, "operator", set_goal, goal(**part, rep_id=people.sue.user_id, target=3))
    found = await shown(db, others)
    assert found.progress is not None
    assert found.progress.actual == 0


@pytest.mark.parametrize(
    ("values", "refusal"),
    [
        ({"metric": "aov"}, "not the sum of its days"),
        ({"metric": "completed_orders", "territory_id": 5}, "not measured of a team"),
        ({"metric": "leads", "territory_id": 5}, "there is no territory 5"),
        ({"metric": "leads", "rep_id": 5}, "there is no rep 5"),
        ({"owner": "nobody"}, "owner"),
        ({"on": date(1, 1, 1)}, "on:"),
    ],
)
async def test_goals_that_are_none(db: Database, values: dict[str, Any], refusal: str) -> None:
    await db.write(WORKER, "test", add_market, [1])
    with pytest.raises(AppError, match=refusal):
        await db.write(WORKER, "operator", set_goal, goal(**values))


async def test_everything_that_is_wrong_is_said_at_once(db: Database) -> None:
    await db.write(WORKER, "test", add_market, [1])

    def wrong(refused: pytest.ExceptionInfo[Invalid]) -> list[str]:
        return [each["pointer"] for each in refused.value.extra["errors"]]

    cmd = goal(metric="aov", on=date(1, 1, 1), owner="nobody", rep_id=5, currency="XXX")
    with pytest.raises(Invalid, match="5 errors in all") as refused:
        await db.write(WORKER, "operator", set_goal, cmd)
    assert wrong(refused) == ["/metric", "/on", "/owner", "/rep_id", "/currency"]
    alert = SetAlert(
        name="few", metric="none", grain=Grain.DAY, compared=Compared.VALUE, side=BoundSide.BELOW, bound=3,
        clear_bound=2, owner="nobody", guards="nothing", entity_id=77,
    )  # fmt: skip
    with pytest.raises(Invalid) as refused:
        await db.write(WORKER, "operator", set_alert, alert)
    assert wrong(refused) == ["/metric", "/guards", "/clear_bound", "/owner", "/entity_id"]
    decisions = (
        ReviewDecision(decision="a", owner="operator", due_on=date(2018, 9, 7)),
        ReviewDecision(decision="b", owner="nobody", due_on=date(2018, 8, 7), metric="none"),
    )
    with pytest.raises(Invalid) as refused:
        await db.write(WORKER, "operator", hold_review, HoldReview(
            on=date(2018, 9, 1), causes="", learned="", decisions=decisions
        ))  # fmt: skip
    assert wrong(refused) == ["/decisions/1/owner", "/decisions/1/metric", "/decisions/1/due_on"]


async def test_a_goal_is_set_once_and_a_month_is_no_sum_of_weeks(db: Database) -> None:
    await db.write(WORKER, "test", add_market, [1])
    held = await db.write(WORKER, "operator", set_goal, goal())
    with pytest.raises(Conflict):
        await db.write(WORKER, "operator", set_goal, goal())
    with pytest.raises(Invalid, match="another period"):
        await db.write(WORKER, "operator", set_goal, goal(grain=Grain.MONTH, parent_id=held.goal_id))


async def test_what_was_reported_first_stays_beside_what_it_says_now(db: Database, clock: FixedClock) -> None:
    """Two orders are completed in the week when it is over; a third of it comes to light a day later."""
    clock.move_to(datetime(2018, 7, 9, 1, tzinfo=UTC))
    await db.write(WORKER, "test", add_market, [1])
    await db.write(WORKER, "test", add_orders, [sale(1, 1, MONDAY, 1_000), sale(1, 2, MONDAY, 1_000)])
    await roll_metrics(db, "worker")
    assert await report_periods(db, "worker") == 2
    clock.move_to(datetime(2018, 7, 10, 1, tzinfo=UTC))
    await db.write(WORKER, "test", add_orders, [sale(1, 3, MONDAY, 4_000)])
    await roll_metrics(db, "worker")
    assert await report_periods(db, "worker") == 0
    async with db.read(STAFF) as tx:
        [orders, aov] = (await show_metrics(tx, AskMetrics(), ["completed_orders", "aov"])).figures
    assert (orders.value, orders.first_reported, orders.restated) == (3, 2, 1)
    assert (aov.value, aov.first_reported, aov.restated) == (2_000, 1_000, 1_000)
    assert orders.first_reported_at == datetime(2018, 7, 9, 1, tzinfo=UTC)


async def test_an_alert_is_raised_once_and_cleared_by_its_other_bound(db: Database, clock: FixedClock) -> None:
    """Orders placed a day: 5, then 2 (raises below 3), 3 (stands: clears at 4), 4 (cleared), 1 (raised again)."""
    clock.move_to(datetime(2018, 7, 3, 1, tzinfo=UTC))
    await db.write(WORKER, "test", add_market, [1])
    cmd = SetAlert(
        name="few orders", metric="placed_orders", grain=Grain.DAY, compared=Compared.VALUE, side=BoundSide.BELOW,
        bound=3, clear_bound=4, owner="operator", guards="gmv_completed",
    )  # fmt: skip
    rule = await db.write(WORKER, "operator", set_alert, cmd)
    number, seen = 0, []
    for day, count in enumerate((5, 2, 3, 4, 1)):
        sales = [sale(1, number + each + 1, MONDAY + timedelta(days=day), 1_000) for each in range(count)]
        number += count
        await db.write(WORKER, "test", add_orders, sales)
        await roll_metrics(db, "worker")
        clock.move_to(datetime(2018, 7, 3 + day, 1, tzinfo=UTC))
        seen.append(await watch_metrics(db, "worker"))
        assert await watch_metrics(db, "worker") == 0
    assert seen == [0, 1, 0, 1, 1]
    told = await topics(db, "metrics.alert_changed.v1")
    assert [(each["raised"], each["value"], each["from_on"]) for each in told] == [
        (True, 2, "2018-07-03"), (False, 4, "2018-07-05"), (True, 1, "2018-07-06"),
    ]  # fmt: skip
    async with db.read(STAFF) as tx:
        assert [event.raised for event in await alerts_sql.list_events(tx, rule.rule_id, 9)] == [True, False, True]
        assert (await alerts_sql.get_rule(tx, rule.rule_id)).raised


async def test_days_that_nobody_looked_at_are_looked_at_in_their_order(db: Database, clock: FixedClock) -> None:
    """The worker was away: it was out of bounds on a day between, and is back within them."""
    clock.move_to(datetime(2018, 7, 3, 1, tzinfo=UTC))
    await db.write(WORKER, "test", add_market, [1])
    days = (1, 1, 3, 1)
    sales = [
        sale(1, 10 * day + each, MONDAY + timedelta(days=day), 1_000)
        for day, count in enumerate(days) for each in range(count)
    ]  # fmt: skip
    await db.write(WORKER, "test", add_orders, sales)
    await roll_metrics(db, "worker")
    cmd = SetAlert(
        name="a leap", metric="placed_orders", grain=Grain.DAY, compared=Compared.CHANGE, side=BoundSide.ABOVE,
        bound=500_000, clear_bound=0, owner="operator",
    )  # fmt: skip
    await db.write(WORKER, "operator", set_alert, cmd)
    await watch_metrics(db, "worker")
    clock.move_to(datetime(2018, 7, 6, 1, tzinfo=UTC))
    await watch_metrics(db, "worker")
    told = await topics(db, "metrics.alert_changed.v1")
    assert [(each["raised"], each["value"]) for each in told] == [(True, 2_000_000), (False, -666_667)]


async def test_a_week_is_talked_over(db: Database) -> None:
    decision = ReviewDecision(decision="call them", owner="operator", due_on=date(2018, 9, 7), metric="refund_rate")
    cmd = HoldReview(on=date(2018, 9, 1), causes="fewer new merchants", learned="ask earlier", decisions=(decision,))
    held = await db.write(WORKER, "operator", hold_review, cmd)
    assert held.week_on == date(2018, 8, 27)
    await db.write(WORKER, "operator", reviews_sql.add_note, held.review_id, 1, "three of five came back")
    async with db.read(STAFF) as tx:
        [found] = await reviews_sql.list_reviews(tx, limit=5)
    numbered = Decided(**msgspec.structs.asdict(decision), decision_no=1)
    assert (found.decisions, [(note.decision_no, note.note) for note in found.notes]) == (
        [numbered], [(1, "three of five came back")],
    )  # fmt: skip
    assert [told["owners"] for told in await topics(db, "metrics.review_held.v1")] == [["operator"]]
    with pytest.raises(AppError, match="has no decision 2"):
        await db.write(WORKER, "operator", reviews_sql.add_note, held.review_id, 2, "no")


async def test_a_decision_keeps_its_number_where_its_owner_sees_it_alone(db: Database) -> None:
    """So that what came of it can be told of by that number."""
    await db.write(WORKER, "test", users.create_user, "rita", "Rita", ["sales_rep"])
    of = [
        ReviewDecision(decision=f"to {owner}", owner=owner, due_on=date(2018, 9, 7)) for owner in ("operator", "rita")
    ]
    cmd = HoldReview(on=date(2018, 9, 1), causes="few visits", learned="plan them", decisions=tuple(of))
    held = await db.write(WORKER, "operator", hold_review, cmd)
    await db.write(WORKER, "operator", reviews_sql.add_note, held.review_id, 2, "planned ten")
    async with db.read(STAFF) as tx:
        [own] = await reviews_sql.list_reviews(tx, limit=5, owner="rita")
    assert [(each.decision_no, each.decision) for each in own.decisions] == [(2, "to rita")]
    assert [(note.decision_no, note.note) for note in own.notes] == [(2, "planned ten")]
