"""What the API reads of contracts: a merchant must see list plans and its own negotiated terms, and no other's."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import msgspec

from billing.contracts import store
from billing.contracts.terms import Terms, Tier
from marketplace.core.db import Tx
from marketplace.core.errors import NotFound


class Contract(msgspec.Struct, frozen=True, kw_only=True):
    """A version. negotiated: it names merchants; to a merchant's person `terms.merchants` is always null."""

    contract_id: int
    negotiated: bool
    terms: Terms


# A merchant is shown list plans by the policy on `contract` and its own by the one on `contract_merchant`, so the same
# statement is right for staff (for whom `contract` has everything) without the second half.
_LIST_PLANS = """
SELECT contract_id, negotiated, name, valid_from, jsonb_build_object(
    'currency', currency, 'valid_from', valid_from, 'valid_until', valid_until, 'categories', categories,
    'base', base, 'rate_ppm', rate_ppm, 'tier_from_minor', tier_from_minor, 'tier_rate_ppm', tier_rate_ppm,
    'fixed_minor', fixed_minor, 'min_minor', min_minor, 'max_minor', max_minor,
    'month_min_minor', month_min_minor, 'first_months', first_months, 'vat_ppm', vat_ppm) AS terms
FROM billing.contract"""
_OWN = """
SELECT contract_id, true, name, CAST(terms ->> 'valid_from' AS date), terms
FROM billing.contract_merchant WHERE merchant_id = :merchant"""
_PAGE = """
SELECT * FROM ({source}) AS version
WHERE CAST(:name AS text) IS NULL OR (name COLLATE "C", valid_from) > (:name COLLATE "C", CAST(:valid_from AS date))
ORDER BY name COLLATE "C", valid_from LIMIT :limit"""


async def list_contracts(
    tx: Tx, merchant_id: int | None, *, limit: int, after: tuple[str, date] | None = None
) -> Sequence[Contract]:
    """At most `limit` versions by name (code points) and start, those behind `after`.

    merchant_id: whose view it is; None for the house's own people, who also see which merchants a version names.
    """
    name, valid_from = after or (None, None)
    bound: dict[str, Any] = {"name": name, "valid_from": valid_from, "limit": limit}
    if merchant_id is not None:
        source = f"{_LIST_PLANS} UNION ALL {_OWN}"
        rows = await tx.rows(_PAGE.format(source=source), merchant=merchant_id, **bound)
        return [_contract(row) for row in rows]
    rows = await tx.rows(_PAGE.format(source=_LIST_PLANS), **bound)
    versions = {version.contract_id: version.terms for version in await store.list_versions(tx, {r.name for r in rows})}
    return [
        Contract(contract_id=row.contract_id, negotiated=row.negotiated, terms=versions[row.contract_id])
        for row in rows
    ]


async def get_contract(tx: Tx, merchant_id: int | None, contract_id: int) -> Contract:
    """One version as the caller may see it. Raises NotFound."""
    if merchant_id is None:
        version = await store.get_version(tx, contract_id)
        return Contract(contract_id=contract_id, negotiated=version.terms.merchants is not None, terms=version.terms)
    row = await tx.row(
        f"SELECT * FROM ({_LIST_PLANS} UNION ALL {_OWN}) AS version WHERE contract_id = :contract",
        merchant=merchant_id,
        contract=contract_id,
    )
    if row is None:
        raise NotFound(f"there is no contract {contract_id}")
    return _contract(row)


def _contract(row: Any) -> Contract:
    stored = dict(row.terms)
    starts, rates = stored.pop("tier_from_minor", None), stored.pop("tier_rate_ppm", None)
    tiers = None if starts is None else [Tier(*tier) for tier in zip(starts, rates, strict=True)]
    terms = msgspec.convert({"name": row.name, "tiers": tiers, **stored}, Terms)
    return Contract(contract_id=row.contract_id, negotiated=row.negotiated, terms=terms)
