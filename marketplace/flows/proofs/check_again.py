"""What takes too long to be checked while a page waits: the worker checks it and keeps what it found, with its time."""

from datetime import date, timedelta

from billing.payouts.store import OwedPayout, list_owed
from billing.periods import store as periods
from billing.periods.model import BookPeriod, Check, month_named, month_of, with_approvals
from billing.runs.model import Period
from incentives.experiments.findings import Findings
from marketplace.core import last_checks
from marketplace.core.clock import local_date
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import Invalid
from marketplace.core.last_checks import LastCheck
from marketplace.core.months import first_of_month
from marketplace.flows.books.check_period import check_period
from marketplace.flows.payments.reconcile_payments import Reconciliation, keep_payment_breaks
from marketplace.flows.promotions.grant_rewards import COUNTING
from marketplace.flows.promotions.review_promotion import look_back
from marketplace.flows.proofs.verify_books import Verified, verify_books

JOB = last_checks.JOB
BOOKS = "books"
"""The subject of every invariant of the books."""
OWED = "owed"
"""The subject of who should be getting money and is not."""
OWED_MAX = 5_000
_BEGUN = """
SELECT p.promotion_id FROM incentives.promotion p
WHERE p.starts_at < :now AND p.state = ANY(:counting) ORDER BY p.promotion_id
"""


def payments_in(currency: str) -> str:
    """The subject of all payments of a currency against all orders."""
    return f"payments:{currency}"


def month_over(today: date) -> Period:
    """The month that was over last."""
    return month_of(first_of_month(today) - timedelta(days=1))


async def last_of_books(tx: Tx) -> LastCheck[Verified]:
    return await last_checks.last(tx, BOOKS, Verified)


async def last_of_payments(tx: Tx, currency: str) -> LastCheck[Reconciliation]:
    return await last_checks.last(tx, payments_in(currency), Reconciliation)


async def last_of_period(tx: Tx, period: BookPeriod) -> LastCheck[list[Check]]:
    """The checklist of a month, each proof with the approvals that it has by now."""
    found = await last_checks.last(tx, period.subject, list[Check])
    if found.answer is None:
        return found
    approvals = await periods.list_approvals(tx, period)
    checks = [with_approvals(check, approvals) for check in found.answer]
    return LastCheck(found.subject, checks, found.checked_at, found.working)


def review_of(promotion_id: int) -> str:
    """The subject of what a promotion has changed and cost so far."""
    return f"review:{promotion_id}"


async def last_of_owed(tx: Tx) -> LastCheck[list[OwedPayout]]:
    return await last_checks.last(tx, OWED, list[OwedPayout])


async def last_of_review(tx: Tx, promotion_id: int) -> LastCheck[Findings]:
    return await last_checks.last(tx, review_of(promotion_id), Findings)


async def check_again(db: Database, actor: str, subject: str) -> None:
    """Check one subject and keep what was found. Raises Invalid for none."""
    kind, _, of = subject.partition(":")
    if kind == BOOKS:
        at = db.clock.now()
        verified = await verify_books(db)
        await db.write(WORKER, actor, last_checks.keep, BOOKS, verified, at)
    elif kind == OWED:
        await db.write(WORKER, actor, _check_owed)
    elif kind == "review":
        await db.write(WORKER, actor, _check_review, int(of))
    elif kind == "payments":
        await db.write(WORKER, actor, _check_payments, of)
    elif kind == "period":
        entity_id, _, month = of.partition("/")
        await db.write(WORKER, actor, _check_period, int(entity_id), month)
    else:
        raise Invalid(f"subject: {subject[:60]!r} is nothing that is checked")


async def check_books(db: Database, subject: str | None, *, actor: str) -> None:
    """The worker's job: one subject, and by the clock a job for each, so that one that fails holds up no other."""
    if subject:
        await check_again(db, actor, subject)
    else:
        await db.write(WORKER, actor, _queue_all)


async def check_all(db: Database, actor: str) -> None:
    """Check all that pages show, here and now."""
    async with db.read(WORKER) as tx:
        subjects = await subjects_of(tx)
    for subject in subjects:
        await check_again(db, actor, subject)


async def _queue_all(tx: Tx) -> None:
    for subject in await subjects_of(tx):
        await last_checks.queue(tx, subject)


async def subjects_of(tx: Tx) -> list[str]:
    """What pages show: payments in each currency, the month that each legal entity has behind it, promotions that
    have begun and are not reviewed, who is owed, and the books.
    """
    entities = await tx.rows("SELECT entity_id, currency, zone FROM billing.entity ORDER BY entity_id")
    begun = await tx.rows(_BEGUN, now=tx.now, counting=list(COUNTING))
    subjects = [payments_in(currency) for currency in sorted({entity.currency for entity in entities})]
    for entity in entities:
        over = month_over(local_date(tx.now, entity.zone))
        subjects.append(BookPeriod(entity_id=entity.entity_id, month_on=over.from_on).subject)
    subjects += [review_of(row.promotion_id) for row in begun]
    return [*subjects, OWED, BOOKS]


async def _check_payments(tx: Tx, currency: str) -> None:
    found = await keep_payment_breaks(tx, currency)
    await last_checks.keep(tx, payments_in(currency), found, tx.now)


async def _check_period(tx: Tx, entity_id: int, month: str) -> None:
    period = await periods.get_period(tx, entity_id, month_named(month).from_on)
    await last_checks.keep(tx, period.subject, await check_period(tx, period), tx.now)


async def _check_owed(tx: Tx) -> None:
    await last_checks.keep(tx, OWED, await list_owed(tx, limit=OWED_MAX), tx.now)


async def _check_review(tx: Tx, promotion_id: int) -> None:
    await last_checks.keep(tx, review_of(promotion_id), await look_back(tx, promotion_id), tx.now)
