"""Every statement on promotions and their versions."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import insert, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import IntegrityError

from incentives.lifecycle import Move, Party, State, check_move
from incentives.promotions.model import (
    Passed,
    Promotion,
    PublicTerms,
    Version,
    VersionState,
    concerns_merchants,
    merchants_of,
    public_terms,
    rewards_for_orders,
    window_begins,
)
from incentives.rules.arms import is_held_out
from incentives.rules.events import Holdout
from incentives.rules.model import Terms
from incentives.store import let_grant, record_move
from incentives.tables import promotion, promotion_version, public_promotion
from marketplace.core import outbox
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, NotFound

_PROMOTION = ", ".join(Promotion.__struct_fields__)
_VERSION = ", ".join(Version.__struct_fields__)
_DECIDED = ("approved_by", "approved_at", *Passed.__struct_fields__)


class InForce(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a promotion that is in force at an instant. state: of the promotion, now."""

    promotion_id: int
    campaign_id: int
    version_no: int
    state: State
    starts_at: datetime
    ends_at: datetime | None
    terms: Terms


class PublicPromotion(msgspec.Struct, frozen=True, kw_only=True):
    """What a merchant is told of a promotion, and when it joined."""

    promotion_id: int
    name: str
    currency: str
    starts_at: datetime
    ends_at: datetime | None
    terms: PublicTerms
    joined_at: datetime | None


def _row(of: Promotion | Version) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(of, builtin_types=(datetime,))
    return plain


async def insert_promotion(tx: Tx, new: Promotion, first: Version) -> None:
    """Raises Conflict for a name that is taken."""
    try:
        await tx.execute(insert(promotion), _row(new))
    except IntegrityError as fault:
        raise Conflict(f"name: there is a promotion {new.name!r} already", pointer="/terms/name") from fault
    await insert_version(tx, first)


async def insert_version(tx: Tx, new: Version) -> None:
    await tx.execute(insert(promotion_version), _row(new))


async def get_promotion(tx: Tx, promotion_id: int, *, lock: bool = False) -> Promotion:
    """A promotion, held until the transaction ends when `lock` says so. Raises NotFound."""
    held = " FOR UPDATE" if lock else ""
    query = f"SELECT {_PROMOTION} FROM incentives.promotion WHERE promotion_id = :promotion{held}"
    row = await tx.row(query, promotion=promotion_id)
    if row is None:
        raise NotFound(f"there is no promotion {promotion_id}")
    return msgspec.convert(dict(row._mapping), Promotion)


async def list_promotions(
    tx: Tx, *, campaign_id: int | None = None, state: State | None = None, limit: int, before: int | None = None
) -> Sequence[Promotion]:
    """Promotions of a campaign or of all, the newest first, below the promotion `before`."""
    rows = await tx.rows(
        f"""
        SELECT {_PROMOTION} FROM incentives.promotion
        WHERE (CAST(:campaign AS bigint) IS NULL OR campaign_id = :campaign)
          AND (CAST(:state AS text) IS NULL OR state = :state)
          AND promotion_id < coalesce(CAST(:before AS bigint), 9223372036854775807)
        ORDER BY promotion_id DESC LIMIT :limit
        """,
        campaign=campaign_id,
        state=state and state.value,
        before=before,
        limit=limit,
    )
    return [msgspec.convert(dict(row._mapping), Promotion) for row in rows]


async def save_promotion(tx: Tx, changed: Promotion) -> Promotion:
    """Store a held promotion as its next version. Raises Conflict for a name that is taken."""
    new = msgspec.structs.replace(changed, version=changed.version + 1)
    try:
        await tx.execute(update(promotion).where(promotion.c.promotion_id == new.promotion_id).values(_row(new)))
    except IntegrityError as fault:
        raise Conflict(f"name: there is a promotion {new.name!r} already", pointer="/terms/name") from fault
    return new


async def move_promotion(
    tx: Tx, held: Promotion, move: Move, party: Party, *, reason: str = "", single: bool = False
) -> Promotion:
    """Take a held promotion on; what the public is told follows. Raises Forbidden and Conflict, see `check_move`."""
    after = check_move(held.state, move, party, "promotion")
    new = await save_promotion(tx, msgspec.structs.replace(held, state=after))
    await record_move(tx, "promotion", held.promotion_id, move, party, held.state, after, reason, single=single)
    told = {"promotion_id": held.promotion_id, "move": move, "state": after}
    await outbox.emit(tx, "incentives.promotion_moved.v1", told)
    await publish(tx, new)
    return new


