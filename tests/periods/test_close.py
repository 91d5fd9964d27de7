"""A month is soft-closed, closed and sealed; what comes late goes to the first open day; a changed entry is named."""

from datetime import date

import pytest
from sqlalchemy import insert
from sqlalchemy.exc import DBAPIError

from billing.journals.model import JournalState
from billing.ledger import store as ledger
from billing.ledger.chart import Account
from billing.ledger.model import Leg
from billing.ledger.tables import entry as entry_table
from billing.periods.model import CheckState, PeriodState
from marketplace.core import policies
from marketplace.core.clock import FixedClock
from marketplace.core.db import STAFF, WORKER, Database, Scope, Tx
from marketplace.core.errors import Conflict, Forbidden, Invalid
from marketplace.flows.books.close_period import (
    ApproveBreak,
    Month,
    approve_break,
    ask_break,
    ask_reopening,
    close_period,
    open_again,
    read_period,
    reopen,
    soft_close,
)
from marketplace.flows.books.post_journal import DecideJournal, ProposeJournal, approve_journal, propose_journal
from marketplace.flows.proofs.verify_books import verify_books
from marketplace.flows.runs.run_billing import reverse_run
from tests.billing.market import CHECKER, JUNE, MAKER, MAY, billed, check_books, goodwill
from tests.periods.market import (
    JUNE_CLOSE,
    MAY_CLOSE,
    accept_breaks,
    as_owner,
    closed,
    digest_of,
    entries,
    may_billed,
)

MAY_31, JUNE_1 = date(2018, 5, 31), date(2018, 6, 1)


@pytest.fixture
async def market(db: Database) -> Database:
    await may_billed(db)
    await db.write(WORKER, "admin", policies.switch, "single_operator", on=False)
    return db


async def broken(db: Database) -> dict[str, list[str]]:
    return {proof.name: proof.examples for proof in (await verify_books(db)).proofs if not proof.ok}


async def test_a_month_is_closed_sealed_and_its_seal_is_what_its_entries_say(market: Database) -> None:
    view = await closed(market)
    assert view.period.state is PeriodState.CLOSED
    assert {check.name: check.state for check in view.checks} == {
        "bank-is-statement": CheckState.GREEN,
        "clearing-is-items": CheckState.GREEN,
        "suspense-is-lines": CheckState.GREEN,
        "breaks-are-accepted": CheckState.GREEN,
        "clearing-is-lines": CheckState.GREEN,
        "control-is-zero": CheckState.GREEN,
        "merchants-are-statements": CheckState.GREEN,
        "subledgers-are-ledger": CheckState.GREEN,
        "tax-is-documents": CheckState.GREEN,
    }
    [seal] = view.seals
    of_may = [one for one in await entries(market) if one.effective_on <= MAY_31]
    assert (seal.entries, seal.previous) == (len(of_may), "")
    assert of_may
    assert seal.digest == digest_of(of_may, date(2018, 5, 1))
    await check_books(market)


async def test_months_are_a_chain(market: Database) -> None:
    may = (await closed(market)).seals[-1]
    await billed(market, JUNE)
    june = (await closed(market, JUNE_CLOSE)).seals[-1]
    of_june = [one for one in await entries(market) if JUNE_1 <= one.effective_on <= date(2018, 6, 30)]
    assert june.previous == may.digest
    assert june.digest == digest_of(of_june, JUNE_1, bytes.fromhex(may.digest))
    await check_books(market)


async def test_what_comes_late_is_on_the_first_open_day_and_keeps_when_it_was(market: Database) -> None:
    await closed(market)
    [no] = await market.write(WORKER, "late", ledger.post, [goodwill(1, 77, date(2018, 5, 12), 500)])
    async with market.read(STAFF) as tx:
        late = await ledger.get_entry(tx, 1, no)
    assert (late.effective_on, late.prior_period, late.occurred_at.date()) == (JUNE_1, True, date(2018, 5, 12))
    await check_books(market)


