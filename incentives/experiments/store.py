"""Every statement on exposures and reviews."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec
from sqlalchemy import insert
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import IntegrityError

from incentives.experiments.findings import Findings
from incentives.experiments.tables import exposure, review
from incentives.rules.arms import HOLDOUT
from incentives.rules.events import Holdout
from marketplace.core import policies
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict


class Decision(StrEnum):
    """What comes of a promotion that is over."""

    REPEAT = "repeat"
    CHANGE = "change"
    STOP = "stop"


class Exposure(msgspec.Struct, frozen=True, kw_only=True):
    """A unit that an experiment has reached for the first time; arm: "" is held out."""

    merchant_id: int
    promotion_id: int
    unit: str
    arm: str
    version_no: int
    at: datetime


class Review(msgspec.Struct, frozen=True, kw_only=True):
    """What was found, what was learned, and what comes of it; never changed."""

    promotion_id: int
    findings: Findings
    decision: Decision
    learned: str
    made_by: str
    made_at: datetime


async def get_holdout(tx: Tx) -> Holdout | None:
    """The merchants that no promotion for orders reaches, from when on; None where the house does not want any."""
    without, since = await policies.set_since(tx, "no_merchant_holdout")
    return None if without else msgspec.structs.replace(HOLDOUT, since=since)


class Precedent(msgspec.Struct, frozen=True, kw_only=True):
    """The review of another promotion like this one: what came of it, and what the next one should know."""

    promotion_id: int
    name: str
    decision: Decision
    learned: str
    made_at: datetime


async def expose(tx: Tx, new: Sequence[Exposure]) -> None:
    """Note who was reached; whoever was before stays in its arm, and at its time."""
    if new:
        await tx.execute(upsert(exposure).on_conflict_do_nothing(), [msgspec.structs.asdict(each) for each in new])


async def list_exposures(tx: Tx, promotion_id: int, *, limit: int, after: tuple[int, str] | None) -> Sequence[Exposure]:
    """Exposures to a promotion by merchant and unit, behind (merchant, unit)."""
    merchant_id, unit = after or (None, None)
    rows = await tx.rows(
        """
        SELECT merchant_id, promotion_id, unit, arm, version_no, at FROM incentives.exposure
        WHERE promotion_id = :promotion AND (CAST(:merchant AS bigint) IS NULL
              OR (merchant_id, unit COLLATE "C") > (:merchant, CAST(:unit AS text)))
        ORDER BY merchant_id, unit COLLATE "C" LIMIT :limit
        """,
        promotion=promotion_id,
        merchant=merchant_id,
        unit=unit,
        limit=limit,
    )
    return [Exposure(**row._mapping) for row in rows]


async def add_review(tx: Tx, new: Review) -> None:
    """Raises Conflict where there is one."""
    row: dict[str, Any] = msgspec.to_builtins(new, builtin_types=(datetime,))
    try:
        await tx.execute(insert(review), row)
    except IntegrityError as fault:
        raise Conflict("review: there is one already, and it stays as it is") from fault


async def find_review(tx: Tx, promotion_id: int) -> Review | None:
    """A promotion's review, None before it."""
    row = await tx.row(
        """
        SELECT promotion_id, findings, decision, learned, made_by, made_at FROM incentives.review
        WHERE promotion_id = :promotion
        """,
        promotion=promotion_id,
    )
    return None if row is None else msgspec.convert(dict(row._mapping), Review)


async def precedents(tx: Tx, promotion_id: int, limit: int = 5) -> list[Precedent]:
    """The newest reviews of promotions that wait for the same, reward the same, and by the same kind of amount."""
    rows = await tx.rows(
        """
        WITH newest AS (
            SELECT DISTINCT ON (promotion_id) promotion_id, terms -> 'trigger' AS trigger,
                   terms -> 'beneficiary' ->> 'to' AS whom, terms -> 'reward' -> 'amount' ->> 'gives' AS gives
            FROM incentives.promotion_version ORDER BY promotion_id, version_no DESC
        )
        SELECT r.promotion_id, p.name, r.decision, r.learned, r.made_at
        FROM newest mine JOIN newest other USING (trigger, whom, gives)
        JOIN incentives.review r ON r.promotion_id = other.promotion_id
        JOIN incentives.promotion p ON p.promotion_id = r.promotion_id
        WHERE mine.promotion_id = :promotion AND other.promotion_id <> :promotion
        ORDER BY r.made_at DESC, r.promotion_id DESC LIMIT :limit
        """,
        promotion=promotion_id,
        limit=limit,
    )
    return [msgspec.convert(dict(row._mapping), Precedent) for row in rows]
