"""Every kind of window, live: trade 100.00, get 20.00 in each of them; and the same by a replay."""

from datetime import UTC, datetime

import pytest

from incentives.promotions import store as promotions
from incentives.rules.index import plan_of
from incentives.rules.model import Calendar, PerEvent, Qualify, Recurring, SinceOptIn, WholePromotion, Window
from incentives.simulation.replay import replay
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.promotions.simulate_promotion_sql import history
from tests.billing.market import MAKER, check_books, prepare
from tests.billing.market import order as paid_order
from tests.incentives.market import live, terms
from tests.incentives.trade import day, look, settle

JOINED = datetime(2018, 9, 5, 12, tzinfo=UTC)
_JOIN = "INSERT INTO incentives.opt_in (merchant_id, promotion_id, at, actor) VALUES (1, :promotion, :at, 'owner')"
FROM_START = Qualify(opt_in="from_window_start")
FROM_JOINING = Qualify(opt_in="from_opt_in")
NOT_ASKED = Qualify()


@pytest.mark.parametrize(
    ("window", "qualify", "wanted"),
    [
        (PerEvent(), NOT_ASKED, ["3"]),
        (Calendar(period="day"), NOT_ASKED, ["2018-09-12"]),
        (Calendar(period="week"), NOT_ASKED, ["2018-09-04", "2018-09-10"]),
        (Calendar(period="week", week_starts=3), NOT_ASKED, ["2018-09-12"]),
        (Calendar(period="month"), NOT_ASKED, ["2018-09-04"]),
        (Recurring(every=2, unit="day"), NOT_ASKED, ["2018-09-04", "2018-09-12"]),
        (Recurring(every=3, unit="week"), NOT_ASKED, ["2018-09-04"]),
        (Recurring(every=1, unit="month"), NOT_ASKED, ["2018-09-04"]),
        (WholePromotion(), NOT_ASKED, ["2018-09-04"]),
        (SinceOptIn(days=7), NOT_ASKED, ["2018-09-05T12"]),
        (SinceOptIn(days=6), NOT_ASKED, []),
        (Calendar(period="week"), FROM_JOINING, ["2018-09-10"]),
        (Calendar(period="week"), FROM_START, ["2018-09-04", "2018-09-10"]),
    ],
)
async def test_each_window_adds_up_what_happens_in_it(
    db: Database, clock: FixedClock, window: Window, qualify: Qualify, wanted: list[str]
) -> None:
    """60.00 on Tuesday the 4th and on Wednesday the 5th, 100.00 a week later, each at ten o'clock."""
    await db.write(WORKER, MAKER, prepare, [])
    _, promotion = await live(db, clock, terms(window=window, qualify=qualify))
    await db.write(WORKER, "owner", Tx.execute, _JOIN, {"promotion": promotion.promotion_id, "at": JOINED})
    orders = [paid_order(1, 1, day(4), 6_000), paid_order(1, 2, day(5), 6_000), paid_order(1, 3, day(12), 10_000)]
    await settle(db, clock, *orders)
    await look(db)
    async with db.read(WORKER) as tx:
        rows = await tx.rows("SELECT span, granted_minor FROM incentives.merchant_progress WHERE granted_minor > 0")
        version = await promotions.get_version(tx, promotion.promotion_id)
        plan = plan_of(promotion.promotion_id, version.version_no, version.terms)
        span = plan.timeline.span
        assert span.ends is not None
        of = history(tx, "order.settled", span.starts, span.ends, currency="EUR", zone="UTC", buyers=False)
        records = [record async for part in of for record in part]
    found = {row.span: row.granted_minor for row in rows}
    assert sorted(each[: len(start)] for each, start in zip(sorted(found), wanted, strict=True)) == wanted
    assert set(found.values()) <= {2_000}
    seen: dict[str, int] = {}
    joined = {(promotion.promotion_id, "merchant", 1): JOINED}
    replay([plan], records, joined_at=joined, sink=lambda g: seen.update({g.window: g.granted_minor}))  # type: ignore[arg-type]
    assert {name.removeprefix("order:"): minor for name, minor in seen.items() if minor} == found
    await check_books(db)
