"""Every report equals what Python adds up from the journal, on books drawn at random, rolled up in part."""

import random
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert, text

from billing.charges.model import Charge, ChargeSource, PaysBy
from billing.ledger import roll
from billing.ledger import store as ledger
from billing.ledger.chart import Account
from billing.ledger.model import Leg, NewEntry
from billing.reports import store
from billing.reports.model import FEES, STREAMS, Span, forecast, rate_ppm, schedule_of
from billing.tables import commission_line
from marketplace.core.db import STAFF, WORKER, Database, Tx
from marketplace.core.errors import Invalid
from marketplace.flows.books.report_incentives_sql import incentive_cost
from marketplace.flows.books.show_report import span_of
from tests.builders import ENTITY, HOUSE, add_market

FIRST = date(2018, 1, 1)
SPANS = [
    Span(from_on=date(2018, 3, 1), to_on=date(2018, 4, 1)),
    Span(from_on=date(2018, 2, 10), to_on=date(2018, 5, 5), entity_id=ENTITY, currency="EUR"),
    Span(from_on=date(2017, 1, 1), to_on=date(2019, 1, 1), currency="JPY"),
    Span(from_on=date(2018, 3, 1), to_on=date(2018, 3, 2), entity_id=99),
]
CHART = [int(code) for code in Account]
LIKELY = [1100, 1110, 2000, 4000, 4010, 4060, 4090, 5000]
Key = tuple[Any, ...]
Lines = list[tuple[Any, Leg]]


def drawn(seed: int) -> tuple[list[NewEntry], list[dict[str, Any]]]:
    """Entries and commission lines of four sets of books over half a year."""
    lot = random.Random(seed)
    entries, lines = [], []
    for number in range(300):
        on = FIRST + timedelta(days=lot.randrange(180))
        accounts = [lot.choice(LIKELY if lot.random() < 0.7 else CHART) for _ in range(lot.randrange(1, 4))]
        amounts = [lot.choice([-1, 1]) * lot.randrange(1, 5_000) for _ in accounts]
        rest = -sum(amounts)
        legs = [Leg(account, minor, lot.randrange(3)) for account, minor in zip(accounts, amounts, strict=True)]
        if rest:
            legs.append(Leg(lot.choice(LIKELY), rest, lot.randrange(3)))
        if len(legs) < 2:
            continue
        entries.append(NewEntry(
            merchant_id=lot.choice([HOUSE, 1, 2, 3]), kind=lot.choice(["a", "incentive_earned"]), source_id=number,
            currency=lot.choice(["EUR", "EUR", "JPY"]), occurred_at=datetime(2018, 1, 1, tzinfo=UTC),
            effective_on=on, legs=tuple(legs),
        ))  # fmt: skip
        lines.append({
            "merchant_id": lot.choice([1, 2, 3]), "entry_no": number, "contract_id": 1, "order_id": number,
            "kind": "sale", "occurred_at": datetime(2018, 1, 1, tzinfo=UTC), "occurred_on": on, "effective_on": on,
            "currency": "EUR", "goods_minor": lot.randrange(9_000), "freight_minor": lot.randrange(500),
            "discount_minor": lot.choice([0, lot.randrange(900)]), "base_minor": 0, "commission_minor": 0,
            "vat_minor": 0,
        })  # fmt: skip
    return entries, lines


@pytest.fixture(params=[1, 2, 3])
async def books(db: Database, request: pytest.FixtureRequest) -> tuple[Database, Lines, list[dict[str, Any]]]:
    """Two thirds of the entries are rolled up."""
    entries, lines = drawn(request.param)

    async def fill(tx: Tx) -> None:
        await add_market(tx, [1, 2, 3])
        await ledger.post(tx, entries[:200])
        await roll.roll_forward(tx, [HOUSE, 1, 2, 3])
        await ledger.post(tx, entries[200:])
        await tx.raw.execute("RESET ROLE")
        await tx.execute(text("SET LOCAL session_replication_role = replica"))
        await tx.execute(insert(commission_line), lines)

    await db.write(WORKER, "test", fill)
    async with db.read(STAFF) as tx:
        rows = await tx.rows("SELECT * FROM billing.entry ORDER BY effective_on, merchant_id, entry_no")
    legs = [
        (row, Leg(account, minor, dimension))
        for row in rows
        for account, dimension, minor in zip(row.accounts, row.dimensions, row.amounts, strict=True)
    ]
    return db, legs, lines


