"""Sums of subsets and likely pairs, as properties; business days."""

import time
from datetime import date, timedelta
from itertools import combinations
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.cadence import Cadence
from billing.matching.calendars import business_days_after, business_days_between, is_business_day
from billing.matching.model import (
    Book,
    FeeLine,
    Item,
    ItemKind,
    ResidueKind,
    Rules,
    Side,
    Tolerance,
    check_fees,
)
from billing.matching.rules import CROWD_MAX, likely_pairs, residue_of, score, subset_sum, subsets, suggestions
from billing.runs.schedules.model import Schedule
from marketplace.core.errors import Invalid

DAY = date(2018, 9, 3)
RULES = Rules()
CENT = Tolerance(book=Book.BANK, residue=ResidueKind.ROUNDING, minor_max=1, ppm_max=1_000_000)
LOOSE = Rules(tolerances=(CENT,), likely_score=70)


def item(number: int, minor: int, **said: Any) -> Item:
    side = said.pop("side", Side.OURS)
    usual: dict[str, Any] = {
        "book": Book.BANK, "kind": ItemKind.BANK_LINE if side is Side.THEIRS else ItemKind.AD_RECEIPT, "owner_id": 0,
        "source_id": number, "part": 0, "entity_id": 1, "processor_id": None, "currency": "EUR", "fee_minor": None,
        "reference": "", "batch_ref": "", "keys": (), "party": "", "party_account": "", "words": "", "day": DAY,
        "expected_on": DAY, "sort_key": f"{number:04}", "booked": True, "booked_as": None, "suspense_id": None,
        "group_id": None,
    }  # fmt: skip
    return Item(item_id=number, side=side, amount_minor=minor, **(usual | said))


amounts = st.lists(st.integers(1, 30), min_size=0, max_size=8)


@given(amounts, st.integers(1, 80), st.randoms())
def test_a_subset_is_found_only_when_it_is_the_one(minors: list[int], target: int, random: Any) -> None:
    items = [item(number, minor) for number, minor in enumerate(minors)]
    every = [
        {one.item_id for one in chosen}
        for size in range(2, len(items) + 1)
        for chosen in combinations(items, size)
        if sum(one.amount_minor for one in chosen) == target
    ]
    shuffled = random.sample(items, len(items))
    found = subset_sum(shuffled, target)
    assert (found and {one.item_id for one in found}) == (every[0] if len(every) == 1 else None)


PARTIES, WORDS = ["Anna", "Ben", ""], ["INV-1001", "INV-2002", "thanks", ""]
said = st.fixed_dictionaries(
    {
        "party": st.sampled_from(PARTIES),
        "reference": st.sampled_from(WORDS),
        "words": st.sampled_from(WORDS),
        "day": st.integers(0, 4).map(lambda days: DAY - timedelta(days=days)),
    }
)
sides = st.lists(st.tuples(st.integers(1, 6), said), max_size=6)


@given(sides, sides, st.randoms())
def test_what_is_chosen_does_not_depend_on_the_order_or_the_ids(theirs: Any, ours: Any, random: Any) -> None:
    def build(order: list[int], rows: Any, side: Side) -> list[Item]:
        """The same items with ids given out in another order."""
        return [
            msgspec.structs.replace(
                item(100 * (side is Side.OURS) + order[at], minor, side=side, **facts), sort_key=f"{at}"
            )
            for at, (minor, facts) in enumerate(rows)
        ]

    def outcome(mixed: bool) -> set[Any]:
        orders = [list(range(len(rows))) for rows in (theirs, ours)]
        if mixed:
            for order in orders:
                random.shuffle(order)
        lines, items = build(orders[0], theirs, Side.THEIRS), build(orders[1], ours, Side.OURS)
        keys = {one.item_id: (one.side, one.sort_key) for one in (*lines, *items)}
        if mixed:
            random.shuffle(lines)
            random.shuffle(items)
        drafts = likely_pairs(lines, items, RULES) + subsets(lines, items, RULES)
        return {frozenset(keys[one] for one in (*draft.theirs, *draft.ours)) for draft in drafts}

    assert outcome(mixed=False) == outcome(mixed=True)


@given(sides, sides)
def test_a_likely_item_is_in_one_pair_at_most_and_equal_or_explained(theirs: Any, ours: Any) -> None:
    lines = [item(at, minor, side=Side.THEIRS, **facts) for at, (minor, facts) in enumerate(theirs)]
    items = [item(100 + at, minor, **facts) for at, (minor, facts) in enumerate(ours)]
    drafts = likely_pairs(lines, items, RULES)
    used = [one for draft in drafts for one in (*draft.theirs, *draft.ours)]
    assert len(used) == len(set(used))
    by_id = {one.item_id: one for one in (*lines, *items)}
    for draft in drafts:
        apart = by_id[draft.theirs[0]].amount_minor - by_id[draft.ours[0]].amount_minor
        assert apart == draft.residue_minor
        assert (apart == 0) == (draft.residue_kind is None)


