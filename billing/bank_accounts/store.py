"""Every statement on merchants' bank accounts.

Whoever changes one holds the merchant's change (`lock_account`, or the unique key of a new proposal), so that two
people never move the same account. Nothing here posts, and nothing here shows a whole number but `transfer_order`.
"""

import secrets
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from billing.bank_accounts.model import (
    COOL_DOWN,
    TRIES_MAX,
    AccountState,
    BankAccount,
    Method,
    Scheme,
    check_move,
    checked_number,
    code_from,
    masked,
)
from billing.bank_accounts.tables import bank_account
from marketplace.core import audit, outbox, policies
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, Invalid, NotFound
from marketplace.core.ids import time_ordered_id
from marketplace.core.passwords import hash_password, password_matches

CODES = 10**10
ACTIVATED_AT_ONCE = 500


class ProposeAccount(msgspec.Struct, frozen=True, kw_only=True):
    """A bank account that a merchant wants to be paid to. routing: the bank's code where the number is no IBAN."""

    merchant_id: int
    currency: str
    holder: str
    scheme: Scheme
    number: str
    routing: str = ""


class TransferOrder(msgspec.Struct, frozen=True, kw_only=True):
    """The small transfer that verifies an account: to whom, and the code it carries. Shown once, stored nowhere."""

    merchant_id: int
    account_id: int
    holder: str
    number: str
    routing: str
    code: str


_COLUMNS = ", ".join("number" if name == "masked" else name for name in BankAccount.__struct_fields__)


def _account(row: Any) -> BankAccount:
    values = dict(row._mapping)
    number = values.pop("number")
    values |= {"scheme": Scheme(row.scheme), "state": AccountState(row.state), "masked": masked(number)}
    return BankAccount(**{**values, "method": Method(row.method) if row.method else None})


async def get_account(tx: Tx, merchant_id: int, account_id: int) -> BankAccount:
    """Raises NotFound."""
    return await _only(tx, merchant_id, account_id)


async def lock_account(tx: Tx, merchant_id: int, account_id: int) -> BankAccount:
    """An account, held until the transaction ends. Raises NotFound."""
    return await _only(tx, merchant_id, account_id, " FOR UPDATE")


async def _only(tx: Tx, merchant_id: int, account_id: int, lock: str = "") -> BankAccount:
    row = await tx.row(
        f"SELECT {_COLUMNS} FROM billing.bank_account WHERE merchant_id = :merchant AND account_id = :account{lock}",
        merchant=merchant_id,
        account=account_id,
    )
    if row is None:
        raise NotFound(f"merchant {merchant_id} has no bank account {account_id}")
    return _account(row)


async def list_accounts(tx: Tx, merchant_id: int, *, limit: int, before: int | None = None) -> Sequence[BankAccount]:
    """At most `limit` accounts of a merchant, the newest first, those proposed before the account `before`."""
    rows = await tx.rows(
        f"SELECT {_COLUMNS} FROM billing.bank_account WHERE merchant_id = :merchant"
        " AND (CAST(:before AS bigint) IS NULL OR account_id < :before) ORDER BY account_id DESC LIMIT :limit",
        merchant=merchant_id,
        before=before,
        limit=limit,
    )
    return [_account(row) for row in rows]


async def best_state(tx: Tx, merchant_id: int) -> AccountState | None:
    """How far the merchant has come with any account: of one that can still be paid to, else of the newest."""
    state = await tx.scalar(
        """
        SELECT state FROM billing.bank_account WHERE merchant_id = :merchant
        ORDER BY array_position(ARRAY['active', 'cooling', 'verified', 'proposed'], state), account_id DESC LIMIT 1
        """,
        merchant=merchant_id,
    )
    return AccountState(state) if state else None


