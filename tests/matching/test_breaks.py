"""Breaks of every type, planted one by one: found with the right type, and nothing else is."""

from datetime import date, timedelta
from typing import Any

import pytest

from billing.breaks import store
from billing.breaks.model import AGES, Break, BreakCounts, BreakKind, BreakState, age_class, respond_within
from billing.ledger import store as ledger
from billing.ledger.chart import Account
from billing.ledger.model import NewEntry, legs
from billing.matching.model import Book, FeeLine, ItemKind
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.bank.match_by_hand import approve_fees, propose_fees
from marketplace.flows.bank.work_breaks import SayOfBreak, accept, approve_break
from tests.builders import ENTITY
from tests.matching.items import DAY, add_items, ours, theirs
from tests.matching.market import bank_says, groups, line, matched, name_accounts, tomorrow
from tests.payments.market import MERCHANTS, add_merchants
from tests.periods.market import as_owner

TODAY = date(2018, 9, 3)
BANK: dict[str, Any] = {"book": Book.BANK}
FITS = [theirs(500, "A"), ours(500, "A")]
K = BreakKind

PLANTED: dict[BreakKind, list[dict[str, Any]]] = {
    K.EXPECTED: [ours(700, "X", day=TODAY, expected_on=TODAY)],
    K.CUT_OFF: [ours(700, "X", expected_on=TODAY)],
    K.MISSING_EXTERNAL: [ours(700, "X")],
    K.MISSING_INTERNAL: [theirs(700, "X")],
    K.AMOUNT: [theirs(700, "X"), ours(800, "X")],
    K.FEE_VARIANCE: [theirs(700, "X", fee_minor=None), ours(730, "X")],
    K.FX_VARIANCE: [theirs(700, "X", currency="USD"), ours(730, "X", currency="USD")],
    K.CURRENCY: [theirs(700, "X", currency="USD"), ours(700, "X")],
    K.STATUS: [theirs(-700, "X")],
    K.DUPLICATE_EXTERNAL: [theirs(500, "A", sort_key="later")],
    K.DUPLICATE_INTERNAL: [ours(500, "A", sort_key="later")],
    K.SPLIT_INCOMPLETE: [
        theirs(900, "S", **BANK),
        *(ours(minor, f"S{minor}", batch_ref="S", kind=ItemKind.SETTLEMENT, **BANK) for minor in (400, 600)),
    ],
    K.UNIDENTIFIED_RECEIPT: [theirs(700, "X", **BANK)],
    K.PAYOUT_RETURNED: [
        theirs(-400, "11-7", **BANK),
        ours(-400, "11-7", kind=ItemKind.PAYOUT, **BANK),
        theirs(400, "11-7", sort_key="back", **BANK),
    ],
}


@pytest.fixture
async def market(db: Database) -> Database:
    await db.write(WORKER, "test", add_merchants)
    return db


async def found(db: Database) -> list[Break]:
    async with db.read(WORKER) as tx:
        return await store.list_breaks(tx, live=True, limit=1_000)


@pytest.mark.parametrize("kind", PLANTED)
async def test_a_planted_break_is_found_with_its_type_and_nothing_else(market: Database, kind: BreakKind) -> None:
    await add_items(market, [*FITS, *PLANTED[kind]])
    await matched(market)
    assert [one.kind for one in await found(market)] == [kind]
    again = await matched(market)
    assert (again.found["breaks_opened"], again.found["breaks_closed"]) == (0, 0)


async def test_a_break_turns_into_another_and_is_closed_when_it_matches(market: Database) -> None:
    await add_items(market, [ours(700, "X", day=TODAY, expected_on=TODAY)])
    await matched(market)
    assert [one.kind for one in await found(market)] == [K.EXPECTED]
    await tomorrow(market)
    await matched(market)
    [one] = await found(market)
    assert (one.kind, one.age_days, one.age_class) == (K.MISSING_EXTERNAL, 1, "0-1")
    await add_items(market, [theirs(700, "X")])
    await matched(market)
    assert await found(market) == []
    async with market.read(WORKER) as tx:
        steps = await store.list_steps(tx, one.break_id)
    assert [step.what for step in steps] == ["opened", "turned", "closed"]


async def test_the_day_is_that_of_the_entity(market: Database) -> None:
    """At noon in UTC it is tomorrow already in Kiritimati, and what was due today is late."""
    far = "UPDATE billing.entity SET zone = 'Pacific/Kiritimati'"
    await as_owner(market, lambda tx: tx.execute(far))
    await add_items(market, [ours(700, "X", day=TODAY, expected_on=TODAY)])
    await matched(market)
    [one] = await found(market)
    assert (one.kind, one.age_days) == (K.MISSING_EXTERNAL, 1)


