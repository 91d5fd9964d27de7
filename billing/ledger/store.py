"""Every statement on the journal: posting, and the questions asked of it.

Balances come from the roll-up plus the tail of entries behind it, so an answer is exact at any time, rolled or not.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from sqlalchemy import ARRAY, BigInteger, bindparam, insert, text

from billing.ledger.chart import Account
from billing.ledger.model import AccountLine, Balance, Entry, Leg, NewEntry, TrialLine
from billing.ledger.tables import entry as entry_table
from billing.periods.store import takes_journals
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, NotFound

LINES_MAX = 200


async def open_books(tx: Tx, merchant_ids: Sequence[int], entity_id: int) -> None:
    """Give each merchant a ledger head, closed through whatever the entity has closed. Books that exist stay."""
    # A run that closes a period meanwhile would leave these heads open: it waits for this commit, or we for it.
    await tx.execute("SELECT entity_id FROM billing.entity WHERE entity_id = :entity FOR SHARE", {"entity": entity_id})
    await tx.execute(_OPEN_HEADS, {"merchants": list(merchant_ids), "entity": entity_id})
    await tx.execute(_OPEN_ROLLS, {"merchants": list(merchant_ids)})


_merchants = bindparam("merchants", type_=ARRAY(BigInteger))
_OPEN_HEADS = text("""
INSERT INTO billing.ledger_head (merchant_id, entity_id, last_entry_no, closed_through)
SELECT m.merchant_id, e.entity_id, 0, e.closed_through
FROM unnest(:merchants) AS m (merchant_id), billing.entity e
WHERE e.entity_id = :entity
ON CONFLICT (merchant_id) DO NOTHING
""").bindparams(_merchants)
_OPEN_ROLLS = text("""
INSERT INTO billing.ledger_roll (merchant_id, rolled_no, rolling_no)
SELECT m.merchant_id, 0, 0 FROM unnest(:merchants) AS m (merchant_id)
ON CONFLICT (merchant_id) DO NOTHING
""").bindparams(_merchants)


async def lock_books(tx: Tx, merchant_id: int) -> None:
    """Hold a merchant's books until the transaction ends: before reading what a posting to them depends on.

    Everything that posts takes the head first and other rows of the merchant after it, so no two wait for each other.
    """
    await tx.execute(
        "UPDATE billing.ledger_head SET last_entry_no = last_entry_no WHERE merchant_id = :merchant",
        {"merchant": merchant_id},
    )


async def post(tx: Tx, entries: Sequence[NewEntry]) -> list[int]:
    """Post entries and return their numbers, in the order given.

    Numbers are reserved on the heads, in merchant order, which serialises postings to one merchant and nothing else.
    An entry wished for a closed day takes the first open one and is marked prior_period; it keeps when it occurred.
    Raises Conflict when a merchant has no books, or when the fact (kind, source_id) is booked already (from the
    unique key, so a twin that posts at the same moment loses too).
    """
    per_merchant: dict[int, list[int]] = {}
    for position, new in enumerate(entries):
        per_merchant.setdefault(new.merchant_id, []).append(position)
    rows: list[dict[str, Any]] = [{} for _ in entries]
    for merchant_id in sorted(per_merchant):
        positions = per_merchant[merchant_id]
        head = await tx.row(_RESERVE, merchant=merchant_id, count=len(positions))
        if head is None:
            raise Conflict(f"merchant {merchant_id} has no books")
        first_open = head.closed_through + timedelta(days=1) if head.closed_through else date.min
        for number, position in enumerate(positions, start=head.last_entry_no - len(positions) + 1):
            new = entries[position]
            wished = new.by_hand and new.effective_on < first_open
            taken = new.effective_on if wished and await takes_journals(tx, head.entity_id, new.effective_on) else None
            rows[position] = _row(new, number, head.entity_id, taken or first_open, tx)
    if rows:
        await tx.execute(insert(entry_table), rows)
    return [row["entry_no"] for row in rows]


_RESERVE = text("""
UPDATE billing.ledger_head SET last_entry_no = last_entry_no + :count WHERE merchant_id = :merchant
RETURNING last_entry_no, entity_id, closed_through
""")


def _row(new: NewEntry, entry_no: int, entity_id: int, first_open: date, tx: Tx) -> dict[str, Any]:
    return {
        "merchant_id": new.merchant_id,
        "entry_no": entry_no,
        "kind": new.kind,
        "source_id": new.source_id,
        "entity_id": entity_id,
        "currency": new.currency,
        "occurred_at": new.occurred_at,
        "effective_on": max(new.effective_on, first_open),
        "prior_period": new.effective_on < first_open,
        "accounts": [leg.account for leg in new.legs],
        "dimensions": [leg.dimension for leg in new.legs],
        "amounts": [leg.amount_minor for leg in new.legs],
        "posted_at": tx.now,
        "posted_by": tx.actor,
    }


async def get_entry(tx: Tx, merchant_id: int, entry_no: int) -> Entry:
    """One entry with its legs. Raises NotFound."""
    row = await tx.row(
        "SELECT * FROM billing.entry WHERE merchant_id = :merchant AND entry_no = :entry_no",
        merchant=merchant_id,
        entry_no=entry_no,
    )
    if row is None:
        raise NotFound(f"merchant {merchant_id} has no entry {entry_no}")
    return _entry(row)


async def list_entries(
    tx: Tx, merchant_id: int, *, limit: int = 50, before_no: int | None = None, source_id: int | None = None
) -> list[Entry]:
    """A merchant's newest entries below `before_no`, at most `limit`; with `source_id`, those of that fact only."""
    rows = await tx.rows(
        """
        SELECT * FROM billing.entry
        WHERE merchant_id = :merchant AND entry_no < coalesce(CAST(:before_no AS bigint), 9223372036854775807)
          AND (CAST(:source AS bigint) IS NULL OR source_id = :source)
        ORDER BY entry_no DESC LIMIT :limit
        """,
        merchant=merchant_id,
        before_no=before_no,
        source=source_id,
        limit=min(limit, LINES_MAX),
    )
    return [_entry(row) for row in rows]


