"""When a lead that a rep holds goes back to its pool, and whose turn it is. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from supply.leads.model import HELD, Lead, Pool


def protected_until(pool: Pool, claimed_at: datetime) -> datetime:
    """Until then nobody else gets a lead that was claimed, not even by recycling."""
    return claimed_at + timedelta(days=pool.protection_days)


def cooling(lead: Lead, pool: Pool, now: datetime) -> dict[str, Any]:
    """Who had a lead that goes back, and until when that one may not claim it again."""
    return {"former_owner_id": lead.owner_id, "cooling_until": now + timedelta(days=pool.cooling_days)}


def is_recycled(lead: Lead, pool: Pool, now: datetime) -> bool:
    """Whether a held lead goes back: not protected any more, and no action for long, or no outcome for longer."""
    if lead.state not in HELD or lead.claimed_at is None or lead.last_action_at is None:
        return False
    if lead.protected_until is not None and now < lead.protected_until:
        return False
    idle = now >= lead.last_action_at + timedelta(days=pool.idle_days)
    return idle or now >= lead.claimed_at + timedelta(days=pool.outcome_days)


def turn(reps: Sequence[int], last: int | None) -> list[int]:
    """The reps in the order of their turns: those behind the one who was dealt to last, then from the first on."""
    ordered = sorted(reps)
    return [rep for rep in ordered if last is None or rep > last] + [
        rep for rep in ordered if last is not None and rep <= last
    ]
