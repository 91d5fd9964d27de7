"""Figures, the tree that drives them and why they moved, and the bounds that they are held against."""

from datetime import date
from typing import Annotated

import msgspec
from litestar import Response, get, patch, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromQuery, JSONBody, PathParameter, QueryParameter

from marketplace.core.db import Database, Tx
from marketplace.core.money import AMOUNT_MAX
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.flows.steering.show_metrics import AskMetrics, Figure, MetricFigures, Tree, show_metrics, show_tree
from marketplace.flows.steering.watch_metrics import SetAlert, revise_alert, set_alert
from marketplace.metrics import alerts_sql
from marketplace.metrics.alerts_sql import AlertEvent, AlertRule
from marketplace.metrics.definitions import DEFINITIONS, Definition, Direction, Unit
from marketplace.metrics.drivers import NORTH_STAR
from marketplace.metrics.formulas import inputs_of
from marketplace.metrics.periods import Grain
from marketplace.metrics.watch import BoundSide, Compared
from marketplace.routes.fields import Currency, EntityId, Name, Reference
from marketplace.routes.parameters import (
    LIMIT,
    Cursor,
    Limit,
    PathId,
    QueryCurrency,
    QueryEntity,
    QueryFrom,
    QueryId,
    QueryTo,
)
from marketplace.web.auth import ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.etag import edited, tagged, versioned
from marketplace.web.guards import GROWTH, STAFF, needs
from marketplace.web.once import once
from marketplace.web.openapi import ALSO, ONCE

_NAME = "^[a-z][a-z0-9_]{0,49}$"
_ALERT = "/alerts/{rule_id:int}"
_EVENTS_MAX = 100

MetricName = Annotated[str, msgspec.Meta(pattern=_NAME, description="A metric, such as `aov`.")]
PathMetric = Annotated[str, PathParameter(pattern=_NAME, description="A metric, such as `aov`.")]
Root = Annotated[str, QueryParameter(pattern=_NAME, description="The figure at the top.")]
AgainstFrom = Annotated[date | None, QueryParameter(description="The first day of what it is compared with.")]
AgainstTo = Annotated[date | None, QueryParameter(description="The day after its last one.")]
Bound = Annotated[int, msgspec.Meta(ge=-AMOUNT_MAX, le=AMOUNT_MAX)]


class MetricDescription(msgspec.Struct, frozen=True, kw_only=True):
    """A definition. inputs: what it is made of."""

    name: str
    version_no: int
    unit: Unit
    direction: Direction
    additive: bool
    basis: str
    inputs: list[str]


class AlertBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """bound raises it, clear_bound clears it: in whole units of the metric, as `unit` in `/metrics` says, or, of a
    change, in ppm. Money is in minor units (12000 is 120.00 EUR), a ratio in ppm (50000 is 5 %), counts as they are.

    guards: the metric whose rise must not be bought with this one. owner: the login of who answers for it.
    """

    name: Name
    metric: MetricName
    grain: Grain
    compared: Compared
    side: BoundSide
    bound: Bound
    clear_bound: Bound
    owner: Reference
    guards: MetricName | None = None
    entity_id: EntityId | None = None
    currency: Currency | None = None


