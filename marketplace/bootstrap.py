"""A database ready to serve: started or reached, migrated, and holding what every marketplace needs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from billing.ledger.chart import Account
from billing.ledger.tables import account
from demand.refunds.store import ensure_default_policy
from marketplace.core import policies
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import Conflict, Unreachable
from marketplace.core.ids import time_ordered_id
from marketplace.core.pgembed import embedded_url, start_embedded
from marketplace.core.tables import app_user
from marketplace.migrate import current_version, migrate, newest_version
from marketplace.settings import Settings
from supply.funnels.store import ensure_funnels
from supply.leads.channels.store import ensure_channels

DATABASE = "marketplace"
OPERATOR = "operator"
"""The first user of an embedded database: an administrator without a password, for the command line only."""


@asynccontextmanager
async def open_database(settings: Settings, *, migrating: bool = False) -> AsyncIterator[Database]:
    """The database of these settings, for the length of the block.

    An embedded one is created and migrated on the way; a server of your own must have been migrated by
    `marketplace migrate` (`migrating` says that this is it), else Conflict is raised.
    """
    url = await database_url(settings)
    try:
        version = await current_version(url)
    except (OSError, DBAPIError) as fault:
        raise Unreachable(f"the database cannot be reached: {getattr(fault, 'orig', None) or fault}") from fault
    if version != newest_version():
        if settings.database_url and not migrating:
            raise Conflict("the database is not at this program's schema version: run `marketplace migrate` first")
        await migrate(url)
    db = Database(url, settings.clock(), pool_size=settings.pool_size, citus=settings.citus)
    try:
        await db.write(WORKER, "bootstrap", ensure_basics, embedded=settings.database_url is None)
        yield db
    finally:
        await db.close()


async def database_url(settings: Settings, database: str = DATABASE) -> str:
    """The address of the database; an embedded one is started, and created when missing."""
    if settings.database_url:
        return settings.database_url
    try:
        server = start_embedded(settings.home)
    except OSError as fault:
        raise Unreachable(f"MARKETPLACE_HOME: {settings.home} cannot be used: {fault.strerror}") from fault
    await create_database(embedded_url(server, "postgres"), database)
    return embedded_url(server, database)


async def create_database(maintenance_url: str, database: str) -> None:
    """Create `database` on the server unless it is there, whoever else tries at the same time."""
    engine = create_async_engine(maintenance_url, isolation_level="AUTOCOMMIT")
    try:
        async with engine.connect() as connection:
            raw = (await connection.get_raw_connection()).driver_connection
            assert isinstance(raw, asyncpg.Connection)
            if not await raw.fetchval("SELECT count(*) FROM pg_database WHERE datname = $1", database):
                try:
                    await raw.execute(f'CREATE DATABASE "{database}" TEMPLATE template0')
                except (asyncpg.DuplicateDatabaseError, asyncpg.UniqueViolationError):
                    return
    finally:
        await engine.dispose()


async def ensure_basics(tx: Tx, *, embedded: bool) -> None:
    """The chart of accounts, the first refund policy, channels and funnels.

    Embedded also the first user and the policy single_operator.

    An embedded database is one person's trial: that person may approve what it made, and every such deed is marked.
    """
    chart = [
        {"code": int(code), "name": code.title, "nature": code.nature.name, "dimension": code.dimension}
        for code in Account
    ]
    if len(await tx.rows(select(account.c.code))) != len(chart):
        await tx.execute(insert(account).on_conflict_do_nothing(), chart)
    await ensure_default_policy(tx)
    await ensure_channels(tx)
    await ensure_funnels(tx)
    if embedded and await tx.scalar(select(app_user.c.user_id).limit(1)) is None:
        first = {"user_id": time_ordered_id(tx.now), "login": OPERATOR, "name": "Operator", "created_at": tx.now}
        await tx.execute(insert(app_user).values(roles=["admin"], **first).on_conflict_do_nothing())
        await policies.switch(tx, "single_operator", on=True)
