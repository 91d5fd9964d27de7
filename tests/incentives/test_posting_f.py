"""Posting F of domain.md to the cent: a threshold's reward is earned, vests, and is taken back."""

from datetime import UTC, datetime

from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database
from tests.billing.market import MAKER, check_books, order, prepare
from tests.incentives.market import live
from tests.incentives.trade import WEEKLY, day, look, refund, settle


async def test_posting_f_a_reward_is_earned_vested_and_clawed_back(db: Database, clock: FixedClock) -> None:
    await db.write(WORKER, MAKER, prepare, [])
    await live(db, clock, WEEKLY)
    await settle(db, clock, order(1, 1, day(4), 11_000))
    await look(db)
    clock.move_to(datetime(2018, 9, 7, 10, tzinfo=UTC))
    await look(db)
    await refund(db, 1, 1_001)
    await look(db)
    async with db.read(WORKER) as tx:
        rows = await tx.rows(
            "SELECT kind, accounts, amounts FROM billing.entry WHERE kind LIKE 'incentive%' ORDER BY entry_no"
        )
    assert [(row.kind, dict(zip(row.accounts, row.amounts, strict=True))) for row in rows] == [
        ("incentive_earned", {5000: 2_000, 2050: -2_000}),
        ("incentive_vested", {2050: 2_000, 2000: -2_000}),
        ("incentive_clawed_back", {2000: 2_000, 5000: -2_000}),
    ]
    await check_books(db)
