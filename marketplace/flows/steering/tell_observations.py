"""Process: the shop that buyers see tells what it counts of its days; what is told again stands in its place."""

from collections.abc import Sequence

import msgspec

from billing.runs.store import only_entity
from marketplace.core import outbox
from marketplace.core.db import Tx
from marketplace.core.errors import Refusals
from marketplace.metrics import observations_sql as observations
from marketplace.metrics.observations_sql import Observation
from marketplace.metrics.periods import check_day
from marketplace.metrics.tables import WAITS


class TellObservations(msgspec.Struct, frozen=True, kw_only=True):
    """entity_id None: the only one there is."""

    rows: Sequence[Observation]
    entity_id: int | None = None


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """How many counts were taken in, of which entity."""

    entity_id: int
    counts: int


async def tell_observations(tx: Tx, cmd: TellObservations) -> Told:
    """Keep counts of days. Raises Invalid with every row that is wrong, NotFound for an entity that there is not."""
    entity_id = await only_entity(tx, cmd.entity_id)
    wrong, seen = Refusals(), set()
    for number, row in enumerate(cmd.rows):
        with wrong.at(f"/rows/{number}/day"):
            check_day(row.day, "day")
        if row.wait_days and row.name not in WAITS:
            wrong.add(f"/rows/{number}/wait_days", f"wait_days: {row.name} has none")
        if (row.name, row.day, row.wait_days) in seen:
            wrong.add(f"/rows/{number}/name", f"name: {row.name} of {row.day} is told twice")
        seen.add((row.name, row.day, row.wait_days))
    wrong.check()
    await observations.keep(tx, entity_id, cmd.rows)
    places = {(row.day, row.name): number for number, row in enumerate(cmd.rows)}
    for day, part, whole in await observations.too_many(tx, entity_id, sorted({row.day for row in cmd.rows})):
        number = places.get((day, part), places.get((day, whole), 0))
        wrong.add(f"/rows/{number}/count", f"count: {part} of {day} are more than {whole}")
    wrong.check()
    days = [row.day for row in cmd.rows]
    told = {"entity_id": entity_id, "from_on": min(days), "through": max(days), "counts": len(days)}
    await outbox.emit(tx, "metrics.observations_told.v1", told)
    return Told(entity_id=entity_id, counts=len(days))
