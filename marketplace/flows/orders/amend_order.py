"""Amend a paid order before it is delivered: one side proposes a priced change set, the other accepts or declines.

    proposed -> applied, or awaiting_payment -> applied; declined, cancelled, expired

Preview, proposal and acceptance price the same changes against the order's version that the caller has seen; what is
confirmed is exactly what was shown. An accepted change set that costs more waits until the difference is captured.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from billing.ledger import store as ledger
from demand.amendments import store
from demand.amendments.model import (
    OPEN,
    Amendment,
    AmendmentState,
    Changes,
    check_may_cancel,
    check_may_decide,
)
from demand.lifecycle import Party
from demand.model import Order
from demand.store import lock_order
from marketplace.core import policies
from marketplace.core.db import Database, Tx
from marketplace.core.each import FIRST, each
from marketplace.core.errors import Conflict
from marketplace.core.ids import time_ordered_id
from marketplace.flows.discounts.unwind_discounts import refuse_carrying
from marketplace.flows.orders.apply_amendment import apply_amendment, units_added, units_taken_off
from marketplace.flows.orders.pay_amendment import charge, check_method, give_up_payment
from marketplace.flows.orders.price_amendment import (
    By,
    check_amendable,
    check_buyer,
    check_version,
    note,
    price,
    price_again,
    show,
)
from marketplace.flows.payers.bear_order import refuse_shared
from supply.stock import store as stock

LAPSES_AFTER = timedelta(hours=48)
"""How long a proposal waits to be decided."""
BATCH = 200


class ProposeAmendment(msgspec.Struct, frozen=True, kw_only=True):
    """base_version: the order's version that the preview showed. method: how the buyer would pay more."""

    merchant_id: int
    order_id: int
    by: By
    base_version: int
    changes: Changes
    reason: str
    method: str = ""


class DecideAmendment(msgspec.Struct, frozen=True, kw_only=True):
    """base_version: the order's version that the caller has seen, needed to accept. reason: for declining."""

    merchant_id: int
    order_id: int
    amendment_id: int
    by: By
    base_version: int = 0
    method: str = ""
    reason: str = ""


async def propose_amendment(tx: Tx, cmd: ProposeAmendment) -> Amendment:
    """Store a proposal with its prices. Raises NotFound, Invalid, and Conflict: with the new `preview` when the order
    has moved on from base_version, or when the order is past amending or has an open amendment.
    """
    check_method(cmd.method)
    order = await lock_order(tx, cmd.merchant_id, cmd.order_id)
    check_amendable(order, cmd.by)
    await refuse_shared(tx, cmd.merchant_id, cmd.order_id, "amended")
    await store.check_none_open(tx, cmd.merchant_id, cmd.order_id)
    change_set = await price(tx, order, cmd.changes)
    await refuse_carrying(tx, order, change_set.priced.carried_minor)
    await check_version(tx, order, cmd.base_version, change_set)
    proposed = Amendment(
        merchant_id=cmd.merchant_id,
        amendment_id=time_ordered_id(tx.now),
        order_id=cmd.order_id,
        state=AmendmentState.PROPOSED,
        base_version=order.version,
        changes=change_set,
        delta_minor=change_set.priced.delta_minor,
        carried_goods_minor=0,
        carried_freight_minor=0,
        party=cmd.by.party,
        proposed_by=tx.actor,
        proposed_at=tx.now,
        reason=cmd.reason,
        method=cmd.method,
        decided_party=None,
        decided_by=None,
        decided_at=None,
        outcome="",
        expires_at=tx.now + LAPSES_AFTER,
        payment_id=None,
        refund_id=None,
    )
    await store.insert_amendment(tx, proposed)
    await note(tx, "amendment proposed", proposed, cmd.by)
    return proposed


