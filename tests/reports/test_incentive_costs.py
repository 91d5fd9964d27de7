"""What promotions cost whom: the report of finance says what their grants, budgets and claims say, refunds included."""

from datetime import date, timedelta

from billing.reports.model import Span
from incentives.rules.model import ByMerchant, ByPlatform
from marketplace.core.clock import FixedClock
from marketplace.core.db import STAFF, WORKER, Database, Tx
from marketplace.flows.books.report_incentives_sql import incentive_cost
from marketplace.flows.refunds.cancel_refund import cancel_refund
from marketplace.flows.refunds.pay_refund import RefundKey
from tests.discounts.market import bought, off, pay, refund, sold, stands
from tests.discounts.test_payers import BRAND, brand_market
from tests.discounts.test_rebates import back, look
from tests.discounts.test_shared_rebates import ALL_THREE, shared
from tests.payers.market import market as payers_market
from tests.payers.market import sold as paid_by_others
from tests.payers.market import terms as payer_terms
from tests.payers.market import used
from tests.placing.market import ALPHA

THREE = (ByPlatform(weight=1), ByMerchant(weight=1), BRAND)


async def costs(db: Database) -> dict[str, int]:
    span = Span(from_on=date(2018, 1, 1), to_on=db.clock.now().date() + timedelta(days=30))
    async with db.read(STAFF) as tx:
        rows = await incentive_cost(tx, span)
    assert {row.source_id for row in rows if row.funder == "merchant"} <= {ALPHA}
    return {row.funder: row.cost_minor for row in rows}


async def test_each_funder_of_a_discount_is_charged_its_part_and_no_more_once_goods_came_back(
    db: Database, clock: FixedClock
) -> None:
    """15.00 off 120.00: 3.75 are the platform's, 3.75 the merchant's, 7.50 the brand's, with the payment."""
    sale = await brand_market(db, clock, off(125_000, *THREE))
    placed = await bought(db)
    assert await costs(db) == {}
    await pay(db, placed)
    assert await costs(db) == {"platform": 375, "merchant": 375, "payer": 750}
    done = await refund(db, placed, 3_875)  # a third of what the merchant sells it for
    found = await costs(db)
    assert found == {"platform": 250, "merchant": 250, "payer": 500}
    assert sum(found.values()) == (await stands(db, sale)).spent
    assert found["payer"] == await used(db)
    await db.write(WORKER, "test", _fail)
    await db.write(WORKER, "test", cancel_refund, RefundKey(ALPHA, done.refund_id))
    assert await costs(db) == {"platform": 375, "merchant": 375, "payer": 750}
    await refund(db, placed)
    assert await costs(db) == {}


async def _fail(tx: Tx) -> None:
    await tx.execute("UPDATE billing.refund_payment SET state = 'failed', failure = 'closed'")


async def test_each_funder_of_a_rebate_is_charged_its_part(db: Database, clock: FixedClock) -> None:
    """12.00 back of 120.00: 3.00 are the platform's, 3.00 the merchant's, 6.00 the brand's."""
    await shared(db, clock, back(funding=ALL_THREE))
    placed = await sold(db)
    await look(db)
    assert await costs(db) == {"platform": 300, "merchant": 300, "payer": 600}
    await refund(db, placed, 4_000)
    await look(db)
    assert await costs(db) == {"platform": 200, "merchant": 200, "payer": 400}


async def test_a_payer_of_orders_is_no_funder_of_promotions(db: Database) -> None:
    await payers_market(db, payer_terms())
    placed = await paid_by_others(db)
    assert placed.payer_minor == 7_000
    assert await costs(db) == {}
