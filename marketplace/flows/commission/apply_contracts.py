"""Apply contract versions from a file or the API: all of them or none."""

from collections.abc import Iterable, Sequence

import msgspec
from sqlalchemy import ARRAY, BigInteger, Text, bindparam, text

from billing.contracts import store
from billing.contracts.terms import Terms, check_overlaps, parse_contracts
from marketplace.core import audit
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import Conflict


class Applied(msgspec.Struct, frozen=True):
    """How many versions were added, changed and found as they were; merchants named but not known yet."""

    added: int
    changed: int
    unchanged: int
    unknown_merchants: list[str]


async def apply_file(db: Database, actor: str, document: bytes) -> Applied:
    """Apply the `[[contract]]` tables of a TOML document.

    Applying a document again changes nothing. Raises Invalid for a document that is not in order, Conflict when it
    would overlap stored versions of a name or change the terms of a version that an order was rated or sold under.
    """
    return await db.write(WORKER, actor, apply_versions, parse_contracts(document))


async def apply_versions(tx: Tx, versions: Sequence[Terms]) -> Applied:
    """The same for contracts that are parsed and checked already."""
    await tx.execute("SELECT pg_advisory_xact_lock(hashtext('billing.contract'))")
    stored = {
        (version.terms.name, version.terms.valid_from): version
        for version in await store.list_versions(tx, [terms.name for terms in versions])
    }
    new: list[Terms] = []
    changed: list[tuple[int, Terms]] = []
    for terms in versions:
        version = stored.get((terms.name, terms.valid_from))
        if version is None:
            new.append(terms)
        elif version.terms != terms:
            await _check_unused(tx, version, terms)
            changed.append((version.contract_id, terms))
    after = {key: version.terms for key, version in stored.items()}
    after |= {(terms.name, terms.valid_from): terms for terms in versions}
    check_overlaps(after.values())
    for contract_id, terms in changed:
        await store.replace_version(tx, contract_id, terms)
    ids = await store.insert_versions(tx, new)
    touched = [*ids, *(contract_id for contract_id, _ in changed)]
    await _tell_merchants(tx, touched)
    if touched:
        await audit.record(tx, "contracts applied", "contract", added=len(new), changed=len(changed), contracts=touched)
    unknown = await unknown_merchants(tx, (ref for terms in versions for ref in terms.merchants or ()))
    return Applied(len(new), len(changed), len(versions) - len(new) - len(changed), unknown)


async def _check_unused(tx: Tx, version: store.Version, terms: Terms) -> None:
    """A used version keeps its terms; only its end may be brought forward, to a day after its last sale."""
    last_sale = await tx.scalar(
        """
        SELECT max(o.purchased_on) FROM demand.order_line l
        JOIN demand.merchant_order o ON o.merchant_id = l.merchant_id AND o.order_id = l.order_id
        WHERE l.contract_id = :contract
        """,
        contract=version.contract_id,
    )
    if last_sale is None:
        return
    key = f"contract {terms.name!r} from {terms.valid_from}"
    if msgspec.structs.replace(terms, valid_until=version.terms.valid_until) != version.terms:
        raise Conflict(
            f"{key}: orders were sold or rated under it, so its terms stay; add a version with a later start"
        )
    if terms.valid_until is not None and terms.valid_until <= last_sale:
        raise Conflict(f"{key}: an order of {last_sale} was sold under it, so it cannot end on {terms.valid_until}")


async def unknown_merchants(tx: Tx, refs: Iterable[str]) -> list[str]:
    """Those of these refs that no merchant has yet, by name."""
    rows = await tx.rows(_UNKNOWN, refs=sorted(set(refs)))
    return [row.ref for row in rows]


_UNKNOWN = text("""
SELECT named.ref FROM unnest(:refs) AS named (ref)
WHERE NOT EXISTS (SELECT FROM supply.merchant_ref m WHERE m.merchant_ref = named.ref)
ORDER BY named.ref
""").bindparams(bindparam("refs", type_=ARRAY(Text)))


async def _tell_merchants(tx: Tx, contract_ids: Sequence[int]) -> None:
    """Give each known merchant that these contracts name its own copy of the terms."""
    await tx.execute(_FORGET_TERMS, {"contracts": list(contract_ids)})
    await tx.execute(GIVE_TERMS, {"contracts": list(contract_ids), "merchants": None})


_contracts = bindparam("contracts", type_=ARRAY(BigInteger))
_FORGET_TERMS = text("DELETE FROM billing.contract_merchant WHERE contract_id = ANY(:contracts)").bindparams(_contracts)
GIVE_TERMS = text("""
INSERT INTO billing.contract_merchant (merchant_id, contract_id, name, terms)
SELECT m.merchant_id, k.contract_id, k.name, jsonb_strip_nulls(jsonb_build_object(
    'currency', k.currency, 'valid_from', k.valid_from, 'valid_until', k.valid_until, 'categories', k.categories,
    'base', k.base, 'rate_ppm', k.rate_ppm, 'tier_from_minor', k.tier_from_minor, 'tier_rate_ppm', k.tier_rate_ppm,
    'fixed_minor', k.fixed_minor, 'min_minor', k.min_minor, 'max_minor', k.max_minor,
    'month_min_minor', k.month_min_minor, 'first_months', k.first_months, 'vat_ppm', k.vat_ppm))
FROM billing.contract_merchant_ref r
JOIN billing.contract k ON k.contract_id = r.contract_id
JOIN supply.merchant_ref m ON m.merchant_ref = r.merchant_ref
WHERE (CAST(:contracts AS bigint[]) IS NULL OR k.contract_id = ANY(:contracts))
  AND (CAST(:merchants AS bigint[]) IS NULL OR m.merchant_id = ANY(:merchants))
ON CONFLICT (merchant_id, contract_id) DO NOTHING
""").bindparams(_contracts, bindparam("merchants", type_=ARRAY(BigInteger)))
"""For the contracts, or the merchants, that are given (NULL: all of them)."""
