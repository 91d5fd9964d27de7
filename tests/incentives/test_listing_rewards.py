"""A merchant is paid for what it lists: once for each listing, not for old ones, and not for what it hides again."""

from datetime import date, timedelta
from typing import Any

import msgspec

from incentives.promotions import store as promotions
from incentives.rules.arms import HOLDOUT
from incentives.rules.awards import Fixed, Reward
from incentives.rules.model import ListingPublished, Measure, PerEvent, Qualify, TotalBudget
from incentives.rules.predicates import Range
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.acquisition.onboard_merchant import move_merchant
from marketplace.flows.orders.list_goods import (
    Goods,
    GoodsChange,
    edit_listing,
    hold_listing,
    list_goods,
    list_goods_in_bulk,
)
from marketplace.flows.promotions.preview_promotion import preview_terms
from marketplace.flows.promotions.reward_listings import JOB, reward_listings
from marketplace.flows.promotions.simulate_promotion import Recorded, simulate_terms
from supply.lifecycle import MerchantMove
from supply.model import Listing, ListingState
from tests.billing.market import MAKER, check_books, prepare
from tests.incentives import market as m

BONUS = m.terms(
    name="new listing",
    trigger=ListingPublished(),
    measure=Measure(of="orders"),
    qualify=Qualify(lines=Range(attribute="line.amount", at_least=1_000)),
    window=PerEvent(),
    reward=Reward(amount=Fixed(amount_minor=300)),
    budgets=(TotalBudget(limit_minor=700, currency="EUR"),),
)
HIDE, SHOW = GoodsChange(state=ListingState.HIDDEN), GoodsChange(state=ListingState.LISTED)


def goods(sku: str, price_minor: int = 2_000, **more: Any) -> Goods:
    return Goods(sku=sku, title=sku, price_minor=price_minor, **more)


async def listed(db: Database, *rows: Goods) -> list[Listing]:
    return [await db.write(WORKER, MAKER, list_goods, 1, each) for each in rows]


async def change(db: Database, of: Listing, what: GoodsChange) -> None:
    async def edit(tx: Tx) -> None:
        await edit_listing(tx, await hold_listing(tx, 1, of.product_id), what)

    await db.write(WORKER, MAKER, edit)


async def work(db: Database) -> None:
    """What the worker does with what is queued."""

    async def take(tx: Tx) -> list[Any]:
        return [
            row.payload
            for row in await tx.rows("DELETE FROM core.job WHERE entrypoint = :job RETURNING payload", job=JOB)
        ]

    for payload in await db.write(WORKER, "test", take):
        await reward_listings(db, msgspec.json.decode(payload))


async def granted(db: Database) -> dict[str, int]:
    async with db.read(WORKER) as tx:
        rows = await tx.rows(
            """
            SELECT o.sku, sum(g.amount_minor)::bigint AS minor FROM incentives.merchant_grant g
            JOIN supply.offer o ON g.event_id = 'listing:' || o.product_id GROUP BY o.sku ORDER BY o.sku
            """
        )
    return {row.sku: row.minor for row in rows}


async def test_each_new_listing_is_paid_for_once_and_taken_back_when_it_is_hidden(
    db: Database, clock: FixedClock
) -> None:
    await db.write(WORKER, MAKER, prepare, [], [1])
    [old] = await listed(db, goods("old"))
    await m.live(db, clock, BONUS)
    new, _, draft = await listed(db, goods("new"), goods("cheap", 500), goods("draft", state=ListingState.HIDDEN))
    for what in (HIDE, SHOW):
        await change(db, old, what)
    await work(db)
    await work(db)
    assert await granted(db) == {"new": 300}
    await change(db, draft, SHOW)
    await work(db)
    assert await granted(db) == {"draft": 300, "new": 300}
    await db.write(WORKER, MAKER, list_goods_in_bulk, 1, [goods("new", 2_500), goods("late")])
    await work(db)
    assert await granted(db) == {"draft": 300, "new": 300}  # the budget has 100 left
    await change(db, new, HIDE)
    await work(db)
    assert await granted(db) == {"draft": 300, "new": 0}
    await change(db, new, SHOW)
    await work(db)
    assert await granted(db) == {"draft": 300, "new": 0}
    await check_books(db)


async def test_nothing_is_paid_for_what_nobody_can_buy_before_its_merchant_is_live(
    db: Database, clock: FixedClock
) -> None:
    await db.write(WORKER, MAKER, prepare, [], [1])
    await m.live(db, clock, BONUS)
    await listed(db, goods("before"))
    await db.write(WORKER, MAKER, move_merchant, 1, MerchantMove.SUSPEND, "forged papers")
    _, draft = await listed(db, goods("new"), goods("draft", state=ListingState.HIDDEN))
    await change(db, draft, SHOW)
    await change(db, draft, HIDE)
    await work(db)
    assert await granted(db) == {"before": 300}
    clock.move_to(clock.now() + timedelta(days=1))
    await db.write(WORKER, MAKER, move_merchant, 1, MerchantMove.REINSTATE, "they were not")
    await work(db)
    assert await granted(db) == {"before": 300, "new": 300}
    async with db.read(WORKER) as tx:
        found = await tx.rows("SELECT sku, listed_at FROM supply.offer ORDER BY product_id")
    since = {row.sku: row.listed_at for row in found}
    assert (since["new"], since["draft"]) == (clock.now(), None)
    await check_books(db)


async def test_where_no_promotion_waits_for_listings_nothing_is_queued(db: Database, clock: FixedClock) -> None:
    await db.write(WORKER, MAKER, prepare, [], [1])
    await m.live(db, clock)
    await listed(db, goods("new"))
    async with db.read(WORKER) as tx:
        assert await tx.scalar("SELECT count(*) FROM core.job WHERE entrypoint = :job", job=JOB) == 0


async def test_a_replay_gives_what_was_given_for_new_listings(db: Database, clock: FixedClock) -> None:
    """The holdout is of orders alone: merchant 13, drawn for it, is paid for its listings."""
    await db.write(WORKER, MAKER, prepare, [], [1, 13])
    await listed(db, goods("old"))
    _, promotion = await m.live(db, clock, msgspec.structs.replace(BONUS, budgets=()))
    hidden, *_ = await listed(db, goods("new"), goods("cheap", 500))
    await db.write(WORKER, MAKER, list_goods, 13, goods("other"))
    clock.move_to(clock.now() + timedelta(days=1))
    await listed(db, goods("later"))
    await change(db, hidden, HIDE)
    await work(db)
    assert await granted(db) == {"later": 300, "other": 300}
    async with db.read(WORKER) as tx:
        terms = (await promotions.get_version(tx, promotion.promotion_id)).terms
    first, last = date(2018, 9, 4), date(2018, 9, 30)
    made = await simulate_terms(db, terms, Recorded(from_on=first, to_on=last, holdout=HOLDOUT))
    assert (made.limited.granted_minor, made.limited.events, made.limited.breaches) == (600, 3, ())
    shown = await preview_terms(db, terms, (first, last))
    assert shown is not None
    assert (shown.cost_minor, shown.events, shown.listings) == (600, 4, True)
    assert {each.party_id: each.granted_minor for each in shown.top} == {1: 300, 13: 300}
    clock.move_to(clock.now() + timedelta(hours=1))
    glance = await preview_terms(db, terms)
    assert glance is not None
    assert glance.to_on == date(2018, 9, 5)
