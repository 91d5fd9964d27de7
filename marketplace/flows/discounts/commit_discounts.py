"""What becomes of an order's discounts: they are borne once it is paid, or come to nothing with it.

Locks: the orders, then payers' caps by contract, then the budgets in their order, before any stock.
"""

from collections.abc import Sequence

from billing.ledger.chart import Account
from billing.ledger.model import Leg
from demand.model import Order
from incentives.budgets import store as budgets
from incentives.budgets.reservations import store as reservations
from incentives.discounts import store
from incentives.discounts.codes import store as codes
from incentives.discounts.model import OWN, Discount
from incentives.grants import store as grants
from incentives.grants.model import Grant, GrantState
from incentives.rules.parts import Role
from marketplace.core.db import Tx
from marketplace.flows.discounts.cover_discounts import commit_covers, release_covers

BUYER: Role = "buyer"


async def commit_discounts(tx: Tx, orders: Sequence[Order]) -> dict[int, tuple[Leg, ...]]:
    """Orders of one payment are paid: what their discounts cost is borne. Returns the legs of those who bear it (B), by
    promotion, by order.

    What the merchant bears itself moves nothing: its price is lower by it.
    """
    taken = {each.order_id: await store.set_state(tx, each.merchant_id, each.order_id, "committed") for each in orders}
    every = [one for of in taken.values() for one in of]
    if not every:
        return {each.order_id: () for each in orders}
    await reservations.commit(tx, await budget_ids(tx, every), [one.key for one in every])
    for each in orders:
        await commit_covers(tx, taken[each.order_id], each.entity_id)
    await grants.add_grants(tx, BUYER, [_grant(one) for one in every])
    return {
        order_id: tuple(leg for one in of for leg in funder_legs(one, one.funder_minor))
        for order_id, of in taken.items()
    }


async def release_discounts(tx: Tx, merchant_id: int, order_id: int) -> None:
    """The order came to nothing before it was paid: budgets and the buyer's limits have its discounts again.

    Again: nothing.
    """
    taken = await store.set_state(tx, merchant_id, order_id, "released")
    if not taken:
        return
    await release_covers(tx, taken)
    await codes.give_back(tx, order_id)
    await reservations.release(tx, await budget_ids(tx, taken), [one.key for one in taken])
    windows = [(one.buyer_id, one.promotion_id, one.span) for one in taken]
    await grants.add_granted(
        tx, BUYER, [(window, -one.amount_minor) for window, one in zip(windows, taken, strict=True)]
    )


def _grant(of: Discount) -> Grant:
    """What the buyer has got, now that the order is paid: what comes to nothing before was only promised."""
    return Grant(
        party_id=of.buyer_id,
        promotion_id=of.promotion_id,
        span=of.span,
        grant_no=1,
        grant_id=of.grant_id,
        campaign_id=of.campaign_id,
        version_no=of.version_no,
        event_id=of.span,
        form="discount",
        currency=of.currency,
        amount_minor=of.amount_minor,
        funders=of.funders,
        funder_minor=of.funder_minor,
        line_nos=of.line_nos,
        line_minor=of.line_minor,
        state=GrantState.PAID,
        reservation_key=of.key,
    )


async def budget_ids(tx: Tx, taken: Sequence[Discount]) -> list[int]:
    """The budgets that hold these discounts."""
    kept = await budgets.budgets_under(tx, {one.promotion_id: one.campaign_id for one in taken})
    return sorted({each.budget_id for of in kept.values() for each in of})


def funder_legs(of: Discount, funder_minor: Sequence[int]) -> list[Leg]:
    """What each funder bears of an amount: the platform as the promotion's cost, a payer as what it owes."""
    legs = []
    for name, contract_id, minor in zip(of.funders, of.contracts, funder_minor, strict=True):
        if minor and name != OWN:
            account = Account.PAYER_RECEIVABLE if contract_id else Account.INCENTIVE_COST
            legs.append(Leg(int(account), minor, contract_id or of.promotion_id))
    return legs
