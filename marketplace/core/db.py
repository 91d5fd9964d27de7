"""The database: one way to read, one way to write, one place that commits.

A transaction is opened for a *scope*: the database role that may see what the caller may see, and the tenant's id
that the row policies compare with. Role and id are set with SET LOCAL in the same message as BEGIN, so they cost no
round trip and end with the transaction.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from enum import StrEnum
from typing import Any, Concatenate, ParamSpec, TypeVar

import asyncpg
import msgspec
from sqlalchemy import Executable, text
from sqlalchemy.engine import CursorResult
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from marketplace.core.clock import Clock

_RETRIES_MAX = 5
WAIT_S = 30
_BESIDE = 2
"""Connections for what is asked as the owner, beside those for transactions."""
_RETRYABLE = frozenset({"40001", "40P01"})  # serialization_failure, deadlock_detected


P = ParamSpec("P")
T = TypeVar("T")


class Role(StrEnum):
    """Database roles (decision D5a): each has one policy per table; none may update or delete a journal entry."""

    MERCHANT = "app_merchant"
    BUYER = "app_buyer"
    PAYER = "app_payer"
    SALES = "app_sales"
    STAFF = "app_staff"
    WORKER = "app_worker"


_TENANT = {Role.MERCHANT: "merchant", Role.BUYER: "buyer", Role.PAYER: "payer", Role.SALES: "user"}
"""Whose id narrows what a role sees: of the tenant, and of people who sell for the house the person's own."""


class Scope(msgspec.Struct, frozen=True):
    """As whom the database is asked: a role and, for the tenant roles, the tenant's id.

    plans_once: statements find what they need by keys whatever they are given, so that planning them anew each time,
    which may cost more than running them, brings nothing.
    """

    role: Role
    tenant_id: int | None = None
    plans_once: bool = False

    def begin(self, *, read_only: bool) -> list[str]:
        """The statements that open the transaction. Ids are formatted by us as integers, never passed as text."""
        kind = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" if read_only else "BEGIN"
        parts = [kind, f"SET LOCAL ROLE {self.role.value}"]
        if self.tenant_id is not None:
            parts.append(f"SET LOCAL app.{_TENANT[self.role]}_id = '{int(self.tenant_id):d}'")
        if self.plans_once:
            parts.append("SET LOCAL plan_cache_mode = force_generic_plan")
        return parts


STAFF = Scope(Role.STAFF)
WORKER = Scope(Role.WORKER)


class Tx:
    """An open transaction: the connection, the instant every row of it carries, and who acts."""

    def __init__(self, connection: AsyncConnection, raw: asyncpg.Connection, now: datetime, actor: str) -> None:
        self.connection = connection
        self.raw = raw
        self.now = now
        self.actor = actor

    async def execute(
        self, statement: Executable | str, parameters: dict[str, Any] | Sequence[dict[str, Any]] | None = None
    ) -> CursorResult[Any]:
        """Run a Core statement, or SQL text with `:named` parameters."""
        if isinstance(statement, str):
            statement = text(statement)
        return await self.connection.execute(statement, parameters)

    async def rows(self, statement: Executable | str, **parameters: Any) -> Sequence[Any]:
        """All rows of a query."""
        return (await self.execute(statement, parameters)).all()

    async def row(self, statement: Executable | str, **parameters: Any) -> Any | None:
        """The first row of a query, or None."""
        return (await self.execute(statement, parameters)).first()

    async def scalar(self, statement: Executable | str, **parameters: Any) -> Any:
        """The first column of the first row, or None."""
        return (await self.execute(statement, parameters)).scalar()

    async def plan_in_bulk(self, *, brings_rows: bool = False) -> None:
        """Have every statement of this transaction planned for its own parameters, with memory for large sorts.

        brings_rows: some rows come from outside (COPY, temporary tables). On a cluster all others run on many shards
        at once, which must then read from the shards alone; see Database on why.
        """
        await self.raw.execute("SET LOCAL plan_cache_mode = force_custom_plan")
        await self.raw.execute("SET LOCAL work_mem = '128MB'")
        if not brings_rows:
            await self.raw.execute("SET LOCAL citus.multi_shard_modify_mode = 'parallel'")  # elsewhere a mere name

    async def plan_as_usual(self) -> None:
        """Plans are kept again: foreign keys are checked row by row, which after `plan_in_bulk` plans for each row."""
        await self.raw.execute("SET LOCAL plan_cache_mode = auto")

    async def copy(
        self, table: str, columns: Sequence[str], records: Iterable[Sequence[Any]], *, schema: str | None = None
    ) -> None:
        """Load `records` with COPY; they are consumed as a stream, so memory does not grow with their number."""
        await self.raw.copy_records_to_table(table, schema_name=schema, columns=list(columns), records=records)


