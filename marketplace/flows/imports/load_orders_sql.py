"""The statements of `load_orders`: staging tables, checks on what was staged, and the set-based filling.

Staging tables are temporary: they belong to the loading transaction and, on a cluster, to the coordinator. Ids are
resolved there first, so every INSERT into a distributed table reads staging and reference tables only. Order by text
is always by code point (COLLATE "C"): the same load gives the same ids on every server.
"""

import msgspec

from billing.ledger.chart import Account

STAGING = """
CREATE TEMP TABLE load_category (line int, category text, name_en text) ON COMMIT DROP;
CREATE TEMP TABLE load_product (line int, product_ref text, category text) ON COMMIT DROP;
CREATE TEMP TABLE load_merchant (line int, merchant_ref text, name text, city text, region text, joined_on date)
    ON COMMIT DROP;
CREATE TEMP TABLE load_buyer (line int, customer_ref text, buyer_ref text, city text, region text) ON COMMIT DROP;
CREATE TEMP TABLE load_purchase (line int, order_ref text, customer_ref text, source_state text, fate text,
    placed_at timestamptz, placed_on date, delivered_at timestamptz, delivered_on date) ON COMMIT DROP;
CREATE TEMP TABLE load_line (line int, order_ref text, line_no smallint, product_ref text, merchant_ref text,
    quantity int, goods_minor bigint, freight_minor bigint) ON COMMIT DROP;
CREATE TEMP TABLE load_payment (line int, order_ref text, line_no smallint, method text, instalments smallint,
    amount_minor bigint) ON COMMIT DROP;

CREATE TEMP TABLE load_product_id (product_ref text, product_id bigint, category text, known boolean) ON COMMIT DROP;
CREATE TEMP TABLE load_merchant_id (merchant_ref text, merchant_id bigint, known boolean) ON COMMIT DROP;
CREATE TEMP TABLE load_known_buyer (buyer_ref text, buyer_id bigint) ON COMMIT DROP;
CREATE TEMP TABLE load_buyer_id (buyer_ref text, buyer_id bigint, known boolean) ON COMMIT DROP;
CREATE TEMP TABLE load_purchase_id (order_ref text, purchase_id bigint, buyer_id bigint) ON COMMIT DROP;
CREATE TEMP TABLE load_order (merchant_id bigint, order_id bigint, refund_id bigint, order_ref text, merchant_ref text,
    purchase_id bigint, buyer_id bigint, state text, goods_minor bigint, freight_minor bigint, placed_at timestamptz,
    placed_on date, delivered_at timestamptz, delivered_on date) ON COMMIT DROP;
CREATE TEMP TABLE load_fact (merchant_id bigint, entry_no bigint, kind text, source_id bigint, order_ref text,
    occurred_at timestamptz, local_on date, accounts int[], dimensions bigint[], amounts bigint[]) ON COMMIT DROP;
CREATE TEMP TABLE load_head (merchant_id bigint, reserved bigint, last_entry_no bigint, closed_through date)
    ON COMMIT DROP;
"""

ANALYZE_STAGED = (
    "ANALYZE load_product; ANALYZE load_merchant; ANALYZE load_buyer; ANALYZE load_purchase; ANALYZE load_line;"
    " ANALYZE load_payment"
)
ANALYZE_RESOLVED = "ANALYZE load_product_id; ANALYZE load_merchant_id; ANALYZE load_buyer_id; ANALYZE load_purchase_id"


def _repeated(table: str, *key: str) -> str:
    """Rows whose key stood on an earlier line already; an empty key was rejected by whoever read it."""
    names = ", ".join(key)
    usable = " AND ".join(f"{column} > 0" if column == "line_no" else f"{column} <> ''" for column in key)
    shown = " || ' ' || ".join(key)
    return f"""
SELECT line, {shown} AS value, first_line
FROM (SELECT line, {names}, min(line) OVER (PARTITION BY {names}) AS first_line FROM {table} WHERE {usable}) AS staged
WHERE line > first_line"""


