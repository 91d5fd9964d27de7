"""What goes back to buyers, as it is expected at the processor: once it is paid, and never where it failed."""

import pytest

from billing.breaks.model import BreakKind, Limits
from billing.matching.model import Item, ItemKind, Side
from marketplace.core.db import WORKER, Database
from marketplace.core.errors import Invalid
from marketplace.flows.bank.work_breaks import SayOfBreak, set_limits, write_off
from marketplace.flows.payments.import_processor_file import import_processor_file
from marketplace.flows.refunds.cancel_refund import cancel_refund
from marketplace.flows.refunds.pay_refund import RefundKey, refund_to_credit, retry_refund
from tests.billing.market import check_books
from tests.builders import ENTITY
from tests.matching.items import add_items, theirs
from tests.matching.market import groups, matched, name_accounts, open_items, tomorrow
from tests.matching.test_by_hand import live_breaks
from tests.orders.paid import Paid, balances, market, of, refund, says
from tests.orders.test_refund_fees import settled_by_processor
from tests.periods.test_close_matched import found

BACK = """id,kind,reference,dispute,gross,fee,net,currency,at
mv_back,refund,1-{refund},,-120.00,0.00,-120.00,EUR,2018-09-03T13:00:00+00:00
1,total,batch_back,,-120.00,0.00,-120.00,EUR,2018-09-03
"""


async def expected(db: Database) -> list[Item]:
    await matched(db)
    return await open_items(db, kind=ItemKind.REFUND)


async def sold(db: Database) -> None:
    await market(db, Paid(order=of(1, 1)), settled=True)
    await db.write(WORKER, "fay", name_accounts)


async def test_what_failed_at_the_processor_is_not_expected_there(db: Database) -> None:
    """On its way it is expected and not booked; failed it is neither, whatever is decided about it; retried it is."""
    await sold(db)
    done = await refund(db)
    [item] = await expected(db)
    assert (item.amount_minor, item.booked) == (-12_000, False)
    await says(db, done, ok=False)
    assert await expected(db) == []
    assert not [one for one in await live_breaks(db) if one.detail.startswith("refund")]
    await tomorrow(db)
    await db.write(WORKER, "ops", retry_refund, RefundKey(1, done.refund_id))
    [again] = await expected(db)
    assert (again.booked, again.item_id != item.item_id) == (False, True)
    await says(db, done, ok=True, after=24 * 60 + 1)
    [paid] = await expected(db)
    assert (paid.item_id, paid.booked) == (again.item_id, True)
    assert 1020 not in await balances(db)  # captured, and given back
    await says(db, done, ok=False, after=24 * 60 + 2)
    assert await expected(db) == []
    await check_books(db)


async def test_what_was_matched_and_bounces_is_expected_back(db: Database) -> None:
    """The file had the refund; then it came back: the processor owes it, and clearing says so."""
    await sold(db)
    await settled_by_processor(db)
    done = await refund(db)
    await import_processor_file(db, "fay", "card", BACK.format(refund=done.refund_id).encode())
    await says(db, done, ok=True, after=1)
    await matched(db)
    assert await open_items(db, kind=ItemKind.REFUND) == []
    await says(db, done, ok=False, after=2)
    [bounced] = await expected(db)
    assert (bounced.amount_minor, bounced.booked, bounced.part) == (12_000, True, 1)
    assert (await matched(db)).found["listed"] == 0
    assert "clearing-is-items" not in await found(db, "2018-09")
    await add_items(db, [theirs(12_000, bounced.reference)])
    assert (await matched(db)).found["exact"] == 1
    await check_books(db)


@pytest.mark.parametrize("deed", [refund_to_credit, cancel_refund])
async def test_what_is_decided_otherwise_is_not_expected(db: Database, deed: object) -> None:
    await sold(db)
    done = await refund(db)
    await says(db, done, ok=False)
    await db.write(WORKER, "ops", deed, RefundKey(1, done.refund_id))  # type: ignore[arg-type]
    assert await expected(db) == []


async def test_nothing_is_gained_by_writing_off_what_is_on_its_way(db: Database) -> None:
    """A refund that nobody has paid yet is not in clearing, so there is nothing to write off."""
    await sold(db)
    await refund(db)
    limits = Limits(entity_id=ENTITY, currency="EUR", accountant_minor=10**6, controller_minor=10**6)
    await db.write(WORKER, "col", set_limits, limits)
    await tomorrow(db, 9)
    await matched(db)
    [late] = [one for one in await live_breaks(db) if one.detail.startswith("refund")]
    assert late.kind is BreakKind.MISSING_EXTERNAL
    with pytest.raises(Invalid, match="is not booked yet"):
        await db.write(WORKER, "fay", write_off, SayOfBreak(break_id=late.break_id, words="never came"))


async def test_a_file_that_is_ahead_of_the_event_waits_for_it(db: Database) -> None:
    """The file has the refund, our books not: a break of status, that ends once the processor says it is paid."""
    await sold(db)
    await settled_by_processor(db)
    done = await refund(db)
    await import_processor_file(db, "fay", "card", BACK.format(refund=done.refund_id).encode())
    await matched(db)
    [ahead] = [one for one in await live_breaks(db) if one.detail.startswith("processor_line")]
    assert (ahead.kind, ahead.amount_minor) == (BreakKind.STATUS, -12_000)
    await says(db, done, ok=True, after=1)
    await matched(db)
    assert not [one for one in await live_breaks(db) if one.detail.startswith(("processor_line", "refund"))]
    assert [item.kind for item in await open_items(db, side=Side.THEIRS)] == []
    assert len(await groups(db)) == 2
    await check_books(db)
