"""Process: a week is talked over: why it came so, what is decided and who sees to it, what was learned."""

from datetime import date

import msgspec

from marketplace.core import outbox
from marketplace.core.db import Tx
from marketplace.core.errors import Refusals
from marketplace.flows.steering.set_goals import check_owner
from marketplace.metrics import reviews_sql as reviews
from marketplace.metrics.definitions import definition
from marketplace.metrics.periods import Grain, check_day, span_of
from marketplace.metrics.reviews_sql import Review, ReviewDecision


class HoldReview(msgspec.Struct, frozen=True, kw_only=True):
    """Of the week that `on` falls in."""

    on: date
    causes: str
    learned: str
    decisions: tuple[ReviewDecision, ...] = ()


async def hold_review(tx: Tx, cmd: HoldReview) -> Review:
    """Keep what was said of a week; it is never changed. Raises Invalid with all that is wrong."""
    week_on = span_of(Grain.WEEK, check_day(cmd.on, "on")).from_on
    wrong = Refusals()
    for number, each in enumerate(cmd.decisions):
        with wrong.at(f"/decisions/{number}/owner"):
            await check_owner(tx, each.owner)
        if each.metric is not None:
            with wrong.at(f"/decisions/{number}/metric"):
                definition(each.metric)
        if each.due_on < week_on:
            wrong.add(f"/decisions/{number}/due_on", "due_on: lies before the week")
    wrong.check()
    kept = await reviews.add_review(tx, week_on, cmd.causes, cmd.learned, cmd.decisions)
    owners = [each.owner for each in cmd.decisions]
    await outbox.emit(tx, "metrics.review_held.v1", {"review_id": kept.review_id, "week_on": week_on, "owners": owners})
    return kept
