"""Requests that take effect once: a key, what it was sent with, and the answer, all in the commit of the effect.

The same key again gets the stored answer; with other contents it is refused; while the first is at work, too. The key
is held by an advisory lock, so that a twin learns at once that it has to wait and a crash leaves nothing behind.
"""

import hashlib
from typing import Any

import asyncpg
import msgspec

from marketplace.core.db import Tx
from marketplace.core.errors import AppError, Conflict

HEADER = "Idempotency-Key"


class KeyReused(AppError):
    code = "idempotency-key-reused"
    status = 422
    title = "The Idempotency-Key belongs to another request"


class KeyInFlight(Conflict):
    code = "idempotency-key-in-flight"
    title = "The same request is still at work"


class Ticket(msgspec.Struct, frozen=True):
    """A request that wants to happen once. status: the HTTP status of its answer."""

    actor: str
    key: str
    fingerprint: bytes
    status: int

    @property
    def lock_number(self) -> int:
        """The advisory lock that stands for actor and key."""
        digest = hashlib.sha256(f"{self.actor}\0{self.key}".encode()).digest()
        return int.from_bytes(digest[:8], "big", signed=True)


class Answer(msgspec.Struct, frozen=True):
    """An answer as it is stored and sent."""

    status: int
    body: bytes
    replayed: bool


CLAIM = """
SELECT claim.mine, k.fingerprint, k.status, k.body
FROM (SELECT pg_try_advisory_xact_lock($1) AS mine) AS claim
LEFT JOIN core.idempotency_key k ON k.actor = $2 AND k.key = $3
"""
_REMEMBER = """
INSERT INTO core.idempotency_key (actor, key, fingerprint, status, headers, body, created_at)
VALUES ($1, $2, $3, $4, '{}', $5, $6)
"""


async def claim(tx: Tx, ticket: Ticket) -> Answer | None:
    """Hold the key until the transaction ends; the answer stored under it, if any. Raises KeyInFlight, KeyReused."""
    row = await tx.raw.fetchrow(CLAIM, ticket.lock_number, ticket.actor, ticket.key)
    return earlier_answer(ticket, row)


def earlier_answer(ticket: Ticket, row: Any) -> Answer | None:
    """What a claim's row (mine, fingerprint, status, body) means. Raises KeyInFlight and KeyReused."""
    if not row["mine"]:
        raise KeyInFlight("wait for its answer, or send it again in a moment", retry_after_s=1)
    if row["fingerprint"] is None:
        return None
    if row["fingerprint"] != ticket.fingerprint:
        raise KeyReused(f"{HEADER}: it was sent before with another method, path or body")
    return Answer(row["status"], row["body"], replayed=True)


async def remember(tx: Tx, ticket: Ticket, body: bytes) -> Answer:
    """Store the answer; it becomes true with this commit."""
    try:
        await tx.raw.execute(_REMEMBER, ticket.actor, ticket.key, ticket.fingerprint, ticket.status, body, tx.now)
    except asyncpg.UniqueViolationError as fault:
        raise twin_was_first() from fault
    return Answer(ticket.status, body, replayed=False)


def twin_was_first() -> asyncpg.SerializationError:
    """A twin committed between our snapshot and our lock: the transaction starts again, and then finds its answer."""
    return asyncpg.SerializationError("the same request was answered meanwhile")
