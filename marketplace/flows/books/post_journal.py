"""Journals by hand (postings N and P): proposed by one person, approved by another, posted as one entry, taken back.

Each is on one merchant's books or the house's; whoever proposes or decides one holds these books.
"""

from collections.abc import Sequence
from datetime import date
from typing import Any

import msgspec

from billing.charges.store import Books
from billing.exchange.store import check_kept
from billing.journals import store
from billing.journals.model import (
    OPENED,
    GoodwillReason,
    Journal,
    JournalKind,
    JournalState,
    check_legs,
    check_limit,
    check_opened,
    check_owed,
    mirrored,
)
from billing.journals.store import SetLimits
from billing.ledger import store as ledger
from billing.ledger.chart import Account
from billing.ledger.model import Leg, NewEntry, legs
from billing.line_disputes.store import journal_decided
from billing.periods.model import TAKES_JOURNALS, PeriodState
from billing.periods.store import hold_month
from marketplace.core import audit, policies
from marketplace.core.clock import day_begins
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, Invalid, NotFound
from marketplace.core.ids import time_ordered_id
from marketplace.core.money import check_currency
from marketplace.flows.products.charge_products import hold


class ProposeJournal(msgspec.Struct, frozen=True, kw_only=True):
    """Legs on one merchant's books or the house's; the day they count in (None: today), why, and what proves it."""

    merchant_id: int
    currency: str
    legs: tuple[Leg, ...]
    reason: str
    evidence: str
    effective_on: date | None = None


class ProposeGoodwill(msgspec.Struct, frozen=True, kw_only=True):
    """P: what the platform gives a merchant, in minor units."""

    merchant_id: int
    currency: str
    amount_minor: int
    goodwill_reason: GoodwillReason
    reason: str
    evidence: str


class DecideJournal(msgspec.Struct, frozen=True, kw_only=True):
    """is_controller: whether the limit of accountants does not bind who decides."""

    merchant_id: int
    journal_id: int
    reason: str = ""
    is_controller: bool = False


async def propose_journal(tx: Tx, cmd: ProposeJournal) -> Journal:
    """Raises NotFound; Invalid for legs that a hand may not post, an unknown currency, and a day that is closed or to
    come; Conflict for more than was brought over on an account of which only that may be released, and for giving up
    more than is owed.
    """
    books = await hold(tx, cmd.merchant_id)
    await check_kept(tx, books.entity_id, cmd.currency)
    limits = await store.limits_of(tx, books.entity_id, cmd.currency)
    check_legs(cmd.legs, cmd.currency, of_house=_of_house(books), residue_minor=limits.residue_minor)
    await _check_processors(tx, cmd.legs)
    on = cmd.effective_on or books.today
    if on > books.today:
        raise Invalid(f"effective_on: {on} is still to come", pointer="/effective_on")
    if (closed := await _closed(tx, books, on, cmd.legs)) is not None:
        raise Invalid(f"effective_on: {closed}", pointer="/effective_on")
    await _check_balances(tx, cmd.merchant_id, cmd.currency, cmd.legs)
    return await add(tx, books, JournalKind.MANUAL, cmd.currency, cmd.legs, cmd.reason, cmd.evidence, effective_on=on)


async def propose_goodwill(tx: Tx, cmd: ProposeGoodwill) -> Journal:
    """P: 6920 / 2000. Raises NotFound, Invalid for a currency that is not kept, and for the house's own books."""
    books = await hold(tx, cmd.merchant_id)
    if _of_house(books):
        raise Invalid("merchant_id: goodwill is for a merchant")
    await check_kept(tx, books.entity_id, cmd.currency)
    return await add(
        tx, books, JournalKind.GOODWILL, cmd.currency, given(cmd.amount_minor), cmd.reason, cmd.evidence,
        goodwill_reason=cmd.goodwill_reason,
    )  # fmt: skip


