"""In a real Chromium: every page is open to everybody, in light and dark, by keyboard, on a phone, and is soon there.

What keeps people out is judged by axe-core, which `.ci/run` installs.
"""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page

from marketplace.core.db import WORKER, Database
from marketplace.core.people.links import Invite, invite
from marketplace.flows.demo.run_demo import PASSWORD
from tests.pages.conftest import CHROMIUM, SignIn
from tests.pages.everything import addresses, fill, is_page
from tests.pages.test_browser import DESK, PHONE
from tests.pages.test_notices import happened
from tests.pages.test_pages import PAGES
from tests.pages.test_people_browser import sign_in as enter
from tests.pages.test_people_browser import strict

AXE = Path(__file__).parents[2] / ".ci/node_modules/axe-core/axe.min.js"
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="NO BROWSER TESTED: install chromium (apt-get install chromium)"),
    pytest.mark.skipif(not AXE.exists(), reason="NO ACCESS TESTED: install axe-core (npm ci --prefix .ci)"),
]

FIRST_VIEW_BYTES_MAX = 150_000
"""On the wire, the script that draws charts aside."""

TABS_MAX = 1_500
_JUDGE = """rules => axe.run(document, {resultTypes: ["violations"], ...(rules && {runOnly: rules})})
    .then(({violations}) => violations.filter(({impact}) => impact === "serious" || impact === "critical")
    .flatMap(({id, impact, nodes}) => nodes.map(({target, failureSummary}) =>
        `${impact} ${id}: ${target.join(" ")}: ${failureSummary.split("\\n").slice(1).join("; ").trim()}`)))"""
_STOPS = """() => {
    const wanted = [...document.querySelectorAll(
        "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex]:not([tabindex='-1'])"
    )].filter(node => node.checkVisibility({visibilityProperty: true}) && !node.disabled && node.tabIndex >= 0);
    const groups = new Set();
    const stops = wanted.filter(node => {
        if (node.type !== "radio") return true;
        const known = groups.has(node.name);
        groups.add(node.name);
        return !known;
    });
    window.unreached = new Map(stops.map(node => [node, node.outerHTML.slice(0, 120)]));
    window.unseen = [];
    document.addEventListener("focusin", ({target}) => {
        if (target.type === "radio") {
            for (const node of unreached.keys()) if (node.name === target.name) unreached.delete(node);
        }
        unreached.delete(target);
        const shown = getComputedStyle(target);
        if (target !== document.body && target.tabIndex >= 0 && shown.outlineStyle === "none") {
            unseen.push(target.outerHTML.slice(0, 120));
        }
    });
    document.activeElement?.blur();
    return stops.length + 4 * stops.filter(node => /date|time/.test(node.type)).length;  // a day has parts of its own
}"""


@pytest.fixture(scope="module")
async def reached(market: Database, sign_in: SignIn) -> Mapping[str, Mapping[str, str]]:
    """By person, an address of each page; each page once."""
    more = await fill(market, *[await sign_in(login) for login in ("ops", "admin", "finance")])
    of_house = await addresses(await sign_in("admin"), more)
    people = ("merchant", "payer", "rita", "nina", "dora")
    found = {login: await addresses(await sign_in(login)) for login in people}
    invited = await market.write(WORKER, "admin", invite, Invite(email="new@shop.test", name="New", roles=["growth"]))
    return {
        "admin": of_house,
        **{login: {name: path for name, path in own.items() if name not in of_house} for login, own in found.items()},
        "stranger": {
            "GET /sign-in": "/sign-in",
            "GET /join": f"/join?token={invited.token}",
            "GET /reset": "/reset",
            "GET /reset/new": "/reset/new",
        },
    }


async def test_every_page_is_looked_at(reached: Mapping[str, Mapping[str, str]]) -> None:
    seen = {name for found in reached.values() for name in found}
    assert {name for name in PAGES if is_page(name)} - seen == set()


