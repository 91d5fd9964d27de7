"""A payer in the billed market of the pages: it bears charges of two merchants, and a claim on it is sent."""

from datetime import date

from billing.payers import store
from billing.payers.claims.store import PayerClaim
from billing.payers.terms import PayerTerms
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.payers.apply_payer_contracts import apply_payer_versions
from marketplace.flows.payers.claim_shares import ClaimShares, claim_shares
from marketplace.flows.payers.cover_cost import CoverCost, commit_cost, reserve_cost
from tests.pages.conftest import MARKET_NOW, MINE, OTHERS

ENTITY = 1
SETTLED_ON = date(2018, 9, 1)
TERMS = PayerTerms(
    name="charges of care", payer="Health", currency="EUR", pays="charges", valid_from=date(2018, 1, 1),
    share_ppm=1_000_000, cap_minor=100_000, cap_period="month", fee_ppm=10_000, vat_ppm=190_000,
)  # fmt: skip


async def _add(tx: Tx) -> None:
    await store.insert_payer(tx, name=TERMS.payer, kind="insurer", email="claims@health.test")
    await apply_payer_versions(tx, [TERMS])


async def _bear(tx: Tx, source_id: int) -> None:
    for merchant_id in (MINE, OTHERS):
        cost = CoverCost(
            contract_id=1, merchant_id=merchant_id, entity_id=ENTITY, source="charge", source_id=source_id,
            source_ref=f"charge {source_id}", amount_minor=5_000, on=SETTLED_ON,
        )  # fmt: skip
        await reserve_cost(tx, cost)
        await commit_cost(tx, merchant_id, "charge", source_id, 1, on=SETTLED_ON)


async def add_payer(db: Database) -> PayerClaim:
    """The payer, its contract, and a claim of two lines of 50.00 each."""
    await db.write(WORKER, "test", _add)
    return await another_claim(db, 101)


async def another_claim(db: Database, source_id: int) -> PayerClaim:
    await db.write(WORKER, "test", _bear, source_id)
    cmd = ClaimShares(contract_id=1, entity_id=ENTITY, through=MARKET_NOW.date())
    return await db.write(WORKER, "finance", claim_shares, cmd)
