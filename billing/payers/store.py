"""Every statement on payers and their contracts."""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

import msgspec
from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from billing.payers.tables import payer, payer_contract, payer_version
from billing.payers.terms import PAYER_KINDS, PayerTerms
from marketplace.core.blocks import reserve
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, Invalid, NotFound


class Payer(msgspec.Struct, frozen=True, kw_only=True):
    """A third party that pays part of the bill. email: where claims and reminders go; version counts its changes.

    address, country (ISO 3166-1 alpha-2), tax_id: as they stand on its invoices from now on.
    """

    payer_id: int
    name: str
    kind: str
    email: str
    address: str = ""
    country: str = ""
    tax_id: str = ""
    version: int = 1


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """A stored version of a payer contract."""

    contract_id: int
    version_id: int
    payer_id: int
    terms: PayerTerms


_PAYER = [payer.c[name] for name in Payer.__struct_fields__]
_VERSION = [payer_version.c[name] for name in Version.__struct_fields__]


async def insert_payer(
    tx: Tx, *, name: str, kind: str, email: str, address: str = "", country: str = "", tax_id: str = ""
) -> Payer:
    """A new payer. Raises Invalid for a kind there is not, Conflict for a name that is taken."""
    if kind not in PAYER_KINDS:
        raise Invalid(f"kind: {kind!r} is none of {', '.join(PAYER_KINDS)}", pointer="/kind")
    payer_id = await reserve(tx, "payer", 1) + 1
    new = Payer(payer_id=payer_id, name=name, kind=kind, email=email, address=address, country=country, tax_id=tax_id)
    try:
        await tx.execute(insert(payer), msgspec.structs.asdict(new) | {"created_at": tx.now, "created_by": tx.actor})
    except IntegrityError as fault:
        raise Conflict(f"name: {name!r} is taken", pointer="/name") from fault
    return new


async def get_payer(tx: Tx, payer_id: int, *, lock: bool = False) -> Payer:
    """Raises NotFound."""
    query = select(*_PAYER).where(payer.c.payer_id == payer_id)
    row = await tx.row(query.with_for_update() if lock else query)
    if row is None:
        raise NotFound(f"there is no payer {payer_id}")
    return Payer(**row._mapping)


async def update_payer(tx: Tx, changed: Payer) -> Payer:
    """Store what changed of a locked payer as its next version. Its name and kind stay: contracts name it."""
    new = msgspec.structs.replace(changed, version=changed.version + 1)
    values = {name: getattr(new, name) for name in ("email", "address", "country", "tax_id", "version")}
    await tx.execute(update(payer).where(payer.c.payer_id == new.payer_id).values(values))
    return new


async def list_payers(tx: Tx, *, limit: int, after: int = 0) -> list[Payer]:
    """At most `limit` payers in the order of their ids, those behind the id `after`."""
    query = select(*_PAYER).where(payer.c.payer_id > after).order_by(payer.c.payer_id).limit(limit)
    return [Payer(**row._mapping) for row in await tx.rows(query)]


async def payers_named(tx: Tx, names: Iterable[str]) -> dict[str, int]:
    """The ids of payers by name, of those there are."""
    rows = await tx.rows(select(payer.c.name, payer.c.payer_id).where(payer.c.name.in_(sorted(set(names)))))
    return {row.name: row.payer_id for row in rows}


async def contracts_named(tx: Tx, names: Iterable[str]) -> dict[str, int]:
    """The ids of contracts by name, of those there are."""
    query = select(payer_contract.c.name, payer_contract.c.contract_id)
    rows = await tx.rows(query.where(payer_contract.c.name.in_(sorted(set(names)))))
    return {row.name: row.contract_id for row in rows}


async def versions_of(tx: Tx, contract_ids: Iterable[int]) -> list[Version]:
    """All versions of some contracts, by contract and start."""
    query = select(*_VERSION).where(payer_version.c.contract_id.in_(sorted(set(contract_ids))))
    rows = await tx.rows(query.order_by(payer_version.c.contract_id, payer_version.c.valid_from))
    return [_version(row) for row in rows]


async def get_version(tx: Tx, version_id: int) -> Version:
    """Raises NotFound."""
    row = await tx.row(select(*_VERSION).where(payer_version.c.version_id == version_id))
    if row is None:
        raise NotFound(f"there is no version {version_id} of a payer contract")
    return _version(row)


async def version_on(tx: Tx, contract_id: int, on: date) -> Version:
    """The version of a contract that is valid on a day, else its newest. Raises NotFound."""
    row = await tx.row(
        select(*_VERSION)
        .where(payer_version.c.contract_id == contract_id)
        .order_by((payer_version.c.valid_from <= on).desc(), payer_version.c.valid_from.desc())
        .limit(1)
    )
    if row is None:
        raise NotFound(f"there is no payer contract {contract_id}")
    return _version(row)


async def paying_charges(tx: Tx, on: date) -> list[Version]:
    """The versions of contracts that pay merchants' charges on a day, by contract."""
    query = select(*_VERSION).join(payer_contract, payer_contract.c.contract_id == payer_version.c.contract_id)
    query = query.where(payer_contract.c.pays == "charges", payer_version.c.valid_from <= on)
    query = query.where(payer_version.c.valid_until.is_(None) | (payer_version.c.valid_until > on))
    return [_version(row) for row in await tx.rows(query.order_by(payer_version.c.contract_id))]


async def list_versions(
    tx: Tx, *, payer_id: int | None = None, limit: int, after: tuple[int, date] | None = None
) -> Sequence[Version]:
    """At most `limit` versions by contract and start, those behind `after`: of one payer or of all."""
    query = select(*_VERSION).order_by(payer_version.c.contract_id, payer_version.c.valid_from).limit(limit)
    if payer_id is not None:
        query = query.where(payer_version.c.payer_id == payer_id)
    if after is not None:
        contract_id, valid_from = after
        same = (payer_version.c.contract_id == contract_id) & (payer_version.c.valid_from > valid_from)
        query = query.where((payer_version.c.contract_id > contract_id) | same)
    return [_version(row) for row in await tx.rows(query)]


def _version(row: Any) -> Version:
    return Version(**{**row._mapping, "terms": msgspec.convert(row.terms, PayerTerms)})


async def insert_contract(tx: Tx, payer_id: int, terms: PayerTerms) -> int:
    """The contract itself, without a version; returns its id."""
    contract_id = await reserve(tx, "payer_contract", 1) + 1
    row: dict[str, Any] = {name: getattr(terms, name) for name in ("name", "currency", "pays", "cap_period")}
    await tx.execute(insert(payer_contract), row | {"contract_id": contract_id, "payer_id": payer_id})
    return contract_id


async def insert_version(tx: Tx, contract_id: int, payer_id: int, terms: PayerTerms) -> int:
    """A new version; returns its id."""
    version_id = await reserve(tx, "payer_version", 1) + 1
    key = {"version_id": version_id, "contract_id": contract_id, "payer_id": payer_id}
    await tx.execute(insert(payer_version), key | _row(terms, tx))
    return version_id


async def replace_version(tx: Tx, version_id: int, terms: PayerTerms) -> None:
    """Give a version that nothing has used yet other terms."""
    await tx.execute(update(payer_version).where(payer_version.c.version_id == version_id).values(**_row(terms, tx)))


def _row(terms: PayerTerms, tx: Tx) -> dict[str, Any]:
    return {
        "valid_from": terms.valid_from,
        "valid_until": terms.valid_until,
        "terms": msgspec.to_builtins(terms),
        "applied_at": tx.now,
        "applied_by": tx.actor,
    }
