"""People on their pages: second factor, sessions, invitations, teams, viewing as a merchant, the audit trail."""

import re
from datetime import timedelta

import httpx
import pyotp
import pytest
from litestar import Litestar

from marketplace.consoles import lists
from marketplace.core import users
from marketplace.core.clock import FixedClock
from marketplace.core.db import STAFF, WORKER, Database
from marketplace.flows.demo.run_demo import PASSWORD
from tests.http.conftest import make_client
from tests.pages.conftest import MARKET_NOW, MINE, OTHERS, SignIn, plain
from tests.pages.forms import form, send
from tests.pages.test_pages import Page


async def enter(browser: httpx.AsyncClient, login: str, password: str = PASSWORD) -> httpx.Response:
    return await browser.post("/sign-in", data={"login": login, "password": password, "next": "/account"})


async def test_a_person_sets_up_a_second_factor_and_signs_in_with_it(app: Litestar, market: Database) -> None:
    assert isinstance(market.clock, FixedClock)
    async with make_client(app) as browser, make_client(app) as elsewhere:
        await enter(browser, "other")
        answer = await send(browser, "/account", "/account/second-factor")
        assert answer.headers["location"] == "/account#second-factor"
        page = (await browser.get("/account")).text
        assert Page(page).faults == []
        assert "<svg" in page
        totp = pyotp.TOTP(re.search(r'<code class="secret">(\w+)', page)[1])  # type: ignore[index]
        wrong = await browser.post("/account/second-factor/confirm", data={"code": "000000"})
        assert wrong.status_code == 401
        assert "000000" not in wrong.text
        shown = await browser.post("/account/second-factor/confirm", data={"code": totp.at(market.clock.now())})
        codes = re.findall(r"<li><code>([a-z2-7-]+)</code>", shown.text)
        assert len(codes) == 10
        assert "<svg" not in (await browser.get("/account")).text

        half = await enter(elsewhere, "other")
        assert half.headers["location"] == "/sign-in/code?next=/account"
        assert (await elsewhere.get("/account")).status_code == 303  # not in yet
        assert (await elsewhere.get(half.headers["location"])).status_code == 200
        market.clock.move_to(market.clock.now() + timedelta(minutes=1))
        code = totp.at(market.clock.now())
        assert (await elsewhere.post("/sign-in/code", data={"code": "123"})).status_code == 401
        done = await elsewhere.post("/sign-in/code", data={"code": code, "next": "/account"})
        assert (done.status_code, done.headers["location"]) == (303, "/account")
        assert (await elsewhere.get("/account")).status_code == 200
        api = await elsewhere.post("/api/v1/session", json={"login": "other", "password": PASSWORD})
        assert api.json()["type"] == "/problems/second-factor-wanted"
        api = await elsewhere.post("/api/v1/session", json={"login": "other", "password": PASSWORD, "code": codes[0]})
        assert api.status_code == 201
        gone = await elsewhere.post("/account/second-factor/remove", data={"code": codes[1]})
        assert gone.headers["location"].startswith("/account?done=")
    market.clock.move_to(MARKET_NOW)


async def test_sessions_are_listed_and_one_is_ended_from_another(app: Litestar, market: Database) -> None:
    await market.write(WORKER, "test", users.create_user, "sam", "Sam", ["accountant"], password=PASSWORD)
    async with make_client(app, **{"User-Agent": "Desk"}) as desk, make_client(app, **{"User-Agent": "Phone"}) as phone:
        await enter(desk, "sam")
        await enter(phone, "sam")
        page = (await desk.get("/account")).text
        assert "Phone" in page
        assert "Desk" in page
        [action] = re.findall(r'action="(/account/sessions/[0-9a-f]+/revoke)"', page)
        await send(desk, "/account", action)
        assert (await phone.get("/account")).status_code == 303
        assert (await desk.get("/account")).status_code == 200


