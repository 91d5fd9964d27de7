"""The workbench of reconciliation: what is open on both sides is looked at, matched by hand, and taken back."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any
from urllib.parse import urlencode

from litestar import MediaType, Response, get, post
from litestar.di import NamedDependency

from billing.matching.model import Book, Proposal, ResidueKind, Side
from marketplace.consoles import workbench_queries as queries
from marketplace.consoles.deeds import Refused, carry_out, chosen, done, number, text
from marketplace.consoles.layout import Nothing, PathId, send
from marketplace.consoles.workbench_queries import Asked, Place
from marketplace.core import policies
from marketplace.core.db import STAFF, Database, Tx
from marketplace.core.errors import Invalid
from marketplace.core.money import MINOR_DIGITS
from marketplace.core.paging import decode_cursor, encode_cursor
from marketplace.flows.bank import match_by_hand
from marketplace.flows.bank.match_by_hand import ProposeMatch
from marketplace.flows.bank.match_lines import match_lines
from marketplace.web.auth import ActorRequest
from marketplace.web.guards import CONTROL
from marketplace.web.i18n import speech
from marketplace.web.templating import render

HERE = "/finance/workbench"
TICKED_MAX = 500
_KINDS = "|".join(ResidueKind)

REASONS = {
    "the amounts are equal": "amount",
    "the amounts differ": "apart",
    rf"a (?P<kind>{_KINDS}) would explain": "explains",
    "the line names the reference": "reference",
    "the line names the end of the reference": "end",
    r"(?P<days>\d+) days after it was expected": "days",
    "the counterparty is the same": "party",
    "another counterparty": "other_party",
    "a person took these apart": "taken_apart",
    "a payout that was paid came back": "payout_back",
    r"the only (?P<items>\d+) items of this counterparty that sum to it": "subset",
    "the same reference": "same_reference",
    rf"-?\d+ explained as (?P<kind>{_KINDS})": "explained",
    r"batch (?P<batch>.+)": "batch",
}
"""The reasons that matching gives, and the words for them."""


@get("/workbench")
async def workbench(request: ActorRequest, db: NamedDependency[Database]) -> Response[str]:
    """Open lines of theirs beside open items of ours; the address says which, what is ticked and what is chosen."""
    return await show_workbench(request, db, _asked(dict(request.query_params)))


async def show_workbench(
    request: ActorRequest, db: Database, asked: Asked, refused: Refused | None = None
) -> Response[str]:
    after = {Side.THEIRS: _place(asked.theirs_after), Side.OURS: _place(asked.ours_after)}
    async with db.read(STAFF) as tx:
        page = await queries.workbench(tx, asked, after)
    if page is None:
        return send(request, "empty.html", Nothing(), "workbench", refused=refused)
    nexts = {
        side: encode_cursor(place) if place else None
        for side, place in (("theirs", page.theirs_next), ("ours", page.ours_next))
    }
    more: dict[str, Any] = {"books": list(Book), "residues": list(ResidueKind), "nexts": nexts, "whys": _whys(request)}
    return send(request, "finance/workbench.html", page, "workbench", refused=refused, **more)


def _place(cursor: str | None) -> Place | None:
    return decode_cursor(cursor, tuple[date, int])


@get("/workbench/sums")
async def sums(request: ActorRequest, db: NamedDependency[Database]) -> Response[str]:
    """The sums of what is ticked and their difference, to be shown in their place while one ticks."""
    asked = _asked(dict(request.query_params))
    async with db.read(STAFF) as tx:
        page = await queries.sums(tx, asked)
    return Response(render("finance/workbench_sums.html", request.user.locale, page), media_type=MediaType.HTML)


@get("/workbench/groups/{group_id:int}")
async def group_page(request: ActorRequest, db: NamedDependency[Database], group_id: PathId) -> Response[str]:
    """A group: what is on either side, why it was matched, and the entries it stands on."""
    async with db.read(STAFF) as tx:
        page = await queries.match_page(tx, group_id=group_id)
    return send(request, "finance/match.html", page, "workbench", whys=_whys(request))


@get("/workbench/proposals/{proposal_id:int}")
async def proposal_page(request: ActorRequest, db: NamedDependency[Database], proposal_id: PathId) -> Response[str]:
    """What somebody wants matched or taken back, to be looked at before it is decided."""
    async with db.read(STAFF) as tx:
        page = await queries.match_page(tx, proposal_id=proposal_id)
    return send(request, "finance/match.html", page, "workbench", whys=_whys(request))


@post("/workbench/match")
async def match(request: ActorRequest, db: NamedDependency[Database]) -> Response[Any]:
    """Propose to match what is ticked."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        asked = _asked(typed)
        if not asked.theirs or not asked.ours:
            raise Invalid("items: tick at least one on either side")
        reason = text(typed, "reason", least=1, most=500)
        cmd = ProposeMatch(theirs=asked.theirs, ours=asked.ours, reason=reason, residue_kind=asked.residue_kind)
        return await _settled(tx, request, await match_by_hand.propose_match(tx, cmd), _address(asked))

    return await _carry_out(request, db, work)


