"""The pages of third-party payers: a payer's person sees its own, finance sees all under another address."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import msgspec
from litestar import Response, Router, get, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromQuery

from billing.payers.claims import store as claims
from marketplace.consoles import ops_queries, payers_queries
from marketplace.consoles.deeds import Refused, amount, carry_out, day_needed, done, number, text
from marketplace.consoles.layout import Nothing, PathId, send
from marketplace.consoles.lists import Roll, given_day
from marketplace.consoles.payers_queries import CLAIM_LINES, CLAIMS, DOCUMENTS, PAYERS, REJECTIONS, REMITTANCES
from marketplace.core.db import STAFF, Database, Scope, Tx
from marketplace.core.errors import Forbidden, Invalid
from marketplace.flows.payers.claim_shares import ClaimShares, claim_shares
from marketplace.flows.payers.settle_claim import (
    RejectLine,
    Remit,
    accept_claim,
    reclaim_line,
    reject_line,
    remit,
)
from marketplace.web.auth import ActorRequest
from marketplace.web.guards import FINANCE, PAYER, needs


class PayerPlace(msgspec.Struct, frozen=True):
    """Whose claims a page shows, as whom they are read, and the address that all pages about them begin with."""

    payer_id: int
    scope: Scope
    at: str
    tab: str | None = None

    def tab_of(self, own: str) -> str:
        return self.tab or own


async def own_payer(request: ActorRequest) -> PayerPlace:
    """A payer's own pages: the id comes from the session, never from the address."""
    if request.user.payer_id is None:
        raise Forbidden("these pages are a payer's own")
    return PayerPlace(request.user.payer_id, request.user.scope, "/payer")


async def any_payer(payer_id: PathId) -> PayerPlace:
    """Any payer, as finance sees it."""
    return PayerPlace(payer_id, STAFF, f"/finance/payers/{payer_id}", "payers")


@get(["/payers", "/payers.csv"])
async def payers(request: ActorRequest, db: NamedDependency[Database]) -> Response[Any]:
    """All payers, with what is open of their claims, by age."""
    listing = PAYERS.asked(request, "/finance/payers")
    async with db.read(STAFF) as tx:
        rows = await payers_queries.list_payer_rows(tx)
    if listing.is_file:
        return listing.as_file_of(request, rows)
    return send(request, "finance/payers.html", Nothing(), "payers", listing=listing.of(rows))


@get("/")
async def home(
    request: ActorRequest, db: NamedDependency[Database], place: NamedDependency[PayerPlace]
) -> Response[str]:
    """A payer's contracts and caps, its newest claims, and what is open of all, by age."""
    return await show_home(request, db, place)


async def show_home(
    request: ActorRequest, db: Database, place: PayerPlace, refused: Refused | None = None
) -> Response[str]:
    async with db.read(place.scope) as tx:
        page = await payers_queries.payer_home(tx, place.payer_id)
        entities = await ops_queries.list_entities(tx) if place.tab else []
    more: dict[str, Any] = {"at": place.at, "buckets": payers_queries.BUCKETS, "claiming": entities}
    return send(request, "payer/home.html", page, place.tab_of("home"), refused=refused, **more)


async def _list(
    request: ActorRequest, db: Database, place: PayerPlace, roll: Roll, page: str, *, unpaid: bool = False
) -> Response[Any]:
    """A list of a payer's own, on a page or as a file."""
    bound: dict[str, Any] = {"unpaid": unpaid} if roll is CLAIMS else {}
    wanted = {"unpaid": "1" if unpaid else ""}
    listing = roll.asked(request, f"{place.at}/{page}", wanted, payer=place.payer_id, **bound)
    async with db.read(place.scope) as tx:
        about = await payers_queries.of_payer(tx, place.payer_id, unpaid=unpaid)
        if not listing.is_file:
            listing = await listing.page(tx)
    if listing.is_file:
        return await listing.as_file(request, db, place.scope)
    return send(request, f"payer/{page}.html", about, place.tab_of(page), at=place.at, listing=listing)


@get(["/claims", "/claims.csv"])
async def list_claims(
    request: ActorRequest,
    db: NamedDependency[Database],
    place: NamedDependency[PayerPlace],
    unpaid: FromQuery[str] = "",
) -> Response[Any]:
    """Claims, the newest first: all, or those of which something is open."""
    return await _list(request, db, place, CLAIMS, "claims", unpaid=bool(unpaid))


@get(["/claims/{claim_id:int}", "/claims/{claim_id:int}/lines.csv"])
async def claim(
    request: ActorRequest,
    db: NamedDependency[Database],
    place: NamedDependency[PayerPlace],
    claim_id: PathId,
) -> Response[Any]:
    """One claim, its lines, and what was paid and refused of it."""
    return await show_claim(request, db, place, claim_id)


async def show_claim(
    request: ActorRequest, db: Database, place: PayerPlace, claim_id: int, refused: Refused | None = None
) -> Response[Any]:
    here = f"{place.at}/claims/{claim_id}"
    listing = CLAIM_LINES.asked(request, here, file=f"{here}/lines.csv", payer=place.payer_id, claim=claim_id)
    async with db.read(place.scope) as tx:
        page = await payers_queries.claim_page(tx, place.payer_id, claim_id)
        if not listing.is_file:
            listing = await listing.page(tx)
    if listing.is_file:
        return await listing.as_file(request, db, place.scope)
    more: dict[str, Any] = {"at": place.at, "listing": listing, "keeps": place.tab is not None}
    return send(request, "payer/claim.html", page, place.tab_of("claims"), refused=refused, **more)


