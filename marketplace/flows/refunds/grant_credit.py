"""Give a buyer credit with the platform, and take back what it did not use in time."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

import msgspec

from billing import postings
from billing.credit import store as credit
from billing.credit.store import Credit, Grant
from billing.ledger import store as ledger
from billing.ledger.model import NewEntry
from marketplace.core import audit
from marketplace.core.clock import day_begins, local_date
from marketplace.core.db import Database, Tx
from marketplace.core.each import FIRST, each
from marketplace.core.errors import Invalid, NotFound
from marketplace.core.ids import time_ordered_id

BATCH = 500
ENDS_WITHIN = timedelta(days=3653)
"""How far ahead credit may end; what is meant to last is granted without an end."""


class GrantCredit(msgspec.Struct, frozen=True, kw_only=True):
    """Credit for a buyer, in minor units, and why.

    entity_id: the legal entity that gives it; not needed where only one trades in the currency. expires_on: the last
    day, in that entity's zone, on which it may be used; None for as long as the buyer likes.
    """

    buyer_id: int
    currency: str
    amount_minor: int
    reason: str
    entity_id: int | None = None
    expires_on: date | None = None


class Granted(msgspec.Struct, frozen=True, kw_only=True):
    """The change, and what the buyer has then."""

    source_id: int
    entry_no: int
    accounts: list[Credit]


class _Giver(msgspec.Struct, frozen=True):
    """The legal entity in whose house's books the credit stands."""

    entity_id: int
    house_merchant_id: int
    zone: str


async def grant_credit(tx: Tx, cmd: GrantCredit) -> Granted:
    """The house gives a buyer credit. Raises NotFound for an unknown buyer; Invalid for a currency not traded in, for
    an entity that is not named where there are several, and for an end that is past.
    """
    found = await tx.scalar("SELECT 1 FROM demand.buyer WHERE buyer_id = :buyer", buyer=cmd.buyer_id)
    if found is None:
        raise NotFound(f"there is no buyer {cmd.buyer_id}")
    if cmd.amount_minor <= 0:
        raise Invalid("amount_minor: must be above zero", pointer="/amount_minor")
    giver = await _giver(tx, cmd)
    expires_at = _end(tx.now, giver.zone, cmd.expires_on)
    source_id = time_ordered_id(tx.now)
    entry_no = await _book(
        tx, giver, cmd.buyer_id, cmd.currency, "credit_granted", cmd.amount_minor, source_id, cmd.reason
    )
    if expires_at is not None:
        grant = Grant(source_id, cmd.currency, cmd.amount_minor, cmd.amount_minor, expires_at)
        await credit.add_grant(tx, cmd.buyer_id, giver.entity_id, grant)
    await audit.record(
        tx,
        "credit granted",
        f"buyer:{cmd.buyer_id}",
        amount_minor=cmd.amount_minor,
        reason=cmd.reason,
        entity_id=giver.entity_id,
        expires_on=cmd.expires_on and cmd.expires_on.isoformat(),
    )
    return Granted(source_id=source_id, entry_no=entry_no, accounts=await credit.accounts(tx, cmd.buyer_id))


async def _giver(tx: Tx, cmd: GrantCredit) -> _Giver:
    rows = await tx.rows(
        """
        SELECT e.entity_id, e.house_merchant_id, e.zone FROM billing.entity e
        LEFT JOIN billing.entity_currency c ON c.entity_id = e.entity_id AND c.currency = :currency
        WHERE e.currency = :currency OR c.entity_id IS NOT NULL ORDER BY e.entity_id
        """,
        currency=cmd.currency,
    )
    if not rows:
        raise Invalid(f"currency: nobody here trades in {cmd.currency}", pointer="/currency")
    named = [_Giver(*row) for row in rows if cmd.entity_id in {None, row.entity_id}]
    if len(named) != 1:
        there_are = ", ".join(str(row.entity_id) for row in rows)
        raise Invalid(
            f"entity_id: name the legal entity that gives the credit; in {cmd.currency} trade {there_are}",
            pointer="/entity_id",
        )
    return named[0]


def _end(now: datetime, zone: str, expires_on: date | None) -> datetime | None:
    """The first instant at which credit may be used no more."""
    if expires_on is None:
        return None
    today = local_date(now, zone)
    if not today <= expires_on <= today + ENDS_WITHIN:
        raise Invalid(f"expires_on: is not within ten years from {today} on", pointer="/expires_on")
    return day_begins(expires_on + timedelta(days=1), zone)


async def _book(
    tx: Tx, giver: _Giver, buyer_id: int, currency: str, kind: str, minor: int, source_id: int, reason: str
) -> int:
    """Post and note a change of a buyer's credit, signed; returns the entry's number."""
    entry = NewEntry(
        merchant_id=giver.house_merchant_id,
        kind=kind,
        source_id=source_id,
        currency=currency,
        occurred_at=tx.now,
        effective_on=local_date(tx.now, giver.zone),
        legs=postings.credit_granted(minor, buyer_id),
    )
    await ledger.lock_books(tx, giver.house_merchant_id)
    [entry_no] = await ledger.post(tx, [entry])
    await credit.move(tx, buyer_id, currency, kind.removeprefix("credit_"), minor, source_id=source_id, reason=reason)
    return entry_no


async def expire_credit(db: Database, actor: str, upto: datetime) -> int:
    """Take back what is left of grants whose time is over, each in its own transaction; returns how many. For the
    clock: what is set aside for a payment is taken back when the payment has not used it.
    """

    async def overdue(tx: Tx, last: Any | None) -> Sequence[Any]:
        after = (FIRST, FIRST) if last is None else (last.buyer_id, last.grant_id)
        return await credit.due_grants(tx, upto, after, BATCH)

    return await each(db, actor, "credit not expired", overdue, _expire)


async def _expire(tx: Tx, row: Any) -> bool:
    found = await tx.row(
        "SELECT entity_id, house_merchant_id, zone FROM billing.entity WHERE entity_id = :entity", entity=row.entity_id
    )
    assert found is not None
    giver = _Giver(*found)
    await ledger.lock_books(tx, giver.house_merchant_id)
    ended = await credit.end_grant(tx, row.buyer_id, row.grant_id)
    if not ended:
        return False
    source_id = time_ordered_id(tx.now)
    await _book(tx, giver, row.buyer_id, row.currency, "credit_expired", -ended, source_id, "not used in time")
    await audit.record(tx, "credit expired", f"buyer:{row.buyer_id}", amount_minor=ended, grant_id=row.grant_id)
    return True
