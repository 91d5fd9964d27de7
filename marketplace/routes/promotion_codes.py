"""Codes of promotions that work once: issued, listed, made void. A code that everybody may use stands in the terms."""

from datetime import datetime
from typing import Annotated

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from incentives.discounts.codes import store
from incentives.discounts.codes.store import Code
from incentives.promotions.store import get_promotion
from marketplace.core.db import STAFF as STAFF_SCOPE
from marketplace.core.db import Database
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.flows.discounts.issue_codes import CODES_MAX, IssueCodes, Issued, issue_codes, void_code
from marketplace.routes.fields import BuyerId
from marketplace.routes.parameters import LIMIT, Cursor, Limit, PathCode, PathId
from marketplace.web.auth import ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.guards import OPS, needs
from marketplace.web.once import once
from marketplace.web.openapi import ONCE

_PATH = "/promotions/{promotion_id:int}/codes"


class NewCodes(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """count: how many. buyer_id: for this buyer only; otherwise for whoever has the code."""

    count: Annotated[int, msgspec.Meta(ge=1, le=CODES_MAX)] = 1
    expires_at: Annotated[datetime, msgspec.Meta(tz=True)]
    buyer_id: BuyerId | None = None


@post(_PATH, dto=StrictBody[NewCodes], guards=[needs(OPS)], status_code=201, opt=ONCE)
async def create_codes(
    request: ActorRequest, db: NamedDependency[Database], promotion_id: PathId, data: JSONBody[NewCodes]
) -> Response[Issued]:
    """Codes that each take something off one order, for a promotion whose terms ask for an `order.code` that begins
    with `once:`."""
    cmd = IssueCodes(promotion_id=promotion_id, **msgspec.structs.asdict(data))
    return await once(request, db, issue_codes, cmd)


@get(_PATH, guards=[needs(OPS)])
async def list_promotion_codes(
    db: NamedDependency[Database], promotion_id: PathId, limit: Limit = LIMIT, cursor: Cursor = None
) -> Page[Code]:
    """The codes of a promotion in the order of their letters, and what they were used for."""
    (after,) = decode_cursor(cursor, tuple[str]) or ("",)
    async with db.read(STAFF_SCOPE) as tx:
        await get_promotion(tx, promotion_id)
        rows = await store.list_codes(tx, promotion_id, limit=limit + 1, after=after)
    return page(rows, limit, lambda row: row, lambda row: (row.code,))


@post(f"{_PATH}/{{code:str}}/void", guards=[needs(OPS)], status_code=200, opt=ONCE)
async def make_code_void(
    request: ActorRequest, db: NamedDependency[Database], promotion_id: PathId, code: PathCode
) -> Response[Code]:
    """Let a code work no more. 409 for one that is used."""
    return await once(request, db, void_code, promotion_id, code)


HANDLERS = [create_codes, list_promotion_codes, make_code_void]
