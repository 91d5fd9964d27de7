"""How far a visit was from where it should have been, when it really was, and what is odd about it. Pure."""

import math
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from supply.leads.visits.model import Flag, Oddity, Place, Site, Visit

EARTH_M = 6_371_008.8
"""The mean radius of the earth (IUGG), in metres."""
FAR_M = 300
"""A visit farther than this from the lead's site is odd, beside what the device says it may be off by."""
ACCURACY_MAX_M = 1_000
"""A device that is surer of less than this is not believed to be farther off."""
SKEW_MAX = timedelta(minutes=5)
LATE_MAX = timedelta(hours=48)
SHORT = timedelta(minutes=2)
SPEED_MAX_MPS = 55
"""Metres a second, some 200 km/h: who comes from one visit to the next any faster was not at both."""


def distance_m(one: Place, other: Place) -> int:
    """Along the great circle between two places: the haversine formula, in whole metres."""
    lat1, lat2 = (math.radians(place.latitude_udeg / 1e6) for place in (one, other))
    half_lat = (lat2 - lat1) / 2
    half_lon = math.radians((other.longitude_udeg - one.longitude_udeg) / 1e6) / 2
    square = math.sin(half_lat) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin(half_lon) ** 2
    return round(2 * EARTH_M * math.asin(math.sqrt(min(1.0, square))))


def nearest_m(place: Place, sites: Iterable[Site]) -> int | None:
    """To the nearest site: a chain has a head office and branches. None where no site is known."""
    return min((distance_m(place, site.place) for site in sites), default=None)


def set_right(at: datetime, skew: timedelta, now: datetime) -> datetime:
    """The instant of a device by the server's clock: never after now."""
    return min(at + skew, now)


def flags_of(visit: Visit, *, others: Sequence[Visit], photo_seen: bool, told_at: datetime) -> list[Flag]:
    """What is odd about a visit that is over. others: of the same rep at about that time; told_at: when we learnt."""
    assert visit.in_at is not None
    assert visit.out_at is not None
    found: list[tuple[Oddity, str]] = []
    accuracy = min(visit.in_accuracy_m or 0, ACCURACY_MAX_M)
    if visit.distance_m is not None and visit.distance_m > FAR_M + accuracy:
        found.append((Oddity.FAR, f"checked in {visit.distance_m} m from the place, give or take {accuracy} m"))
    if visit.mocked:
        found.append((Oddity.MOCKED, "the device says that its place is made up"))
    if abs(visit.skew_s) > SKEW_MAX.total_seconds():
        found.append((Oddity.CLOCK, f"the device's clock was {abs(visit.skew_s)} s off"))
    if told_at - visit.out_at > LATE_MAX:
        hours = (told_at - visit.out_at) // timedelta(hours=1)
        found.append((Oddity.LATE, f"told of {hours} hours after it was over"))
    if visit.out_at - visit.in_at < SHORT:
        found.append((Oddity.SHORT, f"lasted {(visit.out_at - visit.in_at) // timedelta(seconds=1)} s"))
    for other in others:
        found += _beside(visit, other)
    if photo_seen:
        found.append((Oddity.PHOTO, "its picture is that of another visit"))
    return [Flag(oddity=oddity, reason=reason) for oddity, reason in found]


def _beside(visit: Visit, other: Visit) -> list[tuple[Oddity, str]]:
    """What is odd about a visit beside another of the same rep."""
    if other.in_at is None or other.out_at is None or visit.in_at is None or visit.out_at is None:
        return []
    if visit.in_at < other.out_at and other.in_at < visit.out_at:
        return [(Oddity.OVERLAP, f"while the rep was on visit {other.visit_id}")]
    first, second = (other, visit) if other.out_at <= visit.in_at else (visit, other)
    left, came = _out_place(first), _in_place(second)
    assert first.out_at is not None
    assert second.in_at is not None
    if left is None or came is None:
        return []
    way = distance_m(left, came) - (first.out_accuracy_m or 0) - (second.in_accuracy_m or 0)
    seconds = int((second.in_at - first.out_at).total_seconds())
    if way > SPEED_MAX_MPS * max(seconds, 1):
        return [(Oddity.SPEED, f"{way} m in {seconds} s from or to visit {other.visit_id}")]
    return []


def _in_place(visit: Visit) -> Place | None:
    if visit.in_latitude_udeg is None or visit.in_longitude_udeg is None:
        return None
    return Place(latitude_udeg=visit.in_latitude_udeg, longitude_udeg=visit.in_longitude_udeg)


def _out_place(visit: Visit) -> Place | None:
    if visit.out_latitude_udeg is None or visit.out_longitude_udeg is None:
        return None
    return Place(latitude_udeg=visit.out_latitude_udeg, longitude_udeg=visit.out_longitude_udeg)
