"""The pages on which growth arranges how merchants are won and sees what that brings; and a rep's at a fair."""

import csv
import io
import re

import httpx
import pytest

from marketplace.core.db import Database
from supply.leads.model import Lead
from tests.pages.conftest import SignIn, links, plain
from tests.pages.field_market import staff_the_field
from tests.pages.forms import send


@pytest.fixture(scope="module", autouse=True)
async def leads(market: Database) -> list[Lead]:
    return await staff_the_field(market)


async def linked(browser: httpx.AsyncClient, page: str, words: str) -> str:
    """Where a link of these words leads to."""
    html = (await browser.get(page)).text
    found = re.search(rf'href="([^"]+)"[^>]*>{re.escape(words)}</a>', html)
    assert found is not None, (words, plain(html))
    return found[1].replace("&amp;", "&")


async def test_a_territory_its_places_manager_and_reps(sign_in: SignIn) -> None:
    ops = await sign_in("ops")
    made = await send(ops, "/ops/territories", "/ops/territories", name="west <1>", manager="nina")
    west = made.headers["location"].partition("?")[0]
    assert (await send(ops, west, f"{west}/areas", region="West", city="Riverside")).status_code == 303
    assert (await send(ops, west, f"{west}/reps", login="max")).status_code == 303
    words = plain((await ops.get("/ops/territories")).text)
    assert "west &lt;1&gt; nina riverside, west max 0" in words
    assert (await send(ops, west, f"{west}/manager", manager="")).status_code == 303
    refused = await send(ops, "/ops/territories", "/ops/territories", name="west <1>")
    assert (refused.status_code, "there is a territory" in refused.text) == (409, True)
    rep = await linked(ops, west, "max")
    nowhere = await send(ops, rep, rep, active="no", pool_id="")
    assert (nowhere.status_code, "say where the rep" in nowhere.text) == (422, True)
    pool = (await linked(ops, "/ops/pools", "northern")).rpartition("/")[2]
    assert (await send(ops, rep, rep, active="no", pool_id=pool)).status_code == 303
    assert "not in service" in (await ops.get(rep)).text
    for path, status in (("/ops/territories/1", 404), ("/ops/reps/1", 404), ("/ops/pools/1", 404)):
        assert (await ops.get(path)).status_code == status


async def test_a_pool_its_rules_and_dealing(sign_in: SignIn, leads: list[Lead]) -> None:
    ops, nina = await sign_in("ops"), await sign_in("nina")
    rules = {"name": "spare", "zone": "Europe/Berlin", "daily_max": "3"}
    made = await send(ops, "/ops/pools", "/ops/pools", **rules)
    pool = made.headers["location"].partition("?")[0]
    assert (await send(ops, pool, pool, daily_max="4")).status_code == 303
    assert "spare – 0 0 4 100 3 7 30 30" in plain((await ops.get("/ops/pools")).text)
    wrong = await send(ops, pool, pool, zone="Nowhere/City", daily_max="0")
    assert (wrong.status_code, "must be a whole number from 1 to 10000" in wrong.text) == (422, True)
    northern = await linked(ops, "/ops/pools", "northern")
    assert f"/ops/leads/{leads[3].lead_id}" in links((await ops.get(northern)).text)
    action = f"/field/pools/{northern.rpartition('/')[2]}/deals"
    assert (await send(nina, "/field/pool", action, count="1")).headers["location"] == "/field/pool?done=leads_dealt"
    assert "Waiting &lt;4&gt;" not in (await ops.get(northern)).text
    rep = await sign_in("rita")
    assert (await rep.post(action, data={"form_key": "a" * 16, "count": "1"})).status_code == 403


async def test_a_channel_below_another(sign_in: SignIn) -> None:
    ops = await sign_in("ops")
    ads = (await linked(ops, "/ops/channels", "Ads")).rpartition("/")[2]
    wrong = await send(ops, "/ops/channels", "/ops/channels", parent=ads, key="Über", name="x")
    assert (wrong.status_code, "must be small letters" in wrong.text) == (422, True)
    made = await send(ops, "/ops/channels", "/ops/channels", parent=ads, key="video", name="Video <ads>")
    video = made.headers["location"].partition("?")[0]
    assert (await send(ops, video, video, name="Clips <ads>", active="no")).status_code == 303
    words = plain((await ops.get("/ops/channels")).text)
    assert "Clips &lt;ads&gt; online.ads.video not in use 0" in words
    stale = await ops.post(video, data={"form_key": "b" * 16, "version": "1", "name": "late", "active": "yes"})
    assert stale.status_code == 412