async def test_a_new_password_ends_the_others_and_keeps_this_one(app: Litestar, market: Database) -> None:
    await market.write(
        WORKER, "test", users.create_user, "pat", "Pat", ["accountant"], password=PASSWORD, email="pat@house.test"
    )
    async with make_client(app) as here, make_client(app) as there:
        await enter(here, "pat")
        await enter(there, "pat")
        typed = {"password": "not mine", "new_password": "a brand new password"}
        refused = await here.post("/account/password", data=typed)
        assert refused.status_code == 401
        assert "brand new" not in refused.text
        await here.post("/account/password", data={**typed, "password": PASSWORD})
        assert (await here.get("/account")).status_code == 200
        assert (await there.get("/account")).status_code == 303
        async with market.read(WORKER) as tx:  # nothing that was typed is kept, not even as a form's fingerprint
            keys = await tx.scalar("SELECT count(*) FROM core.idempotency_key WHERE actor = 'pat'")
        assert keys == 0


async def test_an_owner_invites_somebody_who_joins_once(app: Litestar, sign_in: SignIn, market: Database) -> None:
    owner = await sign_in("merchant")
    shown = await owner.post("/merchant/team/invite", data={"email": "kim@shop.test", "role:merchant_manager": "on"})
    assert Page(shown.text).faults == []
    link = re.search(r"(/join\?token=[\w-]+)", shown.text)
    assert link is not None
    assert link[1] not in (await owner.get("/merchant/team")).text
    async with make_client(app) as browser:
        page = (await browser.get(link[1])).text
        assert "kim@shop.test" in page
        assert Page(page).faults == []
        typed = {**form(page, "/join"), "name": "Kim", "password": "short"}
        assert (await browser.post("/join", data=typed)).status_code == 422
        typed["password"] = "a password of kim"
        assert (await browser.post("/join", data=typed)).headers["location"].startswith("/sign-in")
        again = await browser.post("/join", data=typed)
        assert again.status_code == 410
        await enter(browser, "kim@shop.test", "a password of kim")
        assert (await browser.get("/merchant/statements")).status_code == 200
        assert (await browser.get("/merchant/team")).status_code == 403
    team = await owner.get("/merchant/team")
    assert "Kim" in team.text
    assert Page(team.text).faults == []
    async with market.read(STAFF) as tx:
        user_id = await tx.scalar("SELECT user_id FROM core.app_user WHERE login = 'kim@shop.test'")
    done = await send(owner, "/merchant/team", f"/merchant/team/{user_id}/remove")
    assert done.status_code == 303
    assert (await owner.get(done.headers["location"])).status_code == 200


async def test_an_owner_never_reaches_anothers_team(sign_in: SignIn, market: Database) -> None:
    mine, theirs = await sign_in("merchant"), await sign_in("other")
    made = await theirs.post("/merchant/team/invite", data={"email": "lee@shop.test", "role:merchant_cashier": "on"})
    assert made.status_code == 200
    async with market.read(STAFF) as tx:
        link_id = await tx.scalar("SELECT link_id FROM core.access_link WHERE email = 'lee@shop.test'")
        other = await tx.scalar("SELECT user_id FROM core.app_user WHERE login = 'other'")
        cashier = await tx.scalar("SELECT user_id FROM core.app_user WHERE login = 'cashier'")
    page = (await mine.get("/merchant/team")).text
    assert "lee@shop.test" not in page
    assert "Other" not in plain(page)
    key = {"form_key": "a-key-of-this-test"}
    for number, path in enumerate((f"invitations/{link_id}/withdraw", f"{other}/remove", f"{other}/return")):
        data = {"form_key": f"{key['form_key']}-{number}"}
        assert (await mine.post(f"/merchant/team/{path}", data=data)).status_code == 404
    refused = await mine.post(
        f"/merchant/team/{other}/roles", data={"form_key": "one-more-key", "role:merchant_cashier": "on"}
    )
    assert refused.status_code == 404
    staff = await mine.post("/merchant/team/invite", data={"email": "x@y.test", "role:admin": "on"})
    assert staff.status_code == 422
    assert (await mine.get(f"/books/{OTHERS}/team")).status_code == 403
    for login in ("cashier", "ops", "finance"):
        assert (await (await sign_in(login)).post(f"/merchant/team/{cashier}/remove")).status_code == 403
    admin = await sign_in("admin")
    assert "lee@shop.test" in (await admin.get(f"/books/{OTHERS}/team")).text
    assert "Finance" in plain((await admin.get("/ops/people")).text)


async def test_another_site_cannot_send_these_forms(sign_in: SignIn) -> None:
    browser = await sign_in("merchant")
    for path in ("/merchant/team/invite", "/account/password", "/account/second-factor/remove", "/reset", "/join"):
        answer = await browser.post(path, data={}, headers={"Sec-Fetch-Site": "cross-site"})
        assert answer.status_code == 403, path
        assert answer.headers.get("location") is None