@pytest.mark.parametrize("change", [
    "kind = 'x' || kind", "source_id = source_id + 1", "currency = 'USD'", "occurred_at = occurred_at + '1 us'",
    "effective_on = effective_on - 1", "prior_period = NOT prior_period", "posted_by = 'nobody'",
    "posted_at = posted_at + '1 us'", "amounts = ARRAY(SELECT 2 * a FROM unnest(amounts) AS a)",
    "dimensions = ARRAY(SELECT d + 1 FROM unnest(dimensions) AS d)",
    "accounts = ARRAY(SELECT CASE WHEN a = 4000 THEN 4010 ELSE a END FROM unnest(accounts) AS a)",
])  # fmt: skip
async def test_any_change_of_a_sealed_entry_is_found_and_named(market: Database, change: str) -> None:
    await closed(market)
    assert "sealed-stays-sealed" not in await broken(market)
    [of_order] = [one for one in await entries(market) if (one.merchant_id, one.kind) == (2, "order_settled")]
    key = {"no": of_order.entry_no}
    query = f"UPDATE billing.entry SET {change} WHERE merchant_id = 2 AND entry_no = :no"
    await as_owner(market, lambda tx: tx.execute(query, key))
    assert (await broken(market))["sealed-stays-sealed"] == [f"2 {of_order.entry_no} 2018-05 was changed"]


async def test_an_entry_that_is_gone_or_came_later_is_named_and_a_forged_seal_breaks_the_chain(
    market: Database,
) -> None:
    await closed(market)
    found = await entries(market)
    taken = found[0]
    await as_owner(market, lambda tx: tx.execute(
        "DELETE FROM billing.entry WHERE merchant_id = :m AND entry_no = :n",
        {"m": taken.merchant_id, "n": taken.entry_no},
    ))  # fmt: skip
    later = {**found[1]._mapping, "entry_no": 4_000, "source_id": 4_000}
    await as_owner(market, lambda tx: tx.execute(insert(entry_table), later))
    named = (await broken(market))["sealed-stays-sealed"]
    assert sorted(named) == sorted(
        [f"{taken.merchant_id} {taken.entry_no} 2018-05 is gone", f"{found[1].merchant_id} 4000 2018-05 came later"]
    )
    await as_owner(market, lambda tx: tx.execute(
        "UPDATE billing.period_block SET hashes = sha256('x') || substring(hashes FROM 33)"
    ))  # fmt: skip
    assert (await broken(market))["seals-are-chained"] == ["1 2018-05 1"]


@pytest.mark.parametrize("scope", [STAFF, WORKER])
async def test_the_database_refuses_an_entry_in_a_sealed_month(market: Database, scope: Scope) -> None:
    await closed(market)
    row = {**(await entries(market))[0]._mapping, "entry_no": 4_000, "source_id": 4_000}
    for day in (MAY_31, date(2018, 5, 1), date(2017, 1, 1)):
        with pytest.raises(DBAPIError, match="row-level security"):
            await market.write(scope, "sneak", Tx.execute, insert(entry_table), row | {"effective_on": day})
    await market.write(scope, "sneak", Tx.execute, insert(entry_table), row | {"effective_on": JUNE_1})


async def journal(db: Database, on: date, account: Account = Account.PROCESSOR_FEES, merchant_id: int = -1) -> int:
    """Proposed by the maker, approved by the checker; returns its entry's number."""
    legs = (Leg(int(account), 300), Leg(int(Account.SUSPENSE), -300))
    cmd = ProposeJournal(
        merchant_id=merchant_id, currency="EUR", legs=legs, reason="bank", evidence="slip", effective_on=on
    )
    proposed = await db.write(WORKER, MAKER, propose_journal, cmd)
    decided = DecideJournal(merchant_id=merchant_id, journal_id=proposed.journal_id, is_controller=True)
    posted = await db.write(WORKER, CHECKER, approve_journal, decided)
    assert posted.state is JournalState.POSTED
    assert posted.entry_no is not None
    return posted.entry_no


