"""The house on a Citus cluster: placement, row policies on the workers, checks, and statements that are pushed down."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert
from sqlalchemy.exc import DBAPIError

from billing.ledger.tables import entity, entry
from billing.tables import billing_run
from marketplace.backup import back_up, restore
from marketplace.cluster import distribute, placed_tables
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Role, Scope, Tx
from marketplace.core.errors import Conflict
from marketplace.core.tables import placement
from marketplace.migrate import migrate
from marketplace.tables import metadata
from supply.tables import merchant
from tests.conftest import NOW, connect

pytestmark = pytest.mark.citus

AT = datetime(2018, 3, 1, tzinfo=UTC)
MERCHANTS = 20


def an_entry(merchant_id: int, entry_no: int, **changes: Any) -> dict[str, Any]:
    row = {
        "merchant_id": merchant_id,
        "entry_no": entry_no,
        "kind": "order_paid",
        "source_id": entry_no,
        "entity_id": 1,
        "currency": "BRL",
        "occurred_at": AT,
        "effective_on": date(2018, 3, 1),
        "prior_period": False,
        "accounts": [1020, 2005],
        "dimensions": [0, 0],
        "amounts": [500, -500],
        "posted_at": AT,
        "posted_by": "t",
    }
    return row | changes


async def fill(tx: Tx) -> None:
    merchants: list[dict[str, Any]] = [
        {"merchant_id": number, "merchant_ref": f"m{number}", "name": "", "entity_id": 1, "created_at": tx.now}
        for number in range(1, MERCHANTS + 1)
    ]
    await tx.execute(insert(merchant), merchants)
    await tx.execute(insert(entry), [an_entry(row["merchant_id"], no) for row in merchants for no in (1, 2)])
    house = {"entity_id": 1, "name": "House", "currency": "BRL", "zone": "UTC", "house_merchant_id": -1}
    await tx.execute(insert(entity), house)


async def test_every_table_is_where_its_definition_says_and_a_second_time_changes_nothing(citus_db: Database) -> None:
    first = await distribute(citus_db.url)
    assert len(first) == len(metadata.sorted_tables)
    connection = await connect(citus_db.url)
    shards = await connection.fetchval("SELECT count(*) FROM pg_dist_shard")
    assert list((await placed_tables(connection)).values()) == first
    await distribute(citus_db.url)
    assert await connection.fetchval("SELECT count(*) FROM pg_dist_shard") == shards
    await connection.close()
    groups: dict[str, set[int | None]] = {}
    for table in first:
        kind = placement(metadata.tables[table.table]).colocated_with
        if kind:
            groups.setdefault(kind, set()).add(table.colocation)
    assert groups.keys() >= {"merchant", "buyer"}
    assert all(len(group) == 1 for group in groups.values())
    assert len({frozenset(group) for group in groups.values()}) == len(groups)


async def test_a_table_placed_otherwise_is_refused(citus_url: str) -> None:
    await migrate(citus_url)
    connection = await connect(citus_url)
    await connection.execute("SELECT create_distributed_table('billing.payment_share', 'order_id')")
    await connection.close()
    with pytest.raises(Conflict, match="payment_share is distributed by order_id"):
        await distribute(citus_url)


async def test_a_database_in_use_is_distributed_with_its_rows(citus_url: str) -> None:
    await migrate(citus_url)
    from_before = Database(citus_url, FixedClock(NOW))
    await from_before.write(WORKER, "t", fill)
    await from_before.close()
    await distribute(citus_url)
    db = Database(citus_url, FixedClock(NOW), citus=True)
    async with db.read(WORKER) as tx:
        assert await tx.scalar("SELECT count(*) FROM billing.entry") == 2 * MERCHANTS
        assert await tx.scalar("SELECT count(*) FROM supply.merchant") == MERCHANTS
    await db.close()
    connection = await connect(citus_url)
    left = await connection.fetchval("SELECT pg_relation_size('billing.entry')")
    await connection.close()
    assert left == 0


async def test_row_policies_hold_on_the_workers(citus_db: Database) -> None:
    await citus_db.write(WORKER, "t", fill)
    for query in ("SELECT merchant_id FROM billing.entry", "SELECT merchant_id FROM billing.posting"):
        async with citus_db.read(WORKER) as tx:
            assert {row.merchant_id for row in await tx.rows(query)} == set(range(1, MERCHANTS + 1))
        async with citus_db.read(Scope(Role.MERCHANT, 7)) as tx:
            assert {row.merchant_id for row in await tx.rows(query)} == {7}
            assert not await tx.rows(f"{query} WHERE merchant_id = 8")
        async with citus_db.read(Scope(Role.MERCHANT)) as tx:
            assert not await tx.rows(query)


async def post(tx: Tx, row: dict[str, Any]) -> None:
    await tx.execute(insert(entry), row)


async def test_the_checks_of_an_entry_hold_on_the_workers(citus_db: Database) -> None:
    await citus_db.write(WORKER, "t", post, an_entry(3, 1))
    wrong: list[dict[str, Any]] = [
        {"amounts": [500, -499]},
        {"amounts": [500, 0]},
        {"accounts": [1020]},
        {"dimensions": [0, None]},
        {"source_id": 1},
    ]
    for change in wrong:
        with pytest.raises(DBAPIError, match=r"violates (check|unique) constraint"):
            await citus_db.write(WORKER, "t", post, an_entry(3, 2) | change)
    await citus_db.write(WORKER, "t", post, an_entry(3, 2))


async def test_entries_can_be_neither_changed_nor_removed(citus_db: Database) -> None:
    await citus_db.write(WORKER, "t", post, an_entry(3, 1))
    for statement in ("UPDATE billing.entry SET posted_by = 'x'", "DELETE FROM billing.entry"):
        with pytest.raises(DBAPIError, match="permission denied"):
            await citus_db.write(WORKER, "t", Tx.execute, statement)


PUSHED_DOWN = """
    INSERT INTO billing.account_day
    SELECT merchant_id, account, dimension, currency, effective_on, debit, credit, lines, first_no, last_no FROM (
        SELECT e.merchant_id, leg.account, leg.dimension, e.currency, e.effective_on,
               sum(greatest(leg.amount, 0)) AS debit, sum(greatest(-leg.amount, 0)) AS credit, count(*) AS lines,
               min(e.entry_no) AS first_no, max(e.entry_no) AS last_no
        FROM billing.entry e, unnest(e.accounts, e.dimensions, e.amounts) AS leg (account, dimension, amount)
        GROUP BY e.merchant_id, leg.account, leg.dimension, e.currency, e.effective_on) AS days
    ON CONFLICT (merchant_id, account, dimension, currency, effective_on)
        DO UPDATE SET lines = account_day.lines + excluded.lines
