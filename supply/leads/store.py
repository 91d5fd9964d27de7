"""Every statement on leads, what became of them, and touches."""

from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as insert_once
from sqlalchemy.exc import IntegrityError

from marketplace.core import outbox
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, NotFound
from supply.leads.identity import phone_key, place_key, tax_key
from supply.leads.lifecycle import Move, check_move
from supply.leads.model import HELD, Lead, LeadEvent, LeadState, Model, Touch, TouchKind
from supply.leads.tables import lead, lead_event, lead_merge, touch
from supply.leads.visits.tables import VISIT_COUNTS

_COLUMNS = [lead.c[field] for field in Lead.__struct_fields__]
_NAMES = ", ".join(Lead.__struct_fields__)
_EVENT = ", ".join(f"e.{field}" for field in LeadEvent.__struct_fields__)
_TOUCH = ", ".join(f"t.{field}" for field in Touch.__struct_fields__)
_ENDED = frozenset({LeadState.SIGNED, LeadState.HANDED_OVER, LeadState.LOST})


def keys_of(row: dict[str, Any]) -> dict[str, str | None]:
    """What duplicates of a lead are known by."""
    return {
        "tax_key": tax_key(row["tax_id"]),
        "phone_key": phone_key(row["phone"]),
        "place_key": place_key(row["company"], row["city"], row["region"]),
    }


async def insert_lead(tx: Tx, new: Lead) -> Lead:
    """Store a new lead with its first event. Raises Conflict for a source_ref that is known already."""
    row = msgspec.structs.asdict(new)
    try:
        await tx.execute(insert(lead), {**row, **keys_of(row), "made_by": tx.actor, "made_at": tx.now})
    except IntegrityError as fault:
        raise Conflict(
            f"source_ref: {new.source_ref!r} of {new.source} is a lead already", pointer="/source_ref"
        ) from fault
    await _note(tx, new, "add", "")
    return new


async def get_lead(tx: Tx, lead_id: int, *, lock: bool = False) -> Lead:
    """A lead, held until the transaction ends when `lock` says so. Raises NotFound."""
    query = select(*_COLUMNS).where(lead.c.lead_id == lead_id)
    row = await tx.row(query.with_for_update() if lock else query)
    if row is None:
        raise NotFound(f"there is no lead {lead_id}")
    return lead_of(row)


async def lock_two(tx: Tx, one: int, other: int) -> tuple[Lead, Lead]:
    """Two leads, held in the order of their ids. Raises NotFound."""
    held = {lead_id: await get_lead(tx, lead_id, lock=True) for lead_id in sorted((one, other))}
    return held[one], held[other]


async def list_leads(
    tx: Tx,
    *,
    limit: int,
    before: int | None = None,
    model: str | None = None,
    state: str | None = None,
    owner_id: int | None = None,
    pool_id: int | None = None,
    channel_id: int | None = None,
    territory_id: int | None = None,
) -> list[Lead]:
    """At most `limit` leads, the newest first, behind the id `before`, narrowed to what is given."""
    query = select(*_COLUMNS)
    wanted = {"model": model, "state": state, "owner_id": owner_id, "pool_id": pool_id}
    wanted |= {"channel_id": channel_id, "territory_id": territory_id}
    for name, value in wanted.items():
        if value is not None:
            query = query.where(lead.c[name] == value)
    if before is not None:
        query = query.where(lead.c.lead_id < before)
    return [lead_of(row) for row in await tx.rows(query.order_by(lead.c.lead_id.desc()).limit(limit))]


async def duplicates_of(tx: Tx, found: Lead, *, limit: int = 20) -> list[Lead]:
    """Other leads of the same model with the same tax id, telephone number, or name and place; none that was merged."""
    keys = {name: value for name, value in keys_of(msgspec.structs.asdict(found)).items() if value is not None}
    if not keys:
        return []
    same = or_(*(lead.c[name] == value for name, value in keys.items()))
    query = select(*_COLUMNS).where(
        same, lead.c.model == found.model, lead.c.lead_id != found.lead_id, lead.c.merged_into.is_(None)
    )
    return [lead_of(row) for row in await tx.rows(query.order_by(lead.c.lead_id).limit(limit))]


async def known_as(tx: Tx, model: Model, *, company: str, phone: str, city: str, region: str) -> int | None:
    """The oldest lead of a model with that telephone number, or that name and place; None: there is none."""
    keys = keys_of({"tax_id": "", "phone": phone, "company": company, "city": city, "region": region})
    wanted = [lead.c[name] == value for name, value in keys.items() if value is not None]
    if not wanted:
        return None
    query = select(lead.c.lead_id).where(or_(*wanted), lead.c.model == model, lead.c.merged_into.is_(None))
    found: int | None = await tx.scalar(query.order_by(lead.c.lead_id).limit(1))
    return found


async def edit_lead(tx: Tx, held: Lead, **values: Any) -> Lead:
    """Change what is known of a held lead; its state changes with `move_lead` alone."""
    row = msgspec.structs.asdict(held) | values
    await tx.execute(
        update(lead).where(lead.c.lead_id == held.lead_id).values(
            **values, **keys_of(row), version=held.version + 1
        )
    )  # fmt: skip
    edited = await get_lead(tx, held.lead_id)
    await _note(tx, edited, "edit", "")
    return edited


async def set_score(tx: Tx, held: Lead, fit: int, engagement: int, version_no: int) -> Lead:
    """Scores follow from what is known: they are no version of their own."""
    values = {"fit": fit, "engagement": engagement, "scored_by": version_no}
    await tx.execute(update(lead).where(lead.c.lead_id == held.lead_id).values(**values))
    return msgspec.structs.replace(held, **values)


