"""A payer of the busy market: it bears a charge of each merchant, is claimed on, pays some and refuses some."""

from datetime import date
from typing import Any

import httpx

from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.payers.cover_cost import CoverCost, commit_cost, reserve_cost
from tests.builders import ENTITY
from tests.http.market import ALPHA, BETA, send

DAY = date(2018, 9, 1)
EARLIER = (date(2018, 8, 1), date(2018, 8, 2), date(2018, 8, 3))
TERMS: dict[str, Any] = {
    "name": "charges of care", "payer": "Health", "currency": "EUR", "pays": "charges", "valid_from": "2018-01-01",
    "share_ppm": 1_000_000, "cap_minor": 100_000, "pay_when_paid": True, "fee_ppm": 10_000,
}  # fmt: skip


async def add_payer(db: Database, controller: httpx.AsyncClient) -> None:
    """Over HTTP where the API can."""
    payer = (await _done(controller, "/payers", {"name": TERMS["payer"], "kind": "insurer", "country": "FR"}))[
        "payer_id"
    ]
    others = [{**TERMS, "name": name} for name in ("charges of more", "charges of others")]
    await _done(controller, "/payer-contracts", {"payer_contract": [TERMS, *others]})
    await db.write(WORKER, "test", _bear)
    await _invoices(controller, payer)
    claim = await _done(controller, "/payer-claims", {"contract_id": 1, "entity_id": ENTITY, "through": "2018-09-02"})
    path = f"/payers/{payer}/claims/{claim['claim_id']}"
    await _done(controller, f"{path}/remittances", {"amount_minor": 90, "bank_ref": "B-9", "received_on": "2018-09-02"})
    await _done(controller, f"{path}/rejections", {"line_no": 1, "amount_minor": 40, "reason": "not covered"})


async def _invoices(controller: httpx.AsyncClient, payer_id: int) -> None:
    """Three invoices: one stands, of one somebody asks that it be void, and one is."""
    for place, day in enumerate(EARLIER):
        claim = await _done(controller, "/payer-claims", {"contract_id": 3, "entity_id": ENTITY, "through": str(day)})
        path = f"/payers/{payer_id}/documents"
        listed = await controller.get(f"/api/v1{path}", params={"claim_id": claim["claim_id"]})
        [one] = listed.json()["items"]
        if place:
            await _done(controller, f"{path}/{one['document_id']}/void", {"reason": "wrong address"})
        if place == len(EARLIER) - 1:
            await _done(controller, f"{path}/{one['document_id']}/void/approve", None)


async def _bear(tx: Tx) -> None:
    """A charge of each merchant under the contract that is claimed, one under another, which is not, and three under
    the third, on days of their own."""
    charges = [(1, ALPHA, DAY), (1, BETA, DAY), (2, ALPHA, DAY), *((3, ALPHA, day) for day in EARLIER)]
    for place, (contract_id, merchant_id, on) in enumerate(charges):
        source_id = 1_000 * place + 100 * contract_id + merchant_id
        cost = CoverCost(
            contract_id=contract_id, merchant_id=merchant_id, entity_id=ENTITY, source="charge", source_id=source_id,
            source_ref="a charge", amount_minor=500, on=on,
        )  # fmt: skip
        await reserve_cost(tx, cost)
        await commit_cost(tx, merchant_id, "charge", source_id, contract_id, on=on)


async def _done(client: httpx.AsyncClient, path: str, body: object) -> Any:
    answer = await send(client, path, body)
    assert answer.is_success, (path, answer.text)
    return answer.json()
