"""Postings D to D3 of domain.md and their unwinding, to the cent, with the books proved after each."""

from datetime import date

import pytest

from billing.payers.claims.store import PayerClaim, lines_of
from demand.amendments.model import Add, Changes
from demand.lifecycle import Move, Party
from demand.store import lock_order
from marketplace.consoles.books_queries import order_page
from marketplace.core.db import WORKER, Database, Role, Scope, Tx
from marketplace.core.errors import Conflict, Invalid
from marketplace.flows.orders.amend_order import ProposeAmendment, propose_amendment
from marketplace.flows.orders.price_amendment import By
from marketplace.flows.orders.release_order import release_unpaid
from marketplace.flows.payers.settle_claim import PaidLine, RejectLine, Remit, reclaim_line, reject_line, remit
from marketplace.flows.refunds.cancel_refund import cancel_refund
from marketplace.flows.refunds.pay_refund import RefundKey
from marketplace.flows.refunds.refund_order import Refunded, RefundLine, RefundOrder, refund_order
from tests.billing.market import check_books
from tests.builders import HOUSE
from tests.orders.paid import balances, count, entry
from tests.payers.market import apply, bought, claim, market, pay, share, sold, terms, used
from tests.placing.market import ALPHA, CUP

PAYER = 1


async def money(db: Database, made: PayerClaim, minor: int, ref: str = "b1") -> PayerClaim:
    cmd = Remit(payer_id=PAYER, claim_id=made.claim_id, amount_minor=minor, bank_ref=ref, received_on=date(2018, 9, 3))
    return await db.write(WORKER, "test", remit, cmd)


async def named(db: Database, made: PayerClaim, minor: int, *lines: PaidLine, ref: str = "b1") -> PayerClaim:
    cmd = Remit(
        payer_id=PAYER, claim_id=made.claim_id, amount_minor=minor, bank_ref=ref, received_on=date(2018, 9, 3),
        lines=lines,
    )  # fmt: skip
    return await db.write(WORKER, "test", remit, cmd)


async def back(db: Database, order_id: int, minor: int | None = None, reason: str = "damaged") -> Refunded:
    lines = None if minor is None else (RefundLine(1, minor),)
    goodwill = None
    if reason == "goodwill":
        lines, goodwill = None, minor
    cmd = RefundOrder(merchant_id=ALPHA, order_id=order_id, reason=reason, lines=lines, goodwill_minor=goodwill)
    return await db.write(WORKER, "test", refund_order, cmd)


def rejecting(made: PayerClaim, minor: int) -> RejectLine:
    return RejectLine(payer_id=PAYER, claim_id=made.claim_id, line_no=1, amount_minor=minor, reason="not covered")


async def test_d_the_buyer_pays_what_the_payer_leaves_and_pending_holds_both(db: Database) -> None:
    await market(db)
    placed = await bought(db)
    assert (placed.total_minor, placed.payer_minor, placed.pay_minor) == (12_000, 7_000, 5_000)
    assert await used(db) == 7_000
    await check_books(db)
    await pay(db, placed)
    assert await entry(db, "order_paid", ALPHA) == {1020: 5_000, 1110: 7_000, 2005: -12_000}
    await check_books(db)


async def test_d_settles_as_a1_and_waits_for_nobody(db: Database) -> None:
    await market(db)
    await sold(db)
    assert await entry(db, "order_settled", ALPHA) == {2005: 12_000, 4000: -1_200, 2300: -240, 2000: -10_560}
    assert await count(db, "payer_held", ALPHA) == 0
    await check_books(db)


async def test_d_paid_when_paid_holds_the_payers_part_until_it_is_remitted(db: Database) -> None:
    await market(db, terms(pay_when_paid=True))
    await sold(db)
    held = await balances(db, ALPHA)
    assert (held[2010], held[2000]) == (-7_000, -3_560)
    made = await claim(db)
    await money(db, made, 3_500)
    half = await balances(db, ALPHA)
    assert (half[2010], half[2000]) == (-3_500, -7_060)
    await check_books(db)
    await money(db, made, 3_668, "b2")
    after = await balances(db, ALPHA)
    assert (after.get(2010, 0), after[2000], after.get(1110, 0)) == (0, -10_560, 0)
    await check_books(db)


