"""Where merchants and buyers stand in promotions: how far, by when, and what the next step earns."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from incentives.promotions.model import PublicTerms
from incentives.rules.awards import Reward as AgreedReward
from incentives.rules.awards import ToBoth
from incentives.rules.parts import Role
from incentives.rules.reward import next_step
from marketplace.core.db import Tx


class Reward(msgspec.Struct, frozen=True, kw_only=True):
    """Where a merchant, or a buyer, stands in a window of a promotion. reached: of what is measured, minor
    units or pieces, what has settled; promised: with what has not yet.

    seconds_left: until the window ends, None when it has no end. next_at: where more is earned, missing: what is
    missing to there, next_total_minor: what the window then comes to; None where there is no further step. owed_minor:
    earned, and waiting for the promotion or its budget. promised_minor: set aside, and granted once orders settle.
    """

    promotion_id: int
    name: str
    currency: str
    span: str
    starts_at: datetime
    ends_at: datetime | None
    seconds_left: int | None
    measure: str
    reached: int
    promised: int
    granted_minor: int
    owed_minor: int
    promised_minor: int
    next_at: int | None
    missing: int | None
    next_total_minor: int | None


async def rewards(tx: Tx, role: Role, party_id: int, *, limit: int, before: tuple[int, str] | None) -> list[Reward]:
    """A party's windows but those of discounts, which are over with their order; the newest promotion and window first,
    behind (promotion, span)."""
    promotion_id, span = before or (None, None)
    rows = await tx.rows(
        f"""
        SELECT g.promotion_id, p.name, p.currency, p.terms, g.span, g.starts_at, g.ends_at, g.settled, g.promised,
               g.granted_minor, g.pending_minor,
               (SELECT coalesce(sum(each), 0) FROM unnest(g.promise_minor) AS each)::bigint AS promised_minor
        FROM incentives.{role}_progress g JOIN incentives.public_promotion p ON p.promotion_id = g.promotion_id
        WHERE g.{role}_id = :party AND p.terms -> 'reward' -> 'form' ->> 'as' <> 'discount'
          AND (CAST(:promotion AS bigint) IS NULL
               OR (g.promotion_id, g.span COLLATE "C") < (:promotion, CAST(:span AS text)))
        ORDER BY g.promotion_id DESC, g.span COLLATE "C" DESC LIMIT :limit
        """,
        party=party_id,
        promotion=promotion_id,
        span=span,
        limit=limit,
    )
    found = []
    for row in rows:
        terms = msgspec.convert(row.terms, PublicTerms)
        left = None if row.ends_at is None else max(0, int((row.ends_at - tx.now).total_seconds()))
        step = next_step(_reward_of(terms, role).amount, row.promised) if left is None or left > 0 else None
        found.append(
            Reward(
                promotion_id=row.promotion_id,
                name=row.name,
                currency=row.currency,
                span=row.span,
                starts_at=row.starts_at,
                ends_at=row.ends_at,
                seconds_left=left,
                measure=terms.measure.of,
                reached=row.settled,
                promised=row.promised,
                granted_minor=row.granted_minor,
                owed_minor=row.pending_minor,
                promised_minor=row.promised_minor,
                next_at=None if step is None else step.threshold,
                missing=None if step is None else step.missing,
                next_total_minor=None if step is None else step.total_minor,
            )
        )
    return found


def _reward_of(terms: PublicTerms, role: Role) -> AgreedReward:
    both = terms.beneficiary
    return both.buyer_reward if isinstance(both, ToBoth) and role == "buyer" else terms.reward


def running(found: Sequence[Reward]) -> list[Reward]:
    """Those of windows that are not over, the ones with a next step first."""
    still = [each for each in found if each.seconds_left is None or each.seconds_left > 0]
    return sorted(still, key=lambda each: (each.missing is None, each.missing or 0))