async def propose(tx: Tx, cmd: ProposeAccount) -> BankAccount:
    """Propose an account to be paid to, as the merchant. The one that is active stays so until this one is.

    Raises Invalid for a number that cannot be one, Conflict while another change is on its way.
    """
    account_id = time_ordered_id(tx.now)
    row = {
        "merchant_id": cmd.merchant_id,
        "account_id": account_id,
        "currency": cmd.currency,
        "holder": cmd.holder,
        "scheme": cmd.scheme,
        "number": checked_number(cmd.scheme, cmd.number),
        "routing": cmd.routing,
        "proposed_by": tx.actor,
        "proposed_at": tx.now,
    }
    try:
        await tx.execute(insert(bank_account), row)
    except IntegrityError as fault:
        raise Conflict(
            f"another bank account in {cmd.currency} is on its way: cancel it, or wait until it is active"
        ) from fault
    account = await get_account(tx, cmd.merchant_id, account_id)
    await _told(tx, account, "bank account proposed")
    return account


async def order_transfer(
    tx: Tx, merchant_id: int, account_id: int, draw: Callable[[int], int] = secrets.randbelow
) -> TransferOrder:
    """Make a code for the small transfer that verifies an account; one made earlier no longer counts.

    Wrong codes are counted over all codes together. Raises NotFound, Conflict unless the account is proposed.
    """
    account = await lock_account(tx, merchant_id, account_id)
    check_move(account.state, AccountState.VERIFIED)
    code = code_from(draw(CODES))
    row = await tx.row(
        """
        UPDATE billing.bank_account SET code_hash = :hash, version = version + 1
        WHERE merchant_id = :merchant AND account_id = :account RETURNING holder, number, routing
        """,
        merchant=merchant_id,
        account=account_id,
        hash=await hash_password(code),
    )
    assert row is not None
    await audit.record(tx, "verifying transfer ordered", _subject(account), account=account.masked)
    return TransferOrder(merchant_id=merchant_id, account_id=account_id, code=code, **row._mapping)


async def verify_by_code(tx: Tx, merchant_id: int, account_id: int, code: str) -> BankAccount:
    """Compare the code that came with the transfer. A wrong one is counted, and the third rejects the account.

    Raises NotFound, Conflict unless the account is proposed and a transfer was ordered.
    """
    account = await lock_account(tx, merchant_id, account_id)
    check_move(account.state, AccountState.VERIFIED)
    stored: str | None = await tx.scalar(
        "SELECT code_hash FROM billing.bank_account WHERE merchant_id = :merchant AND account_id = :account",
        merchant=merchant_id,
        account=account_id,
    )
    if stored is None:
        raise Conflict("no transfer with a code has been ordered for this account yet")
    if await password_matches(stored, code):
        return await _move(tx, account, AccountState.VERIFIED, **_verified(tx, Method.MICRO_TRANSFER))
    tries = account.tries + 1
    if tries >= TRIES_MAX:
        reason = f"{tries} wrong codes"
        return await _move(tx, account, AccountState.REJECTED, reason=reason, tries=tries, code_hash=None)
    await _set(tx, account, tries=tries)
    await audit.record(tx, "wrong code for a bank account", _subject(account), tries=tries)
    return await get_account(tx, merchant_id, account_id)


async def verify_by_document(tx: Tx, merchant_id: int, account_id: int, note: str) -> BankAccount:
    """Vouch for an account whose document one has seen. Raises NotFound, Conflict, Forbidden for its proposer."""
    account = await lock_account(tx, merchant_id, account_id)
    check_move(account.state, AccountState.VERIFIED)
    await policies.check_second_person(tx, account.proposed_by, f"bank account {account_id}")
    return await _move(tx, account, AccountState.VERIFIED, note=note, **_verified(tx, Method.DOCUMENT))


def _verified(tx: Tx, method: Method) -> dict[str, Any]:
    return {"method": method.value, "verified_by": tx.actor, "verified_at": tx.now, "code_hash": None}


async def approve(tx: Tx, merchant_id: int, account_id: int) -> BankAccount:
    """Approve a verified account: after COOL_DOWN it becomes the one that is paid to.

    Raises NotFound, Conflict, and Forbidden for whoever proposed it or vouched for its document.
    """
    account = await lock_account(tx, merchant_id, account_id)
    check_move(account.state, AccountState.COOLING)
    deed = f"bank account {account_id}"
    single = await policies.check_second_person(tx, account.proposed_by, deed)
    if account.method is Method.DOCUMENT:
        assert account.verified_by is not None
        single = await policies.check_second_person(tx, account.verified_by, deed) or single
    by: dict[str, Any] = {"approved_by": tx.actor, "approved_at": tx.now, "active_from": tx.now + COOL_DOWN}
    return await _move(tx, account, AccountState.COOLING, single_operator=single, **by)


