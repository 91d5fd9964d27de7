"""A billing run from draft to finalised, and back: every step may be killed and started again.

    draft -> previewed -> approved -> finalising -> finalised -> reversing -> reversed

The preview stores the very rows that finalising makes final. Finalising takes buckets of merchants: it holds their
heads, makes sure that nothing moved since the preview, makes the statements final, chains the billing windows,
instructs payouts and closes the books through the period's end, all in one commit per bucket. A merchant whose books
moved is previewed anew instead, and the run waits for a second approval of what changed.
"""

from collections.abc import Callable
from datetime import date

import msgspec

from billing.payout_files import store as files
from billing.payout_files.model import FileState
from billing.runs import sql, store
from billing.runs.model import AT_WORK, Period, Run, RunState, Totals, check_move
from marketplace.core import audit, outbox, policies, work
from marketplace.core.crash import crash_point
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import Conflict
from marketplace.core.together import together
from marketplace.flows.books.close_period import check_not_closed
from marketplace.flows.books.roll_ledger import roll_ledger
from marketplace.flows.payers.cover_charges import release_covers
from marketplace.flows.payers.credit_covers import move_caps
from marketplace.flows.payouts.instruct_bank import cancel_file
from marketplace.flows.payouts.pay_merchants import activate_bank_accounts
from marketplace.flows.runs.draft_run import draft, draft_child, one_at_a_time, plan
from marketplace.flows.runs.run_billing_buckets import FINALISE, HANDLERS, PREVIEW, REVERSE

CONNECTIONS = 2
OnProgress = Callable[[int, int], None]


class RunResult(msgspec.Struct, frozen=True):
    """A run and what it comes to, by currency.

    unsettled: merchants' orders delivered by the end of its period that still wait for settlement. Once the period is
    closed they count in the first open one. parked: statements that it leaves to a child run. progress: of the step
    at work, in buckets of merchants.
    """

    run: Run
    totals: list[Totals]
    unsettled: int
    parked: int
    progress: work.Progress | None


async def run_period(
    db: Database,
    actor: str,
    period: Period,
    *,
    entity_id: int | None = None,
    payout_on: date | None = None,
    on_progress: OnProgress = lambda done, total: None,
) -> RunResult:
    """Draft a run for a period and preview it; a run that is not approved yet is previewed afresh.

    payout_on: the day payouts are booked on, by default the first day after the period.
    Raises Conflict when the period has not begun, when the one before it is not finalised, or a later one is; Invalid
    for a payout day before the period's end.
    """
    await roll_ledger(db, actor)
    return await preview_run(db, actor, await db.write(WORKER, actor, draft, period, entity_id, payout_on), on_progress)


async def run_parked(
    db: Database,
    actor: str,
    parent_id: int,
    *,
    payout_on: date | None = None,
    on_progress: OnProgress = lambda done, total: None,
) -> RunResult:
    """Draft the child of a final run, over exactly the merchants that this one has parked, and preview it.

    Raises NotFound; Conflict when the parent is not final or nobody is left, Invalid for the payout day.
    """
    await roll_ledger(db, actor)
    return await preview_run(db, actor, await db.write(WORKER, actor, draft_child, parent_id, payout_on), on_progress)


async def preview_run(
    db: Database, actor: str, run: Run, on_progress: OnProgress = lambda done, total: None
) -> RunResult:
    """Preview a run that was drafted, or go on with its preview; any other is left as it is."""
    crash_point("run.drafted")
    for _ in range(_ROUNDS_MAX):
        if run.state != RunState.DRAFT:
            break
        assert run.batch_id is not None
        await _drain(db, actor, run.batch_id, PREVIEW, on_progress)
        run = await db.write(WORKER, actor, _previewed, run.run_id)
        crash_point("run.previewed")
    return await result(db, run.run_id)


async def approve_run(
    db: Database, actor: str, run_id: int, *, batch_id: int | None = None, without_parked: bool = False
) -> RunResult:
    """Approve a previewed run, as another person than its maker; without what it has parked, where that is said.

    batch_id: the preview that was looked at; None takes the one that is there.
    Raises Forbidden for the maker (unless the policy single_operator is on), Conflict when a statement does not tie,
    or when the run was previewed anew since.
    """
    approved = await db.write(WORKER, actor, approve, run_id, batch_id=batch_id, without_parked=without_parked)
    crash_point("run.approved")
    return approved


