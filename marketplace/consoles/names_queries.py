"""The names of the merchants that a list speaks of."""

from collections.abc import Iterable

from marketplace.core.db import Tx


async def names_of(tx: Tx, merchant_ids: Iterable[int]) -> dict[int, str]:
    """By merchant id."""
    rows = await tx.rows(_NAMES, ids=sorted(set(merchant_ids)))
    return {row.merchant_id: row.name for row in rows}


_NAMES = "SELECT merchant_id, name FROM supply.merchant WHERE merchant_id = ANY(CAST(:ids AS bigint[]))"
