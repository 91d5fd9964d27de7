"""The pages of people who win merchants: a rep's own leads, pool, visits and commission; a manager's territory."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any

from litestar import Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from marketplace.consoles import field_queries
from marketplace.consoles.deeds import Refused, carry_out, chosen, done, instant, number, text
from marketplace.consoles.fairs import FIELD as FAIRS
from marketplace.consoles.field_queries import EARNED, VISITS, WORK
from marketplace.consoles.layout import PathId, send
from marketplace.core.db import STAFF, WORKER, Database, Tx
from marketplace.core.errors import Invalid
from marketplace.flows.acquisition import make_visits
from marketplace.flows.acquisition.claim_leads import claim_lead, deal_leads
from marketplace.flows.acquisition.work_leads import MoveLead, NewTouch, lock_own, move_lead, touch_lead
from marketplace.metrics.reviews_sql import list_reviews
from marketplace.web.auth import ActorRequest
from marketplace.web.guards import SALES, Role, needs
from supply.leads.lifecycle import BY_REPS, RULES, Move
from supply.leads.model import ACTIONS, TouchKind
from supply.leads.visits.model import Fix, Place


class Step(StrEnum):
    """What is done at the door."""

    CHECK_IN = "check-in"
    CHECK_OUT = "check-out"


_NOTE_MAX = 1_000
_METRES_MAX = 100_000
_DEALT_MAX = 1_000


@get(["/", "/leads.csv"])
async def home(request: ActorRequest, db: NamedDependency[Database]) -> Response[Any]:
    """Goals and their pace, and leads with stage, limit and next step."""
    me = request.user.user_id
    async with db.read(request.user.scope) as tx:
        whose = await field_queries.work_of(tx, me)
    listing = WORK.asked(request, "/field", file="/field/leads.csv", owner=whose, late_on=None)
    if listing.is_file:
        return await listing.as_file(request, db, request.user.scope)
    async with db.read(STAFF) as tx:
        goals = await field_queries.goals_of(tx, me)
        reviews = await list_reviews(tx, limit=field_queries.LISTED_MAX, owner=request.user.login)
    async with db.read(request.user.scope) as tx:
        page, listing = await field_queries.field_home(tx, goals, reviews), await listing.page(tx)
    return send(request, "field/home.html", page, "home", listing=listing)


@get(["/territory", "/territory.csv"], guards=[needs(Role.SALES_MANAGER)])
async def territory(request: ActorRequest, db: NamedDependency[Database]) -> Response[Any]:
    """The reps of a manager's territories, who is stuck, and visits to look into."""
    return await show_territory(request, db)


async def show_territory(request: ActorRequest, db: Database, refused: Refused | None = None) -> Response[Any]:
    late_on = db.clock.now().date()
    listing = WORK.asked(request, "/field/territory", owner=None, late_on=late_on)
    if listing.is_file:
        return await listing.as_file(request, db, request.user.scope)
    async with db.read(request.user.scope) as tx:
        page, listing = await field_queries.territory_page(tx, request.user.user_id), await listing.page(tx)
    return send(request, "field/territory.html", page, "territory", refused=refused, listing=listing)


@get("/leads/{lead_id:int}")
async def lead(request: ActorRequest, db: NamedDependency[Database], lead_id: PathId) -> Response[str]:
    """A lead: its way through the funnel, what was done about it, and what may be done."""
    return await show_lead(request, db, lead_id)


async def show_lead(request: ActorRequest, db: Database, lead_id: int, refused: Refused | None = None) -> Response[str]:
    async with db.read(request.user.scope) as tx:
        page = await field_queries.field_lead(tx, lead_id)
    moves = [move for move in Move if move in BY_REPS and page.lead.state in RULES[move].sources]
    kinds = [kind for kind in TouchKind if kind in ACTIONS]
    return send(request, "ops/lead.html", page, "home", refused=refused, at="/field", moves=moves, kinds=kinds)


