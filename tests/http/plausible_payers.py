"""Bodies for the operations of payers, ids and what is ripe for them; `plausible` adds them."""

from collections.abc import Callable
from typing import Any

_OF_CLAIM = "POST /api/v1/payers/{payer_id}/claims/{claim_id}"
_DOCUMENT = "/api/v1/payers/{payer_id}/documents/{document_id}"
_BEARS = {"name": "bears", "payer": "Health", "currency": "EUR", "valid_from": "2018-10-01", "share_ppm": 100_000}

SENSIBLE: dict[str, Callable[[Any, int], Any]] = {
    "POST /api/v1/payers": lambda _, n: {"name": f"Payer {n}", "kind": "brand", "email": "a@example.org"},
    "PATCH /api/v1/payers/{payer_id}": lambda *_: {"email": "claims@example.org"},
    f"POST {_DOCUMENT}/void": lambda *_: {"reason": "wrong address"},
    "POST /api/v1/payer-contracts": lambda _, n: {"payer_contract": [{**_BEARS, "name": f"bears {n}"}]},
    "POST /api/v1/payer-claims": lambda *_: {"contract_id": 2, "entity_id": 1, "through": "2018-09-30"},
    f"{_OF_CLAIM}/remittances": lambda _, n: {"amount_minor": 10, "bank_ref": f"B{n}", "received_on": "2018-09-01"},
    f"{_OF_CLAIM}/rejections": lambda *_: {"line_no": 2, "amount_minor": 5, "reason": "not covered"},
    f"{_OF_CLAIM}/reclaims": lambda *_: {"line_no": 1, "amount_minor": 5, "reason": "covered"},
}

REAL: dict[tuple[str, ...], str] = {
    ("payer_id", "document_id"): "SELECT payer_id, document_id FROM billing.payer_document ORDER BY document_id",
}

RIPE: dict[str, str] = {
    f"{_OF_CLAIM}/rejections": "FROM billing.payer_claim_line WHERE line_no = 2",
    f"POST {_DOCUMENT}/void": "FROM billing.payer_document WHERE state = 'issued' AND void_asked_by IS NULL",
    f"POST {_DOCUMENT}/void/approve": "FROM billing.payer_document WHERE state = 'issued' AND void_asked_by <> ''",
    f"POST {_DOCUMENT}/void/withdraw": "FROM billing.payer_document WHERE state = 'issued' AND void_asked_by <> ''",
    f"POST {_DOCUMENT}/reissue": "FROM billing.payer_document WHERE state = 'void'",
}
