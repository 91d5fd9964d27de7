"""A request that moves money happens once: its Idempotency-Key, its effect and its answer are one commit.

Work of many commits is repeatable instead, see `once`.
The same key again gets the stored answer, byte for byte; with another body it is refused (422); while the first is
still at work, too (409). A refusal or a crash stores nothing, so the same key may be tried again.
(IETF draft-ietf-httpapi-idempotency-key-header.)
"""

import hashlib
from collections.abc import Awaitable, Callable
from typing import Any, Concatenate, ParamSpec

import msgspec
from litestar import Response
from sqlalchemy import insert, select

from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import AppError, Conflict
from marketplace.core.tables import idempotency_key
from marketplace.web.auth import ActorRequest

HEADER = "Idempotency-Key"
_KEY_LENGTH_MAX = 255

P = ParamSpec("P")


class KeyMissing(AppError):
    code = "idempotency-key-missing"
    status = 400
    title = "This request needs an Idempotency-Key"


class KeyReused(AppError):
    code = "idempotency-key-reused"
    status = 422
    title = "The Idempotency-Key belongs to another request"


class KeyInFlight(Conflict):
    code = "idempotency-key-in-flight"
    title = "The same request is still at work"


class Stored(msgspec.Struct, frozen=True):
    """An answer as it is stored and sent."""

    status: int
    body: bytes
    replayed: bool


async def once(
    request: ActorRequest,
    db: Database,
    work: Callable[Concatenate[Tx, P], Awaitable[Any]],
    *args: P.args,
    **kwargs: P.kwargs,
) -> Response[Any]:
    """Run `work(tx, …)` as the caller and answer with its result as JSON, or replay what was answered before.

    Long work that commits by itself through `db` may ignore `tx`: it must then be safe to run again, because a crash
    between its last commit and the storing of the answer makes the repeated request run it again. While it runs, the
    open transaction holds the key and a connection of the pool: so no more than half of the pool's connections are
    lent at once to requests like this one, and the rest wait here for their turn. See Database.outer.
    """
    key = request.headers.get(HEADER, "")
    if not 0 < len(key) <= _KEY_LENGTH_MAX or not (key.isascii() and key.isprintable()):
        raise KeyMissing(f"{HEADER}: send 1 to {_KEY_LENGTH_MAX} printable characters, new for every new request")
    fingerprint = hashlib.sha256(
        b"\0".join((request.method.encode(), request.scope["raw_path"], request.scope["query_string"]))
        + b"\0"
        + await request.body()
    ).digest()
    status = request.route_handler.status_code

    async def run(tx: Tx) -> Stored:
        earlier = await _claim(tx, key, fingerprint)
        if earlier is not None:
            return earlier
        body = msgspec.json.encode(await work(tx, *args, **kwargs))
        row = {"actor": tx.actor, "key": key, "fingerprint": fingerprint, "status": status, "body": body}
        await tx.execute(insert(idempotency_key), row | {"headers": {}, "created_at": tx.now})
        return Stored(status, body, replayed=False)

    async with db.outer:
        answer = await db.write(WORKER, request.user.login, run)
    return Response(
        answer.body,
        status_code=answer.status,
        media_type="application/json",
        headers={"Idempotency-Replayed": "true"} if answer.replayed else {},
    )


async def _claim(tx: Tx, key: str, fingerprint: bytes) -> Stored | None:
    """Hold the key until the transaction ends, and return the answer stored under it, if any.

    The lock is an advisory one, so that a twin learns at once that it has to wait and a crash leaves nothing behind.
    Raises KeyInFlight and KeyReused.
    """
    digest = hashlib.sha256(f"{tx.actor}\0{key}".encode()).digest()
    number = int.from_bytes(digest[:8], "big", signed=True)
    if not await tx.scalar("SELECT pg_try_advisory_xact_lock(:number)", number=number):
        raise KeyInFlight("wait for its answer, or send it again in a moment", retry_after_s=1)
    row = await tx.row(
        select(idempotency_key.c.fingerprint, idempotency_key.c.status, idempotency_key.c.body).where(
            idempotency_key.c.actor == tx.actor, idempotency_key.c.key == key
        )
    )
    if row is None:
        return None
    if row.fingerprint != fingerprint:
        raise KeyReused(f"{HEADER}: it was sent before with another method, path or body")
    return Stored(row.status, row.body, replayed=True)
