"""The schema that the migrations build is the one that the code describes."""

import re
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import CheckConstraint, Connection

from marketplace.core.db import WORKER, Database, Role, Scope, Tx
from marketplace.core.security import APPEND_ONLY, CHANGEABLE
from marketplace.core.tables import SCHEMAS, placement, qualified
from marketplace.tables import metadata
from tests.builders import add_market

JOBS = re.compile(r"(core\.)?job(_|s|$)")
"""PgQueuer's own tables, which the metadata does not describe."""


def _ours(item: Any, name: str | None, kind: str, reflected: bool, compare_to: Any) -> bool:
    table = item if kind == "table" else item.table
    return table.schema in SCHEMAS and not JOBS.match(table.name)


def _differences(connection: Connection) -> list[Any]:
    options = {"include_schemas": True, "include_object": _ours, "compare_type": True, "compare_server_default": True}
    context = MigrationContext.configure(connection, opts=options)
    return list(compare_metadata(context, metadata))


async def test_migrations_build_what_the_metadata_says(db: Database) -> None:
    async with db.engine.connect() as connection:
        assert await connection.run_sync(_differences) == []


async def test_every_check_is_there_and_says_the_same(db: Database) -> None:
    stated = {
        (
            qualified(table),
            f"ck_{table.name}_{check.name}".replace(f"ck_{table.name}_ck_{table.name}_", f"ck_{table.name}_"),
        )
        for table in metadata.sorted_tables
        for check in table.constraints
        if isinstance(check, CheckConstraint)
    }
    async with db.read(WORKER) as tx:
        rows = await tx.rows(
            """
            SELECT conrelid::regclass::text AS name, conname FROM pg_constraint
            WHERE contype = 'c' AND connamespace::regnamespace::text = ANY(:schemas)
            """,
            schemas=list(SCHEMAS),
        )
    found = {(row.name, row.conname) for row in rows if not JOBS.match(row.name)}
    assert found == stated


async def test_every_owned_table_is_under_a_forced_policy_for_each_role_that_may_read_it(db: Database) -> None:
    """Checked against the metadata: a new table of a merchant or a buyer cannot be forgotten (pain 11)."""
    async with db.read(WORKER) as tx:
        rows = await tx.rows(
            """
            SELECT c.oid::regclass::text AS name, c.relrowsecurity AND c.relforcerowsecurity AS forced,
                   coalesce(array_agg(DISTINCT r.rolname::text) FILTER (WHERE r.rolname IS NOT NULL), '{}') AS roles,
                   has_table_privilege('app_merchant', c.oid, 'SELECT') AS merchant,
                   has_table_privilege('app_buyer', c.oid, 'SELECT') AS buyer,
                   has_table_privilege('app_worker', c.oid, 'UPDATE')
                   OR has_table_privilege('app_staff', c.oid, 'DELETE') AS changeable
            FROM pg_class c LEFT JOIN pg_policy p ON p.polrelid = c.oid
            LEFT JOIN pg_roles r ON r.oid = ANY(p.polroles)
            WHERE c.relkind IN ('r', 'p') GROUP BY c.oid
            """
        )
    found = {row.name: row for row in rows}
    owners = {"merchant_id": "app_merchant", "buyer_id": "app_buyer", "payer_id": "app_payer"}
    for table in metadata.sorted_tables:
        row, key = found[qualified(table)], placement(table).distributed_by
        if key in owners:
            assert row.forced, row.name
            assert set(row.roles) == {"app_staff", "app_worker", owners[key]}, row.name
            assert next(iter(table.primary_key.columns)).name == key, row.name
        assert row.merchant is (
            key == "merchant_id"
            or "app_merchant" in placement(table).readable_by
            or (row.forced and "app_merchant" in row.roles)
        ), row.name
        assert row.buyer is (key == "buyer_id" or "app_buyer" in placement(table).readable_by), row.name
        assert row.changeable is (qualified(table) not in APPEND_ONLY | CHANGEABLE.keys()), row.name


@pytest.mark.parametrize("tenant", [None, 7])
async def test_a_merchant_without_books_sees_no_row_of_any(db: Database, tenant: int | None) -> None:
    await db.write(WORKER, "test", _add)
    async with db.read(Scope(Role.MERCHANT, tenant)) as tx:
        for table in metadata.sorted_tables:
            if placement(table).distributed_by == "merchant_id":
                assert await tx.scalar(f"SELECT count(*) FROM {qualified(table)}") == 0, qualified(table)


async def _add(tx: Tx) -> None:
    await add_market(tx, [1])
