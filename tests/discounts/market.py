"""A market with live promotions for buyers: quoted, placed, paid, settled and refunded for real."""

from datetime import timedelta
from typing import Any

import msgspec

from billing.ledger.chart import Account
from billing.payments.facts import PaymentFact, PaymentState, payment_reference
from demand.carts.model import Cart, CartLine, Quote
from demand.store import queue_delivered
from incentives.campaigns.model import FunderPart
from incentives.lifecycle import Move
from incentives.promotions.model import Promotion
from incentives.rules.awards import Band, Discount, Graduated, Reward, ToBuyer
from incentives.rules.model import ByPlatform, Funder, OrderPlaced, PerEvent, Terms, TotalBudget, merchants_pay
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.commission.apply_contracts import apply_versions
from marketplace.flows.commission.settle_orders import settle_through
from marketplace.flows.orders.quote_cart import quote_cart
from marketplace.flows.orders.read_placed import Placed
from marketplace.flows.payments.take_payment import payment_changed
from marketplace.flows.promotions.join_promotion import join_promotion
from marketplace.flows.refunds.refund_order import Refunded, RefundLine, RefundOrder, refund_order
from tests.incentives.market import PLAN, SCHEDULE, at, drafted, drafted_campaign, move, move_campaign, people
from tests.payers.market import OPEN_TERMS
from tests.placing.market import ALPHA, BETA, CUP, LAMP, TEA, line, new_cart, place
from tests.placing.market import prepare as prepare_shop

RICH = msgspec.structs.replace(
    PLAN,
    budget_minor=10_000_000,
    funders=(
        FunderPart(funder="platform", amount_minor=6_000_000),
        FunderPart(funder="merchant", amount_minor=4_000_000),
    ),
)


def percent(rate_ppm: int) -> Reward:
    return Reward(amount=Graduated(bands=(Band(from_minor=0, rate_ppm=rate_ppm),)), form=Discount())


def off(rate_ppm: int = 125_000, *funding: Funder, limit_minor: int = 100_000, **changes: Any) -> Terms:
    """So much off every order: 12.5 % of 120.00 are the 15.00 of posting B. Merchants that bear a part join it."""
    given: dict[str, Any] = {
        "name": "autumn sale",
        "currency": "EUR",
        "trigger": OrderPlaced(),
        "window": PerEvent(),
        "reward": percent(rate_ppm),
        "beneficiary": ToBuyer(),
        "funding": funding or (ByPlatform(),),
        "budgets": (TotalBudget(limit_minor=limit_minor, currency="EUR"),),
        "schedule": SCHEDULE,
    }
    terms = Terms(**{**given, **changes})
    if merchants_pay(terms) and terms.qualify.opt_in == "not_needed":
        terms = msgspec.structs.replace(terms, qualify=msgspec.structs.replace(terms.qualify, opt_in="from_opt_in"))
    return terms


async def _tea_at_120(tx: Tx) -> None:
    await apply_versions(tx, [OPEN_TERMS])
    await tx.execute(
        "UPDATE supply.offer SET price_minor = 12000, freight_minor = 0, category = 'care', counted = false"
        " WHERE product_id = :tea",
        {"tea": TEA},
    )
    await tx.execute("DELETE FROM supply.stock WHERE product_id = :tea", {"tea": TEA})
    await tx.execute("INSERT INTO supply.product (product_id, product_ref) VALUES (:cup, 'cup')", {"cup": CUP})


async def market(
    db: Database, clock: FixedClock, *wanted: Terms, on_pause: Any = "honour", joined: bool = True
) -> list[Promotion]:
    """Tea at 120.00 and cups at 7.99, and these promotions, live at noon of the day after NOW and joined by ALPHA."""
    await prepare_shop(db)
    await db.write(WORKER, "test", _tea_at_120)
    await people(db)
    campaign = await move_campaign(db, await drafted_campaign(db, RICH), Move.SUBMIT, Move.APPROVE, Move.SCHEDULE)
    made = [
        await move(db, await drafted(db, campaign, terms, on_pause), Move.SUBMIT, Move.APPROVE, Move.SCHEDULE)
        for terms in wanted
    ]
    await at(db, clock, "2018-09-04T12:00:00+00:00")
    for promotion, terms in zip(made, wanted, strict=True):
        if joined and terms.qualify.opt_in != "not_needed":
            await db.write(WORKER, "test", join_promotion, ALPHA, promotion.promotion_id)
    return made


