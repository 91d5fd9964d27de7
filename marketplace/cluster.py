"""Spread the tables over a Citus cluster, each as its definition says (decision D2).

Tables of one kind of key share their shards, so that a statement over them that is led by the key runs whole on every
worker. Running it again finds everything in place and changes nothing; run after a migration, it places new tables.
"""

from collections.abc import Mapping

import asyncpg
import msgspec
from sqlalchemy import ForeignKeyConstraint, Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import AddConstraint, DropConstraint, ExecutableDDLElement

from marketplace.core.db import Role
from marketplace.core.errors import Conflict
from marketplace.core.security import MAY_ADD
from marketplace.core.tables import placement, qualified
from marketplace.tables import metadata

SHARDS = 32
"""Shards per kind of key: several times the workers one will ever have."""


class PlacedTable(msgspec.Struct, frozen=True):
    """Where a table's rows live: `local` on the coordinator, `reference` on every node, `distributed` by `key`.

    colocation: the number Citus gave the group of tables that share shards, None for local tables.
    """

    table: str
    place: str
    key: str | None = None
    colocation: int | None = None


async def distribute(url: str, *, shards: int = SHARDS) -> list[PlacedTable]:
    """Place every table of the house on the cluster whose coordinator `url` names; returns where each is, verified.

    Raises Conflict when the server is no usable coordinator, or a table is placed otherwise than it says.
    """
    connection = await asyncpg.connect(url.replace("+asyncpg", "", 1))
    try:
        await connection.execute("SELECT pg_advisory_lock(hashtext('marketplace.migrate'))")
        await _check_coordinator(connection)
        await _propagate_settings(connection)
        await _let_house_roles_copy(connection)
        await _simplify_policies(connection)
        await connection.execute(f"SET citus.shard_count = {int(shards):d}")
        await _untie(connection)
        moved = [*await _make_reference_tables(connection), *await _make_distributed_tables(connection)]
        await _tie(connection)
        for name in moved:
            await _drop_local_rows(connection, name)
        placed = await placed_tables(connection)
        _check(placed)
        return list(placed.values())
    finally:
        await connection.close()


async def placed_tables(connection: asyncpg.Connection) -> dict[str, PlacedTable]:
    """Where each table of the house is according to Citus, by qualified name."""
    rows = await connection.fetch(
        "SELECT logicalrelid::regclass::oid AS relation, partmethod::text AS method, repmodel::text AS model,"
        " column_to_column_name(logicalrelid, partkey) AS key, colocationid FROM pg_dist_partition"
    )
    by_relation = {row["relation"]: row for row in rows}
    placed = {}
    for table in metadata.sorted_tables:
        name = qualified(table)
        row = by_relation.get(await connection.fetchval("SELECT to_regclass($1)::oid", name))
        if row is None or (row["model"] == "s" and row["method"] == "n"):  # "s", "n": local, known to Citus
            placed[name] = PlacedTable(name, "local")
        elif row["method"] == "n":
            placed[name] = PlacedTable(name, "reference", colocation=row["colocationid"])
        else:
            placed[name] = PlacedTable(name, "distributed", row["key"], row["colocationid"])
    return placed


async def _check_coordinator(connection: asyncpg.Connection) -> None:
    if not await connection.fetchval("SELECT count(*) FROM pg_extension WHERE extname = 'citus'"):
        raise Conflict("this database has no extension citus: CREATE EXTENSION citus here and on every worker first")
    nodes = await connection.fetch("SELECT groupid, shouldhaveshards FROM pg_dist_node WHERE isactive")
    if not any(node["groupid"] == 0 for node in nodes):
        raise Conflict(
            "the coordinator does not know its own address, which reference tables need:"
            " SELECT citus_set_coordinator_host('…') first"
        )
    if not any(node["shouldhaveshards"] for node in nodes):
        raise Conflict("no node may hold shards: SELECT citus_add_node('…', 5432) for each worker first")


async def _propagate_settings(connection: asyncpg.Connection) -> None:
    """Let SET LOCAL reach the workers, for every client: without it a row policy there would see no tenant."""
    name = await connection.fetchval("SELECT quote_ident(current_database())")
    await connection.execute(f"ALTER DATABASE {name} SET citus.propagate_set_commands = 'local'")


async def _let_house_roles_copy(connection: asyncpg.Connection) -> None:
    """Take staff and worker, whose policies let them see and write everything, out of the policies altogether.

    Where rows come from the coordinator, Citus carries them into the shards with COPY, which PostgreSQL refuses to a
    role that is under a policy, whatever the policy says.
    """
    for role in (Role.STAFF, Role.WORKER):
        if await connection.fetchval("SELECT rolbypassrls FROM pg_roles WHERE rolname = $1", role):
            continue
        try:
            await connection.execute(f"ALTER ROLE {role} BYPASSRLS")
        except asyncpg.InsufficientPrivilegeError as fault:
            raise Conflict(f"a superuser must run ALTER ROLE {role} BYPASSRLS on the coordinator first") from fault


