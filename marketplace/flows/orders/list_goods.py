"""List a merchant's goods, one by one or a thousand at a time: each is a product, in a currency its entity keeps."""

from collections.abc import Sequence
from typing import Any

import msgspec

from billing.exchange.store import currencies_of
from marketplace.core import audit
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, Invalid
from marketplace.flows.acquisition.onboard_merchant import go_live_if_ready
from marketplace.flows.promotions.reward_listings import ask_rewards
from supply.listings import store
from supply.model import Listing, ListingState, Merchant, MerchantState
from supply.stock import store as stock
from supply.store import lock_merchant

ROWS_MAX = 1_000


class Goods(msgspec.Struct, frozen=True, kw_only=True):
    """What a merchant says of goods it sells. currency None: the entity's. on_hand None: sold uncounted."""

    sku: str
    title: str
    price_minor: int
    freight_minor: int = 0
    category: str | None = None
    currency: str | None = None
    on_hand: int | None = None
    state: ListingState = ListingState.LISTED


class GoodsChange(msgspec.Struct, frozen=True, kw_only=True):
    """What is to become of a listing; None leaves it as it is."""

    title: str | None = None
    category: str | None = None
    price_minor: int | None = None
    freight_minor: int | None = None
    state: ListingState | None = None


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """How many listings are new and how many were known; product_ids in the order of the rows."""

    created: int
    updated: int
    product_ids: list[int]


class Faults:
    """What is wrong with the rows of one request, to be said of all at once."""

    def __init__(self) -> None:
        self.errors: list[dict[str, str]] = []

    def add(self, row: int, field: str, detail: str) -> None:
        self.errors.append({"pointer": f"/rows/{row}/{field}", "detail": detail})

    def check(self) -> None:
        """Raise Invalid naming every row that is wrong."""
        if self.errors:
            first = self.errors[0]
            more = f" ({len(self.errors)} errors in all)" if len(self.errors) > 1 else ""
            raise Invalid(f"{first['pointer'][1:]}: {first['detail']}{more}", errors=self.errors)


async def list_goods(tx: Tx, merchant_id: int, goods: Goods) -> Listing:
    """List one product. Raises NotFound, Invalid, and Conflict when the merchant lists that SKU already."""
    merchant, currencies = await _open_merchant(tx, merchant_id)
    if await store.find_by_sku(tx, merchant_id, [goods.sku]):
        raise Conflict(f"sku: the merchant lists {goods.sku!r} already")
    if goods.currency not in {None, *currencies}:
        raise Invalid(f"currency: the merchant sells in {', '.join(currencies)}", pointer="/currency")
    await _check_category(tx, goods.category)
    [product_id] = await store.add_listings(tx, merchant, [_row(goods, currencies[0])])
    await _record(tx, merchant_id, created=1, updated=0)
    await ask_rewards(tx, merchant_id, [product_id])
    await go_live_if_ready(tx, merchant_id)
    return await store.get_listing(tx, merchant_id, product_id)


async def list_goods_in_bulk(tx: Tx, merchant_id: int, rows: Sequence[Goods]) -> Listed:
    """List what is new and rewrite what the merchant lists already, by SKU: all rows or, when one is wrong, none.

    on_hand of a listing that is known: None leaves its stock alone. Raises NotFound, and Invalid naming every row
    that is wrong.
    """
    merchant, currencies = await _open_merchant(tx, merchant_id)
    known = await store.find_by_sku(tx, merchant_id, [row.sku for row in rows])
    faults = Faults()
    await _check_rows(tx, rows, currencies, known, faults)
    await _count_known(tx, merchant_id, rows, known, faults)
    faults.check()
    new = [row for row in rows if row.sku not in known]
    ids = {sku: listing.product_id for sku, listing in known.items()}
    if new:
        listed = [_row(row, currencies[0]) for row in new]
        made = await store.add_listings(tx, merchant, listed)
        ids |= {row.sku: product_id for row, product_id in zip(new, made, strict=True)}
    again = [{**_row(row, currencies[0]), "product_id": ids[row.sku]} for row in rows if row.sku in known]
    if again:
        await store.edit_listings(tx, merchant_id, again)
    await _record(tx, merchant_id, created=len(new), updated=len(again))
    await ask_rewards(tx, merchant_id, ids.values())
    await go_live_if_ready(tx, merchant_id)
    return Listed(created=len(new), updated=len(again), product_ids=[ids[row.sku] for row in rows])


