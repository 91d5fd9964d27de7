"""What the finance console shows: runs, the trial balance, payments against orders. Sums are made in SQL."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

import msgspec

from billing.ledger.model import TrialLine
from billing.ledger.store import trial_balance
from billing.receivable_queries import age_receivables
from billing.receivables import Aged
from billing.runs.model import AT_WORK
from demand.store import ORDER_STATE
from marketplace.consoles.books_queries import STATEMENT_COLUMNS
from marketplace.consoles.ops_queries import Entity, get_entity, list_entities
from marketplace.core import policies, work
from marketplace.core.clock import local_date
from marketplace.core.db import Tx
from marketplace.core.errors import NotFound
from marketplace.core.last_checks import LastCheck
from marketplace.flows.payments.reconcile_payments import MatchKind, Reconciliation
from marketplace.flows.proofs.check_again import last_of_books, last_of_payments
from marketplace.flows.proofs.verify_books import Verified

RUNS_MAX = 12
DEEDS_MAX = 6
DEEDS_LOOKED_AT_MAX = 1000
LISTED_MAX = 100


class Run(msgspec.Struct, frozen=True):
    """A billing run with the totals of its statements in one currency; a run without statements has none.

    instructed_minor: the payouts that this run instructed. The column `payout` is what the period's books hold of
    payouts, which were instructed by the run before.
    """

    run_id: int
    batch_id: int | None
    from_on: date
    to_on: date
    payout_on: date
    state: str
    made_by: str
    made_at: datetime
    approved_by: str | None
    approved_at: datetime | None
    single_operator: bool
    finalised_at: datetime | None
    reversed_by: str | None
    reversed_at: datetime | None
    currency: str
    statements: int
    parked: int
    orders: int
    instructed_minor: int
    opening_minor: int
    columns: Sequence[tuple[str, int]]
    closing_minor: int

    @property
    def last_on(self) -> date:
        return self.to_on - timedelta(days=1)

    def column(self, name: str) -> int:
        """The run's total of one statement column."""
        return dict(self.columns)[name]

    @property
    def earned_minor(self) -> int:
        """What the platform charged the merchants for commission, without VAT."""
        return -self.column("commission")


class Deed(msgspec.Struct, frozen=True):
    """Something that one person both made and approved, as the policy single_operator allows."""

    at: datetime
    actor: str
    action: str
    subject: str


class FinanceHome(msgspec.Struct, frozen=True):
    entity: Entity
    entities: Sequence[Entity]
    runs: Sequence[Run]
    trial: Sequence[TrialLine]
    compared: LastCheck[Reconciliation]
    single_operator: bool
    deeds: Sequence[Deed]
    ageing: Sequence[Aged]

    @property
    def owed_minor(self) -> int:
        """What merchants owe the platform, of any age."""
        return sum(aged.balance_minor for aged in self.ageing)

    @property
    def next_month(self) -> str:
        """The month to be billed next, as a form writes it; "" while none was closed."""
        closed = self.entity.closed_through
        return f"{closed + timedelta(days=1):%Y-%m}" if closed else ""

    @property
    def debit_minor(self) -> int:
        return sum(line.debit_minor for line in self.trial)

    @property
    def credit_minor(self) -> int:
        return sum(line.credit_minor for line in self.trial)

    @property
    def breaks(self) -> int | None:
        """Orders whose payments did not match, beyond the tolerance, when they were last compared."""
        found = self.compared.answer
        if found is None:
            return None
        return found.amount_break.count + found.payment_without_items.count + found.order_without_payment.count


class Progress(msgspec.Struct, frozen=True):
    """How far a run is, in buckets of merchants; working: something of it is still to be done."""

    state: str
    done: int
    total: int
    working: bool


class RunPage(msgspec.Struct, frozen=True):
    """A run, and its totals in each currency."""

    entity: Entity
    totals: Sequence[Run]
    progress: Progress

    @property
    def run(self) -> Run:
        """What is the same in every currency."""
        return self.totals[0]


class ReconciliationPage(msgspec.Struct, frozen=True):
    """Payments against orders by class."""

    entity: Entity
    compared: LastCheck[Reconciliation]
    wanted: MatchKind