async def test_d1_the_platforms_fee_and_d2_the_remittance(db: Database) -> None:
    await market(db)
    await sold(db)
    made = await claim(db)
    assert (made.claim_no, made.amount_minor, made.fee_minor, made.vat_minor) == (1, 7_000, 140, 28)
    assert await entry(db, "payer_fee", ALPHA) == {1110: 168, 4060: -140, 2300: -28}
    paid = await money(db, made, 7_168)
    assert paid.open_minor == 0
    assert await entry(db, "payer_remitted", ALPHA) == {1030: 7_168, 1110: -7_168}
    assert await entry(db, "payer_money", HOUSE) == {1010: 7_168, 1030: -7_168}
    await check_books(db)


@pytest.mark.parametrize(("recourse", "bearer"), [(True, 2000), (False, 5210)])
async def test_d3_what_the_payer_rejects_and_claims_again(db: Database, recourse: bool, bearer: int) -> None:
    await market(db, terms(recourse=recourse))
    await sold(db)
    made = await claim(db)
    await db.write(WORKER, "test", reject_line, rejecting(made, 1_000))
    assert await entry(db, "payer_rejected", ALPHA) == {bearer: 1_000, 1110: -1_000}
    assert await entry(db, "payer_fee", ALPHA, nth=1) == {1110: -24, 4060: 20, 2300: 4}
    await check_books(db)
    left = await money(db, made, 6_144)
    assert left.open_minor == 0
    with pytest.raises(Conflict, match="nothing to be claimed"):
        await claim(db)
    await db.write(WORKER, "test", reclaim_line, rejecting(made, 1_000))
    await check_books(db)
    again = await claim(db)
    assert (again.claim_no, again.amount_minor, again.fee_minor, again.vat_minor) == (2, 1_000, 20, 4)
    await money(db, again, 1_024)
    assert (await balances(db, ALPHA)).get(1110, 0) == 0
    await check_books(db)


async def test_more_than_is_open_is_neither_remitted_nor_rejected(db: Database) -> None:
    await market(db)
    await sold(db)
    made = await claim(db)
    with pytest.raises(Conflict, match="more than 7168"):
        await money(db, made, 7_169)
    await money(db, made, 7_000)
    with pytest.raises(Conflict, match="booked for this claim already"):
        await money(db, made, 168)
    with pytest.raises(Conflict, match="more than 168"):
        await db.write(WORKER, "test", reject_line, rejecting(made, 169))
    await check_books(db)


async def test_e2_a_third_before_settlement_goes_back_to_both_as_they_bore_it(db: Database) -> None:
    await market(db)
    placed = await sold(db, settled=False)
    done = await back(db, placed.orders[0].order_id, 4_000)
    assert (done.gross_minor, done.payer_minor) == (4_000, 2_333)
    assert await entry(db, "order_refunded", ALPHA) == {2005: 4_000, 2400: -1_667, 1110: -2_333}
    assert await used(db) == 7_000 - 2_333
    await check_books(db)


async def test_e3_thirds_after_settlement_take_back_exactly_what_was_borne(db: Database) -> None:
    await market(db)
    placed = await sold(db)
    parts = [(await back(db, placed.orders[0].order_id, 4_000)).payer_minor for _ in range(3)]
    assert sum(parts) == 7_000
    assert await entry(db, "order_refunded", ALPHA) == {
        2000: 3_520, 4000: 400, 2300: 80, 2400: -1_667, 1110: -2_333,
    }  # fmt: skip
    assert await used(db) == 0
    assert {account: minor for account, minor in (await balances(db, ALPHA)).items() if minor} == {
        1020: 5_000, 2400: -5_000,
    }  # fmt: skip
    await check_books(db)


async def test_what_is_held_shrinks_with_a_refund(db: Database) -> None:
    await market(db, terms(pay_when_paid=True))
    placed = await sold(db)
    await back(db, placed.orders[0].order_id, 6_000)
    assert (await balances(db, ALPHA))[2010] == -3_500
    await check_books(db)


async def test_a_refund_after_the_claim_is_set_off_by_the_next(db: Database) -> None:
    await market(db)
    placed = await sold(db)
    made = await claim(db)
    await money(db, made, 7_168)
    await back(db, placed.orders[0].order_id)
    assert (await balances(db, ALPHA))[1110] == -7_000
    await sold(db, "k2")
    again = await claim(db)
    assert (again.amount_minor, again.fee_minor, again.vat_minor, again.lines) == (0, 0, 0, 2)
    await check_books(db)


async def test_what_was_rejected_comes_back_last_to_whoever_bore_it(db: Database) -> None:
    await market(db, terms(recourse=True))
    placed = await sold(db)
    made = await claim(db)
    await db.write(WORKER, "test", reject_line, rejecting(made, 1_000))
    await back(db, placed.orders[0].order_id, 6_000)
    assert await count(db, "payer_rejection_returned", ALPHA) == 0
    await back(db, placed.orders[0].order_id)
    assert await entry(db, "payer_rejection_returned", ALPHA) == {1110: 1_000, 2000: -1_000}
    await check_books(db)