def _entry(row: Any) -> Entry:
    return Entry(
        merchant_id=row.merchant_id,
        entry_no=row.entry_no,
        kind=row.kind,
        source_id=row.source_id,
        entity_id=row.entity_id,
        currency=row.currency,
        occurred_at=row.occurred_at,
        effective_on=row.effective_on,
        prior_period=row.prior_period,
        legs=tuple(
            Leg(account, amount, dimension)
            for account, dimension, amount in zip(row.accounts, row.dimensions, row.amounts, strict=True)
        ),
        posted_at=row.posted_at,
        posted_by=row.posted_by,
    )


async def balances(tx: Tx, merchant_id: int, *, as_of: date | None = None, upto_no: int | None = None) -> list[Balance]:
    """A merchant's account balances: now, at the end of the day `as_of`, or after entry `upto_no`.

    Asked with both, `as_of` restricts the entries up to `upto_no`. Accounts that stand at zero are left out.
    """
    if upto_no is None:
        rows = await tx.rows(_BALANCES_AS_OF, merchant=merchant_id, as_of=as_of or date.max)
    elif as_of is None:
        rows = await tx.rows(_BALANCES_UPTO_NO, merchant=merchant_id, upto=upto_no)
    else:
        rows = await tx.rows(_BALANCES_BOTH, merchant=merchant_id, upto=upto_no, as_of=as_of)
    return [Balance(row.account, row.dimension, row.currency, int(row.balance)) for row in rows]


async def owed_minor(tx: Tx, merchant_id: int, currency: str) -> int:
    """What a merchant is owed in a currency, less what it owes; below zero when it owes more."""
    return -sum(
        one.balance_minor
        for one in await balances(tx, merchant_id)
        if one.currency == currency and one.account in {Account.PAYABLE, Account.MERCHANT_RECEIVABLE}
    )


