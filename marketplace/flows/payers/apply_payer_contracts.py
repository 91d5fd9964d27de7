"""Apply versions of payer contracts from a file or the API: all of them or none."""

from collections.abc import Sequence

import msgspec

from billing.payers import store
from billing.payers.caps import store as caps
from billing.payers.rules import WHOLE, period_from
from billing.payers.terms import PayerTerms, check_versions, parse_payer_contracts
from marketplace.core import audit
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import Conflict, NotFound
from marketplace.flows.commission.apply_contracts import unknown_merchants


class PayersApplied(msgspec.Struct, frozen=True):
    """How many versions were added, changed and found as they were; unknown_merchants: named, and not there yet."""

    added: int
    changed: int
    unchanged: int
    unknown_merchants: list[str]


async def apply_payer_file(db: Database, actor: str, document: bytes) -> PayersApplied:
    """Apply the `[[payer_contract]]` tables of a TOML document; applying it again changes nothing.

    Raises Invalid for a document that is not in order, NotFound for a payer there is not, Conflict as
    `apply_payer_versions` does.
    """
    return await db.write(WORKER, actor, apply_payer_versions, parse_payer_contracts(document))


async def apply_payer_versions(tx: Tx, versions: Sequence[PayerTerms]) -> PayersApplied:
    """The same for contracts that are parsed and checked already.

    Raises Conflict when a used version would change, versions of a name would overlap or differ in what they have in
    common, or a cap would be below what is committed.
    """
    await tx.execute("SELECT pg_advisory_xact_lock(hashtext('billing.payer_contract'))")
    payers = await store.payers_named(tx, [terms.payer for terms in versions])
    contracts = await store.contracts_named(tx, [terms.name for terms in versions])
    stored = {
        (version.terms.name, version.terms.valid_from): version
        for version in await store.versions_of(tx, contracts.values())
    }
    after = {key: version.terms for key, version in stored.items()}
    after |= {(terms.name, terms.valid_from): terms for terms in versions}
    check_versions(after.values())
    added = changed = 0
    for terms in versions:
        if terms.payer not in payers:
            raise NotFound(f"payer contract {terms.name!r}: there is no payer {terms.payer!r}")
        version = stored.get((terms.name, terms.valid_from))
        if version is None:
            contract_id = contracts.get(terms.name)
            if contract_id is None:
                contract_id = await store.insert_contract(tx, payers[terms.payer], terms)
                contracts[terms.name] = contract_id
            await store.insert_version(tx, contract_id, payers[terms.payer], terms)
            added += 1
        elif version.terms != terms:
            await _check_unused(tx, version, terms)
            await store.replace_version(tx, version.version_id, terms)
            changed += 1
        else:
            continue
        await _change_caps(tx, payers[terms.payer], contracts[terms.name], terms)
    if added or changed:
        names = sorted({terms.name for terms in versions})
        await audit.record(tx, "payer contracts applied", "payer_contract", added=added, changed=changed, names=names)
    unknown = await unknown_merchants(tx, (ref for terms in versions for ref in terms.merchants or ()))
    return PayersApplied(added, changed, len(versions) - added - changed, unknown)


async def _check_unused(tx: Tx, version: store.Version, terms: PayerTerms) -> None:
    """A used version keeps its terms; only its end may change, to a day after its last use."""
    last_used = await tx.scalar(
        "SELECT max(reserved_at)::date FROM billing.payer_share WHERE version_id = :version",
        version=version.version_id,
    )
    if last_used is None:
        return
    key = f"payer contract {terms.name!r} from {terms.valid_from}"
    if msgspec.structs.replace(terms, valid_until=version.terms.valid_until) != version.terms:
        raise Conflict(f"{key}: it bears shares already, so its terms stay; add a version with a later start")
    if terms.valid_until is not None and terms.valid_until <= last_used:
        raise Conflict(f"{key}: it was used on {last_used}, so it cannot end on {terms.valid_until}")


async def _change_caps(tx: Tx, payer_id: int, contract_id: int, terms: PayerTerms) -> None:
    """Bring the limits of the periods that this version touches level with it, where anybody has taken of them."""
    first = WHOLE if terms.cap_period == "whole" else period_from(terms.cap_period, terms.valid_from)
    for key in await caps.periods_from(tx, payer_id, contract_id, first):
        await caps.change_limit(tx, key, await caps.limit_of(tx, key, terms.cap_period), terms.name)
