"""What a run charges a merchant and a payer bears: within its caps, previewed as booked, claimed, and taken back."""

from datetime import date

import pytest

from billing.ledger.chart import Account
from billing.payers import store as payers
from billing.payers.caps import store as caps
from billing.payers.caps.store import CapKey
from billing.payers.rules import WHOLE as WHOLE_PERIOD
from billing.payers.terms import PayerTerms
from billing.payout_terms.model import Conditions, PayoutDays
from billing.runs import store as runs
from billing.runs.model import RunState, period_named
from marketplace.core.clock import FixedClock
from marketplace.core.db import STAFF, WORKER, Database, Tx
from marketplace.core.errors import Conflict
from marketplace.flows.payers.apply_payer_contracts import apply_payer_versions
from marketplace.flows.payers.claim_shares import ClaimShares, claim_shares
from marketplace.flows.payers.settle_claim import Remit, remit
from marketplace.flows.payouts.pay_due import pay_due
from marketplace.flows.payouts.set_payout_terms import ProposeTerms, approve_terms, propose_terms
from marketplace.flows.runs import run_billing
from marketplace.flows.runs.run_billing import abort_run, reverse_run, run_period
from tests.billing.market import (
    CHECKER,
    JUNE,
    MAKER,
    MAY,
    NET_OF_120,
    billed,
    check_books,
    figures,
    order,
    payable,
    payouts,
    settled_market,
    statements,
)
from tests.billing.test_minimum import agree
from tests.billing.test_payouts import books
from tests.billing.test_runs_parked import break_lines, final_child, final_without_parked
from tests.builders import ENTITY
from tests.documents.market import at, refund
from tests.payers.market import terms, used

MAY_10, JUNE_5 = date(2018, 5, 10), date(2018, 6, 5)
CHARGED = 1_440  # 10 % of 120.00, and 20 % VAT on it
WHOLE = {"pays": "charges", "name": "start", "order_cap_minor": None, "share_ppm": 500_000}


async def market(db: Database, *contracts: PayerTerms) -> None:
    """Merchants 1 and 2 with an order in May, merchant 1 with another in June, and payers of their charges."""

    async def add(tx: Tx) -> None:
        for name in sorted({one.payer for one in contracts}):
            await payers.insert_payer(tx, name=name, kind="government", email="claims@example.org")
        await apply_payer_versions(tx, contracts)

    await settled_market(db, [order(1, 1, MAY_10), order(2, 2, MAY_10), order(1, 3, JUNE_5)], JUNE_5)
    await db.write(WORKER, "test", add)


async def shares(db: Database) -> list[tuple[int, int, str]]:
    async with db.read(STAFF) as tx:
        rows = await tx.rows(
            """SELECT merchant_id, amount_minor - back_minor AS minor, state FROM billing.payer_share
               ORDER BY merchant_id, source_id"""
        )
    return [tuple(row) for row in rows]


async def claimed(db: Database) -> int:
    cmd = ClaimShares(contract_id=1, entity_id=ENTITY, through=date(2018, 9, 30))
    return (await db.write(WORKER, "test", claim_shares, cmd)).amount_minor


