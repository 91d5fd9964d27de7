"""Finance's other pages: reports and their files, disputes, exchange, rules, schedules, and what moved in a run."""

import io
import re
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path

import httpx
import pytest
from openpyxl import load_workbook

from billing.payments.store import ensure_processor
from marketplace.core.db import STAFF, WORKER, Database, Tx
from marketplace.flows.books.show_report import Report
from tests.billing.market import check_books
from tests.pages.conftest import MINE, billed_market, plain
from tests.pages.forms import send
from tests.pages.payout_market import dispute
from tests.pages.test_deeds import browser_of, two_people
from tests.pages.test_pages import EN, Page


@pytest.fixture
async def fresh(maintenance_url: str) -> AsyncIterator[Database]:
    """A billed market of its own: these tests change it."""
    async with billed_market(maintenance_url) as db:
        yield db


async def done(browser: httpx.AsyncClient, page: str, action: str, **typed: str) -> None:
    answer = await send(browser, page, action, **typed)
    assert answer.status_code == 303, (action, plain(answer.text))


async def test_every_report_is_a_page_a_file_and_a_workbook(fresh: Database, tmp_path: Path) -> None:
    days = "first=2018-07-01&last=2018-07-31"
    async with browser_of(fresh, tmp_path, "finance") as finance:
        for report in Report:
            html = (await finance.get(f"/finance/reports/{report}?{days}")).text
            assert Page(html).faults == [], report
            [csv_file] = re.findall(r'href="(/api/v1/reports/[^"]+)"', html)
            assert (await finance.get(csv_file.replace("&amp;", "&"))).status_code == 200
            book = await finance.get(f"/finance/reports/{report}/rows.xlsx?{days}")
            rows = list(load_workbook(io.BytesIO(book.content)).active.values)
            assert len(rows) - 1 == int(re.findall(r"<h2>([\d,]+) row", html)[0].replace(",", "")), report
        trial = plain((await finance.get(f"/finance/reports/trial-balance?{days}&currency=EUR")).text)
        async with fresh.read(STAFF) as tx:
            debits = await tx.scalar(
                """
                SELECT sum(amount_minor)::bigint FROM billing.posting
                WHERE account = 2005 AND amount_minor > 0 AND effective_on BETWEEN '2018-07-01' AND '2018-07-31'
                """
            )
        assert EN.amount(debits, "EUR") in trial
        for wrong in ("first=2018-08-01&last=2018-07-01", "currency=QQQ", "first=soon", "entity=one"):
            assert (await finance.get(f"/finance/reports/ageing?{wrong}")).status_code == 422, wrong
        assert (await finance.get("/finance/reports/ageing?first=&last=&entity=&currency=")).status_code == 200
        assert (await finance.get("/finance/reports/nothing")).status_code in {404, 422}


async def test_a_disputed_line_is_answered_and_given_back_by_two(fresh: Database, tmp_path: Path) -> None:
    await fresh.write(WORKER, "test", two_people)
    case_id = await fresh.write(WORKER, "merchant", dispute)
    page = f"/finance/line-disputes/{MINE}/{case_id}"
    async with browser_of(fresh, tmp_path, "finance") as maker, browser_of(fresh, tmp_path, "admin") as checker:
        assert page in (await maker.get("/finance/line-disputes?now=open")).text
        assert (await maker.get("/finance/disputes?now=lost")).status_code == 200
        await done(maker, page, f"{page}/review")
        await done(maker, page, f"{page}/say", words="We look at your contract.")
        too_much = await send(maker, page, f"{page}/accept", amount="99999", reason="all of it")
        assert too_much.status_code in {409, 422}
        assert 'value="all of it"' in too_much.text
        await done(maker, page, f"{page}/accept", amount="1.00", reason="an old rate")
        assert "waits for a second person" in plain((await maker.get(page)).text)
        approvals = "/finance/approvals"
        [approve] = re.findall(r'action="([^"]+/journal/[^"]+/approve)"', (await checker.get(approvals)).text)
        await done(checker, approvals, approve)
        html = (await maker.get(page)).text
        assert Page(html).faults == []
        assert "given back" in plain(html)
        assert "We look at your contract." in html
    await check_books(fresh)


