"""What is kept for how long: rows that have served their purpose and would only grow.

Not among them: what processors have sent (billing.inbox_event) and were told (billing.payment_command, with its token
of a card or account). They are the evidence for what was booked, which disputes and audits ask for years later, and an
event that comes again is known by the one that is kept.
"""

from datetime import timedelta

from sqlalchemy import delete, text

from marketplace.core.db import Tx
from marketplace.core.people.tables import access_link, half_sign_in, mail, notice, oidc_attempt
from marketplace.core.tables import idempotency_key, outbox, request_window, session, sign_in_attempt
from marketplace.core.webhooks.tables import webhook_delivery

KEPT_IDEMPOTENCY_KEYS = timedelta(days=7)
"""How long a repeated request gets the stored answer instead of being done again."""

KEPT_SIGN_IN_ATTEMPTS = timedelta(days=1)
KEPT_REQUEST_WINDOWS = timedelta(hours=1)
KEPT_DISPATCHED_EVENTS = timedelta(days=30)
"""So long an event can be sent to a webhook again; its deliveries go with it."""

KEPT_LINKS = timedelta(days=30)
"""After their time; their mails go with them."""

KEPT_MAILS = timedelta(days=90)
KEPT_NOTICES = timedelta(days=90)
KEPT_JOB_LOG = timedelta(days=30)

KEPT_AD_IMPRESSIONS = timedelta(days=92)
"""A quarter: what was shown in a month is billed after it, and whoever doubts the bill does so soon."""
KEPT_AD_CLICKS = timedelta(days=400)
"""A year and some weeks: a report goes back a year, and attributes a sale to a click of a week before."""


async def clean_up(tx: Tx) -> dict[str, int]:
    """Remove what has outlived its time; returns how many rows of what."""
    removals = {
        "sessions": delete(session).where(session.c.expires_at < tx.now),
        "idempotency_keys": delete(idempotency_key).where(
            idempotency_key.c.created_at < tx.now - KEPT_IDEMPOTENCY_KEYS
        ),
        "sign_in_attempts": delete(sign_in_attempt).where(
            sign_in_attempt.c.window_starts_at < tx.now - KEPT_SIGN_IN_ATTEMPTS
        ),
        "request_windows": delete(request_window).where(
            request_window.c.window_starts_at < tx.now - KEPT_REQUEST_WINDOWS
        ),
        "webhook_deliveries": delete(webhook_delivery).where(
            webhook_delivery.c.created_at < tx.now - KEPT_DISPATCHED_EVENTS
        ),
        "half_sign_ins": delete(half_sign_in).where(half_sign_in.c.expires_at < tx.now),
        "oidc_attempts": delete(oidc_attempt).where(oidc_attempt.c.expires_at < tx.now),
        "access_links": delete(access_link).where(access_link.c.expires_at < tx.now - KEPT_LINKS),
        "mails": delete(mail).where(mail.c.created_at < tx.now - KEPT_MAILS),
        "notices": delete(notice).where(notice.c.made_at < tx.now - KEPT_NOTICES),
        "events": delete(outbox).where(outbox.c.dispatched_at < tx.now - KEPT_DISPATCHED_EVENTS),
    }
    removed = {noun: (await tx.execute(statement)).rowcount for noun, statement in removals.items()}
    for table in ("job_log", "job_statistics"):
        old = text(f"DELETE FROM core.{table} WHERE created < :before")
        removed[table] = (await tx.execute(old, {"before": tx.now - KEPT_JOB_LOG})).rowcount
    return removed
