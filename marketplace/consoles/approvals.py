"""What waits for a second person, of whatever kind, in one list; and what that person says to it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from billing.bank_accounts import store as bank_accounts
from incentives.changes.model import ChangeState
from incentives.lifecycle import Move
from marketplace.consoles import ops_queries
from marketplace.consoles.approvals_sql import WAITING
from marketplace.consoles.deeds import Refused, carry_out, done, number, text
from marketplace.consoles.layout import PathId, send
from marketplace.core.db import STAFF, Database, Tx
from marketplace.core.errors import Conflict, Forbidden
from marketplace.flows.ads import fund_ads
from marketplace.flows.bank import match_by_hand, work_breaks
from marketplace.flows.bank.work_breaks import SayOfBreak
from marketplace.flows.books import exchange_money, post_journal
from marketplace.flows.books.post_journal import DecideJournal
from marketplace.flows.commission import rerate_contracts
from marketplace.flows.documents import void_document
from marketplace.flows.payers import void_invoice
from marketplace.flows.payouts import instruct_bank, set_payout_terms
from marketplace.flows.products import dun_merchants
from marketplace.flows.promotions import plan_incentives
from marketplace.flows.promotions.change_incentives import decide_change
from marketplace.flows.runs import run_billing
from marketplace.web.auth import ActorRequest
from marketplace.web.guards import APPROVERS, CONTROL, FINANCE, OPS, Role

LISTED_MAX = 200


class Kind(StrEnum):
    """What somebody has made and somebody else approves; `approvals_sql` finds each under its name."""

    BANK_ACCOUNT = "bank_account"
    PAYOUT_TERMS = "payout_terms"
    PAYOUT_FILE = "payout_file"
    AD_GRANT = "ad_grant"
    WRITE_OFF = "write_off"
    JOURNAL = "journal"
    EXCHANGE_RATE = "exchange_rate"
    DOCUMENT_VOID = "document_void"
    PAYER_DOCUMENT_VOID = "payer_document_void"
    RERATING = "rerating"
    BILLING_RUN = "billing_run"
    MATCH = "match"
    UNMATCH = "unmatch"
    BREAK_ACCEPT = "break_accept"
    BREAK_WRITE_OFF = "break_write_off"
    MATCH_RULES = "match_rules"
    FEE_SCHEDULE = "fee_schedule"
    PERIOD_BREAK = "period_break"
    PERIOD_REOPENING = "period_reopening"
    CAMPAIGN = "campaign"
    PROMOTION = "promotion"
    PROMOTION_VERSION = "promotion_version"
    INCENTIVE_CHANGE = "incentive_change"


class Waiting(msgspec.Struct, frozen=True):
    """One proposal. words: what its maker says. href: where more of it is.

    merchant_id: 0 where it is of the house, of a payer's document the payer's id. batch_id: of a billing run, the
    preview that is to be approved.
    """

    kind: Kind
    merchant_id: int
    merchant_name: str | None
    proposal_id: int
    amount_minor: int | None
    currency: str | None
    words: str
    made_by: str
    made_at: datetime
    href: str | None
    batch_id: int | None


class ApprovalsPage(msgspec.Struct, frozen=True):
    """The oldest first; `own` are those that the reader has made, which somebody else must approve."""

    waiting: Sequence[Waiting]
    own: frozenset[int]
    zone: str


class Decision(msgspec.Struct, frozen=True):
    """What is decided, why, and whether who decides is bound by the limits of accountants; of a run which preview."""

    merchant_id: int
    proposal_id: int
    reason: str
    is_controller: bool
    batch_id: int = 0


Deed = Callable[[Tx, Decision], Awaitable[Any]]


def _of_merchant(deed: Callable[[Tx, int, int], Awaitable[Any]]) -> Deed:
    return lambda tx, one: deed(tx, one.merchant_id, one.proposal_id)


def _because(deed: Callable[[Tx, int, int, str], Awaitable[Any]]) -> Deed:
    return lambda tx, one: deed(tx, one.merchant_id, one.proposal_id, one.reason)


def _of_house(deed: Callable[[Tx, int], Awaitable[Any]]) -> Deed:
    return lambda tx, one: deed(tx, one.proposal_id)


def _journal(deed: Callable[[Tx, DecideJournal], Awaitable[Any]]) -> Deed:
    return lambda tx, one: deed(
        tx,
        DecideJournal(
            merchant_id=one.merchant_id,
            journal_id=one.proposal_id,
            reason=one.reason,
            is_controller=one.is_controller,
        ),
    )


def _of_break(deed: Callable[[Tx, SayOfBreak], Awaitable[Any]]) -> Deed:
    return lambda tx, one: deed(
        tx, SayOfBreak(break_id=one.proposal_id, words=one.reason, is_controller=one.is_controller)
    )


_MATCH: tuple[Deed, Deed] = (
    lambda tx, one: match_by_hand.approve_match(tx, one.proposal_id, is_controller=one.is_controller),
    _of_house(match_by_hand.reject_match),
)
_BREAK: tuple[Deed, Deed] = (_of_break(work_breaks.approve_break), _of_break(work_breaks.reopen_break))
DECIDED: dict[Kind, tuple[Deed, Deed | None]] = {
    Kind.BANK_ACCOUNT: (_of_merchant(bank_accounts.approve), _because(bank_accounts.reject)),
    Kind.PAYOUT_TERMS: (_of_merchant(set_payout_terms.approve_terms), _because(set_payout_terms.reject_terms)),
    Kind.PAYOUT_FILE: (
        _of_house(instruct_bank.approve_file),
        lambda tx, one: instruct_bank.cancel_file(tx, one.proposal_id, one.reason),
    ),
    Kind.AD_GRANT: (_of_merchant(fund_ads.approve_grant), _of_merchant(fund_ads.reject_grant)),
    Kind.WRITE_OFF: (_of_merchant(dun_merchants.approve_write_off), _of_merchant(dun_merchants.refuse_write_off)),
    Kind.JOURNAL: (_journal(post_journal.approve_journal), _journal(post_journal.reject_journal)),
    Kind.EXCHANGE_RATE: (_of_house(exchange_money.approve_rate), _of_house(exchange_money.reject_rate)),
    Kind.DOCUMENT_VOID: (_of_merchant(void_document.approve_void), _of_merchant(void_document.withdraw_void)),
    Kind.PAYER_DOCUMENT_VOID: (_of_merchant(void_invoice.approve_void), _of_merchant(void_invoice.withdraw_void)),
    Kind.RERATING: (_of_house(rerate_contracts.approve_rerating), None),
    Kind.BILLING_RUN: (lambda tx, one: run_billing.approve(tx, one.proposal_id, batch_id=one.batch_id), None),
    Kind.MATCH: _MATCH,
    Kind.UNMATCH: _MATCH,
    Kind.BREAK_ACCEPT: _BREAK,
    Kind.BREAK_WRITE_OFF: _BREAK,
    Kind.MATCH_RULES: (_of_house(match_by_hand.approve_rules), None),
    Kind.CAMPAIGN: (
        lambda tx, one: plan_incentives.move_campaign(tx, one.proposal_id, Move.APPROVE),
        lambda tx, one: plan_incentives.move_campaign(tx, one.proposal_id, Move.REJECT, one.reason),
    ),
    Kind.INCENTIVE_CHANGE: (
        lambda tx, one: decide_change(tx, one.proposal_id, ChangeState.APPROVED),
        lambda tx, one: decide_change(tx, one.proposal_id, ChangeState.REJECTED),
    ),
}
"""What approving and rejecting each kind is; a rerating that nobody wants is proposed anew, a run is given up. Kinds
that are not here are decided on their own page, which shows what has to be seen before.
"""


ROLES: dict[Kind, frozenset[Role]] = {
    Kind.AD_GRANT: OPS,
    Kind.CAMPAIGN: APPROVERS,
    Kind.PROMOTION: APPROVERS,
    Kind.PROMOTION_VERSION: APPROVERS,
    Kind.INCENTIVE_CHANGE: APPROVERS,
}
"""Who decides what is not finance's; the same people as over the API."""


