"""What fairs speak of. Pure. (An event of the outbox or a stage is another thing.)"""

from datetime import date, datetime
from enum import StrEnum

import msgspec


class FairKind(StrEnum):
    CONFERENCE = "conference"
    TRADE_FAIR = "trade_fair"
    OTHER = "other"


class Fair(msgspec.Struct, frozen=True, kw_only=True):
    """Where people are met. Costs and touches of it stand on its channel, under its code as the campaign.

    follow_up_days: after how many days who was met is to be spoken to again.
    """

    fair_id: int
    code: str
    name: str
    kind: FairKind
    place: str
    channel_id: int
    starts_on: date
    ends_on: date
    zone: str
    follow_up_days: int
    version: int


class Attendee(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody registered, or met without. badge: the code on it. scanned_at: when it was first met, by which rep.

    lead_id: what it became when it was met.
    """

    attendee_id: int
    fair_id: int
    badge: str
    company: str
    contact: str
    phone: str
    email: str
    city: str
    region: str
    segment: str
    registered_at: datetime
    scanned_at: datetime | None
    scanned_by: int | None
    device_id: str | None
    note: str
    lead_id: int | None


class TaskState(StrEnum):
    OPEN = "open"
    DONE = "done"
    CANCELLED = "cancelled"


class LeadTask(msgspec.Struct, frozen=True, kw_only=True):
    """Something to do about a lead. rep_id: whose it is. fair_id: where the lead was met, if there."""

    task_id: int
    lead_id: int
    rep_id: int | None
    fair_id: int | None
    what: str
    due_on: date
    state: TaskState
    outcome: str
    version: int
