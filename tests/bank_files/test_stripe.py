"""Stripe's reports with the columns of docs.stripe.com/reports/report-types, and its objects as rows."""

import io
from datetime import date

import pytest

from billing.bank_files import readers
from billing.bank_files.model import Line, Unreadable
from billing.bank_files.readers import Format
from marketplace.core.db import WORKER, Database
from marketplace.flows.bank.import_bank_file import import_bank_file
from tests.bank_files.test_roundtrip import read
from tests.bank_files.writers import table

BALANCE = {
    "balance_transaction_id": "txn_1", "created_utc": "2024-03-01 23:30:00", "created": "2024-03-02 00:30:00",
    "available_on_utc": "2024-03-04 00:00:00", "available_on": "2024-03-04 01:00:00", "currency": "eur",
    "gross": "100.00", "fee": "1.65", "net": "98.35", "reporting_category": "charge", "source_id": "ch_1",
    "description": "order 7", "customer_facing_amount": "100.00", "customer_facing_currency": "eur",
    "regulatory_tag": "", "automatic_payout_id": "po_9", "automatic_payout_effective_at_utc": "2024-03-05 00:00:00",
    "automatic_payout_effective_at": "2024-03-05 01:00:00", "customer_id": "", "payment_method_type": "card",
}  # fmt: skip
"""balance_change_from_activity.itemized; payout_reconciliation.itemized begins with the automatic payout."""

PAYOUTS = {
    "payout_id": "po_9", "effective_at_utc": "2024-03-05 00:00:00", "effective_at": "2024-03-05 01:00:00",
    "currency": "eur", "gross": "-98.35", "fee": "0.00", "net": "-98.35", "reporting_category": "payout",
    "balance_transaction_id": "txn_2", "description": "STRIPE PAYOUT", "payout_expected_arrival_date": "2024-03-06",
    "payout_status": "paid", "payout_reversed_at_utc": "", "payout_reversed_at": "", "payout_type": "bank_account",
    "payout_description": "STRIPE PAYOUT", "payout_destination_id": "ba_1", "regulatory_tag": "",
}  # fmt: skip

CHARGE = Line(
    position=2, day=date(2024, 3, 1), value_day=date(2024, 3, 4), amount_minor=9_835, currency="EUR",
    gross_minor=10_000, fee_minor=165, bank_ref="txn_1", end_to_end="ch_1", batch_ref="po_9", text="order 7",
    type_code="charge",
)  # fmt: skip
PAYOUT = Line(
    position=2, day=date(2024, 3, 5), value_day=date(2024, 3, 6), amount_minor=-9_835, currency="EUR",
    gross_minor=-9_835, fee_minor=0, bank_ref="txn_2", end_to_end="po_9", batch_ref="po_9", text="STRIPE PAYOUT",
    type_code="payout",
)  # fmt: skip


def of(row: dict[str, str]) -> bytes:
    return table(list(row), [list(row.values())])


@pytest.mark.parametrize(
    ("row", "line"),
    [
        (BALANCE, CHARGE),
        ({name: BALANCE[name] for name in sorted(BALANCE)}, CHARGE),  # a payout reconciliation in its own order
        (PAYOUTS, PAYOUT),
    ],
)
def test_every_itemised_report_with_its_official_columns(row: dict[str, str], line: Line) -> None:
    found, [proved] = read(of(row), Format.STRIPE)
    assert (found, proved.flaws) == ([line], ())


@pytest.mark.parametrize(
    ("row", "minor", "kind", "booked"),
    [
        ({"status": "paid", "arrival_date": "2024-03-06 00:00:00"}, -9_835, "payout", True),
        ({"status": "failed"}, -9_835, "payout", False),
        ({"id": "tr_9", "amount_reversed": "35"}, -9_800, "transfer", True),
    ],
)
def test_payouts_and_transfers_of_the_api(row: dict[str, str], minor: int, kind: str, booked: bool) -> None:
    said = {"id": "po_9", "amount": "9835", "currency": "eur", "created": "2024-03-05 01:02:57",
            "balance_transaction_id": "txn_2", "description": "STRIPE PAYOUT"} | row  # fmt: skip
    [line], _ = read(of(said), Format.STRIPE)
    assert (line.amount_minor, line.type_code, line.booked) == (minor, kind, booked)
    assert (line.end_to_end, line.batch_ref, line.bank_ref) == (said["id"], said["id"], "txn_2")


async def test_a_payout_that_both_files_of_the_api_bring_counts_once(db: Database) -> None:
    shared = {"currency": "eur", "created": "2024-03-05 01:02:57", "description": "STRIPE PAYOUT"}
    moved = {"id": "txn_2", "amount": "-9835", "fee": "0", "net": "-9835", "type": "payout", "source": "po_9"}
    listed = {"id": "po_9", "amount": "9835", "balance_transaction_id": "txn_2", "status": "paid"}
    for row, new in ((moved, 1), (listed, 0)):
        file = await import_bank_file(db, "fay", "stripe.csv", io.BytesIO(of(shared | row)), processor="card")
        assert (file.lines, file.new_lines) == (1, new), file.flaws
    async with db.read(WORKER) as tx:
        assert await tx.scalar("SELECT count(*) FROM billing.bank_line") == 1


def test_what_names_no_amount_says_what_to_bring() -> None:
    with pytest.raises(Unreadable, match="bring the balance transactions"):
        readers.detect(io.BytesIO(of({"payout_id": "po_9", "_synced": "", "balance_transaction_id": "txn_2"})))
