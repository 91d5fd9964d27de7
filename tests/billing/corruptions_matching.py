"""What `test_verify` plants to have the proofs of matching fail, and the lines that are matched."""

from datetime import date
from typing import Any

from marketplace.core.db import WORKER, Database
from tests.matching.items import add_items, ours, theirs
from tests.matching.market import bank_says, line, matched, name_accounts


async def add_matching(db: Database) -> None:
    """The bank paid a payout, for a fee of 0.02, and got something that nobody knows of; a processor kept 1.65."""
    async with db.read(WORKER) as tx:
        paid: Any = await tx.row("SELECT * FROM billing.payout WHERE bank_ref = 'B-2'")
    await db.write(WORKER, "fay", name_accounts)
    unknown = line(777, text="who knows", bank_ref="X1", day=date(2018, 6, 4))
    await bank_says(db, [line(-paid.amount_minor - 2, bank_ref="B-2", day=date(2018, 6, 4)), unknown])
    charged = theirs(10_000, "F", fee_minor=165, booked=False, day=date(2018, 6, 4))
    await add_items(db, [charged, ours(10_000, "F", day=date(2018, 6, 4))])
    found = (await matched(db)).found
    assert (found["explained"], found["suspended"]) == (1, 1), found


MATCHING_CORRUPTIONS: dict[str, tuple[list[str], set[str]]] = {
    "a line in a group that does not know it": (
        ["""UPDATE billing.match_item SET group_id = (SELECT min(group_id) FROM billing.match_group), suspense_id = NULL
            WHERE suspense_id IS NOT NULL"""],
        {"matched-once", "groups-balance", "suspense-is-open-lines"},
    ),
    "a group whose line is said to be open": (
        ["UPDATE billing.match_item SET group_id = NULL WHERE side = 'theirs'"],
        {"matched-once", "groups-balance"},
    ),
    "a line of another amount than its group": (
        ["UPDATE billing.match_item SET amount_minor = amount_minor + 1 WHERE group_id IS NOT NULL AND side = 'ours'"],
        {"groups-balance"},
    ),
    "a payout matched and never confirmed": (
        ["UPDATE billing.match_item SET booked = false WHERE group_id IS NOT NULL AND side = 'ours'"],
        {"matched-is-booked"},
    ),
    "an open line of another amount than on suspense": (
        ["UPDATE billing.match_item SET amount_minor = amount_minor + 1 WHERE suspense_id IS NOT NULL"],
        {"suspense-is-open-lines"},
    ),
    "a line on suspense that is forgotten": (
        ["DELETE FROM billing.match_item WHERE suspense_id IS NOT NULL"], {"suspense-is-open-lines"},
    ),
    "a processor's fee that was never booked": (
        ["UPDATE billing.entry SET source_id = -1 WHERE kind = 'processor_charged'"], {"processor-fees-are-entries"},
    ),
    "a residue that was never booked": (
        ["UPDATE billing.entry SET source_id = 1 WHERE kind = 'match_residue'"], {"residues-are-entries"},
    ),
}  # fmt: skip
