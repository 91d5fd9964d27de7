"""Events that people are told of: a notice in the console, and a mail to those who want one.

A mail waits as every other does and leaves by whatever sender the settings name (`marketplace.core.people.senders`): a
further way to tell people is one more sender, or one more `Channel` here.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec

from marketplace.core.db import Tx
from marketplace.core.outbox import Event
from marketplace.core.people import notices
from marketplace.core.people.mails import ask_for_mail
from marketplace.core.people.notices import Audience, Notice
from marketplace.flows.people.send_mails import NOTICE


class Rule(msgspec.Struct, frozen=True):
    """Who is told of an event, and the page that shows it, with places for what its payload names.

    The path of a merchant's is behind its own address.
    """

    audience: Audience
    kind: str
    path: str


_M, _O, _F = Audience.MERCHANT, Audience.OPS, Audience.FINANCE
RULES: Mapping[str, Rule] = {
    "billing.payout_confirmed.v1": Rule(_M, "payout_confirmed", "/payouts/{payout_id}"),
    "billing.payout_returned.v1": Rule(_M, "payout_returned", "/payouts/{payout_id}"),
    "billing.bank_account_changed.v1": Rule(_M, "bank_account_changed", "/tasks"),
    "billing.charge_dunned.v1": Rule(_M, "charge_dunned", "/products"),
    "billing.line_dispute_moved.v1": Rule(_M, "line_dispute_moved", "/statements"),
    "supply.agreement_moved.v1": Rule(_M, "agreement_moved", "/products"),
    "supply.hardware_order_moved.v1": Rule(_M, "hardware_order_moved", "/products"),
    "supply.work_order_moved.v1": Rule(_M, "work_order_moved", "/tasks"),
    "supply.merchant_moved.v1": Rule(_M, "merchant_moved", "/tasks"),
    "demand.return_moved.v1": Rule(_M, "return_moved", "/orders/{order_id}"),
    "demand.dispute_changed.v1": Rule(_M, "dispute_changed", "/orders/{order_id}"),
    "billing.bank_file_read.v1": Rule(_F, "bank_file_read", "/finance/files"),
    "billing.breaks_changed.v1": Rule(_F, "breaks_changed", "/finance/breaks"),
    "billing.payer_rejected.v1": Rule(_F, "payer_rejected", "/finance/payers"),
    "billing.run_finalised.v1": Rule(_F, "run_finalised", "/finance/runs/{run_id}"),
    "incentives.promotion_moved.v1": Rule(_O, "promotion_moved", "/ops/promotions/{promotion_id}"),
    "metrics.alert_changed.v1": Rule(_O, "alert_changed", "/ops/steering"),
    "supply.task_raised.v1": Rule(_O, "task_raised", "/ops/tasks"),
}

Channel = Callable[[Tx, Sequence[Notice]], Awaitable[None]]
"""Tells people of notices, inside the transaction that stores them: it may only write to the database."""


async def by_mail(tx: Tx, told: Sequence[Notice]) -> None:
    """Have a mail sent to everybody who wants one."""
    readers = await notices.readers_by_mail(tx, [(one.audience, one.merchant_id) for one in told])
    for one in told:
        for reader in readers:
            if (reader.audience, reader.merchant_id) == (one.audience, one.merchant_id):
                facts = {"notice": one.kind, "path": one.path}
                await ask_for_mail(tx, NOTICE, reader.email, reader.locale, facts=facts)


CHANNELS: tuple[Channel, ...] = (by_mail,)
"""How people are told beside the console."""


async def notify(tx: Tx, events: Sequence[Event]) -> None:
    """Store what people are told of these events, and tell them by every channel. As a `Delivery` of the outbox."""
    told = []
    for event in events:
        rule = RULES.get(event.topic)
        if rule is None or (rule.audience is Audience.MERCHANT and event.merchant_id is None):
            continue
        of_merchant = rule.audience is Audience.MERCHANT
        path = ("/merchant" if of_merchant else "") + rule.path.format_map(event.payload)
        told.append((rule.audience, event.merchant_id if of_merchant else None, rule.kind, path))
    made = await notices.add_notices(tx, list(dict.fromkeys(told)))
    for channel in CHANNELS:
        await channel(tx, made)
