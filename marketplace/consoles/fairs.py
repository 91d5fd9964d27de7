"""The pages of conferences and trade fairs: the house's with registrations and deals, a rep's with whom it met."""

from collections.abc import Mapping
from datetime import date
from functools import partial
from typing import Any

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery

from marketplace.consoles import fairs_queries as queries
from marketplace.consoles.deeds import Refused, amount, carry_out, chosen, day_needed, done, number, text
from marketplace.consoles.layout import Nothing, PathId, send
from marketplace.consoles.ops_queries import get_entity
from marketplace.core.db import STAFF, Database, Tx
from marketplace.core.errors import Invalid, NotFound
from marketplace.core.money import AMOUNT_MAX
from marketplace.core.paging import decode_cursor, encode_cursor
from marketplace.flows.acquisition import attend_fairs as flow
from marketplace.web.auth import ActorRequest
from marketplace.web.files import csv_file
from marketplace.web.guards import GROWTH, Role, needs
from marketplace.web.i18n import speech
from supply.leads.events.model import FairKind, TaskState
from supply.leads.model import CostKind

_LINE_MAX, _NOTE_MAX, _DAYS_MAX = 200, 1_000, 90
_DEVICE = "page"
"""What is told on a page has no device of its own: the same badge is met once all the same."""
_CODE_MAX = 40


_EXPORTED_MAX = 20_000
"""Attendees of one file."""


@get("/fairs")
async def fairs(
    request: ActorRequest, db: NamedDependency[Database], before: FromQuery[str | None] = None
) -> Response[str]:
    """Fairs, the latest first."""
    return await show_fairs(request, db, before)


async def show_fairs(
    request: ActorRequest, db: Database, before: str | None = None, refused: Refused | None = None
) -> Response[str]:
    async with db.read(STAFF) as tx:
        page = await queries.fairs_page(tx, decode_cursor(before, tuple[date, int]))
    cursor = encode_cursor(page.older) if page.older else None
    return send(
        request, "ops/fairs.html", page, "fairs", refused=refused, cursor=cursor, kinds=list(FairKind), at="/ops"
    )


@post("/fairs", guards=[needs(GROWTH)])
async def make_fair(request: ActorRequest, db: NamedDependency[Database]) -> Response[Any]:
    """Go to a fair."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        cmd = flow.NewFair(
            code=_code(text(typed, "code", least=1, most=_CODE_MAX)), name=text(typed, "name", least=1, most=_LINE_MAX),
            kind=chosen(typed, "kind", FairKind), starts_on=day_needed(typed, "starts_on"),
            ends_on=day_needed(typed, "ends_on"), place=text(typed, "place", most=_LINE_MAX),
            channel=text(typed, "channel", least=1, most=_LINE_MAX), zone=text(typed, "zone", least=1, most=_LINE_MAX),
            follow_up_days=number(typed, "follow_up_days", most=_DAYS_MAX),
        )  # fmt: skip
        made = await flow.make_fair(tx, cmd)
        return done(f"/ops/fairs/{made.fair_id}", "fair_made")

    return await carry_out(request, db, work, again=lambda why: show_fairs(request, db, refused=why))


def _code(code: str) -> str:
    """The campaign of a fair's costs and touches. Raises Invalid."""
    if not (code.isascii() and code.replace("_", "a").isalnum() and code[0].isalpha() and code == code.lower()):
        raise Invalid("code: must be small letters, digits and _, a letter first", pointer="/code")
    return code


@get("/fairs/{fair_id:int}")
async def fair(
    request: ActorRequest, db: NamedDependency[Database], fair_id: PathId, after: FromQuery[str | None] = None
) -> Response[str]:
    """A fair: what it cost and brought, and who is registered or was met."""
    return await show_fair(request, db, fair_id, after=after)


async def show_fair(
    request: ActorRequest, db: Database, fair_id: int, refused: Refused | None = None, after: str | None = None
) -> Response[str]:
    (behind,) = decode_cursor(after, tuple[int]) or (0,)
    async with db.read(STAFF) as tx:
        if (entity := await get_entity(tx, None)) is None:
            return send(request, "empty.html", Nothing(), "fairs")
        page = await queries.fair_page(tx, entity, fair_id, behind)
    cursor = encode_cursor((page.older,)) if page.older else None
    return send(request, "ops/fair.html", page, "fairs", refused=refused, cursor=cursor, kinds=list(CostKind))


@get("/fairs/{fair_id:int}/attendees.csv")
async def attendees_file(request: ActorRequest, db: NamedDependency[Database], fair_id: PathId) -> Response[str]:
    """Everybody who is registered or was met, as a file."""
    async with db.read(STAFF) as tx:
        if (entity := await get_entity(tx, None)) is None:
            raise NotFound("there is no legal entity yet")
        page = await queries.fair_page(tx, entity, fair_id, 0, _EXPORTED_MAX)
    if page.older is not None:
        raise Invalid(f"there are more than {_EXPORTED_MAX} attendees: page through them over the API")
    say = speech(request.user.locale)
    names = ("badge", "company", "contact", "phone", "email", "city", "region", "segment", "met_at", "met_by", "note")
    return csv_file(
        f"{page.report.fair.code}-attendees",
        [say.label("attendee", name) for name in names],
        (
            (
                *(each.badge, each.company, each.contact, each.phone, each.email, each.city, each.region),
                *(each.segment, each.scanned_at.isoformat() if each.scanned_at else None),
                *(page.people.get(each.scanned_by or 0), each.note),
            )
            for each in page.attendees
        ),
    )


