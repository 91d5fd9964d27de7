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
CATEGORIES, SEGMENTS, MERCHANTS = 40, 30, 400
FACTS = Facts(holdout=Holdout(salt="half-year"))

_AMOUNTS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"over": "calendar", "period": "week"}, {"gives": "once", "threshold": 100_00, "amount_minor": 20_00}),
    ({"over": "calendar", "period": "month"}, {"gives": "graduated", "bands": [{"from_minor": 0, "rate_ppm": 30_000}]}),
    ({"over": "event"}, {"gives": "every", "every": 50_00, "amount_minor": 1_00}),
    ({"over": "event"}, {"gives": "graduated", "bands": [{"from_minor": 0, "rate_ppm": 10_000}]}),
]


async def measure(promotions: int, matching: int, events: int) -> dict[str, Any]:
    """`matching` promotions are open to everybody; the others want a category, a segment, a merchant or a code."""
    plans = [_plan(number, number < matching) for number in range(promotions)]
    started = time.perf_counter()
    index = Index(plans)
    built_ms = 1_000 * (time.perf_counter() - started)
    drawn = random.Random(1)
    taken, matched, judged = [], [], []
    events_ = [_event(drawn, number) for number in range(events)]
    gc.collect()
    gc.freeze()
    for event in events_:
        watch = time.perf_counter()
        verdicts = evaluate(index, event, FACTS, AT)
        taken.append(1_000 * (time.perf_counter() - watch))
        judged.append(len(verdicts))
        matched.append(sum(bool(verdict.effects) for verdict in verdicts))
    reached = [count for count in matched if count]  # of merchants that are not held out
    few = Index(plans[: promotions // 10])
    taken.sort()
    return {
        "promotions": promotions,
        "events": events,
        "index_built_ms": round(built_ms, 3),
        "held_out": events - len(reached),
        "judged_mean": round(sum(judged) / events, 1),
        "matched_mean": round(sum(reached) / len(reached), 1),
        "p50_ms": round(taken[events // 2], 4),
        "p50_ms_of_a_tenth_of_the_promotions": round(_median_ms(few, events_), 4),
        "bars": {
            "evaluation_p99_ms": at_most(taken[events * 99 // 100], 1.0),
            "promotions_matched_at_least": at_least(min(reached), 20),
        },
    }


def _median_ms(index: Index, events: list[Event]) -> float:
    taken = []
    for event in events:
        watch = time.perf_counter()
        evaluate(index, event, FACTS, AT)
        taken.append(1_000 * (time.perf_counter() - watch))
    return sorted(taken)[len(taken) // 2]


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
            "experiment": {"salt": f"salt {number}"},
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