async def cart(db: Database, tea: int = 1, cups: int = 0, *, lamps: int = 0) -> Cart:
    """Tea and cups are sold by ALPHA, lamps by BETA."""
    lines: list[CartLine] = []
    if tea:
        lines.append(line(ALPHA, TEA, tea))
    if cups:
        lines.append(line(ALPHA, CUP, cups))
    if lamps:
        lines.append(line(BETA, LAMP, lamps))
    return await new_cart(db, *lines)


async def quoted(db: Database, of: Cart) -> Quote:
    async with db.read(WORKER) as tx:
        return await quote_cart(tx, of)


async def bought(db: Database, key: str = "k1", *, tea: int = 1, cups: int = 0, credit_minor: int = 0) -> Placed:
    return await place(db, await cart(db, tea, cups), key, credit_minor=credit_minor)


async def pay(db: Database, placed: Placed) -> None:
    """The processor says that the buyer's part is captured."""
    fact = PaymentFact(
        reference=payment_reference(placed.buyer_id, placed.payment_id),
        state=PaymentState.CAPTURED,
        amount_minor=placed.pay_minor,
        currency="EUR",
        processor_ref="pay_1",
        occurred_at=db.clock.now(),
        failure=None,
    )
    await db.write(WORKER, "processor", payment_changed, 2, fact)


async def _deliver(tx: Tx, merchant_id: int, order_id: int) -> None:
    await tx.execute(
        "UPDATE demand.merchant_order SET state = 'delivered', delivered_at = :at, delivered_on = :day"
        " WHERE order_id = :order",
        {"at": tx.now + timedelta(hours=1), "day": tx.now.date(), "order": order_id},
    )
    await tx.execute(
        "UPDATE demand.order_line SET shipped_quantity = quantity, delivered_quantity = quantity"
        " WHERE order_id = :order",
        {"order": order_id},
    )
    await queue_delivered(tx, [merchant_id], after_order_id=order_id - 1, upto_order_id=order_id)


async def settle(db: Database, placed: Placed) -> None:
    for order in placed.orders:
        await db.write(WORKER, "test", _deliver, order.merchant_id, order.order_id)
    await settle_through(db, "test", db.clock.now().date() + timedelta(days=1))


async def sold(db: Database, key: str = "k1", *, settled: bool = True, tea: int = 1, cups: int = 0) -> Placed:
    """Placed, paid, and settled."""
    placed = await bought(db, key, tea=tea, cups=cups)
    if placed.pay_minor:
        await pay(db, placed)
    if settled:
        await settle(db, placed)
    return placed


async def refund(
    db: Database, placed: Placed, minor: int | None = None, reason: str = "damaged", no: int = 1
) -> Refunded:
    """So much of a line, or everything."""
    lines = None if minor is None else (RefundLine(no, minor),)
    order_id = placed.orders[0].order_id
    cmd = RefundOrder(merchant_id=ALPHA, order_id=order_id, reason=reason, lines=lines)
    return await db.write(WORKER, "test", refund_order, cmd)


class Stand(msgspec.Struct, frozen=True):
    """What a promotion has reserved and spent of its own budget, has granted, and has cost by the ledger."""

    reserved: int
    spent: int
    granted: int
    cost: int


async def stands(db: Database, of: Promotion) -> Stand:
    async with db.read(WORKER) as tx:
        row = await tx.row(
            """
            SELECT (SELECT coalesce(sum(s.reserved_minor), 0)::bigint FROM incentives.budget_shard s
                    JOIN incentives.budget b ON b.budget_id = s.budget_id WHERE b.owner_id = :promotion) AS reserved,
                   (SELECT coalesce(sum(s.spent_minor), 0)::bigint FROM incentives.budget_shard s
                    JOIN incentives.budget b ON b.budget_id = s.budget_id WHERE b.owner_id = :promotion) AS spent,
                   (SELECT coalesce(sum(amount_minor), 0)::bigint FROM incentives.buyer_grant
                    WHERE promotion_id = :promotion AND state = 'paid') AS granted,
                   (SELECT coalesce(sum(leg.amount), 0)::bigint
                    FROM billing.entry e,
                         unnest(e.accounts, e.dimensions, e.amounts) AS leg (account, dimension, amount)
                    WHERE leg.account = :cost AND leg.dimension = :promotion) AS cost
            """,
            promotion=of.promotion_id,
            cost=int(Account.INCENTIVE_COST),
        )
    assert row is not None
    return Stand(*row)
