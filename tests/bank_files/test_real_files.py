"""Files as banks and processors really write them, against what other tools found in them."""

import os
from pathlib import Path

import msgspec
import pytest

from billing.bank_files.model import BankFile, BankFileState
from billing.bank_files.readers import Format
from marketplace.core.db import WORKER, Database
from marketplace.flows.bank.import_bank_file import import_bank_file

pytestmark = pytest.mark.real_data

READ: dict[str, tuple[Format, int, int, dict[str, int]]] = {
    "camt/camt053.v2.multi.statement.xml": (Format.CAMT, 2, 2, {"EUR": 885 - 700}),
    "camt/camt054.v4.xml": (Format.CAMT, 1, 1, {"SEK": -20_000_000}),
    "mt940/asnb-mt940.txt": (Format.MT940, 31, 8, {"EUR": 50_123 - 44_429}),
    "mt940/betterplace-sepa_mt9401.sta": (Format.MT940, 26, 97, {}),
    "mt940/citi-mt940.txt": (Format.MT940, 1, 5, {"USD": 1_623_392 - 1_737_667}),
    "mt940/jejik-rabobank-iban.sta": (Format.MT940, 2, 4, {"EUR": 93_000 - 100_000}),
    "bai2/moov-sample1.bai2": (Format.BAI2, 2, 17, {"CAD": 0}),
    "bai2/moov-sample3.bai2": (Format.BAI2, 15, 26, {}),
    "stripe/balance_transaction_data.csv": (Format.STRIPE, 1, 9, {"USD": 20_463_341}),
    "stripe/payout_data.csv": (Format.STRIPE, 1, 15, {"USD": -21_471_524}),
    "stripe/transfer_data.csv": (Format.STRIPE, 1, 10, {"USD": -32_865_517}),
}
"""What holds: format, statements, lines, and what they sum to where that is known from elsewhere."""

FAILED = {
    "camt/camt053.v2.all-balance-types.xml": "opening 1.01 and lines of 8.85 do not make closing 4.04",
    "camt/camt053.v2.minimal.xml": "the closing balance is in SEK, the account in EUR",
    "camt/camt053.v4.xml": "the closing balance is in SEK, the account in EUR",
    "mt940/jejik-abnamro.sta": "opening 3236.28 and lines of -321.44 do not make closing 876.84",
    "alipay_wechat/example-alipay-records.csv": "the bill says 66 lines (共66笔记录), it has 10",
    "alipay_wechat/example-wechat-records.csv": "the bill says 43 lines (共43笔记录), it has 27",
}
"""What can be read and does not tie, as its balances or totals say."""

UNREADABLE = {
    "stripe/payout_balance_transaction_data.csv": "the file says which payout pays a transaction out, and no amount;"
    " bring the balance transactions, which say it, too",
}
"""Tables of no movement, and what to bring instead."""


def files_of(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def folder() -> Path:
    data = os.environ.get("MARKETPLACE_DATA")
    if not data:
        pytest.skip("MARKETPLACE_DATA is not set: the real files of banks and processors are NOT read")
    return Path(data) / "statements"


async def bring(db: Database, path: Path) -> BankFile:
    with path.open("rb") as stream:
        return await import_bank_file(db, "fay", path.name, stream, processor="card")


async def test_every_file_has_its_outcome(db: Database, folder: Path) -> None:
    assert files_of(folder) == {*READ, *FAILED, *UNREADABLE}
    for name, (file_format, statements, lines, sums) in READ.items():
        file = await bring(db, folder / name)
        assert (file.state, file.format, file.flaws) == (BankFileState.READ, file_format, ()), name
        assert (file.statements, file.lines, file.stored_lines) == (statements, lines, lines), name
        async with db.read(WORKER) as tx:
            rows = await tx.rows(
                "SELECT currency, sum(sum_minor)::bigint AS minor FROM billing.bank_statement WHERE file_id = :file"
                " GROUP BY currency",
                file=file.file_id,
            )
        assert not sums or {row.currency: row.minor for row in rows} == sums, name
    for name, reason in FAILED.items():
        file = await bring(db, folder / name)
        assert (file.state, file.stored_lines) == (BankFileState.FAILED, 0), name
        assert any(reason in flaw for flaw in file.flaws), (name, file.flaws)
    for name, reason in UNREADABLE.items():
        file = await bring(db, folder / name)
        assert (file.state, file.statements) == (BankFileState.UNREADABLE, 0), name
        assert file.flaws == (reason,)


async def test_all_of_them_again_change_nothing(db: Database, folder: Path) -> None:
    paths = [folder / name for name in READ]
    first = [await bring(db, path) for path in paths]
    again = [msgspec.structs.replace(file, again=True) for file in reversed(first)]
    assert [await bring(db, path) for path in reversed(paths)] == again
