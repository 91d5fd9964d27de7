"""A pass over all that is open: list it, match it stage by stage, put on suspense what is left, name the breaks.

Up to the batch stage a stage is one statement over all items; pairs for which something is to be booked are matched
one by one, each in a transaction of its own, so that one that cannot be booked holds up no other.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from itertools import groupby

import structlog

from billing.matching import rules as pure
from billing.matching import store
from billing.matching.agreements import store as agreements
from billing.matching.model import Book, Draft, Item, ItemKind, Rules, Run, Side, Stage
from marketplace.core import audit, outbox
from marketplace.core.crash import crash_point
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import AppError
from marketplace.flows.bank.book_matches import confirm_payouts, make_group, suspend_lines
from marketplace.flows.bank.find_breaks import find_breaks
from marketplace.flows.bank.list_items import list_items

CANDIDATES_MAX = 5_000
"""Open lines and items of one entity and currency among which a person's eye is imitated; beyond it only ids count."""

PAYOUTS_AT_ONCE = 200
"""Payouts of a batch that are confirmed in one transaction."""

log = structlog.get_logger(__name__)


async def match_lines(db: Database, actor: str) -> Run:
    """Match what is open by the rules in force; the same again changes nothing."""
    run, rules = await db.write(WORKER, actor, _begin)
    listed = await db.write(WORKER, actor, list_items, run)
    found: dict[str, int] = {"listed": listed.items, Stage.EXACT: listed.groups}
    if listed.items:
        await db.analyze("billing.match_item", "billing.match_group")
    for book in Book:
        paired, others = await db.write(WORKER, actor, _pair, run, book)
        crash_point("matching.paired")
        _count(found, Stage.EXACT, paired + await _make(db, actor, run, others))
        for stage, plan in ((Stage.EXPLAINED, _explained), (Stage.BATCH, _batches)):
            async with db.read(WORKER) as tx:
                await tx.plan_in_bulk()
                drafts = await plan(tx, book, rules)
            _count(found, stage, await _make(db, actor, run, drafts))
    for stage, choose in ((Stage.SUBSET, pure.subsets), (Stage.LIKELY, pure.likely_pairs)):
        async with db.read(WORKER) as tx:
            scales = await _scales(tx, rules)
        drafts = [one for scale in scales for one in await asyncio.to_thread(choose, *scale, rules)]
        _count(found, stage, await _make(db, actor, run, drafts))
    found["suspended"] = 0
    while suspended := await db.write(WORKER, actor, suspend_lines):
        found["suspended"] += suspended
    opened, closed = await find_breaks(db, actor)
    return await db.write(WORKER, actor, _end, run, found | {"breaks_opened": opened, "breaks_closed": closed})


async def match_named(db: Database, actor: str) -> Run | None:
    """A pass, where somebody has named an account; else nothing."""
    async with db.read(WORKER) as tx:
        named = await agreements.list_accounts(tx)
    return await match_lines(db, actor) if named else None


def _count(found: dict[str, int], stage: Stage, groups: int) -> None:
    found[stage] = found.get(stage, 0) + groups


async def _begin(tx: Tx) -> tuple[Run, Rules]:
    version = await agreements.rules_in_force(tx)
    return await store.begin_run(tx, version.version), version.rules


async def _pair(tx: Tx, run: Run, book: Book) -> tuple[int, list[Draft]]:
    await tx.plan_in_bulk(brings_rows=True)
    await store.lock_pass(tx)
    return await store.pair_exactly(tx, run, book)


async def _make(db: Database, actor: str, run: Run, drafts: Sequence[Draft]) -> int:
    """Make these groups; one that is refused stays open, with the reason in the log."""
    made = 0
    for draft in drafts:
        try:
            await _pay_ahead(db, actor, draft)
            await db.write(WORKER, actor, make_group, draft, rules_version=run.rules_version, run_id=run.run_id)
            made += 1
        except AppError as refusal:
            log.warning("not matched", theirs=draft.theirs, ours=draft.ours, reason=refusal.detail)
        crash_point("matching.group-made")
    return made


async def _pay_ahead(db: Database, actor: str, draft: Draft) -> None:
    """Confirm the payouts of a large batch some at a time: nobody's books are held while thousands of others are."""
    if len(draft.ours) <= PAYOUTS_AT_ONCE:
        return
    async with db.read(WORKER) as tx:
        items = await store.items_of(tx, draft.ours)
    waiting = [item.item_id for item in items if item.kind is ItemKind.PAYOUT and not item.booked]
    for first in range(0, len(waiting), PAYOUTS_AT_ONCE):
        await db.write(WORKER, actor, confirm_payouts, draft, waiting[first : first + PAYOUTS_AT_ONCE])
        crash_point("matching.payouts-confirmed")


async def _explained(tx: Tx, book: Book, rules: Rules) -> list[Draft]:
    most = max((one.minor_max for one in rules.tolerances if one.book is book), default=0)
    drafts = []
    for pair in await store.near_pairs(tx, book, most):
        kind = pure.residue_of(rules, book, pair.theirs_minor, pair.ours_minor)
        if kind is not None:
            residue = pair.theirs_minor - pair.ours_minor
            why = ("the same reference", f"{residue} explained as {kind}")
            drafts.append(
                Draft(
                    stage=Stage.EXPLAINED,
                    theirs=(pair.theirs_id,),
                    ours=(pair.ours_id,),
                    residue_minor=residue,
                    residue_kind=kind,
                    reasons=why,
                )
            )
    return drafts


async def _batches(tx: Tx, book: Book, rules: Rules) -> list[Draft]:
    drafts = []
    for batch in await store.batches(tx, book):
        residue = batch.theirs_minor - batch.ours_minor
        kind = pure.residue_of(rules, book, batch.theirs_minor, batch.ours_minor) if residue else None
        if residue == 0 or kind is not None:
            drafts.append(
                Draft(
                    stage=Stage.BATCH,
                    theirs=tuple(batch.theirs),
                    ours=tuple(batch.ours),
                    residue_minor=residue,
                    residue_kind=kind,
                    reasons=(f"batch {batch.key}",),
                )
            )
    return drafts


async def _scales(tx: Tx, rules: Rules) -> list[tuple[list[Item], list[Item]]]:
    """Among what a stage without references chooses: what is open at the banks, by entity and currency."""

    def scale(item: Item) -> tuple[int, str]:
        return item.entity_id, item.currency

    lines = await store.open_items(tx, book=Book.BANK, side=Side.THEIRS, limit=CANDIDATES_MAX)
    scales = []
    for (entity_id, currency), some in groupby(sorted(lines, key=scale), key=scale):
        of_scale = list(some)
        items = await store.open_items(
            tx,
            book=Book.BANK,
            side=Side.OURS,
            entity_id=entity_id,
            currency=currency,
            since=min(line.day for line in of_scale) - timedelta(days=rules.window_days),
            until=max(line.day for line in of_scale),
            limit=CANDIDATES_MAX + 1,
        )
        if len(items) <= CANDIDATES_MAX:
            scales.append((of_scale, items))
    return scales


async def _end(tx: Tx, run: Run, found: dict[str, int]) -> Run:
    ended = await store.end_run(tx, run.run_id, found)
    await audit.record(tx, "lines matched by the rules", f"match_run:{run.run_id}", found=found)
    await outbox.emit(tx, "billing.match_run_done.v1", ended)
    return ended
