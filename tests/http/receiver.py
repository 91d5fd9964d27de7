"""A server on loopback that receives webhooks and answers as it is told."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

HANG = 0
"""The status of an answer that never comes."""


class Received(msgspec.Struct, frozen=True):
    """A request as it came in; header names are in lower case."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


class Receiver:
    """Answers with `answers`, one after the other, then with 204; keeps what it has received."""

    def __init__(self, port: int = 0) -> None:
        self.port = port
        self.received: list[Received] = []
        self.answers: deque[tuple[int, bytes]] = deque()
        self.headers: list[str] = []

    def url(self, path: str = "/hook") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                first, *lines = head.decode().rstrip().split("\r\n")
                headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                self.received.append(Received(first.split()[1], headers, body))
                status, answer = self.answers.popleft() if self.answers else (204, b"")
                if status == HANG:
                    await reader.read()
                    return
                said = [f"HTTP/1.1 {status} Said", f"content-length: {len(answer)}", *self.headers]
                writer.write("\r\n".join(said).encode() + b"\r\n\r\n" + answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """A receiver for the length of the block."""
    receiver = Receiver()
    server = await asyncio.start_server(receiver.handle, "127.0.0.1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
