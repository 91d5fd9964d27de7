"""A payer's own pages and finance's about it: what is claimed is accepted, refused, paid and claimed again."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from billing.payers.store import insert_payer
from marketplace.core.db import STAFF, WORKER, Database, Tx
from tests.billing.market import check_books
from tests.pages.conftest import billed_market, links, plain
from tests.pages.forms import send
from tests.pages.payer_market import add_payer, another_claim
from tests.pages.test_deeds import browser_of
from tests.pages.test_pages import Page


@pytest.fixture
async def fresh(maintenance_url: str) -> AsyncIterator[Database]:
    """A billed market of its own: these tests change it."""
    async with billed_market(maintenance_url) as db:
        yield db


async def test_a_payer_refuses_and_accepts_and_finance_books_the_money(fresh: Database, tmp_path: Path) -> None:
    claim = await add_payer(fresh)
    one = f"/claims/{claim.claim_id}"
    async with browser_of(fresh, tmp_path, "payer") as payer, browser_of(fresh, tmp_path, "finance") as finance:
        assert (await payer.get("/")).headers["location"] == "/payer"
        home = await payer.get("/payer")
        assert Page(home.text).faults == []
        assert "charges of care" in home.text
        assert f"/payer{one}" in links(home.text)
        too_much = await send(payer, f"/payer{one}", f"/payer{one}/reject", line_no="1", amount="99", reason="not ours")
        assert too_much.status_code == 409
        assert 'value="not ours"' in too_much.text, "what was typed is kept"
        refused = await send(payer, f"/payer{one}", f"/payer{one}/reject", line_no="1", amount="20", reason="not ours")
        assert refused.status_code == 303, plain(refused.text)
        assert "The refusal is booked." in (await payer.get(refused.headers["location"])).text
        accepted = await send(payer, f"/payer{one}", f"/payer{one}/accept")
        assert accepted.status_code == 303, plain(accepted.text)
        html = (await payer.get(f"/payer{one}")).text
        assert "accepted" in plain(html)
        assert f'{one}/reject"' not in html, "who has accepted a claim refuses nothing of it any more"
        assert (await payer.post(f"/payer{one}/remit", data={})).status_code == 404, "money is finance's to book"

        of_finance = f"/finance/payers/{claim.payer_id}{one}"
        again = await send(finance, of_finance, f"{of_finance}/reclaim", line_no="1", amount="5", reason="it is")
        assert again.status_code == 303, plain(again.text)
        paid = await send(finance, of_finance, f"{of_finance}/remit", bank_ref="B-1")
        assert paid.status_code == 303, plain(paid.text)
        assert "settled" in plain((await finance.get(of_finance)).text)
        statement = plain((await payer.get("/payer/statement?first=&last=")).text)
        assert "B-1" in statement
        assert "+101.19" in statement, "100.00, 1 % of it and VAT on that"
        assert "not ours" in (await payer.get("/payer/rejections")).text
    async with fresh.read(STAFF) as tx:
        assert await tx.scalar("SELECT accepted_by FROM billing.payer_claim") == "payer"
    await check_books(fresh)


async def test_finance_sees_what_is_open_and_claims_the_rest(fresh: Database, tmp_path: Path) -> None:
    claim = await add_payer(fresh)
    async with browser_of(fresh, tmp_path, "finance") as finance:
        listed = (await finance.get("/finance/payers")).text
        assert Page(listed).faults == []
        assert "101.19" in plain(listed)
        page = f"/finance/payers/{claim.payer_id}"
        nothing = await send(finance, page, f"{page}/claims")
        assert nothing.status_code == 409
        await another_claim(fresh, 102)
        html = (await finance.get(f"{page}/claims?unpaid=1")).text
        assert re.findall(r">(\d+)</a></td>", html) == ["2", "1"]
        assert (await finance.get(f"{page}/claims/1")).status_code == 404
        rows = (await finance.get(f"{page}/claims.csv?unpaid=1")).text.splitlines()
        assert rows[1].endswith("EUR,2,100.00,1.00,0.19,101.19,0.00,0.00,101.19")
        assert len(rows) == 3
        for path in ("", "/claims", f"/claims/{claim.claim_id}", "/statement", "/documents", "/rejections"):
            assert Page((await finance.get(page + path)).text).faults == [], path


async def _another(tx: Tx) -> None:
    other = await insert_payer(tx, name="Another", kind="bank", email="")
    await tx.execute("UPDATE core.app_user SET payer_id = :payer WHERE login = 'payer'", {"payer": other.payer_id})


async def test_a_payer_sees_its_own_alone(fresh: Database, tmp_path: Path) -> None:
    claim = await add_payer(fresh)
    await fresh.write(WORKER, "test", _another)
    async with browser_of(fresh, tmp_path, "payer") as other:
        assert "Health" not in (await other.get("/payer")).text
        assert (await other.get(f"/payer/claims/{claim.claim_id}")).status_code == 404
        assert (await other.get("/finance/payers")).status_code == 403
        assert (await other.get("/merchant")).status_code == 403
