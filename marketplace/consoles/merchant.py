"""The merchant's pages. Staff see the same pages about any merchant, under another address and their own scope."""

from datetime import date

from litestar import Response, Router, get
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, FromQuery

from marketplace.consoles import books_queries, ledger_queries, merchant_queries
from marketplace.consoles.academy import OF_MERCHANTS, OWN_DEEDS
from marketplace.consoles.ads import PAGES as ADS
from marketplace.consoles.deeds import Refused
from marketplace.consoles.documents import PAGES as DOCUMENTS
from marketplace.consoles.layout import PathId, Place, send
from marketplace.consoles.listings import PAGES as LISTINGS
from marketplace.consoles.lists import given_day
from marketplace.consoles.merchant_lists import PAGES as LISTS
from marketplace.consoles.merchant_lists import keepers
from marketplace.consoles.merchant_plots import earnings, sales_trend
from marketplace.consoles.merchant_queries import MerchantHome
from marketplace.consoles.merchant_tasks import HOUSE_DEEDS
from marketplace.consoles.merchant_tasks import PAGES as TASKS
from marketplace.consoles.order_deeds import DEEDS, show_order
from marketplace.consoles.products import PAGES as PRODUCTS
from marketplace.consoles.rewards import PAGES as REWARDS
from marketplace.consoles.trend import Chart, Column, bars, top
from marketplace.core.db import STAFF as STAFF_SCOPE
from marketplace.core.db import Database
from marketplace.core.errors import Forbidden
from marketplace.core.paging import decode_cursor, encode_cursor
from marketplace.web.auth import ActorRequest
from marketplace.web.guards import MERCHANT, STAFF, needs
from marketplace.web.i18n import Speech, speech


async def own_place(request: ActorRequest) -> Place:
    """A merchant's own books: the id comes from the session, never from the address."""
    merchant_id = request.user.merchant_id
    if merchant_id is None:
        raise Forbidden("these pages are a merchant's own")
    return Place(merchant_id, request.user.scope, "/merchant")


async def any_place(merchant_id: PathId) -> Place:
    """Any merchant's books, as staff see them; a house's books have a negative id."""
    return Place(merchant_id, STAFF_SCOPE, f"/books/{merchant_id}")


@get("/")
async def home(
    request: ActorRequest,
    db: NamedDependency[Database],
    place: NamedDependency[Place],
    on: FromQuery[str] = "",
) -> Response[str]:
    """Sales of the month and why they changed, what is to be paid out, the latest statement and payouts."""
    return await show_home(request, db, place, given_day(on, "on"))


async def show_home(
    request: ActorRequest, db: Database, place: Place, on: date | None = None, refused: Refused | None = None
) -> Response[str]:
    """The home of a merchant, as its people and the house's see it."""
    async with db.read(place.scope) as tx:
        page = await merchant_queries.home(tx, place.merchant_id, on)
    say = speech(request.user.locale)
    return send(
        request,
        "merchant/home.html",
        page,
        "home",
        place,
        refused,
        drawn=sales_chart(page, place.base, say),
        trend=sales_trend(page, place.base, say),
        earned=earnings(page, say),
    )


def sales_chart(page: MerchantHome, base: str, say: Speech) -> Chart:
    """The month's sales by day, last month's behind; each column leads to its day's orders."""
    columns = [
        Column(
            value=day.goods_minor,
            earlier=day.earlier_minor,
            words=say.text(
                "chart.day_orders",
                day=say.day(day.on),
                sales=say.money(day.goods_minor, page.merchant.currency),
                orders=say.count("count.orders", day.orders),
            ),
            href=f"{base}/orders?first={day.on}&last={day.on}",
        )
        for day in page.chart
    ]
    title = say.text("merchant.home.chart", month=say.month(page.on))
    return Chart(bars(columns, title), top(columns), page.days.first, page.days.last)


@get("/orders/{order_id:int}")
async def order(
    request: ActorRequest, db: NamedDependency[Database], place: NamedDependency[Place], order_id: PathId
) -> Response[str]:
    """One order: its lines, what was paid, the commission on it, every entry booked for it, and what may be done."""
    return await show_order(request, db, place, order_id)


@get("/statements/{run_id:int}/{currency:str}", guards=[keepers])
async def statement(
    request: ActorRequest,
    db: NamedDependency[Database],
    place: NamedDependency[Place],
    run_id: PathId,
    currency: FromPath[str],
    before: FromQuery[str | None] = None,
) -> Response[str]:
    """One statement: its columns, the journal's proof of it, and the orders it is made of."""
    key = decode_cursor(before, tuple[int])
    async with db.read(place.scope) as tx:
        page = await books_queries.statement_page(tx, place.merchant_id, run_id, currency, key[0] if key else None)
    older = encode_cursor((page.older,)) if page.older else None
    return send(request, "books/statement.html", page, "statements", place, cursor=older)


@get("/payouts/{payout_id:int}", guards=[keepers])
async def payout(
    request: ActorRequest, db: NamedDependency[Database], place: NamedDependency[Place], payout_id: PathId
) -> Response[str]:
    """One payout: the statements it pays, and its entries."""
    async with db.read(place.scope) as tx:
        page = await books_queries.payout_page(tx, place.merchant_id, payout_id)
    return send(request, "books/payout.html", page, "payouts", place)


@get("/accounts/{code:int}", guards=[keepers])
async def account(
    request: ActorRequest,
    db: NamedDependency[Database],
    place: NamedDependency[Place],
    code: PathId,
    before: FromQuery[str | None] = None,
) -> Response[str]:
    """One account of the merchant's books: the newest lines, with the balance after each."""
    key = decode_cursor(before, tuple[date, int, int])
    async with db.read(place.scope) as tx:
        page = await ledger_queries.account_page(tx, place.merchant_id, code, key)
        balances = await ledger_queries.list_balances(tx, place.merchant_id)
    older = encode_cursor(page.older) if page.older else None
    return send(request, "books/account.html", page, "balance", place, cursor=older, balances=balances)


@get("/entries/{entry_no:int}", guards=[keepers])
async def entry(
    request: ActorRequest, db: NamedDependency[Database], place: NamedDependency[Place], entry_no: PathId
) -> Response[str]:
    """One journal entry: its legs, and what each account stood at after it."""
    async with db.read(place.scope) as tx:
        page = await ledger_queries.entry_page(tx, place.merchant_id, entry_no)
    return send(request, "books/entry.html", page, "balance", place)


_PAGES = [
    *(home, order),
    *TASKS,
    *OF_MERCHANTS,
    *LISTS,
    *LISTINGS,
    *DEEDS,
    *PRODUCTS,
    *ADS,
    *DOCUMENTS,
    *REWARDS,
    statement,
    payout,
    account,
    entry,
]

PAGES = [
    Router(
        path,
        route_handlers=handlers,
        guards=[needs(roles)],
        dependencies={"place": Provide(place)},
        include_in_schema=False,
    )
    for path, roles, place, handlers in (
        ("/merchant", MERCHANT, own_place, [*_PAGES, *OWN_DEEDS]),
        ("/books/{merchant_id:int}", STAFF, any_place, [*_PAGES, *HOUSE_DEEDS]),
    )
]
