"""What a source of orders hands to `load_orders`: records as streams, and the report of what is bad in them. Pure."""

from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from enum import StrEnum

import msgspec

from marketplace.core.errors import Invalid

REJECTIONS_SHOWN_MAX = 100


class Fate(StrEnum):
    """What became of a purchase, as far as money is concerned."""

    OPEN = "open"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"


class Category(msgspec.Struct, frozen=True, gc=False):
    line: int
    category: str
    name_en: str


class Product(msgspec.Struct, frozen=True, gc=False):
    line: int
    product_ref: str
    category: str | None


class Merchant(msgspec.Struct, frozen=True, gc=False):
    """joined_on None: the date of the first order."""

    line: int
    merchant_ref: str
    name: str
    city: str
    region: str
    joined_on: date | None


class Buyer(msgspec.Struct, frozen=True, gc=False):
    """customer_ref is what purchases name, buyer_ref the person; of several customer records the last one counts."""

    line: int
    customer_ref: str
    buyer_ref: str
    city: str
    region: str


class Purchase(msgspec.Struct, frozen=True, gc=False):
    """delivered_at decides when a delivered purchase settles; it is None for every other fate."""

    line: int
    order_ref: str
    customer_ref: str
    source_state: str
    fate: Fate
    placed_at: datetime
    delivered_at: datetime | None


class OrderLine(msgspec.Struct, frozen=True, gc=False):
    """goods_minor is the price of the whole quantity."""

    line: int
    order_ref: str
    line_no: int
    product_ref: str
    merchant_ref: str
    quantity: int
    goods_minor: int
    freight_minor: int


class PaymentLine(msgspec.Struct, frozen=True, gc=False):
    line: int
    order_ref: str
    line_no: int
    method: str
    instalments: int
    amount_minor: int


class Streams(msgspec.Struct, frozen=True, kw_only=True):
    """One pass over a source. `line` of a record is its place there, for the report of what is wrong with it."""

    categories: Iterable[Category]
    products: Iterable[Product]
    merchants: Iterable[Merchant]
    buyers: Iterable[Buyer]
    purchases: Iterable[Purchase]
    lines: Iterable[OrderLine]
    payments: Iterable[PaymentLine]


class Rejection(msgspec.Struct, frozen=True):
    file: str
    line: int
    reason: str


class Rejections:
    """Counts every bad row, and keeps the first of them to show."""

    def __init__(self) -> None:
        self.count = 0
        self.first: list[Rejection] = []

    def add(self, file: str, line: int, reason: str) -> None:
        self.count += 1
        if len(self.first) < REJECTIONS_SHOWN_MAX:
            self.first.append(Rejection(file, line, reason))

    def raise_if_any(self, source: str) -> None:
        """Raise Invalid carrying what was rejected, in the form a caller prints."""
        if not self.count:
            return
        shown = sorted(self.first, key=lambda rejection: (rejection.file, rejection.line))
        raise Invalid(
            f"{source}: {self.count} bad rows, nothing was stored; the first is"
            f" {shown[0].file}:{shown[0].line}: {shown[0].reason}",
            rejected=self.count,
            rejections=msgspec.to_builtins(shown),
        )


class Place(msgspec.Struct, frozen=True):
    """Where a stream comes from, in the source's own words: a file, and its columns by our nouns."""

    file: str
    columns: Mapping[str, str]


class OrderSource(msgspec.Struct, frozen=True, kw_only=True):
    """Orders of another system.

    name: what it is called in the list of imports. digest: identifies its content; a digest is loaded once.
    entity, currency, zone: the legal entity that gets the orders, and its market. processor: whose payments they are.
    rows: how many records there are in all, for the progress bar.
    places: by stream, for messages. open: begins a pass; called again when the database asks for a retry.
    """

    name: str
    digest: bytes
    entity: str
    currency: str
    zone: str
    processor: str
    rows: int
    places: Mapping[str, Place]
    open: Callable[[Rejections], Streams]


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """What a source held; amounts in minor units of its currency."""

    orders: int
    order_lines: int
    merchants: int
    buyers: int
    payments: int
    gmv_minor: int
    freight_minor: int
    payments_minor: int
    rejected: int = 0
