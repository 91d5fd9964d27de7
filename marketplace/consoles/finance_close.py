"""The end of a month on a page: its checklist, what is done about a proof that fails, closing, sealing, reopening."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from billing.periods import store
from billing.periods.model import BookPeriod, Check, Seal, month_named, month_of
from billing.runs.store import has_closed
from marketplace.consoles import ops_queries
from marketplace.consoles.deeds import Refused, carry_out, done, number, text
from marketplace.consoles.layout import Nothing, send
from marketplace.consoles.ops_queries import Entity
from marketplace.core import last_checks
from marketplace.core.clock import local_date
from marketplace.core.db import STAFF, Database, Tx
from marketplace.core.last_checks import LastCheck
from marketplace.flows.books import close_period as flow
from marketplace.flows.books.close_period import ApproveBreak, Month
from marketplace.flows.proofs.check_again import last_of_period, month_over
from marketplace.web.auth import ActorRequest
from marketplace.web.guards import CONTROL, needs

MONTHS_SHOWN = 12
OPEN_SHOWN = 36


class Deed(StrEnum):
    """What anybody of finance does with a month."""

    CHECK = "check"
    SOFT_CLOSE = "soft_close"
    OPEN = "open"
    ASK_REOPENING = "ask_reopening"
    NAME_BREAK = "name_break"
    APPROVE_BREAK = "approve_break"


class Final(StrEnum):
    """What a controller does with it."""

    CLOSE = "close"
    REOPEN = "reopen"


class ClosePage(msgspec.Struct, frozen=True, kw_only=True):
    """A month with its proofs, as they were last run, and its seals, the newest that were moved, and by name the newest
    that are not closed. billed: whether a run has closed books through it.
    """

    entity: Entity
    entities: list[Entity]
    standing: BookPeriod
    billed: bool
    checked: LastCheck[list[Check]]
    seals: list[Seal]
    moved: list[BookPeriod]
    open: list[str]


@get("/close")
async def close_page(
    request: ActorRequest,
    db: NamedDependency[Database],
    entity: FromQuery[int | None] = None,
    month: FromQuery[str] = "",
) -> Response[str]:
    """A month of a legal entity, by default the one that is over last."""
    return await show_month(request, db, entity, month or None)


async def show_month(
    request: ActorRequest, db: Database, entity: int | None, month: str | None, refused: Refused | None = None
) -> Response[str]:
    async with db.read(STAFF) as tx:
        shown = await ops_queries.get_entity(tx, entity)
        if shown is None:
            return send(request, "empty.html", Nothing(), "close")
        last = month_over(local_date(tx.now, shown.zone)).name
        standing = await store.get_period(tx, shown.entity_id, month_named(month or last).from_on)
        page = ClosePage(
            entity=shown,
            entities=await ops_queries.list_entities(tx),
            standing=standing,
            billed=await has_closed(tx, shown.entity_id, standing.period.last_on),
            checked=await last_of_period(tx, standing),
            seals=await store.list_seals(tx, shown.entity_id, standing.month_on),
            moved=await store.list_periods(tx, shown.entity_id, limit=MONTHS_SHOWN),
            open=[
                month_of(on).name
                for on in await store.open_months(tx, shown.entity_id, month_named(last).from_on, limit=OPEN_SHOWN)
            ],
        )
    more: dict[str, Any] = {"may_close": bool(request.user.roles & CONTROL), "last": last}
    return send(request, "finance/close.html", page, "close", refused=refused, **more)


@post("/close/{entity:int}/{month:str}/{deed:str}")
async def do_deed(
    request: ActorRequest,
    db: NamedDependency[Database],
    entity: FromPath[int],
    month: FromPath[str],
    deed: FromPath[Deed],
) -> Response[Any]:
    """Soft-close a month or open it again, name or approve a break, or want it reopened."""
    named = Month(month=month, entity_id=entity)

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        match deed:
            case Deed.CHECK:
                await _ask(tx, entity, month)
            case Deed.SOFT_CLOSE:
                await flow.soft_close(tx, named)
                await _ask(tx, entity, month)
            case Deed.OPEN:
                await flow.open_again(tx, named)
            case Deed.ASK_REOPENING:
                await flow.ask_reopening(tx, named, text(typed, "reason", least=1, most=1_000))
            case Deed.NAME_BREAK:
                reason = text(typed, "reason", least=1, most=1_000)
                check = text(typed, "check", least=1, most=60)
                await flow.ask_break(tx, ApproveBreak(month=named, check=check, reason=reason))
            case Deed.APPROVE_BREAK:
                await flow.approve_break(tx, named, number(typed, "approval"))
        return done(f"/finance/close?entity={entity}&month={month}", f"period_{deed}")

    return await carry_out(request, db, work, again=lambda why: show_month(request, db, entity, month, why))


async def _ask(tx: Tx, entity_id: int, month: str) -> None:
    """Have a month's proofs run anew. Raises NotFound, Invalid."""
    await store.get_entity(tx, entity_id)
    period = await store.get_period(tx, entity_id, month_named(month).from_on)
    await last_checks.ask(tx, period.subject)


@post("/close/{entity:int}/{month:str}/final/{deed:str}", guards=[needs(CONTROL)])
async def do_final(
    request: ActorRequest,
    db: NamedDependency[Database],
    entity: FromPath[int],
    month: FromPath[str],
    deed: FromPath[Final],
) -> Response[Any]:
    """Close a month that somebody else has prepared, or reopen one that somebody else wants reopened."""
    named = Month(month=month, entity_id=entity)

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        del typed
        if deed is Final.CLOSE:
            await flow.close_period(tx, named)
        else:
            await flow.reopen(tx, named)
        return done(f"/finance/close?entity={entity}&month={month}", f"period_{deed}")

    return await carry_out(request, db, work, again=lambda why: show_month(request, db, entity, month, why))


PAGES = [close_page, do_deed, do_final]
