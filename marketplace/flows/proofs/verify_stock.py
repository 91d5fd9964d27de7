"""The invariants of stock, each as one SQL query that must find nothing; part of `verify_books`."""

from marketplace.flows.orders.count_stock import PROMISES

PROOFS: tuple[tuple[str, str, str], ...] = (
    (
        "counted-have-stock",
        "a listing is counted exactly where it has stock",
        """SELECT coalesce(o.merchant_id, s.merchant_id), coalesce(o.product_id, s.product_id), o.counted, s.on_hand
           FROM supply.offer o
           FULL JOIN supply.stock s ON s.merchant_id = o.merchant_id AND s.product_id = o.product_id
           WHERE coalesce(o.counted, false) <> (s.merchant_id IS NOT NULL)""",
    ),
    (
        "reserved-is-promised",
        "what is reserved of a listing is what open orders and unpaid amendments still wait for",
        f"""SELECT s.merchant_id, s.product_id, s.reserved, p.units
            FROM supply.stock s
            LEFT JOIN (SELECT merchant_id, product_id, sum(units) AS units FROM ({PROMISES}) AS promised
                       GROUP BY merchant_id, product_id) AS p
              ON p.merchant_id = s.merchant_id AND p.product_id = s.product_id
            WHERE s.reserved <> coalesce(p.units, 0)""",
    ),
)
