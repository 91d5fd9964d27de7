"""A merchant's day on the page of an order: taken on, shipped, arrived, or cancelled."""

import re

from litestar import Litestar

from marketplace.core.db import WORKER, Tx
from marketplace.core.users import create_user
from tests.billing.market import check_books
from tests.http.conftest import PASSWORD, make_client
from tests.pages.forms import form, send
from tests.stories.shop import ALPHA, BETA, Shop


async def add_keepers(tx: Tx) -> None:
    for login, merchant_id in (("keeper", ALPHA), ("neighbour", BETA)):
        await create_user(tx, login, login, ["merchant_owner"], merchant_id=merchant_id, password=PASSWORD)


async def test_an_order_is_taken_on_shipped_and_arrives(shop: Shop, app_of_shop: Litestar) -> None:
    shop.at(5, 3)
    sold, regretted = await shop.buy(), await shop.buy()
    await shop.db.write(WORKER, "test", add_keepers)
    page = f"/merchant/orders/{sold.orders[ALPHA]}"
    async with make_client(app_of_shop) as keeper, make_client(app_of_shop) as neighbour:
        for login, browser in (("keeper", keeper), ("neighbour", neighbour)):
            signed_in = {"login": login, "password": PASSWORD, "next": "/"}
            assert (await browser.post("/sign-in", data=signed_in)).status_code == 303
        assert (await send(keeper, page, f"{page}/accept")).status_code == 303
        sent = await send(keeper, page, f"{page}/ship", carrier="Parcel & Co", tracking="<7>")
        assert sent.status_code == 303
        shown = (await keeper.get(sent.headers["location"])).text
        assert "Parcel &amp; Co &lt;7&gt;" in shown
        [deliver] = re.findall(rf'action="({page}/shipments/\d+/deliver)"', shown)
        stolen = await neighbour.post(deliver, data=form(shown, deliver))
        assert stolen.status_code == 404
        assert (await send(keeper, page, deliver)).status_code == 303
        late = await keeper.post(f"{page}/ship", data={"form_key": "another-key", "carrier": "Late"})
        assert late.status_code == 409
        assert 'class="notice refused"' in late.text
        other = f"/merchant/orders/{regretted.orders[ALPHA]}"
        assert (await send(keeper, other, f"{other}/cancel")).status_code == 303
    await shop.hear()
    await shop.settle(shop.clock.now().date())
    await shop.stand({1020: 12_000, 2000: -10_560, 4000: -1_200, 2300: -240}, {}, ALPHA)
    await check_books(shop.db)
