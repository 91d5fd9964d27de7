"""A page shows one state of the books, whatever is posted while it is made."""

from typing import Any

import pytest

from billing.ledger import store as ledger
from billing.ledger.model import AccountLine, Leg, NewEntry
from marketplace.consoles import ledger_queries
from marketplace.core.db import WORKER, Database, Role, Scope, Tx
from tests.conftest import NOW
from tests.http.market import ALPHA, add_small_market

PAYABLE = 2000


def goodwill(source_id: int) -> NewEntry:
    return NewEntry(
        merchant_id=ALPHA,
        kind="goodwill",
        source_id=source_id,
        currency="EUR",
        occurred_at=NOW,
        effective_on=NOW.date(),
        legs=(Leg(6920, 500), Leg(PAYABLE, -500)),
    )


async def test_a_posting_between_two_queries_of_a_page_is_in_none_of_them(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add_small_market(db)
    await db.write(WORKER, "test", ledger.post, [goodwill(1)])

    async def after_another_posting(tx: Tx, *args: Any, **kwargs: Any) -> list[AccountLine]:
        await db.write(WORKER, "test", ledger.post, [goodwill(2)])
        return await ledger.account_lines(tx, *args, **kwargs)

    monkeypatch.setattr(ledger_queries, "account_lines", after_another_posting)
    async with db.read(Scope(Role.MERCHANT, ALPHA)) as tx:
        page = await ledger_queries.account_page(tx, ALPHA, PAYABLE, None)
    assert [(line.amount_minor, line.balance_minor) for line in page.lines] == [(-500, -500)]
    assert [total.balance_minor for total in page.totals] == [-500]
    async with db.read(WORKER) as tx:
        assert len(await ledger.account_lines(tx, PAYABLE, merchant_id=ALPHA)) == 2
