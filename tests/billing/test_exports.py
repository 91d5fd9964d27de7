"""What finance takes away reads back whole: the Beancount ledger by Beancount itself, the files by hand."""

import csv
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from beancount import loader
from beancount.core.data import Balance, Open, Transaction
from sqlalchemy import update

from billing.contracts.terms import Terms
from billing.exports.model import JournalFormat
from billing.ledger import store as ledger
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.books.export_books import export_orders, export_statements
from marketplace.flows.books.export_journal import export_journal
from marketplace.flows.commission.settle_orders import settle_through
from supply.tables import merchant
from tests.billing.market import FLAT, JUNE, MAKER, MAY, billed, goodwill, order, prepare
from tests.builders import add_orders

NASTY = 'so-called "shop" \\ ünïcode, 店'


@pytest.fixture
async def books(db: Database) -> Database:
    """A billed month, two currencies of which one has no digits, a merchant with a nasty id, entries not rolled up."""
    yen = Terms(name="yen", currency="JPY", valid_from=date(2018, 1, 1), rate_ppm=50_000)
    orders = [order(1, 1, date(2018, 4, 30)), order(1, 2, date(2018, 5, 3)), order(2, 3, date(2018, 5, 31), 333)]
    await db.write(WORKER, MAKER, prepare, orders, [1, 2], [FLAT, yen])
    await db.write(WORKER, MAKER, add_orders, [order(1, 4, date(2018, 5, 4), 77)], currency="JPY")
    await db.write(
        WORKER, MAKER, Tx.execute, update(merchant).where(merchant.c.merchant_id == 2).values(merchant_ref=NASTY)
    )
    await settle_through(db, MAKER, MAY.last_on)
    await billed(db)
    await db.write(
        WORKER, MAKER, ledger.post, [goodwill(1, 1, date(2018, 6, 7), 5), goodwill(2, 2, date(2018, 7, 1), -5)]
    )
    return db


async def test_the_journal_reads_in_beancount_and_every_balance_holds(books: Database, tmp_path: Path) -> None:
    file = tmp_path / "journal.beancount"
    written = await export_journal(books, JournalFormat.BEANCOUNT, file)
    async with books.read(WORKER) as tx:
        assert written == await tx.scalar("SELECT count(*) FROM billing.entry")
        trial = {(line.account, line.currency): line for line in await ledger.trial_balance(tx)}
    entries, errors, _ = loader.load_file(str(file))
    assert errors == []
    transactions = [one for one in entries if isinstance(one, Transaction)]
    assert len(transactions) == written
    assert {one.meta["merchant"] for one in transactions} == {"m1", NASTY}
    assert [one for one in transactions if one.meta["merchant"] == "m1" and one.meta["entry"] == Decimal(1)]
    opened = {one.account: set(one.currencies) for one in entries if isinstance(one, Open)}
    assert opened["Liabilities:E1:2000-Payable"] == {"EUR", "JPY"}
    last = max(one.date for one in entries if isinstance(one, Balance))
    assert last == date(2018, 8, 1)
    asserted = {
        (int(one.account.split(":")[2][:4]), one.amount.currency): one.amount.number
        for one in entries
        if isinstance(one, Balance) and one.date == last
    }
    digits = {"EUR": 2, "JPY": 0}
    assert asserted == {key: Decimal(line.balance_minor).scaleb(-digits[key[1]]) for key, line in trial.items()}


async def test_a_wrong_amount_does_not_pass_beancount(books: Database, tmp_path: Path) -> None:
    """So that the test above means something: the month-end assertions see one cent."""
    file = tmp_path / "journal.beancount"
    await export_journal(books, JournalFormat.BEANCOUNT, file)
    text = file.read_text()
    at = text.index("balance Liabilities:E1:2000-Payable")
    number = text[at:].split()[2]
    file.write_text(text[:at] + text[at:].replace(number, f"{Decimal(number) + Decimal('0.01')}", 1))
    _, errors, _ = loader.load_file(str(file))
    assert len(errors) == 1


async def test_an_empty_journal_is_a_ledger_too(db: Database, tmp_path: Path) -> None:
    assert await export_journal(db, JournalFormat.BEANCOUNT, tmp_path / "none.beancount") == 0
    assert loader.load_file(str(tmp_path / "none.beancount"))[1] == []


async def test_the_csv_files_hold_what_was_billed(books: Database, tmp_path: Path) -> None:
    assert await export_statements(books, MAY, tmp_path / "s.csv") == 3
    rows = _rows(tmp_path / "s.csv")
    assert [(row["merchant_ref"], row["currency"], row["orders"], row["closing_minor"]) for row in rows] == [
        ("m1", "EUR", "1", "21120"), ("m1", "JPY", "1", "73"), (NASTY, "EUR", "1", "293"),
    ]  # fmt: skip
    assert await export_orders(books, MAY, tmp_path / "o.csv") == 3
    assert await export_orders(books, JUNE, tmp_path / "none.csv") == 0
    assert (tmp_path / "none.csv").read_text() == (
        "order_ref,merchant_ref,settled_on,contract,base_minor,commission_minor,vat_minor\n"
    )
    legs = await export_journal(books, JournalFormat.CSV, tmp_path / "j.csv")
    rows = _rows(tmp_path / "j.csv")
    assert len(rows) == legs
    assert sum(int(row["amount_minor"]) for row in rows) == 0
    assert _names(tmp_path) == ["j.csv", "none.csv", "o.csv", "s.csv"]


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened))
