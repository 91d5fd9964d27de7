"""Every statement on payments, their parts and the commands to processors."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import insert

from billing.credit import store as credit
from billing.payments.facts import PaymentState
from billing.payments.model import CASH, Payment, PaymentCommand, PaymentDetail, PaymentPart
from billing.payments.tables import payment_command
from marketplace.core import audit
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, NotFound
from marketplace.core.ids import time_ordered_id

_PAYMENT_COLUMNS = ", ".join(Payment.__struct_fields__)
_PART_COLUMNS = ", ".join(PaymentPart.__struct_fields__)
_COMMAND_COLUMNS = ", ".join(PaymentCommand.__struct_fields__)

COMMAND_ATTEMPTS_MAX = 10
"""Attempts of a command, with doubling pauses of up to five minutes: half an hour; then it is parked for a person."""

LEASE_S = 60
"""How long a claimed command is left to the worker that sends it; longer than an answer may take."""


async def processor_id(tx: Tx, name: str) -> int | None:
    """The id of the processor of this name, None when there is none."""
    found: int | None = await tx.scalar("SELECT processor_id FROM billing.processor WHERE name = :name", name=name)
    return found


async def list_processors(tx: Tx) -> dict[int, str]:
    """The names of all processors, by id."""
    rows = await tx.rows("SELECT processor_id, name FROM billing.processor ORDER BY name")
    return {row.processor_id: row.name for row in rows}


async def ensure_processor(tx: Tx, name: str) -> int:
    """The id of the processor of this name, which is made when it is new."""
    await tx.execute(
        "INSERT INTO billing.processor (processor_id, name) VALUES (:id, :name) ON CONFLICT (name) DO NOTHING",
        {"id": time_ordered_id(tx.now), "name": name},
    )
    found = await processor_id(tx, name)
    assert found is not None
    return found


async def get_payment(tx: Tx, buyer_id: int, payment_id: int, *, lock: bool = False) -> Payment:
    """A buyer's payment; with `lock`, held to the end: after its orders, before its parts. Raises NotFound."""
    row = await tx.row(
        f"SELECT {_PAYMENT_COLUMNS} FROM billing.payment WHERE buyer_id = :buyer AND payment_id = :payment"
        + (" FOR UPDATE" if lock else ""),
        buyer=buyer_id,
        payment=payment_id,
    )
    if row is None:
        raise NotFound(f"buyer {buyer_id} has no payment {payment_id}")
    return _payment(row)


def _payment(row: Any) -> Payment:
    return Payment(**{**row._mapping, "state": PaymentState(row.state)})


async def list_payments(
    tx: Tx,
    *,
    purchase_id: int | None = None,
    state: PaymentState | None = None,
    limit: int,
    before_id: int | None = None,
) -> list[Payment]:
    """At most `limit` payments, the newest first, those before `before_id`."""
    wanted = ["true"]
    bound: dict[str, Any] = {"limit": limit}
    for condition, name, value in (
        ("purchase_id = :purchase", "purchase", purchase_id),
        ("state = :state", "state", state.value if state else None),
        ("payment_id < :before", "before", before_id),
    ):
        if value is not None:
            wanted.append(condition)
            bound[name] = value
    rows = await tx.rows(
        f"SELECT {_PAYMENT_COLUMNS} FROM billing.payment WHERE {' AND '.join(wanted)}"
        " ORDER BY payment_id DESC LIMIT :limit",
        **bound,
    )
    return [_payment(row) for row in rows]


async def of_purchase(tx: Tx, buyer_id: int, purchase_id: int) -> list[Payment]:
    """The payments by which a purchase was to be paid, in the order of their ids; those of amendments are not."""
    rows = await tx.rows(
        f"""
        SELECT {_PAYMENT_COLUMNS} FROM billing.payment
        WHERE buyer_id = :buyer AND purchase_id = :purchase AND amendment_id IS NULL ORDER BY payment_id
        """,
        buyer=buyer_id,
        purchase=purchase_id,
    )
    return [_payment(row) for row in rows]


