"""The journal in every format says what the ledger says; hledger's by its own grammar and assertions, re-added here."""

import asyncio
import csv
import datetime as dt
import re
import shutil
import sys
from asyncio.subprocess import PIPE
from collections import defaultdict
from datetime import date
from decimal import Decimal
from pathlib import Path

import openpyxl
import pyarrow.parquet as pq
import pytest
from beancount import loader
from beancount.core.data import Transaction
from sqlalchemy import update

from billing.contracts.terms import Terms
from billing.exports import sheets
from billing.exports.model import ErpAccount, Extract, JournalFormat
from billing.ledger import store as ledger
from billing.ledger.chart import Account
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import Conflict, Invalid
from marketplace.core.money import minor_from_text
from marketplace.flows.books import export_journal as flow
from marketplace.flows.books.export_journal import SetErpAccounts, export_journal, set_erp_accounts
from marketplace.flows.commission.settle_orders import settle_through
from supply.tables import merchant
from tests.billing.market import FLAT, MAKER, MAY, billed, goodwill, order, prepare
from tests.builders import ENTITY, add_orders

NASTY = '=so, "shop" ; | \\ ünïcode, 店'
Stands = dict[tuple[int, str], int]
HLEDGER = shutil.which("hledger")


@pytest.fixture
async def books(db: Database) -> Database:
    """A billed month, two currencies of which one has no digits, a merchant with a nasty id, entries not rolled up."""
    yen = Terms(name="yen", currency="JPY", valid_from=date(2018, 1, 1), rate_ppm=50_000)
    orders = [order(1, 1, date(2018, 4, 30)), order(1, 2, date(2018, 5, 3)), order(2, 3, date(2018, 5, 31), 333)]
    await db.write(WORKER, MAKER, prepare, orders, [1, 2], [FLAT, yen])
    await db.write(WORKER, MAKER, add_orders, [order(1, 4, date(2018, 5, 4), 77)], currency="JPY")
    named = update(merchant).where(merchant.c.merchant_id == 2).values(merchant_ref=NASTY)
    await db.write(WORKER, MAKER, Tx.execute, named)
    await settle_through(db, MAKER, MAY.last_on)
    await billed(db)
    late = [goodwill(1, 1, date(2018, 6, 7), 5), goodwill(2, 2, date(2018, 7, 1), -5)]
    await db.write(WORKER, MAKER, ledger.post, late)
    return db


async def stands(db: Database, as_of: date | None = None) -> Stands:
    async with db.read(WORKER) as tx:
        lines = await ledger.trial_balance(tx, as_of=as_of)
    return {(line.account, line.currency): line.balance_minor for line in lines if line.balance_minor}


async def counted(db: Database, what: str = "count(*)") -> int:
    async with db.read(WORKER) as tx:
        return int(await tx.scalar(f"SELECT {what} FROM billing.entry"))


_POSTING = re.compile(r"    (?P<account>[^\s;][^;]*?)  +(?P<amount>-?[\d.]+) (?P<currency>[A-Z]{3})"
                      r"(?: = (?P<stands>-?[\d.]+) [A-Z]{3})?")  # fmt: skip
_HEAD = re.compile(r"(?P<on>\d{4}-\d\d-\d\d) \* (?:\((?P<code>\d+)\) )?(?P<what>[^;\t]+)")


class Hledger:
    """What hledger's manual says of the subset we write: declared accounts and commodities, balanced transactions
    (`check autobalanced`), assertions in order of days and then of the file."""

    def __init__(self, text: str) -> None:
        self.assertions = 0
        self.transactions: list[tuple[date, list[re.Match[str]]]] = []
        declared: dict[str, set[str]] = {"account": set(), "commodity": set()}
        for line in text.splitlines():
            word, _, rest = line.partition(" ")
            if not line or line.startswith((";", "    ;")):
                continue
            if word in declared:
                declared[word].add(rest.split()[-1] if word == "commodity" else rest)
            elif line.startswith("    "):
                posting = _POSTING.fullmatch(line)
                assert posting, line
                assert posting["account"] in declared["account"], line
                assert posting["currency"] in declared["commodity"], line
                self.transactions[-1][1].append(posting)
            else:
                head = _HEAD.fullmatch(line)
                assert head, line
                self.transactions.append((date.fromisoformat(head["on"]), []))
        self.check()

    def check(self) -> None:
        self.balances: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
        for _, postings in sorted(self.transactions, key=lambda one: one[0]):
            sums: dict[str, Decimal] = defaultdict(Decimal)
            for one in postings:
                key = one["account"], one["currency"]
                self.balances[key] += Decimal(one["amount"])
                sums[one["currency"]] += Decimal(one["amount"])
                if one["stands"] is not None:
                    self.assertions += 1
                    assert self.balances[key] == Decimal(one["stands"]), one[0]
            assert not any(sums.values()), [one[0] for one in postings]

    @property
    def stands(self) -> Stands:
        return {
            (int(name.split(":")[2][:4]), currency): minor_from_text(str(amount), currency)
            for (name, currency), amount in self.balances.items()
            if amount
        }


