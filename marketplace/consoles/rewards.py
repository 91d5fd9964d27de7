"""A merchant's promotions on a page: what is open to it, how far it is in each, and what it has earned."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency

from incentives.experiments.store import get_holdout
from incentives.grants.progress_queries import Reward, rewards, running
from incentives.promotions.store import PublicPromotion, public_promotions
from incentives.rules.events import Holdout
from marketplace.consoles.books_queries import Merchant, get_merchant
from marketplace.consoles.deeds import Refused, carry_out, done
from marketplace.consoles.layout import PathId, Place, send
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.acquisition.refer_merchants_sql import brought_by, codes_of
from marketplace.flows.promotions.join_promotion import join_promotion
from marketplace.flows.promotions.report_rewards import RewardGrant, reward_grants
from marketplace.web.auth import ActorRequest
from marketplace.web.guards import MERCHANT_BOOKS, OPS, needs
from supply.leads.referrals.model import Brought, OwnCode

LISTED_MAX = 50


class PromotionsPage(msgspec.Struct, frozen=True):
    """running: windows that still take something in, by what is missing. grants: the newest first.

    codes, brought: by which the merchant brings others, and what came of it.
    """

    merchant: Merchant
    open: Sequence[PublicPromotion]
    running: Sequence[Reward]
    grants: Sequence[RewardGrant]
    codes: Sequence[OwnCode] = ()
    brought: Sequence[Brought] = ()


async def promotions_page(tx: Tx, merchant_id: int, holdout: Holdout | None) -> PromotionsPage:
    """Raises NotFound."""
    found = await rewards(tx, "merchant", merchant_id, limit=LISTED_MAX, before=None)
    return PromotionsPage(
        merchant=await get_merchant(tx, merchant_id),
        open=await public_promotions(tx, merchant_id, holdout=holdout, limit=LISTED_MAX),
        running=running(found),
        grants=await reward_grants(tx, merchant_id, None, limit=LISTED_MAX, before=None),
    )


@get("/promotions")
async def promotions(
    request: ActorRequest, db: NamedDependency[Database], place: NamedDependency[Place]
) -> Response[str]:
    """What is open to the merchant, what more would earn, and what it was granted."""
    return await show_promotions(request, db, place)


async def show_promotions(
    request: ActorRequest, db: Database, place: Place, refused: Refused | None = None
) -> Response[str]:
    async with db.read(WORKER) as tx:
        holdout = await get_holdout(tx)
        codes = await codes_of(tx, place.merchant_id)
        brought = await brought_by(tx, place.merchant_id, limit=LISTED_MAX)
    async with db.read(place.scope) as tx:
        page = await promotions_page(tx, place.merchant_id, holdout)
    page = msgspec.structs.replace(page, codes=codes, brought=brought)
    may = bool(request.user.roles & (MERCHANT_BOOKS | OPS))
    return send(request, "merchant/promotions.html", page, "promotions", place, refused=refused, may_join=may)


@post("/promotions/{promotion_id:int}/join", guards=[needs(MERCHANT_BOOKS, OPS)])
async def join(
    request: ActorRequest, db: NamedDependency[Database], place: NamedDependency[Place], promotion_id: PathId
) -> Response[Any]:
    """Join a promotion that asks for it."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        del typed
        await join_promotion(tx, place.merchant_id, promotion_id)
        return done(f"{place.base}/promotions", "promotion_joined")

    return await carry_out(request, db, work, again=partial(show_promotions, request, db, place))


PAGES = [promotions, join]
