"""A payer's front door: its own contracts, caps, claims, statement, and nothing of another's, whoever asks."""

from collections.abc import Awaitable, Callable

import httpx
import pytest

from marketplace.core.db import WORKER, Database, Role, Scope
from marketplace.core.tables import placement, qualified
from marketplace.tables import metadata
from tests.billing.market import check_books
from tests.builders import HOUSE
from tests.http.conftest import app, caller, client
from tests.http.market import send
from tests.payers.market import THROUGH, market, sold, terms

__all__ = ["app", "caller", "client"]

Make = Callable[..., Awaitable[httpx.AsyncClient]]
BRAND = terms(name="brand", payer="Brand", share_ppm=100_000, priority=200, cap_minor=50_000)
PAYER_TABLES = [table for table in metadata.sorted_tables if "payer_id" in table.c and table.schema == "billing"]


async def two_payers(db: Database, finance: httpx.AsyncClient) -> dict[int, int]:
    """Two payers that bear of one order, each with a claim that was partly paid; claims by payer."""
    await market(db, terms(), BRAND)
    await sold(db)
    async with db.read(WORKER) as tx:
        contracts = await tx.rows("SELECT contract_id, payer_id FROM billing.payer_contract ORDER BY 1")
    made = {}
    for row in contracts:
        body = {"contract_id": row.contract_id, "entity_id": 1, "through": THROUGH.isoformat()}
        answer = await send(finance, "/payer-claims", body)
        assert answer.status_code == 201, answer.text
        claim = answer.json()
        made[row.payer_id] = claim["claim_id"]
        path = f"/payers/{row.payer_id}/claims/{claim['claim_id']}"
        money = {"amount_minor": 100, "bank_ref": "b1", "received_on": "2018-09-03"}
        assert (await send(finance, f"{path}/remittances", money)).status_code == 201
        no = {"line_no": 1, "amount_minor": 50, "reason": "not covered"}
        assert (await send(finance, f"{path}/rejections", no)).status_code == 201
    return made


async def test_a_payer_sees_its_own_and_nothing_of_another(db: Database, caller: Make) -> None:
    finance = await caller("fin", "controller")
    made = await two_payers(db, finance)
    for mine, other in ((1, 2), (2, 1)):
        payer = await caller(f"payer{mine}", "payer", payer_id=mine)
        assert [row["payer_id"] for row in (await payer.get("/api/v1/payers")).json()["items"]] == [mine]
        contracts = (await payer.get("/api/v1/payer-contracts")).json()["items"]
        assert {row["payer_id"] for row in contracts} == {mine}
        claims = (await payer.get("/api/v1/payer-claims")).json()["items"]
        assert [row["claim_id"] for row in claims] == [made[mine]]
        own = f"/api/v1/payers/{mine}"
        period = {"from_on": "2018-01-01", "to_on": "2019-01-01"}
        [statement] = (await payer.get(f"{own}/statement", params=period)).json()
        claimed, remitted, rejected = (statement[f"{name}_minor"] for name in ("claimed", "remitted", "rejected"))
        assert statement["closing_minor"] == claimed - remitted - rejected == (await _open(finance, mine))
        assert len((await payer.get(f"{own}/claims/{made[mine]}/lines")).json()["items"]) == 1
        assert (await payer.get(f"{own}/claims/{made[mine]}/lines.csv")).text.startswith("claim_no,")
        assert (await payer.get(f"{own}/rejections")).json()["items"][0]["amount_minor"] == 50
        assert (await payer.get(f"{own}/caps")).json()[0]["used_minor"] > 0
        await _reads_its_documents(payer, own, made[mine])
        theirs = (await finance.get(f"/api/v1/payers/{other}/documents")).json()["items"][0]["document_id"]
        for path in ("", f"/{theirs}", f"/{theirs}/document.pdf", f"/{theirs}/document.xml"):
            assert (await payer.get(f"/api/v1/payers/{other}/documents{path}")).status_code == 404, path
            if path:
                assert (await payer.get(f"{own}/documents{path}")).status_code == 404, path
        assert (await send(payer, f"/payers/{mine}/documents/{theirs}/void", {"reason": "x"})).status_code == 403
        for path in ("", "/caps", "/rejections", f"/claims/{made[other]}", f"/claims/{made[other]}/lines",
                     f"/claims/{made[other]}/lines.csv", f"/claims/{made[other]}/remittances"):  # fmt: skip
            assert (await payer.get(f"/api/v1/payers/{other}{path}")).status_code == 404, path
        assert (await payer.get("/api/v1/payer-claims", params={"payer_id": other})).status_code == 404
        no = {"line_no": 1, "amount_minor": 1, "reason": "mine?"}
        assert (await send(payer, f"/payers/{other}/claims/{made[other]}/rejections", no)).status_code == 404
        assert (await send(payer, f"/payers/{mine}/claims/{made[mine]}/rejections", no)).status_code == 201
        [money] = (await payer.get(f"{own}/claims/{made[mine]}/remittances")).json()["items"]
        assert (money["amount_minor"], money["bank_ref"]) == (100, "b1")
        assert (await send(payer, f"/payers/{other}/claims/{made[other]}/accept")).status_code == 404
        for _ in range(2):
            accepted = await send(payer, f"/payers/{mine}/claims/{made[mine]}/accept")
            assert (accepted.status_code, accepted.json()["accepted_by"]) == (200, f"payer{mine}"), accepted.text
        again = await send(payer, f"/payers/{mine}/claims/{made[mine]}/rejections", no)
        assert again.status_code == 409, "what a payer has accepted its people reject no more"
        assert (await send(finance, f"/payers/{mine}/claims/{made[mine]}/rejections", no)).status_code == 201
    await check_books(db)


