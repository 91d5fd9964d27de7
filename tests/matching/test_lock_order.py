"""What a match books is booked in pages, and with the books held in one order, whoever else holds some of them."""

from types import SimpleNamespace
from typing import Any

import pytest

from billing.matching.model import Draft, ItemKind, Side, Stage
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import Conflict
from marketplace.flows.bank import book_matches, match_lines
from marketplace.flows.payouts.instruct_bank import approve_file
from tests.billing.market import CHECKER, NET_OF_120, check_books
from tests.billing.test_payout_files import made, to_pay
from tests.matching.items import add_items, ours, theirs
from tests.matching.market import bank_says, groups, line, matched, name_accounts, open_items
from tests.matching.test_by_hand import BANK
from tests.payments.market import add_merchants

MERCHANTS = (1, 2, 3, 4, 5)


async def paid_by_file(db: Database) -> None:
    """The bank has paid a file of five payouts as one line."""
    await to_pay(db, MERCHANTS)
    file = await made(db)
    await db.write(WORKER, CHECKER, approve_file, file.file_id)
    await db.write(WORKER, "fay", name_accounts)
    await bank_says(db, [line(-5 * NET_OF_120, text=f"collective order PAYOUT-{file.file_id}")])


async def confirmed(db: Database) -> tuple[int, int]:
    """How many payouts are confirmed, and by how many transactions."""
    async with db.read(WORKER) as tx:
        row: Any = await tx.row(
            "SELECT count(*) AS payouts, count(DISTINCT xmin::text) AS parts FROM billing.payout"
            " WHERE state = 'confirmed'"
        )
    return row.payouts, row.parts


async def test_a_file_of_many_payouts_is_confirmed_some_at_a_time(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(match_lines, "PAYOUTS_AT_ONCE", 2)
    await paid_by_file(db)
    assert (await matched(db)).found["batch"] == 1
    assert await confirmed(db) == (5, 3)
    [group] = await groups(db)
    assert (group.stage, len(group.ours)) == (Stage.BATCH, 5)
    assert await open_items(db) == []
    await check_books(db)


async def test_what_was_confirmed_ahead_is_matched_by_the_next_pass(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pass ends between the payouts and their group: nothing is lost, and nothing is booked twice."""
    monkeypatch.setattr(match_lines, "PAYOUTS_AT_ONCE", 2)
    await paid_by_file(db)

    async def refused(*_: Any, **__: Any) -> None:
        raise Conflict("not now")

    with monkeypatch.context() as cut:
        cut.setattr(match_lines, "make_group", refused)
        await matched(db)
    assert ((await confirmed(db))[0], await groups(db)) == (5, [])
    await check_books(db)
    assert (await matched(db)).found["batch"] == 1
    assert await open_items(db) == []
    await check_books(db)


async def test_the_books_of_all_claims_of_a_match_are_held_first_and_in_order(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await db.write(WORKER, "test", add_merchants)
    claims = [ours(minor, f"C{minor}", kind=ItemKind.CLAIM, booked=False, **BANK) for minor in (200, 300)]
    await add_items(db, [theirs(500, "R", **BANK), *claims])
    items = await open_items(db)
    of_claim = dict(
        zip([item.source_id for item in items if item.side is Side.OURS], ([33, 11], [22, 11]), strict=True)
    )
    done: list[Any] = []

    async def lines_of(_: Tx, __: int, claim_id: int) -> list[Any]:
        return [SimpleNamespace(merchant_id=merchant_id) for merchant_id in of_claim[claim_id]]

    async def lock_books(_: Tx, merchant_id: int) -> None:
        done.append(merchant_id)

    async def book(*_: Any) -> None:
        done.append("books")

    monkeypatch.setattr("billing.payers.claims.store.lines_of", lines_of)
    monkeypatch.setattr("marketplace.flows.payments.take_payment.ledger.lock_books", lock_books)
    monkeypatch.setattr(book_matches, "_book", book)
    draft = Draft(
        stage=Stage.MANUAL,
        theirs=tuple(item.item_id for item in items if item.side is Side.THEIRS),
        ours=tuple(item.item_id for item in items if item.side is Side.OURS),
    )
    await db.write(WORKER, "fay", book_matches.make_group, draft, rules_version=0)
    assert done[:5] == [11, 22, 33, "books", "books"]
