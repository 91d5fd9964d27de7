"""Every statement on campaigns."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import insert, update
from sqlalchemy.exc import IntegrityError

from incentives.campaigns.model import Campaign
from incentives.lifecycle import Move, Party, State, check_move
from incentives.store import record_move
from incentives.tables import campaign
from marketplace.core import outbox
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, NotFound

_CAMPAIGN = ", ".join(Campaign.__struct_fields__)


def _row(of: Campaign) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(of, builtin_types=(datetime,))
    return plain


async def insert_campaign(tx: Tx, new: Campaign) -> None:
    """Raises Conflict for a name that is taken."""
    try:
        await tx.execute(insert(campaign), _row(new))
    except IntegrityError as fault:
        raise Conflict(f"name: there is a campaign {new.name!r} already", pointer="/name") from fault


async def get_campaign(tx: Tx, campaign_id: int, *, lock: bool = False) -> Campaign:
    """A campaign, held until the transaction ends when `lock` says so. Raises NotFound."""
    query = f"SELECT {_CAMPAIGN} FROM incentives.campaign WHERE campaign_id = :campaign{' FOR UPDATE' if lock else ''}"
    row = await tx.row(query, campaign=campaign_id)
    if row is None:
        raise NotFound(f"there is no campaign {campaign_id}")
    return msgspec.convert(dict(row._mapping), Campaign)


async def list_campaigns(tx: Tx, *, state: State | None = None, limit: int, before: int | None) -> Sequence[Campaign]:
    """Campaigns, the newest first, below the campaign `before`."""
    rows = await tx.rows(
        f"""
        SELECT {_CAMPAIGN} FROM incentives.campaign
        WHERE (CAST(:state AS text) IS NULL OR state = :state)
          AND campaign_id < coalesce(CAST(:before AS bigint), 9223372036854775807)
        ORDER BY campaign_id DESC LIMIT :limit
        """,
        state=state and state.value,
        before=before,
        limit=limit,
    )
    return [msgspec.convert(dict(row._mapping), Campaign) for row in rows]


async def save_campaign(tx: Tx, changed: Campaign) -> Campaign:
    """Store a held campaign as its next version. Raises Conflict for a name that is taken."""
    new = msgspec.structs.replace(changed, version=changed.version + 1)
    try:
        await tx.execute(update(campaign).where(campaign.c.campaign_id == new.campaign_id).values(_row(new)))
    except IntegrityError as fault:
        raise Conflict(f"name: there is a campaign {new.name!r} already", pointer="/name") from fault
    return new


async def move_campaign(
    tx: Tx, held: Campaign, move: Move, party: Party, *, reason: str = "", single: bool = False
) -> Campaign:
    """Take a held campaign on. Raises Forbidden and Conflict, see `check_move`."""
    after = check_move(held.state, move, party, "campaign")
    new = await save_campaign(tx, msgspec.structs.replace(held, state=after))
    await record_move(tx, "campaign", held.campaign_id, move, party, held.state, after, reason, single=single)
    told = {"campaign_id": held.campaign_id, "move": move, "state": after}
    await outbox.emit(tx, "incentives.campaign_moved.v1", told)
    return new


async def campaigns_to_look_at(tx: Tx, after: int, limit: int) -> Sequence[Any]:
    """The ids of campaigns that the clock may move, those behind `after`."""
    return await tx.rows(
        """
        SELECT campaign_id FROM incentives.campaign
        WHERE campaign_id > :after
          AND state NOT IN ('draft', 'in_review', 'rejected', 'approved', 'closing', 'reviewed', 'cancelled')
        ORDER BY campaign_id LIMIT :limit
        """,
        after=after,
        limit=limit,
    )


async def all_in(tx: Tx, campaign_id: int, *states: State) -> bool:
    """Whether every promotion of a campaign is in one of these states."""
    left: int = await tx.scalar(
        "SELECT count(*) FROM incentives.promotion WHERE campaign_id = :campaign AND NOT state = ANY(:states)",
        campaign=campaign_id,
        states=[state.value for state in states],
    )
    return left == 0