async def _reads_its_documents(payer: httpx.AsyncClient, own: str, claim_id: int) -> None:
    """The invoice for the fee on its claim, and the credit note for what it has rejected of it: read, printed."""
    credit, invoice = (await payer.get(f"{own}/documents", params={"claim_id": claim_id})).json()["items"]
    assert (invoice["kind"], credit["kind"], credit["corrects_id"]) == (
        "invoice",
        "credit_note",
        invoice["document_id"],
    )
    one = f"{own}/documents/{invoice['document_id']}"
    assert (await payer.get(one)).json() == invoice
    printed = [await payer.get(f"{one}/document.pdf") for _ in range(2)]
    assert printed[0].content == printed[1].content
    assert printed[0].content.startswith(b"%PDF")
    nowhere = await payer.get(f"{one}/document.xml")
    assert (nowhere.status_code, "has no country" in nowhere.json()["detail"]) == (409, True)


async def _open(finance: httpx.AsyncClient, payer_id: int) -> int:
    ages = (await finance.get("/api/v1/claim-ageing", params={"payer_id": payer_id})).json()
    return sum(row["open_minor"] for row in ages)


async def test_the_database_keeps_payers_apart(db: Database, caller: Make) -> None:
    await two_payers(db, await caller("fin", "controller"))
    for table in PAYER_TABLES:
        name = qualified(table)
        async with db.read(WORKER) as tx:
            everybody = {row[0] for row in await tx.rows(f"SELECT DISTINCT payer_id FROM {name}")}
        assert everybody == {1, 2}, name
        for payer_id in (1, 2):
            scope = Scope(Role.PAYER, payer_id)
            if placement(table).distributed_by == "merchant_id":
                with pytest.raises(Exception, match="permission denied"):
                    await _seen(db, scope, name)
                continue
            assert await _seen(db, scope, name) == {payer_id}, name
        if placement(table).distributed_by != "merchant_id":
            assert await _seen(db, Scope(Role.PAYER), name) == set(), name


async def _seen(db: Database, scope: Scope, name: str) -> set[int]:
    async with db.read(scope) as tx:
        return {row[0] for row in await tx.rows(f"SELECT DISTINCT payer_id FROM {name}")}


async def test_payers_and_contracts_over_the_api(db: Database, caller: Make) -> None:
    await market(db)
    control = await caller("con", "controller")
    made = await send(control, "/payers", {"name": "City", "kind": "government"})
    assert made.status_code == 201, made.text
    path = f"/api/v1/payers/{made.json()['payer_id']}"
    edited = await control.patch(path, json={"email": "a@b.example"}, headers={"If-Match": '"1"'})
    assert (edited.status_code, edited.json()["email"]) == (200, "a@b.example"), edited.text
    assert (await control.patch(path, json={"email": ""}, headers={"If-Match": '"1"'})).status_code == 412
    assert (await send(control, "/payers", {"name": "City", "kind": "bank"})).status_code == 409
    contract = {"name": "school", "payer": "City", "currency": "EUR", "valid_from": "2018-01-01", "share_ppm": 500_000}
    contract["merchants"] = ["nobody"]
    applied = await send(control, "/payer-contracts", {"payer_contract": [contract]})
    counts = {"added": 1, "changed": 0, "unchanged": 0, "unknown_merchants": ["nobody"]}
    assert applied.json() == counts, applied.text
    refused = await send(control, "/payer-contracts", {"payer_contract": [{**contract, "share_ppm": 0}]})
    assert refused.status_code == 422
    assert "share_ppm" in refused.text
    unknown = await send(control, "/payer-contracts", {"payer_contract": [{**contract, "name": "x", "payer": "?"}]})
    assert unknown.status_code == 404


async def test_a_payers_invoice_as_e_invoice_once_both_countries_are_known(db: Database, caller: Make) -> None:
    pytest.importorskip("facturx")
    await market(db)
    finance = await caller("con", "controller")
    details = {"name": "The house", "address": "1 Quay", "country": "PT"}
    house = f"/api/v1/merchants/{HOUSE}/billing-details"
    assert (await finance.put(house, json=details, headers={"If-Match": '"0"'})).is_success
    where = {"address": "2 Quay", "country": "FR", "tax_id": "FR1"}
    assert (await finance.patch("/api/v1/payers/1", json=where, headers={"If-Match": '"1"'})).is_success
    await sold(db)
    claim = {"contract_id": 1, "entity_id": 1, "through": THROUGH.isoformat()}
    assert (await send(finance, "/payer-claims", claim)).status_code == 201
    payer = await caller("payer1", "payer", payer_id=1)
    [invoice] = (await payer.get("/api/v1/payers/1/documents")).json()["items"]
    assert invoice["buyer"] == {"name": "Health", **where}
    for syntax, root in (("cii", b"CrossIndustryInvoice"), ("ubl", b"<Invoice")):
        path = f"/api/v1/payers/1/documents/{invoice['document_id']}/document.xml"
        xml = await payer.get(path, params={"syntax": syntax})
        assert (xml.status_code, xml.headers["content-type"]) == (200, "application/xml"), xml.text
        assert root in xml.content
        assert invoice["number"].encode() in xml.content
