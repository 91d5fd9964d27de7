"""Breaks on pages: what does not match, since when and who has it, and what people do about it."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from billing.breaks import store
from billing.breaks.model import Break, BreakCounts, BreakKind, BreakState, Limits, Step
from billing.matching import store as matching
from billing.matching.model import Item
from marketplace.consoles import ops_queries
from marketplace.consoles.deeds import Refused, carry_out, done, text
from marketplace.consoles.finance_lists_queries import BREAKS
from marketplace.consoles.layout import Nothing, PathId, send
from marketplace.consoles.ops_queries import Entity
from marketplace.core import policies
from marketplace.core.db import STAFF, Database, Tx
from marketplace.flows.bank import work_breaks
from marketplace.flows.bank.work_breaks import SayOfBreak
from marketplace.web.auth import ActorRequest
from marketplace.web.guards import CONTROL


class Deed(StrEnum):
    """What anybody of finance does with a break."""

    ASSIGN = "assign"
    COMMENT = "comment"
    ACCEPT = "accept"
    WRITE_OFF = "write_off"
    COME_BACK = "come_back"
    APPROVE = "approve"
    REOPEN = "reopen"


class BreaksFilter(msgspec.Struct, frozen=True, kw_only=True):
    """None is any; without a state only what is not dealt with. early: with what is not due yet."""

    kind: BreakKind | None
    state: BreakState | None
    owner: str
    early: bool


class BreaksPage(msgspec.Struct, frozen=True, kw_only=True):
    """How many breaks an entity has, and which are wanted."""

    entity: Entity
    entities: list[Entity]
    wanted: BreaksFilter
    counts: BreakCounts


class BreakPage(msgspec.Struct, frozen=True, kw_only=True):
    """A break with what it is about and what became of it.

    limits: up to how much one person writes off; own_limits: whether who looks has set them, and so does nothing alone.
    """

    one: Break
    items: list[Item]
    steps: list[Step]
    limits: Limits | None
    own_limits: bool
    zone: str


@get(["/breaks", "/breaks.csv"])
async def breaks(
    request: ActorRequest,
    db: NamedDependency[Database],
    entity: FromQuery[int | None] = None,
    kind: FromQuery[str] = "",
    now: FromQuery[str] = "",
    owner: FromQuery[str] = "",
    *,
    early: FromQuery[bool] = False,
) -> Response[Any]:
    """What does not match, by type, state and owner; what is not due yet only where it is asked for."""
    wanted = BreaksFilter(
        kind=BreakKind(kind) if kind in list(BreakKind) else None,
        state=BreakState(now) if now in list(BreakState) else None,
        owner=owner.strip().replace("\0", ""),
        early=early or kind == BreakKind.EXPECTED,
    )
    async with db.read(STAFF) as tx:
        shown = await ops_queries.get_entity(tx, entity)
        if shown is None:
            return send(request, "empty.html", Nothing(), "breaks")
        said = {
            "entity": shown.entity_id, "kind": wanted.kind, "now": wanted.state, "owner": wanted.owner,
            "early": "true" if wanted.early else "",
        }  # fmt: skip
        listing = BREAKS.asked(
            request, "/finance/breaks", said, kind=wanted.kind, state=wanted.state, owner=wanted.owner or None,
            entity=shown.entity_id, early=wanted.early, today=tx.now.date(), at=tx.now,
        )  # fmt: skip
        if not listing.is_file:
            listing = await listing.page(tx)
            counts = await store.count_breaks(tx, entity_id=shown.entity_id)
            entities = await ops_queries.list_entities(tx)
            page = BreaksPage(entity=shown, entities=entities, wanted=wanted, counts=counts)
    if listing.is_file:
        return await listing.as_file(request, db, STAFF)
    choices: dict[str, Any] = {"kinds": list(BreakKind), "states": list(BreakState)}
    return send(request, "finance/breaks.html", page, "breaks", listing=listing, **choices)


@get("/breaks/{break_id:int}")
async def break_page(request: ActorRequest, db: NamedDependency[Database], break_id: PathId) -> Response[str]:
    """One break: what it is about, what became of it, and what can be done."""
    return await show_break(request, db, break_id)


async def show_break(
    request: ActorRequest, db: Database, break_id: int, refused: Refused | None = None
) -> Response[str]:
    async with db.read(STAFF) as tx:
        one = await store.get_break(tx, break_id)
        entity = await ops_queries.get_entity(tx, one.entity_id)
        known = one.entity_id is not None and one.currency
        page = BreakPage(
            one=one,
            items=await matching.find_items(tx, [each for each in (one.item_id, one.other_id) if each is not None]),
            steps=await store.list_steps(tx, break_id),
            limits=await store.limits_of(tx, one.entity_id or 0, one.currency) if known else None,
            own_limits=await _own_limits(tx, one, request.user.login),
            zone=entity.zone if entity else "UTC",
        )
    more: dict[str, Any] = {"is_controller": bool(request.user.roles & CONTROL), "me": request.user.login}
    return send(request, "finance/break.html", page, "breaks", refused=refused, **more)


async def _own_limits(tx: Tx, one: Break, login: str) -> bool:
    own = await store.set_the_limits(tx, one.entity_id or 0, one.currency, login)
    return own and not await policies.is_on(tx, "single_operator")


@post("/breaks/{break_id:int}/{deed:str}")
async def do_deed(
    request: ActorRequest, db: NamedDependency[Database], break_id: PathId, deed: FromPath[Deed]
) -> Response[Any]:
    """Take a break, talk about it, accept it, write it off, tell a payout back, agree to what somebody else wants."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        if deed is Deed.ASSIGN:
            await work_breaks.assign(tx, break_id, text(typed, "owner", most=200))
            return done(f"/finance/breaks/{break_id}", "break_assign")
        said = SayOfBreak(
            break_id=break_id,
            words=text(typed, "words", least=0 if deed in {Deed.APPROVE, Deed.REOPEN} else 1, most=500),
            evidence=text(typed, "evidence", most=200),
            is_controller=bool(request.user.roles & CONTROL),
        )
        did: str = deed
        match deed:
            case Deed.COMMENT:
                await work_breaks.comment(tx, said)
            case Deed.ACCEPT:
                await work_breaks.accept(tx, said)
            case Deed.WRITE_OFF:
                after = await work_breaks.write_off(tx, said)
                did = "write_off" if after.state is BreakState.WRITTEN_OFF else "ask_write_off"
            case Deed.COME_BACK:
                await work_breaks.take_payout_back(tx, said)
            case Deed.APPROVE:
                await work_breaks.approve_break(tx, said)
            case Deed.REOPEN:
                await work_breaks.reopen_break(tx, said)
        return done(f"/finance/breaks/{break_id}", f"break_{did}")

    return await carry_out(request, db, work, again=lambda why: show_break(request, db, break_id, why))


PAGES = [breaks, break_page, do_deed]
