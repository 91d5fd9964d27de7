"""A payer of the busy market: it bears a charge of each merchant, is claimed on, pays some and refuses some."""

from datetime import date
from typing import Any

import httpx

from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.payers.cover_cost import CoverCost, commit_cost, reserve_cost
from tests.builders import ENTITY
from tests.http.market import ALPHA, BETA, send

DAY = date(2018, 9, 1)
TERMS: dict[str, Any] = {
    "name": "charges of care", "payer": "Health", "currency": "EUR", "pays": "charges", "valid_from": "2018-01-01",
    "share_ppm": 1_000_000, "cap_minor": 100_000, "pay_when_paid": True, "fee_ppm": 10_000,
}  # fmt: skip


async def add_payer(db: Database, controller: httpx.AsyncClient) -> None:
    """Over HTTP where the API can."""
    payer = (await _done(controller, "/payers", {"name": TERMS["payer"], "kind": "insurer"}))["payer_id"]
    unclaimed = {**TERMS, "name": "charges of more"}
    await _done(controller, "/payer-contracts", {"payer_contract": [TERMS, unclaimed]})
    await db.write(WORKER, "test", _bear)
    claim = await _done(controller, "/payer-claims", {"contract_id": 1, "entity_id": ENTITY, "through": "2018-09-02"})
    path = f"/payers/{payer}/claims/{claim['claim_id']}"
    await _done(controller, f"{path}/remittances", {"amount_minor": 90, "bank_ref": "B-9", "received_on": "2018-09-02"})
    await _done(controller, f"{path}/rejections", {"line_no": 1, "amount_minor": 40, "reason": "not covered"})


async def _bear(tx: Tx) -> None:
    """A charge of each merchant under the contract that is claimed, and one under the other, which is not."""
    for contract_id, merchant_id in ((1, ALPHA), (1, BETA), (2, ALPHA)):
        source_id = 100 * contract_id + merchant_id
        cost = CoverCost(
            contract_id=contract_id, merchant_id=merchant_id, entity_id=ENTITY, source="charge", source_id=source_id,
            source_ref="a charge", amount_minor=500, on=DAY,
        )  # fmt: skip
        await reserve_cost(tx, cost)
        await commit_cost(tx, merchant_id, "charge", source_id, contract_id, on=DAY)


async def _done(client: httpx.AsyncClient, path: str, body: object) -> Any:
    answer = await send(client, path, body)
    assert answer.is_success, (path, answer.text)
    return answer.json()
