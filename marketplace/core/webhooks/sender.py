"""Sends what is due: several endpoints at once, each on its own, with no transaction open while one is waited for."""

import asyncio
import socket
import ssl
import time
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from itertools import groupby

import httpx
import msgspec
import structlog

from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.signatures import signed_headers
from marketplace.core.together import end, together
from marketplace.core.webhooks.addresses import NotOutside, check_addresses
from marketplace.core.webhooks.deliveries import Attempt, Message, claim, put_back, record

ANSWER_LENGTH_MAX = 500
_ANSWER_BYTES_READ = 2_000
_TIMEOUT_S = 10.0
_CONNECT_S = 3.0
_ADDRESSES_TRIED = 3
_ENDPOINTS_AT_ONCE = 16
_LOOKUP_S = 5.0
_RUN_S = 15.0
"""After so long nothing more is claimed: a worker that is to stop need not wait for long."""

# Names are looked up by threads of our own: a name server that does not answer holds one for as long as the system
# waits, which nobody can end. As many as endpoints that are told at once, so that none waits for another's.
_RESOLVERS = ThreadPoolExecutor(_ENDPOINTS_AT_ONCE, thread_name_prefix="webhook-name")
_looking_up: dict[Future[list[str]], int] = {}
"""Lookups whose threads have not ended, with their endpoints; also when nobody waits for them any more."""

log = structlog.get_logger(__name__)


class NoThreadFree(Exception):
    """No thread could begin with a lookup in time: the fault is ours, not the endpoint's."""


class Reply(msgspec.Struct):
    """What has come back so far; what was received before time ran out counts."""

    status: int | None = None
    body: bytes = b""
    error: str | None = None


class Target(msgspec.Struct, frozen=True):
    """The addresses to try, or why there are none."""

    addresses: tuple[str, ...]
    error: str | None = None


async def send_due(db: Database, actor: str, *, private: bool, timeout_s: float = _TIMEOUT_S) -> int:
    """Send what is due now, and what becomes due meanwhile; returns how many attempts were made.

    private: webhooks may go to loopback and private networks. Any number of processes may send at once.
    """
    loop, sent = asyncio.get_running_loop(), 0
    ends_at = loop.time() + _RUN_S
    under_way: dict[asyncio.Task[int], int] = {}
    try:
        while True:
            busy = {*under_way.values(), *_looking_up.values()}
            free = _ENDPOINTS_AT_ONCE - len(busy)
            if free > 0 and loop.time() < ends_at:
                claimed = await db.write(WORKER, actor, claim, busy=sorted(busy), endpoints=free)
                for endpoint_id, messages in groupby(claimed, lambda message: message.endpoint_id):
                    sending = _send_to_one(db, actor, list(messages), private=private, timeout_s=timeout_s)
                    under_way[asyncio.create_task(sending)] = endpoint_id
            if not under_way:
                return sent
            done, _ = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                del under_way[task]
                sent += task.result()
    finally:
        await end(under_way)


async def _send_to_one(db: Database, actor: str, messages: list[Message], *, private: bool, timeout_s: float) -> int:
    """Send one endpoint's messages at once and write all attempts down; its name is looked up once for all.

    Its client is its own: a connection is kept by address, and another endpoint may share that, but not the name that
    the certificate was checked for.
    """
    try:
        target = await _target(messages[0], private=private, patience_s=min(_LOOKUP_S, timeout_s))
    except NoThreadFree:
        log.warning("webhook put back", endpoint_id=messages[0].endpoint_id, messages=len(messages))
        await db.write(WORKER, actor, put_back, messages)
        return 0
    async with httpx.AsyncClient(
        verify=_tls(),
        trust_env=False,
        follow_redirects=False,
        timeout=httpx.Timeout(timeout_s, connect=min(_CONNECT_S, timeout_s)),
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
    ) as client:
        attempts = await together(*(_attempt(db, client, message, target, timeout_s=timeout_s) for message in messages))
    await db.write(WORKER, actor, _record_all, messages, attempts)
    return len(messages)


async def _record_all(tx: Tx, messages: list[Message], attempts: list[Attempt]) -> None:
    for message, attempt in zip(messages, attempts, strict=True):
        await record(tx, message, attempt)


