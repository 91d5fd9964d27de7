"""Cash at the door: the merchant collects what the buyer pays, and owes it to the platform from then on.

The merchant's receivable (1100) takes the place of the processor's clearing account; all that follows, from delivery
to settlement and refund, is as for any order. What the merchant holds is set off against what it is owed, see
`net_receivables`.
"""

import msgspec

from billing import postings
from billing.ledger import store as ledger
from billing.ledger.model import NewEntry
from billing.payments.charges import store as charges
from billing.payments.model import CASH
from demand.lifecycle import Move, Party
from demand.model import Moved
from demand.store import lock_order, move_order
from marketplace.core import audit
from marketplace.core.clock import local_date
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict
from marketplace.flows.discounts.commit_discounts import commit_discounts
from marketplace.flows.payers.bear_order import commit_shares, with_others


class CollectCash(msgspec.Struct, frozen=True, kw_only=True):
    """The merchant has the buyer's money for this order, or will have it at the door."""

    merchant_id: int
    order_id: int


async def cash_collected(tx: Tx, cmd: CollectCash) -> Moved:
    """Book what the merchant holds of the buyer's money, and let the order's life go on as a paid one's.

    Raises NotFound, and Conflict for an order that is not waiting for its payment or is not to be paid in cash.
    """
    await ledger.lock_books(tx, cmd.merchant_id)
    order = await lock_order(tx, cmd.merchant_id, cmd.order_id)
    gross = order.goods_minor + order.freight_minor - order.discount_minor
    others = await commit_shares(tx, cmd.merchant_id, cmd.order_id)
    others += (await commit_discounts(tx, [order]))[cmd.order_id]
    gross -= sum(leg.amount_minor for leg in others)
    moved = await move_order(tx, order, Move.PAY, Party.PLATFORM, method=CASH)
    part = await _cash_part(tx, cmd, gross)
    zone = await tx.scalar("SELECT zone FROM billing.entity WHERE entity_id = :entity", entity=order.entity_id)
    entry = NewEntry(
        merchant_id=cmd.merchant_id,
        kind="order_paid",
        source_id=cmd.order_id,
        currency=order.currency,
        occurred_at=tx.now,
        effective_on=local_date(tx.now, zone),
        legs=with_others(postings.cash_collected(gross), others),
    )
    await ledger.post(tx, [entry])
    await charges.capture_part(tx, cmd.merchant_id, cmd.order_id, part)
    await audit.record(tx, "cash collected", f"order:{cmd.merchant_id}/{cmd.order_id}", gross_minor=gross)
    return moved


async def _cash_part(tx: Tx, cmd: CollectCash, gross_minor: int) -> charges.OpenPart:
    """The order's one open part of a payment. Raises Conflict unless it is cash, for all that the order costs."""
    due = await charges.open_parts(tx, cmd.merchant_id, cmd.order_id)
    if [part.method for part in due] != [CASH]:
        raise Conflict(f"order {cmd.order_id} is not to be paid in cash")
    if due[0].amount_minor != gross_minor:
        raise Conflict(
            f"order {cmd.order_id} costs {gross_minor}, of which {due[0].amount_minor} in cash:"
            " only an order that is paid in cash as a whole can be collected"
        )
    return due[0]
