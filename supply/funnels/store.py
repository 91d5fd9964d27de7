"""Every statement on funnels: definitions, events, and the roll-up that is made of them."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import delete, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import IntegrityError

from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, NotFound
from marketplace.core.ids import time_ordered_id
from supply.funnels.model import Entry, Funnel, Stage, StageEvent, entries
from supply.funnels.months_sql import note_months
from supply.funnels.standard import STANDARD
from supply.funnels.tables import funnel, stage_entry, stage_event
from supply.leads.model import Model

_FUNNEL = [funnel.c[field] for field in Funnel.__struct_fields__]
_EVENT = ", ".join(f"e.{field}" for field in StageEvent.__struct_fields__)
_ROWS_PER_INSERT = 5_000


async def ensure_funnels(tx: Tx) -> None:
    """The first version of each model, in a database that has none."""
    if await tx.scalar(select(funnel.c.model).limit(1)) is None:
        rows = [{**msgspec.to_builtins(each), "made_by": tx.actor, "made_at": tx.now} for each in STANDARD]
        await tx.execute(upsert(funnel).on_conflict_do_nothing(), rows)


async def newest_funnel(tx: Tx, model: Model) -> Funnel:
    """The version that new leads of a model begin under."""
    row = await tx.row(select(*_FUNNEL).where(funnel.c.model == model).order_by(funnel.c.version_no.desc()).limit(1))
    assert row is not None, "every model has a first version"
    return _funnel(row)


async def get_funnel(tx: Tx, model: Model, version_no: int | None) -> Funnel:
    """A version, the newest for None. Raises NotFound."""
    if version_no is None:
        return await newest_funnel(tx, model)
    row = await tx.row(select(*_FUNNEL).where(funnel.c.model == model, funnel.c.version_no == version_no))
    if row is None:
        raise NotFound(f"the funnel of {model} has no version {version_no}")
    return _funnel(row)


async def list_funnels(tx: Tx) -> list[Funnel]:
    """Every version of every model."""
    rows = await tx.rows(select(*_FUNNEL).order_by(funnel.c.model, funnel.c.version_no))
    return [_funnel(row) for row in rows]


async def add_funnel(tx: Tx, model: Model, stages: tuple[Stage, ...], won: str, activated: str) -> Funnel:
    """The next version of a model's funnel. Raises Conflict when somebody was faster."""
    newest = await newest_funnel(tx, model)
    new = Funnel(model=model, version_no=newest.version_no + 1, stages=stages, won=won, activated=activated)
    try:
        await tx.execute(insert(funnel), {**msgspec.to_builtins(new), "made_by": tx.actor, "made_at": tx.now})
    except IntegrityError as fault:
        raise Conflict(f"version {new.version_no} of {model} was made at the same moment") from fault
    return new


async def add_events(tx: Tx, rows: Sequence[dict[str, Any]]) -> list[int]:
    """Store events of (lead_id, stage, at, cause) and more: their ids. Who calls holds the leads and rolls them."""
    common = {"recorded_at": tx.now, "actor": tx.actor}
    new = [{"evidence": "", "voids": None, **row, **common, "event_id": time_ordered_id(tx.now)} for row in rows]
    for first in range(0, len(new), _ROWS_PER_INSERT):
        await tx.execute(insert(stage_event), new[first : first + _ROWS_PER_INSERT])
    return [row["event_id"] for row in new]


async def get_event(tx: Tx, lead_id: int, event_id: int) -> StageEvent:
    """An event of a lead, or of one that was merged into it. Raises NotFound."""
    found = [event for event in await events_of(tx, lead_id) if event.event_id == event_id]
    if not found:
        raise NotFound(f"lead {lead_id} has no stage event {event_id}")
    return found[0]


async def events_of(tx: Tx, lead_id: int) -> list[StageEvent]:
    """Every event of a lead and of those merged into it, as they came in."""
    rows = await tx.rows(
        f"""
        SELECT {_EVENT} FROM supply.lead l JOIN supply.stage_event e ON e.lead_id = l.lead_id
        WHERE l.lead_id = :lead OR l.merged_into = :lead ORDER BY e.event_id
        """,
        lead=lead_id,
    )
    return [StageEvent(**row._mapping) for row in rows]


async def roll(tx: Tx, lead_ids: Sequence[int]) -> None:
    """Make the roll-up of leads anew from their events; one that was merged has none of its own any more."""
    definitions = {(each.model, each.version_no): each for each in await list_funnels(tx)}
    for first in range(0, len(lead_ids), _ROWS_PER_INSERT):
        await _roll(tx, lead_ids[first : first + _ROWS_PER_INSERT], definitions)


async def _roll(tx: Tx, lead_ids: Sequence[int], definitions: dict[tuple[Model, int], Funnel]) -> None:
    gone = await tx.execute(
        delete(stage_entry)
        .where(stage_entry.c.lead_id.in_(lead_ids))
        .returning(stage_entry.c.model, stage_entry.c.version_no, stage_entry.c.entered_on)
    )
    changed = [(row.model, row.version_no, row.entered_on) for row in gone.all()]
    leads = await tx.rows(
        """
        SELECT lead_id, model, funnel_version, channel_id, zone,
               CASE WHEN state = 'lost' THEN ended_at END AS lost_at
        FROM supply.lead WHERE lead_id = ANY(:leads) AND merged_into IS NULL
        """,
        leads=list(lead_ids),
    )
    told = await tx.rows(
        f"""
        SELECT {_EVENT}, coalesce(l.merged_into, l.lead_id) AS subject
        FROM supply.lead l JOIN supply.stage_event e ON e.lead_id = l.lead_id
        WHERE l.lead_id = ANY(:leads) OR l.merged_into = ANY(:leads)
        """,
        leads=list(lead_ids),
    )
    by_subject: dict[int, list[StageEvent]] = {}
    for row in told:
        event = StageEvent(**{field: getattr(row, field) for field in StageEvent.__struct_fields__})
        by_subject.setdefault(row.subject, []).append(event)
    rows = []
    for lead in leads:
        definition = definitions[Model(lead.model), lead.funnel_version]
        found = entries(definition, by_subject.get(lead.lead_id, []), zone=lead.zone, lost_at=lead.lost_at)
        known = {"lead_id": lead.lead_id, "model": lead.model, "version_no": lead.funnel_version}
        rows += [{**known, "channel_id": lead.channel_id, **msgspec.structs.asdict(entry)} for entry in found]
    if rows:
        await tx.execute(insert(stage_entry), rows)
    await note_months(tx, [*changed, *((row["model"], row["version_no"], row["entered_on"]) for row in rows)])


async def list_entries(tx: Tx, lead_id: int) -> list[Entry]:
    """The stages that a lead has reached."""
    columns = [stage_entry.c[field] for field in Entry.__struct_fields__]
    query = select(*columns).where(stage_entry.c.lead_id == lead_id).order_by(stage_entry.c.stage_no)
    return [Entry(**row._mapping) for row in await tx.rows(query)]


def _funnel(row: Any) -> Funnel:
    return msgspec.convert({field: getattr(row, field) for field in Funnel.__struct_fields__}, Funnel)
