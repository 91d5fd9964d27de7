"""Distances, odd visits and commission: pure rules on known answers, and for any figures."""

import math
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from supply.leads.agents.model import AgentTerms, ClawbackRule, CommissionState
from supply.leads.agents.rules import Standing, verdict
from supply.leads.referrals.model import Identity, self_referral
from supply.leads.visits.model import Oddity, Place, Site, Visit, VisitState
from supply.leads.visits.rules import EARTH_M, distance_m, flags_of, nearest_m, set_right

AT = datetime(2018, 9, 3, 12, tzinfo=UTC)
DAY = date(2018, 9, 3)
places = st.builds(
    Place, latitude_udeg=st.integers(-90_000_000, 90_000_000), longitude_udeg=st.integers(-180_000_000, 180_000_000)
)


def place(latitude: float, longitude: float) -> Place:
    return Place(latitude_udeg=round(latitude * 1e6), longitude_udeg=round(longitude * 1e6))


@pytest.mark.parametrize(
    ("one", "other", "metres"),
    [
        (place(0, 0), place(0, 1), 111_195),
        (place(0, 0), place(1, 0), 111_195),
        (place(90, 0), place(-90, 0), 20_015_115),
        (place(0, 179.5), place(0, -179.5), 111_195),  # over the date line
        (place(50.7, 7.1), place(50.7, 7.1), 0),
    ],
)
def test_known_distances(one: Place, other: Place, metres: int) -> None:
    assert abs(distance_m(one, other) - metres) <= 1


def test_another_formula_gives_the_same() -> None:
    """From Berlin to Munich, by the spherical law of cosines."""
    berlin, munich = (52.520008, 13.404954), (48.137154, 11.576124)
    (lat1, lon1), (lat2, lon2) = ((math.radians(lat), math.radians(lon)) for lat, lon in (berlin, munich))
    cosine = math.sin(lat1) * math.sin(lat2) + math.cos(lat1) * math.cos(lat2) * math.cos(lon2 - lon1)
    assert abs(distance_m(place(*berlin), place(*munich)) - EARTH_M * math.acos(cosine)) <= 1


@given(places, places, places)
def test_distances_are_a_metric(one: Place, other: Place, third: Place) -> None:
    assert distance_m(one, one) == 0
    assert distance_m(one, other) == distance_m(other, one)
    assert 0 <= distance_m(one, other) <= 3.1416 * EARTH_M
    assert distance_m(one, third) <= distance_m(one, other) + distance_m(other, third) + 2  # rounded to metres


def test_the_nearest_branch_counts() -> None:
    sites = [
        Site(site_id=n, lead_id=1, name="", latitude_udeg=n * 1_000_000, longitude_udeg=0) for n in (1, 2)
    ]  # fmt: skip
    assert nearest_m(place(2, 0), sites) == 0
    assert nearest_m(place(2, 0), []) is None


def test_a_slow_clock_is_set_right_and_never_beyond_now() -> None:
    assert set_right(AT - timedelta(hours=1), timedelta(minutes=10), AT) == AT - timedelta(minutes=50)
    assert set_right(AT, timedelta(minutes=10), AT) == AT


def visit(**values: Any) -> Visit:
    """Half an hour at the door, with an exact clock."""
    nothing: dict[str, Any] = dict.fromkeys(Visit.__struct_fields__)
    nothing |= {"visit_id": 1, "lead_id": 1, "rep_id": 1, "state": VisitState.DONE, "flags": [], "version": 1}
    nothing |= {"skew_s": 0, "mocked": False, "photo_hash": "", "result": "", "next_step": "", "review_reason": ""}
    nothing |= {"in_at": AT, "out_at": AT + timedelta(minutes=30), "distance_m": 10, "in_accuracy_m": 10}
    for way in ("in", "out"):
        nothing |= {f"{way}_latitude_udeg": 50_000_000, f"{way}_longitude_udeg": 7_000_000, f"{way}_accuracy_m": 10}
    return Visit(**nothing | values)


def odd(of: Visit, *others: Visit, told_at: datetime = AT + timedelta(hours=1)) -> list[Oddity]:
    return [flag.oddity for flag in flags_of(of, others=others, photo_seen=False, told_at=told_at)]


