"""The pages of platform operations: how the marketplace moves, and what is stuck."""

from datetime import datetime

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
from marketplace.consoles.lists_queries import EXPORTED_MAX
from marketplace.consoles.ops_queries import Entity, OpsHome
from marketplace.consoles.promotion_builder import PAGES as BUILDER
from marketplace.consoles.promotions import PAGES as PROMOTIONS
from marketplace.consoles.steering_queries import steering_page
from marketplace.consoles.tasks import PAGES as TASKS
from marketplace.consoles.territories import PAGES as TERRITORIES
from marketplace.consoles.trend import Chart, Column, bars, top
from marketplace.core.db import STAFF, Database, Tx
from marketplace.core.errors import NotFound
from marketplace.core.paging import decode_cursor, encode_cursor
from marketplace.metrics.drivers import NORTH_STAR
from marketplace.web.auth import ActorRequest
from marketplace.web.files import Amount, csv_file
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


@get("/merchants")
async def merchants(
    request: ActorRequest,
    db: NamedDependency[Database],
    on: FromQuery[str] = "",
    entity: FromQuery[int | None] = None,
    before: FromQuery[str | None] = None,
) -> Response[str]:
    """Merchants by GMV in the window."""
    key = decode_cursor(before, tuple[int, int])
    async with db.read(STAFF) as tx:
        shown = await ops_queries.get_entity(tx, entity)
        if shown is None:
            return send(request, "empty.html", Nothing(), "merchants")
        page = await ops_queries.merchants_page(tx, shown, given_day(on, "on"), key)
    older = encode_cursor(page.older) if page.older else None
    return send(request, "ops/merchants.html", page, "merchants", cursor=older)


@get("/merchants.csv")
async def merchants_file(
    request: ActorRequest,
    db: NamedDependency[Database],
    on: FromQuery[str] = "",
    entity: FromQuery[int | None] = None,
) -> Response[str]:
    """Every merchant of the list, as a file."""
    async with db.read(STAFF) as tx:
        shown = await _entity(tx, entity)
        page = await ops_queries.merchants_page(tx, shown, given_day(on, "on"), None, EXPORTED_MAX)
    say = speech(request.user.locale)
    header = [say.label("col", name) for name in ("merchant", "place", "currency")]
    header += [say.text("kpi.orders"), say.text("kpi.gmv"), say.text("col.before")]
    return csv_file(
        "merchants",
        header,
        (
            (
                *(row.name, row.city, shown.currency, row.orders),
                *(Amount.of(minor, shown.currency) for minor in (row.goods.now, row.goods.earlier)),
            )
            for row in page.rows
        ),
    )


async def _entity(tx: Tx, entity_id: int | None) -> Entity:
    """Raises NotFound."""
    shown = await ops_queries.get_entity(tx, entity_id)
    if shown is None:
        raise NotFound("there is no such legal entity")
    return shown


@get("/parked")
async def parked(
    request: ActorRequest,
    db: NamedDependency[Database],
    entity: FromQuery[int | None] = None,
    before: FromQuery[str | None] = None,
) -> Response[str]:
    """Orders that settlement had to leave, each with its reason."""
    key = decode_cursor(before, tuple[datetime, int, int])
    async with db.read(STAFF) as tx:
        shown = await ops_queries.get_entity(tx, entity)
        if shown is None:
            return send(request, "empty.html", Nothing(), "parked")
        page = await ops_queries.parked_page(tx, shown, key)
    older = encode_cursor(page.older) if page.older else None
    return send(request, "ops/parked.html", page, "parked", cursor=older)


@get("/parked.csv")
async def parked_file(
    request: ActorRequest, db: NamedDependency[Database], entity: FromQuery[int | None] = None
) -> Response[str]:
    """Every parked order, as a file."""
    async with db.read(STAFF) as tx:
        page = await ops_queries.parked_page(tx, await _entity(tx, entity), None, EXPORTED_MAX)
    say = speech(request.user.locale)
    return csv_file(
        "parked",
        [say.label("col", name) for name in ("order", "merchant", "reason", "currency", "goods", "since")],
        (
            (
                *(row.order_ref, row.merchant_name, row.reason, row.currency),
                Amount.of(row.goods_minor, row.currency),
                row.parked_at.isoformat(),
            )
            for row in page.rows
        ),
    )


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
    *(home, steering, merchants, merchants_file, parked, parked_file),
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