async def test_a_soft_closed_month_takes_journals_by_hand_only(market: Database) -> None:
    with pytest.raises(Invalid, match="closed through 2018-05-31: 2018-05 is billed, and takes journals once it is so"):
        await journal(market, MAY_31)
    await market.write(WORKER, MAKER, soft_close, MAY_CLOSE)
    no = await journal(market, MAY_31)
    with pytest.raises(Invalid, match="of which there is a final statement"):
        await journal(market, MAY_31, Account.PAYABLE, merchant_id=1)
    [late] = await market.write(WORKER, "late", ledger.post, [goodwill(1, 78, MAY_31, 500)])
    async with market.read(STAFF) as tx:
        assert (await ledger.get_entry(tx, -1, no)).effective_on == MAY_31
        assert (await ledger.get_entry(tx, 1, late)).effective_on == JUNE_1
    await accept_breaks(market, MAY_CLOSE)
    await market.write(WORKER, CHECKER, close_period, MAY_CLOSE)
    with pytest.raises(Invalid, match=r"closed through 2018-05-31$"):
        await journal(market, MAY_31)
    await check_books(market)


async def test_whoever_prepared_a_close_does_not_do_it_and_two_reopen(market: Database) -> None:
    await market.write(WORKER, MAKER, soft_close, MAY_CLOSE)
    with pytest.raises(Forbidden, match="made by maker"):
        await market.write(WORKER, MAKER, close_period, MAY_CLOSE)
    sealed = (await market.write(WORKER, CHECKER, close_period, MAY_CLOSE)).seals[-1]
    with pytest.raises(Conflict, match="nobody has asked"):
        await market.write(WORKER, CHECKER, reopen, MAY_CLOSE)
    await market.write(WORKER, MAKER, ask_reopening, MAY_CLOSE, "a bank fee was forgotten")
    with pytest.raises(Forbidden, match="made by maker"):
        await market.write(WORKER, MAKER, reopen, MAY_CLOSE)
    assert (await market.write(WORKER, CHECKER, reopen, MAY_CLOSE)).state is PeriodState.REOPENED
    await journal(market, MAY_31)
    with pytest.raises(Forbidden, match="made by maker"):
        await market.write(WORKER, MAKER, close_period, MAY_CLOSE)
    await accept_breaks(market, MAY_CLOSE)
    view = await market.write(WORKER, CHECKER, close_period, MAY_CLOSE)
    assert [seal.seal_no for seal in view.seals] == [1, 2]
    assert view.seals[0] == sealed
    assert view.seals[1].entries == sealed.entries + 1
    assert view.seals[1].digest != sealed.digest
    async with market.read(STAFF) as tx:
        trace = [row.action for row in await tx.rows(
            "SELECT action FROM core.audit WHERE subject = 'period:1/2018-05' ORDER BY audit_id"
        )]  # fmt: skip
    assert [deed for deed in trace if deed.startswith("period")] == [
        "period soft-closed", "period closed", "period reopening asked", "period reopened", "period closed",
    ]  # fmt: skip
    await check_books(market)


