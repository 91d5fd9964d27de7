"""Reward a merchant for something that is no order: promotions that wait for an event of that name grant for it.

As with settled orders, what an event contributes is replaced, never added: told twice it gives once, and taken back it
contributes nothing, which claws the grant back. The merchant's books are taken here; of several, in the order of ids.
"""

from datetime import datetime

import msgspec

from incentives.grants import store as grants
from incentives.grants.model import Contribution
from incentives.rules import target as rules
from incentives.rules.events import Event, Line, Party
from marketplace.core.db import Tx
from marketplace.flows.promotions.grant_rewards import desk_of
from marketplace.flows.promotions.judge_orders import Plans
from marketplace.flows.promotions.reach_targets import reach_targets
from marketplace.flows.promotions.weigh_windows import Touched

_LINE = Line(line_no=1, amount_minor=1, quantity=1)
"""An event is one piece: a reward of it is a fixed amount."""


class Happening(msgspec.Struct, frozen=True, kw_only=True):
    """Something a merchant is rewarded for: name is the trigger, event_id tells it from every other. line: what it is
    of, as far as that can be said."""

    merchant_id: int
    name: str
    event_id: str
    currency: str
    at: datetime
    line: Line = _LINE


async def reward_event(tx: Tx, plans: Plans, what: Happening) -> list[int]:
    """Grant what live promotions give for it; returns those that have given, or owe until their budget is topped up."""
    desk = await desk_of(tx, plans, what.merchant_id)
    days = (what.at - desk.merchant.since).days
    party = Party(party_id=what.merchant_id, region=desk.merchant.region or None, days=days)
    event = Event(event_id=what.event_id, on=what.name, currency=what.currency, merchant=party, lines=(what.line,))
    before = await grants.contributions_by(tx, desk.role, [(what.merchant_id, what.event_id)])
    known = {one.promotion_id for one in before}
    touched, changed = {}, []
    for verdict in await desk.judged(tx, event, what.at):
        for effect in verdict.effects if verdict.promotion_id not in known else ():
            plan = await desk.plans.get(tx, verdict.promotion_id, verdict.version)
            counts = rules.contribution(plan.terms.measure.of, [what.line], "settled")
            now = Contribution(
                party_id=what.merchant_id, promotion_id=verdict.promotion_id, event_id=what.event_id,
                span=effect.window, version_no=verdict.version, promised=counts.promised, settled=counts.settled,
                line_nos=effect.lines, at=what.at,
            )  # fmt: skip
            changed.append(now)
            touched[now.party_id, now.promotion_id, now.span] = Touched(
                starts=effect.starts, ends=effect.ends, award_minor=effect.amount_minor, at=what.at,
                changes=[(None, now)],
            )  # fmt: skip
    await grants.save_contributions(tx, desk.role, changed)
    await reach_targets(tx, [(desk, touched)])
    counted = await grants.contributions_by(tx, desk.role, [(what.merchant_id, what.event_id)])
    windows = [(one.party_id, one.promotion_id, one.span) for one in counted]
    stands = await grants.progress_of(tx, desk.role, windows)
    return sorted(window[1] for window, now in stands.items() if now.granted_minor or now.pending_minor)


async def unreward_event(tx: Tx, plans: Plans, merchant_id: int, event_id: str) -> bool:
    """Take back what an event was rewarded with, unless the promotion says it is too late; whether there was anything.

    What has not vested is void, what was paid is taken from the payable balance.
    """
    desk = await desk_of(tx, plans, merchant_id)
    touched, changed = {}, []
    for was in await grants.contributions_by(tx, desk.role, [(merchant_id, event_id)]):
        if was.promotion_id not in desk.campaigns or not was.settled:
            continue
        plan = await desk.plans.get(tx, was.promotion_id, was.version_no)
        if rules.is_final(int((tx.now - was.at).total_seconds()), desk.side(plan, None).side.reward):
            continue
        now = msgspec.structs.replace(was, promised=0, settled=0)
        changed.append(now)
        touched[now.party_id, now.promotion_id, now.span] = Touched(
            starts=was.at, ends=None, award_minor=None, at=tx.now, changes=[(was, now)]
        )
    await grants.save_contributions(tx, desk.role, changed)
    await reach_targets(tx, [(desk, touched)])
    return bool(changed)
