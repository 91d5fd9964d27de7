"""What lets the billed market's payouts leave: accounts of the merchants and of the house; and a line in dispute."""

from billing.bank_accounts.model import Scheme
from billing.payout_files.model import Party
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.books.dispute_line import DisputeLine, dispute_line
from marketplace.flows.payouts.instruct_bank import SetDebtor, set_debtor
from tests.billing.accounts import add_account
from tests.pages.conftest import MINE

HOUSE = Party(holder="Marketplace Ltd", scheme=Scheme.IBAN, number="DE89370400440532013000", routing="COBADEFFXXX")


async def _add(tx: Tx) -> None:
    waiting = await tx.rows("SELECT DISTINCT merchant_id FROM billing.payout WHERE state = 'instructed'")
    for row in waiting:
        account_id = await add_account(tx, row.merchant_id)
        await tx.execute(
            "UPDATE billing.payout SET bank_account_id = :account WHERE merchant_id = :merchant",
            {"account": account_id, "merchant": row.merchant_id},
        )
    await set_debtor(tx, SetDebtor(currency="EUR", party=HOUSE))


async def add_accounts(db: Database) -> None:
    """As if the merchants had had them before the runs that pay them."""
    await db.write(WORKER, "test", _add)


async def dispute(tx: Tx) -> int:
    """A merchant says that the first commission it paid is wrong; returns the case."""
    entry_no = await tx.scalar(
        "SELECT min(entry_no) FROM billing.entry WHERE merchant_id = :merchant AND kind = 'order_settled'",
        merchant=MINE,
    )
    cmd = DisputeLine(merchant_id=MINE, text="the rate is not ours", entry_no=entry_no)
    return (await dispute_line(tx, cmd)).line_dispute_id
