"""The minimum monthly commission: charged once by the month's run, previewed as it is booked, taken back with it."""

from datetime import UTC, date, datetime

import msgspec
import pytest

from billing.contracts.terms import Terms, check_terms
from billing.runs.model import Period
from marketplace.core.db import WORKER, Database
from marketplace.core.errors import Invalid
from marketplace.flows.commission.apply_contracts import apply_versions
from marketplace.flows.commission.settle_orders import settle_through
from marketplace.flows.refunds.refund_order import RefundOrder, refund_order
from marketplace.flows.runs.run_billing import abort_run, reverse_run, run_period
from supply.store import join
from tests.billing.market import (
    CHECKER,
    FLAT,
    JUNE,
    MAKER,
    MAY,
    NET_OF_120,
    billed,
    check_books,
    figures,
    order,
    payable,
    payouts,
    settled_market,
    statements,
)

MAY_5, MAY_20, JUNE_5 = date(2018, 5, 5), date(2018, 5, 20), date(2018, 6, 5)


async def agree(db: Database, minimum: int, **changes: object) -> Terms:
    """A contract of one merchant with a minimum, beside what its orders were sold under."""
    async with db.read(WORKER) as tx:
        ref = await tx.scalar("SELECT merchant_ref FROM supply.merchant WHERE merchant_id = 1")
    terms = msgspec.structs.replace(FLAT, name="least", merchants=(ref,), month_min_minor=minimum, **changes)
    await db.write(WORKER, MAKER, apply_versions, [terms])
    return terms


async def charges(db: Database) -> list[tuple[object, ...]]:
    async with db.read(WORKER) as tx:
        rows = await tx.rows("""
            SELECT merchant_id, minimum_minor, commission_minor, fee_minor, vat_minor, state FROM billing.run_charge
            ORDER BY charge_id, merchant_id""")
    return [tuple(row) for row in rows]


async def as_previewed(db: Database, period: Period = MAY) -> dict[str, int]:
    """What the first merchant's statement says before it is final, and that the final one says the same."""
    run = await run_period(db, MAKER, period)
    shown = figures((await statements(db, run.run.run_id))[1, "EUR"])
    done = await billed(db, period)
    assert done.run.run_id == run.run.run_id
    assert figures((await statements(db, run.run.run_id))[1, "EUR"]) == shown
    return shown


async def test_what_the_month_lacks_is_charged_once_with_vat(db: Database) -> None:
    await settled_market(db, [order(1, 1, MAY_5)])
    await agree(db, 2_000)
    shown = await as_previewed(db)
    assert shown == {"goods": 12_000, "commission": -1_200, "vat": -240, "other": -960, "closing": NET_OF_120 - 960}
    assert await charges(db) == [(1, 2_000, 1_200, 800, 160, "posted")]
    assert await payable(db, 1, date(2018, 5, 31)) == {"EUR": NET_OF_120 - 960}
    await check_books(db)


async def test_a_month_that_earned_enough_is_charged_nothing(db: Database) -> None:
    await settled_market(db, [order(1, 1, MAY_5)])
    await agree(db, 1_200)
    assert "other" not in await as_previewed(db)
    assert await charges(db) == []


async def test_a_merchant_that_sold_nothing_owes_the_minimum(db: Database) -> None:
    await settled_market(db, [order(2, 1, MAY_5)])
    await agree(db, 2_000)
    assert await as_previewed(db) == {"other": -2_400, "closing": -2_400}
    june = await as_previewed(db, JUNE)
    assert june == {"opening": -2_400, "other": -2_400, "closing": -4_800}
    await check_books(db)


async def test_refunds_of_earlier_months_never_charge_more_than_the_minimum(db: Database) -> None:
    await settled_market(db, [order(1, 1, MAY_5)])
    await billed(db)
    await agree(db, 500)
    at = datetime(2018, 6, 10, 12, tzinfo=UTC)
    await db.write(WORKER, MAKER, refund_order, RefundOrder(merchant_id=1, order_id=1, reason="late", refunded_at=at))
    await as_previewed(db, JUNE)
    assert await charges(db) == [(1, 500, -1_200, 500, 100, "posted")]
    await check_books(db)


async def test_a_reversed_run_takes_its_charge_back_and_the_next_charges_what_is_lacking_then(db: Database) -> None:
    orders = [order(1, 1, MAY_5), order(1, 2, MAY_20, 5_000)]
    await settled_market(db, orders, MAY_5)
    await agree(db, 2_000)
    before = await payable(db, 1)
    first = await billed(db)
    await reverse_run(db, CHECKER, first.run.run_id)
    assert await payable(db, 1) == before
    await check_books(db)
    await settle_through(db, MAKER, MAY_20)
    again = await billed(db)
    assert [charge[2:] for charge in await charges(db)] == [
        (1_200, 800, 160, "reversed"),
        (1_700, 300, 60, "posted"),
    ]
    assert figures((await statements(db, again.run.run_id))[1, "EUR"])["other"] == -360
    assert await payouts(db, again.run.run_id) == {(1, "EUR"): 17_000 - 1_700 - 340 - 360}
    await check_books(db)


