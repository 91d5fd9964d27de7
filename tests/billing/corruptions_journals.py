"""What `test_verify` plants to have the proofs of journals by hand fail, and the journals that it plants it in."""

from billing.journals.model import GoodwillReason
from marketplace.core.db import WORKER, Database
from marketplace.flows.post_journal import (
    DecideJournal,
    ProposeGoodwill,
    approve_journal,
    propose_goodwill,
    propose_reversal,
)


async def add_journals(db: Database, maker: str, checker: str) -> None:
    """Goodwill of 5.00 to merchant 2, its reversal, and goodwill of 3.00 that stays."""
    for minor in (500, 300):
        cmd = ProposeGoodwill(
            merchant_id=2, currency="EUR", amount_minor=minor, goodwill_reason=GoodwillReason.OUTAGE, reason="down",
            evidence="ticket 7",
        )  # fmt: skip
        journal = await db.write(WORKER, maker, propose_goodwill, cmd)
        decision = DecideJournal(merchant_id=2, journal_id=journal.journal_id, is_controller=True)
        await db.write(WORKER, checker, approve_journal, decision)
        if minor == 500:
            back = await db.write(WORKER, maker, propose_reversal, decision)
            decision = DecideJournal(merchant_id=2, journal_id=back.journal_id, is_controller=True)
            await db.write(WORKER, checker, approve_journal, decision)


_BACK = "WHERE reversal_of IS NOT NULL"

JOURNAL_CORRUPTIONS: dict[str, tuple[list[str], set[str]]] = {
    "a journal said to be posted that is not": (
        [f"UPDATE billing.journal SET entry_no = entry_no + 1 {_BACK}"], {"journals-are-entries"},
    ),
    "an entry by hand that nobody proposed": (
        [f"DELETE FROM billing.journal {_BACK}"], {"journals-are-entries"},
    ),
    "a journal of other legs than its entry": (
        [f"UPDATE billing.journal SET amounts = ARRAY[-501, 501] {_BACK}"],
        {"journals-are-entries", "reversals-are-mirrors"},
    ),
    "a journal approved by its maker": (
        ["UPDATE billing.journal SET decided_by = made_by, single_operator = false"], {"journals-have-two-people"},
    ),
}  # fmt: skip