def _unknown(table: str, column: str, target: str) -> str:
    """Rows that name something which the source does not hold."""
    return f"""
SELECT s.line, s.{column} AS value, NULL::int AS first_line
FROM {table} s WHERE s.{column} <> '' AND NOT EXISTS (SELECT FROM {target} t WHERE t.{column} = s.{column})"""


CHECKS = (
    ("categories", "category", None, _repeated("load_category", "category")),
    ("products", "product", None, _repeated("load_product", "product_ref")),
    ("merchants", "merchant", None, _repeated("load_merchant", "merchant_ref")),
    ("buyers", "customer", None, _repeated("load_buyer", "customer_ref")),
    ("purchases", "order", None, _repeated("load_purchase", "order_ref")),
    ("lines", "order_line", None, _repeated("load_line", "order_ref", "line_no")),
    ("payments", "order_payment", None, _repeated("load_payment", "order_ref", "line_no")),
    ("purchases", "customer", "buyers", _unknown("load_purchase", "customer_ref", "load_buyer")),
    ("lines", "order", "purchases", _unknown("load_line", "order_ref", "load_purchase")),
    ("lines", "product", "products", _unknown("load_line", "product_ref", "load_product")),
    ("lines", "merchant", "merchants", _unknown("load_line", "merchant_ref", "load_merchant")),
    ("payments", "order", "purchases", _unknown("load_payment", "order_ref", "load_purchase")),
)
"""(stream, which of the source's columns, stream that should hold it or None for a repeated key, query)."""

EXISTING_ORDER = """
SELECT p.order_ref FROM demand.purchase_ref p WHERE p.order_ref IN (SELECT order_ref FROM load_purchase)
ORDER BY p.order_ref COLLATE "C" LIMIT 1"""

MERCHANT_OF_ANOTHER_ENTITY = """
SELECT m.merchant_ref FROM supply.merchant m
WHERE m.merchant_ref IN (SELECT merchant_ref FROM load_merchant) AND m.entity_id <> :entity LIMIT 1"""

SUMMARY = """
SELECT (SELECT count(*) FROM load_purchase) AS orders,
       (SELECT count(*) FROM load_line) AS order_lines,
       (SELECT count(*) FROM load_merchant) AS merchants,
       (SELECT count(DISTINCT buyer_ref) FROM load_buyer) AS buyers,
       (SELECT count(*) FROM load_payment) AS payments,
       (SELECT coalesce(sum(goods_minor), 0) FROM load_line)::bigint AS gmv_minor,
       (SELECT coalesce(sum(freight_minor), 0) FROM load_line)::bigint AS freight_minor,
       (SELECT coalesce(sum(amount_minor), 0) FROM load_payment)::bigint AS payments_minor"""

COUNT_NEW_PRODUCTS = """
SELECT count(*) FROM load_product s WHERE NOT EXISTS (SELECT FROM supply.product t WHERE t.product_ref = s.product_ref)
"""
COUNT_NEW_MERCHANTS = """
SELECT count(*) FROM load_merchant s
WHERE NOT EXISTS (SELECT FROM supply.merchant_ref t WHERE t.merchant_ref = s.merchant_ref)"""
FIND_KNOWN_BUYERS = """
INSERT INTO load_known_buyer
SELECT b.buyer_ref, b.buyer_id FROM demand.buyer_ref b WHERE b.buyer_ref IN (SELECT buyer_ref FROM load_buyer)"""
COUNT_NEW_BUYERS = """
SELECT count(DISTINCT s.buyer_ref) FROM load_buyer s
WHERE NOT EXISTS (SELECT FROM load_known_buyer t WHERE t.buyer_ref = s.buyer_ref)"""
COUNT_ORDERS = "SELECT count(DISTINCT (order_ref, merchant_ref)) FROM load_line"