@post("/fairs/{fair_id:int}/attendees", guards=[needs(GROWTH)])
async def register(request: ActorRequest, db: NamedDependency[Database], fair_id: PathId) -> Response[Any]:
    """Register somebody; a badge is registered once."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        optional = ("contact", "phone", "email", "city", "region", "segment")
        who = flow.NewAttendee(
            badge=text(typed, "badge", least=1, most=_LINE_MAX),
            company=text(typed, "company", least=1, most=_LINE_MAX),
            **{name: text(typed, name, most=_LINE_MAX) for name in optional},
        )  # fmt: skip
        if not await flow.register(tx, fair_id, [who]):
            raise Invalid("badge: is registered already", pointer="/badge")
        return done(f"/ops/fairs/{fair_id}", "attendee_registered")

    return await carry_out(request, db, work, again=partial(show_fair, request, db, fair_id))


@post("/fairs/{fair_id:int}/costs", guards=[needs(GROWTH)])
async def book_cost(request: ActorRequest, db: NamedDependency[Database], fair_id: PathId) -> Response[Any]:
    """Book what a fair has cost, each entry once by its ref."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        entity = await get_entity(tx, None)
        if entity is None:
            raise Invalid("there is no legal entity yet")
        cmd = flow.NewCost(
            fair_id=fair_id, ref=text(typed, "ref", least=1, most=_LINE_MAX), kind=chosen(typed, "cost_kind", CostKind),
            spent_on=day_needed(typed, "spent_on"), currency=entity.currency,
            amount_minor=amount(typed, "amount", entity.currency, least=-AMOUNT_MAX),
        )  # fmt: skip
        await flow.add_cost(tx, cmd)
        return done(f"/ops/fairs/{fair_id}", "costs_stored")

    return await carry_out(request, db, work, again=partial(show_fair, request, db, fair_id))


@get("/fairs")
async def field_fairs(
    request: ActorRequest, db: NamedDependency[Database], before: FromQuery[str | None] = None
) -> Response[str]:
    """Fairs, the latest first, each with whom one has met there."""
    async with db.read(request.user.scope) as tx:
        page = await queries.fairs_page(tx, decode_cursor(before, tuple[date, int]))
    cursor = encode_cursor(page.older) if page.older else None
    return send(request, "ops/fairs.html", page, "fairs", cursor=cursor, kinds=[], at="/field")


@get("/fairs/{fair_id:int}")
async def field_fair(
    request: ActorRequest, db: NamedDependency[Database], fair_id: PathId, after: FromQuery[str | None] = None
) -> Response[str]:
    """A fair, and whom one has met there."""
    return await show_met(request, db, fair_id, after=after)


async def show_met(
    request: ActorRequest, db: Database, fair_id: int, refused: Refused | None = None, after: str | None = None
) -> Response[str]:
    (behind,) = decode_cursor(after, tuple[int]) or (0,)
    async with db.read(request.user.scope) as tx:
        page = await queries.met_page(tx, fair_id, behind)
    cursor = encode_cursor((page.older,)) if page.older else None
    may = Role.SALES_REP in request.user.roles
    return send(request, "field/fair.html", page, "fairs", refused=refused, cursor=cursor, may_scan=may)


@post("/fairs/{fair_id:int}/scans", guards=[needs(Role.SALES_REP)])
async def scan(request: ActorRequest, db: NamedDependency[Database], fair_id: PathId) -> Response[Any]:
    """Somebody was met, just now: a lead, with a task to follow up."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        told = {name: text(typed, name, most=_LINE_MAX) for name in ("company", "contact", "phone", "email")}
        one = flow.Scan(
            badge=text(typed, "badge", least=1, most=_LINE_MAX),
            at=tx.now,
            note=text(typed, "note", most=_NOTE_MAX),
            **told,
        )
        cmd = flow.SyncScans(fair_id=fair_id, device_id=_DEVICE, sent_at=tx.now, scans=(one,))
        [met] = await flow.sync_scans(tx, cmd, request.user.user_id)
        if met.refused:
            raise Invalid(met.refused, pointer=f"/{met.refused.partition(':')[0]}")
        if met.known:
            raise Invalid("badge: was met already", pointer="/badge")
        return done(f"/field/fairs/{fair_id}", "badge_met")

    return await carry_out(request, db, work, again=partial(show_met, request, db, fair_id))


@get("/tasks")
async def tasks(
    request: ActorRequest, db: NamedDependency[Database], after: FromQuery[str | None] = None
) -> Response[str]:
    """What is to be done about leads, what is due first first."""
    return await show_tasks(request, db, after=after)


async def show_tasks(
    request: ActorRequest, db: Database, refused: Refused | None = None, after: str | None = None
) -> Response[str]:
    async with db.read(request.user.scope) as tx:
        page = await queries.tasks_page(tx, decode_cursor(after, tuple[date, int]))
    cursor = encode_cursor(page.older) if page.older else None
    return send(request, "field/tasks.html", page, "follow_ups", refused=refused, cursor=cursor)


@post("/tasks/{task_id:int}")
async def end_task(request: ActorRequest, db: NamedDependency[Database], task_id: PathId) -> Response[Any]:
    """It is done, or not needed any more."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        state = TaskState.CANCELLED if typed.get("needed") == "no" else TaskState.DONE
        outcome = text(typed, "outcome", least=1, most=_LINE_MAX)
        await flow.end_task(tx, task_id, state, outcome, request.user.user_id)
        return done("/field/tasks", "task_ended")

    return await carry_out(request, db, work, again=partial(show_tasks, request, db))


PAGES = [fairs, make_fair, fair, attendees_file, register, book_cost]
FIELD = [field_fairs, field_fair, scan, tasks, end_task]
