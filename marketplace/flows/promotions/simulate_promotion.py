"""Replay a promotion over the orders that were: what it would have cost, who gains, and what speaks against it."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from hashlib import sha256
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path

import msgspec

import incentives.rules
import incentives.simulation
from incentives.experiments.store import get_holdout
from incentives.grants.rewards import KNOWN as KNOWN_LIVE
from incentives.promotions import store as promotions
from incentives.rules.check import Problem, problems, refuse
from incentives.rules.events import Holdout
from incentives.rules.index import event_name, plan_of
from incentives.rules.model import CustomEvent, ListingPublished, Terms
from incentives.rules.predicates import AllOf, AnyOf, Not, Predicate
from incentives.rules.windows import schedule_span
from incentives.simulation import store
from incentives.simulation.model import Record
from incentives.simulation.report import EXPECTED, Pins, Simulation, digest_of, over, simulation
from incentives.simulation.scenarios import Response
from incentives.simulation.spool import Job, Spool, replay_spool
from incentives.simulation.store import Asked, Summary
from marketplace.core import jobs
from marketplace.core.clock import local_date
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import AppError, Invalid
from marketplace.core.rates import PPM
from marketplace.flows.promotions.simulate_promotion_sql import COMMISSION, history, listings

JOB = "simulate_promotion"
DAYS_MAX = 3_660
KNOWN = frozenset(
    {
        *("order.amount", "order.quantity", "market.entity", "merchant.id", "merchant.region", "merchant.orders"),
        *("merchant.days", "merchant.idle_days", "buyer.id", "buyer.region", "buyer.orders", "buyer.days"),
        *("buyer.idle_days", "line.amount", "line.quantity", "line.product", "line.category"),
    }
)
"""The attributes that recorded orders have; terms that ask for others would silently match nothing."""
KNOWN_OF_LISTINGS = KNOWN_LIVE[ListingPublished][1]
"""Those of recorded listings."""
_PAST = frozenset({"merchant.orders", "merchant.idle_days"})
OnProgress = Callable[[int, int], Awaitable[None]]
"""Told how many of how many steps are done."""


async def _untold(_done: int, _total: int) -> None:
    """Nobody asks."""


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """Which history a promotion is replayed over, and how: local days of its zone, both inclusive.

    holdout: merchants that no promotion reaches. expected: the response that is counted on.
    """

    from_on: date
    to_on: date
    expected: Response = EXPECTED
    seed: int = 1
    holdout: Holdout | None = None


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a promotion, the newest unless one is named, over recorded days."""

    promotion_id: int
    asked: Asked
    version_no: int | None = None


def check_simulated(terms: Terms, recorded: Recorded | Asked) -> Terms:
    """The terms over the recorded days. Raises Invalid, naming all that cannot be replayed."""
    if not 2000 <= recorded.from_on.year < 2200:
        raise Invalid("from_on: needs a year from 2000 to 2199", pointer="/from_on")
    if not 0 <= (recorded.to_on - recorded.from_on).days < DAYS_MAX:
        raise Invalid(f"to_on: needs a day from {recorded.from_on} on, within {DAYS_MAX} days", pointer="/to_on")
    refuse([*problems(terms), *not_recorded(terms)])
    return over(terms, recorded.from_on, recorded.to_on)


def not_recorded(terms: Terms) -> list[Problem]:
    """What terms ask for that no recorded order, or listing, can say: they cannot be replayed."""
    found = []
    of, known = ("listings", KNOWN_OF_LISTINGS) if isinstance(terms.trigger, ListingPublished) else ("orders", KNOWN)
    if isinstance(terms.trigger, CustomEvent):
        found.append(
            ("/trigger", "only orders and listings are recorded: take an order's trigger or listing.published")
        )
    for part, predicate in (("event", terms.qualify.event), ("lines", terms.qualify.lines)):
        unknown = sorted(attributes_of(predicate) - known)
        found += [(f"/qualify/{part}", f"recorded {of} have no {name}") for name in unknown]
    return found


def attributes_of(predicate: Predicate | None) -> set[str]:
    """The attributes that a predicate asks for."""
    match predicate:
        case None:
            return set()
        case AllOf(of=of) | AnyOf(of=of):
            return {name for each in of for name in attributes_of(each)}
        case Not(of=each):
            return attributes_of(each)
        case _:
            return {predicate.attribute}


