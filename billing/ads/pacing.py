"""Days of a campaign and how much of a day's budget may be spent by now. Pure."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from billing.ads.model import Pacing

LEAD = timedelta(hours=1)
"""Even pacing runs ahead by so much: a day can begin at once, and ends with its budget spent."""


def day_bounds(on_day: date, zone: str) -> tuple[datetime, datetime]:
    """When a local day begins and when the next one does; 23 or 25 hours apart where the clock is changed."""
    local = ZoneInfo(zone)
    begins = datetime(on_day.year, on_day.month, on_day.day, tzinfo=local)
    following = on_day + timedelta(days=1)
    ends = datetime(following.year, following.month, following.day, tzinfo=local)
    return begins, ends


def hour_of(at: datetime, zone: str) -> tuple[datetime, date]:
    """When the local hour of an instant began, as an instant, and the local day that it belongs to."""
    local = at.astimezone(ZoneInfo(zone))
    begun = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
    return at - begun, local.date()


def allowance(budget_minor: int, now: datetime, zone: str, pacing: Pacing) -> int:
    """How much of the budget of the day of `now` may be spent by now, rounded down: all of it at the day's end."""
    if pacing is Pacing.AT_ONCE:
        return budget_minor
    begins, ends = (edge.timestamp() for edge in day_bounds(now.astimezone(ZoneInfo(zone)).date(), zone))
    length = int(ends - begins)
    gone = min(int(now.timestamp() - begins + LEAD.total_seconds()), length)
    return budget_minor * gone // length
