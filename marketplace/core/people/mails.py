"""Mails wait as rows that commit with what they tell of; the worker sends them, again with growing pauses until sent.

A mail never holds what its link opens with: each time it is sent it gets a token of its own.
"""

from datetime import timedelta
from typing import Any

import msgspec
from sqlalchemy import bindparam, insert, select, update

from marketplace.core.db import Tx
from marketplace.core.ids import time_ordered_id
from marketplace.core.people.tables import mail

LEASE = timedelta(minutes=2)
"""So long nobody else sends a mail that somebody has begun to send."""

PAUSE = timedelta(seconds=30)
PAUSE_MAX = timedelta(hours=6)
ATTEMPTS_MAX = 12
_ERROR_LENGTH_MAX = 300


class Mail(msgspec.Struct, frozen=True):
    """What is to be said to whom; `kind` names the words, `facts` fill them."""

    mail_id: int
    kind: str
    recipient: str
    locale: str
    link_id: int | None
    facts: dict[str, Any]
    attempts: int


async def ask_for_mail(
    tx: Tx, kind: str, recipient: str, locale: str, *, facts: dict[str, Any], link_id: int | None = None
) -> None:
    """Have a mail sent once this commits."""
    await tx.execute(
        insert(mail),
        {
            "mail_id": time_ordered_id(tx.now),
            "kind": kind,
            "recipient": recipient,
            "locale": locale,
            "link_id": link_id,
            "facts": facts,
            "created_at": tx.now,
            "not_before": tx.now,
        },
    )


async def claim_mails(tx: Tx, limit: int) -> list[Mail]:
    """Mails that are due, for this worker alone until the lease ends."""
    rows = await tx.rows(
        select(*(mail.c[name] for name in Mail.__struct_fields__))
        .where(mail.c.sent_at.is_(None), mail.c.not_before <= tx.now, mail.c.attempts < ATTEMPTS_MAX)
        .order_by(mail.c.not_before, mail.c.mail_id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    if rows:
        leased = update(mail).where(mail.c.mail_id == bindparam("id")).values(not_before=tx.now + LEASE)
        await tx.execute(leased.values(attempts=mail.c.attempts + 1), [{"id": row.mail_id} for row in rows])
    return [Mail(*row) for row in rows]


async def note_sent(tx: Tx, mail_id: int) -> None:
    await tx.execute(update(mail).where(mail.c.mail_id == mail_id).values(sent_at=tx.now, error=None))


async def note_failed(tx: Tx, sent: Mail, error: str) -> None:
    """It is tried again after a pause that doubles, twelve times in all."""
    again = tx.now + min(PAUSE * 2**sent.attempts, PAUSE_MAX)
    changed = {"not_before": again, "error": error[:_ERROR_LENGTH_MAX]}
    await tx.execute(update(mail).where(mail.c.mail_id == sent.mail_id).values(changed))
