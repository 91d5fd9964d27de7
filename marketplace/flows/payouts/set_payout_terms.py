"""The terms on which a merchant is paid out, the holds on its payouts, and the release of what was kept back.

Terms that pay a merchant anything sooner need a second person; those that keep more back hold at once. A run reads
both under the merchant's books, so whoever changes them holds these.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import msgspec

from billing import postings
from billing.ledger import store as ledger
from billing.ledger.model import NewEntry
from billing.payout_terms import store
from billing.payout_terms.model import Conditions, Hold, Terms, TermsMade, TermsState, favours
from marketplace.core import audit, policies
from marketplace.core.clock import local_date
from marketplace.core.db import Database, Tx
from marketplace.core.each import FIRST, each
from marketplace.core.errors import Invalid
from marketplace.core.money import check_currency
from supply.store import get_merchant

BATCH = 500


class ProposeTerms(msgspec.Struct, frozen=True, kw_only=True):
    """New terms for a merchant's payouts in a currency, and why."""

    merchant_id: int
    currency: str
    conditions: Conditions
    reason: str


async def propose_terms(tx: Tx, cmd: ProposeTerms) -> TermsMade:
    """Terms that keep more back are active at once; those that favour the merchant wait for a second person.

    Raises NotFound, Invalid for terms that cannot be or that change nothing, Conflict while others wait.
    """
    cmd.conditions.check()
    check_currency(cmd.currency)
    await get_merchant(tx, cmd.merchant_id)
    await ledger.lock_books(tx, cmd.merchant_id)
    before = await store.conditions_of(tx, cmd.merchant_id, cmd.currency)
    if cmd.conditions == before:
        raise Invalid("minimum_minor, reserve_ppm, reserve_days: these are the terms already")
    sooner = favours(before, cmd.conditions)
    state = TermsState.PROPOSED if sooner else TermsState.ACTIVE
    terms = await store.add_terms(tx, cmd.merchant_id, cmd.currency, cmd.conditions, cmd.reason, state)
    await _told(tx, f"payout terms {state}", terms)
    return TermsMade(**msgspec.structs.asdict(terms), favours=sooner)


async def approve_terms(tx: Tx, merchant_id: int, terms_id: int) -> Terms:
    """Make proposed terms hold, as another person than their maker. Raises NotFound, Conflict, Forbidden."""
    await ledger.lock_books(tx, merchant_id)
    terms = await store.get_terms(tx, merchant_id, terms_id)
    single = await policies.check_second_person(tx, terms.made_by, f"payout terms {terms_id}")
    approved = await store.move_terms(tx, terms, TermsState.ACTIVE)
    await _told(tx, "payout terms approved", approved, single_operator=single)
    return approved


async def reject_terms(tx: Tx, merchant_id: int, terms_id: int, reason: str) -> Terms:
    """Refuse proposed terms; whoever made them may take them back so. Raises NotFound, Conflict."""
    await ledger.lock_books(tx, merchant_id)
    terms = await store.get_terms(tx, merchant_id, terms_id)
    rejected = await store.move_terms(tx, terms, TermsState.REJECTED)
    await _told(tx, "payout terms rejected", rejected, why=reason)
    return rejected


async def hold_payouts(tx: Tx, merchant_id: int, reason: str) -> Hold:
    """Pay a merchant nothing until the hold is released. What has gone to the bank is gone.

    Raises NotFound, Conflict when its payouts are held already.
    """
    await get_merchant(tx, merchant_id)
    await ledger.lock_books(tx, merchant_id)
    hold = await store.place_hold(tx, merchant_id, reason)
    await audit.record(tx, "payouts held", f"merchant:{merchant_id}", reason=reason, hold_id=hold.hold_id)
    return hold


async def release_payouts(tx: Tx, merchant_id: int, hold_id: int, reason: str) -> Hold:
    """Pay a merchant again, as another person than who held its payouts. Raises NotFound, Conflict, Forbidden."""
    await ledger.lock_books(tx, merchant_id)
    hold = await store.get_hold(tx, merchant_id, hold_id)
    single = await policies.check_second_person(tx, hold.placed_by, f"release of hold {hold_id}")
    released = await store.release_hold(tx, hold, reason)
    about: dict[str, Any] = {"reason": reason, "hold_id": hold_id}
    await audit.record(tx, "payouts released", f"merchant:{merchant_id}", single_operator=single, **about)
    return released


async def release_reserves(db: Database, actor: str) -> int:
    """Make payable again what was kept long enough, each reserve in its own transaction; returns how many.

    For the clock: its day has come once it has begun in the entity's zone.
    """
    upto = db.clock.now().date() + timedelta(days=1)  # nowhere is it later than that

    async def due(tx: Tx, last: Any | None) -> Sequence[Any]:
        after = (FIRST, FIRST) if last is None else (last.merchant_id, last.payout_id)
        return await store.due_reserves(tx, upto, after, BATCH)

    return await each(db, actor, "reserve not released", due, _release)


async def _release(tx: Tx, row: Any) -> bool:
    if row.release_on > local_date(tx.now, row.zone):
        return False
    await ledger.lock_books(tx, row.merchant_id)
    reserve = await store.end_reserve(tx, row.merchant_id, row.payout_id)
    if reserve is None:  # another process has released it, or its run was reversed
        return False
    entry = NewEntry(
        merchant_id=reserve.merchant_id,
        kind="reserve_released",
        source_id=reserve.payout_id,
        currency=reserve.currency,
        occurred_at=tx.now,
        effective_on=reserve.release_on,
        legs=postings.reserve_held(-reserve.held_minor),
    )
    await ledger.post(tx, [entry])
    about: dict[str, Any] = {"currency": reserve.currency, "amount_minor": reserve.held_minor}
    await audit.record(tx, "reserve released", f"payout:{reserve.merchant_id}/{reserve.payout_id}", **about)
    return True


async def _told(tx: Tx, deed: str, terms: Terms, *, single_operator: bool = False, **more: Any) -> None:
    about = {"terms_id": terms.terms_id, "currency": terms.currency, "reason": terms.reason}
    about |= msgspec.structs.asdict(terms.conditions) | more
    await audit.record(tx, deed, f"merchant:{terms.merchant_id}", single_operator=single_operator, **about)
