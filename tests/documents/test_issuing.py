"""What a run issues, and that it says what the books say."""

from datetime import date

import msgspec
import pytest

from billing.charges import store as charge_store
from billing.charges.model import ChargeSource
from billing.documents.model import Category, Kind, State, Subject
from billing.runs.model import Period
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.ads.fund_ads import RefundAds, refund_unspent
from marketplace.flows.commission.apply_contracts import apply_versions
from marketplace.flows.commission.rerate_contracts import Reratable, approve_rerating, propose_rerating
from marketplace.flows.commission.settle_orders import settle_through
from marketplace.flows.documents.issue_documents import draft_documents
from marketplace.flows.products.charge_products import credit_charge, hold
from marketplace.flows.runs.run_billing import reverse_run, run_period
from tests.ads.market import add_lamps, prepay
from tests.billing.market import (
    CHECKER,
    FLAT,
    JULY,
    JUNE,
    MAKER,
    MAY,
    billed,
    check_books,
    order,
    settled_market,
    statements,
)
from tests.builders import add_orders
from tests.documents.market import JULY_2, JUNE_5, LAMPS, MAY_10, MAY_20, at, know, of_run, owed, refund, shown
from tests.documents.rules import off_by
from tests.products.market import YEARLY, offered, subscribed

FIRST = "1-INV-01-000001"


async def test_a_run_issues_an_invoice_to_each_merchant_as_it_was_previewed(db: Database) -> None:
    await settled_market(db, [order(1, 1, MAY_10), order(1, 2, MAY_20), order(2, 3, MAY_20)])
    run = (await run_period(db, MAKER, MAY)).run
    async with db.read(WORKER) as tx:
        previewed = await draft_documents(tx, run, [1, 2, 3])
    await billed(db)
    found = await of_run(db, run.run_id)
    assert shown(found) == [(FIRST, 2400, 480, ""), ("1-INV-02-000001", 1200, 240, "")]
    assert msgspec.json.encode([(one.document_id, one.kind, one.lines, one.taxes) for one in previewed]) == (
        msgspec.json.encode([(one.document.document_id, one.document.kind, one.lines, one.taxes) for one in found])
    )
    assert [off_by(tax) for one in found for tax in one.taxes] == [0, 0]
    await check_books(db)


async def test_order_vat_sums_to_document_vat(db: Database) -> None:
    """Sixty orders whose own VAT would be rounded away: the document's is that of the whole month, and the books'."""
    await settled_market(db, [order(1, number, MAY_10, 10 + number % 7) for number in range(1, 61)])
    run = (await billed(db)).run
    [invoice] = await of_run(db, run.run_id)
    may = (await statements(db, run.run_id))[1, "EUR"]
    assert (invoice.document.net_minor, invoice.document.vat_minor) == (-may.commission_minor, -may.vat_minor)
    assert [off_by(tax) for tax in invoice.taxes] == [0]
    assert invoice.lines[0].quantity == 60
    await check_books(db)


async def test_a_refund_is_a_credit_note_to_the_document_in_which_the_sale_stands(
    db: Database, clock: FixedClock
) -> None:
    await settled_market(db, [order(1, 1, MAY_10), order(1, 2, MAY_20, 333)])
    at(clock, MAY_20)
    await refund(db, 1, 4000)
    at(clock, JUNE_5)
    may = (await billed(db, MAY)).run
    await refund(db, 1)
    await refund(db, 2, 100)
    at(clock, JULY_2)
    june = (await billed(db, JUNE)).run
    assert shown(await of_run(db, may.run_id)) == [(FIRST, 1233, 247, ""), ("1-CRN-01-000001", 400, 80, FIRST)]
    assert shown(await of_run(db, june.run_id)) == [("1-CRN-01-000002", 810, 162, FIRST)]
    await refund(db, 2)
    at(clock, date(2018, 8, 2))
    july = (await billed(db, JULY)).run
    every = [*await of_run(db, may.run_id), *await of_run(db, june.run_id), *await of_run(db, july.run_id)]
    assert owed(every) == (0, 0)  # in whatever parts a month is given back, it is given back to the cent
    await check_books(db)


async def test_a_backdated_contract_corrects_the_document_of_the_sale(db: Database, clock: FixedClock) -> None:
    await settled_market(db, [order(1, 1, MAY_10), order(1, 2, MAY_20)])
    at(clock, JUNE_5)
    await billed(db, MAY)
    async with db.read(WORKER) as tx:
        ref = await tx.scalar("SELECT merchant_ref FROM supply.merchant WHERE merchant_id = 1")
    dearer = msgspec.structs.replace(FLAT, name="late", merchants=(ref,), rate_ppm=150_000)
    await db.write(WORKER, MAKER, apply_versions, [dearer])
    proposed = await db.write(WORKER, MAKER, propose_rerating, Reratable(from_on=date(2018, 5, 1)))
    await db.write(WORKER, CHECKER, approve_rerating, proposed.rerating.rerating_id)
    await refund(db, 1)  # gives back what the sale and its adjustment have earned
    at(clock, JULY_2)
    june = (await billed(db, JUNE)).run
    [correction] = await of_run(db, june.run_id)
    assert shown([correction]) == [("1-CRN-01-000001", 600, 120, FIRST)]
    assert [(line.category, line.net_minor) for line in correction.lines] == [
        (Category.ADJUSTMENT, -1200), (Category.REFUND, 1800),
    ]  # fmt: skip
    await check_books(db)


