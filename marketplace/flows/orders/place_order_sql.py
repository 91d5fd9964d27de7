"""The two statements of placing orders: each one round trip, whatever the carts hold and however many (decision D8).

READ takes the requests' keys and reads all that the prices depend on; WRITES is what follows from it.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

import asyncpg
import msgspec

from incentives.discounts.model import Discount
from incentives.store import LET_PLACE
from marketplace.core.db import Tx
from marketplace.core.idempotency import Ticket
from marketplace.flows.discounts.quote_discounts import BUYER

# The contract is chosen as `billing.contracts.terms.choose` says; freeze_contracts has the same order. The policy is
# that of `demand.refunds.store.policy_for`.
# The buyer is held against another placement of its own, without waiting; so are promotions against being moved.
LOCKS = f""", {LET_PLACE} AS held,
       pg_try_advisory_xact_lock(hashtextextended('incentives.checkout', {{buyer}})) AS alone"""
_BUYER = BUYER.format(buyer="a.buyer_id", codes="$8", now="$6", locks=LOCKS.format(buyer="a.buyer_id"))
READ = f"""
WITH claim AS MATERIALIZED (
    SELECT a.asked, a.actor, a.key, a.buyer_id, a.cart_id, pg_try_advisory_xact_lock(a.lock_number) AS mine,
           set_config('lock_timeout', $9, true), buyer.*
    FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::bigint[]) WITH ORDINALITY
        AS a (lock_number, actor, key, buyer_id, cart_id, asked)
    LEFT JOIN LATERAL ({_BUYER}) AS buyer ON true
)
SELECT claim.*, k.fingerprint, k.status, k.body,
       c.state AS cart_state, c.currency, c.version, c.purchase_id, l.merchant_id, l.product_id, l.quantity,
       o.title, o.category, o.currency AS offer_currency, o.price_minor, o.freight_minor,
       o.state = 'listed' AND m.state = 'live' AS sold, m.entity_id, e.zone, o.counted,
       CASE WHEN o.counted THEN s.on_hand - s.reserved END AS free,
       contract.contract_id, (SELECT p.processor_id FROM billing.processor p WHERE p.name = $7) AS processor_id,
       (SELECT r.policy_id FROM demand.refund_policy r WHERE r.valid_from <= ($6::timestamptz AT TIME ZONE e.zone)::date
        ORDER BY r.valid_from DESC, r.policy_id DESC LIMIT 1) AS policy_id,
       m.merchant_ref, m.region, coalesce(m.joined_on::timestamptz, m.created_at) AS since,
       EXISTS (SELECT FROM billing.payer_contract WHERE pays = 'order') AS payers
FROM claim
LEFT JOIN core.idempotency_key k ON k.actor = claim.actor AND k.key = claim.key
LEFT JOIN demand.cart c ON c.buyer_id = claim.buyer_id AND c.cart_id = claim.cart_id
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
ORDER BY claim.asked, l.merchant_id, l.product_id
"""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Who wants which cart placed, under which key."""

    ticket: Ticket
    buyer_id: int
    cart_id: int


async def read(
    tx: Tx, asked: Sequence[Asked], processor: str, codes: Sequence[str], *, patience: str = "0"
) -> list[list[Any]]:
    """Hold the requests' keys and read each cart, what its lines cost, and the contract each falls under.

    For each cart one row per line by merchant and product, or one without a line; each also says what the key was used
    for before. codes: what buyers have typed in, where one alone asks. processor: its name. patience: how long the
    writes wait for a row that somebody else holds, as PostgreSQL says it; "0": as long as it takes.
    """
    tickets = [one.ticket for one in asked]
    rows: list[Any] = await tx.raw.fetch(
        READ,
        [ticket.lock_number for ticket in tickets],
        [ticket.actor for ticket in tickets],
        [ticket.key for ticket in tickets],
        [one.buyer_id for one in asked],
        [one.cart_id for one in asked],
        tx.now,
        processor,
        list(codes),
        patience,
    )
    return [list(of) for _, of in groupby(rows, key=_ASKED)]


_ASKED = itemgetter("asked")