async def get_version(tx: Tx, promotion_id: int, version_no: int | None = None) -> Version:
    """A version, the newest unless one is named. Raises NotFound."""
    row = await tx.row(
        f"""
        SELECT {_VERSION} FROM incentives.promotion_version
        WHERE promotion_id = :promotion AND (CAST(:no AS int) IS NULL OR version_no = :no)
        ORDER BY version_no DESC LIMIT 1
        """,
        promotion=promotion_id,
        no=version_no,
    )
    if row is None:
        raise NotFound(f"promotion {promotion_id} has no version {version_no or ''}".strip())
    return msgspec.convert(dict(row._mapping), Version)


async def list_versions(tx: Tx, promotion_id: int, *, limit: int, before: int | None) -> Sequence[Version]:
    """Versions of a promotion, the newest first, below the version `before`."""
    rows = await tx.rows(
        f"""
        SELECT {_VERSION} FROM incentives.promotion_version
        WHERE promotion_id = :promotion AND version_no < coalesce(CAST(:before AS int), 2147483647)
        ORDER BY version_no DESC LIMIT :limit
        """,
        promotion=promotion_id,
        before=before,
        limit=limit,
    )
    return [msgspec.convert(dict(row._mapping), Version) for row in rows]


async def decide_version(
    tx: Tx, version: Version, then: VersionState, effective_from: datetime, passed: Passed | None = None
) -> Version:
    """Approve or reject a proposed version of a held promotion. passed: what it was approved on."""
    approved = then is VersionState.APPROVED
    new = msgspec.structs.replace(
        version,
        state=then,
        effective_from=effective_from,
        approved_by=tx.actor if approved else None,
        approved_at=tx.now if approved else None,
        **({} if passed is None else msgspec.structs.asdict(passed)),
    )
    key = (promotion_version.c.promotion_id == new.promotion_id, promotion_version.c.version_no == new.version_no)
    decided = {name: getattr(new, name) for name in ("effective_from", *_DECIDED)}
    await tx.execute(update(promotion_version).where(*key).values(**decided, state=then.value))
    return new


_IN_FORCE = """
    SELECT DISTINCT ON (p.promotion_id) p.promotion_id, p.campaign_id, v.version_no, p.state, p.starts_at, p.ends_at,
           v.terms
    FROM incentives.promotion p
    JOIN incentives.promotion_version v ON v.promotion_id = p.promotion_id AND v.state = 'approved'
    WHERE (CAST(:promotions AS bigint[]) IS NULL OR p.promotion_id = ANY(:promotions))
      AND (CAST(:states AS text[]) IS NULL OR p.state = ANY(:states))
    ORDER BY p.promotion_id, v.effective_from <= :at DESC,
             CASE WHEN v.effective_from <= :at THEN v.effective_from END DESC, v.effective_from, v.version_no DESC
"""


async def in_force(
    tx: Tx, at: datetime, *, promotion_ids: Iterable[int] | None = None, states: Iterable[State] | None = None
) -> list[InForce]:
    """The version of each approved promotion that an event at that instant falls under, by promotion.

    It is the newest that was in force by then; before all of them, the first one.
    """
    rows = await tx.rows(
        _IN_FORCE,
        at=at,
        promotions=None if promotion_ids is None else list(promotion_ids),
        states=None if states is None else [state.value for state in states],
    )
    return [msgspec.convert(dict(row._mapping), InForce) for row in rows]


async def approved_versions(tx: Tx, states: Iterable[State]) -> Sequence[Any]:
    """The approved versions of promotions in these states, by promotion, each from the instant it is in force."""
    return await tx.rows(
        """
        SELECT p.promotion_id, p.campaign_id, p.state, p.ends_at, v.version_no, v.effective_from
        FROM incentives.promotion p
        JOIN incentives.promotion_version v ON v.promotion_id = p.promotion_id AND v.state = 'approved'
        WHERE p.state = ANY(:states) ORDER BY p.promotion_id, v.effective_from, v.version_no
        """,
        states=[state.value for state in states],
    )


async def names_that_say(tx: Tx, word: str, states: Iterable[State], *, but: int) -> list[str]:
    """The names of promotions in these states, but one, whose approved terms ask for this very word."""
    rows = await tx.rows(
        """
        SELECT DISTINCT p.name FROM incentives.promotion p
        JOIN incentives.promotion_version v ON v.promotion_id = p.promotion_id AND v.state = 'approved'
        WHERE p.state = ANY(:states) AND p.promotion_id <> :but
          AND jsonb_path_exists(v.terms -> 'qualify', '$.** ? (@ == $word)',
                                jsonb_build_object('word', CAST(:word AS text)))
        ORDER BY p.name
        """,
        states=[state.value for state in states],
        but=but,
        word=word,
    )
    return [row.name for row in rows]


