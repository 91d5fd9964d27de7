"""Currencies that legal entities keep books in, approved rates, and exchange between balances."""

from datetime import date
from typing import Annotated

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from billing.exchange import store
from billing.exchange.model import Exchange, Rate
from billing.exchange.store import EntityCurrency, NewRate
from marketplace.core.db import Database
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.flows.books import exchange_money as flow
from marketplace.flows.books.exchange_money import ExchangeAtBank, ExchangeBalance, Revalue, Revalued
from marketplace.routes.fields import Currency, EntityId, Id, Label, Positive, Reason, Reference
from marketplace.routes.parameters import LIMIT, Cursor, Limit, PathId, PathNo, check_books
from marketplace.web.auth import ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.guards import CONTROL, FINANCE, MERCHANT_BOOKS, STAFF, needs
from marketplace.web.once import once
from marketplace.web.openapi import ALSO, ONCE


class NewCurrency(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    entity_id: EntityId
    currency: Currency


class Currencies(msgspec.Struct, frozen=True, kw_only=True):
    currencies: list[EntityCurrency]


class RateBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """rate: units of to_currency for one of from_currency, as a decimal; it is kept exactly."""

    from_currency: Currency
    to_currency: Currency
    rate_on: date
    rate: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,6}(\.[0-9]{1,9})?$")]
    source: Annotated[Label, msgspec.Meta(min_length=1)]


class ExchangeBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """from_minor of the rate's first currency become what they are worth in the second."""

    rate_id: Id
    from_minor: Positive
    reason: Reason


class BankExchangeBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the house gave its bank, and what it got."""

    entity_id: EntityId
    from_currency: Currency
    from_minor: Positive
    to_currency: Currency
    to_minor: Positive
    exchanged_on: date
    bank_ref: Reference
    reason: Reason


class RevalueBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    entity_id: EntityId
    revalued_on: date


@get("/entity-currencies", guards=[needs(STAFF)])
async def list_entity_currencies(request: ActorRequest, db: NamedDependency[Database]) -> Currencies:
    """The currencies that each legal entity keeps books in."""
    async with db.read(request.user.scope) as tx:
        return Currencies(currencies=await store.list_currencies(tx))


@post(
    "/entity-currencies",
    dto=StrictBody[NewCurrency],
    guards=[needs(CONTROL)],
    status_code=201,
    opt={**ONCE, ALSO: (404,)},
)
async def open_entity_currency(
    request: ActorRequest, db: NamedDependency[Database], data: JSONBody[NewCurrency]
) -> Response[EntityCurrency]:
    """Have a legal entity keep books in one more currency."""
    return await once(request, db, flow.open_currency, EntityCurrency(**msgspec.structs.asdict(data)))


@get("/exchange-rates", guards=[needs(FINANCE)])
async def list_exchange_rates(
    request: ActorRequest, db: NamedDependency[Database], limit: Limit = LIMIT, cursor: Cursor = None
) -> Page[Rate]:
    """Rates in every state, the newest first."""
    (before,) = decode_cursor(cursor, tuple[int]) or (None,)
    async with db.read(request.user.scope) as tx:
        rows = await store.list_rates(tx, limit=limit + 1, before=before)
    return page(rows, limit, lambda row: row, lambda row: (row.rate_id,))


@post("/exchange-rates", dto=StrictBody[RateBody], guards=[needs(FINANCE)], status_code=201, opt=ONCE)
async def propose_exchange_rate(
    request: ActorRequest, db: NamedDependency[Database], data: JSONBody[RateBody]
) -> Response[Rate]:
    """Propose a day's rate. Somebody else approves it."""
    return await once(request, db, flow.propose_rate, NewRate(**msgspec.structs.asdict(data)))


@post("/exchange-rates/{rate_id:int}/approve", guards=[needs(FINANCE)], status_code=200, opt=ONCE)
async def approve_exchange_rate(
    request: ActorRequest, db: NamedDependency[Database], rate_id: PathNo
) -> Response[Rate]:
    """Let a rate be used, as another person than who proposed it; it takes the place of the day's one before."""
    return await once(request, db, flow.approve_rate, rate_id)


@post("/exchange-rates/{rate_id:int}/reject", guards=[needs(FINANCE)], status_code=200, opt=ONCE)
async def reject_exchange_rate(request: ActorRequest, db: NamedDependency[Database], rate_id: PathNo) -> Response[Rate]:
    """Refuse a proposed rate, or take it back."""
    return await once(request, db, flow.reject_rate, rate_id)


@post(
    "/merchants/{merchant_id:int}/exchanges",
    dto=StrictBody[ExchangeBody],
    guards=[needs(FINANCE)],
    status_code=201,
    opt=ONCE,
)
async def exchange_balance(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, data: JSONBody[ExchangeBody]
) -> Response[Exchange]:
    """Turn what a merchant is owed in one currency into another, at an approved rate."""
    cmd = ExchangeBalance(merchant_id=merchant_id, **msgspec.structs.asdict(data))
    return await once(request, db, flow.exchange_balance, cmd)


@get("/merchants/{merchant_id:int}/exchanges", guards=[needs(FINANCE, MERCHANT_BOOKS)])
async def list_exchanges(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[Exchange]:
    """What was exchanged in a merchant's books or the house's, each with its rate, the newest first."""
    check_books(request.user, merchant_id)
    (before,) = decode_cursor(cursor, tuple[int]) or (None,)
    async with db.read(request.user.scope) as tx:
        rows = await store.list_exchanges(tx, merchant_id, limit=limit + 1, before=before)
    return page(rows, limit, lambda row: row, lambda row: (row.exchange_id,))


@post(
    "/bank-exchanges",
    dto=StrictBody[BankExchangeBody],
    guards=[needs(FINANCE)],
    status_code=201,
    opt={**ONCE, ALSO: (404,)},
)
async def exchange_at_bank(
    request: ActorRequest, db: NamedDependency[Database], data: JSONBody[BankExchangeBody]
) -> Response[Exchange]:
    """Book what the house exchanged at its bank; the bank's rate is what it gave for it."""
    return await once(request, db, flow.exchange_at_bank, ExchangeAtBank(**msgspec.structs.asdict(data)))


@post(
    "/exchange-revaluations",
    dto=StrictBody[RevalueBody],
    guards=[needs(FINANCE)],
    status_code=201,
    opt={**ONCE, ALSO: (404,)},
)
async def revalue_position(
    request: ActorRequest, db: NamedDependency[Database], data: JSONBody[RevalueBody]
) -> Response[Revalued]:
    """Bring the exchange position to the approved rates of a day; the difference is the result of exchange."""
    return await once(request, db, flow.revalue, Revalue(**msgspec.structs.asdict(data)))


HANDLERS = [
    list_entity_currencies,
    open_entity_currency,
    list_exchange_rates,
    propose_exchange_rate,
    approve_exchange_rate,
    reject_exchange_rate,
    exchange_balance,
    list_exchanges,
    exchange_at_bank,
    revalue_position,
]
