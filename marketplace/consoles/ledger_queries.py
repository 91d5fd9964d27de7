"""The journal as pages show it: an entry with what it did to each account, and the newest lines of an account."""

from collections.abc import Sequence
from datetime import date, datetime

import msgspec

from billing.ledger.chart import Account
from billing.ledger.model import AccountLine, Balance
from billing.ledger.store import account_lines, balances, get_entry, trial_balance
from marketplace.consoles.books_queries import Merchant, get_merchant
from marketplace.core.db import Tx
from marketplace.core.errors import NotFound
from marketplace.core.paging import cut

LINES_MAX = 50

Key = tuple[date, int, int]
"""Where an account's older lines begin: (effective_on, merchant_id, entry_no) of the last line shown."""


class LegRow(msgspec.Struct, frozen=True):
    """One leg; `balance_minor` is what the account stood at after the entry, debit positive."""

    account: int
    dimension: int
    dimension_name: str | None
    amount_minor: int
    balance_minor: int


class EntryPage(msgspec.Struct, frozen=True):
    """A journal entry; order_id, payout_id and statement_run_id say where it comes from and where it is counted."""

    merchant: Merchant
    entry_no: int
    kind: str
    currency: str
    occurred_at: datetime
    effective_on: date
    prior_period: bool
    posted_at: datetime
    posted_by: str
    legs: Sequence[LegRow]
    last_entry_no: int
    order_id: int | None
    order_ref: str | None
    payout_id: int | None
    statement_run_id: int | None

    @property
    def debit_minor(self) -> int:
        return sum(leg.amount_minor for leg in self.legs if leg.amount_minor > 0)

    @property
    def credit_minor(self) -> int:
        return -sum(leg.amount_minor for leg in self.legs if leg.amount_minor < 0)


class BookLine(msgspec.Struct, frozen=True):
    """A line of an account; `balance_minor` is the account's balance after it, by effective day, in one set of books.

    Over all books it is None: the platform's figure is a sum, not a sequence.
    """

    merchant_id: int
    merchant_name: str
    entry_no: int
    effective_on: date
    kind: str
    dimension: int
    currency: str
    amount_minor: int
    balance_minor: int | None


class AccountTotal(msgspec.Struct, frozen=True):
    currency: str
    debit_minor: int | None
    credit_minor: int | None
    balance_minor: int


class AccountPage(msgspec.Struct, frozen=True):
    """An account's newest lines, of one merchant's books or (`merchant` None) of all."""

    merchant: Merchant | None
    account: int
    nature: str
    dimension: str | None
    totals: Sequence[AccountTotal]
    lines: Sequence[BookLine]
    older: Key | None


async def entry_page(tx: Tx, merchant_id: int, entry_no: int) -> EntryPage:
    """One entry of a merchant's books. Raises NotFound."""
    merchant = await get_merchant(tx, merchant_id)
    entry = await get_entry(tx, merchant_id, entry_no)
    after = {
        (line.account, line.dimension): line.balance_minor
        for line in await balances(tx, merchant_id, upto_no=entry_no)
        if line.currency == entry.currency
    }
    links = await tx.row(
        _LINKS,
        merchant=merchant_id,
        kind=entry.kind,
        source=entry.source_id,
        currency=entry.currency,
        on=entry.effective_on,
    )
    assert links is not None
    processors = dict(tuple(row) for row in await tx.rows("SELECT processor_id, name FROM billing.processor"))
    return EntryPage(
        merchant=merchant,
        entry_no=entry.entry_no,
        kind=entry.kind,
        currency=entry.currency,
        occurred_at=entry.occurred_at,
        effective_on=entry.effective_on,
        prior_period=entry.prior_period,
        posted_at=entry.posted_at,
        posted_by=entry.posted_by,
        legs=[
            LegRow(
                leg.account,
                leg.dimension,
                processors.get(leg.dimension) if leg.account == Account.PROCESSOR_CLEARING else None,
                leg.amount_minor,
                after.get((leg.account, leg.dimension), 0),
            )
            for leg in entry.legs
        ],
        last_entry_no=links.last_entry_no,
        order_id=links.order_id,
        order_ref=links.order_ref,
        payout_id=links.payout_id,
        statement_run_id=links.run_id,
    )


async def account_page(tx: Tx, merchant_id: int, code: int, before: Key | None) -> AccountPage:
    """One account of a merchant's books, with the balance after every line. Raises NotFound for a code of no chart."""
    merchant = await get_merchant(tx, merchant_id)
    account = _account(code)
    standing = [line for line in await balances(tx, merchant_id) if line.account == code]
    found = await account_lines(tx, code, merchant_id=merchant_id, limit=LINES_MAX + 1, before=before)
    lines, older = cut(found, LINES_MAX, _key)
    balance = await _balance_before(tx, merchant_id, code, before)
    rows = []
    for line in lines:
        rows.append(_book_line(line, merchant.name, balance.get(line.currency, 0)))
        balance[line.currency] = balance.get(line.currency, 0) - line.amount_minor
    return AccountPage(
        merchant=merchant,
        account=code,
        nature=account.nature.name,
        dimension=account.dimension,
        totals=_totals(standing, merchant.currency),
        lines=rows,
        older=older,
    )