async def _simplify_policies(connection: asyncpg.Connection) -> None:
    """Put aside what the policies of house roles hold back, which they pass by: Citus takes no sub-query in one."""
    for name in MAY_ADD:
        for role in (Role.STAFF, Role.WORKER):
            await connection.execute(f"ALTER POLICY {role} ON {name} WITH CHECK (true)")


async def _untie(connection: asyncpg.Connection) -> None:
    """Take off the foreign keys of tables that are still to be distributed, to others that are distributed.

    A table with a key to a reference table, and all that are tied to it, become local tables that Citus knows of, and
    these may have no key to a distributed one: where tables are tied, none could be the first.
    """
    placed = await placed_tables(connection)
    for key in _keys_between_distributed():
        if placed[qualified(key.table)].place == "local":
            await connection.execute(_statement(DropConstraint(key, if_exists=True)))


async def _tie(connection: asyncpg.Connection) -> None:
    """Put the missing foreign keys between distributed tables back; also those that a run before this took off."""
    there = await connection.fetch(
        "SELECT conrelid::regclass::text AS name, conname FROM pg_constraint WHERE contype = 'f'"
    )
    found = {(row["name"], row["conname"]) for row in there}
    for key in _keys_between_distributed():
        if (qualified(key.table), key.name) not in found:
            await connection.execute(_statement(AddConstraint(key, isolate_from_table=False)))


def _keys_between_distributed() -> list[ForeignKeyConstraint]:
    return [
        key
        for table in metadata.sorted_tables
        for key in sorted(table.foreign_key_constraints, key=lambda key: list(key.column_keys))
        if key.referred_table is not table and placement(key.referred_table).distributed_by
    ]


def _statement(ddl: ExecutableDDLElement) -> str:
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy does not annotate its constructor
    return str(ddl.compile(dialect=dialect))


async def _make_reference_tables(connection: asyncpg.Connection) -> list[str]:
    made = []
    placed = await placed_tables(connection)
    for table in metadata.sorted_tables:
        name = qualified(table)
        if placement(table).reference and placed[name].place == "local":
            await connection.execute("SELECT create_reference_table($1)", name)
            made.append(name)
    return made


async def _make_distributed_tables(connection: asyncpg.Connection) -> list[str]:
    """In the order of their foreign keys; the first table of a kind of key sets the shards of the rest."""
    made = []
    placed = await placed_tables(connection)
    leaders: dict[str, str] = {}
    for table in metadata.sorted_tables:
        kind = placement(table).colocated_with
        if kind and placed[qualified(table)].place == "distributed":
            leaders.setdefault(kind, qualified(table))
    for table in metadata.sorted_tables:
        stated, name = placement(table), qualified(table)
        if stated.distributed_by is None or placed[name].place != "local":
            continue
        assert stated.colocated_with is not None
        leader = leaders.setdefault(stated.colocated_with, name)
        await connection.execute(
            "SELECT create_distributed_table($1, $2, colocate_with => $3)",
            name,
            stated.distributed_by,
            "none" if leader == name else leader,
        )
        made.append(name)
    return made


async def _drop_local_rows(connection: asyncpg.Connection, name: str) -> None:
    """Citus copies a table's rows to the shards and leaves the originals behind, unseen; free their space."""
    if await connection.fetchval("SELECT pg_relation_size(to_regclass($1)) > 0", name):
        await connection.execute("SELECT truncate_local_data_after_distributing_table($1)", name)


def _check(placed: Mapping[str, PlacedTable]) -> None:
    """Raise Conflict unless every table is where its definition says, and its kind shares one colocation group."""
    groups: dict[str, set[int | None]] = {}
    for table in metadata.sorted_tables:
        found = placed[qualified(table)]
        if (found.place, found.key) != _stated(table):
            raise Conflict(f"{found.table} is {found.place} by {found.key}, and should be {_stated(table)}")
        kind = placement(table).colocated_with
        if kind:
            groups.setdefault(kind, set()).add(found.colocation)
    apart = sorted(kind for kind, group in groups.items() if len(group) > 1)
    if apart:
        raise Conflict(f"tables keyed by {', '.join(apart)} do not share their shards")


def _stated(table: Table) -> tuple[str, str | None]:
    stated = placement(table)
    if stated.distributed_by:
        return "distributed", stated.distributed_by
    return ("reference" if stated.reference else "local"), None
