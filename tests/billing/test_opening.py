"""Opening balances from another system: checked as a whole, tied to control totals, once, whatever kills the import."""

import signal
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import make_url

from billing.exchange.store import EntityCurrency
from billing.ledger import store as ledger
from billing.ledger.model import Leg
from billing.openings.model import control_from_text, read_opening, totals_of
from marketplace.core import policies
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database
from marketplace.core.errors import Conflict, Invalid
from marketplace.core.money import text_from_minor
from marketplace.flows.books.exchange_money import open_currency
from marketplace.flows.books.import_opening import Opened, OpeningFile, check_opening, import_opening
from marketplace.flows.books.post_journal import (
    DecideJournal,
    ProposeJournal,
    approve_journal,
    propose_journal,
)
from tests.billing.commands import command_line
from tests.billing.contents import contents
from tests.billing.market import CHECKER, JUNE, MAKER, MAY, billed, check_books, figures, payable, payouts, prepare
from tests.billing.market import statements as statements_of
from tests.builders import ENTITY, HOUSE
from tests.conftest import NOW, connect, copy_template

CUT_OVER = date(2018, 5, 31)
GOOD = """merchant,account,currency,amount
m1,2000,EUR,-105.60
m1,2020,EUR,-40.00
m1,2200,EUR,-1200.00
m2,1100,EUR,37.00
m2,2000,EUR,12.50
m2,2000,JPY,-5000
,1010,EUR,2000.00
*,2000,EUR,-93.10
*,2020,EUR,-40.00
*,2200,EUR,-1200.00
*,1100,EUR,37.00
*,2000,JPY,-5000
*,1010,EUR,2000.00
"""


def file(content: str = GOOD, on: date = CUT_OVER, **more: Any) -> OpeningFile:
    return OpeningFile(name="old.csv", content=content.encode(), opened_on=on, controls={}, **more)


async def market(db: Database) -> None:
    await db.write(WORKER, MAKER, prepare, [])
    await db.write(WORKER, MAKER, policies.switch, "single_operator", on=False)
    await db.write(WORKER, MAKER, open_currency, EntityCurrency(entity_id=ENTITY, currency="JPY"))


async def standing(db: Database, merchant_id: int) -> dict[tuple[str, int], int]:
    async with db.read(WORKER) as tx:
        return {(one.currency, one.account): one.balance_minor for one in await ledger.balances(tx, merchant_id)}


async def refused(db: Database, content: str, **more: Any) -> list[tuple[int, str]]:
    """What is said of the lines of a file, and that nothing of it is stored."""
    with pytest.raises(Invalid) as fault:
        await import_opening(db, MAKER, file(content, **more))
    with pytest.raises(Invalid) as checked:
        await check_opening(db, file(content, **more))
    assert checked.value.detail == fault.value.detail
    async with db.read(WORKER) as tx:
        assert await tx.scalar("SELECT count(*) FROM billing.entry WHERE kind = 'opening_booked'") == 0
    return [(row["line"], row["reason"]) for row in fault.value.extra["rejections"]]


async def test_what_a_file_says_stands_in_the_books_against_one_account(db: Database) -> None:
    await market(db)
    dry = await check_opening(db, file())
    assert (dry.import_id, dry.lines, dry.entries) == (None, 7, 4)
    assert await standing(db, 1) == {}
    done = await import_opening(db, MAKER, file())
    assert (done.lines, done.entries, done.totals) == (7, 4, dry.totals)
    assert await standing(db, 1) == {
        ("EUR", 2000): -10_560, ("EUR", 2020): -4_000, ("EUR", 2200): -120_000, ("EUR", 3000): 134_560,
    }  # fmt: skip
    assert await standing(db, 2) == {
        ("EUR", 1100): 3_700, ("EUR", 2000): 1_250, ("EUR", 3000): -4_950, ("JPY", 2000): -5_000, ("JPY", 3000): 5_000,
    }  # fmt: skip
    assert await standing(db, HOUSE) == {("EUR", 1010): 200_000, ("EUR", 3000): -200_000}
    await check_books(db)


