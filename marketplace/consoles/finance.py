"""The pages of finance: the ledger, payments against orders, and the proofs of it all; runs are in finance_runs."""

from collections.abc import Mapping
from datetime import date
from functools import partial
from typing import Any

from litestar import Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from marketplace.consoles import finance_queries, ledger_queries, ops_queries
from marketplace.consoles.approvals import PAGES as APPROVALS
from marketplace.consoles.deeds import Refused, carry_out, done
from marketplace.consoles.finance_breaks import PAGES as BREAKS
from marketplace.consoles.finance_close import PAGES as CLOSE
from marketplace.consoles.finance_disputes import PAGES as DISPUTES
from marketplace.consoles.finance_erp import PAGES as ERP
from marketplace.consoles.finance_exchange import PAGES as EXCHANGE
from marketplace.consoles.finance_files import PAGES as FILES
from marketplace.consoles.finance_lists_queries import PAYMENT_BREAKS
from marketplace.consoles.finance_mappings import PAGES as MAPPINGS
from marketplace.consoles.finance_payouts import PAGES as PAYOUTS
from marketplace.consoles.finance_reports import PAGES as REPORTS
from marketplace.consoles.finance_rules import PAGES as RULES
from marketplace.consoles.finance_runs import PAGES as RUNS
from marketplace.consoles.finance_schedules import PAGES as SCHEDULES
from marketplace.consoles.finance_workbench import PAGES as WORKBENCH
from marketplace.consoles.layout import Nothing, PathId, send
from marketplace.core import last_checks
from marketplace.core.db import STAFF, Database, Tx
from marketplace.core.errors import NotFound
from marketplace.core.paging import decode_cursor, encode_cursor
from marketplace.flows.payments.reconcile_payments import MatchKind
from marketplace.flows.proofs.check_again import BOOKS, payments_in
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


@get(["/reconciliation", "/reconciliation.csv"])
async def reconciliation(
    request: ActorRequest,
    db: NamedDependency[Database],
    entity: FromQuery[int | None] = None,
    kind: FromQuery[MatchKind] = MatchKind.AMOUNT_BREAK,
) -> Response[Any]:
    """Payments against orders, by class, and the orders of one class, as they were last compared."""
    return await _show_reconciliation(request, db, entity, kind)


async def _show_reconciliation(
    request: ActorRequest,
    db: Database,
    entity: int | None,
    kind: MatchKind = MatchKind.AMOUNT_BREAK,
    refused: Refused | None = None,
) -> Response[Any]:
    async with db.read(STAFF) as tx:
        shown = await ops_queries.get_entity(tx, entity)
        if shown is None:
            return send(request, "empty.html", Nothing(), "reconciliation")
        said = {"entity": shown.entity_id, "kind": kind}
        listing = PAYMENT_BREAKS.asked(request, "/finance/reconciliation", said, currency=shown.currency, kind=kind)
        if not listing.is_file:
            page, listing = await finance_queries.reconciliation_page(tx, shown, kind), await listing.page(tx)
    if listing.is_file:
        return await listing.as_file(request, db, STAFF)
    more: dict[str, Any] = {"kinds": list(MatchKind), "listing": listing}
    return send(request, "finance/reconciliation.html", page, "reconciliation", refused=refused, **more)


@post("/reconciliation/{entity:int}/check")
async def compare_again(request: ActorRequest, db: NamedDependency[Database], entity: PathId) -> Response[Any]:
    """Have all payments compared with all orders anew."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        del typed
        shown = await ops_queries.get_entity(tx, entity)
        if shown is None:
            raise NotFound(f"there is no legal entity {entity}")
        await last_checks.ask(tx, payments_in(shown.currency))
        return done(f"/finance/reconciliation?entity={entity}", "check_asked")

    return await carry_out(request, db, work, again=lambda why: _show_reconciliation(request, db, entity, refused=why))


@get("/purchases/{order_ref:str}")
async def purchase(request: ActorRequest, db: NamedDependency[Database], order_ref: FromPath[str]) -> Response[str]:
    """One purchase: the merchants' orders, and what was paid for them."""
    async with db.read(STAFF) as tx:
        page = await finance_queries.purchase_page(tx, order_ref)
    return send(request, "finance/purchase.html", page, "reconciliation")


@get("/proofs")
async def proofs(request: ActorRequest, db: NamedDependency[Database]) -> Response[str]:
    """Every invariant of the books, as it was last proved."""
    return await _show_proofs(request, db)


async def _show_proofs(request: ActorRequest, db: Database, refused: Refused | None = None) -> Response[str]:
    async with db.read(STAFF) as tx:
        page = await finance_queries.proofs_page(tx)
    return send(request, "finance/proofs.html", page, "proofs", refused=refused)


@post("/proofs/check")
async def prove_again(request: ActorRequest, db: NamedDependency[Database]) -> Response[Any]:
    """Have the books proved anew."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        del typed
        await last_checks.ask(tx, BOOKS)
        return done("/finance/proofs", "check_asked")

    return await carry_out(request, db, work, again=partial(_show_proofs, request, db))


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
            compare_again,
            purchase,
            proofs,
            prove_again,
        ],
        guards=[needs(FINANCE)],
        include_in_schema=False,
    )
]
