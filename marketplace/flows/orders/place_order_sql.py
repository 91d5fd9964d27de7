"""The two statements of placing an order, and how a cluster takes them apart.

READ takes the request's key and reads all that the price depends on; WRITES is what follows from it. On one server each
is one statement, so that placing takes two round trips whatever the cart holds (decision D8); a cluster keeps the rows
on different nodes and is asked for them one after another, in the same transaction.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import asyncpg

from demand.refunds.store import policy_for
from incentives.discounts.model import Discount
from incentives.store import LET_PLACE
from marketplace.core.clock import local_date
from marketplace.core.db import Tx
from marketplace.core.idempotency import CLAIM, Ticket
from marketplace.flows.discounts.quote_discounts import BUYER

# The contract is chosen as `billing.contracts.terms.choose` says; freeze_contracts has the same order. The policy is
# that of `demand.refunds.store.policy_for`.
# What is written is found by keys whatever the cart holds: to plan it anew each time costs more than to run it.
# The buyer is held against another placement of its own, without waiting; so are promotions against being moved.
_LOCKS = f""", {LET_PLACE} AS held,
       pg_try_advisory_xact_lock(hashtextextended('incentives.checkout', {{buyer}})) AS alone"""
READ = f"""
WITH claim AS MATERIALIZED (
    SELECT pg_try_advisory_xact_lock($1) AS mine, set_config('plan_cache_mode', 'force_generic_plan', true)
),
buyer AS MATERIALIZED ({BUYER.format(buyer="$4", codes="$8", now="$6", locks=_LOCKS.format(buyer="$4"))})
SELECT claim.mine, k.fingerprint, k.status, k.body,
       c.state AS cart_state, c.currency, c.version, c.purchase_id, l.merchant_id, l.product_id, l.quantity,
       o.title, o.category, o.currency AS offer_currency, o.price_minor, o.freight_minor,
       o.state = 'listed' AND m.state = 'live' AS sold, m.entity_id, e.zone, o.counted,
       CASE WHEN o.counted THEN s.on_hand - s.reserved END AS free,
       contract.contract_id, (SELECT p.processor_id FROM billing.processor p WHERE p.name = $7) AS processor_id,
       (SELECT r.policy_id FROM demand.refund_policy r WHERE r.valid_from <= ($6::timestamptz AT TIME ZONE e.zone)::date
        ORDER BY r.valid_from DESC, r.policy_id DESC LIMIT 1) AS policy_id,
       m.merchant_ref, m.region, coalesce(m.joined_on::timestamptz, m.created_at) AS since,
       EXISTS (SELECT FROM billing.payer_contract WHERE pays = 'order') AS payers, buyer.*
FROM claim
LEFT JOIN buyer ON true
LEFT JOIN core.idempotency_key k ON k.actor = $2 AND k.key = $3
LEFT JOIN demand.cart c ON c.buyer_id = $4 AND c.cart_id = $5
LEFT JOIN demand.cart_line l ON l.buyer_id = c.buyer_id AND l.cart_id = c.cart_id
LEFT JOIN supply.offer o ON o.merchant_id = l.merchant_id AND o.product_id = l.product_id
LEFT JOIN supply.merchant m ON m.merchant_id = o.merchant_id
LEFT JOIN billing.entity e ON e.entity_id = m.entity_id
LEFT JOIN supply.stock s ON s.merchant_id = o.merchant_id AND s.product_id = o.product_id
LEFT JOIN LATERAL (
    SELECT t.contract_id
    FROM billing.contract t
    LEFT JOIN billing.contract_merchant n ON n.merchant_id = o.merchant_id AND n.contract_id = t.contract_id
    WHERE t.currency = o.currency AND t.valid_from <= ($6::timestamptz AT TIME ZONE e.zone)::date
      AND (t.valid_until IS NULL OR ($6::timestamptz AT TIME ZONE e.zone)::date < t.valid_until)
      AND (t.first_months IS NULL OR ($6::timestamptz AT TIME ZONE e.zone)::date
                                     < m.joined_on + make_interval(months => t.first_months))
      AND (t.categories IS NULL OR o.category = ANY(t.categories))
      AND (NOT t.negotiated OR n.contract_id IS NOT NULL)
    ORDER BY t.negotiated DESC, (t.categories IS NOT NULL) DESC, (t.first_months IS NOT NULL) DESC, t.valid_from DESC,
             t.name COLLATE "C" LIMIT 1
) AS contract ON o.merchant_id IS NOT NULL
ORDER BY l.merchant_id, l.product_id
"""

CART = """
SELECT c.state AS cart_state, c.currency, c.version, c.purchase_id, l.merchant_id, l.product_id, l.quantity
FROM demand.cart c LEFT JOIN demand.cart_line l ON l.buyer_id = c.buyer_id AND l.cart_id = c.cart_id
WHERE c.buyer_id = $1 AND c.cart_id = $2 ORDER BY l.merchant_id, l.product_id
"""
LISTINGS = """
SELECT DISTINCT ON (o.merchant_id, o.product_id) o.merchant_id, o.product_id, o.title, o.category,
       o.currency AS offer_currency, o.price_minor, o.freight_minor,
       o.state = 'listed' AND m.state = 'live' AS sold, m.entity_id, e.zone, o.counted,
       CASE WHEN o.counted THEN s.on_hand - s.reserved END AS free,
       CASE WHEN NOT t.negotiated OR n.contract_id IS NOT NULL THEN t.contract_id END AS contract_id, m.merchant_ref,
       m.region, coalesce(m.joined_on::timestamptz, m.created_at) AS since
