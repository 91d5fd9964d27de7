"""What a merchant buys of the platform, on a page: subscribed to, agreed to and left there."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from marketplace.consoles.deeds import Refused, carry_out, done, number, text
from marketplace.consoles.layout import PathId, Place, send
from marketplace.consoles.lists import given
from marketplace.consoles.products_queries import products_page
from marketplace.core.db import Database, Tx
from marketplace.core.errors import Invalid, NotFound
from marketplace.flows.products import bill_services, change_subscription, sell_hardware, subscribe_merchant
from marketplace.flows.products.change_subscription import CancelSubscription
from marketplace.flows.products.sell_hardware import AcceptQuote
from marketplace.flows.products.subscribe_merchant import Agree, Subscribe
from marketplace.web.auth import ActorRequest
from marketplace.web.guards import MERCHANT_BOOKS, OPS, STAFF, needs
from supply.products.model import Means
from supply.products.subscriptions.lifecycle import By

_SEATS_MAX = 100_000
_REASON_MAX = 200

buyers = needs(MERCHANT_BOOKS, OPS)


@get("/products", guards=[needs(MERCHANT_BOOKS, STAFF)])
async def products(
    request: ActorRequest, db: NamedDependency[Database], place: NamedDependency[Place]
) -> Response[str]:
    """Tools, hardware, work and services that the merchant has, what is offered, and what it was charged."""
    return await show_products(request, db, place)


async def show_products(
    request: ActorRequest, db: Database, place: Place, refused: Refused | None = None
) -> Response[str]:
    async with db.read(place.scope) as tx:
        page = await products_page(tx, place.merchant_id)
    may = bool(request.user.roles & (MERCHANT_BOOKS | OPS))
    return send(request, "merchant/products.html", page, "products", place, refused, may_buy=may, means=list(Means))


@post("/products/subscriptions", guards=[buyers])
async def subscribe(
    request: ActorRequest, db: NamedDependency[Database], place: NamedDependency[Place]
) -> Response[Any]:
    """Subscribe to a plan: a trial where it has one, else the first period is charged at once."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        cmd = Subscribe(
            merchant_id=place.merchant_id,
            plan_id=number(typed, "plan_id"),
            seats=number(typed, "seats", least=1, most=_SEATS_MAX),
            pays_by=given(typed.get("pays_by"), Means, "pays_by"),
        )
        await subscribe_merchant.subscribe(tx, cmd)
        return done(f"{place.base}/products", "subscribed")

    return await carry_out(request, db, work, again=partial(show_products, request, db, place))


Deed = Callable[[Tx, Place, int, Mapping[str, str], By], Awaitable[object]]


async def _agree(tx: Tx, place: Place, subscription_id: int, typed: Mapping[str, str], by: By) -> object:
    cmd = Agree(merchant_id=place.merchant_id, subscription_id=subscription_id, pays_by=_means(typed))
    return await subscribe_merchant.agree(tx, cmd, by)


async def _leave(tx: Tx, place: Place, subscription_id: int, typed: Mapping[str, str], by: By) -> object:
    cmd = CancelSubscription(
        merchant_id=place.merchant_id,
        subscription_id=subscription_id,
        reason=text(typed, "reason", most=_REASON_MAX, least=1),
        at_period_end=True,
    )
    return await change_subscription.leave(tx, cmd, by)


async def _stay(tx: Tx, place: Place, subscription_id: int, typed: Mapping[str, str], by: By) -> object:
    del typed
    return await change_subscription.stay(tx, place.merchant_id, subscription_id, by)


async def _accept_quote(tx: Tx, place: Place, order_id: int, typed: Mapping[str, str], by: By) -> object:
    del by
    cmd = AcceptQuote(
        merchant_id=place.merchant_id, order_id=order_id, quote_no=number(typed, "quote_no"), pays_by=_means(typed)
    )
    return await sell_hardware.accept_quote(tx, cmd)


async def _decline_quote(tx: Tx, place: Place, order_id: int, typed: Mapping[str, str], by: By) -> object:
    del typed, by
    return await sell_hardware.decline_quote(tx, place.merchant_id, order_id)


async def _accept_service(tx: Tx, place: Place, agreement_id: int, typed: Mapping[str, str], by: By) -> object:
    del by
    return await bill_services.accept_agreement(tx, place.merchant_id, agreement_id, _means(typed))


async def _decline_service(tx: Tx, place: Place, agreement_id: int, typed: Mapping[str, str], by: By) -> object:
    del typed, by
    return await bill_services.decline_agreement(tx, place.merchant_id, agreement_id)


_DEEDS: dict[tuple[str, str], tuple[Deed, str]] = {
    ("subscriptions", "agree"): (_agree, "means_agreed"),
    ("subscriptions", "leave"): (_leave, "subscription_left"),
    ("subscriptions", "stay"): (_stay, "subscription_stays"),
    ("hardware", "accept"): (_accept_quote, "quote_accepted"),
    ("hardware", "decline"): (_decline_quote, "quote_declined"),
    ("services", "accept"): (_accept_service, "service_accepted"),
    ("services", "decline"): (_decline_service, "service_declined"),
}
"""What is done with which product, and the sentence that says so."""


@post("/products/{kind:str}/{product_id:int}/{deed:str}", guards=[buyers])
async def decide(
    request: ActorRequest,
    db: NamedDependency[Database],
    place: NamedDependency[Place],
    kind: FromPath[str],
    product_id: PathId,
    deed: FromPath[str],
) -> Response[Any]:
    """Agree to what was offered, or do without it."""
    if (kind, deed) not in _DEEDS:
        raise NotFound(f"nothing is called {kind}/{deed} here")
    do, sentence = _DEEDS[kind, deed]
    by = By.PLATFORM if request.user.merchant_id is None else By.MERCHANT

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        await do(tx, place, product_id, typed, by)
        return done(f"{place.base}/products", sentence)

    return await carry_out(request, db, work, again=partial(show_products, request, db, place))


def _means(typed: Mapping[str, str]) -> Means:
    means = given(typed.get("pays_by"), Means, "pays_by")
    if means is None:
        raise Invalid("pays_by: say how it is paid", pointer="/pays_by")
    return means


PAGES = [products, subscribe, decide]