NUMBER_PRODUCTS = """
INSERT INTO load_product_id
SELECT s.product_ref, coalesce(t.product_id, :base + row_number() OVER (PARTITION BY t.product_id IS NULL
       ORDER BY s.line)), s.category, t.product_id IS NOT NULL
FROM load_product s LEFT JOIN supply.product t ON t.product_ref = s.product_ref"""
NUMBER_MERCHANTS = """
INSERT INTO load_merchant_id
SELECT s.merchant_ref, coalesce(t.merchant_id, :base + row_number() OVER (PARTITION BY t.merchant_id IS NULL
       ORDER BY s.line)), t.merchant_id IS NOT NULL
FROM load_merchant s LEFT JOIN supply.merchant_ref t ON t.merchant_ref = s.merchant_ref"""
NUMBER_BUYERS = """
INSERT INTO load_buyer_id
SELECT s.buyer_ref, coalesce(t.buyer_id, :base + row_number() OVER (PARTITION BY t.buyer_id IS NULL
       ORDER BY s.line)), t.buyer_id IS NOT NULL
FROM (SELECT buyer_ref, min(line) AS line FROM load_buyer GROUP BY buyer_ref) AS s
LEFT JOIN load_known_buyer t ON t.buyer_ref = s.buyer_ref"""
NUMBER_PURCHASES = """
INSERT INTO load_purchase_id
SELECT p.order_ref, :base + row_number() OVER (ORDER BY p.placed_at, p.order_ref COLLATE "C"), b.buyer_id
FROM load_purchase p
JOIN load_buyer c ON c.customer_ref = p.customer_ref
JOIN load_buyer_id b ON b.buyer_ref = c.buyer_ref"""


class Insert(msgspec.Struct, frozen=True):
    """A statement and, where it must store a known number of rows, the query for that number."""

    statement: str
    rows: str | None = None


def _new(key: str, rows: str, statement: str) -> Insert:
    """An INSERT of new rows into a table under a row policy.

    A cluster fills such a table from the coordinator only when the statement may meet a conflict: without ON CONFLICT
    it would COPY into the shards, which PostgreSQL refuses under a policy. Nothing may conflict, so rows are counted.
    """
    return Insert(f"{statement}\nON CONFLICT ({key}) DO NOTHING", rows)


PARTIES = (
    Insert("""
INSERT INTO supply.category (category, name_en)
SELECT category, min(name_en) FROM (
    SELECT category, name_en FROM load_category
    UNION ALL
    SELECT p.category, replace(p.category, '_', ' ') FROM load_product p
    WHERE p.category IS NOT NULL AND NOT EXISTS (SELECT FROM load_category c WHERE c.category = p.category)
) AS named GROUP BY category
ON CONFLICT (category) DO NOTHING"""),
    Insert("""
INSERT INTO supply.product (product_id, product_ref, category)
SELECT product_id, product_ref, category FROM load_product_id WHERE NOT known"""),
    _new(
        "merchant_id",
        "SELECT count(*) FROM load_merchant_id WHERE NOT known",
        """
INSERT INTO supply.merchant (merchant_id, merchant_ref, name, entity_id, city, region, joined_on, created_at)
SELECT i.merchant_id, m.merchant_ref, m.name, :entity, m.city, m.region, coalesce(m.joined_on, f.first_on), :now
FROM load_merchant m
JOIN load_merchant_id i ON i.merchant_ref = m.merchant_ref AND NOT i.known
LEFT JOIN (SELECT l.merchant_ref, min(p.placed_on) AS first_on
           FROM load_line l JOIN load_purchase p ON p.order_ref = l.order_ref GROUP BY l.merchant_ref
) AS f ON f.merchant_ref = m.merchant_ref""",
    ),
    Insert("""
INSERT INTO supply.merchant_ref (merchant_ref, merchant_id)
SELECT merchant_ref, merchant_id FROM load_merchant_id WHERE NOT known"""),
    # What a merchant last sold a product for is what it offers it for.
    Insert("""
INSERT INTO supply.offer (merchant_id, product_id, currency, price_minor, updated_at)
SELECT DISTINCT ON (m.merchant_id, p.product_id)
       m.merchant_id, p.product_id, :currency, l.goods_minor / l.quantity, o.placed_at
FROM load_line l
JOIN load_merchant_id m ON m.merchant_ref = l.merchant_ref
JOIN load_product_id p ON p.product_ref = l.product_ref
JOIN load_purchase o ON o.order_ref = l.order_ref
ORDER BY m.merchant_id, p.product_id, o.placed_at DESC, l.order_ref COLLATE "C" DESC, l.line_no DESC
ON CONFLICT (merchant_id, product_id) DO UPDATE
SET currency = excluded.currency, price_minor = excluded.price_minor, updated_at = excluded.updated_at
WHERE offer.updated_at <= excluded.updated_at"""),
    _new(
        "buyer_id",
        "SELECT count(*) FROM load_buyer_id WHERE NOT known",
        """
INSERT INTO demand.buyer (buyer_id, buyer_ref, city, region, created_at)
SELECT DISTINCT ON (i.buyer_id) i.buyer_id, i.buyer_ref, b.city, b.region, :now
FROM load_buyer b JOIN load_buyer_id i ON i.buyer_ref = b.buyer_ref AND NOT i.known
ORDER BY i.buyer_id, b.line DESC""",
    ),
    Insert("""
INSERT INTO demand.buyer_ref (buyer_ref, buyer_id)
SELECT buyer_ref, buyer_id FROM load_buyer_id WHERE NOT known"""),
)

