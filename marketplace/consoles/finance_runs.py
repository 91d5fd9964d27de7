"""Billing runs on pages: finance starts one, looks at it, approves it, makes it final, and takes it back."""

from collections.abc import Mapping
from enum import StrEnum
from functools import partial
from typing import Any

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from billing.receivables import AGES
from billing.runs.model import RunState, period_named
from marketplace.consoles import finance_queries, ops_queries
from marketplace.consoles.deeds import Refused, carry_out, day, done, number
from marketplace.consoles.finance_lists_queries import RUN_STATEMENTS
from marketplace.consoles.layout import Nothing, PathId, send
from marketplace.consoles.plots import Bar, ageing
from marketplace.core.clock import local_date
from marketplace.core.db import STAFF, Database, Tx
from marketplace.core.errors import Conflict
from marketplace.flows.payments.reconcile_payments import MatchKind
from marketplace.flows.runs import run_billing
from marketplace.web.auth import ActorRequest
from marketplace.web.guards import CONTROL, needs
from marketplace.web.i18n import Speech, speech

RUN_STEPS = ("draft", "previewed", "approved", "finalised")
"""The way of a run, as its stepper shows it."""


class Step(StrEnum):
    """What is done with a run that is there."""

    PREVIEW = "preview"
    APPROVE = "approve"
    APPROVE_REST = "approve_rest"
    PARKED = "parked"
    FINALISE = "finalise"
    ABORT = "abort"


_BY_STEPS = frozenset({Step.PREVIEW, Step.PARKED, Step.FINALISE})


@get("/")
async def home(
    request: ActorRequest, db: NamedDependency[Database], entity: FromQuery[int | None] = None
) -> Response[str]:
    """Billing runs, the trial balance, and how payments fit the orders."""
    return await show_home(request, db, entity)


async def show_home(
    request: ActorRequest, db: Database, entity: int | None, refused: Refused | None = None
) -> Response[str]:
    async with db.read(STAFF) as tx:
        shown = await ops_queries.get_entity(tx, entity)
        if shown is None:
            return send(request, "empty.html", Nothing(), "home", refused=refused)
        page = await finance_queries.home(tx, shown)
    say = speech(request.user.locale)
    bars = [
        Bar(age_words(aged.from_days, say), aged.balance_minor, say.amount(aged.balance_minor, page.entity.currency))
        for aged in page.ageing
    ]
    drawn = ageing(bars, page.entity.currency)
    return send(
        request, "finance/home.html", page, "home", refused=refused, kinds=list(MatchKind), bars=bars, aged=drawn
    )


def age_words(from_days: int, say: Speech) -> str:
    """The age of a debt, from the first to the last day of it."""
    last = next((following - 1 for following in AGES if following > from_days), None)
    if last is None:
        return say.text("ageing.over", days=say.number(from_days - 1))
    return say.text("ageing.days", first=say.number(from_days), last=say.number(last))


@get(["/runs/{run_id:int}", "/runs/{run_id:int}/statements.csv"])
async def run(request: ActorRequest, db: NamedDependency[Database], run_id: PathId) -> Response[Any]:
    """One billing run: how far it is, its totals, its statements, and what is to be done with it."""
    return await show_run(request, db, run_id)


async def show_run(request: ActorRequest, db: Database, run_id: int, refused: Refused | None = None) -> Response[Any]:
    here = f"/finance/runs/{run_id}"
    listing = RUN_STATEMENTS.asked(request, here, file=f"{here}/statements.csv", run=run_id)
    async with db.read(STAFF) as tx:
        page = await finance_queries.run_page(tx, run_id)
        is_over = page.run.last_on < local_date(tx.now, page.entity.zone)
        if not listing.is_file:
            listing = await listing.page(tx)
    if listing.is_file:
        return await listing.as_file(request, db, STAFF)
    more: dict[str, Any] = {"steps": RUN_STEPS, "listing": listing, "is_over": is_over}
    more["may_reverse"] = bool(request.user.roles & CONTROL)
    return send(request, "finance/run.html", page, "home", refused=refused, **more)


@post("/runs")
async def start(request: ActorRequest, db: NamedDependency[Database]) -> Response[Any]:
    """Draft the run of a month and preview it."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        result = await run_billing.run_period(
            db,
            tx.actor,
            period_named(typed.get("period", "")),
            entity_id=number(typed, "entity"),
            payout_on=day(typed, "payout_on"),
        )
        return done(f"/finance/runs/{result.run.run_id}", "run_preview")

    return await carry_out(request, db, work, again=lambda why: show_home(request, db, None, why), by_steps=True)


@post("/runs/{run_id:int}/{step:str}")
async def take_step(
    request: ActorRequest, db: NamedDependency[Database], run_id: PathId, step: FromPath[Step]
) -> Response[Any]:
    """Take a run on: preview it afresh, approve it, make it final, bill what it has parked, or give it up."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        shown = run_id
        match step:
            case Step.PREVIEW:
                of = (await run_billing.result(db, run_id)).run
                if of.state not in {RunState.DRAFT, RunState.PREVIEWED}:
                    raise Conflict(f"run {run_id} is {of.state}: there is nothing to preview")
                if of.parent_run_id is None:
                    await run_billing.run_period(db, tx.actor, of.period, entity_id=of.entity_id)
                else:
                    await run_billing.run_parked(db, tx.actor, of.parent_run_id)
            case Step.APPROVE | Step.APPROVE_REST:
                rest = step is Step.APPROVE_REST
                await run_billing.approve(tx, run_id, batch_id=number(typed, "batch_id"), without_parked=rest)
            case Step.PARKED:
                shown = (await run_billing.run_parked(db, tx.actor, run_id)).run.run_id
            case Step.FINALISE:
                await run_billing.finalise_run(db, tx.actor, run_id)
            case Step.ABORT:
                await run_billing.abort(tx, run_id)
        return done(f"/finance/runs/{shown}", f"run_{step}")

    again = partial(show_run, request, db, run_id)
    return await carry_out(request, db, work, again=again, by_steps=step in _BY_STEPS)


@post("/runs/{run_id:int}/reverse", guards=[needs(CONTROL)])
async def reverse(request: ActorRequest, db: NamedDependency[Database], run_id: PathId) -> Response[Any]:
    """Undo the newest run that is final."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        del typed
        await run_billing.reverse_run(db, tx.actor, run_id)
        return done(f"/finance/runs/{run_id}", "run_reverse")

    return await carry_out(request, db, work, again=partial(show_run, request, db, run_id), by_steps=True)


PAGES = [home, run, start, take_step, reverse]
