"""How orders were carried out, who came back, what ads sold, what was matched, what merchants are paid."""

from typing import Any

import msgspec

from billing.ledger.tables import BESIDE_ORDERS
from billing.runs.model import AD_KINDS, INCENTIVE_KINDS, PAYOUT_KINDS
from incentives.experiments.findings import Findings
from marketplace.core.db import Tx

SHIPS_WITHIN = 3
"""Days from payment in which a merchant is to ship: what shops promise where nothing else is said."""
CLICK_COUNTS = 7
"""Days from a buyer's last click in which what it orders is a sale of the ad."""
_CLAIMS = "('not_delivered', 'damaged', 'wrong_item', 'late', 'out_of_stock', 'returned')"
_NEAR = (
    "{at} >= CAST(:from_on AS date)::timestamptz - interval '2 days'"
    " AND {at} < CAST(:to_on AS date)::timestamptz + interval '2 days'"
)


def _on(at: str, zone: str) -> str:
    day = f"({at} AT TIME ZONE {zone})::date"
    return f"{_NEAR.format(at=at)} AND {day} >= :from_on AND {day} < :to_on"


def _own(alias: str) -> str:
    return f"(CAST(:merchant AS bigint) IS NULL OR {alias}.merchant_id = :merchant)"


_PAID = f"""
SELECT coalesce(sum(o.goods_minor), 0)::bigint AS paid_goods_minor
FROM billing.entry e
JOIN demand.merchant_order o ON o.merchant_id = e.merchant_id AND o.order_id = e.source_id
WHERE e.kind = 'order_paid' AND e.effective_on >= :from_on AND e.effective_on < :to_on AND {_own("e")}
  AND o.entity_id = :entity AND o.currency = :currency
"""
_DEFECTS = f"""
SELECT count(*) AS defective_orders FROM demand.merchant_order o
WHERE o.entity_id = :entity AND o.currency = :currency AND {_own("o")}
  AND o.delivered_on >= :from_on AND o.delivered_on < :to_on
  AND (EXISTS (SELECT FROM demand.refund r WHERE r.merchant_id = o.merchant_id AND r.order_id = o.order_id
               AND r.state = 'booked' AND r.reason IN {_CLAIMS})
       OR EXISTS (SELECT FROM demand.dispute d WHERE d.merchant_id = o.merchant_id AND d.order_id = o.order_id
                  AND d.state <> 'won'))
"""
_SHIPMENTS = f"""
SELECT count(*) AS shipments,
       count(*) FILTER (WHERE s.shipped_at > coalesce(paid.at, o.placed_at) + interval '{SHIPS_WITHIN} days')
           AS late_shipments
FROM demand.shipment s
JOIN demand.merchant_order o ON o.merchant_id = s.merchant_id AND o.order_id = s.order_id
JOIN billing.entity e ON e.entity_id = o.entity_id
LEFT JOIN LATERAL (
    SELECT min(v.at) AS at FROM demand.order_event v
    WHERE v.merchant_id = o.merchant_id AND v.order_id = o.order_id AND v.state = 'paid'
) paid ON true
WHERE o.entity_id = :entity AND o.currency = :currency AND {_own("o")} AND {_on("s.shipped_at", "e.zone")}
"""
_SOLD = "SELECT FROM metrics.order_day d WHERE d.merchant_id = m.merchant_id AND d.completed > 0 AND d.day >= :from_on"
_COHORT = f"""
SELECT count(*) AS cohort, count(*) FILTER (WHERE EXISTS ({_SOLD} AND d.day < :to_on)) AS cohort_active,
       count(*) FILTER (WHERE EXISTS ({_SOLD})) AS cohort_active_or_later
FROM supply.merchant m WHERE m.entity_id = :entity AND m.joined_on >= :joined_from AND m.joined_on < :joined_to
"""
_AD_SALES = f"""
SELECT CASE WHEN EXISTS (
           SELECT FROM billing.ad_bucket b JOIN supply.merchant m ON m.merchant_id = b.merchant_id
           WHERE m.entity_id = :entity AND {_own("b")} AND b.on_day >= :from_on AND b.on_day < :to_on
             AND b.events_kept = 'none' AND b.clicks > 0
       ) THEN NULL ELSE coalesce(sum(o.goods_minor - o.discount_minor), 0)::bigint END AS ad_sales_minor
FROM billing.ad_event k
JOIN billing.ad_campaign c ON c.merchant_id = k.merchant_id AND c.campaign_id = k.campaign_id
JOIN demand.merchant_order o ON o.merchant_id = k.merchant_id AND o.buyer_id = k.buyer_id
 AND o.placed_at >= k.at AND o.placed_at < k.at + interval '{CLICK_COUNTS} days'
WHERE k.kind = 'click' AND k.verdict = '' AND k.buyer_id IS NOT NULL AND {_own("k")} AND {_on("k.at", "c.zone")}
  AND o.entity_id = :entity AND o.currency = :currency AND o.state NOT IN ('placed', 'cancelled')
  AND NOT EXISTS (
      SELECT FROM billing.ad_event n
      WHERE n.merchant_id = k.merchant_id AND n.buyer_id = k.buyer_id AND n.kind = 'click' AND n.verdict = ''
        AND n.at <= o.placed_at AND (n.at, n.event_id) > (k.at, k.event_id))
"""
"""Each sale once, by its buyer's last click within a week, as a campaign's own report counts it; not known any more
once clicks of the days are forgotten."""