# Each by its name, with named parameters. Listings that were not counted when they were read are held, so that they
# still are not when this commits; counting holds them too, and one whose count has begun meanwhile is not found. The
# stock rows are locked after them in the order of their keys; a row somebody else
# holds is looked at again once it is free, so what is not there any more is not promised.
# {bought} and {orders} are what is placed: its purchases, and their orders.
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
    "carts": """
UPDATE demand.cart AS c SET state = 'placed', purchase_id = b.purchase_id, version = c.version + 1,
       updated_at = :now::timestamptz
FROM {bought} WHERE c.buyer_id = b.buyer_id AND c.cart_id = b.cart_id AND c.state = 'open' AND c.version = b.version
RETURNING c.cart_id""",
    "credit": """
UPDATE billing.credit_account AS a SET reserved_minor = a.reserved_minor + b.credit_minor
FROM {bought} WHERE a.buyer_id = b.buyer_id AND a.currency = b.currency AND b.credit_minor > 0
  AND a.balance_minor - greatest(a.reserved_minor, (
      SELECT coalesce(sum(g.left_minor), 0)::bigint FROM billing.credit_grant g
      WHERE g.buyer_id = a.buyer_id AND g.currency = a.currency AND g.expires_at <= :now::timestamptz
  )) >= b.credit_minor
RETURNING a.buyer_id""",
    "purchases": """
INSERT INTO demand.purchase (buyer_id, purchase_id, order_ref, currency, source_state, placed_at)
SELECT buyer_id, purchase_id, order_ref, currency, 'placed', :now::timestamptz FROM {bought}""",
    "refs": """
INSERT INTO demand.purchase_ref (order_ref, purchase_id, buyer_id)
SELECT order_ref, purchase_id, buyer_id FROM {bought}""",
    "orders": """
INSERT INTO demand.merchant_order (merchant_id, order_id, order_ref, purchase_id, buyer_id, entity_id, currency, state,
       goods_minor, freight_minor, discount_minor, placed_at, purchased_on, refund_policy_id, expires_at)
SELECT o.merchant_id, o.order_id, b.order_ref, b.purchase_id, b.buyer_id, b.entity_id, b.currency, 'placed',
       o.goods_minor, o.freight_minor, o.discount_minor, :now::timestamptz, b.purchased_on, b.refund_policy_id,
       b.expires_at
FROM {orders} JOIN {bought} ON b.payment_id = o.payment_id""",
    "lines": """
INSERT INTO demand.order_line (merchant_id, order_id, line_no, product_id, category, title, quantity, goods_minor,
       freight_minor, discount_minor, contract_id)
SELECT * FROM unnest(:line_merchants::bigint[], :line_orders::bigint[], :line_nos::smallint[], :line_products::bigint[],
       :line_categories::text[], :line_titles::text[], :line_quantities::integer[], :line_goods::bigint[],
       :line_freights::bigint[], :line_discounts::bigint[], :line_contracts::bigint[])""",
    "payments": """
INSERT INTO billing.payment (buyer_id, payment_id, purchase_id, processor_id, method, currency, amount_minor,
       credit_minor, state, created_at, expires_at)
SELECT buyer_id, payment_id, purchase_id, :processor::bigint, method, currency, amount_minor, credit_minor, 'created',
       :now::timestamptz, expires_at
FROM {bought}""",
    "parts": """
INSERT INTO billing.payment_part (merchant_id, payment_id, order_id, buyer_id, processor_id, currency, amount_minor,
       credit_minor)
SELECT o.merchant_id, o.payment_id, o.order_id, b.buyer_id, :processor::bigint, b.currency, o.part_minor,
       o.part_credit_minor
FROM {orders} JOIN {bought} ON b.payment_id = o.payment_id""",
    "commands": """
INSERT INTO billing.payment_command (command_id, processor_id, kind, buyer_id, payment_id, currency, amount_minor,
       method, created_at)
SELECT command_id, :processor::bigint, 'authorise', buyer_id, payment_id, currency, amount_minor, method,
       :now::timestamptz
FROM {bought} WHERE amount_minor > 0 AND method <> 'cash'""",
    "changes": """
INSERT INTO demand.order_change (change_id, merchant_id, order_id)
SELECT order_id, merchant_id, order_id FROM {orders}""",
    "events": """
INSERT INTO core.outbox (event_id, topic, payload, occurred_at)
SELECT event_id, 'demand.purchase_placed.v1', convert_from(body, 'UTF8')::jsonb, :now::timestamptz FROM {bought}""",
    "answers": """
INSERT INTO core.idempotency_key (actor, key, fingerprint, status, headers, body, created_at)
SELECT actor, key, fingerprint, status, '{{}}', body, :now::timestamptz FROM {bought}""",
}
_BOUGHT = {
    "actor": "text", "key": "text", "fingerprint": "bytea", "status": "smallint", "body": "bytea", "buyer_id": "bigint",
    "cart_id": "bigint", "version": "integer", "currency": "text", "purchase_id": "bigint", "order_ref": "text",
    "entity_id": "integer", "purchased_on": "date", "refund_policy_id": "bigint", "expires_at": "timestamptz",
    "payment_id": "bigint", "method": "text", "amount_minor": "bigint", "credit_minor": "bigint",
    "command_id": "bigint", "event_id": "bigint",
}  # fmt: skip
_ORDERS = {
    "payment_id": "bigint", "merchant_id": "bigint", "order_id": "bigint", "goods_minor": "bigint",
    "freight_minor": "bigint", "discount_minor": "bigint", "part_minor": "bigint", "part_credit_minor": "bigint",
}  # fmt: skip
"""Columns of what is placed, with their types; each is a parameter, an array by the name of both."""


