"""The last result of what takes too long to be checked while a page waits: kept with its time, and checked anew by the
worker, by the clock and when somebody asks.
"""

from datetime import datetime
from typing import Generic, TypeVar

import msgspec
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as upsert

from marketplace.core import jobs
from marketplace.core.db import Tx
from marketplace.core.tables import last_check

JOB = "check_books"

T = TypeVar("T")


class LastCheck(msgspec.Struct, Generic[T], frozen=True):
    """What was found about a subject and when, None before its first check. working: it is to be checked anew."""

    subject: str
    answer: T | None = None
    checked_at: datetime | None = None
    working: bool = False


async def last(tx: Tx, subject: str, kind: type[T]) -> LastCheck[T]:
    row = await tx.row(select(last_check).where(last_check.c.subject == subject))
    if row is None:
        return LastCheck(subject)
    answer = None if row.answer is None else msgspec.convert(row.answer, kind)
    return LastCheck(subject, answer, row.checked_at, row.asked_at is not None)


async def is_working(tx: Tx, subject: str) -> bool:
    return await tx.scalar(select(last_check.c.asked_at).where(last_check.c.subject == subject)) is not None


async def ask(tx: Tx, subject: str) -> None:
    """Have a subject checked anew, soon, and say so on its page."""
    await queue(tx, subject)
    await _set(tx, subject, asked_at=tx.now)


async def queue(tx: Tx, subject: str) -> None:
    """Have a subject checked by a job of its own, unless one waits for it or is at it."""
    await jobs.enqueue(tx, JOB, subject, once_key=f"{JOB}:{subject}")


async def keep(tx: Tx, subject: str, answer: object, at: datetime) -> None:
    """What was found as of an instant."""
    await _set(tx, subject, answer=msgspec.to_builtins(answer), checked_at=at, asked_at=None)


async def _set(tx: Tx, subject: str, **values: object) -> None:
    statement = upsert(last_check).values(subject=subject, **values)
    await tx.execute(statement.on_conflict_do_update(index_elements=["subject"], set_=values))
