"""Every statement on merchants' disputes of lines. Whoever changes one holds the merchant's books."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import msgspec
from sqlalchemy import insert, select, text, tuple_

from billing.journals.model import Journal, JournalState
from billing.line_disputes.model import CaseState, LineDispute, Message, Side, check_move
from billing.line_disputes.tables import line_dispute, line_dispute_message
from marketplace.core import audit, outbox
from marketplace.core.db import Tx
from marketplace.core.errors import NotFound

_COLUMNS = [line_dispute.c[name] for name in LineDispute.__struct_fields__]
_MESSAGE = [line_dispute_message.c[name] for name in Message.__struct_fields__]


def _case(row: Any) -> LineDispute:
    return LineDispute(**{**row._mapping, "state": CaseState(row.state)})


async def add_case(tx: Tx, new: LineDispute) -> LineDispute:
    await tx.execute(insert(line_dispute), {**msgspec.structs.asdict(new), "state": new.state.value})
    await _told(tx, new)
    return new


async def get_case(tx: Tx, merchant_id: int, line_dispute_id: int) -> LineDispute:
    """Raises NotFound."""
    query = select(*_COLUMNS).where(
        line_dispute.c.merchant_id == merchant_id, line_dispute.c.line_dispute_id == line_dispute_id
    )
    row = await tx.row(query)
    if row is None:
        raise NotFound(f"merchant {merchant_id} has no dispute {line_dispute_id} of a line")
    return _case(row)


async def given_back_minor(tx: Tx, merchant_id: int, entry_no: int) -> int:
    """What came back since of what an entry took: commission of a settled order by refunds, use of an hour of ads."""
    row = await tx.row(_GIVEN_BACK, merchant=merchant_id, entry_no=entry_no)
    assert row is not None
    return int(row.minor)


_GIVEN_BACK = text("""
SELECT -coalesce(sum(minor), 0)::bigint AS minor
FROM (
    SELECT c.commission_minor + c.vat_minor AS minor
    FROM billing.commission_line s
    JOIN billing.commission_line c ON c.merchant_id = s.merchant_id AND c.order_id = s.order_id
     AND c.contract_id = s.contract_id AND c.kind <> 'sale' AND c.commission_minor + c.vat_minor < 0
    WHERE s.merchant_id = :merchant AND s.entry_no = :entry_no AND s.kind = 'sale'
    UNION ALL
    SELECT b.amount_minor
    FROM billing.ad_charge u
    JOIN billing.ad_charge b ON b.merchant_id = u.merchant_id AND b.credits_charge_id = u.charge_id
    WHERE u.merchant_id = :merchant AND u.entry_no = :entry_no
) AS back
""")


async def list_cases(
    tx: Tx,
    *,
    merchant_id: int | None,
    state: CaseState | None,
    due_by: date | None,
    limit: int,
    before: tuple[int, int] | None = None,
) -> Sequence[LineDispute]:
    """At most `limit` cases, the newest first, those behind (line_dispute_id, merchant_id)."""
    query = select(*_COLUMNS)
    if merchant_id is not None:
        query = query.where(line_dispute.c.merchant_id == merchant_id)
    if state is not None:
        query = query.where(line_dispute.c.state == state.value)
    if due_by is not None:
        query = query.where(line_dispute.c.due_on <= due_by)
    if before is not None:
        query = query.where(tuple_(line_dispute.c.line_dispute_id, line_dispute.c.merchant_id) < before)
    query = query.order_by(line_dispute.c.line_dispute_id.desc(), line_dispute.c.merchant_id.desc())
    return [_case(row) for row in await tx.rows(query.limit(limit))]


async def live_minor(tx: Tx, merchant_id: int, entry_no: int) -> int:
    """What is disputed of an entry, and what was given back of it."""
    live = await tx.scalar(
        """
        SELECT coalesce(sum(CASE state WHEN 'accepted' THEN accepted_minor ELSE disputed_minor END), 0)
        FROM billing.line_dispute
        WHERE merchant_id = :merchant AND entry_no = :entry_no AND state IN ('open', 'in_review', 'accepted')
        """,
        merchant=merchant_id,
        entry_no=entry_no,
    )
    return int(live)


async def move_case(tx: Tx, held: LineDispute, then: CaseState, **values: Any) -> LineDispute:
    """Raises Conflict when it cannot go there."""
    check_move(held, then)
    decided = {} if then is CaseState.IN_REVIEW else {"decided_at": tx.now}
    row = values | decided | ({"decided_by": tx.actor} if decided else {})
    await _set(tx, held, state=then.value, **row)
    moved = msgspec.structs.replace(held, state=then, **values, **decided)
    await _told(tx, moved)
    return moved


async def propose(tx: Tx, held: LineDispute, journal_id: int | None) -> LineDispute:
    """Say which adjustment waits for approval; None for none."""
    await _set(tx, held, journal_id=journal_id)
    return msgspec.structs.replace(held, journal_id=journal_id)


async def journal_decided(tx: Tx, decided: Journal) -> None:
    """What becomes of the case that a journal answers, if it answers one."""
    if decided.dispute_id is None:
        return
    held = await get_case(tx, decided.merchant_id, decided.dispute_id)
    if decided.reversal_of is None and decided.state is JournalState.POSTED:
        await move_case(
            tx, held, CaseState.ACCEPTED, accepted_minor=decided.amount_minor, settled_entry_no=decided.entry_no,
            decision_reason=decided.reason,
        )  # fmt: skip
    elif decided.reversal_of is None:
        await propose(tx, held, None)
    elif decided.state is JournalState.POSTED:
        await move_case(
            tx, held, CaseState.DECLINED, accepted_minor=0, settled_entry_no=None, decision_reason=decided.reason
        )


async def say(tx: Tx, held: LineDispute, side: Side, said: str) -> Message:
    """Add a message to a case."""
    key = {"merchant_id": held.merchant_id, "line_dispute_id": held.line_dispute_id}
    number = await tx.scalar(
        """
        SELECT coalesce(max(message_no), 0) + 1 FROM billing.line_dispute_message
        WHERE merchant_id = :merchant_id AND line_dispute_id = :line_dispute_id
        """,
        **key,
    )
    message = Message(message_no=number, side=side, text=said, at=tx.now)
    row = {**key, **msgspec.structs.asdict(message), "side": side.value, "actor": tx.actor}
    await tx.execute(insert(line_dispute_message), row)
    return message


async def list_messages(
    tx: Tx, merchant_id: int, line_dispute_id: int, *, limit: int, after: int = 0
) -> Sequence[Message]:
    """At most `limit` messages of a case, the first one first, those behind `after`."""
    query = select(*_MESSAGE).where(
        line_dispute_message.c.merchant_id == merchant_id,
        line_dispute_message.c.line_dispute_id == line_dispute_id,
        line_dispute_message.c.message_no > after,
    )
    rows = await tx.rows(query.order_by(line_dispute_message.c.message_no).limit(limit))
    return [Message(**{**row._mapping, "side": Side(row.side)}) for row in rows]


async def _set(tx: Tx, held: LineDispute, **values: Any) -> None:
    await tx.execute(
        line_dispute.update()
        .where(line_dispute.c.merchant_id == held.merchant_id, line_dispute.c.line_dispute_id == held.line_dispute_id)
        .values(**values)
    )


async def _told(tx: Tx, case: LineDispute) -> None:
    about: dict[str, Any] = {
        "line_dispute_id": case.line_dispute_id,
        "entry_no": case.entry_no,
        "currency": case.currency,
        "disputed_minor": case.disputed_minor,
        "accepted_minor": case.accepted_minor,
        "state": case.state.value,
    }
    subject = f"line_dispute:{case.merchant_id}/{case.line_dispute_id}"
    await audit.record(tx, f"dispute of a line {case.state}", subject, **about)
    told = {"merchant_id": case.merchant_id, **about}
    await outbox.emit(tx, "billing.line_dispute_moved.v1", told, merchant_id=case.merchant_id)
