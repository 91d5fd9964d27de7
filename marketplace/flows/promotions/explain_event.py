"""What promotions would say to an event, and why, at any instant: those that are live, and others whatever their state.

It is the evaluator that is live, over what is known of the parties now; nothing is stored, promised or granted.
"""

from collections.abc import Iterable
from datetime import datetime

import msgspec

from incentives.budgets import store as budgets
from incentives.budgets.model import Control
from incentives.experiments.store import get_holdout
from incentives.grants import store as grants
from incentives.lifecycle import State
from incentives.promotions import store as promotions
from incentives.promotions.budgets import ask_for
from incentives.promotions.joins import store as joins
from incentives.promotions.model import Promotion, as_it_ends
from incentives.rules.evaluate import Outcome, Verdict, evaluate
from incentives.rules.events import Event, Facts, Line, Party, Room, Used, Who
from incentives.rules.index import Index, Plan, plan_of
from incentives.rules.parts import Role
from marketplace.core.db import Tx
from marketplace.core.errors import NotFound
from marketplace.core.money import AMOUNT_MAX
from marketplace.flows.promotions.self_trades import own_people, self_trades


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """An event that may have happened: on, its trigger's name. promotion_ids: judged besides, by their newest versions.
    at: None is now."""

    on: str
    merchant_id: int
    buyer_id: int | None
    currency: str
    lines: tuple[Line, ...]
    codes: frozenset[str] = frozenset()
    at: datetime | None = None
    promotion_ids: tuple[int, ...] = ()


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """What one side would get: amount_minor by this event alone, None where its window is longer; measure: what it adds
    to that. line_minor, funder_minor: over the lines, and over the funders of the terms."""

    role: Role
    party_id: int
    window: str
    starts: datetime
    ends: datetime | None
    measure: int
    amount_minor: int | None
    line_minor: tuple[int, ...]
    funder_minor: tuple[int, ...]


class Explained(msgspec.Struct, frozen=True, kw_only=True):
    """A promotion's verdict. part: of its terms, because of which it gives nothing; reason: in words."""

    promotion_id: int
    name: str
    state: State
    version_no: int
    outcome: Outcome
    part: str | None
    reason: str
    arm: str
    measure: int
    worth_minor: int
    gives: tuple[Given, ...]


async def explain_event(tx: Tx, trial: Trial) -> list[Explained]:
    """The verdicts, by promotion. Raises NotFound for a merchant, a buyer or a promotion that there is not."""
    at = trial.at or tx.now
    known = {each: await promotions.get_promotion(tx, each) for each in dict.fromkeys(trial.promotion_ids)}
    live = await promotions.in_force(tx, at, states=[State.LIVE])
    for one in live:
        if one.promotion_id not in known:
            known[one.promotion_id] = await promotions.get_promotion(tx, one.promotion_id)
    index = Index(plan_of(one.promotion_id, one.version_no, as_it_ends(one.terms, one.ends_at)) for one in live)
    include = [await _newest(tx, each) for each in dict.fromkeys(trial.promotion_ids)]
    event = await _event(tx, trial, at)
    facts = Facts(
        joined_at=await _joined(tx, event, known), used=await _used(tx, event, known), holdout=await get_holdout(tx)
    )
    plans = {plan.promotion_id: plan for plan in (*index.matching(event).values(), *include)}
    verdicts = evaluate(index, event, facts, at, include)
    rooms = await _rooms(tx, verdicts, plans, known, event, at)
    if rooms:
        verdicts = evaluate(index, event, msgspec.structs.replace(facts, room=rooms), at, include)
    return [_explained(verdict, known[verdict.promotion_id]) for verdict in verdicts]


async def _newest(tx: Tx, promotion_id: int) -> Plan:
    version = await promotions.get_version(tx, promotion_id)
    return plan_of(promotion_id, version.version_no, version.terms)


_PAST = """
SELECT count(*)::int AS orders, max({happens}) AS last_at FROM demand.merchant_order
WHERE {party}_id = :id AND {happens} < :at
"""


_MERCHANT = """
SELECT region, entity_id, coalesce(joined_on::timestamptz, created_at) AS since FROM supply.merchant
WHERE merchant_id = :merchant
"""