async def test_a_cancelled_refund_is_borne_again(db: Database) -> None:
    await market(db)
    placed = await sold(db)
    done = await back(db, placed.orders[0].order_id, 6_000)

    async def fail(tx: Tx) -> None:
        await tx.execute("UPDATE billing.refund_payment SET state = 'failed', failure = 'closed'")

    await db.write(WORKER, "test", fail)
    await db.write(WORKER, "test", cancel_refund, RefundKey(ALPHA, done.refund_id))
    assert (await share(db, placed)).back_minor == 0
    assert await used(db) == 7_000
    await check_books(db)


async def test_goodwill_takes_nothing_back_and_gives_no_more_than_the_buyer_paid(db: Database) -> None:
    await market(db)
    placed = await sold(db)
    with pytest.raises(Conflict, match="more than 5000, what the buyer has paid itself"):
        await back(db, placed.orders[0].order_id, 5_001, "goodwill")
    done = await back(db, placed.orders[0].order_id, 1_000, "goodwill")
    assert (done.payer_minor, done.platform_minor) == (0, 1_000)
    whole = await back(db, placed.orders[0].order_id)
    assert (whole.gross_minor, whole.payer_minor) == (11_000, 7_000)
    await check_books(db)


async def test_an_unpaid_order_that_is_cancelled_gives_its_cap_back(db: Database) -> None:
    await market(db)
    placed = await bought(db)

    async def cancel(tx: Tx) -> None:
        order = await lock_order(tx, ALPHA, placed.orders[0].order_id)
        await release_unpaid(tx, order, Move.CANCEL, Party.BUYER, reason="changed mind")

    await db.write(WORKER, "test", cancel)
    assert await used(db) == 0
    assert (await share(db, placed)).state == "released"
    await check_books(db)


async def test_a_payer_may_pay_it_all(db: Database) -> None:
    await market(db, terms(share_ppm=1_000_000, order_cap_minor=None))
    placed = await sold(db)
    assert (placed.payer_minor, placed.pay_minor) == (12_000, 0)
    assert await entry(db, "order_paid", ALPHA) == {1110: 12_000, 2005: -12_000}
    await back(db, placed.orders[0].order_id, 4_000)
    await back(db, placed.orders[0].order_id)
    assert (await balances(db, ALPHA)).get(2400, 0) == 0
    await check_books(db)


async def test_only_lines_that_count_are_borne_and_come_back(db: Database) -> None:
    await market(db, terms(categories=("care",), order_cap_minor=None))
    placed = await sold(db, cups=1)
    assert placed.payer_minor == 9_600
    order_id = placed.orders[0].order_id
    cup = RefundOrder(merchant_id=ALPHA, order_id=order_id, reason="damaged", lines=(RefundLine(2, 799),))
    assert (await db.write(WORKER, "test", refund_order, cup)).payer_minor == 0
    assert (await back(db, order_id, 6_000)).payer_minor == 4_800
    await check_books(db)


async def test_two_payers_take_one_after_the_other_of_what_is_left(db: Database) -> None:
    second = terms(name="brand", payer="Brand", share_ppm=600_000, order_cap_minor=None, priority=200)
    await market(db, terms(), second)
    placed = await sold(db)
    assert (placed.payer_minor, placed.pay_minor) == (12_000, 0)
    for minor in (5_000, 5_000, 2_000):
        await back(db, placed.orders[0].order_id, minor)
    assert await used(db) == 0
    await check_books(db)


async def test_the_fixed_fee_of_a_claim_is_the_houses(db: Database) -> None:
    await market(db, terms(fee_ppm=0, fee_fixed_minor=500))
    await sold(db)
    made = await claim(db)
    assert (made.amount_minor, made.fee_minor, made.vat_minor) == (7_000, 500, 100)
    assert await entry(db, "payer_fee", HOUSE) == {1110: 600, 4060: -500, 2300: -100}
    await money(db, made, 3_800)
    await check_books(db)
    await money(db, made, 3_800, "b2")
    assert (await balances(db, HOUSE)).get(1110, 0) == 0
    await check_books(db)


