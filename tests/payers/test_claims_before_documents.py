"""A database from before payers had documents (schema 0010), with a claim in it, brought to today's."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from alembic import command
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from billing.payers.claims.store import get_claim
from billing.periods.model import PeriodState
from billing.runs.model import period_named
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database
from marketplace.core.tables import qualified
from marketplace.flows.books.close_period import Month
from marketplace.migrate import alembic_config, migrate, newest_version
from marketplace.tables import metadata
from tests.billing.market import billed, check_books
from tests.conftest import connect
from tests.ops.test_database_commands import drop_database, empty_database
from tests.payers.market import claim, market, sold, terms
from tests.payers.test_invoices import PAYER, documents, reject
from tests.periods.market import closed

TAKEN_BY_DOCUMENTS = "billing.document_series"
"""Not carried over: the numbers that payers' documents took, which there were not."""


def _to_0010(connection: Connection) -> None:
    config = alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, "0010")


async def _carry(source: str, target: str) -> None:
    """Fill the tables and columns that an older schema has with the rows of a newer one."""
    rows_of, into = await connect(source), await connect(target)
    await into.execute("SET session_replication_role = replica")
    for table in metadata.sorted_tables:
        name = qualified(table)
        known = await into.fetch("SELECT attname FROM pg_attribute WHERE attrelid = to_regclass($1)", name)
        columns = [column.name for column in table.columns if (column.name,) in known]
        if columns and name != TAKEN_BY_DOCUMENTS:
            await into.execute(f"TRUNCATE {name} CASCADE")
            listed = ", ".join(f'"{column}"' for column in columns)
            rows = await rows_of.fetch(f"SELECT {listed} FROM {name}")
            await into.copy_records_to_table(table.name, schema_name=table.schema, records=rows, columns=columns)
    await rows_of.close()
    await into.close()


@pytest.fixture
async def upgraded(db: Database, clock: FixedClock, maintenance_url: str) -> AsyncIterator[Database]:
    """Two claims with a share and a fixed fee each, of one of which a part was rejected, sent under 0010."""
    await market(db, terms(fee_fixed_minor=150))
    for key in ("k1", "k2"):
        await sold(db, key)
        clock.move_to(clock.now() + timedelta(minutes=5))
        made = await claim(db)
        clock.move_to(clock.now() + timedelta(minutes=5))
    await reject(db, made, 2_333)
    url = await empty_database(maintenance_url, "from_0010")
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        await connection.run_sync(_to_0010)
        await connection.commit()
    await engine.dispose()
    await _carry(db.url, url)
    assert await migrate(url) == ("0010", newest_version())
    clock.move_to(clock.now() + timedelta(minutes=5))
    later = Database(url, clock)
    yield later
    await later.close()
    await drop_database(url, maintenance_url)


async def test_claims_from_before_documents_hold_nothing_up(upgraded: Database, clock: FixedClock) -> None:
    assert await documents(upgraded) == []
    await check_books(upgraded)
    clock.move_to(clock.now() + timedelta(days=30))
    await billed(upgraded, period_named("2018-09"))
    period = (await closed(upgraded, Month(month="2018-09"))).period
    assert period.state is PeriodState.CLOSED


async def test_what_is_rejected_of_them_is_credited_by_no_document(upgraded: Database) -> None:
    async with upgraded.read(WORKER) as tx:
        [first, second] = [row.claim_id for row in await tx.rows("SELECT claim_id FROM billing.payer_claim ORDER BY 1")]
        claims = [await get_claim(tx, PAYER, claim_id) for claim_id in (first, second)]
    assert not any(made.documented for made in claims)
    for made, minor in zip(claims, (7_000, 4_667), strict=True):
        await reject(upgraded, made, minor)
    assert await documents(upgraded) == []
    await check_books(upgraded)


async def test_the_next_claims_have_documents_again(upgraded: Database) -> None:
    await sold(upgraded, "k3")
    made = await claim(upgraded)
    assert made.documented
    await reject(upgraded, made, 7_000)
    assert [(one.net_minor, one.vat_minor) for one in await documents(upgraded)] == [(290, 58), (140, 28)]
    await check_books(upgraded)
