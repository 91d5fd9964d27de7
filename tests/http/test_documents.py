"""Documents over HTTP: whose they are, how they are read and printed, and how one is void and issued again."""

from collections.abc import Awaitable, Callable

import httpx

from marketplace.core import policies
from marketplace.core.db import WORKER, Database
from tests.builders import HOUSE
from tests.http.market import ALPHA, BETA, add_small_market, close_month, send

Make = Callable[..., Awaitable[httpx.AsyncClient]]
DETAILS = {"name": "Lâmpadas Łódź", "address": "Rua A, 1\nPorto", "country": "PT", "tax_id": "PT5"}


async def test_from_the_run_to_the_reissued_invoice(db: Database, caller: Make) -> None:
    await add_small_market(db)
    controller, clerk = await caller("fay", "controller"), await caller("kim", "accountant")
    await db.write(WORKER, "admin", policies.switch, "single_operator", on=True)
    run_id = await close_month(controller)
    await db.write(WORKER, "admin", policies.switch, "single_operator", on=False)
    listed = (await clerk.get("/api/v1/documents", params={"run_id": run_id})).json()["items"]
    assert [(one["merchant_id"], one["number"]) for one in listed] == [
        (BETA, "1-INV-06-000001"), (ALPHA, "1-INV-11-000001"),
    ]  # fmt: skip
    owner = await caller("alice", "merchant_owner", merchant_id=ALPHA)
    assert [one["merchant_id"] for one in (await owner.get("/api/v1/documents")).json()["items"]] == [ALPHA]
    key = f"/merchants/{ALPHA}/documents/{listed[1]['document_id']}"
    theirs = f"/merchants/{BETA}/documents/{listed[0]['document_id']}"
    for path in (theirs, f"{theirs}/document.pdf", f"{theirs}/document.xml"):
        assert (await owner.get(f"/api/v1{path}")).status_code == 404
    one = (await owner.get(f"/api/v1{key}")).json()
    assert (one["document"]["net_minor"], one["document"]["vat_minor"]) == (1255, 251)
    assert [(line["category"], line["quantity"], line["net_minor"]) for line in one["lines"]] == [
        ("commission", 2, 1255)
    ]
    printed = [await owner.get(f"/api/v1{key}/document.pdf", params={"language": "pt"}) for _ in range(2)]
    assert printed[0].headers["content-type"] == "application/pdf"
    assert printed[0].headers["content-disposition"] == 'attachment; filename="1-INV-11-000001.pdf"'
    assert printed[0].content == printed[1].content
    refused = await owner.get(f"/api/v1{key}/document.pdf", params={"language": "zh"})
    assert (refused.status_code, "MARKETPLACE_FONTS" in refused.json()["detail"]) == (409, True)
    assert "发" in refused.json()["characters"]

    details = f"/api/v1/merchants/{ALPHA}/billing-details"
    assert (await owner.get(details)).headers["etag"] == '"0"'
    assert (await clerk.put(details, json=DETAILS)).status_code == 428
    changed = await clerk.put(details, json=DETAILS, headers={"If-Match": '"0"'})
    assert (changed.status_code, changed.headers["etag"]) == (200, '"1"')
    assert (await clerk.put(details, json=DETAILS, headers={"If-Match": '"0"'})).status_code == 412
    assert (await send(owner, f"{key}/void", {"reason": "x"})).status_code == 403
    assert (await send(clerk, f"{key}/void", {"reason": "wrong address"})).json()["void_asked_by"] == "kim"
    assert (await send(clerk, f"{key}/void/approve")).status_code == 403
    assert (await send(controller, f"{key}/void/approve")).json()["state"] == "void"
    again = await send(clerk, f"{key}/reissue")
    assert (again.status_code, again.json()["document"]["number"]) == (201, "1-INV-11-000002")
    assert again.json()["document"]["buyer"] == DETAILS
    nowhere = await owner.get(f"/api/v1{key}/document.xml")
    assert (nowhere.status_code, "has no country" in nowhere.json()["detail"]) == (409, True)
    house = f"/api/v1/merchants/{HOUSE}/billing-details"
    assert (await clerk.put(house, json={**DETAILS, "name": "The house"}, headers={"If-Match": '"0"'})).is_success
    new_path = f"/merchants/{ALPHA}/documents/{again.json()['document']['document_id']}"
    assert (await owner.get(f"/api/v1{new_path}/document.xml")).status_code == 409
    assert (await send(clerk, f"{new_path}/void", {"reason": "no country"})).is_success
    assert (await send(controller, f"{new_path}/void/approve")).is_success
    last = (await send(clerk, f"{new_path}/reissue")).json()["document"]
    for syntax, root in (("cii", b"CrossIndustryInvoice"), ("ubl", b"<Invoice")):
        path = f"/api/v1/merchants/{ALPHA}/documents/{last['document_id']}/document.xml"
        xml = [await owner.get(path, params={"syntax": syntax}) for _ in range(2)]
        assert (xml[0].status_code, xml[0].headers["content-type"]) == (200, "application/xml"), xml[0].text
        assert root in xml[0].content
        assert last["number"].encode() in xml[0].content
        assert xml[0].content == xml[1].content
    assert (await owner.get(path, params={"syntax": "edifact"})).status_code == 422
    numbers = [one["number"] for one in (await owner.get("/api/v1/documents")).json()["items"]]
    assert sorted(numbers) == ["1-INV-11-000001", "1-INV-11-000002", "1-INV-11-000003"]
    assert (await controller.get("/api/v1/proofs")).json()["ok"] is True


async def test_what_a_run_would_issue(db: Database, caller: Make) -> None:
    await add_small_market(db)
    controller = await caller("fay", "controller")
    may = await close_month(controller)
    june = (await send(controller, "/billing-runs", {"period": "2018-06"})).json()["run"]["run_id"]
    path = f"/api/v1/merchants/{ALPHA}/document-previews/"
    assert (await controller.get(f"{path}{june}")).json() == []
    assert (await controller.get(f"{path}{may}")).status_code == 409
    assert (await controller.get(f"{path}77")).status_code == 404
