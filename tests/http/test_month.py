"""A month over HTTP: contracts, settlement, run, statements, payouts, books."""

import csv
import io
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from marketplace.core import policies
from marketplace.core.db import WORKER, Database
from tests.http.market import ALPHA, BETA, CONTRACTS, add_small_market, close_month, send

Make = Callable[..., Awaitable[httpx.AsyncClient]]


async def get(client: httpx.AsyncClient, path: str, **query: Any) -> Any:
    answer = await client.get(f"/api/v1{path}", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture
async def finance(db: Database, caller: Make) -> httpx.AsyncClient:
    await add_small_market(db)
    return await caller("fay", "controller")


async def test_a_month_from_contracts_to_proofs(finance: httpx.AsyncClient) -> None:
    run_id = await close_month(finance)
    statement = await get(finance, f"/merchants/{ALPHA}/statements/{run_id}")
    assert statement["goods_minor"] == 12_550
    assert statement["commission_minor"] == -1_255
    assert statement["vat_minor"] == -251
    assert statement["closing_minor"] == 11_044
    beta = await get(finance, f"/merchants/{BETA}/statements/{run_id}")
    assert (beta["commission_minor"], beta["closing_minor"]) == (-580, 11_420)
    paid = await get(finance, "/payouts", run_id=run_id)
    assert {item["merchant_id"]: item["amount_minor"] for item in paid["items"]} == {ALPHA: 11_044, BETA: 11_420}
    one = paid["items"][0]
    assert await get(finance, f"/merchants/{one['merchant_id']}/payouts/{one['payout_id']}") == one
    totals = (await get(finance, f"/billing-runs/{run_id}"))["totals"]
    assert totals[0]["payouts_minor"] == 22_464
    assert (await get(finance, "/proofs"))["ok"] is True


async def test_the_lines_of_a_statement_sum_to_its_movement(finance: httpx.AsyncClient) -> None:
    run_id = await close_month(finance)
    answer = await finance.get(f"/api/v1/merchants/{ALPHA}/statements/{run_id}/lines.csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert f"statement-2018-05-{ALPHA}-EUR.csv" in answer.headers["content-disposition"]
    lines = list(csv.DictReader(io.StringIO(answer.text)))
    assert [(line["order_ref"], line["kind"]) for line in lines] == [
        ("alpha-1", "order_settled"),
        ("alpha-2", "order_settled"),
    ]
    assert sum(int(line["amount_minor"]) for line in lines) == 11_044


async def test_the_books_can_be_read_as_of_any_day_and_entry(finance: httpx.AsyncClient) -> None:
    await close_month(finance)
    payable = {"account": 2000, "dimension": 0, "currency": "EUR"}
    now = await get(finance, f"/merchants/{ALPHA}/balances")
    assert payable not in [{**line, "balance_minor": None} for line in now]
    in_may = await get(finance, f"/merchants/{ALPHA}/balances", as_of="2018-05-31")
    assert {**payable, "balance_minor": -11_044} in in_may
    assert await get(finance, f"/merchants/{ALPHA}/balances", upto_no=0) == []
    trial = await get(finance, "/trial-balance", entity_id=1)
    assert sum(line["debit_minor"] for line in trial) == sum(line["credit_minor"] for line in trial) > 0
    lines = await get(finance, "/accounts/2000/lines", merchant_id=ALPHA, limit=1)
    assert [line["kind"] for line in lines["items"]] == ["payout_instructed"]
    rest = await get(finance, "/accounts/2000/lines", merchant_id=ALPHA, limit=100, cursor=lines["next"])
    assert [line["kind"] for line in rest["items"]] == ["order_settled", "order_settled"]
    assert rest["next"] is None
    entry = await get(finance, f"/merchants/{ALPHA}/entries/1")
    assert sum(leg["amount_minor"] for leg in entry["legs"]) == 0
    entries = await get(finance, f"/merchants/{ALPHA}/entries", limit=2)
    more = await get(finance, f"/merchants/{ALPHA}/entries", limit=100, cursor=entries["next"])
    assert [each["entry_no"] for each in entries["items"] + more["items"]] == [5, 4, 3, 2, 1]


async def test_steps_may_be_sent_again(finance: httpx.AsyncClient) -> None:
    run_id = await close_month(finance)
    before = await get(finance, "/trial-balance")
    assert (await send(finance, "/contracts", CONTRACTS)).json()["unchanged"] == 2
    assert (await send(finance, "/settlements", {"through": "2018-05-31"})).json()["orders"] == 0
    assert (await send(finance, f"/billing-runs/{run_id}/finalise")).json()["run"]["state"] == "finalised"
    assert await get(finance, "/trial-balance") == before


async def test_a_run_is_reversed_and_run_again(finance: httpx.AsyncClient) -> None:
    run_id = await close_month(finance)
    first = await send(finance, f"/billing-runs/{run_id}/reverse", key="reverse")
    assert first.json()["run"]["state"] == "reversed"
    assert (await send(finance, f"/billing-runs/{run_id}/reverse", key="reverse")).content == first.content
    again = await send(finance, "/billing-runs", {"period": "2018-05"})
    assert again.json()["run"]["run_id"] != run_id
    runs = await get(finance, "/billing-runs")
    assert [run["state"] for run in runs["items"]] == ["previewed", "reversed"]
    given_up = await send(finance, f"/billing-runs/{again.json()['run']['run_id']}/abort")
    assert (given_up.json()["run"]["state"], given_up.json()["totals"]) == ("aborted", [])


async def test_maker_is_not_checker_unless_the_policy_says_so(
    db: Database, finance: httpx.AsyncClient, caller: Make
) -> None:
    await db.write(WORKER, "operator", policies.switch, "single_operator", on=False)
    await send(finance, "/contracts", CONTRACTS)
    await send(finance, "/settlements", {"through": "2018-05-31"})
    run = (await send(finance, "/billing-runs", {"period": "2018-05"})).json()["run"]
    approve, seen = f"/billing-runs/{run['run_id']}/approve", {"batch_id": run["batch_id"]}
    refused = await send(finance, approve, seen)
    assert refused.status_code == 403
    assert "another person" in refused.json()["detail"]
    other = await caller("second", "accountant")
    anew = (await send(finance, "/billing-runs", {"period": "2018-05"})).json()["run"]
    unseen = await send(other, approve, seen)
    assert (unseen.status_code, unseen.json()["errors"][0]["pointer"]) == (409, "/batch_id")
    approved = await send(other, approve, {"batch_id": anew["batch_id"]})
    assert approved.json()["run"]["approved_by"] == "second"
    assert approved.json()["run"]["single_operator"] is False


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/contracts", {"contract": [{**CONTRACTS["contract"][0], "rate_ppm": "100"}]}, "contract/0/rate_ppm"),
        ("/contracts", {"contract": [{**CONTRACTS["contract"][0], "rate_ppm": 0.1}]}, "contract/0/rate_ppm"),
        ("/contracts", {"contract": [{**CONTRACTS["contract"][0], "fixed_minor": -1}]}, "fixed_minor"),
        ("/contracts", {"contract": [{**CONTRACTS["contract"][0], "currency": "XXX"}]}, "currency"),
        ("/contracts", {"contract": [CONTRACTS["contract"][0], CONTRACTS["contract"][0]]}, "overlaps"),
        (
            "/contracts",
            {"contract": [{**CONTRACTS["contract"][1], "tiers": [{"from_minor": 5, "rate_ppm": 1}]}]},
            "gap",
        ),
        ("/contracts", {"contracts": []}, "contracts"),
        ("/contracts", {"contract": []}, "contract"),
        ("/settlements", {"through": "31.05.2018"}, "through"),
        ("/settlements", {"through": "2018-05-31", "to": 1}, "to"),
        ("/billing-runs", {"period": "2018-13"}, "period"),
        ("/billing-runs", {"period": "2018-05", "entity_id": 2**80}, "entity_id"),
    ],
)
async def test_bad_input_names_its_field_and_stores_nothing(
    db: Database, finance: httpx.AsyncClient, path: str, body: object, field: str
) -> None:
    answer = await send(finance, path, body)
    assert answer.status_code == 422, answer.text
    assert field in answer.json()["detail"]
    async with db.read(WORKER) as tx:
        for table in ("billing.contract", "billing.billing_run", "core.work_batch", "core.idempotency_key"):
            assert await tx.scalar(f"SELECT count(*) FROM {table}") == 0


async def test_payments_are_reconciled(finance: httpx.AsyncClient) -> None:
    summary = await get(finance, "/reconciliation/payments")
    assert summary["order_without_payment"] == {"count": 4, "sum_minor": -25_250}
    first = await get(finance, "/reconciliation/payments/breaks", limit=3)
    rest = await get(finance, "/reconciliation/payments/breaks", limit=3, cursor=first["next"])
    refs = [item["order_ref"] for item in first["items"] + rest["items"]]
    assert refs == ["alpha-1", "alpha-2", "beta-3", "beta-4"]
    assert rest["next"] is None
