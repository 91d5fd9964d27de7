"""A merchant lists, changes and counts goods on pages without a script; its cashier corrects what is on the shelf."""

import pytest

from marketplace.core.db import STAFF, Database
from supply.listings import store
from supply.model import Listing, ListingState
from tests.pages.conftest import MINE, SignIn, plain
from tests.pages.forms import form, send
from tests.pages.test_pages import Page

LISTINGS = "/merchant/listings"
NEW = {"sku": "LAMP-1", "title": "Lamp <oak>", "price_minor": "40,50", "freight_minor": "3", "on_hand": "7"}


async def listed(db: Database, sku: str) -> Listing | None:
    async with db.read(STAFF) as tx:
        return next(iter(await store.list_listings(tx, MINE, sku_prefix=sku, limit=1)), None)


async def test_goods_are_listed_changed_and_counted(sign_in: SignIn, market: Database) -> None:
    owner, cashier, other = await sign_in("merchant"), await sign_in("cashier"), await sign_in("other")
    refused = await send(owner, LISTINGS, LISTINGS, **{**NEW, "price_minor": "forty"})
    assert refused.status_code == 422
    assert "Lamp &lt;oak&gt;" in refused.text
    assert await listed(market, "LAMP-1") is None
    made = await send(owner, LISTINGS, LISTINGS, **NEW)
    assert made.status_code == 303, plain(made.text)
    page = made.headers["location"].partition("?")[0]
    found = await listed(market, "LAMP-1")
    assert found is not None
    assert (found.price_minor, found.freight_minor, found.on_hand) == (4_050, 300, 7)
    stale = form((await owner.get(page)).text, page)
    assert (await send(owner, page, page, title="Lamp", price_minor="45.00", state="hidden")).status_code == 303
    late = await owner.post(page, data={**stale, "title": "Too late"})
    assert late.status_code == 412
    changed = await listed(market, "LAMP-1")
    assert changed is not None
    assert (changed.title, changed.price_minor, changed.state) == ("Lamp", 4_500, ListingState.HIDDEN)
    assert (await send(owner, page, f"{page}/count", on_hand="9", reason="counted twice")).status_code == 303
    html = (await cashier.get(page)).text
    assert Page(html).faults == []
    assert f'action="{page}"' not in html
    data = {**form(html, f"{page}/found"), "units": "2", "reason": "broken"}
    assert (await cashier.post(f"{page}/gone", data=data)).status_code == 303
    assert (await cashier.post(page, data=data)).status_code == 403
    counted = await listed(market, "LAMP-1")
    assert counted is not None
    assert counted.on_hand == 7
    words = plain((await owner.get(page)).text)
    assert "broken −2 7" in words
    assert "counted twice" in words
    assert (await other.get(page)).status_code == 404


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("q=chair", ["Chair"]),
        ("state=hidden", ["Chair"]),
        ("q=table&state=hidden", []),
        ("sort=price", ["Table", "Chair"]),
    ],
)
async def test_the_list_is_found_sorted_and_taken_along(
    sign_in: SignIn, market: Database, query: str, wanted: list[str]
) -> None:
    owner = await sign_in("merchant")
    for sku, price in (("Table", "0.02"), ("Chair", "0.03")):
        if await listed(market, sku) is None:
            made = await send(owner, LISTINGS, LISTINGS, sku=sku, title=sku, price_minor=price, freight_minor="0")
            page = made.headers["location"].partition("?")[0]
            if sku == "Chair":
                assert (await send(owner, page, page, state="hidden")).status_code == 303
    html = (await owner.get(f"{LISTINGS}?{query}")).text
    lines = (await owner.get(f"{LISTINGS}.csv?{query}")).text.splitlines()[1:]
    ours = [line.partition(",")[0] for line in lines if line.partition(",")[0] in {"Table", "Chair"}]
    assert ours == wanted
    assert [name for name in ("Table", "Chair") if f">{name}</a>" in html] == sorted(wanted, key="Table Chair".index)


async def test_only_listings_with_a_known_state_are_asked_for(sign_in: SignIn) -> None:
    assert (await (await sign_in("merchant")).get(f"{LISTINGS}?state=sold")).status_code == 422
    assert (await (await sign_in("merchant")).get(f"{LISTINGS}?state=&q=")).status_code == 200