async def get_detail(tx: Tx, payment_id: int) -> PaymentDetail:
    """A payment with its parts and what its processor was told. Raises NotFound."""
    row = await tx.row(
        f"SELECT {_PAYMENT_COLUMNS} FROM billing.payment WHERE payment_id = :payment", payment=payment_id
    )
    if row is None:
        raise NotFound(f"there is no payment {payment_id}")
    commands = await tx.rows(
        f"SELECT {_COMMAND_COLUMNS} FROM billing.payment_command WHERE payment_id = :payment ORDER BY command_id",
        payment=payment_id,
    )
    return PaymentDetail(
        payment=_payment(row),
        parts=await parts_of(tx, payment_id),
        commands=[PaymentCommand(**command._mapping) for command in commands],
    )


async def parts_of(tx: Tx, payment_id: int) -> list[PaymentPart]:
    """The parts of a payment in the order in which books and orders are locked."""
    rows = await tx.rows(
        f"SELECT {_PART_COLUMNS} FROM billing.payment_part WHERE payment_id = :payment ORDER BY merchant_id, order_id",
        payment=payment_id,
    )
    return [PaymentPart(**row._mapping) for row in rows]


async def ask_capture(tx: Tx, payment_id: int) -> Sequence[int]:
    """Note on the open parts that their capture is asked for; returns their amounts."""
    rows = await tx.rows(
        """
        UPDATE billing.payment_part SET capture_asked = true
        WHERE payment_id = :payment AND state = 'open' RETURNING amount_minor
        """,
        payment=payment_id,
    )
    return [row.amount_minor for row in rows]


async def note_authorised(tx: Tx, payment: Payment, processor_ref: str, at: datetime) -> bool:
    """Note that a payment is authorised; returns whether that is news, which it is not once it has gone further."""
    news: bool = await tx.scalar(
        """
        UPDATE billing.payment p SET state = CASE was.state WHEN 'created' THEN 'authorised' ELSE was.state END,
               processor_ref = coalesce(p.processor_ref, :ref), authorised_at = coalesce(p.authorised_at, :at)
        FROM (SELECT state FROM billing.payment WHERE buyer_id = :buyer AND payment_id = :payment FOR UPDATE) AS was
        WHERE p.buyer_id = :buyer AND p.payment_id = :payment
        RETURNING was.state = 'created'
        """,
        buyer=payment.buyer_id,
        payment=payment.payment_id,
        ref=processor_ref,
        at=at,
    )
    return news


async def note_captured(
    tx: Tx, payment: Payment, *, captured_minor: int, processor_ref: str | None, at: datetime
) -> None:
    await tx.execute(
        """
        UPDATE billing.payment SET state = 'captured', captured_minor = :captured, captured_at = :at,
               processor_ref = coalesce(processor_ref, :ref), failure = NULL
        WHERE buyer_id = :buyer AND payment_id = :payment
        """,
        {"buyer": payment.buyer_id, "payment": payment.payment_id, "captured": captured_minor}
        | {"ref": processor_ref, "at": at},
    )


async def note_ended(tx: Tx, payment: Payment, state: PaymentState, *, processor_ref: str | None, failure: str) -> bool:
    """End a payment as failed or voided; returns False when it has ended already or was captured."""
    ended = await tx.execute(
        """
        UPDATE billing.payment SET state = :state, failure = :failure, processor_ref = coalesce(processor_ref, :ref)
        WHERE buyer_id = :buyer AND payment_id = :payment AND state IN ('created', 'authorised')
        """,
        {"buyer": payment.buyer_id, "payment": payment.payment_id, "state": state.value}
        | {"failure": failure, "ref": processor_ref},
    )
    return ended.rowcount == 1


async def note_part(tx: Tx, part: PaymentPart, *, paid: bool, captured_minor: int) -> None:
    """What a capture brought for a part: it is captured, or released with money that goes back."""
    await tx.execute(
        """
        UPDATE billing.payment_part SET state = :state, captured_minor = :captured
        WHERE merchant_id = :merchant AND payment_id = :payment AND order_id = :order
        """,
        {"merchant": part.merchant_id, "payment": part.payment_id, "order": part.order_id}
        | {"state": "captured" if paid else part.state, "captured": captured_minor},
    )


