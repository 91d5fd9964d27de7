"""Every statement on stored documents. Who issues some for a merchant holds its books first, series last."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import msgspec
from sqlalchemy import Select, func, select, update
from sqlalchemy.dialects.postgresql import insert

from billing.documents import sql
from billing.documents.model import (
    Category,
    Details,
    Document,
    Draft,
    Fact,
    Line,
    Party,
    State,
    Tax,
    Written,
    contained,
    number,
    series_of,
    write,
)
from billing.documents.tables import billing_party, document, document_line, document_tax
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, NotFound

DocumentKey = tuple[date, int, int]
"""(issued_on, document_id, merchant_id)."""


class Issue(msgspec.Struct, frozen=True, kw_only=True):
    """For which run and period documents are issued, by which entity, and on which day."""

    run_id: int
    entity_id: int
    from_on: date
    to_on: date
    issued_on: date


async def draft_run(tx: Tx, issue: Issue, merchants: Sequence[int]) -> list[Draft]:
    """The documents of these merchants for a period, as they would be issued now."""
    period = {"from_on": issue.from_on, "to_on": issue.to_on}
    facts: list[Fact] = []
    for statement in sql.FACTS:
        bound = {**period, "run_id": issue.run_id} if ":run_id" in statement.text else period
        facts += [_fact(row) for row in await tx.rows(statement, merchants=list(merchants), **bound)]
    agreed = [row.merchant_id for row in await tx.rows(sql.SELF_BILLING, merchants=list(merchants))]
    for statement in sql.SELF_BILLED if agreed else ():
        facts += [_fact(row) for row in await tx.rows(statement, merchants=agreed, **period)]
    return write(facts, issue.run_id)


def _fact(row: Any) -> Fact:
    fact = msgspec.convert(dict(row._mapping), Fact)
    if fact.category not in {Category.GOODS, Category.INCENTIVE}:
        return fact
    net, vat = contained(fact.net_minor, fact.vat_ppm)
    return msgspec.structs.replace(fact, net_minor=net, vat_minor=vat)


async def insert_documents(tx: Tx, issue: Issue, drafts: Sequence[Draft], parties: Mapping[int, Party]) -> None:
    """Number and store documents. The series are held from here to the commit: call it last.

    parties: who stands on them, the entity under 0.
    """
    if not drafts:
        return
    series = [series_of(issue.entity_id, draft.kind, draft.merchant_id) for draft in drafts]
    await tx.plan_as_usual()
    before = await take_numbers(tx, issue.entity_id, Counter(series))
    rows = [_row(draft, of, parties) for draft, of in zip(drafts, series, strict=True)]
    await tx.raw.execute(
        sql.NUMBER, _json(rows), issue.run_id, issue.entity_id, issue.from_on, issue.to_on, issue.issued_on, tx.actor,
        tx.now, list(before), list(before.values()),
    )  # fmt: skip
    lines = [
        {**_key(draft), "line_no": line_no, **msgspec.to_builtins(line)}
        for draft in drafts
        for line_no, line in enumerate(draft.lines, start=1)
    ]
    await tx.raw.execute(sql.ADD_LINES, _json(lines))
    taxes = [{**_key(draft), **msgspec.to_builtins(tax)} for draft in drafts for tax in draft.taxes]
    await tx.raw.execute(sql.ADD_TAXES, _json(taxes))


async def take_numbers(tx: Tx, entity_id: int, wanted: Mapping[str, int]) -> dict[str, int]:
    """The last number of each series before as many are taken as wanted. Held in the order of their names."""
    names = sorted(wanted)
    await tx.raw.execute(sql.OPEN_SERIES, names, entity_id)
    held = {row["series"]: row["last_serial"] for row in await tx.raw.fetch(sql.HOLD_SERIES, names)}
    await tx.raw.execute(sql.TAKE_NUMBERS, names, [wanted[name] for name in names])
    return held


def _key(draft: Draft) -> dict[str, int]:
    return {"merchant_id": draft.merchant_id, "document_id": draft.document_id}


def _row(draft: Draft, series: str, parties: Mapping[int, Party]) -> dict[str, Any]:
    house, merchant = parties[0], parties[draft.merchant_id]
    seller, buyer = (merchant, house) if draft.kind.self_billed else (house, merchant)
    row = {name: getattr(draft, name) for name in Draft.__struct_fields__ if name not in {"lines", "taxes"}}
    sums = {"net_minor": draft.net_minor, "vat_minor": draft.vat_minor}
    return {**row, **sums, "series": series, "seller": seller, "buyer": buyer}


def _json(rows: Sequence[dict[str, Any]]) -> str:
    return msgspec.json.encode(rows).decode()


async def reverse_documents(tx: Tx, run_id: int, merchants: Sequence[int]) -> list[Written]:
    """Mark what a run has issued to these merchants as reversed; returns what has to be taken back."""
    query = select(document).where(
        document.c.merchant_id.in_(merchants), document.c.run_id == run_id, document.c.state == State.ISSUED
    )
    found = await _written(tx, [_document(row) for row in await tx.rows(query)])
    await tx.raw.execute(sql.REVERSED, list(merchants), run_id)
    return found


async def get_document(tx: Tx, merchant_id: int, document_id: int) -> Written:
    """A document with its lines. Raises NotFound."""
    row = await tx.row(_of(merchant_id, document_id))
    if row is None:
        raise NotFound(f"merchant {merchant_id} has no document {document_id}")
    [written] = await _written(tx, [_document(row)])
    return written


async def lock_document(tx: Tx, merchant_id: int, document_id: int) -> Document:
    """A document, held until the transaction ends. Raises NotFound."""
    row = await tx.row(_of(merchant_id, document_id).with_for_update())
    if row is None:
        raise NotFound(f"merchant {merchant_id} has no document {document_id}")
    return _document(row)


def _of(merchant_id: int, document_id: int) -> Select[Any]:
    return select(document).where(document.c.merchant_id == merchant_id, document.c.document_id == document_id)


async def list_documents(
    tx: Tx, *, merchant_id: int | None = None, run_id: int | None = None, limit: int, after: DocumentKey | None = None
) -> Sequence[Document]:
    """At most `limit` documents, the newest first, those behind the key `after`; void ones are among them."""
    key = [document.c[name] for name in ("issued_on", "document_id", "merchant_id")]
    query = select(document).order_by(*(column.desc() for column in key)).limit(limit)
    if merchant_id is not None:
        query = query.where(document.c.merchant_id == merchant_id)
    if run_id is not None:
        query = query.where(document.c.run_id == run_id)
    if after is not None:
        query = query.where(func.row(*key) < func.row(*after))
    return [_document(row) for row in await tx.rows(query)]


async def written_of_run(tx: Tx, run_id: int, *, limit: int, after: tuple[int, int]) -> list[Written]:
    """At most `limit` documents of a run, void ones not among them, behind the key (merchant_id, document_id)."""
    key = [document.c.merchant_id, document.c.document_id]
    query = select(document).where(document.c.run_id == run_id, document.c.state != State.VOID)
    rows = await tx.rows(query.where(func.row(*key) > func.row(*after)).order_by(*key).limit(limit))
    return await _written(tx, [_document(row) for row in rows])


async def is_corrected(tx: Tx, one: Document) -> bool:
    """Whether a document that stands changes the amounts of this one."""
    found = await tx.scalar(
        select(func.count()).where(
            document.c.merchant_id == one.merchant_id,
            document.c.corrects_id == one.document_id,
            document.c.state == State.ISSUED,
            document.c.reverses_id.is_(None),
        )
    )
    return bool(found)


async def find_replacement(tx: Tx, one: Document) -> Document | None:
    """The document that stands in this one's place, if there is one."""
    row = await tx.row(
        select(document).where(document.c.merchant_id == one.merchant_id, document.c.replaces_id == one.document_id)
    )
    return _document(row) if row is not None else None


