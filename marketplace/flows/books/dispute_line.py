"""A merchant disputes a line of its books: a case, messages, and what finance gives back of it by two people.

Everything is done under the merchant's books, so that no line is disputed for more than it took.
"""

import msgspec

from billing.charges import store as charges
from billing.journals import store as journals
from billing.journals.model import JournalState
from billing.ledger import store as ledger
from billing.ledger.model import Entry
from billing.line_disputes import store
from billing.line_disputes.model import (
    ANSWERED_WITHIN,
    CaseState,
    LineDispute,
    Message,
    Side,
    check_amount,
    check_move,
    kind_for,
    taken_minor,
)
from marketplace.core import audit
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, Invalid
from marketplace.core.ids import time_ordered_id
from marketplace.flows.books import post_journal
from marketplace.flows.products.charge_products import hold


class DisputeLine(msgspec.Struct, frozen=True, kw_only=True):
    """Which line, by its entry or its charge, how much of it (None: all), and why."""

    merchant_id: int
    text: str
    entry_no: int | None = None
    charge_id: int | None = None
    disputed_minor: int | None = None


class CaseKey(msgspec.Struct, frozen=True, kw_only=True):
    merchant_id: int
    line_dispute_id: int


class AcceptDispute(msgspec.Struct, frozen=True, kw_only=True):
    """So much of what is disputed is right, and why."""

    merchant_id: int
    line_dispute_id: int
    amount_minor: int
    reason: str


async def dispute_line(tx: Tx, cmd: DisputeLine) -> LineDispute:
    """Open a case. Raises NotFound, Invalid unless one line is named, Conflict for more than it took and is left."""
    if (cmd.entry_no is None) == (cmd.charge_id is None):
        raise Invalid("entry_no, charge_id: name the line by one of them", pointer="/entry_no")
    books = await hold(tx, cmd.merchant_id)
    entry_no = cmd.entry_no
    if cmd.charge_id is not None:
        entry_no = (await charges.get_charge(tx, cmd.merchant_id, cmd.charge_id)).entry_no
    assert entry_no is not None
    entry = await ledger.get_entry(tx, cmd.merchant_id, entry_no)
    line_minor = await _left_minor(tx, entry)
    live = await store.live_minor(tx, cmd.merchant_id, entry_no)
    asked = cmd.disputed_minor if cmd.disputed_minor is not None else max(line_minor - live, 1)
    check_amount(asked, line_minor, live)
    opened = LineDispute(
        merchant_id=cmd.merchant_id,
        line_dispute_id=time_ordered_id(tx.now),
        entry_no=entry_no,
        charge_id=cmd.charge_id,
        currency=entry.currency,
        line_minor=line_minor,
        disputed_minor=asked,
        accepted_minor=0,
        text=cmd.text,
        state=CaseState.OPEN,
        opened_at=tx.now,
        opened_by=tx.actor,
        due_on=books.today + ANSWERED_WITHIN,
        journal_id=None,
        settled_entry_no=None,
        decided_at=None,
        decision_reason=None,
    )
    return await store.add_case(tx, opened)


async def say(tx: Tx, key: CaseKey, side: Side, said: str) -> Message:
    """Add a message to a case that is not decided. Raises NotFound, Conflict."""
    held = await _hold(tx, key)
    if held.state not in {CaseState.OPEN, CaseState.IN_REVIEW}:
        raise Conflict(f"dispute {key.line_dispute_id} is {held.state}", state=held.state.value)
    return await store.say(tx, held, side, said)


async def review(tx: Tx, key: CaseKey) -> LineDispute:
    """Somebody of finance looks into it. Raises NotFound, Conflict."""
    return await store.move_case(tx, await _hold(tx, key), CaseState.IN_REVIEW)


async def withdraw(tx: Tx, key: CaseKey) -> LineDispute:
    """The merchant disputes it no more; an adjustment that was proposed is withdrawn with it.

    Raises NotFound, Conflict for one that is decided.
    """
    held = await _hold(tx, key)
    check_move(held, CaseState.WITHDRAWN)
    if held.journal_id is not None:
        journal = await journals.get_journal(tx, key.merchant_id, held.journal_id)
        await journals.decide(tx, journal, JournalState.WITHDRAWN, reason="the merchant disputes it no more")
        subject = f"journal:{key.merchant_id}/{held.journal_id}"
        await audit.record(tx, "journal withdrawn", subject, line_dispute_id=key.line_dispute_id)
    return await store.move_case(tx, held, CaseState.WITHDRAWN, journal_id=None)


async def decline(tx: Tx, key: CaseKey, reason: str) -> LineDispute:
    """Raises NotFound, Conflict for one that is decided, or whose adjustment waits for approval."""
    held = await _hold(tx, key)
    if held.journal_id is not None and held.state is CaseState.IN_REVIEW:
        raise Conflict(f"journal {held.journal_id} waits for approval: withdraw or reject it first")
    if held.state is CaseState.ACCEPTED:
        raise Conflict(f"dispute {key.line_dispute_id} is accepted: reverse its journal", state=held.state.value)
    return await store.move_case(tx, held, CaseState.DECLINED, decision_reason=reason)


async def accept(tx: Tx, cmd: AcceptDispute) -> LineDispute:
    """Propose to give back what is right of it; once somebody else approves the journal, the case is accepted.

    Raises NotFound, Conflict unless it is in review without an adjustment, and for more than is disputed.
    """
    books = await hold(tx, cmd.merchant_id)
    held = await store.get_case(tx, cmd.merchant_id, cmd.line_dispute_id)
    check_move(held, CaseState.ACCEPTED)
    if held.journal_id is not None:
        raise Conflict(f"journal {held.journal_id} waits for approval already")
    if cmd.amount_minor > held.disputed_minor:
        raise Conflict(f"amount_minor: {held.disputed_minor} is disputed, not more", pointer="/amount_minor")
    entry = await ledger.get_entry(tx, cmd.merchant_id, held.entry_no)
    if cmd.amount_minor > (left := await _left_minor(tx, entry)):
        raise Conflict(f"amount_minor: {left} is left of what the entry took", pointer="/amount_minor")
    journal = await post_journal.add(
        tx, books, kind_for(entry.kind), held.currency, post_journal.given(cmd.amount_minor), cmd.reason, held.text,
        dispute_id=held.line_dispute_id,
    )  # fmt: skip
    return await store.propose(tx, held, journal.journal_id)


async def _left_minor(tx: Tx, entry: Entry) -> int:
    """What an entry took from the merchant, less what was credited or refunded of it since."""
    if entry.kind.startswith(_TAKES_NOTHING):
        return 0
    charge = await charges.charge_of_entry(tx, entry.merchant_id, entry.entry_no)
    taken = taken_minor(entry.legs)
    if charge is not None:
        return min(taken, charge.kept_minor + charge.vat_minor - charge.credited_vat_minor)
    return taken - await store.given_back_minor(tx, entry.merchant_id, entry.entry_no)


_TAKES_NOTHING = ("payout_", "exchange_")
"""Kinds of entries that only move what the merchant has."""


async def _hold(tx: Tx, key: CaseKey) -> LineDispute:
    await hold(tx, key.merchant_id)
    return await store.get_case(tx, key.merchant_id, key.line_dispute_id)