async def test_a_preview_given_up_leaves_nothing_and_one_made_again_charges_once(db: Database) -> None:
    await settled_market(db, [order(1, 1, MAY_5)])
    await agree(db, 2_000)
    run = await run_period(db, MAKER, MAY)
    assert len(await charges(db)) == 1
    await abort_run(db, MAKER, run.run.run_id)
    assert await charges(db) == []
    await run_period(db, MAKER, MAY)
    await run_period(db, MAKER, MAY)
    assert await charges(db) == [(1, 2_000, 1_200, 800, 160, "due")]
    await check_books(db)


@pytest.mark.parametrize(
    "validity",
    [
        {"valid_from": date(2018, 5, 2)},
        {"valid_from": date(2018, 1, 1), "valid_until": date(2018, 5, 31)},
        {"valid_from": date(2018, 6, 1)},
    ],
)
async def test_a_month_that_is_not_covered_whole_owes_no_minimum(db: Database, validity: dict[str, object]) -> None:
    await settled_market(db, [order(1, 1, MAY_5)])
    await agree(db, 2_000, **validity)
    assert "other" not in await as_previewed(db)


async def test_of_two_versions_in_a_month_the_later_counts(db: Database) -> None:
    await settled_market(db, [order(1, 1, MAY_5)])
    first = await agree(db, 2_000, valid_until=date(2018, 5, 10))
    await db.write(
        WORKER,
        MAKER,
        apply_versions,
        [msgspec.structs.replace(first, valid_from=date(2018, 5, 10), valid_until=None, month_min_minor=1_500)],
    )
    assert (await as_previewed(db))["other"] == -360


async def test_vat_of_the_month_and_of_the_charge_is_that_of_their_sum(db: Database) -> None:
    await settled_market(db, [order(1, 1, MAY_5, 30), order(1, 2, MAY_20, 20)])  # commission 3 and 2, VAT 1 together
    await agree(db, 8)
    shown = await as_previewed(db)
    assert (shown["vat"], shown["other"]) == (-1, -4)  # half-even of 1.6 is 2: one more for the charge of 3


@pytest.mark.parametrize("changes", [{"merchants": None}, {"categories": ("toys",)}, {"month_min_minor": -1}])
def test_a_minimum_is_of_merchants_that_are_named_and_of_all_they_sell(changes: dict[str, object]) -> None:
    fair = msgspec.structs.replace(FLAT, merchants=("m",), month_min_minor=1)
    check_terms(fair, "contract[0]")
    with pytest.raises(Invalid, match=r"contract\[0\].month_min_minor"):
        check_terms(msgspec.structs.replace(fair, **changes), "contract[0]")


async def test_a_merchant_that_began_within_the_month_owes_no_minimum_for_it(db: Database) -> None:
    await settled_market(db, [order(1, 1, MAY_5)])
    await agree(db, 2_000)
    await db.write(WORKER, MAKER, join, 1, MAY_5)
    assert "other" not in await as_previewed(db)
    assert (await as_previewed(db, JUNE))["other"] == -2_400


async def test_who_is_named_from_the_middle_of_a_month_owes_nothing_for_it(db: Database) -> None:
    """The contract was there all month, of another merchant: the first owes the minimum from June on."""
    await settled_market(db, [order(1, 1, MAY_5), order(2, 2, MAY_5)])
    async with db.read(WORKER) as tx:
        rows = await tx.rows(
            "SELECT merchant_ref FROM supply.merchant WHERE merchant_id IN (1, 2) ORDER BY merchant_id"
        )
    first, second = [row.merchant_ref for row in rows]
    least = msgspec.structs.replace(FLAT, name="least", month_min_minor=2_000)
    only = msgspec.structs.replace(least, merchants=(second,), valid_until=date(2018, 5, 20))
    both = msgspec.structs.replace(least, merchants=(first, second), valid_from=date(2018, 5, 20))
    await db.write(WORKER, MAKER, apply_versions, [only])
    await db.write(WORKER, MAKER, apply_versions, [both])
    await billed(db)
    assert [charge[:4] for charge in await charges(db)] == [(2, 2_000, 1_200, 800)]
    await billed(db, JUNE)
    assert [charge[:4] for charge in await charges(db)][1:] == [(1, 2_000, 0, 2_000), (2, 2_000, 0, 2_000)]
    await check_books(db)
