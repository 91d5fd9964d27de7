"""The pages of finance: the ledger, payments against orders, and the proofs of it all; runs are in finance_runs."""

from datetime import date

from litestar import Response, Router, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from marketplace.consoles import finance_queries, ledger_queries, ops_queries
from marketplace.consoles.approvals import PAGES as APPROVALS
from marketplace.consoles.finance_breaks import PAGES as BREAKS
from marketplace.consoles.finance_close import PAGES as CLOSE
from marketplace.consoles.finance_disputes import PAGES as DISPUTES
from marketplace.consoles.finance_erp import PAGES as ERP
from marketplace.consoles.finance_exchange import PAGES as EXCHANGE
from marketplace.consoles.finance_files import PAGES as FILES
from marketplace.consoles.finance_mappings import PAGES as MAPPINGS
from marketplace.consoles.finance_payouts import PAGES as PAYOUTS
from marketplace.consoles.finance_reports import PAGES as REPORTS
from marketplace.consoles.finance_rules import PAGES as RULES
from marketplace.consoles.finance_runs import PAGES as RUNS
from marketplace.consoles.finance_schedules import PAGES as SCHEDULES
from marketplace.consoles.finance_workbench import PAGES as WORKBENCH
from marketplace.consoles.layout import Nothing, PathId, send
from marketplace.core.db import STAFF, Database
from marketplace.core.paging import decode_cursor, encode_cursor
from marketplace.flows.payments.reconcile_payments import MatchKind
from marketplace.flows.proofs.verify_books import verify_books
from marketplace.web.auth import ActorRequest
from marketplace.web.guards import FINANCE, needs


@get("/accounts/{code:int}")
async def account(
    request: ActorRequest, db: NamedDependency[Database], code: PathId, before: FromQuery[str | None] = None
) -> Response[str]:
    """One account over all books: its totals and its newest lines."""
    key = decode_cursor(before, tuple[date, int, int])
    async with db.read(STAFF) as tx:
        page = await ledger_queries.platform_account_page(tx, code, key)
    older = encode_cursor(page.older) if page.older else None
    return send(request, "finance/account.html", page, "home", cursor=older)


@get("/reconciliation")
async def reconciliation(
    request: ActorRequest,
    db: NamedDependency[Database],
    entity: FromQuery[int | None] = None,
    kind: FromQuery[MatchKind] = MatchKind.AMOUNT_BREAK,
    after: FromQuery[str | None] = None,
) -> Response[str]:
    """Payments against orders, by class, and the orders of one class."""
    key = decode_cursor(after, tuple[str])
    async with db.read(STAFF) as tx:
        shown = await ops_queries.get_entity(tx, entity)
        if shown is None:
            return send(request, "empty.html", Nothing(), "reconciliation")
        page = await finance_queries.reconciliation_page(tx, shown, kind, key[0] if key else "")
    older = encode_cursor((page.older,)) if page.older is not None else None
    return send(request, "finance/reconciliation.html", page, "reconciliation", kinds=list(MatchKind), cursor=older)


@get("/purchases/{order_ref:str}")
async def purchase(request: ActorRequest, db: NamedDependency[Database], order_ref: FromPath[str]) -> Response[str]:
    """One purchase: the merchants' orders, and what was paid for them."""
    async with db.read(STAFF) as tx:
        page = await finance_queries.purchase_page(tx, order_ref)
    return send(request, "finance/purchase.html", page, "reconciliation")


@get("/proofs")
async def proofs(request: ActorRequest, db: NamedDependency[Database]) -> Response[str]:
    """Every invariant of the books, checked now."""
    return send(request, "finance/proofs.html", await verify_books(db), "proofs")


PAGES = [
    Router(
        "/finance",
        route_handlers=[
            *RUNS,
            *APPROVALS,
            *CLOSE,
            *WORKBENCH,
            *BREAKS,
            *FILES,
            *MAPPINGS,
            *PAYOUTS,
            *REPORTS,
            *ERP,
            *DISPUTES,
            *EXCHANGE,
            *RULES,
            *SCHEDULES,
            account,
            reconciliation,
            purchase,
            proofs,
        ],
        guards=[needs(FINANCE)],
        include_in_schema=False,
    )
]
