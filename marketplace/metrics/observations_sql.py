"""What the shop that buyers see counts, and the house does not: told day by day, and told again where it was wrong."""

from collections.abc import Sequence
from datetime import date, datetime

import msgspec
from sqlalchemy.dialects.postgresql import insert as upsert

from marketplace.core.db import Tx
from marketplace.metrics.periods import Span
from marketplace.metrics.tables import WAITS, observation

PARTS = (
    ("visitors_with_order", "visitors"),
    ("requests_filled", "requests"),
    ("ad_slots_filled", "ad_slots_eligible"),
    ("ad_slots_filled", "slots"),
)
"""What is a part of what: so no share is above one."""


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """A count of a day. wait_days: of a request for quotes, after how many days it was quoted, or given up unquoted."""

    day: date
    name: str
    count: int
    wait_days: int = 0


class ToldObservation(Observation, frozen=True, kw_only=True):
    told_at: datetime
    told_by: str


async def keep(tx: Tx, entity_id: int, told: Sequence[Observation]) -> None:
    """Store counts in the place of those that were told before."""
    row = {"entity_id": entity_id, "told_at": tx.now, "told_by": tx.actor}
    new = upsert(observation).values([msgspec.structs.asdict(each) | row for each in told])
    again = {name: new.excluded[name] for name in ("count", "told_at", "told_by")}
    keys = ["entity_id", "name", "day", "wait_days"]
    await tx.execute(new.on_conflict_do_update(index_elements=keys, set_=again))


async def too_many(tx: Tx, entity_id: int, days: Sequence[date]) -> Sequence[tuple[date, str, str]]:
    """Of these days, where a part is said to be more than what it is a part of, or that is not told."""
    rows = await tx.rows(
        """
        SELECT part.day, part.name, p.whole
        FROM unnest(CAST(:parts AS text[]), CAST(:wholes AS text[])) AS p (part, whole)
        JOIN metrics.observation part ON part.name = p.part AND part.entity_id = :entity
         AND part.day = ANY(CAST(:days AS date[]))
        LEFT JOIN metrics.observation whole ON whole.name = p.whole AND whole.entity_id = part.entity_id
         AND whole.day = part.day
        WHERE part.count > coalesce(whole.count, 0) ORDER BY part.day, part.name, p.whole
        """,
        parts=[part for part, _ in PARTS],
        wholes=[whole for _, whole in PARTS],
        entity=entity_id,
        days=list(days),
    )
    return [(row.day, row.name, row.whole) for row in rows]


async def list_told(
    tx: Tx, entity_id: int, *, limit: int, before: tuple[date, str, int] | None
) -> list[ToldObservation]:
    """Counts of an entity, the newest days first, behind (day, name, wait)."""
    day, name, wait_days = before or (None, None, None)
    rows = await tx.rows(
        """
        SELECT day, name, count, wait_days, told_at, told_by FROM metrics.observation
        WHERE entity_id = :entity AND (CAST(:day AS date) IS NULL OR (day, name, wait_days) < (:day, :name, :wait))
        ORDER BY day DESC, name DESC, wait_days DESC LIMIT :limit
        """,
        entity=entity_id,
        day=day,
        name=name,
        wait=wait_days,
        limit=limit,
    )
    return [ToldObservation(**row._mapping) for row in rows]


async def counts(tx: Tx, entity_id: int, span: Span) -> dict[str, int]:
    """What was told of a period, by name; nothing of what nobody told, or not of every day that the rest of a share
    was told of.
    """
    rows = await tx.rows(
        """
        SELECT name, sum(count)::bigint AS count, array_agg(DISTINCT day) AS days FROM metrics.observation
        WHERE entity_id = :entity AND day >= :from_on AND day < :to_on GROUP BY name
        """,
        entity=entity_id,
        from_on=span.from_on,
        to_on=span.to_on,
    )
    days = {row.name: set(row.days) for row in rows}
    sides = [*PARTS, *((whole, part) for part, whole in PARTS)]
    half_told = {one for one, other in sides if days.get(other, set()) - days.get(one, set())}
    return {row.name: row.count for row in rows if row.name not in half_told}


async def waits(tx: Tx, entity_id: int, span: Span) -> dict[str, dict[int, int]]:
    """After how many days requests of a period were quoted, and given up unquoted: how many."""
    rows = await tx.rows(
        """
        SELECT name, wait_days, sum(count)::bigint AS count FROM metrics.observation
        WHERE entity_id = :entity AND day >= :from_on AND day < :to_on AND name = ANY(CAST(:names AS text[]))
        GROUP BY name, wait_days
        """,
        entity=entity_id,
        from_on=span.from_on,
        to_on=span.to_on,
        names=list(WAITS),
    )
    found: dict[str, dict[int, int]] = {name: {} for name in WAITS}
    for row in rows:
        found[row.name][row.wait_days] = row.count
    return found
