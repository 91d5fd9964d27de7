"""A small market whose months can be billed, and what its books say afterwards."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

from billing.contracts.terms import Terms
from billing.ledger import store as ledger
from billing.ledger.chart import Account
from billing.ledger.model import NewEntry, legs
from billing.runs import store
from billing.runs.model import COLUMNS, Statement, period_named
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.commission.apply_contracts import apply_versions
from marketplace.flows.commission.settle_orders import settle_through
from marketplace.flows.proofs.verify_books import verify_books
from marketplace.flows.runs.run_billing import RunResult, approve_run, finalise_run, run_period
from tests.builders import Line, Order, add_market, add_orders

FLAT = Terms(name="flat", currency="EUR", valid_from=date(2018, 1, 1), rate_ppm=100_000, vat_ppm=200_000)
"""10 % and 20 % VAT on it: of an order of 120.00 the merchant keeps 105.60 (domain.md, posting A1)."""
NET_OF_120 = 10560

MAKER, CHECKER = "maker", "checker"
MAY, JUNE, JULY = period_named("2018-05"), period_named("2018-06"), period_named("2018-07")


def order(merchant_id: int, order_id: int, on: date, minor: int = 12000) -> Order:
    """An order of `minor` in goods, paid and delivered at ten o'clock on a day."""
    at = datetime(on.year, on.month, on.day, 10, tzinfo=UTC)
    line = Line(goods_minor=minor)
    return Order(merchant_id=merchant_id, order_id=order_id, lines=(line,), placed_at=at, settles_at=at)


async def prepare(
    tx: Tx, orders: Sequence[Order], merchants: Sequence[int] = (1, 2, 3), contracts: Sequence[Terms] = (FLAT,)
) -> None:
    """The market, its orders, its contracts."""
    await add_market(tx, merchants)
    await add_orders(tx, orders)
    await apply_versions(tx, contracts)


async def settled_market(db: Database, orders: Sequence[Order], through: date = date(2018, 5, 31)) -> None:
    await db.write(WORKER, MAKER, prepare, orders)
    await settle_through(db, MAKER, through)


async def billed(db: Database, period: Any = MAY) -> RunResult:
    """Previewed by the maker, approved and finalised by the checker."""
    run = (await run_period(db, MAKER, period)).run
    await approve_run(db, CHECKER, run.run_id)
    return await finalise_run(db, CHECKER, run.run_id)


def goodwill(merchant_id: int, source_id: int, on: date, minor: int, currency: str = "EUR") -> NewEntry:
    """Posting P: the platform gives a merchant something, or takes it when `minor` is negative."""
    return NewEntry(
        merchant_id=merchant_id,
        kind="goodwill",
        source_id=source_id,
        currency=currency,
        occurred_at=datetime(on.year, on.month, on.day, 12, tzinfo=UTC),
        effective_on=on,
        legs=legs({Account.ADJUSTMENTS: minor, Account.PAYABLE: -minor}),
    )


async def payable(db: Database, merchant_id: int, as_of: date | None = None) -> dict[str, int]:
    """What the platform owes a merchant, by currency."""
    async with db.read(WORKER) as tx:
        balances = await ledger.balances(tx, merchant_id, as_of=as_of)
    return {b.currency: -b.balance_minor for b in balances if b.account == Account.PAYABLE}


async def statements(db: Database, run_id: int) -> dict[tuple[int, str], Statement]:
    """A run's statements by merchant and currency."""
    async with db.read(WORKER) as tx:
        found = await store.list_statements(tx, run_id=run_id)
    return {(one.merchant_id, one.currency): one for one in found}


def figures(statement: Statement) -> dict[str, int]:
    """The statement's amounts other than zero, without the suffix."""
    names = ("opening_minor", *COLUMNS, "closing_minor")
    return {name.removesuffix("_minor"): getattr(statement, name) for name in names if getattr(statement, name)}


async def payouts(db: Database, run_id: int) -> dict[tuple[int, str], int]:
    async with db.read(WORKER) as tx:
        found = await store.list_payouts(tx, run_id=run_id)
    return {(one.merchant_id, one.currency): one.amount_minor for one in found if one.state != "cancelled"}


async def check_books(db: Database) -> None:
    """Fails naming the proofs that do not hold."""
    verified = await verify_books(db)
    broken = [(proof.name, proof.examples) for proof in verified.proofs if not proof.ok]
    assert not broken, broken
