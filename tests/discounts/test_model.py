"""How a discount falls on funders and lines, and comes back: every cent once, whatever the steps. Pure."""

from hypothesis import given
from hypothesis import strategies as st

from billing.payers.rules import Borne, Going, unwind
from incentives.discounts.model import OWN, Back, Discount, after, back_of, own_parts
from marketplace.core.money import allocate
from marketplace.flows.payers.unwind_shares import own_back

FUNDERS = ("platform", OWN, "brand")

lines = st.lists(st.integers(1, 10_000), min_size=1, max_size=5)
weights = st.tuples(*(st.integers(0, 5) for _ in FUNDERS)).filter(any)


def discount(prices: list[int], share_ppm: int, weighted: tuple[int, ...]) -> Discount | None:
    """So much off these prices, shared by weight; None for nothing."""
    amount = sum(prices) * share_ppm // 1_000_000
    if not amount:
        return None
    funder_minor = tuple(allocate(amount, weighted))
    line_minor = tuple(allocate(amount, prices))
    return Discount(
        merchant_id=1, order_id=1, grant_id=1, buyer_id=1, promotion_id=1, campaign_id=1, version_no=1, name="n",
        currency="EUR", amount_minor=amount, funders=FUNDERS, contracts=(0, 0, 7), funder_minor=funder_minor,
        funder_back_minor=(0, 0, 0), line_nos=tuple(range(1, len(prices) + 1)), line_minor=line_minor,
        own_minor=tuple(own_parts(FUNDERS, funder_minor, line_minor)), borne_back_minor=(0,) * len(prices),
        own_back_minor=(0,) * len(prices),
    )  # fmt: skip


@given(lines, st.integers(0, 1_000_000), weights)
def test_the_merchants_own_part_is_its_funders_share_and_within_each_line(
    prices: list[int], share_ppm: int, weighted: tuple[int, ...]
) -> None:
    of = discount(prices, share_ppm, weighted)
    if of is not None:
        assert sum(of.own_minor) == of.funder_minor[1]
        assert all(0 <= own <= minor for own, minor in zip(of.own_minor, of.line_minor, strict=True))
        assert sum(of.borne_minor) == of.funder_minor[0] + of.funder_minor[2]


@given(lines, st.integers(0, 1_000_000), weights, st.lists(st.tuples(st.integers(0, 4), st.integers(1, 5_000))))
def test_refunds_in_any_steps_give_back_all_of_it_and_no_funder_more_than_it_bears(
    prices: list[int], share_ppm: int, weighted: tuple[int, ...], steps: list[tuple[int, int]]
) -> None:
    """Any partition of a full refund: research section 3, invariants 2 and 9."""
    of = discount(prices, share_ppm, weighted)
    if of is None:
        return
    net = [price - own for price, own in zip(prices, of.own_minor, strict=True)]
    gone = [0] * len(prices)
    buyer = sum(net) - sum(of.borne_minor)
    rest = [(number, net[number]) for number in range(len(prices))]
    for number, wanted in [*[(number % len(prices), minor) for number, minor in steps], *rest]:
        minor = min(wanted, net[number] - gone[number])
        if not minor:
            continue
        back = _back(of, net, gone, number, minor, buyer)
        gone[number] += minor
        if back is not None:
            assert all(share >= 0 for share in back.funder_minor)
            assert sum(back.funder_minor) == back.borne_minor + sum(back.own.values())
            of = after(of, back)
            assert after(after(of, back, -1), back) == of
        buyer -= minor - (back.borne_minor if back else 0)
        assert buyer >= 0
        assert all(0 <= was <= whole for was, whole in zip(of.funder_back_minor, of.funder_minor, strict=True))
    assert of.borne_back_minor == of.borne_minor
    if all(net):
        assert of.own_back_minor == of.own_minor
        assert of.funder_back_minor == of.funder_minor


def _back(of: Discount, net: list[int], gone: list[int], number: int, minor: int, buyer: int) -> Back | None:
    """What a refund of so much of one line takes back, as `plan_back` works it out."""
    going = {
        no: Going(base_minor=net[no - 1], before_minor=gone[no - 1], going_minor=minor if no == number + 1 else 0)
        for no in of.line_nos
    }
    borne = Borne(
        contract_id=0,
        line_minor=dict(zip(of.line_nos, of.borne_minor, strict=True)),
        back_minor=dict(zip(of.line_nos, of.borne_back_minor, strict=True)),
    )
    [found] = unwind([(borne, going)], given_minor=minor, buyers_left_minor=buyer)
    return back_of(of, found, own_back(of, going))
