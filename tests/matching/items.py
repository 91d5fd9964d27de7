"""Items of both sides straight into the table, as listing would leave them."""

from datetime import date
from typing import Any

from sqlalchemy import insert

from billing.matching.model import Book, ItemKind, Side
from billing.matching.tables import match_item
from marketplace.core import blocks
from marketplace.core.db import WORKER, Database, Tx
from tests.builders import ENTITY, PROCESSOR

DAY = date(2018, 8, 27)


def item(side: Side, minor: int, reference: str, **said: Any) -> dict[str, Any]:
    """An item by its principal facts; what is not said is usual: due some days ago, at the processor, in euros."""
    book = said.pop("book", Book.PROCESSOR)
    lines = {Book.BANK: ItemKind.BANK_LINE, Book.PROCESSOR: ItemKind.PROCESSOR_LINE}
    row: dict[str, Any] = {
        "book": book,
        "side": side,
        "kind": lines[book] if side is Side.THEIRS else ItemKind.CAPTURE,
        "owner_id": 0,
        "part": 0,
        "entity_id": ENTITY,
        "processor_id": PROCESSOR if book is Book.PROCESSOR else None,
        "currency": "EUR",
        "amount_minor": minor,
        "fee_minor": 0 if book is Book.PROCESSOR and side is Side.THEIRS else None,
        "reference": reference,
        "batch_ref": "",
        "keys": [reference] if reference else [],
        "party": "",
        "party_account": "",
        "words": "",
        "day": DAY,
        "expected_on": said.get("day", DAY),
        "sort_key": "",
        "booked": True,
        "booked_as": None,
        "suspense_id": None,
        "group_id": None,
    }
    return row | said


def theirs(minor: int, reference: str, **said: Any) -> dict[str, Any]:
    return item(Side.THEIRS, minor, reference, **said)


def ours(minor: int, reference: str, **said: Any) -> dict[str, Any]:
    return item(Side.OURS, minor, reference, **said)


async def add_items(db: Database, rows: list[dict[str, Any]]) -> None:
    """In this order, which is that of their ids; equal items are told apart by their sort_key."""
    await db.write(WORKER, "test", _add, rows)


async def _add(tx: Tx, rows: list[dict[str, Any]]) -> None:
    first = await blocks.reserve(tx, "match_item", len(rows)) + 1
    numbered = [
        row | {"item_id": number, "source_id": number, "sort_key": row["sort_key"] or f"{row['reference']}-{number}"}
        for number, row in enumerate(rows, start=first)
    ]
    await tx.execute(insert(match_item), numbered)
