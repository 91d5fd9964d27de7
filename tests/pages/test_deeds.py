"""What people do on pages without any script: forms take effect once, and what is refused loses nothing."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from billing.journals.model import GoodwillReason
from marketplace.consoles.books_queries import get_merchant
from marketplace.core import policies
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.books.post_journal import ProposeGoodwill, propose_goodwill
from marketplace.flows.demo.run_demo import PASSWORD
from tests.billing.market import check_books
from tests.http.conftest import make_client, running
from tests.pages.conftest import billed_market, plain
from tests.pages.forms import form, send


@pytest.fixture
async def fresh(maintenance_url: str) -> AsyncIterator[Database]:
    """A billed market of its own: these tests change it."""
    async with billed_market(maintenance_url) as db:
        yield db


@asynccontextmanager
async def browser_of(db: Database, home: Path, login: str) -> AsyncIterator[httpx.AsyncClient]:
    async with running(db, home) as app, make_client(app) as browser:
        answer = await browser.post("/sign-in", data={"login": login, "password": PASSWORD, "next": "/"})
        assert answer.status_code == 303, answer.text
        yield browser


async def two_people(tx: Tx) -> None:
    await policies.switch(tx, "single_operator", on=False)


async def test_finance_bills_a_month_on_pages(fresh: Database, tmp_path: Path) -> None:
    """One starts and previews it, another approves and makes it final, and it is taken back; the books hold."""
    await fresh.write(WORKER, "test", two_people)
    async with browser_of(fresh, tmp_path, "finance") as maker, browser_of(fresh, tmp_path, "admin") as checker:
        started = await send(maker, "/finance", "/finance/runs")
        assert started.status_code == 303, plain(started.text)
        page = started.headers["location"].partition("?")[0]
        shown = await maker.get(started.headers["location"])
        assert "The preview is ready" in shown.text
        assert "Billing run" in plain((await checker.get("/finance/approvals")).text)
        refused = await send(maker, page, f"{page}/approve")
        assert refused.status_code == 403
        assert "another person must approve it" in refused.text
        run_id = page.rpartition("/")[2]
        approve = f"/finance/approvals/billing_run/0/{run_id}/approve"
        looked_at = form((await checker.get("/finance/approvals")).text, approve)
        assert (await send(maker, page, f"{page}/preview")).status_code == 303
        unseen = await checker.post(approve, data=looked_at)
        assert unseen.status_code == 409
        assert "previewed anew since" in unseen.text
        assert (await send(checker, "/finance/approvals", approve)).status_code == 303
        html = (await checker.get(page)).text
        filled = form(html, f"{page}/finalise")
        first, again = [await checker.post(f"{page}/finalise", data=filled) for _ in range(2)]
        assert (first.status_code, again.status_code) == (303, 303)
        assert first.headers["location"] == again.headers["location"]
        assert "The run is final." in (await maker.get(first.headers["location"])).text
        assert (await send(maker, page, f"{page}/reverse")).status_code == 303
        assert "reversed" in plain((await maker.get(page)).text)
    await check_books(fresh)


async def goodwill(tx: Tx) -> None:
    cmd = ProposeGoodwill(
        merchant_id=1, currency=(await get_merchant(tx, 1)).currency, amount_minor=500,
        goodwill_reason=GoodwillReason.OUTAGE, reason="down for a day", evidence="ticket 7",
    )  # fmt: skip
    await propose_goodwill(tx, cmd)


async def test_what_one_person_proposes_another_approves_or_rejects(fresh: Database, tmp_path: Path) -> None:
    await fresh.write(WORKER, "finance", goodwill)
    await fresh.write(WORKER, "finance", goodwill)
    await fresh.write(WORKER, "test", two_people)
    async with browser_of(fresh, tmp_path, "finance") as maker, browser_of(fresh, tmp_path, "admin") as checker:
        page = "/finance/approvals"
        first, second = dict.fromkeys(
            re.findall(r'action="([^"]+/journal/[^"]+)/approve"', (await maker.get(page)).text)
        )
        assert (await send(maker, page, f"{first}/approve")).status_code == 403
        assert (await send(checker, page, f"{first}/approve")).status_code == 303
        silent = await send(checker, page, f"{second}/reject", reason=" ")
        assert silent.status_code == 422
        assert (await send(checker, page, f"{second}/reject", reason="no outage")).status_code == 303
        assert "Nothing waits" in (await checker.get(page)).text
    await check_books(fresh)


async def test_a_month_that_cannot_be_billed_says_why_and_keeps_what_was_typed(fresh: Database, tmp_path: Path) -> None:
    async with browser_of(fresh, tmp_path, "finance") as finance:
        refused = await send(finance, "/finance", "/finance/runs", period="2031-01", payout_on="2031-02-01")
        assert refused.status_code == 409
        assert "2031-01" in refused.text
        assert 'value="2031-02-01"' in refused.text
        wrong = await send(finance, "/finance", "/finance/runs", payout_on="tomorrow")
        assert wrong.status_code == 422
        assert "must be a day" in plain(wrong.text)
        without_key = await finance.post("/finance/runs", data={"period": "2018-08"})
        assert without_key.status_code == 422
        async with fresh.read(WORKER) as tx:
            assert await tx.scalar("SELECT count(*) FROM billing.billing_run") == 2


async def test_no_page_of_another_site_posts_a_form(fresh: Database, tmp_path: Path) -> None:
    async with browser_of(fresh, tmp_path, "finance") as finance:
        html = (await finance.get("/finance")).text
        answer = await finance.post(
            "/finance/runs", data=form(html, "/finance/runs"), headers={"Sec-Fetch-Site": "cross-site"}
        )
        assert answer.status_code == 403
