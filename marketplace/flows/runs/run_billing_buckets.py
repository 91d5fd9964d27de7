"""What a run does with one bucket of merchants: preview it, make it final, or undo it, each in one transaction.

Every bucket holds its run in the state it was planned for; one that comes too late does nothing.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from billing.charges import store as charges
from billing.payout_terms import sql as terms_sql
from billing.payout_terms.model import DAYS, due_on
from billing.runs import charges_sql, sql, store
from billing.runs.model import COLUMNS, Run, RunState
from marketplace.core import work
from marketplace.core.crash import crash_point
from marketplace.core.db import Tx
from marketplace.flows.documents.issue_documents import issue_documents, reverse_documents
from marketplace.flows.payers.cover_charges import commit_covers, release_covers, reserve_covers, take_back_covers
from marketplace.flows.products.run_charges import settle_charges
from marketplace.flows.runs.net_receivables import net_receivables, owing_among


async def preview_bucket(tx: Tx, payload: Any) -> dict[str, int]:
    run = await store.share_run(tx, payload["run_id"])
    if run.state != RunState.DRAFT:
        return {"statements": 0}
    merchants = [merchant for merchant in payload["merchants"] if merchant > 0]
    owing = sorted({*await charges.netting_among(tx, sorted(merchants)), *await owing_among(tx, merchants)})
    if owing:  # all at once, so that two previews of the same merchants hold them in one order
        await tx.execute(sql.LOCK_HEADS, {"merchants": owing})
        await settle_charges(tx, run, owing)
        await net_receivables(tx, run, owing)
    count = await _preview(tx, run, merchants)
    crash_point("run.previewing")
    return {"statements": count}


async def _preview(tx: Tx, run: Run, merchants: Sequence[int]) -> int:
    await tx.plan_in_bulk()
    bound = {"merchants": list(merchants), "run_id": run.run_id}
    await release_covers(tx, run.run_id, merchants)
    await tx.execute(sql.FORGET_PREVIEW, bound)
    await tx.execute(charges_sql.FORGET_CHARGES, bound)
    month = run.period.month_ended
    if month is not None and await tx.scalar(charges_sql.ANY_MINIMUM):
        await tx.execute(charges_sql.CHARGE, {**bound, **msgspec.structs.asdict(month)})
    count = (await tx.execute(sql.PREVIEW, {**bound, **msgspec.structs.asdict(run.period)})).rowcount
    await tx.execute(sql.PARK_WITH, {**bound, "closed_before": run.closed_before})
    await reserve_covers(tx, run, merchants)
    return count


async def finalise_bucket(tx: Tx, payload: Any) -> dict[str, list[int]]:
    """One bucket's part of finalising: merchants whose statement changed are left open and named, parked ones open."""
    run = await store.share_run(tx, payload["run_id"])
    if run.state != RunState.FINALISING:
        return {"changed": []}
    await tx.plan_in_bulk()
    merchants: list[int] = sorted(payload["merchants"])
    await tx.execute(sql.LOCK_HEADS, {"merchants": merchants})
    changed = await _preview_moved(tx, run, merchants)
    left_out = await _left_out(tx, run, merchants)
    closing = [merchant for merchant in merchants if merchant not in changed and merchant not in left_out]
    bound = {"merchants": closing, "run_id": run.run_id}
    by = {"now": tx.now, "actor": tx.actor}
    month = run.period.month_ended
    if month is not None:
        await tx.execute(charges_sql.POST_CHARGES, {**bound, **by, "last_on": month.last_on})
        for statement in (charges_sql.ADVANCE_BY_CHARGES, charges_sql.CHARGED):
            await tx.execute(statement, bound)
    await commit_covers(tx, run, closing)
    await tx.execute(sql.FLIP, bound)
    await tx.execute(sql.OPEN_WINDOWS, bound)
    await tx.execute(sql.PAY, {**bound, "payout_on": run.payout_on})
    special = [row.merchant_id for row in await tx.rows(terms_sql.SPECIAL, merchants=closing)]
    if special:
        for statement in (terms_sql.CARRY, terms_sql.KEEP, terms_sql.PAY_LESS):
            await tx.execute(statement, {"merchants": special, "run_id": run.run_id})
        await tx.execute(terms_sql.LEAVE_DUE, {"merchants": special, "run_id": run.run_id, **_due_days(run)})
        for statement in (terms_sql.REPLACE_DUE, terms_sql.REPLACE_DUE_BY_RUN):
            await tx.execute(statement, {"merchants": special, "run_id": run.run_id})
    await tx.execute(sql.ITEMISE, bound)
    crash_point("payout.instructed")
    await tx.execute(sql.CLOSE_HEADS, {"merchants": closing, "closed": run.period.last_on})
    await tx.execute(sql.POST_PAYOUTS, {**bound, **by})
    crash_point("payout.posted")
    await tx.execute(sql.ADVANCE_HEADS, bound)
    if special:
        await tx.execute(terms_sql.POST_HELD, {"merchants": special, "run_id": run.run_id, **by})
        await tx.execute(terms_sql.ADVANCE_HEADS, {"merchants": special, "run_id": run.run_id})
    await issue_documents(tx, run, closing)
    crash_point("run.before-commit")
    return {"changed": sorted(changed)}