_MATCHED = """
SELECT coalesce(sum(abs(i.amount_minor)), 0)::bigint AS processor_minor,
       coalesce(sum(abs(i.amount_minor)) FILTER (WHERE i.group_id IS NOT NULL AND EXISTS (
           SELECT FROM billing.match_item b
           WHERE b.book = 'bank' AND b.side = 'ours' AND b.entity_id = i.entity_id AND b.currency = i.currency
             AND b.batch_ref = upper(i.batch_ref) AND i.batch_ref <> '' AND b.group_id IS NOT NULL)), 0)::bigint
           AS matched_minor
FROM billing.match_item i
WHERE i.book = 'processor' AND i.side = 'theirs' AND i.entity_id = :entity AND i.currency = :currency
  AND i.day >= :from_on AND i.day < :to_on
"""
"""A processor's line is matched when our books have it, and its batch has come to the bank."""


def _kinds(*kinds: str) -> str:
    return f"kind IN ({', '.join(repr(kind) for kind in kinds)})"


_PROCESSOR_KINDS = ("processor_fee_recharged", "processor_fee_returned")
_NAMED = (
    *(*PAYOUT_KINDS, *INCENTIVE_KINDS, *AD_KINDS, *_PROCESSOR_KINDS),
    *("reserve_held", "reserve_released"),
)
_SETTLEMENT = f"""
WITH span AS (
    SELECT d.merchant_id, min(d.first_entry_no) AS first_no, max(d.last_entry_no) AS last_no,
           sum(d.credit_minor - d.debit_minor) AS minor
    FROM billing.account_day d JOIN supply.merchant m ON m.merchant_id = d.merchant_id
    WHERE m.entity_id = :entity AND {_own("d")} AND d.account = 2000 AND d.currency = :currency
      AND d.effective_on >= :from_on AND d.effective_on < :to_on
    GROUP BY d.merchant_id
), rated AS (
    SELECT c.merchant_id, c.order_id, c.kind, c.goods_minor + c.freight_minor - c.discount_minor AS sold_minor,
           c.vat_minor
    FROM span JOIN billing.commission_line c ON c.merchant_id = span.merchant_id
      AND c.entry_no BETWEEN span.first_no AND span.last_no
    WHERE c.currency = :currency AND c.effective_on >= :from_on AND c.effective_on < :to_on
), topped AS (
    SELECT coalesce(sum(part.minor), 0) AS minor
    FROM (SELECT DISTINCT merchant_id, order_id FROM rated WHERE kind = 'sale') AS s
    JOIN incentives.order_discount o ON o.merchant_id = s.merchant_id AND o.order_id = s.order_id
     AND o.state = 'committed',
         unnest(o.funders, o.contracts, o.funder_minor) AS part (funder, contract_id, minor)
    WHERE part.funder <> 'merchant' AND part.contract_id = 0
), moved AS (
    SELECT e.kind, -leg.amount AS minor
    FROM span JOIN billing.entry e ON e.merchant_id = span.merchant_id
      AND e.entry_no BETWEEN span.first_no AND span.last_no,
         unnest(e.accounts, e.amounts) AS leg (account, amount)
    WHERE leg.account = 2000 AND e.{BESIDE_ORDERS} AND e.currency = :currency
      AND e.effective_on >= :from_on AND e.effective_on < :to_on
), fees AS (
    SELECT coalesce(sum(vat_minor), 0) AS vat_minor,
           coalesce(sum(sold_minor) FILTER (WHERE kind = 'sale'), 0) AS sold_minor,
           coalesce(sum(sold_minor) FILTER (WHERE kind <> 'sale'), 0) AS back_minor
    FROM rated
)
SELECT (f.sold_minor - t.minor)::bigint AS sales_minor, t.minor::bigint AS top_up_minor,
       (-f.back_minor)::bigint AS refunds_minor, f.vat_minor::bigint AS fee_tax_minor,
       (f.sold_minor + f.back_minor - f.vat_minor - (w.minor - m.beside) - m.others)::bigint AS fees_minor,
       (-m.psp)::bigint AS psp_minor, (-m.ads)::bigint AS ads_minor, m.rebates::bigint AS rebates_minor,
       (-m.clawed)::bigint AS clawed_back_minor, (-m.held)::bigint AS reserve_held_minor,
       m.released::bigint AS reserve_released_minor
FROM fees f, topped t, (SELECT coalesce(sum(minor), 0) AS minor FROM span) AS w, (
    SELECT coalesce(sum(minor), 0) AS beside,
           coalesce(sum(minor) FILTER (WHERE {_kinds(*_PROCESSOR_KINDS)}), 0) AS psp,
           coalesce(sum(minor) FILTER (WHERE {_kinds(*AD_KINDS)}), 0) AS ads,
           coalesce(sum(minor) FILTER (WHERE {_kinds(*INCENTIVE_KINDS)} AND minor > 0), 0) AS rebates,
           coalesce(sum(minor) FILTER (WHERE {_kinds(*INCENTIVE_KINDS)} AND minor < 0), 0) AS clawed,
           coalesce(sum(minor) FILTER (WHERE {_kinds("reserve_held")}), 0) AS held,
           coalesce(sum(minor) FILTER (WHERE {_kinds("reserve_released")}), 0) AS released,
           coalesce(sum(minor) FILTER (WHERE NOT {_kinds(*_NAMED)}), 0) AS others
    FROM moved
) AS m
"""
"""What moved the payable account but payouts; fees: what orders brought less of than was sold, and all that no other
term names, products first of all."""