def of_span(lines: Lines, span: Span, *, before: bool = True) -> Lines:
    """The legs of a report's entity and currency up to its end, or only from its first day on."""
    if span.entity_id == 99:
        return []
    return [
        (row, leg) for row, leg in lines
        if span.currency in {None, row.currency} and row.effective_on < span.to_on
        and (before or row.effective_on >= span.from_on)
    ]  # fmt: skip


def summed(lines: Lines, key: Callable[[Any, Leg], Key], value: Callable[[Leg], int]) -> dict[Key, int]:
    sums: dict[Key, int] = defaultdict(int)
    for row, leg in lines:
        sums[key(row, leg)] += value(leg)
    return dict(sums)


@pytest.mark.parametrize("span", SPANS)
async def test_reports_are_the_journal_added_up(
    books: tuple[Database, Lines, list[dict[str, Any]]], span: Span
) -> None:
    db, every, sold = books
    to_end, within = of_span(every, span), of_span(every, span, before=False)
    before = [(row, leg) for row, leg in to_end if row.effective_on < span.from_on]
    async with db.read(STAFF) as tx:
        trial = await store.trial_balance(tx, span)
        revenue = await store.revenue(tx, span)
        incentives = await incentive_cost(tx, span)
        taken = await store.take_rate(tx, span)

    def account(row: Any, leg: Leg) -> Key:
        return leg.account, row.currency

    opening = summed(before, account, lambda leg: leg.amount_minor)
    debit = summed(within, account, lambda leg: max(leg.amount_minor, 0))
    credit = summed(within, account, lambda leg: max(-leg.amount_minor, 0))
    wanted = {
        key: (opening.get(key, 0), debit.get(key, 0), credit.get(key, 0))
        for key in {*opening, *debit, *credit}
        if opening.get(key) or debit.get(key) or credit.get(key)
    }
    assert {
        (row.account, row.currency): (row.opening_minor, row.debit_minor, row.credit_minor) for row in trial
    } == wanted
    assert all(row.closing_minor == row.opening_minor + row.debit_minor - row.credit_minor for row in trial)
    for currency in {row.currency for row in trial}:
        own = [row for row in trial if row.currency == currency]
        assert sum(row.opening_minor for row in own) == sum(row.closing_minor for row in own) == 0

    def month(row: Any, leg: Leg) -> Key:
        return row.effective_on.replace(day=1), row.currency, STREAMS.get(Account(leg.account))

    earned = summed([one for one in within if one[1].account in STREAMS], month, lambda leg: -leg.amount_minor)
    assert {(row.month_on, row.currency, row.stream): row.revenue_minor for row in revenue} == {
        key: minor for key, minor in earned.items() if minor
    }
    in_span = [
        line for line in sold
        if span.from_on <= line["effective_on"] < span.to_on and span.currency != "JPY" and span.entity_id != 99
    ]  # fmt: skip
    cost: dict[Key, int] = defaultdict(int)
    for row, leg in within:
        if leg.account in {4090, 5000}:
            cost["platform", leg.dimension, row.currency] += leg.amount_minor
        elif leg.account == 1110 and row.kind == "incentive_earned":
            cost["payer", leg.dimension, row.currency] += leg.amount_minor
    assert {(row.funder, row.source_id, row.currency): row.cost_minor for row in incentives} == {
        key: minor for key, minor in cost.items() if minor
    }

    gmv: dict[Key, int] = defaultdict(int)
    for line in in_span:
        worth = line["goods_minor"] + line["freight_minor"] - line["discount_minor"]
        gmv[line["effective_on"].replace(day=1), "EUR"] += worth
    for row in taken:
        key = row.month_on, row.currency
        of_month = [(r, leg) for r, leg in within if (r.effective_on.replace(day=1), r.currency) == key]
        fees = -sum(leg.amount_minor for _, leg in of_month if leg.account in FEES)
        spent = sum(leg.amount_minor for _, leg in of_month if leg.account in {4090, 5000})
        assert (row.settled_minor, row.fees_minor, row.incentives_minor) == (gmv.get(key, 0), fees, spent)
        assert (row.gross_ppm, row.net_ppm) == (
            rate_ppm(fees, gmv.get(key, 0)), rate_ppm(fees - spent, gmv.get(key, 0)),
        )  # fmt: skip
    assert {key for key, minor in gmv.items() if minor} <= {(row.month_on, row.currency) for row in taken}


