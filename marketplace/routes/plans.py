"""Plans of the tools that merchants subscribe to."""

from typing import Annotated

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from marketplace.core.db import Database
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.flows.products import subscribe_merchant as subscribing
from marketplace.flows.products.subscribe_merchant import OfferPlan
from marketplace.routes.fields import Currency, Days, Name, Positive, Ppm, Reference
from marketplace.routes.parameters import LIMIT, Cursor, Limit, PathId
from marketplace.web.auth import ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.guards import MERCHANT_BOOKS, OPS, STAFF, Role, needs
from marketplace.web.once import once
from marketplace.web.openapi import ONCE
from supply.products.subscriptions import store
from supply.products.subscriptions.model import Interval, Per, Plan, Refunds


class NewPlan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The next version of the plan of this code. Price without VAT; owner: the login that follows trials up."""

    code: Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9_]{0,39}$")]
    name: Name
    currency: Currency
    price_minor: Positive
    per: Per
    every: Interval
    trial_days: Days = 0
    vat_ppm: Ppm
    due_days: Days = 14
    refunds: Refunds = Refunds.UNUSED
    follow_up_day: Days = 0
    follow_up_uses: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 1
    owner: Reference


@get("/plans", guards=[needs(STAFF, MERCHANT_BOOKS)])
async def list_plans(
    request: ActorRequest, db: NamedDependency[Database], limit: Limit = LIMIT, cursor: Cursor = None
) -> Page[Plan]:
    """Plans, the newest first: a merchant's people see what is offered now, the house's people every version."""
    (before,) = decode_cursor(cursor, tuple[int]) or (None,)
    offered = request.user.merchant_id is not None
    async with db.read(request.user.scope) as tx:
        rows = await store.list_plans(tx, limit=limit + 1, before=before, offered=offered)
    return page(rows, limit, lambda row: row, lambda row: (row.plan_id,))


@post("/plans", dto=StrictBody[NewPlan], guards=[needs(OPS, Role.CONTROLLER)], status_code=201, opt=ONCE)
async def create_plan(request: ActorRequest, db: NamedDependency[Database], data: JSONBody[NewPlan]) -> Response[Plan]:
    """Offer a plan, or the next version of one. Who has a version keeps it."""
    return await once(request, db, subscribing.offer_plan, OfferPlan(**msgspec.structs.asdict(data)))


@post("/plans/{plan_id:int}/withdraw", guards=[needs(OPS, Role.CONTROLLER)], status_code=200, opt=ONCE)
async def withdraw_plan(request: ActorRequest, db: NamedDependency[Database], plan_id: PathId) -> Response[Plan]:
    """Offer a plan to nobody any more."""
    return await once(request, db, subscribing.withdraw_plan, plan_id)


HANDLERS = [list_plans, create_plan, withdraw_plan]
