"""Promotions on pages: how each stands and burns, what was simulated, who approves it and on which warnings."""

from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from incentives.experiments.store import Decision
from incentives.lifecycle import AGREED, FOR_APPROVERS, Move, State
from incentives.promotions import store
from incentives.promotions.model import VersionState
from incentives.rules.model import Terms
from incentives.simulation.report import EXPECTED
from incentives.simulation.store import Asked
from marketplace.consoles import incentives_queries as queries
from marketplace.consoles.campaigns import InState, burn_chart, moves_of
from marketplace.consoles.deeds import Refused, carry_out, day, done, text
from marketplace.consoles.incentives_queries import PROMOTIONS, InStatePage
from marketplace.consoles.layout import PathId, send
from marketplace.consoles.promotion_fields import typed_of
from marketplace.consoles.promotion_form import DEFAULTS
from marketplace.core.db import STAFF, Database, Tx
from marketplace.core.errors import Invalid
from marketplace.flows.promotions import plan_incentives as flow
from marketplace.flows.promotions.preview_promotion import last_weeks
from marketplace.flows.promotions.review_promotion import ReviewPromotion, review_promotion
from marketplace.flows.promotions.simulate_promotion import Ask, ask_simulation, not_recorded
from marketplace.web.auth import ActorRequest
from marketplace.web.guards import APPROVERS, check_approver
from marketplace.web.i18n import speech

SIMULATED_WEEKS = 12
ACKNOWLEDGED = "because_"
"""Before the name of a warning, the field in which it is said why it does not matter."""
CHOICES = frozenset(
    {*("trigger", "measure", "opt_in", "form", "beneficiary", "shortfall", "base", "unit", "gives", "window"),
     *("buyer_opt_in", "on_pause", "shown_as", "clawback", "window_unit")}
)  # fmt: skip
"""Fields whose values are named."""
_ALWAYS = ("gives", "rate", "threshold", "award", "steps", "window", "cap", "budget", "beneficiary", "holdout")
"""What is said first, whatever it is."""
_NEVER = frozenset({"name", "zone", "starts", "ends", "gives", "currency"})
_NOTHING = frozenset({"0", "0.00"})


def facts_of(terms: Terms) -> list[tuple[str, str]]:
    """What the terms say, field by field; without what is as it always is."""
    typed = typed_of(terms)
    usual = {**DEFAULTS, "salt": terms.name, "arms": "treated = 1", "voucher_minimum": "0.00"}
    rest = [
        name
        for name, value in typed.items()
        if name not in _ALWAYS and name not in _NEVER and value not in _NOTHING and usual.get(name) != value
    ]
    return [(name, value) for name in (*_ALWAYS, *rest) if (value := typed.get(name, "")) and value != "0"]


@get(["/promotions", "/promotions.csv"])
async def promotions(request: ActorRequest, db: NamedDependency[Database], in_state: InState = None) -> Response[Any]:
    """Promotions of all campaigns, the newest first, with what they have used of their budgets."""
    listing = PROMOTIONS.asked(request, "/ops/promotions", {"state": in_state}, state=in_state)
    if listing.is_file:
        return await listing.as_file(request, db, STAFF)
    async with db.read(STAFF) as tx:
        listing = await listing.page(tx)
    return send(
        request, "ops/promotions.html", InStatePage(in_state), "promotions", listing=listing, states=list(State)
    )


@get("/promotions/{promotion_id:int}")
async def promotion(request: ActorRequest, db: NamedDependency[Database], promotion_id: PathId) -> Response[str]:
    """One promotion: its terms, its burn, its simulation with what warns, and who did what."""
    return await show_promotion(request, db, promotion_id)


async def show_promotion(
    request: ActorRequest, db: Database, promotion_id: int, refused: Refused | None = None
) -> Response[str]:
    async with db.read(STAFF) as tx:
        page = await queries.promotion_page(tx, promotion_id)
        days = await last_weeks(tx, page.version.terms, SIMULATED_WEEKS)
    more: dict[str, Any] = {
        "moves": moves_of(request, page.promotion.state),
        "drawn": burn_chart(page.burn, page.promotion.currency, speech(request.user.locale)),
        "may_approve": bool(request.user.roles & APPROVERS),
        "is_agreed": page.promotion.state in AGREED,
        "facts": facts_of(page.version.terms),
        "choices": CHOICES,
        "replayable": not not_recorded(page.version.terms),
        "span": days,
        "because": ACKNOWLEDGED,
    }
    return send(request, "ops/promotion.html", page, "promotions", refused=refused, **more)