_REVIEWS = """
SELECT r.findings FROM incentives.review r
JOIN incentives.promotion p ON p.promotion_id = r.promotion_id
JOIN billing.entity e ON e.entity_id = :entity
WHERE p.currency = :currency AND (r.made_at AT TIME ZONE e.zone)::date >= :from_on
  AND (r.made_at AT TIME ZONE e.zone)::date < :to_on
ORDER BY r.promotion_id
"""


async def paid(tx: Tx, **of: Any) -> Any:
    """Goods of the orders that were paid in the days."""
    return await tx.row(_PAID, **of)


async def defects(tx: Tx, **of: Any) -> Any:
    """Orders completed in the days of which a claim was granted or that were charged back."""
    return await tx.row(_DEFECTS, **of)


async def shipments(tx: Tx, **of: Any) -> Any:
    """Parcels sent in the days, and those of them later than so many days after payment."""
    return await tx.row(_SHIPMENTS, **of)


async def cohort(tx: Tx, **of: Any) -> Any:
    """Merchants that joined in some days: those who sold in others, and in those or since."""
    return await tx.row(_COHORT, **of)


async def ad_sales(tx: Tx, **of: Any) -> Any:
    """What buyers ordered within a week of a click in the days."""
    return await tx.row(_AD_SALES, **of)


async def matched(tx: Tx, **of: Any) -> Any:
    """What processors told of the days, and what of it is in our books and at the bank."""
    return await tx.row(_MATCHED, **of)


async def settlement(tx: Tx, **of: Any) -> Any:
    """What merchants are paid for the days, term by term."""
    return await tx.row(_SETTLEMENT, **of)


async def reviews(tx: Tx, **of: Any) -> list[Findings]:
    """What the reviews found that were made in the days, by the entity's calendar."""
    return [msgspec.convert(row.findings, Findings) for row in await tx.rows(_REVIEWS, **of)]
