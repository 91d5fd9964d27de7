"""Tries at something that only its owner should know, counted over all processes before they are looked at."""

from collections.abc import Mapping
from datetime import timedelta

from sqlalchemy import delete, update

from marketplace.core.db import Tx
from marketplace.core.errors import AppError
from marketplace.core.tables import sign_in_attempt

ATTEMPT_WINDOW = timedelta(minutes=15)


class TooManyAttempts(AppError):
    """Too many failed tries; `retry_after_s` says when the next one is looked at."""

    code = "too-many-attempts"
    status = 429
    title = "Too many failed attempts"


_COUNT_ATTEMPT = """
    INSERT INTO core.sign_in_attempt AS held (subject, window_starts_at, failures) VALUES (:subject, :now, 1)
    ON CONFLICT (subject) DO UPDATE SET
        failures = CASE WHEN held.window_starts_at <= :expired THEN 1 ELSE held.failures + 1 END,
        window_starts_at = CASE WHEN held.window_starts_at <= :expired THEN :now ELSE held.window_starts_at END
    RETURNING failures, window_starts_at
"""


async def count_attempt(tx: Tx, subjects: Mapping[str, int]) -> None:
    """One more try of each subject, of which each may have so many in a window. Raises TooManyAttempts."""
    for subject in sorted(subjects):  # one order of rows, so that two attempts never deadlock
        row = await tx.row(_COUNT_ATTEMPT, subject=subject, now=tx.now, expired=tx.now - ATTEMPT_WINDOW)
        assert row is not None
        if row.failures > subjects[subject]:
            wait_s = int((row.window_starts_at + ATTEMPT_WINDOW - tx.now).total_seconds()) + 1
            raise TooManyAttempts(f"try again in {wait_s} seconds", retry_after_s=wait_s)


async def clear_attempts(tx: Tx, subject: str) -> None:
    """It went well: what was counted of the subject is forgotten."""
    await tx.execute(delete(sign_in_attempt).where(sign_in_attempt.c.subject == subject))


async def take_back_attempt(tx: Tx, subject: str) -> None:
    """It went well: this one try is not counted, those of others are."""
    own = sign_in_attempt.c.subject == subject
    await tx.execute(update(sign_in_attempt).where(own).values(failures=sign_in_attempt.c.failures - 1))
