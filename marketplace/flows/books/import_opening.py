"""Opening balances on the cut-over day from another system: one checked file, all of it or nothing.

Each merchant's balances in a currency are one entry, against account 3000, which the import alone touches: what it
stands at is the equity of the old system, and proves against the lines of the files.
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import msgspec
from sqlalchemy import ARRAY, Text, bindparam, insert, text

from billing.exchange.store import currencies_of
from billing.ledger import store as ledger
from billing.ledger.chart import Account
from billing.ledger.model import Leg, NewEntry
from billing.openings.model import Key, OpeningLine, Total, read_opening, totals_of
from billing.openings.tables import opening_line
from marketplace.core import audit
from marketplace.core.blocks import reserve
from marketplace.core.clock import day_begins, local_date
from marketplace.core.crash import crash_point
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import Invalid
from marketplace.core.ids import time_ordered_id
from marketplace.flows.imports.load_orders_model import Rejections


class OpeningFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file, the cut-over day, and control totals given beside it. entity_id: where there are several."""

    name: str
    content: bytes
    opened_on: date
    controls: Mapping[Key, int]
    entity_id: int | None = None

    @property
    def digest(self) -> bytes:
        """Identifies what is brought over: the same bytes for the same day and entity are imported once."""
        said = f"opening {self.opened_on} {self.entity_id}\n".encode()
        return hashlib.sha256(said + self.content).digest()


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """What a file brought over, or would (import_id None), by account and currency in minor units, debit positive."""

    import_id: int | None
    opened_on: date
    lines: int
    entries: int
    totals: list[Total]


class _Entity(msgspec.Struct, frozen=True):
    entity_id: int
    house_merchant_id: int
    zone: str


_Books = dict[tuple[int, str], list[OpeningLine]]
"""The lines of each merchant's or the house's books in each currency."""


async def check_opening(db: Database, file: OpeningFile) -> Opened:
    """What the file would bring over. Raises Invalid naming every bad line with its column and the reason."""
    async with db.read(WORKER) as tx:
        _, books = await _plan(tx, file)
    return _summary(file, books, None)


async def import_opening(db: Database, actor: str, file: OpeningFile) -> Opened:
    """Check the file and post it in one commit; the same file again changes nothing and answers the same.

    Raises Invalid naming every bad line; then nothing is stored.
    """
    return await db.write(WORKER, actor, _import, file)


async def _import(tx: Tx, file: OpeningFile) -> Opened:
    await tx.execute("SELECT pg_advisory_xact_lock(hashtext('billing.opening'))")  # one import at a time
    stored = await tx.scalar("SELECT summary FROM billing.data_import WHERE digest = :digest", digest=file.digest)
    if stored is not None:
        return msgspec.json.decode(stored, type=Opened)
    entity, books = await _plan(tx, file)
    for merchant_id in sorted({merchant_id for merchant_id, _ in books}, key=lambda id_: (id_ < 0, id_)):
        await ledger.lock_books(tx, merchant_id)
    entity, books = await _plan(tx, file)  # once more, now that no books can be closed meanwhile
    import_id = await reserve(tx, "import", 1) + 1
    await _store(tx, file, entity, books, import_id)
    crash_point("opening.posted")
    opened = _summary(file, books, import_id)
    row = {"import": import_id, "source": file.name, "digest": file.digest, "now": tx.now, "actor": tx.actor}
    await tx.execute(
        """
        INSERT INTO billing.data_import (import_id, source, digest, summary, imported_at, imported_by)
        VALUES (:import, :source, :digest, :summary, :now, :actor)
        """,
        row | {"summary": msgspec.json.encode(opened).decode()},
    )
    await audit.record(tx, "opening balances imported", f"import:{import_id}", source=file.name, lines=opened.lines)
    crash_point("opening.before-commit")
    return opened