@get(["/statement", "/statement.csv"])
async def statement(
    request: ActorRequest,
    db: NamedDependency[Database],
    place: NamedDependency[PayerPlace],
    first: FromQuery[str] = "",
    last: FromQuery[str] = "",
) -> Response[Any]:
    """What was claimed, paid and refused on some days, and the money that came."""
    from_on, to_on = given_day(first, "first"), given_day(last, "last")
    if from_on and to_on and to_on < from_on:
        raise Invalid("last: is before first", pointer="/last")
    wanted = {"first": from_on, "last": to_on}
    listing = REMITTANCES.asked(request, f"{place.at}/statement", wanted, payer=place.payer_id)
    async with db.read(place.scope) as tx:
        page = await payers_queries.statement_page(tx, place.payer_id, from_on, to_on)
        if not listing.is_file:
            listing = await listing.page(tx)
    if listing.is_file:
        return await listing.as_file(request, db, place.scope)
    tab = place.tab_of("payer_statement")
    return send(request, "payer/statement.html", page, tab, at=place.at, listing=listing)


@get(["/documents", "/documents.csv"])
async def documents(
    request: ActorRequest, db: NamedDependency[Database], place: NamedDependency[PayerPlace]
) -> Response[Any]:
    """Invoices for the platform's fee, and credit notes for what of it was given back."""
    return await _list(request, db, place, DOCUMENTS, "documents")


@get(["/rejections", "/rejections.csv"])
async def rejections(
    request: ActorRequest, db: NamedDependency[Database], place: NamedDependency[PayerPlace]
) -> Response[Any]:
    """What the payer refused, and what of it is claimed again."""
    return await _list(request, db, place, REJECTIONS, "rejections")


@post("/claims/{claim_id:int}/accept")
async def accept(
    request: ActorRequest, db: NamedDependency[Database], place: NamedDependency[PayerPlace], claim_id: PathId
) -> Response[Any]:
    """Say that what is open of a claim is right."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        del typed
        await accept_claim(tx, place.payer_id, claim_id)
        return done(f"{place.at}/claims/{claim_id}", "claim_accepted")

    return await carry_out(request, db, work, again=partial(show_claim, request, db, place, claim_id))


async def _line(tx: Tx, place: PayerPlace, claim_id: int, typed: Mapping[str, str]) -> RejectLine:
    """What a form says of a line. Raises NotFound, Invalid."""
    held = await claims.get_claim(tx, place.payer_id, claim_id)
    return RejectLine(
        payer_id=place.payer_id,
        claim_id=claim_id,
        line_no=number(typed, "line_no", least=1, most=2**31 - 1),
        amount_minor=amount(typed, "amount", held.currency, least=1),
        reason=text(typed, "reason", least=1, most=500),
        by_payer=place.tab is None,
    )


@post("/claims/{claim_id:int}/reject")
async def reject(
    request: ActorRequest, db: NamedDependency[Database], place: NamedDependency[PayerPlace], claim_id: PathId
) -> Response[Any]:
    """Say what of a line the payer will not pay, and why."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        await reject_line(tx, await _line(tx, place, claim_id, typed))
        return done(f"{place.at}/claims/{claim_id}", "line_rejected")

    return await carry_out(request, db, work, again=partial(show_claim, request, db, place, claim_id))


@post("/claims/{claim_id:int}/reclaim")
async def reclaim(
    request: ActorRequest, db: NamedDependency[Database], place: NamedDependency[PayerPlace], claim_id: PathId
) -> Response[Any]:
    """Take a refusal back: the next claim asks for it again."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        await reclaim_line(tx, await _line(tx, place, claim_id, typed))
        return done(f"{place.at}/claims/{claim_id}", "line_reclaimed")

    return await carry_out(request, db, work, again=partial(show_claim, request, db, place, claim_id))


@post("/claims/{claim_id:int}/remit")
async def take_money(
    request: ActorRequest, db: NamedDependency[Database], place: NamedDependency[PayerPlace], claim_id: PathId
) -> Response[Any]:
    """The payer's money is in the bank."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        held = await claims.get_claim(tx, place.payer_id, claim_id)
        cmd = Remit(
            payer_id=place.payer_id,
            claim_id=claim_id,
            amount_minor=amount(typed, "paid", held.currency, least=1),
            bank_ref=text(typed, "bank_ref", least=1, most=100),
            received_on=day_needed(typed, "received_on"),
        )
        await remit(tx, cmd)
        return done(f"{place.at}/claims/{claim_id}", "claim_remitted")

    return await carry_out(request, db, work, again=partial(show_claim, request, db, place, claim_id))


@post("/claims")
async def make_claim(
    request: ActorRequest, db: NamedDependency[Database], place: NamedDependency[PayerPlace]
) -> Response[Any]:
    """Claim what a contract bears of what was settled through a day."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        through = day_needed(typed, "through")
        contract_id = number(typed, "contract_id", least=1)
        entity_id = number(typed, "entity_id", least=1, most=2**31 - 1)
        made = await claim_shares(tx, ClaimShares(contract_id=contract_id, entity_id=entity_id, through=through))
        return done(f"/finance/payers/{made.payer_id}/claims/{made.claim_id}", "claim_sent")

    return await carry_out(request, db, work, again=lambda why: show_home(request, db, place, why))


_BOTH = [home, list_claims, claim, statement, documents, rejections, accept, reject]

PAGES = [
    Router(
        "/payer",
        route_handlers=_BOTH,
        guards=[needs(PAYER)],
        dependencies={"place": Provide(own_payer)},
        include_in_schema=False,
    ),
    Router(
        "/finance/payers/{payer_id:int}",
        route_handlers=[*_BOTH, reclaim, take_money, make_claim],
        guards=[needs(FINANCE)],
        dependencies={"place": Provide(any_payer)},
        include_in_schema=False,
    ),
    Router("/finance", route_handlers=[payers], guards=[needs(FINANCE)], include_in_schema=False),
]
