"""Every statement on who has joined promotions: merchants, and buyers."""

from collections.abc import Iterable
from datetime import datetime

import msgspec

from incentives.rules.awards import Reward
from incentives.rules.events import Who
from incentives.rules.model import Measure, Window
from incentives.rules.parts import Role
from marketplace.core.db import Tx

_OPT_INS: dict[Role, str] = {"merchant": "opt_in", "buyer": "buyer_opt_in"}


class JoinablePromotion(msgspec.Struct, frozen=True, kw_only=True):
    """What a buyer is told of a promotion that it may join, and when it did."""

    promotion_id: int
    name: str
    currency: str
    starts_at: datetime
    ends_at: datetime | None
    measure: Measure
    window: Window
    reward: Reward
    joined_at: datetime | None


async def joined_at(tx: Tx, role: Role, party_ids: Iterable[int], promotion_ids: Iterable[int]) -> dict[Who, datetime]:
    """When merchants, or buyers, joined these promotions."""
    rows = await tx.rows(
        f"""
        SELECT promotion_id, {role}_id AS party_id, at FROM incentives.{_OPT_INS[role]}
        WHERE {role}_id = ANY(:parties) AND promotion_id = ANY(:promotions)
        """,
        parties=sorted(set(party_ids)),
        promotions=list(promotion_ids),
    )
    return {(row.promotion_id, role, row.party_id): row.at for row in rows}


async def join(tx: Tx, role: Role, party_id: int, promotion_id: int) -> None:
    """Note that a merchant, or a buyer, has joined, if it has not before."""
    await tx.execute(
        f"""
        INSERT INTO incentives.{_OPT_INS[role]} ({role}_id, promotion_id, at, actor)
        VALUES (:party, :promotion, :at, :actor) ON CONFLICT DO NOTHING
        """,
        {"party": party_id, "promotion": promotion_id, "at": tx.now, "actor": tx.actor},
    )


async def joinable(
    tx: Tx, buyer_id: int, *, promotion_id: int | None = None, limit: int, before: int | None = None
) -> list[JoinablePromotion]:
    """The live promotions that buyers join, and when this one has, the newest first, below the promotion `before`."""
    rows = await tx.rows(
        """
        SELECT p.promotion_id, p.name, p.currency, p.starts_at, p.ends_at, o.at AS joined_at,
               p.terms -> 'measure' AS measure, p.terms -> 'window' AS window, p.terms -> 'reward' AS reward
        FROM incentives.public_promotion p
        JOIN incentives.promotion q ON q.promotion_id = p.promotion_id AND q.state = 'live'
        LEFT JOIN incentives.buyer_opt_in o ON o.promotion_id = p.promotion_id AND o.buyer_id = :buyer
        WHERE p.terms -> 'beneficiary' ->> 'to' = 'buyer'
          AND (coalesce(p.terms -> 'beneficiary' ->> 'opt_in', 'not_needed') <> 'not_needed'
               OR p.terms -> 'window' ->> 'over' = 'opt_in')
          AND (CAST(:promotion AS bigint) IS NULL OR p.promotion_id = :promotion)
          AND p.promotion_id < coalesce(CAST(:before AS bigint), 9223372036854775807)
        ORDER BY p.promotion_id DESC LIMIT :limit
        """,
        buyer=buyer_id,
        promotion=promotion_id,
        before=before,
        limit=limit,
    )
    return [msgspec.convert(dict(row._mapping), JoinablePromotion) for row in rows]
