"""What the bank says of payouts: paid, or come back, days later and even after having been paid.

A payout is instructed by a billing run (payable to payout in transit). Once the bank has paid, the merchant's transit
and the house's bank account meet in the control account of the bank's movement. A payout that comes back is owed
again: the next run pays it, out of the balance, like everything else.

    instructed -> confirmed -> returned, or instructed -> returned
"""

from datetime import date

import msgspec

from billing import postings
from billing.bank_accounts import store as bank_accounts
from billing.ledger import store as ledger
from billing.ledger.model import Leg, NewEntry
from billing.payout_files import store as files
from billing.payout_files.model import FileState
from billing.payout_terms import store as terms
from billing.runs import store
from billing.runs.model import Payout, RunState
from marketplace.core import audit, outbox
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import Conflict, Invalid
from marketplace.core.ids import time_ordered_id


class ConfirmPayout(msgspec.Struct, frozen=True, kw_only=True):
    """The bank has paid a payout on a day; bank_ref is its own name of the movement."""

    merchant_id: int
    payout_id: int
    bank_ref: str
    on: date


class ReturnPayout(msgspec.Struct, frozen=True, kw_only=True):
    """A payout came back on a day, or never left. bank_ref: the bank's name of the movement, where there was one."""

    merchant_id: int
    payout_id: int
    on: date
    reason: str
    bank_ref: str | None = None


class Books(msgspec.Struct, frozen=True):
    """The house's books of the payout's entity, and today in its market."""

    house_merchant_id: int
    today: date


async def confirm_payout(tx: Tx, cmd: ConfirmPayout) -> Payout:
    """Book that the bank has paid; the same again changes nothing.

    Raises NotFound; Conflict for a payout that is held, has come back, was cancelled, or was confirmed as another
    movement; Invalid for a day before the instruction or after today.
    """
    books = await hold_books(tx, cmd.merchant_id, cmd.payout_id)
    payout = await store.lock_payout(tx, cmd.merchant_id, cmd.payout_id)
    if payout.state == "confirmed" and (payout.bank_ref, payout.confirmed_on) == (cmd.bank_ref, cmd.on):
        return payout
    if payout.state == "confirmed":
        raise Conflict(
            f"payout {cmd.payout_id}: the bank confirmed it on {payout.confirmed_on} as {payout.bank_ref!r} already"
        )
    _check_state(payout, "instructed", done="confirmed")
    if payout.held is not None:
        raise Conflict(f"payout {cmd.payout_id} is held: {payout.held}; it never went to the bank")
    await _check_file(tx, payout)
    _check_day(cmd.on, payout.instructed_on, books)
    batch_id = time_ordered_id(tx.now)
    own, house = postings.payout_confirmed(payout.amount_minor, batch_id)
    await ledger.post(
        tx,
        [
            _entry(tx, payout, cmd.merchant_id, "payout_confirmed", cmd.payout_id, cmd.on, own),
            _entry(tx, payout, books.house_merchant_id, "payout_confirmed", batch_id, cmd.on, house),
        ],
    )
    noted = {"state": "confirmed", "bank_ref": cmd.bank_ref, "confirmed_on": cmd.on}
    confirmed = await store.set_payout(tx, cmd.merchant_id, cmd.payout_id, **noted)
    await audit.record(tx, "payout confirmed", _subject(payout), bank_ref=cmd.bank_ref, on=cmd.on, batch_id=batch_id)
    await outbox.emit(tx, "billing.payout_confirmed.v1", confirmed, merchant_id=cmd.merchant_id)
    return confirmed


