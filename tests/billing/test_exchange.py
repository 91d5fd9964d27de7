"""Exchange (posting Q): exact rates, two entries through 1900, the house's bank, the result on 6910; who and when."""

import asyncio
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.exchange import store
from billing.exchange.model import Exchange, Rate, RateState, ratio_of
from billing.exchange.store import EntityCurrency, NewRate
from billing.ledger import store as ledger
from billing.runs.model import period_named
from marketplace.core import policies
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database
from marketplace.core.errors import Conflict, Forbidden, Invalid, NotFound
from marketplace.core.money import MINOR_DIGITS
from marketplace.flows.books.exchange_money import (
    ExchangeAtBank,
    ExchangeBalance,
    Revalue,
    approve_rate,
    exchange_at_bank,
    exchange_balance,
    open_currency,
    propose_rate,
    reject_rate,
    revalue,
)
from tests.billing.market import CHECKER, MAKER, billed, check_books, goodwill, payable, prepare
from tests.builders import ENTITY, HOUSE

TODAY = date(2018, 9, 3)


async def market(db: Database, minor: int = 10_000) -> None:
    """Merchants 1 to 3; books in EUR, USD and JPY; merchant 1 is owed 100.00 USD."""
    await db.write(WORKER, MAKER, prepare, [])
    await db.write(WORKER, MAKER, policies.switch, "single_operator", on=False)
    for currency in ("USD", "JPY"):
        await db.write(WORKER, MAKER, open_currency, EntityCurrency(entity_id=ENTITY, currency=currency))
    await db.write(WORKER, MAKER, ledger.post, [goodwill(1, 1, date(2018, 9, 1), minor, "USD")])


async def rate(db: Database, text: str, pair: str = "USD/EUR", on: date = TODAY, *, approved: bool = True) -> Rate:
    first, second = pair.split("/")
    new = NewRate(from_currency=first, to_currency=second, rate_on=on, rate=text, source="ECB")
    made = await db.write(WORKER, MAKER, propose_rate, new)
    return await db.write(WORKER, CHECKER, approve_rate, made.rate_id) if approved else made


async def exchanged(db: Database, used: Rate, minor: int, merchant_id: int = 1) -> Exchange:
    cmd = ExchangeBalance(merchant_id=merchant_id, rate_id=used.rate_id, from_minor=minor, reason="asked for")
    return await db.write(WORKER, MAKER, exchange_balance, cmd)


def at_bank(**changes: Any) -> ExchangeAtBank:
    values: dict[str, Any] = {
        "entity_id": ENTITY, "from_currency": "USD", "from_minor": 10_000, "to_currency": "EUR", "to_minor": 9_500,
        "exchanged_on": TODAY, "bank_ref": "FX-1", "reason": "covers it",
    }  # fmt: skip
    return ExchangeAtBank(**values | changes)


async def standing(db: Database, merchant_id: int) -> dict[tuple[str, int, int], int]:
    """Balances by currency, account and dimension."""
    async with db.read(WORKER) as tx:
        found = await ledger.balances(tx, merchant_id)
    return {(one.currency, one.account, one.dimension): one.balance_minor for one in found}


CURRENCIES = st.sampled_from(sorted(MINOR_DIGITS))


@given(st.integers(1, 10**15 - 1), st.integers(0, 9), CURRENCIES, CURRENCIES, st.integers(0, 10**12))
def test_a_rate_is_exact_and_converts_to_the_nearest_minor_unit(
    digits: int, decimals: int, first: str, second: str, minor: int
) -> None:
    text = str(digits).rjust(decimals + 1, "0")
    text = f"{text[:-decimals]}.{text[-decimals:]}" if decimals else text
    if first == second:
        with pytest.raises(Invalid, match="same"):
            ratio_of(text, first, second)
        return
    ratio = ratio_of(text, first, second)
    exact = Fraction(text) * Fraction(10 ** MINOR_DIGITS[second], 10 ** MINOR_DIGITS[first])
    assert Fraction(ratio.numerator, ratio.denominator) == exact
    assert abs(ratio.convert(minor) - exact * minor) <= Fraction(1, 2)


@pytest.mark.parametrize(
    ("pair", "text", "minor", "worth"),
    [
        ("USD/EUR", "0.9", 10_000, 9_000),
        ("USD/JPY", "110.25", 10_000, 11_025),
        ("JPY/USD", "0.0090703", 11_025, 10_000),
        ("KWD/JPY", "365.5", 1_000, 366),  # a tie goes to the even one: 365.5 becomes 366
        ("KWD/JPY", "364.5", 1_000, 364),
        ("USD/KWD", "0.30345", 100, 303),
    ],
)
def test_minor_units_of_0_2_and_3_decimals(pair: str, text: str, minor: int, worth: int) -> None:
    assert ratio_of(text, *pair.split("/")).convert(minor) == worth


async def test_posting_q_is_one_entry_per_currency_with_the_rate_on_both(db: Database) -> None:
    await market(db)
    used = await rate(db, "0.9")
    made = await exchanged(db, used, 10_000)
    assert await standing(db, 1) == {
        ("USD", 6920, 0): 10_000, ("USD", 1900, used.rate_id): -10_000,
        ("EUR", 1900, used.rate_id): 9_000, ("EUR", 2000, 0): -9_000,
    }  # fmt: skip
    assert (made.from_minor, made.to_minor, made.numerator, made.denominator) == (10_000, 9_000, 9, 10)
    async with db.read(WORKER) as tx:
        entries = [await ledger.get_entry(tx, 1, number) for number in (made.sold_entry_no, made.bought_entry_no)]
        assert await store.list_exchanges(tx, 1, limit=5) == [made]
    assert [(one.kind, one.currency, one.source_id) for one in entries] == [
        ("exchange_sold", "USD", made.exchange_id), ("exchange_bought", "EUR", made.exchange_id),
    ]  # fmt: skip
    await check_books(db)


