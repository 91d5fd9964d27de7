"""Every statement on visits and on the places of leads."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from marketplace.core import outbox
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, NotFound
from marketplace.core.ids import time_ordered_id
from supply.leads.model import ACTIONS
from supply.leads.visits.model import Flag, Place, Site, Visit, VisitState
from supply.leads.visits.tables import VISIT_COUNTS, lead_site, visit

_VISIT = [visit.c[field] for field in Visit.__struct_fields__]
_SITE = [lead_site.c[field] for field in Site.__struct_fields__]
_ACTIONS = ", ".join(f"'{kind}'" for kind in sorted(ACTIONS))


class Remains(msgspec.Struct, frozen=True, kw_only=True):
    """A lead without the visits that do not count. visited_from: the state that such a one took it out of, and in which
    it is again; None: it was visited all the same. acted_at: when something was last done about it. noted_at: since
    when the visit that was taken back had counted.
    """

    visited_from: str | None
    acted_at: datetime | None
    noted_at: datetime | None


def blank(tx: Tx, lead_id: int, rep_id: int, **values: Any) -> Visit:
    """A visit of which nothing has happened but what is given."""
    nothing: dict[str, Any] = dict.fromkeys(Visit.__struct_fields__)
    nothing |= {"visit_id": time_ordered_id(tx.now), "lead_id": lead_id, "rep_id": rep_id, "state": VisitState.PLANNED}
    nothing |= {"skew_s": 0, "mocked": False, "photo_hash": "", "result": "", "next_step": "", "flags": []}
    return Visit(**{**nothing, "review_reason": "", "version": 1, **values})


async def add_visit(tx: Tx, new: Visit) -> Visit:
    """Raises Conflict for a visit that its device has told of already."""
    row = {**msgspec.structs.asdict(new), "flags": msgspec.to_builtins(new.flags)}
    try:
        await tx.execute(insert(visit), {**row, "made_by": tx.actor, "made_at": tx.now})
    except IntegrityError as fault:
        raise Conflict(f"ref: the device has told of {new.device_ref!r} already", pointer="/ref") from fault
    await tell(tx, new)
    return new


async def get_visit(tx: Tx, visit_id: int, *, lock: bool = False) -> Visit:
    """A visit, held until the transaction ends when `lock` says so. Raises NotFound."""
    query = select(*_VISIT).where(visit.c.visit_id == visit_id)
    row = await tx.row(query.with_for_update() if lock else query)
    if row is None:
        raise NotFound(f"there is no visit {visit_id}")
    return visit_of(row)


async def told_of(tx: Tx, device_id: str, device_ref: str) -> Visit | None:
    """The visit that a device has told of under its own id."""
    row = await tx.row(select(*_VISIT).where(visit.c.device_id == device_id, visit.c.device_ref == device_ref))
    return visit_of(row) if row else None


async def change_visit(tx: Tx, held: Visit, **values: Any) -> Visit:
    """Change a held visit, and tell of it when its state is another one."""
    if "flags" in values:
        values["flags"] = msgspec.to_builtins(values["flags"])
    await tx.execute(
        update(visit).where(visit.c.visit_id == held.visit_id).values(**values, version=held.version + 1)
    )  # fmt: skip
    changed = await get_visit(tx, held.visit_id)
    await tell(tx, changed)
    return changed


async def tell(tx: Tx, now: Visit) -> None:
    """Of what became of a visit, without the place."""
    told = {"visit_id": now.visit_id, "lead_id": now.lead_id, "rep_id": now.rep_id, "state": now.state}
    told |= {"flags": [flag.oddity for flag in now.flags], "valid": now.valid, "version": now.version}
    await outbox.emit(tx, "supply.visit_moved.v1", told)


async def list_visits(
    tx: Tx,
    *,
    limit: int,
    before: int | None = None,
    rep_id: int | None = None,
    lead_id: int | None = None,
    odd: bool | None = None,
) -> list[Visit]:
    """At most `limit` visits, the newest first, behind the id `before`; odd: those with flags, or those without."""
    query = select(*_VISIT)
    for column, value in ((visit.c.rep_id, rep_id), (visit.c.lead_id, lead_id)):
        if value is not None:
            query = query.where(column == value)
    if odd is not None:
        query = query.where(visit.c.flags != [] if odd else visit.c.flags == [])
    if before is not None:
        query = query.where(visit.c.visit_id < before)
    return [visit_of(row) for row in await tx.rows(query.order_by(visit.c.visit_id.desc()).limit(limit))]


async def around(tx: Tx, rep_id: int, from_at: datetime, to_at: datetime, but: int) -> list[Visit]:
    """A rep's visits that are over and touch a span, and the last before and the first after it, but one."""
    rows = await tx.rows(
        f"""
        SELECT {", ".join(Visit.__struct_fields__)} FROM supply.visit
        WHERE rep_id = :rep AND state = 'done' AND visit_id <> :but
          AND out_at >= coalesce((SELECT max(out_at) FROM supply.visit WHERE rep_id = :rep AND state = 'done'
                                  AND out_at <= :from_at AND visit_id <> :but), :from_at)
          AND in_at <= coalesce((SELECT min(in_at) FROM supply.visit WHERE rep_id = :rep AND state = 'done'
                                 AND in_at >= :to_at AND visit_id <> :but), :to_at)
        ORDER BY in_at, visit_id
        """,
        rep=rep_id,
        from_at=from_at,
        to_at=to_at,
        but=but,
    )
    return [visit_of(row) for row in rows]


