"""Inputs of figures, each from the facts that it is measured from, on hand-made data."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from billing.ledger import store as ledger
from billing.ledger.chart import Account
from billing.ledger.model import NewEntry, legs
from demand.changes.store import note_merchants
from incentives.experiments import store as experiments
from incentives.experiments.findings import findings
from incentives.experiments.model import Exposed
from incentives.experiments.store import Decision, Review
from incentives.rules.model import Experiment
from marketplace.core.clock import FixedClock
from marketplace.core.db import STAFF, WORKER, Database, Tx
from marketplace.core.errors import Invalid
from marketplace.flows.acquisition.note_stages import NoteStage, note_stage
from marketplace.flows.acquisition.work_leads import MoveLead, move_lead
from marketplace.flows.commission.settle_orders import settle_through
from marketplace.flows.refunds.refund_order import RefundOrder, refund_order
from marketplace.flows.steering.roll_metrics import roll_metrics
from marketplace.flows.steering.set_goals import SetGoal, set_goal
from marketplace.flows.steering.show_metrics import MATURES_IN, AskMetrics, Figure, show_metrics
from marketplace.flows.steering.tell_observations import TellObservations, tell_observations
from marketplace.metrics.observations_sql import Observation
from marketplace.metrics.periods import Grain
from supply.leads.lifecycle import Move
from tests.ads.market import DAY, HOUR, MERCHANT, NOON, clicks, prepared
from tests.billing.market import MAKER, goodwill, order, payable, prepare, settled_market
from tests.builders import ENTITY, Line, Order, add_market, add_orders
from tests.conftest import NOW
from tests.incentives import market as incentives
from tests.leads.market import bring, organise
from tests.leads.test_sales import SEPTEMBER
from tests.metrics.test_one_answer import earn
from tests.metrics.test_rolling import MONDAY, sale, shown

WEEK: Any = {"from_on": MONDAY, "to_on": MONDAY + timedelta(days=7)}
MONTH: Any = {"from_on": SEPTEMBER.from_on, "to_on": SEPTEMBER.to_on}


async def tell(db: Database, *rows: tuple[str, int] | tuple[str, int, int]) -> None:
    told = [Observation(day=MONDAY, name=row[0], count=row[1], wait_days=row[2] if len(row) > 2 else 0) for row in rows]
    await db.write(WORKER, "shop", tell_observations, TellObservations(rows=told))


async def test_what_the_shop_tells(db: Database) -> None:
    """25 of 1,000 visitors order; 2 of 8 requests are filled; 300 of 400 ad slots, of 3,000 slots in all.

    First quotes after 1, 2 and 3 days, one request given up after 2: of 3 still waiting on day 2 one is quoted.
    """
    await db.write(WORKER, "test", add_market, [1])
    names = ("buyer_conversion", "fill_rate", "ad_fill_rate", "ad_load", "time_to_first_quote")
    assert await shown(db, *names, **WEEK) == dict.fromkeys(names)
    counts = [("visitors", 900), ("visitors_with_order", 25), ("requests", 8), ("requests_filled", 2)]
    await tell(db, *counts, ("slots", 3_000), ("ad_slots_eligible", 400), ("ad_slots_filled", 300))
    await tell(db, ("visitors", 1_000), ("quoted", 1, 1), ("quoted", 1, 2), ("quoted", 1, 3), ("unquoted", 1, 2))
    assert await shown(db, *names, **WEEK) == dict(zip(names, (25_000, 250_000, 750_000, 100_000, 2), strict=True))


async def test_a_share_that_is_half_told_is_not_known(db: Database) -> None:
    """Visitors of two days, those with an order of one."""
    await db.write(WORKER, "test", add_market, [1])
    await tell(db, ("visitors", 1_000), ("visitors_with_order", 20))
    more = [Observation(day=MONDAY + timedelta(days=1), name="visitors", count=1_000)]
    await db.write(WORKER, "shop", tell_observations, TellObservations(rows=more))

    async def conversion(**asked: Any) -> Figure:
        async with db.read(STAFF) as tx:
            return (await show_metrics(tx, AskMetrics(**asked), ["buyer_conversion"])).figures[0]

    half = await conversion(**WEEK)
    assert (half.value, half.complete, half.missing) == (None, False, ["visitors_with_order"])
    told = await conversion(from_on=MONDAY, to_on=MONDAY + timedelta(days=1))
    assert (told.value, told.complete, told.missing) == (20_000, True, [])


async def test_a_cohort_is_mature_when_nobody_is_on_the_way(db: Database) -> None:
    """Of two orders of a week that is over one is still under way."""
    await db.write(WORKER, "test", add_market, [1])
    await db.write(WORKER, "test", add_orders, [sale(1, 1, MONDAY, 1_000), sale(1, 2, MONDAY, 1_000, after=None)])
    names = ["completion_rate", "acceptance_rate", "seller_cancel_rate", "placed_orders"]

    async def figures() -> list[tuple[int | None, bool, bool]]:
        await roll_metrics(db, "worker")
        async with db.read(STAFF) as tx:
            found = (await show_metrics(tx, AskMetrics(**WEEK), names)).figures
        return [(each.value, each.complete, each.mature) for each in found]

    young = (500_000, True, False)
    assert await figures() == [young, young, (0, True, False), (2, True, True)]

    async def cancel(tx: Tx) -> None:
        await tx.execute("UPDATE demand.merchant_order SET state = 'cancelled' WHERE order_id = 2")
        await note_merchants(tx, [1])

    await db.write(WORKER, "test", cancel)
    assert [mature for *_, mature in await figures()] == [True, True, True, True]


async def test_a_cohort_is_not_mature_while_its_days_still_count(db: Database, clock: FixedClock) -> None:
    """Activated is who sells within 30 days: of who joined on the last day that is known 30 days later."""
    await db.write(WORKER, "test", add_market, [1])
    names = list(MATURES_IN)

    async def mature(on: date) -> dict[str, bool]:
        clock.move_to(datetime(on.year, on.month, on.day, 12, tzinfo=UTC))
        async with db.read(STAFF) as tx:
            found = (await show_metrics(tx, AskMetrics(**WEEK), names)).figures
        return {each.name: each.mature for each in found}

    ends = WEEK["to_on"]
    for name, days in MATURES_IN.items():
        assert not (await mature(ends + timedelta(days=days - 1)))[name], name
        assert (await mature(ends + timedelta(days=days)))[name], name


async def test_no_part_is_more_than_the_whole(db: Database) -> None:
    await db.write(WORKER, "test", add_market, [1])
    for rows, pointer in (
        ([("visitors", 3), ("visitors_with_order", 4)], "/rows/1/count"),
        ([("requests_filled", 1)], "/rows/0/count"),
        ([("slots", 3, 2)], "/rows/0/wait_days"),
        ([("slots", 3), ("slots", 4)], "/rows/1/name"),
    ):
        with pytest.raises(Invalid) as refused:
            await tell(db, *rows)
        assert refused.value.extra["errors"][0]["pointer"] == pointer


async def test_what_is_paid_counts_on_the_day_of_the_payment(db: Database) -> None:
    """One order of 10.00 is placed and paid in the week, one of 5.00 was placed three days before it was paid in it."""
    await db.write(WORKER, "test", add_market, [1])
    await db.write(WORKER, "test", add_orders, [sale(1, 1, MONDAY, 1_000), sale(1, 2, MONDAY, 500)])

    async def earlier(tx: Tx) -> None:
        await tx.execute(
            """
            UPDATE demand.merchant_order
            SET placed_at = placed_at - interval '3 days', purchased_on = purchased_on - 3 WHERE order_id = 2
            """
        )

    await db.write(WORKER, "test", earlier)
    await roll_metrics(db, "worker")
    assert await shown(db, "gmv_placed", "gmv_paid", **WEEK) == {"gmv_placed": 1_000, "gmv_paid": 1_500}
    before: Any = {"from_on": MONDAY - timedelta(days=7), "to_on": MONDAY}
    assert await shown(db, "gmv_placed", "gmv_paid", **before, merchant_id=1) == {"gmv_placed": 500, "gmv_paid": 0}


async def test_orders_carried_out_badly(db: Database) -> None:
    """Of four orders one was damaged, one is disputed; one parcel of three left later than three days after payment."""
    await db.write(WORKER, "test", add_market, [1])
    await db.write(WORKER, "test", add_orders, [sale(1, number, MONDAY, 1_000) for number in (1, 2, 3, 4)])
    await roll_metrics(db, "worker")
    for number, reason in ((1, "damaged"), (2, "goodwill")):
        await db.write(WORKER, "test", refund_order, RefundOrder(merchant_id=1, order_id=number, reason=reason))

    async def go_wrong(tx: Tx) -> None:
        for number, days in ((1, 1), (2, 2), (3, 4)):
            await tx.execute(
                "INSERT INTO demand.shipment (merchant_id, shipment_id, order_id, shipped_at)"
                " VALUES (1, :id, :id, :at)",
                {"id": number, "at": datetime(2018, 7, 2, 11, tzinfo=UTC) + timedelta(days=days)},
            )
        await tx.execute(
            """
            INSERT INTO demand.dispute (merchant_id, dispute_id, dispute_ref, order_id, buyer_id, payment_id,
                                        processor_id, currency, amount_minor, fee_minor, state, recourse, opened_at,
                                        due_on)
            VALUES (1, 1, 'd', 3, 1, 1, 1, 'EUR', 100, 0, 'open', false, :at, '2018-08-01')
            """,
            {"at": tx.now},
        )

    await db.write(WORKER, "test", go_wrong)
    names = ("order_defect_rate", "late_shipment_rate")
    assert await shown(db, *names, **WEEK) == {"order_defect_rate": 500_000, "late_shipment_rate": 333_333}
    assert await shown(db, *names, **WEEK, merchant_id=1) == await shown(db, *names, **WEEK)


async def test_who_came_back_after_a_month(db: Database) -> None:
    """Of three that went live in August one sells in September, another only in October."""
    await db.write(WORKER, "test", add_market, [1, 2, 3, 4])
    await db.write(WORKER, "test", add_orders, [sale(1, 1, date(2018, 9, 3), 500), sale(2, 2, date(2018, 10, 3), 500)])

    async def join(tx: Tx) -> None:
        await tx.execute("UPDATE supply.merchant SET joined_on = '2018-08-09' WHERE merchant_id < 4")

    await db.write(WORKER, "test", join)
    await roll_metrics(db, "worker")
    names = ("cohort_retention", "rolling_retention")
    assert await shown(db, *names, **MONTH) == {"cohort_retention": 333_333, "rolling_retention": 666_667}


async def test_what_deals_are_worth_and_what_is_left_of_the_goal(db: Database) -> None:
    """Of four deals one is signed after two days, one lost; two merchants brought 500.00 each in the year.

    4 more are to sign. The 2 that are open bring 2 x 1/2 x 500.00 in 2 days.
    """
    org = await organise(db)
    await db.write(WORKER, "test", add_market, [1, 2])
    await db.write(WORKER, "test", add_orders, [sale(1, 1, date(2018, 9, 3), 500), sale(2, 2, date(2018, 9, 3), 500)])
    await db.write(WORKER, "test", earn, (1, 2))
    leads = [await bring(db, f"Shop {number}", phone=f"0151 {number:06}") for number in range(4)]
    for lead, day in zip(leads, (1, 2, 2, 1), strict=True):
        at = datetime(2018, 9, day, tzinfo=UTC)
        await db.write(WORKER, "test", note_stage, NoteStage(lead_id=lead.lead_id, stage="qualified", at=at))
    for lead, move in ((leads[2], Move.LOSE), (leads[3], Move.SIGN)):
        assign = MoveLead(lead_id=lead.lead_id, move=Move.ASSIGN, owner_id=org.rita.user_id)
        await db.write(WORKER, "test", move_lead, assign)
        await db.write(WORKER, "test", move_lead, MoveLead(lead_id=lead.lead_id, move=move, reason="no need"))
    goal = SetGoal(
        metric="signed_merchants", grain=Grain.MONTH, on=date(2018, 9, 1), target=5, owner="operator", reason="to grow"
    )
    await db.write(WORKER, "operator", set_goal, goal)
    await roll_metrics(db, "worker")
    assert await shown(db, "pipeline_coverage", "pipeline_velocity", **MONTH) == {
        "pipeline_coverage": 500_000, "pipeline_velocity": 25_000,
    }  # fmt: skip
    assert await shown(db, "pipeline_velocity", **MONTH, rep_id=org.rita.user_id) == {"pipeline_velocity": 0}
    assert (await shown(db, "pipeline_coverage", from_on=date(2018, 9, 1), to_on=date(2018, 9, 8))) == {
        "pipeline_coverage": None
    }


async def test_attainment_and_pace_of_the_north_star(db: Database, clock: FixedClock) -> None:
    """20 orders by Sunday; on Wednesday 12 are done in two days, where working days expected 8."""
    clock.move_to(datetime(2018, 7, 4, 9, tzinfo=UTC))
    await db.write(WORKER, "test", add_market, [1])
    sales = [sale(1, number, MONDAY - timedelta(days=2), 1_000) for number in range(1, 13)]
    await db.write(WORKER, "test", add_orders, sales)
    await roll_metrics(db, "worker")
    assert await shown(db, "attainment", "pace", "run_rate", **WEEK) == {
        "attainment": None, "pace": None, "run_rate": 42,
    }  # fmt: skip
    goal = SetGoal(
        metric="completed_orders", grain=Grain.WEEK, on=MONDAY, target=20, owner="operator", reason="to grow"
    )
    await db.write(WORKER, "operator", set_goal, goal)
    assert await shown(db, "attainment", "pace", **WEEK) == {"attainment": 600_000, "pace": 1_500_000}


async def test_sales_of_ads_are_those_of_the_campaigns_reports(db: Database, clock: FixedClock) -> None:
    """A buyer clicks twice and buys once for 40.00 within a week; what it buys after eight days is not the ads'."""
    campaign = await prepared(db)
    await clicks(db, campaign, 1, at=NOON - 3 * HOUR, name="a", buyer_id=1)
    await clicks(db, campaign, 1, at=NOON - 2 * HOUR, name="b", buyer_id=1)

    async def buy(tx: Tx) -> None:
        for order_id, after in ((1, timedelta(hours=1)), (2, timedelta(days=8))):
            lines = (Line(goods_minor=4_000),)
            placed = NOON - 2 * HOUR + after
            one = Order(merchant_id=MERCHANT, order_id=order_id, lines=lines, placed_at=placed, settles_at=None)
            await add_orders(tx, [one])

    await db.write(WORKER, "test", buy)
    day: Any = {"from_on": DAY, "to_on": DAY + timedelta(days=1)}

    async def book(tx: Tx) -> None:
        await earn_ads(tx, 1_000)

    await db.write(WORKER, "test", book)
    await roll_metrics(db, "worker")
    assert await shown(db, "roas", "acos", **day) == {"roas": 4_000_000, "acos": 250_000}