async def test_the_same_file_again_changes_nothing_and_answers_the_same(db: Database) -> None:
    await market(db)
    first = await import_opening(db, MAKER, file())
    before = await standing(db, 1)
    again = await import_opening(db, CHECKER, file())
    assert isinstance(again, Opened)
    assert (again, await standing(db, 1)) == (first, before)
    with pytest.raises(Invalid, match="'m1' in EUR are opened already"):
        await import_opening(db, MAKER, file(GOOD.replace("-40.00", "-41.00")))
    await check_books(db)


async def test_the_month_that_follows_pays_what_was_owed(db: Database) -> None:
    await market(db)
    await import_opening(db, MAKER, file())
    await billed(db, MAY)
    run = await billed(db, JUNE)
    found = await statements_of(db, run.run.run_id)
    assert figures(found[2, "EUR"]) == {"opening": -1_250, "closing": -1_250}
    assert await payouts(db, run.run.run_id) == {}  # those of May have paid all of it
    assert await payable(db, 1) == {}
    await check_books(db)


async def test_every_bad_line_is_named_with_its_column_and_the_reason(db: Database) -> None:
    await market(db)
    content = """merchant,account,currency,amount
m1,2000,EUR,1.001
nobody,2000,EUR,1.00
m1,4000,EUR,1.00
m1,77,EUR,1.00
m1,2000,XXX,1.00
m1,2000,JPY,0
m2,2000,EUR
m3,2000,EUR,-3.00
m3,2000,EUR,-4.00
,2000,EUR,5.00
m3,2000,USD,5.00
m3,2010,EUR,-2.00
*,2000,EUR,-1.00
*,2000,USD,5.00
"""
    assert await refused(db, content) == [
        (1, "amount: account 2010 has no control total in EUR"),
        (2, "amount: '1.001' has more than 2 decimals, EUR has 2"),
        (3, "merchant: there is no merchant 'nobody' here"),
        (4, "account: 4000 is not brought over into a merchant's books"),
        (5, "account: '77' is not in the chart"),
        (6, "currency: 'XXX' is not a currency this platform accepts"),
        (7, "amount: is zero; leave the line out"),
        (8, "merchant: the line has not 4 columns"),
        (10, "merchant: 'm3' has that account and currency on line 9 already"),
        (11, "account: 2000 is not brought over into the house's books"),
        (12, "currency: these books are kept in EUR, JPY, not in USD"),
        (14, "amount: account 2000 in EUR: the lines sum to -2.00, the control total is -1.00"),
    ]


async def test_a_day_that_is_closed_or_to_come_and_other_files_are_refused(db: Database) -> None:
    await market(db)
    await billed(db, MAY)
    line = "merchant,account,currency,amount\nm1,2000,EUR,-1.00\n*,2000,EUR,-1.00\n"
    assert await refused(db, line) == [(2, "merchant: the books of 'm1' are closed through 2018-05-31")]
    for content, on, said in (
        (line, date(2018, 9, 4), "still to come"),
        ("a,b\n1,2\n", CUT_OVER, "the columns are not"),
        (line.splitlines()[0] + "\n", CUT_OVER, "nothing in it"),
    ):
        with pytest.raises(Invalid, match=said):
            await import_opening(db, MAKER, file(content, on))


async def test_control_totals_may_be_given_beside_the_file(db: Database) -> None:
    await market(db)
    line = "merchant,account,currency,amount\nm1,2000,EUR,-1.00\n"
    with pytest.raises(Invalid, match="no control total"):
        await import_opening(db, MAKER, file(line))
    beside = dict([control_from_text("2000:EUR=-1.00")])
    given = OpeningFile(name="old.csv", content=line.encode(), opened_on=CUT_OVER, controls=beside)
    assert (await import_opening(db, MAKER, given)).lines == 1
    for text in ("2000", "2000:EUR", "2000:EUR=x", "9:EUR=1", "2000:XXX=1"):
        with pytest.raises(Invalid, match="control:"):
            control_from_text(text)


