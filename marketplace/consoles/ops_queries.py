"""What the ops console shows: the marketplace in days and merchants, and what is stuck. Sums are made in SQL."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

import msgspec

from demand.lifecycle import UNDELIVERED
from demand.model import OrderState
from marketplace.consoles.figures import Change, Days, weeks_to
from marketplace.consoles.lists import Column, Kind, Roll, Shown
from marketplace.core.clock import local_date
from marketplace.core.db import Tx
from marketplace.core.errors import NotFound
from marketplace.core.rates import divide_half_even

TREND_WEEKS = 12
WINDOW_WEEKS = 4
MOVERS_MAX = 5
REASONS_MAX = 6
IMPORTS_MAX = 4


class Entity(msgspec.Struct, frozen=True):
    """A legal entity: figures are of one entity, because currencies are not added up."""

    entity_id: int
    name: str
    currency: str
    zone: str
    closed_through: date | None


class DayFigures(msgspec.Struct, frozen=True):
    """Orders purchased on a day and their goods (GMV placed: before discounts, without freight)."""

    on: date
    orders: int
    goods_minor: int


class Mover(msgspec.Struct, frozen=True):
    """A merchant's GMV in the window and in the one before."""

    merchant_id: int
    name: str
    city: str
    region: str
    orders: int
    goods: Change


class Parked(msgspec.Struct, frozen=True):
    """Orders that settlement had to leave, by reason."""

    reason: str
    orders: int
    goods_minor: int


class Import(msgspec.Struct, frozen=True):
    """A load of outside data; `counts` are what it brought, by name."""

    source: str
    counts: dict[str, int]
    imported_at: datetime
    imported_by: str


class Waiting(msgspec.Struct, frozen=True):
    """Orders that wait for something: how many, and their goods."""

    orders: int
    goods_minor: int


class OpsHome(msgspec.Struct, frozen=True):
    entity: Entity
    entities: Sequence[Entity]
    on: date
    is_today: bool
    days: Days
    goods: Change
    orders: Change
    active: Change
    live_merchants: int
    trend: Sequence[DayFigures]
    risers: Sequence[Mover]
    fallers: Sequence[Mover]
    unpaid: Waiting
    undelivered: Waiting
    undelivered_by_state: Sequence[tuple[str, int]]
    due: Waiting
    parked: Waiting
    parked_reasons: Sequence[Parked]
    imports: Sequence[Import]

    @property
    def average(self) -> Change:
        """GMV per order."""
        return Change(
            *(
                divide_half_even(goods, orders) if orders else 0
                for goods, orders in ((self.goods.now, self.orders.now), (self.goods.earlier, self.orders.earlier))
            )
        )


class MerchantsPage(msgspec.Struct, frozen=True):
    """Whose merchants are listed, by what they did on which days."""

    entity: Entity
    on: date
    days: Days

    @property
    def bound(self) -> dict[str, Any]:
        """What the list binds."""
        return _stretch(self.entity, self.days)


class ParkedPage(msgspec.Struct, frozen=True):
    """How many orders are parked."""

    entity: Entity
    total: Waiting


async def list_entities(tx: Tx) -> list[Entity]:
    rows = await tx.rows(
        "SELECT entity_id, name, currency, zone, closed_through FROM billing.entity ORDER BY entity_id"
    )
    return [Entity(*row) for row in rows]


async def get_entity(tx: Tx, entity_id: int | None) -> Entity | None:
    """The entity asked for, or the first one; None when there is none yet. Raises NotFound for an unknown id."""
    entities = await list_entities(tx)
    if entity_id is None:
        return entities[0] if entities else None
    found = [entity for entity in entities if entity.entity_id == entity_id]
    if not found:
        raise NotFound(f"there is no legal entity {entity_id}")
    return found[0]


async def day_shown(tx: Tx, entity: Entity, wished: date | None) -> date:
    """The day a page is about: the one wished for, else today, else the newest with orders, if a week has had none."""
    if wished:
        return wished
    today = local_date(tx.now, entity.zone)
    newest: date | None = await tx.scalar(_NEWEST_DAY, entity=entity.entity_id)
    return today if newest is None or newest > today - timedelta(days=7) else newest


