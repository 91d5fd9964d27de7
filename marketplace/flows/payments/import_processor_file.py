"""Book a processor's settlement file: what it captured, less its fees, arrives in the bank as one batch (posting L).

A line is booked once, whichever files bring it and however often. So many lines are one commit, which holds the books
of their merchants only; it books the house's side of just these lines, so that the batch is even on account 1030 at
every commit. The file says how far it is, and whoever imports it again goes on from there.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import insert

from billing import postings
from billing.ledger import store as ledger
from billing.ledger.model import Leg, NewEntry
from billing.payments import store as payments
from billing.payments.facts import ids_of
from billing.payments.model import PaymentPart
from billing.payments.settlement_file import Line, LineKind, SettlementFile, read_settlement_file
from billing.payments.tables import processor_file, processor_line
from marketplace.core import audit, outbox
from marketplace.core.clock import local_date
from marketplace.core.crash import crash_point
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import Invalid, NotFound
from marketplace.core.ids import time_ordered_id
from marketplace.core.money import allocate, written
from marketplace.flows.refunds.recharge_fees import recharge_fees

KIND = "processor_settled"
PART_LINES = 500
_SUMS = ("gross_minor", "fee_minor", "net_minor")
_COMPARED = ("kind", "reference", "dispute_ref", "currency", "gross_minor", "fee_minor", "net_minor", "at")


class ImportedFile(msgspec.Struct, frozen=True, kw_only=True):
    """What a file brought: its lines, how many were new, and what those come to in minor units.

    file_id: the batch on account 1030; None when every line was known.
    """

    file_id: int | None
    batch_ref: str
    currency: str
    lines: int
    new_lines: int
    gross_minor: int
    fee_minor: int
    net_minor: int


class _Share(msgspec.Struct, frozen=True):
    """What a line is to one merchant. part: whose fee it adds to, of a capture."""

    line: Line
    merchant_id: int
    gross_minor: int
    fee_minor: int
    part: PaymentPart | None = None


_Numbered = tuple[int, Line]
"""A line with its number in the file."""


class _Entity(msgspec.Struct, frozen=True):
    """The legal entity whose bank the batch went to."""

    entity_id: int
    house_merchant_id: int
    zone: str


class _Plan(msgspec.Struct, frozen=True):
    """A file that has been proved: its lines that are new, with their numbers, and whose bank the batch goes to.

    entity: None when nothing is new.
    """

    file: SettlementFile
    processor_id: int
    new: Sequence[_Numbered]
    entity: _Entity | None


async def import_processor_file(db: Database, actor: str, processor: str, content: bytes) -> ImportedFile:
    """Read, prove and book a file, PART_LINES at a time; one that was begun before goes on as the same batch.

    Raises Invalid naming line and field before anything is stored; but when another file says otherwise while this one
    is being booked, the parts before that line stay, and the corrected file goes on from there.
    """
    file = read_settlement_file(content)
    async with db.read(WORKER) as tx:
        plan = await _plan(tx, processor, file)
    for first in range(0, len(plan.new), PART_LINES):
        await db.write(WORKER, actor, _book_part, plan, plan.new[first : first + PART_LINES])
        crash_point("file.part-committed")
    return await db.write(WORKER, actor, _finish, plan)


async def _plan(tx: Tx, processor: str, file: SettlementFile) -> _Plan:
    processor_id = await payments.processor_id(tx, processor)
    if processor_id is None:
        raise NotFound(f"processor: there is no processor {processor!r}")
    new = await _new_lines(tx, processor_id, list(enumerate(file.lines, start=2)))
    merchants = {one.merchant_id for number, line in new for one in await _shares(tx, processor_id, number, line)}
    entity = None
    if new:
        begun = await _unfinished(tx, processor_id, file)
        if begun and begun.paid_on != file.paid_on:
            raise Invalid(f"paid_on: the import of this batch was begun with {begun.paid_on}, not {file.paid_on}")
        entity = await _entity(tx, file, sorted(merchants), begun and begun.entity_id)
    return _Plan(file, processor_id, new, entity)


async def _book_part(tx: Tx, plan: _Plan, part: Sequence[_Numbered]) -> None:
    """Book these lines but for those that somebody else has booked since."""
    await tx.execute("SELECT pg_advisory_xact_lock(hashtext('processor_file'))")
    new = await _new_lines(tx, plan.processor_id, part)
    if not new:
        return
    assert plan.entity is not None
    shares = [share for number, line in new for share in await _shares(tx, plan.processor_id, number, line)]
    for merchant_id in [*sorted({share.merchant_id for share in shares}), plan.entity.house_merchant_id]:
        await ledger.lock_books(tx, merchant_id)
    lines = [line for _, line in new]
    begun = await _unfinished(tx, plan.processor_id, plan.file)
    file_id = begun.file_id if begun else await _begin(tx, plan, plan.entity)
    line_ids = await _store(tx, plan.processor_id, file_id, lines)
    await ledger.post(tx, _entries(plan.processor_id, file_id, plan.file, shares, line_ids, plan.entity))
    await _add_fees(tx, shares)
    await recharge_fees(tx, [share.part for share in shares if share.part is not None and share.fee_minor])


async def _unfinished(tx: Tx, processor_id: int, file: SettlementFile) -> Any | None:
    """The file of this batch whose import has begun and not ended."""
    return await tx.row(
        """
        SELECT file_id, entity_id, paid_on FROM billing.processor_file
        WHERE processor_id = :processor AND batch_ref = :batch AND currency = :currency AND state = 'booking'
        """,
        processor=processor_id,
        batch=file.batch_ref,
        currency=file.currency,
    )


async def _begin(tx: Tx, plan: _Plan, entity: _Entity) -> int:
    file, file_id = plan.file, time_ordered_id(tx.now)
    row = {"file_id": file_id, "processor_id": plan.processor_id, "batch_ref": file.batch_ref, "paid_on": file.paid_on}
    row |= {"currency": file.currency, "imported_at": tx.now, "imported_by": tx.actor, "state": "booking"}
    row |= {"new_lines": len(plan.new), "entity_id": entity.entity_id}
    await tx.execute(insert(processor_file), row | dict.fromkeys(("lines", *_SUMS), 0))
    return file_id


async def _finish(tx: Tx, plan: _Plan) -> ImportedFile:
    """All lines of the file are booked: say so, once, and what it has brought since it was begun.

    A shorter file of the batch, all of whose lines are known, ends no longer one.
    """
    await tx.execute("SELECT pg_advisory_xact_lock(hashtext('processor_file'))")
    begun = await _unfinished(tx, plan.processor_id, plan.file)
    answer = ImportedFile(
        file_id=None,
        batch_ref=plan.file.batch_ref,
        currency=plan.file.currency,
        lines=len(plan.file.lines),
        new_lines=0,
        **dict.fromkeys(_SUMS, 0),
    )
    if begun is None:
        return answer
    file_id: int = begun.file_id
    ended = await tx.execute(
        f"""
        UPDATE billing.processor_file SET state = 'booked', new_lines = lines
        WHERE file_id = :file AND (:new > 0 OR lines <= :lines)
        RETURNING lines AS new_lines, {", ".join(_SUMS)}
        """,
        {"file": file_id, "new": len(plan.new), "lines": len(plan.file.lines)},
    )
    if (booked := ended.one_or_none()) is None:
        return answer
    answer = msgspec.structs.replace(answer, file_id=file_id, **booked._mapping)
    await audit.record(tx, "processor file imported", f"processor_file:{file_id}", **msgspec.structs.asdict(answer))
    await outbox.emit(tx, "billing.processor_settled.v1", answer)
    return answer


async def _new_lines(tx: Tx, processor_id: int, lines: Sequence[_Numbered]) -> list[_Numbered]:
    """The lines that no file has brought before, with their numbers; one that says something else now is refused."""
    rows = await tx.rows(
        f"""
        SELECT line_ref, {", ".join(_COMPARED)} FROM billing.processor_line
        WHERE processor_id = :processor AND line_ref = ANY(CAST(:refs AS text[]))
        """,
        processor=processor_id,
        refs=[line.line_ref for _, line in lines],
    )
    known = {row.line_ref: row for row in rows}
    for number, line in lines:
        for name in _COMPARED if line.line_ref in known else ():
            before = getattr(known[line.line_ref], name)
            if before != getattr(line, name):
                said = line.written(before) if name in _SUMS else before
                raise Invalid(f"line {number}: {name.removesuffix('_minor')}: an earlier file said {said} here")
    return [(number, line) for number, line in lines if line.line_ref not in known]


async def _shares(tx: Tx, processor_id: int, number: int, line: Line) -> list[_Share]:
    """What the line is to each merchant; nothing for a fee that belongs to no payment. Raises Invalid."""
    if line.kind is LineKind.FEE:
        return []
    try:
        owner_id, thing_id = ids_of(line.reference)
        if line.kind is LineKind.REFUND:
            await _check_refund(tx, processor_id, line, owner_id, thing_id)
            return [_Share(line, owner_id, line.gross_minor, line.fee_minor)]
        parts = await _captured_parts(tx, processor_id, owner_id, thing_id)
        if line.kind is LineKind.CAPTURE:
            return _capture_shares(line, parts)
        return await _dispute_shares(tx, line, thing_id)
    except (Invalid, NotFound) as fault:
        raise Invalid(f"line {number}: {fault.detail}") from fault


async def _check_refund(tx: Tx, processor_id: int, line: Line, merchant_id: int, source_id: int) -> None:
    """Raise Invalid unless this was to go back through this processor: a refund, or money that came for nothing.

    Whether it has arrived is for the processor's events to say, which may come later than the file.
    """
    rows = await tx.rows(
        """
        SELECT processor_id, currency, amount_minor FROM billing.refund_payment
        WHERE merchant_id = :merchant AND refund_id = :source AND way = 'card'
        UNION ALL
        SELECT dimensions[1], currency, amounts[1] FROM billing.entry
        WHERE merchant_id = :merchant AND source_id = :source AND kind IN ('payment_unwanted', 'amendment_voided')
        """,
        merchant=merchant_id,
        source=source_id,
    )
    if not rows:
        raise NotFound(f"reference: nothing was to be given back under {line.reference}")
    known = [(row.currency, row.amount_minor) for row in rows if row.processor_id == processor_id]
    if not known:
        raise Invalid(f"reference: refund {line.reference} is another processor's")
    if (line.currency, -line.gross_minor) not in known:
        raise Invalid(
            f"gross: {', '.join(written(minor, currency) for currency, minor in known)} was to be given back under"
            f" {line.reference}, not {line.written(-line.gross_minor)}"
        )


async def _captured_parts(tx: Tx, processor_id: int, buyer_id: int, payment_id: int) -> list[PaymentPart]:
    payment = await payments.get_payment(tx, buyer_id, payment_id)
    if payment.processor_id != processor_id:
        raise Invalid(f"reference: payment {payment_id} is another processor's")
    parts = [part for part in await payments.parts_of(tx, payment_id) if part.captured_minor]
    if not parts:
        raise Invalid(f"reference: payment {payment_id} is not captured here: its events must come first")
    return parts


def _capture_shares(line: Line, parts: Sequence[PaymentPart]) -> list[_Share]:
    """The fee by largest remainder over what was captured for each order."""
    captured = [part.captured_minor for part in parts]
    if sum(captured) != line.gross_minor:
        raise Invalid(f"gross: {line.written(sum(captured))} was captured, not {line.written(line.gross_minor)}")
    fees = allocate(line.fee_minor, captured)
    return [
        _Share(line, part.merchant_id, part.captured_minor, fee, part) for part, fee in zip(parts, fees, strict=True)
    ]


async def _dispute_shares(tx: Tx, line: Line, payment_id: int) -> list[_Share]:
    """What a disputed payment's orders have to bear, as the dispute was divided when it was opened.

    Its fee was booked then, too, so that all of the line goes from 1020 to 1030 (posting M).
    """
    rows = await tx.rows(
        """
        SELECT merchant_id, amount_minor, fee_minor FROM demand.dispute
        WHERE dispute_ref = :ref AND payment_id = :payment ORDER BY merchant_id
        """,
        ref=line.dispute_ref,
        payment=payment_id,
    )
    if not rows:
        raise Invalid(f"dispute: {line.dispute_ref} is not known here: its events must come first")
    won = line.kind is LineKind.DISPUTE_WON
    shares = [row.amount_minor if won else -row.amount_minor - row.fee_minor for row in rows]
    if sum(shares) != line.net_minor:
        raise Invalid(f"net: {line.written(sum(shares))} was booked for it, not {line.written(line.net_minor)}")
    return [_Share(line, row.merchant_id, share, 0) for row, share in zip(rows, shares, strict=True)]


async def _entity(tx: Tx, file: SettlementFile, merchant_ids: Sequence[int], begun_for: int | None) -> _Entity:
    """The one entity of these merchants; without any, the only one that keeps books in the file's currency.

    begun_for: the entity that the first part of the batch was booked for, which that of the rest has to be.
    """
    rows = await tx.rows(
        """
        SELECT DISTINCT e.entity_id, e.house_merchant_id, e.zone FROM billing.entity e
        LEFT JOIN billing.ledger_head h ON h.entity_id = e.entity_id AND h.merchant_id = ANY(CAST(:own AS bigint[]))
        LEFT JOIN billing.entity_currency c ON c.entity_id = e.entity_id AND c.currency = :currency
        WHERE CASE WHEN :any THEN h.merchant_id IS NOT NULL ELSE e.currency = :currency OR c.entity_id IS NOT NULL END
          AND e.entity_id = coalesce(CAST(:begun AS integer), e.entity_id)
        """,
        own=list(merchant_ids),
        any=bool(merchant_ids),
        currency=file.currency,
        begun=begun_for,
    )
    if len(rows) != 1:
        raise Invalid(f"the file concerns {len(rows)} legal entities; a batch goes to the bank of one")
    return _Entity(*rows[0])


async def _store(tx: Tx, processor_id: int, file_id: int, lines: Sequence[Line]) -> dict[str, int]:
    """Store new lines and count them for their file; returns the ids they get, by the processor's own."""
    sums = {name: sum(getattr(line, name) for line in lines) for name in _SUMS}
    await tx.execute(
        f"""
        UPDATE billing.processor_file SET {", ".join(f"{name} = {name} + :{name}" for name in ("lines", *_SUMS))}
        WHERE file_id = :file
        """,
        {"file": file_id, "lines": len(lines), **sums},
    )
    ids = {line.line_ref: time_ordered_id(tx.now) for line in lines}
    stored: list[dict[str, Any]] = [
        msgspec.structs.asdict(line)
        | {"kind": line.kind.value, "processor_id": processor_id, "file_id": file_id, "line_id": ids[line.line_ref]}
        for line in lines
    ]
    await tx.execute(insert(processor_line), stored)
    return ids