async def command(
    tx: Tx,
    kind: str,
    *,
    processor_id: int,
    buyer_id: int,
    payment_id: int,
    currency: str,
    amount_minor: int,
    merchant_id: int | None = None,
    refund_id: int | None = None,
    method: str = "",
) -> int:
    """Have a processor told, after this commit, to authorise, capture, void or refund; returns the command's id."""
    command_id = time_ordered_id(tx.now)
    row: dict[str, Any] = {"command_id": command_id, "kind": kind, "processor_id": processor_id, "buyer_id": buyer_id}
    row |= {"payment_id": payment_id, "currency": currency, "amount_minor": amount_minor, "method": method}
    row |= {"merchant_id": merchant_id, "refund_id": refund_id, "created_at": tx.now}
    await tx.execute(insert(payment_command), row)
    return command_id


async def release_parts(tx: Tx, merchant_id: int, order_id: int) -> None:
    """Give up the open parts of an order that will not be paid, and with them the buyer's credit set aside for it.

    A payment none of whose parts is open or captured any more is voided; it is held first, so that of two orders given
    up at once the later one sees the earlier.
    """
    waiting = await tx.rows(
        """
        SELECT buyer_id, payment_id FROM billing.payment_part
        WHERE merchant_id = :merchant AND order_id = :order AND state = 'open' ORDER BY payment_id
        """,
        merchant=merchant_id,
        order=order_id,
    )
    for part in waiting:
        await get_payment(tx, part.buyer_id, part.payment_id, lock=True)
    released = await tx.rows(
        """
        UPDATE billing.payment_part SET state = 'released'
        WHERE merchant_id = :merchant AND order_id = :order AND state = 'open'
        RETURNING buyer_id, payment_id, processor_id, currency, credit_minor
        """,
        merchant=merchant_id,
        order=order_id,
    )
    for part in released:
        key = {"buyer": part.buyer_id, "payment": part.payment_id}
        await credit.release(tx, part.buyer_id, part.currency, part.credit_minor)
        live = await tx.scalar(
            "SELECT count(*) FROM billing.payment_part WHERE payment_id = :payment AND state <> 'released'", **key
        )
        if live:
            continue
        voided = await tx.row(
            """
            UPDATE billing.payment SET state = 'voided'
            WHERE buyer_id = :buyer AND payment_id = :payment AND state IN ('created', 'authorised')
            RETURNING amount_minor, method
            """,
            **key,
        )
        if voided is not None and voided.amount_minor and voided.method != CASH:
            await command(
                tx,
                "void",
                processor_id=part.processor_id,
                buyer_id=part.buyer_id,
                payment_id=part.payment_id,
                currency=part.currency,
                amount_minor=voided.amount_minor,
            )


async def claim_commands(tx: Tx, processor_ids: Sequence[int], limit: int) -> list[PaymentCommand]:
    """Take commands to send, oldest first, of each payment one; others leave them alone until the lease is over.

    Commands of a payment go out in the order in which they were given. The lease is by the server's clock, which moves
    on where a fixed one stands still.
    """
    rows = await tx.rows(
        f"""
        UPDATE billing.payment_command SET attempts = attempts + 1, not_before = now() + :lease * interval '1 second'
        WHERE command_id IN (
            SELECT c.command_id FROM billing.payment_command c
            WHERE c.state = 'todo' AND coalesce(c.not_before, now()) <= now()
              AND c.processor_id = ANY(CAST(:processors AS bigint[]))
              AND NOT EXISTS (SELECT FROM billing.payment_command earlier
                              WHERE earlier.payment_id = c.payment_id AND earlier.state = 'todo'
                                AND earlier.command_id < c.command_id)
            ORDER BY c.command_id LIMIT :limit FOR UPDATE SKIP LOCKED)
        RETURNING {_COMMAND_COLUMNS}
        """,
        processors=list(processor_ids),
        lease=LEASE_S,
        limit=limit,
    )
    return sorted((PaymentCommand(**row._mapping) for row in rows), key=lambda command: command.command_id)