FROM supply.offer o
JOIN supply.merchant m ON m.merchant_id = o.merchant_id
JOIN billing.entity e ON e.entity_id = m.entity_id
LEFT JOIN supply.stock s ON s.merchant_id = o.merchant_id AND s.product_id = o.product_id
LEFT JOIN billing.contract t ON t.currency = o.currency
 AND t.valid_from <= ($3::timestamptz AT TIME ZONE e.zone)::date
 AND (t.valid_until IS NULL OR ($3::timestamptz AT TIME ZONE e.zone)::date < t.valid_until)
 AND (t.first_months IS NULL OR ($3::timestamptz AT TIME ZONE e.zone)::date
                                < m.joined_on + make_interval(months => t.first_months))
 AND (t.categories IS NULL OR o.category = ANY(t.categories))
LEFT JOIN billing.contract_merchant n ON n.merchant_id = o.merchant_id AND n.contract_id = t.contract_id
WHERE o.merchant_id = ANY($1::bigint[]) AND o.product_id = ANY($2::bigint[])
ORDER BY o.merchant_id, o.product_id,
         CASE WHEN NOT t.negotiated OR n.contract_id IS NOT NULL THEN 0 ELSE 1 END,
         t.negotiated DESC, (t.categories IS NOT NULL) DESC, (t.first_months IS NOT NULL) DESC, t.valid_from DESC,
         t.name COLLATE "C"
"""


async def read(
    tx: Tx, ticket: Ticket, buyer_id: int, cart_id: int, processor: str, codes: Sequence[str], *, citus: bool
) -> list[Any]:
    """Hold the request's key and read the cart, what its lines cost, and the contract each falls under.

    One row per line by merchant and product, or one without a line; each also says what the key was used for before.
    """
    key = (ticket.lock_number, ticket.actor, ticket.key)
    if not citus:
        rows: list[Any] = await tx.raw.fetch(READ, *key, buyer_id, cart_id, tx.now, processor, list(codes))
        return rows
    claimed = dict((await tx.raw.fetchrow(CLAIM, *key)).items())
    claimed["processor_id"] = await tx.raw.fetchval(
        "SELECT processor_id FROM billing.processor WHERE name = $1", processor
    )
    claimed["payers"] = await tx.raw.fetchval("SELECT EXISTS (SELECT FROM billing.payer_contract WHERE pays = 'order')")
    buyer = await tx.raw.fetchrow(
        BUYER.format(buyer="$1", codes="$2", now="$3", locks=_LOCKS.format(buyer="$1")), buyer_id, list(codes), tx.now
    )
    claimed |= dict(buyer.items()) if buyer is not None else {"epoch": None}
    lines = await tx.raw.fetch(CART, buyer_id, cart_id)
    wanted = [line["merchant_id"] for line in lines], [line["product_id"] for line in lines]
    listings = {(row["merchant_id"], row["product_id"]): row for row in await tx.raw.fetch(LISTINGS, *wanted, tx.now)}
    for zone in {row["zone"] for row in listings.values()}:  # of one legal entity, or the cart is refused
        claimed["policy_id"] = await policy_for(tx, local_date(tx.now, zone))
    nothing = defaultdict[str, Any](lambda: None)
    return [
        nothing | claimed | dict(listings.get((line["merchant_id"], line["product_id"]), {})) | dict(line)
        for line in lines
    ] or [nothing | claimed]


# Each by its name, with named parameters. Listings that were not counted when they were read are held, so that they
# still are not when this commits; counting holds them too, and one whose count has begun meanwhile is not found. The
# stock rows are locked after them in the order of their keys; a row somebody else
# holds is looked at again once it is free, so what is not there any more is not promised.
WRITES: dict[str, str] = {
    "uncounted": """