class ProofsPage(msgspec.Struct, frozen=True):
    """Every invariant of the books as they were last proved."""

    zone: str
    proved: LastCheck[Verified]


class PurchaseOrder(msgspec.Struct, frozen=True):
    merchant_id: int
    merchant_name: str
    order_id: int
    state: str
    currency: str
    due_minor: int


class PaymentLine(msgspec.Struct, frozen=True):
    line_no: int
    method: str
    instalments: int
    currency: str
    amount_minor: int
    paid_on: date


class PurchasePage(msgspec.Struct, frozen=True):
    """What a buyer bought at once: the merchants' orders, and what the processor says was paid for them."""

    order_ref: str
    currency: str
    orders: Sequence[PurchaseOrder]
    payments: Sequence[PaymentLine]
    house_merchant_id: int | None
    house_entry_no: int | None

    @property
    def due_minor(self) -> int:
        return sum(order.due_minor for order in self.orders)

    @property
    def paid_minor(self) -> int:
        return sum(line.amount_minor for line in self.payments)


async def home(tx: Tx, entity: Entity) -> FinanceHome:
    return FinanceHome(
        entity=entity,
        entities=await list_entities(tx),
        runs=await list_runs(tx, entity),
        trial=[
            line
            for line in await trial_balance(tx, entity_id=entity.entity_id)
            if line.currency == entity.currency and (line.debit_minor or line.credit_minor)
        ],
        compared=await last_of_payments(tx, entity.currency),
        single_operator=await policies.is_on(tx, "single_operator"),
        deeds=[Deed(*row) for row in await tx.rows(_DEEDS, looked_at=DEEDS_LOOKED_AT_MAX, limit=DEEDS_MAX)],
        ageing=await age_receivables(tx, entity.currency, local_date(tx.now, entity.zone)),
    )


async def list_runs(tx: Tx, entity: Entity) -> list[Run]:
    """The newest runs, aborted ones left out."""
    rows = await tx.rows(
        _RUNS.format(wanted="r.entity_id = :entity AND r.state <> 'aborted'"),
        entity=entity.entity_id,
        currency=entity.currency,
        limit=RUNS_MAX,
    )
    return [_run(row) for row in rows]


async def run_progress(tx: Tx, run_id: int) -> Progress:
    """Raises NotFound."""
    row = await tx.row("SELECT state, batch_id FROM billing.billing_run WHERE run_id = :run", run=run_id)
    if row is None:
        raise NotFound(f"there is no billing run {run_id}")
    if row.batch_id is None or row.state not in AT_WORK:
        return Progress(row.state, 0, 0, working=False)
    now = await work.progress(tx, row.batch_id)
    return Progress(row.state, now.done + now.parked, now.total, working=now.todo > 0)


async def run_currencies(tx: Tx, run_id: int) -> list[str]:
    """The currencies of a run's statements."""
    return sorted(row.currency for row in await tx.rows(_RUN_CURRENCIES, run=run_id))


async def run_page(tx: Tx, run_id: int) -> RunPage:
    """One run. Raises NotFound."""
    entity_id = await tx.scalar("SELECT entity_id FROM billing.billing_run WHERE run_id = :run", run=run_id)
    entity = await get_entity(tx, entity_id) if entity_id is not None else None
    if entity is None:
        raise NotFound(f"there is no billing run {run_id}")
    currencies = await run_currencies(tx, run_id) or [entity.currency]
    one = _RUNS.format(wanted="r.run_id = :run")
    totals = [
        _run(await tx.row(one, run=run_id, currency=currency, limit=1))
        for currency in sorted(currencies, key=lambda currency: (currency != entity.currency, currency))
    ]
    return RunPage(entity, totals, await run_progress(tx, run_id))


async def reconciliation_page(tx: Tx, entity: Entity, wanted: MatchKind) -> ReconciliationPage:
    """The classes, and which is wanted."""
    return ReconciliationPage(entity=entity, compared=await last_of_payments(tx, entity.currency), wanted=wanted)


async def proofs_page(tx: Tx) -> ProofsPage:
    entity = await get_entity(tx, None)
    return ProofsPage(entity.zone if entity else "UTC", await last_of_books(tx))