async def finalise_run(
    db: Database, actor: str, run_id: int, on_progress: OnProgress = lambda done, total: None
) -> RunResult:
    """Make an approved run final; resumes one that was interrupted, and changes nothing when it is final already.

    Raises Conflict when books moved since the approval: those statements are previewed anew and the run is back in
    state previewed; what did not move is final.
    """
    await roll_ledger(db, actor)
    await activate_bank_accounts(db, actor)
    for _ in range(_ROUNDS_MAX):
        run = await db.write(WORKER, actor, _start_finalising, run_id)
        crash_point("run.finalising")
        if run.state == RunState.FINALISED:
            return await result(db, run_id)
        assert run.batch_id is not None
        await _drain(db, actor, run.batch_id, FINALISE, on_progress)
        run = await db.write(WORKER, actor, _finish, run_id)
        if run.state == RunState.PREVIEWED:
            changed = await _changed(db, run.batch_id)
            raise Conflict(
                f"run {run_id}: entries were posted to {len(changed)} merchants since the approval; their statements"
                " were previewed anew, look at them and approve the run again",
                merchants=changed[:100],
            )
        if run.state == RunState.FINALISED:
            crash_point("run.finalised")
            await roll_ledger(db, actor)
            return await result(db, run_id)
    raise Conflict(f"run {run_id}: merchants keep joining while it is finalised; start it again")


_ROUNDS_MAX = 20


async def abort_run(db: Database, actor: str, run_id: int) -> RunResult:
    """Give up a run that is not final, not even in part; its period can be drafted again.

    Raises Conflict for any other run.
    """
    return await db.write(WORKER, actor, abort, run_id)


async def reverse_run(
    db: Database, actor: str, run_id: int, on_progress: OnProgress = lambda done, total: None
) -> RunResult:
    """Undo the newest finalised run: payouts are cancelled by mirror entries, windows freed, the period reopened.

    Raises Conflict for any other run, when a payout of it has left the house, or when a payer's cap has no room for
    what the run has credited.
    """
    run = await db.write(WORKER, actor, _start_reversing, run_id)
    if run.state == RunState.REVERSING:
        assert run.batch_id is not None
        await _drain(db, actor, run.batch_id, REVERSE, on_progress)
        await db.write(WORKER, actor, _finish_reversing, run_id)
    await roll_ledger(db, actor)
    return await result(db, run_id)


async def result(db: Database, run_id: int) -> RunResult:
    """A run and its totals."""
    async with db.read(WORKER) as tx:
        return await read_result(tx, run_id)


async def read_result(tx: Tx, run_id: int) -> RunResult:
    """A run, its totals and what its period left unsettled. Raises NotFound."""
    run = await store.get_run(tx, run_id)
    unsettled = await tx.scalar(_UNSETTLED, entity=run.entity_id, to_on=run.period.to_on)
    parked = await store.count_statements(tx, run_id, "parked")
    at_work = run.batch_id if run.state in AT_WORK else None
    progress = await work.progress(tx, at_work) if at_work is not None else None
    return RunResult(run, await store.totals(tx, run_id), unsettled, parked, progress)


_UNSETTLED = """
SELECT count(*) FROM (
    SELECT DISTINCT d.merchant_id, d.order_id
    FROM demand.order_due d JOIN billing.ledger_head h ON h.merchant_id = d.merchant_id
    WHERE h.entity_id = :entity AND d.settles_on < :to_on
) AS waiting
"""


async def _drain(db: Database, actor: str, batch_id: int, kind: str, on_progress: OnProgress) -> None:
    """Work on a batch to its end, beside whatever workers do; raises BatchFailed."""

    async def share() -> work.Progress:
        return await work.drain(
            db,
            batch_id,
            actor,
            HANDLERS[kind],
            on_progress=lambda state: on_progress(state.done + state.parked, state.total),
            on_commit=lambda: crash_point("run.bucket-committed"),
        )

    ended = await together(*(share() for _ in range(CONNECTIONS)))
    work.check_done(batch_id, ended[0])


