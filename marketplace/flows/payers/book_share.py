"""Entries of payers' shares: in the merchant's books, under an id of their own; the caller holds the books."""

from collections.abc import Sequence
from datetime import date

import msgspec

from billing import postings
from billing.ledger import store as ledger
from billing.ledger.model import Leg, NewEntry
from billing.payers import store as payers
from billing.payers.shares import store as shares
from billing.payers.shares.store import PayerShare
from marketplace.core.clock import local_date
from marketplace.core.db import Tx
from marketplace.core.ids import time_ordered_id


async def post_share(
    tx: Tx, share: PayerShare, kind: str, legs: tuple[Leg, ...], *, on: date | None = None, source_id: int | None = None
) -> None:
    """Post one fact of a share; on: the day wished for, by default today in the market's zone. No legs: nothing."""
    if not legs:
        return
    if on is None:
        on = local_date(tx.now, await zone_of(tx, share.entity_id))
    if source_id is None:
        source_id = time_ordered_id(tx.now)
    await shares.note_entry(tx, share, kind, source_id)
    entry = NewEntry(
        merchant_id=share.merchant_id,
        kind=kind,
        source_id=source_id,
        currency=share.currency,
        occurred_at=tx.now,
        effective_on=on,
        legs=legs,
    )
    await ledger.post(tx, [entry])


async def zone_of(tx: Tx, entity_id: int) -> str:
    """The market's zone."""
    zone: str = await tx.scalar("SELECT zone FROM billing.entity WHERE entity_id = :entity", entity=entity_id)
    return zone


async def has_recourse(tx: Tx, share: PayerShare) -> bool:
    """Whether a merchant bears what the payer rejects of a share: never of what stands in a house's books."""
    version = await payers.get_version(tx, share.version_id)
    if not version.terms.recourse:
        return False
    house = "SELECT 1 FROM billing.entity WHERE house_merchant_id = :books"
    return await tx.scalar(house, books=share.merchant_id) is None


async def keep_share(tx: Tx, share: PayerShare, *, on: date | None = None) -> PayerShare:
    """Store a changed share, and hold back from the merchant what it has to wait for: what the payer has not paid of a
    settled order, under a contract that is paid when the payer pays (account 2010). Returns it as it stands."""
    version = await payers.get_version(tx, share.version_id)
    waits = version.terms.pay_when_paid and share.claimable_on is not None
    held = share.standing.unpaid_minor if waits else 0
    await post_share(tx, share, "payer_held", postings.payer_held(held - share.held_minor, share.contract_id), on=on)
    kept = msgspec.structs.replace(share, held_minor=held)
    await shares.store_share(tx, kept)
    return kept


async def settle_shares(tx: Tx, merchants: Sequence[int]) -> None:
    """What payers bear of orders that were just settled can be claimed from now on, and is held back where it must be.

    Runs in the commit of the settlement, whose caller holds the books.
    """
    for share in await shares.settled_waiting(tx, merchants):
        await keep_share(tx, share, on=share.claimable_on)
