"""Payouts on days of the merchants' own terms, of what final runs owe them.

A run leaves such a payout due. On its day, begun in the entity's zone, what is left of it is instructed: after the
minimum, the reserve and the holds of that day, and after refunds since. Without a day it waits for a person.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import msgspec

from billing import postings
from billing.ledger import store as ledger
from billing.ledger.model import Leg, NewEntry
from billing.payout_terms import store as terms
from billing.payout_terms.dues import store as dues
from billing.payout_terms.model import Due, reserve_of
from billing.runs import store as runs
from billing.runs.model import RunState
from marketplace.core import audit
from marketplace.core.clock import local_date
from marketplace.core.db import Database, Tx
from marketplace.core.each import FIRST, each
from marketplace.core.errors import Conflict

BATCH = 500


class PayDue(msgspec.Struct, frozen=True, kw_only=True):
    """Pay now what a run left a merchant to be paid later, or on request."""

    merchant_id: int
    run_id: int
    currency: str


async def pay_due(db: Database, actor: str) -> int:
    """Instruct what is due by now, each in its own transaction; returns how many payouts there were."""
    upto = db.clock.now().date() + timedelta(days=1)  # nowhere is it later than that

    async def page(tx: Tx, last: Any | None) -> Sequence[Any]:
        after = (FIRST, FIRST, "") if last is None else (last.merchant_id, last.run_id, last.currency)
        return await dues.due_by(tx, upto, after, BATCH)

    return await each(db, actor, "payout not instructed", page, _pay_on_its_day)


async def _pay_on_its_day(tx: Tx, row: Any) -> bool:
    if row.due_on > local_date(tx.now, row.zone):
        return False
    due = await _hold(tx, PayDue(merchant_id=row.merchant_id, run_id=row.run_id, currency=row.currency))
    if due.state != "waiting" or await terms.find_hold(tx, due.merchant_id) is not None:
        return False  # another process has paid it, or it waits until the hold is released
    return (await _pay(tx, due)).state == "paid"


async def pay_now(tx: Tx, cmd: PayDue) -> Due:
    """Instruct a payout before its day, or one that waits for a person.

    Raises NotFound; Conflict for one that does not wait any more, and while the merchant's payouts are held.
    """
    due = await _hold(tx, cmd)
    if due.state != "waiting":
        raise Conflict(f"what run {due.run_id} left to be paid is {due.state}", state=due.state)
    hold = await terms.find_hold(tx, cmd.merchant_id)
    if hold is not None:
        raise Conflict(f"the payouts of merchant {cmd.merchant_id} are held: {hold.reason}")
    return await _pay(tx, due)


async def _hold(tx: Tx, cmd: PayDue) -> Due:
    """Keep the run from being reversed meanwhile, then hold the merchant's books."""
    run = await runs.share_run(tx, cmd.run_id)
    if run.state in {RunState.REVERSING, RunState.REVERSED}:
        raise Conflict(f"run {run.run_id} is {run.state}")
    await ledger.lock_books(tx, cmd.merchant_id)
    return await dues.get_due(tx, cmd.merchant_id, cmd.run_id, cmd.currency)


async def _pay(tx: Tx, due: Due) -> Due:
    owed = await dues.owed(tx, due)
    agreed = await terms.conditions_of(tx, due.merchant_id, due.currency)
    if owed <= 0:
        return await dues.set_due(tx, due, "nothing")
    if owed < agreed.minimum_minor:
        await dues.carry(tx, due, owed, agreed.minimum_minor)
        return await dues.set_due(tx, due, "nothing")
    run = await runs.get_run(tx, due.run_id)
    today = await runs.local_today(tx, run.entity_id)
    kept, reserve = 0, None
    if agreed.reserve_ppm:
        terms_id, base, held = await dues.kept_before(tx, due.merchant_id, due.currency)
        kept = reserve_of(base, held, owed, agreed.reserve_ppm)
        reserve = {"terms_id": terms_id, "release_on": today + timedelta(days=agreed.reserve_days)}
    payout_id = await dues.insert_payout(tx, due, owed - kept, today)
    if reserve is not None:
        key = {"merchant_id": due.merchant_id, "payout_id": payout_id, "currency": due.currency, "held_on": today}
        amounts = {"base_minor": owed, "held_minor": kept, "state": "held" if kept else "released"}
        await dues.keep(tx, {**reserve, **key, **amounts})
    entries = [_entry(tx, due, "payout_instructed", payout_id, today, postings.payout_not_sent(kept - owed))]
    if kept:
        entries.append(_entry(tx, due, "reserve_held", payout_id, today, postings.reserve_held(kept)))
    await ledger.post(tx, entries)
    about = {"amount_minor": owed - kept, "currency": due.currency, "run_id": due.run_id}
    await audit.record(tx, "payout instructed", f"payout:{due.merchant_id}/{payout_id}", single_operator=False, **about)
    return await dues.set_due(tx, due, "paid", payout_id)


def _entry(tx: Tx, due: Due, kind: str, payout_id: int, on: date, legs: tuple[Leg, ...]) -> NewEntry:
    return NewEntry(
        merchant_id=due.merchant_id,
        kind=kind,
        source_id=payout_id,
        currency=due.currency,
        occurred_at=tx.now,
        effective_on=on,
        legs=legs,
    )
