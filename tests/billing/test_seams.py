"""What a review found between parts that were built apart: each once wrong, each with its figures."""

from datetime import date
from typing import Any

import pytest

from billing.charges.model import Charge, ChargeSource, NewCharge, PaysBy
from billing.ledger import store as ledger
from billing.ledger.chart import Account
from billing.ledger.model import Leg
from billing.line_disputes.model import LineDispute
from billing.payout_terms.model import Conditions, PayoutDays
from marketplace.consoles.finance_lists_queries import RUN_STATEMENTS
from marketplace.consoles.finance_queries import run_page
from marketplace.core.clock import FixedClock
from marketplace.core.db import STAFF, WORKER, Database, Tx
from marketplace.core.errors import Conflict
from marketplace.flows.ads.credit_clicks import credit_clicks
from marketplace.flows.books.dispute_line import (
    AcceptDispute,
    CaseKey,
    DisputeLine,
    accept,
    dispute_line,
    review,
    withdraw,
)
from marketplace.flows.books.post_journal import (
    DecideJournal,
    ProposeJournal,
    approve_journal,
    propose_journal,
    propose_reversal,
)
from marketplace.flows.commission.settle_orders import settle_through
from marketplace.flows.documents.void_document import ask_void
from marketplace.flows.payouts.pay_due import PayDue, pay_now
from marketplace.flows.payouts.set_payout_terms import hold_payouts
from marketplace.flows.products.charge_products import credit_charge, hold, make_charge
from marketplace.flows.runs.run_billing import abort_run, approve_run, finalise_run, reverse_run, run_period
from tests.ads.market import MERCHANT, clicks, prepared, rate
from tests.billing.market import (
    CHECKER,
    JUNE,
    MAKER,
    MAY,
    billed,
    check_books,
    figures,
    goodwill,
    order,
    payouts,
    settled_market,
    statements,
)
from tests.billing.test_exchange import exchanged, standing
from tests.billing.test_exchange import market as two_currencies
from tests.billing.test_exchange import rate as day_rate
from tests.billing.test_line_disputes import entry_of, opened
from tests.billing.test_payout_dues import agreed, left
from tests.builders import add_orders
from tests.documents.market import at, of_run, refund
from tests.payers.market import terms
from tests.payers.test_run_charges import WHOLE
from tests.payers.test_run_charges import market as covered

MAY_10, MAY_20, JUNE_5, JULY_2 = date(2018, 5, 10), date(2018, 5, 20), date(2018, 6, 5), date(2018, 7, 2)


async def charged(db: Database, merchant_id: int) -> Charge:
    async def work(tx: Tx) -> Charge:
        await hold(tx, merchant_id)
        new = NewCharge(
            merchant_id=merchant_id, source=ChargeSource.WORK_ORDER, source_id=77, part="x", description="repair",
            currency="EUR", net_minor=10_000, vat_ppm=200_000, charged_on=MAY_10, due_on=MAY_10,
            pays_by=PaysBy.TRANSFER,
        )  # fmt: skip
        return await make_charge(tx, new)

    return await db.write(WORKER, MAKER, work)


async def owing(db: Database, minor: int, currency: str = "EUR") -> DecideJournal:
    """A journal by which a merchant owes something, posted."""
    legs = (Leg(Account.MERCHANT_RECEIVABLE, minor), Leg(Account.ADJUSTMENTS, -minor))
    cmd = ProposeJournal(merchant_id=1, currency=currency, reason="r", evidence="e", legs=legs)
    proposed = await db.write(WORKER, MAKER, propose_journal, cmd)
    decide = DecideJournal(merchant_id=1, journal_id=proposed.journal_id, is_controller=True)
    await db.write(WORKER, CHECKER, approve_journal, decide)
    return decide


