"""What `test_verify` plants to have the proofs of reserves fail, and the terms under which there is one."""

from datetime import timedelta

from billing.bank_accounts.model import Scheme
from billing.payout_files.model import Party
from billing.payout_terms.model import Conditions
from marketplace.core.clock import local_date
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.payouts.instruct_bank import MakeFile, SetDebtor, make_file, set_debtor
from marketplace.flows.payouts.set_payout_terms import ProposeTerms, propose_terms
from tests.billing.accounts import OTHER_IBAN, add_account


async def add_reserve(db: Database, maker: str) -> None:
    """A tenth of merchant 2's payouts is kept."""
    conditions = Conditions(reserve_ppm=100_000, reserve_days=700)
    cmd = ProposeTerms(merchant_id=2, currency="EUR", conditions=conditions, reason="new here")
    await db.write(WORKER, maker, propose_terms, cmd)


async def add_file(tx: Tx) -> None:
    """The payout that is still on its way is in a file for the bank."""
    await add_account(tx, 1, 1)
    party = Party(holder="The house", scheme=Scheme.IBAN, number=OTHER_IBAN, routing="")
    await set_debtor(tx, SetDebtor(currency="EUR", party=party))
    await make_file(tx, MakeFile(currency="EUR", pay_on=local_date(tx.now, "UTC") + timedelta(days=1)))


_RESERVES = {"reserves-are-ledger"}

PAYOUT_CORRUPTIONS: dict[str, tuple[list[str], set[str]]] = {
    "a reserve of another amount than was kept": (
        ["UPDATE billing.payout_reserve SET held_minor = held_minor + 1"], _RESERVES,
    ),
    "a reserve said to be released and still on its account": (
        ["UPDATE billing.payout_reserve SET state = 'released'"], _RESERVES,
    ),
    "a reserve in the books of which nobody knows": (["DELETE FROM billing.payout_reserve"], _RESERVES),
    "a reserve released that was never kept": (
        ["UPDATE billing.entry SET kind = 'reserve_released' WHERE kind = 'reserve_held'"], _RESERVES,
    ),
    "a payout in two files": (
        ["""INSERT INTO billing.payout_file SELECT file_id + 1, entity_id, currency, pay_on, holder, scheme, number,
            routing, payouts, total_minor, state, made_by, made_at FROM billing.payout_file""",
         """INSERT INTO billing.payout_file_line SELECT merchant_id, payout_id, file_id + 1, amount_minor, holder,
            scheme, number, routing FROM billing.payout_file_line"""],
        {"files-are-payouts"},
    ),
    "a payout said to be in a file": (
        ["UPDATE billing.payout SET file_id = 7 WHERE file_id IS NULL AND merchant_id = 2"], {"files-are-payouts"},
    ),
    "a file whose line was removed": (
        ["DELETE FROM billing.payout_file_line"], {"files-are-payouts", "files-are-lines"},
    ),
    "a file of another sum": (["UPDATE billing.payout_file SET total_minor = 1"], {"files-are-lines"}),
    "a balance carried over and paid": (
        ["""INSERT INTO billing.payout_carried
            SELECT merchant_id, run_id, currency, amount_minor, 'on_hold', NULL FROM billing.payout
            WHERE merchant_id = 1 AND instructed_on = '2018-06-01'"""],
        {"carried-is-unpaid"},
    ),
    "a payout on a day of its own that there is not": (
        ["""INSERT INTO billing.payout_due
            SELECT merchant_id, run_id, currency, instructed_on, 'waiting' FROM billing.payout
            WHERE merchant_id = 1 AND instructed_on = '2018-06-01'"""],
        {"dues-are-payouts"},
    ),
}  # fmt: skip
