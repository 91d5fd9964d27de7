"""What merchants are won by, with what comes of it: channels, territories with their reps, pools, fairs."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import msgspec

from marketplace.core.db import Tx
from supply.leads.channels import store as channels
from supply.leads.events import store as fairs
from supply.leads.events.model import Fair
from supply.leads.model import Channel, Pool
from supply.leads.pools import store as pools
from supply.leads.territories import store as territories
from supply.leads.territories.store import Area

_REPS_MAX = 10_000


class ChannelShown(msgspec.Struct, frozen=True, kw_only=True):
    """A channel in the tree. leads: that came by it alone, not by those below it."""

    channel: Channel
    level: int
    leads: int


class RepShown(msgspec.Struct, frozen=True, kw_only=True):
    """held: leads that it works on; won: that were signed."""

    user_id: int
    login: str
    territory_id: int
    active: bool
    held: int
    won: int
    version: int


class TerritoryShown(msgspec.Struct, frozen=True, kw_only=True):
    """A territory in the tree, its manager's login, its places and reps. leads: of it alone, not of those below it."""

    territory_id: int
    name: str
    level: int
    manager: str | None
    areas: list[Area]
    reps: list[RepShown]
    leads: int
    version: int


class PoolShown(msgspec.Struct, frozen=True, kw_only=True):
    """A pool, its territory's name, and how many of its leads wait or are held by reps."""

    pool: Pool
    territory: str | None
    waiting: int
    held: int


class FairShown(msgspec.Struct, frozen=True, kw_only=True):
    """A fair, its channel's code, and how many were registered, met, and are leads."""

    fair: Fair
    channel: str
    registered: int
    met: int
    leads: int


async def show_channels(tx: Tx) -> list[ChannelShown]:
    """The whole tree, by code."""
    rows = await tx.rows("SELECT channel_id, count(*) AS leads FROM supply.lead WHERE merged_into IS NULL GROUP BY 1")
    leads = {row.channel_id: row.leads for row in rows}
    return [
        ChannelShown(channel=each, level=len(each.path) - 1, leads=leads.get(each.channel_id, 0))
        for each in await channels.list_channels(tx)
    ]


_REPS = """
    SELECT r.user_id, r.login, r.territory_id, r.active, r.version,
           (SELECT count(*) FROM supply.lead WHERE owner_id = r.user_id
            AND state IN ('claimed', 'contacted', 'visited', 'negotiating')) AS held,
           (SELECT count(*) FROM supply.lead WHERE owner_id = r.user_id
            AND state IN ('signed', 'handed_over')) AS won
    FROM supply.rep r ORDER BY r.login LIMIT :limit
"""


async def show_territories(tx: Tx) -> list[TerritoryShown]:
    """The whole tree, each below what it belongs to, by name."""
    known = {each.territory_id: each for each in await territories.list_territories(tx)}
    managers = await _logins(tx, [each.manager_id for each in known.values() if each.manager_id is not None])
    rows = await tx.rows("SELECT territory_id, count(*) AS leads FROM supply.lead WHERE merged_into IS NULL GROUP BY 1")
    leads = {row.territory_id: row.leads for row in rows}
    reps = [RepShown(**row._mapping) for row in await tx.rows(_REPS, limit=_REPS_MAX)]
    in_order = sorted(known.values(), key=lambda each: [known[above].name for above in each.path])
    return [
        TerritoryShown(
            territory_id=each.territory_id, name=each.name, level=len(each.path) - 1,
            manager=managers.get(each.manager_id or 0), areas=await territories.list_areas(tx, each.territory_id),
            reps=[rep for rep in reps if rep.territory_id == each.territory_id],
            leads=leads.get(each.territory_id, 0), version=each.version,
        )
        for each in in_order
    ]  # fmt: skip


async def _logins(tx: Tx, user_ids: Sequence[int]) -> dict[int, str]:
    rows = await tx.rows("SELECT user_id, login FROM core.app_user WHERE user_id = ANY(:users)", users=list(user_ids))
    return {row.user_id: row.login for row in rows}


async def show_pools(tx: Tx) -> list[PoolShown]:
    """Every pool, by name."""
    rows = await tx.rows(
        """
        SELECT pool_id, count(*) FILTER (WHERE state = 'pooled') AS waiting,
               count(*) FILTER (WHERE state IN ('claimed', 'contacted', 'visited', 'negotiating')) AS held
        FROM supply.lead WHERE pool_id IS NOT NULL GROUP BY pool_id
        """
    )
    counts = {row.pool_id: row for row in rows}
    areas = {each.territory_id: each.name for each in await territories.list_territories(tx)}

    def shown(pool: Pool) -> PoolShown:
        found: Any = counts.get(pool.pool_id)
        waiting, held = (found.waiting, found.held) if found else (0, 0)
        return PoolShown(pool=pool, territory=areas.get(pool.territory_id or 0), waiting=waiting, held=held)

    return [shown(pool) for pool in await pools.list_pools(tx)]


async def show_fairs(tx: Tx, *, limit: int, before: tuple[date, int] | None = None) -> list[FairShown]:
    """At most `limit` fairs, the latest first, behind (first day, id). A person who sells sees whom it has met."""
    found = await fairs.list_fairs(tx, limit=limit, before=before)
    rows = await tx.rows(
        """
        SELECT fair_id, count(*) AS registered, count(scanned_at) AS met, count(DISTINCT lead_id) AS leads
        FROM supply.attendee WHERE fair_id = ANY(:fairs) GROUP BY fair_id
        """,
        fairs=[each.fair_id for each in found],
    )
    counts = {row.fair_id: row for row in rows}
    codes = {each.channel_id: each.code for each in await channels.list_channels(tx)}

    def shown(fair: Fair) -> FairShown:
        of: Any = counts.get(fair.fair_id)
        registered, met, leads = (of.registered, of.met, of.leads) if of else (0, 0, 0)
        return FairShown(fair=fair, channel=codes[fair.channel_id], registered=registered, met=met, leads=leads)

    return [shown(fair) for fair in found]
