"""A demonstration market: a believable quarter of orders, the same for the same seed and quarter.

About 200 merchants of very unequal sizes sell over three months that end with the last closed one; some grow, some
die, some join on the way. The order book is drawn anew for each stream from the same seed, so nothing is kept in
memory. Everything is known as of the quarter's last day: what would be delivered later is on its way.
"""

import hashlib
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from enum import StrEnum
from functools import partial
from itertools import accumulate
from random import Random
from zoneinfo import ZoneInfo

import msgspec

from marketplace.core.clock import local_date
from marketplace.core.db import Database
from marketplace.core.money import allocate
from marketplace.flows.demo.demo_market_names import (
    CATEGORIES,
    CITIES,
    HOUR_WEIGHTS,
    HOUSES,
    PAYMENT_METHODS,
    WEEKDAY_WEIGHTS,
    CategoryMake,
)
from marketplace.flows.imports.load_orders import OnProgress, load_orders
from marketplace.flows.imports.load_orders_model import (
    Buyer,
    Category,
    Fate,
    Loaded,
    Merchant,
    OrderLine,
    OrderSource,
    PaymentLine,
    Place,
    Product,
    Purchase,
    Rejections,
    Streams,
)
from marketplace.flows.payments.reconcile_payments import MatchKind

ENTITY = "Demo Market"
CURRENCY = "EUR"
ZONE = "Europe/Berlin"
PROCESSOR = "Demo Pay"
SEED = 7

_BREAKS_PER_MILLE = {
    MatchKind.TOLERANCE: 3,
    MatchKind.AMOUNT_BREAK: 3,
    MatchKind.PAYMENT_WITHOUT_ITEMS: 5,
    MatchKind.ORDER_WITHOUT_PAYMENT: 1,
}
_FREE_FREIGHT_FROM_MINOR = 9900
_QUARTER_DAYS_MIN = 76
SOURCE = "demo"
"""How the source of a demonstration market begins; see billing.data_import."""
_NAMES = {
    "categories": Place("demo categories", {"category": "category"}),
    "products": Place("demo products", {"product": "product_ref"}),
    "merchants": Place("demo merchants", {"merchant": "merchant_ref"}),
    "buyers": Place("demo buyers", {"customer": "customer_ref"}),
    "purchases": Place("demo purchases", {"order": "order_ref", "customer": "customer_ref"}),
    "lines": Place(
        "demo lines",
        {"order": "order_ref", "order_line": "line_no", "product": "product_ref", "merchant": "merchant_ref"},
    ),
    "payments": Place("demo payments", {"order": "order_ref", "order_payment": "line_no"}),
}


class Life(StrEnum):
    """How a merchant's trade moves over the quarter."""

    STEADY = "steady"
    GROWING = "growing"
    DYING = "dying"
    JOINING = "joining"