_BALANCES_AS_OF = text("""
SELECT account, dimension, currency, sum(balance) AS balance
FROM (
    SELECT account, dimension, currency, debit_minor - credit_minor AS balance
    FROM billing.account_day WHERE merchant_id = :merchant AND effective_on <= :as_of
    UNION ALL
    SELECT leg.account, leg.dimension, e.currency, leg.amount
    FROM billing.ledger_roll r
    JOIN billing.entry e ON e.merchant_id = r.merchant_id AND e.entry_no > r.rolled_no,
         unnest(e.accounts, e.dimensions, e.amounts) AS leg (account, dimension, amount)
    WHERE r.merchant_id = :merchant AND e.effective_on <= :as_of
) AS movement
GROUP BY account, dimension, currency HAVING sum(balance) <> 0
ORDER BY account, dimension, currency
""")
_BALANCES_UPTO_NO = text("""
SELECT account, dimension, currency, sum(balance) AS balance
FROM (
    SELECT account, dimension, currency, balance_minor AS balance
    FROM billing.balance_snapshot
    WHERE merchant_id = :merchant AND upto_entry_no = (
        SELECT max(s.upto_entry_no) FROM billing.balance_snapshot s
        WHERE s.merchant_id = :merchant AND s.upto_entry_no <= :upto)
    UNION ALL
    SELECT leg.account, leg.dimension, e.currency, leg.amount
    FROM billing.entry e, unnest(e.accounts, e.dimensions, e.amounts) AS leg (account, dimension, amount)
    WHERE e.merchant_id = :merchant AND e.entry_no <= :upto AND e.entry_no > (
        SELECT coalesce(max(s.upto_entry_no), 0) FROM billing.balance_snapshot s
        WHERE s.merchant_id = :merchant AND s.upto_entry_no <= :upto)
) AS movement
GROUP BY account, dimension, currency HAVING sum(balance) <> 0
ORDER BY account, dimension, currency
""")
_BALANCES_BOTH = text("""
SELECT leg.account, leg.dimension, e.currency, sum(leg.amount) AS balance
FROM billing.entry e, unnest(e.accounts, e.dimensions, e.amounts) AS leg (account, dimension, amount)
WHERE e.merchant_id = :merchant AND e.entry_no <= :upto AND e.effective_on <= :as_of
GROUP BY leg.account, leg.dimension, e.currency HAVING sum(leg.amount) <> 0
ORDER BY 1, 2, 3
""")


async def trial_balance(tx: Tx, *, entity_id: int | None = None, as_of: date | None = None) -> list[TrialLine]:
    """Debits and credits of every account over all books, by entity and currency, at the end of `as_of` (None: now).

    For each entity and currency debits equal credits.
    """
    rows = await tx.rows(_TRIAL_BALANCE, entity=entity_id, as_of=as_of or date.max)
    return [TrialLine(row.entity_id, row.account, row.currency, int(row.debit), int(row.credit)) for row in rows]


# The tail: merchants whose head is ahead of their roll. Its size is what was posted since the last roll.
_TRIAL_BALANCE = text("""
SELECT entity_id, account, currency, sum(debit) AS debit, sum(credit) AS credit
FROM (
    SELECT entity_id, account, currency, sum(debit_minor) AS debit, sum(credit_minor) AS credit
    FROM billing.book_day
    WHERE effective_on <= :as_of AND (CAST(:entity AS integer) IS NULL OR entity_id = :entity)
    GROUP BY entity_id, account, currency
    UNION ALL
    SELECT e.entity_id, leg.account, e.currency,
           sum(greatest(leg.amount, 0)), sum(greatest(-leg.amount, 0))
    FROM billing.ledger_head h
    JOIN billing.ledger_roll r ON r.merchant_id = h.merchant_id AND r.rolled_no < h.last_entry_no
    JOIN billing.entry e ON e.merchant_id = r.merchant_id AND e.entry_no > r.rolled_no,
         unnest(e.accounts, e.amounts) AS leg (account, amount)
    WHERE e.effective_on <= :as_of AND (CAST(:entity AS integer) IS NULL OR e.entity_id = :entity)
    GROUP BY e.entity_id, leg.account, e.currency
) AS movement
GROUP BY entity_id, account, currency
ORDER BY entity_id, currency, account
""")