async def home(tx: Tx, entity: Entity, wished: date | None) -> OpsHome:
    on = await day_shown(tx, entity, wished)
    days = weeks_to(on, WINDOW_WEEKS)
    stretch = _stretch(entity, days)
    sums = await tx.row(_SUMS, **stretch)
    states = {row.state: Waiting(row.orders, int(row.goods_minor)) for row in await tx.rows(_STATES, **_of(entity))}
    ahead = {state.value: states[state] for state in UNDELIVERED if state in states}
    movers = await tx.rows(_MOVERS, **stretch)
    due = await tx.row(_DUE, **_of(entity))
    parked = await tx.row(_PARKED_TOTAL, **_of(entity))
    assert sums is not None
    assert due is not None
    assert parked is not None
    trend = weeks_to(on, TREND_WEEKS)
    by_day = await tx.rows(_DAYS, **_of(entity), first=trend.first, last=trend.last)
    return OpsHome(
        entity=entity,
        entities=await list_entities(tx),
        on=on,
        is_today=on == local_date(tx.now, entity.zone),
        days=days,
        goods=Change(int(sums.goods_minor), int(sums.earlier_minor)),
        orders=Change(int(sums.orders), int(sums.earlier_orders)),
        active=Change(movers[0].active_now, movers[0].active_earlier),
        live_merchants=await tx.scalar(_LIVE, entity=entity.entity_id),
        trend=_every_day(trend, by_day),
        risers=[_mover(row) for row in movers if row.rises is True],
        fallers=[_mover(row) for row in movers if row.rises is False],
        unpaid=states.get("placed", Waiting(0, 0)),
        undelivered=Waiting(sum(one.orders for one in ahead.values()), sum(one.goods_minor for one in ahead.values())),
        undelivered_by_state=[(state, one.orders) for state, one in ahead.items()],
        due=Waiting(due.orders, int(due.goods_minor)),
        parked=Waiting(parked.orders, int(parked.goods_minor)),
        parked_reasons=[
            Parked(row.reason, row.orders, int(row.goods_minor))
            for row in await tx.rows(_PARKED_REASONS, **_of(entity), limit=REASONS_MAX)
        ],
        imports=[
            Import(row.source, _counts(row.summary), row.imported_at, row.imported_by)
            for row in await tx.rows(_IMPORTS, limit=IMPORTS_MAX)
        ],
    )


async def merchants_page(tx: Tx, entity: Entity, wished: date | None) -> MerchantsPage:
    on = await day_shown(tx, entity, wished)
    return MerchantsPage(entity, on, weeks_to(on, WINDOW_WEEKS))


async def parked_total(tx: Tx, entity: Entity) -> Waiting:
    total = await tx.row(_PARKED_TOTAL, **_of(entity))
    assert total is not None
    return Waiting(total.orders, int(total.goods_minor))


def _of(entity: Entity) -> dict[str, Any]:
    return {"entity": entity.entity_id, "currency": entity.currency}


def _stretch(entity: Entity, days: Days) -> dict[str, Any]:
    return _of(entity) | {"first": days.first, "last": days.last, "earlier_first": days.earlier_first}


def _counts(summary: str) -> dict[str, int]:
    """What an import's summary counts; sums of money are left out, they have pages of their own."""
    counted: dict[str, Any] = msgspec.json.decode(summary)
    return {name: value for name, value in counted.items() if isinstance(value, int) and not name.endswith("_minor")}


def _mover(row: Any) -> Mover:
    goods = Change(int(row.goods_minor), int(row.earlier_minor))
    return Mover(row.merchant_id, row.name, row.city, row.region, int(row.orders), goods)


def _every_day(days: Days, rows: Sequence[Any]) -> list[DayFigures]:
    by_day = {row.day: DayFigures(row.day, row.placed, row.placed_goods_minor) for row in rows}
    every = (days.first + timedelta(days=number) for number in range(days.count))
    return [by_day.get(on, DayFigures(on, 0, 0)) for on in every]


_OF_ENTITY = "o.entity_id = :entity AND o.currency = :currency"

# What was placed by day is read from the roll-ups of steering, which are minutes behind: so a page costs what its days
# cost, however many orders there are.
_NEWEST_DAY = "SELECT max(day) FROM metrics.market_day WHERE entity_id = :entity AND placed > 0"
_SUMS = f"""
SELECT coalesce(sum(placed) FILTER (WHERE day >= :first), 0) AS orders,
       coalesce(sum(placed_goods_minor) FILTER (WHERE day >= :first), 0) AS goods_minor,
       coalesce(sum(placed) FILTER (WHERE day < :first), 0) AS earlier_orders,
       coalesce(sum(placed_goods_minor) FILTER (WHERE day < :first), 0) AS earlier_minor
FROM metrics.market_day o WHERE {_OF_ENTITY} AND day BETWEEN :earlier_first AND :last
"""
_DAYS = f"""
SELECT day, placed, placed_goods_minor
FROM metrics.market_day o WHERE {_OF_ENTITY} AND day BETWEEN :first AND :last
"""
_AHEAD = ", ".join(f"'{state}'" for state in (OrderState.PLACED, *UNDELIVERED))
_STATES = f"""
SELECT state, count(*) AS orders, sum(goods_minor) AS goods_minor
FROM demand.merchant_order o WHERE {_OF_ENTITY} AND state IN ({_AHEAD}) GROUP BY state
"""

