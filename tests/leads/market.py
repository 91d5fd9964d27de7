"""A sales organisation: two territories below one, their managers and reps, a pool; and leads as they come in."""

from typing import Any

import msgspec

from marketplace.core import users
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.acquisition.work_leads import LeadDetail, NewLead, add_lead
from supply.leads.model import Lead, Model, Pool, Rep
from supply.leads.pools import store as pools
from supply.leads.territories import store as territories


class Organisation(msgspec.Struct, kw_only=True):
    """north is managed by nina, everything by max; rita and rolf sell in the north, sue in the south."""

    pool: Pool
    north: int
    south: int
    rita: Rep
    rolf: Rep
    sue: Rep
    max_id: int
    nina_id: int


async def organise(db: Database, **pool: Any) -> Organisation:
    """Make it, with the pool's rules that are given."""
    return await db.write(WORKER, "test", _organise, pool)


async def _organise(tx: Tx, rules: dict[str, Any]) -> Organisation:
    ids = {}
    for login, role in (("max", "manager"), ("nina", "manager"), ("rita", "rep"), ("rolf", "rep"), ("sue", "rep")):
        ids[login] = (await users.create_user(tx, login, login.title(), [f"sales_{role}"])).user_id
    whole = await territories.add_territory(tx, "all", None, ids["max"])
    north = await territories.add_territory(tx, "north", whole, ids["nina"])
    south = await territories.add_territory(tx, "south", whole, None)
    await territories.add_area(tx, north.territory_id, "North", "")
    await territories.add_area(tx, south.territory_id, "South", "")
    await territories.add_area(tx, south.territory_id, "North", "Border Town")
    reps = {}
    for login, area in (("rita", north), ("rolf", north), ("sue", south)):
        reps[login] = await territories.add_rep(tx, ids[login], login, area.territory_id)
    defaults = {
        "territory_id": north.territory_id, "zone": "UTC", "daily_max": 5, "stock_max": 10, "protection_days": 3,
        "idle_days": 7, "outcome_days": 30, "cooling_days": 14,
    }  # fmt: skip
    pool = await pools.add_pool(tx, pools.NewPool(name="northern", **{**defaults, **rules}))
    return Organisation(
        pool=pool, north=north.territory_id, south=south.territory_id, rita=reps["rita"], rolf=reps["rolf"],
        sue=reps["sue"], max_id=ids["max"], nina_id=ids["nina"],
    )  # fmt: skip


async def bring(db: Database, company: str = "Shop", **values: Any) -> Lead:
    """A lead that has come in."""
    known = {"model": Model.PLATFORM, "channel": "online.form", "region": "North", **values}
    detail: LeadDetail = await db.write(WORKER, "test", add_lead, NewLead(company=company, **known))
    return detail.lead
