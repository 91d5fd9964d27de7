"""In a real Chromium, with a script and without: finance bills a month and closes it, with a second person; and a
merchant follows a sale into its statement, takes that along, and sees it paid out.
"""

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Page

from marketplace.core.db import WORKER, Database
from marketplace.flows.payouts.pay_merchants import ConfirmPayout, confirm_payout
from marketplace.flows.proofs.check_again import check_again
from tests.billing.market import check_books
from tests.pages.conftest import MARKET_NOW, MINE, billed_market
from tests.pages.payout_market import add_accounts
from tests.pages.test_browser import looks_right, pytestmark
from tests.pages.test_deeds import two_people
from tests.pages.test_promotion_browser import signed_in

__all__ = ["pytestmark"]

MONTH = "2018-08"


@pytest.fixture(scope="module", params=[True, False], ids=["script", "no script"])
def script(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(scope="module")
async def market(maintenance_url: str, script: bool) -> AsyncIterator[Database]:
    """A billed market of its own, its last month still to be billed: these tests change it."""
    async with billed_market(maintenance_url) as db:
        await db.write(WORKER, "test", two_people)
        yield db


async def press(page: Page, action: str, done: str, **typed: str) -> None:
    """Send the first form that goes there, unfolded where it asks again, and see what is said then."""
    form = page.locator(f"form[action$='{action}']").first
    if not await form.locator("button").first.is_visible():
        await page.locator("details.ask", has=form).locator("summary").first.press("Enter")
    for name, value in typed.items():
        await form.locator(f"[name={name}]").fill(value)
    await form.locator("button").first.press("Enter")
    await page.wait_for_url(f"**done={done}**")
    await looks_right(page)


async def test_a_month_is_billed_and_closed(address: str, browser: Browser, market: Database, *, script: bool) -> None:
    faults: list[str] = []
    finance = await signed_in(browser, address, "finance", faults, script=script)
    admin = await signed_in(browser, address, "admin", faults, script=script)
    await finance.goto(f"{address}/finance")
    await press(finance, "/finance/runs", "run_preview")
    run = finance.url.partition("?")[0]
    await finance.get_by_role("link", name="Compare").click()
    await finance.wait_for_url("**/comparison")
    await looks_right(finance)
    await admin.goto(run)
    await press(admin, "/approve", "run_approve")
    await finance.goto(run)
    await press(finance, "/finalise", "run_finalise")

    close = f"{address}/finance/close?entity=1&month={MONTH}"
    await finance.goto(close)
    await press(finance, "/soft_close", "period_soft_close")
    await check_again(market, "worker", f"period:1/{MONTH}")
    await finance.goto(close)
    while await finance.locator("form[action$='/name_break']").count():
        await press(finance, "/name_break", "period_name_break", reason="known")
    await admin.goto(close)
    while await admin.locator("form[action$='/approve_break']").count():
        await press(admin, "/approve_break", "period_approve_break")
    await press(admin, "/final/close", "period_close")
    assert "SHA-256" in await admin.locator("main").inner_text()
    assert faults == []
    await check_books(market)
    for page in (finance, admin):
        await page.context.close()


async def test_a_sale_becomes_a_payout(address: str, browser: Browser, market: Database, *, script: bool) -> None:
    """After the month was billed."""
    faults: list[str] = []
    merchant = await signed_in(browser, address, "merchant", faults, script=script)
    await merchant.goto(f"{address}/merchant/orders?first={MONTH}-01&last={MONTH}-20&state=settled")
    sold = await merchant.locator("a.ref").first.inner_text()
    await merchant.locator("a.ref").first.click()
    await merchant.wait_for_url("**/merchant/orders/*")
    await looks_right(merchant)
    order = merchant.url
    await merchant.locator("a[href*='/merchant/entries/']").first.click()
    await merchant.wait_for_url("**/merchant/entries/*")
    await looks_right(merchant)
    await merchant.goto(f"{address}/merchant/statements")
    await merchant.locator("tbody a[href*='/merchant/statements/']").first.click()
    await merchant.wait_for_url("**/merchant/statements/*/EUR")
    await looks_right(merchant)
    async with merchant.expect_download() as download:
        await merchant.get_by_role("link", name="CSV").click()
    lines = (await (await download.value).path()).read_text().splitlines()
    assert len(lines) > 2
    assert await _is_listed(merchant, order.removeprefix(address)), sold
    await merchant.locator("a[href*='/merchant/payouts/']").first.click()
    await merchant.wait_for_url("**/merchant/payouts/*")
    payout_id = int(merchant.url.rpartition("/")[2])
    await add_accounts(market)
    cmd = ConfirmPayout(merchant_id=MINE, payout_id=payout_id, bank_ref="BANK-1", on=MARKET_NOW.date())
    await market.write(WORKER, "bank", confirm_payout, cmd)
    await merchant.reload()
    await looks_right(merchant)
    assert await merchant.locator(".pill.confirmed").count() == 1
    assert faults == []
    await merchant.context.close()


async def _is_listed(page: Page, order: str) -> bool:
    """Whether the order is among the statement's lines, on whichever page of them."""
    while not await page.locator(f"a[href='{order}']").count():
        older = page.locator(".more a")
        if not await older.count():
            return False
        await older.first.click()
        await page.wait_for_load_state()
    return True
