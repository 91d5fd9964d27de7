"""A request that moves money happens once: its Idempotency-Key, its effect and its answer are one commit.

Work of many commits is repeatable instead, see `once`.
The same key again gets the stored answer, byte for byte; with another body it is refused (422); while the first is
still at work, too (409). A refusal or a crash stores nothing, so the same key may be tried again.
(IETF draft-ietf-httpapi-idempotency-key-header.)
"""

import hashlib
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from typing import Any, Concatenate, ParamSpec

import msgspec
from litestar import Response

from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import AppError
from marketplace.core.idempotency import HEADER, Answer, Ticket, claim, remember
from marketplace.web.auth import ActorRequest

_KEY_LENGTH_MAX = 255

P = ParamSpec("P")


class KeyMissing(AppError):
    code = "idempotency-key-missing"
    status = 400
    title = "This request needs an Idempotency-Key"


class KeyUnusable(AppError):
    code = "idempotency-key-unusable"
    status = 400
    title = "This Idempotency-Key cannot be used"


async def once(
    request: ActorRequest,
    db: Database,
    work: Callable[Concatenate[Tx, P], Awaitable[Any]],
    *args: P.args,
    **kwargs: P.kwargs,
) -> Response[Any]:
    """Run `work(tx, …)` as the caller and answer with its result as JSON, or replay what was answered before."""

    async def answer(tx: Tx) -> bytes:
        return msgspec.json.encode(await work(tx, *args, **kwargs))

    return respond(await answer_once(db, await ticket_of(request), answer))


async def once_through(request: ActorRequest, db: Database, work: Callable[[Tx], Awaitable[Any]]) -> Response[Any]:
    """`once` for long work that commits by itself through `db`, step by step, and leaves `tx` alone.

    It must be safe to run again, because a crash between its last commit and the storing of the answer makes the
    repeated request run it again. While it runs, the open transaction holds the key and a connection of the pool: so
    no more than half of the pool's connections are lent at once to requests like this one. See Database.outer.
    """

    async def answer(tx: Tx) -> bytes:
        return msgspec.json.encode(await work(tx))

    return respond(await answer_once(db, await ticket_of(request), answer, by_steps=True))


async def answer_once(
    db: Database, ticket: Ticket, work: Callable[[Tx], Awaitable[bytes]], *, by_steps: bool = False
) -> Answer:
    """What `work(tx)` answers, stored with its effect in one commit; or what was answered to this ticket before.

    by_steps: the work commits by itself, see `once_through`.
    """

    async def run(tx: Tx) -> Answer:
        return await claim(tx, ticket) or await remember(tx, ticket, await work(tx))

    async with db.outer() if by_steps else nullcontext():
        return await db.write(WORKER, ticket.actor, run)


async def ticket_of(request: ActorRequest) -> Ticket:
    """What makes this request the same as another. Raises KeyMissing and KeyUnusable."""
    key = request.headers.get(HEADER, "")
    if not key:
        raise KeyMissing(f"{HEADER}: send 1 to {_KEY_LENGTH_MAX} printable characters, new for every new request")
    if len(key) > _KEY_LENGTH_MAX:
        raise KeyUnusable(f"{HEADER}: is {len(key)} characters long; at most {_KEY_LENGTH_MAX} are allowed")
    if not (key.isascii() and key.isprintable()):
        raise KeyUnusable(f"{HEADER}: holds something that is no printable ASCII character")
    fingerprint = hashlib.sha256(
        b"\0".join((request.method.encode(), request.scope["raw_path"], request.scope["query_string"]))
        + b"\0"
        + await request.body()
    ).digest()
    return Ticket(request.user.login, key, fingerprint, request.route_handler.status_code)


def respond(answer: Answer) -> Response[Any]:
    """The stored bytes, and whether they are a replay."""
    return Response(
        answer.body,
        status_code=answer.status,
        media_type="application/json",
        headers={"Idempotency-Replayed": "true"} if answer.replayed else {},
    )