async def purchase_page(tx: Tx, order_ref: str) -> PurchasePage:
    """One purchase by the source's order id. Raises NotFound."""
    orders = [PurchaseOrder(*row) for row in await tx.rows(_PURCHASE_ORDERS, order_ref=order_ref)]
    payments = [PaymentLine(*row) for row in await tx.rows(_PURCHASE_PAYMENTS, order_ref=order_ref)]
    if not orders and not payments:
        raise NotFound(f"there is no purchase {order_ref!r}")
    booked = await tx.row(_UNASSIGNED, order_ref=order_ref)
    return PurchasePage(
        order_ref=order_ref,
        currency=orders[0].currency if orders else payments[0].currency,
        orders=orders,
        payments=payments,
        house_merchant_id=booked.merchant_id if booked else None,
        house_entry_no=booked.entry_no if booked else None,
    )


def _run(row: Any) -> Run:
    fields = {name: getattr(row, name) for name in Run.__struct_fields__ if name != "columns"}
    totals = {name: int(fields[name]) for name in (*_COUNTED, "opening_minor", "closing_minor")}
    columns = [(name, int(getattr(row, f"{name}_minor"))) for name in STATEMENT_COLUMNS]
    return Run(**(fields | totals), columns=columns)


_COUNTED = ("statements", "parked", "orders", "instructed_minor")
_TOTALS = ",\n".join(
    f"coalesce(s.{name}_minor, 0) AS {name}_minor" for name in ("opening", *STATEMENT_COLUMNS, "closing")
)
_SUMS = ", ".join(f"sum({name}_minor) AS {name}_minor" for name in ("opening", *STATEMENT_COLUMNS, "closing"))
_RUNS = f"""
SELECT r.*, CAST(:currency AS text) AS currency, coalesce(s.statements, 0) AS statements,
       coalesce(x.parked, 0) AS parked, coalesce(s.orders, 0) AS orders,
       coalesce(p.instructed_minor, 0) AS instructed_minor, {_TOTALS}
FROM (
    SELECT * FROM billing.billing_run r WHERE {{wanted}} ORDER BY from_on DESC, run_id DESC LIMIT :limit
) AS r
LEFT JOIN (
    SELECT run_id, count(*) AS statements, sum(orders) AS orders, {_SUMS}
    FROM billing.statement WHERE currency = :currency GROUP BY run_id
) AS s ON s.run_id = r.run_id
LEFT JOIN (
    SELECT run_id, sum(amount_minor) AS instructed_minor FROM billing.payout
    WHERE currency = :currency AND state <> 'cancelled' GROUP BY run_id
) AS p ON p.run_id = r.run_id
LEFT JOIN (
    SELECT run_id, count(DISTINCT merchant_id) AS parked FROM billing.statement WHERE state = 'parked' GROUP BY run_id
) AS x ON x.run_id = r.run_id
ORDER BY r.from_on DESC, r.run_id DESC
"""
_RUN_CURRENCIES = "SELECT DISTINCT currency FROM billing.statement WHERE run_id = :run"
_DEEDS = """
SELECT at, actor, action, subject
FROM (SELECT * FROM core.audit ORDER BY audit_id DESC LIMIT :looked_at) AS newest
WHERE single_operator ORDER BY audit_id DESC LIMIT :limit
"""

_PURCHASE_ORDERS = f"""
SELECT o.merchant_id, m.name, o.order_id, {ORDER_STATE} AS state, o.currency,
       o.goods_minor + o.freight_minor - o.discount_minor
FROM demand.merchant_order o JOIN supply.merchant m ON m.merchant_id = o.merchant_id
WHERE o.order_ref = :order_ref ORDER BY o.merchant_id
"""
_PURCHASE_PAYMENTS = """
SELECT line_no, method, instalments, currency, amount_minor, paid_on FROM billing.payment_line
WHERE order_ref = :order_ref ORDER BY line_no
"""
_UNASSIGNED = """
SELECT e.merchant_id, e.entry_no
FROM demand.purchase_ref p
JOIN billing.entity y ON true
JOIN billing.entry e ON e.merchant_id = y.house_merchant_id AND e.kind = 'payment_unassigned'
     AND e.source_id = p.purchase_id
WHERE p.order_ref = :order_ref
"""
