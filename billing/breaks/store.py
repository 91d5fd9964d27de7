"""Every statement on breaks, their steps and the limits of writing off."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import msgspec
from sqlalchemy import insert
from sqlalchemy.dialects import postgresql

from billing.breaks import find_sql
from billing.breaks.model import Break, BreakCounts, BreakKind, BreakState, Limits, Step, age_class
from billing.breaks.tables import recon_break_step, write_off_limit
from marketplace.core import blocks
from marketplace.core.clock import local_date
from marketplace.core.db import Tx
from marketplace.core.errors import NotFound

_DERIVED = {"age_days", "age_class", "overdue"}
_BREAK = ", ".join(f"b.{name}" for name in Break.__struct_fields__ if name not in _DERIVED) + (
    ", coalesce(e.zone, 'UTC') AS zone"
)
_OF = "billing.recon_break b LEFT JOIN billing.entity e ON e.entity_id = b.entity_id"
_STEP = ", ".join(Step.__struct_fields__)


class Gapped(msgspec.Struct, frozen=True, kw_only=True):
    """Two statements of an account that do not follow on each other, by how much."""

    account: str
    subject: str
    currency: str
    minor: int
    detail: str
    day: date


def _break(row: Any, tx: Tx) -> Break:
    told = dict(row._mapping)
    days = max((local_date(tx.now, told.pop("zone")) - row.expected_on).days, 0)
    derived = {"age_days": days, "age_class": age_class(days)}
    waits = row.closed_at is None and row.state == BreakState.OPEN and row.respond_by is not None
    derived["overdue"] = waits and row.respond_by < tx.now
    return Break(**{**told, "kind": BreakKind(row.kind), "state": BreakState(row.state), **derived})


async def find(tx: Tx, gaps: Sequence[Gapped]) -> tuple[int, int]:
    """Open, turn and close breaks by what is open now; returns how many were opened and how many closed."""
    await tx.execute(find_sql.TABLE)
    await tx.execute(find_sql.PARTNERS)
    await tx.execute(find_sql.THEIRS, {"now": tx.now})
    await tx.execute(find_sql.OURS, {"now": tx.now})
    await tx.execute(find_sql.CONTROL)
    await tx.execute(find_sql.FEES)
    if gaps:
        await tx.execute(find_sql.GAP, [msgspec.structs.asdict(gap) for gap in gaps])
    stamp = {"actor": tx.actor, "now": tx.now}
    last = await blocks.reserve(tx, "recon_break", 0)
    opened = (await tx.execute(find_sql.OPEN, {"last": last, **stamp})).rowcount
    if opened:
        await blocks.reserve(tx, "recon_break", opened)
    await tx.execute(find_sql.TURN, stamp)
    closed = (await tx.execute(find_sql.CLOSE, stamp)).rowcount
    await tx.execute("DROP TABLE recon_wanted, recon_partner")
    return opened, closed


async def close_matched(tx: Tx, item_ids: Sequence[int]) -> None:
    """Close what is about these items, which a person has matched: nobody has to wait for the next pass."""
    await tx.execute(find_sql.CLOSE_OF, {"items": list(item_ids), "actor": tx.actor, "now": tx.now})


async def get_break(tx: Tx, break_id: int, *, lock: bool = False) -> Break:
    """Raises NotFound."""
    row = await tx.row(
        f"SELECT {_BREAK} FROM {_OF} WHERE b.break_id = :id" + (" FOR UPDATE OF b" if lock else ""),
        id=break_id,
    )
    if row is None:
        raise NotFound(f"there is no break {break_id}")
    return _break(row, tx)


async def live_of_item(tx: Tx, item_id: int) -> Break | None:
    """The break that is not dealt with and is about an item, if any."""
    row = await tx.row(
        f"SELECT {_BREAK} FROM {_OF} WHERE b.subject = :subject AND b.closed_at IS NULL", subject=f"item:{item_id}"
    )
    return _break(row, tx) if row is not None else None


async def list_breaks(
    tx: Tx,
    *,
    limit: int,
    after: int | None = None,
    kind: BreakKind | None = None,
    state: BreakState | None = None,
    owner: str | None = None,
    entity_id: int | None = None,
    live: bool = False,
    due: bool = False,
) -> list[Break]:
    """At most `limit` breaks, the oldest first, those behind the break `after`. live: only those without an end;
    due: not those that are merely early, nor, unless that state is asked for, those that two people left as they are.
    """
    rows = await tx.rows(
        f"""
        SELECT {_BREAK} FROM {_OF}
        WHERE b.break_id > coalesce(CAST(:after AS bigint), 0) AND (CAST(:kind AS text) IS NULL OR b.kind = :kind)
          AND (CAST(:state AS text) IS NULL OR b.state = :state) AND (CAST(:owner AS text) IS NULL OR b.owner = :owner)
          AND (CAST(:entity AS integer) IS NULL OR b.entity_id = :entity) AND (NOT :live OR b.closed_at IS NULL)
          AND (NOT :due OR b.closed_at IS NOT NULL
               OR b.kind <> 'expected' AND (b.state <> 'accepted' OR CAST(:state AS text) = 'accepted'))
        ORDER BY b.break_id LIMIT :limit
        """,
        after=after,
        kind=kind,
        state=state,
        owner=owner,
        entity=entity_id,
        live=live,
        due=due,
        limit=limit,
    )
    return [_break(row, tx) for row in rows]


async def count_breaks(tx: Tx, *, entity_id: int | None = None) -> BreakCounts:
    """How many breaks are not dealt with, of an entity or of all; what belongs to none counts with any."""
    row = await tx.row(
        """
        SELECT count(*) FILTER (WHERE kind <> 'expected' AND state <> 'accepted') AS due,
               count(*) FILTER (WHERE state = 'open' AND respond_by < :now) AS overdue,
               count(*) FILTER (WHERE kind = 'expected') AS not_due
        FROM billing.recon_break
        WHERE closed_at IS NULL AND (CAST(:entity AS integer) IS NULL OR entity_id IS NULL OR entity_id = :entity)
        """,
        now=tx.now,
        entity=entity_id,
    )
    assert row is not None
    return BreakCounts(**row._mapping)


async def change(tx: Tx, break_id: int, **values: Any) -> Break:
    """Set columns of a break that is held; its version counts on."""
    sets = ", ".join(f"{name} = :{name}" for name in values)
    await tx.execute(
        f"UPDATE billing.recon_break SET {sets}, version = version + 1 WHERE break_id = :break",
        {**values, "break": break_id},
    )
    return await get_break(tx, break_id)


async def add_step(tx: Tx, break_id: int, what: str, words: str = "", **detail: str) -> Step:
    """Note what became of a break that is held."""
    number = await tx.scalar(
        "SELECT coalesce(max(step_no), 0) + 1 FROM billing.recon_break_step WHERE break_id = :break",
        **{"break": break_id},
    )
    row = {"step_no": number, "what": what, "words": words, "detail": detail, "actor": tx.actor, "at": tx.now}
    await tx.execute(insert(recon_break_step), {**row, "break_id": break_id})
    return Step(**row)


async def list_steps(tx: Tx, break_id: int) -> list[Step]:
    """What became of a break, the first step first."""
    rows = await tx.rows(
        f"SELECT {_STEP} FROM billing.recon_break_step WHERE break_id = :break ORDER BY step_no", **{"break": break_id}
    )
    return [Step(**row._mapping) for row in rows]


async def set_limits(tx: Tx, limits: Limits) -> None:
    row = msgspec.structs.asdict(limits) | {"set_by": tx.actor, "set_at": tx.now}
    statement = postgresql.insert(write_off_limit).values(row)
    await tx.execute(statement.on_conflict_do_update(index_elements=["entity_id", "currency"], set_=row))


async def limits_of(tx: Tx, entity_id: int, currency: str) -> Limits:
    row = await tx.row(
        """
        SELECT accountant_minor, controller_minor FROM billing.write_off_limit
        WHERE entity_id = :entity AND currency = :currency
        """,
        entity=entity_id,
        currency=currency,
    )
    return Limits(entity_id=entity_id, currency=currency, **(row._mapping if row else {}))


async def set_the_limits(tx: Tx, entity_id: int, currency: str, login: str) -> bool:
    """Whether it was this person who set the limits that are in force."""
    return bool(
        await tx.scalar(
            "SELECT set_by = :login FROM billing.write_off_limit WHERE entity_id = :entity AND currency = :currency",
            login=login,
            entity=entity_id,
            currency=currency,
        )
    )


async def list_limits(tx: Tx, *, entity_id: int | None, currency: str | None) -> list[Limits]:
    """The limits that were set."""
    rows = await tx.rows(
        """
        SELECT entity_id, currency, accountant_minor, controller_minor FROM billing.write_off_limit
        WHERE (CAST(:entity AS integer) IS NULL OR entity_id = :entity)
          AND (CAST(:currency AS text) IS NULL OR currency = :currency)
        ORDER BY entity_id, currency
        """,
        entity=entity_id,
        currency=currency,
    )
    return [Limits(**row._mapping) for row in rows]
