"""What the demonstration's payouts and documents need: every account is one, and each has been open long enough."""

import pytest

from billing.bank_accounts.model import checked_iban
from marketplace.core.db import WORKER, Database
from marketplace.flows.demo import demo_papers
from marketplace.flows.demo.demo_market import DemoMarket, load_demo_market, make_market
from marketplace.flows.demo.demo_papers import hand_in_papers
from marketplace.flows.documents.set_billing_details import read_details
from tests.conftest import NOW

MERCHANTS = 6


@pytest.fixture(scope="module")
def small() -> DemoMarket:
    return make_market(NOW, orders=100, merchants=MERCHANTS)


async def test_everybody_has_an_address_and_most_an_account(
    db: Database, small: DemoMarket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo_papers, "_WITHOUT_ACCOUNT", 4)
    await load_demo_market(db, "operator", small)
    for _ in range(2):  # again it changes nothing
        await db.write(WORKER, "operator", hand_in_papers, small)
    async with db.read(WORKER) as tx:
        accounts = await tx.rows("SELECT merchant_id, number, state, active_from FROM billing.bank_account")
        details = [await read_details(tx, merchant_id) for merchant_id in (-1, *range(1, MERCHANTS + 1))]
        debtor = await tx.scalar("SELECT number FROM billing.debtor_account")
    assert sorted(row.merchant_id for row in accounts) == [1, 2, 3, 5, 6]
    assert {row.state for row in accounts} == {"active"}
    assert max(row.active_from for row in accounts).date() <= small.first_on
    assert len({checked_iban(number) for number in (debtor, *(row.number for row in accounts))}) == MERCHANTS
    assert [(each.version, each.party.country) for each in details] == [(1, "DE")] * (MERCHANTS + 1)
    assert all(each.party.address and each.party.tax_id for each in details)