async def test_q_settled_at_the_banks_rate_leaves_its_result_on_6910(db: Database) -> None:
    await market(db)
    await exchanged(db, await rate(db, "0.9"), 10_000)
    await db.write(WORKER, MAKER, exchange_at_bank, at_bank())
    done = await db.write(WORKER, MAKER, revalue, Revalue(entity_id=ENTITY, revalued_on=TODAY))
    assert (done.currency, done.result_minor) == ("EUR", 500)
    assert await standing(db, HOUSE) == {
        ("USD", 1010, 0): -10_000, ("USD", 1900, 0): 10_000, ("EUR", 1010, 0): 9_500,
        ("EUR", 1900, 0): -9_000, ("EUR", 6910, 0): -500,
    }  # fmt: skip
    async with db.read(WORKER) as tx:
        assert await store.positions(tx, ENTITY, TODAY) == {}
    again = await db.write(WORKER, MAKER, revalue, Revalue(entity_id=ENTITY, revalued_on=TODAY))
    assert (again.result_minor, again.entry_no) == (0, None)
    await check_books(db)


async def test_an_open_position_is_revalued_at_the_days_rate_there_and_back(db: Database, clock: FixedClock) -> None:
    await market(db)
    await exchanged(db, await rate(db, "0.9"), 10_000)
    cmd = Revalue(entity_id=ENTITY, revalued_on=TODAY + timedelta(days=1))
    clock.move_to(clock.now() + timedelta(days=1))
    with pytest.raises(Conflict, match="no approved rate from USD to EUR of 2018-09-04"):
        await db.write(WORKER, MAKER, revalue, cmd)
    await rate(db, "0.95", on=cmd.revalued_on)
    assert (await db.write(WORKER, MAKER, revalue, cmd)).result_minor == 500
    await rate(db, "0.88", on=cmd.revalued_on)  # the day's rate was corrected
    assert (await db.write(WORKER, MAKER, revalue, cmd)).result_minor == -700
    assert (await standing(db, HOUSE))["EUR", 6910, 0] == 200
    await billed(db, period_named("2018-08"))
    with pytest.raises(Invalid, match="closed through 2018-08-31"):
        await db.write(WORKER, MAKER, revalue, Revalue(entity_id=ENTITY, revalued_on=date(2018, 8, 31)))
    await check_books(db)


async def test_a_rate_needs_two_people_and_the_last_one_of_a_day_counts(db: Database) -> None:
    await market(db)
    first = await rate(db, "0.9", approved=False)
    with pytest.raises(Conflict, match="only an approved rate"):
        await exchanged(db, first, 1)
    with pytest.raises(Forbidden):
        await db.write(WORKER, MAKER, approve_rate, first.rate_id)
    await db.write(WORKER, CHECKER, approve_rate, first.rate_id)
    second = await rate(db, "0.91")
    with pytest.raises(Conflict, match="replaced"):
        await exchanged(db, first, 100)
    assert (await exchanged(db, second, 100)).to_minor == 91
    third = await rate(db, "9", approved=False)
    assert (await db.write(WORKER, MAKER, reject_rate, third.rate_id)).state is RateState.REJECTED
    with pytest.raises(Conflict, match="is rejected"):
        await db.write(WORKER, CHECKER, approve_rate, third.rate_id)
    await check_books(db)


async def test_what_cannot_be_exchanged_is_refused(db: Database) -> None:
    await market(db)
    used = await rate(db, "0.9")
    with pytest.raises(Conflict, match="more than 10000, what the merchant is owed in USD"):
        await exchanged(db, used, 10_001)
    with pytest.raises(Conflict, match="more than 0"):
        await exchanged(db, used, 1, merchant_id=2)
    with pytest.raises(Invalid, match="exchanges at its bank"):
        await exchanged(db, used, 1, merchant_id=HOUSE)
    with pytest.raises(Invalid, match="is worth 0 in JPY"):
        await exchanged(db, await rate(db, "0.001", "USD/JPY"), 1)
    with pytest.raises(Invalid, match="not in CHF"):
        await exchanged(db, await rate(db, "1", "USD/CHF"), 1)
    with pytest.raises(Conflict, match="on that day and 7 more"):
        await exchanged(db, await rate(db, "0.9", on=TODAY - timedelta(days=8)), 1)
    with pytest.raises(Invalid, match="is zero"):
        await rate(db, "0.0")
    with pytest.raises(Invalid, match="still to come"):
        await db.write(WORKER, MAKER, exchange_at_bank, at_bank(exchanged_on=TODAY + timedelta(days=1)))
    await db.write(WORKER, MAKER, exchange_at_bank, at_bank())
    with pytest.raises(Conflict, match="booked already"):
        await db.write(WORKER, MAKER, exchange_at_bank, at_bank())
    with pytest.raises(Conflict, match="keeps EUR already"):
        await db.write(WORKER, MAKER, open_currency, EntityCurrency(entity_id=ENTITY, currency="EUR"))
    with pytest.raises(NotFound):
        await db.write(WORKER, MAKER, open_currency, EntityCurrency(entity_id=9, currency="CHF"))
    await check_books(db)


async def test_a_balance_is_never_exchanged_twice(db: Database) -> None:
    await market(db)
    used = await rate(db, "0.9")
    done = await asyncio.gather(*(exchanged(db, used, 6_000) for _ in range(5)), return_exceptions=True)
    assert sorted(type(one) is Conflict for one in done) == [False, True, True, True, True]
    assert await payable(db, 1) == {"USD": 4_000, "EUR": 5_400}
    await check_books(db)
