"""What a run issues, and that it says what the books say."""

from datetime import UTC, date, datetime

from billing.documents import store
from billing.documents.model import Kind, State, Written, off_by
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database
from marketplace.flows.issue_documents import draft_documents
from marketplace.flows.refund_order import RefundLine, RefundOrder, refund_order
from marketplace.flows.run_billing import reverse_run, run_period
from tests.billing.market import JUNE, MAKER, MAY, billed, check_books, order, settled_market

MAY_10, MAY_20, JUNE_5 = date(2018, 5, 10), date(2018, 5, 20), date(2018, 6, 5)


async def of_run(db: Database, run_id: int) -> list[Written]:
    async with db.read(WORKER) as tx:
        return await store.written_of_run(tx, run_id, limit=1000, after=(0, 0))


def at(clock: FixedClock, on: date) -> None:
    clock.move_to(datetime(on.year, on.month, on.day, 15, tzinfo=UTC))


def shown(found: list[Written]) -> list[tuple[str, int, int, str]]:
    """Number, net, VAT, and the number of what it corrects."""
    return [
        (one.number, one.document.net_minor, one.document.vat_minor, one.numbers.get(str(one.document.corrects_id), ""))
        for one in found
    ]


async def refund(db: Database, order_id: int, minor: int | None = None) -> None:
    lines = None if minor is None else (RefundLine(line_no=1, goods_minor=minor),)
    await db.write(
        WORKER, "test", refund_order, RefundOrder(merchant_id=1, order_id=order_id, reason="returned", lines=lines)
    )


async def test_a_run_issues_an_invoice_to_each_merchant(db: Database) -> None:
    await settled_market(db, [order(1, 1, MAY_10), order(1, 2, MAY_20), order(2, 3, MAY_20)])
    run = (await run_period(db, MAKER, MAY)).run
    async with db.read(WORKER) as tx:
        previewed = await draft_documents(tx, run, [1, 2, 3])
    await billed(db)
    found = await of_run(db, run.run_id)
    assert shown(found) == [("1-INV-01-000001", 2400, 480, ""), ("1-INV-02-000001", 1200, 240, "")]
    assert [(one.lines, one.taxes) for one in previewed] == [(one.lines, one.taxes) for one in found]
    assert [off_by(tax) for one in found for tax in one.taxes] == [0, 0]
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
    at(clock, date(2018, 7, 2))
    june = (await billed(db, JUNE)).run
    assert shown(await of_run(db, may.run_id)) == [
        ("1-INV-01-000001", 1233, 247, ""),
        ("1-CRN-01-000001", 400, 80, "1-INV-01-000001"),
    ]
    assert shown(await of_run(db, june.run_id)) == [("1-CRN-01-000002", 810, 162, "1-INV-01-000001")]
    await check_books(db)


async def test_a_reversed_run_takes_its_documents_back_and_may_issue_them_again(db: Database) -> None:
    await settled_market(db, [order(1, 1, MAY_10), order(2, 3, MAY_20)])
    first = (await billed(db)).run
    await reverse_run(db, MAKER, first.run_id)
    found = await of_run(db, first.run_id)
    assert shown(found) == [
        ("1-INV-01-000001", 1200, 240, ""),
        ("1-CRN-01-000001", 1200, 240, "1-INV-01-000001"),
        ("1-INV-02-000001", 1200, 240, ""),
        ("1-CRN-02-000001", 1200, 240, "1-INV-02-000001"),
    ]
    assert [one.document.state for one in found] == [State.REVERSED, State.ISSUED] * 2
    assert [one.document.kind for one in found] == [Kind.INVOICE, Kind.CREDIT_NOTE] * 2
    assert found[0].lines == found[1].lines
    again = (await billed(db)).run
    assert [number for number, *_ in shown(await of_run(db, again.run_id))] == ["1-INV-01-000002", "1-INV-02-000002"]
    await check_books(db)
