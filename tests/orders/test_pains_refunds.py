"""Pains 3, 4, 5, 8 and 9 that users of other marketplaces have reported, as tests of this one."""

import asyncio

import pytest

from demand.lifecycle import Party
from marketplace.core.db import WORKER, Database
from marketplace.core.errors import Conflict
from marketplace.flows.refunds.cancel_refund import cancel_refund
from marketplace.flows.refunds.pay_refund import RefundKey, refund_to_credit, retry_refund
from marketplace.flows.refunds.refund_order import RefundLine
from tests.billing.market import check_books
from tests.builders import Line
from tests.orders.paid import Paid, balances, commands, count, entry, market, of, refund, says
from tests.orders.test_disputes import LOST, OPENED, fact
from tests.orders.test_refund_postings import under


async def test_pain_3_a_refund_without_items_lowers_what_the_merchant_is_owed(db: Database) -> None:
    """Elsewhere a refund that names no line leaves the seller's balance as it was, to be withdrawn."""
    lines = (Line(goods_minor=3_333), Line(goods_minor=3_333), Line(goods_minor=3_334))
    await market(db, Paid(order=of(1, 1, *lines)), settled=True)
    before = (await balances(db))[2000]
    done = await refund(db, goodwill=1_000, reason="late")
    assert (await balances(db))[2000] == before + 880
    async with db.read(WORKER) as tx:
        rows = await tx.rows(
            "SELECT goods_minor FROM demand.refund_line WHERE refund_id = :refund ORDER BY line_no",
            refund=done.refund_id,
        )
        taken = await tx.row("SELECT sum(goods_minor), sum(commission_minor) FROM billing.commission_line"
                             " WHERE kind = 'refund'")  # fmt: skip
    assert sum(row.goods_minor for row in rows) == 1_000
    assert tuple(taken or ()) == (-1_000, -100)
    await check_books(db)


async def test_pain_4_commission_follows_every_partial_refund(db: Database) -> None:
    """Net commission is the sum of its lines; odd thirds return what was earned, and no cent besides."""
    await market(db, Paid(order=of(1, 1, Line(goods_minor=10_001))), settled=True)
    for goods in (3_333, 3_334, 3_334):
        await refund(db, RefundLine(1, goods))
        await check_books(db)
    assert await balances(db) == {1020: 10_001, 2400: -10_001}


@pytest.mark.parametrize(
    ("bearing", "payable", "commission", "platform"),
    [
        ({}, 0, 0, 0),
        ({"commission": "kept"}, 1_440, -1_200, 0),
        ({"goods": "platform", "freight": "platform", "commission": "kept"}, -10_560, -1_200, 12_000),
        ({"processor_fee": "merchant"}, 186, 0, 0),
    ],
)
async def test_pain_5_the_policy_says_who_loses_by_a_refund(
    db: Database, bearing: dict[str, str], payable: int, commission: int, platform: int
) -> None:
    """Elsewhere the software has decided it for everybody."""
    await market(db, Paid(order=of(1, 1), fee_minor=186), settled=True)
    await under(db, **bearing)
    await refund(db)
    found = await balances(db)
    assert (found.get(2000, 0), found.get(4000, 0), found.get(6920, 0)) == (payable, commission, platform)
    assert found[2400] == -12_000
    await check_books(db)


async def test_pain_8_a_refund_never_waits_for_the_merchants_balance(db: Database) -> None:
    """The merchant has given everything back already and owes a fee; the buyer of its other order is refunded."""
    await market(db, Paid(order=of(1, 1), fee_minor=186), settled=True)
    await under(db, processor_fee="merchant")
    await refund(db)
    assert (await balances(db))[2000] == 186
    assert await commands(db) == [(500, 12_000)]
    await check_books(db)


async def test_pain_9_dispute_then_refund_deducts_once(db: Database) -> None:
    await market(db, Paid(order=of(1, 1)), settled=True)
    await fact(db, OPENED, 12_000, 0)
    with pytest.raises(Conflict, match="captured 12000, refunded 0, disputed 12000"):
        await refund(db)
    await fact(db, LOST, 12_000, 0)
    with pytest.raises(Conflict):
        await refund(db)
    assert await balances(db) == {}
    await check_books(db)


async def test_pain_9_a_failed_refund_is_decided_once_and_is_not_lost(db: Database) -> None:
    """Still owed, so it counts; taken back, it counts no more; of retry, credit and taking back only one happens."""
    await market(db, Paid(order=of(1, 1)), settled=True)
    done = await refund(db)
    await says(db, done, ok=False)
    with pytest.raises(Conflict):
        await refund(db)
    key = RefundKey(1, done.refund_id)
    deeds = (retry_refund, refund_to_credit, cancel_refund)
    ended = await asyncio.gather(
        *(db.write(WORKER, f"ops-{deed.__name__}", deed, key) for deed in deeds), return_exceptions=True
    )
    assert sum(isinstance(one, Conflict) for one in ended) == 2, ended
    await check_books(db)


async def test_pain_9_what_was_taken_back_is_refundable_again(db: Database) -> None:
    await market(db, Paid(order=of(1, 1)), settled=True)
    done = await refund(db)
    await says(db, done, ok=False)
    await db.write(WORKER, "ops", cancel_refund, RefundKey(1, done.refund_id))
    again = await refund(db, reason="changed_mind", initiator=Party.BUYER)
    for _ in range(2):
        await says(db, again, ok=True)
    assert (await balances(db), await count(db, "refund_paid")) == ({}, 1)
    assert await entry(db, "refund_paid") == {2400: 12_000, 1020: -12_000}
    await check_books(db)