async def note_sent(tx: Tx, command_id: int, remark: str | None) -> None:
    """A command is sent. remark: what the processor had to say about one that came too late, or was turned down."""
    await tx.execute(
        "UPDATE billing.payment_command SET state = 'sent', error = :remark WHERE command_id = :command"
        " AND state = 'todo'",
        {"command": command_id, "remark": remark},
    )


async def note_not_sent(tx: Tx, command_id: int, error: str, *, for_good: bool) -> bool:
    """A command could not be sent: it waits for its next attempt, or is parked with the error for a person.

    Returns whether it is parked.
    """
    state = await tx.scalar(
        """
        UPDATE billing.payment_command SET error = :error,
               state = CASE WHEN :for_good OR attempts >= :max THEN 'parked' ELSE 'todo' END,
               not_before = now() + least(power(2, attempts), 300) * interval '1 second'
        WHERE command_id = :command AND state = 'todo' RETURNING state
        """,
        command=command_id,
        error=error,
        for_good=for_good,
        max=COMMAND_ATTEMPTS_MAX,
    )
    return bool(state == "parked")


async def park_refund(tx: Tx, merchant_id: int, refund_id: int, payment_id: int, error: str) -> None:
    """Park a refund that the processor could not make. It gets a new id: a new attempt is a new request."""
    await tx.execute(
        """
        UPDATE billing.payment_command SET state = 'parked', error = :error, command_id = :fresh
        WHERE payment_id = :payment AND merchant_id = :merchant AND refund_id = :refund AND kind = 'refund'
          AND state = 'sent'
        """,
        {"payment": payment_id, "merchant": merchant_id, "refund": refund_id}
        | {"error": error, "fresh": time_ordered_id(tx.now)},
    )


async def list_commands(
    tx: Tx, *, state: str | None = None, limit: int, before_id: int | None = None
) -> list[PaymentCommand]:
    """At most `limit` commands, the newest first, those before `before_id`."""
    rows = await tx.rows(
        f"""
        SELECT {_COMMAND_COLUMNS} FROM billing.payment_command
        WHERE command_id < coalesce(CAST(:before AS bigint), 9223372036854775807)
          AND (CAST(:state AS text) IS NULL OR state = :state)
        ORDER BY command_id DESC LIMIT :limit
        """,
        before=before_id,
        state=state,
        limit=limit,
    )
    return [PaymentCommand(**row._mapping) for row in rows]


async def retry_command(tx: Tx, command_id: int) -> PaymentCommand:
    """Give a parked command all its attempts again. Raises NotFound, Conflict when it is not parked.

    Conflict, too, for an order's refund: that has failed by being parked, and what becomes of it is decided there.
    """
    row = await tx.row(
        f"SELECT {_COMMAND_COLUMNS} FROM billing.payment_command WHERE command_id = :command FOR UPDATE",
        command=command_id,
    )
    if row is None:
        raise NotFound(f"there is no payment command {command_id}")
    if row.state != "parked":
        raise Conflict(f"state: the command is {row.state}, only a parked one is tried again")
    of_order = "SELECT count(*) FROM billing.refund_payment WHERE merchant_id = :merchant AND refund_id = :refund"
    if row.kind == "refund" and await tx.scalar(of_order, merchant=row.merchant_id, refund=row.refund_id):
        raise Conflict(
            f"kind: refund {row.refund_id} of merchant {row.merchant_id} has failed: retry the refund itself"
        )
    await tx.execute(
        "UPDATE billing.payment_command SET state = 'todo', attempts = 0, not_before = NULL"
        " WHERE command_id = :command",
        {"command": command_id},
    )
    await audit.record(tx, "payment command retried", f"payment_command:{command_id}", error=row.error)
    return PaymentCommand(**{**row._mapping, "state": "todo", "attempts": 0})