async def test_economics_and_the_leads_behind_them(sign_in: SignIn, leads: list[Lead]) -> None:
    """The shop that came with a code is the referral's by its last touch, and so is Rita's commission for it."""
    ops = await sign_in("ops")
    table = (await ops.get("/ops/economics.csv?sort=name")).text
    rows = {row[0]: row[1:] for row in list(csv.reader(io.StringIO(table)))[1:]}
    assert rows["online.referral"][:8] == ["EUR", "200.00", "200.00", "0", "1.000000", "200.00", "200.00", "200.00"]
    assert rows["online.form"][:5] == ["EUR", "0.00", "0.00", "5", "1.000000"]
    page = await linked(ops, "/ops/economics", "Referral")
    assert "Commission €200.00" in plain((await ops.get(page)).text)
    html = (await ops.get("/ops/economics")).text
    [behind, *_] = [href for href in links(html) if "/economics/leads" in href and "key=online.referral" in href]
    words = plain((await ops.get(behind)).text)
    assert "Won &lt;1&gt; came from elsewhere Jul 25, 2018 First order" in words
    assert "100.0%" in words
    assert "Late" not in words
    by_rep = [href for href in links((await ops.get("/ops/economics?by=rep")).text) if "/economics/leads" in href]
    [nobodys, *_] = [href for href in by_rep if href.endswith("key=")]
    seen = plain((await ops.get(nobodys)).text)
    assert ("Brought &lt;3&gt;" in seen, "Late &lt;2&gt;" in seen) == (True, False)
    assert "Late &lt;2&gt;" in plain((await ops.get(nobodys.removesuffix("&key="))).text)
    for wrong in ("by=moon", "from_on=2018-09-02&to_on=2018-09-01", "horizon=0", "sort=moon", "from_on=soon"):
        assert (await ops.get(f"/ops/economics?{wrong}")).status_code == 422, wrong
    form = (await linked(ops, "/ops/channels", "Lead form")).rpartition("/")[2]
    assert plain((await ops.get(f"/ops/leads?channel={form}")).text).count("&lt;") >= 5
    assert (await ops.get(f"/ops/costs?channel={form}&from_on=2018-01-01&seller=rita")).status_code == 200


async def test_a_fair_from_the_first_registration_to_the_follow_up(sign_in: SignIn) -> None:
    ops, rita = await sign_in("ops"), await sign_in("rita")
    fair = await linked(ops, "/ops/fairs", "Expo &lt;x&gt;")
    who = {"badge": "B-2", "company": "Second <7>"}
    assert (await send(ops, fair, f"{fair}/attendees", **who)).status_code == 303
    twice = await send(ops, fair, f"{fair}/attendees", **who)
    assert (twice.status_code, "is registered already" in twice.text) == (422, True)
    cost = {"ref": "e-1", "cost_kind": "event", "spent_on": "2018-09-03", "amount": "90.00"}
    assert (await send(ops, fair, f"{fair}/costs", **cost)).headers["location"] == f"{fair}?done=costs_stored"
    mine = await linked(rita, "/field/fairs", "Expo &lt;x&gt;")
    unknown = await send(rita, mine, f"{mine}/scans", badge="B-9")
    assert (unknown.status_code, "is not registered, so say who it is" in unknown.text) == (422, True)
    assert (await send(rita, mine, f"{mine}/scans", badge="B-1", note="wants <it>")).status_code == 303
    again = await send(rita, mine, f"{mine}/scans", badge="B-1")
    assert (again.status_code, "was met already" in again.text) == (422, True)
    seen = plain((await rita.get(mine)).text)
    assert ("Met &lt;6&gt; wants &lt;it&gt; Kim B-1" in seen, "Second" in seen) == (True, False)
    words = plain((await ops.get(fair)).text)
    assert "Spent Events €90.00 €90.00 Registered 2 Met 1 Leads €90.00 each 1 Followed up 0" in words
    table = list(csv.reader(io.StringIO((await ops.get(f"{fair}/attendees.csv")).text)))
    assert [(row[0], row[1], row[9]) for row in table[1:]] == [("B-1", "Met <6>", "rita"), ("B-2", "Second <7>", "")]
    html = (await rita.get("/field/tasks")).text
    assert "Met at Expo &lt;x&gt;: follow up" in html
    [task] = re.findall(r'Met at Expo.*?action="(/field/tasks/\d+)"', html, re.DOTALL)
    ended = await send(rita, "/field/tasks", task, outcome="called <them>")
    assert ended.headers["location"] == "/field/tasks?done=task_ended"
    assert "Followed up 1" in plain((await ops.get(fair)).text)
    new = {"name": "Fair <y>", "code": "fair_y", "starts_on": "2018-10-02", "ends_on": "2018-10-01"}
    refused = await send(ops, "/ops/fairs", "/ops/fairs", **new)
    assert (refused.status_code, "lies within a year after starts_on" in refused.text) == (422, True)
    assert (await send(ops, "/ops/fairs", "/ops/fairs", **{**new, "ends_on": "2018-10-03"})).status_code == 303


async def test_a_running_week_stands_against_as_many_days(sign_in: SignIn) -> None:
    """It is Monday: that day so far against the Monday before, and a week that is over against a whole one."""
    ops = await sign_in("ops")
    assert "against as many days: Aug 27, 2018" in plain((await ops.get("/ops/steering?on=2018-09-03")).text)
    assert "against the week of Aug 20, 2018" in plain((await ops.get("/ops/steering?on=2018-08-27")).text)
