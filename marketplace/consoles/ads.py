"""A merchant's ads on pages: what is prepaid, what runs and what it brought; topped up, drafted and moved there."""

from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import Any

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from billing.ads.campaigns import store as campaigns
from billing.ads.lifecycle import CampaignMove, moves_from, party_of
from billing.ads.model import Pacing, TopUpSource
from billing.ledger import store as ledger
from marketplace.consoles import ads_queries
from marketplace.consoles.ads_queries import CAMPAIGNS
from marketplace.consoles.books_queries import get_merchant
from marketplace.consoles.deeds import Refused, amount, carry_out, done, number, text
from marketplace.consoles.layout import PathId, Place, send
from marketplace.core.db import Database, Tx
from marketplace.core.errors import Invalid
from marketplace.core.money import check_currency
from marketplace.flows.ads.fund_ads import TopUp, top_up
from marketplace.flows.ads.plan_campaign import (
    CampaignChange,
    NewCampaign,
    draft_campaign,
    edit_campaign,
    move_campaign,
)
from marketplace.web.auth import ActorRequest
from marketplace.web.guards import FINANCE, MERCHANT_BOOKS, OPS, Role, needs

readers = needs(MERCHANT_BOOKS, OPS, FINANCE)
sellers = needs(MERCHANT_BOOKS, OPS)
_NAME_MAX, _WORDS_MAX = 200, 50


@get(["/ads", "/ads.csv"], guards=[readers])
async def ads(request: ActorRequest, db: NamedDependency[Database], place: NamedDependency[Place]) -> Response[Any]:
    """What is prepaid, and every campaign with what it cost in four weeks."""
    return await show_ads(request, db, place)


async def show_ads(request: ActorRequest, db: Database, place: Place, refused: Refused | None = None) -> Response[Any]:
    async with db.read(place.scope) as tx:
        merchant = await get_merchant(tx, place.merchant_id)
        since = ads_queries.first_of(tx, merchant)
        listing = CAMPAIGNS.asked(request, f"{place.base}/ads", merchant=place.merchant_id, first=since)
        if not listing.is_file:
            page, listing = await ads_queries.ads_page(tx, merchant), await listing.page(tx)
    if listing.is_file:
        return await listing.as_file(request, db, place.scope)
    may: dict[str, Any] = {
        "may_sell": bool(request.user.roles & (MERCHANT_BOOKS | OPS)),
        "may_pay": bool(request.user.roles & ({Role.MERCHANT_OWNER} | FINANCE)),
        "listing": listing,
    }
    return send(request, "merchant/ads.html", page, "ads", place, refused=refused, **may)


@get("/ads/{campaign_id:int}", guards=[readers])
async def campaign(
    request: ActorRequest, db: NamedDependency[Database], place: NamedDependency[Place], campaign_id: PathId
) -> Response[str]:
    """One campaign: what it may spend, what it brought day by day, and who has moved it."""
    return await show_campaign(request, db, place, campaign_id)


async def show_campaign(
    request: ActorRequest, db: Database, place: Place, campaign_id: int, refused: Refused | None = None
) -> Response[str]:
    async with db.read(place.scope) as tx:
        page = await ads_queries.campaign_page(tx, place.merchant_id, campaign_id)
    moves = (
        moves_from(page.found.campaign.state, party_of(request.user.merchant_id))
        if request.user.roles & (MERCHANT_BOOKS | OPS)
        else []
    )
    return send(request, "merchant/campaign.html", page, "ads", place, refused=refused, moves=moves)


@post("/ads/top-ups", guards=[needs(Role.MERCHANT_OWNER, FINANCE)])
async def pay(request: ActorRequest, db: NamedDependency[Database], place: NamedDependency[Place]) -> Response[Any]:
    """Prepay ads out of what the merchant has earned."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        currency = check_currency(text(typed, "currency", most=3))
        cmd = TopUp(
            merchant_id=place.merchant_id,
            currency=currency,
            amount_minor=amount(typed, "amount_minor", currency, least=1),
            source=TopUpSource.EARNINGS,
        )
        await top_up(tx, cmd)
        return done(f"{place.base}/ads", "ads_paid")

    return await carry_out(request, db, work, again=partial(show_ads, request, db, place))


@post("/ads", guards=[sellers])
async def draft(request: ActorRequest, db: NamedDependency[Database], place: NamedDependency[Place]) -> Response[Any]:
    """A campaign for a listing, submitted at once: it runs when the platform has looked at it."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        placement = await campaigns.get_placement(tx, number(typed, "placement_id"))
        words = text(typed, "words", most=2_000).split()
        if len(words) > _WORDS_MAX:
            raise Invalid(f"words: at most {_WORDS_MAX} words", pointer="/words")
        merchant = await get_merchant(tx, place.merchant_id)
        cmd = NewCampaign(
            merchant_id=place.merchant_id,
            name=text(typed, "name", most=_NAME_MAX, least=1),
            placement_id=placement.placement_id,
            product_id=number(typed, "product_id"),
            bid_minor=amount(typed, "bid_minor", placement.currency, least=1),
            daily_minor=amount(typed, "daily_minor", placement.currency, least=1),
            total_minor=None,
            zone=merchant.zone,
            pacing=Pacing.EVEN,
            starts_at=tx.now,
            ends_at=tx.now + timedelta(days=number(typed, "days", least=1, most=366)),
            categories=(),
            words=tuple(dict.fromkeys(words)),
        )
        made = await draft_campaign(tx, cmd, party_of(request.user.merchant_id))
        key = (made.campaign.merchant_id, made.campaign.campaign_id)
        await move_campaign(tx, *key, CampaignMove.SUBMIT, party_of(request.user.merchant_id))
        return done(f"{place.base}/ads/{made.campaign.campaign_id}", "campaign_submit")

    return await carry_out(request, db, work, again=partial(show_ads, request, db, place))


@post("/ads/{campaign_id:int}/limits", guards=[sellers])
async def limit(
    request: ActorRequest, db: NamedDependency[Database], place: NamedDependency[Place], campaign_id: PathId
) -> Response[Any]:
    """What a click may cost, and a day; less on a day holds from tomorrow on."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        await ledger.lock_books(tx, place.merchant_id)
        held = await campaigns.get_campaign(tx, place.merchant_id, campaign_id, lock=True)
        change = CampaignChange(
            bid_minor=amount(typed, "bid_minor", held.currency, least=1),
            daily_minor=amount(typed, "daily_minor", held.currency, least=1),
        )
        await edit_campaign(tx, held, change)
        return done(f"{place.base}/ads/{campaign_id}", "campaign_limits")

    return await carry_out(request, db, work, again=partial(show_campaign, request, db, place, campaign_id))


@post("/ads/{campaign_id:int}/{move:str}", guards=[sellers])
async def take_on(
    request: ActorRequest,
    db: NamedDependency[Database],
    place: NamedDependency[Place],
    campaign_id: PathId,
    move: FromPath[CampaignMove],
) -> Response[Any]:
    """Submit, pause, resume or end it; the platform also approves, rejects, suspends and reinstates."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        reason = text(typed, "reason", most=500)
        await move_campaign(tx, place.merchant_id, campaign_id, move, party_of(request.user.merchant_id), reason)
        return done(f"{place.base}/ads/{campaign_id}", f"campaign_{move}")

    return await carry_out(request, db, work, again=partial(show_campaign, request, db, place, campaign_id))


PAGES = [ads, campaign, pay, draft, limit, take_on]
