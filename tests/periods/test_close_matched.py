"""The checklist of a month whose bank and processor are matched, and what comes of its breaks once it is closed."""

from datetime import date
from typing import Any

import pytest

from billing.breaks import store as breaks
from billing.breaks.model import BreakState, Limits
from billing.periods.model import Check, CheckState
from marketplace.core.db import STAFF, WORKER, Database, Tx
from marketplace.flows.bank.work_breaks import SayOfBreak, set_limits, write_off
from marketplace.flows.books.close_period import Month, read_period
from marketplace.simulator.processor import Processor
from tests.billing.market import MAY, billed, check_books, order, settled_market
from tests.builders import ENTITY
from tests.matching.market import bank_says, line, matched, name_accounts
from tests.matching.test_charges import market as a_market
from tests.matching.test_charges import reported
from tests.matching.test_matching import processor as a_processor
from tests.payments.market import A, B, C, place
from tests.payments.test_settlement_file import captured
from tests.periods.market import as_owner, closed

market, processor = a_market, a_processor  # fixtures
MATCHED = ("bank-is-statement", "clearing-is-items", "suspense-is-lines", "breaks-are-accepted")


async def checklist(db: Database, month: str) -> dict[str, Check]:
    async with db.read(STAFF) as tx:
        view = await read_period(tx, Month(month=month))
    return {check.name: check for check in view.checks if check.name in MATCHED}


async def found(db: Database, month: str) -> dict[str, list[tuple[Any, ...]]]:
    """What the checks of matching find, by their names; green ones are left out."""
    checks = await checklist(db, month)
    return {
        name: [(one.currency, one.minor) for one in check.findings]
        for name, check in checks.items() if check.state is not CheckState.GREEN
    }  # fmt: skip


async def test_books_are_what_bank_and_processor_say_and_what_is_on_its_way(
    market: Database, processor: Processor
) -> None:
    """Of three captures and the payout, the bank has only something else: every account is explained at each step."""
    for part in (A, B):
        await captured(market, processor, await market.write(WORKER, "shop", place, [part]))
    paid_out = await market.write(WORKER, "test", reported)
    await captured(market, processor, await market.write(WORKER, "shop", place, [C]))
    await bank_says(market, [line(777, bank_ref="X", text="who knows")])
    await matched(market)
    assert list(await found(market, "2018-09")) == ["breaks-are-accepted"]
    await bank_says(market, [line(paid_out + 1, end_to_end="BATCH-1")], opening=777)
    run = await matched(market)
    assert run.found["explained"] == 1
    still = await found(market, "2018-09")
    assert list(still) == ["breaks-are-accepted"], still
    assert still["breaks-are-accepted"] == [("EUR", 777)]
    await check_books(market)


@pytest.mark.parametrize(("name", "planted"), [
    ("bank-is-statement", "UPDATE billing.bank_statement SET closing_minor = closing_minor + 3"),
    ("bank-is-statement", "UPDATE billing.match_item SET suspense_id = NULL WHERE suspense_id IS NOT NULL"),
    ("clearing-is-items", "DELETE FROM billing.match_item WHERE kind = 'capture'"),
    ("clearing-is-items", "UPDATE billing.match_item SET booked_as = NULL"),
    ("suspense-is-lines", "UPDATE billing.match_item SET amount_minor = 3 WHERE suspense_id IS NOT NULL"),
])  # fmt: skip
async def test_a_check_of_matching_sees_what_is_wrong(
    market: Database, processor: Processor, name: str, planted: str
) -> None:
    await captured(market, processor, await market.write(WORKER, "shop", place, [A]))
    await market.write(WORKER, "test", reported)
    await bank_says(market, [line(777, bank_ref="X", text="who knows")])
    await matched(market)
    assert name not in await found(market, "2018-09")

    async def plant(tx: Tx) -> None:
        await tx.raw.execute("SET LOCAL session_replication_role = replica")
        assert (await tx.execute(planted)).rowcount > 0

    await as_owner(market, plant)
    assert name in await found(market, "2018-09")


async def test_what_is_written_off_of_a_closed_month_is_on_the_first_open_day(db: Database) -> None:
    await settled_market(db, [order(1, 1, date(2018, 5, 10))])
    await db.write(WORKER, "fay", name_accounts)
    await bank_says(db, [line(777, bank_ref="X", day=date(2018, 5, 15))])
    await matched(db)
    await billed(db, MAY)
    await closed(db)
    async with db.read(WORKER) as tx:
        [one] = [each for each in await breaks.list_breaks(tx, live=True, limit=100) if each.amount_minor == 777]
    limits = Limits(entity_id=ENTITY, currency="EUR", accountant_minor=1_000, controller_minor=1_000)
    await db.write(WORKER, "col", set_limits, limits)
    done = await db.write(WORKER, "fay", write_off, SayOfBreak(break_id=one.break_id, words="nobody asks for it"))
    assert done.state is BreakState.WRITTEN_OFF
    async with db.read(STAFF) as tx:
        rows: Any = await tx.rows(
            "SELECT kind, effective_on, prior_period FROM billing.entry"
            " WHERE kind IN ('line_suspended', 'line_claimed', 'break_written_off')"
        )
    booked = {row.kind: (row.effective_on, row.prior_period) for row in rows}
    assert booked == {
        "line_suspended": (date(2018, 5, 15), False),
        "line_claimed": (date(2018, 6, 1), True),
        "break_written_off": (date(2018, 6, 1), True),
    }
    await check_books(db)
