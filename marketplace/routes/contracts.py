"""Commission contracts: their versions, and applying new ones with the fields of the file."""

from datetime import date
from typing import Annotated

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from billing.contracts.terms import CONTRACTS_MAX, Terms, check_overlaps, check_terms, normalised
from marketplace.core.db import Database
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.flows.commission.apply_contracts import Applied, apply_versions
from marketplace.routes import contract_queries
from marketplace.routes.contract_queries import Contract
from marketplace.routes.parameters import LIMIT, Cursor, Limit, PathId
from marketplace.web.auth import ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.guards import CONTROL, MERCHANT_BOOKS, STAFF, needs
from marketplace.web.once import once
from marketplace.web.openapi import ONCE


class ApplyContracts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The same tables as the file's `[[contract]]`; all are applied or none."""

    contract: Annotated[list[Terms], msgspec.Meta(min_length=1, max_length=CONTRACTS_MAX)]


@get("/contracts", guards=[needs(STAFF, MERCHANT_BOOKS)])
async def list_contracts(
    request: ActorRequest, db: NamedDependency[Database], limit: Limit = LIMIT, cursor: Cursor = None
) -> Page[Contract]:
    """Versions by name and start. A merchant's person sees the list plans and what was negotiated with it."""
    after = decode_cursor(cursor, tuple[str, date])
    async with db.read(request.user.scope) as tx:
        rows = await contract_queries.list_contracts(tx, request.user.merchant_id, limit=limit + 1, after=after)
    return page(rows, limit, lambda row: row, lambda row: (row.terms.name, row.terms.valid_from))


@get("/contracts/{contract_id:int}", guards=[needs(STAFF, MERCHANT_BOOKS)])
async def get_contract(request: ActorRequest, db: NamedDependency[Database], contract_id: PathId) -> Contract:
    """One version."""
    async with db.read(request.user.scope) as tx:
        return await contract_queries.get_contract(tx, request.user.merchant_id, contract_id)


@post("/contracts", dto=StrictBody[ApplyContracts], guards=[needs(CONTROL)], status_code=200, opt=ONCE)
async def apply_contracts(
    request: ActorRequest, db: NamedDependency[Database], data: JSONBody[ApplyContracts]
) -> Response[Applied]:
    """Apply contract versions: new ones are added, unused ones may change, used ones keep their terms."""
    for number, terms in enumerate(data.contract):
        check_terms(terms, f"contract[{number}]")
    check_overlaps(data.contract)
    return await once(request, db, apply_versions, [normalised(terms) for terms in data.contract])


HANDLERS = [list_contracts, get_contract, apply_contracts]