async def return_payout(tx: Tx, cmd: ReturnPayout) -> Payout:
    """Book that a payout is not with the merchant: its amount is owed again. The same again changes nothing.

    Raises NotFound; Conflict for a payout that was cancelled or came back otherwise; Invalid for a day before it was
    paid or instructed, or after today, and for one that the bank had paid and that comes back without its reference.
    """
    books = await hold_books(tx, cmd.merchant_id, cmd.payout_id)
    payout = await store.lock_payout(tx, cmd.merchant_id, cmd.payout_id)
    said = (cmd.bank_ref, cmd.on, cmd.reason)
    if payout.state == "returned" and (payout.return_ref, payout.returned_on, payout.return_reason) == said:
        return payout
    _check_state(payout, "instructed", "confirmed", done="returned")
    await _check_file(tx, payout)
    _check_day(cmd.on, payout.confirmed_on or payout.instructed_on, books)
    if payout.state == "instructed":
        legs = postings.payout_not_sent(payout.amount_minor)
        entries = [_entry(tx, payout, cmd.merchant_id, "payout_returned", cmd.payout_id, cmd.on, legs)]
    else:
        if cmd.bank_ref is None:
            raise Invalid("bank_ref: the bank had paid it, so name the movement that came back", pointer="/bank_ref")
        batch_id = time_ordered_id(tx.now)
        own, house = postings.payout_returned(payout.amount_minor, batch_id)
        entries = [
            _entry(tx, payout, cmd.merchant_id, "payout_returned", cmd.payout_id, cmd.on, own),
            _entry(tx, payout, books.house_merchant_id, "payout_returned", batch_id, cmd.on, house),
        ]
    await ledger.post(tx, entries)
    await terms.came_back(tx, cmd.merchant_id, cmd.payout_id, payout.amount_minor)
    noted = {"state": "returned", "return_ref": cmd.bank_ref, "returned_on": cmd.on, "return_reason": cmd.reason}
    returned = await store.set_payout(tx, cmd.merchant_id, cmd.payout_id, **noted)
    await audit.record(tx, "payout returned", _subject(payout), reason=cmd.reason, bank_ref=cmd.bank_ref, on=cmd.on)
    await outbox.emit(tx, "billing.payout_returned.v1", returned, merchant_id=cmd.merchant_id)
    return returned


async def activate_bank_accounts(db: Database, actor: str) -> int:
    """Make the bank accounts active whose cool-down is over by now; returns how many."""
    activated = 0
    while True:
        count = await db.write(WORKER, actor, _activate)
        activated += count
        if count < bank_accounts.ACTIVATED_AT_ONCE:
            return activated


async def _activate(tx: Tx) -> int:
    return await bank_accounts.activate_due(tx, tx.now)


async def hold_books(tx: Tx, merchant_id: int, payout_id: int) -> Books:
    """Keep the payout's run from being reversed meanwhile, then hold the merchant's books, then the house's.

    The run comes first, as where a bucket of it is finalised or reversed.
    """
    run = await store.share_run(tx, (await store.get_payout(tx, merchant_id, payout_id)).run_id)
    if run.state in {RunState.REVERSING, RunState.REVERSED}:
        raise Conflict(f"payout {payout_id}: run {run.run_id} is {run.state}")
    row = await tx.row("SELECT house_merchant_id FROM billing.entity WHERE entity_id = :entity", entity=run.entity_id)
    assert row is not None
    for books in (merchant_id, row.house_merchant_id):
        await ledger.lock_books(tx, books)
    return Books(row.house_merchant_id, await store.local_today(tx, run.entity_id))


def _check_state(payout: Payout, *allowed: str, done: str) -> None:
    if payout.state not in allowed:
        raise Conflict(f"payout {payout.payout_id} is {payout.state}: it cannot be {done}", state=payout.state)


async def _check_file(tx: Tx, payout: Payout) -> None:
    """Raise Conflict for a payout in a file that the bank has not got: approve or cancel that first."""
    if payout.file_id is None:
        return
    file = await files.get_file(tx, payout.file_id)
    if file.state is not FileState.APPROVED:
        raise Conflict(f"payout {payout.payout_id} is in payout file {file.file_id}, which is {file.state}")


def _check_day(on: date, first: date, books: Books) -> None:
    if not first <= on <= books.today:
        raise Invalid(f"on: {on} is not between {first} and today, {books.today}", pointer="/on")


def _entry(
    tx: Tx, payout: Payout, merchant_id: int, kind: str, source_id: int, on: date, legs: tuple[Leg, ...]
) -> NewEntry:
    return NewEntry(
        merchant_id=merchant_id,
        kind=kind,
        source_id=source_id,
        currency=payout.currency,
        occurred_at=tx.now,
        effective_on=on,
        legs=legs,
    )


def _subject(payout: Payout) -> str:
    return f"payout:{payout.merchant_id}/{payout.payout_id}"
