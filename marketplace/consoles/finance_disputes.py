"""Disputes on pages: what buyers take back through their banks, and what merchants say is wrong with their books."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from functools import partial
from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from billing.line_disputes import store as cases
from billing.line_disputes.model import CaseState, LineDispute, Message, Side
from marketplace.consoles.books_queries import Merchant, get_merchant
from marketplace.consoles.deeds import Refused, amount, carry_out, done, text
from marketplace.consoles.finance_lists_queries import CASES, DISPUTES
from marketplace.consoles.layout import PathId, send
from marketplace.core.db import STAFF, Database, Tx
from marketplace.flows.books import dispute_line as flow
from marketplace.flows.books.dispute_line import AcceptDispute, CaseKey
from marketplace.web.auth import ActorRequest

MESSAGES_MAX = 200
DISPUTE_STATES = ("open", "won", "lost")


class Deed(StrEnum):
    """What finance does with a case."""

    REVIEW = "review"
    SAY = "say"
    ACCEPT = "accept"
    DECLINE = "decline"


class InState(msgspec.Struct, frozen=True):
    """A list narrowed to one of its states, "" for any."""

    wanted: str
    states: Sequence[str]


class CasePage(msgspec.Struct, frozen=True):
    """A case and what was said in it."""

    merchant: Merchant
    case: LineDispute
    messages: Sequence[Message]


@get(["/disputes", "/disputes.csv"])
async def disputes(request: ActorRequest, db: NamedDependency[Database], now: FromQuery[str] = "") -> Response[Any]:
    """Payments that buyers take back through their banks, by state."""
    wanted = now if now in DISPUTE_STATES else ""
    listing = DISPUTES.asked(request, "/finance/disputes", {"now": wanted}, now=wanted or None)
    if listing.is_file:
        return await listing.as_file(request, db, STAFF)
    async with db.read(STAFF) as tx:
        listing = await listing.page(tx)
    page = InState(wanted, DISPUTE_STATES)
    return send(request, "finance/disputes.html", page, "disputes", listing=listing)


@get(["/line-disputes", "/line-disputes.csv"])
async def line_disputes(
    request: ActorRequest, db: NamedDependency[Database], now: FromQuery[str] = ""
) -> Response[Any]:
    """Lines of their books that merchants dispute, by state."""
    wanted = now if now in list(CaseState) else ""
    listing = CASES.asked(request, "/finance/line-disputes", {"now": wanted}, now=wanted or None)
    if listing.is_file:
        return await listing.as_file(request, db, STAFF)
    async with db.read(STAFF) as tx:
        listing = await listing.page(tx)
    page = InState(wanted, [state.value for state in CaseState])
    return send(request, "finance/line_disputes.html", page, "disputes", listing=listing)


@get("/line-disputes/{merchant_id:int}/{case_id:int}")
async def line_dispute(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, case_id: PathId
) -> Response[str]:
    """One case: what is disputed, what was said, and what is decided."""
    return await show_case(request, db, merchant_id, case_id)


async def show_case(
    request: ActorRequest, db: Database, merchant_id: int, case_id: int, refused: Refused | None = None
) -> Response[str]:
    async with db.read(STAFF) as tx:
        page = CasePage(
            await get_merchant(tx, merchant_id),
            await cases.get_case(tx, merchant_id, case_id),
            await cases.list_messages(tx, merchant_id, case_id, after=0, limit=MESSAGES_MAX),
        )
    return send(request, "finance/line_dispute.html", page, "disputes", refused=refused)


@post("/line-disputes/{merchant_id:int}/{case_id:int}/{deed:str}")
async def answer_case(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    case_id: PathId,
    deed: FromPath[Deed],
) -> Response[Any]:
    """Look into it, write to the merchant, propose to give back what is right, or say why nothing is."""
    key = CaseKey(merchant_id=merchant_id, line_dispute_id=case_id)

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        match deed:
            case Deed.REVIEW:
                await flow.review(tx, key)
            case Deed.SAY:
                await flow.say(tx, key, Side.HOUSE, text(typed, "words", least=1, most=5_000))
            case Deed.ACCEPT:
                held = await cases.get_case(tx, merchant_id, case_id)
                back = amount(typed, "amount", held.currency, least=1)
                reason = text(typed, "reason", least=1, most=500)
                accepted = AcceptDispute(
                    merchant_id=merchant_id, line_dispute_id=case_id, amount_minor=back, reason=reason
                )
                await flow.accept(tx, accepted)
            case Deed.DECLINE:
                await flow.decline(tx, key, text(typed, "reason", least=1, most=500))
        return done(f"/finance/line-disputes/{merchant_id}/{case_id}", f"case_{deed}")

    return await carry_out(request, db, work, again=partial(show_case, request, db, merchant_id, case_id))


PAGES = [disputes, line_disputes, line_dispute, answer_case]
