"""The invariants of exchange, each as one SQL query that must find nothing; part of `verify_books`."""

_LEGS = "billing.entry e, unnest(e.accounts, e.dimensions, e.amounts) AS leg (account, dimension, amount)"
# What each exchange adds to the position, signed: a merchant's balance is given off 2000, the house's out of the bank.
_MOVED = """
    SELECT merchant_id, exchange_id, 'exchange_sold' AS kind, from_currency AS currency, sold_entry_no AS entry_no,
           rate_id, account, CASE account WHEN 2000 THEN -from_minor ELSE from_minor END AS minor
    FROM billing.exchange
    UNION ALL
    SELECT merchant_id, exchange_id, 'exchange_bought', to_currency, bought_entry_no, rate_id, account,
           CASE account WHEN 2000 THEN to_minor ELSE -to_minor END
    FROM billing.exchange"""

PROOFS: tuple[tuple[str, str, str], ...] = (
    (
        "exchanges-are-entries",
        "every exchange is two entries, one per currency, and nothing else is",
        f"""SELECT coalesce(x.merchant_id, e.merchant_id), coalesce(x.exchange_id, e.source_id), x.kind, e.kind
            FROM ({_MOVED}) AS x
            FULL JOIN (SELECT * FROM billing.entry WHERE kind IN ('exchange_sold', 'exchange_bought')) AS e
              ON e.merchant_id = x.merchant_id AND e.source_id = x.exchange_id AND e.kind = x.kind
            WHERE (x.entry_no, x.currency, ARRAY[x.account, 1900], ARRAY[0, x.rate_id], ARRAY[-x.minor, x.minor])
                  IS DISTINCT FROM (e.entry_no, e.currency, e.accounts, e.dimensions, e.amounts)""",
    ),
    (
        "exchanges-are-at-their-rate",
        "what was got is what was given at the recorded rate, to half a minor unit, and that rate was approved",
        """SELECT x.merchant_id, x.exchange_id, x.from_minor, x.to_minor
           FROM billing.exchange x LEFT JOIN billing.exchange_rate r ON r.rate_id = x.rate_id
           WHERE 2 * abs(x.to_minor::numeric * x.denominator - x.from_minor::numeric * x.numerator) > x.denominator
              OR (x.account = 2000 AND (r.state IN ('approved', 'replaced') AND
                  (r.from_currency, r.to_currency, r.numerator, r.denominator)
                  = (x.from_currency, x.to_currency, x.numerator, x.denominator)) IS NOT TRUE)""",
    ),
    (
        "position-is-exchanges",
        "the exchange position, by currency and rate, is what was exchanged and what it was revalued by",
        f"""SELECT merchant_id, currency, rate_id, sum(minor), sum(booked)
            FROM (SELECT merchant_id, currency, rate_id, minor, 0 AS booked FROM ({_MOVED}) AS x
                  UNION ALL
                  SELECT merchant_id, currency, 0, result_minor, 0 FROM billing.exchange_revaluation
                  UNION ALL
                  SELECT e.merchant_id, e.currency, leg.dimension, 0, leg.amount FROM {_LEGS}
                  WHERE leg.account = 1900) AS said
            GROUP BY merchant_id, currency, rate_id HAVING sum(minor) <> sum(booked)""",
    ),
)
