"""The pages of the field, of distributors and of growth, on a market with a sales team; each sees only its own."""

import pytest
from playwright.async_api import Browser

from marketplace.core.db import Database
from marketplace.flows.demo.run_demo import PASSWORD
from supply.leads.model import Lead
from tests.pages.conftest import CHROMIUM, SignIn, plain
from tests.pages.field_market import staff_the_field
from tests.pages.forms import send
from tests.pages.test_browser import looks_right

_COSTS = b"ref,channel,campaign,day,kind,currency,amount\nx-1,online.ads,spring,2018-09-01,media,EUR,12.50\n"
_BAD = b"ref,channel,campaign,day,kind,currency,amount\nx-2,nowhere,,2018-09-01,media,EUR,1.00\n"
AT_THE_DOOR = {"latitude": "50.73743", "longitude": "7,09821", "accuracy": "10"}


@pytest.fixture(scope="module", autouse=True)
async def leads(market: Database) -> list[Lead]:
    return await staff_the_field(market)


async def test_everybody_lands_at_home_with_what_is_their_own(sign_in: SignIn, leads: list[Lead]) -> None:
    seen = {}
    for login, home in (("rita", "/field"), ("sue", "/field"), ("nina", "/field"), ("dora", "/distributor")):
        browser = await sign_in(login)
        assert (await browser.get("/")).headers["location"] == home
        words = plain((await browser.get(home)).text)
        seen[login] = {name for name in ("Won", "Late", "Brought", "Waiting", "Far") if f"{name} &lt;" in words}
    assert seen == {
        "rita": {"Won", "Late"}, "sue": {"Far"}, "nina": {"Won", "Late", "Brought", "Waiting"}, "dora": {"Brought"},
    }  # fmt: skip
    home = plain((await (await sign_in("rita")).get("/field")).text)
    assert "26 days late" in home
    assert "call &lt;them&gt; again Sep 4, 2018" in home
    assert home.count("Sep 3 – Sep 9") == 2  # her own goal and her team's
    for path in (f"/field/leads/{leads[4].lead_id}", "/field/territory", "/ops/goals"):
        assert (await (await sign_in("rita")).get(path)).status_code in {403, 404}, path


async def test_commission_with_what_was_taken_back(sign_in: SignIn) -> None:
    rita = plain((await (await sign_in("rita")).get("/field/commissions")).text)
    assert "Won &lt;1&gt; Rita Sep 3, 2018 flat may change €200.00" in rita
    assert "Brought" not in rita
    dora = plain((await (await sign_in("dora")).get("/distributor/commissions")).text)
    assert "taken back the merchant was closed, Sep 3, 2018" in dora
    assert "−200.00" in dora
    assert "EUR 0.00 200.00 −200.00 0.00 €0.00" in dora
    ops = plain((await (await sign_in("ops")).get("/ops/agents")).text)
    assert "Acme &lt;GmbH&gt; Distributor flat 1 1 €0.00 €200.00" in ops
    assert "FRIEND-1 friends" in ops
    merchant = plain((await (await sign_in("merchant")).get("/merchant/promotions")).text)
    assert "FRIEND-1 running 1 0 Code" in merchant
    assert "Won" not in merchant
    assert "FRIEND-1" not in (await (await sign_in("other")).get("/merchant/promotions")).text


async def test_a_rep_claims_moves_and_notes(sign_in: SignIn, market: Database, leads: list[Lead]) -> None:
    rita, waiting = await sign_in("rita"), leads[3].lead_id
    pool = (await rita.get("/field/pool")).text
    assert "Waiting &lt;4&gt;" in pool
    assert "+49 228" not in pool
    [action] = [line.split('"')[0] for line in pool.split('action="')[1:] if "/claim" in line][:1]
    taken = await send(rita, "/field/pool", action, lead_id=str(waiting))
    page = f"/field/leads/{waiting}"
    assert taken.headers["location"] == f"{page}?done=lead_claimed"
    noted = await send(rita, page, f"{page}/touches", kind="call", note="asked <them>")
    assert "asked &lt;them&gt;" in (await rita.get(noted.headers["location"])).text
    assert (await send(rita, page, f"{page}/moves", move="contact")).status_code == 303
    refused = await send(rita, page, f"{page}/moves", move="sign", reason="", merchant_id="5")
    assert (refused.status_code, "name what shows that it was signed" in refused.text) == (422, True)
    sue = await sign_in("sue")
    other = await sue.post(f"{page}/moves", data={"form_key": "a" * 16, "move": "lose"})
    assert other.status_code == 404


