"""Slots of a placement: units of time from midnight UTC on, each from its instant to before the next. Pure."""

from datetime import UTC, datetime, timedelta

from marketplace.core.errors import Invalid

SLOTS_MAX = 366
"""Slots of one booking."""


def slots_between(from_at: datetime, to_at: datetime, unit_minutes: int) -> list[datetime]:
    """The slots from one instant to before another. Raises Invalid unless both are edges of slots, and not too far."""
    unit = timedelta(minutes=unit_minutes)
    for field, edge in (("from_at", from_at), ("to_at", to_at)):
        midnight = edge.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        if (edge - midnight) % unit:
            raise Invalid(
                f"{field}: slots begin every {unit_minutes} minutes from midnight UTC on", pointer=f"/{field}"
            )
    count = (to_at - from_at) // unit
    if not 0 < count <= SLOTS_MAX:
        raise Invalid(f"to_at: must be 1 to {SLOTS_MAX} slots after from_at", pointer="/to_at")
    return [from_at.astimezone(UTC) + number * unit for number in range(count)]