def test_what_is_odd_and_what_is_not() -> None:
    assert odd(visit()) == []
    assert odd(visit(distance_m=None)) == []
    assert odd(visit(distance_m=310)) == []  # within what the device may be off by
    assert odd(visit(distance_m=311)) == [Oddity.FAR]
    assert odd(visit(distance_m=1_301, in_accuracy_m=90_000)) == [Oddity.FAR]  # nobody is that unsure
    assert odd(visit(skew_s=-301)) == [Oddity.CLOCK]
    assert odd(visit(out_at=AT + timedelta(seconds=119))) == [Oddity.SHORT]
    assert odd(visit(), told_at=AT + timedelta(hours=49)) == [Oddity.LATE]
    before = {"visit_id": 2, "in_at": AT - timedelta(hours=2), "out_at": AT - timedelta(hours=1)}
    far = {"out_latitude_udeg": 53_000_000}  # 333 km to the north
    assert odd(visit(), visit(**before)) == []
    assert odd(visit(), visit(**before, **far)) == [Oddity.SPEED]
    assert odd(visit(), visit(visit_id=2)) == [Oddity.OVERLAP]


TERMS = AgentTerms(currency="EUR", fixed_minor=10_000, share_ppm=500_000, share_days=60, clawback_days=90)


def stands(on_day: int, **values: Any) -> Standing:
    known: dict[str, Any] = {"today": DAY + timedelta(days=on_day), "activated_on": DAY, "activated": True}
    return Standing(**{**known, "closed_on": None, "last_sale_on": None, "base_minor": 0, **values})


def test_commission_is_fixed_and_a_share() -> None:
    found = verdict(TERMS, stands(10, base_minor=1_001))
    assert (found.earned_minor, found.state) == (10_500, CommissionState.OPEN)  # 500.5 to the even one
    assert verdict(TERMS, stands(89)).state is CommissionState.OPEN
    assert verdict(TERMS, stands(90)).state is CommissionState.VESTED
    assert verdict(TERMS, stands(10, base_minor=-500)).earned_minor == 10_000  # refunds take no more than there was


@pytest.mark.parametrize(
    ("lost", "full", "pro_rata"), [(0, 0, 0), (60, 0, 6_667), (89, 0, 9_889), (90, 10_000, 10_000)]
)
def test_a_merchant_lost_before_day_90_takes_it_back(lost: int, full: int, pro_rata: int) -> None:
    now = stands(200, closed_on=DAY + timedelta(days=lost))
    assert verdict(TERMS, now).earned_minor == full
    assert verdict(msgspec.structs.replace(TERMS, clawback=ClawbackRule.PRO_RATA), now).earned_minor == pro_rata


def test_an_idle_merchant_is_lost_when_its_days_are_over() -> None:
    idle = msgspec.structs.replace(TERMS, idle_days=30)
    assert verdict(idle, stands(29)).lost_on is None
    found = verdict(idle, stands(30))
    assert (found.lost_on, found.earned_minor) == (DAY + timedelta(days=30), 0)
    assert verdict(idle, stands(95, last_sale_on=DAY + timedelta(days=61))).state is CommissionState.VESTED
    undone = verdict(TERMS, stands(1, activated=False))
    assert (undone.lost_on, undone.reason) == (DAY, "the activation was taken back")


@given(
    st.builds(
        AgentTerms, currency=st.just("EUR"), fixed_minor=st.integers(0, 10**9), share_ppm=st.integers(0, 10**6),
        share_days=st.integers(0, 366), clawback=st.sampled_from(ClawbackRule), clawback_days=st.integers(0, 366),
        idle_days=st.integers(0, 366),
    ),
    st.integers(0, 800), st.none() | st.integers(0, 800), st.none() | st.integers(0, 800), st.integers(-(10**9), 10**9),
)  # fmt: skip
def test_a_clawback_takes_back_no_more_than_was_earned(
    terms: AgentTerms, today: int, closed: int | None, sold: int | None, base: int
) -> None:
    days = {"closed_on": closed, "last_sale_on": sold}
    known = {name: None if each is None else DAY + timedelta(days=each) for name, each in days.items()}
    found = verdict(terms, stands(today, base_minor=base, **known))
    whole = verdict(msgspec.structs.replace(terms, clawback_days=0), stands(today, base_minor=base)).earned_minor
    assert 0 <= found.earned_minor <= whole
    if found.lost_on is None:
        assert found.earned_minor == whole
    else:
        assert found.lost_on <= DAY + timedelta(days=today)
        assert (found.lost_on - DAY).days < terms.clawback_days


def test_every_sign_of_a_self_referral_is_named() -> None:
    one = Identity(
        merchants=frozenset({1}), tax_ids=frozenset({"DE1"}), phones=frozenset({"1"}), accounts=frozenset({"/X"}),
        devices=frozenset({"d"}),
    )  # fmt: skip
    assert self_referral(one, Identity(merchants=frozenset({2}))) == []
    assert len(self_referral(one, one)) == len(Identity.__struct_fields__)
    for field in Identity.__struct_fields__:
        assert len(self_referral(one, Identity(**{field: getattr(one, field)}))) == 1
