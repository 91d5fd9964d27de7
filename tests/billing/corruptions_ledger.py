"""What contradicts the proofs of the ledger itself, and of orders and stock beside it."""

from datetime import date

JULY_3 = date(2018, 7, 3)
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

LEDGER_CORRUPTIONS: dict[str, tuple[list[str], set[str]]] = {
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
}  # fmt: skip
