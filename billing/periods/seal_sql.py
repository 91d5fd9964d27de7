"""The seal of a month as statements: entries are hashed where they live, and no step holds more than a block of them.

From the inside out: an entry's hash is SHA-256 of all its columns as one line of text; a block is the hashes of a
merchant's entries whose numbers share their thousands; a merchant's digest is over the digests of its blocks, and the
month's over those of the merchants. So it depends on no order but that of merchants and numbers. Instants are written
as microseconds and days as numbers, whatever the session's settings.
"""

from sqlalchemy import Date, bindparam, text

BLOCK = 1_000

# posted_by comes last: it is the only one that may hold the separator.
ENTRY_HASH = """sha256(convert_to(concat_ws('|', e.merchant_id, e.entry_no, e.kind, e.source_id, e.entity_id,
        e.currency, (extract(epoch FROM e.occurred_at) * 1000000)::bigint, e.effective_on - DATE '1970-01-01',
        e.prior_period::integer, array_to_string(e.accounts, ','), array_to_string(e.dimensions, ','),
        array_to_string(e.amounts, ','), (extract(epoch FROM e.posted_at) * 1000000)::bigint, e.posted_by), 'UTF8'))"""

KEEP_BLOCKS = text(f"""
INSERT INTO billing.period_block (merchant_id, month_on, seal_no, block_no, entity_id, entry_nos, hashes)
SELECT e.merchant_id, :month_on, :seal_no, e.entry_no / {BLOCK}, :entity, array_agg(e.entry_no ORDER BY e.entry_no),
       string_agg({ENTRY_HASH}, ''::bytea ORDER BY e.entry_no)
FROM billing.entry e
WHERE e.entity_id = :entity AND e.effective_on <= :last_on
  AND e.effective_on >= coalesce(CAST(:from_on AS date), '-infinity')
GROUP BY e.merchant_id, e.entry_no / {BLOCK}
""").bindparams(bindparam("from_on", type_=Date), bindparam("month_on", type_=Date), bindparam("last_on", type_=Date))

# How many entries a seal has, and the digest over them (NULL for none).
_MERCHANTS = """
    SELECT b.entity_id, b.month_on, b.seal_no, b.merchant_id, sum(cardinality(b.entry_nos))::bigint AS entries,
           sha256(string_agg(sha256(b.hashes), ''::bytea ORDER BY b.block_no)) AS digest
    FROM billing.period_block b GROUP BY b.entity_id, b.month_on, b.seal_no, b.merchant_id"""
ROOTS = f"""
SELECT entity_id, month_on, seal_no, sum(entries)::bigint AS entries,
       sha256(string_agg(digest, ''::bytea ORDER BY merchant_id)) AS root
FROM ({_MERCHANTS}) AS of_merchant GROUP BY entity_id, month_on, seal_no"""
CHAINED = """sha256(previous || convert_to(concat_ws('|', entity_id, month_on - DATE '1970-01-01', entries), 'UTF8')
        || root)"""
"""The digest of a seal, from that of the month before, whose and which month it is, and the digest over its entries."""

ROOT = text(
    f"SELECT entries, root FROM ({ROOTS}) AS r"
    " WHERE entity_id = :entity AND month_on = :month_on AND seal_no = :seal_no"
)

_LIVE = """SELECT s.* FROM billing.period_seal s JOIN billing.period p ON p.entity_id = s.entity_id
    AND p.month_on = s.month_on AND p.seal_no = s.seal_no WHERE p.state = 'closed'"""
_OF_MONTH = " AND s.entity_id = :entity AND s.month_on = CAST(:month_on AS date)"
_KEPT = """
    SELECT b.merchant_id, b.month_on, b.block_no, b.entry_nos, b.hashes
    FROM billing.period_block b
    JOIN ({live}) AS s ON s.entity_id = b.entity_id AND s.month_on = b.month_on AND s.seal_no = b.seal_no"""
_FOUND = f"""
    SELECT e.merchant_id, s.month_on, e.entry_no / {BLOCK} AS block_no,
           array_agg(e.entry_no ORDER BY e.entry_no) AS entry_nos,
           string_agg({ENTRY_HASH}, ''::bytea ORDER BY e.entry_no) AS hashes
    FROM ({{live}}) AS s
    JOIN billing.entry e ON e.entity_id = s.entity_id AND e.effective_on < (s.month_on + INTERVAL '1 month')::date
     AND e.effective_on >= coalesce(s.from_on, '-infinity')
    GROUP BY e.merchant_id, s.month_on, e.entry_no / {BLOCK}"""
_SIDE = """
    SELECT merchant_id, month_on, one.entry_no, {sealed}, {found}
    FROM differing, unnest({side}_nos, ARRAY(
        SELECT substring({side}_hashes FROM 32 * n + 1 FOR 32) FROM generate_series(0, cardinality({side}_nos) - 1) AS n
    )) AS one (entry_no, hash)"""
_CHANGED = f"""
WITH differing AS (
    SELECT coalesce(k.merchant_id, f.merchant_id) AS merchant_id, coalesce(k.month_on, f.month_on) AS month_on,
           k.entry_nos AS kept_nos, k.hashes AS kept_hashes, f.entry_nos AS found_nos, f.hashes AS found_hashes
    FROM ({_KEPT}) AS k
    FULL JOIN ({_FOUND}) AS f
      ON f.merchant_id = k.merchant_id AND f.month_on = k.month_on AND f.block_no = k.block_no
    WHERE (k.entry_nos, k.hashes) IS DISTINCT FROM (f.entry_nos, f.hashes)
)
SELECT merchant_id, entry_no, to_char(month_on, 'YYYY-MM') AS month,
       CASE WHEN string_agg(found, '') IS NULL THEN 'is gone'
            WHEN string_agg(sealed, '') IS NULL THEN 'came later' ELSE 'was changed' END AS how
FROM ({_SIDE.format(side="kept", sealed="one.hash AS sealed", found="NULL::bytea AS found")}
      UNION ALL {_SIDE.format(side="found", sealed="NULL::bytea", found="one.hash")}) AS entry
GROUP BY merchant_id, entry_no, month_on
HAVING string_agg(sealed, '') IS DISTINCT FROM string_agg(found, '')
ORDER BY month_on, merchant_id, entry_no
"""
CHANGED = _CHANGED.format(live=_LIVE)
CHANGED_IN_MONTH = _CHANGED.format(live=_LIVE + _OF_MONTH)
"""The entries of closed months that are not what was sealed: by merchant and number, and what has become of each."""

_BROKEN = f"""
SELECT s.entity_id, to_char(s.month_on, 'YYYY-MM') AS month, s.seal_no
FROM (
    SELECT s.*, coalesce(r.root, ''::bytea) AS root, coalesce(r.entries, 0) AS found
    FROM (SELECT one.*, lag(one.digest) OVER (PARTITION BY one.entity_id ORDER BY one.month_on) AS before
          FROM ({_LIVE}) AS one) AS s
    LEFT JOIN ({ROOTS}) AS r ON r.entity_id = s.entity_id AND r.month_on = s.month_on AND r.seal_no = s.seal_no
    WHERE true{{of}}
) AS s
WHERE (s.digest <> {CHAINED} OR s.entries <> s.found OR s.previous <> coalesce(s.before, ''::bytea))
ORDER BY s.entity_id, s.month_on
"""
BROKEN_SEALS = _BROKEN.format(of="")
BROKEN_SEAL = _BROKEN.format(of=_OF_MONTH)
"""The seals of closed months that do not follow from what they were made of, or not from the one before."""
