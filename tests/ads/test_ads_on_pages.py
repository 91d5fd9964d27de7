"""A merchant advertises on pages: tops up from earnings, drafts, is reviewed, changes limits; nobody else sees it."""

from pathlib import Path

from billing.ads.campaigns import store as campaigns
from billing.ads.model import Campaign
from billing.ledger.store import post
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.users import create_user
from tests.ads.market import MERCHANT, OTHER, PAID, add_ad_market, add_search, clicks, ledger_of, rate
from tests.billing.market import check_books, goodwill
from tests.http.conftest import PASSWORD, make_client, running
from tests.pages.conftest import plain
from tests.pages.forms import send

PEOPLE = {
    "owner": (["merchant_owner"], MERCHANT),
    "neighbour": (["merchant_owner"], OTHER),
    "olga": (["growth"], None),
}


async def prepare(tx: Tx) -> None:
    """The merchant is owed 50.00, and lamps are sold where people search."""
    await add_ad_market(tx)
    await add_search(tx)
    await post(tx, [goodwill(MERCHANT, 1, tx.now.date(), 5_000)])
    for login, (roles, merchant_id) in PEOPLE.items():
        await create_user(tx, login, login, roles, merchant_id=merchant_id, password=PASSWORD)


async def campaign_of(db: Database) -> Campaign:
    async with db.read(WORKER) as tx:
        [found] = await campaigns.list_campaigns(tx, MERCHANT, limit=2, before=None)
    return found


async def test_from_earnings_to_a_campaign_that_is_charged(db: Database, tmp_path: Path) -> None:
    await db.write(WORKER, "test", prepare)
    async with (
        running(db, tmp_path) as app,
        make_client(app) as owner,
        make_client(app) as neighbour,
        make_client(app) as olga,
    ):
        for login, browser in (("owner", owner), ("neighbour", neighbour), ("olga", olga)):
            entered = {"login": login, "password": PASSWORD, "next": "/"}
            assert (await browser.post("/sign-in", data=entered)).status_code == 303
        too_much = await send(owner, "/merchant/ads", "/merchant/ads/top-ups", amount_minor="50.00")
        assert too_much.status_code == 409
        assert "with VAT it is 6000" in plain(too_much.text)
        assert 'value="50.00"' in too_much.text
        assert (await send(owner, "/merchant/ads", "/merchant/ads/top-ups", amount_minor="20,5")).status_code == 303
        assert (await ledger_of(db))[PAID] == -2_050
        wanted = {"name": "lamps", "words": "lamp light lamp", "bid_minor": "0.30", "daily_minor": "5"}
        low = await send(owner, "/merchant/ads", "/merchant/ads", **{**wanted, "bid_minor": "0.01"})
        assert low.status_code == 422
        assert "takes no less than 5" in plain(low.text)
        drafted = await send(owner, "/merchant/ads", "/merchant/ads", **wanted)
        assert drafted.status_code == 303, plain(drafted.text)
        page = drafted.headers["location"].partition("?")[0]
        assert (await neighbour.get(page)).status_code == 404
        assert "lamps" not in plain((await neighbour.get("/merchant/ads")).text)
        assert (await owner.post(f"{page}/approve", data={"form_key": "by-myself"})).status_code == 403
        at_ops = page.replace("/merchant", f"/books/{MERCHANT}")
        assert (await send(olga, at_ops, f"{at_ops}/approve")).status_code == 303
        await clicks(db, await campaign_of(db), 30, at=db.clock.now())
        await rate(db)
        assert "€3.00" in plain((await owner.get(page)).text)
        changed = await send(owner, page, f"{page}/limits", bid_minor="0.50", daily_minor="7.00")
        assert changed.status_code == 303, plain(changed.text)
        assert (await campaign_of(db)).bid_minor == 50
        assert (await send(owner, page, f"{page}/pause")).status_code == 303
        assert (await campaign_of(db)).state.value == "paused"
    await check_books(db)
