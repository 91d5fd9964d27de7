"""What the figures are, what they were, and why they moved."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from fractions import Fraction

import msgspec

from marketplace.core.clock import local_date
from marketplace.core.db import Tx
from marketplace.core.errors import Invalid, NotFound
from marketplace.core.money import check_currency
from marketplace.flows.steering.measure_inputs import read_inputs
from marketplace.flows.steering.measure_sales_sql import QUALIFIES_WITHIN
from marketplace.flows.steering.measure_trade_sql import CLICK_COUNTS
from marketplace.flows.steering.roll_metrics_sql import RETAINED_DAYS
from marketplace.metrics import reports_sql
from marketplace.metrics.contributions import Op, explain
from marketplace.metrics.definitions import DEFINITIONS, STILL_OPEN, Definition, Direction, Unit, definition
from marketplace.metrics.drivers import DRIVERS, NORTH_STAR, names_below
from marketplace.metrics.formulas import Number, evaluate, inputs_of
from marketplace.metrics.inputs_sql import ACTIVATED_WITHIN, Of
from marketplace.metrics.periods import Grain, Span, before, checked, last_complete

MATURES_IN: Mapping[str, int] = {
    "activation_rate": ACTIVATED_WITHIN,
    "mql_to_sql": QUALIFIES_WITHIN,
    "logo_churn": RETAINED_DAYS,
    "roas": CLICK_COUNTS,
    "acos": CLICK_COUNTS,
}
"""Days behind a period within which what happens still counts for it: before they are over the figure is not mature."""


class AskMetrics(msgspec.Struct, frozen=True, kw_only=True):
    """Days [from_on, to_on), against [against_from, against_to). None: the last whole week, and what came before it.

    entity_id and currency: the first entity's. One merchant, or the leads of one channel, team or rep, where the
    figure can be narrowed so.
    """

    from_on: date | None = None
    to_on: date | None = None
    against_from: date | None = None
    against_to: date | None = None
    entity_id: int | None = None
    currency: str | None = None
    merchant_id: int | None = None
    channel_id: int | None = None
    territory_id: int | None = None
    rep_id: int | None = None


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """A figure of a period, in whole numbers of its unit (ratios in ppm), and what it was before.

    complete: the period is over, and nothing is missing: inputs that are not known here. mature: the period is over,
    with the days behind it that still count, and nobody of its cohort is still on the way. first_reported: what was
    said of the period when it was over; restated: how far it has moved since.
    """

    name: str
    version_no: int
    unit: Unit
    direction: Direction
    additive: bool
    basis: str
    value: int | None
    complete: bool
    mature: bool
    missing: list[str]
    before: int | None
    change: int | None
    change_ppm: int | None
    first_reported: int | None
    first_reported_at: datetime | None
    restated: int | None


class MetricScope(msgspec.Struct, frozen=True, kw_only=True):
    """Of whom and of which days figures are."""

    entity_id: int
    currency: str
    from_on: date
    to_on: date
    against_from: date
    against_to: date


class MetricFigures(msgspec.Struct, frozen=True, kw_only=True):
    asked: MetricScope
    figures: list[Figure]


class TreeNode(msgspec.Struct, frozen=True, kw_only=True):
    """A figure in the tree, and its part of the root's change. op: how those below it make it up; minus: it is taken
    off. unexplained: what drives it is not defined in one of the periods."""

    name: str
    level: int
    parent: str | None
    op: Op | None
    minus: bool
    unit: Unit
    direction: Direction
    before: int | None
    after: int | None
    contribution: int | None
    unexplained: bool


class Tree(msgspec.Struct, frozen=True, kw_only=True):
    """A figure with all that drives it. change: of the root; the parts of each level sum to what is above them."""

    root: str
    unit: Unit
    asked: MetricScope
    complete: bool
    change: int | None
    nodes: list[TreeNode]


async def scope_of(tx: Tx, cmd: AskMetrics) -> tuple[Of, Span, Span]:
    """Of whom, of which days, and against which. Raises Invalid, NotFound."""
    entity = await tx.row(
        """
        SELECT entity_id, currency, zone FROM billing.entity
        WHERE CAST(:entity AS integer) IS NULL OR entity_id = :entity ORDER BY entity_id LIMIT 1
        """,
        entity=cmd.entity_id,
    )
    if entity is None:
        raise NotFound(f"there is no entity {cmd.entity_id}" if cmd.entity_id else "there is no entity yet")
    today = local_date(tx.now, entity.zone)
    if (cmd.from_on is None) != (cmd.to_on is None) or (cmd.against_from is None) != (cmd.against_to is None):
        raise Invalid("to_on: a period needs both its first day and the day after its last", field="to_on")
    span = checked(cmd.from_on, cmd.to_on) if cmd.from_on and cmd.to_on else last_complete(Grain.WEEK, today)
    earlier = checked(cmd.against_from, cmd.against_to) if cmd.against_from and cmd.against_to else before(span)
    of = Of(
        entity_id=entity.entity_id, currency=check_currency(cmd.currency or entity.currency), as_of=today,
        merchant_id=cmd.merchant_id, channel_id=cmd.channel_id, territory_id=cmd.territory_id, rep_id=cmd.rep_id,
    )  # fmt: skip
    return of, span, earlier


async def values_of(tx: Tx, of: Of, span: Span, wanted: Sequence[Definition]) -> dict[str, Fraction | None]:
    """The exact values of figures in a period."""
    names = frozenset().union(*(inputs_of(each.formula) for each in wanted))
    inputs = await read_inputs(tx, of, span, names)
    return {each.name: evaluate(each.formula, inputs) for each in wanted}


async def show_metrics(tx: Tx, cmd: AskMetrics, names: Iterable[str] | None = None) -> MetricFigures:
    """Figures of a period and of the one before; of all names, or of these. Raises Invalid, NotFound."""
    of, span, earlier = await scope_of(tx, cmd)
    wanted = [definition(name) for name in (names if names is not None else DEFINITIONS)]
    formulas = [each.formula for each in wanted] + [STILL_OPEN[each.name] for each in wanted if each.name in STILL_OPEN]
    inputs = await read_inputs(tx, of, span, frozenset().union(*map(inputs_of, formulas)))
    over = span.to_on <= of.as_of
    before_it = await values_of(tx, of, earlier, wanted)
    whole_house = not (of.merchant_id or of.channel_id or of.territory_id or of.rep_id)
    reported = await reports_sql.first_reports(tx, of, span) if whole_house else {}
    figures = []
    for each in wanted:
        now, then = evaluate(each.formula, inputs), before_it[each.name]
        value, was = each.unit.whole(now), each.unit.whole(then)
        first = reported.get((each.name, each.version_no))
        missing = sorted(name for name in inputs_of(each.formula) if inputs.get(name) is None)
        figures.append(
            Figure(
                name=each.name, version_no=each.version_no, unit=each.unit, direction=each.direction,
                additive=each.additive, basis=each.basis, value=value, complete=over and not missing,
                mature=_is_mature(each.name, span, of.as_of, inputs), missing=missing,
                before=was, change=None if value is None or was is None else value - was,
                change_ppm=change_ppm(now, then),
                first_reported=first.value if first else None,
                first_reported_at=first.reported_at if first else None,
                restated=None if first is None or first.value is None or value is None else value - first.value,
            )
        )  # fmt: skip
    return MetricFigures(asked=_asked(of, span, earlier), figures=figures)


def _is_mature(name: str, span: Span, as_of: date, inputs: Mapping[str, Number | None]) -> bool:
    given = span.to_on + timedelta(days=MATURES_IN.get(name, 0))
    return given <= as_of and not evaluate(STILL_OPEN.get(name, 0), inputs)


def change_ppm(now: Fraction | None, then: Fraction | None) -> int | None:
    """The relative change; None against nothing, and against what is below zero, where it would say the opposite."""
    if now is None or then is None or then <= 0:
        return None
    return Unit.RATIO.whole(Fraction(now - then, then))


async def show_tree(tx: Tx, cmd: AskMetrics, root: str = NORTH_STAR) -> Tree:
    """A figure with all that drives it, and each driver's part of its change. Raises Invalid, NotFound."""
    top = definition(root)
    of, span, earlier = await scope_of(tx, cmd)
    wanted = [definition(name) for name in names_below(root)]
    after, first = await values_of(tx, of, span, wanted), await values_of(tx, of, earlier, wanted)
    parts = {part.name: part for part in explain(DRIVERS, root, first, after, scale=top.unit.scale)}
    nodes: list[TreeNode] = []

    def walk(name: str, parent: str | None, level: int) -> None:
        known, part = definition(name), parts.get(name)
        drivers = DRIVERS.get(name)
        nodes.append(
            TreeNode(
                name=name, level=level, parent=parent, op=drivers.op if drivers else None,
                minus=parent is not None and name in DRIVERS[parent].minus, unit=known.unit,
                direction=known.direction, before=known.unit.whole(first[name]), after=known.unit.whole(after[name]),
                contribution=part.contribution if part else None, unexplained=part is None or part.unexplained,
            )
        )  # fmt: skip
        for below in drivers.names if drivers else ():
            walk(below, name, level + 1)

    walk(root, None, 0)
    return Tree(
        root=root, unit=top.unit, asked=_asked(of, span, earlier), complete=span.to_on <= of.as_of,
        change=nodes[0].contribution, nodes=nodes,
    )  # fmt: skip


def _asked(of: Of, span: Span, earlier: Span) -> MetricScope:
    return MetricScope(
        entity_id=of.entity_id, currency=of.currency, from_on=span.from_on, to_on=span.to_on,
        against_from=earlier.from_on, against_to=earlier.to_on,
    )  # fmt: skip
