"""A month of payers, rewards, payouts, a bank file and its closing on a Citus cluster: the figures of one server."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from billing.payers.claims.store import get_claim
from billing.periods.model import PeriodState
from billing.runs.model import period_named
from billing.runs.store import list_payouts
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database
from marketplace.flows.books.close_period import Month
from marketplace.flows.refunds.refund_order import RefundLine, RefundOrder, refund_order
from tests.billing.accounts import add_account
from tests.billing.market import MAKER, billed, check_books, order
from tests.billing.test_payouts import confirm
from tests.incentives.market import live
from tests.incentives.trade import WEEKLY, day, look, settle
from tests.matching.market import bank_says, line, matched, name_accounts
from tests.matching.test_legs import reference_of
from tests.payers.market import claim, market, sold
from tests.payers.test_invoices import PAYER, reject
from tests.periods.market import closed
from tests.placing.market import ALPHA

pytestmark = pytest.mark.citus

REWARDED = 71
"""An order that reaches the threshold of a promotion for merchants."""

FIGURES = {
    "entries": "SELECT merchant_id, entry_no, kind, effective_on, accounts, amounts FROM billing.entry ORDER BY 1, 2",
    "claims": "SELECT claim_no, amount_minor, fee_minor, vat_minor, rejected_minor, remitted_minor"
    " FROM billing.payer_claim ORDER BY 1",
    "to payers": "SELECT series, serial, net_minor, vat_minor FROM billing.payer_document ORDER BY 1, 2",
    "rewards": "SELECT merchant_id, amount_minor, state FROM incentives.merchant_grant ORDER BY 1, 2",
    "statements": "SELECT merchant_id, payout_minor, closing_minor, state FROM billing.statement ORDER BY 1",
    "documents": "SELECT merchant_id, series, serial, net_minor, vat_minor FROM billing.document ORDER BY 1, 2, 3",
    "payouts": "SELECT merchant_id, amount_minor, state FROM billing.payout ORDER BY 1",
    "matched": "SELECT stage, book, residue_minor FROM billing.match_group ORDER BY made_at, 1, 2",
    "periods": "SELECT month_on, state FROM billing.period ORDER BY 1",
}


async def month(db: Database) -> None:
    """September: a claim that is rejected in part and paid, a reward earned and taken back, and the month closed."""
    clock = db.clock
    assert isinstance(clock, FixedClock)
    await market(db)
    await live(db, clock, WEEKLY)
    await db.write(WORKER, MAKER, add_account, ALPHA)
    for key in ("k1", "k2"):
        await sold(db, key)
    asked = await claim(db)
    await reject(db, asked, 1_000)
    await settle(db, clock, order(ALPHA, REWARDED, day(4), 11_000))
    await look(db)
    clock.move_to(datetime(2018, 9, 7, 10, tzinfo=UTC))
    await look(db)
    back = RefundOrder(merchant_id=ALPHA, order_id=REWARDED, reason="damaged", lines=(RefundLine(1, 1_001),))
    await db.write(WORKER, MAKER, refund_order, back)
    await look(db)
    await db.write(WORKER, MAKER, name_accounts)
    await matched(db)
    async with db.read(WORKER) as tx:
        owed = (await get_claim(tx, PAYER, asked.claim_id)).open_minor
    await bank_says(db, [line(owed, text=await reference_of(db), bank_ref="H1"), line(777, bank_ref="X", text="who?")])
    assert (await matched(db)).found["exact"] == 1
    clock.move_to(datetime(2018, 10, 2, 10, tzinfo=UTC))
    run = (await billed(db, period_named("2018-09"))).run
    async with db.read(WORKER) as tx:
        [payout] = await list_payouts(tx, run_id=run.run_id)
    await confirm(db, payout, on=date(2018, 10, 2))
    assert (await closed(db, Month(month="2018-09"))).period.state is PeriodState.CLOSED
    await check_books(db)


async def figures(db: Database) -> dict[str, list[tuple[Any, ...]]]:
    async with db.read(WORKER) as tx:
        return {name: [tuple(row) for row in await tx.rows(query)] for name, query in FIGURES.items()}


async def test_a_month_of_all_of_it_is_the_same_as_on_one_server(db: Database, citus_db: Database) -> None:
    await month(db)
    here = await figures(db)
    assert all(here.values()), [name for name, rows in here.items() if not rows]
    await month(citus_db)
    for name, rows in (await figures(citus_db)).items():
        assert rows == here[name], name
