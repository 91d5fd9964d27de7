"""Every statement on currencies, rates and exchanges."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import msgspec
from sqlalchemy import Select, insert, select
from sqlalchemy.exc import IntegrityError

from billing.exchange.model import Exchange, Rate, RateState, Ratio, check_move
from billing.exchange.tables import entity_currency, exchange, exchange_rate, exchange_revaluation
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, Invalid, NotFound
from marketplace.core.ids import time_ordered_id

_RATE = [exchange_rate.c[name] for name in Rate.__struct_fields__]
_EXCHANGE = [exchange.c[name] for name in Exchange.__struct_fields__]


class EntityCurrency(msgspec.Struct, frozen=True, kw_only=True):
    """A legal entity keeps books in a currency."""

    entity_id: int
    currency: str


class NewRate(msgspec.Struct, frozen=True, kw_only=True):
    """A day's rate: units of the second currency for one of the first, as a decimal, and who says so."""

    from_currency: str
    to_currency: str
    rate_on: date
    rate: str
    source: str


async def currencies_of(tx: Tx, entity_id: int) -> list[str]:
    """The currencies that a legal entity keeps books in, its own first. Raises NotFound."""
    rows = await tx.rows(
        """
        SELECT currency, 0 AS place FROM billing.entity WHERE entity_id = :entity
        UNION ALL
        SELECT currency, 1 FROM billing.entity_currency WHERE entity_id = :entity
        ORDER BY place, currency
        """,
        entity=entity_id,
    )
    if not rows:
        raise NotFound(f"there is no legal entity {entity_id}")
    return [row.currency for row in rows]


async def check_kept(tx: Tx, entity_id: int, *currencies: str) -> None:
    """Raise Invalid for a currency that a legal entity keeps no books in."""
    kept = await currencies_of(tx, entity_id)
    for currency in currencies:
        if currency not in kept:
            raise Invalid(
                f"currency: these books are kept in {', '.join(kept)}, not in {currency}", pointer="/currency"
            )


async def list_currencies(tx: Tx) -> list[EntityCurrency]:
    rows = await tx.rows(
        """
        SELECT entity_id, currency FROM billing.entity
        UNION ALL SELECT entity_id, currency FROM billing.entity_currency ORDER BY 1, 2
        """
    )
    return [EntityCurrency(**row._mapping) for row in rows]


async def open_currency(tx: Tx, new: EntityCurrency) -> None:
    """Raises Conflict when it is kept already."""
    row = {**msgspec.structs.asdict(new), "opened_by": tx.actor, "opened_at": tx.now}
    try:
        await tx.execute(insert(entity_currency), row)
    except IntegrityError as fault:
        raise Conflict(f"entity {new.entity_id} keeps {new.currency} already") from fault


def _rate(row: Any) -> Rate:
    return Rate(**{**row._mapping, "state": RateState(row.state)})


async def add_rate(tx: Tx, new: NewRate, ratio: Ratio) -> Rate:
    rate_id = time_ordered_id(tx.now)
    row = msgspec.structs.asdict(new) | msgspec.structs.asdict(ratio)
    row |= {"rate_id": rate_id, "state": RateState.PROPOSED.value, "made_by": tx.actor, "made_at": tx.now}
    await tx.execute(insert(exchange_rate), row)
    return await get_rate(tx, rate_id)


async def get_rate(tx: Tx, rate_id: int, *, lock: bool = False) -> Rate:
    """Raises NotFound."""
    query = select(*_RATE).where(exchange_rate.c.rate_id == rate_id)
    row = await tx.row(query.with_for_update() if lock else query)
    if row is None:
        raise NotFound(f"there is no rate {rate_id}")
    return _rate(row)


async def decide_rate(tx: Tx, rate: Rate, then: RateState, *, single: bool = False) -> Rate:
    """Approve a proposed rate in the place of the day's one before, or reject it. Raises Conflict for any other."""
    check_move(rate, then)
    if then is RateState.APPROVED:
        await tx.execute(
            """
            UPDATE billing.exchange_rate SET state = 'replaced'
            WHERE from_currency = :from AND to_currency = :to AND rate_on = :on AND state = 'approved'
            """,
            {"from": rate.from_currency, "to": rate.to_currency, "on": rate.rate_on},
        )
    values = {"state": then.value, "decided_by": tx.actor, "decided_at": tx.now, "single_operator": single}
    await tx.execute(exchange_rate.update().where(exchange_rate.c.rate_id == rate.rate_id).values(**values))
    return await get_rate(tx, rate.rate_id)


