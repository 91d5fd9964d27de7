"""What live promotions take off a cart: each merchant's order is an event of its own, judged one after the other.

The engine decides (`incentives.rules.evaluate`); here is what it must know: the buyer, the merchants, what the buyer
has got already, and what the budgets have left. Whoever places an order leaves the budgets out at first: they are asked
exactly when the order is written, and only one that is short is looked at before.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

import msgspec

from demand.carts.model import PromotionPart, Quote, QuoteLine, take_off
from incentives.budgets import store as budgets
from incentives.budgets.model import Ask, Decision, Slot, decide
from incentives.discounts.model import OWN, own_parts, reservation_key
from incentives.promotions.budgets import ask_for
from incentives.promotions.joins import store as joins
from incentives.rules.evaluate import Effect, Verdict, evaluate
from incentives.rules.events import Event, Facts, Line, Party, Room, Used, Who
from incentives.rules.index import Plan
from incentives.rules.model import funder_name
from incentives.rules.parts import Role
from incentives.rules.qualifying import required
from marketplace.core.clock import local_date
from marketplace.core.db import Tx
from marketplace.flows.discounts.read_live import Live
from marketplace.flows.payers.bear_order import Merchant
from marketplace.flows.payers.fund_promotions import cap_rooms, with_caps


class Shopper(msgspec.Struct, frozen=True, kw_only=True):
    """The buyer as the engine sees it. orders, last_at: of its purchases that came to something. used: by promotion.

    windows: of its promotions in which it has got anything: whoever places sees that there are no more by then. words:
    that it has named, known to everybody; codes: that work once and that it may use, with the words they stand for.
    """

    buyer_id: int
    region: str | None
    since: datetime
    orders: int
    last_at: datetime | None
    used: dict[int, Used]
    windows: int
    words: frozenset[str] = frozenset()
    codes: dict[str, str] = {}


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """A promotion's discount on the order of one merchant. line_minor: of the order's lines that it is for. code: that
    is used up by it."""

    merchant_id: int
    region: str | None
    plan: Plan
    campaign_id: int
    measure: int
    amount_minor: int
    line_nos: tuple[int, ...]
    line_minor: tuple[int, ...]
    funder_minor: tuple[int, ...]
    code: str | None = None

    @property
    def promotion_id(self) -> int:
        return self.plan.promotion_id

    @property
    def funders(self) -> tuple[str, ...]:
        return tuple(funder_name(funder) for funder in self.plan.terms.funding)

    @property
    def own_minor(self) -> list[int]:
        """The merchant's own part of each line."""
        return own_parts(self.funders, self.funder_minor, self.line_minor)

    def ask(self, live: Live, shopper: Shopper, order_id: int, at: datetime) -> Ask:
        """What it asks of the promotion's budgets."""
        key = reservation_key(shopper.buyer_id, self.promotion_id, order_id)
        kept = live.budgets[self.promotion_id]
        return ask_for(key, self.amount_minor, self.plan.terms, kept, at, self.region)


def shopper_of(buyer_id: int, row: Mapping[str, Any], now: datetime, words: Sequence[str] = ()) -> Shopper:
    """From the columns that `BUYER` reads. words: what the buyer has typed in."""
    used = zip(row["used_promotions"] or (), row["used_grants"] or (), row["used_minor"] or (), strict=True)
    return Shopper(
        buyer_id=buyer_id,
        region=row["buyer_region"] or None,
        since=row["buyer_since"] or now,
        orders=row["buyer_orders"],
        last_at=row["buyer_last_at"],
        used={promotion_id: Used(grants=grants, minor=minor) for promotion_id, grants, minor in used},
        windows=row["windows"],
        words=frozenset(words),
        codes=dict(zip(row["codes"] or (), row["unlocks"] or (), strict=True)),
    )