async def propose_reversal(tx: Tx, cmd: DecideJournal) -> Journal:
    """Propose the mirror of a posted journal, on the first open day. Raises NotFound, Conflict."""
    books = await hold(tx, cmd.merchant_id)
    original = await store.get_journal(tx, cmd.merchant_id, cmd.journal_id)
    if original.state is not JournalState.POSTED:
        raise Conflict(f"journal {cmd.journal_id} is {original.state}: only what is posted is reversed")
    if original.reversal_of is not None:
        raise Conflict(f"journal {cmd.journal_id} is a reversal itself: propose the journal anew")
    return await add(
        tx, books, original.kind, original.currency, mirrored(original.legs), cmd.reason, original.evidence,
        goodwill_reason=original.goodwill_reason, reversal_of=original.journal_id, dispute_id=original.dispute_id,
    )  # fmt: skip


async def approve_journal(tx: Tx, cmd: DecideJournal) -> Journal:
    """Post it, as another person than its maker; above the accountants' limit as a controller.

    Raises NotFound, Forbidden, and Conflict for one that is decided, whose day was closed meanwhile, or that would
    release or give up more than there is by now.
    """
    books = await hold(tx, cmd.merchant_id)
    held = await store.get_journal(tx, cmd.merchant_id, cmd.journal_id)
    if held.state is not JournalState.PROPOSED:
        raise Conflict(f"journal {cmd.journal_id} is {held.state} already", state=held.state.value)
    single = await policies.check_second_person(tx, held.made_by, f"journal {cmd.journal_id}")
    limits = await store.limits_of(tx, books.entity_id, held.currency)
    check_limit(held.legs, held.currency, limits, is_controller=cmd.is_controller)
    await _check_balances(tx, cmd.merchant_id, held.currency, held.legs, reversal=held.reversal_of is not None)
    by_hand = held.kind is JournalKind.MANUAL and held.reversal_of is None
    if by_hand and (closed := await _closed(tx, books, held.effective_on, held.legs)) is not None:
        raise Conflict(f"{closed}: withdraw it and propose it on an open day")
    entry = NewEntry(
        merchant_id=held.merchant_id,
        kind=held.kind.value,
        source_id=held.journal_id,
        currency=held.currency,
        occurred_at=day_begins(held.effective_on, books.zone),
        effective_on=held.effective_on,
        legs=held.legs,
        by_hand=by_hand,
    )
    [entry_no] = await ledger.post(tx, [entry])
    posted = await store.decide(tx, held, JournalState.POSTED, reason=cmd.reason, entry_no=entry_no, single=single)
    await journal_decided(tx, posted)
    await _told(tx, "journal posted", posted, single_operator=single)
    return posted


async def reject_journal(tx: Tx, cmd: DecideJournal) -> Journal:
    """Refuse a proposed journal, as another person than its maker, who withdraws it. Raises NotFound, Conflict."""
    held, _ = await _proposal(tx, cmd)
    if held.made_by == tx.actor:
        raise Conflict(f"journal {cmd.journal_id}: whoever made it withdraws it")
    rejected = await store.decide(tx, held, JournalState.REJECTED, reason=cmd.reason)
    await journal_decided(tx, rejected)
    await _told(tx, "journal rejected", rejected)
    return rejected


async def withdraw_journal(tx: Tx, cmd: DecideJournal) -> Journal:
    """Take back what one has proposed. Raises NotFound, Conflict for another's and for one that is decided."""
    held, _ = await _proposal(tx, cmd)
    if held.made_by != tx.actor:
        raise Conflict(f"journal {cmd.journal_id}: {held.made_by} has made it; reject it instead")
    withdrawn = await store.decide(tx, held, JournalState.WITHDRAWN, reason=cmd.reason)
    await journal_decided(tx, withdrawn)
    await _told(tx, "journal withdrawn", withdrawn)
    return withdrawn


async def set_limits(tx: Tx, cmd: SetLimits) -> SetLimits:
    """What accountants may approve, and what is a residue. Raises NotFound for an entity that is none."""
    check_currency(cmd.currency)
    known = await tx.scalar("SELECT 1 FROM billing.entity WHERE entity_id = :entity", entity=cmd.entity_id)
    if known is None:
        raise NotFound(f"there is no legal entity {cmd.entity_id}")
    await store.set_limits(tx, cmd)
    await audit.record(tx, "journal limits set", f"entity:{cmd.entity_id}", **msgspec.structs.asdict(cmd))
    return cmd


