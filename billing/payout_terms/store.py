"""Every statement on terms of payouts, holds, and what is kept back. Whoever changes any holds the merchant's books."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import msgspec
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from billing.payout_terms.model import (
    NONE_AGREED,
    Carried,
    Conditions,
    Hold,
    PayoutDays,
    Reserve,
    Terms,
    TermsState,
    check_move,
)
from billing.payout_terms.tables import payout_hold, payout_terms
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, NotFound
from marketplace.core.ids import time_ordered_id

_TERMS = ", ".join(Terms.__struct_fields__)
_HOLD = ", ".join(Hold.__struct_fields__)


_CONDITIONS = ", ".join(Conditions.__struct_fields__)


def _terms(row: Any) -> Terms:
    return Terms(**{**row._mapping, "state": TermsState(row.state), "days": PayoutDays(row.days)})


async def conditions_of(tx: Tx, merchant_id: int, currency: str) -> Conditions:
    """What the merchant is paid out on now."""
    row = await tx.row(
        f"""
        SELECT {_CONDITIONS} FROM billing.payout_terms
        WHERE merchant_id = :merchant AND currency = :currency AND state = 'active'
        """,
        merchant=merchant_id,
        currency=currency,
    )
    return Conditions(**{**row._mapping, "days": PayoutDays(row.days)}) if row is not None else NONE_AGREED


async def add_terms(
    tx: Tx, merchant_id: int, currency: str, conditions: Conditions, reason: str, state: TermsState
) -> Terms:
    """A new version. Raises Conflict while another one waits for approval."""
    terms_id = time_ordered_id(tx.now)
    row = {"merchant_id": merchant_id, "terms_id": terms_id, "currency": currency, "reason": reason}
    row |= msgspec.structs.asdict(conditions) | {"made_by": tx.actor, "made_at": tx.now, "state": state.value}
    if state is TermsState.ACTIVE:
        await _replace(tx, merchant_id, currency)
    try:
        await tx.execute(insert(payout_terms), row)
    except IntegrityError as fault:
        raise Conflict(f"other terms in {currency} wait for approval: approve or reject them first") from fault
    return await get_terms(tx, merchant_id, terms_id)


async def move_terms(tx: Tx, terms: Terms, then: TermsState) -> Terms:
    """Approve proposed terms, in the place of those before, or reject them. Raises Conflict for any others."""
    check_move(terms.state, then)
    if then is TermsState.ACTIVE:
        await _replace(tx, terms.merchant_id, terms.currency)
    await tx.execute(
        """
        UPDATE billing.payout_terms SET state = :state, approved_by = :by, approved_at = :at
        WHERE merchant_id = :merchant AND terms_id = :terms
        """,
        {
            "state": then.value,
            "by": tx.actor if then is TermsState.ACTIVE else None,
            "at": tx.now if then is TermsState.ACTIVE else None,
            "merchant": terms.merchant_id,
            "terms": terms.terms_id,
        },
    )
    return await get_terms(tx, terms.merchant_id, terms.terms_id)


async def _replace(tx: Tx, merchant_id: int, currency: str) -> None:
    await tx.execute(
        """
        UPDATE billing.payout_terms SET state = 'replaced'
        WHERE merchant_id = :merchant AND currency = :currency AND state = 'active'
        """,
        {"merchant": merchant_id, "currency": currency},
    )


async def get_terms(tx: Tx, merchant_id: int, terms_id: int) -> Terms:
    """Raises NotFound."""
    row = await tx.row(
        f"SELECT {_TERMS} FROM billing.payout_terms WHERE merchant_id = :merchant AND terms_id = :terms",
        merchant=merchant_id,
        terms=terms_id,
    )
    if row is None:
        raise NotFound(f"merchant {merchant_id} has no payout terms {terms_id}")
    return _terms(row)


async def list_terms(tx: Tx, merchant_id: int, *, limit: int, before: int | None = None) -> Sequence[Terms]:
    """At most `limit` versions of a merchant's terms, the newest first, those made before `before`."""
    rows = await tx.rows(
        f"""
        SELECT {_TERMS} FROM billing.payout_terms
        WHERE merchant_id = :merchant AND (CAST(:before AS bigint) IS NULL OR terms_id < :before)
        ORDER BY terms_id DESC LIMIT :limit
        """,
        merchant=merchant_id,
        before=before,
        limit=limit,
    )
    return [_terms(row) for row in rows]


async def find_hold(tx: Tx, merchant_id: int) -> Hold | None:
    """The hold on the merchant's payouts, if there is one."""
    row = await tx.row(
        f"SELECT {_HOLD} FROM billing.payout_hold WHERE merchant_id = :merchant AND released_at IS NULL",
        merchant=merchant_id,
    )
    return Hold(**row._mapping) if row is not None else None


async def place_hold(tx: Tx, merchant_id: int, reason: str) -> Hold:
    """Hold a merchant's payouts. Raises Conflict when they are held already."""
    hold_id = time_ordered_id(tx.now)
    row = {"merchant_id": merchant_id, "hold_id": hold_id, "reason": reason}
    try:
        await tx.execute(insert(payout_hold), {**row, "placed_by": tx.actor, "placed_at": tx.now})
    except IntegrityError as fault:
        raise Conflict(f"the payouts of merchant {merchant_id} are held already") from fault
    return await get_hold(tx, merchant_id, hold_id)


