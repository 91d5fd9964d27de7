"""Settling delivered orders."""

from datetime import date

import msgspec
from litestar import Response, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from marketplace.core.db import Database, Tx
from marketplace.flows.commission.settle_orders import Settled, settle_through
from marketplace.web.auth import ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.guards import FINANCE, needs
from marketplace.web.once import once_through
from marketplace.web.openapi import ONCE


class Settle(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """through: a local date of the market; every order delivered up to and including it is settled."""

    through: date


@post("/settlements", dto=StrictBody[Settle], guards=[needs(FINANCE)], status_code=200, opt=ONCE)
async def settle(request: ActorRequest, db: NamedDependency[Database], data: JSONBody[Settle]) -> Response[Settled]:
    """Settle delivered orders through a date. Answers when the pass is over; sent again, it resumes or replays."""

    async def work(tx: Tx) -> Settled:  # commits bucket by bucket through db; the transaction only holds the key
        return await settle_through(db, tx.actor, data.through)

    return await once_through(request, db, work)


HANDLERS = [settle]