async def earn_ads(tx: Tx, minor: int) -> None:
    entry = NewEntry(
        merchant_id=MERCHANT, kind="ads_rated", source_id=77, currency="EUR", occurred_at=tx.now, effective_on=DAY,
        legs=legs({Account.AD_PREPAID_PAID: minor, Account.AD_REVENUE: -minor}),
    )  # fmt: skip
    await ledger.post(tx, [entry])


async def test_lines_of_processors_that_books_and_bank_have(db: Database) -> None:
    """Of 100.00 and 60.00 the first is matched in the books, but its batch has not come; 40.00 and it has."""
    await db.write(WORKER, "test", add_market, [1])

    async def items(tx: Tx) -> None:
        rows = [
            ("processor", "theirs", 1, 10_000, "b1", 5), ("processor", "theirs", 2, 6_000, "b2", None),
            ("processor", "theirs", 3, -4_000, "b3", 6), ("bank", "ours", 4, 9_000, "B1", None),
            ("bank", "ours", 5, -4_000, "B3", 7),
        ]  # fmt: skip
        for book, side, number, minor, batch, group in rows:
            await tx.execute(
                """
                INSERT INTO billing.match_item (item_id, book, side, kind, owner_id, source_id, entity_id, currency,
                    amount_minor, reference, batch_ref, keys, party, party_account, words, day, expected_on, sort_key,
                    booked, group_id)
                VALUES (:id, :book, :side, 'line', 1, :id, :entity, 'EUR', :minor, 'r', :batch, '{}', '', '', '',
                        '2018-07-03', '2018-07-03', 'k', true, :group)
                """,
                {"id": number, "book": book, "side": side, "entity": ENTITY, "minor": minor, "batch": batch,
                 "group": group},
            )  # fmt: skip

    await db.write(WORKER, "test", items)
    assert await shown(db, "reconciliation_rate", **WEEK) == {"reconciliation_rate": 200_000}


