"""In a real Chromium: a bank's file is brought, matched by keyboard, undone, and what is left is written off."""

from pathlib import Path

import pytest
from playwright.async_api import Browser, Page

from billing.matching.model import Book, Stage
from marketplace.core.db import WORKER, Database
from tests.bank_files.writers import camt
from tests.billing.market import check_books
from tests.matching.items import add_items, ours
from tests.matching.market import groups, line, name_accounts
from tests.pages.test_browser import looks_right, pytestmark
from tests.pages.test_promotion_browser import signed_in
from tests.pages.test_workbench import BENCH, limit, one_person

__all__ = ["pytestmark"]


@pytest.mark.parametrize("script", [True, False])
async def test_from_a_file_to_books_that_hold(
    address: str, browser: Browser, market: Database, tmp_path: Path, *, script: bool
) -> None:
    for prepare in (name_accounts, limit, one_person):
        await market.write(WORKER, "test", prepare)
    receipt, lost = (50_000, 999) if script else (60_000, 777)
    opening = 0 if script else 50_999
    said = [line(receipt, party="Acme", text="invoice 7"), line(lost, text="from nobody")]
    await add_items(market, [ours(receipt, f"INV-{receipt}", book=Book.BANK, party="Acme Limited", day=said[0].day)])
    file = tmp_path / "statement.xml"
    file.write_bytes(camt(said, opening, "EUR"))
    faults: list[str] = []
    page = await signed_in(browser, address, "finance", faults, script=script)

    await page.goto(f"{address}/finance/files")
    await page.locator("input[type=file]").set_input_files(file)
    await page.locator("form[enctype] button.primary").press("Enter")
    await page.wait_for_url("**done=file_read")
    await looks_right(page)
    await page.goto(f"{address}{BENCH}?book=bank&currency=EUR&q=Acme")
    await page.get_by_role("button", name="Match by the rules").press("Enter")
    await page.wait_for_url("**done=bench_run")
    await page.goto(f"{address}{BENCH}?book=bank&currency=EUR&q={receipt // 100}")
    await looks_right(page)
    await (_match_by_keys(page) if script else _match_by_tab(page))
    await page.wait_for_url("**done=bench_match")
    assert [one.stage for one in await groups(market)][-1] is Stage.MANUAL
    await (_undo_by_keys(page) if script else _undo_by_tab(page))
    await page.wait_for_url("**done=bench_unmatch")
    assert [one.stage for one in await groups(market)][-1] is Stage.UNMATCH
    await page.goto(f"{address}{BENCH}?book=bank&currency=EUR&q={lost / 100}")
    if script:
        await page.keyboard.press("j")
        await page.keyboard.press("w")
    else:
        await page.locator("a[data-break]").press("Enter")
    await page.wait_for_url("**/finance/breaks/*")
    await looks_right(page)
    await page.locator("summary", has_text="Write off").press("Enter")
    await page.locator("form[action$='/write_off'] input[name=words]").fill("below the cost of asking")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**done=break_write_off")
    await looks_right(page)
    assert faults == []
    await check_books(market)
    await page.context.close()


async def _match_by_keys(page: Page) -> None:
    """Choose the line, see its suggestion, but tick both sides and match them with a reason."""
    await page.keyboard.press("j")
    await page.keyboard.press("s")
    await page.locator("#suggestions .score").first.wait_for()
    await page.keyboard.press("h")
    await page.keyboard.press("Space")
    await page.keyboard.press("l")
    await page.keyboard.press("Space")
    await page.locator("#sums", has_text="Both sides are equal.").wait_for()
    await page.keyboard.press("?")
    assert await page.locator("details[data-keys] kbd").first.is_visible()
    await page.keyboard.press("m")
    assert await page.evaluate("document.activeElement.name") == "reason"
    await page.keyboard.type("seen with jim")
    await page.keyboard.press("Enter")


async def _undo_by_keys(page: Page) -> None:
    await page.keyboard.press("u")
    await page.keyboard.type("another one's")
    await page.keyboard.press("Enter")


async def _match_by_tab(page: Page) -> None:
    """Without a script: the suggestion's button, reached by tab."""
    await page.locator("button[name=line]").first.press("Enter")
    await page.locator("#suggestions .score").first.wait_for()
    for _ in range(60):
        await page.keyboard.press("Tab")
        if await page.evaluate("document.activeElement.closest('[data-suggestion]') !== null"):
            break
    await page.keyboard.press("Enter")


async def _undo_by_tab(page: Page) -> None:
    await page.locator("details[data-undo] summary").press("Enter")
    await page.locator("details[data-undo] input[name=reason]").fill("another one's")
    await page.keyboard.press("Enter")
