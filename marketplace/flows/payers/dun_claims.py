"""Remind payers of claims that are due and unpaid: the clock raises a claim's dunning level, an event tells of it."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import msgspec

from billing.payers.claims import store as claims
from billing.payers.rules import DUNNING, dunning_level
from marketplace.core import audit, outbox
from marketplace.core.clock import local_date
from marketplace.core.db import Database, Tx
from marketplace.core.each import FIRST, each
from marketplace.flows.payers.book_share import zone_of

BATCH = 500


class ClaimDunned(msgspec.Struct, frozen=True, kw_only=True):
    """A claim is overdue: for the level-th time the payer is to be reminded of what is open, in minor units."""

    payer_id: int
    claim_id: int
    claim_no: int
    currency: str
    open_minor: int
    due_on: date
    level: int


async def dun_claims(db: Database, actor: str) -> int:
    """Raise the level of every overdue claim that should stand higher by now, each in its own transaction; how many.

    Several workers may do it at once. A claim that is late to be looked at gets the level of the day, once.
    """

    async def overdue(tx: Tx, last: Any | None) -> Sequence[Any]:
        after = (FIRST, FIRST) if last is None else (last.payer_id, last.claim_id)
        # No market is a day ahead of UTC; each claim is looked at by its own market's day.
        before = db.clock.now().date() + timedelta(days=1 - DUNNING[0])
        return await claims.overdue(tx, before + timedelta(days=1), after, BATCH)

    return await each(db, actor, "claim not dunned", overdue, _dun)


async def _dun(tx: Tx, row: Any) -> bool:
    claim = await claims.get_claim(tx, row.payer_id, row.claim_id, lock=True)
    level = dunning_level(claim.due_on, local_date(tx.now, await zone_of(tx, claim.entity_id)))
    if claim.open_minor <= 0 or level <= claim.dunning_level:
        return False
    await claims.note_dunned(tx, claim, level)
    dunned = ClaimDunned(
        payer_id=claim.payer_id,
        claim_id=claim.claim_id,
        claim_no=claim.claim_no,
        currency=claim.currency,
        open_minor=claim.open_minor,
        due_on=claim.due_on,
        level=level,
    )
    await audit.record(tx, "payer claim dunned", f"payer_claim:{claim.payer_id}/{claim.claim_id}", level=level)
    await outbox.emit(tx, "billing.payer_claim_dunned.v1", dunned)
    return True