def _entries(
    processor_id: int,
    file_id: int,
    file: SettlementFile,
    shares: Sequence[_Share],
    line_ids: Mapping[str, int],
    entity: _Entity,
) -> list[NewEntry]:
    """One entry for each merchant of each line, and the house's for all of them: 1030 of the batch sums to zero."""
    sums: dict[tuple[str, int], tuple[Line, int, int]] = {}
    for share in shares:
        key = share.line.line_ref, share.merchant_id
        _, gross, fee = sums.get(key, (share.line, 0, 0))
        sums[key] = share.line, gross + share.gross_minor, fee + share.fee_minor
    entries = [
        NewEntry(
            merchant_id=merchant_id,
            kind=KIND,
            source_id=line_ids[line_ref],
            currency=file.currency,
            occurred_at=line.at,
            effective_on=local_date(line.at, entity.zone),
            legs=postings.processor_settled(gross, fee, processor_id, file_id),
        )
        for (line_ref, merchant_id), (line, gross, fee) in sums.items()
    ]
    new = [line for line in file.lines if line.line_ref in line_ids]
    own_fees = sum(line.fee_minor for line in new if line.kind is LineKind.FEE)
    legs: tuple[Leg, ...] = postings.batch_received(sum(line.net_minor for line in new), own_fees, file_id)
    if legs:
        house = NewEntry(
            merchant_id=entity.house_merchant_id,
            kind=KIND,
            source_id=line_ids[new[0].line_ref],
            currency=file.currency,
            occurred_at=max(line.at for line in new),
            effective_on=file.paid_on,
            legs=legs,
        )
        entries.append(house)
    return entries


async def _add_fees(tx: Tx, shares: Sequence[_Share]) -> None:
    bound = [
        {"merchant": share.merchant_id, "payment": share.part.payment_id, "order": share.part.order_id}
        | {"fee": share.fee_minor}
        for share in shares
        if share.part is not None and share.fee_minor
    ]
    if bound:
        await tx.execute(
            """
            UPDATE billing.payment_part SET fee_minor = fee_minor + :fee
            WHERE merchant_id = :merchant AND payment_id = :payment AND order_id = :order
            """,
            bound,
        )
