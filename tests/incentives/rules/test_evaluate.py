"""Verdicts on an event: who gets what, which promotions meet, and why the others do not."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from incentives.rules.arms import slot
from incentives.rules.evaluate import Verdict, evaluate
from incentives.rules.events import Facts, Holdout, Line, Party, Room, Used
from incentives.rules.index import Index, plan_of
from incentives.rules.model import Terms
from incentives.rules.stacking import LANES, may_meet
from tests.incentives.rules.cases import AT, amount_of, discount, judge, order, per_order, percent, plan, terms

TWENTY_OFF = {"gives": "fixed", "amount_minor": 20}
LATER = timedelta(days=3_650)


def by_id(verdicts: list[Verdict]) -> dict[int, str]:
    return {verdict.promotion_id: verdict.outcome for verdict in verdicts}


def refusal(verdict: Verdict) -> tuple[str | None, str]:
    assert verdict.outcome in ("refused", "held_out")
    assert not verdict.effects
    return verdict.part, verdict.reason


@st.composite
def promotions(draw: st.DrawFn) -> Terms:
    """Rewards and discounts per order, and weekly thresholds, in all lanes, with tags."""
    amount = draw(
        st.sampled_from(
            [percent(100_000), percent(500_000), TWENTY_OFF, {**TWENTY_OFF, "gives": "once", "threshold": 90}]
        )
    )
    stacking = {
        "lane": draw(st.sampled_from([lane.name for lane in LANES])),
        "priority": draw(st.integers(-1, 1)),
        "tags": draw(st.lists(st.sampled_from("ab"), max_size=2, unique=True)),
        "allows": draw(st.lists(st.sampled_from("ab"), max_size=2, unique=True)),
    }
    kind = draw(st.sampled_from(["discount", "rebate", "weekly"]))
    if kind == "weekly":
        return terms(reward={"amount": amount}, stacking=stacking)
    stacking["base"] = draw(st.sampled_from(["original", "after_earlier_lanes"]))
    return discount(amount, stacking=stacking) if kind == "discount" else per_order(amount, stacking=stacking)


@given(st.lists(promotions(), max_size=6), st.lists(st.integers(0, 100), min_size=1, max_size=4), st.randoms())
def test_invariant_14_the_order_of_promotions_does_not_matter(
    chosen: list[Terms], amounts: list[int], shuffle: Any
) -> None:
    plans = [plan(promotion, number) for number, promotion in enumerate(chosen, start=1)]
    verdicts = evaluate(Index(plans), order(*amounts), Facts(), AT)
    shuffle.shuffle(plans)
    assert evaluate(Index(plans), order(*amounts), Facts(), AT) == verdicts
    assert evaluate(Index(plans[::2]), order(*amounts), Facts(), AT, include=plans[1::2]) == verdicts


@given(st.lists(promotions(), max_size=6), st.lists(st.integers(0, 100), min_size=1, max_size=4), st.integers(0, 10**6))
def test_invariant_14_the_total_stays_under_the_clamp(chosen: list[Terms], amounts: list[int], clamp_ppm: int) -> None:
    verdicts = judge(order(*amounts), *chosen, clamp_ppm=clamp_ppm)
    assert sum(amount_of(verdict) for verdict in verdicts) <= sum(amounts) * clamp_ppm // 1_000_000
    for number, price in enumerate(amounts, start=1):
        effects = [effect for verdict in verdicts for effect in verdict.effects if effect.role == "buyer"]
        off = [dict(zip(effect.lines, effect.line_minor, strict=False)).get(number, 0) for effect in effects]
        assert 0 <= sum(off) <= price
    for effect in (effect for verdict in verdicts for effect in verdict.effects if effect.amount_minor is not None):
        assert sum(effect.line_minor) == effect.amount_minor == sum(effect.funder_minor)


@given(st.lists(promotions(), max_size=5), promotions(), st.lists(st.integers(0, 100), min_size=1, max_size=4))
def test_invariant_14_what_is_ineligible_or_held_out_changes_nothing(
    chosen: list[Terms], other: Terms, amounts: list[int]
) -> None:
    before = judge(order(*amounts), *chosen)
    only_toys = {"lines": {"is": "equals", "attribute": "line.category", "value": "toys"}}
    for extra in (
        {"qualify": only_toys},
        {"experiment": {"salt": "s", "holdout_slots": 9_999}},
        {"schedule": {"zone": "UTC", "starts": "2027-01-01"}},
    ):
        changed = msgspec.convert({**msgspec.to_builtins(other), **extra}, Terms)
        verdicts = judge(order(*amounts), *chosen, changed)
        new = len(chosen) + 1
        assert [verdict for verdict in verdicts if verdict.promotion_id != new] == before
        assert {verdict.outcome for verdict in verdicts if verdict.promotion_id == new} <= {"refused", "held_out"}


@given(st.lists(st.integers(1, 60), min_size=1, max_size=5), st.integers(50, 100))
def test_invariant_14_the_best_of_a_lane_is_at_least_each_of_it(minors: list[int], price: int) -> None:
    chosen = [
        discount({"gives": "fixed", "amount_minor": minor}, stacking={"lane": "best_of", "priority": number % 2})
        for number, minor in enumerate(minors)
    ]
    verdicts = judge(order(price), *chosen)
    assert sum(amount_of(verdict) for verdict in verdicts) == min(max(minors), price)
    assert sum(verdict.outcome == "applied" for verdict in verdicts) == 1
    for verdict in verdicts:
        if verdict.outcome == "refused":
            assert refusal(verdict)[1].endswith("is worth more in lane best_of")


@given(st.lists(promotions(), min_size=2, max_size=6))
def test_who_stands_together_allows_each_other(chosen: list[Terms]) -> None:
    verdicts = judge(order(100), *chosen)
    together = [chosen[verdict.promotion_id - 1].stacking for verdict in verdicts if verdict.effects]
    assert all(may_meet(one, other) for one in together for other in together if one is not other)


def test_tags_must_agree_both_ways() -> None:
    def tagged(tags: list[str], allows: list[str]) -> Terms:
        return discount(TWENTY_OFF, stacking={"tags": tags, "allows": allows})

    assert by_id(judge(order(100), tagged(["a"], ["b"]), tagged(["b"], ["a"]))) == {1: "applied", 2: "applied"}
    one_way = judge(order(100), tagged(["a"], ["b"]), tagged(["b"], []))
    assert refusal(one_way[1]) == ("stacking", "promotion 1 and this one do not allow each other")
    assert by_id(judge(order(100), tagged([], []), tagged([], []))) == {1: "applied", 2: "applied"}


def test_a_percentage_of_what_earlier_lanes_left() -> None:
    early = discount(percent(100_000), stacking={"lane": "early"})
    after = discount(percent(100_000), stacking={"base": "after_earlier_lanes"})
    assert [amount_of(verdict) for verdict in judge(order(100_00), early, after)] == [10_00, 9_00]
    assert [amount_of(verdict) for verdict in judge(order(100_00), early, discount(percent(100_000)))] == [10_00, 10_00]


def test_bug_13_a_threshold_is_compared_with_the_original_amount_every_time() -> None:
    """Vendure #1012, Sylius #7836: from 500, 200 off, a cart of 600: it stays, however often it is calculated."""
    promotion = discount({"gives": "once", "threshold": 500_00, "amount_minor": 200_00})
    first = judge(order(600_00), promotion)
    assert amount_of(first[0]) == 200_00
    assert judge(order(600_00), promotion) == first
    early = discount(percent(500_000), stacking={"lane": "early"})
    behind = msgspec.structs.replace(
        promotion, stacking=msgspec.convert({"base": "after_earlier_lanes"}, type(promotion.stacking))
    )
    assert [amount_of(verdict) for verdict in judge(order(600_00), early, behind)] == [300_00, 200_00]


