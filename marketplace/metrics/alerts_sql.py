"""Every statement on bounds, and what went out of them."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import msgspec
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, NotFound
from marketplace.metrics.periods import Grain, Span
from marketplace.metrics.tables import alert_event, alert_rule
from marketplace.metrics.watch import BoundSide, Compared


class AlertRule(msgspec.Struct, frozen=True, kw_only=True):
    """guards: makes it a guardrail of that metric. raised: it stands. looked_at_to: the end of the newest period that
    was looked at."""

    rule_id: int
    name: str
    metric: str
    entity_id: int
    currency: str
    grain: Grain
    compared: Compared
    side: BoundSide
    bound: int
    clear_bound: int
    guards: str | None
    owner: str
    active: bool
    raised: bool
    looked_at_to: date | None
    version: int


class AlertEvent(msgspec.Struct, frozen=True, kw_only=True):
    """The figure of a period raised an alert, or cleared it."""

    rule_id: int
    from_on: date
    to_on: date
    raised: bool
    value: int | None
    at: datetime


_COLUMNS = ", ".join(AlertRule.__struct_fields__)
_EVENT = ", ".join(AlertEvent.__struct_fields__)


async def add_rule(tx: Tx, new: AlertRule) -> AlertRule:
    """Raises Conflict for a name that is taken."""
    try:
        await tx.execute(insert(alert_rule), msgspec.structs.asdict(new))
    except IntegrityError as fault:
        raise Conflict(f"name: there is a rule called {new.name!r}") from fault
    return new


async def get_rule(tx: Tx, rule_id: int, *, lock: bool = False) -> AlertRule:
    """Raises NotFound."""
    held = "FOR UPDATE" if lock else ""
    row = await tx.row(f"SELECT {_COLUMNS} FROM metrics.alert_rule WHERE rule_id = :rule {held}", rule=rule_id)
    if row is None:
        raise NotFound(f"there is no rule {rule_id}")
    return _rule(row)


async def list_rules(tx: Tx, *, limit: int, after: int = 0, raised: bool | None = None) -> list[AlertRule]:
    """Rules by id; those that stand, or do not."""
    rows = await tx.rows(
        f"""
        SELECT {_COLUMNS} FROM metrics.alert_rule
        WHERE rule_id > :after AND (CAST(:raised AS boolean) IS NULL OR raised = :raised)
        ORDER BY rule_id LIMIT :limit
        """,
        after=after,
        raised=raised,
        limit=limit,
    )
    return [_rule(row) for row in rows]


async def active_rules(tx: Tx, after: int, limit: int) -> Sequence[Any]:
    """Ids of rules that are looked at."""
    return await tx.rows(
        "SELECT rule_id FROM metrics.alert_rule WHERE active AND rule_id > :after ORDER BY rule_id LIMIT :limit",
        after=after,
        limit=limit,
    )


async def change_rule(tx: Tx, held: AlertRule, *, bound: int, clear_bound: int, active: bool) -> AlertRule:
    """Other bounds, or a rule that is looked at no more."""
    changed = msgspec.structs.replace(
        held, bound=bound, clear_bound=clear_bound, active=active, version=held.version + 1
    )
    await tx.execute(
        """
        UPDATE metrics.alert_rule SET bound = :bound, clear_bound = :clear, active = :active, version = :version
        WHERE rule_id = :rule
        """,
        {"bound": bound, "clear": clear_bound, "active": active, "version": changed.version, "rule": held.rule_id},
    )
    return changed


async def looked_at(tx: Tx, held: AlertRule, span: Span, *, raised: bool, value: int | None) -> None:
    """A held rule's period was looked at; what has changed by it is remembered."""
    await tx.execute(
        "UPDATE metrics.alert_rule SET raised = :raised, looked_at_to = :to_on WHERE rule_id = :rule",
        {"raised": raised, "to_on": span.to_on, "rule": held.rule_id},
    )
    if raised != held.raised:
        row = {"rule_id": held.rule_id, "from_on": span.from_on, "to_on": span.to_on, "raised": raised, "value": value}
        await tx.execute(insert(alert_event), row | {"at": tx.now})


async def list_events(tx: Tx, rule_id: int, limit: int) -> list[AlertEvent]:
    """What a rule has raised and cleared, the newest first."""
    query = f"SELECT {_EVENT} FROM metrics.alert_event WHERE rule_id = :rule ORDER BY to_on DESC LIMIT :limit"
    return [AlertEvent(**row._mapping) for row in await tx.rows(query, rule=rule_id, limit=limit)]


def _rule(row: Any) -> AlertRule:
    return msgspec.convert(dict(row._mapping), AlertRule)