async def simulate_terms(
    db: Database,
    terms: Terms,
    recorded: Recorded,
    *,
    promotion_id: int = 1,
    version_no: int = 1,
    on_progress: OnProgress = _untold,
) -> Simulation:
    """Replay terms with their budgets and without, each in a process of its own. Nothing is stored.

    Raises Invalid for terms that cannot be replayed. Three steps of progress: history read, replayed, evaluated.
    """
    replayed = check_simulated(terms, recorded)
    with tempfile.TemporaryDirectory(prefix="marketplace-simulation-") as folder:
        path = Path(folder) / "history"
        await on_progress(0, 3)
        digest, commission = await _spool(db, replayed, path)
        await on_progress(1, 3)
        both = [
            Job(
                path=str(path),
                promotion_id=promotion_id,
                version=version_no,
                terms=replayed,
                limited=limited,
                holdout=recorded.holdout,
            )
            for limited in ((True, False) if terms.budgets else (False,))
        ]
        loop = asyncio.get_running_loop()
        with ProcessPoolExecutor(len(both), mp_context=get_context("spawn")) as pool:
            answers = await asyncio.gather(*(loop.run_in_executor(pool, replay_spool, job) for job in both))
    await on_progress(2, 3)
    pins = Pins(
        history=digest,
        terms=digest_of(replayed),
        evaluator=evaluator_digest(),
        tzdata=version("tzdata"),
        seed=recorded.seed,
    )
    plan = plan_of(promotion_id, version_no, replayed)
    made = await asyncio.to_thread(
        simulation,
        plan,
        answers[0],
        answers[-1],
        pins=pins,
        expected=recorded.expected,
        holdout=recorded.holdout,
        commission_minor=commission,
    )
    await on_progress(3, 3)
    return made


def records_of(tx: Tx, terms: Terms, *, one_in: int = 1, glance: bool = False) -> AsyncIterator[list[Record]]:
    """What is recorded over the time of terms, in parts. one_in: of so many merchants one. glance: what was before that
    time is read only where the terms ask for it."""
    span = schedule_span(terms.schedule)
    assert span.ends is not None
    if isinstance(terms.trigger, ListingPublished):
        return listings(tx, span.starts, span.ends, currency=terms.currency, one_in=one_in)
    asked = attributes_of(terms.qualify.event)
    return history(
        tx,
        event_name(terms.trigger),
        span.starts,
        span.ends,
        currency=terms.currency,
        zone=terms.schedule.zone,
        buyers=any(name.startswith("buyer.") and not (glance and name == "buyer.id") for name in asked),
        earlier=not glance or bool(asked & _PAST),
        one_in=one_in,
    )


async def _spool(db: Database, terms: Terms, path: Path) -> tuple[str, int]:
    """Write the history down; its digest, and the commission of its time."""
    with path.open("wb") as file:
        spool = Spool(file)
        async with db.read(WORKER) as tx:
            async for part in records_of(tx, terms):
                spool.write(part)
            span = schedule_span(terms.schedule)
            assert span.ends is not None
            zone, first, last = terms.schedule.zone, span.starts, span.ends
            bound = {"first": local_date(first, zone), "end": local_date(last, zone), "currency": terms.currency}
            commission: int = await tx.scalar(COMMISSION, **bound)
    return spool.digest, commission


def evaluator_digest() -> str:
    """SHA-256 of the source of the engine and of the replay."""
    found = sha256()
    for package in (incentives.rules, incentives.simulation):
        for folder in package.__path__:
            for file in sorted(Path(folder).glob("*.py")):
                found.update(file.read_bytes())
    return found.hexdigest()


async def ask_simulation(tx: Tx, cmd: Ask) -> Summary:
    """Queue a simulation for a worker. Raises NotFound, and Invalid for what cannot be replayed."""
    found = await promotions.get_version(tx, cmd.promotion_id, cmd.version_no)
    check_simulated(found.terms, cmd.asked)
    made = await store.insert_simulation(tx, cmd.promotion_id, found.version_no, cmd.asked)
    await jobs.enqueue(tx, JOB, made.simulation_id, once_key=f"{JOB}:{made.simulation_id}")
    return made


async def run_simulation(db: Database, actor: str, simulation_id: int) -> None:
    """Do what was queued; run twice it comes to the same, and one that is done stays as it is."""
    async with db.read(WORKER) as tx:
        asked = await store.get_summary(tx, simulation_id)
        terms = (await promotions.get_version(tx, asked.promotion_id, asked.version_no)).terms
        holdout = await get_holdout(tx)
    if holdout is not None:  # of the windows to come, for which the recorded ones stand
        holdout = msgspec.structs.replace(holdout, since=None)
    if asked.state in {store.State.DONE, store.State.FAILED}:
        return

    async def progressed(done: int, total: int) -> None:
        await db.write(WORKER, actor, store.progressed, simulation_id, done * PPM // total)

    recorded = Recorded(**{name: getattr(asked.asked, name) for name in Asked.__struct_fields__}, holdout=holdout)
    try:
        made = await simulate_terms(
            db,
            terms,
            recorded,
            promotion_id=asked.promotion_id,
            version_no=asked.version_no,
            on_progress=progressed,
        )
    except AppError as fault:
        await db.write(WORKER, actor, store.failed, simulation_id, fault.detail)
        return
    await db.write(WORKER, actor, store.finished, simulation_id, made)
