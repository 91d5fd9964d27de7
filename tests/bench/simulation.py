"""How long a million recorded orders take: replayed with budgets and without, then scenarios and intervals."""

import random
import resource
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, date, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from time import process_time
from typing import Any

import msgspec

from incentives.rules.check import check_terms
from incentives.rules.events import Event, Holdout, Line, Party
from incentives.rules.index import plan_of
from incentives.rules.model import Terms
from incentives.simulation.model import Answer, Record
from incentives.simulation.report import EXPECTED, Pins, digest_of, over, simulation
from incentives.simulation.spool import Job, Spool, replay_spool
from tests.bench.scratch import Stopwatch, at_least, at_most, main, note

FIRST = datetime(2026, 8, 1, tzinfo=UTC)
DAYS = 91
HOLDOUT = Holdout(salt="half-year")
_WEEKLY: dict[str, Any] = {
    "name": "weekly threshold",
    "currency": "EUR",
    "trigger": {"on": "order.placed"},
    "qualify": {"event": {"is": "range", "attribute": "order.amount", "at_least": 10_00}},
    "window": {"over": "calendar", "period": "week"},
    "reward": {"amount": {"gives": "ladder", "tiers": [
        {"threshold": 1_000_00, "total_minor": 20_00}, {"threshold": 3_000_00, "total_minor": 80_00}]}},
    "beneficiary": {"to": "merchant"},
    "schedule": {"zone": "Europe/Berlin", "starts": "2026-12-01", "ends": "2026-12-31"},
}  # fmt: skip
"""Its budget, see `measure`, is exhausted after about two thirds of the time."""


async def measure(orders: int, merchants: int) -> dict[str, Any]:
    """What counts is the processor time of each process: the two replays run beside each other on two cores."""
    total = {"per": "promotion", "limit_minor": orders * 2_00 // 3, "currency": "EUR"}
    terms = over(msgspec.convert(_WEEKLY | {"budgets": [total]}, Terms), date(2026, 8, 1), date(2026, 10, 30))
    check_terms(terms)
    with tempfile.TemporaryDirectory(prefix="marketplace-bench-") as folder:
        path = Path(folder) / "history"
        with path.open("wb") as file:
            spool = Spool(file)
            spool.write(_records(orders, merchants))
        note(f"{spool.records} records of {orders} orders, {path.stat().st_size >> 20} MiB")
        jobs = [
            Job(path=str(path), promotion_id=1, version=1, terms=terms, limited=limited, holdout=HOLDOUT)
            for limited in (True, False)
        ]
        watch = Stopwatch()
        with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
            (limited, limited_s, mib), (unlimited, unlimited_s, _) = pool.map(_timed, jobs)
        replays_wall_s = watch.seconds
    began = process_time()
    pins = Pins(history=spool.digest, terms=digest_of(terms), evaluator="", tzdata="", seed=1)
    made = simulation(plan_of(1, 1, terms), limited, unlimited, pins=pins, expected=EXPECTED, holdout=HOLDOUT)
    scenarios_s = process_time() - began
    return {
        "orders": orders,
        "records": spool.records,
        "merchants": merchants,
        "replay_with_budgets_s": round(limited_s, 2),
        "replay_without_s": round(unlimited_s, 2),
        "replays_wall_s": replays_wall_s,
        "peak_memory_mib": mib,
        "grants": made.limited.grants,
        "cost_minor": made.limited.cost_minor,
        "cost_without_budgets_minor": made.unlimited.cost_minor,
        "exhausted_on": str(made.limited.exhausted_on),
        "exhausted_p50": str(made.intervals.exhausted_on.p50),
        "digest": digest_of(made),
        "bars": {
            "replays_cpu_s": at_most(max(limited_s, unlimited_s), 30),
            "scenarios_and_intervals_cpu_s": at_most(scenarios_s, 60),
            "grants_refused_by_the_budget": at_least(made.limited.refused_minor, 1),
        },
    }


def _timed(job: Job) -> tuple[Answer, float, int]:
    """A replay with its processor seconds, and the most memory that its process had (MiB)."""
    began = process_time()
    answer = replay_spool(job)
    return answer, process_time() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def _records(orders: int, merchants: int) -> Iterator[Record]:
    """Orders over the days, settled after a week; every twentieth is refunded in part ten days after it was placed."""
    lot = random.Random(1)
    step = timedelta(days=DAYS) / orders
    settles, refunds = timedelta(days=7), timedelta(days=10)
    settled_no = refunded_no = 0
    amounts: dict[int, int] = {}

    def later(until: datetime) -> Iterator[Record]:
        nonlocal settled_no, refunded_no
        while settled_no < orders and FIRST + settled_no * step + settles <= until:
            while refunded_no < orders and refunded_no * step + refunds <= settled_no * step + settles:
                yield from refund(refunded_no)
                refunded_no += 1
            yield Record(FIRST + settled_no * step + settles, f"order:{settled_no}", "settled")
            settled_no += 1

    def refund(number: int) -> Iterator[Record]:
        if number % 20 == 0:
            left = (Line(line_no=1, amount_minor=amounts.pop(number) // 2),)
            yield Record(FIRST + number * step + refunds, f"order:{number}", "settled", left=left)

    for number in range(orders):
        at = FIRST + number * step
        yield from later(at)
        merchant_id = int(merchants * lot.random() ** 3)
        amount = lot.randrange(5_00, 400_00)
        if number % 20 == 0:
            amounts[number] = amount
        yield Record(at, f"order:{number}", "placed", _order(number, merchant_id, amount))
    yield from later(datetime.max.replace(tzinfo=UTC))
    while refunded_no < orders:
        yield from refund(refunded_no)
        refunded_no += 1


def _order(number: int, merchant_id: int, amount_minor: int) -> Event:
    return Event(
        event_id=f"order:{number}",
        on="order.placed",
        currency="EUR",
        merchant=Party(party_id=merchant_id, region=f"region {merchant_id % 12}"),
        buyer=Party(party_id=number % 100_000),
        lines=(Line(line_no=1, amount_minor=amount_minor, category=f"category {number % 40}"),),
    )


if __name__ == "__main__":
    main(measure, orders=1_000_000, merchants=5_000)