async def test_what_was_granted_for_an_order_is_not_amended(db: Database) -> None:
    await market(db)
    placed = await sold(db, settled=False)
    cmd = ProposeAmendment(
        merchant_id=ALPHA,
        order_id=placed.orders[0].order_id,
        by=By(party=Party.MERCHANT),
        base_version=2,
        changes=Changes(add=(Add(product_id=CUP, quantity=1),)),
        reason="one more",
    )
    with pytest.raises(Conflict, match="third party pays a part"):
        await db.write(WORKER, "test", propose_amendment, cmd)


async def test_a_used_version_keeps_its_terms(db: Database) -> None:
    await market(db)
    await bought(db)
    with pytest.raises(Conflict, match="its terms stay"):
        await apply(db, terms(share_ppm=1))
    assert (await apply(db, terms())).unchanged == 1


async def test_d2_money_from_before_the_order_was_settled_is_not_for_it(db: Database) -> None:
    await market(db)
    await sold(db)
    made = await claim(db)
    early = Remit(payer_id=PAYER, claim_id=made.claim_id, amount_minor=1, bank_ref="b", received_on=date(2018, 9, 2))
    with pytest.raises(Invalid, match="was settled on 2018-09-03"):
        await db.write(WORKER, "test", remit, early)
    await check_books(db)


async def test_the_merchant_sees_the_payers_entries_on_the_page_of_its_order(db: Database) -> None:
    await market(db, terms(pay_when_paid=True))
    placed = await sold(db)
    made = await claim(db)
    await db.write(WORKER, "test", reject_line, rejecting(made, 1_000))
    await money(db, made, 1_000)
    async with db.read(Scope(Role.MERCHANT, ALPHA)) as tx:
        page = await order_page(tx, ALPHA, placed.orders[0].order_id)
    kinds = {booked.kind for booked in page.entries}
    assert kinds >= {"order_paid", "order_settled", "payer_held", "payer_fee", "payer_rejected", "payer_remitted"}


async def test_d2_money_goes_to_the_lines_that_it_names_with_what_is_rejected_of_them(db: Database) -> None:
    """Two shares of 70.00 with 1.40 and VAT of 0.28: the first is paid but for 10.00, the second not."""
    await market(db)
    for key in ("k1", "k2"):
        await sold(db, key)
    made = await claim(db)
    for wrong, lines in {
        "the lines come to 5, not to 6": (PaidLine(line_no=1, amount_minor=5),),
        "lines/1/line_no: is named twice": (PaidLine(line_no=1, amount_minor=3), PaidLine(line_no=1, amount_minor=3)),
        "lines/0/line_no: claim .* has no line 9": (PaidLine(line_no=9, amount_minor=6),),
        "lines/0/reason: says why": (PaidLine(line_no=1, amount_minor=6, rejected_minor=1),),
    }.items():
        with pytest.raises(Invalid, match=wrong):
            await named(db, made, 6, *lines)
    with pytest.raises(Conflict, match="lines/0/amount_minor: 8000 is not within 7168, what is open of line 1"):
        await named(db, made, 8_000, PaidLine(line_no=1, amount_minor=8_000))
    said = PaidLine(line_no=1, amount_minor=6_144, rejected_minor=1_000, reason="not covered")
    paid = await named(db, made, 6_144, said)
    assert (paid.rejected_minor, paid.remitted_minor, paid.open_minor) == (1_024, 6_144, 7_168)
    async with db.read(WORKER) as tx:
        after = await lines_of(tx, PAYER, made.claim_id)
    assert [(line.rejected_minor, line.remitted_minor, line.open_minor) for line in after] == [
        (1_000, 6_144, 0), (0, 0, 7_168),
    ]  # fmt: skip
    await check_books(db)


async def test_a_payer_of_goods_alone_has_all_of_it_back_when_they_go_and_nothing_with_their_freight(
    db: Database,
) -> None:
    await market(db, terms(base="goods", order_cap_minor=None))
    await db.write(WORKER, "test", _with_freight)
    placed = await sold(db)
    assert (placed.total_minor, placed.payer_minor) == (15_000, 9_600)
    order_id = placed.orders[0].order_id
    freight = RefundOrder(merchant_id=ALPHA, order_id=order_id, reason="damaged", lines=(RefundLine(1, 0, 1_000),))
    assert (await db.write(WORKER, "test", refund_order, freight)).payer_minor == 0
    assert [(await back(db, order_id, 6_000)).payer_minor for _ in range(2)] == [4_800, 4_800]
    await check_books(db)


async def _with_freight(tx: Tx) -> None:
    await tx.execute("UPDATE supply.offer SET freight_minor = 3000 WHERE price_minor = 12000")