"""


async def test_bulk_statements_run_whole_on_the_workers(citus_db: Database) -> None:
    await citus_db.write(WORKER, "t", fill)

    async def plan_of(tx: Tx, statement: str) -> str:
        return "\n".join(row[0] for row in await tx.rows(f"EXPLAIN {statement}"))

    plan = await citus_db.write(WORKER, "t", plan_of, PUSHED_DOWN)
    assert "Custom Scan (Citus Adaptive)" in plan
    assert "INSERT/SELECT method" not in plan  # Citus names a method only where it has to move rows itself,
    volatile = PUSHED_DOWN.replace("SELECT merchant_id, account", "SELECT merchant_id, account + (random() * 0)::int")
    assert "INSERT/SELECT method" in await citus_db.write(WORKER, "t", plan_of, volatile)  # as here
    await citus_db.write(WORKER, "t", Tx.execute, PUSHED_DOWN)
    async with citus_db.read(WORKER) as tx:
        assert await tx.scalar("SELECT sum(lines) FROM billing.account_day") == 4 * MERCHANTS


async def test_local_tables_join_reference_and_distributed_tables(citus_db: Database) -> None:
    async def run(tx: Tx) -> int:
        run = {"run_id": 1, "entity_id": 1, "from_on": date(2018, 3, 1), "to_on": date(2018, 4, 1)}
        made = {"payout_on": date(2018, 4, 5), "state": "draft", "made_by": "t", "made_at": tx.now}
        await fill(tx)
        await tx.execute(insert(billing_run), run | made)
        joined: int = await tx.scalar(
            "SELECT count(*) FROM billing.billing_run r JOIN billing.entity USING (entity_id)"
            " JOIN billing.entry e USING (entity_id)"
            " WHERE e.effective_on >= r.from_on AND e.effective_on < r.to_on"
        )
        return joined

    assert await citus_db.write(WORKER, "t", run) == 2 * MERCHANTS


async def test_a_server_without_citus_is_refused(db: Database) -> None:
    with pytest.raises(Conflict, match="no extension citus"):
        await distribute(db.url)


async def test_a_backup_of_a_cluster_fills_one_server_and_the_cluster_again(
    citus_db: Database, db: Database, tmp_path: Path
) -> None:
    await citus_db.write(WORKER, "t", fill)
    await back_up(citus_db.url, tmp_path / "b.dump", embedded=False, citus=True)
    for target in (db, citus_db):
        await restore(target.url, tmp_path / "b.dump", embedded=False, replace=True)
        await target.disconnect()
    await distribute(citus_db.url)
    for target in (db, citus_db):
        async with target.read(Scope(Role.MERCHANT, 7)) as tx:
            assert await tx.scalar("SELECT count(*) FROM billing.entry") == 2
        async with target.read(WORKER) as tx:
            assert await tx.scalar("SELECT count(*) FROM billing.entry") == 2 * MERCHANTS
