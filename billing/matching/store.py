"""Every statement on items, groups, runs and what people want matched."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import msgspec
from sqlalchemy import insert

from billing.matching import pairs_sql
from billing.matching.model import Book, Charge, Draft, Group, Item, ItemKind, Proposal, ResidueKind, Run, Side, Stage
from billing.matching.tables import match_group, match_item, match_proposal, match_run
from marketplace.core import blocks
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, NotFound
from marketplace.core.ids import time_ordered_id

_ITEM = ", ".join(f"i.{name}" for name in Item.__struct_fields__)
_RUN = ", ".join(Run.__struct_fields__)
_PROPOSAL = ", ".join(Proposal.__struct_fields__)
_GROUP = ", ".join(
    "r.group_id AS reversed_by" if name == "reversed_by" else f"g.{name}" for name in Group.__struct_fields__
)
_GROUPS = f"SELECT {_GROUP} FROM billing.match_group g LEFT JOIN billing.match_group r ON r.reverses_id = g.group_id"


_LONGEST = timedelta(hours=1)


def _item(row: Any) -> Item:
    named = {"book": Book(row.book), "side": Side(row.side), "kind": ItemKind(row.kind), "keys": tuple(row.keys)}
    return Item(**{**row._mapping, **named, "apart": tuple(row.apart)})


def _group(row: Any) -> Group:
    named = {"stage": Stage(row.stage), "book": Book(row.book), "reasons": tuple(row.reasons)}
    return Group(**{**row._mapping, **named, "theirs": tuple(row.theirs), "ours": tuple(row.ours)})


def _proposal(row: Any) -> Proposal:
    return Proposal(**{**row._mapping, "theirs": tuple(row.theirs), "ours": tuple(row.ours)})


async def begin_run(tx: Tx, rules_version: int) -> Run:
    row: dict[str, Any] = {
        "run_id": time_ordered_id(tx.now),
        "rules_version": rules_version,
        "state": "running",
        "found": {},
    }
    row |= {"started_by": tx.actor, "started_at": tx.now, "ended_at": None}
    await tx.execute(insert(match_run), row)
    return Run(**row)


async def end_run(tx: Tx, run_id: int, found: dict[str, int]) -> Run:
    """End a run, and with it those that were killed: what they had matched was looked at with it."""
    await tx.execute(
        "UPDATE billing.match_run SET state = 'done', ended_at = :now WHERE state = 'running' AND started_at < :killed",
        {"now": tx.now, "killed": tx.now - _LONGEST},
    )
    row = await tx.row(
        f"""
        UPDATE billing.match_run SET state = 'done', found = CAST(:found AS jsonb), ended_at = :now
        WHERE run_id = :run RETURNING {_RUN}
        """,
        run=run_id,
        found=msgspec.json.encode(found).decode(),
        now=tx.now,
    )
    assert row is not None
    return Run(**row._mapping)


async def get_run(tx: Tx, run_id: int) -> Run:
    """Raises NotFound."""
    row = await tx.row(f"SELECT {_RUN} FROM billing.match_run WHERE run_id = :run", run=run_id)
    if row is None:
        raise NotFound(f"there is no matching run {run_id}")
    return Run(**row._mapping)


async def list_runs(tx: Tx, *, limit: int, before: int | None = None) -> list[Run]:
    """At most `limit` runs, the newest first."""
    rows = await tx.rows(
        f"""
        SELECT {_RUN} FROM billing.match_run WHERE CAST(:before AS bigint) IS NULL OR run_id < :before
        ORDER BY run_id DESC LIMIT :limit
        """,
        before=before,
        limit=limit,
    )
    return [Run(**row._mapping) for row in rows]


async def lock_pass(tx: Tx) -> None:
    """Let one pass at a time list and pair: held until the transaction ends."""
    await tx.execute("SELECT pg_advisory_xact_lock(hashtext('match_items'))")


async def keep_new(tx: Tx, run: Run) -> int:
    """Store the items in `match_new`, those in pairs as groups at once; returns how many groups there are.

    What the lines of these cost is in `match_fee` and noted with them; the caller books it.
    """
    await tx.execute("ANALYZE match_new")
    await tx.execute(pairs_sql.NEW_PAIRS)
    await tx.execute("ANALYZE match_pair")
    pairs: int = await tx.scalar("SELECT count(*) FROM match_pair")
    last = await blocks.reserve(tx, "match_group", pairs)
    stamp = {"run": run.run_id, "rules": run.rules_version, "actor": tx.actor, "now": tx.now}
    await tx.execute(pairs_sql.GROUP_NEW_PAIRS, {"last": last, **stamp})
    await tx.execute(pairs_sql.NEW_FEES, {"last": last})
    names = [column.name for column in match_item.columns if column.name not in {"booked_as", "group_id"}]
    listed = ", ".join(f"n.{name}" for name in names)
    await tx.execute(pairs_sql.KEEP_NEW.format(columns=", ".join(names), listed=listed), {"last": last})
    await tx.execute(pairs_sql.MARK_OPEN, {"last": last})
    return pairs


async def new_charges(tx: Tx) -> list[Charge]:
    """What processors charged for the lines that `keep_new` has just matched."""
    listed = ", ".join(Charge.__struct_fields__)
    rows = await tx.rows(f"SELECT {listed} FROM match_fee WHERE fee_minor <> 0 ORDER BY source_id")
    return [Charge(**row._mapping) for row in rows]


async def note_charged(tx: Tx, item_ids: Sequence[int], source_id: int) -> None:
    """What these lines cost is booked, by the entry of this source."""
    await tx.execute(
        "UPDATE billing.match_item SET booked_as = :source WHERE item_id = ANY(CAST(:items AS bigint[]))",
        {"source": source_id, "items": list(item_ids)},
    )


async def pair_exactly(tx: Tx, run: Run, book: Book) -> tuple[int, list[Draft]]:
    """Group all pairs with one reference and amount; returns how many, and those that still want something booked."""
    await tx.execute(pairs_sql.EXACT_PAIRS, {"book": book})
    plain = await tx.scalar("SELECT count(*) FROM match_pair WHERE plain")
    if plain:
        last = await blocks.reserve(tx, "match_group", plain)
        bound = {"last": last, "run": run.run_id, "rules": run.rules_version, "book": book}
        await tx.execute(pairs_sql.GROUP_PLAIN_PAIRS, bound | {"actor": tx.actor, "now": tx.now})
        await tx.execute(pairs_sql.MARK_PAIRS, {"last": last, "groups": plain})
    rows = await tx.rows(pairs_sql.OTHER_PAIRS)
    await tx.execute("DROP TABLE match_pair")
    why = ("the same reference",)
    others = [Draft(stage=Stage.EXACT, theirs=(r.theirs_id,), ours=(r.ours_id,), reasons=why) for r in rows]
    return plain, others


async def near_pairs(tx: Tx, book: Book, most_minor: int) -> Sequence[Any]:
    """Pairs with one reference whose amounts differ by so much at most."""
    return await tx.rows(pairs_sql.NEAR_PAIRS, book=book, most=most_minor)


async def batches(tx: Tx, book: Book) -> Sequence[Any]:
    """What is open of each batch on both sides, with both sums."""
    return await tx.rows(pairs_sql.BATCHES, book=book)


async def add_group(
    tx: Tx, draft: Draft, items: Sequence[Item], *, rules_version: int, run_id: int | None, proposal_id: int | None
) -> int:
    """Store a group and take its items; the caller has checked it. Raises Conflict when one of them is taken."""
    group_id = time_ordered_id(tx.now)
    row: dict[str, Any] = {"group_id": group_id, "run_id": run_id, "proposal_id": proposal_id, "stage": draft.stage}
    row |= {"rules_version": rules_version, "score": draft.score, "reasons": list(draft.reasons)}
    row |= {"book": items[0].book, "currency": items[0].currency, "theirs": list(draft.theirs)}
    row |= {"ours": list(draft.ours), "residue_minor": draft.residue_minor, "residue_kind": draft.residue_kind or ""}
    await tx.execute(insert(match_group), row | {"made_by": tx.actor, "made_at": tx.now})
    wanted = [*draft.theirs, *draft.ours]
    taken = await tx.execute(
        """
        UPDATE billing.match_item SET group_id = :group, suspense_id = NULL
        WHERE item_id = ANY(CAST(:items AS bigint[])) AND group_id IS NULL
        """,
        {"group": group_id, "items": wanted},
    )
    if taken.rowcount != len(wanted):
        raise Conflict("somebody else has matched one of these items meanwhile")
    return group_id


async def reverse_group(tx: Tx, group: Group, *, proposal_id: int, reason: str) -> int:
    """Take a live group back: its items are open again, and kept apart from then on.

    Raises Conflict when it is taken back already.
    """
    freed = await tx.execute(
        """
        UPDATE billing.match_item
        SET group_id = NULL,
            apart = ARRAY(SELECT DISTINCT unnest(apart || CASE side WHEN 'theirs' THEN CAST(:ours AS bigint[])
                                                          ELSE CAST(:theirs AS bigint[]) END) ORDER BY 1)
        WHERE group_id = :group
        """,
        {"group": group.group_id, "theirs": list(group.theirs), "ours": list(group.ours)},
    )
    if group.stage is Stage.UNMATCH or freed.rowcount != len(group.theirs) + len(group.ours):
        raise Conflict(f"group {group.group_id} is not live any more")
    group_id = time_ordered_id(tx.now)
    row: dict[str, Any] = {"group_id": group_id, "proposal_id": proposal_id, "stage": Stage.UNMATCH, "score": 0}
    row |= {"rules_version": group.rules_version, "reasons": [reason], "book": group.book, "currency": group.currency}
    row |= {"theirs": list(group.theirs), "ours": list(group.ours), "residue_minor": -group.residue_minor}
    row |= {"residue_kind": group.residue_kind, "reverses_id": group.group_id}
    await tx.execute(insert(match_group), row | {"made_by": tx.actor, "made_at": tx.now})
    return group_id


async def get_group(tx: Tx, group_id: int) -> Group:
    """Raises NotFound."""
    row = await tx.row(f"{_GROUPS} WHERE g.group_id = :group", group=group_id)
    if row is None:
        raise NotFound(f"there is no match group {group_id}")
    return _group(row)


async def list_groups(
    tx: Tx, *, limit: int, before: int | None = None, stage: Stage | None = None, run_id: int | None = None
) -> list[Group]:
    """At most `limit` groups, the newest first."""
    rows = await tx.rows(
        f"""
        {_GROUPS}
        WHERE (CAST(:before AS bigint) IS NULL OR g.group_id < :before)
          AND (CAST(:stage AS text) IS NULL OR g.stage = :stage) AND (CAST(:run AS bigint) IS NULL OR g.run_id = :run)
        ORDER BY g.group_id DESC LIMIT :limit
        """,
        before=before,
        stage=stage,
        run=run_id,
        limit=limit,
    )
    return [_group(row) for row in rows]


async def items_of(tx: Tx, item_ids: Sequence[int], *, lock: bool = False) -> list[Item]:
    """These items in the order of their ids. Raises NotFound naming one that is none."""
    items = await find_items(tx, item_ids, lock=lock)
    missing = set(item_ids) - {item.item_id for item in items}
    if missing:
        raise NotFound(f"there is no item {min(missing)}")
    return items


async def find_items(tx: Tx, item_ids: Sequence[int], *, lock: bool = False) -> list[Item]:
    """Those of these items that are still listed, in the order of their ids."""
    rows = await tx.rows(
        f"SELECT {_ITEM} FROM billing.match_item i WHERE i.item_id = ANY(CAST(:items AS bigint[])) ORDER BY i.item_id"
        + (" FOR UPDATE" if lock else ""),
        items=list(item_ids),
    )
    return [_item(row) for row in rows]


async def payout_named(tx: Tx, line: Item) -> Item:
    """As `find_payout`. Raises NotFound."""
    found = await find_payout(tx, line)
    if found is None:
        raise NotFound(f"item {line.item_id} names no payout that was paid")
    return found


async def find_payout(tx: Tx, line: Item) -> Item | None:
    """The payout that the bank has paid and that a line of it names, if any; of several, the one whose amount is the
    nearest to what the line brings."""
    row = await tx.row(
        f"""
        SELECT {_ITEM} FROM billing.match_item i
        WHERE i.reference = ANY(CAST(:keys AS text[])) AND i.side = 'ours' AND i.kind = 'payout' AND i.booked
          AND i.book = 'bank' AND i.entity_id = :entity AND i.currency = :currency
        ORDER BY abs(i.amount_minor + :minor), i.item_id LIMIT 1
        """,
        keys=list(line.keys),
        entity=line.entity_id,
        currency=line.currency,
        minor=line.amount_minor,
    )
    return _item(row) if row is not None else None


async def open_items(
    tx: Tx,
    *,
    limit: int,
    book: Book | None = None,
    side: Side | None = None,
    kind: ItemKind | None = None,
    entity_id: int | None = None,
    currency: str | None = None,
    since: date | None = None,
    until: date | None = None,
    after: int | None = None,
) -> list[Item]:
    """At most `limit` items that are in no group, by id, those behind `after`. since, until: of their days."""
    rows = await tx.rows(
        f"""
        SELECT {_ITEM} FROM billing.match_item i
        WHERE i.group_id IS NULL AND i.item_id > coalesce(CAST(:after AS bigint), 0)
          AND (CAST(:book AS text) IS NULL OR i.book = :book) AND (CAST(:side AS text) IS NULL OR i.side = :side)
          AND (CAST(:kind AS text) IS NULL OR i.kind = :kind)
          AND (CAST(:entity AS integer) IS NULL OR i.entity_id = :entity)
          AND (CAST(:currency AS text) IS NULL OR i.currency = :currency)
          AND (CAST(:since AS date) IS NULL OR i.expected_on >= :since)
          AND (CAST(:until AS date) IS NULL OR i.day <= :until)
        ORDER BY i.item_id LIMIT :limit
        """,
        book=book, side=side, kind=kind, entity=entity_id, currency=currency, since=since, until=until, after=after,
        limit=limit,
    )  # fmt: skip
    return [_item(row) for row in rows]


async def unsuspended(tx: Tx, limit: int) -> list[Item]:
    """Open lines of banks that are not on suspense yet, by their days."""
    rows = await tx.rows(
        f"""
        SELECT {_ITEM} FROM billing.match_item i
        WHERE i.book = 'bank' AND i.side = 'theirs' AND i.group_id IS NULL AND i.suspense_id IS NULL
        ORDER BY i.day, i.sort_key LIMIT :limit
        """,
        limit=limit,
    )
    return [_item(row) for row in rows]


async def suspend(tx: Tx, suspended: Sequence[tuple[int, int]]) -> None:
    """Note by which entries lines stand on suspense: (item_id, suspense_id)."""
    bound = [{"item": item, "suspense": source} for item, source in suspended]
    if bound:
        await tx.execute("UPDATE billing.match_item SET suspense_id = :suspense WHERE item_id = :item", bound)


async def note_booked(tx: Tx, item_id: int, amount_minor: int, booked_as: int | None) -> None:
    """What our books expected is booked now, by a match: so much, and as what."""
    await tx.execute(
        "UPDATE billing.match_item SET booked = true, booked_as = :fact, amount_minor = :minor WHERE item_id = :item",
        {"item": item_id, "minor": amount_minor, "fact": booked_as},
    )


async def add_proposal(
    tx: Tx,
    action: str,
    theirs: Sequence[int],
    ours: Sequence[int],
    reason: str,
    *,
    group_id: int | None = None,
    residue_kind: ResidueKind | None = None,
) -> Proposal:
    row: dict[str, Any] = {"proposal_id": time_ordered_id(tx.now), "action": action, "group_id": group_id}
    row |= {"theirs": list(theirs), "ours": list(ours), "reason": reason, "state": "proposed", "made_by": tx.actor}
    row |= {"made_at": tx.now, "residue_kind": residue_kind or ""}
    await tx.execute(insert(match_proposal), row)
    return await get_proposal(tx, row["proposal_id"])


async def get_proposal(tx: Tx, proposal_id: int, *, lock: bool = False) -> Proposal:
    """Raises NotFound."""
    row = await tx.row(
        f"SELECT {_PROPOSAL} FROM billing.match_proposal WHERE proposal_id = :id" + (" FOR UPDATE" if lock else ""),
        id=proposal_id,
    )
    if row is None:
        raise NotFound(f"there is no match proposal {proposal_id}")
    return _proposal(row)


async def decide_proposal(
    tx: Tx, proposal_id: int, state: str, *, group_id: int | None, single_operator: bool = False
) -> Proposal:
    await tx.execute(
        """
        UPDATE billing.match_proposal SET state = :state, group_id = coalesce(:group, group_id), decided_by = :actor,
               decided_at = :now, single_operator = :single
        WHERE proposal_id = :id
        """,
        {"id": proposal_id, "state": state, "group": group_id, "actor": tx.actor, "now": tx.now}
        | {"single": single_operator},
    )
    return await get_proposal(tx, proposal_id)


async def list_proposals(tx: Tx, *, limit: int, before: int | None = None, state: str | None = None) -> list[Proposal]:
    """At most `limit` proposals, the newest first."""
    rows = await tx.rows(
        f"""
        SELECT {_PROPOSAL} FROM billing.match_proposal
        WHERE (CAST(:before AS bigint) IS NULL OR proposal_id < :before)
          AND (CAST(:state AS text) IS NULL OR state = :state)
        ORDER BY proposal_id DESC LIMIT :limit
        """,
        before=before,
        state=state,
        limit=limit,
    )
    return [_proposal(row) for row in rows]