async def test_hledger_reads_the_journal_and_its_balances_are_ours(books: Database, tmp_path: Path) -> None:
    file = tmp_path / "all.journal"
    written = await export_journal(books, JournalFormat.HLEDGER, file)
    read = Hledger(file.read_text())
    assert written == await counted(books)
    assert read.stands == await stands(books)
    assert len({on for on, postings in read.transactions if any(one["stands"] for one in postings)}) == 4
    text = file.read_text()
    at = text.rindex(" = ")
    with pytest.raises(AssertionError, match="="):
        Hledger(text[:at] + " = 9" + text[at + 3 :])


@pytest.mark.hledger
@pytest.mark.skipif(HLEDGER is None, reason="hledger is not installed here: its own check of the journal did not run")
@pytest.mark.parametrize("extract", [Extract(), Extract(from_on=date(2018, 5, 4), to_on=date(2019, 6, 1))])
async def test_hledger_itself_checks_the_journal(books: Database, tmp_path: Path, extract: Extract) -> None:
    """Strictly: accounts and commodities are declared, transactions balance, and so does every assertion."""
    file = tmp_path / "all.journal"
    await export_journal(books, JournalFormat.HLEDGER, file, extract)
    assert await _hledger(file, "check", "--strict") == ""
    found: Stands = {}
    for row in csv.DictReader(
        (await _hledger(file, "balance", "--flat", "--layout=bare", "-N", "-O", "csv")).splitlines()
    ):
        found[int(row["account"].split(":")[2][:4]), row["commodity"]] = minor_from_text(
            row["balance"], row["commodity"]
        )
    assert {key: minor for key, minor in found.items() if minor} == await stands(books)
    text = file.read_text()
    at = text.rindex(" = ")
    file.write_text(text[:at] + " = 12345 JPY" + text[text.index("\n", at) :])
    with pytest.raises(AssertionError, match="balance assertion"):
        await _hledger(file, "check")


async def _hledger(file: Path, *asked: str) -> str:
    """What hledger answers. Raises AssertionError with what it says against the file."""
    assert HLEDGER is not None
    run = await asyncio.create_subprocess_exec(HLEDGER, "-f", file, *asked, stdout=PIPE, stderr=PIPE)
    answer, refusal = await run.communicate()
    assert run.returncode == 0, refusal.decode()
    return answer.decode()


@pytest.mark.parametrize("from_on", [date(2018, 5, 1), date(2018, 5, 4), date(2019, 1, 1)])
async def test_a_part_opens_where_the_books_stood(books: Database, tmp_path: Path, from_on: date) -> None:
    extract = Extract(from_on=from_on, to_on=date(2019, 6, 1), entity_id=ENTITY)
    await export_journal(books, JournalFormat.HLEDGER, tmp_path / "h", extract)
    assert Hledger((tmp_path / "h").read_text()).stands == await stands(books)
    count = await export_journal(books, JournalFormat.BEANCOUNT, tmp_path / "b", extract)
    entries, errors, _ = loader.load_file(str(tmp_path / "b"))
    assert errors == []
    assert len([one for one in entries if isinstance(one, Transaction) and one.payee != "opening balances"]) == count


async def test_a_part_ends_where_it_is_told_to_and_has_one_currency(books: Database, tmp_path: Path) -> None:
    extract = Extract(to_on=date(2018, 6, 1), currency="JPY")
    count = await export_journal(books, JournalFormat.HLEDGER, tmp_path / "h", extract)
    expected = {key: minor for key, minor in (await stands(books, MAY.last_on)).items() if key[1] == "JPY"}
    assert Hledger((tmp_path / "h").read_text()).stands == expected
    assert expected
    assert await export_journal(books, JournalFormat.BEANCOUNT, tmp_path / "b", extract) == count
    assert loader.load_file(str(tmp_path / "b"))[1] == []
    with pytest.raises(Invalid, match="to_on: is not after from_on"):
        Extract(from_on=date(2018, 6, 1), to_on=date(2018, 6, 1))