async def hold_listing(tx: Tx, merchant_id: int, product_id: int) -> Listing:
    """A listing, held for `edit_listing`: first its merchant, as where many are listed. Raises NotFound."""
    await lock_merchant(tx, merchant_id)
    return await store.get_listing(tx, merchant_id, product_id, lock=True)


async def edit_listing(tx: Tx, now: Listing, change: GoodsChange) -> Listing:
    """Change a locked listing; orders that were placed keep their price. Raises Invalid for an unknown category."""
    await _check_category(tx, change.category)
    row = {name: getattr(now, name) for name in GoodsChange.__struct_fields__}
    wanted = {name: value for name, value in msgspec.structs.asdict(change).items() if value is not None}
    await store.edit_listings(tx, now.merchant_id, [{**row, **wanted, "product_id": now.product_id}])
    subject = f"listing:{now.merchant_id}/{now.product_id}"
    await audit.record(tx, "listing changed", subject, before={name: row[name] for name in wanted}, after=wanted)
    if "state" in wanted:
        await ask_rewards(tx, now.merchant_id, [now.product_id])
    await go_live_if_ready(tx, now.merchant_id)
    return await store.get_listing(tx, now.merchant_id, now.product_id)


async def _open_merchant(tx: Tx, merchant_id: int) -> tuple[Merchant, list[str]]:
    """The merchant, held, and the currencies it sells in, its entity's own first.

    Two lists of one merchant are taken one after the other.
    """
    merchant = await lock_merchant(tx, merchant_id)
    if merchant.state is MerchantState.CLOSED:
        raise Conflict("state: the merchant is closed", state=merchant.state.value)
    return merchant, await currencies_of(tx, merchant.entity_id)


async def _check_category(tx: Tx, category: str | None) -> None:
    if category is not None and not await store.known_categories(tx, [category]):
        raise Invalid(
            f"category: there is no category {category!r}; /api/v1/categories lists them", pointer="/category"
        )


async def _check_rows(
    tx: Tx, rows: Sequence[Goods], currencies: Sequence[str], known: dict[str, Listing], faults: Faults
) -> None:
    categories = await store.known_categories(tx, [row.category for row in rows if row.category is not None])
    seen: dict[str, int] = {}
    for number, row in enumerate(rows):
        if row.sku in seen:
            faults.add(number, "sku", f"row {seen[row.sku]} has {row.sku!r} too")
        seen.setdefault(row.sku, number)
        if row.category is not None and row.category not in categories:
            faults.add(number, "category", f"there is no category {row.category!r}")
        if row.currency not in {None, *currencies}:
            faults.add(number, "currency", f"the merchant sells in {', '.join(currencies)}")
        elif row.sku in known and row.currency not in {None, known[row.sku].currency}:
            faults.add(number, "currency", f"the listing is sold in {known[row.sku].currency}; list it under a new sku")


async def _count_known(
    tx: Tx, merchant_id: int, rows: Sequence[Goods], known: dict[str, Listing], faults: Faults
) -> None:
    """Set what is on hand of listings that are known, in the order of their products, as all who take stock do."""
    wanted = [(known[row.sku], number) for number, row in enumerate(rows) if row.sku in known]
    for listing, number in sorted(wanted, key=lambda pair: (pair[0].product_id, pair[1])):
        on_hand = rows[number].on_hand
        if on_hand is None:
            continue
        now = await stock.lock_stock(tx, merchant_id, listing.product_id)
        if now.on_hand is None:
            faults.add(number, "on_hand", "the listing is sold uncounted; counting begins with a PUT of its stock")
        elif on_hand < now.reserved:
            faults.add(number, "on_hand", f"{on_hand} units, and {now.reserved} are reserved for open orders")
        elif on_hand != now.on_hand:
            await stock.set_on_hand(tx, now, on_hand, kind="counted", reason="listed in bulk")


def _row(goods: Goods, own: str) -> dict[str, Any]:
    """The columns of a listing; own: the currency of the entity, where none is named."""
    told = {**msgspec.structs.asdict(goods), "state": goods.state.value}
    return {**told, "currency": goods.currency or own}


async def _record(tx: Tx, merchant_id: int, *, created: int, updated: int) -> None:
    await audit.record(tx, "goods listed", f"merchant:{merchant_id}", created=created, updated=updated)