async def test_a_red_proof_stops_the_close_until_a_second_person_approves_what_it_found(market: Database) -> None:
    await market.write(WORKER, MAKER, soft_close, MAY_CLOSE)
    legs = (Leg(int(Account.BANK), 300), Leg(int(Account.PROCESSOR_FEES), -300))
    cmd = ProposeJournal(merchant_id=-1, currency="EUR", legs=legs, reason="bank", evidence="slip", effective_on=MAY_31)
    proposed = await market.write(WORKER, MAKER, propose_journal, cmd)
    decided = DecideJournal(merchant_id=-1, journal_id=proposed.journal_id, is_controller=True)
    await market.write(WORKER, CHECKER, approve_journal, decided)
    with pytest.raises(Conflict, match="bank-is-statement found 1"):
        await market.write(WORKER, CHECKER, close_period, MAY_CLOSE)
    with pytest.raises(Conflict, match="control-is-zero is green"):
        await market.write(WORKER, MAKER, ask_break, ApproveBreak(month=MAY_CLOSE, check="control-is-zero", reason="x"))
    named = ApproveBreak(month=MAY_CLOSE, check="bank-is-statement", reason="the statement comes on Monday")
    asked = await market.write(WORKER, MAKER, ask_break, named)
    with pytest.raises(Forbidden, match="made by maker"):
        await market.write(WORKER, MAKER, approve_break, MAY_CLOSE, asked.approval_id)
    with pytest.raises(Conflict, match="bank-is-statement found 1"):
        await market.write(WORKER, CHECKER, close_period, MAY_CLOSE)
    await market.write(WORKER, CHECKER, approve_break, MAY_CLOSE, asked.approval_id)
    async with market.read(STAFF) as tx:
        assert (await read_period(tx, MAY_CLOSE)).checks[0].state is CheckState.APPROVED
    assert (await market.write(WORKER, CHECKER, close_period, MAY_CLOSE)).period.state is PeriodState.CLOSED


async def test_months_are_closed_in_order_once_billed_and_over(market: Database, clock: FixedClock) -> None:
    with pytest.raises(Conflict, match="2018-06 is billed up to 2018-05-31"):
        await market.write(WORKER, MAKER, soft_close, JUNE_CLOSE)
    with pytest.raises(Conflict, match="2018-09 is not over"):
        await market.write(WORKER, MAKER, soft_close, Month(month="2018-09"))
    with pytest.raises(Conflict, match="it cannot become closed"):
        await market.write(WORKER, CHECKER, close_period, MAY_CLOSE)
    await market.write(WORKER, MAKER, soft_close, MAY_CLOSE)
    await billed(market, JUNE)
    await market.write(WORKER, MAKER, soft_close, JUNE_CLOSE)
    with pytest.raises(Conflict, match="2018-05 is soft_closed: months are closed one after the other"):
        await market.write(WORKER, CHECKER, close_period, JUNE_CLOSE)
    with pytest.raises(Conflict, match="2018-06 is soft_closed: open that first"):
        await market.write(WORKER, MAKER, open_again, MAY_CLOSE)
    await market.write(WORKER, CHECKER, close_period, MAY_CLOSE)
    await market.write(WORKER, CHECKER, close_period, JUNE_CLOSE)
    with pytest.raises(Conflict, match="2018-06 is closed, and its digest is over this month's"):
        await market.write(WORKER, MAKER, ask_reopening, MAY_CLOSE, "why not")


async def test_a_run_is_reversed_only_in_a_month_that_is_open(market: Database) -> None:
    async with market.read(STAFF) as tx:
        run_id = await tx.scalar("SELECT run_id FROM billing.billing_run")
    await market.write(WORKER, MAKER, soft_close, MAY_CLOSE)
    with pytest.raises(Conflict, match="2018-05 is soft_closed; open it first"):
        await reverse_run(market, CHECKER, run_id)
    await market.write(WORKER, MAKER, open_again, MAY_CLOSE)
    await reverse_run(market, CHECKER, run_id)
    with pytest.raises(Conflict, match="2018-05 is not billed: bill it first"):
        await market.write(WORKER, MAKER, soft_close, MAY_CLOSE)
    await billed(market, MAY)
    await closed(market)
    await check_books(market)


