"""Events that are no orders and that somebody reports: promotions that wait for one of their name reward the merchant.

What promotions wait for that is decided here, orders, listings and what the referral programmes are paid by, nobody
reports by hand.
"""

from datetime import datetime

import msgspec

from incentives.grants import store as grants
from incentives.rules.check import RESERVED
from incentives.rules.events import Line
from marketplace.core import audit
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, Invalid, NotFound
from marketplace.flows.promotions.judge_orders import Plans
from marketplace.flows.promotions.reward_events import Happening, reward_event, unreward_event
from supply.model import MerchantState
from supply.store import get_merchant

REFERRAL = "referral."
"""What the names of events begin with that referral programmes reward."""


class TellEvent(msgspec.Struct, frozen=True, kw_only=True):
    """event_id: the reporter's own, by which it is known when it is told again. at: None is now.

    amount_minor, quantity: what promotions measure of it.
    """

    merchant_id: int
    name: str
    event_id: str
    currency: str
    at: datetime | None = None
    amount_minor: int = 1
    quantity: int = 1


class ReportedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """promotions: those that give something for it, or owe it until their budget is topped up."""

    merchant_id: int
    event_id: str
    name: str
    at: datetime
    promotions: list[int]


class TakenBack(msgspec.Struct, frozen=True, kw_only=True):
    """An event that counts for nothing any more."""

    merchant_id: int
    event_id: str


async def tell_event(tx: Tx, cmd: TellEvent) -> ReportedEvent:
    """Reward a merchant for an event; told again it gives no more.

    Raises NotFound, Conflict for a merchant that is not live, Invalid for what nobody tells.
    """
    merchant = await get_merchant(tx, cmd.merchant_id)
    if merchant.state is not MerchantState.LIVE:
        raise Conflict(f"state: the merchant is {merchant.state}, only a live one is rewarded")
    at = cmd.at or tx.now
    if at > tx.now:
        raise Invalid("at: has not happened yet", pointer="/at")
    if cmd.name in RESERVED or cmd.name.startswith(REFERRAL):
        raise Invalid(f"name: {cmd.name!r} is noted by the platform itself", pointer="/name")
    what = Happening(
        merchant_id=cmd.merchant_id,
        name=cmd.name,
        event_id=_id(cmd.event_id),
        currency=cmd.currency,
        at=at,
        line=Line(line_no=1, amount_minor=cmd.amount_minor, quantity=cmd.quantity),
    )
    rewarded = await reward_event(tx, Plans(), what)
    await audit.record(tx, "event told", f"merchant:{cmd.merchant_id}", event=cmd, promotions=rewarded)
    return ReportedEvent(merchant_id=cmd.merchant_id, event_id=cmd.event_id, name=cmd.name, at=at, promotions=rewarded)


async def untell_event(tx: Tx, merchant_id: int, event_id: str) -> TakenBack:
    """Take an event back, with what it was rewarded with; taken back before it stays so. Raises NotFound."""
    await get_merchant(tx, merchant_id)
    await unreward_event(tx, Plans(), merchant_id, _id(event_id))
    if not await grants.contributions_by(tx, "merchant", [(merchant_id, _id(event_id))]):
        raise NotFound(f"event_id: no promotion counts an event {event_id!r} of merchant {merchant_id}")
    await audit.record(tx, "event taken back", f"merchant:{merchant_id}", event_id=event_id)
    return TakenBack(merchant_id=merchant_id, event_id=event_id)


def _id(event_id: str) -> str:
    """As windows call it: apart from orders and listings."""
    return f"told:{event_id}"