SELECT o.product_id FROM supply.offer o
JOIN unnest(:uncounted_merchants::bigint[], :uncounted_products::bigint[]) AS u (merchant_id, product_id)
  ON u.merchant_id = o.merchant_id AND u.product_id = o.product_id
WHERE NOT o.counted ORDER BY o.merchant_id, o.product_id FOR SHARE OF o""",
    "reserved": """
UPDATE supply.stock AS s SET reserved = s.reserved + w.quantity
FROM (
    SELECT t.merchant_id, t.product_id, u.quantity FROM supply.stock t
    JOIN unnest(:stock_merchants::bigint[], :stock_products::bigint[], :stock_quantities::integer[])
         AS u (merchant_id, product_id, quantity) ON u.merchant_id = t.merchant_id AND u.product_id = t.product_id
    ORDER BY t.merchant_id, t.product_id FOR UPDATE OF t
) AS w
WHERE s.merchant_id = w.merchant_id AND s.product_id = w.product_id AND s.on_hand - s.reserved >= w.quantity
RETURNING s.product_id""",
    "cart": """
UPDATE demand.cart SET state = 'placed', purchase_id = :purchase::bigint, version = version + 1,
       updated_at = :now::timestamptz
WHERE buyer_id = :buyer::bigint AND cart_id = :cart::bigint AND state = 'open' AND version = :version::integer
RETURNING cart_id""",
    "credit": """
UPDATE billing.credit_account SET reserved_minor = reserved_minor + :credit::bigint
WHERE buyer_id = :buyer::bigint AND currency = :currency::text AND :credit::bigint > 0
  AND balance_minor - greatest(reserved_minor, (
      SELECT coalesce(sum(g.left_minor), 0)::bigint FROM billing.credit_grant g
      WHERE g.buyer_id = :buyer::bigint AND g.currency = :currency::text AND g.expires_at <= :now::timestamptz
  )) >= :credit::bigint
RETURNING buyer_id""",
    "purchase": """
INSERT INTO demand.purchase (buyer_id, purchase_id, order_ref, currency, source_state, placed_at)
VALUES (:buyer::bigint, :purchase::bigint, :ref::text, :currency::text, 'placed', :now::timestamptz)""",
    "ref": """
INSERT INTO demand.purchase_ref (order_ref, purchase_id, buyer_id)
VALUES (:ref::text, :purchase::bigint, :buyer::bigint)""",
    "orders": """
INSERT INTO demand.merchant_order (merchant_id, order_id, order_ref, purchase_id, buyer_id, entity_id, currency, state,
       goods_minor, freight_minor, discount_minor, placed_at, purchased_on, refund_policy_id, expires_at)
SELECT merchant_id, order_id, :ref::text, :purchase::bigint, :buyer::bigint, :entity::integer, :currency::text,
       'placed', goods_minor, freight_minor, discount_minor, :now::timestamptz, :today::date, :policy::bigint,
       :expires::timestamptz
FROM unnest(:order_merchants::bigint[], :order_ids::bigint[], :order_goods::bigint[], :order_freights::bigint[],
            :order_discounts::bigint[]) AS o (merchant_id, order_id, goods_minor, freight_minor, discount_minor)""",
    "lines": """
INSERT INTO demand.order_line (merchant_id, order_id, line_no, product_id, category, title, quantity, goods_minor,
       freight_minor, discount_minor, contract_id)
SELECT * FROM unnest(:line_merchants::bigint[], :line_orders::bigint[], :line_nos::smallint[], :line_products::bigint[],
       :line_categories::text[], :line_titles::text[], :line_quantities::integer[], :line_goods::bigint[],
       :line_freights::bigint[], :line_discounts::bigint[], :line_contracts::bigint[])""",
    "payment": """
