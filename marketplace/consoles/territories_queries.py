"""What the pages of territories and pools show: the tree with its managers and reps, one rep, pools and their leads."""

from collections.abc import Sequence

import msgspec

from marketplace.core.db import Tx
from marketplace.core.errors import NotFound
from marketplace.core.users import SALES_ROLES, UserRole
from marketplace.flows.acquisition.show_field import (
    PoolShown,
    RepShown,
    TerritoryShown,
    show_pools,
    show_territories,
)
from supply.leads.model import LeadCard, Pool
from supply.leads.pools import store as pools

CARDS_MAX = 50


class TerritoriesPage(msgspec.Struct, frozen=True):
    """The tree. managers: logins of who may be in charge."""

    territories: Sequence[TerritoryShown]
    managers: Sequence[str]


class TerritoryPage(msgspec.Struct, frozen=True):
    """One of them. sellers: logins of who sells and is no rep yet."""

    territory: TerritoryShown
    managers: Sequence[str]
    sellers: Sequence[str]


class RepPage(msgspec.Struct, frozen=True):
    """A rep, where it may go, and the pools that its leads may go to."""

    rep: RepShown
    territories: Sequence[TerritoryShown]
    pools: Sequence[Pool]


class PoolsPage(msgspec.Struct, frozen=True):
    """Every pool. territories: that one may be of."""

    pools: Sequence[PoolShown]
    territories: Sequence[TerritoryShown]


class PoolPage(msgspec.Struct, frozen=True):
    """One of them, with the most promising leads that wait in it."""

    shown: PoolShown
    territories: Sequence[TerritoryShown]
    cards: Sequence[LeadCard]


async def territories_page(tx: Tx) -> TerritoriesPage:
    """All of them."""
    return TerritoriesPage(await show_territories(tx), await _logins(tx, {UserRole.SALES_MANAGER}))


async def territory_page(tx: Tx, territory_id: int) -> TerritoryPage:
    """Raises NotFound."""
    tree = await show_territories(tx)
    found = next((each for each in tree if each.territory_id == territory_id), None)
    if found is None:
        raise NotFound(f"there is no territory {territory_id}")
    reps = {rep.login for each in tree for rep in each.reps}
    sellers = [login for login in await _logins(tx, SALES_ROLES) if login not in reps]
    return TerritoryPage(found, await _logins(tx, {UserRole.SALES_MANAGER}), sellers)


async def rep_page(tx: Tx, user_id: int) -> RepPage:
    """Raises NotFound."""
    tree = await show_territories(tx)
    found = next((rep for each in tree for rep in each.reps if rep.user_id == user_id), None)
    if found is None:
        raise NotFound(f"there is no rep {user_id}")
    return RepPage(found, tree, await pools.list_pools(tx))


async def pools_page(tx: Tx) -> PoolsPage:
    """All of them."""
    return PoolsPage(await show_pools(tx), await show_territories(tx))


async def pool_page(tx: Tx, pool_id: int) -> PoolPage:
    """Raises NotFound."""
    found = next((each for each in await show_pools(tx) if each.pool.pool_id == pool_id), None)
    if found is None:
        raise NotFound(f"there is no pool {pool_id}")
    return PoolPage(found, await show_territories(tx), await pools.list_cards(tx, pool_id, limit=CARDS_MAX))


async def _logins(tx: Tx, roles: frozenset[UserRole] | set[UserRole]) -> list[str]:
    """Who is active in one of these roles."""
    rows = await tx.rows(
        "SELECT login FROM core.app_user WHERE active AND roles && CAST(:roles AS text[]) ORDER BY login",
        roles=sorted(roles),
    )
    return [row.login for row in rows]