def test_bug_13_ten_per_cent_named_twice_are_ten_per_cent() -> None:
    """Sylius #4877, Broadleaf #975."""
    tenth = plan(discount(percent(100_000)))
    verdicts = evaluate(Index([tenth, tenth]), order(100_00), Facts(), AT, include=[tenth])
    assert [amount_of(verdict) for verdict in verdicts] == [10_00]


def test_bug_13_ten_per_cent_of_five_units_are_not_fifty_of_one() -> None:
    """Oscar #3171: the line's amount is of its whole quantity, however many units it has."""
    five = order(50_00, lines=(Line(line_no=1, amount_minor=50_00, quantity=5),))
    assert amount_of(judge(five, discount(percent(100_000)))[0]) == 5_00


def test_a_weekly_threshold_counts_and_a_discount_applies() -> None:
    verdicts = judge(order(60_00, 30_00), terms(), discount(percent(100_000)))
    assert by_id(verdicts) == {1: "counts", 2: "applied"}
    [counted] = verdicts[0].effects
    assert (counted.role, counted.party_id, counted.measure, counted.lines) == ("merchant", 1, 90_00, (1, 2))
    assert counted.window == "2026-11-15T23:00:00+00:00"
    assert counted.amount_minor is None
    [off] = verdicts[1].effects
    assert (off.window, off.amount_minor, off.line_minor) == ("order:1", 9_00, (6_00, 3_00))