async def list_balances(tx: Tx, merchant_id: int) -> list[Balance]:
    """What each account of a merchant's books stands at, summed over dimensions."""
    sums: dict[tuple[int, str], int] = {}
    for line in await balances(tx, merchant_id):
        key = (line.account, line.currency)
        sums[key] = sums.get(key, 0) + line.balance_minor
    return [Balance(account, 0, currency, minor) for (account, currency), minor in sums.items()]


async def platform_account_page(tx: Tx, code: int, before: Key | None) -> AccountPage:
    """One account over all books. Raises NotFound for a code of no chart."""
    account = _account(code)
    sums = [line for line in await trial_balance(tx) if line.account == code]
    found = await account_lines(tx, code, limit=LINES_MAX + 1, before=before)
    lines, older = cut(found, LINES_MAX, _key)
    names = {
        row.merchant_id: row.name for row in await tx.rows(_NAMES, merchants=list({line.merchant_id for line in lines}))
    }
    return AccountPage(
        merchant=None,
        account=code,
        nature=account.nature.name,
        dimension=account.dimension,
        totals=[AccountTotal(s.currency, s.debit_minor, s.credit_minor, s.balance_minor) for s in sums],
        lines=[_book_line(line, names.get(line.merchant_id, ""), None) for line in lines],
        older=older,
    )


def _account(code: int) -> Account:
    try:
        return Account(code)
    except ValueError as fault:
        raise NotFound(f"there is no account {code} in the chart") from fault


async def _balance_before(tx: Tx, merchant_id: int, code: int, before: Key | None) -> dict[str, int]:
    """The account's balance by currency, just below the key `before`, in the order (effective_on, entry_no)."""
    lines = await balances(tx, merchant_id, as_of=before[0] if before else None)
    standing: dict[str, int] = {}
    for line in lines:
        if line.account == code:
            standing[line.currency] = standing.get(line.currency, 0) + line.balance_minor
    if before:
        later = await tx.rows(_FROM_ENTRY, merchant=merchant_id, account=code, on=before[0], entry_no=before[2])
        for row in later:
            standing[row.currency] = standing.get(row.currency, 0) - int(row.amount)
    return standing


def _totals(standing: Sequence[Balance], currency: str) -> list[AccountTotal]:
    sums: dict[str, int] = {}
    for line in standing:
        sums[line.currency] = sums.get(line.currency, 0) + line.balance_minor
    return [AccountTotal(name, None, None, minor) for name, minor in (sums or {currency: 0}).items()]


def _book_line(line: AccountLine, merchant_name: str, balance_minor: int | None) -> BookLine:
    return BookLine(
        merchant_id=line.merchant_id,
        merchant_name=merchant_name,
        entry_no=line.entry_no,
        effective_on=line.effective_on,
        kind=line.kind,
        dimension=line.dimension,
        currency=line.currency,
        amount_minor=line.amount_minor,
        balance_minor=balance_minor,
    )


def _key(line: AccountLine) -> Key:
    return line.effective_on, line.merchant_id, line.entry_no


_LINKS = """
SELECT h.last_entry_no, o.order_id, o.order_ref, p.payout_id,
       (SELECT max(s.run_id) FROM billing.statement s
        WHERE s.merchant_id = :merchant AND s.currency = :currency AND s.state = 'final'
          AND s.from_on <= :on AND s.to_on > :on) AS run_id
FROM billing.ledger_head h
LEFT JOIN demand.merchant_order o ON o.merchant_id = h.merchant_id AND o.order_id = CASE
    WHEN :kind IN ('order_paid', 'order_settled') THEN CAST(:source AS bigint)
    WHEN :kind = 'order_refunded' THEN (
        SELECT r.order_id FROM demand.refund r WHERE r.merchant_id = :merchant AND r.refund_id = :source) END
LEFT JOIN billing.payout p ON p.merchant_id = h.merchant_id
    AND p.payout_id = CASE WHEN CAST(:kind AS text) LIKE 'payout%' THEN CAST(:source AS bigint) END
WHERE h.merchant_id = :merchant
"""
_FROM_ENTRY = """
SELECT e.currency, sum(leg.amount) AS amount
FROM billing.entry e, unnest(e.accounts, e.amounts) AS leg (account, amount)
WHERE e.merchant_id = :merchant AND e.entry_no >= :entry_no AND e.effective_on = :on AND leg.account = :account
GROUP BY e.currency
"""
_NAMES = """
SELECT m.merchant_id, m.name FROM supply.merchant m WHERE m.merchant_id = ANY(CAST(:merchants AS bigint[]))
UNION ALL
SELECT e.house_merchant_id, e.name FROM billing.entity e
WHERE e.house_merchant_id = ANY(CAST(:merchants AS bigint[]))
"""
