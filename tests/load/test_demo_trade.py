"""What the demonstration plants beside orders: live promotions, a payer with a claim, leads, content, a course; all of
it once, and with books that hold.
"""

from typing import Any

from marketplace.core import policies
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.users import create_user
from marketplace.flows.commission.apply_contracts import apply_file
from marketplace.flows.commission.settle_orders import settle_through
from marketplace.flows.demo.demo_growth import PIECE, win_merchants
from marketplace.flows.demo.demo_incentives import promote
from marketplace.flows.demo.demo_market import demo_contracts, load_demo_market, make_market
from marketplace.flows.demo.demo_payer import agree_with_payer, claim_on_payer
from marketplace.flows.demo.run_demo import closed_periods
from marketplace.flows.runs import run_billing
from tests.billing.market import check_books

SELLER = 1


async def test_it_is_planted_once_and_the_books_hold(db: Database, clock: FixedClock) -> None:
    market = make_market(db.clock.now(), orders=900, merchants=20)

    async def people(tx: Tx) -> None:
        await policies.switch(tx, "single_operator", on=True)
        await create_user(tx, "ops", "Olivia Ops", ["growth", "incentives", "approver"])
        await create_user(tx, "merchant", "A merchant", ["merchant_owner"], merchant_id=SELLER)

    await db.write(WORKER, "operator", people)
    await load_demo_market(db, "operator", market)
    await apply_file(db, "operator", demo_contracts(market).encode())
    await db.write(WORKER, "operator", agree_with_payer, market)
    await settle_through(db, "operator", market.last_on)
    for period in closed_periods(market.first_on, market.last_on):
        result = await run_billing.run_period(db, "operator", period)
        await run_billing.approve_run(db, "operator", result.run.run_id)
        await run_billing.finalise_run(db, "operator", result.run.run_id)
    planted = []
    for _ in range(2):
        await db.write(WORKER, "operator", agree_with_payer, market)
        await db.write(WORKER, "operator", claim_on_payer, market.last_on)
        await db.write(WORKER, "operator", win_merchants, SELLER)
        await promote(db, "operator", market)
        planted.append(await _planted(db))
    assert planted[0] == planted[1]
    found = planted[0]
    assert found["promotions"] == ["live", "live", "live"]
    assert found["grants"] > 0
    assert 0 < found["open_minor"] < found["claimed_minor"]
    assert found["leads"] == {"lost": 1, "pooled": 5, "signed": 2, "visited": 4}
    assert (found["visits"], found["certificates"], found["goals"]) == (7, 1, 2)
    assert found["brought"] == 5
    await check_books(db)


async def _planted(db: Database) -> dict[str, Any]:
    async with db.read(WORKER) as tx:
        claim = await tx.row(
            "SELECT amount_minor, amount_minor + fee_minor + vat_minor - remitted_minor AS open"
            " FROM billing.payer_claim"
        )
        leads = await tx.rows("SELECT state, count(*) AS n FROM supply.lead GROUP BY 1 ORDER BY 1")
        assert claim is not None
        return {
            "promotions": [row.state for row in await tx.rows("SELECT state FROM incentives.promotion")],
            "grants": await tx.scalar("SELECT count(*) FROM incentives.merchant_grant"),
            "claimed_minor": claim.amount_minor,
            "open_minor": claim.open,
            "leads": {row.state: row.n for row in leads},
            "visits": await tx.scalar("SELECT count(*) FROM supply.visit WHERE state = 'done'"),
            "certificates": await tx.scalar("SELECT count(*) FROM supply.certificate"),
            "goals": await tx.scalar("SELECT count(*) FROM metrics.goal"),
            "brought": await tx.scalar("SELECT count(*) FROM supply.lead WHERE campaign = :code", code=PIECE),
        }