@pytest.mark.parametrize("span", SPANS)
async def test_what_is_owed_is_as_old_as_the_debts_that_nothing_has_covered(
    books: tuple[Database, Lines, list[dict[str, Any]]], span: Span
) -> None:
    db, every, _ = books
    async with db.read(STAFF) as tx:
        aged = await store.ageing(tx, span)
    wanted = {}
    for party, account in (("merchant", 1100), ("payer_contract", 1110)):
        days: dict[Key, dict[date, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0]))
        for row, leg in of_span(every, span):
            if leg.account == account:
                who = row.merchant_id if account == 1100 else leg.dimension
                days[party, who, row.currency][row.effective_on][leg.amount_minor < 0] += abs(leg.amount_minor)
        for key, moved in days.items():
            paid = sum(credit for _, credit in moved.values())
            buckets = [0, 0, 0, 0]
            for day in sorted(moved):  # payments cover the oldest debts first
                left = max(moved[day][0] - paid, 0)
                paid -= moved[day][0] - left
                age = (span.to_on - timedelta(days=1) - day).days
                buckets[(age > 30) + (age > 60) + (age > 90)] += left
            if any(buckets) or paid:
                wanted[key] = (*buckets, -paid)
    assert {
        (row.party, row.party_id, row.currency): (
            row.days_0_30_minor, row.days_31_60_minor, row.days_61_90_minor, row.over_90_minor, row.credit_minor,
        )
        for row in aged
    } == wanted  # fmt: skip
    for row in aged:
        buckets_of = row.days_0_30_minor, row.days_31_60_minor, row.days_61_90_minor, row.over_90_minor
        assert row.balance_minor == sum(buckets_of) + row.credit_minor


@pytest.mark.parametrize("span", SPANS)
@pytest.mark.parametrize(("merchant_id", "limit"), [(None, 7), (None, 200), (1, 3), (HOUSE, 1)])
async def test_the_ledger_of_an_account_pages_through_every_leg_once(
    books: tuple[Database, Lines, list[dict[str, Any]]], span: Span, merchant_id: int | None, limit: int
) -> None:
    db, every, _ = books
    own = [(row, leg) for row, leg in of_span(every, span) if merchant_id in {None, row.merchant_id}]
    for account in (2000, 4060, 5400):
        found: list[Any] = []
        async with db.read(STAFF) as tx:
            standing = await store.account_standing(tx, span, account, merchant_id)
            after = None
            while lines := await store.ledger_lines(
                tx, span, account, merchant_id=merchant_id, limit=limit, after=after
            ):
                assert len(lines) <= limit
                found += lines
                after = (lines[-1].effective_on, lines[-1].merchant_id, lines[-1].entry_no, lines[-1].leg_no)
        of_account = [(row, leg) for row, leg in own if leg.account == account]
        wanted = [
            (row.effective_on, row.merchant_id, row.entry_no, leg.amount_minor, leg.dimension, row.currency)
            for row, leg in of_account
            if row.effective_on >= span.from_on
        ]
        assert [
            (one.effective_on, one.merchant_id, one.entry_no, one.amount_minor, one.dimension, one.currency)
            for one in found
        ] == wanted
        closing = summed(of_account, lambda row, leg: (row.currency,), lambda leg: leg.amount_minor)
        assert {(row.currency,): row.closing_minor for row in standing} == closing


def test_a_span_ends_after_it_begins() -> None:
    with pytest.raises(Invalid, match="to_on: is not after from_on"):
        Span(from_on=FIRST, to_on=FIRST)


DAYS = st.integers(0, 800).map(lambda n: FIRST + timedelta(days=n))


@given(st.integers(1, 10**9), DAYS, st.integers(1, 700), DAYS, st.integers(0, 100))
def test_what_waits_is_earned_to_the_last_cent_within_the_service(
    net: int, begins: date, length: int, on: date, credited_percent: int
) -> None:
    ends = begins + timedelta(days=length)
    credited = net * credited_percent // 100
    whole = charge_over(begins, ends, net=net, credited=credited, recognised=0)
    so_far = charge_over(begins, ends, net=net, credited=credited, recognised=whole.earned(on))
    schedule = schedule_of(so_far, on)
    assert sum(minor for _, minor in schedule) == so_far.waiting_minor
    assert all(minor > 0 for _, minor in schedule)
    months = [month for month, _ in schedule]
    assert months == sorted(set(months), key=str)
    assert all(month is not None and month < ends for month in months) or on >= ends


def charge_over(begins: date, ends: date, *, net: int, credited: int, recognised: int) -> Charge:
    return Charge(
        merchant_id=1, charge_id=1, source=ChargeSource.SUBSCRIPTION, source_id=1, part="", description="",
        currency="EUR", net_minor=net, vat_ppm=0, vat_minor=0, pays_by=PaysBy.NETTING, charged_on=begins,
        due_on=begins, deferred=False, service_from=begins, service_to=ends, anchored_on=begins, anchored_minor=0,
        recognised_minor=recognised, credited_minor=credited, credited_vat_minor=0, written_off_minor=0,
        regained_minor=0, open_minor=0, dunning_step=0, entry_no=1, created_at=datetime(2018, 1, 1, tzinfo=UTC),
    )  # fmt: skip