def _at(request: ActorRequest) -> str:
    """The list's address in the console that the reader is in."""
    return f"/{request.url.path.split('/')[1]}/approvals"


def may_decide(roles: Set[str], kind: Kind) -> bool:
    return bool(roles & ROLES.get(kind, FINANCE))


def _check_role(request: ActorRequest, kind: Kind) -> None:
    if not may_decide(request.user.roles, kind):
        raise Forbidden(f"a {kind} is decided by other people")


def deeds_of(kind: Kind) -> tuple[Deed, Deed | None]:
    """Raises Conflict for a kind that is decided on its own page."""
    if kind not in DECIDED:
        raise Conflict(f"a {kind} is decided on its own page")
    return DECIDED[kind]


def _decision(request: ActorRequest, merchant_id: int, proposal_id: int, reason: str = "") -> Decision:
    return Decision(merchant_id, proposal_id, reason, bool(request.user.roles & CONTROL))


@get("/approvals")
async def approvals(request: ActorRequest, db: NamedDependency[Database]) -> Response[str]:
    """Everything that somebody has proposed and nobody has decided."""
    return await show_approvals(request, db)


async def show_approvals(request: ActorRequest, db: Database, refused: Refused | None = None) -> Response[str]:
    async with db.read(STAFF) as tx:
        rows = await tx.rows(WAITING, limit=LISTED_MAX)
        entity = await ops_queries.get_entity(tx, None)
    found = [Waiting(Kind(row.kind), *row[1:]) for row in rows]
    waiting = [each for each in found if may_decide(request.user.roles, each.kind)]
    own = frozenset(each.proposal_id for each in waiting if each.made_by == request.user.login)
    page = ApprovalsPage(waiting, own, entity.zone if entity else "UTC")
    rejectable = {kind for kind, (_, reject) in DECIDED.items() if reject is not None}
    more: dict[str, Any] = {"at": _at(request), "decided": DECIDED.keys(), "rejectable": rejectable}
    return send(request, "finance/approvals.html", page, "approvals", refused=refused, **more)


