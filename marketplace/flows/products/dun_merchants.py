"""Ask merchants for what is past due, stop delivering, and in the end give it up: by two people."""

from collections.abc import Sequence
from typing import Any

import msgspec

from billing.charges import postings, store
from billing.charges.dunning import Dunning, dunning
from billing.charges.model import Charge, ChargeSource, Happened, entry_kind
from billing.charges.store import Books, WriteOff
from billing.ledger import store as ledger
from billing.ledger.model import NewEntry
from marketplace.core import audit, outbox, policies
from marketplace.core.db import Database, Tx
from marketplace.core.each import FIRST, each
from marketplace.core.errors import Conflict
from marketplace.core.ids import time_ordered_id
from marketplace.flows.products.charge_products import hold
from marketplace.flows.products.run_subscriptions import advance, suspend
from supply.products.subscriptions import store as subscriptions
from supply.products.subscriptions.lifecycle import By
from supply.products.subscriptions.model import SubscriptionState

BATCH = 500


class ProposeWriteOff(msgspec.Struct, frozen=True, kw_only=True):
    merchant_id: int
    charge_id: int
    reason: str


async def dun_merchants(db: Database, actor: str) -> int:
    """Take every open charge to the step that its days past due call for; returns how many merchants were asked."""

    async def page(tx: Tx, last: Any | None) -> Sequence[Any]:
        return await store.merchants_owing(tx, last.merchant_id if last is not None else FIRST, BATCH)

    async def one(tx: Tx, row: Any) -> bool:
        return await dun_merchant(tx, row.merchant_id) > 0

    return await each(db, actor, "merchant not dunned", page, one)


async def dun_merchant(tx: Tx, merchant_id: int) -> int:
    """Ask for what is past due; returns for how many charges. What is asked for already is not asked for again."""
    books = await hold(tx, merchant_id)
    asked = 0
    for charge in await store.open_charges(tx, merchant_id):
        step = dunning(charge.due_on, books.today)
        if step <= charge.dunning_step:
            continue
        asked += 1
        now = await store.set_charge(tx, charge, dunning_step=int(step))
        said: dict[str, Any] = {"step": step.name.lower(), "days_past_due": (books.today - charge.due_on).days}
        told = {**said, **msgspec.structs.asdict(now)}
        await outbox.emit(tx, "billing.charge_dunned.v1", told, merchant_id=merchant_id)
        await audit.record(tx, "charge dunned", _subject(charge), **said)
        if step >= Dunning.SUSPENDED and charge.source is ChargeSource.SUBSCRIPTION:
            await _suspend(tx, books, charge)
    return asked


async def _suspend(tx: Tx, books: Books, charge: Charge) -> None:
    held = await subscriptions.get_subscription(tx, charge.merchant_id, charge.source_id, lock=True)
    if held.state in {SubscriptionState.ACTIVE, SubscriptionState.LEAVING}:
        held = await advance(tx, books, held)
    if held.state in {SubscriptionState.ACTIVE, SubscriptionState.LEAVING}:
        held = await suspend(tx, held, By.CLOCK, f"charge {charge.charge_id} is past due", books)
        await advance(tx, books, held)


async def propose_write_off(tx: Tx, cmd: ProposeWriteOff) -> WriteOff:
    """Propose to give up what is open of a charge. Raises NotFound, Conflict unless it is past due."""
    books = await hold(tx, cmd.merchant_id)
    charge = await store.get_charge(tx, cmd.merchant_id, cmd.charge_id)
    if charge.open_minor == 0:
        raise Conflict(f"charge {cmd.charge_id}: nothing of it is open")
    if charge.due_on >= books.today:
        raise Conflict(f"charge {cmd.charge_id} is due on {charge.due_on}: it is not late yet", due_on=charge.due_on)
    proposed = await store.propose_write_off(tx, charge, cmd.reason)
    await audit.record(tx, "write-off proposed", _subject(charge), amount_minor=charge.open_minor, reason=cmd.reason)
    return proposed


async def approve_write_off(tx: Tx, merchant_id: int, write_off_id: int) -> WriteOff:
    """N: give up what is still open of it, as another person than the proposer.

    Raises NotFound; Conflict for one that is decided, or of which more is open than was proposed; Forbidden.
    """
    books = await hold(tx, merchant_id)
    proposed = await _proposed(tx, merchant_id, write_off_id)
    charge = await store.get_charge(tx, merchant_id, proposed.charge_id)
    single = await policies.check_second_person(tx, proposed.made_by, f"write-off {write_off_id}")
    amount = charge.open_minor
    if not 0 < amount <= proposed.amount_minor:
        raise Conflict(f"charge {charge.charge_id}: {amount} is open, {proposed.amount_minor} was proposed")
    movement_id = time_ordered_id(tx.now)
    entry = NewEntry(
        merchant_id=merchant_id,
        kind=entry_kind(charge.source, "written_off"),
        source_id=movement_id,
        currency=charge.currency,
        occurred_at=tx.now,
        effective_on=books.today,
        legs=postings.written_off(amount, charge.charge_id),
    )
    [entry_no] = await ledger.post(tx, [entry])
    await store.set_charge(tx, charge, open_minor=0, written_off_minor=charge.written_off_minor + amount)
    await store.add_movement(
        tx, charge, Happened.WRITTEN_OFF, movement_id, entry_no,
        on=books.today, amount_minor=amount, open_minor=amount, reason=proposed.reason,
    )  # fmt: skip
    await audit.record(tx, "charge written off", _subject(charge), single_operator=single, amount_minor=amount)
    return await store.decide_write_off(tx, proposed, "approved")


async def refuse_write_off(tx: Tx, merchant_id: int, write_off_id: int) -> WriteOff:
    """The charge stays owed. Raises NotFound, Conflict for one that is decided."""
    await hold(tx, merchant_id)
    proposed = await _proposed(tx, merchant_id, write_off_id)
    await audit.record(tx, "write-off refused", f"charge:{merchant_id}/{proposed.charge_id}")
    return await store.decide_write_off(tx, proposed, "refused")


async def _proposed(tx: Tx, merchant_id: int, write_off_id: int) -> WriteOff:
    found = await store.get_write_off(tx, merchant_id, write_off_id)
    if found.state != "proposed":
        raise Conflict(f"write-off {write_off_id} is {found.state}", state=found.state)
    return found


def _subject(charge: Charge) -> str:
    return f"charge:{charge.merchant_id}/{charge.charge_id}"
