"""What the clock does with charges: set them off, and recognise month by month what they have earned.

Both may be done at any time, by several workers at once, and after an outage for all the months since: a merchant's
books are held for each, and what is done already leaves nothing to do.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from billing.charges import store
from billing.runs.model import Run
from marketplace.core.db import Database, Tx
from marketplace.core.each import FIRST, each
from marketplace.core.months import first_of_month
from marketplace.flows.products.charge_products import hold, net_merchant, recognise

BATCH = 500


async def settle_charges(tx: Tx, run: Run, merchants: Sequence[int]) -> None:
    """Before a run's statements: set off the charges of these merchants by the end of its period (or today).

    A merchant that owes nothing is not even held. Heads are held in the order of their ids.
    """
    for merchant_id in await store.netting_among(tx, sorted(merchants)):
        books = await hold(tx, merchant_id)
        await net_merchant(tx, merchant_id, min(run.period.last_on, books.today))


async def net_charges(db: Database, actor: str) -> int:
    """Set off what merchants owe for products against what they have earned; returns how many merchants it touched."""

    async def page(tx: Tx, last: Any | None) -> Sequence[Any]:
        return await store.merchants_owing(tx, last.merchant_id if last is not None else FIRST, BATCH)

    async def net(tx: Tx, row: Any) -> bool:
        books = await hold(tx, row.merchant_id)
        return await net_merchant(tx, row.merchant_id, books.today) > 0

    return await each(db, actor, "charges not netted", page, net)


async def recognise_revenue(db: Database, actor: str) -> int:
    """Recognise what the months that are over have earned; returns how many merchants had anything to recognise."""

    async def page(tx: Tx, last: Any | None) -> Sequence[Any]:
        return await store.merchants_waiting(tx, last.merchant_id if last is not None else FIRST, BATCH)

    async def one(tx: Tx, row: Any) -> bool:
        return await recognise_merchant(tx, row.merchant_id) > 0

    return await each(db, actor, "revenue not recognised", page, one)


async def recognise_merchant(tx: Tx, merchant_id: int) -> int:
    """Recognise a merchant's charges through the last month that is over; returns how much that was."""
    books = await hold(tx, merchant_id)
    through = first_of_month(books.today) - timedelta(days=1)
    amount = 0
    for charge in await store.waiting_charges(tx, merchant_id):
        after = await recognise(tx, charge, through)
        amount += after.recognised_minor - charge.recognised_minor
    return amount