async def _previewed(tx: Tx, run_id: int) -> Run:
    run = await store.lock_run(tx, run_id)
    assert run.batch_id is not None
    if run.state != RunState.DRAFT or (await work.progress(tx, run.batch_id)).todo:
        return run  # another process has seen to it, or asked for a fresh preview that is at work
    return await store.move_run(tx, run_id, RunState.PREVIEWED)


async def abort(tx: Tx, run_id: int) -> RunResult:
    """`abort_run` within a transaction of the caller's."""
    await one_at_a_time(tx)
    run = await store.lock_run(tx, run_id)
    check_move(run_id, run.state, RunState.ABORTED)
    final = await store.count_statements(tx, run_id, "final")
    if final:
        raise Conflict(f"run {run_id}: {final} of its statements are final already; finish it, then reverse it")
    if run.parent_run_id is None and await store.has_closed(tx, run.entity_id, run.period.last_on):
        raise Conflict(f"run {run_id}: it has closed books already; finish it, then reverse it")
    await store.move_run(tx, run_id, RunState.ABORTED)
    await release_covers(tx, run_id)
    await store.drop_previews(tx, run_id)
    await audit.record(tx, "billing run aborted", f"billing_run:{run_id}")
    return await read_result(tx, run_id)


async def approve(tx: Tx, run_id: int, *, batch_id: int | None = None, without_parked: bool = False) -> RunResult:
    """`approve_run` within a transaction of the caller's."""
    run = await store.lock_run(tx, run_id)
    parked = await store.count_statements(tx, run_id, "parked")
    if parked and not without_parked:
        [first] = await store.list_parked(tx, run_id, limit=1)
        raise Conflict(
            f"run {run_id}: {parked} statements do not tie, such as merchant {first.merchant_id}: {first.reason};"
            " mend them, or approve the run without what is parked"
        )
    today = await store.local_today(tx, run.entity_id)
    if run.to_on > today:
        raise Conflict(f"run {run_id}: {run.period.name} is not over, today is {today}; until then it can be previewed")
    single = await policies.check_second_person(tx, run.made_by, f"billing run {run_id}")
    if run.state == RunState.PREVIEWED and batch_id not in {None, run.batch_id}:
        raise Conflict(
            f"batch_id: run {run_id} was previewed anew since; look at preview {run.batch_id}, then approve that",
            pointer="/batch_id",
            batch_id=run.batch_id,
        )
    await store.move_run(
        tx, run_id, RunState.APPROVED, approved_by=tx.actor, approved_at=tx.now, single_operator=single
    )
    await audit.record(tx, "billing run approved", f"billing_run:{run_id}", single_operator=single, parked=parked)
    return await read_result(tx, run_id)


async def _start_finalising(tx: Tx, run_id: int) -> Run:
    run = await store.lock_run(tx, run_id)
    if run.state == RunState.FINALISING and run.batch_id is not None:
        await work.retry_parked(tx, run.batch_id)
    if run.state in {RunState.FINALISING, RunState.FINALISED}:
        return run
    run = await store.move_run(tx, run_id, RunState.FINALISING)
    await plan(tx, run, FINALISE, only_open=True)
    await audit.record(tx, "billing run finalising", f"billing_run:{run_id}", single_operator=run.single_operator)
    return await store.get_run(tx, run_id)