INSERT INTO billing.payment (buyer_id, payment_id, purchase_id, processor_id, method, currency, amount_minor,
       credit_minor, state, created_at, expires_at)
VALUES (:buyer::bigint, :payment::bigint, :purchase::bigint, :processor::bigint, :method::text, :currency::text,
        :amount::bigint, :credit::bigint, 'created', :now::timestamptz, :expires::timestamptz)""",
    "parts": """
INSERT INTO billing.payment_part (merchant_id, payment_id, order_id, buyer_id, processor_id, currency, amount_minor,
       credit_minor)
SELECT merchant_id, :payment::bigint, order_id, :buyer::bigint, :processor::bigint, :currency::text, amount_minor,
       credit_minor
FROM unnest(:order_merchants::bigint[], :order_ids::bigint[], :part_amounts::bigint[], :part_credits::bigint[])
     AS p (merchant_id, order_id, amount_minor, credit_minor)""",
    "command": """
INSERT INTO billing.payment_command (command_id, processor_id, kind, buyer_id, payment_id, currency, amount_minor,
       method, created_at)
SELECT :command::bigint, :processor::bigint, 'authorise', :buyer::bigint, :payment::bigint, :currency::text,
       :amount::bigint, :method::text, :now::timestamptz
WHERE :amount::bigint > 0 AND :method::text <> 'cash'""",
    "changes": """
INSERT INTO demand.order_change (change_id, merchant_id, order_id)
SELECT order_id, merchant_id, order_id FROM unnest(:order_merchants::bigint[], :order_ids::bigint[])
     AS o (merchant_id, order_id)""",
    "event": """
INSERT INTO core.outbox (event_id, topic, payload, occurred_at)
VALUES (:event::bigint, 'demand.purchase_placed.v1', :placed::jsonb, :now::timestamptz)""",
    "answer": """
INSERT INTO core.idempotency_key (actor, key, fingerprint, status, headers, body, created_at)
VALUES (:actor::text, :key::text, :fingerprint::bytea, :status::smallint, '{}', :body::bytea, :now::timestamptz)""",
}
DISCOUNT_WRITES: dict[str, str] = {
    "epoch": "SELECT 1 FROM incentives.live_epoch WHERE epoch = :epoch::bigint",
    "windows": """
SELECT 1 FROM (SELECT count(*) AS windows FROM incentives.buyer_progress WHERE buyer_id = :buyer::bigint) AS p
WHERE p.windows = :windows::bigint""",
    "codes": """
UPDATE incentives.promotion_code AS k SET state = 'used', used_for = u.order_id, changed_at = :now::timestamptz
FROM unnest(:codes::text[], :code_orders::bigint[]) AS u (code, order_id)
WHERE k.code = u.code AND k.state = 'issued' AND k.expires_at > :now::timestamptz RETURNING k.code""",
    "budgets": """
UPDATE incentives.budget_shard AS s SET reserved_minor = s.reserved_minor + w.minor
FROM (
    SELECT t.budget_id, t.period_from, t.n, u.minor FROM incentives.budget_shard t
    JOIN unnest(:budget_ids::bigint[], :budget_periods::date[], :budget_shards::smallint[], :budget_minor::bigint[])
         AS u (budget_id, period_from, n, minor)
      ON u.budget_id = t.budget_id AND u.period_from = t.period_from AND u.n = t.n
    ORDER BY t.budget_id, t.period_from, t.n FOR UPDATE OF t
) AS w
WHERE s.budget_id = w.budget_id AND s.period_from = w.period_from AND s.n = w.n
  AND s.allocated_minor - s.reserved_minor - s.spent_minor >= w.minor
RETURNING s.budget_id""",
    "reservations": """
INSERT INTO incentives.budget_reservation (budget_id, key, period_from, n, grant_minor, amount_minor, state, at)
SELECT budget_id, key, period_from, n, grant_minor, amount_minor, 'reserved', :now::timestamptz
FROM unnest(:draw_budgets::bigint[], :draw_keys::text[], :draw_periods::date[], :draw_shards::smallint[],
            :draw_grants::bigint[], :draw_minor::bigint[])
     AS d (budget_id, key, period_from, n, grant_minor, amount_minor)""",
    "discounts": f"""