def test_a_forecast_adds_up_day_by_day_and_overdue_money_counts_today() -> None:
    on, soon, late = date(2018, 5, 1), date(2018, 5, 10), date(2018, 7, 1)
    moves = [
        (1, date(2018, 4, 1), "claims", "EUR", 70), (1, soon, "payouts", "EUR", -150), (1, late, "charges", "EUR", 9),
        (1, soon, "claims", "EUR", 5), (1, soon, "claims", "EUR", 5), (1, soon, "charges", "JPY", 3),
    ]  # fmt: skip
    rows = forecast([(1, "EUR", 100)], moves, on, date(2018, 6, 1))
    assert [(row.currency, row.due_on, row.source, row.amount_minor, row.balance_minor) for row in rows] == [
        ("EUR", on, "bank", 0, 100), ("EUR", on, "claims", 70, 170), ("EUR", soon, "claims", 10, 180),
        ("EUR", soon, "payouts", -150, 30), ("JPY", on, "bank", 0, 0), ("JPY", soon, "charges", 3, 3),
    ]  # fmt: skip


@pytest.mark.parametrize("span", SPANS)
async def test_a_forecast_of_days_that_are_over_is_what_the_bank_did(
    books: tuple[Database, Lines, list[dict[str, Any]]], span: Span
) -> None:
    """It opens with what was booked before its first day, and ends with what the bank stood at; nothing is expected."""
    db, every, _ = books
    span = msgspec.structs.replace(span, to_on=min(span.to_on, db.clock.now().date()))
    async with db.read(STAFF) as tx:
        rows = await store.cash(tx, span)
    own = [(row, leg) for row, leg in of_span(every, span) if leg.account == Account.BANK]
    assert {row.source for row in rows} <= {"bank", "booked"}
    for currency in {row.currency for row, _ in own}:
        shown = [row for row in rows if row.currency == currency]
        mine = [(row, leg) for row, leg in own if row.currency == currency]
        before = sum(leg.amount_minor for row, leg in mine if row.effective_on < span.from_on)
        days = summed(mine, lambda row, _: (row.effective_on,), lambda leg: leg.amount_minor)
        assert (shown[0].due_on, shown[0].balance_minor) == (span.from_on, before)
        assert shown[-1].balance_minor == sum(leg.amount_minor for _, leg in mine)
        assert {(row.due_on,): row.amount_minor for row in shown[1:]} == {
            key: minor for key, minor in days.items() if key[0] >= span.from_on and minor
        }


async def test_a_forecast_of_the_days_to_come_begins_with_what_is_booked(
    books: tuple[Database, Lines, list[dict[str, Any]]],
) -> None:
    """What is known to come counts from today on, whenever the report begins."""
    db, every, _ = books
    today = db.clock.now().date()
    async with db.read(STAFF) as tx:
        whole = await store.cash(tx, Span(from_on=FIRST, to_on=today + timedelta(days=60), currency="EUR"))
        ahead = await store.cash(tx, Span(from_on=today, to_on=today + timedelta(days=60), currency="EUR"))
    stands = sum(leg.amount_minor for row, leg in every if leg.account == Account.BANK and row.currency == "EUR")
    assert ahead[0].balance_minor == stands
    assert whole[-1].balance_minor == ahead[-1].balance_minor
    expected = [row for row in whole if row.source not in {"bank", "booked"}]
    assert expected
    assert min(row.due_on for row in expected) >= today


@pytest.mark.parametrize(("zone", "first", "last"), [
    ("Asia/Shanghai", date(2018, 9, 1), date(2018, 9, 1)), ("America/Sao_Paulo", date(2018, 8, 1), date(2018, 8, 31)),
])  # fmt: skip
async def test_the_days_of_a_report_end_today_where_the_entity_is(
    db: Database, zone: str, first: date, last: date
) -> None:
    """At 20:00 UTC it is tomorrow already in Shanghai."""
    await db.write(WORKER, "test", add_market, [7], zone=zone)
    db.clock.move_to(datetime(2018, 8, 31, 20, tzinfo=UTC))  # type: ignore[attr-defined]  # a FixedClock
    async with db.read(STAFF) as tx:
        for entity_id in (ENTITY, None):
            span = await span_of(tx, None, None, entity_id, None)
            assert (span.from_on, span.to_on) == (first, last + timedelta(days=1))
        assert (await span_of(tx, None, None, 99, None)).to_on == date(2018, 9, 1)