class AlertChanges(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """null leaves a field as it is."""

    bound: Bound | None = None
    clear_bound: Bound | None = None
    active: bool | None = None


class AlertShown(msgspec.Struct, frozen=True, kw_only=True):
    """A rule, and what it has raised and cleared, the newest first."""

    rule: AlertRule
    events: list[AlertEvent]


def _described(known: Definition) -> MetricDescription:
    return MetricDescription(
        name=known.name, version_no=known.version_no, unit=known.unit, direction=known.direction,
        additive=known.additive, basis=known.basis, inputs=sorted(inputs_of(known.formula)),
    )  # fmt: skip


@get("/metrics", guards=[needs(STAFF)])
async def list_metrics() -> list[MetricDescription]:
    """What every figure means."""
    return [_described(known) for known in DEFINITIONS.values()]


async def asked(
    from_on: QueryFrom = None,
    to_on: QueryTo = None,
    against_from: AgainstFrom = None,
    against_to: AgainstTo = None,
    entity_id: QueryEntity = None,
    currency: QueryCurrency = None,
) -> AskMetrics:
    """What figures are asked for of: the last whole week of the first entity, unless it is said otherwise."""
    return AskMetrics(
        from_on=from_on, to_on=to_on, against_from=against_from, against_to=against_to, entity_id=entity_id,
        currency=currency,
    )  # fmt: skip


_ASKED = {"asked": Provide(asked)}


@get("/metrics/figures", guards=[needs(STAFF)], opt={ALSO: (404,)}, dependencies=_ASKED)
async def get_figures(
    request: ActorRequest, db: NamedDependency[Database], asked: NamedDependency[AskMetrics]
) -> MetricFigures:
    """Every figure of a period, and of the one before."""
    async with db.read(request.user.scope) as tx:
        return await show_metrics(tx, asked)


@get("/metrics/explain", guards=[needs(STAFF)], opt={ALSO: (404,)}, dependencies=_ASKED)
async def explain_metric(
    request: ActorRequest,
    db: NamedDependency[Database],
    asked: NamedDependency[AskMetrics],
    metric: Root = NORTH_STAR,
) -> Tree:
    """The North Star, or another figure, with all that drives it; why it moved: their parts sum to its change."""
    async with db.read(request.user.scope) as tx:
        return await show_tree(tx, asked, metric)


@get("/metrics/{metric:str}", guards=[needs(STAFF)], dependencies=_ASKED)
async def get_metric(
    request: ActorRequest,
    db: NamedDependency[Database],
    asked: NamedDependency[AskMetrics],
    metric: PathMetric,
    merchant_id: QueryId = None,
    channel_id: QueryId = None,
    territory_id: QueryId = None,
    rep_id: QueryId = None,
) -> Figure:
    """A figure of a period: as it is, as it was before, and as it was first reported."""
    cmd = msgspec.structs.replace(
        asked, merchant_id=merchant_id, channel_id=channel_id, territory_id=territory_id, rep_id=rep_id
    )
    async with db.read(request.user.scope) as tx:
        found = await show_metrics(tx, cmd, [metric])
    return found.figures[0]


@get("/alerts", guards=[needs(STAFF)])
async def list_alerts(
    request: ActorRequest,
    db: NamedDependency[Database],
    raised: FromQuery[bool | None] = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[AlertRule]:
    """The bounds that figures are held against; those that stand, or do not."""
    (after,) = decode_cursor(cursor, tuple[int]) or (0,)
    async with db.read(request.user.scope) as tx:
        rows = await alerts_sql.list_rules(tx, limit=limit + 1, after=after, raised=raised)
    return page(rows, limit, lambda row: row, lambda row: (row.rule_id,))


@post("/alerts", dto=StrictBody[AlertBody], guards=[needs(GROWTH)], opt=ONCE)
async def create_alert(
    request: ActorRequest, db: NamedDependency[Database], data: JSONBody[AlertBody]
) -> Response[AlertRule]:
    """Hold a figure of each day, week or month against bounds, once it is over."""
    return await once(request, db, set_alert, SetAlert(**msgspec.structs.asdict(data)))


@get(_ALERT, guards=[needs(STAFF)])
async def get_alert(request: ActorRequest, db: NamedDependency[Database], rule_id: PathId) -> Response[AlertShown]:
    """One of them, with what it has raised and cleared."""
    async with db.read(request.user.scope) as tx:
        rule = await alerts_sql.get_rule(tx, rule_id)
        events = await alerts_sql.list_events(tx, rule_id, _EVENTS_MAX)
    return tagged(AlertShown(rule=rule, events=events), rule.version)


@patch(_ALERT, dto=StrictBody[AlertChanges], guards=[needs(GROWTH)], opt=versioned())
async def change_alert(
    request: ActorRequest, db: NamedDependency[Database], rule_id: PathId, data: JSONBody[AlertChanges]
) -> Response[AlertRule]:
    """Other bounds, or look at it no more."""

    async def change(tx: Tx, held: AlertRule) -> AlertRule:
        return await revise_alert(tx, held, **msgspec.structs.asdict(data))

    return await edited(request, db, lambda tx: alerts_sql.get_rule(tx, rule_id, lock=True), change)


HANDLERS = [
    list_metrics,
    get_figures,
    explain_metric,
    get_metric,
    list_alerts,
    create_alert,
    get_alert,
    change_alert,
]
