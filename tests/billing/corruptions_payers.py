"""What `test_verify` plants to have the proofs of third-party payers fail, and the books it plants it in."""

from datetime import UTC, date, datetime

from sqlalchemy import insert

from billing.ledger import store as ledger
from billing.ledger.chart import Account
from billing.ledger.model import Leg, NewEntry
from billing.payers import store as payers
from billing.payers.rules import Priced
from billing.payments.tables import payment, payment_part
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.commission.settle_orders import settle_bucket
from marketplace.flows.payers.apply_payer_contracts import apply_payer_versions
from marketplace.flows.payers.bear_order import Borne, Sale, bear, commit_shares, reserve_shares
from marketplace.flows.payers.claim_shares import ClaimShares, claim_shares
from marketplace.flows.payers.settle_claim import RejectLine, Remit, reject_line, remit
from marketplace.flows.refunds.refund_order import RefundLine, RefundOrder, refund_order
from tests.billing.market import order
from tests.builders import ENTITY, PROCESSOR, add_orders
from tests.payers.market import terms

ORDER, PAYMENT, BUYER = 9, 509, 1
AT = datetime(2018, 7, 3, 10, tzinfo=UTC)


async def add_payers(db: Database, maker: str) -> None:
    """A settled order of merchant 3 of which a payer bears 70.00: claimed, some of it paid, rejected and refunded."""
    await db.write(WORKER, maker, _sell)
    await db.write(WORKER, maker, settle_bucket, [3], AT.date())
    claim = await db.write(
        WORKER, maker, claim_shares, ClaimShares(contract_id=1, entity_id=ENTITY, through=date(2018, 12, 31))
    )
    money = Remit(payer_id=1, claim_id=claim.claim_id, amount_minor=1_000, bank_ref="b", received_on=date(2018, 9, 3))
    await db.write(WORKER, maker, remit, money)
    no = RejectLine(payer_id=1, claim_id=claim.claim_id, line_no=1, amount_minor=500, reason="no")
    await db.write(WORKER, maker, reject_line, no)
    cmd = RefundOrder(merchant_id=3, order_id=ORDER, reason="damaged", lines=(RefundLine(1, 3_000),))
    await db.write(WORKER, maker, refund_order, cmd)


async def _sell(tx: Tx) -> None:
    await payers.insert_payer(tx, name="Health", kind="insurer", email="")
    await apply_payer_versions(tx, [terms(pay_when_paid=True, cap_minor=100_000)])
    await add_orders(tx, [order(3, ORDER, AT.date())])
    sale = Sale(
        merchant_id=3, merchant_ref="m3", entity_id=ENTITY, zone="UTC", lines=(Priced(1, None, 12_000, 0),)
    )  # fmt: skip
    borne = await bear(tx, "EUR", AT, [sale])
    await reserve_shares(tx, [Borne(sale=sale, granted=borne[3])], {3: ORDER}, "order-9")
    legs = await commit_shares(tx, 3, ORDER)
    back = Leg(int(Account.PROCESSOR_CLEARING), -sum(leg.amount_minor for leg in legs), PROCESSOR)
    paid = NewEntry(
        merchant_id=3, kind="payer_paid", source_id=ORDER, currency="EUR", occurred_at=AT, effective_on=AT.date(),
        legs=(*legs, back),
    )  # fmt: skip
    await ledger.post(tx, [paid])
    row = {"buyer_id": BUYER, "payment_id": PAYMENT, "processor_id": PROCESSOR, "currency": "EUR"}
    row |= {"amount_minor": 5_000, "captured_minor": 5_000, "state": "captured"}
    await tx.execute(
        insert(payment),
        row | {"purchase_id": ORDER, "method": "card", "created_at": AT, "expires_at": AT, "captured_at": AT},
    )
    await tx.execute(insert(payment_part), row | {"merchant_id": 3, "order_id": ORDER})


PAYER_CORRUPTIONS: dict[str, tuple[list[str], set[str]]] = {
    "a cap of which more is used than shares take": (
        ["UPDATE billing.payer_lease SET used_minor = used_minor - 1 WHERE used_minor > 0"], {"payer-caps-are-shares"},
    ),
    "a centre that knows of less than its leases hold": (
        ["UPDATE billing.payer_cap SET leased_minor = leased_minor - 1"], {"payer-caps-are-shares"},
    ),
    "a fee that no payer owes": (
        ["UPDATE billing.entry SET accounts = array_replace(accounts, 1110, 6900) WHERE kind = 'payer_fee'"],
        {"payer-receivables-are-shares"},
    ),
    "a merchant who waits for more than is unpaid": (
        ["UPDATE billing.payer_share SET held_minor = held_minor + 1"], {"payer-held-is-waited-for"},
    ),
    "an order for which too much was paid": (
        ["UPDATE billing.payment_part SET amount_minor = amount_minor + 1 WHERE order_id = 9"],
        {"payer-shares-are-prices"},
    ),
    "a refund that took back more than it says": (
        ["UPDATE billing.payer_back SET payer_minor = payer_minor + 1"], {"payer-backs-are-refunds"},
    ),
    "a share that is said to be claimed": (
        ["UPDATE billing.payer_share SET claimed_minor = claimed_minor + 1"], {"payer-claims-are-shares"},
    ),
    "a claim over more than its lines": (
        ["UPDATE billing.payer_claim SET amount_minor = amount_minor + 1"], {"payer-claims-are-lines"},
    ),
    "an invoice to a payer that is missing": (
        ["DELETE FROM billing.payer_document WHERE rejection_id IS NOT NULL"],
        {"payer-documents-are-fees", "payer-documents-are-claims", "series-have-no-gaps"},
    ),
    "a payer's fee that stands in no document": (
        ["UPDATE billing.entry SET accounts = array_replace(accounts, 4060, 6900) WHERE kind = 'payer_fee'"],
        {"payer-documents-are-fees"},
    ),
    "an invoice to a payer that is not the sum of its lines": (
        ["""UPDATE billing.payer_document SET lines = jsonb_set(lines, '{0,net_minor}', '1')"""],
        {"payer-documents-are-claims"},
    ),
    "a number that no claim has": (
        ["UPDATE billing.payer_series SET last_no = last_no + 1"], {"payer-claims-are-lines"},
    ),
}  # fmt: skip
