"""Files of payouts for the bank: made by one person, approved by another, downloaded, or cancelled.

    made -> approved -> cancelled, or made -> cancelled

Only an approved file has bytes to download. A file that is cancelled frees its payouts for the next one; once it was
approved it may be with the bank, so whoever cancels it is not who approved it, and says why.
"""

from datetime import date
from typing import Any

import msgspec

from billing.bank_accounts.model import checked_number
from billing.payout_files import store
from billing.payout_files.model import FileLine, FileState, Party, PayoutFile, as_csv, pain_001
from billing.runs.store import local_today, only_entity
from marketplace.core import audit, policies
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, Invalid
from marketplace.core.money import check_currency

_ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(hashtext('payout_file'))"
"""Makers take their rows in one order; it saves them waiting for each other in two."""


class SetDebtor(msgspec.Struct, frozen=True, kw_only=True):
    """The account that payouts in a currency are paid out of. entity_id: not needed where there is only one."""

    currency: str
    party: Party
    entity_id: int | None = None


class MakeFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file of all payouts in a currency that are due by a day and in no file yet."""

    currency: str
    pay_on: date
    entity_id: int | None = None


async def set_debtor(tx: Tx, cmd: SetDebtor) -> Party:
    """Raises NotFound, Conflict when the entity is not clear, Invalid for a number that cannot be one."""
    check_currency(cmd.currency)
    entity_id = await only_entity(tx, cmd.entity_id)
    party = msgspec.structs.replace(cmd.party, number=checked_number(cmd.party.scheme, cmd.party.number))
    await store.set_debtor(tx, entity_id, cmd.currency, party)
    about: dict[str, Any] = {"currency": cmd.currency, "holder": party.holder, "account": party.number[-4:]}
    await audit.record(tx, "debtor account set", f"entity:{entity_id}", **about)
    return party


async def make_file(tx: Tx, cmd: MakeFile) -> PayoutFile:
    """Make a file of the payouts that may leave: to a bank account that was not refused since, of no held merchant.

    Raises NotFound, Conflict when none waits or the debtor account is not set, Invalid for a day that is past.
    """
    check_currency(cmd.currency)
    entity_id = await only_entity(tx, cmd.entity_id)
    today = await local_today(tx, entity_id)
    if cmd.pay_on < today:
        raise Invalid(f"pay_on: {cmd.pay_on} is before today, {today}", pointer="/pay_on")
    debtor = await store.get_debtor(tx, entity_id, cmd.currency)
    await tx.execute(_ONE_AT_A_TIME)
    runs = await store.share_final_runs(tx, entity_id)
    file = await store.make_file(tx, entity_id, cmd.currency, cmd.pay_on, runs, debtor)
    await _told(tx, "payout file made", file)
    return file


async def approve_file(tx: Tx, file_id: int) -> PayoutFile:
    """Let a file go to the bank, as another person than its maker.

    Raises NotFound, Forbidden, and Conflict when a payout of it is held or its bank account was refused meanwhile:
    cancel the file then.
    """
    file = await store.lock_file(tx, file_id)
    single = await policies.check_second_person(tx, file.made_by, f"payout file {file_id}")
    for row in await store.unfit(tx, file_id):
        why = f"it is {row.state}" if row.state != "instructed" else f"its bank account is {row.account}"
        if row.held:
            why = "the merchant's payouts are held"
        raise Conflict(f"payout {row.merchant_id}/{row.payout_id}: {why}; cancel the file and make it anew")
    approved = await store.move_file(tx, file, FileState.APPROVED, approved_by=tx.actor, approved_at=tx.now)
    await _told(tx, "payout file approved", approved, single_operator=single)
    return approved


async def cancel_file(tx: Tx, file_id: int, reason: str) -> PayoutFile:
    """Give up a file: its payouts go into the next one. Raises NotFound, Forbidden, Conflict once the bank spoke."""
    file = await store.lock_file(tx, file_id)
    single = False
    if file.approved_by is not None:
        single = await policies.check_second_person(tx, file.approved_by, f"cancelling payout file {file_id}")
    by = {"cancelled_by": tx.actor, "cancelled_at": tx.now, "cancel_reason": reason}
    cancelled = await store.move_file(tx, file, FileState.CANCELLED, **by)
    await store.free_payouts(tx, cancelled)
    await _told(tx, "payout file cancelled", cancelled, single_operator=single)
    return cancelled


async def read_bytes(tx: Tx, file_id: int, kind: str) -> bytes:
    """What the bank gets, as "xml" (pain.001) or "csv". Raises NotFound, Conflict until it is approved."""
    file = await store.get_file(tx, file_id)
    if file.state is not FileState.APPROVED:
        raise Conflict(f"payout file {file_id} is {file.state}: only an approved one goes to the bank")
    debtor, lines = await store.content(tx, file_id)
    return rendered(kind, file, debtor, lines)


def rendered(kind: str, file: PayoutFile, debtor: Party, lines: list[FileLine]) -> bytes:
    """The bytes of a file. Raises Invalid for a kind that there is not."""
    if kind == "xml":
        return pain_001(file, debtor, lines)
    if kind == "csv":
        return as_csv(file, debtor, lines)
    raise Invalid(f"format: {kind!r} is neither xml nor csv")


async def _told(tx: Tx, deed: str, file: PayoutFile, *, single_operator: bool = False) -> None:
    await audit.record(
        tx,
        deed,
        f"payout_file:{file.file_id}",
        single_operator=single_operator,
        currency=file.currency,
        payouts=file.payouts,
        total_minor=file.total_minor,
        reason=file.cancel_reason,
    )
