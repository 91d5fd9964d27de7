"""Each proof of `marketplace verify` fails when what it states is not so: a proof that cannot fail proves nothing.

The database's owner puts checks and policies aside, plants one corruption, and takes it back after the proofs ran.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date

import msgspec
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.ledger import roll
from billing.ledger import store as ledger
from billing.ledger.chart import Account
from billing.ledger.model import legs
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.commission.settle_orders import settle_through
from marketplace.flows.payouts.pay_merchants import ConfirmPayout, ReturnPayout, confirm_payout, return_payout
from marketplace.flows.proofs.verify_books import PROOFS, verify_books
from marketplace.flows.refunds.refund_order import RefundLine, RefundOrder, refund_order
from tests.billing.corruptions_ad_orders import AD_ORDER_CORRUPTIONS, add_ad_orders
from tests.billing.corruptions_ads import ADS_CORRUPTIONS, add_ads
from tests.billing.corruptions_commission import COMMISSION_CORRUPTIONS, add_adjustments, agree_on_minimum
from tests.billing.corruptions_documents import DOCUMENT_CORRUPTIONS
from tests.billing.corruptions_journals import (
    JOURNAL_CORRUPTIONS,
    add_exchange,
    add_journals,
    add_line_dispute,
    add_opening,
)
from tests.billing.corruptions_ledger import JULY_3, LEDGER_CORRUPTIONS
from tests.billing.corruptions_matching import MATCHING_CORRUPTIONS, add_matching
from tests.billing.corruptions_metrics import METRIC_CORRUPTIONS
from tests.billing.corruptions_payers import PAYER_CORRUPTIONS, add_payers
from tests.billing.corruptions_payouts import PAYOUT_CORRUPTIONS, add_file, add_reserve
from tests.billing.corruptions_periods import PERIOD_CORRUPTIONS
from tests.billing.corruptions_products import PRODUCT_CORRUPTIONS, add_products
from tests.billing.corruptions_refunds import REFUND_CORRUPTIONS, add_refunds
from tests.billing.corruptions_rewards import REWARD_CORRUPTIONS, add_rewards
from tests.billing.market import CHECKER, JUNE, MAKER, MAY, billed, check_books, goodwill, order, prepare
from tests.builders import Line
from tests.conftest import fresh_database

JULY_9 = date(2018, 7, 9)
CORRUPTIONS: dict[str, tuple[list[str], set[str]]] = {
    **LEDGER_CORRUPTIONS,
    **PRODUCT_CORRUPTIONS,
    **REFUND_CORRUPTIONS,
    **PAYER_CORRUPTIONS,
    **ADS_CORRUPTIONS,
    **AD_ORDER_CORRUPTIONS,
    **COMMISSION_CORRUPTIONS,
    **(PAYOUT_CORRUPTIONS | JOURNAL_CORRUPTIONS | METRIC_CORRUPTIONS),
    **(DOCUMENT_CORRUPTIONS | REWARD_CORRUPTIONS | MATCHING_CORRUPTIONS | PERIOD_CORRUPTIONS),
}  # fmt: skip


def test_every_proof_is_put_to_the_test() -> None:
    assert {name for _, names in CORRUPTIONS.values() for name in names} == {name for name, _, _ in PROOFS}


@pytest.fixture(scope="module")
async def books(maintenance_url: str) -> AsyncIterator[AsyncConnection]:
    """The owner's connection to two billed months and a third begun; merchant 3 has refunds, every roll a snapshot."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(roll, "_SNAPSHOT", roll._SNAPSHOT.bindparams(every=1))
        async with _billed(maintenance_url) as owner:
            yield owner


