"""The auction and what else is pure: properties, for any bids, hours and days."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.ads.auction import QUALITY_MAX, QUALITY_MIN, Bid, quality_ppm, run_auction
from billing.ads.calendar import slots_between
from billing.ads.figures import day, total
from billing.ads.lifecycle import RULES, AdParty, CampaignMove, check_move
from billing.ads.model import CampaignState, Pacing
from billing.ads.pacing import allowance, day_bounds, hour_of
from billing.ads.rating import Creditable, Hour, Parts, rate_hour, rate_hours, refund_vat, split, split_credit
from billing.ads.rules import CLICKS_PER_HOUR_MAX, Verdict, ViewerClick, judge_hour
from marketplace.core.errors import Conflict, Forbidden, Invalid

ZONES = ["UTC", "Europe/Paris", "America/Sao_Paulo", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Kiritimati"]
AT = datetime(2018, 9, 3, 12, tzinfo=UTC)

bids = st.lists(
    st.builds(
        Bid,
        merchant_id=st.integers(1, 6),
        campaign_id=st.integers(1, 50),
        bid_minor=st.integers(0, 300),
        quality_ppm=st.integers(QUALITY_MIN, QUALITY_MAX),
    ),
    max_size=12,
    unique_by=lambda bid: bid.campaign_id,
)


@given(bids, st.integers(0, 5), st.integers(0, 60))
def test_nobody_pays_more_than_its_bid_or_less_than_the_reserve_price(
    all_bids: list[Bid], positions: int, reserve: int
) -> None:
    won = run_auction(all_bids, positions=positions, reserve_minor=reserve)
    assert len(won) <= positions
    assert [each.position for each in won] == list(range(1, len(won) + 1))
    assert len({each.bid.merchant_id for each in won}) == len(won)
    for each in won:
        assert max(reserve, 1) <= each.price_minor <= each.bid.bid_minor


@given(bids, st.integers(1, 5), st.integers(0, 60))
def test_a_price_is_the_least_that_keeps_the_rank(all_bids: list[Bid], positions: int, reserve: int) -> None:
    won = run_auction(all_bids, positions=positions, reserve_minor=reserve)
    best = run_auction(all_bids, positions=100, reserve_minor=reserve)
    ranks = {each.bid.campaign_id: each.position for each in best}
    entering = [each.bid for each in best]

    def rank_at(bid: Bid, price: int) -> int | None:
        others = [one for one in entering if one.merchant_id != bid.merchant_id]
        lower = Bid(
            merchant_id=bid.merchant_id, campaign_id=bid.campaign_id, bid_minor=price, quality_ppm=bid.quality_ppm
        )
        again = run_auction([*others, lower], positions=100, reserve_minor=reserve)
        return next((each.position for each in again if each.bid.campaign_id == bid.campaign_id), None)

    for each in won:
        rank = ranks[each.bid.campaign_id]
        assert rank_at(each.bid, each.price_minor) == rank
        assert rank_at(each.bid, each.price_minor - 1) != rank  # one minor unit less loses the rank or the auction


@given(bids, st.randoms(use_true_random=False))
def test_the_answer_does_not_depend_on_the_order_of_the_bids(all_bids: list[Bid], rng: Random) -> None:
    shuffled = list(all_bids)
    rng.shuffle(shuffled)
    assert run_auction(shuffled, positions=3, reserve_minor=5) == run_auction(all_bids, positions=3, reserve_minor=5)


def test_quality_beats_a_higher_bid_and_pays_for_less() -> None:
    """60 at 1.5 ranks before 80 at 1.0 and pays 54: 80 by 1.5 is 53.33, rounded up."""
    good = Bid(merchant_id=1, campaign_id=1, bid_minor=60, quality_ppm=1_500_000)
    plain = Bid(merchant_id=2, campaign_id=2, bid_minor=80, quality_ppm=1_000_000)
    won = run_auction([plain, good], positions=2, reserve_minor=5)
    assert [(each.bid.merchant_id, each.price_minor) for each in won] == [(1, 54), (2, 5)]


def test_equal_bids_go_to_the_older_campaign_at_that_price() -> None:
    same = [Bid(merchant_id=m, campaign_id=10 - m, bid_minor=50, quality_ppm=1_000_000) for m in (1, 2, 3)]
    won = run_auction(same, positions=3, reserve_minor=5)
    assert [(each.bid.campaign_id, each.price_minor) for each in won] == [(7, 50), (8, 50), (9, 5)]


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_quality_stays_within_its_bounds(impressions: int, clicks: int, average: int) -> None:
    assert QUALITY_MIN <= quality_ppm(impressions, min(clicks, impressions), average) <= QUALITY_MAX
    assert quality_ppm(0, 0, average) == 1_000_000


@given(st.integers(0, 10**6), st.integers(0, 366 * 86_400), st.sampled_from(ZONES))
def test_pacing_lets_out_the_whole_budget_by_the_end_of_the_day_and_never_more(
    budget: int, second: int, zone: str
) -> None:
    now = datetime(2018, 1, 1, tzinfo=UTC) + timedelta(seconds=second)
    share = allowance(budget, now, zone, Pacing.EVEN)
    assert 0 <= share <= budget == allowance(budget, now, zone, Pacing.AT_ONCE)
    hour, on_day = hour_of(now, zone)
    begins, ends = day_bounds(on_day, zone)
    assert begins <= hour <= now < ends
    assert now - hour < timedelta(hours=1)
    assert allowance(budget, ends - timedelta(seconds=1), zone, Pacing.EVEN) == budget
    assert share <= allowance(budget, min(now + timedelta(minutes=9), ends - timedelta(seconds=1)), zone, Pacing.EVEN)


def test_a_day_has_23_or_25_hours_where_the_clock_is_changed() -> None:
    spring, autumn = (day_bounds(on, "Europe/Paris") for on in (date(2018, 3, 25), date(2018, 10, 28)))
    assert [round((b.timestamp() - a.timestamp()) / 3600) for a, b in (spring, autumn)] == [23, 25]
    assert allowance(2_400, datetime(2018, 9, 3, 11, tzinfo=UTC), "UTC", Pacing.EVEN) == 1_200  # an hour ahead


amounts = st.integers(0, 5_000)


@given(amounts, amounts, amounts, st.integers(-100, 5_000))
def test_an_hour_is_billed_or_unbilled_and_never_beyond_what_is_left(
    due: int, billed: int, unbilled: int, left: int
) -> None:
    found = rate_hour(due, billed, unbilled, left)
    then_billed = billed + found.charge_minor - found.credit_minor
    assert then_billed + unbilled + found.unbilled_minor == due
    assert 0 <= found.charge_minor <= max(left, 0)
    assert then_billed >= 0 <= unbilled + found.unbilled_minor
    assert not (found.charge_minor and found.credit_minor)
    if due >= billed + unbilled:
        assert found.credit_minor == 0


hours = st.lists(
    st.builds(
        Hour,
        campaign_id=st.integers(1, 3),
        currency=st.just("EUR"),
        hour_at=st.integers(0, 40).map(lambda n: AT + timedelta(hours=n)),
        on_day=st.integers(1, 3).map(lambda n: date(2018, 9, n)),
        due_minor=amounts,
        billed_minor=st.just(0),
        unbilled_minor=st.just(0),
    ),
    max_size=12,
    unique_by=lambda hour: (hour.campaign_id, hour.hour_at),
)


@given(hours, amounts, amounts, amounts)
def test_hours_together_stay_within_every_limit(all_hours: list[Hour], daily: int, most: int, free: int) -> None:
    days = {(c, date(2018, 9, d)): daily for c in (1, 2, 3) for d in (1, 2, 3)}
    rated = rate_hours(all_hours, day_left=days, total_left={1: most, 2: None, 3: most}, free={"EUR": free})
    assert sum(found.charge_minor for _, found in rated) <= free
    for campaign in (1, 2, 3):
        own = [(hour, found.charge_minor) for hour, found in rated if hour.campaign_id == campaign]
        assert campaign == 2 or sum(charge for _, charge in own) <= most
        for on in {hour.on_day for hour, _ in own}:
            assert sum(charge for hour, charge in own if hour.on_day == on) <= daily


@given(st.lists(amounts, min_size=1, max_size=6))
def test_an_hour_in_parts_costs_what_it_costs_at_once(parts: list[int]) -> None:
    """Late events are rated by the difference: without a limit, arrival makes no difference (invariant 12)."""
    billed = due = 0
    for part in parts:
        due += part
        billed += rate_hour(due, billed, 0, 10**9).charge_minor
    assert billed == rate_hour(sum(parts), 0, 0, 10**9).charge_minor


@given(amounts, amounts, st.data())
def test_what_is_credited_comes_back_in_the_parts_that_were_charged(a: int, b: int, data: st.DataObject) -> None:
    charges = [
        Creditable(charge_id=number, granted_minor=parts.granted_minor, paid_minor=parts.paid_minor)
        for number, parts in enumerate((split(a, 700), split(b, 0)))
    ]
    amount = data.draw(st.integers(0, a + b))
    credited = split_credit(amount, charges)
    assert sum(parts.amount_minor for _, parts in credited) == amount
    for number, parts in credited:
        assert parts.granted_minor <= charges[number].granted_minor
        assert parts.paid_minor <= charges[number].paid_minor
    with pytest.raises(ValueError, match="exceeds"):
        split_credit(a + b + 1, charges)


def test_granted_credit_is_spent_first() -> None:
    assert split(500, 200) == Parts(200, 300)
    assert split(100, 200) == Parts(100, 0)


@given(st.integers(1, 10**6), st.integers(0, 10**6), st.lists(st.integers(1, 10**5), max_size=8))
def test_the_vat_of_refunds_in_parts_is_that_of_one(topped: int, vat: int, parts: list[int]) -> None:
    refunded = refunded_vat = 0
    for part in parts:
        amount = min(part, topped - refunded)
        if amount:
            back = refund_vat(amount, topped - refunded, vat - refunded_vat)
            assert 0 <= back <= vat - refunded_vat
            refunded, refunded_vat = refunded + amount, refunded_vat + back
    if topped > refunded:
        refunded_vat += refund_vat(topped - refunded, topped - refunded, vat - refunded_vat)
    assert refunded_vat == vat or topped == refunded


def _click(event_id: str, second: float, viewer: int = 1) -> ViewerClick:
    return ViewerClick(event_id=event_id, viewer=viewer, at=AT + timedelta(seconds=second))


def test_repeats_and_too_many_clicks_of_a_viewer() -> None:
    clicks = [_click(f"c{n:02}", 60 * n) for n in range(CLICKS_PER_HOUR_MAX + 2)]
    verdicts = judge_hour([*clicks, _click("again", 29.9), _click("other", 1, viewer=2)])
    assert verdicts["again"] is Verdict.REPEAT
    assert verdicts["other"] is Verdict.VALID
    assert [verdicts[f"c{n:02}"] for n in (9, 10, 11)] == [Verdict.TOO_MANY] * 3  # "again" counts among the ten
    assert verdicts["c08"] is Verdict.VALID


@given(st.lists(st.tuples(st.integers(0, 3_599), st.integers(1, 2)), max_size=25), st.randoms(use_true_random=False))
def test_verdicts_do_not_depend_on_arrival(seen: list[tuple[int, int]], rng: Random) -> None:
    clicks = [_click(f"e{number}", second, viewer) for number, (second, viewer) in enumerate(seen)]
    shuffled = list(clicks)
    rng.shuffle(shuffled)
    assert judge_hour(shuffled) == judge_hour(clicks)


def test_slots_are_half_open_and_begin_at_edges() -> None:
    slots = slots_between(AT, AT + timedelta(hours=3), 60)
    assert slots == [AT + timedelta(hours=n) for n in range(3)]
    assert all(b - a == timedelta(hours=1) for a, b in pairwise(slots))
    for wrong in (AT, AT - timedelta(hours=1), AT + timedelta(minutes=30), AT + timedelta(days=400)):
        with pytest.raises(Invalid):
            slots_between(AT, wrong, 60)


@given(st.sampled_from(CampaignState), st.sampled_from(CampaignMove), st.sampled_from(AdParty))
def test_a_campaign_moves_as_its_table_says(state: CampaignState, move: CampaignMove, party: AdParty) -> None:
    rule = RULES[move]
    if party not in rule.parties:
        with pytest.raises(Forbidden):
            check_move(state, move, party)
    elif state not in rule.sources:
        with pytest.raises(Conflict):
            check_move(state, move, party)
    else:
        assert check_move(state, move, party) is rule.target
    assert CampaignState.ENDED not in rule.sources


def test_figures_divided_by_nothing_are_not_defined() -> None:
    nothing = day(date(2018, 9, 3))
    assert (nothing.ctr_ppm, nothing.cpc_minor, nothing.cpm_minor, nothing.roas_ppm) == (None, None, None, None)
    some = day(date(2018, 9, 3), impressions=2_000, clicks=30, spend_minor=900, sales_minor=4_000, orders=1)
    assert (some.ctr_ppm, some.cpc_minor, some.cpm_minor, some.roas_ppm) == (15_000, 30, 450, 4_444_444)
    assert total([some, nothing]).ctr_ppm == 15_000