async def note_action(tx: Tx, held: Lead, at: datetime) -> Lead:
    """Something was done about a lead: it is not idle."""
    return await set_action(tx, held, max(at, held.last_action_at or at))


async def set_action(tx: Tx, held: Lead, at: datetime | None) -> Lead:
    """When something was last done about a lead."""
    await tx.execute(update(lead).where(lead.c.lead_id == held.lead_id).values(last_action_at=at))
    return msgspec.structs.replace(held, last_action_at=at)


async def move_lead(tx: Tx, held: Lead, move: Move, reason: str = "", **values: Any) -> Lead:
    """Take a held lead to its next state, as `supply.leads.lifecycle` allows it; values: what else changes with it.

    Leads that were merged into it go with its owner and territory. Raises Conflict.
    """
    state = check_move(held.state, move)
    changes = {"ended_at": held.ended_at or tx.now if state in _ENDED else None, **values}
    if state is LeadState.POOLED:
        changes |= {"owner_id": None, "claimed_at": None, "protected_until": None}
    statement = update(lead).where(lead.c.lead_id == held.lead_id)
    await tx.execute(statement.values(**changes, state=state.value, version=held.version + 1))
    moved = await get_lead(tx, held.lead_id)
    carried = update(lead).where(lead.c.merged_into == held.lead_id)
    await tx.execute(carried.values(owner_id=moved.owner_id, territory_id=moved.territory_id))
    await _note(tx, moved, move, reason)
    await tell(tx, moved, move, reason)
    return moved


async def tell(tx: Tx, moved: Lead, move: str, reason: str) -> None:
    """Of a lead's move, without what is personal in it."""
    told = {
        "lead_id": moved.lead_id, "model": moved.model, "move": move, "state": moved.state, "owner_id": moved.owner_id,
        "lead_merchant_id": moved.merchant_id, "version": moved.version, "reason": reason,
    }  # fmt: skip
    await outbox.emit(tx, "supply.lead_moved.v1", told)


async def _note(tx: Tx, now: Lead, move: str, reason: str) -> None:
    row = {"lead_id": now.lead_id, "event_no": now.version, "move": move, "state": now.state, "owner_id": now.owner_id}
    await tx.execute(insert(lead_event), {**row, "reason": reason, "at": tx.now, "actor": tx.actor})


async def merge_lead(tx: Tx, gone: Lead, survivor: Lead, reason: str) -> Lead:
    """Let a held lead live on in another: its rows stay as they are, and are read as the other's from now on."""
    merged = await move_lead(
        tx, gone, Move.MERGE, reason,
        merged_into=survivor.lead_id, owner_id=survivor.owner_id, territory_id=survivor.territory_id, ended_at=None,
    )  # fmt: skip
    step = {"lead_id": gone.lead_id, "survivor_id": survivor.lead_id, "reason": reason}
    await tx.execute(insert(lead_merge), {**step, "at": tx.now, "actor": tx.actor})
    earlier = update(lead).where(lead.c.merged_into == gone.lead_id)
    await tx.execute(
        earlier.values(
            merged_into=survivor.lead_id, owner_id=survivor.owner_id, territory_id=survivor.territory_id
        )
    )  # fmt: skip
    return merged


async def history_of(tx: Tx, lead_id: int) -> list[LeadEvent]:
    """What became of a lead and of those merged into it, in order."""
    rows = await tx.rows(
        f"""
        SELECT {_EVENT} FROM supply.lead l JOIN supply.lead_event e ON e.lead_id = l.lead_id
        WHERE l.lead_id = :lead OR l.merged_into = :lead ORDER BY e.at, e.lead_id, e.event_no
        """,
        lead=lead_id,
    )
    return [LeadEvent(**{**row._mapping, "state": LeadState(row.state)}) for row in rows]


async def add_touch(tx: Tx, new: Touch) -> Touch:
    """A visit's touch has the visit's id: it is there once, however often that is said to count."""
    row = {**msgspec.structs.asdict(new), "actor": tx.actor}
    await tx.execute(insert_once(touch).on_conflict_do_nothing(index_elements=["touch_id"]), row)
    return new


async def touches_of(tx: Tx, lead_id: int) -> list[Touch]:
    """The touches of a lead and of those merged into it, by their instants; no visit that was taken back."""
    rows = await tx.rows(
        f"""
        SELECT {_TOUCH} FROM supply.lead l JOIN supply.touch t ON t.lead_id = l.lead_id
        LEFT JOIN supply.visit v ON v.visit_id = t.touch_id
        WHERE (l.lead_id = :lead OR l.merged_into = :lead) AND coalesce({VISIT_COUNTS}, true)
        ORDER BY t.at, t.touch_id
        """,
        lead=lead_id,
    )
    return [Touch(**{**row._mapping, "kind": TouchKind(row.kind)}) for row in rows]


async def held_by(tx: Tx, owner_id: int) -> list[Lead]:
    """The leads that a rep works on, held until the transaction ends."""
    query = select(*_COLUMNS).where(lead.c.owner_id == owner_id, lead.c.state.in_(HELD))
    return [lead_of(row) for row in await tx.rows(query.order_by(lead.c.lead_id).with_for_update())]


def lead_of(row: Any) -> Lead:
    return Lead(**{**row._mapping, "model": Model(row.model), "state": LeadState(row.state)})
