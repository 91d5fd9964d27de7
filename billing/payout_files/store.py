"""Every statement on payout files. A payout names the live file that it is in, so it can be in no other."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import msgspec
from sqlalchemy import insert, text
from sqlalchemy.dialects import postgresql

from billing.bank_accounts.model import Scheme
from billing.payout_files.model import FileLine, FileState, Party, PayoutFile, check_move
from billing.payout_files.tables import debtor_account, payout_file
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, NotFound
from marketplace.core.ids import time_ordered_id

PAYOUTS_MAX = 10_000
"""Of one file; the next one takes the rest."""

_FILE = ", ".join(PayoutFile.__struct_fields__)
_PARTY = ", ".join(Party.__struct_fields__)


def _party(row: Any) -> Party:
    return Party(holder=row.holder, scheme=Scheme(row.scheme), number=row.number, routing=row.routing)


def _file(row: Any) -> PayoutFile:
    return PayoutFile(**{**row._mapping, "state": FileState(row.state)})


async def set_debtor(tx: Tx, entity_id: int, currency: str, party: Party) -> None:
    """Pay a currency out of an account from now on; files that are made already keep theirs."""
    row = {"entity_id": entity_id, "currency": currency, **msgspec.structs.asdict(party)}
    row |= {"set_by": tx.actor, "set_at": tx.now}
    insertion = postgresql.insert(debtor_account).values(row)
    await tx.execute(insertion.on_conflict_do_update(index_elements=["entity_id", "currency"], set_=row))


class DebtorAccount(msgspec.Struct, frozen=True, kw_only=True):
    """The account that an entity pays a currency out of, and who said so when."""

    entity_id: int
    currency: str
    party: Party
    set_by: str
    set_at: datetime


async def list_debtors(tx: Tx) -> list[DebtorAccount]:
    """By entity and currency."""
    rows = await tx.rows(
        f"SELECT entity_id, currency, set_by, set_at, {_PARTY} FROM billing.debtor_account ORDER BY entity_id, currency"
    )
    return [
        DebtorAccount(
            entity_id=row.entity_id, currency=row.currency, party=_party(row), set_by=row.set_by, set_at=row.set_at
        )
        for row in rows
    ]


async def get_debtor(tx: Tx, entity_id: int, currency: str) -> Party:
    """Raises Conflict when nobody has said which account it is."""
    row = await tx.row(
        f"SELECT {_PARTY} FROM billing.debtor_account WHERE entity_id = :entity AND currency = :currency",
        entity=entity_id,
        currency=currency,
    )
    if row is None:
        raise Conflict(f"which account pays out {currency}? set the entity's debtor account first")
    return _party(row)


async def share_final_runs(tx: Tx, entity_id: int) -> list[int]:
    """The entity's final runs, none of which can be reversed until the transaction ends."""
    rows = await tx.rows(
        """
        SELECT run_id FROM billing.billing_run WHERE entity_id = :entity AND state = 'finalised'
        ORDER BY run_id FOR SHARE
        """,
        entity=entity_id,
    )
    return [row.run_id for row in rows]


# Two makers at once: the second waits for the first one's rows, finds them in a file, and leaves them.
_CLAIM = text("""
UPDATE billing.payout AS p SET file_id = :file
FROM (
    SELECT q.merchant_id, q.payout_id
    FROM billing.payout q
    JOIN billing.bank_account b ON b.merchant_id = q.merchant_id AND b.account_id = q.bank_account_id
    LEFT JOIN billing.payout_hold held ON held.merchant_id = q.merchant_id AND held.released_at IS NULL
    WHERE q.state = 'instructed' AND q.file_id IS NULL AND q.currency = :currency AND q.run_id = ANY(:runs)
      AND q.instructed_on <= :pay_on AND b.state IN ('active', 'replaced') AND held.hold_id IS NULL
    ORDER BY q.merchant_id, q.payout_id LIMIT :limit
) AS due
WHERE p.merchant_id = due.merchant_id AND p.payout_id = due.payout_id AND p.file_id IS NULL AND p.state = 'instructed'
""")
_FREEZE = text("""
INSERT INTO billing.payout_file_line (merchant_id, payout_id, file_id, amount_minor, holder, scheme, number, routing)
SELECT p.merchant_id, p.payout_id, p.file_id, p.amount_minor, b.holder, b.scheme, b.number, b.routing
FROM billing.payout p
JOIN billing.bank_account b ON b.merchant_id = p.merchant_id AND b.account_id = p.bank_account_id
WHERE p.file_id = :file
""")


