"""What an ERP calls our accounts, on a page: said account by account, and the journal in its words."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from billing.exports import store
from billing.exports.model import ErpAccount
from billing.ledger.chart import Account
from billing.ledger.store import trial_balance
from marketplace.consoles import ops_queries
from marketplace.consoles.deeds import Refused, carry_out, done, text
from marketplace.consoles.layout import Nothing, send
from marketplace.consoles.ops_queries import Entity
from marketplace.core.db import STAFF, Database, Tx
from marketplace.flows.books.export_journal import SetErpAccounts, set_erp_accounts
from marketplace.web.auth import ActorRequest

HERE = "/finance/erp-accounts"


class ErpPage(msgspec.Struct, frozen=True):
    """Our accounts and what the entity's ERP has for each. used: those that the entity's books stand on."""

    entity: Entity
    entities: Sequence[Entity]
    accounts: Mapping[int, ErpAccount | None]
    used: frozenset[int]

    @property
    def missing(self) -> list[int]:
        """Accounts that the journal cannot be written with."""
        return [account for account in sorted(self.used) if self.accounts[account] is None]


@get("/erp-accounts")
async def erp_accounts(
    request: ActorRequest, db: NamedDependency[Database], entity: FromQuery[int | None] = None
) -> Response[str]:
    """Which account of the ERP takes what we have on each of ours."""
    return await show_accounts(request, db, entity)


async def show_accounts(
    request: ActorRequest, db: Database, entity_id: int | None, refused: Refused | None = None
) -> Response[str]:
    async with db.read(STAFF) as tx:
        entity = await ops_queries.get_entity(tx, entity_id)
        if entity is None:
            return send(request, "empty.html", Nothing(), "reports")
        set_for = {one.account: one for one in await store.list_erp_accounts(tx, entity.entity_id)}
        used = {int(line.account) for line in await trial_balance(tx, entity_id=entity.entity_id)}
        entities = await ops_queries.list_entities(tx)
    page = ErpPage(entity, entities, {int(code): set_for.get(int(code)) for code in Account}, frozenset(used))
    return send(request, "finance/erp.html", page, "reports", refused=refused)


@post("/erp-accounts/{entity:int}")
async def set_accounts(request: ActorRequest, db: NamedDependency[Database], entity: FromPath[int]) -> Response[Any]:
    """Take the whole mapping in the place of the one before; an account without a number is not mapped."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        await ops_queries.get_entity(tx, entity)
        accounts = tuple(_account(typed, entity, int(code)) for code in Account if typed.get(f"number:{code:d}"))
        await set_erp_accounts(tx, SetErpAccounts(entity_id=entity, accounts=accounts))
        return done(f"{HERE}?entity={entity}", "erp_accounts")

    return await carry_out(request, db, work, again=lambda why: show_accounts(request, db, entity, why))


def _account(typed: Mapping[str, str], entity_id: int, code: int) -> ErpAccount:
    return ErpAccount(
        entity_id=entity_id,
        account=code,
        number=text(typed, f"number:{code}", most=100),
        name=text(typed, f"name:{code}", most=200),
        cost_center=text(typed, f"cost_center:{code}", most=200),
        tax_code=text(typed, f"tax_code:{code}", most=200),
    )


PAGES = [erp_accounts, set_accounts]