async def add_everything(db: Database) -> None:
    """Two billed months and a third begun, with something of every part of the books."""
    days = [date(2018, 5, 10), date(2018, 5, 20), date(2018, 6, 5), JULY_3]
    orders = [order(1 + number // 4, number + 1, day) for number, day in enumerate([*days, days[0]])]
    freight = msgspec.structs.replace(order(3, 7, JULY_3), lines=(Line(goods_minor=9_000, freight_minor=500),))
    await db.write(WORKER, MAKER, prepare, [*orders, order(3, 6, JULY_9), freight])
    await db.write(WORKER, MAKER, _batch)
    await settle_through(db, MAKER, JULY_3)
    await agree_on_minimum(db, MAKER)
    await add_reserve(db, MAKER)
    await billed(db, MAY)
    await billed(db, JUNE)
    await db.write(WORKER, "bank", _say_of_payouts)
    await db.write(WORKER, MAKER, add_file)
    for line in (RefundLine(1, 0, 500), RefundLine(1, 5_000)):  # on freight no commission was earned
        refund = RefundOrder(merchant_id=3, order_id=7, reason="late", lines=(line,))
        await db.write(WORKER, MAKER, refund_order, refund)
    await add_refunds(db, MAKER)
    await add_payers(db, MAKER)
    await add_products(db, MAKER)
    await add_ads(db)
    await add_ad_orders(db, MAKER)
    await add_adjustments(db, MAKER, CHECKER)
    await add_journals(db, MAKER, CHECKER)
    await add_exchange(db, MAKER, CHECKER)
    await add_line_dispute(db, MAKER, CHECKER)
    await add_opening(db, MAKER)
    await add_rewards(db)
    await add_matching(db)
    await db.write(WORKER, MAKER, ledger.post, [goodwill(1, 1, JULY_9, 5), goodwill(2, 2, JULY_9, 5)])
    await check_books(db)


@asynccontextmanager
async def _billed(maintenance_url: str) -> AsyncIterator[AsyncConnection]:
    async with fresh_database(maintenance_url) as db:
        await add_everything(db)
        async with db.engine.connect() as owner:
            await owner.execute(text("SET session_replication_role = replica"))
            checks = await owner.execute(
                text(
                    "SELECT conrelid::regclass::text, conname FROM pg_constraint WHERE contype = 'c' AND conrelid <> 0"
                )
            )
            for table, name in [tuple(row) for row in checks if row[0].startswith(("billing.", "demand."))]:
                await owner.execute(text(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"'))
            yield owner


async def _say_of_payouts(tx: Tx) -> None:
    """Both payouts of May are paid and the first one's money comes back; that of June is on its way."""
    await tx.execute("UPDATE billing.payout SET bank_account_id = 1")
    may = await tx.rows("SELECT merchant_id, payout_id FROM billing.payout WHERE instructed_on = '2018-06-01'")
    for row in sorted(may):
        paid = ConfirmPayout(**row._mapping, bank_ref=f"B-{row.merchant_id}", on=date(2018, 6, 2))
        await confirm_payout(tx, paid)
    back = ReturnPayout(merchant_id=1, payout_id=min(may).payout_id, bank_ref="B-9", on=date(2018, 6, 9), reason="no")
    await return_payout(tx, back)


async def _batch(tx: Tx) -> None:
    """Posting L: the processor settles an order, into the house's bank account."""
    for merchant, account in ((1, Account.PROCESSOR_CLEARING), (-1, Account.BANK)):
        sign = 1 if merchant == 1 else -1
        batch = legs({Account.CONTROL: sign * 99, account: sign * -99}, dimensions={Account.CONTROL: 7})
        entry = goodwill(merchant, 50, date(2018, 5, 11), 1)
        await ledger.post(tx, [msgspec.structs.replace(entry, kind="batch_settled", legs=batch)])


@pytest.mark.parametrize("corruption", CORRUPTIONS)
async def test_the_proof_fails_and_only_that_one(books: AsyncConnection, corruption: str) -> None:
    statements, wanted = CORRUPTIONS[corruption]
    await books.execute(text("BEGIN"))
    try:
        for statement in statements:
            assert (await books.execute(text(statement))).rowcount > 0, statement
        failed = {name for name, _, query in PROOFS if (await books.execute(text(query))).first() is not None}
    finally:
        await books.execute(text("ROLLBACK"))
    assert failed == wanted


async def test_what_a_proof_finds_is_named_and_counted(db: Database) -> None:
    await db.write(WORKER, MAKER, prepare, [order(1, 1, date(2018, 5, 10)), order(3, 2, date(2018, 5, 10))])
    whole = await verify_books(db)
    assert (whole.ok, whole.entries, {proof.violations for proof in whole.proofs}) == (True, 2, {0})
    assert whole.open_items["entries_not_rolled_up"] == 2
    head = "UPDATE billing.ledger_head SET last_entry_no = 9 WHERE merchant_id > 0 AND last_entry_no > 0"
    await db.write(WORKER, "test", Tx.execute, head)
    broken = await verify_books(db)
    assert not broken.ok
    failed = [proof for proof in broken.proofs if not proof.ok]
    assert [(proof.name, proof.violations) for proof in failed] == [("numbers-dense", 2)]
    assert failed[0].examples == ["1 9 1 1", "3 9 1 1"]
