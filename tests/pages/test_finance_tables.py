"""Finance brings files and says how tables are read, without a script: each line, mappings, the ERP."""

import re
from pathlib import Path

import httpx
import pytest

from billing.bank_files.model import BankFileState
from billing.bank_files.store import list_files
from billing.ledger.chart import Account
from marketplace.core.db import STAFF, Database
from tests.bank_files.writers import ACCOUNT, camt
from tests.builders import ENTITY
from tests.matching.market import line, matched
from tests.pages.conftest import plain
from tests.pages.forms import form, send
from tests.pages.test_deeds import browser_of
from tests.pages.test_pages import Page
from tests.pages.test_workbench import a_bank_speaks

FILES, MAPPINGS, ERP = "/finance/files", "/finance/mappings", "/finance/erp-accounts"
TABLE = "Datum;Betrag;Zweck\n31.08.2018;1.234,50;Miete Mai\n01.09.2018;-7,00;Gebühr\n".encode("latin-1")
WRITTEN = {
    "name": "hausbank", "account": "DE77", "kind": "statement", "currency": "eur", "delimiter": "semicolon",
    "decimal": "comma", "day_pattern": "%d.%m.%Y", "day": "Datum", "amount": "Betrag", "text": "Zweck",
}  # fmt: skip


@pytest.fixture(scope="module")
async def spoken(market: Database) -> Database:
    await a_bank_speaks(market)
    return market


async def bring(browser: httpx.AsyncClient, name: str, content: bytes, **typed: str) -> httpx.Response:
    key = form((await browser.get(FILES)).text, FILES)["form_key"]
    sent = await browser.post(FILES, data={"form_key": key, "mapping": "", **typed}, files={"file": (name, content)})
    assert sent.status_code == 303, plain(sent.text)
    return await browser.get(sent.headers["location"])


async def test_a_file_shows_what_became_of_each_line_and_what_came_before(spoken: Database, tmp_path: Path) -> None:
    lines = [line(777, text="rent of May"), line(888, text="rent of June")]
    async with browser_of(spoken, tmp_path, "finance") as finance:
        [first] = re.findall(r'href="(/finance/files/\d+)"', (await finance.get(FILES)).text)
        html = (await finance.get(first)).text
        assert Page(html).faults == []
        assert "invoice 7" in plain(html)
        assert plain(html).count("On suspense") == 4
        assert "/finance/breaks/" in html
        content = camt(lines[:1], 92_999, "EUR")
        new = await bring(finance, "may.xml", content)
        assert "The file holds and is read." in new.text
        assert "Not matched yet" in plain(new.text)
        again = await bring(finance, "same.xml", content)
        assert "This file was there already; nothing was added." in again.text
        assert again.url.path == new.url.path
        more = await bring(finance, "june.xml", camt(lines, 92_999, "EUR"))
        assert "Lines that were there already were not added again." in more.text
        assert "1 of its lines were there already" in plain(more.text)
        assert ("rent of June" in plain(more.text), "rent of May" in plain(more.text)) == (True, False)
        wrong = await bring(finance, "wrong.xml", camt([line(999)], 92_999, "EUR").replace(b"939.98", b"940.00"))
        assert "were there already" not in plain(wrong.text)
        other = camt([line(999)], 92_999, "EUR").replace(ACCOUNT.encode(), b"DE00OTHER")
        assert "Nobody has said yet whose this account is" in plain((await bring(finance, "other.xml", other)).text)
        assert "Nobody has said yet" not in plain(more.text)
        raw = await finance.get(f"{new.url.path}/content")
        assert (raw.content, raw.headers["content-disposition"]) == (content, "attachment; filename*=UTF-8''may.xml")
        assert (await finance.get(f"{FILES}/1")).status_code == 404
        await matched(spoken)
        assert "Not matched yet" not in plain((await finance.get(new.url.path)).text)


async def test_a_mapping_is_tried_on_a_sample_saved_and_used(spoken: Database, tmp_path: Path) -> None:
    async with browser_of(spoken, tmp_path, "finance") as finance:
        empty = (await finance.get(f"{MAPPINGS}/edit")).text
        assert Page(empty).faults == []
        typed = form(empty, f"{MAPPINGS}/preview") | {"delimiter": "semicolon"}
        seen = await finance.post(f"{MAPPINGS}/preview", data=typed, files={"sample": ("t.csv", TABLE)})
        assert (seen.status_code, "Gebühr" in seen.text) == (422, True)
        wrong = form(seen.text, f"{MAPPINGS}/preview") | WRITTEN | {"amount": "", "currency": ""}
        refused = await finance.post(f"{MAPPINGS}/preview", data=wrong)
        assert refused.status_code == 422
        assert "name one column for it" in plain(refused.text)
        assert "state it, or name the column" in plain(refused.text)
        kept = form(refused.text, f"{MAPPINGS}/preview") | WRITTEN
        read = await finance.post(f"{MAPPINGS}/preview", data=kept)
        assert (read.status_code, Page(read.text).faults) == (200, [])
        assert "€1,234.50" in plain(read.text)
        last = form(read.text, f"{MAPPINGS}/preview")
        assert last["account"] == "DE77"
        saved = await finance.post(MAPPINGS, data=last)
        assert saved.status_code == 303, plain(saved.text)
        listed = (await finance.get(saved.headers["location"])).text
        assert "The mapping is saved" in listed
        assert form((await finance.get(f"{MAPPINGS}/edit?name=hausbank")).text, f"{MAPPINGS}/preview") | {
            "form_key": "", "kept": "",
        } == last | {"form_key": "", "kept": "", "currency": "EUR"}  # fmt: skip
        assert (await finance.get(f"{MAPPINGS}/edit?name=none")).status_code == 404
        await bring(finance, "t.csv", TABLE, mapping="hausbank")
        async with spoken.read(STAFF) as tx:
            [newest] = await list_files(tx, limit=1)
        assert (newest.state, newest.lines) == (BankFileState.READ, 2)


async def test_the_accounts_of_the_erp_are_said_and_the_journal_is_written_in_them(
    spoken: Database, tmp_path: Path
) -> None:
    async with browser_of(spoken, tmp_path, "finance") as finance:
        assert ERP in (await finance.get("/finance/reports")).text
        html = (await finance.get(ERP)).text
        assert Page(html).faults == []
        assert "cannot be written for the ERP yet" in plain(html)
        typed = {f"number:{code:d}": f"9{code:d}" for code in Account} | {"cost_center:1010": "HQ"}
        assert (await send(finance, ERP, f"{ERP}/{ENTITY}", **typed)).status_code == 303
        html = (await finance.get(ERP)).text
        assert 'value="91010"' in html
        [link] = re.findall(r'href="(/api/v1/exports/journal\?format=erp[^"]+)"', html)
        journal = await finance.get(link.replace("&amp;", "&"))
        assert ',91010,"",HQ,"",EUR,' in journal.text
        too_long = await send(finance, ERP, f"{ERP}/{ENTITY}", **{"number:1010": "1" * 101})
        assert (too_long.status_code, "1" * 101 in too_long.text) == (422, True)
        assert (await send(finance, ERP, f"{ERP}/{ENTITY}", **{"number:1010": ""})).status_code == 303
        assert "cannot be written for the ERP yet" in plain((await finance.get(ERP)).text)