async def release_hold(tx: Tx, hold: Hold, reason: str) -> Hold:
    """Raises Conflict for a hold that was released."""
    if hold.released_at is not None:
        raise Conflict(f"hold {hold.hold_id}: {hold.released_by} has released it already")
    await tx.execute(
        """
        UPDATE billing.payout_hold SET released_by = :by, released_at = :at, release_reason = :reason
        WHERE merchant_id = :merchant AND hold_id = :hold
        """,
        {"by": tx.actor, "at": tx.now, "reason": reason, "merchant": hold.merchant_id, "hold": hold.hold_id},
    )
    return await get_hold(tx, hold.merchant_id, hold.hold_id)


async def get_hold(tx: Tx, merchant_id: int, hold_id: int) -> Hold:
    """Raises NotFound."""
    row = await tx.row(
        f"SELECT {_HOLD} FROM billing.payout_hold WHERE merchant_id = :merchant AND hold_id = :hold",
        merchant=merchant_id,
        hold=hold_id,
    )
    if row is None:
        raise NotFound(f"merchant {merchant_id} has no hold {hold_id}")
    return Hold(**row._mapping)


async def list_holds(tx: Tx, merchant_id: int, *, limit: int, before: int | None = None) -> Sequence[Hold]:
    """At most `limit` holds of a merchant, live and released, the newest first, those placed before `before`."""
    rows = await tx.rows(
        f"""
        SELECT {_HOLD} FROM billing.payout_hold
        WHERE merchant_id = :merchant AND (CAST(:before AS bigint) IS NULL OR hold_id < :before)
        ORDER BY hold_id DESC LIMIT :limit
        """,
        merchant=merchant_id,
        before=before,
        limit=limit,
    )
    return [Hold(**row._mapping) for row in rows]


_RESERVE = ", ".join(Reserve.__struct_fields__)
_CARRIED = ", ".join(Carried.__struct_fields__)


async def list_reserves(tx: Tx, merchant_id: int, *, limit: int, before: int | None = None) -> Sequence[Reserve]:
    """At most `limit` reserves of a merchant, the newest payout first, those of payouts before `before`."""
    rows = await tx.rows(
        f"""
        SELECT {_RESERVE} FROM billing.payout_reserve
        WHERE merchant_id = :merchant AND held_minor > 0 AND (CAST(:before AS bigint) IS NULL OR payout_id < :before)
        ORDER BY payout_id DESC LIMIT :limit
        """,
        merchant=merchant_id,
        before=before,
        limit=limit,
    )
    return [Reserve(**row._mapping) for row in rows]


async def due_reserves(tx: Tx, upto: date, after: tuple[int, int], limit: int) -> Sequence[Any]:
    """Reserves to release by a day, with the zone that says which day it is there; behind the key `after`."""
    return await tx.rows(
        """
        SELECT r.merchant_id, r.payout_id, r.release_on, e.zone
        FROM billing.payout_reserve r
        JOIN billing.ledger_head h ON h.merchant_id = r.merchant_id
        JOIN billing.entity e ON e.entity_id = h.entity_id
        WHERE r.state = 'held' AND r.release_on <= :upto AND (r.merchant_id, r.payout_id) > (:merchant, :payout)
        ORDER BY r.merchant_id, r.payout_id LIMIT :limit
        """,
        upto=upto,
        merchant=after[0],
        payout=after[1],
        limit=limit,
    )


async def end_reserve(tx: Tx, merchant_id: int, payout_id: int) -> Reserve | None:
    """Mark a reserve as released, if it is still held; under the merchant's books."""
    row = await tx.row(
        f"""
        UPDATE billing.payout_reserve SET state = 'released'
        WHERE merchant_id = :merchant AND payout_id = :payout AND state = 'held' RETURNING {_RESERVE}
        """,
        merchant=merchant_id,
        payout=payout_id,
    )
    return Reserve(**row._mapping) if row is not None else None


async def came_back(tx: Tx, merchant_id: int, payout_id: int, amount_minor: int) -> None:
    """A payout came back: its amount is paid again, and is to be kept of only once."""
    await tx.execute(
        """
        UPDATE billing.payout_reserve SET base_minor = base_minor - :amount
        WHERE merchant_id = :merchant AND payout_id = :payout
        """,
        {"amount": amount_minor, "merchant": merchant_id, "payout": payout_id},
    )


async def paid_again(tx: Tx, merchant_id: int, returned_id: int, payout_id: int, amount_minor: int) -> None:
    """A payout that came back is paid by another one: what was kept of it stands for that."""
    await tx.execute(
        """
        INSERT INTO billing.payout_reserve (merchant_id, payout_id, terms_id, currency, base_minor, held_minor,
            held_on, release_on, state)
        SELECT merchant_id, :payout, terms_id, currency, :amount, 0, held_on, release_on, 'released'
        FROM billing.payout_reserve WHERE merchant_id = :merchant AND payout_id = :returned
        """,
        {"payout": payout_id, "amount": amount_minor, "merchant": merchant_id, "returned": returned_id},
    )


async def list_carried(
    tx: Tx, merchant_id: int, *, limit: int, before: tuple[int, str] | None = None
) -> Sequence[Carried]:
    """What final runs did not pay a merchant, the newest run first, those behind the key (run_id, currency)."""
    run_id, currency = before or (None, "")
    rows = await tx.rows(
        f"""
        SELECT {_CARRIED} FROM billing.payout_carried
        WHERE merchant_id = :merchant AND (CAST(:run AS bigint) IS NULL OR (run_id, currency) < (:run, :currency))
        ORDER BY run_id DESC, currency DESC LIMIT :limit
        """,
        merchant=merchant_id,
        run=run_id,
        currency=currency,
        limit=limit,
    )
    return [Carried(**row._mapping) for row in rows]