async def _target(message: Message, *, private: bool, patience_s: float) -> Target:
    """Where the endpoint's URL leads now. Raises NoThreadFree."""
    try:
        url = httpx.URL(message.url)
        addresses = await _look_up(message.endpoint_id, url, patience_s)
        check_addresses(url.scheme, url.host, addresses, private=private)
    except TimeoutError:
        return Target((), f"its name was not found within {patience_s:g} seconds")
    except (httpx.InvalidURL, NotOutside, OSError, UnicodeError) as fault:
        return Target((), _named(fault))
    return Target(tuple(addresses[:_ADDRESSES_TRIED]))


async def _look_up(endpoint_id: int, url: httpx.URL, patience_s: float) -> list[str]:
    """The addresses that the URL's name stands for. Its time begins when a thread does.

    Raises TimeoutError, the resolver's OSError, and NoThreadFree when no thread of ours begins.
    """
    loop, begun = asyncio.get_running_loop(), asyncio.Event()

    def ask() -> list[str]:
        loop.call_soon_threadsafe(begun.set)
        port = url.port or (443 if url.scheme == "https" else 80)
        found = socket.getaddrinfo(url.host, port, type=socket.SOCK_STREAM)
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))

    lookup = _RESOLVERS.submit(ask)
    _looking_up[lookup] = endpoint_id
    lookup.add_done_callback(lambda ended: _looking_up.pop(ended, None))
    try:
        try:
            async with asyncio.timeout(_LOOKUP_S):
                await begun.wait()
        except TimeoutError as fault:
            if lookup.cancel():
                raise NoThreadFree from fault
        async with asyncio.timeout(patience_s):
            return await asyncio.wrap_future(lookup)
    finally:
        lookup.cancel()  # what has begun goes on, and is waited for by `_looking_up`


def _named(fault: Exception) -> str:
    return f"{type(fault).__name__}: {fault}"[:ANSWER_LENGTH_MAX]


async def _attempt(
    db: Database, client: httpx.AsyncClient, message: Message, target: Target, *, timeout_s: float
) -> Attempt:
    at, began, reply = db.clock.now(), time.perf_counter(), Reply(error=target.error)
    headers = signed_headers(message.message_id, at, message.body, message.secrets)
    try:
        async with asyncio.timeout(timeout_s):
            await _post(client, message, headers, reply, target.addresses)
    except TimeoutError:
        reply.error = f"no whole answer within {timeout_s:g} seconds"
    except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError) as fault:
        reply.error = _named(fault)
    duration_ms = round((time.perf_counter() - began) * 1000)
    log.info(
        "webhook sent",
        endpoint_id=message.endpoint_id,
        event_id=message.event_id,
        attempt_no=message.attempt_no,
        status=reply.status,
        error=reply.error,
        duration_ms=duration_ms,
    )
    return Attempt(
        attempt_no=message.attempt_no,
        at=at,
        status=reply.status,
        duration_ms=duration_ms,
        answer=_storable(reply.body.decode(errors="replace")),
        error=None if reply.error is None else _storable(reply.error),
    )


def _storable(said: str) -> str:
    """What PostgreSQL takes as text, cut to what is kept."""
    return said.replace("\0", "\N{REPLACEMENT CHARACTER}")[:ANSWER_LENGTH_MAX]


async def _post(
    client: httpx.AsyncClient, message: Message, headers: dict[str, str], reply: Reply, addresses: tuple[str, ...]
) -> None:
    """Post to one of the addresses that the URL's name stands for, each of which has been checked.

    The connection is made to that very address, so that the name cannot stand for another one meanwhile; name and
    certificate are still the URL's own.
    """
    url = httpx.URL(message.url)
    for number, address in enumerate(addresses, start=1):
        request = client.build_request(
            "POST",
            url.copy_with(host=address),
            content=message.body,
            headers={
                **headers,
                "host": url.netloc.decode(),
                "content-type": "application/json",
                "accept-encoding": "identity",
                "user-agent": "marketplace-webhooks/1",
            },
            extensions={"sni_hostname": url.host},
        )
        try:
            response = await client.send(request, stream=True)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            if number == len(addresses):
                raise
            continue
        try:
            reply.status = response.status_code
            async for chunk in response.aiter_raw():
                reply.body += chunk
                if len(reply.body) >= _ANSWER_BYTES_READ:
                    break
        finally:
            await response.aclose()
        return


@cache
def _tls() -> ssl.SSLContext:
    return httpx.create_ssl_context(trust_env=False)