INSERT INTO incentives.order_discount ({", ".join(Discount.__struct_fields__)})
SELECT {", ".join(Discount.__struct_fields__)} FROM jsonb_populate_recordset(NULL::incentives.order_discount,
       :discounts::jsonb)""",
    "progress": """
INSERT INTO incentives.buyer_progress (buyer_id, promotion_id, span, starts_at, promised, settled, reached,
       granted_minor, pending_minor, award_minor, grants, changed_at)
SELECT :buyer::bigint, promotion_id, order_id::text, :now::timestamptz, measure, 0, 0, minor, 0, minor, 1,
       :now::timestamptz
FROM unnest(:taken_promotions::bigint[], :taken_orders::bigint[], :taken_measures::bigint[], :taken_minor::bigint[])
     AS t (promotion_id, order_id, measure, minor)""",
}
"""What an order with discounts writes besides: it is placed in the epoch that it was priced in, no other order of the
buyer's has been placed since, its codes are not used, and one shard of each budget has enough."""

COUNTED = ("uncounted", "reserved", "cart", "credit")
DISCOUNT_COUNTED = ("epoch", "windows", "codes", "budgets")
"""The parts that may find nothing; how many rows they found decides whether the order is placed. They run in this
order, whatever the order of the parts: PostgreSQL runs a part when its rows are first asked for."""

_NAMED = re.compile(r"(?<!:):([a-z_]+)")


def _numbered(sql: str, names: list[str]) -> str:
    """The statement with $1, $2 … for its named parameters, which are appended to `names` where they are new."""

    def number(match: re.Match[str]) -> str:
        if match[1] not in names:
            names.append(match[1])
        return f"${names.index(match[1]) + 1}"

    return _NAMED.sub(number, sql)


def _together(writes: Mapping[str, str], counted: Iterable[str]) -> tuple[str, list[str]]:
    names: list[str] = []
    parts = ",".join(f"\n{name}_ AS ({_numbered(sql, names)})" for name, sql in writes.items())
    counts = ", ".join(f"(SELECT count(*) FROM {name}_) AS {name}" for name in counted)
    return f"WITH {parts}\nSELECT {counts}", names


_PLAIN = _together(WRITES, COUNTED)
_DISCOUNTED = _together(DISCOUNT_WRITES | WRITES, DISCOUNT_COUNTED + COUNTED)


async def write(raw: asyncpg.Connection, values: Mapping[str, Any], *, citus: bool) -> dict[str, int]:
    """Run the writes, those of discounts where there are any; returns how many rows those that are counted found."""
    discounted = "discounts" in values
    if not citus:
        statement, names = _DISCOUNTED if discounted else _PLAIN
        row = await raw.fetchrow(statement, *(values[name] for name in names))
        return dict(row.items())
    counts = {"uncounted": await _hold_one_by_one(raw, values), "reserved": await _reserve_one_by_one(raw, values)}
    for name, sql in (DISCOUNT_WRITES | WRITES if discounted else WRITES).items():
        if name in counts:
            continue
        names = []
        rows = await raw.fetch(_numbered(sql, names), *(values[each] for each in names))
        if name in DISCOUNT_COUNTED + COUNTED:
            counts[name] = len(rows)
    return counts


async def _hold_one_by_one(raw: asyncpg.Connection, values: Mapping[str, Any]) -> int:
    """As `_reserve_one_by_one`, before it."""
    keys = zip(values["uncounted_merchants"], values["uncounted_products"], strict=True)
    return sum([len(await raw.fetch(_HOLD_ONE, *key)) for key in keys])


_HOLD_ONE = """
SELECT product_id FROM supply.offer WHERE merchant_id = $1 AND product_id = $2 AND NOT counted FOR SHARE
"""


async def _reserve_one_by_one(raw: asyncpg.Connection, values: Mapping[str, Any]) -> int:
    """A cluster locks no rows of several shards in one statement. The rows come in the order of their keys."""
    units = zip(values["stock_merchants"], values["stock_products"], values["stock_quantities"], strict=True)
    changed = [await raw.fetch(_RESERVE_ONE, *unit) for unit in units]
    return sum(map(len, changed))


_RESERVE_ONE = """
UPDATE supply.stock SET reserved = reserved + $3
WHERE merchant_id = $1 AND product_id = $2 AND on_hand - reserved >= $3 RETURNING product_id
"""
