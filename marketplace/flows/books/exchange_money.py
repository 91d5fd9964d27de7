"""Exchange (posting Q): one entry per currency through account 1900, at a rate that two people stand for.

Rates are proposed by one person and approved by another; a merchant's balance is exchanged at an approved one, so that
whoever exchanges cannot choose the amount. What the house changes at its bank is at the bank's own rate; what that and
the days' rates make of the position is the result of exchange, 6910.
"""

from datetime import date
from typing import Any

import msgspec

from billing.charges.store import Books
from billing.exchange import store
from billing.exchange.model import Exchange, Rate, RateState, Ratio, bought, check_usable, ratio_of, revalued, sold
from billing.exchange.store import EntityCurrency, NewRate
from billing.journals.store import closed_through
from billing.ledger import store as ledger
from billing.ledger.chart import Account
from billing.ledger.model import NewEntry
from billing.payout_terms.store import find_hold
from marketplace.core import audit, policies
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, Invalid, NotFound
from marketplace.core.ids import time_ordered_id
from marketplace.core.money import AMOUNT_MAX, check_currency
from marketplace.flows.products.charge_products import hold


class ExchangeBalance(msgspec.Struct, frozen=True, kw_only=True):
    """So much of a merchant's balance into the other currency of an approved rate."""

    merchant_id: int
    rate_id: int
    from_minor: int
    reason: str


class ExchangeAtBank(msgspec.Struct, frozen=True, kw_only=True):
    """What the house gave its bank in one currency, and got in another. bank_ref: the bank's name of it, once."""

    entity_id: int
    from_currency: str
    from_minor: int
    to_currency: str
    to_minor: int
    exchanged_on: date
    bank_ref: str
    reason: str


class Revalue(msgspec.Struct, frozen=True, kw_only=True):
    """Bring the exchange position of a legal entity to the approved rates of a day."""

    entity_id: int
    revalued_on: date


class Revalued(msgspec.Struct, frozen=True, kw_only=True):
    """result_minor: in the entity's currency, a gain above zero. entry_no: None when there was nothing to book."""

    currency: str
    result_minor: int
    entry_no: int | None


async def open_currency(tx: Tx, cmd: EntityCurrency) -> EntityCurrency:
    """Have a legal entity keep books in one more currency. Raises NotFound, Invalid, Conflict when it does."""
    check_currency(cmd.currency)
    if cmd.currency in await store.currencies_of(tx, cmd.entity_id):
        raise Conflict(f"entity {cmd.entity_id} keeps {cmd.currency} already")
    await store.open_currency(tx, cmd)
    await audit.record(tx, "currency opened", f"entity:{cmd.entity_id}", currency=cmd.currency)
    return cmd


async def propose_rate(tx: Tx, cmd: NewRate) -> Rate:
    """Raises Invalid for a rate of zero, an unknown currency, or one currency twice."""
    rate = await store.add_rate(tx, cmd, ratio_of(cmd.rate, cmd.from_currency, cmd.to_currency))
    await audit.record(tx, "rate proposed", f"exchange_rate:{rate.rate_id}", **_told(rate))
    return rate


async def approve_rate(tx: Tx, rate_id: int) -> Rate:
    """Let a rate be used, as another person than its maker, in the place of the day's one before.

    Raises NotFound, Conflict for one that is decided, Forbidden.
    """
    await tx.execute("SELECT pg_advisory_xact_lock(hashtext('billing.exchange_rate'))")
    rate = await store.get_rate(tx, rate_id, lock=True)
    single = await policies.check_second_person(tx, rate.made_by, f"rate {rate_id}")
    approved = await store.decide_rate(tx, rate, RateState.APPROVED, single=single)
    subject = f"exchange_rate:{rate_id}"
    await audit.record(tx, "rate approved", subject, single_operator=single, **_told(approved))
    return approved


