"""Reward a merchant for what it lists: each listing once, when it can be bought first, and no more once it is hidden.

A worker looks at it afterwards, because rewards take the books before anything else of the merchant.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from billing.ledger import store as ledger
from incentives.promotions import store as promotions
from incentives.rules.events import Line
from incentives.rules.index import event_name
from incentives.rules.model import ListingPublished
from marketplace.core import jobs
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.promotions.grant_rewards import COUNTING
from marketplace.flows.promotions.judge_orders import Plans
from marketplace.flows.promotions.reward_events import Happening, reward_event, unreward_event
from supply.model import ListingState

JOB = "reward_listings"
ACTOR = "worker"
_PUBLISHED = event_name(ListingPublished())


class Changed(msgspec.Struct, frozen=True):
    """Listings of a merchant that are new, or were changed."""

    merchant_id: int
    product_ids: list[int]


async def ask_rewards(tx: Tx, merchant_id: int, product_ids: Iterable[int]) -> None:
    """Have a worker look at listings that are new or were changed, where any promotion waits for some."""
    if await promotions.waits_for(tx, _PUBLISHED, COUNTING):
        await jobs.enqueue(tx, JOB, Changed(merchant_id, sorted(product_ids)))


async def reward_listings(db: Database, told: Any) -> None:
    """Bring what each of the listings is rewarded with to how it stands now; done twice it comes to the same.

    told: a `Changed`, as it was asked for.
    """
    plans, changed = Plans(), msgspec.convert(told, Changed)
    for product_id in changed.product_ids:
        await db.write(WORKER, ACTOR, _reward, plans, changed.merchant_id, product_id)


async def _reward(tx: Tx, plans: Plans, merchant_id: int, product_id: int) -> None:
    await ledger.lock_books(tx, merchant_id)
    row = await tx.row(
        """
        SELECT state, currency, price_minor, category, listed_at FROM supply.offer
        WHERE merchant_id = :merchant AND product_id = :product
        """,
        merchant=merchant_id,
        product=product_id,
    )
    event_id = f"listing:{product_id}"
    if row is None or row.listed_at is None:
        return
    if row.state != ListingState.LISTED:
        await unreward_event(tx, plans, merchant_id, event_id)
        return
    line = Line(line_no=1, amount_minor=row.price_minor, product_id=product_id, category=row.category)
    what = Happening(
        merchant_id=merchant_id, name=_PUBLISHED, event_id=event_id, currency=row.currency, at=row.listed_at, line=line
    )  # fmt: skip
    await reward_event(tx, plans, what)