async def test_a_batch_on_1030_that_is_not_even(market: Database) -> None:
    async def half(tx: Tx) -> None:
        entry = NewEntry(
            merchant_id=MERCHANTS[0], kind="goodwill", source_id=1, currency="EUR", occurred_at=tx.now,
            effective_on=TODAY,
            legs=legs({Account.CONTROL: 5, Account.ADJUSTMENTS: -5}, dimensions={Account.CONTROL: 77}),
        )  # fmt: skip
        await ledger.post(tx, [entry])

    await market.write(WORKER, "test", half)
    await matched(market)
    assert [(one.kind, one.subject, one.amount_minor) for one in await found(market)] == [
        (K.CONTROL_IMBALANCE, "batch:77:EUR", 5)
    ]


async def test_a_statement_that_is_missing(market: Database) -> None:
    await market.write(WORKER, "test", name_accounts)
    await bank_says(market, [line(5, day=date(2018, 8, 1))])
    await bank_says(market, [line(5, day=date(2018, 8, 9))], opening=100)
    await matched(market)
    kinds = sorted(one.kind for one in await found(market))
    assert kinds == [K.STATEMENT_GAP, K.UNIDENTIFIED_RECEIPT, K.UNIDENTIFIED_RECEIPT]


async def test_a_line_of_a_day_to_come_is_not_due_until_then(market: Database) -> None:
    later = TODAY + timedelta(days=3)
    await add_items(market, [theirs(-500, "X", day=later), ours(-500, "X", kind=ItemKind.PAYOUT, booked=False)])
    await matched(market)
    [one] = await found(market)
    assert (one.kind, one.amount_minor, one.expected_on, one.respond_by) == (K.EXPECTED, -500, later, None)


async def test_fees_are_checked_against_what_was_agreed(market: Database) -> None:
    """25 cents and 1.4 %; for `gold` nothing but 1 %. A cent apart is rounding."""
    await market.write(WORKER, "test", name_accounts)
    fees = (
        FeeLine(currency="EUR", fixed_minor=25, ppm=14_000),
        FeeLine(method="gold", currency="EUR", fixed_minor=0, ppm=10_000),
    )
    made = await market.write(WORKER, "fay", propose_fees, "card", date(2018, 1, 1), fees)
    await market.write(WORKER, "col", approve_fees, made.processor_id, made.version)
    charged = {"A": 165, "B": 166, "C": 164, "D": 180, "E": 100, "F": 165}
    rows = [theirs(10_000, name, fee_minor=fee) for name, fee in charged.items()]
    rows += [ours(10_000, name, words="gold" if name in "EF" else "tok_ok") for name in charged]
    await add_items(market, rows)
    await matched(market)
    wrong = [(one.kind, one.detail, one.amount_minor) for one in await found(market)]
    assert wrong == [
        (K.FEE_VARIANCE, "fee 1.80 EUR of D, agreed 1.65 EUR", 15),
        (K.FEE_VARIANCE, "fee 1.65 EUR of F, agreed 1.00 EUR", 65),
    ]
    assert len(await groups(market)) == 6
    await matched(market)
    assert len(await found(market)) == 2


async def test_fees_that_are_agreed_later_count_for_lines_of_their_days(market: Database) -> None:
    """Lines matched before anything was agreed are looked at once it is, from the day on that it holds."""
    await market.write(WORKER, "test", name_accounts)
    early, late = DAY - timedelta(days=9), DAY
    await add_items(market, [
        row for name, day in (("A", early), ("B", late))
        for row in (theirs(10_000, name, fee_minor=180, day=day), ours(10_000, name, day=day))
    ])  # fmt: skip
    await matched(market)
    assert await found(market) == []
    await tomorrow(market)
    fees = (FeeLine(currency="EUR", fixed_minor=25, ppm=14_000),)
    made = await market.write(WORKER, "fay", propose_fees, "card", late, fees)
    await matched(market)
    assert await found(market) == []
    await tomorrow(market)
    await market.write(WORKER, "col", approve_fees, made.processor_id, made.version)
    await matched(market)
    assert [one.detail for one in await found(market)] == ["fee 1.80 EUR of B, agreed 1.65 EUR"]
    await tomorrow(market)
    await matched(market)
    assert [one.detail for one in await found(market)] == ["fee 1.80 EUR of B, agreed 1.65 EUR"]


