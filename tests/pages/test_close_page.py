"""Finance closes a month on the page: one prepares it, another closes it; reopened by two; what is refused says why."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from marketplace.core.db import WORKER, Database
from marketplace.flows.proofs.check_again import check_again
from tests.billing.market import check_books
from tests.pages.conftest import billed_market, plain
from tests.pages.forms import form, send
from tests.pages.test_deeds import browser_of, two_people


@pytest.fixture
async def fresh(maintenance_url: str) -> AsyncIterator[Database]:
    """A billed market of its own: this test changes it."""
    async with billed_market(maintenance_url) as db:
        yield db


async def test_a_month_is_closed_and_reopened_on_its_page(fresh: Database, tmp_path: Path) -> None:
    await fresh.write(WORKER, "test", two_people)
    async with fresh.read(WORKER) as tx:
        month = await tx.scalar("SELECT to_char(min(from_on), 'YYYY-MM') FROM billing.billing_run")
    page, deeds = f"/finance/close?entity=1&month={month}", f"/finance/close/1/{month}"
    async with browser_of(fresh, tmp_path, "finance") as maker, browser_of(fresh, tmp_path, "admin") as checker:
        html = (await maker.get("/finance/close?entity=1")).text
        assert f'<option value="{month}">' in html, "a month that is not closed is offered, though it is not the last"
        assert "Billed and open: its days take no entries any more" in plain((await maker.get(page)).text)
        moved = await send(maker, page, f"{deeds}/soft_close")
        assert moved.status_code == 303, plain(moved.text)
        html = (await maker.get(moved.headers["location"])).text
        assert "The month is soft-closed" in html
        assert "Billed and open" not in plain(html)
        assert "Not checked yet Being checked" in plain(html)
        await check_again(fresh, "worker", f"period:1/{month}")
        refused = await send(maker, page, f"{deeds}/final/close")
        assert refused.status_code == 403
        assert "another person must approve it" in refused.text
        while f'action="{deeds}/name_break"' in (html := (await maker.get(page)).text):
            named = await maker.post(
                f"{deeds}/name_break", data={**form(html, f"{deeds}/name_break"), "reason": "known"}
            )
            assert named.status_code == 303, plain(named.text)
        while f'action="{deeds}/approve_break"' in (html := (await checker.get(page)).text):
            approved = await checker.post(f"{deeds}/approve_break", data=form(html, f"{deeds}/approve_break"))
            assert approved.status_code == 303, plain(approved.text)
        closed = await send(checker, page, f"{deeds}/final/close")
        assert closed.status_code == 303, plain(closed.text)
        html = (await checker.get(closed.headers["location"])).text
        assert "The month is closed and sealed." in html
        assert re.search(r"SHA-256 [0-9a-f]{64}", html)
        assert f'<option value="{month}">' not in (await maker.get("/finance/close?entity=1")).text
        asked = await send(maker, page, f"{deeds}/ask_reopening", reason="a fee was forgotten")
        assert asked.status_code == 303, plain(asked.text)
        assert (await send(maker, page, f"{deeds}/final/reopen")).status_code == 403
        assert (await send(checker, page, f"{deeds}/final/reopen")).status_code == 303
        assert "Reopened" in plain((await maker.get(page)).text)
    await check_books(fresh)
