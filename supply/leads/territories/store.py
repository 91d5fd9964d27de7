"""Every statement on territories and reps."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import insert, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import IntegrityError

from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, NotFound
from marketplace.core.ids import time_ordered_id
from supply.leads.identity import plain
from supply.leads.model import Rep, Territory
from supply.leads.tables import rep, territory, territory_area

_TERRITORY = [territory.c[field] for field in Territory.__struct_fields__]
_REP = [rep.c[field] for field in Rep.__struct_fields__]


class Area(msgspec.Struct, frozen=True, kw_only=True):
    """A place of a territory, as it is compared; city '' is the whole region."""

    region: str
    city: str


async def add_territory(tx: Tx, name: str, parent: Territory | None, manager_id: int | None) -> Territory:
    """Raises Conflict for a name in use."""
    territory_id = time_ordered_id(tx.now)
    new = Territory(
        territory_id=territory_id, name=name, parent_id=parent.territory_id if parent else None,
        path=[*(parent.path if parent else []), territory_id], manager_id=manager_id, version=1,
    )  # fmt: skip
    try:
        await tx.execute(insert(territory), msgspec.structs.asdict(new))
    except IntegrityError as fault:
        raise Conflict(f"name: there is a territory {name!r} already", pointer="/name") from fault
    return new


async def get_territory(tx: Tx, territory_id: int) -> Territory:
    """Raises NotFound."""
    row = await tx.row(select(*_TERRITORY).where(territory.c.territory_id == territory_id))
    if row is None:
        raise NotFound(f"there is no territory {territory_id}")
    return Territory(**row._mapping)


async def list_territories(tx: Tx) -> list[Territory]:
    """All of them, by name."""
    return [Territory(**row._mapping) for row in await tx.rows(select(*_TERRITORY).order_by(territory.c.name))]


async def set_manager(tx: Tx, territory_id: int, manager_id: int | None) -> Territory:
    """Put somebody in charge of a territory, or nobody; its version was compared."""
    await tx.execute(
        "UPDATE supply.territory SET manager_id = :manager, version = version + 1 WHERE territory_id = :territory",
        {"territory": territory_id, "manager": manager_id},
    )
    return await get_territory(tx, territory_id)


async def add_area(tx: Tx, territory_id: int, region: str, city: str) -> Area:
    """Give a place to a territory; the one that had it has it no more. Leads that are there already stay."""
    area = Area(region=plain(region), city=plain(city))
    statement = upsert(territory_area).values(**msgspec.structs.asdict(area), territory_id=territory_id)
    await tx.execute(
        statement.on_conflict_do_update(index_elements=["region", "city"], set_={"territory_id": territory_id})
    )
    return area


async def list_areas(tx: Tx, territory_id: int) -> list[Area]:
    query = select(territory_area.c.region, territory_area.c.city).where(territory_area.c.territory_id == territory_id)
    return [Area(**row._mapping) for row in await tx.rows(query.order_by("region", "city"))]


async def territory_of(tx: Tx, region: str, city: str) -> int | None:
    """The territory of a place: of the city where one has it, else of its region."""
    found: int | None = await tx.scalar(
        """
        SELECT territory_id FROM supply.territory_area WHERE region = :region AND city IN (:city, '')
        ORDER BY city DESC LIMIT 1
        """,
        region=plain(region),
        city=plain(city),
    )
    return found


async def manages(tx: Tx, user_id: int, territory_id: int | None) -> bool:
    """Whether a user is in charge of a territory or of one above it."""
    found: bool = await tx.scalar(
        """
        SELECT EXISTS (
            SELECT FROM supply.territory t JOIN supply.territory above ON above.territory_id = ANY(t.path)
            WHERE t.territory_id = :territory AND above.manager_id = :manager
        )
        """,
        territory=territory_id,
        manager=user_id,
    )
    return found


async def reaches(tx: Tx, user_id: int, territory_id: int | None) -> bool:
    """Whether a user sells in a territory, or manages it; None: whether the user sells or manages anywhere."""
    found: bool = await tx.scalar(
        """
        SELECT EXISTS (
            SELECT FROM supply.territory t LEFT JOIN supply.rep r ON r.territory_id = t.territory_id AND r.active
            WHERE :user IN (r.user_id, t.manager_id)
              AND (CAST(:territory AS bigint) IS NULL OR :territory = ANY(t.path))
        )
        """,
        user=user_id,
        territory=territory_id,
    )
    return found or await manages(tx, user_id, territory_id)


async def add_rep(tx: Tx, user_id: int, login: str, territory_id: int) -> Rep:
    """Raises Conflict for a user who is a rep already."""
    new = Rep(user_id=user_id, login=login, territory_id=territory_id, active=True, version=1)
    try:
        await tx.execute(insert(rep), msgspec.structs.asdict(new))
    except IntegrityError as fault:
        raise Conflict(f"login: {login} is a rep already", pointer="/login") from fault
    return new


async def get_rep(tx: Tx, user_id: int, *, lock: bool = False) -> Rep:
    """A rep, held until the transaction ends when `lock` says so. Raises NotFound."""
    query = select(*_REP).where(rep.c.user_id == user_id)
    row = await tx.row(query.with_for_update() if lock else query)
    if row is None:
        raise NotFound(f"there is no rep {user_id}")
    return Rep(**row._mapping)


async def edit_rep(tx: Tx, user_id: int, *, territory_id: int, active: bool) -> Rep:
    """Move a rep to another territory, or out of service; the row is held and its version was compared."""
    await tx.execute(
        """
        UPDATE supply.rep SET territory_id = :territory, active = :active, version = version + 1
        WHERE user_id = :user
        """,
        {"user": user_id, "territory": territory_id, "active": active},
    )
    return await get_rep(tx, user_id)


async def list_reps(tx: Tx, *, limit: int, after: int = 0) -> list[Rep]:
    """At most `limit` reps by id, those behind the id `after`."""
    query = select(*_REP).where(rep.c.user_id > after).order_by(rep.c.user_id).limit(limit)
    return [Rep(**row._mapping) for row in await tx.rows(query)]


async def active_reps(tx: Tx, territory_id: int | None) -> Sequence[Any]:
    """The ids of reps at work in a territory and below it; without one, everywhere."""
    return await tx.rows(
        """
        SELECT r.user_id FROM supply.rep r JOIN supply.territory t ON t.territory_id = r.territory_id
        WHERE r.active AND (CAST(:territory AS bigint) IS NULL OR :territory = ANY(t.path)) ORDER BY r.user_id
        """,
        territory=territory_id,
    )
