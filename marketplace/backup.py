"""Back a database up into one file and bring it back, with PostgreSQL's own tools.

The file is pg_dump's custom format. A restore happens in one transaction: it ends with everything of the file in the
database, or with the database as it was.
"""

import asyncio
import os
import re
import shutil
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from pathlib import Path

import asyncpg
import msgspec
from sqlalchemy import URL, make_url

from marketplace.core.db import Role
from marketplace.core.errors import Conflict, Invalid
from marketplace.core.pgembed import TOOLS
from marketplace.core.security import role_statements
from marketplace.core.tables import SCHEMAS
from marketplace.migrate import check_known, migrate

_CHUNK = 1 << 18
_VERSION_TABLE = "public.schema_version"


class Backup(msgspec.Struct, frozen=True):
    """A backup file just written: its size and the schema version of what it holds."""

    file: str
    size_bytes: int
    schema_version: str


class Restored(msgspec.Struct, frozen=True):
    """A database just restored: the schema version in the file, and the one it was brought to."""

    file: str
    schema_version_of_file: str
    schema_version: str


class _Target(msgspec.Struct, frozen=True):
    """How PostgreSQL's programs reach a database, and which ones: those in `tools`, None for those of PATH."""

    url: str
    tools: Path | None

    def tool(self, name: str) -> str:
        found = shutil.which(name, path=str(self.tools) if self.tools else None)
        if found is None:
            raise Conflict(f"{name} is not in {self.tools or 'PATH'}")
        return found

    def address(self) -> list[str]:
        """`--dbname` without the password, which others could read in the list of processes."""
        url = make_url(self.url)
        query = {"sslmode" if name == "ssl" else name: value for name, value in url.query.items()}
        kept = {name: value for name, value in query.items() if name in {"host", "port", "sslmode"}}
        plain = URL.create("postgresql", url.username, None, url.host, url.port, url.database, kept)
        return ["--dbname", plain.render_as_string(hide_password=False)]

    def environment(self) -> dict[str, str]:
        password = make_url(self.url).password
        return dict(os.environ) | ({"PGPASSWORD": password} if password else {})


async def _target(url: str, *, embedded: bool) -> _Target:
    """The programs of PATH where they are of the server's own major version; else those of the embedded PostgreSQL."""
    connection = await asyncpg.connect(url.replace("+asyncpg", "", 1))
    try:
        server = int(await connection.fetchval("SHOW server_version_num")) // 10_000
    finally:
        await connection.close()
    own = None if embedded else shutil.which("pg_dump")
    if own is None:
        return _Target(url, TOOLS)
    process = await asyncio.create_subprocess_exec(own, "--version", stdout=PIPE)
    said, _ = await process.communicate()
    version = re.search(rb"\) (\d+)", said)
    return _Target(url, None if version and int(version[1]) == server else TOOLS)


async def back_up(url: str, file: Path, *, embedded: bool, citus: bool = False) -> Backup:
    """Write the whole database into `file`, as of one instant, while it goes on working.

    Raises Conflict when there is nothing to back up, `file` exists already, or the tool fails.
    """
    _check_new(file)
    target = await _target(url, embedded=embedded)
    partial = file.with_name(file.name + ".partial")
    options = ["--format=custom", f"--file={partial}", *await _reading_as(url)]
    if citus:
        options.append("--extension=plpgsql")  # the target may be one server, or a cluster of another shape
    await _run([target.tool("pg_dump"), *options, *target.address()], target)
    version = await _version_in(partial, target)
    return Backup(str(file), _finish(partial, file), version)


async def restore(url: str, file: Path, *, embedded: bool, replace: bool) -> Restored:
    """Fill the database from `file` and migrate it to this program's schema version.

    Raises Invalid when `file` is no backup, Conflict when it is of a newer program, or when the database holds a
    marketplace and `replace` does not say to drop that first.
    """
    _check_present(file)
    target = await _target(url, embedded=embedded)
    version = await _version_in(file, target)
    check_known(version, f"{file}: the backup")
    await _make_ready(url, replace=replace)
    await _replay(file, target)
    _, after = await migrate(url)
    return Restored(str(file), version, after)


def _check_new(file: Path) -> None:
    if file.exists():
        raise Conflict(f"{file}: exists already, and a backup is never overwritten")
    if not file.parent.is_dir():
        raise Invalid(f"{file}: there is no folder {file.parent}")