@post("/leads/{lead_id:int}/moves")
async def make_move(request: ActorRequest, db: NamedDependency[Database], lead_id: PathId) -> Response[Any]:
    """Take a lead a step on."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        merchant = text(typed, "merchant_id", most=20)
        cmd = MoveLead(
            lead_id=lead_id, move=chosen(typed, "move", Move), reason=text(typed, "reason", most=_NOTE_MAX),
            merchant_id=number(typed, "merchant_id", least=1) if merchant else None,
        )  # fmt: skip
        await move_lead(tx, cmd, request.user.user_id)
        return done("/field" if cmd.move is Move.RELEASE else f"/field/leads/{lead_id}", "lead_moved")

    return await carry_out(request, db, work, again=lambda why: show_lead(request, db, lead_id, why))


@post("/leads/{lead_id:int}/touches")
async def make_touch(request: ActorRequest, db: NamedDependency[Database], lead_id: PathId) -> Response[Any]:
    """Note a contact."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        kind, note = chosen(typed, "kind", TouchKind), text(typed, "note", most=_NOTE_MAX)
        await touch_lead(tx, NewTouch(lead_id=lead_id, kind=kind, note=note), request.user.user_id)
        return done(f"/field/leads/{lead_id}", "contact_noted")

    return await carry_out(request, db, work, again=lambda why: show_lead(request, db, lead_id, why))


@get("/pool")
async def pool(request: ActorRequest, db: NamedDependency[Database]) -> Response[str]:
    """What waits in the pools that one may take from."""
    return await show_pool(request, db)


async def show_pool(request: ActorRequest, db: Database, refused: Refused | None = None) -> Response[str]:
    async with db.read(WORKER) as tx:
        page = await field_queries.pool_page(tx, request.user.user_id)
    may = Role.SALES_MANAGER in request.user.roles
    return send(request, "field/pool.html", page, "pool", refused=refused, may_deal=may)


@post("/pools/{pool_id:int}/claim", guards=[needs(Role.SALES_REP)])
async def claim(request: ActorRequest, db: NamedDependency[Database], pool_id: PathId) -> Response[Any]:
    """Take a lead out of a pool: the one that was pressed, or the most promising."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        wanted = number(typed, "lead_id", least=1) if typed.get("lead_id") else None
        taken = await claim_lead(tx, pool_id, request.user.user_id, wanted)
        return done(f"/field/leads/{taken.lead_id}", "lead_claimed")

    return await carry_out(request, db, work, again=lambda why: show_pool(request, db, why))


@post("/pools/{pool_id:int}/deals", guards=[needs(Role.SALES_MANAGER)])
async def deal(request: ActorRequest, db: NamedDependency[Database], pool_id: PathId) -> Response[Any]:
    """Deal leads of a territory that one manages out to its reps, one to each in turn."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        count = number(typed, "count", least=1, most=_DEALT_MAX)
        await deal_leads(tx, pool_id, count, request.user.user_id)
        return done("/field/pool", "leads_dealt")

    return await carry_out(request, db, work, again=lambda why: show_pool(request, db, why))


@get(["/visits", "/visits.csv"])
async def visits(request: ActorRequest, db: NamedDependency[Database]) -> Response[Any]:
    """Visits, planned and done."""
    return await show_visits(request, db)


async def show_visits(request: ActorRequest, db: Database, refused: Refused | None = None) -> Response[Any]:
    me = request.user.user_id
    async with db.read(request.user.scope) as tx:
        rep_id = await field_queries.work_of(tx, me)
        listing = VISITS.asked(request, "/field/visits", rep=rep_id)
        if not listing.is_file:
            listing = await listing.page(tx)
            page = await field_queries.visits_page(tx, rep_id, listing.rows)
    if listing.is_file:
        return await listing.as_file(request, db, request.user.scope)
    return send(request, "field/visits.html", page, "visits", refused=refused, listing=listing, me=me)