async def test_products_and_ads_have_documents_of_their_own(db: Database, clock: FixedClock) -> None:
    await settled_market(db, [order(1, 1, MAY_10, 2_000_000)])
    await db.write(WORKER, "test", add_lamps, [1])
    at(clock, MAY_20)
    await subscribed(db, await offered(db, YEARLY))
    for amount in (1_003, 2_003):
        await db.write(WORKER, "test", prepay, 1, amount)
    at(clock, JUNE_5)
    may = (await billed(db, MAY)).run
    found = await of_run(db, may.run_id)
    assert [(one.document.subject, *shown([one])[0]) for one in found] == [
        (Subject.CHARGE, FIRST, 120_000, 24_000, ""),
        (Subject.PERIOD, "1-INV-01-000002", 200_000, 40_000, ""),
        (Subject.TOP_UP, "1-INV-01-000003", 1_003, 201, ""),
        (Subject.TOP_UP, "1-INV-01-000004", 2_003, 401, ""),
    ]
    assert [off_by(tax) for one in found for tax in one.taxes] == [0, 0, 0, 0]  # taxed in one go each
    assert (found[0].lines[0].from_on, found[0].lines[0].to_on) == (MAY_20, date(2019, 5, 20))
    assert found[0].document.due_on == date(2018, 6, 3)

    async def credit(tx: Tx) -> None:
        books = await hold(tx, 1)
        [charge] = await charge_store.of_source(tx, 1, *await _source(tx))
        await credit_charge(tx, charge, 33_333, books.today, "unused")

    await db.write(WORKER, "test", credit)
    await db.write(
        WORKER, "test", refund_unspent, RefundAds(merchant_id=1, currency="EUR", amount_minor=None, reason="x")
    )
    at(clock, JULY_2)
    june = (await billed(db, JUNE)).run
    assert shown(await of_run(db, june.run_id)) == [
        ("1-CRN-01-000001", 3_006, 602, ""),
        ("1-CRN-01-000002", 33_333, 6_667, FIRST),
    ]
    await check_books(db)


async def _source(tx: Tx) -> tuple[ChargeSource, int]:
    row = await tx.row("SELECT source, source_id FROM billing.charge")
    assert row is not None
    return ChargeSource(row.source), row.source_id


async def test_what_a_merchant_sells_to_the_platform_is_billed_for_it(db: Database, clock: FixedClock) -> None:
    """VAT is contained in what the merchant is paid; its invoices have a series of its own."""
    await settled_market(db, [order(1, 1, MAY_10), order(2, 2, MAY_10)])
    await know(db, msgspec.structs.replace(LAMPS, self_billed=(Category.GOODS,), self_billed_vat_ppm=230_000))
    at(clock, MAY_20)
    await refund(db, 1, 2_000)
    at(clock, JUNE_5)
    may = (await billed(db, MAY)).run
    bill = next(one for one in await of_run(db, may.run_id) if one.document.kind.self_billed)
    assert (bill.number, bill.document.net_minor, bill.document.vat_minor) == ("1-SBI-1-000001", 8_130, 1_870)
    assert (bill.document.seller.name, bill.document.buyer.name) == ("Łódź Lamps sp. z o.o.", "Test")
    assert bill.document.gross_minor == 12_000 - 2_000
    await check_books(db)


async def test_a_reversed_run_takes_its_documents_back_and_may_issue_them_again(
    db: Database, clock: FixedClock
) -> None:
    await settled_market(db, [order(1, 1, MAY_10), order(2, 3, MAY_20)])
    at(clock, MAY_20)
    await refund(db, 1, 5_000)
    at(clock, JUNE_5)
    first = (await billed(db)).run
    before = owed(await of_run(db, first.run_id))
    await reverse_run(db, MAKER, first.run_id)
    found = await of_run(db, first.run_id)
    assert shown(found) == [
        (FIRST, 1200, 240, ""),
        ("1-CRN-01-000001", 500, 100, FIRST),
        ("1-CRN-01-000002", 1200, 240, FIRST),
        ("1-INV-01-000002", 500, 100, FIRST),
        ("1-INV-02-000001", 1200, 240, ""),
        ("1-CRN-02-000001", 1200, 240, "1-INV-02-000001"),
    ]
    assert owed(found) == (0, 0)
    assert [one.document.state for one in found[:4]] == [State.REVERSED] * 2 + [State.ISSUED] * 2
    assert found[0].lines == found[2].lines
    again = (await billed(db)).run
    assert owed(await of_run(db, again.run_id)) == before
    assert shown(await of_run(db, again.run_id))[0][0] == "1-INV-01-000003"
    await check_books(db)


@pytest.mark.parametrize("periods", [[MAY, JUNE], [MAY, JUNE, JULY]])
async def test_what_is_settled_late_stands_in_the_first_open_period(
    db: Database, clock: FixedClock, periods: list[Period]
) -> None:
    await settled_market(db, [order(1, 1, MAY_10)])
    at(clock, JUNE_5)
    await billed(db, MAY)
    await db.write(WORKER, "test", add_orders, [order(1, 2, MAY_20)])
    await settle_through(db, MAKER, date(2018, 6, 30))
    at(clock, date(2018, 8, 2))
    found = [await of_run(db, (await billed(db, period)).run.run_id) for period in periods[1:]]
    assert [shown(each) for each in found] == [[("1-INV-01-000002", 1200, 240, "")], *[[] for _ in periods[2:]]]
    await check_books(db)


async def test_every_kind_has_an_opposite() -> None:
    assert all(kind.opposite.opposite is kind and kind.opposite.credits != kind.credits for kind in Kind)
