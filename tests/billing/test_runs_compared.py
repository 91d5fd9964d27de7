"""What moved since the period before: the largest change first, new and vanished merchants by name, page after page."""

from datetime import date

from billing.ledger import store as ledger
from billing.runs.comparison.model import Moved, key_of
from marketplace.core.db import STAFF, WORKER, Database
from marketplace.flows.runs.compare_runs import Compared, compare_run
from marketplace.flows.runs.run_billing import run_period
from tests.billing.market import JUNE, MAKER, MAY, NET_OF_120, billed, goodwill, order, settled_market
from tests.billing.test_runs_parked import break_lines, final_child, final_without_parked

MAY_10, MAY_20, JUNE_5, JUNE_6 = date(2018, 5, 10), date(2018, 5, 20), date(2018, 6, 5), date(2018, 6, 6)
ORDERS = [
    order(1, 1, MAY_10), order(1, 2, JUNE_5), order(1, 3, JUNE_6),  # twice as much as the month before
    order(2, 4, MAY_20, 5_000),  # and nothing in June
    order(3, 5, JUNE_5, 7_000),  # its first month
]  # fmt: skip


async def compared(db: Database, run_id: int, **narrowed: object) -> Compared:
    async with db.read(STAFF) as tx:
        return await compare_run(tx, run_id, **{"limit": 100, **narrowed})  # type: ignore[arg-type]  # fields by name


def shown(found: Compared, merchant_id: int) -> dict[str, tuple[int, int, int | None]]:
    mine = [one for one in found.moved if one.merchant_id == merchant_id]
    return {one.column: (one.before_minor, one.change_minor, one.relative_ppm) for one in mine}


async def test_each_column_that_moved_is_named_with_its_change(db: Database) -> None:
    await settled_market(db, ORDERS, JUNE_6)
    await billed(db)
    found = await compared(db, (await run_period(db, MAKER, JUNE)).run.run_id)  # a preview is compared, too
    assert shown(found, 1) == {
        "opening": (0, NET_OF_120, None),
        "goods": (12_000, 12_000, 1_000_000),
        "commission": (-1_200, -1_200, -1_000_000),
        "vat": (-240, -240, -1_000_000),
        "payout": (0, -NET_OF_120, None),
        "closing": (NET_OF_120, NET_OF_120, 1_000_000),
    }
    assert shown(found, 2)["goods"] == (5_000, -5_000, -1_000_000)
    flags = {(one.merchant_id, one.flag) for one in found.moved}
    assert flags == {(1, None), (2, "vanished"), (2, None), (3, "new")}
    assert {one.column for one in found.moved if (one.merchant_id, one.flag) == (2, None)} == {"opening", "payout"}


async def test_the_largest_change_comes_first_then_the_largest_share_of_what_was(db: Database) -> None:
    await settled_market(db, ORDERS, JUNE_6)
    await db.write(WORKER, "test", ledger.post, [goodwill(1, 1, MAY_20, 12_000), goodwill(1, 2, JUNE_6, 24_000)])
    await billed(db)
    found = await compared(db, (await billed(db, JUNE)).run.run_id)
    keys = [key_of(one) for one in found.moved]
    assert keys == sorted(keys, key=lambda key: (key[0], -key[1], -key[2], *key[3:]))
    of_12000 = [(one.column, one.relative_ppm) for one in found.moved if abs(one.change_minor) == 12_000]
    assert of_12000 == [("goods", 1_000_000), ("other", 1_000_000)]
    equal = [one.column for one in found.moved if abs(one.change_minor) == 12_000 + NET_OF_120]
    assert equal == ["closing", "opening", "payout"]  # what earlier runs have come to stands last
    carried = [one.column in {"opening", "payout"} for one in found.moved]
    assert carried == sorted(carried)


async def test_page_after_page_is_the_whole_and_nothing_twice(db: Database) -> None:
    await settled_market(db, ORDERS, JUNE_6)
    await billed(db)
    run_id = (await billed(db, JUNE)).run.run_id
    whole = (await compared(db, run_id)).moved
    paged: list[Moved] = []
    while rest := (await compared(db, run_id, limit=2, after=key_of(paged[-1]) if paged else None)).moved:
        paged.extend(rest)
    assert paged == list(whole)
    assert list((await compared(db, run_id, merchant_id=2)).moved) == [one for one in whole if one.merchant_id == 2]
    assert list((await compared(db, run_id, currency="USD")).moved) == []


async def test_before_the_first_period_nothing_stood(db: Database) -> None:
    await settled_market(db, ORDERS, MAY_20)
    found = await compared(db, (await billed(db)).run.run_id)
    assert found.before == []
    assert {(one.merchant_id, one.flag, one.before_minor) for one in found.moved} == {(1, "new", 0), (2, "new", 0)}


async def test_a_period_is_compared_with_all_the_runs_of_the_one_before(db: Database) -> None:
    await settled_market(db, ORDERS, JUNE_6)
    await break_lines(db, 2)
    parent_id = await final_without_parked(db, MAY)
    await break_lines(db, 2, -1)
    child_id = await final_child(db, parent_id)
    run_id = (await billed(db, JUNE)).run.run_id
    found = await compared(db, run_id)
    assert [one.run_id for one in found.before] == [parent_id, child_id]
    assert shown(found, 2)["goods"] == (5_000, -5_000, -1_000_000)
    assert [one.run_id for one in (await compared(db, child_id)).now] == [parent_id, child_id]
