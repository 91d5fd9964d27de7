"""A replay gives what the rules say of where everything stands in the end, within budgets, whatever comes first."""

from datetime import UTC, datetime, timedelta
from random import Random

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from incentives.rules.events import Holdout, Line
from incentives.rules.index import plan_of
from incentives.rules.model import Terms
from incentives.simulation.model import Answer, Record
from incentives.simulation.replay import Replay, replay
from tests.incentives.rules.cases import AT, order, per_order, percent, terms
from tests.incentives.simulation.histories import Fate, computed, fates, grants, records

LONG = {"zone": "Europe/Berlin", "starts": "2026-11-01", "ends": "2026-12-31"}
_ONCE = {"gives": "once", "threshold": 150, "amount_minor": 20}
_LADDER = {"gives": "ladder", "tiers": [{"threshold": 60, "total_minor": 5}, {"threshold": 200, "total_minor": 30}]}
_STRICT = {"policy": "strict"}
_BUYER = {"to": "both", "buyer_reward": {"amount": _LADDER, "clawback": _STRICT}}

TERMS = [
    terms(reward={"amount": _ONCE}, schedule=LONG),
    terms(reward={"amount": _LADDER, "cap_minor": 25}, window={"over": "promotion"}, schedule=LONG),
    terms(reward={"amount": {"gives": "every", "every": 2, "amount_minor": 3}}, measure={"of": "orders"}),
    terms(reward={"amount": {"gives": "once", "threshold": 3, "amount_minor": 9}}, measure={"of": "distinct_buyers"}),
    terms(reward={"amount": percent(70_000)}, beneficiary=_BUYER, window={"over": "calendar", "period": "month"}),
    per_order(percent(100_000), schedule=LONG, limits={"per_event_minor": 9}),
    per_order(
        _LADDER, qualify={"lines": {"is": "range", "attribute": "line.amount", "at_least": 20}}, schedule=LONG
    ),
]  # fmt: skip


def answer_of(promotion: Terms, history: list[Record], *, limited: bool = True) -> Answer:
    [answer] = replay([plan_of(1, 1, promotion)], history, limited=limited)
    return answer


@given(st.sampled_from(TERMS), st.lists(fates(), max_size=25))
@settings(deadline=None)
def test_a_replay_comes_to_what_the_rules_say_of_the_end(promotion: Terms, orders: list[Fate]) -> None:
    assert grants(promotion, records(orders)) == computed(promotion, orders)