def test_a_crowd_is_left_to_people_and_costs_little() -> None:
    """Thousands of equal amounts, and of one party: nothing is guessed, and nobody waits for it."""
    lines = [item(at, 999, side=Side.THEIRS, party="Anna") for at in range(2_000)]
    items = [item(10_000 + at, 999, party="Anna") for at in range(2_000)]
    lone = item(50_000, 777_77, side=Side.THEIRS, party="Ben", words="INV-2002")
    its = item(60_000, 777_77, party="Ben", reference="INV-2002")
    began = time.process_time()
    assert subsets([*lines, lone], [*items, its], RULES) == []
    assert [one.theirs for one in likely_pairs([*lines, lone], [*items, its], RULES)] == [(50_000,)]
    assert time.process_time() - began < 10  # all pairs of 2,000 with 2,000 take minutes


def test_an_item_that_a_crowd_may_want_is_nobodys() -> None:
    """A line of another amount may not take what is near it as well, where too many lines could not be compared."""
    crowd = [item(10_000 + at, 100_00, sort_key=f"c{at}") for at in range(CROWD_MAX + 1)]
    wanted = item(20_000, 100_01, party="Anna", reference="INV-1001")
    line = item(1, 100_00, side=Side.THEIRS)
    other = item(2, 100_02, side=Side.THEIRS, party="Anna", words="INV-1001")
    assert [one.ours for one in likely_pairs([other], [wanted], LOOSE)] == [(20_000,)]
    assert likely_pairs([line, other], [*crowd, wanted], LOOSE) == []


def test_currency_and_direction_are_gates() -> None:
    line = item(1, 500, side=Side.THEIRS, words="INV-1001", party="Anna")
    ours = item(2, 500, reference="INV-1001", party="Anna")
    found = score(line, ours, RULES)
    assert found
    assert found.score == 100
    for other in ({"currency": "USD"}, {"entity_id": 2}, {"amount_minor": -500}, {"day": DAY + timedelta(days=1)}):
        assert score(line, msgspec.structs.replace(ours, **other), RULES) is None


def test_a_runner_up_that_is_near_leaves_it_to_a_person() -> None:
    line = item(1, 500, side=Side.THEIRS, words="INV-1001", party="Anna")
    sure = item(2, 500, reference="INV-1001", party="Anna")
    near = item(3, 500, reference="INV-1001", party="Anna", day=DAY - timedelta(days=1))
    assert len(likely_pairs([line], [sure], RULES)) == 1
    assert likely_pairs([line], [sure, near], RULES) == []
    assert {one.ours for one in suggestions(line, [near, sure], RULES)} == {(2,), (3,)}


def test_a_person_is_shown_what_the_rules_leave_alone() -> None:
    """Days that are far apart, and another amount under the same reference; never another currency or direction."""
    line = item(1, 500, side=Side.THEIRS, words="INV-1001", party="Anna")
    month_ago, in_two_days = DAY - timedelta(days=30), DAY + timedelta(days=2)
    late = item(2, 500, party="Anna", day=month_ago, expected_on=month_ago)
    later = item(3, 500, party="Anna", day=in_two_days, expected_on=in_two_days)
    other = item(4, 700, reference="INV-1001", party="Bob")
    stranger = item(5, 700, party="Bob")
    dollars = msgspec.structs.replace(late, item_id=6, currency="USD")
    shown = suggestions(line, [late, later, other, stranger, dollars], RULES)
    assert [one.ours for one in shown] == [(3,), (2,), (4,)]
    assert "the amounts differ" in shown[-1].reasons
    assert [score(line, one, RULES) for one in (late, later, other)] == [None, None, None]


def test_a_residue_is_explained_within_both_limits() -> None:
    fee = Tolerance(book=Book.BANK, residue=ResidueKind.FEE, minor_max=500, ppm_max=10_000)
    rules = Rules(tolerances=(fee,))
    assert residue_of(rules, Book.BANK, 99_500, 100_000) is ResidueKind.FEE
    assert residue_of(rules, Book.BANK, 99_499, 100_000) is None
    assert residue_of(rules, Book.BANK, 990, 1_000) is ResidueKind.FEE
    assert residue_of(rules, Book.BANK, 989, 1_000) is None
    assert residue_of(rules, Book.BANK, 1_001, 1_000) is None  # nobody pays us a fee
    assert residue_of(rules, Book.PROCESSOR, 999, 1_000) is None


def test_all_that_is_wrong_with_fees_or_a_schedule_is_named() -> None:
    twice = FeeLine(method="card", currency="EUR", fixed_minor=1, ppm=0)
    nowhere = FeeLine(currency="XXX", fixed_minor=1, ppm=0)
    with pytest.raises(Invalid) as refused:
        check_fees((twice, nowhere, twice, twice))
    named = [fault["pointer"] for fault in refused.value.extra["errors"]]
    assert named == ["/fees/1/currency", "/fees/2", "/fees/3"]
    never = Schedule(entity_id=1, cadence=Cadence.WEEKLY, starts_on=date(9999, 1, 1), payout_days=0)
    with pytest.raises(Invalid) as refused:
        never.check()
    named = [fault["pointer"] for fault in refused.value.extra["errors"]]
    assert named == ["/weekday", "/starts_on", "/payout_days"]


@given(st.dates(date(2018, 1, 1), date(2020, 1, 1)), st.integers(0, 15), st.sets(st.integers(0, 40), max_size=10))
def test_business_days(day: date, days: int, off: set[int]) -> None:
    holidays = {day + timedelta(days=number) for number in off}
    due = business_days_after(day, days, holidays)
    assert is_business_day(due, holidays)
    assert due >= day
    if days:
        assert business_days_between(day, due, holidays) == days
