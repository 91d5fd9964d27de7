"""A database of its own on a Citus cluster, made through SQL only."""

import os
import uuid
from collections.abc import AsyncIterator

import asyncpg
import pytest
from sqlalchemy import make_url

from marketplace.bootstrap import ensure_basics
from marketplace.cluster import distribute
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database
from marketplace.migrate import migrate
from tests.conftest import NOW, connect, named


@pytest.fixture
async def citus_url() -> AsyncIterator[str]:
    """The address of an empty database, known to the cluster's workers, dropped afterwards."""
    cluster = os.environ.get("MARKETPLACE_CITUS_URL")
    if not cluster:
        pytest.skip("MARKETPLACE_CITUS_URL is not set: nothing here was tried on a Citus cluster")
    name = f"test_{uuid.uuid4().hex}"
    coordinator = await connect(cluster)
    nodes = await coordinator.fetch("SELECT nodename, nodeport, groupid FROM pg_dist_node WHERE isactive")
    host = next((node["nodename"] for node in nodes if node["groupid"] == 0), "localhost")
    workers = [(node["nodename"], node["nodeport"]) for node in nodes if node["groupid"] != 0]
    every = [cluster, *(_at(cluster, *worker) for worker in workers)]
    url = named(cluster, name)
    try:
        for node in every:
            await _run(node, "SET citus.enable_create_database_propagation = off", f"CREATE DATABASE {name}")
            await _run(named(node, name), "CREATE EXTENSION citus")
        port = make_url(cluster).port or 5432
        await _run(
            url,
            f"SELECT citus_set_coordinator_host('{host}', {port})",
            *(f"SELECT citus_add_node('{worker}', {port})" for worker, port in workers),
        )
        yield url
    finally:
        for node in every:
            await _run(
                node,
                "SET citus.enable_create_database_propagation = off",
                f"DROP DATABASE IF EXISTS {name} WITH (FORCE)",
            )
        await coordinator.close()


def _at(url: str, host: str, port: int) -> str:
    return make_url(url).set(host=host, port=port).render_as_string(hide_password=False)


async def _run(url: str, *statements: str) -> None:
    connection: asyncpg.Connection = await connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture
async def citus_db(citus_url: str) -> AsyncIterator[Database]:
    """A migrated and distributed database on the cluster."""
    await migrate(citus_url)
    await distribute(citus_url, shards=4)
    database = Database(citus_url, FixedClock(NOW), pool_size=8, citus=True)
    await database.write(WORKER, "bootstrap", ensure_basics, embedded=True)
    yield database
    await database.close()