@post("/workbench/groups/{group_id:int}/unmatch")
async def unmatch(request: ActorRequest, db: NamedDependency[Database], group_id: PathId) -> Response[Any]:
    """Propose to take a group back."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        reason = text(typed, "reason", least=1, most=500)
        proposal = await match_by_hand.propose_unmatch(tx, group_id, reason)
        return await _settled(tx, request, proposal, _address(_asked(typed)))

    return await _carry_out(request, db, work)


@post("/workbench/run")
async def run(request: ActorRequest, db: NamedDependency[Database]) -> Response[Any]:
    """Let the rules match what is open, and name what does not match."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        await match_lines(db, tx.actor)
        return done(_address(_asked(typed)), "bench_run")

    return await _carry_out(request, db, work, by_steps=True)


async def _carry_out(request: ActorRequest, db: Database, work: Any, *, by_steps: bool = False) -> Response[Any]:
    async def again(why: Refused) -> Response[str]:
        return await show_workbench(request, db, _asked(why.typed), why)

    return await carry_out(request, db, work, again=again, by_steps=by_steps)


async def _settled(tx: Tx, request: ActorRequest, proposal: Proposal, address: str) -> str:
    """Where one person does everything, what was proposed is done at once; else somebody else decides."""
    if not await policies.is_on(tx, "single_operator"):
        return done(address, "bench_proposed")
    is_controller = bool(request.user.roles & CONTROL)
    await match_by_hand.approve_match(tx, proposal.proposal_id, is_controller=is_controller)
    return done(address, f"bench_{proposal.action}")


def _asked(typed: Mapping[str, str]) -> Asked:
    """What an address or a form says. Raises Invalid."""

    def ticked(side: Side) -> tuple[int, ...]:
        names = [name for name in typed if name.startswith(f"{side}:")]
        if len(names) > TICKED_MAX:
            raise Invalid(f"{side}: at most {TICKED_MAX} items at once")
        return tuple(sorted(number({"item": name.partition(":")[2]}, "item") for name in names))

    book = typed.get("book") or Book.BANK
    if book not in list(Book):
        raise Invalid(f"book: must be one of {', '.join(Book)}", pointer="/book")
    currency = text(typed, "currency", most=3)
    if currency and currency not in MINOR_DIGITS:
        raise Invalid(f"currency: there is no currency {currency!r}", pointer="/currency")
    return Asked(
        entity_id=number(typed, "entity", most=2**31 - 1) if typed.get("entity") else None,
        book=Book(book),
        currency=currency,
        words=text(typed, "q", most=100).replace("\0", ""),
        line=number(typed, "line") if typed.get("line") else None,
        theirs_after=typed.get("theirs_after") or None,
        ours_after=typed.get("ours_after") or None,
        theirs=ticked(Side.THEIRS),
        ours=ticked(Side.OURS),
        reason=typed.get("reason", ""),
        residue_kind=chosen(typed, "residue_kind", ResidueKind) if typed.get("residue_kind") else None,
    )


def _address(asked: Asked) -> str:
    """The lists as they were looked at, with nothing ticked."""
    said = {"entity": asked.entity_id, "book": asked.book, "currency": asked.currency, "q": asked.words}
    return f"{HERE}?{urlencode({name: value for name, value in said.items() if value})}"


def _whys(request: ActorRequest) -> Callable[[Sequence[str]], list[str]]:
    """Reasons in the reader's language; what people wrote stays as it is."""
    say = speech(request.user.locale)

    def said(reason: str) -> str:
        """A suggestion that was taken has all its reasons in one."""
        return ", ".join(one(part) for part in reason.split(", "))

    def one(reason: str) -> str:
        for shape, word in REASONS.items():
            if found := re.fullmatch(shape, reason):
                named = {
                    name: say.label("bench_verdict", value) if name == "kind" else value
                    for name, value in found.groupdict().items()
                }
                return say.label("bench_why", word, **named)
        return reason

    return lambda reasons: [said(reason) for reason in reasons]


PAGES = [workbench, sums, group_page, proposal_page, match, unmatch, run]