async def make_file(
    tx: Tx, entity_id: int, currency: str, pay_on: date, runs: Sequence[int], debtor: Party
) -> PayoutFile:
    """A file of the payouts of these runs that are in none yet and may leave. Raises Conflict when there are none."""
    file_id = time_ordered_id(tx.now)
    claim = {"file": file_id, "currency": currency, "runs": list(runs), "pay_on": pay_on, "limit": PAYOUTS_MAX}
    await tx.execute(_CLAIM, claim)
    await tx.execute(_FREEZE, {"file": file_id})
    found = await tx.row(
        "SELECT count(*) AS payouts, coalesce(sum(amount_minor), 0)::bigint AS total_minor"
        " FROM billing.payout_file_line WHERE file_id = :file",
        file=file_id,
    )
    assert found is not None
    if not found.payouts:
        raise Conflict(f"no payout in {currency} waits for a file: all are in one, held, or due after {pay_on}")
    row = {"file_id": file_id, "entity_id": entity_id, "currency": currency, "pay_on": pay_on, **found._mapping}
    row |= msgspec.structs.asdict(debtor) | {"state": FileState.MADE, "made_by": tx.actor, "made_at": tx.now}
    await tx.execute(insert(payout_file), row)
    return await get_file(tx, file_id)


async def get_file(tx: Tx, file_id: int) -> PayoutFile:
    """Raises NotFound."""
    return await _only(tx, file_id)


async def lock_file(tx: Tx, file_id: int) -> PayoutFile:
    """A file, held until the transaction ends. Raises NotFound."""
    return await _only(tx, file_id, " FOR UPDATE")


async def _only(tx: Tx, file_id: int, lock: str = "") -> PayoutFile:
    row = await tx.row(f"SELECT {_FILE} FROM billing.payout_file WHERE file_id = :file{lock}", file=file_id)
    if row is None:
        raise NotFound(f"there is no payout file {file_id}")
    return _file(row)


async def list_files(tx: Tx, *, limit: int, before: int | None = None) -> Sequence[PayoutFile]:
    """At most `limit` files, the newest first, those made before the file `before`."""
    rows = await tx.rows(
        f"SELECT {_FILE} FROM billing.payout_file WHERE CAST(:before AS bigint) IS NULL OR file_id < :before"
        " ORDER BY file_id DESC LIMIT :limit",
        before=before,
        limit=limit,
    )
    return [_file(row) for row in rows]


async def content(tx: Tx, file_id: int, *, limit: int | None = None) -> tuple[Party, list[FileLine]]:
    """The account that a file is paid out of, and its lines in their order: all, or at most `limit`."""
    debtor = await tx.row(f"SELECT {_PARTY} FROM billing.payout_file WHERE file_id = :file", file=file_id)
    assert debtor is not None
    rows = await tx.rows(
        f"""
        SELECT merchant_id, payout_id, amount_minor, {_PARTY} FROM billing.payout_file_line
        WHERE file_id = :file ORDER BY merchant_id, payout_id LIMIT :limit
        """,
        file=file_id,
        limit=limit,
    )
    lines = [
        FileLine(
            merchant_id=row.merchant_id, payout_id=row.payout_id, amount_minor=row.amount_minor, creditor=_party(row)
        )
        for row in rows
    ]
    return _party(debtor), lines


async def unfit(tx: Tx, file_id: int) -> Sequence[Any]:
    """The payouts of a file that may not leave any more: merchant_id, payout_id, state, whether held, account state."""
    return await tx.rows(
        """
        SELECT p.merchant_id, p.payout_id, p.state, held.hold_id IS NOT NULL AS held, b.state AS account
        FROM billing.payout p
        JOIN billing.bank_account b ON b.merchant_id = p.merchant_id AND b.account_id = p.bank_account_id
        LEFT JOIN billing.payout_hold held ON held.merchant_id = p.merchant_id AND held.released_at IS NULL
        WHERE p.file_id = :file
          AND (p.state <> 'instructed' OR held.hold_id IS NOT NULL OR b.state NOT IN ('active', 'replaced'))
        ORDER BY p.merchant_id, p.payout_id LIMIT 10
        """,
        file=file_id,
    )


async def free_payouts(tx: Tx, file: PayoutFile) -> None:
    """Let other files take the payouts of this one. Raises Conflict when the bank spoke of any, if only just now."""
    freed = await tx.execute(
        "UPDATE billing.payout SET file_id = NULL WHERE file_id = :file AND state = 'instructed'",
        {"file": file.file_id},
    )
    said = file.payouts - freed.rowcount
    if said:
        raise Conflict(f"payout file {file.file_id}: the bank has paid or returned {said} of its payouts")


async def move_file(tx: Tx, file: PayoutFile, then: FileState, **noted: Any) -> PayoutFile:
    """Take a locked file to another state. Raises Conflict when the move is not allowed."""
    check_move(file.file_id, file.state, then)
    changes = ", ".join(f"{column} = :{column}" for column in noted)
    await tx.execute(
        f"UPDATE billing.payout_file SET state = :state, {changes} WHERE file_id = :file",
        {"state": then.value, "file": file.file_id, **noted},
    )
    return await get_file(tx, file.file_id)
