"""Exchange on a page: rates that two people stand for, exchanges of merchants and at the bank, and the revaluation."""

from collections.abc import Mapping, Sequence
from datetime import date
from enum import StrEnum
from functools import partial
from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from billing.exchange import store
from billing.exchange.model import Exchange, Rate, RateState
from billing.exchange.store import EntityCurrency, NewRate
from marketplace.consoles import ops_queries
from marketplace.consoles.deeds import Refused, amount, carry_out, day_needed, done, number, text
from marketplace.consoles.finance_lists_queries import RATES
from marketplace.consoles.layout import Nothing, send
from marketplace.consoles.ops_queries import Entity
from marketplace.core.db import STAFF, Database, Tx
from marketplace.core.errors import Forbidden, Invalid
from marketplace.core.money import check_currency
from marketplace.flows.books import exchange_money as flow
from marketplace.flows.books.exchange_money import ExchangeAtBank, ExchangeBalance, Revalue
from marketplace.web.auth import ActorRequest
from marketplace.web.guards import CONTROL

LISTED_MAX = 30
RATE_LENGTH_MAX = 16
_ENTITY_MAX = 2**31 - 1


class Deed(StrEnum):
    PROPOSE = "propose"
    APPROVE = "approve"
    REJECT = "reject"
    OPEN_CURRENCY = "open_currency"
    EXCHANGE = "exchange"
    AT_BANK = "at_bank"
    REVALUE = "revalue"


class ExchangePage(msgspec.Struct, frozen=True, kw_only=True):
    """The newest rates, and what the house has exchanged at its bank."""

    entity: Entity
    entities: Sequence[Entity]
    currencies: Sequence[str]
    rates: Sequence[Rate]
    exchanges: Sequence[Exchange]
    today: date

    @property
    def usable(self) -> list[Rate]:
        """The approved ones."""
        return [rate for rate in self.rates if rate.state is RateState.APPROVED]


@get(["/exchange", "/exchange.csv"])
async def exchange(
    request: ActorRequest, db: NamedDependency[Database], entity: FromQuery[int | None] = None
) -> Response[Any]:
    """Rates, exchanges at the bank, and forms for new ones."""
    return await show_exchange(request, db, entity)


async def show_exchange(
    request: ActorRequest, db: Database, entity: int | None = None, refused: Refused | None = None
) -> Response[Any]:
    listing = RATES.asked(request, "/finance/exchange", {"entity": entity})
    if listing.is_file:
        return await listing.as_file(request, db, STAFF)
    async with db.read(STAFF) as tx:
        shown = await ops_queries.get_entity(tx, entity)
        if shown is None:
            return send(request, "empty.html", Nothing(), "exchange")
        page = ExchangePage(
            entity=shown,
            entities=await ops_queries.list_entities(tx),
            currencies=await store.currencies_of(tx, shown.entity_id),
            rates=await store.list_rates(tx, limit=LISTED_MAX),
            exchanges=await store.list_at_bank(tx, shown.entity_id, limit=LISTED_MAX),
            today=tx.now.date(),
        )
        listing = await listing.page(tx)
    more: dict[str, Any] = {
        "listing": listing,
        "may_open": bool(request.user.roles & CONTROL),
        "me": request.user.login,
    }
    return send(request, "finance/exchange.html", page, "exchange", refused=refused, **more)


def _currency(typed: Mapping[str, str], name: str) -> str:
    try:
        return check_currency(text(typed, name, least=3, most=3).upper())
    except Invalid as fault:
        raise Invalid(f"{name}: {fault.detail.rpartition(': ')[2]}", pointer=f"/{name}") from fault


@post("/exchange/{deed:str}")
async def exchange_deed(request: ActorRequest, db: NamedDependency[Database], deed: FromPath[Deed]) -> Response[Any]:
    """Propose or decide a rate, open a currency, exchange a balance, book what the bank did, or revalue."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        match deed:
            case Deed.PROPOSE:
                await flow.propose_rate(tx, _rate(typed))
            case Deed.APPROVE:
                await flow.approve_rate(tx, number(typed, "rate_id", least=1))
            case Deed.REJECT:
                await flow.reject_rate(tx, number(typed, "rate_id", least=1))
            case Deed.OPEN_CURRENCY:
                if not request.user.roles & CONTROL:
                    raise Forbidden("a controller opens currencies")
                entity_id = number(typed, "entity_id", least=1, most=_ENTITY_MAX)
                await flow.open_currency(tx, EntityCurrency(entity_id=entity_id, currency=_currency(typed, "opened")))
            case Deed.EXCHANGE:
                rate = await store.get_rate(tx, number(typed, "rate_id", least=1))
                cmd = ExchangeBalance(
                    merchant_id=number(typed, "merchant_id", least=1),
                    rate_id=rate.rate_id,
                    from_minor=amount(typed, "amount", rate.from_currency, least=1),
                    reason=text(typed, "reason", least=1, most=500),
                )
                await flow.exchange_balance(tx, cmd)
            case Deed.AT_BANK:
                await flow.exchange_at_bank(tx, _at_bank(typed))
            case Deed.REVALUE:
                entity_id = number(typed, "entity_id", least=1, most=_ENTITY_MAX)
                await flow.revalue(tx, Revalue(entity_id=entity_id, revalued_on=day_needed(typed, "revalued_on")))
        return done("/finance/exchange", f"exchange_{deed}")

    return await carry_out(request, db, work, again=partial(show_exchange, request, db, None))


def _rate(typed: Mapping[str, str]) -> NewRate:
    """A rate as a form has it. Raises Invalid."""
    rate = text(typed, "rate", least=1, most=RATE_LENGTH_MAX).replace(",", ".")
    whole, _, fraction = rate.partition(".")
    if not (f"{whole}{fraction}".isascii() and whole.isdecimal() and (fraction.isdecimal() or "." not in rate)):
        raise Invalid("rate: must be a decimal, as 1.0856", pointer="/rate")
    if len(whole) > 6 or len(fraction) > 9:
        raise Invalid("rate: has at most six digits before the point and nine after it", pointer="/rate")
    return NewRate(
        from_currency=_currency(typed, "from_currency"),
        to_currency=_currency(typed, "to_currency"),
        rate_on=day_needed(typed, "rate_on"),
        rate=rate,
        source=text(typed, "source", least=1, most=200),
    )


def _at_bank(typed: Mapping[str, str]) -> ExchangeAtBank:
    """What the bank exchanged, as a form has it. Raises Invalid."""
    gave, got = _currency(typed, "gave_currency"), _currency(typed, "got_currency")
    return ExchangeAtBank(
        entity_id=number(typed, "entity_id", least=1, most=_ENTITY_MAX),
        from_currency=gave,
        from_minor=amount(typed, "gave", gave, least=1),
        to_currency=got,
        to_minor=amount(typed, "got", got, least=1),
        exchanged_on=day_needed(typed, "exchanged_on"),
        bank_ref=text(typed, "bank_ref", least=1, most=60),
        reason=text(typed, "why", least=1, most=500),
    )


PAGES = [exchange, exchange_deed]