async def accept_amendment(tx: Tx, cmd: DecideAmendment) -> Amendment:
    """Accept a proposal: it is applied at once, or as soon as the buyer's payment of the difference is captured.

    Raises NotFound, Forbidden for the side that proposed it, and Conflict: when it is not open any more, when the
    order has moved on (with the new `preview`; accepting with the new version holds only if it comes to the same),
    when an added listing is out of stock. Invalid for a method that cannot be charged.
    """
    check_method(cmd.method)
    await ledger.lock_books(tx, cmd.merchant_id)
    order, held = await _hold(tx, cmd, AmendmentState.PROPOSED)
    check_may_decide(cmd.by.party, held.party)
    single = cmd.by.party is held.party and await policies.check_second_person(
        tx, held.proposed_by, f"amendment {held.amendment_id}"
    )
    if held.expires_at <= tx.now:
        raise Conflict(f"amendment {held.amendment_id} has lapsed; propose it anew")
    check_amendable(order, cmd.by)
    change_set = await price_again(tx, order, held)
    await check_version(tx, order, cmd.base_version, change_set)
    if change_set.priced != held.changes.priced:
        raise Conflict(
            f"the order has changed since: the amendment comes to {change_set.priced.delta_minor} now, not to"
            f" {held.delta_minor}; propose it anew",
            version=order.version,
            preview=await show(tx, order, change_set),
        )
    decided = await _decide(tx, held, AmendmentState.PROPOSED, cmd)
    if held.delta_minor > 0:
        accepted = await charge(tx, order, decided, cmd.method or held.method)
        await stock.exchange(tx, units_added(cmd.merchant_id, change_set.priced))
    else:
        accepted = await apply_amendment(tx, order, decided, cmd.by.party)
        priced = change_set.priced
        await stock.exchange(tx, units_added(cmd.merchant_id, priced), units_taken_off(cmd.merchant_id, priced))
    await note(tx, "amendment accepted", accepted, cmd.by, single_operator=single)
    return accepted


async def decline_amendment(tx: Tx, cmd: DecideAmendment) -> Amendment:
    """Turn a proposal down. Raises NotFound, Forbidden for the side that proposed it, Conflict when it is not open."""
    _, held = await _hold(tx, cmd, AmendmentState.PROPOSED)
    check_may_decide(cmd.by.party, held.party)
    declined = await _decide(tx, held, AmendmentState.DECLINED, cmd)
    await note(tx, "amendment declined", declined, cmd.by)
    return declined


async def cancel_amendment(tx: Tx, cmd: DecideAmendment) -> Amendment:
    """Take an open amendment back, also while it waits for its payment. Raises NotFound, Forbidden, Conflict."""
    _, held = await _hold(tx, cmd, *OPEN)
    check_may_cancel(cmd.by.party, held.party, held.state)
    cancelled = await _decide(tx, held, AmendmentState.CANCELLED, cmd)
    if held.state is AmendmentState.AWAITING_PAYMENT:
        await give_up_payment(tx, held)
    await note(tx, "amendment cancelled", cancelled, cmd.by)
    return cancelled


async def expire_amendments(db: Database, actor: str, upto: datetime) -> int:
    """Let open amendments lapse whose time is over, each in its own transaction; returns how many. For the clock."""

    async def overdue(tx: Tx, last: Any | None) -> Sequence[Any]:
        after = (FIRST, FIRST) if last is None else (last.merchant_id, last.amendment_id)
        return await store.overdue(tx, upto, after, BATCH)

    async def expire(tx: Tx, row: Any) -> bool:
        return await _expire(tx, row, upto)

    return await each(db, actor, "amendment not expired", overdue, expire)


async def _expire(tx: Tx, row: Any, upto: datetime) -> bool:
    await lock_order(tx, row.merchant_id, row.order_id)
    held = await store.get_amendment(tx, row.merchant_id, row.order_id, row.amendment_id, lock=True)
    if held.state not in OPEN or held.expires_at > upto:
        return False
    unpaid = held.state is AmendmentState.AWAITING_PAYMENT
    outcome = "not paid in time" if unpaid else "not decided in time"
    lapsed = await store.move_amendment(tx, held, AmendmentState.EXPIRED, outcome=outcome)
    if unpaid:
        await give_up_payment(tx, held)
    await note(tx, "amendment expired", lapsed, By(party=Party.CLOCK))
    return True


async def _hold(tx: Tx, cmd: DecideAmendment, *states: AmendmentState) -> tuple[Order, Amendment]:
    """Order and amendment, locked in that order; Conflict unless the amendment is in one of these states."""
    order = await lock_order(tx, cmd.merchant_id, cmd.order_id)
    check_buyer(order, cmd.by)
    held = await store.get_amendment(tx, cmd.merchant_id, cmd.order_id, cmd.amendment_id, lock=True)
    if held.state not in states:
        raise Conflict(f"state: amendment {held.amendment_id} is {held.state}", state=held.state.value)
    return order, held


async def _decide(tx: Tx, held: Amendment, state: AmendmentState, cmd: DecideAmendment) -> Amendment:
    return await store.move_amendment(
        tx, held, state, decided_party=cmd.by.party, decided_by=tx.actor, decided_at=tx.now, outcome=cmd.reason
    )
