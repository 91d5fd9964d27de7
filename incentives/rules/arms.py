"""By lot, and the same lot wherever and whenever it is drawn: the slot of a unit, the arm of a slot. Pure."""

from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256

from incentives.rules.events import Holdout
from incentives.rules.model import Arm, Experiment
from incentives.rules.parts import SLOTS

SLOT_SQL = (
    "('x' || left(encode(sha256(convert_to({salt} || ':' || {unit}, 'UTF8')), 'hex'), 8))::bit(32)::bigint % 10000"
)
"""`slot` in PostgreSQL; `{salt}` and `{unit}` stand for expressions of type text.

A vector for both: slot("summer", "42") is 3229.
"""


@lru_cache(maxsize=100_000)
def slot(salt: str, unit: str) -> int:
    """0 to 9,999: the first 32 bits of SHA-256 of "salt:unit", modulo 10,000."""
    return int.from_bytes(sha256(f"{salt}:{unit}".encode()).digest()[:4]) % SLOTS


HOLDOUT = Holdout(salt="of all")
"""Whom no promotion for orders reaches: 5 % of all merchants."""


def is_held_out(holdout: Holdout | None, merchant_id: int, begins: datetime) -> bool:
    """Others are drawn in each half of a year (UTC). begins: the window that it is asked for, so that nobody is taken
    out of one that is running: neither where the half year ends in it, nor where the holdout begins."""
    if holdout is None or (holdout.since is not None and begins < holdout.since):
        return False
    begins = begins.astimezone(UTC)
    return _slot_in(holdout.salt, begins.year, 1 if begins.month <= 6 else 2, merchant_id) < holdout.slots


@lru_cache(maxsize=100_000)
def _slot_in(salt: str, year: int, half: int, merchant_id: int) -> int:
    return slot(f"{salt} {year}-{half}", str(merchant_id))


def arm_of(experiment: Experiment, unit: str) -> Arm | None:
    """The arm of a unit, None when it is held out. The slots that are not held out are divided by weight, in order."""
    place = slot(experiment.salt, unit) - experiment.holdout_slots
    if place < 0:
        return None
    total = sum(arm.weight for arm in experiment.arms)
    reached = 0
    for arm in experiment.arms:
        reached += arm.weight
        if place * total < reached * (SLOTS - experiment.holdout_slots):
            return arm
    raise ValueError("an experiment needs an arm with a weight")
