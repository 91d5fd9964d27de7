"""The same items in whatever order, again and again: the same groups."""

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from billing.matching.model import Book, ItemKind
from marketplace.core.db import WORKER, Database
from tests.billing.market import check_books
from tests.matching.items import add_items, ours, theirs
from tests.matching.market import groups, matched
from tests.payments.market import add_merchants

REFERENCES = ["A", "B", "C"]
minors = st.sampled_from([100, 101, 200, 300])
SIDES = st.lists(
    st.tuples(st.booleans(), minors, st.sampled_from(REFERENCES), st.sampled_from(["", "S"])), min_size=1, max_size=9
)


def rows_of(sides: list[tuple[bool, int, str, str]]) -> list[dict[str, Any]]:
    """Lines and items at the bank, told apart by their place, which is no part of what is matched."""
    return [
        theirs(minor, name, book=Book.BANK, keys=[name, batch] if batch else [name], sort_key=f"t{at}")
        if is_theirs
        else ours(minor, name, book=Book.BANK, batch_ref=batch, kind=ItemKind.SETTLEMENT, sort_key=f"o{at}")
        for at, (is_theirs, minor, name, batch) in enumerate(sides)
    ]


async def outcome(db: Database, rows: list[dict[str, Any]]) -> set[frozenset[str]]:
    async with db.engine.connect() as owner:
        await owner.execute(text("TRUNCATE billing.match_item, billing.match_group, billing.recon_break CASCADE"))
        await owner.execute(text("DELETE FROM billing.entry WHERE kind IN ('line_suspended', 'match_residue')"))
        await owner.execute(text("UPDATE billing.ledger_head SET last_entry_no = 0"))
    await add_items(db, rows)
    await matched(db)
    async with db.read(WORKER) as tx:
        named = {row.item_id: row.sort_key for row in await tx.rows("SELECT item_id, sort_key FROM billing.match_item")}
    await check_books(db)
    found = {frozenset(named[one] for one in (*g.theirs, *g.ours)) for g in await groups(db)}
    again = await matched(db)
    assert not any(again.found.values()), again.found
    return found


async def test_the_order_in_which_items_come_changes_nothing(db: Database) -> None:
    await db.write(WORKER, "test", add_merchants)
    loop = asyncio.get_running_loop()

    @settings(max_examples=12)
    @given(SIDES, st.randoms(use_true_random=False))
    def same(sides: Any, random: Any) -> None:
        rows = rows_of(sides)
        mixed = random.sample(rows, len(rows))
        first, second = (asyncio.run_coroutine_threadsafe(outcome(db, some), loop).result() for some in (rows, mixed))
        assert first == second

    await asyncio.to_thread(same)
