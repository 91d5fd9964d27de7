"""Tell processors what was decided: each command is claimed, sent outside any transaction, and noted as sent.

A worker that dies between sending and noting leaves the claim to run out; the command is sent again under the same
idempotency key, which is its id, and has no second effect.
"""

from collections.abc import Mapping

import structlog

from billing.ledger import store as ledger
from billing.payments import store as payments
from billing.payments.facts import payment_reference, refund_reference
from billing.payments.model import PaymentCommand
from marketplace.core.crash import crash_point
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.together import together
from marketplace.flows.payments.take_payment import payment_refused
from marketplace.flows.refunds.pay_refund import refund_not_sent
from marketplace.processors.model import OutOfReach, Processor, Refused

ACTOR = "worker"
AT_ONCE = 8
"""Commands of different payments that are under way at the same time."""

log = structlog.get_logger(__name__)


async def send_commands(db: Database, processors: Mapping[str, Processor]) -> int:
    """Send whatever is due to these processors; returns how many commands were tried."""
    async with db.read(WORKER) as tx:
        by_id = {await payments.processor_id(tx, name): processor for name, processor in processors.items()}
    ids = [known for known in by_id if known is not None]
    tried = 0
    while claimed := await db.write(WORKER, ACTOR, payments.claim_commands, ids, AT_ONCE):
        crash_point("payment.claimed")
        await together(*(_send_one(db, by_id[command.processor_id], command) for command in claimed))
        tried += len(claimed)
    return tried


async def _send_one(db: Database, processor: Processor, command: PaymentCommand) -> None:
    """Send a command and note how that ended. A void of what is gone already has nothing left to do.

    A payment that the processor does not take on, by a token that it does not know for one, has failed.
    """
    remark = None
    try:
        await _send(processor, command)
    except OutOfReach as fault:
        await _not_sent(db, command, str(fault), for_good=False)
        return
    except Refused as refusal:
        if command.kind == "authorise" and refusal.rejected:
            await db.write(WORKER, ACTOR, payment_refused, command, str(refusal))
            return
        if command.kind != "void" or not refusal.too_late:
            await _not_sent(db, command, str(refusal), for_good=True)
            return
        remark = f"came too late: {refusal}"
    crash_point("payment.sent")
    await db.write(WORKER, ACTOR, payments.note_sent, command.command_id, remark)


async def _not_sent(db: Database, command: PaymentCommand, error: str, *, for_good: bool) -> None:
    log.warning("payment command not sent", command_id=command.command_id, kind=command.kind, error=error)

    await db.write(WORKER, ACTOR, _note_not_sent, command, error, for_good)


async def _note_not_sent(tx: Tx, command: PaymentCommand, error: str, for_good: bool) -> None:
    """A refund of an order that is parked has failed: it waits for the decision that failed refunds wait for."""
    if command.kind != "refund":
        await payments.note_not_sent(tx, command.command_id, error, for_good=for_good)
        return
    assert command.merchant_id is not None
    assert command.refund_id is not None
    await ledger.lock_books(tx, command.merchant_id)
    if await payments.note_not_sent(tx, command.command_id, error, for_good=for_good):
        await refund_not_sent(tx, command.merchant_id, command.refund_id, command.payment_id, error)


async def _send(processor: Processor, command: PaymentCommand) -> None:
    reference = payment_reference(command.buyer_id, command.payment_id)
    amount = {"amount_minor": command.amount_minor}
    if command.kind == "authorise":
        await processor.authorise(
            command.command_id, reference, **amount, currency=command.currency, method=command.method
        )
    elif command.kind == "capture":
        await processor.capture(command.command_id, reference, **amount, currency=command.currency)
    elif command.kind == "void":
        await processor.void(command.command_id, reference)
    else:
        assert command.merchant_id is not None
        assert command.refund_id is not None
        refund = refund_reference(command.merchant_id, command.refund_id)
        await processor.refund(command.command_id, reference, refund, **amount, currency=command.currency)