async def photo_seen(tx: Tx, photo_hash: str, but: int) -> bool:
    """Whether another visit has the same picture."""
    if not photo_hash:
        return False
    found = await tx.scalar(
        select(visit.c.visit_id).where(visit.c.photo_hash == photo_hash, visit.c.visit_id != but).limit(1)
    )
    return found is not None


async def held_at(tx: Tx, lead_id: int, rep_id: int, at: datetime) -> bool:
    """Whether a rep held a lead at an instant, by what is on record of the lead."""
    owner = await tx.scalar(
        """
        SELECT owner_id FROM supply.lead_event WHERE lead_id = :lead AND at <= :at
        ORDER BY event_no DESC LIMIT 1
        """,
        lead=lead_id,
        at=at,
    )
    return bool(owner == rep_id)


async def remains_of(tx: Tx, lead_id: int, visit_id: int) -> Remains:
    """What is left of a lead when a visit was taken back; a move that a visit made names it as its reason. Other visits
    leave it visited where its holder made them, and they were told of since it holds the lead.
    """
    row = await tx.row(
        f"""
        WITH own AS (SELECT lead_id FROM supply.lead WHERE lead_id = :lead OR merged_into = :lead
        ), over AS (
            SELECT v.visit_id, v.rep_id, {VISIT_COUNTS} AS counts, t.recorded_at AS noted_at
            FROM supply.visit v JOIN own ON own.lead_id = v.lead_id LEFT JOIN supply.touch t ON t.touch_id = v.visit_id
            WHERE v.state = 'done'
        ), step AS (
            SELECT e.event_no, e.move, e.state, e.at,
                   e.reason IN (SELECT 'visit ' || visit_id FROM over) AS by_visit
            FROM supply.lead_event e WHERE e.lead_id = :lead
        ), visited AS (SELECT event_no, by_visit FROM step WHERE move = 'visit' ORDER BY event_no DESC LIMIT 1)
        SELECT (SELECT s.state FROM step s JOIN visited ON s.event_no < visited.event_no AND visited.by_visit
                WHERE NOT EXISTS (SELECT FROM over o JOIN supply.lead l ON l.lead_id = :lead
                                  WHERE o.counts AND o.rep_id = l.owner_id AND o.noted_at >= l.claimed_at)
                ORDER BY s.event_no DESC LIMIT 1) AS visited_from,
               greatest(
                   (SELECT claimed_at FROM supply.lead WHERE lead_id = :lead),
                   (SELECT max(at) FROM step WHERE move IN ('contact', 'visit', 'negotiate') AND NOT by_visit),
                   (SELECT max(t.at) FROM supply.touch t JOIN own ON own.lead_id = t.lead_id
                    LEFT JOIN over ON over.visit_id = t.touch_id
                    WHERE t.kind IN ({_ACTIONS}) AND coalesce(over.counts, true))
               ) AS acted_at,
               (SELECT noted_at FROM over WHERE visit_id = :visit) AS noted_at
        """,
        lead=lead_id,
        visit=visit_id,
    )
    assert row is not None
    return Remains(**row._mapping)


async def add_site(tx: Tx, lead_id: int, name: str, place: Place) -> Site:
    site = Site(
        site_id=time_ordered_id(tx.now), lead_id=lead_id, name=name, **msgspec.structs.asdict(place)
    )  # fmt: skip
    await tx.execute(insert(lead_site), {**msgspec.structs.asdict(site), "made_by": tx.actor, "made_at": tx.now})
    return site


async def sites_of(tx: Tx, lead_id: int) -> Sequence[Site]:
    """The places of a lead and of those merged into it."""
    rows = await tx.rows(
        """
        SELECT s.site_id, s.lead_id, s.name, s.latitude_udeg, s.longitude_udeg
        FROM supply.lead l JOIN supply.lead_site s ON s.lead_id = l.lead_id
        WHERE l.lead_id = :lead OR l.merged_into = :lead ORDER BY s.site_id
        """,
        lead=lead_id,
    )
    return [Site(**row._mapping) for row in rows]


def visit_of(row: Any) -> Visit:
    """The visit in a row that has its columns, among others."""
    known = {name: getattr(row, name) for name in Visit.__struct_fields__}
    return Visit(**{**known, "state": VisitState(row.state), "flags": msgspec.convert(row.flags, list[Flag])})