async def test_a_payer_bears_its_part_of_the_charges_and_the_merchant_the_rest(db: Database) -> None:
    await market(db, terms(**WHOLE, merchants=("m1",)))
    run_id = (await run_period(db, MAKER, MAY)).run.run_id
    previewed = {key: figures(one) for key, one in (await statements(db, run_id)).items()}
    assert previewed[1, "EUR"] == {
        "goods": 12_000, "commission": -1_200, "vat": -240, "other": CHARGED // 2, "closing": NET_OF_120 + CHARGED // 2,
    }  # fmt: skip
    assert "other" not in previewed[2, "EUR"]
    assert (await shares(db), await used(db)) == ([(1, CHARGED // 2, "reserved")], CHARGED // 2)
    await check_books(db)
    await billed(db)
    assert {key: figures(one) for key, one in (await statements(db, run_id)).items()} == previewed
    assert await payouts(db, run_id) == {(1, "EUR"): NET_OF_120 + CHARGED // 2, (2, "EUR"): NET_OF_120}
    assert (await books(db, 1))[Account.PAYER_RECEIVABLE] == CHARGED // 2
    assert await claimed(db) == CHARGED // 2
    june = await statements(db, (await billed(db, JUNE)).run.run_id)
    assert june[1, "EUR"].opening_minor == NET_OF_120 + CHARGED // 2
    assert june[1, "EUR"].other_minor == CHARGED // 2
    await check_books(db)


async def test_the_minimum_is_a_charge_too_and_a_cap_holds_over_merchants_and_periods(db: Database) -> None:
    await market(db, terms(**WHOLE | {"share_ppm": 1_000_000}, cap_minor=3_000))
    await agree(db, 2_000)
    may = await statements(db, (await billed(db)).run.run_id)
    # Merchant 1 is charged 24.00, the minimum with VAT, merchant 2 14.40: 30.00 is there for both.
    assert figures(may[1, "EUR"])["other"] == -960 + 2_400
    assert figures(may[2, "EUR"])["other"] == 600
    june = await statements(db, (await billed(db, JUNE)).run.run_id)
    assert figures(june[1, "EUR"])["other"] == -960
    assert await used(db) == 3_000
    await check_books(db)


async def test_payers_take_their_parts_one_after_the_other(db: Database) -> None:
    first = terms(**WHOLE, merchants=("m1",), priority=1)
    second = terms(**WHOLE | {"name": "rest", "payer": "Town", "share_ppm": 1_000_000}, priority=2)
    await market(db, first, second)
    run_id = (await billed(db)).run.run_id
    assert await shares(db) == [(1, 720, "committed"), (1, 720, "committed"), (2, CHARGED, "committed")]
    assert await payouts(db, run_id) == {(1, "EUR"): 12_000, (2, "EUR"): 12_000}
    await check_books(db)


async def test_a_preview_made_anew_or_given_up_lets_go_of_what_it_set_aside(db: Database) -> None:
    await market(db, terms(**WHOLE, merchants=("m1",), cap_minor=1_000))
    run_id = (await run_period(db, MAKER, MAY)).run.run_id
    await run_period(db, MAKER, MAY)
    assert (await used(db), await shares(db)) == (720, [(1, 720, "released"), (1, 720, "reserved")])
    await abort_run(db, MAKER, run_id)
    assert await used(db) == 0
    await check_books(db)
    await billed(db)
    assert await used(db) == 720
    await check_books(db)


async def billed_june(db: Database, clock: FixedClock, *refunds: tuple[int, int | None]) -> int:
    """Once May is final: these refunds, order and amount, and a final run of June, whose id is returned."""
    at(clock, date(2018, 6, 20))
    for order_id, minor in refunds:
        await refund(db, order_id, minor)
    at(clock, date(2018, 7, 2))
    run_id = (await run_period(db, MAKER, JUNE)).run.run_id
    previewed = await statements(db, run_id)
    await check_books(db)
    await billed(db, JUNE)
    assert {key: figures(one) for key, one in (await statements(db, run_id)).items()} == {
        key: figures(one) for key, one in previewed.items()
    }
    await check_books(db)
    return run_id


async def test_what_a_later_run_credits_the_payer_bears_no_more(db: Database, clock: FixedClock) -> None:
    """Half of 14.40 borne, half of the order refunded, then the rest: 3.60 go back each time, and the cap has it."""
    await market(db, terms(**WHOLE, merchants=("m1",), cap_minor=1_000))
    await billed(db)
    assert (await claimed(db), await used(db)) == (720, 720)
    june = await billed_june(db, clock, (1, 6_000), (3, None))
    assert await used(db) == 360
    assert figures((await statements(db, june))[1, "EUR"])["other"] == -360
    assert await claimed(db) == -360
    at(clock, date(2018, 7, 20))
    await refund(db, 1, 6_000)
    at(clock, date(2018, 8, 2))
    july = (await billed(db, period_named("2018-07"))).run.run_id
    assert (await used(db), await claimed(db)) == (0, -360)
    assert (await books(db, 1)).get(Account.PAYER_RECEIVABLE, 0) == 0
    await check_books(db)
    await reverse_run(db, CHECKER, july)
    assert await used(db) == 360
    await check_books(db)
    await reverse_run(db, CHECKER, june)
    assert (await used(db), (await shares(db))[0]) == (720, (1, 720, "committed"))
    await check_books(db)


async def test_a_reversal_is_refused_whole_when_a_cap_has_no_room_for_what_comes_back(
    db: Database, clock: FixedClock
) -> None:
    """June has credited 3.60 of May's charge, which a third merchant has taken since: nothing of June is taken back."""
    await market(db, terms(**WHOLE, cap_minor=1_440))
    await billed(db)
    june = await billed_june(db, clock, (1, 6_000), (3, None))
    assert await used(db) == 1_080
    taken = CapKey(1, 1, WHOLE_PERIOD)
    assert await db.write(WORKER, "test", caps.reserve, taken, "whole", 0, 360)
    before = await every_balance(db)
    with pytest.raises(Conflict, match=r"credited 360 of earlier charges to Health, whose cap \(start\)"):
        await reverse_run(db, CHECKER, june)
    assert await every_balance(db) == before
    async with db.read(WORKER) as tx:
        assert (await runs.get_run(tx, june)).state == RunState.FINALISED
    await db.write(WORKER, "test", caps.give_back, taken, 0, 360)
    await reverse_run(db, CHECKER, june)
    assert await used(db) == 1_440
    await check_books(db)


async def test_a_reversal_killed_between_its_buckets_keeps_the_caps_that_it_has_moved(
    db: Database, clock: FixedClock
) -> None:
    """The room that is to be borne again is held from the start: nobody takes it, and the books hold meanwhile."""
    await market(db, terms(**WHOLE, cap_minor=1_440))
    await billed(db)
    june = await billed_june(db, clock, (1, 6_000), (3, None))
    await db.write(WORKER, CHECKER, run_billing._start_reversing, june)
    assert await used(db) == 1_440
    assert not await db.write(WORKER, "test", caps.reserve, CapKey(1, 1, WHOLE_PERIOD), "whole", 0, 1)
    await check_books(db)
    await reverse_run(db, CHECKER, june)
    assert (await used(db), (await shares(db))[0]) == (1_440, (1, 720, "committed"))
    await check_books(db)


async def test_what_is_credited_of_another_month_is_no_less_charged_now(db: Database, clock: FixedClock) -> None:
    """The May order's charge, that nobody bore, is credited in June: the payer bears half of June's own charge."""
    await market(db, terms(**WHOLE, merchants=("m1",), valid_from=date(2018, 6, 1)))
    await billed(db)
    june = await billed_june(db, clock, (1, None))
    assert (await shares(db))[-1] == (1, CHARGED // 2, "committed")
    assert figures((await statements(db, june))[1, "EUR"])["other"] == CHARGED // 2


@pytest.mark.parametrize("paid_first", [False, True])
async def test_what_is_credited_of_a_merchant_that_waits(db: Database, clock: FixedClock, paid_first: bool) -> None:
    await market(db, terms(**WHOLE, merchants=("m1",), pay_when_paid=True))
    await billed(db)
    if paid_first:
        cmd = ClaimShares(contract_id=1, entity_id=ENTITY, through=date(2018, 9, 30))
        claim = await db.write(WORKER, "test", claim_shares, cmd)
        money = Remit(
            payer_id=claim.payer_id, claim_id=claim.claim_id, amount_minor=claim.open_minor, bank_ref="b",
            received_on=JUNE_5,
        )  # fmt: skip
        await db.write(WORKER, "test", remit, money)
    june = await billed_june(db, clock, (1, None), (3, None))
    other = figures((await statements(db, june))[1, "EUR"]).get("other", 0)
    assert other == 0, "what it was relieved of in June goes back in June"
    assert await used(db) == 0
    await reverse_run(db, CHECKER, june)
    assert await used(db) == 720
    await check_books(db)


@pytest.mark.parametrize("claim_first", [False, True])
async def test_a_run_that_is_reversed_takes_it_back_from_the_payer(db: Database, claim_first: bool) -> None:
    await market(db, terms(**WHOLE, merchants=("m1",), cap_minor=1_000))
    before = [await payable(db, merchant) for merchant in (1, 2)]
    run_id = (await billed(db)).run.run_id
    if claim_first:
        assert await claimed(db) == 720
    await reverse_run(db, CHECKER, run_id)
    assert [await payable(db, merchant) for merchant in (1, 2)] == before
    assert await used(db) == 0
    await check_books(db)
    again = await billed(db)
    assert await payouts(db, again.run.run_id) == {(1, "EUR"): NET_OF_120 + 720, (2, "EUR"): NET_OF_120}
    assert await used(db) == 720
    await check_books(db)


async def test_a_merchant_that_waits_for_the_payer_is_charged_until_it_pays(db: Database) -> None:
    await market(db, terms(**WHOLE, merchants=("m1",), pay_when_paid=True))
    run_id = (await billed(db)).run.run_id
    assert await payouts(db, run_id) == {(1, "EUR"): NET_OF_120, (2, "EUR"): NET_OF_120}
    assert figures((await statements(db, run_id))[1, "EUR"])["closing"] == NET_OF_120
    assert (await books(db, 1))[Account.RESERVE] == -720
    await check_books(db)
    await reverse_run(db, CHECKER, run_id)
    assert Account.RESERVE not in await books(db, 1)
    await check_books(db)


async def test_what_a_parked_merchant_would_get_is_free_until_the_child_takes_it(db: Database) -> None:
    await market(db, terms(**WHOLE, cap_minor=2_000))
    await break_lines(db, 1)
    parent_id = await final_without_parked(db)
    assert await used(db) == 720
    await break_lines(db, 1, -1)
    child_id = await final_child(db, parent_id)
    assert figures((await statements(db, child_id))[1, "EUR"])["other"] == 720
    assert await used(db) == 1_440
    await check_books(db)


async def every_balance(db: Database) -> set[tuple[int, int, int, str, int]]:
    """(books, account, dimension, currency, amount) of all that does not stand at zero."""
    async with db.read(STAFF) as tx:
        rows = await tx.rows(
            """SELECT e.merchant_id, leg.account, leg.dimension, e.currency, sum(leg.amount)::bigint AS minor
               FROM billing.entry e, unnest(e.accounts, e.dimensions, e.amounts) AS leg (account, dimension, amount)
               GROUP BY 1, 2, 3, 4 HAVING sum(leg.amount) <> 0"""
        )
    return {(row.merchant_id, row.account, row.dimension, row.currency, row.minor) for row in rows}


async def test_finalise_then_reverse_returns_every_balance(db: Database) -> None:
    """With a minimum, a payer's part, a reserve, and a payout on a day of its own that was made already."""
    await market(db, terms(**WHOLE, cap_minor=3_000))
    await agree(db, 5_000)
    for merchant, days in ((1, PayoutDays.EVERY_RUN), (2, PayoutDays.MONTHLY)):
        agreed = Conditions(reserve_ppm=100_000, reserve_days=30, days=days)
        cmd = ProposeTerms(merchant_id=merchant, currency="EUR", conditions=agreed, reason="new")
        proposed = await db.write(WORKER, MAKER, propose_terms, cmd)
        if proposed.state == "proposed":
            await db.write(WORKER, CHECKER, approve_terms, merchant, proposed.terms_id)
    before, used_before = await every_balance(db), await used(db)
    run_id = (await billed(db)).run.run_id
    assert await pay_due(db, "worker") == 1
    assert set(await payouts(db, run_id)) == {(1, "EUR"), (2, "EUR")}
    assert await every_balance(db) != before
    await check_books(db)
    await reverse_run(db, CHECKER, run_id)
    assert (await every_balance(db), await used(db)) == (before, used_before)
    await check_books(db)
