"""A market in which a payer pays a part: merchants 11 and 22, orders placed, paid, delivered and settled for real."""

from datetime import date, timedelta

from billing.contracts.terms import Terms
from billing.payers import store as payers
from billing.payers.claims.store import PayerClaim
from billing.payers.shares.store import PayerShare, shares_of
from billing.payers.terms import PayerTerms
from billing.payments.facts import PaymentFact, PaymentState, payment_reference
from demand.store import queue_delivered
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.commission.apply_contracts import apply_versions
from marketplace.flows.commission.settle_orders import settle_through
from marketplace.flows.orders.read_placed import Placed
from marketplace.flows.payers.apply_payer_contracts import PayersApplied, apply_payer_versions
from marketplace.flows.payers.claim_shares import ClaimShares, claim_shares
from marketplace.flows.payments.take_payment import payment_changed
from tests.billing.market import FLAT
from tests.builders import ENTITY
from tests.conftest import NOW
from tests.placing.market import ALPHA, CUP, TEA, line, new_cart, place, prepare

THROUGH = date(2018, 9, 30)
OPEN_TERMS = Terms(name=FLAT.name, currency="EUR", valid_from=date(2018, 1, 1), rate_ppm=100_000, vat_ppm=200_000)


def terms(**changes: object) -> PayerTerms:
    """80 % of an order up to 70.00, as posting D of domain.md, with 2 % and VAT for the platform."""
    given: dict[str, object] = {
        "name": "care",
        "payer": "Health",
        "currency": "EUR",
        "valid_from": date(2018, 1, 1),
        "share_ppm": 800_000,
        "order_cap_minor": 7_000,
        "fee_ppm": 20_000,
        "vat_ppm": 200_000,
    }
    return PayerTerms(**{**given, **changes})  # type: ignore[arg-type]  # fields by name


async def _add(tx: Tx, contracts: tuple[PayerTerms, ...]) -> None:
    await apply_versions(tx, [OPEN_TERMS])
    for name in sorted({one.payer for one in contracts}):
        await payers.insert_payer(tx, name=name, kind="insurer", email="claims@example.org")
    await apply_payer_versions(tx, contracts)
    # One listing at 120.00 without freight, as the worked postings have it.
    await tx.execute(
        "UPDATE supply.offer SET price_minor = 12000, freight_minor = 0, category = 'care', counted = false"
        " WHERE product_id = :tea",
        {"tea": TEA},
    )
    await tx.execute("DELETE FROM supply.stock WHERE product_id = :tea", {"tea": TEA})


async def market(db: Database, *contracts: PayerTerms) -> None:
    await prepare(db)
    await db.write(WORKER, "test", _add, contracts or (terms(),))


async def apply(db: Database, *contracts: PayerTerms) -> PayersApplied:
    return await db.write(WORKER, "test", apply_payer_versions, contracts)


async def bought(db: Database, key: str = "k1", *, quantity: int = 1, cups: int = 0) -> Placed:
    """An order of merchant 11: so much tea at 120.00, and cups at 7.99."""
    lines = [line(ALPHA, TEA, quantity), *([line(ALPHA, CUP, cups)] if cups else [])]
    return await place(db, await new_cart(db, *lines), key)


async def pay(db: Database, placed: Placed) -> None:
    """The processor says that the buyer's part is captured."""
    fact = PaymentFact(
        reference=payment_reference(placed.buyer_id, placed.payment_id), state=PaymentState.CAPTURED,
        amount_minor=placed.pay_minor, currency="EUR", processor_ref="pay_1", occurred_at=NOW, failure=None,
    )  # fmt: skip
    await db.write(WORKER, "processor", payment_changed, 2, fact)


async def _deliver(tx: Tx, order_id: int) -> None:
    await tx.execute(
        "UPDATE demand.merchant_order SET state = 'delivered', delivered_at = :at, delivered_on = :day"
        " WHERE order_id = :order",
        {"at": NOW + timedelta(hours=1), "day": NOW.date(), "order": order_id},
    )
    await tx.execute(
        "UPDATE demand.order_line SET shipped_quantity = quantity, delivered_quantity = quantity"
        " WHERE order_id = :order",
        {"order": order_id},
    )
    await queue_delivered(tx, [ALPHA], after_order_id=order_id - 1, upto_order_id=order_id)


async def settle(db: Database, placed: Placed) -> None:
    await db.write(WORKER, "test", _deliver, placed.orders[0].order_id)
    await settle_through(db, "test", THROUGH)


async def sold(db: Database, key: str = "k1", *, settled: bool = True, quantity: int = 1, cups: int = 0) -> Placed:
    """Placed, paid, and settled."""
    placed = await bought(db, key, quantity=quantity, cups=cups)
    if placed.pay_minor:
        await pay(db, placed)
    if settled:
        await settle(db, placed)
    return placed


async def share(db: Database, placed: Placed) -> PayerShare:
    """What the one payer bears of it."""
    async with db.read(WORKER) as tx:
        [found] = await shares_of(tx, ALPHA, "order", placed.orders[0].order_id)
    return found


async def claim(db: Database, contract_id: int = 1) -> PayerClaim:
    return await db.write(
        WORKER, "test", claim_shares, ClaimShares(contract_id=contract_id, entity_id=ENTITY, through=THROUGH)
    )


async def used(db: Database) -> int:
    """What is used of all caps."""
    async with db.read(WORKER) as tx:
        total: int = await tx.scalar("SELECT coalesce(sum(used_minor), 0)::bigint FROM billing.payer_lease")
    return total
