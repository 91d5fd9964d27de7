"""Bodies for the operations of payers; `plausible` adds them."""

from collections.abc import Callable
from typing import Any

_OF_CLAIM = "POST /api/v1/payers/{payer_id}/claims/{claim_id}"
_BEARS = {"name": "bears", "payer": "Health", "currency": "EUR", "valid_from": "2018-10-01", "share_ppm": 100_000}

SENSIBLE: dict[str, Callable[[Any, int], Any]] = {
    "POST /api/v1/payers": lambda _, n: {"name": f"Payer {n}", "kind": "brand", "email": "a@example.org"},
    "PATCH /api/v1/payers/{payer_id}": lambda *_: {"email": "claims@example.org"},
    "POST /api/v1/payer-contracts": lambda _, n: {"payer_contract": [{**_BEARS, "name": f"bears {n}"}]},
    "POST /api/v1/payer-claims": lambda *_: {"contract_id": 2, "entity_id": 1, "through": "2018-09-30"},
    f"{_OF_CLAIM}/remittances": lambda _, n: {"amount_minor": 10, "bank_ref": f"B{n}", "received_on": "2018-09-01"},
    f"{_OF_CLAIM}/rejections": lambda *_: {"line_no": 2, "amount_minor": 5, "reason": "not covered"},
    f"{_OF_CLAIM}/reclaims": lambda *_: {"line_no": 1, "amount_minor": 5, "reason": "covered"},
}