NUMBER_ORDERS = """
INSERT INTO load_order
SELECT m.merchant_id,
       :base + row_number() OVER (ORDER BY p.placed_at, s.order_ref COLLATE "C", s.merchant_ref COLLATE "C"),
       NULL, s.order_ref, s.merchant_ref, i.purchase_id, i.buyer_id,
       CASE p.fate WHEN 'cancelled' THEN 'cancelled' WHEN 'delivered' THEN 'delivered' ELSE 'paid' END,
       s.goods_minor, s.freight_minor, p.placed_at, p.placed_on, p.delivered_at, p.delivered_on
FROM (SELECT order_ref, merchant_ref, sum(goods_minor)::bigint AS goods_minor,
             sum(freight_minor)::bigint AS freight_minor
      FROM load_line GROUP BY order_ref, merchant_ref) AS s
JOIN load_purchase p ON p.order_ref = s.order_ref
JOIN load_purchase_id i ON i.order_ref = s.order_ref
JOIN load_merchant_id m ON m.merchant_ref = s.merchant_ref"""
COUNT_REFUNDS = "SELECT count(*) FROM load_order WHERE state = 'cancelled' AND goods_minor + freight_minor > 0"
NUMBER_REFUNDS = """
UPDATE load_order o SET refund_id = :base + n.no
FROM (SELECT order_id, row_number() OVER (ORDER BY order_id) AS no FROM load_order
      WHERE state = 'cancelled' AND goods_minor + freight_minor > 0) AS n
WHERE n.order_id = o.order_id"""

