"""Money, rates and the transaction runner."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from marketplace.core.db import WORKER, Database
from marketplace.core.ids import time_ordered_id
from marketplace.core.money import allocate
from marketplace.core.rates import divide_half_even
from marketplace.core.tables import app_user


@given(st.integers(-(10**15), 10**15), st.integers(1, 10**9))
def test_half_even_is_what_python_rounds_fractions_to(numerator: int, denominator: int) -> None:
    assert divide_half_even(numerator, denominator) == round(Fraction(numerator, denominator))


@given(st.integers(-(10**9), 10**9), st.lists(st.integers(0, 10**6), min_size=1).filter(any))
def test_allocation_loses_nothing_and_is_never_a_unit_off(amount: int, weights: list[int]) -> None:
    shares = allocate(amount, weights)
    total = sum(weights)
    assert sum(shares) == amount
    for share, weight in zip(shares, weights, strict=True):
        assert abs(share * total - amount * weight) < total
        assert weight or not share


def test_ids_of_one_millisecond_differ_and_ids_follow_time() -> None:
    now = datetime(2018, 9, 3, tzinfo=UTC)
    made = [time_ordered_id(now) for _ in range(20_000)]
    assert len(set(made)) == len(made)
    assert made == sorted(made)
    assert made[-1] < time_ordered_id(now + timedelta(seconds=1))
    assert 2**40 < time_ordered_id(now - timedelta(days=1)) < made[0]
    assert time_ordered_id(now) == made[-1] + 1  # a clock that is set back gives none of them again


async def test_a_fresh_database_has_one_operator(db: Database) -> None:
    async with db.read(WORKER) as tx:
        assert [row.login for row in await tx.rows(select(app_user))] == ["operator"]