async def test_a_visit_without_a_script_and_its_review(sign_in: SignIn, leads: list[Lead]) -> None:
    rita = await sign_in("rita")
    planned = await send(
        rita, "/field/visits", "/field/visits", lead_id=str(leads[1].lead_id), planned_at="2018-09-03T15:00"
    )
    assert planned.headers["location"] == "/field/visits?done=visit_planned"
    html = (await rita.get("/field/visits")).text
    [action] = [line.split('"')[0] for line in html.split('action="')[1:] if "/check-in" in line.split('"')[0]]
    wrong = await send(rita, "/field/visits", action, **{**AT_THE_DOOR, "latitude": "north"})
    assert (wrong.status_code, "must be degrees" in wrong.text) == (422, True)
    assert (await send(rita, "/field/visits", action, **AT_THE_DOOR)).status_code == 303
    out = action.replace("check-in", "check-out")
    left = await send(rita, "/field/visits", out, **AT_THE_DOOR, result="signs soon", next_step="send the contract")
    assert left.headers["location"] == "/field/visits?done=visit_done"
    assert "signs soon" in (await rita.get("/field/visits")).text
    nina = await sign_in("nina")
    html = (await nina.get("/field/territory")).text
    words = plain(html)
    assert "rita north" in words
    assert "Late &lt;2&gt;" in words.split("Stuck")[1]
    action = [line.split('"')[0] for line in html.split('action="')[1:] if "/review" in line.split('"')[0]][-1]
    said = await send(nina, "/field/territory", action, valid="no", reason="nobody was there")
    assert said.headers["location"] == "/field/territory?done=visit_reviewed"


async def test_growth_sets_goals_alerts_reviews_and_costs(sign_in: SignIn, market: Database) -> None:
    ops = await sign_in("ops")
    goal = {"metric": "gmv_completed", "grain": "month", "on": "2018-09-10", "target": "1200.50", "owner": "ops"}
    assert (await send(ops, "/ops/goals", "/ops/goals", **goal, reason="to grow")).status_code == 303
    assert "€1,200.50" in plain((await ops.get("/ops/goals")).text)
    wrong = await send(ops, "/ops/goals", "/ops/goals", **{**goal, "owner": "nobody"}, reason="to grow")
    assert (wrong.status_code, "no active user" in wrong.text, "1200.50" in wrong.text) == (422, True, True)
    alert = {"name": "too many <back>", "metric": "refund_rate", "grain": "week", "compared": "value",
             "side": "above", "bound": "5", "clear_bound": "4.5", "owner": "ops"}  # fmt: skip
    assert (await send(ops, "/ops/alerts", "/ops/alerts", **alert)).status_code == 303
    words = plain((await ops.get("/ops/alerts")).text)
    assert (
        "too many &lt;back&gt; Orders refunded Week · The figure · a share within bounds above 5.0% 4.5% ops" in words
    )
    review = {"on": "2018-08-29", "causes": "fewer <new> merchants", "learned": "call them", "decision_1": "ask why",
              "owner_1": "ops", "due_on_1": "2018-09-10", "metric_1": ""}  # fmt: skip
    assert (await send(ops, "/ops/reviews", "/ops/reviews", **review)).status_code == 303
    words = plain((await ops.get("/ops/reviews")).text)
    assert "Week of Aug 27, 2018" in words
    assert "ask why ops Sep 10, 2018" in words
    key = {"form_key": "c" * 16}
    stored = await ops.post("/ops/costs", data=key, files={"file": ("costs.csv", _COSTS)})
    assert stored.headers["location"] == "/ops/costs?done=costs_stored"
    assert "x-1 €12.50" in plain((await ops.get("/ops/costs")).text)
    bad = await ops.post("/ops/costs", data={"form_key": "d" * 16}, files={"file": ("costs.csv", _BAD)})
    assert (bad.status_code, "nowhere" in bad.text) == (422, True)


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="NO BROWSER TESTED: install chromium (apt-get install chromium)")
@pytest.mark.parametrize("login", ["rita", "nina", "dora", "ops", "merchant"])
async def test_the_pages_look_right(address: str, browser: Browser, leads: list[Lead], login: str) -> None:
    pages = {
        "rita": ["/field", f"/field/leads/{leads[1].lead_id}", "/field/pool", "/field/visits", "/field/commissions"],
        "nina": ["/field", "/field/territory"],
        "dora": ["/distributor"],
        "ops": ["/ops/goals", "/ops/reviews", "/ops/alerts", "/ops/costs", "/ops/agents"],
        "merchant": ["/merchant/promotions"],
    }[login]
    for scheme in ("light", "dark"):
        context = await browser.new_context(color_scheme=scheme, viewport={"width": 1440, "height": 900})
        page = await context.new_page()
        await page.goto(f"{address}/")
        await page.locator("input[name=login]:visible").fill(login)
        await page.locator("input[type=password]").fill(PASSWORD)
        await page.locator("button.primary").click()
        await page.wait_for_url(lambda url: "sign-in" not in url)
        for path in pages:
            await page.goto(f"{address}{path}")
            await looks_right(page)
        await context.close()
