"""Bring a database to the newest schema version. There is no way back but a backup."""

import logging
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from marketplace.core.errors import Conflict

logging.getLogger("alembic").setLevel(logging.WARNING)  # it tells of every look at the version


def alembic_config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


@cache
def newest_version() -> str:
    """The schema version this code was written for."""
    head = ScriptDirectory.from_config(alembic_config()).get_current_head()
    assert head is not None
    return head


def _current(connection: Connection) -> str | None:
    return MigrationContext.configure(
        connection, opts={"version_table": "schema_version", "version_table_schema": "public"}
    ).get_current_revision()


def check_known(version: str | None, holder: str) -> None:
    """Raise Conflict when `holder` is at a schema version that this program does not know."""
    known = {script.revision for script in ScriptDirectory.from_config(alembic_config()).walk_revisions()}
    if version is not None and version not in known:
        raise Conflict(
            f"{holder} is at schema version {version}, newer than this program's {newest_version()}: downgrades are"
            " refused; use the newer program, or a backup made before the upgrade"
        )


def _upgrade(connection: Connection) -> tuple[str | None, str]:
    before, newest = _current(connection), newest_version()
    check_known(before, "the database")
    config = alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    return before, newest


_SERVER_MIN = 16


async def _check_server(connection: AsyncConnection) -> None:
    """Raise Conflict for a server that is too old for this schema."""
    major = int((await connection.execute(text("SHOW server_version_num"))).scalar_one()) // 10_000
    if major < _SERVER_MIN:
        raise Conflict(f"the server is PostgreSQL {major}; this program needs {_SERVER_MIN} or newer")


async def migrate(url: str) -> tuple[str | None, str]:
    """Upgrade the database at `url` as its owner; returns the version before (None: empty) and after.

    Raises Conflict when the database is newer than this program.
    """
    engine = create_async_engine(url)
    try:
        async with engine.connect() as connection:
            await _check_server(connection)
            await connection.execute(text("SELECT pg_advisory_lock(hashtext('marketplace.migrate'))"))
            await connection.execute(text("SET row_security = off"))  # an owner that policies narrow is told of it
            await connection.commit()
            versions = await connection.run_sync(_upgrade)
            await connection.commit()
            return versions
    finally:
        await engine.dispose()


async def current_version(url: str) -> str | None:
    """The schema version of the database at `url`, None when it has none."""
    engine = create_async_engine(url)
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(_current)
    finally:
        await engine.dispose()
