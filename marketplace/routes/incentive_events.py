"""What promotions would say to an event, without any trace; and events that are no orders, as they are reported."""

from typing import Annotated

import msgspec
from litestar import Response, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from incentives.rules.events import Line
from marketplace.core.db import STAFF, Database
from marketplace.flows.promotions.explain_event import Explained, Trial, explain_event
from marketplace.flows.promotions.tell_events import (
    ReportedEvent,
    TakenBack,
    TellEvent,
    tell_event,
    untell_event,
)
from marketplace.routes.fields import BuyerId, Currency, Id, Label, Minor, Name, Past, Positive, PromotionCode
from marketplace.routes.parameters import PathId
from marketplace.web.auth import ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.guards import OPS, needs
from marketplace.web.once import once
from marketplace.web.openapi import ALSO, ONCE

_EVENTS = "/merchants/{merchant_id:int}/incentive-events"
LINES_MAX = 200
INCLUDED_MAX = 50

Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
EventRef = Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9._-]{1,100}$", description="The reporter's own id.")]


class SupposedLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """amount_minor: of the whole quantity, before any discount."""

    amount_minor: Minor
    quantity: Count = 1
    product_id: Id | None = None
    category: Label | None = None


class SupposedEvent(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """on: `order.placed`, `order.settled`, `listing.published` or the name of another event. at: any instant, now for
    None. promotion_ids: judged besides those that are live, whatever their state, by their newest versions.
    """

    on: Name
    merchant_id: Id
    buyer_id: BuyerId | None = None
    currency: Currency
    lines: Annotated[tuple[SupposedLine, ...], msgspec.Meta(min_length=1, max_length=LINES_MAX)]
    codes: Annotated[frozenset[PromotionCode], msgspec.Meta(max_length=10)] = frozenset()
    at: Past | None = None
    promotion_ids: Annotated[tuple[Id, ...], msgspec.Meta(max_length=INCLUDED_MAX)] = ()


class NewIncentiveEvent(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """name: what promotions with a trigger of their own wait for. amount_minor, quantity: what they measure of it."""

    event_id: EventRef
    name: Name
    currency: Currency
    at: Past | None = None
    amount_minor: Positive = 1
    quantity: Count = 1


class ReversedEvent(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The event that is taken back."""

    event_id: EventRef


@post("/promotions/evaluate", dto=StrictBody[SupposedEvent], guards=[needs(OPS)], status_code=200, opt={ALSO: (404,)})
async def evaluate_event(db: NamedDependency[Database], data: JSONBody[SupposedEvent]) -> list[Explained]:
    """What each promotion would give for an event, or why it would not. It changes nothing."""
    named = {name: getattr(data, name) for name in SupposedEvent.__struct_fields__ if name != "lines"}
    lines = tuple(
        Line(line_no=number, **msgspec.structs.asdict(line)) for number, line in enumerate(data.lines, start=1)
    )
    async with db.read(STAFF) as tx:
        return await explain_event(tx, Trial(**named, lines=lines))


@post(_EVENTS, dto=StrictBody[NewIncentiveEvent], guards=[needs(OPS)], status_code=200, opt={**ONCE, ALSO: (404,)})
async def report_event(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, data: JSONBody[NewIncentiveEvent]
) -> Response[ReportedEvent]:
    """Tell of something that a merchant has done and promotions wait for; told again it gives no more."""
    cmd = TellEvent(merchant_id=merchant_id, **msgspec.structs.asdict(data))
    return await once(request, db, tell_event, cmd)


@post(f"{_EVENTS}/reverse", dto=StrictBody[ReversedEvent], guards=[needs(OPS)], status_code=200, opt=ONCE)
async def reverse_event(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, data: JSONBody[ReversedEvent]
) -> Response[TakenBack]:
    """Take an event back: what it was rewarded with is void, or taken from what the merchant is owed."""
    return await once(request, db, untell_event, merchant_id, data.event_id)


HANDLERS = [evaluate_event, report_event, reverse_event]
