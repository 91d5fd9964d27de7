"""Finance matches by hand on pages without a script: suggestions, sums, the second person, undoing, breaks, files."""

import io
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from billing.breaks import store as breaks
from billing.breaks.model import Break, BreakKind, Limits
from billing.matching.model import Book, Item, Side, Stage
from marketplace.core import policies
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.bank.import_bank_file import import_bank_file
from marketplace.flows.bank.work_breaks import set_limits
from tests.bank_files.writers import ACCOUNT, camt
from tests.billing.market import check_books
from tests.builders import ENTITY
from tests.matching.items import add_items, ours, theirs
from tests.matching.market import bank_says, groups, line, matched, name_accounts, open_items
from tests.pages.conftest import plain
from tests.pages.forms import form, send
from tests.pages.test_deeds import browser_of, two_people
from tests.pages.test_pages import Page
from tests.periods.market import as_owner

BENCH = "/finance/workbench"
EARLY_MINOR = 4_321
LIMIT_MINOR = 1_000


@pytest.fixture(scope="module")
async def fresh(market: Database) -> Database:
    """A billed market whose bank says something; each test works on other lines."""
    await a_bank_speaks(market)
    return market


async def a_bank_speaks(db: Database) -> None:
    """Three receipts that our books expect, one of 10.00 too little; and one of 9.99 from nobody known."""
    await db.write(WORKER, "test", name_accounts)
    await db.write(WORKER, "test", limit)
    said = [
        line(50_000, party="Acme", text="invoice 7"),
        line(30_000, party="Beta", text="sundry"),
        line(999, text="from nobody"),
        line(12_000, text="from nobody either"),
    ]
    await bank_says(db, said)
    day = said[0].day
    await add_items(db, [ours(EARLY_MINOR, "SOON", book=Book.BANK, day=day, expected_on=day + timedelta(days=90))])
    await matched(db)
    await add_items(
        db,
        [
            ours(50_000, "INV-0007", book=Book.BANK, party="Acme Ltd", day=said[0].day),
            ours(10_000, "INV-0008", book=Book.BANK, party="Beta", day=said[0].day),
            ours(20_000, "INV-0009", book=Book.BANK, party="Gamma", day=said[0].day),
        ],
    )


async def limit(tx: Tx) -> None:
    limits = Limits(entity_id=ENTITY, currency="EUR", accountant_minor=LIMIT_MINOR, controller_minor=LIMIT_MINOR)
    await set_limits(tx, limits)


async def one_person(tx: Tx) -> None:
    await policies.switch(tx, "single_operator", on=True)


async def items(db: Database) -> dict[tuple[Side, int], Item]:
    """The receipts that are open and those that are expected, by their amounts."""
    open_ones = await open_items(db, book=Book.BANK)
    mine = [item for item in open_ones if item.side is Side.THEIRS or item.reference.startswith("INV-")]
    return {(item.side, item.amount_minor): item for item in mine}


async def found(db: Database, minor: int) -> Break:
    async with db.read(WORKER) as tx:
        return next(one for one in await breaks.list_breaks(tx, live=True, limit=500) if one.amount_minor == minor)


async def pressed(browser: httpx.AsyncClient, ticked: list[Item], reason: str) -> httpx.Response:
    """The button `Match`, whose name is the form's key."""
    html = (await browser.get(BENCH)).text
    key = form(html, f"{BENCH}/run")["form_key"]
    boxes = {f"{item.side}:{item.item_id}": "on" for item in ticked}
    scale = {"entity": str(ENTITY), "book": "bank", "currency": "EUR", "q": "", "reason": reason, "form_key": key}
    return await browser.post(f"{BENCH}/match", data=scale | boxes)


async def test_a_suggestion_is_taken_by_two_people_and_undone(fresh: Database, tmp_path: Path) -> None:
    await fresh.write(WORKER, "test", two_people)
    async with browser_of(fresh, tmp_path, "finance") as maker, browser_of(fresh, tmp_path, "admin") as checker:
        one = next(item for item in await open_items(fresh, side=Side.THEIRS) if item.amount_minor == 50_000)
        page = f"{BENCH}?book=bank&currency=EUR&line={one.item_id}"
        html = (await maker.get(page)).text
        assert Page(html).faults == []
        assert "the amounts are equal" in plain(html)
        proposed = await maker.post(f"{BENCH}/match", data=form(html, f"{BENCH}/match"))
        assert proposed.status_code == 303, plain(proposed.text)
        assert "Somebody else can approve it now." in (await maker.get(proposed.headers["location"])).text
        assert await groups_by_hand(fresh) == []
        bench = (await maker.get(f"{BENCH}?book=bank&currency=EUR")).text
        assert Page(bench).faults == []
        assert plain(bench).count("Match proposed") == 2  # the line and what it is to be matched with
        await checker.post("/language", data={"language": "pt", "next": "/"})
        assert "os valores são iguais" in plain((await checker.get(BENCH)).text).lower()
        await checker.post("/language", data={"language": "en", "next": "/"})
        again = await checker.post(f"{BENCH}/match", data=form((await checker.get(page)).text, f"{BENCH}/match"))
        assert again.status_code == 409
        assert "waits for a decision: finance proposed to match it" in plain(again.text)
        waiting = (await checker.get("/finance/approvals")).text
        approve = waiting.partition('action="/finance/approvals/match/0/')[2].partition('"')[0]
        own = await maker.post(
            f"/finance/approvals/match/0/{approve}", data=form(waiting, f"/finance/approvals/match/0/{approve}")
        )
        assert own.status_code == 403
        done = await send(checker, "/finance/approvals", f"/finance/approvals/match/0/{approve}")
        assert done.status_code == 303, plain(done.text)
        [group] = await groups_by_hand(fresh)
        html = (await maker.get(f"{BENCH}/groups/{group}")).text
        assert Page(html).faults == []
        back = f"{BENCH}/groups/{group}/unmatch"
        asked = await maker.post(back, data={**form(html, back), "reason": "another one's"})
        assert asked.status_code == 303, plain(asked.text)
        waiting = (await checker.get("/finance/approvals")).text
        approve = waiting.partition('action="/finance/approvals/unmatch/0/')[2].partition('"')[0]
        assert (await send(checker, "/finance/approvals", f"/finance/approvals/unmatch/0/{approve}")).status_code == 303
        assert one.item_id in {item.item_id for item in await open_items(fresh, side=Side.THEIRS)}
    await check_books(fresh)


