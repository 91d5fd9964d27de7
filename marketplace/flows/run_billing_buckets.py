"""What a run does with one bucket of merchants: preview it, make it final, or undo it, each in one transaction.

Every bucket holds its run in the state it was planned for; one that comes too late does nothing.
"""

from collections.abc import Sequence
from typing import Any

from billing.payout_terms import sql as terms_sql
from billing.runs import charges_sql, sql, store
from billing.runs.model import COLUMNS, Run, RunState
from marketplace.core import work
from marketplace.core.crash import crash_point
from marketplace.core.db import Tx
from marketplace.flows.issue_documents import issue_documents, reverse_documents
from marketplace.flows.net_receivables import net_receivables
from marketplace.flows.run_charges import settle_charges


async def preview_bucket(tx: Tx, payload: Any) -> dict[str, int]:
    run = await store.share_run(tx, payload["run_id"])
    if run.state != RunState.DRAFT:
        return {"statements": 0}
    merchants = [merchant for merchant in payload["merchants"] if merchant > 0]
    await settle_charges(tx, run, merchants)
    await net_receivables(tx, run, merchants)
    count = await _preview(tx, run, payload["merchants"])
    crash_point("run.previewing")
    return {"statements": count}


async def _preview(tx: Tx, run: Run, merchants: Sequence[int]) -> int:
    await tx.plan_in_bulk()
    bound = {"merchants": [merchant for merchant in merchants if merchant > 0], "run_id": run.run_id}
    await tx.execute(sql.FORGET_PREVIEW, bound)
    period = {"from_on": run.from_on, "to_on": run.to_on}
    await tx.execute(charges_sql.FORGET_CHARGES, bound)
    if await tx.scalar(charges_sql.ANY_MINIMUM):
        await tx.execute(charges_sql.CHARGE, {**bound, **period})
    return (await tx.execute(sql.PREVIEW, {**bound, **period})).rowcount


async def finalise_bucket(tx: Tx, payload: Any) -> dict[str, list[int]]:
    """One bucket's part of finalising; merchants whose statement changed are left open and named."""
    run = await store.share_run(tx, payload["run_id"])
    if run.state != RunState.FINALISING:
        return {"changed": []}
    await tx.plan_in_bulk()
    merchants: list[int] = sorted(payload["merchants"])
    await tx.execute(sql.LOCK_HEADS, {"merchants": merchants})
    changed = await _preview_moved(tx, run, merchants)
    closing = [merchant for merchant in merchants if merchant not in changed]
    bound = {"merchants": closing, "run_id": run.run_id}
    by = {"now": tx.now, "actor": tx.actor}
    await tx.execute(charges_sql.POST_CHARGES, {**bound, **by, "last_on": run.period.last_on})
    for statement in (charges_sql.ADVANCE_BY_CHARGES, charges_sql.CHARGED):
        await tx.execute(statement, bound)
    await tx.execute(sql.FLIP, bound)
    await tx.execute(sql.OPEN_WINDOWS, bound)
    await tx.execute(sql.PAY, {**bound, "payout_on": run.payout_on})
    special = [row.merchant_id for row in await tx.rows(terms_sql.SPECIAL, merchants=closing)]
    if special:
        for statement in (terms_sql.CARRY, terms_sql.KEEP, terms_sql.PAY_LESS):
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
    bound = {"merchants": sorted(payload["merchants"]), "run_id": run.run_id}
    by = {"now": tx.now, "actor": tx.actor}
    await tx.execute(sql.LOCK_HEADS, {"merchants": bound["merchants"]})
    await tx.execute(sql.CLOSE_HEADS, {"merchants": bound["merchants"], "closed": run.closed_before})
    posted = (await tx.execute(sql.POST_CANCELLATIONS, {**bound, **by})).rowcount
    await tx.execute(sql.ADVANCE_HEADS, bound)
    await tx.execute(terms_sql.POST_GIVEN_BACK, {**bound, **by})
    for statement in (terms_sql.ADVANCE_HEADS, terms_sql.CANCEL, terms_sql.FORGET_CARRIED, sql.CANCEL_PAYOUTS):
        await tx.execute(statement, bound)
    await tx.execute(charges_sql.POST_REVERSALS, {**bound, **by, "last_on": run.period.last_on})
    for statement in (charges_sql.ADVANCE_BY_REVERSALS, charges_sql.REVERSED):
        await tx.execute(statement, bound)
    await tx.execute(sql.KEEP_WINDOWS, {**bound, **by})
    for statement in (sql.DROP_WINDOWS, sql.REVERSE_STATEMENTS):
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