def acknowledged(typed: Mapping[str, str]) -> dict[str, str]:
    """Why warnings do not matter, by their names."""
    return {
        name.removeprefix(ACKNOWLEDGED): text(typed, name, most=500) for name in typed if name.startswith(ACKNOWLEDGED)
    }


@post("/promotions/{promotion_id:int}/moves/{move:str}")
async def take_on(
    request: ActorRequest, db: NamedDependency[Database], promotion_id: PathId, move: FromPath[Move]
) -> Response[Any]:
    """Submit, approve, reject, schedule, pause, resume or cancel it."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        if move in FOR_APPROVERS:
            check_approver(request.user.roles, f"move: to {move}")
        reason = text(typed, "reason", most=500)
        await flow.move_promotion(tx, promotion_id, move, reason, acknowledged(typed))
        return done(f"/ops/promotions/{promotion_id}", f"incentive_{move}")

    return await carry_out(request, db, work, again=partial(_again, request, db, promotion_id))


async def _again(request: ActorRequest, db: Database, promotion_id: int, refused: Refused) -> Response[str]:
    """The page with what is wrong at the warning that it is about."""
    fields = {f"{ACKNOWLEDGED}{name.rpartition('/')[2]}": why for name, why in refused.fields.items()}
    return await show_promotion(
        request, db, promotion_id, msgspec.structs.replace(refused, fields={**refused.fields, **fields})
    )


@post("/promotions/{promotion_id:int}/versions/{version_no:int}/{decision:str}")
async def decide_version(
    request: ActorRequest,
    db: NamedDependency[Database],
    promotion_id: PathId,
    version_no: PathId,
    decision: FromPath[VersionState],
) -> Response[Any]:
    """Approve or reject a version that another person has proposed."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        check_approver(request.user.roles, f"move: to {Move.APPROVE}")
        await flow.decide_version(tx, promotion_id, version_no, decision, acknowledged(typed))
        return done(f"/ops/promotions/{promotion_id}", f"incentive_change_{decision}")

    return await carry_out(request, db, work, again=partial(show_promotion, request, db, promotion_id))


@post("/promotions/{promotion_id:int}/simulations")
async def simulate(request: ActorRequest, db: NamedDependency[Database], promotion_id: PathId) -> Response[Any]:
    """Have a worker replay the newest version over recorded days."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        version = await store.get_version(tx, promotion_id)
        first, last = day(typed, "from_on"), day(typed, "to_on")
        if first is None or last is None:
            raise Invalid("from_on: name the first and the last day", pointer="/from_on")
        if last - first > timedelta(days=3_660):
            raise Invalid("to_on: ten years at most", pointer="/to_on")
        asked = Asked(from_on=first, to_on=last, expected=EXPECTED, seed=1)
        await ask_simulation(tx, Ask(promotion_id=promotion_id, version_no=version.version_no, asked=asked))
        return done(f"/ops/promotions/{promotion_id}#simulation", "incentive_simulate")

    return await carry_out(request, db, work, again=partial(show_promotion, request, db, promotion_id))


@get("/promotions/{promotion_id:int}/review")
async def review(request: ActorRequest, db: NamedDependency[Database], promotion_id: PathId) -> Response[str]:
    """What it changed, with its interval, and what it cost; and what was decided."""
    return await show_review(request, db, promotion_id)


async def show_review(
    request: ActorRequest, db: Database, promotion_id: int, refused: Refused | None = None
) -> Response[str]:
    async with db.read(STAFF) as tx:
        page = await queries.review_page(tx, promotion_id)
    decisions = [each.value for each in Decision]
    may = Move.REVIEW in moves_of(request, page.promotion.state)
    return send(
        request, "ops/promotion_review.html", page, "promotions", refused=refused, decisions=decisions, may_review=may
    )


@post("/promotions/{promotion_id:int}/review")
async def write_review(request: ActorRequest, db: NamedDependency[Database], promotion_id: PathId) -> Response[Any]:
    """Freeze what was found, with what was learned, and close the promotion."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        decision = text(typed, "decision", most=10, least=1)
        if decision not in set(Decision):
            raise Invalid(f"decision: must be one of {', '.join(Decision)}", pointer="/decision")
        learned = text(typed, "learned", most=2_000, least=1)
        cmd = ReviewPromotion(promotion_id=promotion_id, decision=Decision(decision), learned=learned)
        await review_promotion(tx, cmd)
        return done(f"/ops/promotions/{promotion_id}/review", "incentive_review")

    return await carry_out(request, db, work, again=partial(show_review, request, db, promotion_id))


PAGES = [promotions, promotion, take_on, decide_version, simulate, review, write_review]