def test_only_qualifying_lines_are_measured_and_bear_the_discount() -> None:
    toys = {"lines": {"is": "equals", "attribute": "line.category", "value": "toys"}}
    lines = (Line(line_no=4, amount_minor=50_00, category="toys"), Line(line_no=5, amount_minor=10_00))
    [verdict] = judge(order(lines=lines), discount(percent(100_000), qualify=toys))
    assert (verdict.measure, verdict.effects[0].lines, verdict.effects[0].line_minor) == (50_00, (4,), (5_00,))


def test_both_sides_get_their_own_reward() -> None:
    both = {"to": "both", "buyer_reward": {"amount": {"gives": "fixed", "amount_minor": 5}}}
    [verdict] = judge(order(100), per_order({"gives": "fixed", "amount_minor": 10}, beneficiary=both))
    assert [(effect.role, effect.party_id, effect.amount_minor) for effect in verdict.effects] == [
        ("merchant", 1, 10),
        ("buyer", 7, 5),
    ]


def test_funders_bear_their_weights() -> None:
    funding = [{"by": "platform", "weight": 1}, {"by": "payer", "contract": "acme", "weight": 2}]
    [verdict] = judge(order(100), per_order({"gives": "fixed", "amount_minor": 10}, funding=funding))
    assert verdict.effects[0].funder_minor == (3, 7)


@pytest.mark.parametrize(
    ("changes", "facts", "part", "reason"),
    [
        ({"currency": "USD"}, {}, "trigger", "it waits for order.placed in USD"),
        ({"trigger": {"on": "order.settled"}}, {}, "trigger", "it waits for order.settled in EUR"),
        ({"schedule": {"zone": "UTC", "starts": "2026-12-01"}}, {}, "schedule", "it starts at 2026-12-01 00:00 UTC"),
        (
            {"qualify": {"event": {"is": "range", "attribute": "order.amount", "at_least": 60_00}}},
            {},
            "qualify",
            "amount 50.00 is below 60.00",
        ),
        (
            {"qualify": {"lines": {"is": "equals", "attribute": "line.category", "value": "toys"}}},
            {},
            "qualify",
            "no line counts: category is not known",
        ),
        (
            {"reward": {"amount": {"gives": "once", "threshold": 60_00, "amount_minor": 5}}},
            {},
            "measure",
            "50.00 is below 60.00",
        ),
        ({"qualify": {"opt_in": "from_opt_in"}}, {}, "beneficiary", "the merchant has not joined"),
        (
            {"qualify": {"opt_in": "from_opt_in"}},
            {"joined_at": {(1, "merchant", 1): AT + timedelta(hours=1)}},
            "beneficiary",
            "the merchant joined at 2026-11-18 13:00",
        ),
        (
            {"limits": {"grants": 3}},
            {"used": {(1, "merchant", 1): Used(grants=3, minor=9)}},
            "limits",
            "the merchant has got all that it can",
        ),
        ({}, {"room": {1: Room(minor=9)}}, "budgets", "the budget has 0.09 left"),
        ({}, {"clamp_ppm": 0}, "stacking", "nothing is left to give on this order"),
        ({"stacking": {"lane": "fast"}}, {}, "stacking", "there is no lane fast"),
        ({"experiment": {"salt": "s", "holdout_slots": 9_999}}, {}, "experiment", "the merchant is held out"),
        (
            {},
            {"holdout": Holdout(salt="all", slots=10_000)},
            "experiment",
            "the merchant is held out of all promotions",
        ),
    ],
)
def test_reasons_of_refusal(changes: dict[str, Any], facts: dict[str, Any], part: str, reason: str) -> None:
    amount = {"gives": "fixed", "amount_minor": 10}
    promotion = terms(**{"window": {"over": "event"}, "reward": {"amount": amount}, **changes})
    [verdict] = evaluate(Index([]), order(50_00), Facts(**facts), AT, include=[plan(promotion)])
    assert refusal(verdict) == (part, reason)


