"""What a processor charges beside payments: booked as its fee, held against what was agreed, and no break by itself."""

from datetime import date
from typing import Any

import pytest
from sqlalchemy import insert

from billing.bank_files.tables import bank_file, bank_line
from billing.breaks.model import BreakKind
from billing.matching.model import FeeLine, ItemKind
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import Conflict
from marketplace.flows.bank.match_by_hand import approve_fees, approve_match, propose_fees, propose_unmatch
from marketplace.flows.payments.import_processor_file import import_processor_file
from tests.billing.market import check_books
from tests.builders import HOUSE, PROCESSOR
from tests.matching.items import add_items, ours, theirs
from tests.matching.market import DAY, groups, matched, name_accounts, open_items
from tests.matching.test_by_hand import live_breaks
from tests.matching.test_charges import charged
from tests.payments.market import add_merchants, balances

MONTHLY = [("Fee", -500, None, None), ("invoiceDeduction", -70, -70, 0), ("T0106", -2_000, -2_000, 0),
           ("服务费", 30, 30, 0), ("anything", -9, 0, 9)]  # fmt: skip
"""What reports call it, what it moves, gross and fee: the fourth is given back, the last tells no gross."""

OWN_FEE = """id,kind,reference,dispute,gross,fee,net,currency,at
mv_1,fee,,,0.00,5.00,-5.00,EUR,2018-09-03T12:00:00+00:00
1,total,batch_1,,0.00,5.00,-5.00,EUR,2018-09-03
"""


async def reported(tx: Tx, lines: list[tuple[str, int, int | None, int | None]]) -> None:
    """A processor's report with these lines: type, amount, gross, fee."""
    await add_merchants(tx)
    await name_accounts(tx)
    await tx.execute(insert(bank_file), {
        "file_id": 9, "content_hash": b"x", "name": "report", "size_bytes": 1, "state": "read", "received_at": tx.now,
        "received_by": "fay", "moved_at": tx.now,
    })  # fmt: skip
    for number, (type_code, minor, gross, fee) in enumerate(lines, start=1):
        await tx.execute(insert(bank_line), {
            "fingerprint": number.to_bytes(32), "occurrence": 1, "line_id": number, "file_id": 9, "line_no": number,
            "statement_no": 1, "position": number, "kind": "processor", "account": "card", "day": DAY,
            "amount_minor": minor, "gross_minor": gross, "fee_minor": fee, "currency": "EUR", "bank_ref": "",
            "end_to_end": "", "batch_ref": "", "party": "", "party_account": "", "text": "", "type_code": type_code,
            "booked": True,
        })  # fmt: skip


async def agreed(db: Database, *fees: FeeLine) -> None:
    made = await db.write(WORKER, "fay", propose_fees, "card", date(2018, 1, 1), fees)
    await db.write(WORKER, "col", approve_fees, made.processor_id, made.version)


async def test_fees_without_a_payment_are_booked_once_and_are_no_break(db: Database) -> None:
    await db.write(WORKER, "test", reported, MONTHLY)
    run = await matched(db)
    assert (run.found["exact"], run.found["breaks_opened"]) == (5, 0)
    assert await open_items(db) == []
    total = 500 + 70 + 2_000 - 30 + 9
    assert await balances(db, HOUSE) == {(5100, 0): total, (1020, PROCESSOR): -total}
    assert len(await charged(db)) == 1  # of one day, as one
    await check_books(db)
    again = await matched(db)
    assert not any(again.found.values())
    [group] = [one for one in await groups(db) if one.theirs == (await items(db, 1))[:1]]
    back = await db.write(WORKER, "fay", propose_unmatch, group.group_id, "why?")
    with pytest.raises(Conflict, match="belongs to nothing else"):
        await db.write(WORKER, "col", approve_match, back.proposal_id)


async def items(db: Database, line_id: int) -> tuple[int, ...]:
    async with db.read(WORKER) as tx:
        rows: Any = await tx.rows(
            "SELECT item_id FROM billing.match_item WHERE source_id = :line ORDER BY side DESC", line=line_id
        )
    return tuple(row.item_id for row in rows)


async def test_a_payment_that_tells_no_gross_is_no_fee(db: Database) -> None:
    await db.write(WORKER, "test", reported, [("Settled", 700, None, None)])
    await matched(db)
    [line] = await open_items(db)
    assert (line.kind, line.amount_minor) == (ItemKind.PROCESSOR_LINE, 700)


async def test_a_fee_is_held_against_what_was_agreed_for_it_where_something_was(db: Database) -> None:
    """5.00 a month was agreed and 20.00 for a chargeback; of deductions nothing, and the rate of captures is theirs."""
    await db.write(WORKER, "test", reported, [("Fee", -700, -700, 0), *MONTHLY[1:3]])
    of_captures = FeeLine(currency="EUR", fixed_minor=25, ppm=14_000)
    monthly, chargeback = (
        FeeLine(method=method, currency="EUR", fixed_minor=minor, ppm=0)
        for method, minor in (("Fee", 500), ("T0106", 2_000))
    )
    await agreed(db, of_captures, monthly, chargeback)
    await matched(db)
    [wrong] = await live_breaks(db)
    assert (wrong.kind, wrong.amount_minor) == (BreakKind.FEE_VARIANCE, 200)
    await matched(db)
    assert len(await live_breaks(db)) == 1
    await check_books(db)


async def test_a_fee_of_a_settlement_file_is_booked_with_it_and_compared(db: Database) -> None:
    await db.write(WORKER, "test", reported, [])
    await agreed(db, FeeLine(method="fee", currency="EUR", fixed_minor=400, ppm=0))
    await import_processor_file(db, "fay", "card", OWN_FEE.encode())
    before = await balances(db, HOUSE)
    await matched(db)
    assert (await balances(db, HOUSE), await charged(db)) == (before, [])
    [wrong] = [one for one in await live_breaks(db) if one.kind is BreakKind.FEE_VARIANCE]
    assert wrong.amount_minor == 100
    assert await open_items(db, kind=ItemKind.PROCESSOR_LINE) == []
    await check_books(db)


async def test_a_fee_that_was_matched_as_a_payment_before_has_no_other_side(db: Database) -> None:
    """Versions before 0010 listed fees like payments; those in groups stayed as they were, and are no break."""
    await db.write(WORKER, "test", reported, MONTHLY[:1])
    old = theirs(-500, "F1", kind=ItemKind.PROCESSOR_LINE)
    await add_items(db, [old, ours(-500, "F1", kind=ItemKind.JOURNAL)])
    await db.write(WORKER, "test", _as_line, 1)
    await matched(db)
    assert await open_items(db) == []
    assert await live_breaks(db) == []


async def _as_line(tx: Tx, line_id: int) -> None:
    await tx.execute(
        "UPDATE billing.match_item SET source_id = :line WHERE kind = 'processor_line' AND reference = 'F1'",
        {"line": line_id},
    )
