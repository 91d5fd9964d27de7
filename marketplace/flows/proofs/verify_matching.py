"""The invariants of matching, each as one SQL query that must find nothing; part of `verify_books`."""

_LEGS = "billing.entry e, unnest(e.accounts, e.dimensions, e.amounts) AS leg (account, dimension, amount)"
_LIVE = """
    FROM billing.match_group g
    WHERE g.stage <> 'unmatch' AND NOT EXISTS (SELECT FROM billing.match_group r WHERE r.reverses_id = g.group_id)"""

PROOFS: tuple[tuple[str, str, str], ...] = (
    (
        "matched-once",
        "every matched line and item is in one live group, on its side, and every live group has its items",
        f"""SELECT coalesce(i.item_id, g.item_id), i.group_id, g.group_id
            FROM (SELECT g.group_id, unnest(g.theirs) AS item_id, 'theirs' AS side {_LIVE}
                  UNION ALL SELECT g.group_id, unnest(g.ours), 'ours' {_LIVE}) AS g
            FULL JOIN (SELECT item_id, side, group_id FROM billing.match_item WHERE group_id IS NOT NULL) AS i
              ON i.item_id = g.item_id AND i.group_id = g.group_id AND i.side = g.side
            WHERE i.item_id IS NULL OR g.item_id IS NULL""",
    ),
    (
        "groups-balance",
        "both sides of a live group are equal but for its residue, on one book, of one entity, in one currency",
        """SELECT g.group_id, g.residue_minor, i.minor
           FROM billing.match_group g
           JOIN (SELECT group_id, sum(CASE side WHEN 'theirs' THEN amount_minor ELSE -amount_minor END) AS minor,
                        count(DISTINCT (book, entity_id, currency)) AS scales, min(currency) AS currency
                 FROM billing.match_item WHERE group_id IS NOT NULL GROUP BY group_id) AS i ON i.group_id = g.group_id
           WHERE i.minor <> g.residue_minor OR i.scales <> 1 OR i.currency <> g.currency""",
    ),
    (
        "matched-is-booked",
        "what our books expected and a match has brought is booked",
        """SELECT item_id, kind, group_id FROM billing.match_item
           WHERE side = 'ours' AND group_id IS NOT NULL AND NOT booked""",
    ),
    (
        "suspense-is-open-lines",
        "account 2900 of the house is, line by line, what is open of the lines of its banks",
        f"""SELECT coalesce(b.line_id, i.line_id), b.minor, i.minor
            FROM (SELECT leg.dimension AS line_id, e.currency, -sum(leg.amount) AS minor FROM {_LEGS}
                  WHERE leg.account = 2900 AND leg.dimension <> 0
                  GROUP BY leg.dimension, e.currency HAVING sum(leg.amount) <> 0) AS b
            FULL JOIN (SELECT source_id AS line_id, currency, amount_minor AS minor FROM billing.match_item
                       WHERE suspense_id IS NOT NULL) AS i ON i.line_id = b.line_id AND i.currency = b.currency
            WHERE b.minor IS DISTINCT FROM i.minor""",
    ),
    (
        "residues-are-entries",
        "what a match explains is booked, once, and taken back with it",
        f"""SELECT coalesce(g.group_id, e.source_id), g.residue_minor, e.minor
            FROM (SELECT group_id, residue_minor FROM billing.match_group WHERE residue_minor <> 0) AS g
            FULL JOIN (SELECT e.source_id, sum(leg.amount) AS minor FROM {_LEGS}
                       WHERE e.kind = 'match_residue' AND leg.account IN (1010, 1020) GROUP BY e.source_id) AS e
              ON e.source_id = g.group_id
            WHERE g.residue_minor IS DISTINCT FROM e.minor""",
    ),
    (
        "processor-fees-are-entries",
        "what a processor charged for a line that was ever matched is booked, once",
        f"""SELECT coalesce(i.source_id, e.source_id), i.lines, i.minor, e.minor
            FROM (SELECT booked_as AS source_id, count(*) AS lines, sum(fee_minor) AS minor FROM billing.match_item
                  WHERE side = 'theirs' AND NOT booked AND fee_minor <> 0
                    AND (group_id IS NOT NULL OR booked_as IS NOT NULL) GROUP BY booked_as) AS i
            FULL JOIN (SELECT e.source_id, -sum(leg.amount) AS minor FROM {_LEGS}
                       WHERE e.kind = 'processor_charged' AND leg.account = 1020 GROUP BY e.source_id) AS e
              ON e.source_id = i.source_id
            WHERE i.source_id IS NULL OR i.minor <> coalesce(e.minor, 0)""",
    ),
)