@post("/approvals/{kind:str}/{merchant_id:int}/{proposal_id:int}/approve")
async def approve(
    request: ActorRequest,
    db: NamedDependency[Database],
    kind: FromPath[Kind],
    merchant_id: PathId,
    proposal_id: PathId,
) -> Response[Any]:
    """Let it come true, as another person than who made it."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        _check_role(request, kind)
        decision = _decision(request, merchant_id, proposal_id)
        if kind is Kind.BILLING_RUN:
            decision = msgspec.structs.replace(decision, batch_id=number(typed, "batch_id"))
        await deeds_of(kind)[0](tx, decision)
        return done(_at(request), "approved")

    return await carry_out(request, db, work, again=lambda why: show_approvals(request, db, why))


@post("/approvals/{kind:str}/{merchant_id:int}/{proposal_id:int}/reject")
async def reject(
    request: ActorRequest,
    db: NamedDependency[Database],
    kind: FromPath[Kind],
    merchant_id: PathId,
    proposal_id: PathId,
) -> Response[Any]:
    """Refuse it and say why; whoever made it may take it back so."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        _check_role(request, kind)
        deed = deeds_of(kind)[1]
        if deed is None:
            raise Conflict(f"a {kind} is not rejected; it is made anew or given up where it was made")
        reason = text(typed, "reason", most=500, least=1)
        await deed(tx, _decision(request, merchant_id, proposal_id, reason))
        return done(_at(request), "rejected")

    return await carry_out(request, db, work, again=lambda why: show_approvals(request, db, why))


PAGES = [approvals, approve, reject]