def _due_days(run: Run) -> dict[str, list[Any]]:
    """The first day of each schedule of payouts on which what this run owes can be paid."""
    return {
        "days": [days.value for days, _ in DAYS],
        "weekdays": [weekday for _, weekday in DAYS],
        "due_ons": [due_on(days, weekday, run.payout_on) for days, weekday in DAYS],
    }


async def _preview_moved(tx: Tx, run: Run, merchants: Sequence[int]) -> set[int]:
    """Preview anew the merchants whose books moved; returns those whose statement is another one now."""
    moved = [row.merchant_id for row in await tx.rows(sql.MOVED, merchants=list(merchants), run_id=run.run_id)]
    moved = [merchant for merchant in moved if merchant > 0]
    if not moved:
        return set()
    before = await _figures(tx, run.run_id, moved)
    await settle_charges(tx, run, moved)
    await net_receivables(tx, run, moved)
    await _preview(tx, run, moved)
    after = await _figures(tx, run.run_id, moved)
    return {merchant_id for merchant_id, *_ in before ^ after}


async def _left_out(tx: Tx, run: Run, merchants: Sequence[int]) -> set[int]:
    """The merchants that wait for a child of this run, which charges them anew."""
    bound = {"merchants": [merchant for merchant in merchants if merchant > 0], "run_id": run.run_id}
    left_out = {row.merchant_id for row in await tx.rows(sql.LEFT_OUT, **bound, closed_before=run.closed_before)}
    if left_out:
        await release_covers(tx, run.run_id, sorted(left_out))
        await tx.execute(charges_sql.FORGET_CHARGES, {"merchants": sorted(left_out), "run_id": run.run_id})
    return left_out


async def _figures(tx: Tx, run_id: int, merchants: Sequence[int]) -> set[tuple[Any, ...]]:
    columns = ", ".join(("merchant_id", "currency", "orders", "opening_minor", *COLUMNS, "closing_minor", "state"))
    rows = await tx.rows(
        f"SELECT {columns} FROM billing.statement WHERE run_id = :run_id AND merchant_id = ANY(:merchants)",
        run_id=run_id,
        merchants=list(merchants),
    )
    return {tuple(row) for row in rows}


async def reverse_bucket(tx: Tx, payload: Any) -> dict[str, int]:
    run = await store.share_run(tx, payload["run_id"])
    if run.state != RunState.REVERSING:
        return {"cancelled": 0}
    await tx.plan_in_bulk()
    bound: dict[str, Any] = {"merchants": sorted(payload["merchants"]), "run_id": run.run_id}
    by = {"now": tx.now, "actor": tx.actor}
    await tx.execute(sql.LOCK_HEADS, {"merchants": bound["merchants"]})
    stood = {"closed_before": run.closed_before, "last_on": run.period.last_on}
    await tx.execute(sql.REOPEN_HEADS, {"merchants": bound["merchants"], **stood})
    posted = (await tx.execute(sql.POST_CANCELLATIONS, {**bound, **by})).rowcount
    await tx.execute(sql.ADVANCE_HEADS, bound)
    await tx.execute(terms_sql.POST_GIVEN_BACK, {**bound, **by})
    for statement in (terms_sql.ADVANCE_HEADS, terms_sql.CANCEL, terms_sql.FORGET_CARRIED, sql.CANCEL_PAYOUTS):
        await tx.execute(statement, bound)
    month = run.period.month_ended
    if month is not None:
        await tx.execute(charges_sql.POST_REVERSALS, {**bound, **by, "last_on": month.last_on})
        for statement in (charges_sql.ADVANCE_BY_REVERSALS, charges_sql.REVERSED):
            await tx.execute(statement, bound)
    await take_back_covers(tx, run, bound["merchants"])
    for statement in (terms_sql.CANCEL_DUE, terms_sql.BACK_TO_DUE):
        await tx.execute(statement, bound)
    await tx.execute(sql.KEEP_WINDOWS, {**bound, **by})
    for statement in (sql.DROP_WINDOWS, sql.REVERSE_STATEMENTS, sql.FORGET_PREVIEW):
        await tx.execute(statement, bound)
    await reverse_documents(tx, run, sorted(payload["merchants"]))
    crash_point("run.before-commit")
    return {"cancelled": posted}


PREVIEW, FINALISE, REVERSE = "preview_run", "finalise_run", "reverse_run"
HANDLERS: dict[str, work.Handle] = {
    PREVIEW: preview_bucket,
    FINALISE: finalise_bucket,
    REVERSE: reverse_bucket,
}
"""What a worker process does with the items of each step."""