async def _event(tx: Tx, trial: Trial, at: datetime) -> Event:
    merchant = await tx.row(_MERCHANT, merchant=trial.merchant_id)
    if merchant is None:
        raise NotFound(f"there is no merchant {trial.merchant_id}")
    own: set[tuple[int, int]] = set()
    buyer = None
    if trial.buyer_id is not None:
        row = await tx.row("SELECT region, created_at FROM demand.buyer WHERE buyer_id = :id", id=trial.buyer_id)
        if row is None:
            raise NotFound(f"there is no buyer {trial.buyer_id}")
        days = (at - row.created_at).days
        buyer = await _party(tx, trial, "buyer", trial.buyer_id, row.region, days, at)
        own = await self_trades(tx, await own_people(tx, [trial.merchant_id]), [trial.buyer_id])
    return Event(
        event_id="trial",
        on=trial.on,
        currency=trial.currency,
        merchant=await _party(
            tx, trial, "merchant", trial.merchant_id, merchant.region, (at - merchant.since).days, at
        ),
        buyer=buyer,
        entity_id=merchant.entity_id,
        lines=trial.lines,
        codes=trial.codes,
        self_trade=bool(own),
    )


async def _party(tx: Tx, trial: Trial, role: Role, party_id: int, region: str | None, days: int, at: datetime) -> Party:
    happens = "delivered_at" if trial.on == "order.settled" else "placed_at"
    past = await tx.row(_PAST.format(party=role, happens=happens), id=party_id, at=at)
    assert past is not None
    idle_days = None if past.last_at is None else (at - past.last_at).days
    return Party(party_id=party_id, region=region or None, orders=past.orders, days=days, idle_days=idle_days)


def _parties(event: Event) -> list[tuple[Role, int]]:
    found: list[tuple[Role, int]] = [("merchant", event.merchant.party_id)]
    return found if event.buyer is None else [*found, ("buyer", event.buyer.party_id)]


async def _joined(tx: Tx, event: Event, promotion_ids: Iterable[int]) -> dict[Who, datetime]:
    joined: dict[Who, datetime] = {}
    for role, party_id in _parties(event):
        joined |= await joins.joined_at(tx, role, [party_id], promotion_ids)
    return joined


async def _used(tx: Tx, event: Event, promotion_ids: Iterable[int]) -> dict[Who, Used]:
    used: dict[Who, Used] = {}
    for role, party_id in _parties(event):
        found = await grants.used(tx, role, [(party_id, promotion_id, "") for promotion_id in promotion_ids])
        used |= {(promotion_id, role, party_id): of for (_, promotion_id), of in found.items()}
    return used


async def _rooms(
    tx: Tx,
    verdicts: Iterable[Verdict],
    plans: dict[int, Plan],
    known: dict[int, Promotion],
    event: Event,
    at: datetime,
) -> dict[int, Room]:
    """What the tightest budget still gives of each promotion that would give something by this event alone. Budgets are
    opened with an approval: before it there is nothing to ask."""
    giving = [verdict.promotion_id for verdict in verdicts if verdict.effects and plans[verdict.promotion_id].per_event]
    kept = await budgets.budgets_under(tx, {each: known[each].campaign_id for each in giving})
    region = event.merchant.region
    asks = {each: ask_for("", AMOUNT_MAX, plans[each].terms, kept[each], at, region) for each in giving}
    left = await budgets.rooms(tx, {draw.slot for ask in asks.values() for draw in ask.draws})
    rooms = {}
    for promotion_id, ask in asks.items():
        limits = [
            (max(0, ask.largest_within(draw, left[draw.slot])), draw.budget.on_shortfall)
            for draw in ask.draws
            if draw.budget.control is Control.ABSOLUTE
        ]
        if limits:
            minor, shortfall = min(limits, key=lambda limit: limit[0])
            rooms[promotion_id] = Room(minor=minor, on_shortfall=shortfall.value)
    return rooms


def _explained(verdict: Verdict, of: Promotion) -> Explained:
    return Explained(
        promotion_id=of.promotion_id,
        name=of.name,
        state=of.state,
        version_no=verdict.version,
        outcome=verdict.outcome,
        part=verdict.part,
        reason=verdict.reason,
        arm=verdict.arm,
        measure=verdict.measure,
        worth_minor=verdict.worth_minor,
        gives=tuple(
            Given(**{name: getattr(effect, name) for name in Given.__struct_fields__}) for effect in verdict.effects
        ),
    )