async def account_lines(
    tx: Tx,
    account: int,
    *,
    merchant_id: int | None = None,
    limit: int = 50,
    before: tuple[date, int, int] | None = None,
) -> list[AccountLine]:
    """The newest lines on an account, of one merchant or of all books, newest day first.

    Keyset: pass the last line's (effective_on, merchant_id, entry_no) as `before` for the next page. An entry is never
    cut in two: the last one's lines on the account all come, even beyond `limit`.
    """
    on, merchant, entry_no = before or (date.max, 2**63 - 1, 2**63 - 1)
    rows = await tx.rows(
        _ACCOUNT_LINES_OF_MERCHANT if merchant_id is not None else _ACCOUNT_LINES,
        account=account,
        limit=min(limit, LINES_MAX),
        before_on=on,
        before_merchant=merchant,
        before_no=entry_no,
        **({"merchant": merchant_id} if merchant_id is not None else {}),
    )
    return [AccountLine(*row) for row in rows]


# Every row of the roll-up stands for at least one line, so the newest `limit` rows cover the newest `limit` lines (the
# rows of the day and books where the page before ended may be used up: they come on top), and first_entry_no and
# last_entry_no bound where in the journal they are: a rare account costs no more than a busy one.
_ACCOUNT_LINES_FORM = """
SELECT merchant_id, entry_no, effective_on, occurred_at, kind, source_id, currency, dimension, amount
FROM (
    SELECT found.*
    FROM (
        (SELECT merchant_id, dimension, currency, effective_on, first_entry_no, last_entry_no
         FROM billing.account_day
         WHERE account = :account AND (effective_on, merchant_id) < (:before_on, :before_merchant) {of_merchant}
         ORDER BY effective_on DESC, merchant_id DESC FETCH FIRST :limit ROWS WITH TIES)
        UNION ALL
        SELECT merchant_id, dimension, currency, effective_on, first_entry_no, last_entry_no
        FROM billing.account_day
        WHERE account = :account AND effective_on = :before_on AND merchant_id = :before_merchant
          AND first_entry_no < :before_no {of_merchant}
    ) AS day,
    LATERAL (
        SELECT e.merchant_id, e.entry_no, e.effective_on, e.occurred_at, e.kind, e.source_id, e.currency,
               leg.dimension, leg.amount
        FROM billing.entry e, unnest(e.accounts, e.dimensions, e.amounts) AS leg (account, dimension, amount)
        WHERE e.merchant_id = day.merchant_id AND e.entry_no BETWEEN day.first_entry_no AND day.last_entry_no
          AND e.effective_on = day.effective_on AND e.currency = day.currency
          AND leg.account = :account AND leg.dimension = day.dimension
          AND (e.effective_on, e.merchant_id, e.entry_no) < (:before_on, :before_merchant, :before_no)
        ORDER BY e.entry_no DESC FETCH FIRST :limit ROWS WITH TIES
    ) AS found
    UNION ALL
    SELECT e.merchant_id, e.entry_no, e.effective_on, e.occurred_at, e.kind, e.source_id, e.currency,
           leg.dimension, leg.amount
    FROM billing.ledger_head h
    JOIN billing.ledger_roll r ON r.merchant_id = h.merchant_id AND r.rolled_no < h.last_entry_no
    JOIN billing.entry e ON e.merchant_id = r.merchant_id AND e.entry_no > r.rolled_no,
         unnest(e.accounts, e.dimensions, e.amounts) AS leg (account, dimension, amount)
    WHERE leg.account = :account {of_merchant_tail}
      AND (e.effective_on, e.merchant_id, e.entry_no) < (:before_on, :before_merchant, :before_no)
) AS line
ORDER BY effective_on DESC, merchant_id DESC, entry_no DESC FETCH FIRST :limit ROWS WITH TIES
"""
_ACCOUNT_LINES = text(_ACCOUNT_LINES_FORM.format(of_merchant="", of_merchant_tail=""))
_ACCOUNT_LINES_OF_MERCHANT = text(
    _ACCOUNT_LINES_FORM.format(
        of_merchant="AND merchant_id = :merchant", of_merchant_tail="AND h.merchant_id = :merchant"
    )
)
