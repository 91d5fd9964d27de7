"""Every statement on channels and what was spent on them."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import msgspec
from sqlalchemy import insert, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import IntegrityError

from marketplace.core import outbox
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, Invalid, NotFound
from marketplace.core.ids import time_ordered_id
from supply.leads.channels.standard import STANDARD
from supply.leads.model import Channel, ChannelCost, ChannelKind, CostKind
from supply.leads.tables import channel, channel_cost

_CHANNEL = [channel.c[field] for field in Channel.__struct_fields__]
_COST = [channel_cost.c[field] for field in ChannelCost.__struct_fields__]


async def ensure_channels(tx: Tx) -> None:
    """The standard tree, in a database that has no channel yet."""
    if await tx.scalar(select(channel.c.channel_id).limit(1)) is None:
        await tx.execute(upsert(channel).on_conflict_do_nothing(), [msgspec.structs.asdict(each) for each in STANDARD])


async def list_channels(tx: Tx) -> list[Channel]:
    """The whole tree, by code."""
    return [_channel(row) for row in await tx.rows(select(*_CHANNEL).order_by(channel.c.code))]


async def get_channel(tx: Tx, channel_id: int, *, lock: bool = False) -> Channel:
    """A channel, held until the transaction ends when `lock` says so. Raises NotFound."""
    query = select(*_CHANNEL).where(channel.c.channel_id == channel_id)
    row = await tx.row(query.with_for_update() if lock else query)
    if row is None:
        raise NotFound(f"there is no channel {channel_id}")
    return _channel(row)


async def channel_of(tx: Tx, code: str) -> Channel:
    """The channel of a code. Raises Invalid for one that there is not, or that is used no more."""
    row = await tx.row(select(*_CHANNEL).where(channel.c.code == code))
    if row is None or not row.active:
        raise Invalid(f"channel: {code!r} is {'not in use any more' if row else 'no channel'}", pointer="/channel")
    return _channel(row)


async def add_channel(tx: Tx, parent: Channel, key: str, name: str) -> Channel:
    """A channel below another. Raises Conflict for a code in use."""
    channel_id = time_ordered_id(tx.now)
    new = Channel(
        channel_id=channel_id, code=f"{parent.code}.{key}", name=name, kind=parent.kind, parent_id=parent.channel_id,
        path=[*parent.path, channel_id], active=True, version=1,
    )  # fmt: skip
    try:
        await tx.execute(insert(channel), msgspec.structs.asdict(new))
    except IntegrityError as fault:
        raise Conflict(f"key: there is a channel {new.code} already", pointer="/key") from fault
    return new


async def edit_channel(tx: Tx, channel_id: int, *, name: str, active: bool) -> Channel:
    """Rename a channel or take it out of use; its version was compared."""
    await tx.execute(
        "UPDATE supply.channel SET name = :name, active = :active, version = version + 1 WHERE channel_id = :channel",
        {"channel": channel_id, "name": name, "active": active},
    )
    return await get_channel(tx, channel_id)


async def add_costs(tx: Tx, rows: Sequence[ChannelCost]) -> list[ChannelCost]:
    """Store entries and return those that were new; one with a ref that is stored already is left as it is."""
    if not rows:
        return []
    new = [{**msgspec.structs.asdict(row), "made_by": tx.actor, "made_at": tx.now} for row in rows]
    statement = upsert(channel_cost).values(new).on_conflict_do_nothing(index_elements=["cost_ref"])
    stored = {row.cost_id for row in (await tx.execute(statement.returning(channel_cost.c.cost_id))).all()}
    added = [row for row in rows if row.cost_id in stored]
    if added:
        days = [row.spent_on for row in added]
        told = {"channel_ids": sorted({row.channel_id for row in added}), "from_on": min(days), "through": max(days)}
        await outbox.emit(tx, "supply.channel_costs_added.v1", told | {"entries": len(added)})
    return added


async def costs_of_refs(tx: Tx, refs: Sequence[str]) -> dict[str, ChannelCost]:
    """What is stored under refs."""
    rows = await tx.rows(select(*_COST).where(channel_cost.c.cost_ref.in_(refs)))
    return {row.cost_ref: _cost(row) for row in rows}


class CostFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Spent in [from_on, to_on); None leaves a side open, and a campaign or seller of "" is none."""

    channel_id: int | None = None
    campaign: str | None = None
    seller: str | None = None
    from_on: date | None = None
    to_on: date | None = None


_EVERY = CostFilter()


async def list_costs(
    tx: Tx, *, limit: int, before: tuple[date, int] | None = None, wanted: CostFilter = _EVERY
) -> list[ChannelCost]:
    """At most `limit` entries, the newest days first, behind (day, id)."""
    rows = await tx.rows(
        f"""
        SELECT {", ".join(ChannelCost.__struct_fields__)} FROM supply.channel_cost
        WHERE (CAST(:channel_id AS bigint) IS NULL OR channel_id = :channel_id)
          AND (CAST(:campaign AS text) IS NULL OR campaign = :campaign)
          AND (CAST(:seller AS text) IS NULL OR seller = :seller)
          AND (CAST(:from_on AS date) IS NULL OR spent_on >= :from_on)
          AND (CAST(:to_on AS date) IS NULL OR spent_on < :to_on)
          AND (CAST(:day AS date) IS NULL OR (spent_on, cost_id) < (:day, :cost))
        ORDER BY spent_on DESC, cost_id DESC LIMIT :limit
        """,
        **msgspec.structs.asdict(wanted),
        day=before[0] if before else None,
        cost=before[1] if before else None,
        limit=limit,
    )
    return [_cost(row) for row in rows]


async def spent(tx: Tx, from_on: date, to_on: date, currency: str) -> Sequence[Any]:
    """What was spent from a day to before another, by channel and kind."""
    return await tx.rows(
        """
        SELECT channel_id, kind, sum(amount_minor)::bigint AS amount_minor FROM supply.channel_cost
        WHERE spent_on >= :from_on AND spent_on < :to_on AND currency = :currency
        GROUP BY channel_id, kind
        """,
        from_on=from_on,
        to_on=to_on,
        currency=currency,
    )


def _channel(row: Any) -> Channel:
    return Channel(**{**row._mapping, "kind": ChannelKind(row.kind)})


def _cost(row: Any) -> ChannelCost:
    return ChannelCost(**{**row._mapping, "kind": CostKind(row.kind)})
