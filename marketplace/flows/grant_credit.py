"""Give a buyer credit with the platform, and take back what it did not use."""

import msgspec

from billing import postings
from billing.credit import store as credit
from billing.credit.store import Credit
from billing.ledger import store as ledger
from billing.ledger.model import NewEntry
from marketplace.core import audit
from marketplace.core.clock import local_date
from marketplace.core.db import Tx
from marketplace.core.errors import Invalid, NotFound
from marketplace.core.ids import time_ordered_id


class GrantCredit(msgspec.Struct, frozen=True, kw_only=True):
    """Credit for a buyer, in minor units, and why."""

    buyer_id: int
    currency: str
    amount_minor: int
    reason: str


class ExpireCredit(msgspec.Struct, frozen=True, kw_only=True):
    """What a buyer has not used and loses, in minor units."""

    buyer_id: int
    currency: str
    amount_minor: int
    reason: str = "expired"


class Granted(msgspec.Struct, frozen=True, kw_only=True):
    """The change, and what the buyer has then."""

    source_id: int
    entry_no: int
    accounts: list[Credit]


async def grant_credit(tx: Tx, cmd: GrantCredit) -> Granted:
    """The house gives a buyer credit. Raises NotFound for an unknown buyer, Invalid for a currency not traded in."""
    found = await tx.scalar("SELECT 1 FROM demand.buyer WHERE buyer_id = :buyer", buyer=cmd.buyer_id)
    if found is None:
        raise NotFound(f"there is no buyer {cmd.buyer_id}")
    return await _move(tx, cmd, "credit_granted", "granted", cmd.amount_minor)


async def expire_credit(tx: Tx, cmd: ExpireCredit) -> Granted:
    """Free credit ends. Raises Conflict when the buyer has less of it that is not set aside for a payment."""
    return await _move(tx, cmd, "credit_expired", "expired", -cmd.amount_minor)


async def _move(tx: Tx, cmd: GrantCredit | ExpireCredit, kind: str, movement: str, amount_minor: int) -> Granted:
    if cmd.amount_minor <= 0:
        raise Invalid("amount_minor: must be above zero", pointer="/amount_minor")
    house = await tx.row(
        "SELECT house_merchant_id, zone FROM billing.entity WHERE currency = :currency ORDER BY entity_id LIMIT 1",
        currency=cmd.currency,
    )
    if house is None:
        raise Invalid(f"currency: nobody here trades in {cmd.currency}", pointer="/currency")
    await ledger.lock_books(tx, house.house_merchant_id)
    source_id = time_ordered_id(tx.now)
    entry = NewEntry(
        merchant_id=house.house_merchant_id,
        kind=kind,
        source_id=source_id,
        currency=cmd.currency,
        occurred_at=tx.now,
        effective_on=local_date(tx.now, house.zone),
        legs=postings.credit_granted(amount_minor, cmd.buyer_id),
    )
    [entry_no] = await ledger.post(tx, [entry])
    await credit.move(
        tx, cmd.buyer_id, cmd.currency, movement, amount_minor, source_id=source_id, reason=cmd.reason
    )  # fmt: skip
    await audit.record(
        tx, f"credit {movement}", f"buyer:{cmd.buyer_id}", amount_minor=cmd.amount_minor, reason=cmd.reason
    )
    return Granted(source_id=source_id, entry_no=entry_no, accounts=await credit.accounts(tx, cmd.buyer_id))
