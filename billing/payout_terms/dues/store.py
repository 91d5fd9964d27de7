"""Every statement on what is due to be paid, beside those of a run's buckets."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from sqlalchemy import insert

from billing.payout_terms.model import Due
from billing.payout_terms.tables import payout_carried, payout_reserve
from billing.runs.sql import OWED
from billing.runs.store import PAYOUTS_PER_RUN
from billing.tables import payout, payout_item
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, NotFound

_DUE = ", ".join(Due.__struct_fields__)


async def list_dues(tx: Tx, merchant_id: int, *, limit: int, before: tuple[int, str] | None = None) -> Sequence[Due]:
    """What runs left a merchant to be paid, the newest run first, those behind the key (run_id, currency)."""
    run_id, currency = before or (None, "")
    rows = await tx.rows(
        f"""
        SELECT {_DUE} FROM billing.payout_due
        WHERE merchant_id = :merchant AND (CAST(:run AS bigint) IS NULL OR (run_id, currency) < (:run, :currency))
        ORDER BY run_id DESC, currency DESC LIMIT :limit
        """,
        merchant=merchant_id,
        run=run_id,
        currency=currency,
        limit=limit,
    )
    return [Due(**row._mapping) for row in rows]


async def due_by(tx: Tx, upto: date, after: tuple[int, int, str], limit: int) -> Sequence[Any]:
    """What waits to be paid by a day, with the zone that says which day it is there; behind the key `after`."""
    return await tx.rows(
        """
        SELECT d.merchant_id, d.run_id, d.currency, d.due_on, e.zone
        FROM billing.payout_due d
        JOIN billing.ledger_head h ON h.merchant_id = d.merchant_id
        JOIN billing.entity e ON e.entity_id = h.entity_id
        WHERE d.state = 'waiting' AND d.due_on <= :upto
          AND (d.merchant_id, d.run_id, d.currency) > (:merchant, :run, :currency)
        ORDER BY d.merchant_id, d.run_id, d.currency LIMIT :limit
        """,
        upto=upto,
        merchant=after[0],
        run=after[1],
        currency=after[2],
        limit=limit,
    )


async def get_due(tx: Tx, merchant_id: int, run_id: int, currency: str) -> Due:
    """Raises NotFound."""
    row = await tx.row(
        f"""
        SELECT {_DUE} FROM billing.payout_due
        WHERE merchant_id = :merchant AND run_id = :run AND currency = :currency
        """,
        merchant=merchant_id,
        run=run_id,
        currency=currency,
    )
    if row is None:
        raise NotFound(f"run {run_id} left merchant {merchant_id} nothing in {currency} to be paid later")
    return Due(**row._mapping)


async def set_due(tx: Tx, due: Due, state: str, payout_id: int | None = None) -> Due:
    """Note what became of it, under the merchant's books."""
    await tx.execute(
        """
        UPDATE billing.payout_due SET state = :state, payout_id = :payout
        WHERE merchant_id = :merchant AND run_id = :run AND currency = :currency
        """,
        {
            "state": state,
            "payout": payout_id,
            "merchant": due.merchant_id,
            "run": due.run_id,
            "currency": due.currency,
        },
    )
    return await get_due(tx, due.merchant_id, due.run_id, due.currency)


async def owed(tx: Tx, due: Due) -> int:
    """What the run's statement closes at, or what is left of it now."""
    found = await tx.scalar(
        f"SELECT minor FROM ({OWED}) AS owed WHERE currency = :currency",
        merchants=[due.merchant_id],
        run_id=due.run_id,
        currency=due.currency,
    )
    return int(found or 0)


async def carry(tx: Tx, due: Due, amount_minor: int, limit_minor: int) -> None:
    """Less than the minimum was there on the day: it stays owed, and the next run looks again."""
    row = {"merchant_id": due.merchant_id, "run_id": due.run_id, "currency": due.currency}
    row |= {"amount_minor": amount_minor, "why": "minimum", "limit_minor": limit_minor}
    await tx.execute(insert(payout_carried), row)


async def kept_before(tx: Tx, merchant_id: int, currency: str) -> tuple[int, int, int]:
    """(terms, what payouts under them were a share of, what was kept of those) by the terms that are active."""
    row = await tx.row(
        """
        SELECT t.terms_id, billing.total(r.base_minor) AS base, billing.total(r.held_minor) AS held
        FROM billing.payout_terms t
        LEFT JOIN billing.payout_reserve r ON r.merchant_id = t.merchant_id AND r.terms_id = t.terms_id
         AND r.state <> 'cancelled'
        WHERE t.merchant_id = :merchant AND t.currency = :currency AND t.state = 'active' GROUP BY t.terms_id
        """,
        merchant=merchant_id,
        currency=currency,
    )
    assert row is not None
    return row.terms_id, row.base, row.held


async def keep(tx: Tx, reserve: dict[str, Any]) -> None:
    await tx.execute(insert(payout_reserve), reserve)


async def insert_payout(tx: Tx, due: Due, amount_minor: int, on: date) -> int:
    """A payout of the run under its next number, to the account that is active now; without one it is held."""
    key = {"merchant": due.merchant_id, "run": due.run_id}
    last = await tx.scalar(
        "SELECT max(payout_id) FROM billing.payout WHERE merchant_id = :merchant AND run_id = :run", **key
    )
    payout_id = int(last) + 1 if last is not None else due.run_id * PAYOUTS_PER_RUN
    if payout_id // PAYOUTS_PER_RUN != due.run_id:
        raise Conflict(f"run {due.run_id}: it has no number left for another payout of merchant {due.merchant_id}")
    account_id = await tx.scalar(
        """
        SELECT account_id FROM billing.bank_account
        WHERE merchant_id = :merchant AND currency = :currency AND state = 'active'
        """,
        merchant=due.merchant_id,
        currency=due.currency,
    )
    own = {"merchant_id": due.merchant_id, "payout_id": payout_id, "run_id": due.run_id, "amount_minor": amount_minor}
    noted = {"currency": due.currency, "instructed_on": on, "state": "instructed", "bank_account_id": account_id}
    await tx.execute(insert(payout), {**own, **noted})
    await tx.execute(insert(payout_item), own)
    return payout_id
