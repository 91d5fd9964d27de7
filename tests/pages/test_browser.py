"""In a real Chromium: each person signs in, nothing complains, nothing leaves the site, nothing overflows a phone."""

import pytest
from playwright.async_api import Browser, Page

from marketplace.flows.demo.run_demo import PASSWORD
from tests.pages.conftest import CHROMIUM

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="NO BROWSER TESTED: install chromium (apt-get install chromium)"),
]

DESK, PHONE = {"width": 1280, "height": 900}, {"width": 360, "height": 800}


CONTRASTS = """() => {
    const paint = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
    const rgba = colour => {
        paint.clearRect(0, 0, 1, 1); paint.fillStyle = colour; paint.fillRect(0, 0, 1, 1);
        return paint.getImageData(0, 0, 1, 1).data;
    };
    const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
        .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    const behind = node => {
        for (; node; node = node.parentElement) {
            const found = rgba(getComputedStyle(node).backgroundColor);
            if (found[3] === 255) return found;
        }
        return [255, 255, 255];
    };
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), poor = [];
    while (walker.nextNode()) {
        const node = walker.currentNode.parentElement;
        if (!walker.currentNode.data.trim() || !node.checkVisibility() || node.closest("svg")) continue;
        const [a, b] = [light(rgba(getComputedStyle(node).color)), light(behind(node))].sort((x, y) => y - x);
        if ((a + 0.05) / (b + 0.05) < 4.5) poor.push(walker.currentNode.data.trim() + " " + (a + 0.05) / (b + 0.05));
    }
    return poor;
}"""
"""Texts whose contrast with what is behind them is below the 4.5 of WCAG AA."""


@pytest.mark.parametrize(("scheme", "script"), [("light", True), ("dark", False)])
@pytest.mark.parametrize("person", ["merchant", "ops", "finance"])
async def test_a_person_signs_in_and_follows_a_figure(
    address: str, browser: Browser, person: str, scheme: str, *, script: bool
) -> None:
    context = await browser.new_context(
        color_scheme="dark" if scheme == "dark" else "light",
        viewport={"width": DESK["width"], "height": DESK["height"]},
        java_script_enabled=script,
        locale="en-GB",
    )
    page = await context.new_page()
    faults: list[str] = []
    page.on("console", lambda said: faults.append(said.text) if said.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda sent: None if sent.url.startswith(address) else faults.append(sent.url))
    await page.goto(f"{address}/")
    assert await page.evaluate(CONTRASTS) == []
    await page.locator("input[name=login]:visible").fill(person)
    await page.locator("input[type=password]").fill(PASSWORD)
    await page.locator("button.primary").click()
    await page.wait_for_url(f"{address}/{person}")
    assert await page.locator("h1").count() == 1
    await looks_right(page)
    for path in {
        "merchant": ["/merchant/orders", "/merchant/statements", "/merchant/entries/1", "/merchant/team", "/account"],
        "ops": ["/ops/merchants", "/ops/parked", "/books/1", "/audit", "/styleguide"],
        "finance": ["/finance/reconciliation", "/finance/proofs", "/finance/accounts/4000", "/books/1/entries/1"],
    }[person]:
        await page.goto(address + path)
        await looks_right(page)
    if person == "merchant":
        await page.goto(f"{address}/merchant?on=2018-08-31")
        await _draws(page, script=script)
    await page.locator("details.person summary").click()
    await page.locator(".menu .quiet").click()
    await page.wait_for_url(f"{address}/sign-in")
    assert faults == []
    await context.close()


async def _draws(page: Page, *, script: bool) -> None:
    """With a script Plotly has drawn in the stylesheet's places; without one the figures stand in their tables."""
    if script:
        bars = page.locator(".graph .main-svg .bars path")
        await bars.first.wait_for()
        layer = page.locator(".graph .main-svg").first
        assert await layer.evaluate("node => getComputedStyle(node).position") == "absolute"
        assert await page.locator(".graph .before").first.is_hidden()
    assert await page.locator(".graph table").count() == 2
    await page.locator(".graph summary").first.click()
    assert await page.locator(".graph td").first.is_visible()


async def looks_right(page: Page) -> None:
    """No sideways scrolling at 360 px (wide tables scroll in their own frame), and every text is legible."""
    await page.set_viewport_size({"width": PHONE["width"], "height": PHONE["height"]})
    assert await page.locator("html").evaluate("root => root.scrollWidth") <= PHONE["width"], page.url
    await page.set_viewport_size({"width": DESK["width"], "height": DESK["height"]})
    assert await page.evaluate(CONTRASTS) == [], page.url