async def change_document(tx: Tx, one: Document, **values: Any) -> Document:
    """Ask for a void, withdraw that, or make it: nothing else of a document ever changes."""
    key = (document.c.merchant_id == one.merchant_id, document.c.document_id == one.document_id)
    await tx.execute(update(document).where(*key).values(**values))
    return await lock_document(tx, one.merchant_id, one.document_id)


async def _written(tx: Tx, documents: Sequence[Document]) -> list[Written]:
    if not documents:
        return []
    merchants = sorted({one.merchant_id for one in documents})
    ids = sorted({one.document_id for one in documents})
    lines: dict[tuple[int, int], list[Line]] = {}
    taxes: dict[tuple[int, int], list[Tax]] = {}
    of = document_line.c
    query = select(document_line).where(of.merchant_id.in_(merchants), of.document_id.in_(ids))
    for row in await tx.rows(query.order_by(of.merchant_id, of.document_id, of.line_no)):
        values = {name: getattr(row, name) for name in Line.__struct_fields__}
        lines.setdefault((row.merchant_id, row.document_id), []).append(msgspec.convert(values, Line))
    at = document_tax.c
    taxed = select(document_tax).where(at.merchant_id.in_(merchants), at.document_id.in_(ids))
    for row in await tx.rows(taxed.order_by(at.merchant_id, at.document_id, at.vat_ppm.desc())):
        tax = Tax(vat_ppm=row.vat_ppm, net_minor=row.net_minor, vat_minor=row.vat_minor)
        taxes.setdefault((row.merchant_id, row.document_id), []).append(tax)
    numbers = await _numbers(tx, documents)
    return [
        Written(
            document=one,
            lines=tuple(lines.get((one.merchant_id, one.document_id), ())),
            taxes=tuple(taxes.get((one.merchant_id, one.document_id), ())),
            numbers={
                str(other): numbers[one.merchant_id, other]
                for other in (one.corrects_id, one.reverses_id, one.replaces_id)
                if other is not None
            },
        )
        for one in documents
    ]


