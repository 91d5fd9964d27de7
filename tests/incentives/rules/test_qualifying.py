"""Predicates: the closures say the same as a plain reading of the tree, and the words say why not."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from incentives.rules.events import Event, Line, Party
from incentives.rules.predicates import (
    EVENT_ATTRIBUTES,
    LINE_ATTRIBUTES,
    AllOf,
    AnyOf,
    Equals,
    Exists,
    In,
    Not,
    Predicate,
    Range,
)
from incentives.rules.qualifying import compiled, in_words, reader, required, why_not
from tests.incentives.rules.cases import order

SEGMENTS = ("new", "gold")
numbers = st.integers(0, 5)

leaves: st.SearchStrategy[Predicate] = st.one_of(
    st.builds(Equals, attribute=st.just("merchant.segment"), value=st.sampled_from(SEGMENTS)),
    st.builds(In, attribute=st.just("order.channel"), values=st.sampled_from([("web",), ("web", "app")])),
    st.builds(In, attribute=st.just("order.code"), values=st.sampled_from([("A",), ("A", "B")])),
    st.builds(Range, attribute=st.just("order.amount"), at_least=st.none() | numbers, below=numbers),
    st.builds(Range, attribute=st.just("buyer.orders"), at_least=numbers, below=st.none()),
    st.builds(Equals, attribute=st.just("buyer.referred"), value=st.booleans()),
    st.builds(Exists, attribute=st.sampled_from(["buyer.id", "order.code", "merchant.level"])),
)
trees: st.SearchStrategy[Predicate] = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(AllOf, of=st.lists(inner, min_size=1, max_size=3).map(tuple)),
        st.builds(AnyOf, of=st.lists(inner, min_size=1, max_size=3).map(tuple)),
        st.builds(Not, of=inner),
    ),
    max_leaves=8,
)
parties = st.builds(
    Party,
    party_id=st.integers(1, 2),
    segments=st.frozensets(st.sampled_from(SEGMENTS)),
    level=st.none() | numbers,
    orders=st.none() | numbers,
    referred=st.none() | st.booleans(),
)
events = st.builds(
    order,
    numbers,
    merchant=st.just(1),
    channel=st.none() | st.sampled_from(["web", "app"]),
    codes=st.frozensets(st.sampled_from(["A", "B"])),
).flatmap(
    lambda event: st.builds(
        lambda merchant, buyer: msgspec.structs.replace(event, merchant=merchant, buyer=buyer),
        parties,
        st.none() | parties,
    )
)


def holds(predicate: Predicate, event: Event) -> bool:
    """The tree as it reads, value by value."""
    match predicate:
        case AllOf(of=of):
            return all(holds(each, event) for each in of)
        case AnyOf(of=of):
            return any(holds(each, event) for each in of)
        case Not(of=each):
            return not holds(each, event)
    value: Any = event
    for name in EVENT_ATTRIBUTES[predicate.attribute].path.split("."):
        value = None if value is None else getattr(value, name)
    carried = () if value is None else value if isinstance(value, frozenset) else (value,)
    return any(accepts(predicate, each) for each in carried)


def accepts(predicate: Equals | In | Range | Exists, value: Any) -> bool:
    match predicate:
        case Equals(value=wanted):
            return bool(value == wanted)
        case In(values=accepted):
            return value in accepted
        case Range(at_least=at_least, below=below):
            return (at_least is None or value >= at_least) and (below is None or value < below)
        case Exists():
            return True


@given(trees, events)
def test_closures_say_what_the_tree_says(predicate: Predicate, event: Event) -> None:
    assert compiled(predicate, EVENT_ATTRIBUTES)(event) == holds(predicate, event)
    assert in_words(predicate, EVENT_ATTRIBUTES, "EUR")
    if not holds(predicate, event):
        assert why_not(predicate, event, "EUR")


@given(trees, events)
def test_what_a_predicate_requires_is_necessary(predicate: Predicate, event: Event) -> None:
    if holds(predicate, event):
        for name, values in required(predicate).items():
            carried = reader(EVENT_ATTRIBUTES[name])(event)
            assert not values.isdisjoint(carried if isinstance(carried, frozenset) else {carried})


@pytest.mark.parametrize(
    ("predicate", "reason"),
    [
        (Range(attribute="order.amount", at_least=50_00), "amount 49.00 is below 50.00"),
        (Range(attribute="order.amount", below=40_00), "amount 49.00 is not below 40.00"),
        (Equals(attribute="order.channel", value="app"), "channel web is not app"),
        (In(attribute="merchant.id", values=(2, 3)), "merchant 1 is none of the 2 accepted"),
        (Equals(attribute="merchant.segment", value="new"), "merchant's segment gold, large is not new"),
        (Equals(attribute="order.code", value="SPRING"), "code is not known"),
        (Exists(attribute="merchant.level"), "merchant's level is not known"),
        (Equals(attribute="merchant.referred", value=True), "merchant was referred false is not true"),
        (
            Not(of=Range(attribute="order.amount", at_least=10_00, below=50_00)),
            "excluded: amount at least 10.00 and below 50.00",
        ),
        (
            AnyOf(of=(Exists(attribute="order.code"), Range(attribute="order.amount", at_least=50_00))),
            "code is not known, and amount 49.00 is below 50.00",
        ),
        (
            AllOf(of=(Exists(attribute="buyer.id"), Range(attribute="order.amount", at_least=50_00))),
            "amount 49.00 is below 50.00",
        ),
    ],
)
def test_reasons(predicate: Predicate, reason: str) -> None:
    event = order(49_00, channel="web")
    gold = msgspec.structs.replace(event.merchant, segments=frozenset({"large", "gold"}), referred=False)
    assert why_not(predicate, msgspec.structs.replace(event, merchant=gold), "EUR") == reason


def test_amounts_are_shown_in_their_currency() -> None:
    assert why_not(Range(attribute="order.amount", at_least=500), order(490), "JPY") == "amount 490 is below 500"
    line = Line(line_no=1, amount_minor=4_900)
    assert why_not(Range(attribute="line.amount", at_least=5_000), line, "EUR") == "line's amount 49.00 is below 50.00"
    assert in_words(Equals(attribute="line.category", value="toys"), LINE_ATTRIBUTES, "EUR") == "category is toys"
