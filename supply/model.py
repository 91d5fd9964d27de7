"""What supply speaks of. Pure. Amounts are minor units of the listing's currency."""

from datetime import date, datetime
from enum import StrEnum

import msgspec


class MerchantState(StrEnum):
    ONBOARDING = "onboarding"
    LIVE = "live"
    SUSPENDED = "suspended"
    CLOSED = "closed"


class Merchant(msgspec.Struct, frozen=True, kw_only=True):
    """A seller. merchant_ref is its id in the system it came from; joined_on None means not known, or not live yet."""

    merchant_id: int
    merchant_ref: str
    name: str
    entity_id: int
    state: MerchantState
    city: str
    region: str
    joined_on: date | None
    version: int


class Store(msgspec.Struct, frozen=True, kw_only=True):
    """A place, in town or on the web, where a merchant sells."""

    merchant_id: int
    store_id: int
    name: str
    version: int


class ListingState(StrEnum):
    LISTED = "listed"
    HIDDEN = "hidden"


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """What a merchant sells of a product. Price and freight are of one unit; sku None where it was never told.

    on_hand and reserved None: sold uncounted.
    """

    merchant_id: int
    product_id: int
    sku: str | None
    title: str
    category: str | None
    currency: str
    price_minor: int
    freight_minor: int
    state: ListingState
    updated_at: datetime
    version: int
    on_hand: int | None
    reserved: int | None


class CategoryName(msgspec.Struct, frozen=True, kw_only=True):
    """What a listing may be: by the name that it is given as `category`, and in English."""

    category: str
    name_en: str


class Offered(msgspec.Struct, frozen=True, kw_only=True):
    """A listing as a shop shows it. Price and freight are of one unit.

    free: units that are not promised to others, None where they are not counted.
    """

    merchant_id: int
    merchant_name: str
    product_id: int
    title: str
    category: str | None
    currency: str
    price_minor: int
    freight_minor: int
    free: int | None
    updated_at: datetime


class Stock(msgspec.Struct, frozen=True, kw_only=True):
    """Units of a listing on the shelf, and of them promised to open orders. on_hand None: sold uncounted.

    version counts the merchant's own changes; it goes on where counting ends and begins again.
    """

    merchant_id: int
    product_id: int
    sku: str | None
    title: str
    on_hand: int | None
    reserved: int
    version: int


class StockMovement(msgspec.Struct, frozen=True, kw_only=True):
    """One change that the merchant made: by how much, and what it left. on_hand None: counting ended."""

    product_id: int
    movement_no: int
    kind: str
    delta: int
    on_hand: int | None
    reserved: int
    reason: str
    at: datetime
    actor: str
