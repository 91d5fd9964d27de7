"""Who may call what of payouts and documents, ids, what is ripe and bodies; `plausible` and the roles add them."""

from collections.abc import Callable
from typing import Any

from marketplace.core.users import UserRole
from tests.http import plausible_bank_files, plausible_documents, plausible_matching, plausible_periods

_BOOKS = {UserRole.MERCHANT_OWNER, UserRole.MERCHANT_MANAGER}
_CONTROL = {UserRole.CONTROLLER, UserRole.ADMIN}
_FINANCE = _CONTROL | {UserRole.ACCOUNTANT}

ROUTES: dict[str, set[UserRole]] = {
    **plausible_documents.ROUTES,
    **plausible_bank_files.ROUTES,
    **plausible_matching.ROUTES,
    **plausible_periods.ROUTES,
    "POST /api/v1/merchants/{merchant_id}/payouts/{payout_id}/retry": _FINANCE,
    "GET /api/v1/debtor-accounts": _FINANCE,
    "POST /api/v1/debtor-accounts": _CONTROL,
    "POST /api/v1/payout-files": _FINANCE,
    "GET /api/v1/payout-files": _FINANCE,
    "GET /api/v1/payout-files/{file_id}": _FINANCE,
    "POST /api/v1/payout-files/{file_id}/approve": _FINANCE,
    "POST /api/v1/payout-files/{file_id}/cancel": _FINANCE,
    "GET /api/v1/payout-files/{file_id}/pain.001.xml": _FINANCE,
    "GET /api/v1/payout-files/{file_id}/lines.csv": _FINANCE,
    "POST /api/v1/merchants/{merchant_id}/payout-terms": _FINANCE,
    "GET /api/v1/merchants/{merchant_id}/payout-terms": _FINANCE | _BOOKS,
    "POST /api/v1/merchants/{merchant_id}/payout-terms/{terms_id}/approve": _FINANCE,
    "POST /api/v1/merchants/{merchant_id}/payout-terms/{terms_id}/reject": _FINANCE,
    "POST /api/v1/merchants/{merchant_id}/payout-holds": _FINANCE,
    "GET /api/v1/merchants/{merchant_id}/payout-holds": _FINANCE,
    "POST /api/v1/merchants/{merchant_id}/payout-holds/{hold_id}/release": _FINANCE,
    "GET /api/v1/merchants/{merchant_id}/payout-reserves": _FINANCE | _BOOKS,
    "GET /api/v1/merchants/{merchant_id}/carried-payouts": _FINANCE | _BOOKS,
    "GET /api/v1/merchants/{merchant_id}/payout-dues": _FINANCE | _BOOKS,
    "POST /api/v1/merchants/{merchant_id}/payout-dues/{run_id}/pay": _FINANCE,
}

REAL: dict[tuple[str, ...], str] = {
    **plausible_documents.REAL,
    **plausible_bank_files.REAL,
    **plausible_matching.REAL,
    **plausible_periods.REAL,
    ("file_id",): "SELECT file_id FROM billing.payout_file ORDER BY file_id",
    ("merchant_id", "hold_id"): "SELECT merchant_id, hold_id FROM billing.payout_hold ORDER BY 2",
    ("merchant_id", "terms_id"): "SELECT merchant_id, terms_id FROM billing.payout_terms ORDER BY state DESC, terms_id",
}

_M = "POST /api/v1/merchants/{merchant_id}"

RIPE: dict[str, str] = {
    **plausible_documents.RIPE,
    **plausible_matching.RIPE,
    f"{_M}/payout-holds/{{hold_id}}/release": "FROM billing.payout_hold WHERE released_at IS NULL",
    f"{_M}/payout-terms/{{terms_id}}/approve": "FROM billing.payout_terms WHERE state = 'proposed'",
    f"{_M}/payout-terms/{{terms_id}}/reject": "FROM billing.payout_terms WHERE state = 'proposed'",
    "POST /api/v1/payout-files/{file_id}/approve": "FROM billing.payout_file WHERE state = 'made'",
}

SENSIBLE: dict[str, Callable[[Any, int], Any]] = {
    **plausible_bank_files.SENSIBLE,
    **plausible_matching.SENSIBLE,
    **plausible_periods.SENSIBLE,
    "POST /api/v1/run-schedules": lambda _, n: {
        "entity_id": 1, "cadence": ("monthly", "ten_days")[n % 2], "starts_on": "2018-05-01", "payout_days": 1 + n,
    },
    f"{_M}/payout-dues/{{run_id}}/pay": lambda _, n: {"currency": "EUR"},
    **plausible_documents.SENSIBLE,
    f"{_M}/payout-terms": lambda _, n: {
        "currency": "EUR", "minimum_minor": 10 + n % 5, "reserve_ppm": 50_000, "reserve_days": 30 + n, "reason": "risk",
    },
    f"{_M}/payout-terms/{{terms_id}}/reject": lambda *_: {"reason": "too soon"},
    f"{_M}/payout-holds": lambda *_: {"reason": "complaints"},
    f"{_M}/payout-holds/{{hold_id}}/release": lambda *_: {"reason": "settled"},
    "POST /api/v1/debtor-accounts": lambda *_: {
        "currency": "EUR", "holder": "The house", "scheme": "iban", "number": "DE89370400440532013000",
    },
    "POST /api/v1/payout-files": lambda *_: {"currency": "EUR", "pay_on": "2018-09-30"},
    "POST /api/v1/payout-files/{file_id}/cancel": lambda *_: {"reason": "wrong day"},
}  # fmt: skip
