"""The pages of platform operations: how the marketplace moves, and what is stuck."""

from typing import Any

from litestar import Response, Router, get
from litestar.di import NamedDependency
from litestar.params import FromQuery
from litestar.types import ControllerRouterHandler

from marketplace.consoles import ops_queries
from marketplace.consoles.academy import PAGES as ACADEMY
from marketplace.consoles.approvals import PAGES as APPROVALS
from marketplace.consoles.campaigns import PAGES as CAMPAIGNS
from marketplace.consoles.content import PAGES as CONTENT
from marketplace.consoles.economics import PAGES as ECONOMICS
from marketplace.consoles.fairs import PAGES as FAIRS
from marketplace.consoles.growth import PAGES as GROWTH
from marketplace.consoles.incentive_changes import PAGES as CHANGES
from marketplace.consoles.layout import Nothing, send
from marketplace.consoles.leads import PAGES as LEADS
from marketplace.consoles.lists import given_day
from marketplace.consoles.ops_queries import MERCHANTS, PARKED, OpsHome, ParkedPage
from marketplace.consoles.promotion_builder import PAGES as BUILDER
from marketplace.consoles.promotions import PAGES as PROMOTIONS
from marketplace.consoles.steering_queries import steering_page
from marketplace.consoles.tasks import PAGES as TASKS
from marketplace.consoles.territories import PAGES as TERRITORIES
from marketplace.consoles.trend import Chart, Column, bars, top
from marketplace.core.db import STAFF, Database
from marketplace.metrics.drivers import NORTH_STAR
from marketplace.web.auth import ActorRequest
from marketplace.web.guards import OPS, needs
from marketplace.web.i18n import Speech, speech


@get("/")
async def home(
    request: ActorRequest,
    db: NamedDependency[Database],
    on: FromQuery[str] = "",
    entity: FromQuery[int | None] = None,
) -> Response[str]:
    """GMV and orders, who is active, who moved most, and the orders that are stuck."""
    async with db.read(STAFF) as tx:
        shown = await ops_queries.get_entity(tx, entity)
        if shown is None:
            return send(request, "empty.html", Nothing(), "home")
        page = await ops_queries.home(tx, shown, given_day(on, "on"))
    chart = gmv_chart(page, speech(request.user.locale))
    return send(request, "ops/home.html", page, "home", drawn=chart)


def gmv_chart(page: OpsHome, say: Speech) -> Chart:
    """GMV by day; each column leads to the page as of its day."""
    columns = [
        Column(
            value=day.goods_minor,
            words=say.text(
                "chart.day_orders",
                day=say.day(day.on),
                sales=say.money(day.goods_minor, page.entity.currency),
                orders=say.count("count.orders", day.orders),
            ),
            href=f"/ops?entity={page.entity.entity_id}&on={day.on}",
        )
        for day in page.trend
    ]
    title = say.count("ops.home.chart", ops_queries.TREND_WEEKS)
    return Chart(bars(columns, title), top(columns), page.trend[0].on, page.trend[-1].on)


@get(["/merchants", "/merchants.csv"])
async def merchants(
    request: ActorRequest,
    db: NamedDependency[Database],
    on: FromQuery[str] = "",
    entity: FromQuery[int | None] = None,
) -> Response[Any]:
    """Merchants by GMV in the window."""
    async with db.read(STAFF) as tx:
        shown = await ops_queries.get_entity(tx, entity)
        if shown is None:
            return send(request, "empty.html", Nothing(), "merchants")
        page = await ops_queries.merchants_page(tx, shown, given_day(on, "on"))
        said = {"entity": shown.entity_id, "on": page.on}
        listing = MERCHANTS.asked(request, "/ops/merchants", said, **page.bound)
        if not listing.is_file:
            listing = await listing.page(tx)
    if listing.is_file:
        return await listing.as_file(request, db, STAFF)
    return send(request, "ops/merchants.html", page, "merchants", listing=listing)


@get(["/parked", "/parked.csv"])
async def parked(
    request: ActorRequest, db: NamedDependency[Database], entity: FromQuery[int | None] = None
) -> Response[Any]:
    """Orders that settlement had to leave, each with its reason."""
    async with db.read(STAFF) as tx:
        shown = await ops_queries.get_entity(tx, entity)
        if shown is None:
            return send(request, "empty.html", Nothing(), "parked")
        listing = PARKED.asked(
            request, "/ops/parked", {"entity": shown.entity_id}, entity=shown.entity_id, currency=shown.currency
        )
        if not listing.is_file:
            page, listing = ParkedPage(shown, await ops_queries.parked_total(tx, shown)), await listing.page(tx)
    if listing.is_file:
        return await listing.as_file(request, db, STAFF)
    return send(request, "ops/parked.html", page, "parked", listing=listing)


@get("/steering")
async def steering(
    request: ActorRequest,
    db: NamedDependency[Database],
    on: FromQuery[str] = "",
    root: FromQuery[str] = NORTH_STAR,
    entity: FromQuery[int | None] = None,
) -> Response[str]:
    """The North Star's tree of a week, why it moved, alerts that stand, and goals."""
    async with db.read(STAFF) as tx:
        shown = await ops_queries.get_entity(tx, entity)
        if shown is None:
            return send(request, "empty.html", Nothing(), "steering")
        page = await steering_page(tx, shown, given_day(on, "on"), root)
    return send(request, "ops/steering.html", page, "steering")


_HANDLERS: list[ControllerRouterHandler] = [
    *(home, steering, merchants, parked),
    *TASKS,
    *LEADS,
    *GROWTH,
    *ECONOMICS,
    *TERRITORIES,
    *FAIRS,
    *CONTENT,
    *ACADEMY,
    *CAMPAIGNS,
    *CHANGES,
    *PROMOTIONS,
    *BUILDER,
    *APPROVALS,
]
PAGES = [Router("/ops", route_handlers=_HANDLERS, guards=[needs(OPS)], include_in_schema=False)]
