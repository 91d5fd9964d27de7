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

JULY_3, JULY_9 = date(2018, 7, 3), date(2018, 7, 9)
LAST = "merchant_id = 1 AND kind = 'goodwill'"
"""The newest entry of merchant 1, not rolled up and after every closed period."""
COPY = (
    "INSERT INTO billing.entry SELECT {}, kind, {}, entity_id, currency, occurred_at, {}, prior_period, accounts,"
    " dimensions, amounts, posted_at, posted_by FROM billing.entry WHERE " + LAST
)
BAD_SUM = "UPDATE billing.entry SET amounts = ARRAY[{}, {}] WHERE {} AND kind = 'goodwill'"
STATEMENT = "UPDATE billing.statement SET {} WHERE merchant_id = 1 AND from_on = '2018-06-01'"
ZERO_LEG = f"""UPDATE billing.entry SET accounts = accounts || 4010, dimensions = dimensions || 0::bigint,
    amounts = amounts || 0::bigint WHERE {LAST}"""
BOOK_DAYS = """UPDATE billing.book_day b SET debit_minor = d.debit
    FROM (SELECT account, effective_on, sum(debit_minor) AS debit FROM billing.account_day GROUP BY 1, 2) d
    WHERE d.account = b.account AND d.effective_on = b.effective_on"""
REFUNDED = f"""INSERT INTO billing.commission_line
    SELECT merchant_id, entry_no, 99, order_id, 'refund', occurred_at, occurred_on, effective_on, currency,
           -goods_minor, -freight_minor, -discount_minor, -base_minor, 0, 0
    FROM billing.commission_line WHERE effective_on = '{JULY_3}'"""
AMENDMENT = "'buyer', 'x', now(), '', '', NULL, NULL, NULL, '', now(), NULL, NULL"
OFFER = """INSERT INTO supply.offer (merchant_id, product_id, currency, price_minor, updated_at, counted)
    VALUES (3, 9, 'EUR', 1, now(), {})"""
STOCK = "INSERT INTO supply.stock (merchant_id, product_id, on_hand, reserved) VALUES (3, 9, 5, {})"
BALANCES = {"entries-balance", "books-balance", "platform-balances"}

