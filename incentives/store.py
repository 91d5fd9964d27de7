"""What campaigns and promotions have in common: who holds them while they move, and the record of what was done."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from incentives.lifecycle import Move, Party, State
from marketplace.core import audit
from marketplace.core.db import Tx
from marketplace.core.ids import time_ordered_id


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was done to a campaign or promotion, with what it was before and after."""

    step_id: int
    at: datetime
    actor: str
    action: str
    detail: dict[str, Any]
    single_operator: bool


async def hold_campaign(tx: Tx, campaign_id: int) -> None:
    """Let nothing be granted under a campaign until this transaction ends; what is being granted is waited for.

    Whoever moves or edits a campaign or one of its promotions does this first. It also begins a new epoch: what
    checkouts know of live promotions is of one, and they give nothing under another (`LET_PLACE`).
    """
    await tx.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended('incentives.campaign', :campaign))", {"campaign": campaign_id}
    )
    await tx.execute("SELECT pg_advisory_xact_lock(hashtextextended('incentives.live', 0))")
    await tx.execute(
        """
        INSERT INTO incentives.live_epoch (one, epoch) VALUES (1, :epoch)
        ON CONFLICT (one) DO UPDATE SET epoch = excluded.epoch
        """,
        {"epoch": time_ordered_id(tx.now)},
    )


LET_PLACE = "pg_advisory_xact_lock_shared(hashtextextended('incentives.live', 0))"
"""Lets nobody move any promotion until the transaction ends. Whoever places an order under one does this first, and
looks once more at the epoch in a later statement: one that was begun meanwhile is seen there."""


async def let_grant(tx: Tx, campaign_ids: Iterable[int]) -> None:
    """Let nobody move these campaigns and their promotions until this transaction ends.

    Whoever reserves does this first, and then reads the states: so nothing is reserved once a pause has committed. No
    row is written or held for it.
    """
    await tx.execute(
        """
        SELECT pg_advisory_xact_lock_shared(hashtextextended('incentives.campaign', each))
        FROM unnest(CAST(:campaigns AS bigint[])) AS each
        """,
        {"campaigns": sorted(set(campaign_ids))},
    )


async def record_move(
    tx: Tx,
    noun: str,
    thing_id: int,
    move: Move,
    party: Party,
    before: State,
    after: State,
    reason: str,
    *,
    single: bool,
) -> None:
    """Write down that something has moved."""
    await audit.record(
        tx,
        f"{noun} moved",
        f"{noun}:{thing_id}",
        single_operator=single,
        move=move,
        party=party,
        before=before,
        after=after,
        reason=reason,
    )


async def history(tx: Tx, noun: str, thing_id: int, *, limit: int, before: int | None) -> Sequence[Step]:
    """What was done, the newest first, below the step `before`."""
    rows = await tx.rows(
        """
        SELECT audit_id AS step_id, at, actor, action, detail, single_operator FROM core.audit
        WHERE subject = :subject AND audit_id < coalesce(CAST(:before AS bigint), 9223372036854775807)
        ORDER BY audit_id DESC LIMIT :limit
        """,
        subject=f"{noun}:{thing_id}",
        before=before,
        limit=limit,
    )
    return [Step(**row._mapping) for row in rows]
