"""Payouts on pages: what the bank is told and what it says, whose payouts are held, and on which terms they leave."""

from collections.abc import Mapping
from enum import StrEnum
from functools import partial
from typing import Any

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from billing.bank_accounts.model import NUMBER_LENGTH_MAX, Scheme
from billing.payout_files.model import NAME_LENGTH_MAX, Party
from billing.payout_terms.model import RESERVE_DAYS_MAX, Conditions, PayoutDays
from marketplace.consoles import payouts_queries
from marketplace.consoles.deeds import Refused, amount, carry_out, chosen, day_needed, done, number, text
from marketplace.consoles.finance_lists_queries import OWED, PAYOUTS
from marketplace.consoles.layout import PathId, send
from marketplace.consoles.payouts_queries import STATES
from marketplace.consoles.reader import ppm
from marketplace.core import last_checks, policies
from marketplace.core.db import STAFF, Database, Tx
from marketplace.core.money import check_currency
from marketplace.flows.payouts import instruct_bank, pay_merchants, set_payout_terms
from marketplace.flows.payouts.instruct_bank import MakeFile, SetDebtor
from marketplace.flows.payouts.pay_due import PayDue, pay_now
from marketplace.flows.payouts.pay_merchants import ConfirmPayout, ReturnPayout
from marketplace.flows.payouts.retry_payout import RetryPayout
from marketplace.flows.payouts.retry_payout import retry_payout as retry
from marketplace.flows.payouts.set_payout_terms import ProposeTerms
from marketplace.flows.proofs.check_again import OWED as OWED_CHECK
from marketplace.web.auth import ActorRequest
from marketplace.web.guards import CONTROL, needs

_ENTITY_MAX = 2**31 - 1


class FileDeed(StrEnum):
    APPROVE = "approve"
    CANCEL = "cancel"


class BankDeed(StrEnum):
    """What the bank did to a payout, or what is done after it brought one back."""

    CONFIRM = "confirm"
    RETURN = "return"
    RETRY = "retry"


class TermsDeed(StrEnum):
    PROPOSE = "propose"
    HOLD = "hold"
    RELEASE = "release"
    PAY = "pay"


@get(["/payouts", "/payouts.csv"])
async def payouts(request: ActorRequest, db: NamedDependency[Database], now: FromQuery[str] = "") -> Response[Any]:
    """Payouts by state, files for the bank, and who should be getting money and is not."""
    return await show_payouts(request, db, now if now in STATES else "")


@get(["/payouts/owed", "/payouts/owed.csv"])
async def owed(request: ActorRequest, db: NamedDependency[Database]) -> Response[Any]:
    """Who was owed money when the last period closed and gets none, and why."""
    return await _show_owed(request, db)


async def _show_owed(request: ActorRequest, db: Database, refused: Refused | None = None) -> Response[Any]:
    listing = OWED.asked(request, "/finance/payouts/owed")
    async with db.read(STAFF) as tx:
        page = await payouts_queries.owed_page(tx)
    if listing.is_file:
        return listing.as_file_of(request, page.waiting)
    shown = listing.of(page.waiting)
    return send(request, "finance/owed.html", page, "payouts", refused=refused, listing=shown)


@post("/payouts/owed/check")
async def check_owed(request: ActorRequest, db: NamedDependency[Database]) -> Response[Any]:
    """Have all balances gone over anew."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        del typed
        await last_checks.ask(tx, OWED_CHECK)
        return done("/finance/payouts/owed", "check_asked")

    return await carry_out(request, db, work, again=partial(_show_owed, request, db))


async def show_payouts(
    request: ActorRequest, db: Database, state: str = "", refused: Refused | None = None
) -> Response[Any]:
    listing = PAYOUTS.asked(request, "/finance/payouts", {"now": state}, now=state or None)
    if listing.is_file:
        return await listing.as_file(request, db, STAFF)
    async with db.read(STAFF) as tx:
        page, listing = await payouts_queries.payouts_page(tx, state), await listing.page(tx)
    more: dict[str, Any] = {
        "listing": listing,
        "states": STATES,
        "schemes": list(Scheme),
        "may_set": bool(request.user.roles & CONTROL),
    }
    return send(request, "finance/payouts.html", page, "payouts", refused=refused, **more)


@post("/payout-files")
async def make_file(request: ActorRequest, db: NamedDependency[Database]) -> Response[Any]:
    """A file of the payouts that wait for one."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        cmd = MakeFile(
            currency=check_currency(text(typed, "currency", least=3, most=3).upper()),
            pay_on=day_needed(typed, "pay_on"),
            entity_id=number(typed, "entity_id", least=1, most=_ENTITY_MAX),
        )
        file = await instruct_bank.make_file(tx, cmd)
        return done(f"/finance/payout-files/{file.file_id}", "payout_file_made")

    return await carry_out(request, db, work, again=lambda why: show_payouts(request, db, refused=why))


