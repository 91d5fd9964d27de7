"""Every statement of supply."""

from collections.abc import Sequence
from typing import Any

from marketplace.core.db import Tx
from marketplace.core.errors import NotFound
from supply.model import Merchant, MerchantState

_COLUMNS = "merchant_id, merchant_ref, name, entity_id, state, city, region, joined_on"


async def get_merchant(tx: Tx, merchant_id: int) -> Merchant:
    """Raises NotFound."""
    row = await tx.row(f"SELECT {_COLUMNS} FROM supply.merchant WHERE merchant_id = :merchant", merchant=merchant_id)
    if row is None:
        raise NotFound(f"there is no merchant {merchant_id}")
    return _merchant(row)


async def list_merchants(tx: Tx, *, limit: int, after: int = 0) -> Sequence[Merchant]:
    """At most `limit` merchants in the order of their ids, those behind the id `after`."""
    rows = await tx.rows(
        f"SELECT {_COLUMNS} FROM supply.merchant WHERE merchant_id > :after ORDER BY merchant_id LIMIT :limit",
        after=after,
        limit=limit,
    )
    return [_merchant(row) for row in rows]


def _merchant(row: Any) -> Merchant:
    return Merchant(**{**row._mapping, "state": MerchantState(row.state)})