async def add(
    tx: Tx,
    books: Books,
    kind: JournalKind,
    currency: str,
    entry_legs: tuple[Leg, ...],
    reason: str,
    evidence: str,
    *,
    effective_on: date | None = None,
    goodwill_reason: GoodwillReason | None = None,
    reversal_of: int | None = None,
    dispute_id: int | None = None,
) -> Journal:
    """Store a proposal on books that the caller holds."""
    proposed = Journal(
        merchant_id=books.merchant_id,
        journal_id=time_ordered_id(tx.now),
        kind=kind,
        currency=currency,
        effective_on=effective_on or books.today,
        legs=entry_legs,
        goodwill_reason=goodwill_reason,
        reason=reason,
        evidence=evidence,
        reversal_of=reversal_of,
        dispute_id=dispute_id,
        state=JournalState.PROPOSED,
        entry_no=None,
        made_by=tx.actor,
        made_at=tx.now,
        decided_by=None,
        decided_at=None,
        decision_reason=None,
        single_operator=False,
    )
    await store.add_journal(tx, proposed)
    await _told(tx, "journal proposed", proposed, reason=reason)
    return proposed


def given(minor: int) -> tuple[Leg, ...]:
    """P: 6920 / 2000, what the platform gives a merchant."""
    return legs({Account.ADJUSTMENTS: minor, Account.PAYABLE: -minor})


async def _closed(tx: Tx, books: Books, on: date, entry_legs: Sequence[Leg]) -> str | None:
    """Why no journal takes this day any more, if so. One that is soft-closed takes what changes no final statement."""
    closed = await store.closed_through(tx, books.merchant_id)
    if closed is None or on > closed:
        return None
    month = await hold_month(tx, books.entity_id, on)
    if month.state is PeriodState.OPEN:
        return (
            f"the books are closed through {closed}: {month.period.name} is billed, and takes journals once it is"
            " soft-closed"
        )
    if month.state not in TAKES_JOURNALS:
        return f"the books are closed through {closed}"
    if any(leg.account == Account.PAYABLE for leg in entry_legs):
        return f"the books are closed through {closed} for account 2000, of which there is a final statement"
    return None


def _of_house(books: Books) -> bool:
    return books.merchant_id == books.house_merchant_id


async def _proposal(tx: Tx, cmd: DecideJournal) -> tuple[Journal, Books]:
    books = await hold(tx, cmd.merchant_id)
    return await store.get_journal(tx, cmd.merchant_id, cmd.journal_id), books


async def _check_processors(tx: Tx, entry_legs: Sequence[Leg]) -> None:
    for leg in entry_legs:
        if leg.account == Account.PROCESSOR_CLEARING and not await tx.scalar(
            "SELECT 1 FROM billing.processor WHERE processor_id = :processor", processor=leg.dimension
        ):
            raise Invalid(f"legs: there is no processor {leg.dimension}", pointer="/legs")


async def _check_balances(
    tx: Tx, merchant_id: int, currency: str, entry_legs: Sequence[Leg], *, reversal: bool = False
) -> None:
    """Raise Conflict when legs would release more than was brought over, or give up more than is owed.

    A reversal brings back what was released.
    """
    changes: dict[int, int] = {}
    for leg in entry_legs:
        changes[leg.account] = changes.get(leg.account, 0) + leg.amount_minor
    for account in sorted(changes.keys() & OPENED) if not reversal else ():
        left = await store.opened_left(tx, merchant_id, account, currency)
        check_opened(account, currency, left, changes[account])
    if Account.MERCHANT_RECEIVABLE in changes:
        key = (Account.MERCHANT_RECEIVABLE, 0, currency)
        found = await ledger.balances(tx, merchant_id)
        owed = sum(one.balance_minor for one in found if (one.account, one.dimension, one.currency) == key)
        check_owed(currency, owed, changes[Account.MERCHANT_RECEIVABLE])


async def _told(tx: Tx, deed: str, about: Journal, *, single_operator: bool = False, **more: Any) -> None:
    what: dict[str, Any] = {"kind": about.kind.value, "amount_minor": about.amount_minor, "currency": about.currency}
    subject = f"journal:{about.merchant_id}/{about.journal_id}"
    await audit.record(tx, deed, subject, single_operator=single_operator, **what, **more)
