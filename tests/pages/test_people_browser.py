"""In a real Chromium, with and without a script: from an invitation to a sign-in with a second factor."""

from datetime import timedelta

import pyotp
import pytest
from playwright.async_api import Browser, BrowserContext, Page

from marketplace.core.clock import FixedClock
from marketplace.core.db import Database
from marketplace.flows.demo.run_demo import PASSWORD
from tests.pages.test_browser import CONTRASTS, PHONE, pytestmark

__all__ = ["pytestmark"]


async def sign_in(page: Page, address: str, login: str, password: str) -> None:
    await page.goto(f"{address}/sign-in")
    await page.locator("input[name=login]:visible").fill(login)
    await page.locator("input[type=password]").fill(password)
    await page.locator("button.primary").click()
    await page.wait_for_url(lambda url: not url.endswith("/sign-in"))


def strict(context: BrowserContext, address: str) -> list[str]:
    """What the browser complains of, and what it asks of anybody else."""
    faults: list[str] = []
    context.on("console", lambda said: faults.append(said.text) if said.type in {"error", "warning"} else None)
    context.on("weberror", lambda error: faults.append(str(error.error)))
    context.on("request", lambda sent: None if sent.url.startswith(address) else faults.append(sent.url))
    return faults


async def legible(page: Page) -> None:
    assert await page.evaluate(CONTRASTS) == [], page.url
    assert await page.locator("html").evaluate("root => root.scrollWidth") <= PHONE["width"], page.url


@pytest.mark.parametrize(("scheme", "script"), [("light", True), ("dark", False)])
async def test_somebody_invited_joins_and_guards_the_account(
    address: str, browser: Browser, market: Database, scheme: str, *, script: bool
) -> None:
    new = f"{scheme}@shop.test"
    options = {"java_script_enabled": script, "locale": "en-GB", "viewport": PHONE, "color_scheme": scheme}
    owners = await browser.new_context(**options)  # type: ignore[arg-type]
    theirs = await browser.new_context(**options)  # type: ignore[arg-type]
    faults = strict(owners, address), strict(theirs, address)
    owner, page = await owners.new_page(), await theirs.new_page()

    await sign_in(owner, address, "merchant", PASSWORD)
    await owner.goto(f"{address}/merchant/team")
    await legible(owner)
    await owner.locator("form[action$='/invite'] input[name=email]").fill(new)
    await owner.locator("form[action$='/invite'] input[name='role:merchant_manager']").check()
    await owner.locator("form[action$='/invite'] button").click()
    link = await owner.locator(".fresh code").inner_text()
    await legible(owner)

    await page.goto(link)
    await legible(page)
    await page.locator("input[name=name]").fill("Newcomer")
    await page.locator("input[name=password]").fill("a password of mine")
    await page.locator("button.primary").click()
    await page.wait_for_url(f"{address}/sign-in?next=/")
    await sign_in(page, address, new, "a password of mine")
    await page.goto(f"{address}/account")
    await page.locator("form[action='/account/second-factor'] button").click()
    await page.locator("svg.qr").wait_for()
    await legible(page)
    totp = pyotp.TOTP(await page.locator("code.secret").inner_text())
    await page.locator("input[name=code]").fill(totp.at(market.clock.now()))
    await page.locator("form[action$='/confirm'] button").click()
    await page.locator(".codes li").nth(9).wait_for()
    await legible(page)

    await page.goto(f"{address}/account")
    await page.locator("details.person summary").click()
    await page.locator(".menu .quiet").click()
    await page.wait_for_url(f"{address}/sign-in")
    assert isinstance(market.clock, FixedClock)
    market.clock.move_to(market.clock.now() + timedelta(minutes=1))
    await sign_in(page, address, new, "a password of mine")
    await page.locator("input[name=code]").wait_for()
    await legible(page)
    await page.locator("input[name=code]").fill(totp.at(market.clock.now()))
    await page.locator("button.primary").click()
    await page.wait_for_url(f"{address}/merchant")
    assert faults == ([], [])
    await owners.close()
    await theirs.close()
