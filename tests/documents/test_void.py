"""A document that says something wrong: void by two people, its number kept, issued again under another."""

from collections.abc import Awaitable, Callable

import pytest

from billing.documents import store
from billing.documents.model import State, Written
from marketplace.core import policies
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database
from marketplace.core.errors import Conflict, Forbidden, NotFound
from marketplace.flows.documents.void_document import approve_void, ask_void, reissue_document, withdraw_void
from marketplace.flows.proofs.verify_books import verify_books
from marketplace.flows.runs.run_billing import reverse_run
from tests.billing.market import CHECKER, JUNE, MAKER, MAY, billed, check_books, order, settled_market
from tests.documents.market import JULY_2, JUNE_5, LAMPS, MAY_10, at, know, of_run, owed, refund, shown


async def issued(db: Database) -> Written:
    await settled_market(db, [order(1, 1, MAY_10)])
    [one] = await of_run(db, (await billed(db)).run.run_id)
    return one


async def void(db: Database, one: Written) -> None:
    key = (one.document.merchant_id, one.document.document_id)
    await db.write(WORKER, MAKER, ask_void, *key, "wrong address")
    await db.write(WORKER, CHECKER, approve_void, *key)


async def waiting(db: Database) -> int:
    """Void documents that nobody has issued again, in books that hold."""
    await check_books(db)
    return (await verify_books(db)).open_items["void_documents"]


async def test_void_and_issued_again(db: Database, clock: FixedClock) -> None:
    first = await issued(db)
    key = (1, first.document.document_id)
    asked = await db.write(WORKER, MAKER, ask_void, *key, "wrong address")
    assert (asked.state, asked.void_asked_by, asked.void_reason) == (State.ISSUED, MAKER, "wrong address")
    await check_books(db)
    await db.write(WORKER, "admin", policies.switch, "single_operator", on=False)
    with pytest.raises(Forbidden, match="made by maker"):
        await db.write(WORKER, MAKER, approve_void, *key)
    gone = await db.write(WORKER, CHECKER, approve_void, *key)
    assert (gone.state, gone.voided_by, gone.number) == (State.VOID, CHECKER, first.number)
    assert await waiting(db) == 1
    await know(db, LAMPS)
    again = await db.write(WORKER, MAKER, reissue_document, *key)
    assert shown([again]) == [("1-INV-01-000002", 1200, 240, "")]
    assert again.numbers[str(again.document.replaces_id)] == first.number
    assert (again.lines, again.taxes) == (first.lines, first.taxes)
    assert (first.document.buyer.name, again.document.buyer) == ("m1", LAMPS.party)
    async with db.read(WORKER) as tx:
        listed = await store.list_documents(tx, merchant_id=1, limit=10)
    assert {(one.number, one.state) for one in listed} == {
        ("1-INV-01-000001", State.VOID), ("1-INV-01-000002", State.ISSUED),
    }  # fmt: skip
    assert await waiting(db) == 0
    with pytest.raises(Conflict, match="has been issued again as 1-INV-01-000002"):
        await db.write(WORKER, MAKER, reissue_document, *key)


async def test_a_withdrawn_wish_leaves_it_as_it_is(db: Database) -> None:
    one = await issued(db)
    key = (1, one.document.document_id)
    await db.write(WORKER, MAKER, ask_void, *key, "wrong")
    left = await db.write(WORKER, MAKER, withdraw_void, *key)
    assert left == one.document
    with pytest.raises(Conflict, match="nobody asks"):
        await db.write(WORKER, CHECKER, approve_void, *key)


Refused = Callable[[Database, tuple[int, int]], Awaitable[object]]
REFUSED: dict[str, tuple[Refused, str]] = {
    "asked twice": (lambda db, key: db.write(WORKER, CHECKER, ask_void, *key, "x"), "maker has asked"),
    "issued again while it stands": (
        lambda db, key: db.write(WORKER, MAKER, reissue_document, *key),
        "only a void one",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_is_refused(db: Database, name: str) -> None:
    one = await issued(db)
    key = (1, one.document.document_id)
    await db.write(WORKER, MAKER, ask_void, *key, "wrong")
    deed, said = REFUSED[name]
    with pytest.raises(Conflict, match=said):
        await deed(db, key)


async def test_one_person_may_do_both_where_the_policy_says_so(db: Database) -> None:
    one = await issued(db)
    key = (1, one.document.document_id)
    await db.write(WORKER, "admin", policies.switch, "single_operator", on=True)
    await db.write(WORKER, MAKER, ask_void, *key, "wrong")
    assert (await db.write(WORKER, MAKER, approve_void, *key)).state is State.VOID


async def test_what_others_correct_stays(db: Database, clock: FixedClock) -> None:
    """First the credit note is void, then the invoice; and both are issued again."""
    one = await issued(db)
    at(clock, JUNE_5)
    await refund(db, 1, 6_000)
    at(clock, JULY_2)
    [note] = await of_run(db, (await billed(db, JUNE)).run.run_id)
    with pytest.raises(Conflict, match="other documents correct it"):
        await db.write(WORKER, MAKER, ask_void, 1, one.document.document_id, "wrong")
    await void(db, note)
    await void(db, one)
    with pytest.raises(Conflict, match="which it corrects, is void"):
        await db.write(WORKER, MAKER, reissue_document, 1, note.document.document_id)
    for each in (one, note):
        await db.write(WORKER, MAKER, reissue_document, 1, each.document.document_id)
    [invoice] = await of_run(db, one.document.run_id)
    [credit] = await of_run(db, note.document.run_id)
    assert shown([credit]) == [("1-CRN-01-000002", 600, 120, invoice.number)]
    assert owed([invoice, credit]) == (600, 120)
    await check_books(db)


async def test_a_reversed_run_has_nothing_to_issue_again(db: Database) -> None:
    one = await issued(db)
    await void(db, one)
    await reverse_run(db, MAKER, one.document.run_id)
    with pytest.raises(Conflict, match="is reversed, so nothing is to be issued"):
        await db.write(WORKER, MAKER, reissue_document, 1, one.document.document_id)
    await billed(db, MAY)
    await check_books(db)


async def test_there_is_no_such_document(db: Database) -> None:
    with pytest.raises(NotFound, match="merchant 1 has no document 5"):
        await db.write(WORKER, MAKER, ask_void, 1, 5, "x")