ORDERS = (
    _new(
        "buyer_id, purchase_id",
        "SELECT count(*) FROM load_purchase",
        """
INSERT INTO demand.purchase (buyer_id, purchase_id, order_ref, currency, source_state, placed_at)
SELECT i.buyer_id, i.purchase_id, p.order_ref, :currency, p.source_state, p.placed_at
FROM load_purchase p JOIN load_purchase_id i ON i.order_ref = p.order_ref""",
    ),
    Insert("""
INSERT INTO demand.purchase_ref (order_ref, purchase_id, buyer_id)
SELECT order_ref, purchase_id, buyer_id FROM load_purchase_id"""),
    _new(
        "merchant_id, order_id",
        "SELECT count(*) FROM load_order",
        """
INSERT INTO demand.merchant_order (merchant_id, order_id, order_ref, purchase_id, buyer_id, entity_id, currency, state,
       goods_minor, freight_minor, placed_at, purchased_on, delivered_at, delivered_on)
SELECT merchant_id, order_id, order_ref, purchase_id, buyer_id, :entity, :currency, state, goods_minor, freight_minor,
       placed_at, placed_on, delivered_at, delivered_on
FROM load_order ORDER BY merchant_id, order_id""",
    ),
    _new(
        "merchant_id, order_id, line_no",
        "SELECT count(*) FROM load_line",
        """
INSERT INTO demand.order_line (merchant_id, order_id, line_no, product_id, category, quantity, goods_minor,
       freight_minor, refunded_goods_minor, refunded_freight_minor)
SELECT o.merchant_id, o.order_id, l.line_no, p.product_id, p.category, l.quantity, l.goods_minor, l.freight_minor,
       CASE WHEN o.state = 'cancelled' THEN l.goods_minor ELSE 0 END,
       CASE WHEN o.state = 'cancelled' THEN l.freight_minor ELSE 0 END
FROM load_line l
JOIN load_order o ON o.order_ref = l.order_ref AND o.merchant_ref = l.merchant_ref
JOIN load_product_id p ON p.product_ref = l.product_ref
ORDER BY o.merchant_id, o.order_id, l.line_no""",
    ),
    _new(
        "merchant_id, refund_id",
        "SELECT count(*) FROM load_order WHERE refund_id IS NOT NULL",
        """
INSERT INTO demand.refund (merchant_id, refund_id, order_id, goods_minor, freight_minor, reason, refunded_at)
SELECT o.merchant_id, o.refund_id, o.order_id, o.goods_minor, o.freight_minor, p.source_state, o.placed_at
FROM load_order o JOIN load_purchase p ON p.order_ref = o.order_ref WHERE o.refund_id IS NOT NULL""",
    ),
)

# What each fact books (domain.md, postings A and E): 2400 stays open, no processor line says it was paid back.
FACTS = Insert(f"""
INSERT INTO load_fact
SELECT merchant_id, row_number() OVER (PARTITION BY merchant_id ORDER BY occurred_at, order_ref COLLATE "C", kind),
       kind, source_id, order_ref, occurred_at, local_on, accounts, dimensions, amounts
FROM (
    SELECT merchant_id, 'order_paid' AS kind, order_id AS source_id, order_ref, placed_at AS occurred_at,
           placed_on AS local_on, ARRAY[{Account.PROCESSOR_CLEARING:d}, {Account.PENDING:d}] AS accounts,
           ARRAY[CAST(:processor AS bigint), 0] AS dimensions,
           ARRAY[goods_minor + freight_minor, -(goods_minor + freight_minor)] AS amounts
    FROM load_order WHERE goods_minor + freight_minor > 0
    UNION ALL
    SELECT merchant_id, 'order_refunded', refund_id, order_ref, placed_at, placed_on,
           ARRAY[{Account.PENDING:d}, {Account.BUYER_REFUND_DUE:d}], ARRAY[0, 0]::bigint[],
           ARRAY[goods_minor + freight_minor, -(goods_minor + freight_minor)]
    FROM load_order WHERE refund_id IS NOT NULL
    UNION ALL
    SELECT :house, 'payment_unassigned', i.purchase_id, p.order_ref, p.placed_at, p.placed_on,
           ARRAY[{Account.PROCESSOR_CLEARING:d}, {Account.SUSPENSE:d}], ARRAY[CAST(:processor AS bigint), 0],
           ARRAY[s.paid_minor, -s.paid_minor]
    FROM (SELECT order_ref, sum(amount_minor)::bigint AS paid_minor FROM load_payment GROUP BY order_ref) AS s
    JOIN load_purchase p ON p.order_ref = s.order_ref
    JOIN load_purchase_id i ON i.order_ref = s.order_ref
    WHERE s.paid_minor > 0 AND NOT EXISTS (SELECT FROM load_line l WHERE l.order_ref = s.order_ref)
) AS fact""")