BUYER = """
SELECT e.epoch, b.region AS buyer_region, b.created_at AS buyer_since, past.orders AS buyer_orders,
       past.last_at AS buyer_last_at, used.promotions AS used_promotions, used.grants AS used_grants,
       used.minor AS used_minor, used.windows, coupons.codes, coupons.unlocks{locks}
FROM incentives.live_epoch e
LEFT JOIN demand.buyer b ON b.buyer_id = {buyer}
CROSS JOIN LATERAL (
    SELECT count(DISTINCT o.purchase_id)::int AS orders, max(o.placed_at) AS last_at
    FROM demand.merchant_order o WHERE o.buyer_id = {buyer} AND o.state <> 'cancelled'
) AS past
CROSS JOIN LATERAL (
    SELECT array_agg(u.promotion_id) AS promotions, array_agg(u.grants) AS grants, array_agg(u.minor) AS minor,
           coalesce(sum(u.windows), 0)::int AS windows
    FROM (SELECT promotion_id, count(*) FILTER (WHERE granted_minor > 0)::int AS grants,
                 sum(granted_minor)::bigint AS minor, count(*) AS windows
          FROM incentives.buyer_progress WHERE buyer_id = {buyer} GROUP BY promotion_id) AS u
) AS used
CROSS JOIN LATERAL (
    SELECT array_agg(k.code) AS codes, array_agg(k.unlocks) AS unlocks FROM incentives.promotion_code k
    WHERE k.code = ANY({codes}::text[]) AND k.state = 'issued' AND k.expires_at > {now}
      AND (k.buyer_id IS NULL OR k.buyer_id = {buyer})
) AS coupons"""
"""What a quote must know of a buyer, in one row; none where there has never been a promotion."""


async def rooms_of(tx: Tx, live: Live, merchants: Mapping[int, Merchant], at: datetime) -> dict[Slot, int]:
    """What the budgets of all live discounts have left, and the caps of the payers that bear a part of them."""
    slots = {(each.budget_id, each.period_on(at)) for kept in live.budgets.values() for each in kept}
    days = {local_date(at, merchant.zone) for merchant in merchants.values()}
    return await budgets.rooms(tx, slots) | await cap_rooms(tx, live.contracts, days)


async def joined_of(tx: Tx, live: Live, merchants: Iterable[int], buyer_id: int) -> dict[Who, datetime]:
    """When the merchants and the buyer have joined promotions that ask for it; where none does costs no round trip."""
    joined: dict[Who, datetime] = {}
    parties: tuple[tuple[Role, Iterable[int]], ...] = (("merchant", merchants), ("buyer", [buyer_id]))
    for role, party_ids in parties:
        if live.joined[role]:
            joined |= await joins.joined_at(tx, role, party_ids, live.joined[role])
    return joined


def quote_discounts(
    live: Live,
    quote: Quote,
    shopper: Shopper,
    merchants: Mapping[int, Merchant],
    at: datetime,
    rooms: Mapping[Slot, int] | None = None,
    joined: Mapping[Who, datetime] | None = None,
) -> tuple[Quote, list[Taken]]:
    """The quote with what promotions take off it, and the same by order. rooms: what budgets have left, if it counts.
    joined: `joined_of` these merchants.

    One order after the other: what an earlier one takes of a budget or a limit the later ones do not get.
    """
    left = None if rooms is None else dict(rooms)
    used, codes = dict(shopper.used), dict(shopper.codes)
    parts: dict[int, list[PromotionPart]] = {}
    line_minor: dict[int, list[int]] = {}
    everything: list[Taken] = []
    for order in quote.orders:
        if order.merchant_id not in merchants:
            continue
        lines = [line for line in quote.lines if line.merchant_id == order.merchant_id]
        merchant = merchants[order.merchant_id]
        words = shopper.words.union(codes.values())
        event = _event(quote, order.merchant_id, lines, merchant, shopper, words, at)
        who: dict[Who, Used] = {(promotion_id, "buyer", shopper.buyer_id): of for promotion_id, of in used.items()}
        facts = Facts(used=who, joined_at=joined or {})
        verdicts, judged = _judged(live, event, facts, shopper, at, left, local_date(at, merchant.zone))
        taken = [_with_code(one, codes) for one in judged]
        everything += taken
        line_minor[order.merchant_id] = [0] * len(lines)
        for one in taken:
            was = used.get(one.promotion_id, Used())
            used[one.promotion_id] = Used(grants=was.grants + 1, minor=was.minor + one.amount_minor)
            for number, minor in zip(one.line_nos, one.line_minor, strict=True):
                line_minor[order.merchant_id][number - 1] += minor
        parts[order.merchant_id] = _parts(live, verdicts)
    off = take_off(quote, parts, line_minor)
    if any(order.total_minor == _own_minor(everything, order.merchant_id) for order in off.orders):
        off = msgspec.structs.replace(off, placeable=False)  # its merchant would sell for nothing
    return off, everything


def _own_minor(taken: Sequence[Taken], merchant_id: int) -> int:
    return sum(sum(one.own_minor) for one in taken if one.merchant_id == merchant_id)


