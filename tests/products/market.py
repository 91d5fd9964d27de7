"""A market whose merchants buy from the platform, with a clock that can be moved."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

import msgspec

from billing.charges import store as charge_store
from billing.charges.model import Charge
from billing.ledger import store as ledger
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database
from marketplace.flows.products.bill_services import bill_services
from marketplace.flows.products.dun_merchants import dun_merchants
from marketplace.flows.products.run_charges import net_charges, recognise_revenue
from marketplace.flows.products.run_subscriptions import run_subscriptions
from marketplace.flows.products.sell_hardware import expire_quotes
from marketplace.flows.products.subscribe_merchant import OfferPlan, Subscribe, offer_plan, subscribe
from supply.products.model import Means
from supply.products.subscriptions.model import Interval, Per, Plan, Refunds, Subscription
from tests.billing.market import goodwill
from tests.builders import HOUSE, add_market

M = 1
WHO = "test"

YEARLY = OfferPlan(
    code="shop_tool", name="Shop tool", currency="EUR", price_minor=120_000, per=Per.FLAT, every=Interval.YEAR,
    trial_days=0, vat_ppm=200_000, due_days=14, refunds=Refunds.UNUSED, follow_up_day=0, follow_up_uses=0, owner="olga",
)  # fmt: skip
MONTHLY = msgspec.structs.replace(
    YEARLY, code="seats", name="Till", price_minor=3_000, per=Per.SEAT, every=Interval.MONTH
)


def day(clock: FixedClock, on: date, hour: int = 8) -> None:
    """Move the clock to a day."""
    clock.move_to(datetime(on.year, on.month, on.day, hour, tzinfo=UTC))


async def open_market(db: Database, merchants: Sequence[int] = (1, 2)) -> None:
    await db.write(WORKER, WHO, add_market, merchants)


async def earn(db: Database, merchant_id: int, minor: int, on: date, source_id: int = 1) -> None:
    """Give a merchant something payable."""
    await db.write(WORKER, WHO, ledger.post, [goodwill(merchant_id, source_id, on, minor)])


async def offered(db: Database, cmd: OfferPlan = YEARLY, **changes: Any) -> Plan:
    return await db.write(WORKER, WHO, offer_plan, msgspec.structs.replace(cmd, **changes))


async def subscribed(
    db: Database, plan: Plan, merchant_id: int = M, seats: int = 1, pays_by: Means | None = Means.NETTING
) -> Subscription:
    cmd = Subscribe(merchant_id=merchant_id, plan_id=plan.plan_id, seats=seats, pays_by=pays_by)
    return await db.write(WORKER, WHO, subscribe, cmd)


async def tick(db: Database, clock: FixedClock, on: date) -> None:
    """All that a worker does with products on a day."""
    day(clock, on)
    await run_subscriptions(db, WHO)
    await bill_services(db, WHO)
    await expire_quotes(db, WHO)
    await net_charges(db, WHO)
    await dun_merchants(db, WHO)
    await recognise_revenue(db, WHO)


async def books(db: Database, merchant_id: int = M) -> dict[int, int]:
    """A merchant's balances by account, debits positive."""
    async with db.read(WORKER) as tx:
        found = await ledger.balances(tx, merchant_id)
    sums: dict[int, int] = {}
    for balance in found:
        sums[balance.account] = sums.get(balance.account, 0) + balance.balance_minor
    return {account: minor for account, minor in sums.items() if minor}


async def house(db: Database) -> dict[int, int]:
    return await books(db, HOUSE)


async def entries(db: Database, merchant_id: int = M) -> list[tuple[str, str, dict[int, int]]]:
    """What was posted: kind, day and amounts by account, the oldest first."""
    async with db.read(WORKER) as tx:
        found = await ledger.list_entries(tx, merchant_id, limit=200)
    return [
        (entry.kind, str(entry.effective_on), {leg.account: leg.amount_minor for leg in entry.legs})
        for entry in reversed(found)
    ]


async def charges(db: Database, merchant_id: int = M) -> list[Charge]:
    """A merchant's charges, the oldest first."""
    async with db.read(WORKER) as tx:
        found = await charge_store.list_charges(tx, merchant_id=merchant_id, limit=200)
    return found[::-1]


async def ask(db: Database, query: str) -> list[tuple[Any, ...]]:
    async with db.read(WORKER) as tx:
        return [tuple(row) for row in await tx.rows(query)]