class Shop(msgspec.Struct, frozen=True):
    """A merchant of the market. weight: its share of the orders at its best, against the others' weights."""

    merchant_ref: str
    name: str
    city: str
    region: str
    life: Life
    weight: int
    joins_on: date
    products: tuple[tuple[str, CategoryMake, int], ...]

    def weight_on(self, day: int, days: int) -> int:
        """How strongly the merchant draws orders on the day number `day` of `days`."""
        match self.life:
            case Life.GROWING:
                return self.weight * (4 * days + 14 * day) // (10 * days)
            case Life.DYING:
                return max(self.weight * (14 * days - 20 * day) // (10 * days), 0)
            case Life.JOINING:
                return self.weight if 3 * day >= days else 0
            case Life.STEADY:
                return self.weight


class Basket(msgspec.Struct, frozen=True):
    """One purchase with all that follows from it."""

    number: int
    order_ref: str
    buyer: int
    placed_at: datetime
    state: str
    fate: Fate
    delivered_at: datetime | None
    lines: tuple[tuple[Shop, str, int, int, int], ...]
    paid: tuple[tuple[str, int], ...]


class DemoMarket(msgspec.Struct, frozen=True, kw_only=True):
    """What is drawn: a seed, a quarter [first_on, last_on] and the sizes.

    planted: by purchase number, the purchases whose payments are made not to fit.
    """

    seed: int
    first_on: date
    last_on: date
    orders: int
    shops: tuple[Shop, ...]
    planted: dict[int, MatchKind]

    @property
    def buyers(self) -> int:
        return max(self.orders * 9 // 20, 1)

    def order_ref(self, number: int) -> str:
        return f"{self.first_on:%y%m}-{number:06d}"

    def planted_refs(self, kind: MatchKind) -> set[str]:
        """The purchases that reconciliation must find as `kind`."""
        return {self.order_ref(number) for number, planted in self.planted.items() if planted is kind}


def quarter_before(now: datetime, zone: str = ZONE) -> tuple[date, date]:
    """About a quarter that ends yesterday: from the first of a month on, 76 to 106 days, two whole months at least."""
    last_on = local_date(now, zone) - timedelta(days=1)
    return (last_on - timedelta(days=_QUARTER_DAYS_MIN)).replace(day=1), last_on


def make_market(now: datetime, *, seed: int = SEED, orders: int = 20_000, merchants: int = 200) -> DemoMarket:
    """The market of about a quarter that ends the day before `now`."""
    first_on, last_on = quarter_before(now)
    rng = Random(seed)  # noqa: S311  # a demonstration, not a secret
    shops = tuple(_shop(rng, rank, merchants, first_on, last_on) for rank in range(1, merchants + 1))
    wanted = {kind: max(orders * per_mille // 1000, 1) for kind, per_mille in _BREAKS_PER_MILLE.items()}
    picked = rng.sample(range(1, orders + 1), sum(wanted.values()))
    kinds = [kind for kind, count in wanted.items() for _ in range(count)]
    return DemoMarket(
        seed=seed,
        first_on=first_on,
        last_on=last_on,
        orders=orders,
        shops=shops,
        planted=dict(zip(picked, kinds, strict=True)),
    )


async def load_demo_market(
    db: Database, actor: str, market: DemoMarket, on_progress: OnProgress = lambda done, total: None
) -> Loaded:
    """Load the market as any other source of orders; the same market again changes nothing."""
    sizes = f"{market.seed} {market.first_on} {market.last_on} {market.orders} {len(market.shops)}"
    products = sum(len(shop.products) for shop in market.shops)
    source = OrderSource(
        name=f"{SOURCE} {market.first_on} to {market.last_on}",
        digest=hashlib.sha256(f"demo market 2: {sizes}".encode()).digest(),
        entity=ENTITY,
        currency=CURRENCY,
        zone=ZONE,
        processor=PROCESSOR,
        rows=len(CATEGORIES) + products + len(market.shops) + market.buyers + 37 * market.orders // 10,
        places=_NAMES,
        open=partial(_open, market),
    )
    return await load_orders(db, actor, source, on_progress)


def _shop(rng: Random, rank: int, merchants: int, first_on: date, last_on: date) -> Shop:
    makes = rng.sample(CATEGORIES, rng.choice((1, 1, 2)))
    house = HOUSES[(rank * 37) % len(HOUSES)]
    rounds = rank // len(HOUSES)
    city, region, _ = rng.choices(CITIES, [weight for _, _, weight in CITIES])[0]
    life = rng.choices(tuple(Life), (66, 15, 11, 8))[0] if rank > 2 else Life.STEADY
    days = (last_on - first_on).days + 1
    joins_on = first_on + timedelta(days=days // 3) if life is Life.JOINING else None
    products = []
    for number in range(1, rng.randint(6, 30) + 1):
        make = makes[number % len(makes)]
        price = rng.randint(make.price_from, make.price_to)
        if rng.random() < 0.7:  # most shelves are priced at the lower end
            price = make.price_from + (price - make.price_from) // 4
        products.append((f"P-{rank:04d}-{number:02d}", make, price // 100 * 100 + rng.choice((0, 50, 90, 95, 99))))
    return Shop(
        merchant_ref=f"M-{rank:04d}",
        name=f"{house} {makes[0].shop}" + (f" {city}" if rounds else ""),
        city=city,
        region=region,
        life=life,
        weight=1_000_000 // (rank + 3) + 200,
        joins_on=joins_on or first_on - timedelta(days=rng.randint(20, 1500)),
        products=tuple(products),
    )


def _open(market: DemoMarket, rejections: Rejections) -> Streams:
    """A pass over the market. Nothing of it is ever rejected."""
    return Streams(
        categories=(Category(n, make.category, make.name_en) for n, make in enumerate(CATEGORIES, start=1)),
        products=(Product(0, ref, make.category) for shop in market.shops for ref, make, _ in shop.products),
        merchants=(
            Merchant(n, shop.merchant_ref, shop.name, shop.city, shop.region, shop.joins_on)
            for n, shop in enumerate(market.shops, start=1)
        ),
        buyers=_buyers(market),
        purchases=(
            Purchase(b.number, b.order_ref, _buyer_ref(b.buyer), b.state, b.fate, b.placed_at, b.delivered_at)
            for b in baskets(market)
        ),
        lines=(
            OrderLine(basket.number, basket.order_ref, n, product, shop.merchant_ref, quantity, goods, freight)
            for basket in baskets(market)
            for n, (shop, product, quantity, goods, freight) in enumerate(basket.lines, start=1)
        ),
        payments=(
            PaymentLine(basket.number, basket.order_ref, n, method, 1, amount)
            for basket in baskets(market)
            for n, (method, amount) in enumerate(basket.paid, start=1)
        ),
    )


def _buyer_ref(buyer: int) -> str:
    return f"B-{buyer:06d}"


def _buyers(market: DemoMarket) -> Iterator[Buyer]:
    rng = Random(market.seed + 1)  # noqa: S311
    weights = list(accumulate(weight for _, _, weight in CITIES))
    for number in range(1, market.buyers + 1):
        city, region, _ = rng.choices(CITIES, cum_weights=weights)[0]
        yield Buyer(number, _buyer_ref(number), _buyer_ref(number), city, region)


def baskets(market: DemoMarket) -> Iterator[Basket]:
    """The purchases of the quarter, day by day; every call draws the same."""
    rng = Random(market.seed + 2)  # noqa: S311
    zone = ZoneInfo(ZONE)
    days = [market.first_on + timedelta(days=n) for n in range((market.last_on - market.first_on).days + 1)]
    busy = [WEEKDAY_WEIGHTS[day.weekday()] * rng.randint(88, 112) * (300 + n) for n, day in enumerate(days)]
    hours = list(accumulate(HOUR_WEIGHTS))
    number = 0
    for n, (day, orders) in enumerate(zip(days, allocate(market.orders, busy), strict=True)):
        drawn = list(accumulate(shop.weight_on(n, len(days)) for shop in market.shops))
        placed = sorted(
            (rng.choices(range(24), cum_weights=hours)[0], rng.randrange(60), rng.randrange(60)) for _ in range(orders)
        )
        for hour, minute, second in placed:
            number += 1
            placed_at = datetime(day.year, day.month, day.day, hour, minute, second, tzinfo=zone)
            yield _basket(rng, market, number, placed_at, drawn)


def _basket(rng: Random, market: DemoMarket, number: int, placed_at: datetime, drawn: list[int]) -> Basket:
    planted = market.planted.get(number)
    state, fate, delivered_at = _fate(rng, placed_at, market.last_on)
    lines = _lines(rng, market.shops, drawn)
    due = sum(goods + freight for _, _, _, goods, freight in lines)
    paid = _paid(rng, due, planted)
    if planted is MatchKind.PAYMENT_WITHOUT_ITEMS:
        state, fate, delivered_at, lines = "unavailable", Fate.CANCELLED, None, ()
    return Basket(
        number,
        market.order_ref(number),
        1 + min(rng.randrange(market.buyers), rng.randrange(market.buyers)),  # some buyers come again and again
        placed_at,
        state,
        fate,
        delivered_at,
        lines,
        paid,
    )


def _fate(rng: Random, placed_at: datetime, last_on: date) -> tuple[str, Fate, datetime | None]:
    """What the purchase has come to by the end of the quarter."""
    lot = rng.randrange(1000)
    delivered_at = placed_at + timedelta(hours=rng.randint(20, 90) + rng.choice((0, 0, 24, 24, 72, 120)))
    if lot < 24:
        return "canceled", Fate.CANCELLED, None
    if lot < 29:
        return "unavailable", Fate.CANCELLED, None
    if delivered_at.date() <= last_on:
        return "delivered", Fate.DELIVERED, delivered_at
    return ("shipped" if (last_on - placed_at.date()).days > 0 else "processing"), Fate.OPEN, None


def _lines(rng: Random, shops: tuple[Shop, ...], drawn: list[int]) -> tuple[tuple[Shop, str, int, int, int], ...]:
    """One to four different products, now and then of two merchants; the first parcel of each carries the freight."""
    first = rng.choices(shops, cum_weights=drawn)[0]
    count = rng.choices((1, 2, 3, 4), (62, 24, 9, 5))[0]
    second = rng.choices(shops, cum_weights=drawn)[0] if count > 1 and rng.random() < 0.12 else first
    picked = [(first, choice) for choice in rng.sample(first.products, count if second is first else count - 1)]
    if second is not first:
        picked.append((second, rng.choice(second.products)))
    lines = []
    for place, (shop, (ref, make, price)) in enumerate(picked):
        quantity = rng.choices((1, 2, 3), (88, 9, 3))[0]
        goods = price * quantity
        opens_parcel = place == 0 or picked[place - 1][0] is not shop
        freight = make.freight_minor if opens_parcel and goods < _FREE_FREIGHT_FROM_MINOR else 0
        lines.append((shop, ref, quantity, goods, freight))
    return tuple(lines)


def _paid(rng: Random, due: int, planted: MatchKind | None) -> tuple[tuple[str, int], ...]:
    """The processor's lines: what is due, unless a break is planted."""
    amount = due
    if planted is MatchKind.ORDER_WITHOUT_PAYMENT:
        return ()
    if planted is MatchKind.TOLERANCE:
        amount += rng.choice((-1, 1))
    elif planted is MatchKind.AMOUNT_BREAK:
        amount += rng.choice((-1, 1, 1)) * rng.randint(2, max(due // 4, 2))
    method, _ = rng.choices(PAYMENT_METHODS, [weight for _, weight in PAYMENT_METHODS])[0]
    if rng.random() < 0.05 and amount > 1000:
        voucher = rng.choice((500, 1000))
        return (method, amount - voucher), ("voucher", voucher)
    return ((method, amount),)


def demo_contracts(market: DemoMarket) -> str:
    """The market's commission contracts as the TOML document that `marketplace apply` takes.

    A plan with tiers for everybody, plans by category, and one negotiated with the largest merchant.
    """
    starts_on = date(market.first_on.year - 1, 1, 1)
    return f"""# Commission contracts of the demonstration market.
[[contract]]
name = "Standard"
currency = "{CURRENCY}"
valid_from = {starts_on}
base = "goods_and_freight"
tiers = [
    {{ from_minor = 0, rate_ppm = 130000 }},
    {{ from_minor = 500000, rate_ppm = 110000 }},
    {{ from_minor = 2000000, rate_ppm = 90000 }},
]
min_minor = 60
vat_ppm = 190000

[[contract]]
name = "Electronics"
currency = "{CURRENCY}"
valid_from = {starts_on}
categories = ["electronics", "computers"]
base = "goods"
rate_ppm = 72500
fixed_minor = 25
max_minor = 4500
vat_ppm = 190000

[[contract]]
name = "Books and paper"
currency = "{CURRENCY}"
valid_from = {starts_on}
categories = ["books", "stationery"]
base = "goods"
rate_ppm = 145000
min_minor = 45
vat_ppm = 190000

[[contract]]
name = "Key account {market.shops[0].name}"
currency = "{CURRENCY}"
valid_from = {market.first_on}
merchants = ["{market.shops[0].merchant_ref}"]
base = "goods_and_freight"
rate_ppm = 68000
vat_ppm = 190000
"""
