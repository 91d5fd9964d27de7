"""In a real Chromium: a payer refuses part of a claim and accepts the rest; a file of payouts is made by one person of
finance, approved by another, and downloaded.
"""

from playwright.async_api import Browser, Page

from marketplace.core.db import STAFF, WORKER, Database
from tests.billing.market import check_books
from tests.pages.payer_market import add_payer, another_claim
from tests.pages.payout_market import add_accounts
from tests.pages.test_browser import looks_right, pytestmark
from tests.pages.test_deeds import two_people
from tests.pages.test_promotion_browser import signed_in

__all__ = ["pytestmark"]


async def _leave(*pages: Page) -> None:
    for page in pages:
        await page.context.close()


async def test_a_payer_refuses_and_accepts_a_claim(address: str, browser: Browser, market: Database) -> None:
    claims = [await add_payer(market), await another_claim(market, 102)]
    for claim, script in zip(claims, (True, False), strict=True):
        faults: list[str] = []
        payer = await signed_in(browser, address, "payer", faults, script=script)
        assert payer.url == f"{address}/payer"
        for path in ("/payer", "/payer/claims", "/payer/statement", "/payer/documents", "/payer/rejections"):
            await payer.goto(address + path)
            await looks_right(payer)
        await payer.goto(f"{address}/payer/claims")
        await payer.get_by_role("link", name=str(claim.claim_no), exact=True).click()
        await payer.locator("summary", has_text="Refuse part of a line").press("Enter")
        for name, value in (("line_no", "2"), ("amount", "12.50"), ("reason", "not in our care")):
            await payer.locator(f"form[action$='/reject'] input[name={name}]").fill(value)
        await payer.keyboard.press("Enter")
        await payer.wait_for_url("**done=line_rejected")
        await looks_right(payer)
        await payer.locator("summary", has_text="Accept").press("Enter")
        await payer.locator("form[action$='/accept'] button").press("Enter")
        await payer.wait_for_url("**done=claim_accepted")
        await looks_right(payer)
        assert await payer.locator("form[action$='/reject']").count() == 0
        assert faults == []
        await _leave(payer)
    async with market.read(STAFF) as tx:
        assert await tx.scalar("SELECT count(*) FROM billing.payer_claim WHERE accepted_by = 'payer'") == 2
    await check_books(market)


async def test_finance_makes_and_approves_a_file_of_payouts(address: str, browser: Browser, market: Database) -> None:
    await add_accounts(market)
    await market.write(WORKER, "test", two_people)
    faults: list[str] = []
    maker = await signed_in(browser, address, "finance", faults, script=True)
    checker = await signed_in(browser, address, "admin", faults, script=False)
    for path in ("payouts", "payout-terms/1", "payers", "reports", "reports/revenue", "disputes", "line-disputes",
                 "exchange", "rules", "schedules", "approvals"):  # fmt: skip
        await maker.goto(f"{address}/finance/{path}")
        await looks_right(maker)
    await maker.goto(f"{address}/finance/payouts")
    await maker.get_by_role("button", name="Make a file").press("Enter")
    await maker.wait_for_url("**done=payout_file_made")
    await looks_right(maker)
    page = maker.url.partition("?")[0]
    assert await maker.get_by_role("link", name="Download pain.001").count() == 0
    await checker.goto(f"{address}/finance/approvals")
    await checker.locator("form[action*='/payout_file/'][action$='/approve'] button").press("Enter")
    await checker.wait_for_url("**done=approved")
    await looks_right(checker)
    await maker.goto(page)
    await looks_right(maker)
    async with maker.expect_download() as download:
        await maker.get_by_role("link", name="Download pain.001").click()
    assert b"CstmrCdtTrfInitn" in (await (await download.value).path()).read_bytes()
    await maker.locator(".scroll a[href*='/finance/payouts/']").first.click()
    await looks_right(maker)
    assert faults == []
    await _leave(maker, checker)
