"""The matrix: what it names, what it refuses, and that it is frozen at the sale."""

from datetime import date
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from demand.lifecycle import Party
from demand.refund_policy import (
    DEFAULT,
    Bearer,
    Commission,
    LineLeft,
    Reason,
    Rule,
    buyers_shares,
    check_rules,
    reason_named,
    spread,
)
from demand.refunds import store
from marketplace.core.db import WORKER, Database
from marketplace.core.errors import Conflict, Invalid
from tests.orders.paid import Paid, entry, market, of, refund


def test_the_platform_refunds_as_it_always_did() -> None:
    for reason in set(Reason) - {Reason.GOODWILL, Reason.DISPUTE_LOST}:
        rule = DEFAULT.rule(reason, Party.PLATFORM)
        assert (rule.goods, rule.freight) == (Bearer.MERCHANT, Bearer.MERCHANT)
        assert (rule.commission, rule.processor_fee) == (Commission.RETURNED, Bearer.PLATFORM)


def test_the_default_stands_up_to_its_own_rules_and_can_be_stored() -> None:
    check_rules(DEFAULT.rules)
    assert msgspec.convert(msgspec.to_builtins(DEFAULT), type(DEFAULT)) == DEFAULT


def test_what_the_matrix_does_not_name_is_refused_by_name() -> None:
    with pytest.raises(Conflict, match=r"fraud.*buyer"):
        DEFAULT.rule(Reason.FRAUD, Party.BUYER)
    with pytest.raises(Invalid, match="whim"):
        reason_named("whim")


GOOD: dict[str, Any] = {
    "reason": Reason.LATE,
    "initiator": Party.BUYER,
    "goods": Bearer.MERCHANT,
    "freight": Bearer.MERCHANT,
    "commission": Commission.RETURNED,
    "processor_fee": Bearer.PLATFORM,
}
LOST = DEFAULT.rule(Reason.DISPUTE_LOST, Party.PROCESSOR)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"goods": Bearer.BUYER}, "goods"),
        ({"processor_fee": Bearer.BUYER}, "processor_fee"),
        ({"goods": Bearer.PLATFORM}, "commission"),
        ({"reason": Reason.DISPUTE_LOST}, "initiator"),
        ({"initiator": Party.PROCESSOR, "reason": Reason.DISPUTE_LOST}, r"rules\[0\] already"),
    ],
)
def test_rules_that_make_no_sense_are_refused_by_field(change: dict[str, Any], named: str) -> None:
    with pytest.raises(Invalid, match=named):
        check_rules([LOST, Rule(**{**GOOD, **change})])


def test_a_lost_dispute_cannot_be_left_out() -> None:
    with pytest.raises(Invalid, match="dispute_lost"):
        check_rules([Rule(**GOOD)])


@given(
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**4)), min_size=1, max_size=8),
    st.data(),
    st.booleans(),
)
def test_an_amount_without_items_is_spread_without_loss(
    lines: list[tuple[int, int]], data: st.DataObject, freight: bool
) -> None:
    left = [LineLeft(number, *amounts) for number, amounts in enumerate(lines, start=1)]
    most = sum(goods + (carried if freight else 0) for goods, carried in lines)
    amount = data.draw(st.integers(0, most))
    shares = spread(amount, left, freight=freight)
    assert sum(share.goods_minor + share.freight_minor for share in shares) == amount
    of_line = {line.line_no: line for line in left}
    for share in shares:
        assert 0 <= share.goods_minor <= of_line[share.line_no].goods_minor
        assert 0 <= share.freight_minor <= (of_line[share.line_no].freight_minor if freight else 0)
    with pytest.raises(Conflict):
        spread(most + 1, left, freight=freight)


async def test_a_later_version_never_changes_an_older_order(db: Database) -> None:
    await market(db, Paid(order=of(1, 1)))
    house = Rule(**{**GOOD, "goods": Bearer.PLATFORM, "commission": Commission.KEPT})
    made = await db.write(WORKER, "test", store.add_policy, "generous", [LOST, house], date(2018, 1, 1))
    async with db.read(WORKER) as tx:
        assert await store.policy_for(tx, date(2017, 12, 31)) == DEFAULT.policy_id
        assert await store.policy_for(tx, date(2018, 1, 1)) == made.policy_id
    await refund(db, reason="late", initiator=Party.BUYER)
    assert await entry(db, "order_refunded") == {2005: 12_000, 2400: -12_000}


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), max_size=6), st.integers(0, 10**7))
def test_the_buyers_shares_are_what_is_left_less_what_the_platform_bore(
    shares: list[tuple[int, int]], bore: int
) -> None:
    left, given_before = [share[0] for share in shares], [share[1] for share in shares]
    found = buyers_shares(left, given_before, bore)
    assert sum(found) == max(0, sum(left) - bore)
    assert all(0 <= share <= most for share, most in zip(found, left, strict=True))


def test_of_a_share_that_the_platform_gave_the_buyer_has_the_rest() -> None:
    assert buyers_shares([100, 50], [30, 0], 30) == [70, 50]
    assert buyers_shares([0, 70], [30, 0], 30) == [0, 40], "the first was amended away: the second bears it"
    assert buyers_shares([70, 0], [30, -30], 0) == [70, 0], "and gave it back; then the first came again"
