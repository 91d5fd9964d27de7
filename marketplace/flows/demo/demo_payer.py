"""A third-party payer of the demonstration: it bears a part of some merchants' charges, is claimed on, pays a part."""

from datetime import date

from billing.payers import store
from billing.payers.claims import store as claims
from billing.payers.terms import PayerTerms
from marketplace.core.clock import local_date
from marketplace.core.db import Tx
from marketplace.flows.demo.demo_market import CURRENCY, ENTITY, ZONE, DemoMarket
from marketplace.flows.payers.apply_payer_contracts import apply_payer_versions
from marketplace.flows.payers.claim_shares import ClaimShares, claim_shares
from marketplace.flows.payers.settle_claim import Remit, remit

PAYER = "Regional development fund"
PERSON = "payer"
CONTRACT = "Half of the charges of young shops"
_SHOPS = 12


async def agree_with_payer(tx: Tx, market: DemoMarket) -> None:
    """A fund bears half of the charges of some merchants, up to 2,000.00 a month. Once, before charges are billed."""
    if await store.payers_named(tx, [PAYER]):
        return
    await store.insert_payer(
        tx,
        name=PAYER,
        kind="government",
        email="claims@fund.example",
        address="Amtsplatz 4, 10178 Berlin",
        country="DE",
    )
    terms = PayerTerms(
        name=CONTRACT, payer=PAYER, currency=CURRENCY, pays="charges", valid_from=date(market.first_on.year - 1, 1, 1),
        merchants=tuple(shop.merchant_ref for shop in market.shops[3 : 3 + _SHOPS]), share_ppm=500_000,
        cap_minor=200_000, cap_period="month", fee_ppm=20_000, vat_ppm=190_000, due_days=30,
    )  # fmt: skip
    await apply_payer_versions(tx, [terms])


async def claim_on_payer(tx: Tx, last_on: date) -> None:
    """Claim what the fund bears of the charges billed through a day; half of it is in the bank already. Once."""
    payer_id = (await store.payers_named(tx, [PAYER]))[PAYER]
    if await claims.list_claims(tx, payer_id=payer_id, limit=1):
        return
    contract_id = (await store.contracts_named(tx, [CONTRACT]))[CONTRACT]
    entity_id = await tx.scalar("SELECT entity_id FROM billing.entity WHERE name = :name", name=ENTITY)
    claim = await claim_shares(tx, ClaimShares(contract_id=contract_id, entity_id=entity_id, through=last_on))
    money = Remit(
        payer_id=payer_id, claim_id=claim.claim_id, amount_minor=claim.open_minor // 2, bank_ref="FUND-1",
        received_on=local_date(tx.now, ZONE),
    )  # fmt: skip
    await remit(tx, money)
