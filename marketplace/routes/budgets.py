"""What may be given under campaigns and promotions, and where that stands. More is added by `incentive-changes`."""

from typing import Annotated

import msgspec
from litestar import get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from incentives.budgets import store
from incentives.budgets.model import Budget, Owner
from incentives.budgets.store import Standing
from marketplace.core.db import Database
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.routes.parameters import LIMIT, Cursor, Limit, PathId, QueryId
from marketplace.web.auth import ActorRequest
from marketplace.web.guards import STAFF, needs

OfOwner = Annotated[Owner | None, QueryParameter(name="owner")]


class BudgetStanding(msgspec.Struct, frozen=True, kw_only=True):
    """A budget with where it stands, a day's budget on each of its days, the newest first."""

    budget: Budget
    periods: list[Standing]


@get("/budgets", guards=[needs(STAFF)])
async def list_budgets(
    request: ActorRequest,
    db: NamedDependency[Database],
    owner: OfOwner = None,
    owner_id: QueryId = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[Budget]:
    """Budgets, the newest first."""
    (before,) = decode_cursor(cursor, tuple[int]) or (None,)
    async with db.read(request.user.scope) as tx:
        rows = await store.list_budgets(tx, owner=owner, owner_id=owner_id, limit=limit + 1, before=before)
    return page(rows, limit, lambda row: row, lambda row: (row.budget_id,))


@get("/budgets/{budget_id:int}", guards=[needs(STAFF)])
async def get_budget(request: ActorRequest, db: NamedDependency[Database], budget_id: PathId) -> BudgetStanding:
    """One budget: its limit, what is reserved and spent of it, and what is left."""
    async with db.read(request.user.scope) as tx:
        found = await store.get_budget(tx, budget_id)
        return BudgetStanding(budget=found, periods=await store.standings(tx, [budget_id]))


HANDLERS = [list_budgets, get_budget]