async def test_what_was_brought_over_is_released_by_journals_and_no_more(db: Database) -> None:
    await market(db)
    await import_opening(db, MAKER, file())

    async def released(account: int, minor: int, against: int) -> None:
        legs = (Leg(account, minor), Leg(against, -minor))
        cmd = ProposeJournal(merchant_id=1, currency="EUR", legs=legs, reason="old payout", evidence="bank, 2 June")
        journal = await db.write(WORKER, MAKER, propose_journal, cmd)
        decided = DecideJournal(merchant_id=1, journal_id=journal.journal_id, is_controller=True)
        await db.write(WORKER, CHECKER, approve_journal, decided)

    with pytest.raises(Conflict, match=r"40\.00 EUR of what was brought over is left on account 2020"):
        await released(2020, 4_001, 2900)
    await released(2020, 4_000, 2900)
    with pytest.raises(Conflict, match=r"0\.00 EUR of what was brought over"):
        await released(2020, 1, 2900)
    await released(2200, 10_000, 4020)
    after = await standing(db, 1)
    assert (after.get(("EUR", 2020)), after["EUR", 2200], after["EUR", 4020]) == (None, -110_000, -10_000)
    await check_books(db)


@given(st.dictionaries(st.tuples(st.sampled_from(["m1", "m2", "é"]), st.sampled_from([1100, 2000])),
                       st.integers(-(10**9), 10**9).filter(bool), min_size=1))  # fmt: skip
def test_a_file_is_read_as_it_was_written_when_it_ties(balances: dict[tuple[str, int], int]) -> None:
    totals: dict[int, int] = {}
    rows = []
    for (ref, account), minor in balances.items():
        rows.append(f"{ref},{account},KWD,{text_from_minor(minor, 'KWD')}")
        totals[account] = totals.get(account, 0) + minor
    rows += [f"*,{account},KWD,{text_from_minor(minor, 'KWD')}" for account, minor in totals.items()]
    faults: list[tuple[int, str]] = []

    def reject(line: int, reason: str) -> None:
        faults.append((line, reason))

    content = "\r\n".join(["merchant,account,currency,amount", *rows]).encode("utf-8-sig")
    lines = read_opening(content, {}, reject)
    assert faults == []
    assert {(line.merchant_ref, line.account): line.amount_minor for line in lines} == balances
    assert {one.account: one.total_minor for one in totals_of(lines)} == totals
    read_opening(content, {(1100, "KWD"): 10**15}, reject)
    assert faults


async def test_killed_anywhere_it_has_stored_nothing_and_runs_again(maintenance_url: str, tmp_path: Path) -> None:
    url = await copy_template(maintenance_url)
    db = Database(url, FixedClock(NOW), pool_size=2)
    await market(db)
    await db.close()
    path = tmp_path / "old.csv"
    path.write_text(GOOD)
    with command_line() as run:
        command = ("import", "opening", str(path), "--on", "2018-05-31")
        fresh = await contents(url)
        assert run(*command, "--dry-run", database=url).value["lines"] == 7
        for point in ("opening.posted", "opening.before-commit"):
            assert run(*command, database=url, MARKETPLACE_CRASH_AT=point).status == -signal.SIGKILL
            assert await contents(url) == fresh
        done = run(*command, database=url)
        assert done.value["entries"] == 4
        stored = await contents(url)
        assert run(*command, database=url).value == done.value
        assert await contents(url) == stored
        path.write_text(GOOD.replace("37.00", "37"))
        assert "opened already" in run(*command, database=url).refusal
    connection = await connect(maintenance_url)
    await connection.execute(f"DROP DATABASE {make_url(url).database} WITH (FORCE)")
    await connection.close()