async def test_a_reset_is_asked_for_without_saying_whether_there_is_such_a_login(app: Litestar) -> None:
    async with make_client(app) as browser:
        pages = [(await browser.post("/reset", data={"login": login})).text for login in ("merchant", "nobody")]
        assert pages[0] == pages[1]
        assert Page(pages[0]).faults == []
        assert (await browser.get("/reset/new?token=nonsense")).status_code == 410


async def test_staff_view_as_a_merchant_and_change_nothing(app: Litestar, market: Database) -> None:
    async with make_client(app) as browser:
        await enter(browser, "finance")
        page = f"/books/{MINE}"
        refused = await send(browser, page, f"{page}/view-as", reason="")
        assert refused.status_code == 422
        answer = await send(browser, page, f"{page}/view-as", reason="asked about the payout")
        assert answer.headers["location"] == "/merchant"
        home = (await browser.get("/merchant")).text
        async with market.read(STAFF) as tx:
            name = await tx.scalar("SELECT name FROM supply.merchant WHERE merchant_id = :merchant", merchant=MINE)
        assert f"as merchant {name} sees them" in plain(home)
        assert Page(home).faults == []
        assert (await browser.get("/merchant/statements")).status_code == 200
        shut = await browser.get("/finance")
        assert shut.status_code == 403
        assert f"as merchant {name} sees them" in plain(shut.text)  # and the way back stands beside it
        assert 'action="/view-as/end"' in shut.text
        assert (await browser.get(f"/api/v1/merchants/{OTHERS}/listings")).status_code in {403, 404}
        for path in ("/merchant/team/invite", "/account/email", "/account/sessions/revoke-others", "/merchant/ads"):
            stopped = await browser.post(path, data={"form_key": "0123456789"})
            assert stopped.status_code == 403, path
            assert "only look" in stopped.text
        api = await browser.post(f"/api/v1/merchants/{MINE}/orders/1/accept", headers={"Idempotency-Key": "abcdefgh"})
        assert api.json()["type"] == "/problems/only-looking"
        assert (await browser.post("/view-as/end")).headers["location"] == page
        assert (await browser.get("/finance")).status_code == 200
        assert (await browser.get("/merchant")).status_code == 403
        trail = plain((await browser.get(f"/audit?subject=merchant:{MINE}&actor=finance")).text)
        assert "viewed as merchant" in trail
        assert "asked about the payout" in trail
        assert "ended view as merchant" in trail


async def test_the_audit_trail_is_filtered_and_paged(
    sign_in: SignIn, market: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "PAGE_ROWS", 3)
    browser, seen, query = await sign_in("finance"), list[str](), "/audit?subject=user&first=2018-01-01"
    while query:
        html = (await browser.get(query)).text
        assert Page(html).faults == []
        seen += re.findall(r'class="ref" href="/audit\?[^"]*subject=([^"&]+)[^"]*"', html)
        older = re.search(r'class="more"><a class="button" href="([^"]+)"', html)
        query = older[1].replace("&amp;", "&") if older else ""
    async with market.read(STAFF) as tx:
        deeds = await tx.scalar("SELECT count(*) FROM core.audit WHERE subject LIKE 'user:%'")
    assert len(seen) == deeds > 6
    assert all(one.startswith(("user%3A", "user:")) for one in seen)
    assert "Nothing was found" in (await browser.get("/audit?actor=nobody")).text
    assert (await (await sign_in("merchant")).get("/audit")).status_code == 403


@pytest.mark.parametrize("login", ["ops", "finance", "payer"])
async def test_the_demonstrations_people_are_switched(app: Litestar, login: str) -> None:
    async with make_client(app) as browser:
        await enter(browser, "merchant")
        shown = (await browser.get("/switch")).text
        assert re.findall(r'name="login" value="(\w+)"', shown) == ["merchant", "ops", "finance", "payer"]  # and no rep
        assert (await browser.post("/switch", data={"login": login})).headers["location"] == "/"
        assert (await browser.get("/")).headers["location"] == f"/{login}"
        assert (await browser.post("/switch", data={"login": "admin"})).status_code == 422
