"""Bank files over the API: for finance alone, each file once, page by page."""

import base64
from collections.abc import Awaitable, Callable
from typing import Any

import httpx

from marketplace.core.db import WORKER, Database
from tests.bank_files.test_import import statement
from tests.http.market import ALPHA
from tests.http.plausible_bank_files import MAPPING, TABLE

Make = Callable[..., Awaitable[httpx.AsyncClient]]


def new(content: str | bytes, **more: Any) -> dict[str, Any]:
    raw = content.encode() if isinstance(content, str) else content
    return {"name": "a.sta", "content": base64.b64encode(raw).decode(), **more}


async def post(client: httpx.AsyncClient, path: str, body: object, key: str) -> httpx.Response:
    return await client.post(f"/api/v1/{path}", json=body, headers={"Idempotency-Key": key})


async def test_a_file_its_statements_and_its_lines(db: Database, caller: Make) -> None:
    clerk = await caller("fay", "accountant")
    body = new(statement([(number, f"R{number}") for number in range(1, 6)]))
    answer = await post(clerk, "bank-files", body, "1")
    assert answer.status_code == 200, answer.text
    file = answer.json()
    assert (file["state"], file["lines"], file["new_lines"], file["received_by"]) == ("read", 5, 5, "fay")
    assert (await post(clerk, "bank-files", body, "1")).headers["Idempotency-Replayed"] == "true"
    assert (await post(clerk, "bank-files", body, "2")).json() == file | {"again": True}
    path = f"/api/v1/bank-files/{file['file_id']}"
    assert (await clerk.get(path)).json() == file
    [told] = (await clerk.get(f"{path}/statements")).json()["items"]
    assert (told["account"], told["opening_minor"], told["closing_minor"], told["flaws"]) == (
        "DE00",
        100_000,
        100_015,
        [],
    )
    page = (await clerk.get(f"{path}/lines", params={"limit": 3})).json()
    rest = (await clerk.get(f"{path}/lines", params={"limit": 3, "cursor": page["next"]})).json()
    assert [line["amount_minor"] for line in page["items"] + rest["items"]] == [1, 2, 3, 4, 5]
    assert rest["next"] is None
    async with db.read(WORKER) as tx:
        [event] = await tx.rows("SELECT payload FROM core.outbox WHERE topic = 'billing.bank_file_read.v1'")
    assert event.payload["file_id"] == file["file_id"]


async def test_what_does_not_hold_says_why_and_is_found_by_its_state(caller: Make) -> None:
    clerk = await caller("fay", "accountant")
    kept = (await post(clerk, "bank-files", new("no statement"), "1")).json()
    assert (kept["state"], len(kept["flaws"])) == ("unreadable", 1)
    listed = (await clerk.get("/api/v1/bank-files", params={"state": "unreadable"})).json()["items"]
    assert [file["file_id"] for file in listed] == [kept["file_id"]]
    assert (await clerk.get("/api/v1/bank-files", params={"state": "read"})).json()["items"] == []
    refused = await post(clerk, "bank-files", {"name": "a", "content": "*"}, "2")
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/content")
    assert (await post(clerk, "bank-files", new(TABLE, mapping="none"), "3")).status_code == 404


async def test_a_mapping_is_tried_out_saved_and_used(caller: Make) -> None:
    clerk = await caller("fay", "accountant")
    content = base64.b64encode(TABLE).decode()
    tried = await clerk.post("/api/v1/bank-mappings/preview", json={"mapping": MAPPING, "content": content})
    assert [line["amount_minor"] for line in tried.json()["lines"]] == [1250, -300]
    wrong = {**MAPPING, "day": "Date"}
    tried = await clerk.post("/api/v1/bank-mappings/preview", json={"mapping": wrong, "content": content})
    assert tried.json()["fault"] == "no row among the first 100 names all columns; Date are missing"
    for version in (1, 2):
        saved = await post(clerk, "bank-mappings", {"name": "till", "mapping": MAPPING}, f"m{version}")
        assert (saved.status_code, saved.json()["version"]) == (201, version)
    assert [one["version"] for one in (await clerk.get("/api/v1/bank-mappings")).json()["items"]] == [2, 1]
    read = (await post(clerk, "bank-files", new(TABLE, mapping="till"), "f")).json()
    assert (read["state"], read["format"], read["mapping_id"]) == ("read", "table", saved.json()["mapping_id"])
    both = {**MAPPING, "currency_column": "What"}
    refused = await post(clerk, "bank-mappings", {"name": "till", "mapping": both}, "m3")
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/mapping/currency")


async def test_merchants_and_operations_see_nothing_of_it(caller: Make) -> None:
    for number, role in enumerate(("merchant_owner", "growth", "storefront")):
        person = await caller(f"p{number}", role, merchant_id=ALPHA if role == "merchant_owner" else None)
        for path in ("bank-files", "bank-files/1", "bank-files/1/lines", "bank-files/gaps", "bank-mappings"):
            assert (await person.get(f"/api/v1/{path}")).status_code == 403, (role, path)
