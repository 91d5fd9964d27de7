"""Choose the commission contract of order lines and freeze it on them: at the sale, or at settlement at the latest.

Precedence: merchants and categories both named, merchants, categories, neither; then what holds for first months only;
then the latest valid_from; then the name by code point. The readable rule is `billing.contracts.terms.choose`; a
property test holds the two together.
"""

from collections.abc import Sequence
from datetime import date

from sqlalchemy import ARRAY, BigInteger, bindparam, text

from demand.store import refresh_due_uncovered
from marketplace.core.db import Tx

# A line that nothing covers keeps NULL. DISTINCT ON sorts the covering contracts, the best first.
_CHOOSE = """
UPDATE demand.order_line AS line SET contract_id = chosen.contract_id
FROM (
    SELECT DISTINCT ON (l.merchant_id, l.order_id, l.line_no) l.merchant_id, l.order_id, l.line_no, k.contract_id
    FROM {orders} o
    JOIN demand.order_line l ON l.merchant_id = o.merchant_id AND l.order_id = o.order_id
     AND l.contract_id IS NULL {lines}
    JOIN billing.contract k ON k.currency = o.currency
     AND k.valid_from <= o.purchased_on AND (k.valid_until IS NULL OR o.purchased_on < k.valid_until)
     AND (k.categories IS NULL OR l.category = ANY(k.categories))
    JOIN supply.merchant s ON s.merchant_id = l.merchant_id
     AND (k.first_months IS NULL OR o.purchased_on < s.joined_on + make_interval(months => k.first_months))
    LEFT JOIN billing.contract_merchant m ON m.merchant_id = l.merchant_id AND m.contract_id = k.contract_id
    WHERE l.merchant_id = ANY(:merchants) AND (NOT k.negotiated OR m.contract_id IS NOT NULL)
    ORDER BY l.merchant_id, l.order_id, l.line_no,
             k.negotiated DESC, (k.categories IS NOT NULL) DESC, (k.first_months IS NOT NULL) DESC, k.valid_from DESC,
             k.name COLLATE "C"
) AS chosen
WHERE line.merchant_id = chosen.merchant_id AND line.order_id = chosen.order_id AND line.line_no = chosen.line_no
"""
_merchants = bindparam("merchants", type_=ARRAY(BigInteger))
_AT_SALE = text(
    _CHOOSE.format(
        orders="(SELECT * FROM demand.merchant_order WHERE order_id > :after AND order_id <= :upto)", lines=""
    )
).bindparams(_merchants)
_AT_SETTLEMENT = text(
    _CHOOSE.format(
        orders="""(SELECT o.* FROM demand.order_due d
               JOIN demand.merchant_order o ON o.merchant_id = d.merchant_id AND o.order_id = d.order_id
               WHERE d.contract_id = 0 AND d.settles_on <= :through)""",
        lines="",
    )
).bindparams(_merchants)
_AT_AMENDMENT = text(
    _CHOOSE.format(
        orders="""(SELECT merchant_id, order_id, currency, CAST(:amended_on AS date) AS purchased_on
               FROM demand.merchant_order WHERE order_id = :order)""",
        lines="AND l.amendment_id = :amendment",
    )
).bindparams(_merchants)


async def freeze_at_sale(tx: Tx, merchant_ids: Sequence[int], *, after_order_id: int, upto_order_id: int) -> None:
    """Freeze contracts on the lines of new orders: those of these merchants with ids in (after, upto]."""
    bound = {"merchants": list(merchant_ids), "after": after_order_id, "upto": upto_order_id}
    await tx.execute(_AT_SALE, bound)


async def freeze_at_amendment(tx: Tx, merchant_id: int, order_id: int, amendment_id: int, amended_on: date) -> None:
    """Freeze contracts on the lines that an amendment added: chosen as at a sale on that local date."""
    bound = {"merchants": [merchant_id], "order": order_id, "amendment": amendment_id, "amended_on": amended_on}
    await tx.execute(_AT_AMENDMENT, bound)


async def freeze_at_settlement(tx: Tx, merchant_ids: Sequence[int], through: date) -> None:
    """Freeze contracts on what is due through a local date and was sold before any contract covered it."""
    frozen = await tx.execute(_AT_SETTLEMENT, {"merchants": list(merchant_ids), "through": through})
    if frozen.rowcount:
        await refresh_due_uncovered(tx, merchant_ids, through)