CORRUPTIONS: dict[str, tuple[list[str], set[str]]] = {
    "a zero leg": ([ZERO_LEG], {"entries-balance"}),
    "legs that do not sum to zero": ([BAD_SUM.format(7, -6, "merchant_id = 1")], BALANCES),
    "two wrongs in two books": (
        [BAD_SUM.format(7, -6, "merchant_id = 1"), BAD_SUM.format(6, -7, "merchant_id = 2")],
        BALANCES - {"platform-balances"},
    ),
    "an account that is none": (
        [f"UPDATE billing.entry SET accounts = ARRAY[9999, 6920] WHERE {LAST}"], {"codes-in-chart"},
    ),
    "a head ahead of its entries": (
        ["UPDATE billing.ledger_head SET last_entry_no = last_entry_no + 1 WHERE merchant_id = 1"], {"numbers-dense"},
    ),
    "a gap": (
        [f"UPDATE billing.entry SET entry_no = entry_no + 1 WHERE {LAST}",
         "UPDATE billing.ledger_head SET last_entry_no = last_entry_no + 1 WHERE merchant_id = 1"],
        {"numbers-dense"},
    ),
    "an entry that was removed": ([f"DELETE FROM billing.entry WHERE {LAST}"], {"numbers-dense"}),
    "books without a head": ([COPY.format("99, 1", "1", "effective_on")], {"heads-exist"}),
    "a roll-up that is off": (
        ["UPDATE billing.account_day SET debit_minor = debit_minor + 1 WHERE merchant_id = 1 AND account = 4000",
         BOOK_DAYS],
        {"rollup-is-journal"},
    ),
    "a roll-up that says where lines are and is wrong": (
        ["UPDATE billing.account_day SET first_entry_no = first_entry_no + 1 WHERE merchant_id = 1 AND account = 4000"],
        {"rollup-is-journal"},
    ),
    "a day that was not rolled up": (
        ["DELETE FROM billing.account_day WHERE merchant_id = 1 AND account = 4000"],
        {"rollup-is-journal", "book-days-are-rollup"},
    ),
    "a platform's roll-up that is off": (
        ["UPDATE billing.book_day SET credit_minor = credit_minor + 1 WHERE account = 4000"], {"book-days-are-rollup"},
    ),
    "a snapshot that is off": (
        ["UPDATE billing.balance_snapshot SET balance_minor = balance_minor + 1 WHERE merchant_id = 1"],
        {"snapshots-are-journal"},
    ),
    "a later snapshot that forgets an account": (
        ["""DELETE FROM billing.balance_snapshot s WHERE merchant_id = 1 AND account = 1020 AND upto_entry_no =
            (SELECT max(upto_entry_no) FROM billing.balance_snapshot WHERE merchant_id = 1)"""],
        {"snapshots-are-journal"},
    ),
    "a snapshot of books that are not there": (
        ["INSERT INTO billing.balance_snapshot VALUES (77, 1, 4000, 0, 'EUR', -5)"], {"snapshots-are-journal"},
    ),
    "a refund's VAT that was never booked": (
        ["UPDATE billing.commission_line SET vat_minor = vat_minor - 1 WHERE kind = 'refund'"],
        {"commission-lines-are-legs"},
    ),
    "a refund line without an entry": (
        ["""INSERT INTO billing.commission_line SELECT merchant_id, 999, contract_id, order_id, 'refund', occurred_at,
            occurred_on, effective_on, currency, 0, 0, 0, 0, 0, 0
            FROM billing.commission_line WHERE kind = 'refund' LIMIT 1"""],
        {"commission-lines-are-legs"},
    ),
    "VAT that was never booked": (
        [f"UPDATE billing.commission_line SET vat_minor = vat_minor + 1 WHERE effective_on = '{JULY_3}'"],
        {"commission-lines-are-legs", "month-is-lines"},
    ),
    "goods that were never released": (
        [f"UPDATE billing.commission_line SET goods_minor = goods_minor + 1 WHERE effective_on = '{JULY_3}'"],
        {"commission-lines-are-legs"},
    ),
    "commission without a line": (
        [f"DELETE FROM billing.commission_line WHERE effective_on = '{JULY_3}'",
         "DELETE FROM billing.commission_month WHERE month = '2018-07-01'"],
        {"commission-lines-are-legs"},
    ),
    "a line of another instant than its entry": (
        [f"""UPDATE billing.commission_line SET occurred_at = occurred_at + interval '40 days'
             WHERE effective_on = '{JULY_3}'"""],
        {"lines-are-entries"},
    ),
    "a line of another order than its entry": (
        ["UPDATE billing.commission_line SET order_id = 700 WHERE kind = 'refund'"],
        {"lines-are-entries"},
    ),
    "a refund that kept the commission": (
        [REFUNDED], {"refunds-return-commission", "commission-lines-are-legs", "lines-are-entries"},
    ),
    "a month whose base is off": (
        ["UPDATE billing.commission_month SET base_minor = base_minor + 1"], {"month-is-lines"},
    ),
    "a month that is forgotten": (["DELETE FROM billing.commission_month"], {"month-is-lines"}),
    "a closing that the ledger does not know": (
        [STATEMENT.format("other_minor = other_minor + 1, closing_minor = closing_minor + 1")],
        {"statements-are-ledger"},
    ),
    "an opening that the last closing is not": (
        [STATEMENT.format("other_minor = other_minor - 1, opening_minor = opening_minor + 1")],
        {"statements-are-ledger", "statements-continue"},
    ),
    **{
        f"a statement's {column} under another name": (
            [STATEMENT.format(f"other_minor = other_minor - 1, {column}_minor = {column}_minor + 1")],
            {"statements-are-lines"},
        )
        for column in ("goods", "freight", "discount", "refund", "commission", "vat")
    },
    "an order too many": ([STATEMENT.format("orders = orders + 1")], {"statements-are-lines"}),
    "a statement without a window": (
        ["DELETE FROM billing.billing_window WHERE merchant_id = 1 AND to_on = '2018-07-01'"],
        {"windows-are-statements"},
    ),
    "a window without a statement": (
        ["UPDATE billing.billing_window SET run_id = 77 WHERE merchant_id = 1 AND to_on = '2018-07-01'"],
        {"windows-are-statements"},
    ),
    "a gap between windows": (
        ["DELETE FROM billing.billing_window WHERE merchant_id = 1 AND to_on = '2018-06-01'",
         "UPDATE billing.statement SET state = 'reversed' WHERE merchant_id = 1 AND from_on = '2018-05-01'"],
        {"windows-are-statements", "final-runs-are-final"},
    ),
    "a statement of a final run that is still a preview": (
        ["UPDATE billing.statement SET state = 'preview' WHERE merchant_id = 1"],
        {"final-runs-are-final", "windows-are-statements"},
    ),
    "an item that is not in the payout": (
        ["UPDATE billing.payout_item SET amount_minor = amount_minor + 1 WHERE merchant_id = 1"],
        {"payouts-are-items"},
    ),
    "a payout without items": (["DELETE FROM billing.payout_item WHERE merchant_id = 1"], {"payouts-are-items"}),
    "a payout of another amount than booked": (
        ["UPDATE billing.payout SET amount_minor = amount_minor + 1 WHERE merchant_id = 1",
         "UPDATE billing.payout_item SET amount_minor = amount_minor + 1 WHERE merchant_id = 1"],
        {"payouts-are-entries", "files-are-payouts"},
    ),
    "a payout cancelled but not in the books": (
        ["UPDATE billing.payout SET state = 'cancelled' WHERE merchant_id = 1"],
        {"payouts-are-entries", "files-are-payouts"},
    ),
    "a payout booked that is none": (
        ["DELETE FROM billing.payout_item WHERE merchant_id = 1", "DELETE FROM billing.payout WHERE merchant_id = 1"],
        {"payouts-are-entries", "files-are-payouts"},
    ),
    "a payout paid by the bank and still in transit": (
        ["UPDATE billing.payout SET state = 'confirmed' WHERE merchant_id = 1 AND state = 'instructed'"],
        {"payouts-are-entries"},
    ),
    "a payout that left and is said not to have": (
        ["UPDATE billing.payout SET state = 'instructed' WHERE state = 'confirmed'"], {"payouts-are-entries"},
    ),
    "a payout come back but not owed again": (
        ["UPDATE billing.payout SET state = 'returned' WHERE state = 'confirmed'"], {"payouts-are-entries"},
    ),
    "a payout owed again and said to be with the merchant": (
        ["UPDATE billing.payout SET state = 'confirmed' WHERE state = 'returned'"], {"payouts-are-entries"},
    ),
    "half a batch": (
        [f"UPDATE billing.entry SET accounts = ARRAY[1030, 6920], dimensions = ARRAY[8, 0] WHERE {LAST}"],
        {"control-accounts-zero"},
    ),
    "an order that is worth more than is pending": (
        ["UPDATE demand.order_line SET goods_minor = goods_minor + 1 WHERE order_id = 6",
         "UPDATE demand.order_due SET goods_minor = goods_minor + 1 WHERE order_id = 6"],
        {"pending-is-unsettled"},
    ),
    "a cancelled order that is still due": (
        ["UPDATE demand.merchant_order SET state = 'cancelled' WHERE order_id = 6"], {"settled-or-due"},
    ),
    "an order that is due once more": (
        ["""INSERT INTO demand.order_due
            SELECT merchant_id, order_id, contract_id, occurred_at, occurred_on, 0, 0, 0, 'x'
            FROM billing.commission_line WHERE order_id = 1""",
         """UPDATE demand.order_line SET refunded_goods_minor = goods_minor, refunded_freight_minor = freight_minor
            WHERE order_id = 1"""],
        {"settled-or-due", "given-back-is-refunds", "refund-lines-are-refunds"},
    ),
    "an order that nobody will settle": (
        ["UPDATE billing.entry SET source_id = 999 WHERE kind = 'order_settled' AND source_id = 1"],
        {"settled-or-due", "lines-are-entries"},
    ),
    "a line that the queue did not hear of": (
        ["""UPDATE demand.order_line SET goods_minor = goods_minor + 1, discount_minor = discount_minor + 1
            WHERE order_id = 6"""],
        {"due-is-lines"},
    ),
    "a line that gave back what was neither refunded nor carried": (
        ["""UPDATE demand.order_line SET refunded_freight_minor = refunded_freight_minor - 1,
            refunded_goods_minor = refunded_goods_minor + 1 WHERE order_id = 7"""],
        {"given-back-is-refunds", "refund-lines-are-refunds"},
    ),
    "value carried to another line that never came off one": (
        [f"INSERT INTO demand.amendment VALUES (3, 88, 7, 'applied', 1, '{{}}', 0, 5, 0, {AMENDMENT})"],
        {"carried-is-amendments", "added-is-paid"},
    ),
    "a line added for nothing": (
        ["UPDATE demand.order_line SET amendment_id = 88 WHERE order_id = 7"],
        {"added-is-paid"},
    ),
    "an entry slipped into a closed month": (
        [COPY.format("merchant_id, entry_no + 1", "77", "'2018-05-31'"),
         "UPDATE billing.entry SET accounts = ARRAY[5210, 6920] WHERE source_id = 77",
         "UPDATE billing.ledger_head SET last_entry_no = last_entry_no + 1 WHERE merchant_id = 1"],
        {"closed-stays-closed"},
    ),
    "a listing said to be counted that has no stock": ([OFFER.format("true")], {"counted-have-stock"}),
    "stock of a listing that is not counted": ([OFFER.format("false"), STOCK.format(0)], {"counted-have-stock"}),
    "stock of no listing": ([STOCK.format(0)], {"counted-have-stock"}),
    "a unit reserved for nobody": ([OFFER.format("true"), STOCK.format(1)], {"reserved-is-promised"}),
    "a unit of an open order that is not reserved": (
        [OFFER.format("true"), STOCK.format(0), "UPDATE demand.order_line SET product_id = 9 WHERE order_id = 8"],
        {"reserved-is-promised"},
    ),
    "units of an unpaid amendment that are not reserved": (
        [OFFER.format("true"), STOCK.format(0),
         f"""INSERT INTO demand.amendment VALUES (3, 88, 8, 'awaiting_payment', 1,
             '{{"priced": {{"added": [{{"product_id": 9, "quantity": 2}}]}}}}', 5, 0, 0, {AMENDMENT})"""],
        {"reserved-is-promised"},
    ),
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


@asynccontextmanager
async def _billed(maintenance_url: str) -> AsyncIterator[AsyncConnection]:
    async with fresh_database(maintenance_url) as db:
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