@post("/debtor-accounts", guards=[needs(CONTROL)])
async def set_debtor(request: ActorRequest, db: NamedDependency[Database]) -> Response[Any]:
    """Pay out a currency from another account."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        party = Party(
            holder=text(typed, "holder", least=1, most=NAME_LENGTH_MAX),
            scheme=chosen(typed, "scheme", Scheme),
            number=text(typed, "number", least=5, most=2 * NUMBER_LENGTH_MAX),
            routing=text(typed, "routing", most=NUMBER_LENGTH_MAX),
        )
        cmd = SetDebtor(
            currency=check_currency(text(typed, "currency", least=3, most=3).upper()),
            party=party,
            entity_id=number(typed, "entity_id", least=1, most=_ENTITY_MAX),
        )
        await instruct_bank.set_debtor(tx, cmd)
        return done("/finance/payouts", "debtor_set")

    return await carry_out(request, db, work, again=lambda why: show_payouts(request, db, refused=why))


@get("/payout-files/{file_id:int}")
async def payout_file(request: ActorRequest, db: NamedDependency[Database], file_id: PathId) -> Response[str]:
    """One file: who made and approved it, its lines, and how it is had for the bank."""
    return await show_file(request, db, file_id)


async def show_file(request: ActorRequest, db: Database, file_id: int, refused: Refused | None = None) -> Response[str]:
    async with db.read(STAFF) as tx:
        page = await payouts_queries.file_page(tx, file_id)
        may_approve = page.file.made_by != request.user.login or await policies.is_on(tx, "single_operator")
    return send(request, "finance/payout_file.html", page, "payouts", refused=refused, may_approve=may_approve)


@post("/payout-files/{file_id:int}/{deed:str}")
async def decide_file(
    request: ActorRequest, db: NamedDependency[Database], file_id: PathId, deed: FromPath[FileDeed]
) -> Response[Any]:
    """Let a file go to the bank, as another person than its maker, or give it up."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        if deed is FileDeed.APPROVE:
            await instruct_bank.approve_file(tx, file_id)
        else:
            await instruct_bank.cancel_file(tx, file_id, text(typed, "reason", least=1, most=500))
        return done(f"/finance/payout-files/{file_id}", f"payout_file_{deed}")

    return await carry_out(request, db, work, again=partial(show_file, request, db, file_id))


@get("/payouts/{merchant_id:int}/{payout_id:int}")
async def payout(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, payout_id: PathId
) -> Response[str]:
    """One payout: how far it is, and what the bank did to it."""
    return await show_payout(request, db, merchant_id, payout_id)


async def show_payout(
    request: ActorRequest, db: Database, merchant_id: int, payout_id: int, refused: Refused | None = None
) -> Response[str]:
    async with db.read(STAFF) as tx:
        page = await payouts_queries.payout_page(tx, merchant_id, payout_id)
    return send(request, "finance/payout.html", page, "payouts", refused=refused)


