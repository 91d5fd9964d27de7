"""Rolling the journal up by day, behind the heads.

The roll may run at any time, next to any posting: it takes the entries between the last roll and the heads as they
stand, which is a closed range because numbers are dense and commit with their entries. Readers add the rest.
"""

from collections.abc import Sequence

from sqlalchemy import ARRAY, BigInteger, bindparam, text

from marketplace.core.db import Tx

SNAPSHOT_EVERY = 10_000
"""A balance snapshot is taken when a merchant's journal passes a multiple of this many entries."""

_merchants = bindparam("merchants", type_=ARRAY(BigInteger))


async def merchants_behind(tx: Tx) -> list[tuple[int, int]]:
    """(merchant_id, entries not rolled up) of every journal that is ahead of its roll."""
    rows = await tx.rows(
        """
        SELECT h.merchant_id, h.last_entry_no - r.rolled_no
        FROM billing.ledger_head h JOIN billing.ledger_roll r ON r.merchant_id = h.merchant_id
        WHERE h.last_entry_no > r.rolled_no ORDER BY h.merchant_id
        """
    )
    return [(row[0], row[1]) for row in rows]


async def roll_forward(tx: Tx, merchant_ids: Sequence[int]) -> None:
    """Roll these merchants' journals up to where their heads stand."""
    bound = {"merchants": sorted(merchant_ids)}
    # The platform's days last: they are the only rows that rollers of different merchants share.
    for statement in (_PIN, _ADD_DAYS, _SNAPSHOT, _ADD_BOOK_DAYS, _ADVANCE):
        await tx.execute(statement, bound)


async def rebuild(tx: Tx) -> None:
    """Drop the whole roll-up; the next rolls build it again from the journal."""
    await tx.execute(
        "UPDATE billing.ledger_roll SET rolled_no = 0, rolling_no = 0"
    )  # first: rollers at work end before
    for table in ("billing.account_day", "billing.book_day", "billing.balance_snapshot"):
        await tx.execute(f"DELETE FROM {table}")


# Pinning locks the roll row, so two rollers of one merchant follow each other; a head that moves on is left behind.
# A roller that waited for another sees the roll as that one left it, but the head as it was before: never pin back.
_PIN = text("""
UPDATE billing.ledger_roll r SET rolling_no = greatest(h.last_entry_no, r.rolled_no)
FROM billing.ledger_head h
WHERE h.merchant_id = r.merchant_id AND r.merchant_id = ANY(:merchants)
""").bindparams(_merchants)
# The legs are unnested in the select list, side by side: half the time of a function in FROM, which is called anew and
# materialised for every entry.
_NEW_LEGS = """(
    SELECT e.merchant_id, e.entry_no, e.entity_id, e.currency, e.effective_on, unnest(e.accounts) AS account,
           unnest(e.dimensions) AS dimension, unnest(e.amounts) AS amount
    FROM billing.ledger_roll r
    JOIN billing.entry e ON e.merchant_id = r.merchant_id AND e.entry_no > r.rolled_no AND e.entry_no <= r.rolling_no
    WHERE r.merchant_id = ANY(:merchants)
) AS leg"""
_ADD_DAYS = text(f"""
INSERT INTO billing.account_day AS day (merchant_id, account, dimension, currency, effective_on,
                                        debit_minor, credit_minor, lines, first_entry_no, last_entry_no)
SELECT merchant_id, account, dimension, currency, effective_on, billing.total(greatest(amount, 0)),
       billing.total(greatest(-amount, 0)), count(*), min(entry_no), max(entry_no)
FROM {_NEW_LEGS}
GROUP BY merchant_id, account, dimension, currency, effective_on
ORDER BY 1, 2, 3, 4, 5
ON CONFLICT (merchant_id, account, dimension, currency, effective_on) DO UPDATE SET
    debit_minor = day.debit_minor + excluded.debit_minor,
    credit_minor = day.credit_minor + excluded.credit_minor,
    lines = day.lines + excluded.lines,
    first_entry_no = least(day.first_entry_no, excluded.first_entry_no),
    last_entry_no = greatest(day.last_entry_no, excluded.last_entry_no)
""").bindparams(_merchants)
_ADD_BOOK_DAYS = text(f"""
INSERT INTO billing.book_day AS day (entity_id, account, currency, effective_on, debit_minor, credit_minor, lines)
SELECT entity_id, account, currency, effective_on, sum(greatest(amount, 0)), sum(greatest(-amount, 0)), count(*)
FROM {_NEW_LEGS}
GROUP BY entity_id, account, currency, effective_on
ORDER BY 1, 2, 3, 4
ON CONFLICT (entity_id, account, currency, effective_on) DO UPDATE SET
    debit_minor = day.debit_minor + excluded.debit_minor,
    credit_minor = day.credit_minor + excluded.credit_minor,
    lines = day.lines + excluded.lines
""").bindparams(_merchants)
_SNAPSHOT = text("""
INSERT INTO billing.balance_snapshot (merchant_id, upto_entry_no, account, dimension, currency, balance_minor)
SELECT r.merchant_id, r.rolling_no, d.account, d.dimension, d.currency, sum(d.debit_minor - d.credit_minor)
FROM billing.ledger_roll r JOIN billing.account_day d ON d.merchant_id = r.merchant_id
WHERE r.merchant_id = ANY(:merchants) AND r.rolling_no / :every > r.rolled_no / :every
GROUP BY r.merchant_id, r.rolling_no, d.account, d.dimension, d.currency
""").bindparams(_merchants, bindparam("every", SNAPSHOT_EVERY, type_=BigInteger))
_ADVANCE = text("""
UPDATE billing.ledger_roll SET rolled_no = rolling_no WHERE merchant_id = ANY(:merchants)
""").bindparams(_merchants)
