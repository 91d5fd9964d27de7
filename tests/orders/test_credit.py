"""Buyers' credit: granted, expired, and never out of step with the house's books."""

import pytest

from billing.credit import store
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import Conflict, Invalid, NotFound
from marketplace.flows.grant_credit import ExpireCredit, GrantCredit, Granted, expire_credit, grant_credit
from tests.billing.market import check_books
from tests.builders import HOUSE
from tests.orders.paid import BUYER, Paid, entry, market, of


async def grant(db: Database, amount: int, buyer: int = BUYER, currency: str = "EUR") -> Granted:
    cmd = GrantCredit(buyer_id=buyer, currency=currency, amount_minor=amount, reason="sorry")
    return await db.write(WORKER, "ops", grant_credit, cmd)


async def test_credit_is_granted_and_expires_at_the_houses_cost(db: Database) -> None:
    await market(db, Paid(order=of(1, 1)))
    await grant(db, 1_000)
    assert await entry(db, "credit_granted", HOUSE) == {6920: 1_000, 2410: -1_000}
    assert (await grant(db, 500)).accounts == [store.Credit("EUR", 1_500, 0)]
    expired = await db.write(
        WORKER, "clock", expire_credit, ExpireCredit(buyer_id=BUYER, currency="EUR", amount_minor=1_100)
    )
    assert expired.accounts == [store.Credit("EUR", 400, 0)]
    assert await entry(db, "credit_expired", HOUSE) == {2410: 1_100, 6920: -1_100}
    async with db.read(WORKER) as tx:
        moved = await store.movements(tx, BUYER, limit=10, before=None)
    assert [(one.kind, one.amount_minor) for one in moved] == [
        ("expired", -1_100),
        ("granted", 500),
        ("granted", 1_000),
    ]
    await check_books(db)


async def test_what_is_set_aside_for_a_payment_does_not_expire(db: Database) -> None:
    await market(db, Paid(order=of(1, 1)))
    await grant(db, 1_000)
    await db.write(WORKER, "test", Tx.execute, "UPDATE billing.credit_account SET reserved_minor = 300")
    with pytest.raises(Conflict, match="less than 701 of free credit"):
        await db.write(WORKER, "clock", expire_credit, ExpireCredit(buyer_id=BUYER, currency="EUR", amount_minor=701))
    await check_books(db)


async def test_what_cannot_be_granted_is_refused_by_name(db: Database) -> None:
    await market(db, Paid(order=of(1, 1)))
    with pytest.raises(NotFound, match="buyer 77"):
        await grant(db, 1, buyer=77)
    with pytest.raises(Invalid, match="currency"):
        await grant(db, 1, currency="USD")
    with pytest.raises(Invalid, match="amount_minor"):
        await grant(db, 0)