async def list_rates(tx: Tx, *, limit: int, before: int | None = None) -> Sequence[Rate]:
    """At most `limit` rates, the newest first, those before the rate `before`."""
    query = select(*_RATE)
    if before is not None:
        query = query.where(exchange_rate.c.rate_id < before)
    return [_rate(row) for row in await tx.rows(query.order_by(exchange_rate.c.rate_id.desc()).limit(limit))]


async def add_exchange(tx: Tx, new: Exchange) -> None:
    """Raises Conflict for a reference of the bank that is booked already."""
    try:
        await tx.execute(insert(exchange), msgspec.structs.asdict(new))
    except IntegrityError as fault:
        raise Conflict(f"bank_ref: {new.bank_ref!r} is booked already", pointer="/bank_ref") from fault


async def list_exchanges(tx: Tx, merchant_id: int, *, limit: int, before: int | None = None) -> Sequence[Exchange]:
    """At most `limit` exchanges of a merchant or the house, the newest first, those before `before`."""
    query = select(*_EXCHANGE).where(exchange.c.merchant_id == merchant_id)
    if before is not None:
        query = query.where(exchange.c.exchange_id < before)
    rows = await tx.rows(query.order_by(exchange.c.exchange_id.desc()).limit(limit))
    return [Exchange(**row._mapping) for row in rows]


async def list_at_bank(tx: Tx, entity_id: int, *, limit: int) -> Sequence[Exchange]:
    """At most `limit` exchanges of a legal entity's house at its bank, the newest first."""
    house = await tx.scalar("SELECT house_merchant_id FROM billing.entity WHERE entity_id = :entity", entity=entity_id)
    return await list_exchanges(tx, house, limit=limit)


async def positions(tx: Tx, entity_id: int, on: date) -> dict[str, int]:
    """The exchange position of a legal entity by currency at the end of a day, over all books: debits less credits."""
    rows = await tx.rows(
        """
        SELECT currency, sum(minor) AS minor
        FROM (
            SELECT currency, debit_minor - credit_minor AS minor FROM billing.book_day
            WHERE entity_id = :entity AND account = 1900 AND effective_on <= :on
            UNION ALL
            SELECT e.currency, leg.amount
            FROM billing.ledger_head h
            JOIN billing.ledger_roll r ON r.merchant_id = h.merchant_id AND r.rolled_no < h.last_entry_no
            JOIN billing.entry e ON e.merchant_id = r.merchant_id AND e.entry_no > r.rolled_no,
                 unnest(e.accounts, e.amounts) AS leg (account, amount)
            WHERE e.entity_id = :entity AND leg.account = 1900 AND e.effective_on <= :on
        ) AS moved
        GROUP BY currency HAVING sum(minor) <> 0 ORDER BY currency
        """,
        entity=entity_id,
        on=on,
    )
    return {row.currency: int(row.minor) for row in rows}


def _approved(from_currency: str, to_currency: str) -> Select[Any]:
    return select(*_RATE).where(
        exchange_rate.c.from_currency == from_currency,
        exchange_rate.c.to_currency == to_currency,
        exchange_rate.c.state == RateState.APPROVED.value,
    )


async def rate_on(tx: Tx, from_currency: str, to_currency: str, on: date) -> Rate | None:
    """The approved rate of exactly that day."""
    row = await tx.row(_approved(from_currency, to_currency).where(exchange_rate.c.rate_on == on))
    return _rate(row) if row is not None else None


async def newest_rate(tx: Tx, from_currency: str, to_currency: str, upto: date) -> Rate | None:
    """The approved rate of the last day up to `upto` that has one."""
    upto_then = _approved(from_currency, to_currency).where(exchange_rate.c.rate_on <= upto)
    row = await tx.row(upto_then.order_by(exchange_rate.c.rate_on.desc()).limit(1))
    return _rate(row) if row is not None else None


async def add_revaluation(
    tx: Tx, house_merchant_id: int, revaluation_id: int, on: date, currency: str, result_minor: int
) -> None:
    row: dict[str, Any] = {"merchant_id": house_merchant_id, "revaluation_id": revaluation_id, "revalued_on": on}
    row |= {"currency": currency, "result_minor": result_minor, "made_by": tx.actor, "made_at": tx.now}
    await tx.execute(insert(exchange_revaluation), row)
