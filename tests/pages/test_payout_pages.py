"""Payouts on pages: a file is made by one, approved by another, and downloaded; the bank pays, and one comes back."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from billing.runs.store import get_payout
from marketplace.core.db import STAFF, WORKER, Database
from tests.billing.market import check_books
from tests.matching.market import bank_says, line, matched, name_accounts
from tests.pages.conftest import MINE, OTHERS, billed_market, plain
from tests.pages.forms import form, send
from tests.pages.payout_market import add_accounts
from tests.pages.test_deeds import browser_of, two_people
from tests.pages.test_pages import Page


@pytest.fixture
async def fresh(maintenance_url: str) -> AsyncIterator[Database]:
    """A billed market of its own: these tests change it."""
    async with billed_market(maintenance_url) as db:
        yield db


async def test_a_file_goes_to_the_bank_and_the_bank_says_what_became_of_it(fresh: Database, tmp_path: Path) -> None:
    page = "/finance/payouts"
    async with browser_of(fresh, tmp_path, "finance") as finance:
        assert "held 2,362.77" in plain((await finance.get(f"{page}/owed")).text), "nobody has said where to"
    await add_accounts(fresh)
    await fresh.write(WORKER, "test", two_people)
    async with browser_of(fresh, tmp_path, "finance") as maker, browser_of(fresh, tmp_path, "admin") as checker:
        late = await send(maker, page, "/finance/payout-files", pay_on="2018-01-01")
        assert late.status_code == 422
        assert "is before today" in plain(late.text)
        made = await send(maker, page, "/finance/payout-files")
        assert made.status_code == 303, plain(made.text)
        file = made.headers["location"].partition("?")[0]
        html = (await maker.get(file)).text
        assert Page(html).faults == []
        assert "pain.001" not in html, "nothing is downloaded before a second person has approved it"
        assert "Somebody else approves it." in plain(html)
        refused = await maker.post(f"{file}/approve", data=form(html, f"{file}/cancel"))
        assert refused.status_code == 403
        assert "another person must approve it" in refused.text
        assert (await send(checker, file, f"{file}/approve")).status_code == 303
        html = (await maker.get(file)).text
        download = re.search(r'href="(/api/v1/payout-files/\d+/pain.001.xml)"', html)
        assert download is not None
        assert b"CstmrCdtTrfInitn" in (await maker.get(download[1])).content
        one, other = re.findall(rf'href="(/finance/payouts/(?:{MINE}|{OTHERS})/\d+)"', html)[:2]
        paid = await send(maker, one, f"{one}/confirm", bank_ref="STMT-1")
        assert paid.status_code == 303, plain(paid.text)
        assert "STMT-1" in (await maker.get(one)).text
        unnamed = await send(maker, one, f"{one}/return", reason="account closed")
        assert unnamed.status_code == 422, "what the bank had paid comes back by a movement of its own"
        returned = await send(maker, other, f"{other}/return", reason="account closed")
        assert returned.status_code == 303, plain(returned.text)
        assert "account closed" in plain((await maker.get(other)).text)
        listed = plain((await maker.get(f"{page}?now=returned")).text)
        assert "returned" in listed
        rows = (await maker.get(f"{page}.csv?now=confirmed")).text.splitlines()
        assert len(rows) == 2, "a header, and the one payout that the bank has paid"
        assert rows[1].endswith(",confirmed,STMT-1")
        for path in (page, one, other):
            assert Page((await maker.get(path)).text).faults == [], path
        await fresh.write(WORKER, "test", name_accounts)
        merchant_id, payout_id = one.split("/")[-2:]
        async with fresh.read(WORKER) as tx:
            minor = (await get_payout(tx, int(merchant_id), int(payout_id))).amount_minor
        today = fresh.clock.now().date()
        named = {"day": today, "end_to_end": f"{merchant_id}-{payout_id}"}
        await bank_says(fresh, [line(-minor, bank_ref="STMT-1", **named), line(minor, bank_ref="RET-1", **named)])
        await matched(fresh)
        came_back = re.search(
            r'href="(/finance/breaks/\d+)">Payout came back', (await maker.get("/finance/breaks")).text
        )
        assert came_back is not None
        assert Page((await maker.get(came_back[1])).text).faults == []
        told = await send(maker, came_back[1], f"{came_back[1]}/come_back", words="wrong number")
        assert "is owed again" in plain((await maker.get(told.headers["location"])).text)
        assert "wrong number" in plain((await maker.get(one)).text)
    await check_books(fresh)


async def test_terms_hold_and_release_a_merchants_payouts(fresh: Database, tmp_path: Path) -> None:
    await fresh.write(WORKER, "test", two_people)
    page = f"/finance/payout-terms/{MINE}"
    async with browser_of(fresh, tmp_path, "finance") as maker, browser_of(fresh, tmp_path, "admin") as checker:
        wrong = await send(maker, page, f"{page}/propose", reserve="10", terms_reason="risk")
        assert wrong.status_code == 422, "a reserve has days, too"
        assert 'value="risk"' in wrong.text
        strict = await send(
            maker, page, f"{page}/propose", minimum="25", reserve="10", reserve_days="30", terms_reason="risk"
        )
        assert strict.headers["location"].endswith("done=payout_terms_set"), plain(strict.text)
        eased = await send(maker, page, f"{page}/propose", minimum="5", terms_reason="they behave")
        assert eased.headers["location"].endswith("done=payout_terms_proposed"), plain(eased.text)
        assert "they behave" in (await checker.get("/finance/approvals")).text
        assert (await send(maker, page, f"{page}/hold", reason="fraud?")).status_code == 303
        assert (await send(maker, page, f"{page}/release", reason="no")).status_code == 403
        assert (await send(checker, page, f"{page}/release", reason="no fraud")).status_code == 303
        html = (await maker.get(page)).text
        assert Page(html).faults == []
        assert "no fraud" in html
    async with fresh.read(STAFF) as tx:
        assert await tx.scalar("SELECT minimum_minor FROM billing.payout_terms WHERE state = 'active'") == 2_500
