"""Tax documents of a market at work, one of them void; and files that came from the bank."""

import base64
from typing import Any

import httpx

from tests.builders import HOUSE
from tests.http import plausible_bank_files
from tests.http.market import ALPHA, BETA, done


async def bring_bank_files(controller: httpx.AsyncClient) -> None:
    """One that is read, and one that does not hold; the columns of a third are known."""
    for name, statement in (("a", plausible_bank_files.STATEMENT), ("b", "no statement")):
        content = base64.b64encode(statement.encode()).decode()
        await done(controller, "/bank-files", {"name": name, "content": content})
    await done(controller, "/bank-mappings", {"name": "till", "mapping": plausible_bank_files.MAPPING})


async def tell_billing_details(clerk: httpx.AsyncClient) -> None:
    """Both have details, and sell their goods to the platform, which writes the invoices for it; it has its own."""
    details = {"name": "Lamps", "address": "1 Main Street", "country": "FR", "self_billed": ["goods"]}
    own = {"name": "The house", "address": "2 Main Street", "country": "FR"}
    assert (await _tell(clerk, HOUSE, own)).status_code == 200
    for merchant_id in (ALPHA, BETA):
        assert (await _tell(clerk, merchant_id, details)).status_code == 200


async def _tell(clerk: httpx.AsyncClient, merchant_id: int, details: dict[str, Any]) -> httpx.Response:
    path = f"/api/v1/merchants/{merchant_id}/billing-details"
    return await clerk.put(path, json=details, headers={"If-Match": '"0"'})


async def void_documents(clerk: httpx.AsyncClient, controller: httpx.AsyncClient, run_id: int) -> None:
    """Somebody asks for Alpha's invoice to be void, and Beta's is."""
    listed = await clerk.get("/api/v1/documents", params={"run_id": run_id})
    for one in listed.json()["items"]:
        path = f"/merchants/{one['merchant_id']}/documents/{one['document_id']}"
        if one["kind"] == "invoice":
            await done(clerk, f"{path}/void", {"reason": "wrong address"})
            if one["merchant_id"] == BETA:
                await done(controller, f"{path}/void/approve")
