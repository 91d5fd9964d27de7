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
from marketplace.consoles.layout import PathId, send
from marketplace.consoles.lists import given_day
from marketplace.consoles.lists_queries import EXPORTED_MAX
from marketplace.core.db import STAFF, Database, Scope, Tx
from marketplace.core.errors import Forbidden, Invalid
from marketplace.core.paging import decode_cursor, encode_cursor
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
from marketplace.web.files import Amount, csv_file
from marketplace.web.guards import FINANCE, PAYER, needs
from marketplace.web.i18n import speech


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


def _cursor(key: tuple[int] | None) -> str | None:
    return encode_cursor(key) if key else None


@get("/payers")
async def payers(
    request: ActorRequest, db: NamedDependency[Database], after: FromQuery[str | None] = None
) -> Response[str]:
    """All payers, with what is open of their claims, by age."""
    (behind,) = decode_cursor(after, tuple[int]) or (0,)
    async with db.read(STAFF) as tx:
        page = await payers_queries.payers_page(tx, behind)
    return send(
        request,
        "finance/payers.html",
        page,
        "payers",
        cursor=_cursor(page.older),
        buckets=payers_queries.BUCKETS,
    )


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


@get("/claims")
async def list_claims(
    request: ActorRequest,
    db: NamedDependency[Database],
    place: NamedDependency[PayerPlace],
    unpaid: FromQuery[str] = "",
    after: FromQuery[str | None] = None,
) -> Response[str]:
    """Claims, the newest first: all, or those of which something is open."""
    (behind,) = decode_cursor(after, tuple[int]) or (None,)
    async with db.read(place.scope) as tx:
        page = await payers_queries.claims_page(tx, place.payer_id, unpaid=bool(unpaid), after=behind)
    return send(request, "payer/claims.html", page, place.tab_of("claims"), at=place.at, cursor=_cursor(page.older))


@get("/claims.csv")
async def claims_file(
    request: ActorRequest,
    db: NamedDependency[Database],
    place: NamedDependency[PayerPlace],
    unpaid: FromQuery[str] = "",
) -> Response[str]:
    """All claims of the list, as a file."""
    async with db.read(place.scope) as tx:
        rows = await claims.list_claims(tx, place.payer_id, limit=EXPORTED_MAX, unpaid=bool(unpaid))
    say = speech(request.user.locale)
    names = ("claims.no", "claims.sent", "claims.due", "col.currency", "claims.share", "claims.fee", "col.vat")
    return csv_file(
        "claims",
        [say.text(name) for name in (*names, "claims.paid", "claims.refused", "claims.open")],
        (
            (
                row.claim_no,
                row.sent_on.isoformat(),
                row.due_on.isoformat(),
                row.currency,
                *(Amount.of(minor, row.currency) for minor in (
                    row.amount_minor, row.fee_minor, row.vat_minor, row.remitted_minor, row.rejected_minor,
                    row.open_minor,
                )),
            )
            for row in rows
        ),
    )  # fmt: skip


@get("/claims/{claim_id:int}")
async def claim(
    request: ActorRequest,
    db: NamedDependency[Database],
    place: NamedDependency[PayerPlace],
    claim_id: PathId,
    after: FromQuery[str | None] = None,
) -> Response[str]:
    """One claim, its lines, and what was paid and refused of it."""
    return await show_claim(request, db, place, claim_id, after=after)


async def show_claim(
    request: ActorRequest,
    db: Database,
    place: PayerPlace,
    claim_id: int,
    refused: Refused | None = None,
    after: str | None = None,
) -> Response[str]:
    (behind,) = decode_cursor(after, tuple[int]) or (0,)
    async with db.read(place.scope) as tx:
        page = await payers_queries.claim_page(tx, place.payer_id, claim_id, behind)
    more: dict[str, Any] = {"at": place.at, "cursor": _cursor(page.older), "keeps": place.tab is not None}
    return send(request, "payer/claim.html", page, place.tab_of("claims"), refused=refused, **more)


@get("/statement")
async def statement(
    request: ActorRequest,
    db: NamedDependency[Database],
    place: NamedDependency[PayerPlace],
    first: FromQuery[str] = "",
    last: FromQuery[str] = "",
    after: FromQuery[str | None] = None,
) -> Response[str]:
    """What was claimed, paid and refused on some days, and the money that came."""
    (behind,) = decode_cursor(after, tuple[int]) or (None,)
    from_on, to_on = given_day(first, "first"), given_day(last, "last")
    if from_on and to_on and to_on < from_on:
        raise Invalid("last: is before first", pointer="/last")
    async with db.read(place.scope) as tx:
        page = await payers_queries.statement_page(tx, place.payer_id, from_on, to_on, behind)
    return send(
        request,
        "payer/statement.html",
        page,
        place.tab_of("payer_statement"),
        at=place.at,
        cursor=_cursor(page.older),
    )


@get("/documents")
async def documents(
    request: ActorRequest,
    db: NamedDependency[Database],
    place: NamedDependency[PayerPlace],
    after: FromQuery[str | None] = None,
) -> Response[str]:
    """Invoices for the platform's fee, and credit notes for what of it was given back."""
    (behind,) = decode_cursor(after, tuple[int]) or (None,)
    async with db.read(place.scope) as tx:
        page = await payers_queries.documents_page(tx, place.payer_id, behind)
    return send(
        request, "payer/documents.html", page, place.tab_of("documents"), at=place.at, cursor=_cursor(page.older)
    )


@get("/rejections")
async def rejections(
    request: ActorRequest,
    db: NamedDependency[Database],
    place: NamedDependency[PayerPlace],
    after: FromQuery[str | None] = None,
) -> Response[str]:
    """What the payer refused, and what of it is claimed again."""
    (behind,) = decode_cursor(after, tuple[int]) or (None,)
    async with db.read(place.scope) as tx:
        page = await payers_queries.rejections_page(tx, place.payer_id, behind)
    return send(
        request, "payer/rejections.html", page, place.tab_of("rejections"), at=place.at, cursor=_cursor(page.older)
    )


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


_BOTH = [home, list_claims, claims_file, claim, statement, documents, rejections, accept, reject]

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
