"""What processors keep of the lines that come by files of banks: booked once, and never taken back."""

from typing import Any

import pytest
from sqlalchemy import insert

from billing.bank_files.tables import bank_file, bank_line
from billing.matching.model import Stage
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.bank.match_by_hand import ProposeMatch, approve_match, propose_match, propose_unmatch
from marketplace.simulator.processor import Processor
from tests.billing.market import check_books
from tests.builders import HOUSE, PROCESSOR
from tests.matching.items import add_items, ours, theirs
from tests.matching.market import DAY, bank_says, groups, line, matched, name_accounts
from tests.matching.test_matching import processor as a_processor
from tests.payments.market import A, B, C, add_merchants, balances, place
from tests.payments.test_settlement_file import captured

processor = a_processor  # a fixture


@pytest.fixture
async def market(db: Database) -> Database:
    await db.write(WORKER, "test", add_merchants)
    await db.write(WORKER, "test", name_accounts)
    return db


async def reported(tx: Tx) -> int:
    """The processor's file, read as a bank's: all captures, each less 1.65, and its payout of the rest, returned."""
    await tx.execute(insert(bank_file), {
        "file_id": 9, "content_hash": b"x", "name": "report", "size_bytes": 1, "state": "read", "received_at": tx.now,
        "received_by": "fay", "moved_at": tx.now,
    })  # fmt: skip
    captures = await tx.rows(
        "SELECT buyer_id || '-' || payment_id AS ref, captured_minor AS minor FROM billing.payment"
    )
    paid_out = sum(int(row.minor) - 165 for row in captures)
    said: list[tuple[str, int, int, str]] = [(row.ref, row.minor, 165, "Settled") for row in captures]
    said.append(("BATCH-1", -paid_out, 0, "payout"))
    for number, (ref, gross, fee, type_code) in enumerate(said, start=1):
        await tx.execute(insert(bank_line), {
            "fingerprint": number.to_bytes(32), "occurrence": 1, "line_id": number, "file_id": 9, "line_no": number,
            "statement_no": 1, "position": number, "kind": "processor", "account": "card", "day": DAY,
            "amount_minor": gross - fee, "gross_minor": gross, "fee_minor": fee, "currency": "EUR", "bank_ref": "",
            "end_to_end": ref, "batch_ref": "", "party": "", "party_account": "", "text": "", "type_code": type_code,
            "booked": True,
        })  # fmt: skip
    return paid_out


async def charged(db: Database) -> list[tuple[int, list[int], list[int]]]:
    async with db.read(WORKER) as tx:
        rows: Any = await tx.rows(
            "SELECT source_id, accounts, amounts FROM billing.entry WHERE kind = 'processor_charged' ORDER BY entry_no"
        )
    return [tuple(row) for row in rows]


async def clearing(db: Database) -> int:
    """What account 1020 stands at over all books."""
    async with db.read(WORKER) as tx:
        return int(await tx.scalar(
            "SELECT sum(leg.minor) FROM billing.entry e, unnest(e.accounts, e.amounts) AS leg (account, minor)"
            " WHERE leg.account = 1020"
        ))  # fmt: skip


async def test_captures_less_fees_are_what_reaches_the_bank(market: Database, processor: Processor) -> None:
    for part in (A, B, C):
        await captured(market, processor, await market.write(WORKER, "shop", place, [part]))
    paid_out = await market.write(WORKER, "test", reported)
    await bank_says(market, [line(paid_out, end_to_end="BATCH-1")])
    assert (await matched(market)).found["exact"] == 4
    [(_, accounts, amounts)] = await charged(market)
    assert (accounts, amounts) == ([5100, 1020], [3 * 165, -3 * 165])
    assert await clearing(market) == 0
    await matched(market)
    assert len(await charged(market)) == 1
    await check_books(market)


async def test_a_fee_is_booked_with_the_match_and_stays_when_that_is_taken_back(market: Database) -> None:
    """Lines that were listed before are matched in a pass; one that is taken back and matched again costs no more."""
    await add_items(market, [theirs(10_000, "A", fee_minor=165, booked=False), ours(10_000, "A")])
    await add_items(market, [theirs(9_999, "B", fee_minor=20, booked=False), ours(10_000, "B")])
    await add_items(market, [theirs(5_000, "C", fee_minor=7, booked=True), ours(5_000, "C")])
    run = await matched(market)
    assert (run.found["exact"], run.found["explained"]) == (2, 1)
    booked = {amounts[0] for _, _, amounts in await charged(market)}
    assert booked == {165, 20}
    assert (await balances(market, HOUSE))[1020, PROCESSOR] == -165 - 20 - 1
    await check_books(market)
    first = next(group for group in await groups(market) if group.stage is Stage.EXACT)
    back = await market.write(WORKER, "fay", propose_unmatch, first.group_id, "not this one")
    await market.write(WORKER, "col", approve_match, back.proposal_id)
    await check_books(market)
    assert (await matched(market)).found["exact"] == 0
    cmd = ProposeMatch(theirs=first.theirs, ours=first.ours, reason="it was this one")
    again = await market.write(WORKER, "fay", propose_match, cmd)
    await market.write(WORKER, "col", approve_match, again.proposal_id)
    assert len(await charged(market)) == 2
    await check_books(market)
