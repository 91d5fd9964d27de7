"""Merchants' subscriptions to tools."""

from datetime import date
from typing import Annotated

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from marketplace.core.db import Database
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.flows.products import change_subscription as changing
from marketplace.flows.products import subscribe_merchant as subscribing
from marketplace.flows.products.change_subscription import CancelSubscription, ChangeSubscription
from marketplace.flows.products.note_usage import NoteUsage, note_usage
from marketplace.flows.products.subscribe_merchant import Agree, Subscribe
from marketplace.routes.fields import Id, Reason, Seats
from marketplace.routes.parameters import LIMIT, Cursor, Limit, PathId, QueryId, check_books, own_or
from marketplace.web.auth import Actor, ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.etag import tagged
from marketplace.web.guards import MERCHANT_BOOKS, OPS, STAFF, needs
from marketplace.web.once import once
from marketplace.web.openapi import ONCE
from supply.products.model import Means
from supply.products.subscriptions import store
from supply.products.subscriptions.lifecycle import By
from supply.products.subscriptions.model import Subscription, SubscriptionStep
from supply.products.subscriptions.store import ToolUsage

_PATH = "/merchants/{merchant_id:int}/subscriptions"
_ONE = _PATH + "/{subscription_id:int}"


class NewSubscription(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """pays_by may be left out where there is a trial."""

    plan_id: Id
    seats: Seats = 1
    pays_by: Means | None = None


class MeansAgreed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pays_by: Means


class SubscriptionChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is left out stays as it is."""

    plan_id: Id | None = None
    seats: Seats | None = None
    at_period_end: bool = False


class SubscriptionNotice(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    reason: Reason
    at_period_end: bool = True


class UsageOfDay(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How often the tool was used on a day, altogether."""

    used_on: date
    uses: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]


def _by(actor: Actor) -> By:
    return By.PLATFORM if actor.merchant_id is None else By.MERCHANT


@get("/subscriptions", guards=[needs(STAFF, MERCHANT_BOOKS)])
async def list_subscriptions(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: QueryId = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[Subscription]:
    """Subscriptions, the newest first."""
    before = decode_cursor(cursor, tuple[int, int])
    own = own_or(request.user, merchant_id)
    async with db.read(request.user.scope) as tx:
        rows = await store.list_subscriptions(tx, merchant_id=own, limit=limit + 1, before=before)
    return page(rows, limit, lambda row: row, lambda row: (row.subscription_id, row.merchant_id))


@post(_PATH, dto=StrictBody[NewSubscription], guards=[needs(OPS, MERCHANT_BOOKS)], status_code=201, opt=ONCE)
async def subscribe_merchant(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, data: JSONBody[NewSubscription]
) -> Response[Subscription]:
    """Subscribe: a trial where the plan has one, else the first period is charged at once."""
    check_books(request.user, merchant_id)
    cmd = Subscribe(merchant_id=merchant_id, plan_id=data.plan_id, seats=data.seats, pays_by=data.pays_by)
    return await once(request, db, subscribing.subscribe, cmd)


@get(_ONE, guards=[needs(STAFF, MERCHANT_BOOKS)])
async def get_subscription(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, subscription_id: PathId
) -> Response[Subscription]:
    """One subscription, as it is."""
    check_books(request.user, merchant_id)
    async with db.read(request.user.scope) as tx:
        found = await store.get_subscription(tx, merchant_id, subscription_id)
    return tagged(found, found.version)


@get(f"{_ONE}/steps", guards=[needs(STAFF, MERCHANT_BOOKS)])
async def list_subscription_steps(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    subscription_id: PathId,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[SubscriptionStep]:
    """What a subscription has gone through, the newest first."""
    check_books(request.user, merchant_id)
    (before,) = decode_cursor(cursor, tuple[int]) or (None,)
    async with db.read(request.user.scope) as tx:
        await store.get_subscription(tx, merchant_id, subscription_id)
        rows = await store.list_steps(tx, merchant_id, subscription_id, limit=limit + 1, before=before)
    return page(rows, limit, lambda row: row, lambda row: (row.step_no,))


@post(f"{_ONE}/agree", dto=StrictBody[MeansAgreed], guards=[needs(OPS, MERCHANT_BOOKS)], status_code=200, opt=ONCE)
async def agree_on_payment(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    subscription_id: PathId,
    data: JSONBody[MeansAgreed],
) -> Response[Subscription]:
    """Say how it is paid: a trial then becomes paid when it ends, and at once when it has ended."""
    check_books(request.user, merchant_id)
    cmd = Agree(merchant_id=merchant_id, subscription_id=subscription_id, pays_by=data.pays_by)
    return await once(request, db, subscribing.agree, cmd, _by(request.user))


@post(
    f"{_ONE}/change", dto=StrictBody[SubscriptionChange], guards=[needs(OPS, MERCHANT_BOOKS)], status_code=200, opt=ONCE
)
async def change_subscription(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    subscription_id: PathId,
    data: JSONBody[SubscriptionChange],
) -> Response[Subscription]:
    """Another plan or other seats, today or when the period ends. Today the difference is charged or credited."""
    check_books(request.user, merchant_id)
    cmd = ChangeSubscription(merchant_id=merchant_id, subscription_id=subscription_id, **msgspec.structs.asdict(data))
    return await once(request, db, changing.change_subscription, cmd, _by(request.user))


@post(
    f"{_ONE}/cancel", dto=StrictBody[SubscriptionNotice], guards=[needs(OPS, MERCHANT_BOOKS)], status_code=200, opt=ONCE
)
async def cancel_subscription(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    subscription_id: PathId,
    data: JSONBody[SubscriptionNotice],
) -> Response[Subscription]:
    """End it when its period ends, or today: then the plan says whether what is not used is given back."""
    check_books(request.user, merchant_id)
    cmd = CancelSubscription(merchant_id=merchant_id, subscription_id=subscription_id, **msgspec.structs.asdict(data))
    return await once(request, db, changing.leave, cmd, _by(request.user))


@post(f"{_ONE}/stay", guards=[needs(OPS, MERCHANT_BOOKS)], status_code=200, opt=ONCE)
async def keep_subscription(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, subscription_id: PathId
) -> Response[Subscription]:
    """Take the notice back."""
    check_books(request.user, merchant_id)
    return await once(request, db, changing.stay, merchant_id, subscription_id, _by(request.user))


@post(f"{_ONE}/usage", dto=StrictBody[UsageOfDay], guards=[needs(OPS)], status_code=200, opt=ONCE)
async def report_usage(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    subscription_id: PathId,
    data: JSONBody[UsageOfDay],
) -> Response[ToolUsage]:
    """What the tool says of a day; said again, the newest word counts."""
    cmd = NoteUsage(merchant_id=merchant_id, subscription_id=subscription_id, **msgspec.structs.asdict(data))
    return await once(request, db, note_usage, cmd)


HANDLERS = [
    list_subscriptions,
    subscribe_merchant,
    get_subscription,
    list_subscription_steps,
    agree_on_payment,
    change_subscription,
    cancel_subscription,
    keep_subscription,
    report_usage,
]
