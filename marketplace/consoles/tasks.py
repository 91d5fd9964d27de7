"""What the house has to do with merchants, on pages: follow-ups with an owner and a day, work, services."""

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, Literal

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter

from marketplace.consoles import ops_queries
from marketplace.consoles.deeds import Refused, carry_out, day, done, instant, number, text
from marketplace.consoles.layout import PathId, send
from marketplace.consoles.tasks_queries import TASKS, TasksPage, service_page
from marketplace.core.clock import local_date
from marketplace.core.db import STAFF, Database, Tx
from marketplace.core.errors import Invalid, NotFound
from marketplace.core.paging import decode_cursor, encode_cursor
from marketplace.flows.products import order_work
from marketplace.flows.products.note_usage import EditTask, edit_task, finish_task
from marketplace.flows.products.order_work import Appoint, FinishWork
from marketplace.web.auth import ActorRequest
from marketplace.web.etag import check_version

_TEXT_MAX = 200
_STATES = ("open", "done")
_ANY = "any"
InState = Annotated[Literal["open", "done", "any", ""], QueryParameter(name="state")]


@get(["/tasks", "/tasks.csv"])
async def tasks(
    request: ActorRequest, db: NamedDependency[Database], in_state: InState = "open", owner: FromQuery[str] = ""
) -> Response[Any]:
    """Tasks of all merchants, what is due first first."""
    return await show_tasks(request, db, in_state, owner)


async def show_tasks(
    request: ActorRequest, db: Database, in_state: str = "open", owner: str = "", refused: Refused | None = None
) -> Response[Any]:
    state, whose = None if in_state in {"", _ANY} else in_state, owner or None
    listing = TASKS.asked(request, "/ops/tasks", {"state": state or _ANY, "owner": owner}, state=state, owner=whose)
    if listing.is_file:
        return await listing.as_file(request, db, STAFF)
    async with db.read(STAFF) as tx:
        page = TasksPage(state, whose, local_date(tx.now, await _zone(tx)))
        listing = await listing.page(tx)
    return send(request, "ops/tasks.html", page, "tasks", refused=refused, listing=listing, states=_STATES)


@post("/tasks/{merchant_id:int}/{task_id:int}/{deed:str}")
async def change_task(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    task_id: PathId,
    deed: FromPath[str],
) -> Response[Any]:
    """Say what came of a task, give it to somebody else, or put it off."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        if deed == "done":
            await finish_task(tx, merchant_id, task_id, text(typed, "outcome", most=_TEXT_MAX, least=1))
        elif deed == "change":
            cmd = EditTask(
                merchant_id=merchant_id,
                task_id=task_id,
                owner=text(typed, "owner", most=_TEXT_MAX, least=1),
                due_on=day(typed, "due_on"),
            )
            await edit_task(tx, cmd, partial(check_version, number(typed, "version")))
        else:
            raise NotFound(f"nothing is called {deed} here")
        return done("/ops/tasks", f"task_{deed}")

    return await carry_out(request, db, work, again=lambda why: show_tasks(request, db, refused=why))


@get("/service")
async def service(
    request: ActorRequest, db: NamedDependency[Database], before: FromQuery[str | None] = None
) -> Response[str]:
    """Work at merchants', planned, appointed and done; and services for them."""
    return await show_service(request, db, before)


async def show_service(
    request: ActorRequest, db: Database, before: str | None = None, refused: Refused | None = None
) -> Response[str]:
    key = decode_cursor(before, tuple[int, int])
    async with db.read(STAFF) as tx:
        page = await service_page(tx, key)
        zone = await _zone(tx)
        today = local_date(tx.now, zone)
    cursor = encode_cursor(page.older) if page.older else None
    return send(request, "ops/service.html", page, "service", refused=refused, cursor=cursor, zone=zone, today=today)


@post("/service/{merchant_id:int}/{work_order_id:int}/{deed:str}")
async def change_work(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    work_order_id: PathId,
    deed: FromPath[str],
) -> Response[Any]:
    """Agree on when work is done, say what shows that it is, or call it off."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        if deed == "appoint":
            at = instant(typed, "at", await _zone(tx))
            await order_work.appoint_work(tx, Appoint(merchant_id=merchant_id, work_order_id=work_order_id, at=at))
        elif deed == "finish":
            on = day(typed, "on")
            if on is None:
                raise Invalid("on: is missing", pointer="/on")
            shown = text(typed, "evidence", most=_TEXT_MAX, least=1)
            cmd = FinishWork(merchant_id=merchant_id, work_order_id=work_order_id, on=on, evidence=shown)
            await order_work.finish_work(tx, cmd)
        elif deed == "cancel":
            await order_work.cancel_work(tx, merchant_id, work_order_id)
        else:
            raise NotFound(f"nothing is called {deed} here")
        return done("/ops/service", f"work_{deed}")

    return await carry_out(request, db, work, again=lambda why: show_service(request, db, None, why))


async def _zone(tx: Tx) -> str:
    entity = await ops_queries.get_entity(tx, None)
    return entity.zone if entity else "UTC"


PAGES = [tasks, change_task, service, change_work]
