"""The clock's part in insertion orders: quotes expire, orders begin, lines are billed for what was delivered.

A line is billed at the end of each month and for the last time when nothing of it can come in any more. Each time it
costs the price of all that was delivered so far, less what it was billed before: more is charged, less is credited.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

from billing.ads.accounts.store import vat_ppm
from billing.ads.lifecycle import AdParty
from billing.ads.model import Pricing
from billing.ads.orders import store
from billing.ads.orders.lifecycle import OrderMove, OrderState
from billing.ads.orders.model import AdOrder, Bill, LineState, OrderLine, billable, next_window
from billing.charges import store as charges
from billing.charges.model import ChargeSource, NewCharge
from billing.charges.store import Books
from marketplace.core import outbox
from marketplace.core.clock import local_date
from marketplace.core.db import Database, Tx
from marketplace.core.each import FIRST, each
from marketplace.flows.ads.rate_ads import HOURS_MAX, rate_merchant
from marketplace.flows.products.charge_products import credit_charge, hold, make_charge

BATCH = 200
_LAST_ZONE = "Etc/GMT+12"
"""Where a day ends last: everywhere else it is over by then."""
_UNITS = {Pricing.CLICK: "clicks", Pricing.THOUSAND: "impressions", Pricing.SLOT: "slots"}


async def deliver_ad_orders(db: Database, actor: str) -> int:
    """Do what the clock has to do with insertion orders by now; returns how much that was.

    Any number of workers may do it, and after an outage it bills every month since.
    """
    return await _expire(db, actor) + await _begin(db, actor) + await _bill_due(db, actor)


def _after(last: Any | None) -> tuple[int, int]:
    return (last.merchant_id, last.order_id) if last is not None else (FIRST, FIRST)


async def _expire(db: Database, actor: str) -> int:
    async def page(tx: Tx, last: Any | None) -> Sequence[Any]:
        return await store.expiring(tx, local_date(tx.now, _LAST_ZONE), _after(last), BATCH)

    async def expire(tx: Tx, row: Any) -> bool:
        await hold(tx, row.merchant_id)
        held = await store.get_order(tx, row.merchant_id, row.order_id, lock=True)
        over = held.valid_until is not None and held.valid_until < local_date(tx.now, _LAST_ZONE)
        if held.state is not OrderState.QUOTED or not over:
            return False
        await store.move_order(tx, held, OrderMove.EXPIRE, AdParty.CLOCK, reason=f"it held until {held.valid_until}")
        return True

    return await each(db, actor, "ad quote not expired", page, expire)


async def _begin(db: Database, actor: str) -> int:
    async def page(tx: Tx, last: Any | None) -> Sequence[Any]:
        return await store.beginning(tx, tx.now, _after(last), BATCH)

    async def begin(tx: Tx, row: Any) -> bool:
        await hold(tx, row.merchant_id)
        held = await store.get_order(tx, row.merchant_id, row.order_id, lock=True)
        if held.state is not OrderState.ORDERED:
            return False
        await store.move_order(tx, held, OrderMove.BEGIN, AdParty.CLOCK)
        return True

    return await each(db, actor, "ad order not begun", page, begin)


async def _bill_due(db: Database, actor: str) -> int:
    async def page(tx: Tx, last: Any | None) -> Sequence[Any]:
        after = (*_after(last), last.line_no if last is not None else 0)
        return await store.due(tx, tx.now, after, BATCH)

    async def bill(tx: Tx, row: Any) -> bool:
        books = await hold(tx, row.merchant_id)
        order = await store.get_order(tx, row.merchant_id, row.order_id, lock=True)
        if order.state is OrderState.ORDERED:  # nobody has looked since it began
            order = await store.move_order(tx, order, OrderMove.BEGIN, AdParty.CLOCK)
        return await _bill_windows(tx, books, order, row.line_no)

    return await each(db, actor, "ad order not billed", page, bill)


async def _bill_windows(tx: Tx, books: Books, order: AdOrder, line_no: int) -> bool:
    """Bill a line for every window that is over, and end it with its last one; False when there is none."""
    billed = False
    while True:
        lines = await store.lines_of(tx, order.merchant_id, order.order_id)
        line = next(each for each in lines if each.line_no == line_no)
        if line.bill_at is None or line.bill_at > tx.now:
            return billed
        window = next_window(line, order.zone)
        line = await bill_line(tx, books, order, line, lines, window.through, window.on)
        billed = True
        if window.last:
            await _end_line(tx, order, line, lines)
        else:
            await store.set_line(tx, line, bill_at=next_window(line, order.zone).bill_at)


async def _end_line(tx: Tx, order: AdOrder, line: OrderLine, lines: Sequence[OrderLine]) -> None:
    """A line is over and wholly billed; with the last of them its order is closed."""
    await store.set_line(tx, line, state=LineState.ENDED, bill_at=None)
    told: dict[str, Any] = {"merchant_id": line.merchant_id, "order_id": line.order_id, "line_no": line.line_no}
    told |= {"quantity": line.quantity, "charged_units": line.charged_units, "charged_minor": line.charged_minor}
    await outbox.emit(tx, "billing.ad_order_line_ended.v1", told, merchant_id=line.merchant_id)
    open_lines = [each for each in lines if each.state is LineState.RUNNING and each.line_no != line.line_no]
    if order.state is OrderState.DELIVERING and not open_lines:
        await store.move_order(tx, order, OrderMove.CLOSE, AdParty.CLOCK)


async def bill_line(
    tx: Tx, books: Books, order: AdOrder, line: OrderLine, lines: list[OrderLine], through: datetime, on: date
) -> OrderLine:
    """Charge what a line has come to by an instant and was not charged before, or credit what it comes to less.

    The merchant's books and the order are held. Clicks are judged first, so that none is billed that is not valid.
    """
    while await rate_merchant(tx, line.merchant_id, through - timedelta(microseconds=1)) == HOURS_MAX:
        pass
    counted = await store.delivered(tx, line, through)
    units = billable(line, counted, lines)
    amount = line.price(units) - line.charged_minor
    if amount:
        bill_no = await store.next_bill_no(tx, line)
        charge_id = None
        if amount > 0:
            new = await _charge(tx, books, order, line, units, amount, bill_no, on)
            charge_id = (await make_charge(tx, new)).charge_id
        else:
            await _credit(tx, line, -amount, on)
        bill = Bill(
            merchant_id=line.merchant_id,
            order_id=line.order_id,
            line_no=line.line_no,
            bill_no=bill_no,
            through_at=through,
            delivered=counted,
            units=units,
            amount_minor=amount,
            charge_id=charge_id,
            at=tx.now,
        )
        await store.add_bill(tx, bill)
    return await store.set_line(
        tx, line, billed_through=through, charged_units=units, charged_minor=line.charged_minor + amount
    )


async def _charge(
    tx: Tx, books: Books, order: AdOrder, line: OrderLine, units: int, amount: int, bill_no: int, on: date
) -> NewCharge:
    assert order.pays_by is not None
    return NewCharge(
        merchant_id=line.merchant_id,
        source=ChargeSource.AD_ORDER,
        source_id=line.order_id,
        part=part_of(line, bill_no),
        description=f"{order.name}, line {line.line_no}: {units} of {line.quantity} {_UNITS[line.pricing]}",
        currency=order.currency,
        net_minor=amount,
        vat_ppm=await vat_ppm(tx, books.entity_id, order.currency, on),
        charged_on=on,
        due_on=max(on, books.today) + timedelta(days=order.due_days),
        pays_by=order.pays_by,
    )


def part_of(line: OrderLine, bill_no: int) -> str:
    """Which part of an order a charge is for: a line, and the how-manieth bill of it."""
    return f"{line.line_no}.{bill_no}"


async def _credit(tx: Tx, line: OrderLine, amount: int, on: date) -> None:
    """Take back what a line was charged too much, the newest charge first."""
    prefix = part_of(line, 0)[:-1]
    for charge in reversed(await charges.of_source(tx, line.merchant_id, ChargeSource.AD_ORDER, line.order_id)):
        net = min(amount, charge.kept_minor) if charge.part.startswith(prefix) else 0
        if net:
            await credit_charge(tx, charge, net, on, "less was delivered than had been counted")
            amount -= net
    assert amount == 0  # what a line was charged is what is kept of its charges


async def bill_anew(tx: Tx, merchant_id: int, campaigns: Sequence[int]) -> None:
    """Bill the lines of these campaigns again up to where they were billed: what was counted then has changed since.

    The merchant's books are held.
    """
    rows = await store.billed_lines(tx, merchant_id, sorted(set(campaigns)))
    if not rows:
        return
    books = await charges.books_of(tx, merchant_id)
    for row in rows:
        order = await store.get_order(tx, merchant_id, row.order_id, lock=True)
        lines = await store.lines_of(tx, merchant_id, row.order_id)
        line = next(each for each in lines if each.line_no == row.line_no)
        assert line.billed_through is not None
        await bill_line(tx, books, order, line, lines, line.billed_through, books.today)