async def test_a_workbook_has_every_leg_on_as_many_sheets_as_it_needs(
    books: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "write_workbook", lambda part: sheets.write_workbook(part, rows_max=8))
    file = tmp_path / "journal.xlsx"
    legs = await export_journal(books, JournalFormat.XLSX, file)
    book = openpyxl.load_workbook(file)
    assert len(book.worksheets) == -(-legs // 7) > 1
    rows = [row for sheet in book.worksheets for row in list(sheet.iter_rows(values_only=True))[1:]]
    assert len(rows) == legs == await counted(books, "sum(cardinality(accounts))")
    totals: Stands = defaultdict(int)
    for row in rows:
        line = dict(zip(sheets.HEADINGS, row, strict=True))
        digits = {"EUR": 2, "JPY": 0}[line["currency"]]
        minor = int(Decimal(str(line["debit"] or 0)).scaleb(digits)) - int(
            Decimal(str(line["credit"] or 0)).scaleb(digits)
        )
        totals[line["account"], line["currency"]] += minor
    assert {key: minor for key, minor in totals.items() if minor} == await stands(books)
    cells = [cell for sheet in book.worksheets for row in sheet.iter_rows() for cell in row]
    assert {cell.data_type for cell in cells if cell.value == NASTY} == {"s"}  # text, not a formula


async def test_parquet_has_every_leg_in_minor_units(books: Database, tmp_path: Path) -> None:
    file = tmp_path / "journal.parquet"
    legs = await export_journal(books, JournalFormat.PARQUET, file)
    rows = pq.read_table(file).to_pylist()
    assert len(rows) == legs
    totals: Stands = defaultdict(int)
    for row in rows:
        totals[row["account"], row["currency"]] += row["amount_minor"]
    assert {key: minor for key, minor in totals.items() if minor} == await stands(books)
    assert {row["merchant_ref"] for row in rows if row["merchant_id"] == 2} == {NASTY}
    assert rows[0]["occurred_at"].tzinfo is not None
    assert isinstance(rows[0]["effective_on"], dt.date)
    nothing = await export_journal(books, JournalFormat.PARQUET, file, Extract(from_on=date(2030, 1, 1)))
    assert (nothing, pq.read_table(file).num_rows) == (0, 0)


async def test_without_the_extra_parquet_is_refused_by_name(
    books: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "billing.exports.parquet", raising=False)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(Conflict, match=r"install marketplace-operations\[parquet\]"):
        await export_journal(books, JournalFormat.PARQUET, tmp_path / "none.parquet")
    assert _names(tmp_path) == []


async def test_an_erp_gets_its_own_accounts_and_none_is_left_out(books: Database, tmp_path: Path) -> None:
    file = tmp_path / "erp.csv"
    with pytest.raises(Conflict, match="no account for 1020 of entity 1"):
        await export_journal(books, JournalFormat.ERP, file)
    accounts = tuple(
        ErpAccount(entity_id=ENTITY, account=int(code), number=f"00{code:d}", name=code.title, cost_center="K1")
        for code in Account
    )
    await books.write(WORKER, MAKER, set_erp_accounts, SetErpAccounts(entity_id=ENTITY, accounts=accounts))
    legs = await export_journal(books, JournalFormat.ERP, file)
    with file.open(encoding="utf-8", newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert len(rows) == legs
    totals: Stands = defaultdict(int)
    for row in rows:
        assert (row["debit"] == "") != (row["credit"] == "")
        minor = minor_from_text(row["debit"] or row["credit"], row["currency"])
        totals[int(row["account"]), row["currency"]] += minor if row["debit"] else -minor
    assert {key: minor for key, minor in totals.items() if minor} == await stands(books)
    assert {row["cost_center"] for row in rows} == {"K1"}
    twice = SetErpAccounts(entity_id=ENTITY, accounts=(accounts[0], accounts[0]))
    with pytest.raises(Invalid, match="accounts/1/account: 1010 is named twice"):
        await books.write(WORKER, MAKER, set_erp_accounts, twice)


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
