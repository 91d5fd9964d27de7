"""Months closed and reopened, reports and exports over HTTP: who may, what is answered, what is refused."""

import csv
import io
from collections.abc import Awaitable, Callable
from datetime import date

import httpx
import pytest
from beancount import loader

from billing.ledger import store as ledger
from billing.ledger.chart import Account
from marketplace.core import policies
from marketplace.core.db import STAFF, WORKER, Database
from tests.billing.market import check_books
from tests.http.conftest import app, caller
from tests.http.market import send
from tests.periods.market import as_owner, may_billed

__all__ = ["app", "caller"]

Make = Callable[..., Awaitable[httpx.AsyncClient]]
MAY = "/periods/2018-05"
SPAN = {"from_on": "2018-05-01", "to_on": "2018-06-01"}


@pytest.fixture
async def market(db: Database) -> Database:
    await may_billed(db)
    await db.write(WORKER, "admin", policies.switch, "single_operator", on=False)
    return db


async def test_a_month_is_closed_by_two_and_its_seal_answers_for_its_entries(market: Database, caller: Make) -> None:
    ann, con = await caller("ann", "accountant"), await caller("con", "controller")
    assert (await ann.get("/api/v1/periods")).json() == {"items": [], "next": None}
    assert (await ann.get(f"/api/v1{MAY}/seal")).status_code == 404
    assert (await send(ann, f"{MAY}/soft-close", {})).json()["state"] == "soft_closed"
    refused = await send(ann, f"{MAY}/breaks", {"check": "no-such-proof", "reason": "x"})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/check")
    assert (await send(ann, f"{MAY}/close", {})).status_code == 403
    answer = await send(con, f"{MAY}/close", {})
    assert answer.status_code == 200, answer.text
    view = answer.json()
    assert {check["state"] for check in view["checks"]} == {"green"}
    verdict = (await ann.get(f"/api/v1{MAY}/seal")).json()
    assert (verdict["holds"], verdict["changed"], verdict["seal"]) == (True, [], view["seals"][0])
    assert (await ann.get(f"/api/v1{MAY}")).json()["seals"] == view["seals"]
    assert [one["state"] for one in (await ann.get("/api/v1/periods")).json()["items"]] == ["closed"]

    posted_by = "UPDATE billing.entry SET posted_by = 'nobody' WHERE merchant_id = 2 AND entry_no = 1"
    await as_owner(market, lambda tx: tx.execute(posted_by))
    verdict = (await ann.get(f"/api/v1{MAY}/seal")).json()
    assert (verdict["holds"], verdict["changed"]) == (False, ["merchant 2 entry 1 was changed"])
    actor = "UPDATE billing.entry SET posted_by = (SELECT min(posted_by) FROM billing.entry WHERE merchant_id = 1)"
    await as_owner(market, lambda tx: tx.execute(f"{actor} WHERE merchant_id = 2 AND entry_no = 1"))

    assert (await send(ann, f"{MAY}/reopening", {"reason": "a fee"})).json()["reopening_by"] == "ann"
    assert (await send(con, f"{MAY}/reopen", {})).json()["state"] == "reopened"
    assert (await send(con, f"{MAY}/close", {})).json()["period"]["seal_no"] == 2
    await check_books(market)


@pytest.mark.parametrize("month", ["2018-5", "2018-13", "next", "2018-05-01"])
async def test_what_is_no_month_is_refused(market: Database, caller: Make, month: str) -> None:
    ann = await caller("ann", "accountant")
    assert (await ann.get(f"/api/v1/periods/{month}")).status_code == 422


async def test_reports_page_through_what_their_csv_has_whole(market: Database, caller: Make) -> None:
    ann = await caller("ann", "accountant")
    async with market.read(STAFF) as tx:
        trial = {line.account: line.balance_minor for line in await ledger.trial_balance(tx, as_of=date(2018, 5, 31))}
    names = ("trial-balance", "ageing", "revenue", "take-rate", "incentives", "deferred-revenue", "cash-forecast")
    for name in names:
        found: list[dict[str, object]] = []
        query: dict[str, str] = {**SPAN, "limit": "2"}
        while True:
            answer = await ann.get(f"/api/v1/reports/{name}", params=query)
            assert answer.status_code == 200, answer.text
            found += answer.json()["items"]
            if answer.json()["next"] is None:
                break
            query["cursor"] = answer.json()["next"]
        whole = await ann.get(f"/api/v1/reports/{name}/rows.csv", params=SPAN)
        rows = list(csv.DictReader(io.StringIO(whole.text)))
        assert sorted(map(str, ({k: str(v) for k, v in row.items()} for row in found))) == sorted(map(str, rows)), name
        if name == "trial-balance":
            assert {row["account"]: row["closing_minor"] for row in found if row["closing_minor"]} == {
                account: minor for account, minor in trial.items() if minor
            }
    [earned] = (await ann.get("/api/v1/reports/revenue", params=SPAN)).json()["items"]
    assert (earned["stream"], earned["revenue_minor"]) == ("commission", 1_800)
    [kept] = (await ann.get("/api/v1/reports/take-rate", params=SPAN)).json()["items"]
    assert (kept["settled_minor"], kept["gross_ppm"]) == (18_000, 100_000)
    assert (await ann.get("/api/v1/reports/nonsense/rows.csv")).status_code == 404
    refused = await ann.get("/api/v1/reports/revenue", params={"from_on": "2018-06-01", "to_on": "2018-06-01"})
    assert refused.status_code == 422
    assert (await ann.get("/api/v1/reports/revenue")).json()["items"] == []  # of this month, by default


async def test_an_account_of_one_merchant_is_its_statement_of_account(market: Database, caller: Make) -> None:
    ann = await caller("ann", "accountant")
    answer = await ann.get("/api/v1/reports/accounts/2000", params={**SPAN, "merchant_id": "1", "limit": "1"})
    page = answer.json()
    [standing] = page["standing"]
    assert (standing["opening_minor"], standing["closing_minor"]) == (0, -10_560)
    assert [line["amount_minor"] for line in page["lines"]["items"]] == [-10_560]
    assert (await ann.get("/api/v1/reports/accounts/1234")).status_code == 404


async def test_the_journal_is_streamed_and_an_erp_needs_a_mapping(market: Database, caller: Make) -> None:
    ann = await caller("ann", "accountant")
    answer = await ann.get("/api/v1/exports/journal", params={"format": "beancount", **SPAN})
    assert answer.headers["content-disposition"] == 'attachment; filename="journal.beancount"'
    assert loader.load_string(answer.text)[1] == []
    assert (await ann.get("/api/v1/exports/journal", params={"format": "xlsx"})).content[:2] == b"PK"
    assert (await ann.get("/api/v1/exports/journal", params={"format": "doc"})).status_code == 422
    refused = await ann.get("/api/v1/exports/journal", params={"format": "erp"})
    assert (refused.status_code, "no account for 1020" in refused.json()["detail"]) == (409, True)
    accounts = [{"account": int(code), "number": f"9{code:d}"} for code in Account]
    kept = await send(ann, "/erp-accounts", {"entity_id": 1, "accounts": accounts})
    assert kept.status_code == 200, kept.text
    assert (await ann.get("/api/v1/erp-accounts")).json() == kept.json()
    answer = await ann.get("/api/v1/exports/journal", params={"format": "erp"})
    assert {row["account"] for row in csv.DictReader(io.StringIO(answer.text))} >= {"91020", "92000"}
    twice = {"entity_id": 1, "accounts": accounts[:1] * 2}
    assert (await send(ann, "/erp-accounts", twice)).json()["errors"][0]["pointer"] == "/accounts/1/account"
