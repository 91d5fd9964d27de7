"""Claims on third-party payers: sent, remitted, rejected, claimed again. A payer's person sees its own."""

from datetime import date
from typing import Annotated

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter

from billing.payers.claims import store
from billing.payers.claims.store import ClaimLine, PayerClaim, Rejection, Remittance
from marketplace.core.db import Database, Tx
from marketplace.core.money import AMOUNT_MAX
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.flows.payers.claim_shares import ClaimShares, claim_shares
from marketplace.flows.payers.settle_claim import PaidLine, RejectLine, Remit, reclaim_line, reject_line, remit
from marketplace.flows.payers.settle_claim import accept_claim as accept
from marketplace.routes.fields import Label, Minor, Note
from marketplace.routes.parameters import LIMIT, Cursor, Limit, PathId, QueryId
from marketplace.routes.payers import check_payer, own_payer_or
from marketplace.web.auth import Actor, ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.files import Amount, csv_file, described
from marketplace.web.guards import FINANCE, PAYER, needs
from marketplace.web.once import once
from marketplace.web.openapi import ONCE

_ID = msgspec.Meta(ge=1, le=2**63 - 1)
_AMOUNT = msgspec.Meta(ge=1, le=AMOUNT_MAX)
_NAMED_MAX = 500
_HEADER = ("claim_no", "line_no", "merchant_id", "source", "reference", "amount", "fee", "vat", "currency")
_CLAIM = "/payers/{payer_id:int}/claims/{claim_id:int}"

Unpaid = Annotated[bool | None, QueryParameter(description="Only claims of which something is open.")]


