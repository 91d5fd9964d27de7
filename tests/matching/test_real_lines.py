"""Real statements of banks, matched with a market that knows nothing of them: all on suspense, to the cent."""

import os
from datetime import date
from pathlib import Path

import pytest

from billing.bank_files.model import BankFileState
from billing.matching.agreements import store as agreements
from billing.matching.model import Account, Book, Side
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.bank.import_bank_file import import_bank_file
from tests.billing.market import check_books
from tests.builders import ENTITY, HOUSE, PROCESSOR
from tests.matching.market import matched, open_items
from tests.payments.market import add_merchants, balances

pytestmark = pytest.mark.real_data


async def name_all(tx: Tx) -> None:
    """Every account that a file has named is the house's."""
    rows = await tx.rows("SELECT DISTINCT account, kind = 'processor' AS reported FROM billing.bank_line")
    for row in rows:
        account = Account(
            account=row.account,
            book=Book.PROCESSOR if row.reported else Book.BANK,
            entity_id=ENTITY,
            processor_id=PROCESSOR if row.reported else None,
            calendar="",
            lag_days=2,
            from_on=date(1990, 1, 1),
        )
        await agreements.set_account(tx, account)


async def test_every_real_line_is_on_suspense_and_no_line_twice(db: Database) -> None:
    data = os.environ.get("MARKETPLACE_DATA")
    if not data:
        pytest.skip("MARKETPLACE_DATA is not set: the real files of banks and processors are NOT matched")
    await db.write(WORKER, "test", add_merchants)
    read = 0
    for path in sorted((Path(data) / "statements").rglob("*")):
        if path.is_file():
            with path.open("rb") as stream:
                file = await import_bank_file(db, "fay", path.name, stream, processor="card")
            read += file.state is BankFileState.READ
    assert read >= 9
    await db.write(WORKER, "fay", name_all)
    run = await matched(db)
    async with db.read(WORKER) as tx:
        said = await tx.rows(
            """
            SELECT count(*) AS lines, sum(amount_minor)::bigint AS minor FROM billing.bank_line
            WHERE kind = 'statement' AND booked AND amount_minor <> 0
            """
        )
    lines = await open_items(db, book=Book.BANK, side=Side.THEIRS)
    assert (len(lines), sum(item.amount_minor for item in lines)) == (said[0].lines, said[0].minor)
    assert run.found["suspended"] == said[0].lines
    stands = await balances(db, HOUSE)
    assert -sum(minor for (account, _), minor in stands.items() if account == 2900) == said[0].minor
    again = await matched(db)
    assert not any(again.found.values())
    await check_books(db)
