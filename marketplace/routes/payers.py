"""Third-party payers, their contracts, caps and statements. A payer's person sees its own."""

from datetime import date
from typing import Annotated, Literal

import msgspec
from litestar import Response, get, patch, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter

from billing.payers import store
from billing.payers.caps import store as caps
from billing.payers.caps.store import Cap
from billing.payers.claims import store as claims
from billing.payers.claims.ageing import Aged, age_claims
from billing.payers.claims.store import PayerStatement, Rejection
from billing.payers.store import Payer, Version
from billing.payers.terms import VERSIONS_MAX, PayerTerms, check_terms, check_versions, normalised
from marketplace.core.db import Database, Tx
from marketplace.core.errors import Invalid, NotFound
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.flows.payers.apply_payer_contracts import PayersApplied, apply_payer_versions
from marketplace.routes.fields import Address, Country, Label, TaxId
from marketplace.routes.parameters import LIMIT, Cursor, Limit, PathId, QueryId
from marketplace.web.auth import Actor, ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.etag import edited, tagged, versioned
from marketplace.web.guards import CONTROL, FINANCE, PAYER, STAFF, needs
from marketplace.web.once import once
from marketplace.web.openapi import ONCE

FromOn = Annotated[date, QueryParameter(description="The first local day.")]
ToOn = Annotated[date, QueryParameter(description="The local day after the last.")]
Email = Annotated[str, msgspec.Meta(max_length=200, pattern=r"^([^\s\x00@]+@[^\s\x00@]+)?$")]


class NewPayer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """email: where claims and reminders go. address, country, tax_id: as they stand on its invoices."""

    name: Annotated[Label, msgspec.Meta(min_length=1)]
    kind: Literal["brand", "bank", "insurer", "government", "distributor"]
    email: Email = ""
    address: Address = ""
    country: Country = ""
    tax_id: TaxId = ""


class EditPayer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is named changes, from the next claim and invoice on."""

    email: Email | None = None
    address: Address | None = None
    country: Country | None = None
    tax_id: TaxId | None = None


class ApplyPayerContracts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The same tables as the file's `[[payer_contract]]`; all are applied or none."""

    payer_contract: Annotated[list[PayerTerms], msgspec.Meta(min_length=1, max_length=VERSIONS_MAX)]


def check_payer(actor: Actor, payer_id: int) -> None:
    """Raise NotFound when a payer's person names another payer: to it there is none."""
    if actor.payer_id not in {None, payer_id}:
        raise NotFound(f"there is no payer {payer_id}")


def own_payer_or(actor: Actor, payer_id: int | None) -> int | None:
    """The payer a list is narrowed to: always the caller's own for a payer's person, else the one asked for."""
    if actor.payer_id is not None and payer_id is not None:
        check_payer(actor, payer_id)
    return payer_id if actor.payer_id is None else actor.payer_id


@get("/payers", guards=[needs(STAFF, PAYER)])
async def list_payers(
    request: ActorRequest, db: NamedDependency[Database], limit: Limit = LIMIT, cursor: Cursor = None
) -> Page[Payer]:
    """Payers by id; a payer's person sees its own."""
    (after,) = decode_cursor(cursor, tuple[int]) or (0,)
    async with db.read(request.user.scope) as tx:
        rows = await store.list_payers(tx, limit=limit + 1, after=after)
    return page(rows, limit, lambda row: row, lambda row: (row.payer_id,))


@post("/payers", dto=StrictBody[NewPayer], guards=[needs(CONTROL)], status_code=201, opt=ONCE)
async def create_payer(
    request: ActorRequest, db: NamedDependency[Database], data: JSONBody[NewPayer]
) -> Response[Payer]:
    """A new payer. Its contracts name it."""

    async def work(tx: Tx) -> Payer:
        return await store.insert_payer(tx, **{**msgspec.structs.asdict(data), "name": data.name.strip()})

    if not data.name.strip():
        raise Invalid("name: is empty", pointer="/name")
    return await once(request, db, work)


@get("/payers/{payer_id:int}", guards=[needs(STAFF, PAYER)])
async def get_payer(request: ActorRequest, db: NamedDependency[Database], payer_id: PathId) -> Response[Payer]:
    """A payer."""
    check_payer(request.user, payer_id)
    async with db.read(request.user.scope) as tx:
        found = await store.get_payer(tx, payer_id)
    return tagged(found, found.version)