async def _finish(tx: Tx, run_id: int) -> Run:
    """Close the entity when every head of it is closed; else another round, or back to the approver."""
    run = await store.lock_run(tx, run_id)
    if run.state != RunState.FINALISING:
        return run
    assert run.batch_id is not None
    if (await work.progress(tx, run.batch_id)).todo:  # another process has planned a further round
        return run
    closing = {"entity": run.entity_id, "closed": run.period.last_on}
    await tx.execute("SELECT entity_id FROM billing.entity WHERE entity_id = :entity FOR UPDATE", closing)
    if await _changed_items(tx, run.batch_id):
        return await store.move_run(tx, run_id, RunState.PREVIEWED)
    if await tx.scalar(sql.STILL_OPEN, **closing, run_id=run_id, closed_before=run.closed_before):
        await plan(tx, run, FINALISE, only_open=True)
        return await store.get_run(tx, run_id)
    left = await store.count_statements(tx, run_id, "preview")
    if left:
        raise RuntimeError(f"run {run_id}: every head is closed, but {left} statements are not final")
    await tx.execute(
        """
        UPDATE billing.entity SET closed_through = :closed
        WHERE entity_id = :entity AND (closed_through IS NULL OR closed_through < :closed)
        """,
        closing,
    )
    run = await store.move_run(tx, run_id, RunState.FINALISED, finalised_at=tx.now)
    sums = await store.totals(tx, run_id)
    await audit.record(
        tx, "billing run finalised", f"billing_run:{run_id}", single_operator=run.single_operator, totals=sums
    )
    await outbox.emit(tx, "billing.run_finalised.v1", {"run_id": run_id, "period": run.period.name, "totals": sums})
    return run


async def _start_reversing(tx: Tx, run_id: int) -> Run:
    await one_at_a_time(tx)
    run = await store.lock_run(tx, run_id)
    if run.state == RunState.REVERSING and run.batch_id is not None:
        await work.retry_parked(tx, run.batch_id)
    if run.state in {RunState.REVERSING, RunState.REVERSED}:
        return run
    newest = await store.find_newest_run(tx, run.entity_id)
    if newest is None or newest.run_id != run_id:
        raise Conflict(f"run {run_id} is not the newest: reverse {newest.run_id if newest else 'none'} first")
    await check_not_closed(tx, run.entity_id, run.period, f"run {run_id}")
    left = await tx.scalar(
        "SELECT count(*) FROM billing.payout WHERE run_id = :run_id AND state NOT IN ('instructed', 'cancelled')",
        run_id=run_id,
    )
    if left:
        raise Conflict(f"run {run_id}: {left} of its payouts have been confirmed or returned by the bank")
    await _cancel_files(tx, run_id)
    await move_caps(tx, run)
    run = await store.move_run(tx, run_id, RunState.REVERSING, reversed_by=tx.actor, reversed_at=tx.now)
    if run.parent_run_id is None:
        await tx.execute(
            "UPDATE billing.entity SET closed_through = :closed WHERE entity_id = :entity",
            {"closed": run.closed_before, "entity": run.entity_id},
        )
    await plan(tx, run, REVERSE, only_open=False)
    await audit.record(tx, "billing run reversing", f"billing_run:{run_id}")
    return await store.get_run(tx, run_id)


async def _cancel_files(tx: Tx, run_id: int) -> None:
    """Give up the files that nobody has approved yet, so that none of the run's payouts leaves; the bank may have the
    others, so they are cancelled by two people first. No new one takes a payout of a run that is locked."""
    rows = await tx.rows(
        "SELECT DISTINCT file_id FROM billing.payout WHERE run_id = :run_id AND file_id IS NOT NULL ORDER BY file_id",
        run_id=run_id,
    )
    for row in rows:
        file = await files.lock_file(tx, row.file_id)
        if file.state is FileState.APPROVED:
            raise Conflict(f"run {run_id}: payouts of it are in payout file {file.file_id} for the bank; cancel that")
        await cancel_file(tx, file.file_id, f"billing run {run_id} is reversed")


async def _finish_reversing(tx: Tx, run_id: int) -> None:
    if (await store.lock_run(tx, run_id)).state == RunState.REVERSED:  # another process has seen to it
        return
    await store.move_run(tx, run_id, RunState.REVERSED)
    await audit.record(tx, "billing run reversed", f"billing_run:{run_id}")
    await outbox.emit(tx, "billing.run_reversed.v1", {"run_id": run_id})


async def _changed(db: Database, batch_id: int | None) -> list[int]:
    async with db.read(WORKER) as tx:
        return await _changed_items(tx, batch_id)


async def _changed_items(tx: Tx, batch_id: int | None) -> list[int]:
    assert batch_id is not None
    return [merchant for item in await work.results(tx, batch_id) for merchant in item["changed"]]