def test_self_trades_earn_nothing() -> None:
    [verdict] = judge(order(100_00, self_trade=True), terms())
    assert refusal(verdict) == ("measure", "the merchant and the buyer are the same")


def test_limits_budgets_and_caps_cut() -> None:
    promotion = per_order(percent(100_000), limits={"per_event_minor": 8_00, "lifetime_minor": 20_00})
    assert amount_of(judge(order(100_00), promotion)[0]) == 8_00
    used = {(1, "merchant", 1): Used(grants=2, minor=15_00)}
    assert amount_of(judge(order(100_00), promotion, used=used)[0]) == 5_00
    room = {1: Room(minor=3_00, on_shortfall="partial")}
    assert amount_of(judge(order(100_00), promotion, used=used, room=room)[0]) == 3_00
    share = per_order({"gives": "fixed", "amount_minor": 50_00}, limits={"order_share_ppm": 250_000})
    assert amount_of(judge(order(100_00), share)[0]) == 25_00


def test_an_award_that_waits_for_its_budget_is_whole() -> None:
    [verdict] = judge(order(100_00), per_order(percent(100_000)), room={1: Room(minor=1, on_shortfall="queue")})
    assert (verdict.outcome, amount_of(verdict)) == ("queued", 10_00)


@given(st.integers(0, 50), st.integers(0, 50))
def test_two_sides_share_one_budget(room_minor: int, price: int) -> None:
    both = {"to": "both", "buyer_reward": {"amount": {"gives": "fixed", "amount_minor": 10}}}
    promotion = per_order({"gives": "fixed", "amount_minor": 10}, beneficiary=both)
    verdicts = judge(order(price), promotion, room={1: Room(minor=room_minor, on_shortfall="partial")})
    assert sum(amount_of(verdict) for verdict in verdicts) == min(20, room_minor, price)


def test_joining_late_counts_from_the_start_of_the_window_where_the_terms_say_so() -> None:
    joined = {(1, "merchant", 1): AT + timedelta(days=1)}
    backdated = terms(qualify={"opt_in": "from_window_start"})
    assert by_id(judge(order(100), backdated, joined_at=joined)) == {1: "counts"}
    too_late = {(1, "merchant", 1): AT + timedelta(days=7)}
    assert by_id(judge(order(100), backdated, joined_at=too_late)) == {1: "refused"}
    assert by_id(judge(order(100), terms(qualify={"opt_in": "from_opt_in"}), joined_at=joined)) == {1: "refused"}


def test_invariant_15_held_out_units_get_nothing_and_others_their_arm() -> None:
    arms = [{"name": "twenty"}, {"name": "ten", "reward": {"amount": {"gives": "fixed", "amount_minor": 10}}}]
    experiment = {"salt": "s", "holdout_slots": 3_000, "arms": arms}
    promotion = plan(per_order(TWENTY_OFF, experiment=experiment))
    expected = {"": 0, "twenty": 20, "ten": 10}
    seen = set()
    for merchant in range(200):
        [verdict] = evaluate(Index([promotion]), order(100, merchant=merchant), Facts(), AT)
        held = slot("s", str(merchant)) < 3_000
        assert (verdict.outcome == "held_out") == held
        assert amount_of(verdict) == expected[verdict.arm]
        seen.add(verdict.arm)
    assert seen == set(expected)


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 200), st.integers(0, 72)), max_size=8))
def test_invariant_15_a_replay_gives_what_live_gave(day: list[tuple[int, int, int]]) -> None:
    """The same events with the same facts through an index, and as a dry run of drafts: the same verdicts."""
    promotion = plan(terms())
    off = plan(discount(percent(50_000)), 2)
    for number, (merchant, minor, hours) in enumerate(day):
        event, at = order(minor, merchant=merchant, event_id=str(number)), AT + timedelta(hours=hours)
        live = evaluate(Index([promotion, off]), event, Facts(), at)
        assert evaluate(Index([]), event, Facts(), at, include=[off, promotion]) == live


