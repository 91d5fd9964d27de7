"""Who may call the operations of periods, reports and exports, and with which ids and bodies."""

from collections.abc import Callable
from typing import Any

from marketplace.core.users import UserRole

_CONTROL = {UserRole.CONTROLLER, UserRole.ADMIN}
_FINANCE = _CONTROL | {UserRole.ACCOUNTANT}
_P = "/api/v1/periods/{month}"

ROUTES: dict[str, set[UserRole]] = {
    "GET /api/v1/periods": _FINANCE,
    f"GET {_P}": _FINANCE,
    f"GET {_P}/seal": _FINANCE,
    f"POST {_P}/soft-close": _FINANCE,
    f"POST {_P}/open": _FINANCE,
    f"POST {_P}/close": _CONTROL,
    f"POST {_P}/reopening": _FINANCE,
    f"POST {_P}/reopen": _CONTROL,
    f"POST {_P}/breaks": _FINANCE,
    f"POST {_P}/breaks/{{approval_id}}/approve": _FINANCE,
    "GET /api/v1/reports/trial-balance": _FINANCE,
    "GET /api/v1/reports/ageing": _FINANCE,
    "GET /api/v1/reports/revenue": _FINANCE,
    "GET /api/v1/reports/take-rate": _FINANCE,
    "GET /api/v1/reports/incentives": _FINANCE,
    "GET /api/v1/reports/deferred-revenue": _FINANCE,
    "GET /api/v1/reports/cash-forecast": _FINANCE,
    "GET /api/v1/reports/{report}/rows.csv": _FINANCE,
    "GET /api/v1/reports/accounts/{account}": _FINANCE,
    "GET /api/v1/exports/journal": _FINANCE,
    "GET /api/v1/erp-accounts": _FINANCE,
    "POST /api/v1/erp-accounts": _FINANCE,
}

REAL: dict[tuple[str, ...], str] = {
    ("month",): "SELECT to_char(from_on, 'YYYY-MM') AS month FROM billing.billing_run ORDER BY from_on",
    ("month", "approval_id"): (
        "SELECT to_char(month_on, 'YYYY-MM') AS month, approval_id FROM billing.period_approval"
        " UNION ALL SELECT '2018-05', 1 ORDER BY approval_id"
    ),
    ("report",): "SELECT * FROM (VALUES ('ageing'), ('revenue'), ('cash-forecast'), ('x')) AS r (report)",
}

SENSIBLE: dict[str, Callable[[Any, int], Any]] = {
    f"POST {_P}/reopening": lambda *_: {"reason": "a fee was forgotten"},
    f"POST {_P}/breaks": lambda *_: {"check": "bank-is-statement", "reason": "the statement is late"},
    "POST /api/v1/erp-accounts": lambda _, n: {
        "entity_id": 1, "accounts": [{"account": 1010, "number": f"10{n}", "name": "Bank"}],
    },
}  # fmt: skip

UNREACHED = dict.fromkeys(
    (
        f"GET {_P}/seal", f"POST {_P}/open", f"POST {_P}/close", f"POST {_P}/reopening", f"POST {_P}/reopen",
        f"POST {_P}/soft-close", f"POST {_P}/breaks/{{approval_id}}/approve",
    ),
    "a month is first billed and soft-closed, by somebody else: tests/periods/test_periods_http.py",
)  # fmt: skip
"""What no request made up here can succeed at, and why."""