@post("/visits")
async def plan(request: ActorRequest, db: NamedDependency[Database]) -> Response[Any]:
    """Plan a visit to a lead of one's own, by the lead's clock."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        held = await lock_own(tx, number(typed, "lead_id", least=1), request.user.user_id)
        cmd = make_visits.PlanVisit(lead_id=held.lead_id, planned_at=instant(typed, "planned_at", held.zone))
        await make_visits.plan_visit(tx, cmd, request.user.user_id)
        return done("/field/visits", "visit_planned")

    return await carry_out(request, db, work, again=lambda why: show_visits(request, db, refused=why))


@post("/visits/{visit_id:int}/{step:str}")
async def check(
    request: ActorRequest, db: NamedDependency[Database], visit_id: PathId, step: FromPath[Step]
) -> Response[Any]:
    """At the door: check in, and when one leaves, out. A form without script has no clock but ours."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        place = Place(latitude_udeg=_degrees(typed, "latitude", 90), longitude_udeg=_degrees(typed, "longitude", 180))
        fix = Fix(at=tx.now, place=place, accuracy_m=number(typed, "accuracy", most=_METRES_MAX))
        if step is Step.CHECK_IN:
            came = make_visits.CheckIn(visit_id=visit_id, sent_at=tx.now, fix=fix)
            await make_visits.check_in(tx, came, request.user.user_id)
            return done("/field/visits", "visit_begun")
        left = make_visits.CheckOut(
            visit_id=visit_id, sent_at=tx.now, fix=fix, result=text(typed, "result", least=1, most=_NOTE_MAX),
            next_step=text(typed, "next_step", most=_NOTE_MAX),
        )  # fmt: skip
        await make_visits.check_out(tx, left, request.user.user_id)
        return done("/field/visits", "visit_done")

    return await carry_out(request, db, work, again=lambda why: show_visits(request, db, refused=why))


def _degrees(typed: Mapping[str, str], name: str, most: int) -> int:
    """Millionths of a degree. Raises Invalid."""
    value = text(typed, name, least=1, most=20).replace(",", ".")
    try:
        found = Decimal(value)
    except InvalidOperation as fault:
        raise Invalid(f"{name}: must be degrees, as 50.73743", pointer=f"/{name}") from fault
    if not found.is_finite() or abs(found) > most:
        raise Invalid(f"{name}: must be from -{most} to {most}", pointer=f"/{name}")
    return round(found * 1_000_000)


@post("/visits/{visit_id:int}/review", guards=[needs(Role.SALES_MANAGER)])
async def review(request: ActorRequest, db: NamedDependency[Database], visit_id: PathId) -> Response[Any]:
    """Say what an odd visit was."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        reason = text(typed, "reason", least=1, most=_NOTE_MAX)
        await make_visits.review_visit(tx, visit_id, typed.get("valid") == "yes", reason, request.user.user_id)
        return done("/field/territory", "visit_reviewed")

    return await carry_out(request, db, work, again=lambda why: show_territory(request, db, refused=why))


@get(["/commissions", "/commissions.csv"])
async def commissions(request: ActorRequest, db: NamedDependency[Database]) -> Response[Any]:
    """What was earned with each merchant, and what was taken back."""
    return await show_commissions(request, db, "/field")


async def show_commissions(request: ActorRequest, db: Database, at: str) -> Response[Any]:
    listing = EARNED.asked(request, f"{at}/commissions")
    if listing.is_file:
        return await listing.as_file(request, db, request.user.scope)
    async with db.read(request.user.scope) as tx:
        page, listing = await field_queries.earnings(tx), await listing.page(tx)
    async with db.read(STAFF) as tx:
        page = await field_queries.with_balances(tx, page)
    return send(request, "field/commissions.html", page, "commissions", listing=listing)


_HANDLERS = [
    *(home, territory, lead, make_move, make_touch, pool, claim, deal),
    *(visits, plan, check, review, commissions),
    *FAIRS,
]
PAGES = [Router("/field", route_handlers=_HANDLERS, guards=[needs(SALES)], include_in_schema=False)]
