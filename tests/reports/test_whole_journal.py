"""The whole journal, with entries of every part of the books, by the programs that it is written for.

Beancount's own check runs always, hledger's where hledger is; CI has it.
"""

import asyncio
import csv
import shutil
import sys
from asyncio.subprocess import PIPE
from collections import defaultdict
from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from beancount import loader
from beancount.core.data import Transaction

from billing.exports.model import JournalFormat
from billing.ledger import store as ledger
from marketplace.core.db import WORKER, Database
from marketplace.core.money import minor_from_text
from marketplace.core.months import add_months, first_of_month
from marketplace.flows.books.export_journal import export_journal
from tests.billing.test_verify import add_everything

Stands = dict[tuple[int, str], int]
HLEDGER = shutil.which("hledger")
PARTS = {
    "ads": ("ad_topped_up", "ad_spent"), "charges and plans": ("product_charged", "commission_adjusted"),
    "hardware": ("hardware_shipped", "stock_received"), "payers": ("payer_money", "payer_rejected"),
    "payouts": ("payout_confirmed", "payout_returned"), "refunds": ("order_refunded", "refund_paid"),
    "rewards": ("incentive_earned", "incentive_vested", "credit_granted"), "openings": ("opening_booked",),
    "matching": ("line_suspended", "match_residue", "processor_charged"), "exchange": ("exchange_sold",),
    "journals": ("goodwill_granted", "line_dispute_upheld"), "disputes": ("dispute_opened",),
}  # fmt: skip
"""Parts of the books, and kinds of entries that they must have here."""


async def ran(program: str, *asked: str | Path) -> str:
    """What a program answers. Raises AssertionError with what it says against the file."""
    run = await asyncio.create_subprocess_exec(program, *asked, stdout=PIPE, stderr=PIPE)
    answer, refusal = await run.communicate()
    assert run.returncode == 0, refusal.decode()
    return answer.decode()


async def stands(db: Database, as_of: date) -> Stands:
    async with db.read(WORKER) as tx:
        lines = await ledger.trial_balance(tx, as_of=as_of)
    return {(line.account, line.currency): line.balance_minor for line in lines if line.balance_minor}


def code_of(account: str) -> int:
    """Of "Liabilities:E1:2000-Payable"."""
    return int(account.split(":")[2][:4])


async def by_beancount(db: Database, file: Path, expected: dict[date, Stands]) -> None:
    await export_journal(db, JournalFormat.BEANCOUNT, file)
    assert await ran(str(Path(sys.executable).with_name("bean-check")), file) == ""
    entries, errors, _ = loader.load_file(str(file))
    assert errors == []
    for end, ours in expected.items():
        sums: dict[tuple[int, str], Decimal] = defaultdict(Decimal)
        for one in entries:
            if isinstance(one, Transaction) and one.date < end:
                for leg in one.postings:
                    assert leg.units is not None
                    assert leg.units.number is not None
                    sums[code_of(leg.account), leg.units.currency] += leg.units.number
        theirs = {key: minor_from_text(str(amount), key[1]) for key, amount in sums.items() if amount}
        assert theirs == ours, end


async def by_hledger(db: Database, file: Path, expected: dict[date, Stands]) -> None:
    assert HLEDGER is not None
    await export_journal(db, JournalFormat.HLEDGER, file)
    assert await ran(HLEDGER, "-f", file, "check", "--strict") == ""
    for end, ours in expected.items():
        said = await ran(
            HLEDGER, "-f", file, "balance", "--flat", "--layout=bare", "-N", "-O", "csv", "-e", end.isoformat()
        )
        theirs: Stands = defaultdict(int)
        for row in csv.DictReader(said.splitlines()):
            theirs[code_of(row["account"]), row["commodity"]] += minor_from_text(row["balance"], row["commodity"])
        assert {key: minor for key, minor in theirs.items() if minor} == ours, end


@pytest.mark.parametrize("check", [
    by_beancount,
    pytest.param(by_hledger, marks=[
        pytest.mark.hledger,
        pytest.mark.skipif(HLEDGER is None, reason="hledger is not installed here: its check did NOT run"),
    ]),
])  # fmt: skip
async def test_the_whole_journal_passes_month_by_month(
    db: Database, tmp_path: Path, check: Callable[[Database, Path, dict[date, Stands]], Awaitable[None]]
) -> None:
    await add_everything(db)
    async with db.read(WORKER) as tx:
        kinds = {row.kind for row in await tx.rows("SELECT DISTINCT kind FROM billing.entry")}
        discounted = await tx.scalar("SELECT count(*) FROM demand.merchant_order WHERE discount_minor > 0")
        first, last = (date.fromisoformat(str(day)) for day in await tx.row(  # type: ignore[union-attr]
            "SELECT min(effective_on), max(effective_on) FROM billing.entry"
        ))  # fmt: skip
    missing = {part: found for part, wanted in PARTS.items() if (found := set(wanted) - kinds)}
    assert (missing, discounted > 0) == ({}, True)
    ends = [first_of_month(first)]
    while ends[-1] <= last:
        ends.append(add_months(ends[-1], 1))
    expected = {end: await stands(db, end - timedelta(days=1)) for end in ends[1:]}
    await check(db, tmp_path / "all.ledger", expected)
