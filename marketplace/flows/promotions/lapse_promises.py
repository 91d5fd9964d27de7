"""Promises that have lapsed: what payers' caps hold for them goes back, as what budgets hold does by its own date.

Nothing is promised in their place: an order that settles after all is granted out of what there is by then.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

from billing.ledger import store as ledger
from incentives.grants import store as grants
from incentives.grants.store import Window
from marketplace.core.db import Database, Tx
from marketplace.core.each import FIRST, each
from marketplace.flows.payers.fund_promotions import cap_rooms, contracts_of
from marketplace.flows.promotions import grant_rewards_sql as sql
from marketplace.flows.promotions.cover_promises import promised_of
from marketplace.flows.promotions.keep_promises import PROMISED_FOR, without

_PAGE = 200
_LAPSED = """
FROM billing.payer_share s
JOIN incentives.merchant_progress g ON g.merchant_id = s.merchant_id AND s.source_ref = ANY(g.promise_keys)
WHERE s.source = 'promotion' AND s.state = 'reserved' AND s.reserved_at <= :before
"""


async def lapse_promises(db: Database, actor: str) -> int:
    """Give back to payers' caps what was not earned in time; returns how many commits that took."""
    return await each(db, actor, "promises did not lapse", partial(_lapsing, db), _lapse)


async def _lapsing(db: Database, tx: Tx, last: Any | None) -> Sequence[Any]:
    return await tx.rows(
        f"SELECT DISTINCT s.merchant_id {_LAPSED} AND s.merchant_id > :after ORDER BY s.merchant_id LIMIT :limit",
        before=db.clock.now() - PROMISED_FOR,
        after=last.merchant_id if last else FIRST,
        limit=_PAGE,
    )


async def _lapse(tx: Tx, row: Any) -> bool:
    await ledger.lock_books(tx, row.merchant_id)
    await grants.hold_parties(tx, "merchant", [row.merchant_id])
    found = await tx.rows(
        f"SELECT DISTINCT g.promotion_id, g.span, s.source_ref AS key {_LAPSED} AND s.merchant_id = :merchant",
        before=tx.now - PROMISED_FOR,
        merchant=row.merchant_id,
    )
    keys = {each.key for each in found}
    covers = await promised_of(tx, await sql.get_merchant(tx, row.merchant_id), keys)
    contracts = await contracts_of(tx, [], covers.names.values())
    await cap_rooms(tx, contracts, covers.days, hold=True)
    windows: list[Window] = sorted({(row.merchant_id, each.promotion_id, each.span) for each in found})
    stood = await grants.progress_of(tx, "merchant", windows)
    left = [await without(tx, stood[window], keys, covers) for window in windows]
    await grants.save_progress(tx, "merchant", left)
    return bool(left)
