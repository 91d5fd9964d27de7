"""The pages on a billed market: every link leads somewhere, every figure is the books', nobody sees another's."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from litestar import Litestar
from litestar.routes import HTTPRoute

from billing.ledger.chart import Account
from marketplace.core.db import STAFF, WORKER, Database, Tx
from marketplace.core.users import UserRole, create_user
from marketplace.web.guards import roles_of
from marketplace.web.i18n import speech
from tests.http.conftest import make_client, running
from tests.pages.conftest import MINE, OTHERS, SignIn, links, plain
from tests.pages.field_pages import FIELD_PAGES
from tests.pages.finance_pages import APPROVALS, CONTROLLERS_PAGES, FINANCE_PAGES, PAYER_PAGES
from tests.pages.list_pages import LISTS
from tests.pages.merchant_pages import MERCHANT, MERCHANT_WORK, OPS, OWNERS
from tests.pages.people_pages import PEOPLE_PAGES

PAGES_MAX = 120
EN = speech("en")
FINANCE = {UserRole.ACCOUNTANT, UserRole.CONTROLLER, UserRole.ADMIN}
DEEDS_ON_ORDERS = {
    "/accept": (MERCHANT, OPS),
    "/ship": (MERCHANT, OPS),
    "/shipments/{shipment_id}/deliver": (MERCHANT, OPS),
    "/cancel": (OWNERS, OPS),
}
ADS = {
    "GET /ads": (OWNERS, OPS | FINANCE),
    "GET /ads/{campaign_id}": (OWNERS, OPS | FINANCE),
    "POST /ads": (OWNERS, OPS),
    "POST /ads/top-ups": ({UserRole.MERCHANT_OWNER}, FINANCE),
    "POST /ads/{campaign_id}/limits": (OWNERS, OPS),
    "POST /ads/{campaign_id}/{move}": (OWNERS, OPS),
}
ABOUT_A_MERCHANT = {
    "": (MERCHANT, OPS | FINANCE),
    "/orders": (MERCHANT, OPS | FINANCE),
    "/orders/{order_id}": (MERCHANT, OPS | FINANCE),
    "/promotions": (MERCHANT, OPS | FINANCE),
    "/statements": (OWNERS, FINANCE),
    "/statements/{run_id}/{currency}": (OWNERS, FINANCE),
    "/documents": (OWNERS, FINANCE),
    "/documents/{document_id}/document.pdf": (OWNERS, FINANCE),
    "/payouts": (OWNERS, FINANCE),
    "/payouts/{payout_id}": (OWNERS, FINANCE),
    "/accounts/{code}": (OWNERS, FINANCE),
    "/entries/{entry_no}": (OWNERS, FINANCE),
}
_PROMOTION = "/ops/promotions/{promotion_id}"
INCENTIVES = [
    *("GET /ops/campaigns", "GET /ops/campaigns/new", "POST /ops/campaigns"),
    *("GET /ops/campaigns/{campaign_id}", "POST /ops/campaigns/{campaign_id}", "GET /ops/campaigns/{campaign_id}/edit"),
    "POST /ops/campaigns/{campaign_id}/moves/{move}",
    "GET /ops/campaigns/{campaign_id}/promotions/new",
    "POST /ops/campaigns/{campaign_id}/promotions",
    "POST /ops/campaigns/{campaign_id}/promotions/preview",
    "POST /ops/incentive-changes/{owner}/{owner_id}",
    "POST /ops/incentive-changes/{owner}/{owner_id}/{change_id}/{decision}",
    *("GET /ops/promotions", "GET /ops/promotions/compare", f"GET {_PROMOTION}", f"GET {_PROMOTION}/edit"),
    *(f"POST {_PROMOTION}/moves/{{move}}", f"POST {_PROMOTION}/simulations", f"POST {_PROMOTION}/versions"),
    *(f"GET {_PROMOTION}/review", f"POST {_PROMOTION}/review"),
    *(f"POST {_PROMOTION}/versions/preview", f"POST {_PROMOTION}/versions/{{version_no}}/{{decision}}"),
]
PAGES: dict[str, set[UserRole] | None] = {
    "GET /": set(UserRole),
    "GET /sign-in": None,
    "POST /sign-in": None,
    "POST /sign-out": set(UserRole),
    "POST /language": set(UserRole),
    "GET /static/{name}": None,
    **PEOPLE_PAGES,
    **FIELD_PAGES,
    **MERCHANT_WORK,
    "GET /ops": OPS,
    "GET /ops/merchants": OPS,
    "GET /ops/steering": OPS,
    "GET /ops/parked": OPS,
    **dict.fromkeys(INCENTIVES, OPS),
    "GET /finance": FINANCE,
    "GET /finance/runs/{run_id}": FINANCE,
    "POST /finance/runs": FINANCE,
    "POST /finance/runs/{run_id}/{step}": FINANCE,
    "POST /finance/runs/{run_id}/reverse": {UserRole.CONTROLLER, UserRole.ADMIN},
    **{deed.replace(" ", " /finance"): FINANCE for deed in APPROVALS},
    **{deed.replace(" ", " /ops"): OPS for deed in APPROVALS},
    "GET /finance/accounts/{code}": FINANCE,
    **dict.fromkeys(("GET /finance/reconciliation", "GET /finance/purchases/{order_ref}"), FINANCE),
    "GET /finance/proofs": FINANCE,
    **dict.fromkeys(FINANCE_PAGES, FINANCE),
    **{page: {UserRole.CONTROLLER, UserRole.ADMIN} for page in CONTROLLERS_PAGES},
    **{page: {UserRole.PAYER} for page in PAYER_PAGES},
    "GET /finance/close": FINANCE,
    "POST /finance/close/{entity}/{month}/{deed}": FINANCE,
    "POST /finance/close/{entity}/{month}/final/{deed}": {UserRole.CONTROLLER, UserRole.ADMIN},
    **{f"GET /merchant{path}": own for path, (own, _) in ABOUT_A_MERCHANT.items()},
    **{f"GET /books/{{merchant_id}}{path}": staff for path, (_, staff) in ABOUT_A_MERCHANT.items()},
    **{deed.replace(" ", " /merchant"): own for deed, (own, _) in ADS.items()},
    **{deed.replace(" ", " /books/{merchant_id}"): staff for deed, (_, staff) in ADS.items()},
    "POST /merchant/promotions/{promotion_id}/join": OWNERS,
    "POST /books/{merchant_id}/promotions/{promotion_id}/join": OPS,
    **{f"POST /merchant/orders/{{order_id}}{deed}": own for deed, (own, _) in DEEDS_ON_ORDERS.items()},
    **{f"POST /books/{{merchant_id}}/orders/{{order_id}}{deed}": ops for deed, (_, ops) in DEEDS_ON_ORDERS.items()},
}
PAGES |= {f"GET {file}": PAGES[f"GET {page}"] for page, file in LISTS.items()}
"""Whoever may see a list may take it along."""


class Page(HTMLParser):
    """Reads a page and notes what a strict policy forbids, labels that are missing, and tags that do not close."""

    VOID = frozenset({"meta", "link", "img", "input", "br", "line", "rect", "polyline", "polygon"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.faults: list[str] = []
        self.feed(html)
        self.close()
        self.faults += [f"<{tag}> is not closed" for tag in self.open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.faults += [f"<{tag} {name}>" for name in given if name == "style" or name.startswith("on")]
        if tag == "style" or (tag == "script" and not (given.get("src") or "").startswith("/static/")):
            self.faults.append(f"<{tag}>")
        if tag in {"input", "select", "textarea"} and given.get("type") != "hidden" and "label" not in self.open:
            self.faults.append(f"<{tag} name={given.get('name')}> has no label")
        if tag == "img" and "alt" not in given:
            self.faults.append("<img> without alt")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> closes something else")


async def test_every_page_is_listed_with_its_roles(app: Litestar) -> None:
    found = {}
    for route in app.routes:
        assert isinstance(route, HTTPRoute)
        for method, (handler, _) in route.route_handler_map.items():
            if handler.fn.__module__.startswith("marketplace.consoles") and method != "OPTIONS":
                found[f"{method} {route.path_format}"] = roles_of(handler.resolve_guards())
    assert found == {name: None if roles is None else frozenset(map(str, roles)) for name, roles in PAGES.items()}


@pytest.mark.parametrize("login", ["merchant", "cashier", "ops", "finance", "admin"])
async def test_every_link_leads_to_a_page_without_faults(sign_in: SignIn, login: str) -> None:
    browser, seen, waiting = await sign_in(login), set[str](), ["/"]
    shapes: dict[str, int] = {}
    while waiting and len(seen) < PAGES_MAX:
        path = waiting.pop(0).partition("#")[0]
        shape = re.sub(r"\d+|(before|after|sort)=[\w-]+", "*", path)
        if path in seen or shapes.get(shape, 0) >= 3:
            continue
        seen.add(path)
        shapes[shape] = shapes.get(shape, 0) + 1
        answer = await browser.get(path, follow_redirects=True)
        assert answer.status_code == 200, (login, path, answer.text[:300])
        if answer.headers["content-type"].startswith("text/html"):
            assert Page(answer.text).faults == [], path
            assert "script" not in answer.headers["content-security-policy"]
            waiting += links(answer.text)
    assert len(shapes) >= {"cashier": 6, "ops": 8}.get(login, 12), sorted(shapes)


@pytest.mark.parametrize("code", ["zh", "pt"])
async def test_the_homes_render_in_every_language(sign_in: SignIn, code: str) -> None:
    for login, path in (("merchant", "/merchant"), ("ops", "/ops"), ("finance", "/finance")):
        browser = await sign_in(login)
        assert (await browser.post("/language", data={"language": code, "next": path})).headers["location"] == path
        html = (await browser.get(path)).text
        assert f'<html lang="{speech(code).language.tag}"' in html
        assert speech(code).text("nav.sign_out") in html
        await browser.post("/language", data={"language": "en", "next": path})


async def test_the_merchant_home_shows_the_books_figures(sign_in: SignIn, market: Database) -> None:
    async with market.read(STAFF) as tx:
        august = await tx.row(
            """
            SELECT count(*) AS orders, sum(goods_minor) AS goods FROM demand.merchant_order
            WHERE merchant_id = :merchant AND purchased_on BETWEEN '2018-08-01' AND '2018-08-31'
            """,
            merchant=MINE,
        )
        assert august is not None
        payable = await _standing(tx, MINE, Account.PAYABLE)
        pending = await _standing(tx, MINE, Account.PENDING)
    words = plain((await (await sign_in("merchant")).get("/merchant?on=2018-08-31")).text)
    assert f"Sales this month {EN.money(int(august.goods), 'EUR')}" in words
    assert f"Orders {EN.number(august.orders)}" in words
    assert f"Expected net payout {EN.money(-payable, 'EUR')}" in words
    assert f"{EN.money(-pending, 'EUR')} more is pending" in words


async def _standing(tx: Tx, merchant_id: int, account: Account) -> int:
    """The balance of an account at the end of August, straight from the journal."""
    return int(
        await tx.scalar(
            "SELECT coalesce(sum(amount_minor), 0) FROM billing.posting"
            " WHERE merchant_id = :merchant AND account = :code AND effective_on <= '2018-08-31'",
            merchant=merchant_id,
            code=int(account),
        )
    )


async def test_the_reasons_of_a_change_sum_to_the_change(sign_in: SignIn) -> None:
    html = (await (await sign_in("merchant")).get("/merchant?on=2018-08-31")).text
    card = html[html.index("What changed, and why") :]
    earlier, orders, average, now = (
        int(re.sub(r"[.,+]", "", cell).replace("−", "-"))
        for cell in re.findall(r'<td class="n[^"]*">([^<]*)</td>', card)[:4]
    )
    assert earlier + orders + average == now > 0


async def test_every_statement_ties_to_the_journal_and_its_lines_to_entries(sign_in: SignIn, market: Database) -> None:
    browser = await sign_in("finance")
    async with market.read(STAFF) as tx:
        statements = await tx.rows("SELECT merchant_id, run_id, currency FROM billing.statement ORDER BY 1, 2")
    assert len(statements) > 12
    for row in statements:
        page = await browser.get(f"/books/{row.merchant_id}/statements/{row.run_id}/{row.currency}")
        assert "Statement and journal agree" in page.text, row


async def test_older_pages_list_every_line_of_an_account_once_with_its_balance(
    sign_in: SignIn, market: Database
) -> None:
    browser, path = await sign_in("merchant"), "/merchant/accounts/2005"
    entries: list[str] = []
    balances: list[str] = []
    query = ""
    while True:
        html = (await browser.get(path + query)).text
        rows = re.findall(r"/entries/(\d+)\">.*?</tr>", html, flags=re.DOTALL)
        balances += re.findall(r'<td class="n">([^<]*)</td></tr>', html)
        entries += rows
        older = re.search(r'href="(\?before=[^"]+)"', html)
        if older is None:
            break
        query = older.group(1)
    async with market.read(STAFF) as tx:
        lines = await tx.rows(
            """
            SELECT entry_no, -sum(amount_minor) OVER (ORDER BY effective_on, entry_no) AS balance
            FROM billing.posting WHERE merchant_id = :merchant AND account = 2005
            ORDER BY effective_on DESC, entry_no DESC
            """,
            merchant=MINE,
        )
    assert len(lines) > 100
    assert entries == [str(line.entry_no) for line in lines]
    assert balances == [EN.amount(int(line.balance), "EUR") for line in lines]


async def test_an_entry_page_shows_balanced_legs_and_leads_to_its_order(sign_in: SignIn) -> None:
    html = (await (await sign_in("merchant")).get("/merchant/entries/1")).text
    assert "balanced" in html
    assert re.search(r'href="/merchant/orders/\d+"', html)


async def test_finance_sees_debits_equal_credits_and_who_approved(sign_in: SignIn, market: Database) -> None:
    words = plain((await (await sign_in("finance")).get("/finance")).text)
    async with market.read(STAFF) as tx:
        debit = await tx.scalar("SELECT sum(amount_minor) FROM billing.posting WHERE amount_minor > 0")
    total = EN.amount(int(debit), "EUR")
    assert f"Total {total} {total} 0.00" in words
    assert "explained in full" in words
    assert "test same person" in words
    proofs = plain((await (await sign_in("finance")).get("/finance/proofs")).text)
    assert "All proofs hold" in proofs


async def test_ops_sees_the_sums_of_all_merchants(sign_in: SignIn, market: Database) -> None:
    async with market.read(STAFF) as tx:
        sums = await tx.row(
            """
            SELECT count(*) AS orders, sum(goods_minor) AS goods FROM demand.merchant_order
            WHERE purchased_on BETWEEN '2018-08-04' AND '2018-08-31'
            """
        )
        assert sums is not None
    words = plain((await (await sign_in("ops")).get("/ops?on=2018-08-31")).text)
    assert f"GMV {EN.money(int(sums.goods), 'EUR')}" in words
    assert f"Orders {EN.number(sums.orders)}" in words


async def test_a_merchant_sees_its_own_only(sign_in: SignIn, market: Database) -> None:
    async with market.read(STAFF) as tx:
        theirs = await tx.scalar("SELECT min(order_id) FROM demand.merchant_order WHERE merchant_id = :m", m=OTHERS)
        mine = await tx.scalar("SELECT min(order_id) FROM demand.merchant_order WHERE merchant_id = :m", m=MINE)
        payout = await tx.row(
            "SELECT payout_id, amount_minor FROM billing.payout WHERE merchant_id = :m LIMIT 1", m=OTHERS
        )
        assert payout is not None
        name = await tx.scalar("SELECT name FROM supply.merchant WHERE merchant_id = :m", m=OTHERS)
    me, other = await sign_in("merchant"), await sign_in("other")
    assert (await me.get(f"/merchant/orders/{mine}")).status_code == 200
    assert (await me.get(f"/merchant/orders/{theirs}")).status_code == 404
    assert (await other.get(f"/merchant/orders/{theirs}")).status_code == 200
    amount = EN.money(payout.amount_minor, "EUR")
    assert amount in (await other.get(f"/merchant/payouts/{payout.payout_id}")).text
    assert amount not in (await me.get(f"/merchant/payouts/{payout.payout_id}")).text
    assert name in (await other.get("/merchant")).text
    for path in (f"/books/{OTHERS}", f"/books/{MINE}", "/ops", "/finance", "/finance/accounts/2000"):
        assert (await me.get(path)).status_code == 403, path
    for path in ("/merchant", "/merchant/orders", "/merchant/statements", "/merchant/payouts"):
        assert name not in (await me.get(path)).text
    cashier = await sign_in("cashier")
    assert (await cashier.get("/merchant/statements")).status_code == 403
    assert "Expected net payout" not in (await cashier.get("/merchant")).text


async def test_what_was_typed_and_stored_is_escaped(sign_in: SignIn, app: Litestar) -> None:
    html = (await (await sign_in("ops")).get("/ops")).text
    assert "Ops &lt;Person&gt;" in html
    assert "<Person>" not in html
    evil = '"><script>alert(1)</script>'
    async with make_client(app) as browser:
        answer = await browser.post("/sign-in", data={"login": evil, "password": "x", "next": evil})
        assert answer.status_code == 401
        assert "<script" not in answer.text
        assert "Login or password is wrong" in answer.text
        assert 'value="&#34;&gt;&lt;script&gt;' in answer.text


@pytest.mark.parametrize(
    ("wanted", "leads_to"),
    [
        ("/merchant/orders", "/merchant/orders"),
        ("//evil.test/", "/"),
        ("https://evil.test", "/"),
        ("/\\evil.test", "/"),
    ],
)
async def test_signing_in_goes_on_within_this_site(app: Litestar, wanted: str, leads_to: str) -> None:
    async with make_client(app) as browser:
        data = {"login": "merchant", "password": "demonstration", "next": wanted}
        assert (await browser.post("/sign-in", data=data)).headers["location"] == leads_to


async def test_a_stranger_is_led_to_the_sign_in_and_out_again(app: Litestar) -> None:
    async with make_client(app) as browser:
        answer = await browser.get("/merchant/orders?state=paid")
        assert answer.headers["location"] == "/sign-in?next=/merchant/orders%3Fstate%3Dpaid"
        page = (await browser.get(answer.headers["location"])).text
        assert 'name="next" value="/merchant/orders?state=paid"' in page
        assert Page(page).faults == []
        await browser.post("/sign-in", data={"login": "merchant", "password": "demonstration", "next": "/"})
        assert (await browser.get("/merchant")).status_code == 200
        assert (await browser.post("/sign-out")).headers["location"] == "/sign-in"
        assert (await browser.get("/merchant")).status_code == 303


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/merchant/orders?state=lost", 422),
        ("/merchant/orders?first=yesterday", 422),
        ("/merchant/accounts/2000?before=nonsense", 422),
        ("/merchant/accounts/9999", 404),
        ("/merchant/entries/99999999", 404),
        ("/merchant/orders/99999999999999999999", 422),
        ("/merchant/statements/1/XXX", 404),
        ("/static/app.py", 404),
        ("/merchant/nowhere", 404),
    ],
)
async def test_a_bad_address_gets_a_page_that_says_so(sign_in: SignIn, path: str, status: int) -> None:
    answer = await (await sign_in("merchant")).get(path)
    assert answer.status_code == status


async def test_an_empty_marketplace_says_what_to_do_next(db: Database, tmp_path: Path) -> None:
    async with running(db, tmp_path) as app:
        await db.write(WORKER, "test", _admin)
        async with make_client(app) as browser:
            page = await browser.get("/sign-in")
            assert "Demonstration" not in page.text
            await browser.post("/sign-in", data={"login": "root", "password": "a long enough one", "next": "/"})
            for path in ("/ops", "/finance", "/ops/merchants", "/ops/parked", "/finance/reconciliation"):
                assert "There are no books yet" in (await browser.get(path)).text


async def _admin(tx: Tx) -> None:
    await create_user(tx, "root", "Root", ["admin"], password="a long enough one")
