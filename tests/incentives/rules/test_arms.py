"""The same lot in Python and in PostgreSQL, today and tomorrow."""

from collections import Counter

import msgspec
import pytest

from incentives.rules.arms import SLOT_SQL, arm_of, slot
from incentives.rules.model import Experiment
from marketplace.core.db import WORKER, Database


def experiment(**fields: object) -> Experiment:
    return msgspec.convert({"salt": "spring", **fields}, Experiment)


def test_a_vector() -> None:
    """Pinned: another number would move every merchant of every running experiment."""
    assert slot("summer", "42") == 3229


@pytest.mark.anyio
async def test_postgresql_draws_the_same_lot(db: Database) -> None:
    units = ["42", "7", "", "São Paulo", "北京", "a:b", "0"]
    drawn = SLOT_SQL.format(salt=":salt", unit="unit")
    async with db.read(WORKER) as tx:
        rows = await tx.rows(
            f"SELECT unit, {drawn} FROM unnest(CAST(:units AS text[])) AS drawn (unit)", units=units, salt="summer"
        )
    assert {row.unit: row[1] for row in rows} == {unit: slot("summer", unit) for unit in units}


def test_invariant_15_shares_are_those_of_the_weights_and_stay() -> None:
    """Within four standard deviations over 20,000 merchants, and another salt is another lot."""
    split = experiment(
        holdout_slots=500, arms=[{"name": "a", "weight": 3}, {"name": "b"}, {"name": "none", "weight": 0}]
    )
    units = [str(number) for number in range(20_000)]
    drawn = [arm_of(split, unit) for unit in units]
    counts = Counter("" if arm is None else arm.name for arm in drawn)
    for name, share in (("", 0.05), ("a", 0.7125), ("b", 0.2375)):
        assert abs(counts[name] - 20_000 * share) < 4 * (20_000 * share * (1 - share)) ** 0.5
    assert counts["none"] == 0
    assert drawn == [arm_of(split, unit) for unit in units]
    other = msgspec.structs.replace(split, salt="autumn")
    assert sum(arm_of(other, unit) == arm for unit, arm in zip(units, drawn, strict=True)) < 15_000


def test_a_larger_holdout_only_adds_to_it() -> None:
    small, large = experiment(holdout_slots=500), experiment(holdout_slots=1_000)
    units = [str(number) for number in range(2_000)]
    held = {unit for unit in units if arm_of(small, unit) is None}
    assert held < {unit for unit in units if arm_of(large, unit) is None}
