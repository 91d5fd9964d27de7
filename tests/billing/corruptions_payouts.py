"""What `test_verify` plants to have the proofs of reserves fail, and the terms under which there is one."""

from billing.payout_terms.model import Conditions
from marketplace.core.db import WORKER, Database
from marketplace.flows.set_payout_terms import ProposeTerms, propose_terms


async def add_reserve(db: Database, maker: str) -> None:
    """A tenth of merchant 2's payouts is kept."""
    conditions = Conditions(reserve_ppm=100_000, reserve_days=700)
    cmd = ProposeTerms(merchant_id=2, currency="EUR", conditions=conditions, reason="new here")
    await db.write(WORKER, maker, propose_terms, cmd)


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
    "a balance carried over and paid": (
        ["""INSERT INTO billing.payout_carried
            SELECT merchant_id, run_id, currency, amount_minor, 'on_hold', NULL FROM billing.payout
            WHERE merchant_id = 1 AND instructed_on = '2018-06-01'"""],
        {"carried-is-unpaid"},
    ),
}  # fmt: skip