# New heads begin behind what their entity has closed; all are taken in merchant order, as every posting does.
RESERVE_ENTRY_NUMBERS = Insert("""
INSERT INTO billing.ledger_head (merchant_id, entity_id, last_entry_no, closed_through)
SELECT books.merchant_id, :entity, coalesce(counted.entries, 0), e.closed_through
FROM (SELECT merchant_id FROM load_merchant_id UNION ALL SELECT :house) AS books
JOIN billing.entity e ON e.entity_id = :entity
LEFT JOIN (SELECT merchant_id, count(*) AS entries FROM load_fact GROUP BY merchant_id) AS counted
       ON counted.merchant_id = books.merchant_id
ORDER BY books.merchant_id
ON CONFLICT (merchant_id) DO UPDATE SET last_entry_no = ledger_head.last_entry_no + excluded.last_entry_no""")
OPEN_ROLLS = Insert("""
INSERT INTO billing.ledger_roll (merchant_id, rolled_no, rolling_no)
SELECT merchant_id, 0, 0 FROM (SELECT merchant_id FROM load_merchant_id UNION ALL SELECT :house) AS books
ON CONFLICT (merchant_id) DO NOTHING""")
READ_HEADS = Insert("""
INSERT INTO load_head
SELECT h.merchant_id, f.entries, h.last_entry_no, h.closed_through
FROM billing.ledger_head h
JOIN (SELECT merchant_id, count(*) AS entries FROM load_fact GROUP BY merchant_id) AS f
  ON f.merchant_id = h.merchant_id""")
ENTRIES = _new(
    "merchant_id, entry_no",
    "SELECT count(*) FROM load_fact",
    """
INSERT INTO billing.entry (merchant_id, entry_no, kind, source_id, entity_id, currency, occurred_at, effective_on,
       prior_period, accounts, dimensions, amounts, posted_at, posted_by)
SELECT f.merchant_id, h.last_entry_no - h.reserved + f.entry_no, f.kind, f.source_id, :entity, :currency,
       f.occurred_at,
       CASE WHEN f.local_on <= h.closed_through THEN h.closed_through + 1 ELSE f.local_on END,
       coalesce(f.local_on <= h.closed_through, false), f.accounts, f.dimensions, f.amounts, :now, :actor
FROM load_fact f JOIN load_head h ON h.merchant_id = f.merchant_id
ORDER BY f.merchant_id, f.entry_no""",
)

PAYMENT_LINES = Insert("""
INSERT INTO billing.payment_line (order_ref, line_no, processor_id, method, instalments, currency, amount_minor,
       paid_on, import_id)
SELECT s.order_ref, s.line_no, :processor, s.method, s.instalments, :currency, s.amount_minor, p.placed_on, :import
FROM load_payment s JOIN load_purchase p ON p.order_ref = s.order_ref""")

# core.money.allocate as one statement: floor shares, then one unit each to the largest remainders, ties to the order
# that comes first by merchant_ref. The products need more than 64 bits.
PAYMENT_SHARES = _new(
    "merchant_id, order_id, line_no",
    """
SELECT count(*) FROM load_payment s JOIN load_order o ON o.order_ref = s.order_ref
WHERE EXISTS (SELECT FROM load_order t WHERE t.order_ref = s.order_ref AND t.goods_minor + t.freight_minor > 0)""",
    """
INSERT INTO billing.payment_share (merchant_id, order_id, line_no, amount_minor)
SELECT merchant_id, order_id, line_no,
       share + CASE WHEN amount_minor - sum(share) OVER line >= row_number() OVER (
           PARTITION BY order_ref, line_no ORDER BY remainder DESC, merchant_ref COLLATE "C") THEN 1 ELSE 0 END
FROM (
    SELECT o.merchant_id, o.order_id, o.merchant_ref, s.order_ref, s.line_no, s.amount_minor,
           div(s.amount_minor::numeric * o.weight, o.total)::bigint AS share,
           s.amount_minor::numeric * o.weight % o.total AS remainder
    FROM load_payment s
    JOIN (SELECT merchant_id, order_id, order_ref, merchant_ref, goods_minor + freight_minor AS weight,
                 sum(goods_minor + freight_minor) OVER (PARTITION BY order_ref) AS total
          FROM load_order) AS o ON o.order_ref = s.order_ref AND o.total > 0
) AS divided
WINDOW line AS (PARTITION BY order_ref, line_no)""",
)
