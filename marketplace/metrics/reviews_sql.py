"""Every statement on weekly reviews: only ever added to."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import msgspec
from sqlalchemy import insert

from marketplace.core.db import Tx
from marketplace.core.errors import NotFound
from marketplace.core.ids import time_ordered_id
from marketplace.metrics.tables import review, review_decision, review_note


class ReviewDecision(msgspec.Struct, frozen=True, kw_only=True):
    """owner: the login of who sees to it. metric: the figure that should show it."""

    decision: str
    owner: str
    due_on: date
    metric: str | None = None


class Decided(ReviewDecision, frozen=True, kw_only=True):
    """A decision of a review: numbered from 1 in their order, also where only some of them are shown."""

    decision_no: int


class ReviewNote(msgspec.Struct, frozen=True, kw_only=True):
    note_id: int
    decision_no: int | None
    note: str
    at: datetime
    actor: str


class Review(msgspec.Struct, frozen=True, kw_only=True):
    """What was said of the week from a Monday on."""

    review_id: int
    week_on: date
    causes: str
    learned: str
    made_at: datetime
    made_by: str
    decisions: list[Decided]
    notes: list[ReviewNote]


async def add_review(tx: Tx, week_on: date, causes: str, learned: str, decisions: Sequence[ReviewDecision]) -> Review:
    """Keep a review with its decisions."""
    row: dict[str, Any] = {
        "review_id": time_ordered_id(tx.now),
        "week_on": week_on,
        "causes": causes,
        "learned": learned,
    }
    row |= {"made_at": tx.now, "made_by": tx.actor}
    await tx.execute(insert(review), row)
    rows = [
        {"review_id": row["review_id"], "decision_no": number, **msgspec.structs.asdict(each)}
        for number, each in enumerate(decisions, start=1)
    ]
    if rows:
        await tx.execute(insert(review_decision), rows)
    return await get_review(tx, row["review_id"])


async def add_note(tx: Tx, review_id: int, decision_no: int | None, note: str) -> Review:
    """Add what came of a review, or of one decision. Raises NotFound."""
    held = await get_review(tx, review_id)
    if decision_no is not None and not 1 <= decision_no <= len(held.decisions):
        raise NotFound(f"review {review_id} has no decision {decision_no}")
    row = {"note_id": time_ordered_id(tx.now), "review_id": review_id, "decision_no": decision_no, "note": note}
    await tx.execute(insert(review_note), row | {"at": tx.now, "actor": tx.actor})
    return await get_review(tx, review_id)


async def get_review(tx: Tx, review_id: int) -> Review:
    """Raises NotFound."""
    found = await _reviews(tx, "review_id = :review", review=review_id, limit=1)
    if not found:
        raise NotFound(f"there is no review {review_id}")
    return found[0]


async def list_reviews(
    tx: Tx, *, limit: int, before: tuple[date, int] | None = None, owner: str | None = None
) -> list[Review]:
    """Reviews, the newest weeks first, behind (week_on, review_id); of an owner only its own decisions."""
    wanted = ["true"]
    bound: dict[str, Any] = {}
    if before is not None:
        wanted.append("(week_on, review_id) < (:week, :review)")
        bound |= {"week": before[0], "review": before[1]}
    if owner is not None:
        wanted.append(
            "EXISTS (SELECT FROM metrics.review_decision d WHERE d.review_id = review.review_id AND d.owner = :owner)"
        )
        bound |= {"owner": owner}
    found = await _reviews(tx, " AND ".join(wanted), limit=limit, **bound)
    return found if owner is None else [_own(each, owner) for each in found]


def _own(of: Review, owner: str) -> Review:
    """A review as the owner of decisions sees it: those, and what came of them."""
    mine = [each for each in of.decisions if each.owner == owner]
    numbers = {each.decision_no for each in mine}
    notes = [note for note in of.notes if note.decision_no in numbers]
    return msgspec.structs.replace(of, causes="", learned="", decisions=mine, notes=notes)


async def _reviews(tx: Tx, wanted: str, **bound: Any) -> list[Review]:
    rows = await tx.rows(
        f"""
        SELECT review_id, week_on, causes, learned, made_at, made_by FROM metrics.review WHERE {wanted}
        ORDER BY week_on DESC, review_id DESC LIMIT :limit
        """,
        **bound,
    )
    ids = [row.review_id for row in rows]
    decisions = await tx.rows(
        """
        SELECT review_id, decision_no, decision, owner, due_on, metric FROM metrics.review_decision
        WHERE review_id = ANY(:ids) ORDER BY review_id, decision_no
        """,
        ids=ids,
    )
    notes = await tx.rows(
        """
        SELECT review_id, note_id, decision_no, note, at, actor FROM metrics.review_note
        WHERE review_id = ANY(:ids) ORDER BY note_id
        """,
        ids=ids,
    )
    return [
        Review(
            **row._mapping,
            decisions=[_struct(Decided, each) for each in decisions if each.review_id == row.review_id],
            notes=[_struct(ReviewNote, each) for each in notes if each.review_id == row.review_id],
        )
        for row in rows
    ]


def _struct(kind: Any, row: Any) -> Any:
    return kind(**{field: getattr(row, field) for field in kind.__struct_fields__})
