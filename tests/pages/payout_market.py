"""What lets the billed market's payouts leave: bank accounts of the merchants, and the one that pays them."""

from billing.bank_accounts.model import Scheme
from billing.payout_files.model import Party
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.payouts.instruct_bank import SetDebtor, set_debtor
from tests.billing.accounts import add_account

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