async def test_net_settlement_is_what_moves_the_payable_account(db: Database) -> None:
    """Two orders of 120.00 at 10 % and 20 % VAT on it; one is refunded whole; 5.00 are given as goodwill."""
    await settled_market(db, [order(1, 1, date(2018, 5, 3)), order(1, 2, date(2018, 5, 4))])
    await db.write(WORKER, "test", refund_order, RefundOrder(merchant_id=1, order_id=2, reason="damaged"))

    async def give(tx: Tx) -> None:
        await ledger.post(tx, [goodwill(1, 9, date(2018, 5, 9), 500)])

    await db.write(WORKER, "test", give)
    await settle_through(db, MAKER, date(2018, 5, 31))
    await roll_metrics(db, "worker")
    span: Any = {"from_on": date(2018, 5, 1), "to_on": NOW.date() + timedelta(days=2)}
    owed = await payable(db, 1)
    assert owed == {"EUR": 10_560 + 500}
    assert await shown(db, "net_settlement", **span) == {"net_settlement": owed["EUR"]}
    assert await shown(db, "net_settlement", **span, merchant_id=1) == {"net_settlement": owed["EUR"]}
    assert await shown(db, "net_settlement", **span, merchant_id=2) == {"net_settlement": 0}


async def test_what_reviews_of_promotions_found(db: Database, clock: FixedClock) -> None:
    """Two treated sell 120.00 each for 10.00 and 12.00 of margin; two controls 100.00 each for 4.00 and 6.00."""
    await db.write(WORKER, MAKER, prepare, [], [1, 2, 3, 4])
    _, promotion = await incentives.live(db, clock)
    exposed = [
        Exposed(merchant_id=n, unit=str(n), arm=arm, after_minor=after, before_minor=0, margin_minor=margin,
                cost_minor=cost)
        for n, (arm, after, margin, cost) in enumerate(
            [("treated", 11_000, 1_000, 400), ("treated", 13_000, 1_200, 400), ("", 9_000, 400, 0),
             ("", 11_000, 600, 0)], 1)
    ]  # fmt: skip
    found = findings(
        Experiment(salt="lots", holdout_slots=5_000), exposed, planned_minor=None, cost_minor=800, clawed_minor=0
    )

    async def review(tx: Tx) -> None:
        await experiments.add_review(tx, Review(
            promotion_id=promotion.promotion_id, findings=found, decision=Decision.REPEAT, learned="more",
            made_by="rob", made_at=tx.now,
        ))  # fmt: skip

    await db.write(WORKER, "rob", review)
    await db.write(WORKER, "test", add_orders, [sale(1, 1, date(2018, 9, 3), 1_000)])
    await roll_metrics(db, "worker")
    names = ("lift", "incremental_roi", "burn_per_incremental_order")
    # 240.00 against 200.00; 12.00 more margin for 8.00; 40.00 more in orders of 10.00.
    assert await shown(db, *names, **MONTH) == dict(zip(names, (200_000, 500_000, 200), strict=True))
