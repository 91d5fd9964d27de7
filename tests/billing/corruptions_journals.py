"""What `test_verify` plants to have the proofs of journals by hand and of exchange fail, and what it plants it in."""

from datetime import date

from billing.exchange.store import EntityCurrency, NewRate
from billing.journals.model import GoodwillReason
from marketplace.core.db import WORKER, Database
from marketplace.flows.books.dispute_line import AcceptDispute, CaseKey, DisputeLine, accept, dispute_line, review
from marketplace.flows.books.exchange_money import (
    ExchangeBalance,
    Revalue,
    approve_rate,
    exchange_balance,
    open_currency,
    propose_rate,
    revalue,
)
from marketplace.flows.books.import_opening import OpeningFile, import_opening
from marketplace.flows.books.post_journal import (
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


async def add_exchange(db: Database, maker: str, checker: str) -> None:
    """1.00 EUR of merchant 3 is exchanged for dollars, which are worth less on the same day."""
    await db.write(WORKER, maker, open_currency, EntityCurrency(entity_id=1, currency="USD"))
    today = db.clock.now().date()
    for pair, rate in (("EUR/USD", "1.25"), ("USD/EUR", "0.79")):
        first, second = pair.split("/")
        new = NewRate(from_currency=first, to_currency=second, rate_on=today, rate=rate, source="ECB")
        made = await db.write(WORKER, maker, propose_rate, new)
        await db.write(WORKER, checker, approve_rate, made.rate_id)
        if first == "EUR":
            cmd = ExchangeBalance(merchant_id=3, rate_id=made.rate_id, from_minor=100, reason="asked for")
            await db.write(WORKER, maker, exchange_balance, cmd)
    await db.write(WORKER, maker, revalue, Revalue(entity_id=1, revalued_on=today))


async def add_line_dispute(db: Database, maker: str, checker: str) -> None:
    """Of 0.03 that merchant 3 disputes of its first settlement, 0.02 are given back."""
    async with db.read(WORKER) as tx:
        line = await tx.scalar(
            "SELECT min(entry_no) FROM billing.entry WHERE merchant_id = 3 AND kind = 'order_settled'"
        )
    cmd = DisputeLine(merchant_id=3, entry_no=line, disputed_minor=3, text="too much")
    number = (await db.write(WORKER, "owner", dispute_line, cmd)).line_dispute_id
    await db.write(WORKER, maker, review, CaseKey(merchant_id=3, line_dispute_id=number))
    part = AcceptDispute(merchant_id=3, line_dispute_id=number, amount_minor=2, reason="right")
    proposed = await db.write(WORKER, maker, accept, part)
    decision = DecideJournal(merchant_id=3, journal_id=proposed.journal_id or 0, is_controller=True)
    await db.write(WORKER, checker, approve_journal, decision)


async def add_opening(db: Database, maker: str) -> None:
    """Merchant 3 is owed 7.00 by another system."""
    content = b"merchant,account,currency,amount\nm3,2000,EUR,-7.00\n*,2000,EUR,-7.00\n"
    file = OpeningFile(name="old.csv", content=content, opened_on=date(2018, 7, 2), controls={})
    await import_opening(db, maker, file)


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
    "a dispute that gave back another amount than its journal": (
        ["UPDATE billing.line_dispute SET accepted_minor = 1"], {"disputes-are-journals"},
    ),
    "a dispute of more than the line took": (
        ["UPDATE billing.line_dispute SET line_minor = 1"], {"lines-are-disputed-once"},
    ),
    "an opening balance of another amount than its line": (
        ["UPDATE billing.opening_line SET amount_minor = amount_minor - 1"], {"openings-are-lines"},
    ),
    "an exchange that nobody booked": (
        ["UPDATE billing.exchange SET exchange_id = exchange_id + 1"], {"exchanges-are-entries"},
    ),
    "an exchange at another rate than it says": (
        ["UPDATE billing.exchange SET numerator = numerator + 1"], {"exchanges-are-at-their-rate"},
    ),
    "an exchange at a rate that nobody approved": (
        ["UPDATE billing.exchange_rate SET state = 'rejected'"], {"exchanges-are-at-their-rate"},
    ),
    "a revaluation of another result": (
        ["UPDATE billing.exchange_revaluation SET result_minor = result_minor + 1"], {"position-is-exchanges"},
    ),
}  # fmt: skip
