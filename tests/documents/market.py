"""What a run has issued, and months that have a little of everything."""

from collections.abc import Sequence
from datetime import UTC, date, datetime

from billing.documents import store
from billing.documents.model import Details, Kind, Party, Written
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database
from marketplace.flows.documents.set_billing_details import set_details
from marketplace.flows.refunds.refund_order import RefundLine, RefundOrder, refund_order

MAY_10, MAY_20, JUNE_5, JULY_2 = date(2018, 5, 10), date(2018, 5, 20), date(2018, 6, 5), date(2018, 7, 2)


async def of_run(db: Database, run_id: int) -> list[Written]:
    async with db.read(WORKER) as tx:
        return await store.written_of_run(tx, run_id, limit=1000, after=(0, 0))


def at(clock: FixedClock, on: date) -> None:
    clock.move_to(datetime(on.year, on.month, on.day, 15, tzinfo=UTC))


def shown(found: Sequence[Written]) -> list[tuple[str, int, int, str]]:
    """Number, net, VAT, and the number of what it corrects."""
    return [
        (one.number, one.document.net_minor, one.document.vat_minor, one.numbers.get(str(one.document.corrects_id), ""))
        for one in found
    ]


def owed(found: Sequence[Written]) -> tuple[int, int]:
    """Net and VAT that the merchant owes by these documents; what it bills itself is not among them."""
    signs = {Kind.INVOICE: 1, Kind.CREDIT_NOTE: -1}
    sums = [
        (sign * one.document.net_minor, sign * one.document.vat_minor)
        for one in found
        if (sign := signs.get(one.document.kind))
    ]
    return sum(net for net, _ in sums), sum(vat for _, vat in sums)


async def refund(db: Database, order_id: int, minor: int | None = None) -> None:
    lines = None if minor is None else (RefundLine(line_no=1, goods_minor=minor),)
    cmd = RefundOrder(merchant_id=1, order_id=order_id, reason="returned", lines=lines)
    await db.write(WORKER, "test", refund_order, cmd)


async def know(db: Database, details: Details) -> Details:
    """Set what stands on a merchant's documents, whatever stood there."""
    return await db.write(WORKER, "test", set_details, details, lambda _: None)


LAMPS = Details(
    merchant_id=1,
    party=Party(name="Łódź Lamps sp. z o.o.", address="ul. Piotrkowska 100\n90-001 Łódź", country="PL", tax_id="PL1"),
)