@pytest.mark.parametrize("person", ["merchant", "admin", "payer", "rita", "nina", "dora", "stranger"])
async def test_every_page_is_open_to_everybody(
    address: str, browser: Browser, reached: Mapping[str, Mapping[str, str]], person: str
) -> None:
    context = await browser.new_context(viewport=DESK, color_scheme="light", locale="en-GB", reduced_motion="reduce")  # type: ignore[arg-type]
    asked = strict(context, address)
    page = await context.new_page()
    if person != "stranger":
        await enter(page, address, person, PASSWORD)
    wire = await context.new_cdp_session(page)
    carried: dict[str, int] = {}
    names: dict[str, str] = {}
    wire.on("Network.requestWillBeSent", lambda sent: names.update({sent["requestId"]: sent["request"]["url"]}))
    wire.on("Network.loadingFinished", lambda end: carried.update({end["requestId"]: int(end["encodedDataLength"])}))
    await wire.send("Network.enable")
    await wire.send("Network.setCacheDisabled", {"cacheDisabled": True})
    faults = []
    for name, path in reached[person].items():
        carried.clear()
        await page.goto(address + path)
        weight = sum(size for sent, size in carried.items() if "plotly" not in names.get(sent, ""))
        if not 0 < weight <= FIRST_VIEW_BYTES_MAX:
            faults.append(f"{name}: {weight} bytes")
        faults += [f"{name}: {fault}" for fault in await _faults(page)]
    asked = [fault for fault in asked if "410 (Gone)" not in fault]  # no token opens /reset/new
    assert (faults, asked) == ([], []), "\n".join(faults)
    await context.close()


async def _faults(page: Page) -> list[str]:
    """What is wrong with the page that is open."""
    faults = await judged(page)
    await page.emulate_media(color_scheme="dark")
    faults += [f"dark: {fault}" for fault in await judged(page, ["color-contrast", "link-in-text-block"])]
    await page.emulate_media(color_scheme="light")
    faults += await by_keyboard(page)
    await page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    width = await page.locator("html").evaluate("root => root.scrollWidth")
    await page.set_viewport_size(DESK)  # type: ignore[arg-type]
    return faults + ([f"{width} px wide on a phone"] if width > PHONE["width"] else [])


async def judged(page: Page, rules: Sequence[str] | None = None) -> list[str]:
    """What axe-core calls serious or critical, by these rules, or by all."""
    if not await page.evaluate("() => 'axe' in window"):
        await page.evaluate(AXE.read_text())
    found: list[str] = await page.evaluate(_JUDGE, list(rules) if rules else None)
    return found


async def by_keyboard(page: Page) -> list[str]:
    """What the tab key does not come to, and what does not show that it has come."""
    stops = await page.evaluate(_STOPS)
    assert stops < TABS_MAX, page.url
    await asyncio.gather(*(page.keyboard.press("Tab") for _ in range(stops + 2)))
    missed: list[str] = await page.evaluate("() => [...unreached.values()]")
    unseen: list[str] = await page.evaluate("() => unseen")
    return [f"not reached by keyboard: {node}" for node in missed] + [f"focus is not seen: {node}" for node in unseen]


BAD = """<!doctype html><html lang="en"><title>bad</title><main><h1>bad</h1>
<input name="without_a_label"><p style="color: #999; background: #fff">faint</p>
<a href="/a" tabindex="2">second</a><button style="outline: none">dim</button><img src="data:,"></main></html>"""


async def test_the_judge_finds_what_is_planted(browser: Browser) -> None:
    context = await browser.new_context()
    page = await context.new_page()
    await page.set_content(BAD)
    found = " ".join(await judged(page))
    assert {rule for rule in ("label", "color-contrast", "image-alt") if f" {rule}: " in found} == {
        *("label", "color-contrast", "image-alt"),
    }
    assert [fault for fault in await by_keyboard(page) if fault.startswith("focus is not seen: <button")]
    await context.close()


@pytest.mark.parametrize("told", [True, False], ids=["unread", "all read"])
async def test_the_persons_menu_has_a_name_on_a_phone(
    address: str, browser: Browser, market: Database, *, told: bool
) -> None:
    context = await browser.new_context(viewport=PHONE, locale="en-GB", reduced_motion="reduce")  # type: ignore[arg-type]
    page = await context.new_page()
    await enter(page, address, "finance", PASSWORD)
    if told:
        await happened(market, "billing.run_finalised.v1", {"run_id": 1})
    else:
        await page.goto(f"{address}/notices")
    await page.goto(f"{address}/finance")
    assert await page.locator("details.person .pill").count() == int(told)
    assert await judged(page) == []
    await context.close()
