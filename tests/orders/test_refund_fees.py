"""The processor's fee that the merchant bears: the same to the cent, whether refund or settlement file comes first."""

from decimal import Decimal

import pytest

from billing.payments.facts import payment_reference
from demand.lifecycle import Party
from marketplace.core.db import WORKER, Database
from marketplace.flows.payments.import_processor_file import import_processor_file
from marketplace.flows.refunds.cancel_refund import cancel_refund
from marketplace.flows.refunds.pay_refund import RefundKey
from marketplace.flows.refunds.refund_order import Refunded, RefundLine
from marketplace.routes.refund_queries import get_refund
from tests.billing.market import check_books
from tests.orders.paid import BUYER, PAYMENT, Paid, balances, count, entry, market, of, refund, says

FEE = 187
FILE = """id,kind,reference,dispute,gross,fee,net,currency,at
mv_{no},capture,{reference},,{gross},{fee},{net},EUR,2018-09-03T12:00:00+00:00
1,total,batch_{no},,{gross},{fee},{net},EUR,2018-09-03
"""


async def settled_by_processor(db: Database, gross_minor: int = 12_000, payment_id: int = PAYMENT) -> None:
    """The processor's file with the one capture, and the fee that it has kept."""
    gross, fee = Decimal(gross_minor) / 100, Decimal(FEE) / 100
    content = FILE.format(
        no=payment_id, reference=payment_reference(BUYER, payment_id), gross=gross, fee=fee, net=gross - fee
    )
    await import_processor_file(db, "fay", "card", content.encode())


async def fees(db: Database) -> list[int]:
    async with db.read(WORKER) as tx:
        rows = await tx.rows("SELECT fee_minor FROM demand.refund ORDER BY refund_id")
    return [row.fee_minor for row in rows]


async def out_of_stock(db: Database, *lines: RefundLine) -> Refunded:
    """A refund whose fee the default policy leaves with the merchant."""
    return await refund(db, *lines, reason="out_of_stock", initiator=Party.MERCHANT)


@pytest.mark.parametrize("file_after", [0, 1, 2, 3])
async def test_the_merchant_pays_the_same_fee_whenever_the_file_comes(db: Database, file_after: int) -> None:
    await market(db, Paid(order=of(1, 1)), settled=True)
    for done, goods in enumerate((4_000, 5_000, 3_000)):
        if done == file_after:
            await settled_by_processor(db)
        charged = (await out_of_stock(db, RefundLine(1, goods))).fee_minor
        assert (charged > 0) == (done >= file_after)
    if file_after == 3:
        assert await fees(db) == [0, 0, 0]
    await settled_by_processor(db)
    await settled_by_processor(db)
    assert await fees(db) == [62, 78, 47]
    assert (await balances(db))[4050] == -FEE
    assert await count(db, "processor_fee_recharged") == 3 - max(file_after - 1, 0)
    await check_books(db)


async def test_a_fee_that_came_late_is_a_fact_of_the_refund(db: Database) -> None:
    await market(db, Paid(order=of(1, 1)))
    refund_id = (await out_of_stock(db)).refund_id
    await settled_by_processor(db)
    assert await entry(db, "processor_fee_recharged") == {2000: FEE, 4050: -FEE}
    async with db.read(WORKER) as tx:
        found = await get_refund(tx, 1, refund_id)
    assert found.refund.fee_minor == FEE
    assert "processor_fee_recharged" in [one.kind for one in found.entries]
    await check_books(db)


async def test_a_fee_that_the_platform_bears_is_not_charged_on(db: Database) -> None:
    await market(db, Paid(order=of(1, 1)), settled=True)
    await refund(db)
    await settled_by_processor(db)
    assert (await fees(db), await count(db, "processor_fee_recharged")) == ([0], 0)
    await check_books(db)


async def test_a_refund_taken_back_gives_its_part_of_a_late_fee_back(db: Database) -> None:
    await market(db, Paid(order=of(1, 1)), settled=True)
    first = await out_of_stock(db, RefundLine(1, 4_000))
    await out_of_stock(db, RefundLine(1, 5_000))
    await settled_by_processor(db)
    assert await fees(db) == [62, 78]
    await says(db, first, ok=False)
    await db.write(WORKER, "fay", cancel_refund, RefundKey(merchant_id=1, refund_id=first.refund_id))
    assert (await balances(db))[4050] == -78
    await check_books(db)
