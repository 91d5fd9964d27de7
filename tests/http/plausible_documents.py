"""Who may call the operations of documents, ids, what is ripe and bodies for them."""

from collections.abc import Callable
from typing import Any

from marketplace.core.users import UserRole

_BOOKS = {UserRole.MERCHANT_OWNER, UserRole.MERCHANT_MANAGER}
_FINANCE = {UserRole.CONTROLLER, UserRole.ADMIN, UserRole.ACCOUNTANT}
_M = "/api/v1/merchants/{merchant_id}"
_ONE = f"{_M}/documents/{{document_id}}"

ROUTES: dict[str, set[UserRole]] = {
    "GET /api/v1/documents": _FINANCE | _BOOKS,
    f"GET {_ONE}": _FINANCE | _BOOKS,
    f"GET {_ONE}/document.pdf": _FINANCE | _BOOKS,
    f"GET {_ONE}/document.xml": _FINANCE | _BOOKS,
    f"POST {_ONE}/void": _FINANCE,
    f"POST {_ONE}/void/approve": _FINANCE,
    f"POST {_ONE}/void/withdraw": _FINANCE,
    f"POST {_ONE}/reissue": _FINANCE,
    f"GET {_M}/document-previews/{{run_id}}": _FINANCE,
    f"GET {_M}/billing-details": _FINANCE | _BOOKS,
    f"PUT {_M}/billing-details": _FINANCE,
}

REAL: dict[tuple[str, ...], str] = {
    ("merchant_id", "document_id"): "SELECT merchant_id, document_id FROM billing.document ORDER BY document_id",
}

RIPE: dict[str, str] = {
    f"POST {_ONE}/void": "FROM billing.document WHERE state = 'issued' AND void_asked_by IS NULL AND kind <> 'invoice'",
    f"POST {_ONE}/void/approve": "FROM billing.document WHERE state = 'issued' AND void_asked_by IS NOT NULL",
    f"POST {_ONE}/void/withdraw": "FROM billing.document WHERE state = 'issued' AND void_asked_by IS NOT NULL",
    f"POST {_ONE}/reissue": "FROM billing.document WHERE state = 'void'",
}

SENSIBLE: dict[str, Callable[[Any, int], Any]] = {
    f"POST {_ONE}/void": lambda *_: {"reason": "wrong address"},
    f"PUT {_M}/billing-details": lambda _, n: {
        "name": f"Lamps {n}", "address": "1 Main Street\nSpringfield", "country": "FR", "tax_id": "FR123",
        "self_billed": ["goods"], "self_billed_vat_ppm": 200_000,
    },
}  # fmt: skip