def test_a_draft_takes_the_place_of_the_live_version() -> None:
    live, draft = plan(discount(TWENTY_OFF)), plan_of(1, 2, discount({"gives": "fixed", "amount_minor": 30}))
    [verdict] = evaluate(Index([live]), order(100), Facts(), AT, include=[draft])
    assert (verdict.version, amount_of(verdict)) == (2, 30)


def test_listings_and_custom_events() -> None:
    bonus = per_order(
        {"gives": "fixed", "amount_minor": 5_00}, trigger={"on": "listing.published"}, measure={"of": "orders"}
    )
    listing = order(1, on="listing.published", buyer=7)
    assert amount_of(judge(msgspec.structs.replace(listing, buyer=None), bonus)[0]) == 5_00
    course = per_order({"gives": "fixed", "amount_minor": 5_00}, trigger={"on": "custom", "name": "course.passed"})
    assert amount_of(judge(order(1, on="course.passed"), course)[0]) == 5_00
    assert judge(order(1), course) == []


VALUES: dict[str, Any] = {
    "order.code": "A",
    "merchant.id": 1,
    "line.category": "toys",
    "merchant.segment": "new",
    "market.entity": 3,
}


@given(st.lists(st.dictionaries(st.sampled_from(sorted(VALUES)), st.booleans(), max_size=3), max_size=8), st.booleans())
def test_the_index_finds_whatever_would_not_be_refused(needs: list[dict[str, bool]], carries: bool) -> None:
    """Each promotion wants some attributes to have a value, which the event carries or does not."""
    wrong = {"order.code": "Z", "merchant.id": 9, "line.category": "z", "merchant.segment": "z", "market.entity": 9}
    plans = []
    for number, wanted in enumerate(needs, start=1):
        qualify: dict[str, Any] = {}
        for level, of in (("lines", True), ("event", False)):
            leaves = [
                {"is": "equals", "attribute": name, "value": (VALUES if right else wrong)[name]}
                for name, right in wanted.items()
                if name.startswith("line.") == of
            ]
            if leaves:
                qualify[level] = {"is": "all", "of": leaves}
        plans.append(plan(terms(qualify=qualify), number))
    event = order(
        lines=(Line(line_no=1, amount_minor=5, category="toys"), Line(line_no=2, amount_minor=5)),
        codes=frozenset({"A", "B"}) if carries else frozenset(),
        entity_id=3 if carries else None,
    )
    event = msgspec.structs.replace(event, merchant=Party(party_id=1, segments=frozenset({"new", "gold"})))
    indexed = evaluate(Index(plans), event, Facts(), AT)
    everything = evaluate(Index([]), event, Facts(), AT, include=plans)
    assert [verdict for verdict in everything if verdict.outcome == "counts"] == [
        verdict for verdict in indexed if verdict.outcome == "counts"
    ]
    assert all(verdict in everything for verdict in indexed)


def test_promotions_that_need_what_an_event_lacks_are_not_even_asked() -> None:
    coded = terms(qualify={"event": {"is": "in", "attribute": "order.code", "values": ["A", "B"]}})
    assert judge(order(100), *[coded] * 5) == []
    assert len(judge(order(100, codes=frozenset({"B"})), *[coded] * 5)) == 5


def test_the_instant_decides_not_the_event() -> None:
    promotion = plan(terms())
    late = evaluate(Index([promotion]), order(100), Facts(), datetime(2026, 11, 30, 22, 59, tzinfo=UTC))
    assert by_id(late) == {1: "counts"}
    assert by_id(evaluate(Index([promotion]), order(100), Facts(), AT + LATER)) == {1: "refused"}
