"""The comparison of a run with those of the period before, in one statement and page by page."""

from collections.abc import Sequence

from sqlalchemy import ARRAY, BigInteger, bindparam, text

from billing.runs.comparison.model import CARRIED, MOST, Moved, MovedKey
from billing.runs.model import COLUMNS
from marketplace.core.db import Tx

_NAMES = ("opening_minor", *COLUMNS, "closing_minor")
_SHOWN = ", ".join(_NAMES)
_PAIRS = ", ".join(
    f"('{name.removesuffix('_minor')}', coalesce(b.{name}, 0), coalesce(n.{name}, 0))" for name in _NAMES
)
_CARRIED = ", ".join(f"'{name}'" for name in CARRIED)
_MOVES = " OR ".join(["orders <> 0", *(f"{name} <> 0" for name in COLUMNS if name != "payout_minor")])

# Every pair of statements gives a row for each column that differs. Page after page is sorted anew, so that nothing
# has to be kept: only as many rows as a page holds stay in memory.
_MOVED = text(f"""
SELECT merchant_id, currency, "column", before_minor, now_minor, change_minor, relative_ppm, flag
FROM (
    SELECT paired.*, abs(change_minor) AS size, coalesce(abs(relative_ppm), {MOST}) AS relative
    FROM (
        SELECT coalesce(n.merchant_id, b.merchant_id) AS merchant_id, coalesce(n.currency, b.currency) AS currency,
               c.name AS "column", c.before_minor, c.now_minor, c.now_minor - c.before_minor AS change_minor,
               CASE WHEN c.before_minor = 0 THEN NULL
                    WHEN abs(c.now_minor - c.before_minor) <= {MOST} / 1000000
                    THEN (c.now_minor - c.before_minor) * 1000000 / abs(c.before_minor)
                    ELSE least(greatest(div((c.now_minor - c.before_minor)::numeric * 1000000, abs(c.before_minor)),
                                        -{MOST}), {MOST})::bigint
                    END AS relative_ppm,
               c.name IN ({_CARRIED}) AS carried,
               CASE WHEN c.name IN ({_CARRIED}) THEN NULL
                    WHEN NOT coalesce(b.moves, false) AND coalesce(n.moves, false) THEN 'new'
                    WHEN coalesce(b.moves, false) AND NOT coalesce(n.moves, false) THEN 'vanished' END AS flag
        FROM (SELECT merchant_id, currency, ({_MOVES}) AS moves, {_SHOWN} FROM billing.statement
              WHERE run_id = ANY(:now) AND state IN ('preview', 'final')) AS n
        FULL JOIN (SELECT merchant_id, currency, ({_MOVES}) AS moves, {_SHOWN} FROM billing.statement
                   WHERE run_id = ANY(:before) AND state = 'final') AS b
          ON b.merchant_id = n.merchant_id AND b.currency = n.currency
        CROSS JOIN LATERAL (VALUES {_PAIRS}) AS c (name, before_minor, now_minor)
        WHERE c.now_minor <> c.before_minor
    ) AS paired
) AS moved
WHERE (CAST(:currency AS text) IS NULL OR currency = :currency)
  AND (CAST(:merchant AS bigint) IS NULL OR merchant_id = :merchant)
  AND (CAST(:after_size AS bigint) IS NULL
       OR (carried, -size, -relative, merchant_id, currency, "column")
        > (CAST(:after_carried AS boolean), -CAST(:after_size AS bigint), -CAST(:after_relative AS bigint),
           CAST(:after_merchant AS bigint), CAST(:after_currency AS text), CAST(:after_column AS text)))
ORDER BY carried, size DESC, relative DESC, merchant_id, currency, "column" LIMIT :limit
""").bindparams(*(bindparam(name, type_=ARRAY(BigInteger)) for name in ("now", "before")))


async def list_moved(
    tx: Tx,
    now: Sequence[int],
    before: Sequence[int],
    *,
    currency: str | None = None,
    merchant_id: int | None = None,
    limit: int,
    after: MovedKey | None = None,
) -> list[Moved]:
    """At most `limit` columns that differ between the statements of these runs, as `key_of` orders them.

    Minor units of several currencies are ordered as they are: name one to compare like with like.
    """
    carried, size, relative, merchant, in_currency, column = after or (None,) * 6
    rows = await tx.rows(
        _MOVED,
        now=list(now),
        before=list(before),
        currency=currency,
        merchant=merchant_id,
        limit=limit,
        after_carried=carried,
        after_size=size,
        after_relative=relative,
        after_merchant=merchant,
        after_currency=in_currency,
        after_column=column,
    )
    return [Moved(**row._mapping) for row in rows]