async def _plan(tx: Tx, file: OpeningFile) -> tuple[_Entity, _Books]:
    """Everything that can be wrong with the file, said of all its lines at once. Raises Invalid."""
    rejections = Rejections()

    def reject(line: int, reason: str) -> None:
        rejections.add(file.name, line, reason)

    lines = read_opening(file.content, file.controls, reject)
    entity = await _entity(tx, file.entity_id)
    if file.opened_on > local_date(tx.now, entity.zone):
        raise Invalid(f"on: {file.opened_on} is still to come")
    kept = await currencies_of(tx, entity.entity_id)
    known = await _known(tx, entity, [line.merchant_ref for line in lines])
    opened = await _opened_already(tx, [row.merchant_id for row in known.values()])
    books: _Books = {}
    for line in lines:
        owner = known.get(line.merchant_ref)
        if line.currency not in kept:
            reject(line.line, f"currency: these books are kept in {', '.join(kept)}, not in {line.currency}")
        elif owner is None:
            reject(line.line, f"merchant: there is no merchant {line.merchant_ref!r} here")
        elif owner.entity_id != entity.entity_id:
            reject(line.line, f"merchant: {line.merchant_ref!r} belongs to another legal entity")
        elif owner.closed_through is not None and file.opened_on <= owner.closed_through:
            reject(line.line, f"merchant: the books of {line.merchant_ref!r} are closed through {owner.closed_through}")
        elif (owner.merchant_id, line.currency) in opened:
            reject(line.line, f"merchant: the books of {line.merchant_ref!r} in {line.currency} are opened already")
        else:
            books.setdefault((owner.merchant_id, line.currency), []).append(line)
    rejections.raise_if_any(file.name)
    if not books:
        raise Invalid(f"{file.name}: there is nothing in it to bring over")
    return entity, books


async def _entity(tx: Tx, entity_id: int | None) -> _Entity:
    rows = await tx.rows(
        """
        SELECT entity_id, house_merchant_id, zone FROM billing.entity
        WHERE entity_id = coalesce(CAST(:entity AS integer), entity_id)
        """,
        entity=entity_id,
    )
    if len(rows) != 1:
        raise Invalid(f"entity: name the legal entity, there are {len(rows)} to choose from")
    return _Entity(*rows[0])


_KNOWN = text("""
SELECT r.merchant_ref, h.merchant_id, h.entity_id, h.closed_through
FROM supply.merchant_ref r JOIN billing.ledger_head h ON h.merchant_id = r.merchant_id
WHERE r.merchant_ref = ANY(:refs)
""").bindparams(bindparam("refs", type_=ARRAY(Text)))


async def _known(tx: Tx, entity: _Entity, refs: Sequence[str]) -> dict[str, Any]:
    """The heads of these merchants' books by their own ids, and the house's under the empty one."""
    rows = await tx.rows(_KNOWN, refs=sorted(set(refs)))
    house = await tx.row(
        "SELECT merchant_id, entity_id, closed_through FROM billing.ledger_head WHERE merchant_id = :house",
        house=entity.house_merchant_id,
    )
    return {row.merchant_ref: row for row in rows} | {"": house}


async def _opened_already(tx: Tx, merchant_ids: Sequence[int]) -> set[tuple[int, str]]:
    rows = await tx.rows(
        """
        SELECT DISTINCT merchant_id, currency FROM billing.opening_line
        WHERE merchant_id = ANY(CAST(:merchants AS bigint[]))
        """,
        merchants=list(merchant_ids),
    )
    return {(row.merchant_id, row.currency) for row in rows}


async def _store(tx: Tx, file: OpeningFile, entity: _Entity, books: _Books, import_id: int) -> None:
    entries: list[NewEntry] = []
    stored: list[dict[str, Any]] = []
    for (merchant_id, currency), lines in books.items():
        opening_id = time_ordered_id(tx.now)
        moved = [Leg(line.account, line.amount_minor) for line in lines]
        if rest := sum(leg.amount_minor for leg in moved):
            moved.append(Leg(int(Account.OPENING_BALANCE), -rest))
        entries.append(
            NewEntry(
                merchant_id=merchant_id,
                kind="opening_booked",
                source_id=opening_id,
                currency=currency,
                occurred_at=day_begins(file.opened_on, entity.zone),
                effective_on=file.opened_on,
                legs=tuple(moved),
            )
        )
        key = {"merchant_id": merchant_id, "currency": currency, "opening_id": opening_id, "import_id": import_id}
        stored += [
            {**key, "account": one.account, "amount_minor": one.amount_minor, "line": one.line}
            | {"opened_on": file.opened_on}
            for one in lines
        ]
    await ledger.post(tx, entries)
    await tx.execute(insert(opening_line), stored)


def _summary(file: OpeningFile, books: _Books, import_id: int | None) -> Opened:
    lines = [line for own in books.values() for line in own]
    return Opened(
        import_id=import_id,
        opened_on=file.opened_on,
        lines=len(lines),
        entries=len(books),
        totals=totals_of(lines),
    )