@given(st.sampled_from(TERMS), st.lists(fates(), max_size=20), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_without_a_limit_the_order_of_orders_does_not_matter(promotion: Terms, orders: list[Fate], lot: Random) -> None:
    """Each order's own records stay in their order; whose come first is by lot."""
    history = records(orders)
    owners = [record.event_id for record in history]
    lot.shuffle(owners)
    queues = {event_id: iter([r for r in history if r.event_id == event_id]) for event_id in set(owners)}
    shuffled = [next(queues[event_id]) for event_id in owners]
    assert grants(promotion, shuffled) == grants(promotion, history)
    assert answer_of(promotion, shuffled).replayed.digest == answer_of(promotion, history).replayed.digest


@given(st.sampled_from(TERMS), st.lists(fates(), max_size=20))
@settings(deadline=None)
def test_what_is_told_twice_changes_nothing(promotion: Terms, orders: list[Fate]) -> None:
    history = records(orders)
    twice = [record for record in history for _ in range(2)]
    assert answer_of(promotion, twice).replayed.digest == answer_of(promotion, history).replayed.digest


_LIMITS = st.lists(
    st.sampled_from(
        [
            {"per": "promotion", "limit_minor": 60, "currency": "EUR"},
            {"per": "promotion", "limit_minor": 25, "currency": "EUR", "on_shortfall": "partial"},
            {"per": "day", "limit_minor": 20, "currency": "EUR", "on_shortfall": "partial"},
            {"per": "day", "limit_minor": 20, "currency": "EUR", "on_shortfall": "queue"},
            {"per": "funder", "funder": "merchant", "limit_minor": 11, "currency": "EUR"},
        ]
    ),
    min_size=1,
    max_size=2,
    unique_by=lambda budget: budget["per"],
)
_FUNDING = [{"by": "platform", "weight": 2}, {"by": "merchant", "weight": 1}]


@given(st.sampled_from(TERMS), _LIMITS, st.lists(fates(), max_size=25))
@settings(deadline=None)
def test_no_limit_is_ever_exceeded(promotion: Terms, limits: list[dict[str, object]], orders: list[Fate]) -> None:
    raw = msgspec.to_builtins(promotion) | {"budgets": limits, "funding": _FUNDING}
    answer = answer_of(msgspec.convert(raw, Terms), records(orders)).replayed
    assert answer.breaches == ()
    for limit in limits:
        if limit["per"] == "promotion":
            burned = 0
            for day in answer.days:
                burned += day.burned_minor
                assert burned <= int(str(limit["limit_minor"]))
    assert (answer.exhausted_on is not None) == (answer.refused_minor > 0)


def weekly(limit: int) -> Terms:
    budget = {"per": "promotion", "limit_minor": limit, "currency": "EUR"}
    return terms(reward={"amount": {"gives": "once", "threshold": 100, "amount_minor": 20}}, budgets=[budget])


def test_a_budget_refuses_the_third_merchant_and_says_when() -> None:
    history = [
        Record(AT + timedelta(days=n), f"o{n}", "settled", order(100, event_id=f"o{n}", merchant=n)) for n in range(3)
    ]
    answer = answer_of(weekly(40), history).replayed
    assert (answer.granted_minor, answer.refused_minor, str(answer.exhausted_on)) == (40, 20, "2026-11-20")
    assert [day.burned_minor for day in answer.days] == [20, 20]
    assert answer_of(weekly(40), history, limited=False).replayed.cost_minor == 60


def test_what_is_refunded_gives_its_budget_to_the_next() -> None:
    history = [
        Record(AT, "o1", "settled", order(100, event_id="o1", merchant=1)),
        Record(AT + timedelta(hours=1), "o2", "settled", order(100, event_id="o2", merchant=2)),
        Record(AT + timedelta(hours=2), "o1", "settled", left=(Line(line_no=1, amount_minor=0, quantity=0),)),
        Record(AT + timedelta(hours=3), "o3", "settled", order(5, event_id="o3", merchant=2)),
    ]
    answer = answer_of(weekly(20), history).replayed
    assert (answer.granted_minor, answer.clawed_minor, answer.refused_minor) == (20, 20, 20)
    assert grants(weekly(20), history)["merchant", 2, "2026-11-15T23:00:00+00:00"] == (20, 20)


def test_a_refund_after_the_horizon_changes_nothing_and_nothing_is_remembered() -> None:
    reward = {
        "amount": {"gives": "once", "threshold": 100, "amount_minor": 20},
        "clawback": {"horizon_seconds": 86_400},
    }
    running = Replay([plan_of(1, 1, terms(reward=reward))])
    running.feed(Record(AT, "o1", "settled", order(100, event_id="o1")))
    late = AT + timedelta(days=2)
    running.feed(Record(late, "o1", "settled", left=(Line(line_no=1, amount_minor=0, quantity=0),)))
    assert not running.open_events
    [answer] = running.finish()
    assert answer.replayed.granted_minor == 20


def test_the_life_of_an_order_is_counted_on_the_days_on_which_it_happened() -> None:
    """Placed on the 18th, settled on the 20th, refunded in part on the 25th."""
    promotion = per_order(percent(100_000))
    history = [
        Record(AT, "o1", "placed", order(100, event_id="o1")),
        Record(AT + timedelta(days=2), "o1", "settled"),
        Record(AT + timedelta(days=7), "o1", "settled", left=(Line(line_no=1, amount_minor=60),)),
    ]
    days = answer_of(promotion, history).replayed.days
    assert [(str(d.day), d.burned_minor, d.granted_minor, d.clawed_minor) for d in days] == [
        ("2026-11-18", 10, 0, 0),
        ("2026-11-20", 0, 10, 0),
        ("2026-11-25", -4, 0, 4),
    ]


def test_a_lifetime_limit_counts_all_windows() -> None:
    promotion = per_order(percent(100_000), limits={"lifetime_minor": 25})
    history = [Record(AT + timedelta(hours=n), f"o{n}", "settled", order(100, event_id=f"o{n}")) for n in range(4)]
    given_minor = [granted for granted, _ in grants(promotion, history).values()]
    assert given_minor == [10, 10, 5]


def test_who_is_held_out_gets_nothing() -> None:
    holdout = Holdout(salt="half-year", slots=5_000)
    history = [Record(AT, f"o{n}", "settled", order(200, event_id=f"o{n}", merchant=n)) for n in range(200)]
    [answer] = replay([plan_of(1, 1, per_order(percent(100_000)))], history, holdout=holdout)
    assert 70 < answer.replayed.held_out < 130
    assert answer.replayed.held_out + answer.replayed.grants == 200


def test_who_gains_is_told_by_size_and_region() -> None:
    history = [Record(AT, f"o{n}", "settled", order(10 * n, event_id=f"o{n}", merchant=n)) for n in range(1, 101)]
    gains = answer_of(per_order(percent(100_000)), history).replayed.gains
    assert (gains.parties, gains.gaining, len(gains.deciles)) == (100, 100, 10)
    assert gains.top_share_ppm == 100 * 1_000_000 // 5050
    assert gains.deciles[9].granted_minor == sum(range(91, 101))


def test_a_reward_on_settlement_is_judged_when_the_order_settles() -> None:
    promotion = terms(trigger={"on": "order.settled"}, reward={"amount": _ONCE})
    placed = order(200, event_id="o1")
    settled = order(200, event_id="o1", on="order.settled")
    history = [Record(AT, "o1", "placed", placed), Record(AT + timedelta(days=7), "o1", "settled", settled)]
    [answer] = replay([plan_of(1, 1, promotion)], history)
    assert [str(day.day) for day in answer.replayed.days] == ["2026-11-25"]
    assert answer.replayed.granted_minor == 20


def test_promotions_that_share_events_are_counted() -> None:
    history = [Record(datetime(2026, 11, 18, tzinfo=UTC), "o1", "settled", order(200, event_id="o1"))]
    plans = [plan_of(number, 1, per_order(percent(50_000))) for number in (1, 2)]
    assert [answer.replayed.shared for answer in replay(plans, history)] == [1, 1]