@patch(
    "/payers/{payer_id:int}",
    dto=StrictBody[EditPayer],
    guards=[needs(CONTROL)],
    opt=versioned(),
)
async def edit_payer(
    request: ActorRequest, db: NamedDependency[Database], payer_id: PathId, data: JSONBody[EditPayer]
) -> Response[Payer]:
    """Give a payer another address, for mails or for its invoices."""
    named = {name: value for name, value in msgspec.structs.asdict(data).items() if value is not None}

    async def change(tx: Tx, held: Payer) -> Payer:
        return await store.update_payer(tx, msgspec.structs.replace(held, **named))

    return await edited(request, db, lambda tx: store.get_payer(tx, payer_id, lock=True), change)


@get("/payer-contracts", guards=[needs(STAFF, PAYER)])
async def list_payer_contracts(
    request: ActorRequest,
    db: NamedDependency[Database],
    payer_id: QueryId = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[Version]:
    """Versions of payer contracts, by contract and start: of one payer or of all."""
    after = decode_cursor(cursor, tuple[int, date])
    payer = own_payer_or(request.user, payer_id)
    async with db.read(request.user.scope) as tx:
        rows = await store.list_versions(tx, payer_id=payer, limit=limit + 1, after=after)
    return page(rows, limit, lambda row: row, lambda row: (row.contract_id, row.terms.valid_from))


@post(
    "/payer-contracts",
    dto=StrictBody[ApplyPayerContracts],
    guards=[needs(CONTROL)],
    status_code=200,
    opt=ONCE,
)
async def apply_payer_contracts(
    request: ActorRequest, db: NamedDependency[Database], data: JSONBody[ApplyPayerContracts]
) -> Response[PayersApplied]:
    """Apply versions: new ones are added, unused ones may change, used ones keep their terms.

    409 for a cap below what is committed of it.
    """
    for number, terms in enumerate(data.payer_contract):
        check_terms(terms, f"payer_contract[{number}]")
    check_versions(data.payer_contract)
    return await once(request, db, apply_payer_versions, [normalised(terms) for terms in data.payer_contract])


@get("/payers/{payer_id:int}/caps", guards=[needs(STAFF, PAYER)])
async def list_caps(request: ActorRequest, db: NamedDependency[Database], payer_id: PathId) -> list[Cap]:
    """Where a payer's caps stand, in the periods in which anything was taken of them."""
    check_payer(request.user, payer_id)
    async with db.read(request.user.scope) as tx:
        await store.get_payer(tx, payer_id)
        return await caps.list_caps(tx, payer_id)


@get("/payers/{payer_id:int}/statement", guards=[needs(FINANCE, PAYER)])
async def get_payer_statement(
    request: ActorRequest, db: NamedDependency[Database], payer_id: PathId, from_on: FromOn, to_on: ToOn
) -> list[PayerStatement]:
    """What the payer was asked for and has paid between two local days, by currency."""
    check_payer(request.user, payer_id)
    async with db.read(request.user.scope) as tx:
        await store.get_payer(tx, payer_id)
        return await claims.statement_of(tx, payer_id, from_on, to_on)


@get("/payers/{payer_id:int}/rejections", guards=[needs(FINANCE, PAYER)])
async def list_rejections(
    request: ActorRequest,
    db: NamedDependency[Database],
    payer_id: PathId,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[Rejection]:
    """What the payer refused, and what of it is claimed again, the newest first."""
    check_payer(request.user, payer_id)
    (after,) = decode_cursor(cursor, tuple[int]) or (None,)
    async with db.read(request.user.scope) as tx:
        await store.get_payer(tx, payer_id)
        rows = await claims.list_rejections(tx, payer_id, limit=limit + 1, after=after)
    return page(rows, limit, lambda row: row, lambda row: (row.rejection_id,))


@get("/claim-ageing", guards=[needs(FINANCE, PAYER)])
async def get_ageing(request: ActorRequest, db: NamedDependency[Database], payer_id: QueryId = None) -> list[Aged]:
    """Open claims by how long they are overdue today (UTC): of one payer or of all."""
    payer = own_payer_or(request.user, payer_id)
    async with db.read(request.user.scope) as tx:
        open_claims = await claims.open_claims(tx, payer)
    return age_claims(open_claims, db.clock.now().date())


HANDLERS = [
    list_payers,
    create_payer,
    get_payer,
    edit_payer,
    list_payer_contracts,
    apply_payer_contracts,
    list_caps,
    get_payer_statement,
    list_rejections,
    get_ageing,
]
