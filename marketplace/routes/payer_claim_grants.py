"""The claim file of promotions: every grant behind a claim, as a list and as a file."""

from collections.abc import Iterator

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency

from marketplace.core.db import STAFF, Database
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.routes.parameters import LIMIT, Cursor, Limit, PathId
from marketplace.routes.payer_claim_queries import ClaimedGrant, claimed_grants
from marketplace.routes.payer_claims import own_claim
from marketplace.web.auth import ActorRequest
from marketplace.web.files import Amount, csv_file, described
from marketplace.web.guards import FINANCE, PAYER, needs

_HEADER = ("claim_no", *(name.removesuffix("_minor") for name in ClaimedGrant.__struct_fields__))
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
    async with db.read(request.user.scope) as tx:
        await own_claim(request.user, tx, payer_id, claim_id)
    async with db.read(STAFF) as tx:
        rows = await claimed_grants(tx, payer_id, claim_id, after=after, limit=limit + 1)
    return page(rows, limit, lambda row: row, lambda row: (row.line_no,))


@get(
    f"{_PATH}.csv",
    guards=[needs(FINANCE, PAYER)],
    responses=described("One line per grant"),
)
async def export_claimed_grants(
    request: ActorRequest, db: NamedDependency[Database], payer_id: PathId, claim_id: PathId
) -> Response[str]:
    """The same as a file for the payer's books, all of it, amounts in major units."""
    async with db.read(request.user.scope) as tx:
        claim = await own_claim(request.user, tx, payer_id, claim_id)
    async with db.read(STAFF) as tx:
        found = await claimed_grants(tx, payer_id, claim_id)
    rows = ((claim.claim_no, *_cells(grant)) for grant in found)
    return csv_file(f"claim-{payer_id}-{claim.claim_no}-grants", _HEADER, rows)


def _cells(grant: ClaimedGrant) -> Iterator[object]:
    for name, value in msgspec.structs.asdict(grant).items():
        yield Amount.of(value, grant.currency) if name.endswith("_minor") else value


HANDLERS = [list_claimed_grants, export_claimed_grants]