async def agreed(db: Database) -> Break:
    """The one break, accepted by two people."""
    await matched(db)
    [one] = await found(db)
    say = SayOfBreak(break_id=one.break_id, words="known")
    await db.write(WORKER, "fay", accept, say)
    return await db.write(WORKER, "col", approve_break, say)


async def moved(tx: Tx, what: str) -> None:
    await tx.execute(f"UPDATE billing.match_item SET {what} WHERE side = 'ours'")


@pytest.mark.parametrize(
    ("what", "kind"),
    [
        ("amount_minor = 850", K.AMOUNT),
        ("currency = 'USD'", K.CURRENCY),
        ("keys = '{Y}', reference = 'Y'", K.MISSING_INTERNAL),
    ],
)
async def test_what_was_accepted_is_open_anew_when_it_is_another_thing(
    market: Database, what: str, kind: BreakKind
) -> None:
    """Another amount, another kind; accepted was what two people had seen, and nothing else."""
    await add_items(market, [theirs(700, "X"), ours(800, "X")])
    before = await agreed(market)
    await matched(market)
    assert (await found(market))[0].state is BreakState.ACCEPTED
    await tomorrow(market)
    await market.write(WORKER, "test", moved, what)
    await matched(market)
    [after] = [one for one in await found(market) if one.break_id == before.break_id]
    assert (after.kind, after.state, after.asked_by, after.decided_by) == (kind, BreakState.OPEN, None, None)
    assert (after.reason, after.overdue) == ("", False)
    async with market.read(WORKER) as tx:
        [*_, last] = await store.list_steps(tx, before.break_id)
    assert (last.what, last.detail["was"]) == ("turned", "accepted")


async def test_what_was_accepted_is_open_anew_with_another_counterpart(market: Database) -> None:
    await add_items(market, [theirs(700, "X"), ours(800, "X")])
    before = await agreed(market)
    await market.write(WORKER, "test", moved, "keys = '{}', reference = 'gone'")
    await add_items(market, [ours(800, "X", sort_key="another")])
    await matched(market)
    [after] = [one for one in await found(market) if one.break_id == before.break_id]
    assert (after.kind, after.amount_minor, after.state) == (K.AMOUNT, -100, BreakState.OPEN)
    assert after.other_id != before.other_id


async def test_what_is_due_is_listed_and_counted_apart_from_what_is_merely_early(market: Database) -> None:
    later = TODAY + timedelta(days=40)
    early = [ours(700 + n, f"E{n}", day=TODAY, expected_on=later) for n in range(3)]
    await add_items(market, [*early, ours(900, "X")])
    await matched(market)
    async with market.read(WORKER) as tx:
        due = await store.list_breaks(tx, live=True, due=True, limit=10)
        counts = await store.count_breaks(tx, entity_id=ENTITY)
    assert [one.amount_minor for one in due] == [900]
    assert len(await found(market)) == 4
    assert counts == BreakCounts(due=1, overdue=0, not_due=3)
    await tomorrow(market, 8)
    async with market.read(WORKER) as tx:
        assert await store.count_breaks(tx) == BreakCounts(due=1, overdue=1, not_due=3)


async def test_what_is_not_due_yet_is_never_overdue(market: Database) -> None:
    later = TODAY + timedelta(days=40)
    await add_items(market, [ours(700, "X", day=TODAY, expected_on=later)])
    await matched(market)
    await tomorrow(market, 40)
    [early] = await found(market)
    assert (early.kind, early.overdue, early.respond_by) == (K.EXPECTED, False, None)
    await tomorrow(market, 1)
    await matched(market)
    [late] = await found(market)
    assert (late.kind, late.overdue) == (K.MISSING_EXTERNAL, False)
    assert late.respond_by == market.clock.now() + respond_within(700, 1)
    await tomorrow(market, 6)
    assert [one.overdue for one in await found(market)] == [True]


def test_ages_and_answers() -> None:
    assert [age_class(days) for days in (0, 1, 2, 3, 4, 7, 8, 30, 31, 90, 91)] == [
        "0-1", "0-1", "2-3", "2-3", "4-7", "4-7", "8-30", "8-30", "31-90", "31-90", f"over {AGES[-1]}",
    ]  # fmt: skip
    hours = [respond_within(*of).total_seconds() / 3600 for of in ((1, 0), (1, 1), (-100_000, 0), (1, 3), (10**7, 0))]
    assert hours == [168, 120, 120, 72, 24]