_LIVE = "SELECT count(*) FROM supply.merchant WHERE entity_id = :entity AND state = 'live'"
# Active: at least one order of the window was completed, that is delivered.
_BY_MERCHANT = f"""
SELECT merchant_id, coalesce(sum(placed) FILTER (WHERE day >= :first), 0) AS orders,
       coalesce(sum(placed_goods_minor) FILTER (WHERE day >= :first), 0) AS goods_minor,
       coalesce(sum(placed_goods_minor) FILTER (WHERE day < :first), 0) AS earlier_minor,
       coalesce(sum(placed_completed) FILTER (WHERE day >= :first), 0) > 0 AS active,
       coalesce(sum(placed_completed) FILTER (WHERE day < :first), 0) > 0 AS was_active
FROM metrics.order_day o WHERE {_OF_ENTITY} AND day BETWEEN :earlier_first AND :last
GROUP BY merchant_id
"""
_MOVERS = f"""
WITH figures AS MATERIALIZED ({_BY_MERCHANT}),
movers AS (
    (SELECT true AS rises, * FROM figures WHERE goods_minor > earlier_minor
     ORDER BY goods_minor - earlier_minor DESC, merchant_id LIMIT {MOVERS_MAX})
    UNION ALL
    (SELECT false, * FROM figures WHERE goods_minor < earlier_minor
     ORDER BY goods_minor - earlier_minor, merchant_id LIMIT {MOVERS_MAX})
)
SELECT a.active_now, a.active_earlier, v.rises, m.merchant_id, m.name, m.city, m.region, v.orders, v.goods_minor,
       v.earlier_minor
FROM (SELECT count(*) FILTER (WHERE active) AS active_now, count(*) FILTER (WHERE was_active) AS active_earlier
      FROM figures) AS a
LEFT JOIN movers v ON true
LEFT JOIN supply.merchant m ON m.merchant_id = v.merchant_id
ORDER BY v.rises, abs(v.goods_minor - v.earlier_minor) DESC, m.merchant_id
"""
MERCHANTS = Roll(
    name="merchants",
    first="-goods",
    key=("merchant_id",),
    columns=(
        Column("name", "col.merchant"),
        Column("city", "col.place"),
        Column("currency", "col.currency", by="", shown=Shown.IN_FILES),
        Column("orders", "kpi.orders", Kind.NUMBER),
        Column("goods_minor", "kpi.gmv", Kind.MONEY),
        Column("earlier_minor", "col.before", Kind.MONEY),
        Column("change_minor", "col.change", Kind.MONEY),
    ),
    query=f"""
SELECT m.merchant_id, m.name, m.city, m.region, coalesce(figures.orders, 0)::bigint AS orders,
       coalesce(figures.goods_minor, 0)::bigint AS goods_minor,
       coalesce(figures.earlier_minor, 0)::bigint AS earlier_minor,
       (coalesce(figures.goods_minor, 0) - coalesce(figures.earlier_minor, 0))::bigint AS change_minor,
       CAST(:currency AS text) AS currency
FROM supply.merchant m LEFT JOIN ({_BY_MERCHANT}) AS figures ON figures.merchant_id = m.merchant_id
WHERE m.entity_id = :entity
""",
    read=_mover,
)
"""Merchants by what they did in the window and in the one before."""

_DUE = f"""
SELECT count(*) AS orders, coalesce(sum(o.goods_minor), 0) AS goods_minor
FROM (SELECT DISTINCT merchant_id, order_id FROM demand.order_due) AS d
JOIN demand.merchant_order o ON o.merchant_id = d.merchant_id AND o.order_id = d.order_id
LEFT JOIN billing.parked_order p ON p.merchant_id = d.merchant_id AND p.order_id = d.order_id
WHERE p.order_id IS NULL AND {_OF_ENTITY}
"""
_PARKED_ORDERS = f"""
billing.parked_order p JOIN demand.merchant_order o ON o.merchant_id = p.merchant_id AND o.order_id = p.order_id
WHERE {_OF_ENTITY}
"""
_PARKED_TOTAL = f"SELECT count(*) AS orders, coalesce(sum(o.goods_minor), 0) AS goods_minor FROM {_PARKED_ORDERS}"
_PARKED_REASONS = f"""
SELECT p.reason, count(*) AS orders, sum(o.goods_minor) AS goods_minor FROM {_PARKED_ORDERS}
GROUP BY p.reason ORDER BY count(*) DESC, p.reason LIMIT :limit
"""
PARKED = Roll(
    name="parked",
    first="-parked_at",
    key=("merchant_id", "order_id"),
    columns=(
        Column("order_ref", "col.order"),
        Column("merchant_name", "col.merchant"),
        Column("reason", "col.reason"),
        Column("currency", "col.currency", by="", shown=Shown.IN_FILES),
        Column("goods_minor", "col.goods", Kind.MONEY),
        Column("parked_at", "col.since", Kind.INSTANT),
    ),
    query=f"""
SELECT p.merchant_id, m.name AS merchant_name, p.order_id, p.order_ref, p.reason, p.parked_at, o.currency, o.goods_minor
FROM supply.merchant m, {_PARKED_ORDERS} AND m.merchant_id = p.merchant_id
""",
)
_IMPORTS = """
SELECT source, summary, imported_at, imported_by FROM billing.data_import ORDER BY imported_at DESC LIMIT :limit
"""
