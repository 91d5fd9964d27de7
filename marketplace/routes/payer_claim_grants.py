"""The claim file of promotions: every grant behind a claim, as a list and as a file."""

import csv
import io

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec

from billing.payers.claims import store
from billing.payers.claims.store import PayerClaim
from marketplace.core.db import STAFF, Database
from marketplace.core.money import text_from_minor
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.routes.parameters import LIMIT, Cursor, Limit, PathId
from marketplace.routes.payer_claim_queries import ClaimedGrant, claimed_grants
from marketplace.routes.payers import check_payer
from marketplace.web.auth import ActorRequest
from marketplace.web.guards import FINANCE, PAYER, needs

_PATH = "/payers/{payer_id:int}/claims/{claim_id:int}/grants"


@get(_PATH, guards=[needs(FINANCE, PAYER)])
async def list_claimed_grants(
    request: ActorRequest,
    db: NamedDependency[Database],
    payer_id: PathId,
    claim_id: PathId,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[ClaimedGrant]:
    """The grants of promotions that a claim asks for, by line: whose, when, how much, what of it the payer bears."""
    (after,) = decode_cursor(cursor, tuple[int]) or (0,)
    await _own_claim(request, db, payer_id, claim_id)
    async with db.read(STAFF) as tx:
        rows = await claimed_grants(tx, payer_id, claim_id, after=after, limit=limit + 1)
    return page(rows, limit, lambda row: row, lambda row: (row.line_no,))


@get(
    f"{_PATH}.csv",
    guards=[needs(FINANCE, PAYER)],
    responses={
        200: ResponseSpec(
            str, media_type="text/csv", description="One line per grant, after a header.", generate_examples=False
        )
    },
)
async def export_claimed_grants(
    request: ActorRequest, db: NamedDependency[Database], payer_id: PathId, claim_id: PathId
) -> Response[str]:
    """The same as a file for the payer's books, all of it, amounts in major units."""
    claim = await _own_claim(request, db, payer_id, claim_id)
    async with db.read(STAFF) as tx:
        found = await claimed_grants(tx, payer_id, claim_id)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("claim_no", *(name.removesuffix("_minor") for name in ClaimedGrant.__struct_fields__)))
    for one in found:
        fields = msgspec.structs.asdict(one).items()
        shown = [text_from_minor(value, one.currency) if name.endswith("_minor") else value for name, value in fields]
        writer.writerow((claim.claim_no, *shown))
    name = f"claim-{payer_id}-{claim.claim_no}-grants.csv"
    return Response(
        text.getvalue(),
        media_type="text/csv",
        headers={"content-disposition": f'attachment; filename="{name}"'},
    )


async def _own_claim(request: ActorRequest, db: Database, payer_id: int, claim_id: int) -> PayerClaim:
    """Raises NotFound for another payer's."""
    check_payer(request.user, payer_id)
    async with db.read(request.user.scope) as tx:
        return await store.get_claim(tx, payer_id, claim_id)


HANDLERS = [list_claimed_grants, export_claimed_grants]