async def test_a_run_that_has_closed_any_books_is_not_given_up(db: Database, clock: FixedClock) -> None:
    """Merchant 2 has no statement, but its invoice was issued and its books were closed."""
    await settled_market(db, [order(1, 1, MAY_10)])
    await charged(db, 2)
    at(clock, JUNE_5)
    run = (await run_period(db, MAKER, MAY)).run
    await approve_run(db, CHECKER, run.run_id)

    async def late(tx: Tx) -> None:
        await hold(tx, 1)
        await ledger.post(tx, [goodwill(1, 5, MAY_20, 500)])

    await db.write(WORKER, "test", late)
    with pytest.raises(Conflict, match="previewed anew"):
        await finalise_run(db, CHECKER, run.run_id)
    with pytest.raises(Conflict, match="closed books already"):
        await abort_run(db, MAKER, run.run_id)
    await approve_run(db, CHECKER, run.run_id)
    await finalise_run(db, CHECKER, run.run_id)
    await check_books(db)


async def accepted(db: Database, case: LineDispute, minor: int) -> LineDispute:
    key = CaseKey(merchant_id=case.merchant_id, line_dispute_id=case.line_dispute_id)
    await db.write(WORKER, MAKER, review, key)
    cmd = AcceptDispute(
        merchant_id=case.merchant_id, line_dispute_id=case.line_dispute_id, amount_minor=minor, reason="so it is"
    )
    return await db.write(WORKER, MAKER, accept, cmd)


async def test_what_was_credited_of_a_charge_is_not_given_back_again(db: Database) -> None:
    await settled_market(db, [order(1, 1, MAY_10)])
    charge = await charged(db, 1)
    wanted = DisputeLine(merchant_id=1, charge_id=charge.charge_id, text="too much")
    case = await db.write(WORKER, "owner", dispute_line, wanted)
    assert case.disputed_minor == 12_000

    async def credit(tx: Tx) -> Any:
        books = await hold(tx, 1)
        return await credit_charge(tx, charge, 6_000, books.today, "half of it")

    await db.write(WORKER, MAKER, credit)
    with pytest.raises(Conflict, match="4800 is left"):
        await accepted(db, case, 12_000)
    await check_books(db)


async def test_what_was_refunded_of_an_order_is_not_given_back_again(db: Database) -> None:
    """An entry took 14.40; half the order is refunded, and 7.20 of it with that."""
    await settled_market(db, [order(1, 1, MAY_10)])
    entry_no = await entry_of(db, "order_settled")
    case = await opened(db, entry_no)
    await refund(db, 1, 6_000)
    with pytest.raises(Conflict, match="720 is left"):
        await accepted(db, case, 1_440)
    await db.write(WORKER, "owner", withdraw, CaseKey(merchant_id=1, line_dispute_id=case.line_dispute_id))
    assert (await opened(db, entry_no)).disputed_minor == 720
    await check_books(db)


async def test_what_was_credited_of_an_hour_of_ads_is_not_given_back_again(db: Database) -> None:
    campaign = await prepared(db)
    await clicks(db, campaign, 20)
    await rate(db)
    wanted = DisputeLine(merchant_id=MERCHANT, entry_no=await entry_of(db, "ad_spent", MERCHANT), text="a farm")
    case = await db.write(WORKER, "owner", dispute_line, wanted)
    assert case.disputed_minor == 200
    await db.write(WORKER, MAKER, credit_clicks, MERCHANT, ["e0", "e1", "e2"], "a farm")
    with pytest.raises(Conflict, match="170 is left"):
        await accepted(db, case, 200)
    await check_books(db)


async def test_what_only_moves_money_is_no_line_to_dispute(db: Database) -> None:
    """And what is held, or owed in that currency, is not exchanged away."""
    await two_currencies(db)
    await owing(db, 2_000, "USD")
    used = await day_rate(db, "0.9")
    with pytest.raises(Conflict, match="less what it owes"):
        await exchanged(db, used, 10_000)
    made = await exchanged(db, used, 8_000)
    with pytest.raises(Conflict, match="took nothing"):
        await db.write(WORKER, "owner", dispute_line, DisputeLine(merchant_id=1, entry_no=made.sold_entry_no, text="x"))
    await db.write(WORKER, MAKER, hold_payouts, 1, "fraud?")
    before = await standing(db, 1)
    with pytest.raises(Conflict, match="held"):
        await exchanged(db, used, 100)
    assert await standing(db, 1) == before
    await check_books(db)