async def test_a_rate_is_proposed_and_approved_and_the_house_exchanges(fresh: Database, tmp_path: Path) -> None:
    await fresh.write(WORKER, "test", two_people)
    page = "/finance/exchange"
    async with browser_of(fresh, tmp_path, "finance") as maker, browser_of(fresh, tmp_path, "admin") as checker:
        await done(maker, page, f"{page}/open_currency", opened="usd")
        for wrong in ("0", "1.2.3", "-1", "one"):
            refused = await send(
                maker, page, f"{page}/propose", from_currency="USD", to_currency="EUR", rate=wrong, source="ECB"
            )
            assert refused.status_code == 422, wrong
        await done(maker, page, f"{page}/propose", from_currency="USD", to_currency="EUR", rate="0,8571", source="ECB")
        assert (await send(maker, page, f"{page}/approve")).status_code == 403
        await done(checker, page, f"{page}/approve")
        await done(
            maker, page, f"{page}/at_bank", gave="100", gave_currency="EUR", got="116.50", got_currency="USD",
            bank_ref="FX-1", why="suppliers",
        )  # fmt: skip
        await done(maker, page, f"{page}/revalue", revalued_on="2018-09-03")
        html = (await maker.get(page)).text
        assert Page(html).faults == []
        assert "FX-1" in html
    await check_books(fresh)


async def _processor(tx: Tx) -> None:
    await ensure_processor(tx, "acquirer")


async def test_rules_fees_accounts_holidays_limits_and_schedules_are_set(fresh: Database, tmp_path: Path) -> None:
    await fresh.write(WORKER, "test", two_people)
    await fresh.write(WORKER, "test", _processor)
    page = "/finance/rules"
    async with browser_of(fresh, tmp_path, "finance") as maker, browser_of(fresh, tmp_path, "admin") as checker:
        bad = await send(maker, page, f"{page}/propose_rules", tolerances="bank rounding much 1")
        assert bad.status_code == 422
        assert "bank rounding much 1" in bad.text
        await done(maker, page, f"{page}/propose_rules", window_days="3")
        assert (await send(maker, page, f"{page}/approve_rules")).status_code == 403
        await done(checker, page, f"{page}/approve_rules")
        fees = "visa EUR 0.10 1.4%\n* EUR 0.05 1%"
        await done(maker, page, f"{page}/propose_fees", processor="acquirer", fees_from="2018-09-01", fees=fees)
        await done(checker, page, f"{page}/approve_fees")
        await done(maker, page, f"{page}/set/account", account="DE89370400440532013000", from_on="2018-09-01")
        await done(maker, page, f"{page}/set/holidays", calendar="TARGET", days="2018-12-25, 2018-12-26")
        more = await send(maker, page, f"{page}/set/limits", limit_currency="EUR", accountant="9", controller="5")
        assert more.status_code == 422, "an accountant may no more than a controller"
        await done(maker, page, f"{page}/set/limits", limit_currency="EUR", accountant="5", controller="500")
        html = (await maker.get(page)).text
        assert Page(html).faults == []
        assert "Version 1 is in force" in html
        await done(maker, "/finance/schedules", "/finance/schedules", cadence="monthly", starts_on="2018-06-01")
        assert "2018-08" in (await maker.get("/finance/schedules")).text, "the month after the last one billed"
        assert Page((await maker.get("/finance/schedules")).text).faults == []
    async with fresh.read(STAFF) as tx:
        assert await tx.scalar("SELECT accountant_minor FROM billing.write_off_limit") == 500
        assert await tx.scalar("SELECT min(day) FROM billing.match_holiday") == date(2018, 12, 25)


async def test_a_run_is_compared_with_the_one_before(fresh: Database, tmp_path: Path) -> None:
    async with fresh.read(STAFF) as tx:
        run_id = await tx.scalar("SELECT run_id FROM billing.billing_run ORDER BY from_on DESC LIMIT 1")
        before, now = [
            await tx.scalar(
                """
                SELECT s.goods_minor FROM billing.statement s JOIN billing.billing_run r ON r.run_id = s.run_id
                WHERE s.merchant_id = :merchant ORDER BY r.from_on OFFSET :nth LIMIT 1
                """,
                merchant=MINE,
                nth=nth,
            )
            for nth in (0, 1)
        ]
    async with browser_of(fresh, tmp_path, "finance") as finance:
        page = f"/finance/runs/{run_id}"
        assert f"{page}/comparison" in (await finance.get(page)).text
        words, query = "", "?currency=EUR"
        while query:
            html = (await finance.get(f"{page}/comparison{query}")).text
            assert Page(html).faults == []
            words += plain(html)
            older = re.search(r'class="more"><a class="button" href="([^"]+)"', html)
            query = older[1].replace("&amp;", "&") if older else ""
        assert f"{EN.amount(before, 'EUR')} {EN.amount(now, 'EUR')} {EN.signed(now - before, 'EUR')}" in words