@pytest.mark.parametrize(("proof", "planted"), [
    ("clearing-is-lines", """INSERT INTO billing.entry SELECT merchant_id, 900, 'processor_settled', 900, entity_id,
        currency, occurred_at, effective_on, false, ARRAY[1020, 5100], ARRAY[1, 0]::bigint[], ARRAY[-7, 7], posted_at,
        posted_by FROM billing.entry WHERE merchant_id = 1 AND entry_no = 1"""),
    ("clearing-is-lines", """INSERT INTO billing.processor_line VALUES ('x', 1, 5, 9, 'capture', '1-1', '', 'EUR', 7, 0,
        7, '2018-05-30')"""),
    ("control-is-zero", """UPDATE billing.account_day SET account = 1030, dimension = 7
        WHERE merchant_id = 2 AND account = 4000"""),
    ("merchants-are-statements", """UPDATE billing.statement
        SET closing_minor = closing_minor + 1, other_minor = other_minor + 1 WHERE merchant_id = 1"""),
    ("merchants-are-statements", "DELETE FROM billing.statement WHERE merchant_id = 2"),
    ("subledgers-are-ledger", "UPDATE billing.payout SET amount_minor = amount_minor + 1 WHERE merchant_id = 1"),
    ("tax-is-documents", "UPDATE billing.document SET vat_minor = vat_minor + 1 WHERE merchant_id = 1"),
    ("clearing-is-items", "UPDATE billing.account_day SET debit_minor = debit_minor + 1 WHERE account = 1020"),
    ("suspense-is-lines", """INSERT INTO billing.match_item (item_id, book, side, kind, owner_id, source_id, entity_id,
        currency, amount_minor, reference, batch_ref, keys, party, party_account, words, day, expected_on, sort_key,
        booked, suspense_id) VALUES (1, 'bank', 'theirs', 'bank_line', 0, 7, 1, 'EUR', 5, '', '', '{}', '', '', '',
        '2018-05-30', '2018-05-30', '', false, 3)"""),
    ("suspense-is-lines", """UPDATE billing.account_day SET account = 2900, dimension = 7
        WHERE merchant_id = 2 AND account = 4000"""),
    ("breaks-are-accepted", """INSERT INTO billing.recon_break VALUES (1, 'item:1', 'amount', 'accepting', NULL, NULL,
        1, 'EUR', 5, 'x', '2018-05-31', now(), NULL, now(), NULL, 'x', 'late')"""),
    ("bank-is-statement", """INSERT INTO billing.bank_statement VALUES (9, 1, 'statement', 'DE1', 'EUR', '1', '',
        '2018-05-01', '2018-05-31', 0, 55, 1, 55, '{}')"""),
])  # fmt: skip
async def test_every_proof_of_the_checklist_can_fail(market: Database, proof: str, planted: str) -> None:
    async def plant(tx: Tx) -> None:
        await tx.raw.execute("SET LOCAL session_replication_role = replica")
        await tx.execute(
            """INSERT INTO billing.match_account VALUES ('DE1', 'bank', 1, NULL, '', 0, '2018-01-01', 'x', now()),
               ('card', 'processor', 1, 1, '', 0, '2018-01-01', 'x', now())"""
        )
        await tx.execute("INSERT INTO billing.bank_file (file_id, content_hash, name, size_bytes, state, received_at,"
                         " received_by, moved_at) VALUES (9, 'x', 'x', 1, 'read', now(), 'x', now())")  # fmt: skip
        await tx.execute(
            """INSERT INTO billing.processor_file (file_id, processor_id, batch_ref, paid_on, currency, lines,
               gross_minor, fee_minor, net_minor, imported_at, imported_by, entity_id, state, new_lines)
               VALUES (9, 1, 'b', '2018-05-31', 'EUR', 1, 7, 0, 7, now(), 'x', 1, 'booked', 1)"""
        )
        assert (await tx.execute(planted)).rowcount > 0

    await as_owner(market, plant)
    async with market.read(STAFF) as tx:
        checks = {check.name: check for check in (await read_period(tx, MAY_CLOSE)).checks}
    assert checks[proof].state is CheckState.RED, checks
    assert checks[proof].findings


async def test_a_month_that_a_later_seal_took_in_is_not_closed_again(market: Database) -> None:
    await closed(market, MAY_CLOSE)
    with pytest.raises(Conflict, match="2018-04 is in the seal of a later month already, that of 2018-05"):
        await market.write(WORKER, MAKER, soft_close, Month(month="2018-04"))
    assert (await verify_books(market)).ok
