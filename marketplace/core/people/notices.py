"""What people are told of: rows that commit with their event, read in the console and mailed by the worker."""

from collections.abc import Sequence, Set
from datetime import datetime
from enum import StrEnum

import msgspec
from sqlalchemy import insert, select
from sqlalchemy.dialects.postgresql import insert as upsert

from marketplace.core.db import Database, Tx
from marketplace.core.ids import time_ordered_id
from marketplace.core.people.tables import notice, notice_reader
from marketplace.core.users import FINANCE_ROLES, OPS_ROLES, UserRole


class Audience(StrEnum):
    """Who is told: the people of one merchant who keep its books, or those of the house."""

    MERCHANT = "merchant"
    OPS = "ops"
    FINANCE = "finance"


KEEPERS: dict[Audience, frozenset[str]] = {
    Audience.MERCHANT: frozenset({UserRole.MERCHANT_OWNER, UserRole.MERCHANT_MANAGER}),
    Audience.OPS: frozenset(OPS_ROLES | {UserRole.ADMIN}),
    Audience.FINANCE: frozenset(FINANCE_ROLES | {UserRole.ADMIN}),
}
"""Whose roles make them somebody who is told."""

UNREAD_MAX = 100
"""Of so many unread notices nobody needs to know how many more there are."""


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that has happened. kind names its words; path: the page that shows it."""

    notice_id: int
    audience: Audience
    merchant_id: int | None
    kind: str
    path: str
    made_at: datetime


class Reading(msgspec.Struct, frozen=True):
    """How far somebody has read, and whether it wants mails."""

    seen_id: int = 0
    by_mail: bool = True


class Reader(msgspec.Struct, frozen=True):
    """Somebody who is told by mail."""

    audience: Audience
    merchant_id: int | None
    email: str
    locale: str


_COLUMNS = [notice.c[name] for name in Notice.__struct_fields__]


async def add_notices(tx: Tx, told: Sequence[tuple[Audience, int | None, str, str]]) -> list[Notice]:
    """Store (audience, merchant, kind, path) as notices."""
    made = [
        Notice(
            notice_id=time_ordered_id(tx.now), audience=audience, merchant_id=merchant_id, kind=kind, path=path,
            made_at=tx.now,
        )
        for audience, merchant_id, kind, path in told
    ]  # fmt: skip
    if made:
        await tx.execute(insert(notice), [msgspec.structs.asdict(one) for one in made])
    return made


async def list_notices(
    tx: Tx, audiences: Sequence[Audience], merchant_id: int | None, *, limit: int, before: int | None
) -> list[Notice]:
    """At most `limit` notices for these people, the newest first, those before the id `before`."""
    query = select(*_COLUMNS).where(notice.c.audience.in_(audiences))
    query = query.where(notice.c.merchant_id.is_not_distinct_from(merchant_id))
    if before is not None:
        query = query.where(notice.c.notice_id < before)
    rows = await tx.rows(query.order_by(notice.c.notice_id.desc()).limit(limit))
    return [Notice(**{**row._mapping, "audience": Audience(row.audience)}) for row in rows]


def audiences_of(roles: Set[str], merchant_id: int | None) -> list[Audience]:
    """As whom somebody is told."""
    return [
        audience
        for audience, keepers in KEEPERS.items()
        if roles & keepers and (audience is Audience.MERCHANT) == (merchant_id is not None)
    ]


async def count_unread(db: Database, user_id: int, audiences: Sequence[Audience], merchant_id: int | None) -> int:
    """How many notices are new to somebody, UNREAD_MAX at most: one statement over an index."""
    if not audiences:
        return 0
    told = "audience = ANY($2)" if merchant_id is None else "merchant_id = $2"
    row = await db.lookup(
        f"""
        SELECT count(*) AS unread FROM (
            SELECT FROM core.notice WHERE {told} AND notice_id >
                coalesce((SELECT seen_id FROM core.notice_reader WHERE user_id = $1), 0) LIMIT {UNREAD_MAX}) AS new
        """,
        user_id,
        list(audiences) if merchant_id is None else merchant_id,
    )
    assert row is not None
    return int(row["unread"])


async def reading_of(tx: Tx, user_id: int) -> Reading:
    row = await tx.row(
        select(notice_reader.c.seen_id, notice_reader.c.by_mail).where(notice_reader.c.user_id == user_id)
    )
    return Reading(*row) if row else Reading()


async def set_reading(tx: Tx, user_id: int, *, seen_id: int | None = None, by_mail: bool | None = None) -> None:
    """Note what somebody has read, or wants; None leaves it as it is."""
    values = {name: value for name, value in (("seen_id", seen_id), ("by_mail", by_mail)) if value is not None}
    statement = upsert(notice_reader).values(user_id=user_id, **values)
    await tx.execute(statement.on_conflict_do_update(index_elements=["user_id"], set_=values))


async def readers_by_mail(tx: Tx, audiences: Sequence[tuple[Audience, int | None]]) -> list[Reader]:
    """Who of these is told by mail: active people with an address who have not said that they want none."""
    found = []
    for audience, merchant_id in dict.fromkeys(audiences):
        rows = await tx.rows(
            """
            SELECT u.email, u.locale FROM core.app_user u LEFT JOIN core.notice_reader r ON r.user_id = u.user_id
            WHERE u.merchant_id IS NOT DISTINCT FROM CAST(:merchant AS bigint) AND u.active AND u.email IS NOT NULL
              AND u.roles && CAST(:roles AS text[]) AND coalesce(r.by_mail, true)
            ORDER BY u.user_id
            """,
            merchant=merchant_id,
            roles=sorted(KEEPERS[audience]),
        )
        found += [Reader(audience, merchant_id, row.email, row.locale) for row in rows]
    return found
