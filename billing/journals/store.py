"""Every statement on journals by hand. Whoever changes one holds the books that it is about."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import msgspec
from sqlalchemy import insert, select, tuple_
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import IntegrityError

from billing.journals.model import GoodwillReason, Journal, JournalKind, JournalState, Limits, check_move
from billing.journals.tables import journal, journal_limit
from billing.ledger.model import Leg
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, NotFound

_LEGS = ("accounts", "dimensions", "amounts")
_COLUMNS = [journal.c[name] for name in (*Journal.__struct_fields__, *_LEGS) if name != "legs"]


class SetLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The limits of a legal entity in a currency, in minor units, and who has set them."""

    entity_id: int
    currency: str
    accountant_minor: int
    residue_minor: int


def _journal(row: Any) -> Journal:
    values = {name: value for name, value in row._mapping.items() if name not in _LEGS}
    values |= {"kind": JournalKind(row.kind), "state": JournalState(row.state)}
    values["goodwill_reason"] = GoodwillReason(row.goodwill_reason) if row.goodwill_reason else None
    legs = zip(row.accounts, row.amounts, row.dimensions, strict=True)
    return Journal(**values, legs=tuple(Leg(*leg) for leg in legs))


async def add_journal(tx: Tx, new: Journal) -> Journal:
    """Raises Conflict when the journal that it takes back is being taken back already."""
    row = {name: getattr(new, name) for name in Journal.__struct_fields__ if name != "legs"}
    row |= {"kind": new.kind.value, "state": new.state.value}
    row["goodwill_reason"] = new.goodwill_reason.value if new.goodwill_reason else None
    row["accounts"] = [int(leg.account) for leg in new.legs]
    row["dimensions"] = [leg.dimension for leg in new.legs]
    row["amounts"] = [leg.amount_minor for leg in new.legs]
    try:
        await tx.execute(insert(journal), row)
    except IntegrityError as fault:
        raise Conflict(f"journal {new.reversal_of} is reversed already, or its reversal is proposed") from fault
    return new


async def get_journal(tx: Tx, merchant_id: int, journal_id: int) -> Journal:
    """Raises NotFound."""
    query = select(*_COLUMNS).where(journal.c.merchant_id == merchant_id, journal.c.journal_id == journal_id)
    row = await tx.row(query)
    if row is None:
        raise NotFound(f"these books have no journal {journal_id}")
    return _journal(row)


async def list_journals(
    tx: Tx,
    *,
    merchant_id: int | None,
    state: JournalState | None,
    limit: int,
    before: tuple[int, int] | None = None,
) -> Sequence[Journal]:
    """At most `limit` journals, the newest first, those behind (journal_id, merchant_id)."""
    query = select(*_COLUMNS)
    if merchant_id is not None:
        query = query.where(journal.c.merchant_id == merchant_id)
    if state is not None:
        query = query.where(journal.c.state == state.value)
    if before is not None:
        query = query.where(tuple_(journal.c.journal_id, journal.c.merchant_id) < before)
    query = query.order_by(journal.c.journal_id.desc(), journal.c.merchant_id.desc())
    return [_journal(row) for row in await tx.rows(query.limit(limit))]


async def decide(
    tx: Tx, held: Journal, then: JournalState, *, reason: str = "", entry_no: int | None = None, single: bool = False
) -> Journal:
    """Post, reject or withdraw a proposed journal. Raises Conflict for one that is decided."""
    check_move(held.journal_id, held.state, then)
    values: dict[str, Any] = {"state": then, "entry_no": entry_no, "decided_by": tx.actor, "decided_at": tx.now}
    values |= {"decision_reason": reason, "single_operator": single}
    await tx.execute(
        journal.update()
        .where(journal.c.merchant_id == held.merchant_id, journal.c.journal_id == held.journal_id)
        .values(**{**values, "state": then.value})
    )
    return msgspec.structs.replace(held, **values)


async def closed_through(tx: Tx, merchant_id: int) -> date | None:
    """The last day of these books that is closed."""
    closed: date | None = await tx.scalar(
        "SELECT closed_through FROM billing.ledger_head WHERE merchant_id = :merchant", merchant=merchant_id
    )
    return closed


async def opened_left(tx: Tx, merchant_id: int, account: int, currency: str) -> int:
    """What of an account was brought over from another system and not released since, signed."""
    left = await tx.scalar(
        """
        SELECT coalesce(sum(leg.amount), 0)
        FROM billing.entry e, unnest(e.accounts, e.dimensions, e.amounts) AS leg (account, dimension, amount)
        WHERE e.merchant_id = :merchant AND e.currency = :currency AND e.kind IN ('opening_booked', 'journal_posted')
          AND leg.account = :account AND leg.dimension = 0
        """,
        merchant=merchant_id,
        account=account,
        currency=currency,
    )
    return int(left)


async def limits_of(tx: Tx, entity_id: int, currency: str) -> Limits:
    row = await tx.row(
        select(journal_limit.c.accountant_minor, journal_limit.c.residue_minor).where(
            journal_limit.c.entity_id == entity_id, journal_limit.c.currency == currency
        )
    )
    return Limits(**row._mapping) if row is not None else Limits()


async def set_limits(tx: Tx, new: SetLimits) -> None:
    row = {**msgspec.structs.asdict(new), "set_by": tx.actor, "set_at": tx.now}
    keys = ["entity_id", "currency"]
    await tx.execute(upsert(journal_limit).values(row).on_conflict_do_update(index_elements=keys, set_=row))


async def list_limits(tx: Tx) -> Sequence[SetLimits]:
    rows = await tx.rows(
        """
        SELECT entity_id, currency, accountant_minor, residue_minor FROM billing.journal_limit
        ORDER BY entity_id, currency
        """
    )
    return [SetLimits(**row._mapping) for row in rows]
