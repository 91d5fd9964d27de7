"""Every statement on simulations."""

from collections.abc import Sequence
from datetime import date, datetime
from enum import StrEnum
from typing import Any, TypeVar

import msgspec
from sqlalchemy import insert, update

from incentives.simulation.report import Simulation, digest_of
from incentives.simulation.scenarios import Response
from incentives.tables import simulation
from marketplace.core.db import Tx
from marketplace.core.errors import NotFound
from marketplace.core.ids import time_ordered_id
from marketplace.core.rates import PPM


class State(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Over which local days of history, what response is expected, and which lots are drawn."""

    from_on: date
    to_on: date
    expected: Response
    seed: int


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """A simulation without its result. progress_ppm: how much of its work is done; fault: why it failed."""

    simulation_id: int
    promotion_id: int
    version_no: int
    asked: Asked
    state: State
    progress_ppm: int
    digest: str | None
    fault: str | None
    made_by: str
    made_at: datetime
    done_at: datetime | None


class Stored(Summary, frozen=True, kw_only=True):
    result: Simulation | None


S = TypeVar("S", bound=Summary)
_SUMMARY = ", ".join(Summary.__struct_fields__)


async def insert_simulation(tx: Tx, promotion_id: int, version_no: int, asked: Asked) -> Summary:
    """Note that a simulation was asked for."""
    simulation_id = time_ordered_id(tx.now)
    row = {
        "simulation_id": simulation_id,
        "promotion_id": promotion_id,
        "version_no": version_no,
        "asked": msgspec.to_builtins(asked),
        "state": State.QUEUED.value,
        "made_by": tx.actor,
        "made_at": tx.now,
    }
    await tx.execute(insert(simulation), row)
    return await get_summary(tx, simulation_id)


async def get_summary(tx: Tx, simulation_id: int) -> Summary:
    """Raises NotFound."""
    row = await tx.row(f"SELECT {_SUMMARY} FROM incentives.simulation WHERE simulation_id = :id", id=simulation_id)
    return _found(row, simulation_id, Summary)


async def get_simulation(tx: Tx, promotion_id: int, simulation_id: int) -> Stored:
    """A promotion's simulation with its result. Raises NotFound."""
    row = await tx.row(
        f"""
        SELECT {_SUMMARY}, result FROM incentives.simulation
        WHERE simulation_id = :id AND promotion_id = :promotion
        """,
        id=simulation_id,
        promotion=promotion_id,
    )
    return _found(row, simulation_id, Stored)


def _found(row: Any | None, simulation_id: int, of: type[S]) -> S:
    if row is None:
        raise NotFound(f"there is no simulation {simulation_id}")
    return msgspec.convert(dict(row._mapping), of)


async def newest_done(tx: Tx, promotion_id: int, version_no: int) -> Stored | None:
    """The last simulation of a version that came to a result."""
    row = await tx.row(
        f"""
        SELECT {_SUMMARY}, result FROM incentives.simulation
        WHERE promotion_id = :promotion AND version_no = :no AND state = 'done'
        ORDER BY simulation_id DESC LIMIT 1
        """,
        promotion=promotion_id,
        no=version_no,
    )
    return None if row is None else msgspec.convert(dict(row._mapping), Stored)


async def list_simulations(tx: Tx, promotion_id: int, *, limit: int, before: int | None) -> Sequence[Summary]:
    """Simulations of a promotion, the newest first, below the simulation `before`."""
    rows = await tx.rows(
        f"""
        SELECT {_SUMMARY} FROM incentives.simulation
        WHERE promotion_id = :promotion AND simulation_id < coalesce(CAST(:before AS bigint), 9223372036854775807)
        ORDER BY simulation_id DESC LIMIT :limit
        """,
        promotion=promotion_id,
        before=before,
        limit=limit,
    )
    return [msgspec.convert(dict(row._mapping), Summary) for row in rows]


async def progressed(tx: Tx, simulation_id: int, ppm: int) -> None:
    """Note how far a simulation has come."""
    await _save(tx, simulation_id, state=State.RUNNING.value, progress_ppm=ppm)


async def finished(tx: Tx, simulation_id: int, result: Simulation) -> None:
    """Store what a simulation has found, with its digest."""
    values = {"result": msgspec.to_builtins(result), "digest": digest_of(result), "done_at": tx.now}
    await _save(tx, simulation_id, state=State.DONE.value, progress_ppm=PPM, **values)


async def failed(tx: Tx, simulation_id: int, fault: str) -> None:
    """Note why a simulation came to nothing."""
    await _save(tx, simulation_id, state=State.FAILED.value, fault=fault, done_at=tx.now)


async def _save(tx: Tx, simulation_id: int, **values: Any) -> None:
    await tx.execute(update(simulation).where(simulation.c.simulation_id == simulation_id).values(**values))