def _check_present(file: Path) -> None:
    if not file.is_file():
        raise Invalid(f"{file}: there is no such file")


def _finish(partial: Path, file: Path) -> int:
    """Only a complete backup bears its name; returns its size."""
    return partial.rename(file).stat().st_size


async def _reading_as(url: str) -> list[str]:
    """Options with which pg_dump sees every row: an owner that policies bind reads as the worker, who sees all."""
    connection = await asyncpg.connect(url.replace("+asyncpg", "", 1))
    try:
        if await connection.fetchval("SELECT to_regclass($1)", _VERSION_TABLE) is None:
            raise Conflict("the database holds no marketplace to back up")
        unbound = await connection.fetchval(
            "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user"
        )
    finally:
        await connection.close()
    return [] if unbound else [f"--role={Role.WORKER}", "--enable-row-security"]


async def _make_ready(url: str, *, replace: bool) -> None:
    """The roles that the file grants to exist; what the database holds may be replaced."""
    connection = await asyncpg.connect(url.replace("+asyncpg", "", 1))
    try:
        held = await connection.fetchval(
            "SELECT count(*) FROM pg_namespace WHERE nspname = ANY($1::text[])"
            " OR to_regclass('public.schema_version') IS NOT NULL",
            list(SCHEMAS),
        )
        if held and not replace:
            raise Conflict("the database holds a marketplace already: --replace drops it first")
        for statement in role_statements():
            await connection.execute(statement)
    finally:
        await connection.close()


async def _version_in(file: Path, target: _Target) -> str:
    """The schema version of the backup. Raises Invalid when the file is none of ours."""
    command = [target.tool("pg_restore"), "--data-only", "--table=schema_version", "--file=-", str(file)]
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE)
    script, complaint = await process.communicate()
    if process.returncode:
        raise Invalid(f"{file}: not a backup that pg_restore can read: {_last_line(complaint)}")
    lines = script.decode().splitlines()
    for number, line in enumerate(lines):
        if line.startswith(f"COPY {_VERSION_TABLE} "):
            return lines[number + 1]
    raise Invalid(f"{file}: a PostgreSQL dump, but not of a marketplace")


async def _replay(file: Path, target: _Target) -> None:
    """Drop what is there and replay the file, all in one transaction of psql."""
    drops = [f"DROP SCHEMA IF EXISTS {schema} CASCADE;" for schema in SCHEMAS]
    reader = await asyncio.create_subprocess_exec(
        target.tool("pg_restore"), "--no-owner", "--file=-", str(file), stdout=PIPE, stderr=PIPE
    )
    writer = await asyncio.create_subprocess_exec(
        *[target.tool("psql"), "--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1"],
        *target.address(),
        stdin=PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=PIPE,
        env=target.environment(),
    )
    assert reader.stderr is not None
    assert writer.stderr is not None
    assert writer.stdin is not None
    complaints = asyncio.gather(reader.stderr.read(), writer.stderr.read())
    writer.stdin.write("\n".join([*drops, f"DROP TABLE IF EXISTS {_VERSION_TABLE};\n"]).encode())
    whole = await _pump(reader, writer)
    if whole:
        writer.stdin.close()  # psql commits at the end of its input
    else:
        writer.kill()
    status = await writer.wait()
    read_complaint, write_complaint = await complaints
    if not whole or status:
        raise Conflict(f"nothing was restored: {_last_line(write_complaint) or _last_line(read_complaint)}")


async def _pump(reader: Process, writer: Process) -> bool:
    """Pass all that the reader says to the writer; False when either gave up before its end."""
    assert reader.stdout is not None
    assert writer.stdin is not None
    try:
        while chunk := await reader.stdout.read(_CHUNK):
            writer.stdin.write(chunk)
            await writer.stdin.drain()
    except (BrokenPipeError, ConnectionResetError):  # psql has stopped at an error, and says which
        reader.kill()
    return await reader.wait() == 0


async def _run(command: Sequence[str], target: _Target) -> None:
    process = await asyncio.create_subprocess_exec(*command, stderr=PIPE, env=target.environment())
    _, complaint = await process.communicate()
    if process.returncode:
        raise Conflict(f"{Path(command[0]).name} failed: {_last_line(complaint)}")


def _last_line(complaint: bytes) -> str:
    lines = complaint.decode(errors="replace").strip().splitlines()
    return next((line for line in lines if "ERROR" in line or "error:" in line), lines[-1] if lines else "")
