"""Reports, exports, breaks and the close from the command line: the same figures as over the API."""

import asyncio
import csv
from pathlib import Path
from typing import Any

import pytest

from billing.exports.model import ErpAccount, JournalFormat
from billing.ledger.chart import Account
from marketplace.core.db import WORKER, Database
from marketplace.flows.books.export_journal import SetErpAccounts, set_erp_accounts
from marketplace.flows.books.show_report import Report
from tests.billing.commands import Answer, command_line
from tests.builders import ENTITY
from tests.matching.market import bank_says, line, name_accounts
from tests.periods.market import may_billed

MONTH = ("--month", "2018-05")


@pytest.fixture
async def market(db: Database) -> Database:
    await may_billed(db)
    return db


async def asked(db: Database, *asked: tuple[str, ...]) -> list[Answer]:
    """Commands one after the other."""

    def run_all() -> list[Answer]:
        with command_line() as run:
            return [run(*arguments, database=db.url) for arguments in asked]

    return await asyncio.to_thread(run_all)


async def test_every_report_is_told_and_written(market: Database, tmp_path: Path) -> None:
    files = {report: tmp_path / f"{report}.csv" for report in Report}
    shown = await asked(market, *(("report", report, *MONTH) for report in Report))
    written = await asked(
        market, *(("report", report, *MONTH, "--output", str(file)) for report, file in files.items())
    )
    for (report, file), told, wrote in zip(files.items(), shown, written, strict=True):
        rows: list[dict[str, Any]] = told.value["rows"]
        with file.open(encoding="utf-8", newline="") as opened:
            kept = list(csv.DictReader(opened))
        assert wrote.value["rows"] == len(rows) == len(kept), report
        assert [{name: str(value) for name, value in row.items() if value is not None} for row in rows] == [
            {name: value for name, value in row.items() if value} for row in kept
        ], report
    assert shown[list(Report).index(Report.REVENUE)].value["rows"][0]["revenue_minor"] == 1_800


async def test_a_general_ledger_and_a_merchants_account_statement(market: Database, tmp_path: Path) -> None:
    file = tmp_path / "ledger.csv"
    whole, one, wrote, wrong, unasked = await asked(
        market,
        ("report", "account", "--account", "2000", *MONTH),
        ("report", "account", "--account", "2000", "--merchant", "1", *MONTH),
        ("report", "account", "--account", "2000", *MONTH, "--output", str(file)),
        ("report", "account", "--account", "1234", *MONTH),
        ("report", "ageing", "--account", "2000", *MONTH),
    )
    lines = whole.value["rows"]
    assert {line["merchant_id"] for line in lines} == {1, 2}
    assert [line for line in lines if line["merchant_id"] == 1] == one.value["rows"]
    assert [line["amount_minor"] for line in one.value["rows"]] == [-10_560]
    assert (wrote.value["rows"], len(file.read_text().splitlines())) == (len(lines), len(lines) + 1)
    assert wrong.refusal == "not-found: there is no account 1234"
    assert unasked.refusal.startswith("invalid-input: --account")


async def test_the_journal_in_every_format(market: Database, tmp_path: Path) -> None:
    accounts = tuple(
        ErpAccount(entity_id=ENTITY, account=int(code), number=f"{code:d}", name="", cost_center="", tax_code="")
        for code in Account
    )
    await market.write(WORKER, "col", set_erp_accounts, SetErpAccounts(entity_id=ENTITY, accounts=accounts))
    files = {one: tmp_path / f"journal.{one}" for one in JournalFormat}
    done = await asked(
        market, *(("export", "journal", "--format", one, "--output", str(file)) for one, file in files.items())
    )
    assert all(answer.value["rows"] > 0 for answer in done)
    assert all(file.stat().st_size > 0 for file in files.values())


async def test_breaks_that_are_due_are_listed_and_the_month_says_what_is_red(market: Database) -> None:
    await market.write(WORKER, "fay", name_accounts)
    await bank_says(market, [line(777, bank_ref="X", text="who knows")])
    matched, due, every, month = await asked(
        market, ("reconcile", "lines"), ("reconcile", "breaks"), ("reconcile", "breaks", "--not-due"),
        ("period", "show", "2018-05"),
    )  # fmt: skip
    assert matched.value["found"]["suspended"] == 1
    [unknown] = due.value["breaks"]
    assert (unknown["kind"], unknown["amount_minor"]) == ("unidentified_receipt", 777)
    assert (due.value["due"], len(every.value["breaks"])) == (1, 1 + due.value["not_due"])
    red = [check["name"] for check in month.value["checks"] if check["state"] == "red"]
    assert (month.status, red) == (3, ["clearing-is-items"])  # orders that are paid here by no payment