async def waits_for(tx: Tx, on: str, states: Iterable[State]) -> bool:
    """Whether a promotion in one of these states waits for events of a name."""
    found: bool = await tx.scalar(
        """
        SELECT EXISTS (
            SELECT FROM incentives.promotion p
            JOIN incentives.promotion_version v ON v.promotion_id = p.promotion_id AND v.state = 'approved'
            WHERE p.state = ANY(:states) AND v.terms -> 'trigger' ->> 'on' = :on)
        """,
        states=[state.value for state in states],
        on=on,
    )
    return found


async def live_versions(tx: Tx) -> Sequence[Any]:
    """The approved versions of promotions that are live under a live campaign, each from the instant it is in force."""
    return await tx.rows(
        """
        SELECT p.promotion_id, p.campaign_id, p.ends_at, v.version_no, v.effective_from, v.terms
        FROM incentives.promotion p
        JOIN incentives.campaign c ON c.campaign_id = p.campaign_id AND c.state = 'live'
        JOIN incentives.promotion_version v ON v.promotion_id = p.promotion_id AND v.state = 'approved'
        WHERE p.state = 'live' ORDER BY p.promotion_id, v.effective_from, v.version_no
        """
    )


async def hold_granting(tx: Tx, promotions: Mapping[int, int]) -> set[int]:
    """Which of these promotions, given with their campaigns, may reserve: none of them is paused until the end.

    A promotion may when it is live, and so is its campaign. Whoever grants asks this first in its transaction.
    """
    await let_grant(tx, promotions.values())
    rows = await tx.rows(
        """
        SELECT p.promotion_id FROM incentives.promotion p JOIN incentives.campaign c ON c.campaign_id = p.campaign_id
        WHERE p.promotion_id = ANY(:promotions) AND p.state = 'live' AND c.state = 'live'
        """,
        promotions=list(promotions),
    )
    return {row.promotion_id for row in rows}


async def publish(tx: Tx, of: Promotion) -> None:
    """Tell merchants of a promotion as it is now, if it is live and means anything to them."""
    found = await in_force(tx, tx.now, promotion_ids=[of.promotion_id])
    if not found:
        return
    terms = found[0].terms
    row = {
        "promotion_id": of.promotion_id,
        "name": of.name,
        "currency": of.currency,
        "starts_at": of.starts_at,
        "ends_at": of.ends_at,
        "terms": msgspec.to_builtins(public_terms(terms)),
        "merchants": merchants_of(terms),
        "live": of.state is State.LIVE and concerns_merchants(terms),
    }
    await tx.execute(
        upsert(public_promotion).values(row).on_conflict_do_update(index_elements=["promotion_id"], set_=row)
    )


async def public_promotions(
    tx: Tx,
    merchant_id: int,
    *,
    holdout: Holdout | None,
    promotion_id: int | None = None,
    limit: int,
    before: int | None = None,
) -> list[PublicPromotion]:
    """The live promotions that concern a merchant, the newest first, below the promotion `before`.

    A merchant is not told of those that would reward it for orders while it is held out of them: in the window that is
    running for it, as when its orders are judged.
    """
    found: list[PublicPromotion] = []
    while len(found) < limit:
        wanted = limit - len(found)
        rows = await tx.rows(
            """
            SELECT p.promotion_id, p.name, p.currency, p.starts_at, p.ends_at, p.terms, o.at AS joined_at
            FROM incentives.public_promotion p
            LEFT JOIN incentives.opt_in o ON o.promotion_id = p.promotion_id AND o.merchant_id = :merchant
            WHERE p.live AND (p.merchants IS NULL OR :merchant = ANY(p.merchants))
              AND (CAST(:promotion AS bigint) IS NULL OR p.promotion_id = :promotion)
              AND p.promotion_id < coalesce(CAST(:before AS bigint), 9223372036854775807)
            ORDER BY p.promotion_id DESC LIMIT :limit
            """,
            merchant=merchant_id,
            promotion=promotion_id,
            before=before,
            limit=wanted,
        )
        page = [msgspec.convert(dict(row._mapping), PublicPromotion) for row in rows]
        found += [
            one
            for one in page
            if not rewards_for_orders(one.terms)
            or not is_held_out(holdout, merchant_id, window_begins(one.terms, one.ends_at, one.joined_at, tx.now))
        ]
        if len(page) < wanted:
            break
        before = page[-1].promotion_id
    return found


async def promotions_to_look_at(tx: Tx, after: int, limit: int) -> Sequence[Any]:
    """The ids of promotions that the clock may move, those behind `after`."""
    return await tx.rows(
        """
        SELECT promotion_id FROM incentives.promotion
        WHERE promotion_id > :after AND state NOT IN ('closing', 'reviewed', 'cancelled')
        ORDER BY promotion_id LIMIT :limit
        """,
        after=after,
        limit=limit,
    )
