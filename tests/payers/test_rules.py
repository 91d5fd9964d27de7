"""The rules of payers: the waterfall, how it unwinds, fees, remittances, ageing."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.payers.rules import (
    NO_LIMIT,
    WHOLE,
    Borne,
    Going,
    Granted,
    Offer,
    Priced,
    Standing,
    ageing_bucket,
    divide_remittance,
    dunning_level,
    fee_for,
    period_end,
    period_from,
    split_back,
    unwind,
    waterfall,
)
from billing.payers.terms import PayerTerms, check_terms, check_versions, parse_payer_contracts
from marketplace.core.errors import Invalid
from tests.payers.market import terms

amounts = st.integers(0, 50_000)
shares = st.integers(1, 1_000_000)
categories = st.sampled_from([None, "care", "food"])


def offer(contract_id: int, room: int = NO_LIMIT, **changes: object) -> Offer:
    named = terms(**{"name": f"c{contract_id}", **changes})
    return Offer(contract_id=contract_id, version_id=contract_id, payer_id=1, room_minor=room, terms=named)


@st.composite
def orders(draw: st.DrawFn) -> list[Priced]:
    return [
        Priced(number, draw(categories), draw(amounts), draw(st.integers(0, 900)))
        for number in range(1, draw(st.integers(1, 5)) + 1)
    ]


@st.composite
def offers(draw: st.DrawFn) -> list[Offer]:
    return [
        offer(
            number,
            draw(st.one_of(st.just(NO_LIMIT), amounts)),
            share_ppm=draw(shares),
            order_cap_minor=draw(st.one_of(st.none(), amounts)),
            priority=draw(st.integers(0, 3)),
            base=draw(st.sampled_from(["goods", "goods_and_freight"])),
            minimum_minor=draw(st.sampled_from([0, 5_000])),
            categories=draw(st.sampled_from([None, ("care",), ("care", "food")])),
        )
        for number in range(1, draw(st.integers(1, 4)) + 1)
    ]


@given(orders(), offers())
def test_payers_never_bear_more_than_any_line_costs_nor_more_than_their_caps(
    lines: list[Priced], given_offers: list[Offer]
) -> None:
    granted = waterfall(lines, given_offers)
    for position, line in enumerate(lines):
        assert sum(one.line_minor[position] for one in granted) <= line.price_minor
    for one in granted:
        assert one.amount_minor == sum(one.line_minor)
        assert min(one.line_minor) >= 0
        assert one.amount_minor <= one.offer.room_minor
        cap = one.offer.terms.order_cap_minor
        assert cap is None or one.amount_minor <= cap
        assert all(one.offer.terms.covers(line.category) or not minor for line, minor in _with(lines, one))
    order = [(one.offer.terms.priority, one.offer.terms.name) for one in granted]
    assert order == sorted(order)


def _with(lines: list[Priced], one: Granted) -> list[tuple[Priced, int]]:
    return list(zip(lines, one.line_minor, strict=True))


@given(orders(), offers())
def test_who_comes_first_takes_the_same_whoever_follows(lines: list[Priced], all_of: list[Offer]) -> None:
    granted = waterfall(lines, all_of)
    for count in range(len(granted)):
        first = [one.offer for one in granted[:count]]
        assert waterfall(lines, first) == granted[:count]


@given(orders(), shares, amounts, amounts)
def test_more_room_never_gives_less(lines: list[Priced], share: int, room: int, more: int) -> None:
    def total(of: int) -> int:
        return sum(one.amount_minor for one in waterfall(lines, [offer(1, of, share_ppm=share)]))

    assert total(room) <= total(room + more)


@pytest.mark.parametrize(
    ("changes", "room", "amount", "note"),
    [
        ({}, NO_LIMIT, 7_000, "order_cap"),
        ({"order_cap_minor": None}, NO_LIMIT, 9_600, None),
        ({}, 6_999, 6_999, "cap_left"),
        ({}, 0, 0, "cap_exhausted"),
    ],
)
def test_what_held_a_payer_back_is_named(changes: dict[str, object], room: int, amount: int, note: str | None) -> None:
    [granted] = waterfall([Priced(1, None, 12_000, 0)], [offer(1, room, **changes)])
    assert (granted.amount_minor, granted.note) == (amount, note)


def test_a_minimum_is_of_the_eligible_price() -> None:
    lines = [Priced(1, "care", 4_000, 0), Priced(2, "food", 9_000, 0)]
    assert waterfall(lines, [offer(1, categories=("care",), minimum_minor=4_001)]) == []
    assert waterfall(lines, [offer(1, categories=("care",), minimum_minor=4_000)])[0].line_minor == (3_200, 0)


@given(orders(), offers(), st.data())
def test_any_partition_of_a_full_refund_returns_exactly_what_was_borne(
    lines: list[Priced], given_offers: list[Offer], data: st.DataObject
) -> None:
    granted = [one for one in waterfall(lines, given_offers) if one.amount_minor]
    numbers = [line.line_no for line in lines]
    whole = [dict(zip(numbers, one.line_minor, strict=True)) for one in granted]
    backs: list[dict[int, int]] = [dict.fromkeys(numbers, 0) for _ in granted]
    gone = dict.fromkeys(numbers, 0)
    buyers = sum(line.price_minor for line in lines) - sum(one.amount_minor for one in granted)
    for last in (False, False, True):
        going = {
            line.line_no: (line.price_minor - gone[line.line_no])
            if last
            else data.draw(st.integers(0, line.price_minor - gone[line.line_no]))
            for line in lines
        }
        given_minor = sum(going.values())
        parts = {
            line.line_no: Going(
                base_minor=line.price_minor, before_minor=gone[line.line_no], going_minor=going[line.line_no]
            )
            for line in lines
        }
        moved = unwind(
            [
                (Borne(contract_id=number, line_minor=lines_of, back_minor=back), parts)
                for number, (lines_of, back) in enumerate(zip(whole, backs, strict=True))
            ],
            given_minor=given_minor,
            buyers_left_minor=buyers,
        )
        to_payers = sum(sum(lines_of.values()) for lines_of in moved)
        assert all(minor >= 0 for lines_of in moved for minor in lines_of.values())
        assert 0 <= given_minor - to_payers <= buyers
        buyers -= given_minor - to_payers
        for back, lines_of in zip(backs, moved, strict=True):
            for line_no, minor in lines_of.items():
                back[line_no] += minor
        for line_no, minor in going.items():
            gone[line_no] += minor
    assert backs == whole
    assert buyers == 0


@given(st.lists(st.integers(-500, 5_000), min_size=1, max_size=8), st.integers(0, 10_000))
def test_a_remittance_is_divided_without_a_cent_more_or_less(opens: list[int], received: int) -> None:
    if received > sum(opens):
        with pytest.raises(ValueError, match="more has come in"):
            divide_remittance(received, opens)
        return
    parts = divide_remittance(received, opens)
    assert sum(parts) == received
    assert all(min(minor, 0) <= part <= max(minor, 0) for part, minor in zip(parts, opens, strict=True))
    if received == sum(opens):
        assert parts == opens


@given(st.lists(amounts, max_size=6), st.integers(0, 1_000_000))
def test_fees_of_several_claims_sum_to_the_fee_on_all(steps: list[int], fee_ppm: int) -> None:
    claimed = fee = 0
    for step in steps:
        claimed += step
        now = fee_for(claimed, fee_ppm)
        assert now >= fee
        fee = now
    assert fee == fee_for(sum(steps), fee_ppm)


def test_what_comes_back_goes_to_the_payer_first() -> None:
    rejected = Standing(amount_minor=7_000, rejected_minor=1_000)
    assert split_back(rejected, 6_000) == (6_000, 0)
    assert split_back(rejected, 6_500) == (6_000, 500)


def test_periods_of_caps() -> None:
    day = date(2018, 12, 31)
    assert (period_from("day", day), period_from("month", day), period_from("whole", day)) == (
        day, date(2018, 12, 1), WHOLE,
    )  # fmt: skip
    assert period_end("day", day) == date(2019, 1, 1)
    assert period_end("month", date(2018, 12, 1)) == date(2019, 1, 1)
    assert period_end("month", date(2018, 11, 1)) == date(2018, 12, 1)


def test_ageing_and_dunning() -> None:
    due = date(2018, 9, 1)
    ages = [(date(2018, 9, 1), "not_due"), (date(2018, 9, 2), "1_30"), (date(2018, 10, 1), "1_30")]
    ages += [(date(2018, 10, 2), "31_60"), (date(2018, 11, 30), "61_90"), (date(2018, 12, 1), "over_90")]
    assert [ageing_bucket(due, on) for on, _ in ages] == [name for _, name in ages]
    assert [dunning_level(due, date(2018, 9, day)) for day in (1, 7, 8, 22)] == [0, 0, 1, 2]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"share_ppm": 0}, "share_ppm"),
        ({"share_ppm": 1_000_001}, "share_ppm"),
        ({"currency": "XXX"}, "currency"),
        ({"valid_until": date(2018, 1, 1)}, "valid_until"),
        ({"merchants": ()}, "merchants"),
        ({"cap_minor": -1}, "cap_minor"),
        ({"name": "a\0"}, "name"),
        ({"priority": 1_001}, "priority"),
    ],
)
def test_terms_that_contradict_themselves_are_refused_by_name(changes: dict[str, object], field: str) -> None:
    with pytest.raises(Invalid, match=rf"here\.{field}"):
        check_terms(terms(**changes), "here")


def test_versions_of_a_name_neither_overlap_nor_differ_in_what_runs_on() -> None:
    first = terms(valid_until=date(2018, 6, 1))
    check_versions([first, terms(valid_from=date(2018, 6, 1), share_ppm=1)])
    with pytest.raises(Invalid, match="overlaps"):
        check_versions([first, terms(valid_from=date(2018, 5, 31))])
    with pytest.raises(Invalid, match="another cap_period"):
        check_versions([first, terms(valid_from=date(2018, 6, 1), cap_period="month")])


def test_a_file_of_contracts() -> None:
    document = b"""
    [[payer_contract]]
    name = "care"
    payer = "Health"
    currency = "EUR"
    valid_from = 2018-01-01
    share_ppm = 800000
    cap_minor = 100000
    cap_period = "month"
    """
    assert parse_payer_contracts(document) == [
        PayerTerms(
            name="care", payer="Health", currency="EUR", valid_from=date(2018, 1, 1), share_ppm=800_000,
            cap_minor=100_000, cap_period="month",
        )
    ]  # fmt: skip
    with pytest.raises(Invalid, match=r"payer_contract\[0\]\.share_ppm"):
        parse_payer_contracts(document.replace(b"800000", b"0.8"))