async def reject_rate(tx: Tx, rate_id: int) -> Rate:
    """Refuse a proposed rate, or take it back. Raises NotFound, Conflict for one that is decided."""
    rejected = await store.decide_rate(tx, await store.get_rate(tx, rate_id, lock=True), RateState.REJECTED)
    await audit.record(tx, "rate rejected", f"exchange_rate:{rate_id}")
    return rejected


async def exchange_balance(tx: Tx, cmd: ExchangeBalance) -> Exchange:
    """Q: what a merchant is owed in one currency becomes what it is owed in another.

    Raises NotFound; Conflict for a rate that is not approved or too old, and for more than the merchant is owed;
    Invalid for currencies that are not kept and an amount that is worth nothing.
    """
    books = await hold(tx, cmd.merchant_id)
    if books.merchant_id == books.house_merchant_id:
        raise Invalid("merchant_id: the house exchanges at its bank")
    rate = await store.get_rate(tx, cmd.rate_id)
    check_usable(rate, books.today)
    await store.check_kept(tx, books.entity_id, rate.from_currency, rate.to_currency)
    newest = await store.newest_rate(tx, rate.from_currency, rate.to_currency, books.today)
    if newest is not None and newest.rate_id != rate.rate_id:
        raise Conflict(f"rate {rate.rate_id} is of {rate.rate_on}: {newest.rate_id} of {newest.rate_on} is newer")
    if await find_hold(tx, cmd.merchant_id) is not None:
        raise Conflict("the merchant's payouts are held: what it is owed stays in its currency")
    owed = await ledger.owed_minor(tx, cmd.merchant_id, rate.from_currency)
    if cmd.from_minor > owed:
        raise Conflict(
            f"from_minor: {cmd.from_minor} is more than {max(owed, 0)}, what the merchant is owed in"
            f" {rate.from_currency} less what it owes",
            pointer="/from_minor",
        )
    to_minor = rate.ratio.convert(cmd.from_minor)
    if not 0 < to_minor <= AMOUNT_MAX:
        raise Invalid(f"from_minor: is worth {to_minor} in {rate.to_currency}", pointer="/from_minor")
    made = Exchange(
        merchant_id=cmd.merchant_id,
        exchange_id=time_ordered_id(tx.now),
        account=int(Account.PAYABLE),
        from_currency=rate.from_currency,
        from_minor=cmd.from_minor,
        to_currency=rate.to_currency,
        to_minor=to_minor,
        rate_id=rate.rate_id,
        numerator=rate.numerator,
        denominator=rate.denominator,
        exchanged_on=books.today,
        reason=cmd.reason,
        bank_ref=None,
        sold_entry_no=0,
        bought_entry_no=0,
        made_by=tx.actor,
        made_at=tx.now,
    )
    return await _book(tx, made)


async def exchange_at_bank(tx: Tx, cmd: ExchangeAtBank) -> Exchange:
    """Q in the house's books: the bank gave so much for so much, and that is the rate.

    Raises NotFound, Invalid for a day to come or currencies that are not kept, Conflict for what is booked already.
    """
    await store.check_kept(tx, cmd.entity_id, cmd.from_currency, cmd.to_currency)
    books = await _house(tx, cmd.entity_id)
    if cmd.exchanged_on > books.today:
        raise Invalid(f"exchanged_on: {cmd.exchanged_on} is still to come", pointer="/exchanged_on")
    values = msgspec.structs.asdict(cmd)
    del values["entity_id"]
    ratio = Ratio(cmd.to_minor, cmd.from_minor)
    made = Exchange(
        **values,
        **msgspec.structs.asdict(ratio),
        merchant_id=books.merchant_id,
        exchange_id=time_ordered_id(tx.now),
        account=int(Account.BANK),
        rate_id=0,
        sold_entry_no=0,
        bought_entry_no=0,
        made_by=tx.actor,
        made_at=tx.now,
    )
    return await _book(tx, made)


