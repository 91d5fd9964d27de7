"""One embedded server per test run, one migrated template, one database per test that needs its own.

`db` is a fresh copy of the template: tests commit for real, so races, triggers of constraints and roles behave as in
production. Copying the template takes some 25 ms in memory, ten times that on a disk.
"""

import asyncio
import gc
import os
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import fasteners
import pytest
from argon2 import PasswordHasher
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from sqlalchemy import make_url

from marketplace.bootstrap import create_database, ensure_basics
from marketplace.core import passwords
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database
from marketplace.core.pgembed import embedded_url, start_embedded
from marketplace.migrate import migrate

NOW = datetime(2018, 9, 3, 12, 0, tzinfo=UTC)
"""The instant at which tests happen unless they say otherwise."""

TEMPLATE = "marketplace_template"

hypothesis_settings.register_profile(
    "suite",
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
hypothesis_settings.load_profile("suite")


passwords._hasher = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
"""What a hash costs is for guessers; hundreds of tests sign in, and what is stored says itself what it costs."""

MUST_RUN = frozenset(filter(None, os.environ.get("MARKETPLACE_TESTS_MUST_RUN", "").split(",")))
"""Markers whose tests may not skip here, because whoever runs them has provided what they need."""


_NEEDS = frozenset({"browser", "real_data", "citus", "hledger"})
_HOME = "MARKETPLACE_TESTS_HOME"


_MEMORY = Path("/dev/shm")  # only as a place for a folder of our own
_MEMORY_BYTES_MIN = 8 * 2**30
_GARBAGE = (5_000, 20, 20)  # Python's own are (700, 10, 10)


def pytest_configure(config: pytest.Config) -> None:
    """Make the run's folder once, before the xdist workers start and inherit its name: in memory where there is room.

    The tests' own folders are in it, too; it goes when the run ends. And where Python may leave no compiled modules in
    the tree, they are kept there: hundreds of processes of this run need not compile a thousand modules each.

    Garbage is looked for less often: over what a thousand modules hold, that was a fifth of what some tests computed.
    """
    gc.set_threshold(*_GARBAGE)
    if not hasattr(config, "workerinput"):
        roomy = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _MEMORY_BYTES_MIN
        home = Path(tempfile.mkdtemp(prefix="marketplace-tests-", dir=_MEMORY if roomy else None))
        home.chmod(0o755)  # run by root, the server is another user's
        os.environ[_HOME] = str(home)
        if config.option.basetemp is None:
            config.option.basetemp = str(home / "t")
        if os.environ.pop("PYTHONDONTWRITEBYTECODE", None):
            os.environ["PYTHONPYCACHEPREFIX"] = str(home / "compiled")


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """What is imported by now stays: a full collection of garbage need not go through its 300,000 objects."""
    gc.freeze()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the run's server, whoever left it running, and leave nothing behind."""
    if not hasattr(config, "workerinput"):
        home = Path(os.environ[_HOME])
        if (home / "postgresql").exists():
            start_embedded(home).stop()
        shutil.rmtree(home)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Make a skipped test that must run a failed one."""
    report = yield
    needed = _NEEDS & {marker.name for marker in item.iter_markers()}
    if report.skipped and needed and needed <= MUST_RUN and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, but {', '.join(sorted(needed))} tests must run here: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def server_home() -> Path:
    """Where the run's server lives: shared by all xdist workers of one run, new in the next one."""
    return run_home()


def run_home() -> Path:
    """The run's folder, also for who is no fixture."""
    return Path(os.environ[_HOME])


@pytest.fixture(scope="session")
def maintenance_url(server_home: Path) -> str:
    server = start_embedded(server_home)
    url = embedded_url(server, "postgres")
    with once_in_run(server_home, TEMPLATE) as first:
        if first:
            asyncio.run(_hasten(url))
            asyncio.run(_make_template(url))
    return url


@contextmanager
def once_in_run(server_home: Path, name: str) -> Iterator[bool]:
    """Whether this is the first worker to come here; the others wait until it is through, and are told that it is."""
    with fasteners.InterProcessLock(server_home / f".{name}.lock"):
        through = server_home / f".{name}.through"
        yield not through.exists()
        through.touch()


async def _hasten(url: str) -> None:
    """Spare the server what only outlives a loss of power: its thousands of databases end with the run."""
    connection = await connect(url)
    try:
        for setting in ("fsync", "full_page_writes"):
            await connection.execute(f"ALTER SYSTEM SET {setting} = off")
        await connection.execute("SELECT pg_reload_conf()")
    finally:
        await connection.close()


async def _make_template(url: str) -> None:
    await create_database(url, TEMPLATE)
    template_url = named(url, TEMPLATE)
    await migrate(template_url)
    db = Database(template_url, FixedClock(NOW), pool_size=1)
    await db.write(WORKER, "bootstrap", ensure_basics, embedded=True)
    await db.close()


def named(url: str, database: str) -> str:
    """The same server's address of another database."""
    return make_url(url).set(database=database).render_as_string(hide_password=False)


async def connect(url: str) -> asyncpg.Connection:
    """A bare connection, for what is outside the product: creating and dropping databases."""
    return await asyncpg.connect(url.replace("+asyncpg", "", 1))


async def copy_template(maintenance_url: str, name: str = "", template: str = TEMPLATE) -> str:
    """A new database made from a template; returns its address."""
    name = name or f"test_{uuid.uuid4().hex}"
    connection = await connect(maintenance_url)
    try:
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
    finally:
        await connection.close()
    return named(maintenance_url, name)


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW)


class _Compiled(dict[Any, Any]):
    """Statements as SQLAlchemy compiled them, for all databases of this process, which are of one server.

    SQLAlchemy keeps them by the engine's dialect before all else: each test's engine would compile its own again, a
    fifth of what a small test computes.
    """

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get(key[1:], default)

    def __setitem__(self, key: Any, compiled: Any) -> None:
        if len(self) == _COMPILED_MAX:
            self.clear()
        super().__setitem__(key[1:], compiled)


_COMPILED_MAX = 5_000
_compiled = _Compiled()


@asynccontextmanager
async def fresh_database(
    maintenance_url: str, clock: FixedClock | None = None, template: str = TEMPLATE
) -> AsyncIterator[Database]:
    """A copy of a template for the length of the block: for property tests, whose examples each need one."""
    url = await copy_template(maintenance_url, template=template)
    database = Database(url, clock or FixedClock(NOW), pool_size=16)
    database.engine = database.engine.execution_options(compiled_cache=_compiled)
    try:
        yield database
    finally:
        await database.close()
        connection = await connect(maintenance_url)
        await connection.execute(f"DROP DATABASE {make_url(url).database} WITH (FORCE)")
        await connection.close()


@pytest.fixture
async def db(maintenance_url: str, clock: FixedClock) -> AsyncIterator[Database]:
    """A database of this test's own."""
    async with fresh_database(maintenance_url, clock) as database:
        yield database
