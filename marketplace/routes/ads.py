"""Sponsored positions for whoever searches, and what the shop says was seen and clicked of them."""

from typing import Annotated

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter

from billing.ads import store
from billing.ads.events import read_lines
from marketplace.core.db import WORKER, Database
from marketplace.flows.ads import credit_clicks as crediting
from marketplace.flows.ads.answer_sponsored import AskSponsored, SponsoredAnswer, answer_sponsored
from marketplace.flows.ads.credit_clicks import Credited
from marketplace.flows.ads.take_ad_events import Taken, take_events
from marketplace.routes.fields import Reason
from marketplace.routes.parameters import PathId
from marketplace.web.auth import ActorRequest
from marketplace.web.body import StrictBody, UnsupportedMediaType
from marketplace.web.guards import OPS, SELLING, needs
from marketplace.web.once import once
from marketplace.web.openapi import ALSO, ONCE

EVENTS_BYTES_MAX = 2**23
_LINES = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl"})

PlacementName = Annotated[str, QueryParameter(name="placement", max_length=200, pattern=r"^[^\x00]*$")]
Category = Annotated[str | None, QueryParameter(max_length=200, pattern=r"^[^\x00]*$")]
Words = Annotated[str, QueryParameter(name="query", max_length=400, pattern=r"^[^\x00]*$")]
Positions = Annotated[int | None, QueryParameter(ge=0, le=100)]


class ReportClicks(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Events of the merchant's campaigns, by the shop's ids, that are found to be no real ones."""

    event_ids: Annotated[
        list[Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern="^[!-~]*$")]],
        msgspec.Meta(min_length=1, max_length=1_000),
    ]
    reason: Reason


@get("/ads/sponsored", guards=[needs(SELLING)], opt={ALSO: (404,)})
async def list_sponsored(
    request: ActorRequest,
    db: NamedDependency[Database],
    placement: PlacementName,
    category: Category = None,
    words: Words = "",
    positions: Positions = None,
) -> SponsoredAnswer:
    """Sponsored listings for a category or a search, best first; each is to be marked as sponsored where it is shown.

    A listing's token goes back, as it is, with every event about it; it is good for a day.
    """
    ask = AskSponsored(placement=placement, category=category, query=words, positions=positions)
    return await answer_sponsored(db, ask)


@post(
    "/ads/events",
    guards=[needs(SELLING)],
    status_code=200,
    request_max_body_size=EVENTS_BYTES_MAX,
    opt={ALSO: (400, 413, 415, 422)},
)
async def take_ad_events(request: ActorRequest, db: NamedDependency[Database]) -> Taken:
    """Take in impressions and clicks, one JSON object a line (`application/x-ndjson`, at most 10,000 lines and 8 MiB).

    A line has `id`, `kind` (`impression` or `click`), `token`, `viewer`, `at`, and where known `buyer_id`, `user_id`
    and `bot`. An event is taken once however often it is sent, up to 72 hours late, in any order. A batch with a bad
    line is refused whole; `lines` names up to twenty of them with the reason.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in _LINES:
        raise UnsupportedMediaType(f"content-type: {kind!r} is not application/x-ndjson")
    body = await request.body()
    async with db.read(WORKER) as tx:
        keys = await store.read_keys(tx)
    events = read_lines(body, keys, db.clock.now())
    return await db.write(WORKER, request.user.login, take_events, events)


@post(
    "/merchants/{merchant_id:int}/ads/invalid-clicks",
    dto=StrictBody[ReportClicks],
    guards=[needs(OPS)],
    status_code=200,
    opt=ONCE,
)
async def credit_clicks(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, data: JSONBody[ReportClicks]
) -> Response[Credited]:
    """Say that events were not real: they cost nothing, and what was charged for them is credited with its hour."""
    return await once(request, db, crediting.credit_clicks, merchant_id, data.event_ids, data.reason)


HANDLERS = [list_sponsored, take_ad_events, credit_clicks]