class NewClaim(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """through: the last local day of settlement whose orders are claimed."""

    contract_id: Annotated[int, _ID]
    entity_id: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
    through: date


class RemittedLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What of the money is for a line, with the platform's fee: below zero where the line is owed to the payer.

    rejected_minor: what of the line's share is refused with it, for a reason.
    """

    line_no: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
    amount_minor: Annotated[int, msgspec.Meta(ge=-AMOUNT_MAX, le=AMOUNT_MAX)]
    rejected_minor: Minor = 0
    reason: Note = ""


class NewRemittance(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """bank_ref: the bank's name of the money, which books it once for a claim.

    lines: what the money is for, which comes to the amount; none: it is divided over what is open.
    """

    amount_minor: Annotated[int, _AMOUNT]
    bank_ref: Annotated[Label, msgspec.Meta(min_length=1)]
    received_on: date
    lines: Annotated[tuple[RemittedLine, ...], msgspec.Meta(max_length=_NAMED_MAX)] = ()


class LineAmount(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """So much of a line's share, without the platform's fee, which follows."""

    line_no: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
    amount_minor: Annotated[int, _AMOUNT]
    reason: Annotated[Note, msgspec.Meta(min_length=1)]


async def own_claim(actor: Actor, tx: Tx, payer_id: int, claim_id: int) -> PayerClaim:
    """A claim. Raises NotFound, also for a payer's person who names another payer's."""
    check_payer(actor, payer_id)
    return await store.get_claim(tx, payer_id, claim_id)


@get("/payer-claims", guards=[needs(FINANCE, PAYER)])
async def list_claims(
    request: ActorRequest,
    db: NamedDependency[Database],
    payer_id: QueryId = None,
    unpaid: Unpaid = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[PayerClaim]:
    """Claims, the newest first: on one payer or on all."""
    (after,) = decode_cursor(cursor, tuple[int]) or (None,)
    payer = own_payer_or(request.user, payer_id)
    async with db.read(request.user.scope) as tx:
        rows = await store.list_claims(tx, payer, limit=limit + 1, after=after, unpaid=bool(unpaid))
    return page(rows, limit, lambda row: row, lambda row: (row.claim_id,))


@post("/payer-claims", dto=StrictBody[NewClaim], guards=[needs(FINANCE)], status_code=201, opt=ONCE)
async def create_claim(
    request: ActorRequest, db: NamedDependency[Database], data: JSONBody[NewClaim]
) -> Response[PayerClaim]:
    """Claim what a contract bears of orders settled through a day, and what is to be set off; the payer is told.

    409 when there is nothing.
    """
    cmd = ClaimShares(contract_id=data.contract_id, entity_id=data.entity_id, through=data.through)
    return await once(request, db, claim_shares, cmd)


@get(_CLAIM, guards=[needs(FINANCE, PAYER)])
async def get_claim(
    request: ActorRequest, db: NamedDependency[Database], payer_id: PathId, claim_id: PathId
) -> PayerClaim:
    """A claim."""
    async with db.read(request.user.scope) as tx:
        return await own_claim(request.user, tx, payer_id, claim_id)


@get(f"{_CLAIM}/lines", guards=[needs(FINANCE, PAYER)])
async def list_claim_lines(
    request: ActorRequest,
    db: NamedDependency[Database],
    payer_id: PathId,
    claim_id: PathId,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[ClaimLine]:
    """A claim's lines by number: one for each order, charge or promotion, and one for a fixed fee."""
    (after,) = decode_cursor(cursor, tuple[int]) or (0,)
    async with db.read(request.user.scope) as tx:
        await own_claim(request.user, tx, payer_id, claim_id)
        rows = await store.lines_of(tx, payer_id, claim_id, after=after, limit=limit + 1)
    return page(rows, limit, lambda row: row, lambda row: (row.line_no,))


@get(
    f"{_CLAIM}/lines.csv",
    guards=[needs(FINANCE, PAYER)],
    responses=described("One line per share"),
)
async def export_claim_lines(
    request: ActorRequest, db: NamedDependency[Database], payer_id: PathId, claim_id: PathId
) -> Response[str]:
    """All lines of a claim, amounts in major units; they sum to the claim."""
    async with db.read(request.user.scope) as tx:
        claim = await own_claim(request.user, tx, payer_id, claim_id)
        lines = await store.lines_of(tx, payer_id, claim_id)
    rows = (
        (
            claim.claim_no,
            line.line_no,
            line.merchant_id,
            line.source,
            line.source_ref,
            *(Amount.of(minor, claim.currency) for minor in (line.amount_minor, line.fee_minor, line.vat_minor)),
            claim.currency,
        )
        for line in lines
    )
    return csv_file(f"claim-{payer_id}-{claim.claim_no}", _HEADER, rows)


@post(f"{_CLAIM}/accept", guards=[needs(FINANCE, PAYER)], status_code=200, opt=ONCE)
async def accept_claim(
    request: ActorRequest, db: NamedDependency[Database], payer_id: PathId, claim_id: PathId
) -> Response[PayerClaim]:
    """The payer says that what is open of a claim is right. From then on its people reject nothing of it."""
    check_payer(request.user, payer_id)
    return await once(request, db, accept, payer_id, claim_id)


@get(f"{_CLAIM}/remittances", guards=[needs(FINANCE, PAYER)])
async def list_remittances(
    request: ActorRequest,
    db: NamedDependency[Database],
    payer_id: PathId,
    claim_id: PathId,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[Remittance]:
    """The money that came for a claim, the newest first."""
    (after,) = decode_cursor(cursor, tuple[int]) or (None,)
    async with db.read(request.user.scope) as tx:
        await own_claim(request.user, tx, payer_id, claim_id)
        rows = await store.list_remittances(tx, payer_id, claim_id=claim_id, limit=limit + 1, after=after)
    return page(rows, limit, lambda row: row, lambda row: (row.remittance_id,))


@post(f"{_CLAIM}/remittances", dto=StrictBody[NewRemittance], guards=[needs(FINANCE)], status_code=201, opt=ONCE)
async def create_remittance(
    request: ActorRequest,
    db: NamedDependency[Database],
    payer_id: PathId,
    claim_id: PathId,
    data: JSONBody[NewRemittance],
) -> Response[PayerClaim]:
    """A payer's money for a claim is in the bank: all of it or a part, of all lines or of those that are named, with
    what is rejected of them. 409 for more than is open.
    """
    cmd = Remit(
        payer_id=payer_id,
        claim_id=claim_id,
        amount_minor=data.amount_minor,
        bank_ref=data.bank_ref,
        received_on=data.received_on,
        lines=tuple(PaidLine(**msgspec.structs.asdict(line)) for line in data.lines),
    )
    return await once(request, db, remit, cmd)


@post(
    f"{_CLAIM}/rejections",
    dto=StrictBody[LineAmount],
    guards=[needs(FINANCE, PAYER)],
    status_code=201,
    opt=ONCE,
)
async def create_rejection(
    request: ActorRequest,
    db: NamedDependency[Database],
    payer_id: PathId,
    claim_id: PathId,
    data: JSONBody[LineAmount],
) -> Response[Rejection]:
    """The payer will not pay so much of a line. The contract says who bears it: the merchant, or the platform."""
    check_payer(request.user, payer_id)
    cmd = msgspec.structs.replace(_line(payer_id, claim_id, data), by_payer=request.user.payer_id is not None)
    return await once(request, db, reject_line, cmd)


@post(f"{_CLAIM}/reclaims", dto=StrictBody[LineAmount], guards=[needs(FINANCE)], status_code=201, opt=ONCE)
async def create_reclaim(
    request: ActorRequest,
    db: NamedDependency[Database],
    payer_id: PathId,
    claim_id: PathId,
    data: JSONBody[LineAmount],
) -> Response[Rejection]:
    """Take a rejection back: the next claim asks for it again."""
    return await once(request, db, reclaim_line, _line(payer_id, claim_id, data))


def _line(payer_id: int, claim_id: int, data: LineAmount) -> RejectLine:
    return RejectLine(
        payer_id=payer_id,
        claim_id=claim_id,
        line_no=data.line_no,
        amount_minor=data.amount_minor,
        reason=data.reason,
    )


HANDLERS = [
    list_claims,
    create_claim,
    get_claim,
    list_claim_lines,
    export_claim_lines,
    accept_claim,
    list_remittances,
    create_remittance,
    create_rejection,
    create_reclaim,
]