def _rows(name: str, columns: Mapping[str, str], alias: str) -> str:
    arrays = ", ".join(f":{name}_{column}::{kind}[]" for column, kind in columns.items())
    return f"unnest({arrays}) AS {alias} ({', '.join(columns)})"


ROWS = {"bought": _rows("bought", _BOUGHT, "b"), "orders": _rows("orders", _ORDERS, "o")}


def columns_of(name: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Rows of `bought` or `orders` as the parameters that they are written by."""
    columns = _BOUGHT if name == "bought" else _ORDERS
    return {f"{name}_{column}": [row[column] for row in rows] for column in columns}


DISCOUNT_WRITES: dict[str, str] = {
    "epoch": "SELECT 1 FROM incentives.live_epoch WHERE epoch = :epoch::bigint",
    "windows": """
SELECT 1 FROM unnest(:window_buyers::bigint[], :windows::bigint[]) AS w (buyer_id, windows)
WHERE w.windows = (SELECT count(*) FROM incentives.buyer_progress p WHERE p.buyer_id = w.buyer_id)""",
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
SELECT buyer_id, promotion_id, order_id::text, :now::timestamptz, measure, 0, 0, minor, 0, minor, 1,
       :now::timestamptz
FROM unnest(:taken_buyers::bigint[], :taken_promotions::bigint[], :taken_orders::bigint[], :taken_measures::bigint[],
            :taken_minor::bigint[])
     AS t (buyer_id, promotion_id, order_id, measure, minor)""",
}
"""What orders with discounts write besides: they are placed in the epoch that they were priced in, no other order of
their buyers has been placed since, their codes are not used, and one shard of each budget has enough."""

COUNTED = ("uncounted", "reserved", "carts", "credit")
DISCOUNT_COUNTED = ("epoch", "windows", "codes", "budgets")
"""The parts that may find nothing; how many rows they found decides whether the order is placed. They run in this
order, whatever the order of the parts: PostgreSQL runs a part when its rows are first asked for."""

_NAMED = re.compile(r"(?<!:):([a-z_]+)")


def numbered(sql: str, names: list[str]) -> str:
    """The statement with $1, $2 … for its named parameters, which are appended to `names` where they are new."""

    def number(match: re.Match[str]) -> str:
        if match[1] not in names:
            names.append(match[1])
        return f"${names.index(match[1]) + 1}"

    return _NAMED.sub(number, sql)


def _together(writes: Mapping[str, str], counted: Iterable[str]) -> tuple[str, list[str]]:
    names: list[str] = []
    rows = {f"{name}_rows": f"SELECT * FROM {source}" for name, source in ROWS.items()}
    local = {"bought": "bought_rows AS b", "orders": "orders_rows AS o"}
    parts = [f"\n{name} AS MATERIALIZED ({numbered(sql, names)})" for name, sql in rows.items()]
    parts += [f"\n{name}_ AS ({numbered(sql.format(**local), names)})" for name, sql in writes.items()]
    counts = ", ".join(f"(SELECT count(*) FROM {name}_) AS {name}" for name in counted)
    return f"WITH {','.join(parts)}\nSELECT {counts}", names


_PLAIN = _together(WRITES, COUNTED)
_DISCOUNTED = _together(DISCOUNT_WRITES | WRITES, DISCOUNT_COUNTED + COUNTED)


async def write(raw: asyncpg.Connection, values: Mapping[str, Any]) -> dict[str, int]:
    """Run the writes, those of discounts where there are any; returns how many rows those that are counted found."""
    statement, names = _DISCOUNTED if "discounts" in values else _PLAIN
    row = await raw.fetchrow(statement, *(values[name] for name in names))
    return dict(row.items())
