"""5 % of all merchants get no promotion for orders, so that all promotions together can be measured."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from incentives.experiments import store
from incentives.promotions import store as promotions
from incentives.promotions.joins import store as joins
from incentives.promotions.model import Promotion
from incentives.promotions.store import public_promotions
from incentives.rules.arms import HOLDOUT, is_held_out
from incentives.rules.index import plan_of
from incentives.rules.model import Qualify, WholePromotion
from incentives.simulation.replay import replay
from marketplace.core import policies
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import NotFound
from marketplace.flows.promotions.join_promotion import join_promotion
from marketplace.flows.promotions.review_promotion import look_back
from marketplace.flows.promotions.simulate_promotion_sql import history
from tests.billing.market import MAKER, check_books, prepare
from tests.billing.market import order as paid_order
from tests.incentives import market as m
from tests.incentives.trade import WEEKLY, day, look, settle

OUT = 13
"""Drawn for the second half of 2018."""
MERCHANTS = (1, 2, 3, OUT, 40)
AUTUMN = datetime(2018, 9, 5, tzinfo=UTC)


def test_5_percent_are_held_out_and_others_in_each_half_year() -> None:
    halves = [datetime(year, month, 1, tzinfo=UTC) for year in (2025, 2026) for month in (1, 7)]
    drawn = [{number for number in range(20_000) if is_held_out(HOLDOUT, number, each)} for each in halves]
    assert all(0.045 < len(out) / 20_000 < 0.055 for out in drawn)
    assert all(len(one & other) < 100 for one in drawn for other in drawn if one is not other)
    assert [number for number in range(41) if is_held_out(HOLDOUT, number, AUTUMN)] == [OUT, 40]
    assert is_held_out(HOLDOUT, OUT, datetime(2018, 7, 1, tzinfo=UTC))
    assert not is_held_out(HOLDOUT, OUT, datetime(2018, 6, 30, 23, 59, tzinfo=UTC))
    assert not is_held_out(None, OUT, AUTUMN)


async def live(db: Database, clock: FixedClock) -> Promotion:
    await db.write(WORKER, MAKER, prepare, [], list(MERCHANTS))
    _, promotion = await m.live(db, clock, WEEKLY)
    return promotion


async def trade(db: Database, clock: FixedClock) -> list[int]:
    """Everybody sells enough; who was granted something."""
    await settle(db, clock, *[paid_order(n, 100 + n, day(5), 12_000 + n) for n in MERCHANTS])
    await look(db)
    async with db.read(WORKER) as tx:
        rows = await tx.rows("SELECT DISTINCT merchant_id FROM incentives.merchant_grant ORDER BY 1")
    return [row.merchant_id for row in rows]


async def test_who_is_held_out_gets_nothing_and_is_compared_with_the_others(db: Database, clock: FixedClock) -> None:
    promotion = await live(db, clock)
    assert await trade(db, clock) == [1, 2]  # the budget is for two
    async with db.read(WORKER) as tx:
        seen = await store.list_exposures(tx, promotion.promotion_id, limit=99, after=None)
        found = await look_back(tx, promotion.promotion_id)
    assert {each.merchant_id: each.arm for each in seen} == {1: "treated", 2: "treated", 3: "treated", OUT: "", 40: ""}
    assert not found.observational
    [compared] = found.comparisons
    assert (compared.arm, compared.treated, compared.control) == ("treated", 3, 2)
    assert found.srm_ppm is not None
    await check_books(db)


async def test_the_house_may_do_without(db: Database, clock: FixedClock) -> None:
    await live(db, clock)
    await db.write(WORKER, "admin", policies.switch, "no_merchant_holdout", on=True)
    await db.write(WORKER, "test", _more)
    assert await trade(db, clock) == list(MERCHANTS)


async def _more(tx: Any) -> None:
    await tx.execute("UPDATE incentives.budget_shard SET allocated_minor = allocated_minor + 100000 WHERE n = 0")
    await tx.execute("UPDATE incentives.budget_period SET limit_minor = limit_minor + 100000")
    await tx.execute("UPDATE incentives.budget SET limit_minor = limit_minor + 100000")


async def test_nobody_is_taken_out_of_a_window_that_is_running(db: Database, clock: FixedClock) -> None:
    promotion = await live(db, clock)
    await db.write(WORKER, "admin", policies.switch, "no_merchant_holdout", on=True)
    await db.write(WORKER, "test", _more)
    await settle(db, clock, paid_order(OUT, 201, day(5), 9_000))
    await look(db)
    await db.write(WORKER, "admin", policies.switch, "no_merchant_holdout", on=False)
    await settle(db, clock, *[paid_order(n, 300 + n, day(7), 12_000 + n) for n in (OUT, 40)])
    await look(db)
    await settle(db, clock, *[paid_order(n, 400 + n, day(12), 18_000 + n) for n in (OUT, 40)])
    await look(db)
    async with db.read(WORKER) as tx:
        rows = await tx.rows(
            "SELECT merchant_id, left(span, 10) AS since, granted_minor FROM incentives.merchant_progress ORDER BY 1"
        )
        seen = await store.list_exposures(tx, promotion.promotion_id, limit=99, after=None)
    assert [tuple(row) for row in rows] == [(OUT, "2018-09-04", 2_000), (40, "2018-09-04", 2_000)]
    assert {each.merchant_id: each.arm for each in seen} == {OUT: "treated", 40: "treated"}
    await check_books(db)


async def told(db: Database, *merchants: int) -> list[int]:
    """Who of them is shown the promotion."""
    async with db.read(WORKER) as tx:
        holdout = await store.get_holdout(tx)
        return [n for n in merchants if await public_promotions(tx, n, holdout=holdout, limit=9)]


async def test_who_is_told_is_who_is_rewarded_until_the_window_ends(db: Database, clock: FixedClock) -> None:
    await live(db, clock)
    assert await told(db, 1, OUT, 40) == [1]
    await db.write(WORKER, "admin", policies.switch, "no_merchant_holdout", on=True)
    assert await told(db, 1, OUT, 40) == [1, OUT, 40]
    clock.move_to(datetime(2018, 9, 6, tzinfo=UTC))
    await db.write(WORKER, "admin", policies.switch, "no_merchant_holdout", on=False)
    assert await told(db, 1, OUT, 40) == [1, OUT, 40]
    clock.move_to(datetime(2018, 9, 9, 23, tzinfo=UTC))
    await db.write(WORKER, "admin", policies.switch, "no_merchant_holdout", on=False)  # as it stands already
    clock.move_to(datetime(2018, 9, 10, tzinfo=UTC))
    assert await told(db, 1, OUT, 40) == [1]


_STARTS = """
UPDATE incentives.public_promotion SET terms = jsonb_set(terms, '{schedule,starts}', to_jsonb(CAST(:starts AS text)))
"""


async def test_the_page_goes_by_the_window_where_the_half_year_begins_in_it(db: Database, clock: FixedClock) -> None:
    """Drawn for the second half of 2018 only: it is not taken out of what it has been in since June."""
    await db.write(WORKER, MAKER, prepare, [], list(MERCHANTS))
    await m.live(db, clock, m.terms(window=WholePromotion()))
    for starts, who in (("2018-06-25", [1, OUT]), ("2018-07-01", [1])):
        await db.write(WORKER, "test", Tx.execute, _STARTS, {"starts": starts})
        assert await told(db, 1, OUT) == who


@pytest.mark.parametrize("mode", ["from_opt_in", "from_window_start"])
async def test_who_has_joined_is_not_held_out_of_the_window_that_it_was_told_of(
    db: Database, clock: FixedClock, mode: Any
) -> None:
    """Joined while nobody was held out; nothing earned when the holdout begins, within the window."""
    await db.write(WORKER, MAKER, prepare, [], list(MERCHANTS))
    joining = msgspec.structs.replace(WEEKLY, qualify=Qualify(opt_in=mode))
    _, promotion = await m.live(db, clock, joining)
    with pytest.raises(NotFound):
        await db.write(WORKER, "13", join_promotion, OUT, promotion.promotion_id)
    await db.write(WORKER, "admin", policies.switch, "no_merchant_holdout", on=True)
    await db.write(WORKER, "test", _more)
    await db.write(WORKER, "13", join_promotion, OUT, promotion.promotion_id)
    clock.move_to(datetime(2018, 9, 6, tzinfo=UTC))
    await db.write(WORKER, "admin", policies.switch, "no_merchant_holdout", on=False)
    assert await told(db, OUT) == [OUT]
    await settle(db, clock, paid_order(OUT, 301, day(7), 12_000))
    await look(db)
    await settle(db, clock, paid_order(OUT, 401, day(12), 12_000))
    await look(db)
    assert await told(db, OUT) == []
    async with db.read(WORKER) as tx:
        rows = await tx.rows("SELECT left(span, 10) AS since, granted_minor FROM incentives.merchant_progress")
        holdout = await store.get_holdout(tx)
        version = await promotions.get_version(tx, promotion.promotion_id)
        plan = plan_of(promotion.promotion_id, version.version_no, version.terms)
        span = plan.timeline.span
        assert span.ends is not None
        of = history(tx, "order.settled", span.starts, span.ends, currency="EUR", zone="UTC", buyers=True)
        records = [record async for part in of for record in part]
        joined = await joins.joined_at(tx, "merchant", [OUT], [promotion.promotion_id])
    assert [tuple(row) for row in rows] == [("2018-09-04", 2_000)]
    replayed: dict[str, int] = {}
    replay(
        [plan],
        records,
        joined_at=joined,
        holdout=holdout,
        sink=lambda g: replayed.update({g.window[:10]: g.granted_minor}),
    )
    assert replayed == {"2018-09-04": 2_000}
    await check_books(db)