async def _numbers(tx: Tx, documents: Sequence[Document]) -> dict[tuple[int, int], str]:
    """The numbers of the documents that these point to."""
    wanted = {
        (one.merchant_id, other)
        for one in documents
        for other in (one.corrects_id, one.reverses_id, one.replaces_id)
        if other is not None
    }
    if not wanted:
        return {}
    query = select(document.c.merchant_id, document.c.document_id, document.c.series, document.c.serial).where(
        document.c.merchant_id.in_({merchant for merchant, _ in wanted}),
        document.c.document_id.in_({other for _, other in wanted}),
    )
    return {(row.merchant_id, row.document_id): number(row.series, row.serial) for row in await tx.rows(query)}


def _document(row: Any) -> Document:
    values = {name: getattr(row, name) for name in Document.__struct_fields__ if name != "number"}
    return msgspec.convert({**values, "number": number(row.series, row.serial)}, Document)


async def find_details(tx: Tx, merchants: Sequence[int]) -> dict[int, Details]:
    """What stands on the documents of these merchants, of those for which somebody has said so."""
    rows = await tx.rows(select(billing_party).where(billing_party.c.merchant_id.in_(merchants)))
    return {row.merchant_id: _details(row) for row in rows}


def _details(row: Any) -> Details:
    return Details(
        merchant_id=row.merchant_id,
        party=Party(name=row.name, address=row.address, country=row.country, tax_id=row.tax_id),
        self_billed=tuple(Category(each) for each in row.self_billed),
        self_billed_vat_ppm=row.self_billed_vat_ppm,
        version=row.version,
    )


async def put_details(tx: Tx, new: Details) -> Details:
    """Store the next version of what stands on a merchant's documents. Raises Conflict when another was first."""
    row = {
        "merchant_id": new.merchant_id,
        **msgspec.structs.asdict(new.party),
        "self_billed": [str(each) for each in new.self_billed],
        "self_billed_vat_ppm": new.self_billed_vat_ppm,
        "version": new.version,
        "set_by": tx.actor,
        "set_at": tx.now,
    }
    statement = insert(billing_party).values(row)
    done = await tx.execute(
        statement.on_conflict_do_update(
            index_elements=["merchant_id"], set_=row, where=billing_party.c.version == new.version - 1
        )
    )
    if done.rowcount != 1:
        raise Conflict("version: somebody has changed these details meanwhile; read them again")
    return new
