"""A line to PostgreSQL that breaks at a COMMIT: before it arrives, or after it is done and before it is heard of."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from enum import StrEnum

from sqlalchemy import make_url


class Cut(StrEnum):
    """Where the line breaks: the COMMIT never arrives, or its acknowledgement does not."""

    BEFORE = "before"
    AFTER = "after"


class Line:
    """Forwards what client and server say, message by message; `cuts` counts how often it has broken."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port
        self.cuts = 0
        self._next: Cut | None = None

    def cut_next(self, cut: Cut) -> None:
        """Break at the next COMMIT of a transaction that may write."""
        self._next = cut

    async def serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        if self.host.startswith("/"):
            server, to_server = await asyncio.open_unix_connection(f"{self.host}/.s.PGSQL.{self.port}")
        else:
            server, to_server = await asyncio.open_connection(self.host, self.port)
        done = asyncio.Event()
        pumps = [
            asyncio.create_task(self._ask(client, to_server, done)),
            asyncio.create_task(self._answer(server, to_client, done)),
        ]
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
        for writer in (to_client, to_server):
            writer.transport.abort()

    async def _ask(self, client: asyncio.StreamReader, to_server: asyncio.StreamWriter, done: asyncio.Event) -> None:
        """What the client says. The first message has no type; the others have one byte of it before their length."""
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            to_server.write(await _message(client, typed=False))
            writes = False
            while True:
                message = await _message(client)
                if message.startswith(b"Q") and b"BEGIN" in message:
                    writes = b"READ ONLY" not in message
                cut = self._next if writes and message.startswith(b"Q") and message[5:] == b"COMMIT\0" else None
                if cut is not None:
                    self._next = None
                    self.cuts += 1
                if cut is Cut.BEFORE:
                    return
                if cut is Cut.AFTER:
                    done.set()
                to_server.write(message)

    async def _answer(self, server: asyncio.StreamReader, to_client: asyncio.StreamWriter, done: asyncio.Event) -> None:
        """What the server says, until it says that it has done what nobody shall hear of (ReadyForQuery)."""
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                message = await _message(server)
                if not done.is_set():
                    to_client.write(message)
                elif message.startswith(b"Z"):
                    return


async def _message(reader: asyncio.StreamReader, *, typed: bool = True) -> bytes:
    head = await reader.readexactly(5 if typed else 4)
    return head + await reader.readexactly(int.from_bytes(head[-4:]) - 4)


@asynccontextmanager
async def opened_line(url: str) -> AsyncIterator[tuple[Line, str]]:
    """The line, and the address of the same database through it."""
    direct = make_url(url)
    line = Line(str(direct.query.get("host", direct.host)), direct.port or 5432)
    server = await asyncio.start_server(line.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    through = direct.set(host="127.0.0.1", port=port, query={"ssl": "disable"})
    try:
        yield line, through.render_as_string(hide_password=False)
    finally:
        server.close()
