"""What a refund takes back of an order's discounts: booked, and undone. What it is says `plan_back`.

It goes back to whoever bears it, and the budgets can give it again: a refund never makes money of a discount.
"""

from collections.abc import Sequence

import msgspec
from sqlalchemy.exc import IntegrityError

from billing.ledger.model import Leg
from demand.model import Order
from incentives.budgets import store as budgets
from incentives.budgets.reservations import store as reservations
from incentives.discounts import store
from incentives.discounts.model import Back, after
from incentives.grants import store as grants
from incentives.grants.model import Grant, GrantState
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict
from marketplace.core.ids import time_ordered_id
from marketplace.flows.discounts.commit_discounts import BUYER, funder_legs
from marketplace.flows.discounts.cover_discounts import take_covers_back, undo_covers_back


def back_legs(backs: Sequence[Back]) -> list[Leg]:
    """What whoever bears the discounts need not bear any more."""
    return [
        msgspec.structs.replace(leg, amount_minor=-leg.amount_minor)
        for back in backs
        for leg in funder_legs(back.discount, back.funder_minor)
    ]


async def refuse_carrying(tx: Tx, order: Order, carried_minor: int) -> None:
    """Raise Conflict where what is taken off a discounted order would pay for something else: the discount was given
    for what was ordered."""
    if carried_minor and await store.discounts_of(tx, order.merchant_id, order.order_id, state="committed"):
        raise Conflict(
            f"a promotion bears a part of order {order.order_id}, for what was ordered: take units off, or add some,"
            " not both at once"
        )


async def take_discounts_back(tx: Tx, refund_id: int, backs: Sequence[Back]) -> None:
    """Book it on the discounts, the buyer's grants and the budgets; the refund's own entry has the money."""
    for back in backs:
        await store.add_back(tx, refund_id, back)
    await take_covers_back(tx, refund_id, backs)
    await _move(tx, refund_id, backs, sign=1)


async def undo_discounts_back(tx: Tx, order: Order, refund_id: int) -> None:
    """The refund is cancelled: its discounts are given again. Raises Conflict when a budget has no room for it."""
    await undo_covers_back(tx, order.merchant_id, refund_id)
    of = {one.grant_id: one for one in await store.discounts_of(tx, order.merchant_id, order.order_id)}
    backs = [
        Back(
            discount=of[row.grant_id],
            borne=dict(zip(row.line_nos, row.borne_minor, strict=True)),
            own=dict(zip(row.line_nos, row.own_minor, strict=True)),
            funder_minor=tuple(row.funder_minor),
        )
        for row in await store.backs_of(tx, order.merchant_id, refund_id)
    ]
    for back in backs:
        await store.add_back(tx, refund_id, back, undone=True)
    try:
        await _move(tx, refund_id, backs, sign=-1)
    except IntegrityError as fault:  # the transaction ends with it
        names = ", ".join(repr(back.discount.name) for back in backs)
        raise Conflict(f"the budget of promotion {names} was given to others since") from fault


async def _move(tx: Tx, refund_id: int, backs: Sequence[Back], *, sign: int) -> None:
    kept = await budgets.budgets_under(tx, {back.discount.promotion_id: back.discount.campaign_id for back in backs})
    recycled: dict[tuple[int, str], int] = {}
    for back in backs:
        of = back.discount
        await store.save_backs(tx, after(of, back, sign))
        window = of.buyer_id, of.promotion_id, of.span
        [progress] = (await grants.progress_of(tx, BUYER, [window])).values()
        await grants.add_grants(tx, BUYER, [_grant(tx, refund_id, back, progress.grants + 1, -sign)])
        await grants.add_granted(tx, BUYER, [(window, -sign * back.minor)], grants=1)
        parts = {each.budget_id: each.concerned(of.funders, back.funder_minor) for each in kept[of.promotion_id]}
        recycled |= {(budget_id, of.key): sign * minor for budget_id, minor in parts.items() if minor}
    await reservations.recycle(tx, recycled)


def _grant(tx: Tx, refund_id: int, back: Back, grant_no: int, sign: int) -> Grant:
    of = back.discount
    by_line = {no: back.borne.get(no, 0) + back.own.get(no, 0) for no in sorted({*back.borne, *back.own})}
    shares = [(name, sign * minor) for name, minor in zip(of.funders, back.funder_minor, strict=True) if minor]
    return Grant(
        party_id=of.buyer_id,
        promotion_id=of.promotion_id,
        span=of.span,
        grant_no=grant_no,
        grant_id=time_ordered_id(tx.now),
        campaign_id=of.campaign_id,
        version_no=of.version_no,
        event_id=f"refund:{refund_id}",
        form="discount",
        currency=of.currency,
        amount_minor=sign * back.minor,
        funders=tuple(name for name, _ in shares),
        funder_minor=tuple(minor for _, minor in shares),
        line_nos=tuple(by_line),
        line_minor=tuple(sign * minor for minor in by_line.values()),
        state=GrantState.PAID,
    )