async def reject(tx: Tx, merchant_id: int, account_id: int, reason: str) -> BankAccount:
    """Refuse an account, even one that is active: nothing new is paid to it. Raises NotFound, Conflict, Invalid."""
    return await _end(tx, merchant_id, account_id, AccountState.REJECTED, reason)


async def cancel(tx: Tx, merchant_id: int, account_id: int, reason: str) -> BankAccount:
    """Give up a change that is not active yet; the account before it stays. Raises NotFound, Conflict, Invalid."""
    return await _end(tx, merchant_id, account_id, AccountState.CANCELLED, reason)


async def _end(tx: Tx, merchant_id: int, account_id: int, state: AccountState, reason: str) -> BankAccount:
    if not reason.strip():
        raise Invalid("reason: say why", pointer="/reason")
    account = await lock_account(tx, merchant_id, account_id)
    return await _move(tx, account, state, reason=reason, code_hash=None)


async def activate_due(tx: Tx, upto: datetime) -> int:
    """Make active what has cooled down by `upto`, each in the place of the one before; returns how many.

    Whatever stands in for the clock calls it: a job of the worker, and finalising a run before it instructs payouts.
    Several may do it at once.
    """
    due = await tx.rows(
        """
        SELECT merchant_id, account_id FROM billing.bank_account WHERE state = 'cooling' AND active_from <= :upto
        ORDER BY merchant_id, account_id LIMIT :limit
        """,
        upto=upto,
        limit=ACTIVATED_AT_ONCE,
    )
    activated = 0
    for row in due:
        account = await lock_account(tx, row.merchant_id, row.account_id)
        if account.state is not AccountState.COOLING:  # another process has seen to it
            continue
        before = await tx.scalar(
            """
            SELECT account_id FROM billing.bank_account
            WHERE merchant_id = :merchant AND currency = :currency AND state = 'active'
            """,
            merchant=account.merchant_id,
            currency=account.currency,
        )
        if before is not None:
            replaced = await lock_account(tx, account.merchant_id, before)
            if replaced.state is AccountState.ACTIVE:
                await _move(tx, replaced, AccountState.REPLACED)
        await _move(tx, account, AccountState.ACTIVE)
        activated += 1
    return activated


async def _move(
    tx: Tx, account: BankAccount, state: AccountState, *, single_operator: bool = False, note: str = "", **values: Any
) -> BankAccount:
    """Take a locked account to its next state; the merchant is told and the deed recorded."""
    check_move(account.state, state)
    await _set(tx, account, state=state.value, **values)
    moved = await get_account(tx, account.merchant_id, account.account_id)
    await _told(tx, moved, f"bank account {state}", single_operator=single_operator, note=note)
    return moved


async def _set(tx: Tx, account: BankAccount, **values: Any) -> None:
    changes = ", ".join(f"{column} = :{column}" for column in values)
    await tx.execute(
        f"UPDATE billing.bank_account SET {changes}, version = version + 1"
        " WHERE merchant_id = :merchant AND account_id = :account",
        {**values, "merchant": account.merchant_id, "account": account.account_id},
    )


async def _told(tx: Tx, account: BankAccount, deed: str, *, single_operator: bool = False, note: str = "") -> None:
    """Record a deed and notify the merchant, neither with the number."""
    said = {"account": account.masked, "currency": account.currency, "reason": account.reason}
    if note:
        said["note"] = note
    await audit.record(tx, deed, _subject(account), single_operator=single_operator, **said)
    await outbox.emit(tx, "billing.bank_account_changed.v1", account, merchant_id=account.merchant_id)


def _subject(account: BankAccount) -> str:
    return f"bank_account:{account.merchant_id}/{account.account_id}"
