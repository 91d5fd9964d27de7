"""A market in which every page has something to show, and the address of each page that it leads to."""

import re
from collections.abc import Mapping, Sequence

import httpx

from billing.ads.lifecycle import AdParty
from billing.matching.model import Side
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.acquisition.note_stages import NoteStage, note_stage
from marketplace.flows.ads.plan_campaign import draft_campaign
from marketplace.flows.steering.roll_metrics import roll_metrics
from tests.ads.market import add_lamps, add_search, lamps
from tests.pages.academy_market import add_content, add_courses
from tests.pages.conftest import MARKET_NOW, MINE, links
from tests.pages.field_market import staff_the_field
from tests.pages.forms import send
from tests.pages.payer_market import add_payer
from tests.pages.payout_market import add_accounts, dispute
from tests.pages.test_deeds import two_people
from tests.pages.test_pages import PAGES
from tests.pages.test_promotion_pages import CAMPAIGN, approved_campaign
from tests.pages.test_workbench import a_bank_speaks, items, one_person, pressed
from tests.pages.work import a_merchant_buys

PAGES_MAX = 400
BARE = {
    "GET /static/{name}": "a file",
    "GET /sign-in/provider": "leads away",
    "GET /sign-in/provider/back": "leads on",
    "GET /sign-in/code": "asks who is half signed in",
    "GET /finance/workbench/sums": "a fragment",
    "GET /finance/files/{file_id}/content": "a file",
}
"""Addresses that are no pages of their own, and why."""


def is_page(name: str) -> bool:
    """Whether a route of PAGES shows a page to somebody who opens it."""
    return name.startswith("GET ") and name not in BARE and not name.endswith((".csv", ".pdf", ".xlsx", "/progress"))


async def fill(
    db: Database, maker: httpx.AsyncClient, checker: httpx.AsyncClient, bookkeeper: httpx.AsyncClient
) -> list[str]:
    """Leads, ads, promotions, a bank's lines, matched and not, a payer with a claim, a file of payouts and a disputed
    line, on top of a billed market.

    Returns addresses that links lead to only from some of them.
    """
    leads = await staff_the_field(db)
    await db.write(WORKER, "test", _ads)
    await a_merchant_buys(db)
    await db.write(WORKER, "greta", note_stage, NoteStage(lead_id=leads[1].lead_id, stage="qualified", at=MARKET_NOW))
    await roll_metrics(db, "test")
    await db.write(WORKER, "test", two_people)
    campaign = await approved_campaign(maker, checker)
    typed = {"threshold": "100", "award": "20", "budget": "200", "starts": "2018-09-01"}
    new, drafts = f"{campaign}/promotions", []
    for name in ("weekly twenty", "twenty a week"):
        made = await send(maker, f"{new}/new?gives=once", new, **typed, name=name)
        assert made.status_code == 303, made.text
        drafts.append(made.headers["location"].partition("?")[0])
    draft = await send(maker, "/ops/campaigns/new", "/ops/campaigns", **{**CAMPAIGN, "name": "winter"})
    await a_bank_speaks(db)
    of = await items(db)
    await pressed(checker, [of[Side.THEIRS, 50_000], of[Side.OURS, 50_000]], "told by the bank")
    await db.write(WORKER, "test", one_person)
    alone = [of[Side.THEIRS, 30_000], of[Side.OURS, 10_000], of[Side.OURS, 20_000]]
    assert (await pressed(bookkeeper, alone, "told by the bank")).status_code == 303
    await db.write(WORKER, "test", two_people)
    await add_payer(db)
    await add_accounts(db)
    file = await send(bookkeeper, "/finance/payouts", "/finance/payout-files")
    assert file.status_code == 303, file.text
    await db.write(WORKER, "merchant", dispute)
    await add_courses(db)
    await add_content(db)
    compared = "&".join(f"of={path.rpartition('/')[2]}" for path in drafts)
    return [
        f"/ops/promotions/compare?{compared}",
        f"{drafts[0]}/edit",
        f"{drafts[0]}/review",
        f"{draft.headers['location'].partition('?')[0]}/edit",
        f"/books/{MINE}/ads",
        f"/books/{MINE}/listings",
    ]


async def _ads(tx: Tx) -> None:
    await add_lamps(tx, [MINE])
    await draft_campaign(tx, lamps(MINE, await add_search(tx)), AdParty.MERCHANT)


async def addresses(browser: httpx.AsyncClient, more: Sequence[str] = ()) -> Mapping[str, str]:
    """An address of each page that this person can reach by following links, also from `more`, by its name in PAGES."""
    routes = {
        name: re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(name.removeprefix("GET "))) + "/?")
        for name in sorted(PAGES, key=lambda name: name.count("{"))
        if is_page(name)
    }
    found: dict[str, str] = {}
    seen, waiting, shapes = set[str](), ["/", *more], dict[str, int]()
    while waiting and len(seen) < PAGES_MAX:
        path = waiting.pop(0).partition("#")[0]
        bare = path.partition("?")[0]
        shape = re.sub(r"\d+|(before|after|sort)=[\w-]+", "*", path)
        name = next((name for name, route in routes.items() if route.fullmatch(bare)), None)
        if path in seen or name is None or shapes.get(shape, 0) >= 3 or (name in found and bare == found[name]):
            continue
        seen.add(path)
        shapes[shape] = shapes.get(shape, 0) + 1
        answer = await browser.get(path, follow_redirects=True)
        assert answer.status_code == 200, (path, answer.status_code)
        found.setdefault(name, path)
        waiting += links(answer.text)
    return found