@post("/payouts/{merchant_id:int}/{payout_id:int}/{deed:str}")
async def hear_of_payout(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    payout_id: PathId,
    deed: FromPath[BankDeed],
) -> Response[Any]:
    """The bank has paid it, or it came back; what came back is paid again to the merchant's new account."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        shown = payout_id
        match deed:
            case BankDeed.CONFIRM:
                ref, on = text(typed, "bank_ref", least=1, most=60), day_needed(typed, "on")
                cmd = ConfirmPayout(merchant_id=merchant_id, payout_id=payout_id, bank_ref=ref, on=on)
                await pay_merchants.confirm_payout(tx, cmd)
            case BankDeed.RETURN:
                back = ReturnPayout(
                    merchant_id=merchant_id,
                    payout_id=payout_id,
                    on=day_needed(typed, "on"),
                    reason=text(typed, "reason", least=1, most=500),
                    bank_ref=text(typed, "bank_ref", most=60) or None,
                )
                await pay_merchants.return_payout(tx, back)
            case BankDeed.RETRY:
                shown = (await retry(tx, RetryPayout(merchant_id=merchant_id, payout_id=payout_id))).payout_id
        return done(f"/finance/payouts/{merchant_id}/{shown}", f"payout_{deed}")

    return await carry_out(request, db, work, again=partial(show_payout, request, db, merchant_id, payout_id))


@get("/payout-terms/{merchant_id:int}")
async def payout_terms(request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId) -> Response[str]:
    """On which terms a merchant is paid out, and whether its payouts are held."""
    return await show_terms(request, db, merchant_id)


async def show_terms(
    request: ActorRequest, db: Database, merchant_id: int, refused: Refused | None = None
) -> Response[str]:
    async with db.read(STAFF) as tx:
        page = await payouts_queries.terms_page(tx, merchant_id)
    return send(request, "finance/payout_terms.html", page, "payouts", refused=refused, choices=list(PayoutDays))


@post("/payout-terms/{merchant_id:int}/{deed:str}")
async def change_terms(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, deed: FromPath[TermsDeed]
) -> Response[Any]:
    """Propose other terms, hold all payouts or release them, or pay before its day what is due."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        did: str = deed
        match deed:
            case TermsDeed.PROPOSE:
                made = await set_payout_terms.propose_terms(tx, _terms(merchant_id, typed))
                did = "proposed" if made.favours else "set"
            case TermsDeed.HOLD:
                await set_payout_terms.hold_payouts(tx, merchant_id, text(typed, "reason", least=1, most=500))
            case TermsDeed.RELEASE:
                hold_id = number(typed, "hold_id", least=1)
                reason = text(typed, "reason", least=1, most=500)
                await set_payout_terms.release_payouts(tx, merchant_id, hold_id, reason)
            case TermsDeed.PAY:
                run_id, currency = number(typed, "run_id", least=1), text(typed, "currency", least=3, most=3)
                await pay_now(tx, PayDue(merchant_id=merchant_id, run_id=run_id, currency=currency))
        return done(f"/finance/payout-terms/{merchant_id}", f"payout_terms_{did}")

    return await carry_out(request, db, work, again=partial(show_terms, request, db, merchant_id))


def _terms(merchant_id: int, typed: Mapping[str, str]) -> ProposeTerms:
    """The terms of a form. Raises Invalid."""
    currency = check_currency(text(typed, "currency", least=3, most=3).upper())
    share = text(typed, "reserve", most=10)
    conditions = Conditions(
        minimum_minor=amount(typed, "minimum", currency) if typed.get("minimum", "").strip() else 0,
        reserve_ppm=ppm(share, "reserve") if share else 0,
        reserve_days=number(typed, "reserve_days", most=RESERVE_DAYS_MAX) if typed.get("reserve_days", "") else 0,
        days=chosen(typed, "days", PayoutDays),
        weekday=number(typed, "weekday", least=1, most=7) if typed.get("weekday", "").strip() else None,
    )
    reason = text(typed, "terms_reason", least=1, most=500)
    return ProposeTerms(merchant_id=merchant_id, currency=currency, conditions=conditions, reason=reason)


PAGES = [
    payouts,
    owed,
    check_owed,
    make_file,
    set_debtor,
    payout_file,
    decide_file,
    payout,
    hear_of_payout,
    payout_terms,
    change_terms,
]
