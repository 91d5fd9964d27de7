"""Runs of any days: weeks and thirds of a month bill what the months would, and what is charged by the month once."""

from datetime import date

import pytest

from billing.runs.model import Period, period_named
from marketplace.core.db import Database
from marketplace.core.errors import Conflict, Invalid
from marketplace.flows.runs.run_billing import reverse_run, run_period
from tests.billing.market import (
    CHECKER,
    JUNE,
    MAKER,
    NET_OF_120,
    billed,
    check_books,
    figures,
    order,
    payable,
    settled_market,
    statements,
)
from tests.billing.test_minimum import agree, charges

MAY_3, MAY_15, MAY_30, JUNE_2 = date(2018, 5, 3), date(2018, 5, 15), date(2018, 5, 30), date(2018, 6, 2)
THIRDS = ("2018-05-01..2018-05-10", "2018-05-11..2018-05-20", "2018-05-21..2018-05-31")


@pytest.mark.parametrize(
    ("name", "from_on", "to_on", "month"),
    [
        ("2018-05-01..2018-05-10", date(2018, 5, 1), date(2018, 5, 11), None),
        ("2018-05-21..2018-05-31", date(2018, 5, 21), date(2018, 6, 1), "2018-05"),
        ("2018-05-28..2018-06-03", date(2018, 5, 28), date(2018, 6, 4), "2018-05"),
        ("2020-02-29..2020-02-29", date(2020, 2, 29), date(2020, 3, 1), "2020-02"),
        ("2018-05", date(2018, 5, 1), date(2018, 6, 1), "2018-05"),
    ],
)
def test_a_period_is_named_by_its_days_and_knows_the_month_that_ends_in_it(
    name: str, from_on: date, to_on: date, month: str | None
) -> None:
    period = period_named(name)
    assert period == Period(from_on, to_on)
    assert period.name == name
    assert (period.month_ended.name if period.month_ended else None) == month


@pytest.mark.parametrize("name", ["2018-05-02..2018-05-01", "2018-05-01..2018-06-01", "2018-01-31..2018-02-28", "..",
                                  "2018-05-01..", "20180501..20180510", "2018-05-01..2018-05-32"])  # fmt: skip
def test_what_is_no_period_is_refused(name: str) -> None:
    with pytest.raises(Invalid, match="period"):
        period_named(name)


async def test_a_month_billed_in_thirds_is_the_month_billed_in_one(db: Database) -> None:
    """And the minimum of the month is charged once, by the run in which the month ends."""
    orders = [order(1, 1, MAY_3), order(1, 2, MAY_15), order(1, 3, MAY_30), order(2, 4, MAY_15, 777)]
    await settled_market(db, orders)
    await agree(db, 5_000)
    runs = [await billed(db, period_named(name)) for name in THIRDS]
    told = [await statements(db, result.run.run_id) for result in runs]
    parts = [figures(one[1, "EUR"]) for one in told]
    assert [part.get("other", 0) for part in parts] == [0, 0, -(5_000 - 3 * 1_200) * 12 // 10]
    assert await charges(db) == [(1, 5_000, 3_600, 1_400, 280, "posted")]
    await check_books(db)
    june = await billed(db, JUNE)
    assert june.run.period == JUNE
    await check_books(db)
    for result in reversed([*runs, june]):
        await reverse_run(db, CHECKER, result.run.run_id)
    assert await payable(db, 1) == {"EUR": 3 * NET_OF_120}
    month = figures((await statements(db, (await billed(db)).run.run_id))[1, "EUR"])
    assert {name: sum(part.get(name, 0) for part in parts) for name in ("goods", "commission", "vat", "other")} == {
        name: month[name] for name in ("goods", "commission", "vat", "other")
    }
    await check_books(db)


async def test_a_week_across_two_months_charges_the_month_that_ended(db: Database) -> None:
    await settled_market(db, [order(1, 1, MAY_30), order(1, 2, JUNE_2)], JUNE_2)
    await agree(db, 2_000)
    run = await billed(db, period_named("2018-05-28..2018-06-03"))
    shown = figures((await statements(db, run.run.run_id))[1, "EUR"])
    assert (shown["goods"], shown["commission"], shown["other"]) == (24_000, -2_400, -960)
    assert await charges(db) == [(1, 2_000, 1_200, 800, 160, "posted")]
    assert await payable(db, 1, date(2018, 5, 31)) == {"EUR": NET_OF_120 - 960}  # it is owed for May
    await check_books(db)


async def test_days_follow_each_other_without_a_gap(db: Database) -> None:
    await settled_market(db, [order(1, 1, MAY_3)])
    await billed(db, period_named(THIRDS[0]))
    for name in ("2018-05-12..2018-05-20", "2018-05-10..2018-05-20", "2018-06"):
        with pytest.raises(Conflict, match="the next one begins on 2018-05-11, as"):
            await run_period(db, MAKER, period_named(name))
    with pytest.raises(Conflict, match="begins on 2018-05-01, too"):
        await run_period(db, MAKER, period_named("2018-05"))
