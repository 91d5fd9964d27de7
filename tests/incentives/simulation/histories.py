"""Small histories, and what they come to under terms by the rules alone, without a replay."""

from collections import defaultdict
from datetime import timedelta

import msgspec
from hypothesis import strategies as st

from incentives.rules.evaluate import evaluate
from incentives.rules.events import Facts, Line
from incentives.rules.index import Index, plan_of
from incentives.rules.model import Terms
from incentives.rules.target import Contribution, contribution, totals
from incentives.simulation.model import Grant, Record
from incentives.simulation.replay import replay
from tests.incentives.rules.cases import AT, order


class Fate(msgspec.Struct, frozen=True):
    """An order: when it is placed, of what, and what becomes of it. left: of each line, after a refund."""

    hours: int
    merchant: int
    buyer: int
    amounts: tuple[int, ...]
    settled_after: int | None
    refunded_after: int | None
    left: tuple[int, ...]
    cancelled: bool


@st.composite
def fates(draw: st.DrawFn) -> Fate:
    amounts = tuple(draw(st.lists(st.integers(1, 90), min_size=1, max_size=3)))
    return Fate(
        hours=draw(st.integers(0, 20 * 24)),
        merchant=draw(st.integers(1, 3)),
        buyer=draw(st.integers(1, 4)),
        amounts=amounts,
        settled_after=draw(st.none() | st.integers(1, 100)),
        refunded_after=draw(st.none() | st.integers(1, 200)),
        left=tuple(draw(st.integers(0, amount)) for amount in amounts),
        cancelled=draw(st.booleans()),
    )


def records(orders: list[Fate]) -> list[Record]:
    """The history of orders in the order of arrival: an order that settles is not cancelled."""
    found = []
    for number, fate in enumerate(orders):
        at = AT - timedelta(days=10) + timedelta(hours=fate.hours)
        event_id = f"order:{number}"
        event = order(*fate.amounts, event_id=event_id, merchant=fate.merchant, buyer=fate.buyer)
        found.append(Record(at, event_id, "placed", event))
        if fate.settled_after is not None:
            found.append(Record(at + timedelta(hours=fate.settled_after), event_id, "settled"))
        elif fate.cancelled:
            found.append(Record(at + timedelta(hours=300), event_id, "cancelled"))
        if fate.refunded_after is not None:
            left = remaining(fate)
            found.append(Record(at + timedelta(hours=fate.refunded_after), event_id, "placed", left=left))
    return sorted(found, key=lambda record: record.at)


def remaining(fate: Fate) -> tuple[Line, ...]:
    refunded = fate.refunded_after is not None
    left = fate.left if refunded else fate.amounts
    return tuple(
        Line(line_no=number, amount_minor=minor, quantity=int(minor > 0)) for number, minor in enumerate(left, start=1)
    )


def grants(terms: Terms, history: list[Record]) -> dict[tuple[str, int, str], tuple[int, int]]:
    """By role, party and window: granted and held."""
    found: list[Grant] = []
    replay([plan_of(1, 1, terms)], history, sink=found.append)
    return {(g.role, g.party_id, g.window): (g.granted_minor, g.held_minor) for g in found}


def computed(terms: Terms, orders: list[Fate]) -> dict[tuple[str, int, str], tuple[int, int]]:
    """The same straight from where all orders stand in the end. Only for strict clawback, which forgets its way."""
    plan = plan_of(1, 1, terms)
    index, of = Index([plan]), terms.measure.of
    parts: defaultdict[tuple[str, int, str], list[Contribution]] = defaultdict(list)
    awards: dict[tuple[str, int, str], int | None] = {}
    for number, fate in enumerate(orders):
        at = AT - timedelta(days=10) + timedelta(hours=fate.hours)
        event = order(*fate.amounts, event_id=f"order:{number}", merchant=fate.merchant, buyer=fate.buyer)
        settled = fate.settled_after is not None
        standing = "settled" if settled else "cancelled" if fate.cancelled else "placed"
        for verdict in evaluate(index, event, Facts(), at):
            for effect in verdict.effects:
                key: tuple[str, int, str] = effect.role, effect.party_id, effect.window
                lines = [line for line in remaining(fate) if line.line_no in effect.lines]
                parts[key].append(contribution(of, lines, standing, fate.buyer))  # type: ignore[arg-type]  # a word of three
                awards[key] = effect.amount_minor
    found: dict[tuple[str, int, str], tuple[int, int]] = {}
    for key, contributions in parts.items():
        progress = msgspec.structs.replace(totals(of, contributions), award_minor=awards[key])
        side = next(side for side in plan.sides[""] if side.side.role == key[0])
        target = side.goal.target(msgspec.structs.replace(progress, granted_minor=0))
        held = target.available_minor + target.pending_minor
        if held or progress.promised:
            found[key] = target.available_minor, held
    return found