async def groups_by_hand(db: Database) -> list[int]:
    return [group.group_id for group in await groups(db) if group.stage is Stage.MANUAL]


async def test_several_are_matched_at_once_and_what_differs_is_refused_with_its_ticks(
    fresh: Database, tmp_path: Path
) -> None:
    await fresh.write(WORKER, "test", one_person)
    of = await items(fresh)
    async with browser_of(fresh, tmp_path, "finance") as browser:
        refused = await pressed(browser, [of[Side.THEIRS, 30_000], of[Side.OURS, 10_000]], "seen with the bank")
        assert refused.status_code == 422
        assert "both sides differ by 200.00 EUR" in refused.text
        assert f'name="ours:{of[Side.OURS, 10_000].item_id}" checked' in refused.text
        assert "Nothing explains the difference." in plain(refused.text)
        missing = await pressed(browser, [of[Side.THEIRS, 30_000]], "alone")
        assert missing.status_code == 422
        three = (of[Side.THEIRS, 30_000], of[Side.OURS, 10_000], of[Side.OURS, 20_000])
        asked = "&".join(f"{item.side}:{item.item_id}=on" for item in three)
        sums = (await browser.get(f"{BENCH}/sums?currency=EUR&{asked}")).text
        assert "Both sides are equal." in sums
        assert plain(sums).count("300.00") == 2
        done = await pressed(browser, list(three), "one transfer for both")
        assert done.status_code == 303, plain(done.text)
        assert "Matched." in (await browser.get(done.headers["location"])).text
    group = [one for one in await groups(fresh) if one.stage is Stage.MANUAL][-1]
    assert group.ours == tuple(sorted((of[Side.OURS, 10_000].item_id, of[Side.OURS, 20_000].item_id)))


async def test_a_break_is_taken_talked_about_and_written_off_within_the_limit(fresh: Database, tmp_path: Path) -> None:
    await fresh.write(WORKER, "test", one_person)
    one = await found(fresh, 999)
    assert one.kind is BreakKind.UNIDENTIFIED_RECEIPT
    async with browser_of(fresh, tmp_path, "finance") as browser:
        listed = (await browser.get("/finance/breaks?kind=unidentified_receipt")).text
        assert f"/finance/breaks/{one.break_id}" in listed
        assert f"/finance/breaks/{one.break_id}" not in (await browser.get("/finance/breaks?kind=currency")).text
        early = (await found(fresh, EARLY_MINOR)).break_id
        listed, more = [(await browser.get(f"/finance/breaks{said}")).text for said in ("", "?early=true")]
        assert (f"/finance/breaks/{early}" in listed, f"/finance/breaks/{early}" in more) == (False, True)
        assert "With what is not due yet" in plain(listed)
        assert Page(more).faults == []
        page = f"/finance/breaks/{one.break_id}"
        lost = await send(browser, page, f"{page}/assign", owner="stranger")
        assert (lost.status_code, 'value="stranger"' in lost.text) == (422, True)
        assert (await send(browser, page, f"{page}/assign", owner="finance")).status_code == 303
        assert (await send(browser, page, f"{page}/comment", words="asked the bank")).status_code == 303
        done = await send(browser, page, f"{page}/write_off", words="below the cost of asking")
        assert done.status_code == 303, plain(done.text)
        html = (await browser.get(done.headers["location"])).text
        assert Page(html).faults == []
        words = plain(html)
        for said in ("The break is written off and booked.", "asked the bank", "Written off"):
            assert said in words
        group = html.partition(f'href="{BENCH}/groups/')[2].partition('"')[0]
        assert "/entries/" in (await browser.get(f"{BENCH}/groups/{group}")).text
    await check_books(fresh)


