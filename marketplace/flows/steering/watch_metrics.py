"""Process: periods that are over are reported once, and held against the bounds that people have set."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import msgspec

from marketplace.core import audit, outbox
from marketplace.core.clock import local_date
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.each import FIRST, each
from marketplace.core.errors import Refusals
from marketplace.core.ids import time_ordered_id
from marketplace.flows.steering.set_goals import check_owner
from marketplace.flows.steering.show_metrics import AskMetrics, change_ppm, scope_of, values_of
from marketplace.metrics import alerts_sql as alerts
from marketplace.metrics import reports_sql
from marketplace.metrics.alerts_sql import AlertRule
from marketplace.metrics.definitions import DEFINITIONS, definition
from marketplace.metrics.inputs_sql import Of
from marketplace.metrics.periods import Grain, Span, before, last_complete, span_of
from marketplace.metrics.watch import BoundSide, Compared, check_bounds, is_raised

_RULES = 200
_PERIODS_MAX = 400
"""How many periods of a rule are made up for at once, when nobody has looked for long."""


class SetAlert(msgspec.Struct, frozen=True, kw_only=True):
    """bound and clear_bound in whole units of the metric, or, of a change, in ppm. guards: see `AlertRule`."""

    name: str
    metric: str
    grain: Grain
    compared: Compared
    side: BoundSide
    bound: int
    clear_bound: int
    owner: str
    guards: str | None = None
    entity_id: int | None = None
    currency: str | None = None


async def set_alert(tx: Tx, cmd: SetAlert) -> AlertRule:
    """Watch a figure from the last period that is over on. Raises Invalid with all that is wrong, Conflict."""
    wrong = Refusals()
    for pointer, name in (("/metric", cmd.metric), ("/guards", cmd.guards)):
        if name is not None:
            with wrong.at(pointer):
                definition(name)
    with wrong.at("/clear_bound"):
        check_bounds(cmd.side, cmd.bound, cmd.clear_bound)
    with wrong.at("/owner"):
        await check_owner(tx, cmd.owner)
    with wrong.at("/entity_id"):
        of, _, _ = await scope_of(tx, AskMetrics(entity_id=cmd.entity_id, currency=cmd.currency))
    wrong.check()
    new = AlertRule(
        rule_id=time_ordered_id(tx.now), name=cmd.name, metric=cmd.metric, entity_id=of.entity_id,
        currency=of.currency, grain=cmd.grain, compared=cmd.compared, side=cmd.side, bound=cmd.bound,
        clear_bound=cmd.clear_bound, guards=cmd.guards, owner=cmd.owner, active=True, raised=False, looked_at_to=None,
        version=1,
    )  # fmt: skip
    await alerts.add_rule(tx, new)
    await audit.record(tx, "alert set", f"alert:{new.rule_id}", metric=new.metric, bound=new.bound)
    return new


async def revise_alert(
    tx: Tx, held: AlertRule, *, bound: int | None, clear_bound: int | None, active: bool | None
) -> AlertRule:
    """Other bounds for a held rule, or the end of it. Raises Invalid."""
    low, clear = (held.bound if bound is None else bound), (held.clear_bound if clear_bound is None else clear_bound)
    check_bounds(held.side, low, clear)
    on = held.active if active is None else active
    await audit.record(tx, "alert changed", f"alert:{held.rule_id}", bound=low, clear_bound=clear, active=on)
    return await alerts.change_rule(tx, held, bound=low, clear_bound=clear, active=on)


async def watch_metrics(db: Database, actor: str) -> int:
    """Hold every figure that is watched against its bounds; returns how many alerts were raised or cleared."""

    async def page(tx: Tx, last: Any | None) -> Sequence[Any]:
        return await alerts.active_rules(tx, last.rule_id if last else FIRST, _RULES)

    return await each(db, actor, "a figure could not be watched", page, _look_at)


async def _look_at(tx: Tx, row: Any) -> bool:
    """Look at each period that is over and was not looked at, in its order."""
    held = await alerts.get_rule(tx, row.rule_id, lock=True)
    of, _, _ = await scope_of(tx, AskMetrics(entity_id=held.entity_id, currency=held.currency))
    changed = False
    for span in _due(held, of.as_of):
        value = await _measured(tx, held, of, span)
        raised = is_raised(held.side, held.bound, held.clear_bound, value, was=held.raised)
        await alerts.looked_at(tx, held, span, raised=raised, value=value)
        if raised != held.raised:
            changed = True
            told = {"rule_id": held.rule_id, "name": held.name, "metric": held.metric, "guards": held.guards}
            told |= {"raised": raised, "value": value, "bound": held.bound, "owner": held.owner}
            told |= {"from_on": span.from_on, "to_on": span.to_on, "currency": held.currency}
            await outbox.emit(tx, "metrics.alert_changed.v1", told)
        held = msgspec.structs.replace(held, raised=raised, looked_at_to=span.to_on)
    return changed


def _due(rule: AlertRule, today: date) -> list[Span]:
    newest = last_complete(rule.grain, today)
    due = [newest]
    while rule.looked_at_to is not None and due[0].from_on > rule.looked_at_to and len(due) < _PERIODS_MAX:
        due.insert(0, span_of(rule.grain, due[0].from_on - timedelta(days=1)))
    return [span for span in due if rule.looked_at_to is None or span.from_on >= rule.looked_at_to]


async def _measured(tx: Tx, rule: AlertRule, of: Of, span: Span) -> int | None:
    wanted = definition(rule.metric)
    now = (await values_of(tx, of, span, [wanted]))[rule.metric]
    if rule.compared is Compared.VALUE:
        return wanted.unit.whole(now)
    return change_ppm(now, (await values_of(tx, of, before(span), [wanted]))[rule.metric])


async def report_periods(db: Database, actor: str) -> int:
    """Keep what figures say of the last week and month that are over, once; returns how many periods that were."""
    async with db.read(WORKER) as tx:
        found = await reports_sql.scopes(tx)
    reported = 0
    for scope in found:
        of = Of(entity_id=scope.entity_id, currency=scope.currency, as_of=local_date(db.clock.now(), scope.zone))
        for grain in (Grain.WEEK, Grain.MONTH):
            reported += await db.write(WORKER, actor, _report, of, last_complete(grain, of.as_of))
    return reported


async def _report(tx: Tx, of: Of, span: Span) -> bool:
    if await reports_sql.is_reported(tx, of, span):
        return False
    wanted = list(DEFINITIONS.values())
    values = await values_of(tx, of, span, wanted)
    kept = [(each.name, each.version_no, each.unit.whole(values[each.name])) for each in wanted]
    await reports_sql.keep_reports(tx, of, span, [row for row in kept if row[2] is not None])
    told = {"entity_id": of.entity_id, "currency": of.currency, "from_on": span.from_on, "to_on": span.to_on}
    await outbox.emit(tx, "metrics.period_reported.v1", told)
    return True