class Database:
    """A pool of connections to one database.

    citus: the server is a Citus coordinator. It forwards to its workers the whole message in which a SET LOCAL came,
    BEGIN included, so there each opening statement is a message of its own. And it writes rows that come from the
    coordinator (COPY, temporary tables) over a connection per shard, after which it cannot put shards together again
    in that transaction; so it is told to take one shard after another, see also Tx.plan_in_bulk.
    """

    def __init__(self, url: str, clock: Clock, *, pool_size: int = 8, citus: bool = False) -> None:
        self.url = url
        self.clock = clock
        self.citus = citus
        self._outer = asyncio.Semaphore(max(pool_size // 2, 1))
        self._free = asyncio.Semaphore(pool_size)
        self._closed = False
        self._idle: list[tuple[AsyncConnection, asyncpg.Connection]] = []
        settings = {"jit": "off", "timezone": "UTC"}
        if citus:
            settings["citus.multi_shard_modify_mode"] = "sequential"
        self.engine: AsyncEngine = create_async_engine(
            url,
            isolation_level="AUTOCOMMIT",  # BEGIN and COMMIT are ours, see Scope.begin
            pool_size=pool_size,
            max_overflow=_BESIDE,
            hide_parameters=True,  # an error is logged with its statement, never with what people wrote
            pool_timeout=WAIT_S,
            connect_args={"server_settings": settings, "prepared_statement_cache_size": 500},
        )

    async def disconnect(self) -> None:
        """Close the connections that nobody uses at the moment; the next transaction makes new ones."""
        while self._idle:
            connection, _ = self._idle.pop()
            await connection.close()
        await self.engine.dispose()

    async def close(self) -> None:
        """Close every connection; those still in use when they are given back."""
        self._closed = True
        await self.disconnect()

    @asynccontextmanager
    async def outer(self) -> AsyncIterator[None]:
        """For whoever keeps a transaction open while others run through the same pool: one of half the connections.

        So there are always connections left for those others to get on with. Raises sqlalchemy's TimeoutError when
        none becomes free in time.
        """
        await _acquire(self._outer)
        try:
            yield
        finally:
            self._outer.release()

    @asynccontextmanager
    async def read(self, scope: Scope) -> AsyncIterator[Tx]:
        """A read-only transaction: all its queries see the data as committed when the first of them began.

        On a cluster that holds shard by shard: each worker has a state of its own that stays as it is.
        """
        async with self._transaction(scope, read_only=True, actor="") as tx:
            yield tx

    async def write(
        self,
        scope: Scope,
        actor: str,
        work: Callable[Concatenate[Tx, P], Awaitable[T]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run `work(tx, …)` in a transaction and commit it, then return: nothing is reported that is not stored.

        A deadlock or serialization failure is retried at most five times with a growing pause, so `work` must do no
        I/O but the database. Every other failure rolls back and is raised.
        """
        for attempt in range(_RETRIES_MAX + 1):
            try:
                async with self._transaction(scope, read_only=False, actor=actor) as tx:
                    return await work(tx, *args, **kwargs)
            except (DBAPIError, asyncpg.PostgresError) as fault:
                if sqlstate(fault) not in _RETRYABLE or attempt == _RETRIES_MAX:
                    raise
                await asyncio.sleep(random.uniform(0.01, 0.05) * 2**attempt)  # noqa: S311  # jitter, not a secret
        raise AssertionError("unreachable")

    async def lookup(self, query: str, *values: Any) -> Any | None:
        """The first row of one prepared statement outside any transaction, with `$1` parameters: one round trip.

        It runs as the role that connects, which no policy narrows: for what is asked before it is known who asks. The
        statement may write; what it writes is committed when this returns.
        """
        async with self._lent() as (_, raw):
            try:
                return await raw.fetchrow(query, *values)
            except asyncio.CancelledError:
                raw.terminate()  # it may be in the midst of a statement, which the next borrower must not inherit
                raise

    async def analyze(self, *tables: str) -> None:
        """Refresh the planner's statistics after a bulk load, as the role that owns the tables.

        A table that autovacuum is at already is left to it.
        """
        async with self.engine.connect() as connection:
            for table in tables:
                await connection.execute(text(f"ANALYZE (SKIP_LOCKED) {table}"))

    @asynccontextmanager
    async def _transaction(self, scope: Scope, *, read_only: bool, actor: str) -> AsyncIterator[Tx]:
        async with self._lent() as (connection, raw):
            try:
                opening = scope.begin(read_only=read_only)
                for message in opening if self.citus else ["; ".join(opening)]:
                    await raw.execute(message)
                yield Tx(connection, raw, self.clock.now(), actor)
                outcome = await raw.execute("COMMIT")
            except BaseException:
                await _rollback(connection, raw)
                raise
            if outcome != "COMMIT":  # PostgreSQL answers COMMIT of a failed transaction with ROLLBACK, without an error
                raise RuntimeError("the transaction had failed and was rolled back by the server")

    @asynccontextmanager
    async def _lent(self) -> AsyncIterator[tuple[AsyncConnection, asyncpg.Connection]]:
        """A connection, given back for the next one unless it is broken.

        They stay checked out of the engine's pool: checking one out anew costs as much as a statement.
        """
        await _acquire(self._free)
        try:
            connection, raw = await self._take_idle() or await self._connect()
            try:
                yield connection, raw
            finally:
                if raw.is_closed() or self._closed:
                    await connection.invalidate()
                    await connection.close()
                else:
                    self._idle.append((connection, raw))
        finally:
            self._free.release()

    async def _take_idle(self) -> tuple[AsyncConnection, asyncpg.Connection] | None:
        """A connection that lies idle, None when there is none; those that broke meanwhile are thrown away."""
        while self._idle:
            connection, raw = self._idle.pop()
            if not raw.is_closed():
                return connection, raw
            await connection.invalidate()
            await connection.close()
        return None

    async def _connect(self) -> tuple[AsyncConnection, asyncpg.Connection]:
        connection = await self.engine.connect()
        raw = (await connection.get_raw_connection()).driver_connection
        assert isinstance(raw, asyncpg.Connection)
        return connection, raw


async def _acquire(permits: asyncio.Semaphore) -> None:
    if not permits.locked():  # then it is granted at once, and no clock needs to be set
        await permits.acquire()
        return
    try:
        async with asyncio.timeout(WAIT_S):
            await permits.acquire()
    except TimeoutError as fault:
        raise PoolTimeout(f"no connection to the database became free within {WAIT_S} seconds") from fault


async def _rollback(connection: AsyncConnection, raw: asyncpg.Connection) -> None:
    """Leave the connection clean, or throw it away: a pooled connection must never carry another's transaction."""
    if raw.is_closed():
        await connection.invalidate()
        return
    try:
        await asyncio.shield(raw.execute("ROLLBACK"))
    except BaseException:  # noqa: BLE001  # whatever it was, this connection is not trusted again
        raw.terminate()
        await connection.invalidate()


def is_lost(fault: BaseException) -> bool:
    """Whether a fault means that the database was out of reach, or no connection to it was free in time."""
    if isinstance(fault, DBAPIError):
        driver = getattr(fault.orig, "__cause__", None)
        return fault.connection_invalidated or (driver is not None and is_lost(driver))
    if isinstance(fault, asyncpg.InternalClientError):  # the server ended the connection in the midst of a statement
        return True
    if isinstance(fault, asyncpg.InterfaceError):  # also what asyncpg says of its own misuse
        return "closed" in str(fault)
    return isinstance(fault, _OUT_OF_REACH)


_OUT_OF_REACH = (PoolTimeout, OSError, asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError)


def sqlstate(fault: BaseException) -> str | None:
    """The five-character SQLSTATE of a database error, wherever the layers above have put it."""
    for candidate in (fault, getattr(fault, "orig", None), getattr(getattr(fault, "orig", None), "__cause__", None)):
        state = getattr(candidate, "sqlstate", None)
        if isinstance(state, str):
            return state
    return None