def _event(
    quote: Quote,
    merchant_id: int,
    lines: Sequence[QuoteLine],
    merchant: Merchant,
    shopper: Shopper,
    words: frozenset[str],
    at: datetime,
) -> Event:
    """One merchant's order. Freight counts for nothing."""
    return Event(
        event_id=str(merchant_id),
        on="order.placed",
        currency=quote.currency,
        merchant=Party(party_id=merchant_id, region=merchant.region or None, days=(at - merchant.since).days),
        buyer=Party(
            party_id=shopper.buyer_id,
            region=shopper.region,
            orders=shopper.orders,
            days=(at - shopper.since).days,
            idle_days=None if shopper.last_at is None else (at - shopper.last_at).days,
        ),
        entity_id=merchant.entity_id,
        codes=words,
        lines=tuple(
            Line(
                line_no=number,
                amount_minor=line.goods_minor,
                quantity=line.quantity,
                product_id=line.product_id,
                category=line.category,
            )
            for number, line in enumerate(lines, start=1)
        ),
    )


def _with_code(one: Taken, codes: dict[str, str]) -> Taken:
    """With the code that has unlocked it, which no other order can use then."""
    words = required(one.plan.terms.qualify.event).get("order.code", ())
    code = next((code for code, word in sorted(codes.items()) if word in words), None)
    if code is None:
        return one
    del codes[code]
    return msgspec.structs.replace(one, code=code)


def _judged(
    live: Live,
    event: Event,
    facts: Facts,
    shopper: Shopper,
    at: datetime,
    left: dict[Slot, int] | None,
    on: date,
) -> tuple[list[Verdict], list[Taken]]:
    """The verdicts on an order, and what they take off it, no more than budgets and caps give to all of them together.

    One whose budget is short is judged again with what that gives it, until all fit: each time one gets less.
    """
    while True:
        verdicts = evaluate(live.index(at), event, facts, at)
        taken = [_taken(live, event.merchant, verdict, effect) for verdict in verdicts for effect in verdict.effects]
        if left is None:
            return verdicts, taken
        asks = [with_caps(live.contracts, one.plan.terms, one.ask(live, shopper, 0, at), on) for one in taken]
        after = dict(left)
        decisions = decide(asks, after)
        room = next(
            (
                (one.promotion_id, _room(ask, decision, left))
                for one, ask, decision in zip(taken, asks, decisions, strict=True)
                if decision.granted_minor < one.amount_minor
            ),
            None,
        )
        if room is None:
            left.update(after)
            return verdicts, taken
        facts = msgspec.structs.replace(facts, room=dict([*facts.room.items(), room]))


def _room(ask: Ask, decision: Decision, left: Mapping[Slot, int]) -> Room:
    """What a promotion has for an order that its budgets did not give all of."""
    if decision.granted_minor:
        return Room(minor=decision.granted_minor, on_shortfall="partial")
    rest = min(ask.largest_within(draw, left[draw.slot]) for draw in ask.draws)
    return Room(minor=max(0, min(rest, ask.amount_minor - 1)))  # others of this order may have taken the rest


def _taken(live: Live, merchant: Party, verdict: Verdict, effect: Effect) -> Taken:
    assert effect.amount_minor is not None
    return Taken(
        merchant_id=merchant.party_id,
        region=merchant.region,
        plan=live.plans[verdict.promotion_id, verdict.version],
        campaign_id=live.campaigns[verdict.promotion_id],
        measure=effect.measure,
        amount_minor=effect.amount_minor,
        line_nos=effect.lines,
        line_minor=effect.line_minor,
        funder_minor=effect.funder_minor,
    )


def _parts(live: Live, verdicts: Sequence[Verdict]) -> list[PromotionPart]:
    """What the buyer is told of the verdicts; nothing of a promotion that it is held out of."""
    return [
        PromotionPart(
            promotion_id=verdict.promotion_id,
            promotion=live.plans[verdict.promotion_id, verdict.version].terms.name,
            amount_minor=sum(effect.amount_minor or 0 for effect in verdict.effects),
            reason=None if verdict.effects else verdict.reason,
        )
        for verdict in verdicts
        if verdict.outcome != "held_out"
    ]


def own_discounts(taken: Sequence[Taken], merchant_id: int, lines: int) -> list[int]:
    """What the merchant itself takes off each of its order's lines."""
    minor = [0] * lines
    for one in taken:
        if one.merchant_id == merchant_id and OWN in one.funders:
            for number, own in zip(one.line_nos, one.own_minor, strict=True):
                minor[number - 1] += own
    return minor
