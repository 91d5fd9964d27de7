"""Process: growth arranges how merchants are won: territories, who is in charge of them, their reps, pools' rules."""

import msgspec

from marketplace.core.db import Tx
from marketplace.core.errors import Invalid
from marketplace.core.users import SALES_ROLES, UserRole, get_user
from marketplace.flows.acquisition.claim_leads import retire_rep
from marketplace.flows.acquisition.work_leads import check_zone
from supply.leads.identity import plain
from supply.leads.model import Pool, Rep, Territory
from supply.leads.pools import store as pools
from supply.leads.pools.store import NewPool
from supply.leads.territories import store
from supply.leads.territories.store import Area


class ChangeRep(msgspec.Struct, frozen=True, kw_only=True):
    """None leaves a field as it is. Who goes out of service names the pool that its leads go to."""

    territory_id: int | None = None
    active: bool | None = None
    pool_id: int | None = None


async def make_territory(tx: Tx, name: str, parent_id: int | None, manager: str | None) -> Territory:
    """A territory, below another or not. manager: a login. Raises NotFound, Invalid, Conflict."""
    parent = await store.get_territory(tx, parent_id) if parent_id is not None else None
    return await store.add_territory(tx, name, parent, await _manager(tx, manager))


async def put_in_charge(tx: Tx, territory_id: int, manager: str | None) -> Territory:
    """Let somebody manage a territory, whose version was compared, or nobody. Raises NotFound, Invalid."""
    return await store.set_manager(tx, territory_id, await _manager(tx, manager))


async def _manager(tx: Tx, login: str | None) -> int | None:
    return await _user_id(tx, login, "manager", UserRole.SALES_MANAGER) if login is not None else None


async def _user_id(tx: Tx, login: str, field: str, *roles: UserRole) -> int:
    user = await get_user(tx, login)
    if not set(roles) & set(user.roles):
        raise Invalid(f"{field}: {login} is {', '.join(user.roles)}, not {' or '.join(roles)}", pointer=f"/{field}")
    return user.user_id


async def give_area(tx: Tx, territory_id: int, region: str, city: str) -> Area:
    """Give a place to a territory. Raises NotFound, Invalid for one that is none when it is compared."""
    if not plain(region):
        raise Invalid("region: has no letter or digit", pointer="/region")
    await store.get_territory(tx, territory_id)
    return await store.add_area(tx, territory_id, region, city)


async def take_on_rep(tx: Tx, login: str, territory_id: int) -> Rep:
    """Let a user win merchants in a territory. Raises NotFound, Invalid, Conflict."""
    await store.get_territory(tx, territory_id)
    user_id = await _user_id(tx, login, "login", *sorted(SALES_ROLES))
    return await store.add_rep(tx, user_id, login, territory_id)


async def change_rep(tx: Tx, held: Rep, cmd: ChangeRep) -> Rep:
    """Move a held rep, whose version was compared, or take it out of service: what it holds goes back at once."""
    territory_id = held.territory_id if cmd.territory_id is None else cmd.territory_id
    await store.get_territory(tx, territory_id)
    active = held.active if cmd.active is None else cmd.active
    if held.active and not active:
        if cmd.pool_id is None:
            raise Invalid("pool_id: say where the rep's leads are to go", pointer="/pool_id")
        await retire_rep(tx, held.user_id, cmd.pool_id)
    return await store.edit_rep(tx, held.user_id, territory_id=territory_id, active=active)


async def make_pool(tx: Tx, new: NewPool) -> Pool:
    """Raises Invalid, NotFound, Conflict."""
    await _check_pool(tx, new)
    return await pools.add_pool(tx, new)


async def change_pool(tx: Tx, pool_id: int, new: NewPool) -> Pool:
    """Other rules for a held pool, whose version was compared, from now on. Raises Invalid, NotFound, Conflict."""
    await _check_pool(tx, new)
    return await pools.edit_pool(tx, pool_id, new)


async def _check_pool(tx: Tx, new: NewPool) -> None:
    check_zone(new.zone)
    if new.territory_id is not None:
        await store.get_territory(tx, new.territory_id)
