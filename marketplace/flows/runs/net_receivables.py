"""Set off what merchants owe the platform against what it owes them, before a billing run pays them out.

A merchant that collected cash holds the buyers' money: its receivable (1100). What it is owed for the same orders is
its payable (2000). Netted, only the rest is paid out; what stays on 1100 after an order is settled is the platform's
commission and the VAT on it, to be netted from the next earnings. Charges for products stand on 1100 by charge and
are set off by themselves, where that is agreed (`marketplace.flows.products.charge_products`): here only what names no
charge.
"""

from collections.abc import Sequence
from datetime import date

from sqlalchemy import ARRAY, BigInteger, Date, bindparam, text

from billing.runs.model import Run
from billing.runs.sql import UNROLLED
from marketplace.core import audit
from marketplace.core.clock import local_date
from marketplace.core.db import Tx

KIND = "receivable_netted"
_PER_RUN = 10_000  # source ids of a run: run_id * _PER_RUN and what follows

_merchants = bindparam("merchants", type_=ARRAY(BigInteger))

# Both accounts of these merchants, as of a day and altogether, of which the smallest may be netted: never more than
# there was in the period, nor more than is left of it now.
_HELD = f"""
SELECT merchant_id, currency,
       least(-coalesce(sum(balance) FILTER (WHERE account = 2000 AND effective_on <= :as_of), 0),
             -coalesce(sum(balance) FILTER (WHERE account = 2000), 0),
             coalesce(sum(balance) FILTER (WHERE account = 1100 AND effective_on <= :as_of), 0),
             coalesce(sum(balance) FILTER (WHERE account = 1100), 0))::bigint AS minor
FROM (
    SELECT d.merchant_id, d.account, d.currency, d.effective_on, d.debit_minor - d.credit_minor AS balance
    FROM billing.account_day d
    WHERE d.merchant_id = ANY(:merchants) AND d.account IN (1100, 2000) AND d.dimension = 0
    UNION ALL
    SELECT e.merchant_id, leg.account, e.currency, e.effective_on, leg.amount
    FROM {UNROLLED}
    JOIN billing.entry e ON e.merchant_id = r.merchant_id AND e.entry_no > r.rolled_no,
         unnest(e.accounts, e.dimensions, e.amounts) AS leg (account, dimension, amount)
    WHERE leg.account IN (1100, 2000) AND leg.dimension = 0
) AS movement
GROUP BY merchant_id, currency
"""
_OWING = text(f"""
SELECT DISTINCT merchant_id
FROM (
    SELECT d.merchant_id FROM billing.account_day d
    WHERE d.merchant_id = ANY(:merchants) AND d.account = 1100 AND d.dimension = 0
    UNION ALL
    SELECT e.merchant_id
    FROM {UNROLLED}
    JOIN billing.entry e ON e.merchant_id = r.merchant_id AND e.entry_no > r.rolled_no
    WHERE 1100 = ANY(e.accounts)
) AS found
ORDER BY merchant_id
""").bindparams(_merchants)
_LOCK = text("""
UPDATE billing.ledger_head SET last_entry_no = last_entry_no WHERE merchant_id = ANY(:merchants)
""").bindparams(_merchants)
_POST = text(f"""
INSERT INTO billing.entry (merchant_id, entry_no, kind, source_id, entity_id, currency, occurred_at, effective_on,
    prior_period, accounts, dimensions, amounts, posted_at, posted_by)
SELECT n.merchant_id, h.last_entry_no + row_number() OVER of_merchant, '{KIND}',
       :first + coalesce(b.before, 0) + row_number() OVER of_merchant - 1, h.entity_id, n.currency, :now,
       greatest(:as_of, h.closed_through + 1), coalesce(:as_of <= h.closed_through, false),
       ARRAY[2000, 1100], ARRAY[0, 0]::bigint[], ARRAY[n.minor, -n.minor], :now, :actor
FROM ({_HELD}) AS n
JOIN billing.ledger_head h ON h.merchant_id = n.merchant_id
LEFT JOIN (SELECT merchant_id, count(*) AS before FROM billing.entry
           WHERE merchant_id = ANY(:merchants) AND kind = '{KIND}' AND source_id >= :first AND source_id < :next
           GROUP BY merchant_id) AS b ON b.merchant_id = n.merchant_id
WHERE n.minor > 0
WINDOW of_merchant AS (PARTITION BY n.merchant_id ORDER BY n.currency)
""").bindparams(_merchants, bindparam("as_of", type_=Date))
_ADVANCE = text(f"""
UPDATE billing.ledger_head AS head SET last_entry_no = posted.last_no
FROM (SELECT merchant_id, max(entry_no) AS last_no FROM billing.entry
      WHERE merchant_id = ANY(:merchants) AND kind = '{KIND}' GROUP BY merchant_id) AS posted
WHERE head.merchant_id = posted.merchant_id AND head.last_entry_no < posted.last_no
""").bindparams(_merchants)


async def owing_among(tx: Tx, merchants: Sequence[int]) -> list[int]:
    """Those of these merchants that may owe something, by id."""
    return [row.merchant_id for row in await tx.rows(_OWING, merchants=sorted(merchants))]


async def net_receivables(tx: Tx, run: Run, merchants: Sequence[int]) -> int:
    """Net what these merchants owe and are owed at the end of a run's period (or today, in an unfinished one).

    Posts Dr 2000 / Cr 1100, one entry per merchant and currency, into the period: its statement shows it as `other`.
    What is netted already leaves nothing to net, so doing it again posts nothing; a set-off stands whatever becomes
    of the run. Returns the number of entries. Holds the heads of those merchants alone that owe something.
    """
    owing = await owing_among(tx, merchants)
    if not owing:
        return 0
    zone = await tx.scalar("SELECT zone FROM billing.entity WHERE entity_id = :entity", entity=run.entity_id)
    as_of: date = min(run.period.last_on, local_date(tx.now, zone))
    first = run.run_id * _PER_RUN
    await tx.execute(_LOCK, {"merchants": owing})
    bound = {"merchants": owing, "as_of": as_of, "first": first, "next": first + _PER_RUN}
    posted = (await tx.execute(_POST, {**bound, "now": tx.now, "actor": tx.actor})).rowcount
    if posted:
        await tx.execute(_ADVANCE, {"merchants": owing})
        await audit.record(tx, "receivables netted", f"billing_run:{run.run_id}", entries=posted)
    return posted
