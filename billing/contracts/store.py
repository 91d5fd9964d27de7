"""Every statement on contracts."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import delete, insert, select, update

from billing.contracts.terms import Terms, Tier, tiered_bounds
from billing.tables import contract, contract_merchant_ref
from marketplace.core.blocks import reserve
from marketplace.core.db import Tx
from marketplace.core.errors import NotFound


class Version(msgspec.Struct, frozen=True):
    """A stored version: its id and its terms."""

    contract_id: int
    terms: Terms


async def list_versions(tx: Tx, names: Iterable[str] | None = None) -> list[Version]:
    """All versions, or those of some names, by name and valid_from."""
    query = select(contract).order_by(contract.c.name, contract.c.valid_from)
    if names is not None:
        query = query.where(contract.c.name.in_(sorted(set(names))))
    rows = await tx.rows(query)
    refs: dict[int, list[str]] = {}
    named = select(contract_merchant_ref).where(
        contract_merchant_ref.c.contract_id.in_([row.contract_id for row in rows if row.negotiated])
    )
    for ref in await tx.rows(named.order_by(contract_merchant_ref.c.merchant_ref)):
        refs.setdefault(ref.contract_id, []).append(ref.merchant_ref)
    return [Version(row.contract_id, _terms(row, refs.get(row.contract_id))) for row in rows]


async def get_version(tx: Tx, contract_id: int) -> Version:
    """One version. Raises NotFound."""
    name = await tx.scalar(select(contract.c.name).where(contract.c.contract_id == contract_id))
    for version in await list_versions(tx, [name] if name else []):
        if version.contract_id == contract_id:
            return version
    raise NotFound(f"there is no contract {contract_id}")


def _terms(row: Any, merchants: list[str] | None) -> Terms:
    tiers = None
    if row.tier_from_minor is not None:
        tiers = tuple(Tier(*tier) for tier in zip(row.tier_from_minor, row.tier_rate_ppm, strict=True))
    return Terms(
        name=row.name,
        currency=row.currency,
        valid_from=row.valid_from,
        valid_until=row.valid_until,
        first_months=row.first_months,
        merchants=tuple(merchants) if merchants is not None else None,
        categories=tuple(row.categories) if row.categories is not None else None,
        base=row.base,
        rate_ppm=row.rate_ppm,
        tiers=tiers,
        fixed_minor=row.fixed_minor,
        min_minor=row.min_minor,
        max_minor=row.max_minor,
        month_min_minor=row.month_min_minor,
        vat_ppm=row.vat_ppm,
    )


def _row(terms: Terms, tx: Tx) -> dict[str, Any]:
    tiers = terms.tiers
    return {
        "name": terms.name,
        "currency": terms.currency,
        "valid_from": terms.valid_from,
        "valid_until": terms.valid_until,
        "first_months": terms.first_months,
        "negotiated": terms.merchants is not None,
        "categories": list(terms.categories) if terms.categories is not None else None,
        "base": terms.base,
        "rate_ppm": terms.rate_ppm,
        "tier_from_minor": [tier.from_minor for tier in tiers] if tiers else None,
        "tier_rate_ppm": [tier.rate_ppm for tier in tiers] if tiers else None,
        "tier_reached_ppm": tiered_bounds(tiers) if tiers else None,
        "fixed_minor": terms.fixed_minor,
        "min_minor": terms.min_minor,
        "max_minor": terms.max_minor,
        "month_min_minor": terms.month_min_minor,
        "vat_ppm": terms.vat_ppm,
        "applied_at": tx.now,
        "applied_by": tx.actor,
    }


async def insert_versions(tx: Tx, versions: Sequence[Terms]) -> list[int]:
    """Store new versions; returns their ids."""
    if not versions:
        return []
    first = await reserve(tx, "contract", len(versions))
    ids = [first + number for number in range(1, len(versions) + 1)]
    await tx.execute(
        insert(contract),
        [{"contract_id": new_id, **_row(terms, tx)} for new_id, terms in zip(ids, versions, strict=True)],
    )
    for new_id, terms in zip(ids, versions, strict=True):
        await _name_merchants(tx, new_id, terms)
    return ids


async def replace_version(tx: Tx, contract_id: int, terms: Terms) -> None:
    """Give a version that nothing has used yet other terms."""
    await tx.execute(update(contract).where(contract.c.contract_id == contract_id).values(**_row(terms, tx)))
    await tx.execute(delete(contract_merchant_ref).where(contract_merchant_ref.c.contract_id == contract_id))
    await _name_merchants(tx, contract_id, terms)


async def _name_merchants(tx: Tx, contract_id: int, terms: Terms) -> None:
    if terms.merchants:
        refs = [{"contract_id": contract_id, "merchant_ref": ref} for ref in terms.merchants]
        await tx.execute(insert(contract_merchant_ref), refs)
