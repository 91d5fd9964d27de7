"""How long an event takes under a thousand live promotions of which some match: the pure engine, no database."""

import gc
import random
import time
from datetime import UTC, datetime
from typing import Any

import msgspec

from incentives.rules.check import check_terms
from incentives.rules.evaluate import evaluate
from incentives.rules.events import Event, Facts, Holdout, Line, Party
from incentives.rules.index import Index, Plan, plan_of
from incentives.rules.model import Terms
from tests.bench.scratch import at_least, at_most, main

AT = datetime(2026, 11, 18, 12, 0, tzinfo=UTC)
CATEGORIES, SEGMENTS, MERCHANTS = 100, 60, 400
FACTS = Facts(holdout=Holdout(salt="half-year"))

_AMOUNTS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"over": "calendar", "period": "week"}, {"gives": "once", "threshold": 100_00, "amount_minor": 20_00}),
    ({"over": "calendar", "period": "month"}, {"gives": "graduated", "bands": [{"from_minor": 0, "rate_ppm": 30_000}]}),
    ({"over": "event"}, {"gives": "every", "every": 50_00, "amount_minor": 1_00}),
    ({"over": "event"}, {"gives": "graduated", "bands": [{"from_minor": 0, "rate_ppm": 10_000}]}),
]


async def measure(promotions: int, matching: int, events: int) -> dict[str, Any]:
    """`matching` promotions are open to everybody; the others want a category, a segment, a merchant or a code.

    What counts is the processor time of the thread, for each event the least of three: the engine waits for nothing, so
    whatever is more is other work on the machine. `wall_p50_ms` and `wall_p99_ms` show all that passed, of all three.
    """
    plans = [_plan(number, number < matching) for number in range(promotions)]
    started = time.perf_counter()
    index = Index(plans)
    built_ms = 1_000 * (time.perf_counter() - started)
    drawn = random.Random(1)
    drawn_events = [_event(drawn, number) for number in range(events)]
    judged = [[bool(verdict.effects) for verdict in evaluate(index, event, FACTS, AT)] for event in drawn_events]
    matched = [sum(each) for each in judged if any(each)]
    taken, wall = _evaluate(index, drawn_events)
    few, _ = _evaluate(Index(plans[:matching]), drawn_events)
    return {
        "promotions": promotions,
        "events": events,
        "index_built_ms": round(built_ms, 3),
        "judged_mean": round(sum(map(len, judged)) / events, 1),
        "matched_mean": round(sum(matched) / len(matched), 1),
        "events_of_merchants_held_out": events - len(matched),
        "p50_ms": taken[events // 2],
        "p50_ms_of_those_open_to_everybody_alone": few[events // 2],
        "wall_p50_ms": wall[len(wall) // 2],
        "wall_p99_ms": wall[len(wall) * 99 // 100],
        "bars": {
            "p99_ms": at_most(taken[events * 99 // 100], 1.0),
            "promotions_that_match_any_event": at_least(min(matched), 20),
        },
    }


def _evaluate(index: Index, events: list[Event]) -> tuple[list[float], list[float]]:
    """Milliseconds of processor time of each event, and of wall time of each evaluation, ascending."""
    taken, wall = [], []
    gc.collect()
    gc.freeze()
    for event in events:
        tries = []
        for _ in range(3):
            began, cpu = time.perf_counter_ns(), time.thread_time_ns()
            evaluate(index, event, FACTS, AT)
            tries.append((time.thread_time_ns() - cpu) / 1_000_000)
            wall.append((time.perf_counter_ns() - began) / 1_000_000)
        taken.append(min(tries))
    return sorted(taken), sorted(wall)


def _plan(number: int, matches: bool) -> Plan:
    window, amount = _AMOUNTS[number % len(_AMOUNTS)]
    floor = {"is": "range", "attribute": "order.amount", "at_least": 10_00}
    needs: list[dict[str, Any]] = [
        {"is": "equals", "attribute": "line.category", "value": f"category {number % CATEGORIES}"},
        {"is": "in", "attribute": "merchant.segment", "values": [f"segment {number % SEGMENTS}", "vip"]},
        {"is": "equals", "attribute": "merchant.id", "value": number % MERCHANTS},
        {"is": "equals", "attribute": "order.code", "value": f"code {number}"},
    ]
    need = needs[number // len(_AMOUNTS) % len(needs)]
    qualify: dict[str, Any] = {"event": floor}
    if not matches and need["attribute"] == "line.category":
        qualify["lines"] = need
    elif not matches:
        qualify["event"] = {"is": "all", "of": [floor, need]}
    terms = msgspec.convert(
        {
            "name": f"promotion {number}",
            "currency": "EUR",
            "trigger": {"on": "order.placed"},
            "qualify": qualify,
            "window": window,
            "reward": {"amount": amount},
            "beneficiary": {"to": "merchant"},
            "schedule": {"zone": "America/Sao_Paulo", "starts": "2026-11-01", "ends": "2026-12-31"},
            "experiment": {"salt": f"salt {number}"} if number % 4 == 0 else None,
        },
        Terms,
    )
    check_terms(terms)
    return plan_of(number, 1, terms)


def _event(drawn: random.Random, number: int) -> Event:
    merchant_id = drawn.randrange(MERCHANTS)
    lines = tuple(
        Line(line_no=n, amount_minor=drawn.randrange(20_00, 90_00), category=f"category {drawn.randrange(CATEGORIES)}")
        for n in range(3)
    )
    segments = frozenset({f"segment {merchant_id % SEGMENTS}", f"segment {merchant_id % 7}"})
    return Event(
        event_id=f"order:{number}",
        on="order.placed",
        currency="EUR",
        merchant=Party(party_id=merchant_id, segments=segments),
        buyer=Party(party_id=number % 1_000),
        lines=lines,
        codes=frozenset({f"code {drawn.randrange(1_000)}"}),
    )


if __name__ == "__main__":
    main(measure, promotions=1_000, matching=20, events=5_000)