async def revalue(tx: Tx, cmd: Revalue) -> Revalued:
    """6910: what the position is worth at the day's rates, less what it has cost, is the result of exchange.

    Raises NotFound; Invalid for a day to come or closed; Conflict when a currency of the position has no approved rate
    of that day.
    """
    books = await _house(tx, cmd.entity_id)
    if cmd.revalued_on > books.today:
        raise Invalid(f"revalued_on: {cmd.revalued_on} is still to come", pointer="/revalued_on")
    closed = await closed_through(tx, books.merchant_id)
    if closed is not None and cmd.revalued_on <= closed:  # its result would count on a later day than the position
        raise Invalid(f"revalued_on: the books are closed through {closed}", pointer="/revalued_on")
    worth = 0
    for currency, minor in (await store.positions(tx, cmd.entity_id, cmd.revalued_on)).items():
        if currency == books.currency:
            worth += minor
            continue
        rate = await store.rate_on(tx, currency, books.currency, cmd.revalued_on)
        if rate is None:
            raise Conflict(f"there is no approved rate from {currency} to {books.currency} of {cmd.revalued_on}")
        worth += rate.ratio.convert(minor)
    result = -worth
    if result == 0:
        return Revalued(currency=books.currency, result_minor=0, entry_no=None)
    revaluation_id = time_ordered_id(tx.now)
    entry = NewEntry(
        merchant_id=books.merchant_id,
        kind="exchange_revalued",
        source_id=revaluation_id,
        currency=books.currency,
        occurred_at=tx.now,
        effective_on=cmd.revalued_on,
        legs=revalued(result),
    )
    [entry_no] = await ledger.post(tx, [entry])
    house = books.merchant_id
    await store.add_revaluation(tx, house, revaluation_id, cmd.revalued_on, books.currency, result)
    await audit.record(
        tx, "exchange position revalued", f"entity:{cmd.entity_id}", on=cmd.revalued_on.isoformat(), result_minor=result
    )
    return Revalued(currency=books.currency, result_minor=result, entry_no=entry_no)


async def _book(tx: Tx, made: Exchange) -> Exchange:
    """Both entries, of one fact: the rate is recorded in their common row, and by its id on account 1900."""
    account = Account(made.account)
    facts = (
        ("exchange_sold", made.from_currency, sold(account, made.from_minor, made.rate_id)),
        ("exchange_bought", made.to_currency, bought(account, made.to_minor, made.rate_id)),
    )
    entries = [
        NewEntry(
            merchant_id=made.merchant_id,
            kind=kind,
            source_id=made.exchange_id,
            currency=currency,
            occurred_at=tx.now,
            effective_on=made.exchanged_on,
            legs=entry_legs,
        )
        for kind, currency, entry_legs in facts
    ]
    sold_no, bought_no = await ledger.post(tx, entries)
    booked = msgspec.structs.replace(made, sold_entry_no=sold_no, bought_entry_no=bought_no)
    await store.add_exchange(tx, booked)
    told: dict[str, Any] = {
        "from": f"{made.from_minor} {made.from_currency}",
        "to": f"{made.to_minor} {made.to_currency}",
    }
    subject = f"exchange:{made.merchant_id}/{made.exchange_id}"
    await audit.record(tx, "money exchanged", subject, rate_id=made.rate_id, reason=made.reason, **told)
    return booked


async def _house(tx: Tx, entity_id: int) -> Books:
    """The house's books, held. Raises NotFound."""
    house: int | None = await tx.scalar(
        "SELECT house_merchant_id FROM billing.entity WHERE entity_id = :entity", entity=entity_id
    )
    if house is None:
        raise NotFound(f"there is no legal entity {entity_id}")
    return await hold(tx, house)


def _told(rate: Rate) -> dict[str, Any]:
    pair = f"{rate.from_currency}/{rate.to_currency}"
    return {"pair": pair, "rate": rate.rate, "rate_on": rate.rate_on.isoformat(), "source": rate.source}
