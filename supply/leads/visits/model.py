"""What visits speak of. Pure. Places are in millionths of a degree (WGS 84), distances metres."""

from datetime import datetime
from enum import StrEnum

import msgspec


class VisitState(StrEnum):
    PLANNED = "planned"
    OPEN = "open"
    DONE = "done"
    CANCELLED = "cancelled"


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Microdegrees: 50,737,430 is 50.73743 degrees north."""

    latitude_udeg: int
    longitude_udeg: int


class Fix(msgspec.Struct, frozen=True, kw_only=True):
    """Where and when a device says it is. at: by the device's own clock. mocked: it says that the place is made up."""

    at: datetime
    place: Place
    accuracy_m: int
    mocked: bool = False


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """A place of a lead: its shop, its head office, a branch."""

    site_id: int
    lead_id: int
    name: str
    latitude_udeg: int
    longitude_udeg: int

    @property
    def place(self) -> Place:
        return Place(latitude_udeg=self.latitude_udeg, longitude_udeg=self.longitude_udeg)


class Oddity(StrEnum):
    """Why a visit is suspicious."""

    FAR = "far"
    MOCKED = "mocked"
    CLOCK = "clock"
    LATE = "late"
    SHORT = "short"
    OVERLAP = "overlap"
    SPEED = "speed"
    PHOTO = "photo"


class Flag(msgspec.Struct, frozen=True, kw_only=True):
    """An oddity, with what was seen."""

    oddity: Oddity
    reason: str


class Visit(msgspec.Struct, frozen=True, kw_only=True):
    """A visit. in_at, out_at: the device's instants, set right by how wrong its clock was (skew_s, server less device).

    device_id, device_ref: the device and its own id of the visit, under which it is stored once. distance_m: from the
    check-in to the lead's nearest site; None where no site is known. photo_hash: of what shows that it happened.
    synced_at: when we were told of it. valid: what a manager said of it; None: nobody has looked.
    """

    visit_id: int
    lead_id: int
    rep_id: int
    state: VisitState
    planned_at: datetime | None
    device_id: str | None
    device_ref: str | None
    in_at: datetime | None
    in_latitude_udeg: int | None
    in_longitude_udeg: int | None
    in_accuracy_m: int | None
    out_at: datetime | None
    out_latitude_udeg: int | None
    out_longitude_udeg: int | None
    out_accuracy_m: int | None
    distance_m: int | None
    skew_s: int
    mocked: bool
    photo_hash: str
    result: str
    next_step: str
    flags: list[Flag]
    valid: bool | None
    reviewed_by: str | None
    review_reason: str
    synced_at: datetime | None
    version: int

    @property
    def counts(self) -> bool:
        """Whether it is one of the rep's valid visits: done, and not odd unless a manager has cleared it."""
        return self.state is VisitState.DONE and (self.valid if self.valid is not None else not self.flags)
