"""Promotions, events and random rewards that the tests of the rules share."""

from datetime import UTC, datetime
from typing import Any

import msgspec
from hypothesis import strategies as st

from incentives.rules.awards import Amount, Band, EveryN, Fixed, Graduated, Ladder, Once, Reward, Tier, Volume
from incentives.rules.evaluate import Verdict, evaluate
from incentives.rules.events import Event, Facts, Line, Party
from incentives.rules.index import Index, Plan, plan_of
from incentives.rules.model import Terms

AT = datetime(2026, 11, 18, 12, 0, tzinfo=UTC)
"""A Wednesday."""

_PLAIN: dict[str, Any] = {
    "name": "weekly threshold",
    "currency": "EUR",
    "trigger": {"on": "order.placed"},
    "window": {"over": "calendar", "period": "week"},
    "reward": {"amount": {"gives": "once", "threshold": 100_00, "amount_minor": 20_00}},
    "beneficiary": {"to": "merchant"},
    "schedule": {"zone": "Europe/Berlin", "starts": "2026-11-01", "ends": "2026-11-30"},
}


def raw(**changes: Any) -> dict[str, Any]:
    """Terms as JSON carries them: trade 100 in a week, get 20; with changes of whole parts."""
    return {**_PLAIN, **changes}


def terms(**changes: Any) -> Terms:
    return msgspec.convert(raw(**changes), Terms, strict=True)


def per_order(amount: dict[str, Any], **changes: Any) -> Terms:
    """A reward of every order by itself, to the merchant."""
    return terms(window={"over": "event"}, reward={"amount": amount}, **changes)


def discount(amount: dict[str, Any], **changes: Any) -> Terms:
    """A buyer's discount at checkout."""
    reward = {"amount": amount, "form": {"as": "discount"}} | changes.pop("reward", {})
    return terms(window={"over": "event"}, reward=reward, beneficiary={"to": "buyer"}, **changes)


def percent(rate_ppm: int) -> dict[str, Any]:
    return {"gives": "graduated", "bands": [{"from_minor": 0, "rate_ppm": rate_ppm}]}


def order(*amounts: int, event_id: str = "order:1", merchant: int = 1, buyer: int = 7, **more: Any) -> Event:
    """An order placed, one unit in each line."""
    fields: dict[str, Any] = {
        "event_id": event_id,
        "on": "order.placed",
        "currency": "EUR",
        "merchant": Party(party_id=merchant),
        "buyer": Party(party_id=buyer),
        "lines": tuple(Line(line_no=number, amount_minor=minor) for number, minor in enumerate(amounts, start=1)),
    }
    return Event(**(fields | more))


def judge(event: Event, *promotions: Terms, at: datetime = AT, **facts: Any) -> list[Verdict]:
    """The verdicts on an event under live promotions with the ids 1, 2, 3 …"""
    plans = [plan_of(number, 1, promotion) for number, promotion in enumerate(promotions, start=1)]
    return evaluate(Index(plans), event, Facts(**facts), at)


def plan(promotion: Terms, promotion_id: int = 1) -> Plan:
    return plan_of(promotion_id, 1, promotion)


def amount_of(verdict: Verdict) -> int:
    """What an event earned by itself under a promotion."""
    return sum(effect.amount_minor or 0 for effect in verdict.effects)


MEASURES = st.integers(0, 3_000)
_minor = st.integers(1, 500)
_rates = st.integers(0, 300_000)


@st.composite
def ladders(draw: st.DrawFn) -> Ladder:
    thresholds = sorted(draw(st.sets(st.integers(1, 2_000), min_size=1, max_size=5)))
    totals = sorted(draw(st.lists(_minor, min_size=len(thresholds), max_size=len(thresholds))))
    tiers = zip(thresholds, totals, strict=True)
    return Ladder(tiers=tuple(Tier(threshold=threshold, total_minor=total) for threshold, total in tiers))


@st.composite
def bands(draw: st.DrawFn, *, rising: bool) -> tuple[Band, ...]:
    starts = sorted(draw(st.sets(st.integers(0, 2_000), min_size=1, max_size=5)))
    rates = draw(st.lists(_rates, min_size=len(starts), max_size=len(starts)))
    pairs = zip(starts, sorted(rates) if rising else rates, strict=True)
    return tuple(Band(from_minor=start, rate_ppm=rate) for start, rate in pairs)


STEPS: st.SearchStrategy[Amount] = st.one_of(
    st.builds(Fixed, amount_minor=_minor),
    st.builds(Once, threshold=st.integers(1, 2_000), amount_minor=_minor),
    st.builds(
        EveryN, every=st.integers(1, 700), amount_minor=_minor, times_max=st.none() | st.integers(1, 5)
    ),
    ladders(),
)  # fmt: skip
PERCENTAGES: st.SearchStrategy[Amount] = st.one_of(
    bands(rising=False).map(lambda drawn: Graduated(bands=drawn)),
    bands(rising=True).map(lambda drawn: Volume(bands=drawn)),
)
AMOUNTS = STEPS | PERCENTAGES
REWARDS = st.builds(Reward, amount=AMOUNTS, cap_minor=st.none() | st.integers(1, 400))