async def test_above_the_limit_a_second_person_decides_among_the_approvals(fresh: Database, tmp_path: Path) -> None:
    await fresh.write(WORKER, "test", two_people)
    one = await found(fresh, 12_000)
    page = f"/finance/breaks/{one.break_id}"
    async with browser_of(fresh, tmp_path, "finance") as maker, browser_of(fresh, tmp_path, "admin") as checker:
        asked = await send(maker, page, f"{page}/write_off", words="lost")
        assert "done=break_ask_write_off" in asked.headers["location"]
        reject = f"/finance/approvals/break_write_off/0/{one.break_id}/reject"
        assert (await send(checker, "/finance/approvals", reject, reason="look again")).status_code == 303
        assert "look again" in (await maker.get(page)).text
        assert "The limit is yours to set" not in plain((await maker.get(page)).text)
        await fresh.write(WORKER, "finance", limit)
        assert "The limit is yours to set" in plain((await maker.get(page)).text)
        await send(maker, page, f"{page}/accept", words="known")
        approve = f"/finance/approvals/break_accept/0/{one.break_id}/approve"
        assert (await send(checker, "/finance/approvals", approve)).status_code == 303
        assert "Accepted" in plain((await maker.get(page)).text)


async def test_the_lists_are_narrowed_and_paged_by_the_address(fresh: Database, tmp_path: Path) -> None:
    await add_items(fresh, [theirs(7_000 + nth, f"L-{nth:03}", book=Book.BANK) for nth in range(50)])
    async with browser_of(fresh, tmp_path, "finance") as browser:
        first = (await browser.get(f"{BENCH}?q=L-0")).text
        assert "L-000" in first
        assert "Acme" not in first.partition("data-bench")[2].partition("Matched last")[0]
        place = first.partition('name="theirs_after" value="')[2].partition('"')[0]
        second = (await browser.get(f"{BENCH}?q=L-0&theirs_after={place}")).text
        assert "L-049" in second
        assert "L-000" not in second
        assert "L-012" in (await browser.get(f"{BENCH}?q=70.12")).text
        assert (await browser.get(f"{BENCH}?theirs_after=nonsense")).status_code == 422
        for wrong in ("book=till", "currency=XYZ", "currency=%00", "line=one", "theirs:x=on", "q=" + "x" * 101):
            assert (await browser.get(f"{BENCH}?{wrong}")).status_code == 422, wrong
        assert (await browser.get(f"{BENCH}?theirs:99999=on")).status_code == 404
        assert (await browser.get(f"{BENCH}?book=processor&currency=USD")).status_code == 200


def key_of(html: str) -> dict[str, str]:
    return {"form_key": html.partition('name="form_key" value="')[2].partition('"')[0]}


async def test_a_settlement_file_of_an_earlier_version_says_why_it_lists_no_lines(
    fresh: Database, tmp_path: Path
) -> None:
    content = camt([line(1_234, text="old")], 0, "EUR").replace(ACCOUNT.encode(), b"DE00123456780000000042")
    file = await import_bank_file(fresh, "fay", "old.xml", io.BytesIO(content), processor="card")
    old = f"UPDATE billing.bank_file SET format = 'settlement' WHERE file_id = {file.file_id}"
    await as_owner(fresh, lambda tx: tx.execute(f"DELETE FROM billing.bank_line WHERE file_id = {file.file_id}"))
    await as_owner(fresh, lambda tx: tx.execute(old))
    async with browser_of(fresh, tmp_path, "finance") as browser:
        assert "which did not keep which lines it brought" in (await browser.get(f"/finance/files/{file.file_id}")).text


async def test_a_file_is_brought_on_its_page_once(fresh: Database, tmp_path: Path) -> None:
    content = camt([line(1_234, text="late")], 92_999, "EUR")
    assert isinstance(fresh.clock, FixedClock)
    fresh.clock.move_to(fresh.clock.now() + timedelta(seconds=1))
    async with browser_of(fresh, tmp_path, "finance") as browser:
        assert "wait for matching" not in plain((await browser.get(BENCH)).text)
        for said in ("The file holds and is read.", "This file was there already; nothing was added."):
            html = (await browser.get("/finance/files")).text
            sent = key_of(html)
            brought = await browser.post("/finance/files", data=sent, files={"file": ("late.xml", content)})
            assert brought.status_code == 303, plain(brought.text)
            shown = (await browser.get(brought.headers["location"])).text
            assert said in shown
            assert "<h1>late.xml</h1>" in shown
        assert (await browser.get("/finance/files")).text.count("late.xml") == 1
        assert "Lines that were read wait for matching" in plain((await browser.get(BENCH)).text)
        fresh.clock.move_to(fresh.clock.now() + timedelta(seconds=1))
        await matched(fresh)
        assert "wait for matching" not in plain((await browser.get(BENCH)).text)
        sent = {"form_key": "12345678-nothing"}
        assert (await browser.post("/finance/files", data=sent)).status_code == 422
        page = await browser.get("/finance/files")
        sent = key_of(page.text)
        broken = await browser.post("/finance/files", data=sent, files={"file": ("broken.xml", b"<not a statement")})
        assert "done=file_kept" in broken.headers["location"]
        assert "Unreadable" in plain((await browser.get("/finance/files")).text)