async def test_a_run_taken_back_and_billed_again_pays_what_it_paid(db: Database) -> None:
    """What a payer was to bear under pay-when-paid is given free on the period's own last day."""
    await covered(db, terms(**WHOLE, merchants=("m1",), pay_when_paid=True))
    first = (await billed(db)).run.run_id
    paid, stated = await payouts(db, first), figures((await statements(db, first))[1, "EUR"])
    await reverse_run(db, CHECKER, first)
    again = (await billed(db)).run.run_id
    assert await payouts(db, again) == paid
    assert figures((await statements(db, again))[1, "EUR"]) == stated
    await check_books(db)


async def test_what_waited_for_its_day_is_paid_by_the_run_once_every_run_pays(db: Database, clock: FixedClock) -> None:
    """And not once more on request, out of what no run has billed yet."""
    await settled_market(db, [order(1, 1, MAY_10), order(1, 2, JUNE_5)], JUNE_5)
    await agreed(db, Conditions(days=PayoutDays.MANUAL))
    at(clock, JUNE_5)
    may = (await billed(db, MAY)).run
    await agreed(db, Conditions())
    at(clock, JULY_2)
    june = (await billed(db, JUNE)).run
    assert (await payouts(db, june.run_id))[1, "EUR"] == 2 * 10_560
    assert [(due.run_id, due.state) for due in await left(db)] == [(may.run_id, "replaced")]
    await db.write(WORKER, "test", add_orders, [order(1, 3, JULY_2)])
    await settle_through(db, MAKER, JULY_2)
    with pytest.raises(Conflict):
        await db.write(WORKER, MAKER, pay_now, PayDue(merchant_id=1, run_id=may.run_id, currency="EUR"))
    await reverse_run(db, CHECKER, june.run_id)
    assert [(due.run_id, due.state) for due in await left(db)] == [(may.run_id, "waiting")]
    await check_books(db)


async def test_what_was_netted_is_not_taken_back_from_the_receivable(db: Database, clock: FixedClock) -> None:
    await settled_market(db, [order(1, 1, MAY_10)])
    at(clock, MAY_20)
    journal = await owing(db, 5_000)
    at(clock, JUNE_5)
    run = (await billed(db, MAY)).run
    assert (await payouts(db, run.run_id))[1, "EUR"] == 5_560
    reversal = await db.write(WORKER, MAKER, propose_reversal, journal)
    with pytest.raises(Conflict, match="owed"):
        await db.write(
            WORKER,
            CHECKER,
            approve_journal,
            DecideJournal(merchant_id=1, journal_id=reversal.journal_id, is_controller=True),
        )
    await check_books(db)


async def test_a_correction_that_was_taken_back_corrects_nothing(db: Database, clock: FixedClock) -> None:
    await settled_market(db, [order(1, 1, MAY_10)])
    at(clock, JUNE_5)
    [one] = await of_run(db, (await billed(db)).run.run_id)
    await refund(db, 1, 6_000)
    at(clock, JULY_2)
    june = (await billed(db, JUNE)).run
    with pytest.raises(Conflict, match="correct"):
        await db.write(WORKER, MAKER, ask_void, 1, one.document.document_id, "wrong address")
    await reverse_run(db, CHECKER, june.run_id)
    asked = await db.write(WORKER, MAKER, ask_void, 1, one.document.document_id, "wrong address")
    assert asked.void_asked_by == MAKER
    await check_books(db)


async def test_the_page_of_a_run_shows_every_currency(db: Database) -> None:
    await settled_market(db, [order(1, 1, MAY_10)])
    await db.write(WORKER, MAKER, ledger.post, [goodwill(1, 5, MAY_20, 500, "USD")])
    run_id = (await run_period(db, MAKER, MAY)).run.run_id
    async with db.read(STAFF) as tx:
        page = await run_page(tx, run_id)
        listed = await tx.rows(RUN_STATEMENTS.query, run=run_id)
    of_run = await statements(db, run_id)
    assert {(each.merchant_id, each.currency) for each in listed} == of_run.keys()
    assert {each.currency: each.closing_minor for each in page.totals} == {
        currency: sum(one.closing_minor for key, one in of_run.items() if key[1] == currency)
        for currency in ("EUR", "USD")
    }
    assert page.run.currency == page.entity.currency == "EUR"
