"""The take rate of finance's report beside that of the metrics: two names, and what lies between them to the cent."""

from datetime import date
from typing import Any

from billing.ledger import store as ledger
from billing.ledger.chart import Account
from billing.ledger.model import NewEntry, legs
from billing.reports import store
from billing.reports.model import Span, rate_ppm
from marketplace.core.db import STAFF, WORKER, Database, Tx
from marketplace.flows.commission.settle_orders import settle_through
from marketplace.flows.refunds.refund_order import RefundLine, RefundOrder, refund_order
from marketplace.flows.steering.roll_metrics import roll_metrics
from tests.billing.market import MAKER, prepare
from tests.builders import HOUSE
from tests.metrics.test_rolling import sale, shown

MAY: Any = {"from_on": date(2018, 5, 1), "to_on": date(2018, 6, 1)}
HARDWARE, PAYER_FEES = 700, 90


async def earned_beside(tx: Tx) -> None:
    """What only one of the two counts: hardware, and fees of payers."""
    for number, (account, minor) in enumerate(((Account.HARDWARE, HARDWARE), (Account.PAYER_FEE, PAYER_FEES))):
        entry = NewEntry(
            merchant_id=HOUSE, kind="beside", source_id=number, currency="EUR", occurred_at=tx.now,
            effective_on=date(2018, 5, 20), legs=legs({Account.BANK: minor, account: -minor}),
        )  # fmt: skip
        await ledger.post(tx, [entry])


async def test_what_lies_between_the_report_and_the_metrics(db: Database) -> None:
    """Three orders delivered in May, with 1.00 of freight each; one is settled in June, of another 10.00 come back."""
    orders = [
        sale(1, 1, date(2018, 5, 2), 10_000), sale(2, 2, date(2018, 5, 10), 5_000),
        sale(3, 3, date(2018, 5, 30), 4_000, after=1),
    ]  # fmt: skip
    await db.write(WORKER, MAKER, prepare, orders)
    await settle_through(db, MAKER, date(2018, 5, 25))
    await db.write(WORKER, "test", earned_beside)
    back = RefundOrder(merchant_id=2, order_id=2, reason="damaged", lines=(RefundLine(1, 1_000),))
    await db.write(WORKER, "test", refund_order, back)
    await roll_metrics(db, "worker")
    span = Span(from_on=MAY["from_on"], to_on=MAY["to_on"], currency="EUR")
    async with db.read(STAFF) as tx:
        [report] = await store.take_rate(tx, span)
    metric = await shown(db, "gmv_completed", "gross_take_rate", **MAY)
    completed, rate = metric["gmv_completed"], metric["gross_take_rate"]
    assert completed == 19_000
    freight, not_settled = 3 * 100, 4_000 + 100
    assert report.settled_minor == completed + freight - not_settled
    fees = report.fees_minor - PAYER_FEES
    assert rate == rate_ppm(fees + HARDWARE, completed)
    assert report.gross_ppm == rate_ppm(fees + PAYER_FEES, report.settled_minor)
    async with db.read(STAFF) as tx:
        [now] = await store.take_rate(tx, Span(from_on=date(2018, 9, 1), to_on=date(2018, 10, 1)))
    assert now.settled_minor == -1_000  # what came back, on the day on which it did
