"""What incentives cost whom, by the ledger: the day and the amount of every part are those of the entry it stands in.

A merchant's own part of a discount at checkout moves no account, its price is lower by it; it counts with the entries
that say that the order was paid and refunded, as the parts of the others do.
"""

from billing.ledger.movements_sql import MOVED
from billing.ledger.tables import BESIDE_ORDERS
from billing.reports.model import IncentiveRow, Span
from marketplace.core.db import Tx

_WITHIN = """e.effective_on >= :from_on AND e.effective_on < :to_on
                AND (CAST(:entity AS integer) IS NULL OR e.entity_id = :entity)"""
_LEGS = "billing.entry e, unnest(e.accounts, e.dimensions, e.amounts) AS leg (account, dimension, amount)"
_BORNE = f"""
            SELECT h.entity_id, 'platform' AS funder, m.dimension AS source_id, m.currency, m.minor::numeric AS cost
            FROM {MOVED.format(accounts="4090, 5000")} JOIN billing.ledger_head h ON h.merchant_id = m.merchant_id
            WHERE m.effective_on >= :from_on
            UNION ALL
            SELECT e.entity_id, CASE leg.account WHEN 1110 THEN 'payer' ELSE 'merchant' END,
                   CASE leg.account WHEN 1110 THEN leg.dimension ELSE e.merchant_id END, e.currency, leg.amount
            FROM {_LEGS}
            WHERE {_WITHIN} AND e.{BESIDE_ORDERS}
              AND (leg.account = 1110 AND (e.kind LIKE 'incentive\\_%' OR e.kind LIKE 'rebate\\_%')
                   OR leg.account = 2000 AND e.kind = 'rebate_shared')
            UNION ALL
            SELECT e.entity_id, 'payer', leg.dimension, e.currency, leg.amount
            FROM {_LEGS}
            JOIN billing.payer_contract c ON c.contract_id = leg.dimension AND c.pays = 'promotion'
            WHERE {_WITHIN} AND leg.account = 1110 AND e.kind IN ('order_paid', 'order_refunded', 'refund_cancelled')
            UNION ALL
            SELECT e.entity_id, 'merchant', e.merchant_id, e.currency, own.minor
            FROM billing.entry e
            JOIN incentives.order_discount d ON d.merchant_id = e.merchant_id AND d.order_id = e.source_id
            CROSS JOIN LATERAL unnest(d.own_minor) AS own (minor)
            WHERE {_WITHIN} AND e.kind = 'order_paid' AND d.state = 'committed'
            UNION ALL
            SELECT e.entity_id, 'merchant', e.merchant_id, e.currency,
                   CASE WHEN b.undone THEN own.minor ELSE -own.minor END
            FROM billing.entry e
            JOIN incentives.discount_back b ON b.merchant_id = e.merchant_id AND b.refund_id = e.source_id
            CROSS JOIN LATERAL unnest(b.own_minor) AS own (minor)
            WHERE {_WITHIN} AND e.kind = CASE WHEN b.undone THEN 'refund_cancelled' ELSE 'order_refunded' END"""


async def incentive_cost(tx: Tx, span: Span) -> list[IncentiveRow]:
    """What incentives cost less what came back: the platform by promotion (5000 and 4090), payers by contract (what
    they bear of rewards, rebates and discounts, 1110), merchants (their part of buyers' discounts and rebates).
    """
    rows = await tx.rows(
        f"""
        SELECT entity_id, funder, source_id, currency, sum(cost)::bigint AS cost_minor
        FROM ({_BORNE}
        ) AS s
        WHERE CAST(:currency AS text) IS NULL OR s.currency = :currency
        GROUP BY 1, 2, 3, 4 HAVING sum(cost) <> 0 ORDER BY 1, 2, 3, 4
        """,
        entity=span.entity_id,
        currency=span.currency,
        from_on=span.from_on,
        to_on=span.to_on,
    )
    return [IncentiveRow(**row._mapping) for row in rows]
